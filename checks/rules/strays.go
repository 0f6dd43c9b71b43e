package rules

import (
	"slices"
	"strings"

	"diagnose/internal/estate"
	"diagnose/internal/gcp"
)

// strays are the policies of which it is not known what they are of. Those
// that fit the same targets are one group.
type strays struct {
	lists  map[strayKey][]*strayGroup
	groups map[strayPattern]*strayGroup
}

// A strayKey tells where to look for what may be of a target: in its root
// module, by its ID. The ID is unnamed for what has none yet, and anyID for all.
type strayKey struct{ root, id string }

const (
	unnamed = "-"
	anyID   = "*"
)

// A strayPattern is a name in which "-" stands for what is not known.
type strayPattern struct {
	strayKey
	pattern string
}

type strayGroup struct {
	pattern  string
	policies []*estate.Policy
	first    map[string]string // by permission: the address of what may give it, "" where nothing does
}

func (s *strays) add(p *estate.Policy, name string) {
	if s.groups == nil {
		s.lists, s.groups = map[strayKey][]*strayGroup{}, map[strayPattern]*strayGroup{}
	}
	id := gcp.Last(name)
	above := strings.TrimSuffix(name, id)
	if idUnknown(name) {
		id = unnamed
	}
	s.put(p, strayKey{p.Root, id}, above+id)
	s.put(p, strayKey{p.Root, anyID}, above+unnamed)
}

func (s *strays) put(p *estate.Policy, key strayKey, pattern string) {
	at := strayPattern{key, pattern}
	g := s.groups[at]
	if g == nil {
		g = &strayGroup{pattern: pattern, first: map[string]string{}}
		s.groups[at] = g
		s.lists[key] = append(s.lists[key], g)
	}
	g.policies = append(g.policies, p)
}

// near lists the groups that may be of a target.
func (s *strays) near(t *target) []*strayGroup {
	if idUnknown(t.full) {
		return s.lists[strayKey{t.Root, anyID}]
	}
	return slices.Concat(s.lists[strayKey{t.Root, gcp.Last(t.full)}], s.lists[strayKey{t.Root, unnamed}])
}

// mayBeOf says which policy may be a target's own although that is not known,
// "" where there is none that could give a permission.
func (x *Index) mayBeOf(t *target, permission string) string {
	for _, g := range x.strays.near(t) {
		if x.steps++; !compatible(g.pattern, t.full) {
			continue
		}
		if at := x.firstOf(g, permission); at != "" {
			return at + " may be about it: the service that it names is not known yet"
		}
	}
	return ""
}

// firstOf is the address of the first policy that may give a permission.
func (x *Index) firstOf(f *strayGroup, permission string) string {
	if at, done := f.first[permission]; done {
		return at
	}
	f.first[permission] = ""
	for _, p := range f.policies {
		for _, b := range p.Bindings {
			if x.steps++; x.mayCarry(b.Role, permission) {
				f.first[permission] = placeOf(b.Where)
				return f.first[permission]
			}
		}
	}
	return ""
}

// compatible reports whether two names may be of one thing: no part that is
// known of both differs.
func compatible(a, b string) bool {
	x, y := strings.Split(a, "/"), strings.Split(b, "/")
	if len(x) != len(y) {
		return false
	}
	for i := range x {
		if x[i] != y[i] && !strings.HasPrefix(x[i], "-") && !strings.HasPrefix(y[i], "-") {
			return false
		}
	}
	return true
}
