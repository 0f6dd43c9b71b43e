package evidence

import (
	"errors"
	"maps"
	"slices"
	"strconv"

	denypb "cloud.google.com/go/iam/apiv2/iampb"

	"diagnose/internal/gcp"
)

// joinLists makes what adds up two lists of a kind. What is unknown of one of
// them stays unknown.
func joinLists[T any](field func(*Snapshot) *Fact[[]T]) func(*Snapshot, Snapshot) {
	return func(into *Snapshot, more Snapshot) {
		a, b := field(into), field(&more)
		switch {
		case !b.known:
			*a = *b
		case a.known:
			*a = Known(slices.Concat(a.value, b.value), bothOf(a.Source, b.Source))
		}
	}
}

// bothOf names two documents as one source.
func bothOf(a, b Source) Source { return Source{Document: a.Document + " and " + b.Document} }

// joinGroups adds up the members of groups: each group is whole in one of the
// documents.
func joinGroups(into *Snapshot, more Snapshot) {
	a, b := &into.Groups, more.Groups
	switch {
	case !b.known:
		*a = b
	case a.known:
		all := maps.Clone(a.value)
		maps.Copy(all, b.value)
		*a = Known(all, bothOf(a.Source, b.Source))
	}
}

// joinDenyPolicies adds up deny policies. A list shows them without their
// rules, and each that was read itself fills its place in it.
func joinDenyPolicies(into *Snapshot, more Snapshot) {
	a, b := &into.DenyPolicies, more.DenyPolicies
	var unread, other *UnreadRules
	switch {
	case !a.known && !errors.As(a.reason, &unread):
		return // it could not be read at all
	case !b.known && !errors.As(b.reason, &other):
		*a = b
		return
	}
	if unread == nil {
		unread = &UnreadRules{Read: a.value}
	}
	if other == nil {
		other = &UnreadRules{Read: b.value}
	}
	all := &UnreadRules{Read: slices.Concat(unread.Read, other.Read)}
	for _, name := range slices.Concat(unread.Names, other.Names) {
		read := slices.ContainsFunc(all.Read, func(p *denypb.Policy) bool { return samePolicy(p.GetName(), name) })
		if !read && !slices.Contains(all.Names, name) {
			all.Names = append(all.Names, name)
		}
	}
	src := bothOf(a.Source, b.Source)
	*a = Known(all.Read, src)
	if len(all.Names) > 0 {
		*a = Unknown[[]*denypb.Policy](all, src)
	}
}

// samePolicy reports whether two names are of one deny policy. A project has
// an ID and a number, and only one project is above a service.
func samePolicy(a, b string) bool {
	onA, idA, okA := gcp.ParseDenyPolicy(a)
	onB, idB, okB := gcp.ParseDenyPolicy(b)
	if !okA || !okB {
		return a == b
	}
	same := onA == onB || onA.Collection == "projects" && onB.Collection == "projects" && gcp.IsNumber(onA.ID) != gcp.IsNumber(onB.ID)
	return idA == idB && same
}

// joinLogs adds up entries, each of which knows the document that it is from.
func joinLogs(into *Snapshot, more Snapshot) {
	a, b := &into.Logs, more.Logs
	if !a.known || !b.known {
		if !b.known {
			*a = b
		}
		return
	}
	var all []LogEntry
	for _, s := range []*Snapshot{into, &more} {
		for i, e := range s.Logs.value {
			e.source = s.LogSource(i)
			all = append(all, e)
		}
	}
	*a = Known(all, bothOf(a.Source, b.Source))
}

// LogSource says where a log entry was read, by its index.
func (s *Snapshot) LogSource(i int) Source {
	if list := s.Logs.Or(nil); i < len(list) && list[i].source.Document != "" {
		return list[i].source
	}
	return s.Logs.Source.At("/" + strconv.Itoa(i))
}
