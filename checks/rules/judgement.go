package rules

import (
	"slices"
	"strings"

	"cloud.google.com/go/iam/apiv1/iampb"

	"diagnose/internal/estate"
	"diagnose/internal/iam"
)

// A Judgement is an estate as the rules read it, indexed once.
type Judgement struct {
	*estate.Estate
	Options

	roles   iam.Roles
	groups  iam.Groups
	context iam.Context

	numbers   map[string]string // project number to ID
	nodes     map[string]*node
	targets   map[string]*target // by canonical full resource name
	order     []*target
	functions map[string]*target // v2 functions by canonical name
	hosts     map[string]*target // by host of their URLs
	policies  map[string][]*estate.Policy
	grants    []grant
	granted   map[string][]int // positions of grants by resource
	before    *Judgement
}

// A node is a project, folder or organization with what is below it.
type node struct {
	name     string // "projects/shop"
	title    string
	parent   *node
	services int // Cloud Run services below, without those that ingress shields
	gen1     int
	all      int // targets below
	public   int
	findings int
	order    int
}

// A target is a service or gen1 function with what is made of it here.
type target struct {
	*estate.Target
	name   string // canonical
	node   *node  // its project
	public publicity
	front  bool // a load balancer with IAP leads to it
}

// publicity says whether anyone may invoke, and through what.
type publicity struct {
	state iam.State
	by    *grant // nil where the invoker check is off
}

func newJudgement(e *estate.Estate, o Options) *Judgement {
	j := &Judgement{
		Estate: e, Options: o, roles: iam.NewRoles(e.Roles), groups: iam.NewGroups(e.Groups), context: iam.Context{Time: o.Now},
		numbers: map[string]string{}, nodes: map[string]*node{}, targets: map[string]*target{}, functions: map[string]*target{}, hosts: map[string]*target{}, policies: map[string][]*estate.Policy{}, granted: map[string][]int{},
	}
	for _, n := range e.Nodes {
		if number, ok := strings.CutPrefix(n.Name, "projects/"); ok && n.ID != "" {
			j.numbers[number] = n.ID
		}
	}
	for _, n := range e.Nodes {
		own := j.node(n.Name)
		own.title = n.Title
		if n.Parent != "" {
			own.parent = j.node(n.Parent)
		}
	}
	for i := range e.Targets {
		j.addTarget(&e.Targets[i])
	}
	for i := range e.Policies {
		name := j.key(&e.Policies[i])
		j.policies[name] = append(j.policies[name], &e.Policies[i])
	}
	j.evaluate()
	j.count()
	j.findFronts()
	return j
}

// findFronts follows load balancers with IAP to the services behind them.
func (j *Judgement) findFronts() {
	for _, t := range j.order {
		t.front = t.FrontIAP == estate.Yes
	}
	for _, b := range j.Fronts {
		if b.IAP != estate.Yes {
			continue
		}
		for _, g := range j.Fronts {
			if g.Service == "" || g.Project != b.Project || !slices.Contains(b.Groups, g.Name) {
				continue
			}
			if t := j.named(g.Service, g.Project); t != nil {
				t.front = true
			}
		}
	}
}

// canonical names a resource by its project's ID where that is known.
func (j *Judgement) canonical(name string) string {
	for _, mark := range []string{"/projects/", "projects/"} {
		i := strings.Index(name, mark)
		if i < 0 || mark == "projects/" && i > 0 {
			continue
		}
		rest := name[i+len(mark):]
		project, tail, more := strings.Cut(rest, "/")
		if id, ok := j.numbers[project]; ok {
			name = name[:i] + mark + id
			if more {
				name += "/" + tail
			}
		}
		break
	}
	return name
}

// key names a policy: by its resource, and apart where it is that of a v2
// function, which a gen1 function may have the name of.
func (j *Judgement) key(p *estate.Policy) string {
	name := j.canonical(p.Resource)
	if p.V2Function {
		return v2Mark + name
	}
	return name
}

const v2Mark = "v2:"

