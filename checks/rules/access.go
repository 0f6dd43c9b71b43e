package rules

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"cloud.google.com/go/iam/apiv1/iampb"

	"diagnose/internal/estate"
	"diagnose/internal/gcp"
	"diagnose/internal/iam"
)

// query asks about one permission, at no path and host in particular.
func (x *Index) query(permission string) iam.Query {
	return iam.Query{Permission: permission, Roles: x.roles, Groups: x.groups, Context: x.context}
}

// door is everything that stands between a caller and a target's container.
func (x *Index) door(t *target) iam.Door { return x.doorFor(t, false) }

// publicDoor is the door for a request without credential, to whom no other
// binding than one of allUsers can matter.
func (x *Index) publicDoor(t *target) iam.Door { return x.doorFor(t, !t.behind()) }

func (x *Index) doorFor(t *target, public bool) iam.Door {
	d := iam.Door{Gone: t.gone(), Invoke: x.question(t, t.name, t.permission(), public), IAPOn: stateOf(t.IAP)}
	d.Invoke.CheckOff = stateOf(t.Check.Not())
	if t.Gen1 {
		d.IAPOn, d.Invoke.CheckOff = iam.NotGranted, iam.NotGranted
	}
	if t.behind() {
		d.IAP = x.question(t, x.iapKey(t), iam.AccessViaIAP, false)
		d.IAP.CheckOff = iam.NotGranted
		if agent := x.agent(t); agent != "" {
			d.Agent = iam.IdentityOf(agent)
		}
	}
	switch t.Ingress {
	case estate.IngressAll:
		d.Internet = iam.Granted
	case estate.IngressInternalAndLoadBalancer:
		d.Outside = "ingress admits the internet only through a load balancer"
	case estate.IngressInternal, estate.IngressNone:
		d.Internet, d.Outside = iam.NotGranted, "ingress keeps the internet out"
	default:
		d.Outside = "its ingress setting is unknown"
	}
	return d
}

func stateOf(a estate.Truth) iam.State {
	return [...]iam.State{estate.Unknown: iam.Unknown, estate.No: iam.NotGranted, estate.Yes: iam.Granted}[a]
}

// question asks about one permission on a target, or on its IAP.
func (x *Index) question(t *target, own, permission string, public bool) iam.Question {
	level := iam.Service
	if t.Gen1 {
		level = iam.Function
	}
	chain := t.above()
	q := iam.Question{
		Query: x.query(permission), Deny: x.denyOn(chain), Above: x.PoliciesComplete,
		Layers: make([]iam.Layer, 0, 1+len(chain)),
	}
	first := x.own(layerKey{own, permission, public}, level)
	if first.Hidden == "" {
		first.Hidden = x.mayBeOf(t, permission)
	}
	q.Layers = append(q.Layers, first)
	for _, n := range chain {
		q.Layers = append(q.Layers, x.above(n, permission, public))
	}
	if why := x.otherwiseNamed(t.node); why != "" && len(q.Layers) > 1 {
		q.Layers[1].Hidden = cmp.Or(q.Layers[1].Hidden, why)
	}
	return q
}

// otherwiseNamed says why the policies of another project may be those of this
// one, "" where they are not: one is named by its number and the other by its
// ID, and no document says whether they are the same.
func (x *Index) otherwiseNamed(project *node) string {
	if project == nil || x.PoliciesComplete {
		return ""
	}
	own := gcp.Last(project.name)
	if _, known := x.numbers[own]; known {
		return ""
	}
	for _, other := range x.spelt(!gcp.IsNumber(own)) {
		return "it is unknown whether project " + own + " is project " + other + ", whose policy is here"
	}
	return ""
}

// spelt lists the projects with a policy, or with a place in the hierarchy,
// that are named by number, or by ID, and of which the other name is not known.
func (x *Index) spelt(byNumber bool) []string {
	if x.projects == nil {
		x.projects = map[bool][]string{}
		known := map[string]bool{}
		for number, id := range x.numbers {
			known[number], known[id] = true, true
		}
		add := func(name string) {
			if p, ok := strings.CutPrefix(name, "projects/"); ok && !known[p] {
				x.projects[gcp.IsNumber(p)] = append(x.projects[gcp.IsNumber(p)], p)
			}
		}
		for name := range x.policies {
			add(strings.TrimPrefix(name, estate.NodeHost))
		}
		for _, n := range x.Nodes {
			if n.Parent != "" {
				add(n.Name)
			}
		}
	}
	return x.projects[byNumber]
}

