package rules

import (
	"slices"
	"strings"

	"cloud.google.com/go/iam/apiv1/iampb"

	"diagnose/internal/estate"
	"diagnose/internal/iam"
)

// A kind says what a policy hangs on.
type kind int

const (
	elsewhere  kind = iota // nothing that can be invoked
	onTarget               // a service or a gen1 function
	onFunction             // a v2 function, whose policy does not count
	onEither               // a function of a generation that is not known
	onIAP                  // a service's IAP, which decides who gets through to it
	onNode
)

// A grant is one binding and one of its members, and what that gives.
type grant struct {
	policy  *estate.Policy
	binding *estate.Binding
	kind    kind
	on      string // what it is bound on: the name of a target, else its canonical resource
	target  *target
	node    *node
	member  iam.Member
	role    string

	run, gen1 gives // for each permission that matters here
	state     iam.State
	may       iam.State // state after the deny policies
	reason    string
	denial    string // the deny policy that blocks it, or may
	condition iam.Condition
}

// gives is what a binding gives of one permission, and what the deny policies
// leave of it.
type gives struct{ state, may iam.State }

func larger(a, b iam.State) iam.State {
	if a == iam.Granted || b == iam.Granted {
		return iam.Granted
	}
	if a == iam.Unknown || b == iam.Unknown {
		return iam.Unknown
	}
	return iam.NotGranted
}

func (x *Index) evaluate(p *estate.Policy) {
	base := grant{policy: p}
	x.placed(&base)
	if base.kind == elsewhere {
		return
	}
	key := x.key(p)
	deny := x.denyOn(base.node.chain())
	for k := range p.Bindings {
		base.binding = &p.Bindings[k]
		if base.kind == onNode && x.aside(base.binding.Role) {
			continue
		}
		for _, g := range x.grantsOf(base, deny) {
			x.granted[key] = append(x.granted[key], len(x.grants))
			x.grants = append(x.grants, g)
		}
	}
}

// aside reports whether a predefined role lets nobody in and does not look as
// if it did: with its members it says nothing about invocation. Those by which
// one becomes an account are in the graph.
func (x *Index) aside(role string) bool {
	invoker := strings.HasSuffix(strings.ToLower(role), "invoker")
	return strings.HasPrefix(role, "roles/") && !invoker && x.rightsOf(role).may != 0 && !x.mayInvoke(role)
}

// placed says what the policy of a grant hangs on.
func (x *Index) placed(g *grant) {
	p := g.policy
	name := x.canonical(p.Resource)
	g.on, g.target = strings.TrimPrefix(x.key(p), v2Mark), x.targetOf(p)
	if n := nodeName(name); n != "" {
		g.kind, g.node = onNode, x.node(n, p.Root)
		return
	}
	if project := projectOf(name); project != "" {
		g.node = x.node(project, p.Root)
	}
	if g.target != nil {
		g.node = g.target.node
	}
	switch {
	case p.V2Function:
		g.kind = onFunction
	case behindIAP(name) != "":
		g.kind = onIAP
	case g.target != nil:
		g.kind = onTarget
	case x.functions[name] != nil:
		g.kind, g.target = onFunction, x.functions[name]
		g.node = g.target.node
	case strings.HasPrefix(name, estate.RunHost) && strings.Contains(name, "/services/"):
		g.kind = onTarget
	case strings.HasPrefix(name, estate.FunctionsHost) && strings.Contains(name, "/functions/"):
		g.kind = onEither
	}
}

// grantsOf asks internal/iam what one binding gives to each of its members.
func (x *Index) grantsOf(base grant, deny []iam.DenyLayer) []grant {
	b := base.binding
	base.role = b.Role
	if b.Role == "" || len(b.Members) == 0 {
		return nil
	}
	q := iam.Question{Deny: deny, Layers: []iam.Layer{{Resource: base.on, Policy: &iampb.Policy{
		Bindings: []*iampb.Binding{{Role: b.Role, Members: b.Members, Condition: b.Condition}},
	}}}}
	base.run, base.gen1 = gives{iam.NotGranted, iam.NotGranted}, gives{iam.NotGranted, iam.NotGranted}
	base.condition = iam.Condition{State: iam.Granted}
	out := slices.Repeat([]grant{base}, len(b.Members))
	for _, permission := range base.permissions() {
		q.Query = x.query(permission)
		for _, h := range q.Holdings() {
			out[h.Index].add(permission, h)
		}
	}
	for i := range out {
		o := &out[i]
		if b.Maybe != "" {
			o.doubt(maybe(b))
		}
		o.state, o.may = larger(o.run.state, o.gen1.state), larger(o.run.may, o.gen1.may)
	}
	return out
}

// doubt leaves open what a grant gives, since it may not be there.
func (g *grant) doubt(reason string) {
	for _, s := range []*iam.State{&g.run.state, &g.run.may, &g.gen1.state, &g.gen1.may} {
		if *s == iam.Granted {
			*s, g.reason = iam.Unknown, reason
		}
	}
}

// permissions lists those that matter where a grant is bound.
func (g *grant) permissions() []string {
	gen1 := g.target != nil && g.target.Gen1
	switch {
	case g.kind == onIAP:
		return []string{iam.AccessViaIAP}
	case g.kind == onNode:
		return []string{iam.RunInvoke, iam.FunctionsInvoke}
	case g.kind == onEither || gen1:
		return []string{iam.FunctionsInvoke}
	}
	return []string{iam.RunInvoke}
}

// add puts what a binding gives of one permission into a grant.
func (g *grant) add(permission string, h iam.Holding) {
	g.member = h.Member
	own := gives{h.State, h.May}
	if permission == iam.FunctionsInvoke {
		g.gen1 = own
	} else {
		g.run = own
	}
	if g.condition.State == iam.Granted {
		g.condition = h.Condition // a role without the permission is not asked about its condition
	}
	if g.reason == "" || h.State != iam.NotGranted {
		g.reason = h.Reason
	}
	if h.May != h.State {
		g.denial = h.Reason
	}
}

// ofNode is what a grant on a node gives on a target below it.
func (g *grant) ofNode(t *target) gives {
	if t != nil && t.Gen1 {
		return g.gen1
	}
	return g.run
}