// nodeName returns "projects/shop" for a full resource name of a node, or "".
func nodeName(resource string) string {
	rest, ok := strings.CutPrefix(resource, "//cloudresourcemanager.googleapis.com/")
	if !ok {
		rest = resource
	}
	kind, id, ok := strings.Cut(rest, "/")
	if !ok || strings.Contains(id, "/") || !slices.Contains([]string{"projects", "folders", "organizations"}, kind) {
		return ""
	}
	return rest
}

func (j *Judgement) node(name string) *node {
	name = j.canonical(name)
	if j.nodes[name] == nil {
		j.nodes[name] = &node{name: name, order: len(j.nodes)}
	}
	return j.nodes[name]
}

// projectOf returns "projects/shop" of a full resource name, or "".
func projectOf(name string) string {
	_, rest, ok := strings.Cut(name, "/projects/")
	if !ok {
		return ""
	}
	id, _, _ := strings.Cut(rest, "/")
	return "projects/" + id
}

func (j *Judgement) addTarget(in *estate.Target) {
	t := &target{Target: in, name: j.canonical(in.Name)}
	if p := projectOf(t.name); p != "" {
		t.node = j.node(p)
	}
	if j.targets[t.name] != nil {
		return // the same one, exported twice
	}
	j.targets[t.name] = t
	j.order = append(j.order, t)
	if in.Function != "" {
		j.functions[j.canonical(in.Function)] = t
	}
	for _, u := range in.URLs {
		if h := addressOf(u); h.Host != "" && h.Function == "" {
			j.hosts[h.Host] = t
		}
	}
}

// above lists the nodes over a target, its project first.
func (t *target) above() []*node { return t.node.chain() }

// chain lists a node and those above it.
func (n *node) chain() []*node {
	var out []*node
	for ; n != nil && len(out) < 32; n = n.parent {
		out = append(out, n)
	}
	return out
}

func (t *target) permission() string {
	if t.Gen1 {
		return iam.FunctionsInvoke
	}
	return iam.RunInvoke
}

// shielded reports whether ingress is known to keep the internet out.
func (t *target) shielded() bool {
	return t.Ingress == estate.IngressInternal || t.Ingress == estate.IngressNone
}

// A place says what a policy hangs on.
type place int

const (
	elsewhere  place = iota // nothing that can be invoked
	onTarget                // a service or a gen1 function
	onFunction              // a v2 function, whose policy does not count
	onEither                // a function of a generation that is not known
	onIAP                   // a service's IAP, which decides who gets through to it
	onNode
)

// A grant is one binding and one of its members, and what that gives.
type grant struct {
	policy  *estate.Policy
	binding *estate.Binding
	place   place
	on      string // canonical resource
	target  *target
	node    *node
	member  iam.Member
	role    string

	run, gen1 iam.State // for each permission that matters here
	state     iam.State // the larger of both
	reason    string
	condition iam.Condition
}

func larger(a, b iam.State) iam.State {
	if a == iam.Granted || b == iam.Granted {
		return iam.Granted
	}
	if a == iam.Unknown || b == iam.Unknown {
		return iam.Unknown
	}
	return iam.NotGranted
}

func (j *Judgement) evaluate() {
	for i := range j.Policies {
		p := &j.Policies[i]
		on := j.canonical(p.Resource)
		base := grant{policy: p, on: on}
		base.place, base.target, base.node = j.placeOf(on)
		if p.V2Function {
			base.place, base.target = onFunction, j.functions[on]
		}
		if base.place == elsewhere {
			continue
		}
		for k := range p.Bindings {
			base.binding = &p.Bindings[k]
			for _, g := range j.grantsOf(base) {
				j.granted[j.key(p)] = append(j.granted[j.key(p)], len(j.grants))
				j.grants = append(j.grants, g)
			}
		}
	}
}

func (j *Judgement) placeOf(on string) (place, *target, *node) {
	if n := nodeName(on); n != "" {
		return onNode, nil, j.node(n)
	}
	if t := j.targets[on]; t != nil {
		return onTarget, t, t.node
	}
	if t := j.functions[on]; t != nil {
		return onFunction, t, t.node
	}
	var n *node
	if p := projectOf(on); p != "" {
		n = j.node(p)
	}
	if service := behindIAP(on); service != "" {
		return onIAP, j.targets[service], n
	}
	switch {
	case strings.HasPrefix(on, "//run.googleapis.com/") && strings.Contains(on, "/services/"):
		return onTarget, nil, n
	case strings.HasPrefix(on, "//cloudfunctions.googleapis.com/") && strings.Contains(on, "/functions/"):
		return onEither, nil, n
	}
	return elsewhere, nil, nil
}