// above is the layer of a node, which many targets have in common.
func (x *Index) above(n *node, permission string, public bool) iam.Layer {
	key := layerKey{nodeKey(n), permission, public}
	if _, ok := x.layers[key]; !ok {
		levels := map[byte]iam.Level{'p': iam.Project, 'f': iam.Folder, 'o': iam.Organization}
		x.layers[key] = x.layer(key, levels[n.name[0]])
	}
	return x.layers[key]
}

// own is the layer of a target itself. One with many members is kept, since
// each of them is asked about.
func (x *Index) own(key layerKey, level iam.Level) iam.Layer {
	if l, ok := x.layers[key]; ok {
		return l
	}
	l := x.layer(key, level)
	if many(l.Policy) {
		x.layers[key] = l
	}
	return l
}

// fewMembers is how many members a policy may have to be asked as it is.
const fewMembers = 16

func many(p *iampb.Policy) bool {
	n := 0
	for _, b := range p.GetBindings() {
		if n += len(b.GetMembers()); n > fewMembers {
			return true
		}
	}
	return false
}

// roster sorts a policy with many members, once, and is nil for others.
func (x *Index) roster(p *iampb.Policy) *iam.Roster {
	r, done := x.rosters[p]
	if !done && many(p) {
		r = iam.NewRoster(p)
		x.rosters[p] = r
	}
	return r
}

// A layerKey names a layer: what is bound on a resource of a permission, to
// anyone or to allUsers alone.
type layerKey struct {
	on, permission string
	public         bool
}

// nothing is a policy without bindings.
var nothing = &iampb.Policy{}

// layer collects what is bound on a resource, as far as it can give a
// permission.
func (x *Index) layer(key layerKey, level iam.Level) iam.Layer {
	l := iam.Layer{Resource: key.on, Level: level, Policy: nothing}
	policies := x.policies[key.on]
	why, missing := x.PoliciesMissing[key.on]
	switch {
	case missing && len(policies) == 0:
		l.Policy, l.Reason = nil, why
		return l
	case len(policies) == 0 && !x.PoliciesComplete:
		l.Policy, l.Reason = nil, "the policy of "+shortName(key.on)+" is unknown"
		return l
	}
	l.Reason = why
	var bound []*iampb.Binding
	for _, p := range policies {
		if p.Partial != "" {
			l.Reason = p.Partial
		}
		for i := range p.Bindings {
			b := &p.Bindings[i]
			if !x.mayCarry(b.Role, key.permission) {
				continue
			}
			if b.Open != "" && !(key.public && b.NotAnyone) {
				l.Hidden = b.Open
			}
			if b.Role == "" || key.public && !slices.ContainsFunc(b.Members, isAnyone) {
				continue
			}
			if b.Maybe != "" {
				l.Hidden = maybe(b)
			} else {
				bound = append(bound, &iampb.Binding{Role: b.Role, Members: b.Members, Condition: b.Condition})
			}
		}
	}
	if bound != nil {
		l.Policy = &iampb.Policy{Bindings: bound}
	}
	return l
}

// maybe says on what it depends whether a binding is there.
func maybe(b *estate.Binding) string { return placeOf(b.Where) + " is there " + b.Maybe }

// placeOf names a place in the configuration: its address, or file and line.
func placeOf(w estate.Where) string {
	if w.Address == "" && w.File != "" {
		return fmt.Sprintf("the binding of %s:%d", w.File, w.Line)
	}
	return w.Address
}

func isAnyone(member string) bool { return iam.ParseMember(member).Kind == iam.AllUsers }

// mayCarry reports whether a role has a permission, or may have.
func (x *Index) mayCarry(role, permission string) bool {
	if role == "" {
		return true
	}
	s, _ := x.roles.Carries(role, permission)
	return s != iam.NotGranted
}

// denyOn lists the deny policies that hang on a chain of nodes.
func (x *Index) denyOn(chain []*node) []iam.DenyLayer {
	var out []iam.DenyLayer
	for _, d := range x.Deny {
		at := x.canonical(attached(d))
		switch {
		case slices.ContainsFunc(chain, func(n *node) bool { return n.name == at }):
			out = append(out, iam.DenyLayer{Policy: d.Policy, Attached: iam.Granted, Point: at})
		case x.mayBeAbove(chain, at):
			out = append(out, iam.DenyLayer{Policy: d.Policy, Attached: iam.Unknown, Point: at})
		}
	}
	return out
}

// mayBeAbove reports whether a folder or an organization may stand above a
// chain of nodes whose end is not known.
func (x *Index) mayBeAbove(chain []*node, at string) bool {
	if len(chain) == 0 || strings.HasPrefix(at, "projects/") {
		return false
	}
	top := chain[len(chain)-1]
	return !strings.HasPrefix(top.name, "organizations/")
}

