package inventory

import (
	"cmp"
	"slices"
	"time"

	"diagnose/internal/estate"
)

// A stamp says when something was so, and where it stands.
type stamp struct {
	time  time.Time
	where estate.Where
}

func later(a, b stamp) stamp {
	if b.time.After(a.time) || a == (stamp{}) {
		return b
	}
	return a
}

// A stamped is a part of an asset.
type stamped[T any] struct {
	stamp
	name  string // of the asset
	value T
}

func byWhere(a, b estate.Where) int {
	return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Offset, b.Offset))
}

// superseded reports whether something is older than what else is known of its
// asset. What has no time is neither older nor newer.
func superseded(at, newest time.Time) bool { return !at.IsZero() && at.Before(newest) }

// outdated reports whether an asset was deleted after something was so.
func outdated(gone map[string]stamp, name string, at time.Time) bool {
	s, ok := gone[name]
	return ok && !at.After(s.time)
}

// newest keeps what is the state of each asset, in an order that does not
// depend on that of the reading.
func newest[T any](list []stamped[T], gone map[string]stamp) []T {
	last := map[string]time.Time{}
	for _, x := range list {
		if x.time.After(last[x.name]) {
			last[x.name] = x.time
		}
	}
	slices.SortStableFunc(list, func(a, b stamped[T]) int {
		return cmp.Or(a.time.Compare(b.time), byWhere(a.where, b.where))
	})
	var out []T
	for _, x := range list {
		if !superseded(x.time, last[x.name]) && !outdated(gone, x.name, x.time) {
			out = append(out, x.value)
		}
	}
	return out
}
