// Package checks judges one invocation: from the evidence alone, without I/O,
// it says whether the request would reach the container, which gate would
// refuse it, what that rests on, and which change repairs it.
//
// A Check asks one question and gives one Finding. Checks stand in Gates, and
// Path lists the gates in the order in which Google applies them. To add a
// check, write the value in its gate's file and name it in the list at the top
// of that file.
package checks

import (
	"diagnose/internal/evidence"
)

// A Check answers one question about one invocation.
type Check struct {
	ID         string     // "token-audience": stable, used in output, flags and docs
	Title      string     // the good answer: "audience names the service"
	Doc        string     // why it matters and how to repair it, for `diagnose explain`
	Ref        string     // the page that states the rule
	Confidence Confidence // how sure the rule is
	// Admits says that one such check must pass before an invocation counts as
	// allowed, so that a question nobody asked never reads as a permission.
	Admits bool

	// Run answers for one invocation. Judge fills in Gate and Check.
	Run func(*Invocation) Finding
}

// A Gate is one hurdle that a request must clear.
type Gate struct {
	Name    string
	Refuses string // the statuses with which it refuses: "404, redirect"
	Checks  []Check
}

// Path returns the gates in the order in which Google applies them to a
// request.
func Path() []Gate {
	return []Gate{
		routeGate, ingressGate, iapGate, credentialGate, tokenGate,
		accessGate, triggerGate, serviceGate, answerGate,
	}
}

// Find returns the check with the given ID and the name of its gate.
func Find(id string) (Check, Gate, bool) {
	for _, g := range Path() {
		for _, c := range g.Checks {
			if c.ID == id {
				return c, g, true
			}
		}
	}
	return Check{}, Gate{}, false
}

// Confidence says how a rule is known. The zero Confidence is the weakest.
type Confidence int

// The confidences, weakest first.
const (
	Unproven   Confidence = iota // no source found; needs a live probe
	Inferred                     // concluded from documented facts
	Reported                     // observed and reported by users
	Source                       // read in Google's own source or protos
	Documented                   // stated in Google's documentation
)

func (c Confidence) String() string {
	return [...]string{"unproven", "inferred", "reported", "source", "documented"}[c]
}

// An Outcome is the answer of one check. The zero Outcome is Unknown.
type Outcome int

// The outcomes.
const (
	Unknown       Outcome = iota // evidence is missing
	NotApplicable                // the question does not arise
	Pass                         // nothing here blocks the invocation
	Warn                         // does not block it, and is not right either
	Fail                         // blocks the invocation on its own
)

func (o Outcome) String() string {
	return [...]string{"unknown", "not_applicable", "pass", "warn", "fail"}[o]
}

// A Finding is one check's answer and the evidence that it rests on.
type Finding struct {
	Gate, Check string
	Outcome     Outcome
	Message     string            // one sentence: what is needed, what was found
	Cites       []evidence.Source // where to look
	Fixes       []Fix             // alternatives: apply at most one
	Compared    Comparison        // what was sent against what is accepted, where that is the matter
	Answer      Answer            // what the caller is answered where this check fails

	// Assumes lists what the outcome takes for granted about documents that
	// were not read. An Unknown finding with an assumption does not stand in
	// the way of a decision, unless no assumption is allowed.
	Assumes []Assumption
	// Gather lists the commands that read the missing document of an Unknown
	// finding.
	Gather []Command
	// Observed marks an outcome that rests on the observed answer alone,
	// which no configuration shows.
	Observed bool

	admits bool // the check's Admits
}

// A Comparison sets what was sent against what is accepted. The zero
// Comparison compares nothing.
type Comparison struct {
	Of             string // what the values are of: "aud"
	Sent, Accepted []string
	Says           string // the finding's message without what is accepted
}

// An Assumption is what a finding takes for granted, and the command that
// would tell.
type Assumption struct {
	Check    string
	Document string // the member of a case that would tell, "" where none can
	Text     string
	Gather   []Command
}

// An Answer is what a caller sees. Status 0 is the container's own answer.
type Answer struct {
	Status          int
	Author          string // who writes it, as in Observation; Judge fills it in where it is ""
	Also            []int  // other statuses reported for the same refusal
	WWWAuthenticate string
	Log             string // the text to look for in Cloud Logging, "" where nothing is logged
	Location        string // where a redirect leads
}