// iapName is the name by which IAP knows a Cloud Run service:
// https://docs.cloud.google.com/iap/docs/managing-access.
func iapName(service string) string {
	r := parse(service)
	return "//iap.googleapis.com/projects/" + r.project + "/iap_web/cloud_run-" + r.location + "/services/" + r.id
}

// behindIAP is the service that a name of IAP's is about, "" for other names.
func behindIAP(name string) string {
	rest, ok := strings.CutPrefix(name, "//iap.googleapis.com/projects/")
	parts := strings.Split(rest, "/")
	if !ok || len(parts) != 5 || parts[1] != "iap_web" || !strings.HasPrefix(parts[2], "cloud_run-") {
		return ""
	}
	return "//run.googleapis.com/projects/" + parts[0] + "/locations/" + strings.TrimPrefix(parts[2], "cloud_run-") + "/services/" + parts[4]
}

// grantsOf asks internal/iam what one binding gives to each of its members.
func (j *Judgement) grantsOf(base grant) []grant {
	b := base.binding
	base.role = b.Role
	if b.Role == "" || len(b.Members) == 0 {
		return nil
	}
	layers := []iam.Layer{{Resource: base.on, Policy: &iampb.Policy{Bindings: []*iampb.Binding{{Role: b.Role, Members: b.Members, Condition: b.Condition}}}}}
	out := make([]grant, len(b.Members))
	for i := range out {
		out[i] = base
		out[i].run, out[i].gen1 = iam.NotGranted, iam.NotGranted
	}
	ask := func(permission string, state func(*grant) *iam.State) {
		for _, g := range (iam.Question{Query: iam.Query{Permission: permission, Roles: j.roles, Context: j.context}, Layers: layers}).Holdings() {
			o := &out[g.Index]
			o.member, o.condition = g.Member, g.Condition
			*state(o) = g.State
			if o.reason == "" || g.State != iam.NotGranted {
				o.reason = g.Reason
			}
		}
	}
	run := base.place == onNode || base.place == onFunction || base.place == onTarget && !(base.target != nil && base.target.Gen1)
	gen1 := base.place == onNode || base.place == onEither || base.target != nil && base.target.Gen1
	if base.place == onIAP {
		ask(iam.AccessViaIAP, func(g *grant) *iam.State { return &g.run })
	}
	if run {
		ask(iam.RunInvoke, func(g *grant) *iam.State { return &g.run })
	}
	if gen1 {
		ask(iam.FunctionsInvoke, func(g *grant) *iam.State { return &g.gen1 })
	}
	for i := range out {
		out[i].state = larger(out[i].run, out[i].gen1)
	}
	return out
}

// count counts targets below nodes, and finds what is public.
func (j *Judgement) count() {
	own, over := map[*target]*grant{}, map[opening]*grant{}
	for i := range j.grants {
		g := &j.grants[i]
		if g.member.Kind != iam.AllUsers || g.state == iam.NotGranted {
			continue
		}
		switch g.place {
		case onTarget:
			if g.target != nil && (own[g.target] == nil || g.state == iam.Granted) {
				own[g.target] = g
			}
		case onNode:
			for _, o := range []opening{{g.node, false}, {g.node, true}} {
				if s := o.state(g); s != iam.NotGranted && (over[o] == nil || s == iam.Granted) {
					over[o] = g
				}
			}
		}
	}
	for _, t := range j.order {
		t.public = j.publicityOf(t, own[t], over)
		for _, n := range t.above() {
			n.all++
			switch {
			case t.shielded():
			case t.Gen1:
				n.gen1++
			default:
				n.services++
			}
			if t.public.state == iam.Granted {
				n.public++
			}
		}
	}
}

