package rules

import (
	"iter"

	"diagnose/internal/estate"
	"diagnose/internal/gcp"
	"diagnose/internal/iam"
	"diagnose/internal/reach"
)

// A way is how a member of one binding comes to invoke a target that it may
// not invoke itself.
type way struct {
	source  source
	target  *target
	visits  []reach.Visit // the accounts on the way
	opens   bool          // the last of them, or the source, writes the policy that lets it in
	open    reach.Grant   // by what, where opens
	unknown bool
	direct  iam.State // whether the member may invoke by itself: NotGranted or Unknown
	found   found
}

type wayKey struct {
	ref     int32
	target  *target
	account reach.Principal // the last one
	steps   int
	opens   bool
	unknown bool
}

func (w way) key() wayKey {
	k := wayKey{w.source.ref, w.target, -1, len(w.visits), w.opens, w.unknown}
	if n := len(w.visits); n > 0 {
		k.account = w.visits[n-1].Account
	}
	return k
}

// A found is a walk and what was counted of it.
type found struct {
	walk reach.Walk
	key  walkKey // the zero key: of one source alone
}

// A walkKey tells apart where walks begin.
type walkKey struct {
	place  reach.Place
	rights reach.Rights
	unsure bool
	shared bool
}

// allWays lists the ways to any target, once.
func (b *becoming) allWays() []way {
	if b.every == nil {
		b.every = b.ways(nil)
	}
	return b.every
}

// ways lists the shortest way of each member of each binding to a target, or
// to any one where that is nil. What is sure goes before what may be.
func (b *becoming) ways(only *target) []way {
	var out []way
	for _, s := range b.sources {
		if b.noSource(s.principal) {
			continue
		}
		w, ok := b.find(s, only, false)
		if !ok {
			w, ok = b.find(s, only, true)
			ok = ok && !b.openAnyway(w)
		}
		if ok {
			out = append(out, w)
		}
	}
	return out
}

// openAnyway reports whether it is not known of a binding whether it lets
// invoke the target itself, as with a custom role that was not read: that says
// more.
func (b *becoming) openAnyway(w way) bool {
	in, on := b.bindings[w.source.ref], w.source.grants[0].Place
	s, _ := b.x.roles.Carries(in.binding.Role, w.target.permission())
	if s != iam.Unknown {
		return false
	}
	n := b.nodes[on]
	return n != nil && w.target.node.under(n) || b.targets[on] == w.target
}

// noSource reports whether a member is Google's own, or stands for accounts
// that are.
func (b *becoming) noSource(p reach.Principal) bool {
	m := b.members[p]
	return m.Kind == iam.ServiceAgentSet || m.Kind == iam.ServiceAccount && (gcp.IsServiceAgent(m.Value) || gcp.NamedAsAgent(m.Value))
}

// find looks for the shortest way of one source. Of two that are as long, the
// one that writes a policy comes first: it needs no account.
func (b *becoming) find(s source, only *target, unsure bool) (way, bool) {
	found := b.walk(s, unsure)
	w := way{source: s, unknown: unsure, found: found}
	if t, r, ok := b.opened(s, s.principal, s.grants, only, unsure); ok {
		w.target, w.opens, w.open = t, true, r
		return b.judged(w), true
	}
	m, opener := b.members[s.principal], 0
	for i, v := range found.walk {
		for ; opener < i && found.walk[opener].Steps < v.Steps; opener++ {
			if w, ok := b.openedFrom(w, opener, only); ok {
				return b.judged(w), true
			}
		}
		if v.Power&reach.Token == 0 {
			continue
		}
		if t := b.ends.gained(m, b.members[v.Account], only, unsure); t != nil {
			w.target, w.visits = t, found.walk.Path(i)
			return b.judged(w), true
		}
	}
	for ; opener < len(found.walk); opener++ {
		if w, ok := b.openedFrom(w, opener, only); ok {
			return b.judged(w), true
		}
	}
	return w, false
}

func (b *becoming) judged(w way) way {
	w.direct = b.x.may(b.members[w.source.principal], w.target)
	return w
}

// openedFrom looks for what an account on a walk lets itself in to.
func (b *becoming) openedFrom(w way, i int, only *target) (way, bool) {
	v := w.found.walk[i]
	if v.Power&reach.Acting == 0 {
		return w, false
	}
	t, r, ok := b.opened(w.source, v.Account, b.graph.All(v.Account, w.unknown), only, w.unknown)
	if ok {
		w.target, w.opens, w.open, w.visits = t, true, r, w.found.walk.Path(i)
	}
	return w, ok
}

// opened finds the first target whose policy, or one above it, grants of a
// principal let write, and that a source may not invoke itself.
func (b *becoming) opened(s source, by reach.Principal, grants []reach.Grant, only *target, unsure bool) (*target, reach.Grant, bool) {
	for _, r := range grants {
		for t, use := range b.openable(r, unsure) {
			if (only == nil || t == only) && b.letsIn(by, t, use, unsure) && b.x.may(b.members[s.principal], t) != iam.Granted {
				return t, r, true
			}
		}
	}
	return nil, reach.Grant{}, false
}