// attached is the node that a deny policy hangs on, "" where that is not known.
func attached(d estate.Deny) string {
	on, _, _ := gcp.ParseDenyPolicy(d.Policy.GetName())
	return on.String()
}

// decide says whether a principal may invoke a target: an account through IAM
// and IAP, anyone also through ingress.
func (x *Index) decide(t *target, principal string) iam.Decision {
	if isAnyone(principal) {
		return t.public
	}
	return x.door(t).Admit(iam.IdentityOf(principal))
}

// because says in a clause what a decision about a target goes by.
func (x *Index) because(t *target, d iam.Decision) string {
	switch {
	case d.Way == iam.ByCheckOff:
		return "the invoker IAM check is off"
	case d.State == iam.Granted && d.Binding != nil:
		door := x.door(t)
		layers := door.Invoke.Layers
		if t.behind() {
			layers = door.IAP.Layers
		}
		return d.Binding.Role + " on " + shortName(layers[d.Binding.Layer].Resource)
	case d.Way == iam.ByDenyRule:
		return "denied by " + d.Denial.Name + ": " + d.Reason
	case d.State == iam.Unknown:
		return d.Reason
	}
	return d.Reason + assuming(d)
}

// assuming says in a clause what a refusal supposes of what was not read.
func assuming(d iam.Decision) string {
	var out []string
	for _, o := range d.Open {
		clause := "no policy above it that is not shown here grants it"
		if o.Document == iam.TargetSettings {
			clause = o.Reason
		}
		if !slices.Contains(out, clause) {
			out = append(out, clause)
		}
	}
	if len(out) == 0 {
		return ""
	}
	return ", assuming that " + strings.Join(out, " and ")
}

// opens returns the grant through which anyone may invoke a target, nil where
// that is not one.
func (x *Index) opens(t *target) *grant {
	if t.anyone.Way != iam.ByBinding || t.behind() {
		return nil
	}
	keys := []string{t.name}
	for _, n := range t.above() {
		keys = append(keys, nodeKey(n))
	}
	for g := range x.grantsOn(keys[0]) {
		if g.member.Kind == iam.AllUsers && g.may == iam.Granted {
			return g
		}
	}
	for _, key := range keys[1:] {
		for g := range x.grantsOn(key) {
			if g.member.Kind == iam.AllUsers && g.ofNode(t).may == iam.Granted {
				return g
			}
		}
	}
	return nil
}

// reach counts what a grant opens: nothing that ingress, IAP or a deny policy
// is known to shield.
func (x *Index) reach(g *grant) Reach {
	if g.kind == onNode {
		return x.reachBelow(g)
	}
	t := g.target
	switch {
	case t == nil && g.may != iam.NotGranted:
		return Reach{Services: 1, Known: true}
	case t == nil || g.may == iam.NotGranted || t.shielded():
		return Reach{Known: true}
	case g.kind == onTarget && t.behind():
		return Reach{Known: true} // IAP decides who gets through
	case g.member.Kind == iam.AllUsers && t.public.State == iam.NotGranted:
		return Reach{Known: true}
	case t.Bare || g.may == iam.Unknown && g.state == iam.Granted:
		return Reach{}
	}
	return Reach{Services: 1, Known: true}
}

func (x *Index) reachBelow(g *grant) Reach {
	if !x.TargetsComplete {
		return Reach{}
	}
	r := Reach{Known: true}
	if g.run.may == iam.Granted {
		r.Services += g.node.services - x.deniedBelow(g)
	}
	if g.gen1.may == iam.Granted {
		r.Services += g.node.gen1
	}
	return r
}

// deniedBelow counts the services below a grant's node that it does not open
// for certain because of a deny policy further down. The topmost of these
// policies counts for all below it.
func (x *Index) deniedBelow(g *grant) int {
	var shut []*node
	for _, d := range x.Deny {
		n := x.nodes[x.canonical(attached(d))]
		if n == nil || n == g.node || !n.under(g.node) || slices.Contains(shut, n) {
			continue
		}
		if held := x.grantsOf(*g, x.denyOn(n.chain())); !slices.ContainsFunc(held, func(h grant) bool {
			return h.member == g.member && h.run.may == iam.Granted
		}) {
			shut = append(shut, n)
		}
	}
	sum := 0
	for _, n := range shut {
		if !slices.ContainsFunc(n.chain()[1:], func(above *node) bool { return slices.Contains(shut, above) }) {
			sum += n.services
		}
	}
	return sum
}
