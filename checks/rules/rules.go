// Package rules judges many functions and services at once: which grants are
// too broad, which grant nothing, and which callers are cut off. Every rule
// asks internal/iam what a binding really gives; none goes by the name of a
// role or the look of a member.
//
// A Rule is a value in the list of Rules. To add one, write the value in its
// family's file and name it in the list at the top of that file.
package rules

import (
	"time"

	"diagnose/checks"
	"diagnose/internal/estate"
)

// A Severity ranks findings. The zero Severity is not said: it stands for the
// rule's own.
type Severity int

// The severities of contract section 5, mildest first.
const (
	Info Severity = iota + 1
	Low
	Medium
	High
	Critical
)

func (s Severity) String() string {
	return [...]string{"", "info", "low", "medium", "high", "critical"}[s]
}

// A Rule finds one kind of mistake.
type Rule struct {
	ID         string // "grant-all-users": stable, used in output, configuration and docs
	Title      string // what it finds: "anyone may invoke"
	Doc        string // why it matters and how to repair it, for `diagnose explain`
	Ref        string // the page that states the rule
	Confidence checks.Confidence
	Severity   Severity // unless the configuration says otherwise

	// Run returns what the rule finds. Judge fills in rule, severity where it
	// was left at the rule's own, and fingerprint.
	Run func(*Index) []Finding
}

// A Reach counts the services and functions that a grant opens. The zero
// Reach is unknown.
type Reach struct {
	Services int
	Known    bool
}

// A Finding is one mistake in one place.
type Finding struct {
	Rule         string
	Severity     Severity
	Resource     string // full resource name of what is exposed or broken
	ResourceType string // "run.googleapis.com/Service"
	Role         string
	Member       string
	Members      []string // all that it is about, Member first; nil where that is Member alone
	GrantedOn    string   // full resource name of what carries the binding
	Condition    string   // its expression
	Reach        Reach
	Node         string // the Exposure that it counts for, "projects/shop", "" where unknown
	Message      string // one sentence: what is granted, what follows
	// Path is, for grant-indirect alone, the way from Member to the account
	// that may invoke.
	Path        []checks.Step
	Where       estate.Where
	Fixes       []checks.Fix
	Fingerprint string // stable across runs, machines and line numbers
	Suppressed  string // the reason of the ignore that covers it, "" where none does
	Unknown     bool   // it may be so: it rests on a value that is not known

	target *target // what it is about, nil where it is about a node or what is not known
	place  *node   // the node that it is about, or is below of
	key    string  // the name of the policy that it is about, "" where none
	grant  *grant  // the grant that it is about, nil where it is about none or several
	detail string  // what tells it apart from another finding about the same binding, where that has Members
	// says is Message about some of Members, nil where Members is.
	says    func(members []string) string
	way     *way            // how Member comes to invoke, for grant-indirect alone
	propose func() []repair // its fixes, not proved yet; nil where there are none
}

// Options say how to judge. The zero Options has the rules' own severities.
type Options struct {
	// OnePerBinding makes one finding of those about the members of one binding,
	// as an inventory is reported, and names the project in each message.
	OnePerBinding bool
	Now           time.Time // the moment judged at
	// Before is the estate before the change, nil where there is none.
	Before *estate.Estate
	// OnlyNew leaves out what the estate before the change had too.
	OnlyNew    bool
	Severities map[string]Severity // by rule
	// AllowedDomains and AllowedProjects are those whose members are not
	// external; AllowedPrincipals are further members. Where all are empty,
	// nobody is external.
	AllowedDomains, AllowedProjects, AllowedPrincipals []string
	Ignores                                            []Ignore
	Expectations                                       []Expectation
}

// An Ignore suppresses findings, for a reason. Empty patterns match
// everything; * in a pattern stands for any text.
type Ignore struct {
	Rule, Resource, Member string
	Reason                 string
	Expires                time.Time // the zero time: never
	Where                  estate.Where
	// Lines bounds the ignore to findings in Where.File between two lines,
	// both counted, where the last one is not 0.
	Lines [2]int
}
