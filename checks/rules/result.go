package rules

import (
	"slices"

	"diagnose/internal/estate"
)

// A Result is what the rules find in an estate.
type Result struct {
	Findings []Finding // the most severe first, then those that reach furthest
	Summary  Summary
	Changes  []Change // who gained or lost access, where a before was given
	// Missing says what an inventory does not show of who can become an
	// account that may invoke, and what gives it.
	Missing []string
}

// A Summary counts what was judged.
type Summary struct {
	Services  int // Cloud Run services, also those of v2 functions
	Functions int // gen1 functions
	Public    int // of both, those that anyone may invoke
	// PublicUnknown are those of which it is not known whether anyone may.
	PublicUnknown int
	Complete      bool // the counts are of everything, not of what was named
	// Exposure is the hierarchy with what is in it, parents first.
	Exposure []Exposure
	Unread   []estate.Unread // what is not known and could open or break an invocation
	Aside    []estate.Unread // what was not read and can do neither
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

// Open counts what is not known and could open or break an invocation: what
// was not read, grants that may be to anyone, and expectations that cannot be
// verified.
func (r Result) Open() int {
	n := len(r.Summary.Unread)
	for _, f := range r.Findings {
		if f.Undecided() {
			n++
		}
	}
	return n
}

// Undecided reports whether a finding leaves a change undecided.
func (f Finding) Undecided() bool {
	return f.Unknown && f.Suppressed == "" && (f.Rule == accessExpectation.ID || f.Rule == policyLost.ID || slices.ContainsFunc(broadRules, func(r Rule) bool { return r.ID == f.Rule }))
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