// An opening is one of the two permissions on a node.
type opening struct {
	node *node
	gen1 bool
}

func (o opening) state(g *grant) iam.State {
	if o.gen1 {
		return g.gen1
	}
	return g.run
}

func (j *Judgement) publicityOf(t *target, own *grant, over map[opening]*grant) publicity {
	p := publicity{state: iam.NotGranted}
	if t.Check == estate.No && !t.Gen1 {
		p.state = iam.Granted
	}
	better := func(g *grant, s iam.State) {
		if g != nil && (s == iam.Granted && p.state != iam.Granted || s == iam.Unknown && p.state == iam.NotGranted) {
			p = publicity{state: s, by: g}
		}
	}
	if own != nil {
		better(own, own.state)
	}
	for _, n := range t.above() {
		o := opening{n, t.Gen1}
		if g := over[o]; g != nil {
			better(g, o.state(g))
		}
	}
	if p.state == iam.Granted && p.by != nil && j.denied(t.above(), iam.Anonymous(), t.permission()) == iam.Denied {
		return publicity{state: iam.NotGranted}
	}
	return p
}

// denied asks the deny policies on a chain of nodes.
func (j *Judgement) denied(chain []*node, id iam.Identity, permission string) iam.DenyState {
	if len(j.Deny) == 0 {
		return iam.NotDenied
	}
	return iam.Query{Permission: permission, Identity: id, Groups: j.groups, Context: j.context}.Deny(j.denyOn(chain)).State
}

func (j *Judgement) denyOn(chain []*node) []iam.DenyLayer {
	var out []iam.DenyLayer
	for _, d := range j.Deny {
		at := j.canonical(nodeName("//" + iam.AttachmentPoint(d.Policy.GetName())))
		if slices.ContainsFunc(chain, func(n *node) bool { return n.name == at }) {
			out = append(out, iam.DenyLayer{Policy: d.Policy, Attached: iam.Granted, Point: at})
		}
	}
	return out
}

// identityOf is whom a member stands for, as far as deny policies can tell.
func identityOf(m iam.Member) iam.Identity {
	switch m.Kind {
	case iam.AllUsers:
		return iam.Anonymous()
	case iam.User, iam.ServiceAccount:
		return iam.IdentityOf(m.String())
	}
	return iam.Identity{Google: true}
}

// reach counts what a grant opens: nothing that ingress or a deny policy is
// known to shield.
func (j *Judgement) reach(g *grant) Reach {
	id := identityOf(g.member)
	if g.place != onNode {
		r := Reach{Services: 1, Known: true}
		if t := g.target; t != nil && (t.shielded() || j.denied(t.above(), id, t.permission()) == iam.Denied) {
			r.Services = 0
		}
		return r
	}
	if !j.TargetsComplete {
		return Reach{}
	}
	r := Reach{Known: true}
	if g.run == iam.Granted {
		r.Services += g.node.services - j.deniedBelow(g.node, id)
	}
	if g.gen1 == iam.Granted {
		r.Services += g.node.gen1
	}
	return r
}

// deniedBelow counts the services below a node that a deny policy shields from
// an identity. The invocation of gen1 functions cannot be denied.
func (j *Judgement) deniedBelow(n *node, id iam.Identity) int {
	if len(j.Deny) == 0 {
		return 0
	}
	if j.denied(n.chain(), id, iam.RunInvoke) == iam.Denied {
		return n.services
	}
	sum := 0
	for _, d := range j.denyNodes() {
		chain := d.chain()
		i := slices.Index(chain, n)
		if i <= 0 || j.denied(chain[:1], id, iam.RunInvoke) != iam.Denied {
			continue
		}
		// The topmost one below n counts for all below it.
		if j.denied(chain[1:i], id, iam.RunInvoke) != iam.Denied {
			sum += d.services
		}
	}
	return sum
}

func (j *Judgement) denyNodes() []*node {
	var out []*node
	for _, d := range j.Deny {
		if at := nodeName("//" + iam.AttachmentPoint(d.Policy.GetName())); at != "" && !slices.Contains(out, j.node(at)) {
			out = append(out, j.node(at))
		}
	}
	return out
}