// openable goes through the targets whose policy, or one above it, a grant lets
// write, with the rights to that.
func (b *becoming) openable(r reach.Grant, unsure bool) iter.Seq2[*target, reach.Rights] {
	return func(yield func(*target, reach.Rights) bool) {
		all := r.Of(unsure).Opens()
		if all == 0 {
			return
		}
		list := b.ends.below[b.nodes[r.Place]]
		if t := b.targets[r.Place]; t != nil {
			list = []*target{t}
		}
		for _, t := range list {
			if use := all & opensTarget(t); use != 0 && !yield(t, use) {
				return
			}
		}
	}
}

// Rights by what they are for.
var (
	attaches      = reach.RightsOf(iam.ActAs)
	opensService  = reach.RightsOf(iam.SetServicePolicy)
	opensFunction = reach.RightsOf(iam.SetFunctionPolicy)
	opensAll      = reach.RightsOf(iam.SetProjectPolicy, iam.SetFolderPolicy, iam.SetOrganizationPolicy)
)

// opensTarget are the rights to the policy that lets callers in to a target.
// Where IAP stands in front, only those to the policies above are: the
// service's own policy lets nobody through IAP.
func opensTarget(t *target) reach.Rights {
	switch {
	case t.Gen1:
		return opensAll | opensFunction
	case t.IAP == estate.Yes:
		return opensAll
	}
	return opensAll | opensService
}

// letsIn reports whether no deny policy stops a principal from writing the
// policy, or from invoking then.
func (b *becoming) letsIn(by reach.Principal, t *target, use reach.Rights, unsure bool) bool {
	if t.Deleted == estate.Yes {
		return false
	}
	if len(b.x.Deny) == 0 || t.node == nil {
		return true
	}
	left := b.leftOn(by, t.node, use)
	if left.sure == 0 && (!unsure || left.may == 0) {
		return false
	}
	q := b.x.query(t.permission())
	q.Identity = b.x.identity(b.members[by])
	s := q.Deny(b.x.denyOn(t.above())).State
	return s == iam.NotDenied || unsure && s == iam.DenyUnknown
}

// walk follows what one source leads to. What begins at a node is followed
// once for all members, unless they differ in what they may deploy or are
// denied.
func (b *becoming) walk(s source, unsure bool) found {
	g := b.graph
	key := walkKey{unsure: unsure, shared: true}
	for _, r := range s.grants {
		use := r.Of(unsure)
		if use&attaches != 0 || len(s.grants) > 1 {
			key.shared = false
		}
		key.place, key.rights = r.Place, use
	}
	if g.Limit != nil || g.Home(s.principal) != reach.Nowhere || b.nodes[key.place] == nil {
		key.shared = false
	}
	if key.shared {
		if f, ok := b.walks[key]; ok {
			return f
		}
	}
	f := found{walk: g.Walk(s.principal, s.grants, g.All(s.principal, unsure), unsure)}
	if key.shared {
		f.key = key
		b.walks[key] = f
	}
	return f
}

// reached counts the services that a way's walk leads to and that neither
// ingress nor IAP shields.
func (b *becoming) reached(w way) Reach {
	if r, ok := b.counts[w.found.key]; ok && w.found.key.shared {
		return r
	}
	r := b.count(w)
	if w.found.key.shared {
		b.counts[w.found.key] = r
	}
	return r
}

func (b *becoming) count(w way) Reach {
	if !b.x.TargetsComplete {
		return Reach{}
	}
	seen := map[*target]bool{}
	visit := func(t *target) {
		if !t.behind() && !t.shielded() {
			seen[t] = true
		}
	}
	opens := func(grants []reach.Grant) {
		for _, r := range grants {
			for t := range b.openable(r, w.unknown) {
				visit(t)
			}
		}
	}
	opens(w.source.grants)
	for _, v := range w.found.walk {
		if v.Power&reach.Token != 0 {
			for _, at := range b.ends.of(b.members[v.Account]) {
				for _, t := range b.ends.targets(at) {
					if at.grant == nil || at.grant.ofNode(t).may == iam.Granted {
						visit(t)
					}
				}
			}
		}
		if v.Power&reach.Acting != 0 {
			opens(b.graph.All(v.Account, w.unknown))
		}
	}
	return Reach{Services: len(seen), Known: true}
}

// along puts the accounts on a way into a part of the estate, and lists the
// policies and nodes that the way goes by.
func (b *becoming) along(w way, e *estate.Estate) (keys []string, nodes []*node) {
	on := func(p reach.Place, ref int32) {
		keys = append(keys, b.x.key(b.bindings[ref].policy))
		if n := b.nodes[p]; n != nil {
			nodes = append(nodes, n.chain()...)
		}
	}
	for _, r := range w.source.grants {
		on(r.Place, r.Ref)
	}
	for _, v := range w.visits {
		on(v.Grant.Place, v.Grant.Ref)
		if v.Deploys {
			on(v.Deploy.Place, v.Deploy.Ref)
		}
		home := b.graph.Home(v.Account)
		nodes = append(nodes, b.above(home).chain()...)
		for _, a := range b.x.Accounts {
			if a.Email == b.members[v.Account].Value {
				e.Accounts = append(e.Accounts, a)
			}
		}
	}
	if w.opens {
		on(w.open.Place, w.open.Ref)
	}
	return keys, nodes
}
