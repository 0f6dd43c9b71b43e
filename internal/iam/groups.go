package iam

import (
	"fmt"
	"maps"
	"slices"
	"sync"

	"diagnose/internal/gcp"
)

// Groups says who is in which groups and domains. A listed one is complete;
// one that is not listed is unknown. The zero Groups lists none.
type Groups struct {
	index *groupIndex
	stop  func() bool
}

// NewGroups returns the groups and domains of a map from member strings such
// as "group:a@example.com" to the member strings in them. Neither the map nor
// the slices may change afterwards. It does no work until it is asked.
func NewGroups(listed map[string][]string) Groups {
	if len(listed) == 0 {
		return Groups{}
	}
	return Groups{index: &groupIndex{listed: listed, limit: maxMemberships}}
}

// Until returns the same groups, whose work ends early where stop returns true:
// what is not decided by then is unknown.
func (g Groups) Until(stop func() bool) Groups {
	g.stop = stop
	return g
}

// maxMemberships bounds the memberships that are looked at to decide about one
// identity.
const maxMemberships = 2_000_000

// maxIdentities bounds the identities that an index remembers.
const maxIdentities = 32

type groupIndex struct {
	listed map[string][]string
	limit  int

	once   sync.Once
	size   int // memberships
	groups map[string]*groupNode
	order  []*groupNode
	direct map[account][]*groupNode // by the accounts in them
	others []membership             // of what is neither an account nor a listed group

	mu   sync.Mutex
	memo map[Identity]map[*groupNode]verdict
}

// A groupNode is a listed group or domain.
type groupNode struct {
	parents []*groupNode // the listed groups that this one is in
	some    Member       // one of the accounts in it
}

// An account is a user or a service account, by its e-mail.
type account struct {
	kind  Kind
	email string
}

// A membership is a member of a group that may cover many callers.
type membership struct {
	in     *groupNode
	member Member
}

type verdict struct {
	state State
	why   string
}

func groupKey(m Member) string {
	switch {
	case m.Deleted:
		return ""
	case m.Kind == Group:
		return "group:" + m.Value
	case m.Kind == Domain:
		return "domain:" + m.Value
	}
	return ""
}

// build reads the members once, and links each group to those that it is in.
func (x *groupIndex) build() {
	x.groups, x.direct = make(map[string]*groupNode, len(x.listed)), map[account][]*groupNode{}
	names := slices.Sorted(maps.Keys(x.listed))
	for _, name := range names {
		x.size += len(x.listed[name])
		if key := groupKey(ParseMember(name)); key != "" && x.groups[key] == nil {
			x.groups[key] = &groupNode{}
			x.order = append(x.order, x.groups[key])
		}
	}
	left := x.limit
	for _, name := range names {
		n := x.groups[groupKey(ParseMember(name))]
		if n == nil {
			continue
		}
		for _, s := range x.listed[name] {
			if left--; left < 0 {
				return
			}
			x.add(n, ParseMember(s))
		}
	}
}

func (x *groupIndex) add(n *groupNode, m Member) {
	if m.Deleted {
		return
	}
	if child := x.groups[groupKey(m)]; child != nil {
		child.parents = append(child.parents, n)
		return
	}
	if m.Kind == User || m.Kind == ServiceAccount && !gcp.NamedAsAgent(m.Value) {
		key := account{m.Kind, m.Value}
		x.direct[key] = append(x.direct[key], n)
		n.some = m
		return
	}
	x.others = append(x.others, membership{n, m})
}

// lists reports whether the members of a group or domain are listed.
func (g Groups) lists(m Member) bool {
	if g.index == nil {
		return false
	}
	g.index.once.Do(g.index.build)
	return g.index.groups[groupKey(m)] != nil
}

// Unread names the group or domain that leaves open who is in one: itself, or
// one below it that is not listed. It is "" where all are.
func (g Groups) Unread(member string) string {
	todo, seen := []string{member}, map[string]bool{}
	for len(todo) > 0 {
		m := ParseMember(todo[0])
		todo = todo[1:]
		switch {
		case seen[m.text] || groupKey(m) == "":
			continue
		case !g.lists(m):
			return m.text
		}
		seen[m.text] = true
		todo = append(todo, g.index.listed[groupKey(m)]...)
	}
	return ""
}

// contains says whether a group or a listed domain has an identity in it,
// directly or through other groups.
func (g Groups) contains(m Member, id Identity) (State, string) {
	if !g.lists(m) {
		return Unknown, "the members of " + m.text + " are unknown"
	}
	x := g.index
	x.mu.Lock()
	defer x.mu.Unlock()
	all, ok := x.memo[id]
	if !ok {
		all = x.decide(id, g.stop)
		if all == nil {
			return Unknown, stopped
		}
		if x.memo == nil || len(x.memo) >= maxIdentities {
			x.memo = map[Identity]map[*groupNode]verdict{}
		}
		x.memo[id] = all
	}
	switch v, ok := all[x.groups[groupKey(m)]]; {
	case ok:
		return v.state, v.why
	case x.size > x.limit:
		return Unknown, fmt.Sprintf("the groups have more than %d memberships; diagnose reads no more", x.limit)
	}
	return NotGranted, "the caller is not in " + m.text
}

// decide says which groups an identity is in, and in which it may be; it is
// in none of the others. It starts from the groups that settle it by
// themselves and follows the links upwards, so that each group is looked at
// once, in circles too. It returns nil where it was stopped.
func (x *groupIndex) decide(id Identity, stop func() bool) map[*groupNode]verdict {
	w := walk{out: map[*groupNode]verdict{}, stop: stop}
	if id.Member.Kind == User || id.Member.Kind == ServiceAccount {
		for _, n := range x.direct[account{id.Member.Kind, id.Member.Value}] {
			w.start(n, Granted, "")
		}
	} else {
		for _, n := range x.order {
			if n.some.text != "" && !w.stopped() {
				state, why := n.some.covers(id)
				w.start(n, state, why)
			}
		}
	}
	for _, m := range x.others {
		if !w.stopped() {
			// A group among them is not listed, and so is unknown.
			state, why := m.member.matches(id, Groups{})
			w.start(m.in, state, why)
		}
	}
	w.spread(w.in)
	w.spread(w.may)
	if w.ended {
		return nil
	}
	return w.out
}

// A walk goes from groups to those that they are in.
type walk struct {
	out     map[*groupNode]verdict
	in, may []*groupNode
	stop    func() bool
	ended   bool
}

func (w *walk) stopped() bool {
	w.ended = w.ended || w.stop != nil && w.stop()
	return w.ended
}

func (w *walk) start(n *groupNode, state State, why string) {
	if !w.better(n, state) {
		return
	}
	w.out[n] = verdict{state, why}
	if state == Granted {
		w.in = append(w.in, n)
	} else {
		w.may = append(w.may, n)
	}
}

// better reports whether a state says more of a group than what is known.
func (w *walk) better(n *groupNode, state State) bool {
	v, ok := w.out[n]
	return state == Granted && v.state != Granted || state == Unknown && !ok
}

// spread gives the verdict of groups to those that they are in.
func (w *walk) spread(from []*groupNode) {
	for len(from) > 0 && !w.stopped() {
		n := from[len(from)-1]
		from = from[:len(from)-1]
		for _, p := range n.parents {
			if w.better(p, w.out[n].state) {
				w.out[p] = w.out[n]
				from = append(from, p)
			}
		}
	}
}
