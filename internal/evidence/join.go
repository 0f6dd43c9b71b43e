package evidence

import (
	"maps"
	"slices"
	"strconv"
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
