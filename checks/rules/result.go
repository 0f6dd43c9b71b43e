package rules

import (
	"diagnose/internal/estate"
)

// A Result is what the rules find in an estate.
type Result struct {
	Findings []Finding // the most severe first, then those that reach furthest
	Summary  Summary
	Changes  []Change // who gained or lost access, where a before was given
}

// A Summary counts what was judged.
type Summary struct {
	Services  int  // Cloud Run services, also those of v2 functions
	Functions int  // gen1 functions
	Public    int  // of both, those that anyone may invoke
	Complete  bool // the counts are of everything, not of what was named
	// Exposure is the hierarchy with what is in it, parents first.
	Exposure []Exposure
	Unread   []estate.Unread
}

// An Exposure counts what is in one project, folder or organization and below.
type Exposure struct {
	Name, Title, Parent string // "projects/shop"; Parent is "" at the top
	Targets, Public     int
	Findings            int
}

// A Change is who can invoke one target after a change, and could not before,
// or the other way round.
type Change struct {
	Target       string   // full resource name
	Gained, Lost []string // members
	// Open is why the difference may be another one: a value known after
	// apply.
	Open  string
	Where estate.Where
}

// AtLeast counts the findings that are not suppressed and at least as severe.
func (r Result) AtLeast(s Severity) int {
	n := 0
	for _, f := range r.Findings {
		if f.Suppressed == "" && f.Severity >= s {
			n++
		}
	}
	return n
}

// ParseSeverity reads a severity by its name.
func ParseSeverity(name string) (Severity, bool) {
	for s := Info; s <= Critical; s++ {
		if s.String() == name {
			return s, true
		}
	}
	return 0, false
}
