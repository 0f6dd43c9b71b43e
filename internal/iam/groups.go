package iam

import (
	"fmt"
	"maps"
	"slices"
	"sync"
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

	mu   sync.Mutex
	memo map[Identity]map[*groupNode]verdict
}

// A groupNode is a listed group or domain.
type groupNode struct {
	members []Member     // but for groups that are listed
	parents []*groupNode // the listed groups that this one is in
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
	x.groups = make(map[string]*groupNode, len(x.listed))
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
			m := ParseMember(s)
			if child := x.groups[groupKey(m)]; child != nil {
				child.parents = append(child.parents, n)
			} else {
				n.members = append(n.members, m)
			}
		}
	}
}

// lists reports whether the members of a group or domain are listed.
func (g Groups) lists(m Member) bool {
	if g.index == nil {
		return false
	}
	g.index.once.Do(g.index.build)
	return g.index.groups[groupKey(m)] != nil
}

// contains says whether a group or a listed domain has an identity in it,
// directly or through other groups.
func (g Groups) contains(m Member, id Identity) (State, string) {
	if !g.lists(m) {
		return Unknown, "the members of " + m.text + " are not known"
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
		return Unknown, fmt.Sprintf("the groups have more than the %d memberships that diagnose looks at", x.limit)
	}
	return NotGranted, "the caller is not in " + m.text
}

// decide says which groups an identity is in, and in which it may be; it is
// in none of the others. It starts from the groups that settle it by
// themselves and follows the links upwards, so that each group is looked at
// once, in circles too. It returns nil where it was stopped.
func (x *groupIndex) decide(id Identity, stop func() bool) map[*groupNode]verdict {
	var in, may []*groupNode
	out := map[*groupNode]verdict{}
	for _, n := range x.order {
		v := verdict{state: NotGranted}
		for i, m := range n.members {
			if i%1024 == 0 && stop != nil && stop() {
				return nil
			}
			// A group among them is not listed, and so is unknown.
			st, why := m.matches(id, Groups{})
			if st == Granted || st == Unknown && v.state == NotGranted {
				v = verdict{st, why}
			}
			if st == Granted {
				break
			}
		}
		switch v.state {
		case Granted:
			in = append(in, n)
		case Unknown:
			may = append(may, n)
		default:
			continue
		}
		out[n] = v
	}
	x.spread(out, in)
	x.spread(out, may)
	return out
}

// spread gives the verdict of groups to those that they are in, unless these
// have one that says as much.
func (x *groupIndex) spread(out map[*groupNode]verdict, from []*groupNode) {
	for len(from) > 0 {
		n := from[len(from)-1]
		from = from[:len(from)-1]
		for _, p := range n.parents {
			if v, ok := out[p]; ok && (v.state == Granted || out[n].state == Unknown) {
				continue
			}
			out[p] = verdict{out[n].state, out[n].why}
			from = append(from, p)
		}
	}
}
