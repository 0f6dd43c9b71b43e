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
	"time"

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

// A Decision says whether the invocation reaches the container. The zero
// Decision claims nothing.
type Decision int

// The decisions.
const (
	Undetermined Decision = iota // nothing refuses it, and a question is open
	Denied                       // at least one check fails
	Allowed                      // every question is answered or assumed, and none fails
)

func (d Decision) String() string {
	return [...]string{"undetermined", "denied", "allowed"}[d]
}

// A Basis says what a decision rests on. The zero Basis is the weaker one.
type Basis int

// The bases.
const (
	Assumed Basis = iota // on the listed assumptions
	Proven               // no unread document could turn the decision
)

func (b Basis) String() string { return [...]string{"assumed", "proven"}[b] }

// An Effect says what a fix does to the decision when the judge is run again
// on the repaired evidence. The zero Effect claims nothing.
type Effect int

// The effects.
const (
	Unverified Effect = iota // cannot be modelled; the fix says why
	Progress                 // this failure is gone, another remains
	Opens                    // no failure remains, and a question does
	Leads                    // the invocation then succeeds
)

func (e Effect) String() string { return [...]string{"unverified", "progress", "open", "allowed"}[e] }

// A Fix is a change that a person may choose to make.
type Fix struct {
	ID        string // "grant-service-invoker": the same change has the same ID
	Summary   string // a verb phrase: "Grant roles/run.servicesInvoker to …"
	Commands  []Command
	Snippets  []Snippet // what is to be written into a file or sent, and is no command
	Terraform string    // the same change as HCL, or ""
	Caution   string    // what else the change does, or why its effect is unverified
	Effect    Effect    // filled in by Judge
	// Remaining names the checks that fail, or are open, after the fix.
	Remaining []string
	// Gains and Loses are the members that can invoke after the fix and could
	// not before, and the other way round, where that was worked out.
	Gains, Loses []string

	check string // the check that offered it

	// apply returns the evidence as it is after the change; nil where the
	// change cannot be modelled.
	apply func(evidence.Snapshot) evidence.Snapshot
}

// A Snippet is text of a language that is no command to run: a part of a file,
// or a request.
type Snippet struct {
	Language string // "yaml", "json", "http"
	Where    string // what it belongs in: "in args of the http step"
	Text     string
}

// A Command is one command to run. Reporters quote its words for a shell.
type Command struct {
	Into      string   // where not "", its output is kept in this shell variable
	Argv      []string // words, unquoted
	Pipe      []string // a command that its output goes through; nil: none
	WithToken bool     // append -H "Authorization: Bearer $TOKEN"
	Note      string   // shown behind it as a comment
}

// A Target names what is invoked. Empty fields are unknown.
type Target struct {
	URL, Function, Service string
	Environment            string // "GEN_1", "GEN_2", or "" for a plain Cloud Run service
}

// A Moment is the time judged at, and what says so: "--at", the member of a
// case, or "now".
type Moment struct {
	Time time.Time
	From string
}

// An Observation is the one answer that was seen, against the one expected.
type Observation struct {
	Status       int             // 0 where it does not show
	Source       evidence.Source // which response or log entry it is
	Time         time.Time       // when it was given, or zero
	URL          string          // what was called, or ""
	Note         string          // how another answer that was given differs, or ""
	Agrees       Agreement
	Author       string // who wrote it: "Google's front end", "IAP", "the container" …; "" where it does not show
	AuthorBasis  string // what tells
	Explanations []Explanation
}

// An Agreement says whether an observed answer is the expected one. The zero
// Agreement is unknown, as where nothing is expected.
type Agreement int

// The agreements.
const (
	NotCompared Agreement = iota
	Disagrees
	Agrees
)

func (a Agreement) String() string { return [...]string{"unknown", "disagrees", "agrees"}[a] }

// An Explanation is one way in which the observed answer could have come
// about.
type Explanation struct {
	Text   string
	Check  string // the check that would decide it, or ""
	Cites  []evidence.Source
	Gather []Command
}

// A Verdict is the answer about one invocation.
type Verdict struct {
	Target      Target
	Principal   string // member string, "" where unknown
	JudgedAt    Moment
	Decision    Decision
	Basis       Basis
	Assumptions []Assumption
	Expected    *Answer // nil where undetermined
	Observed    *Observation
	Findings    []Finding // in path order
	Repair      []string  // IDs of a smallest set of fixes that leads to allowed
	NoRepair    string    // why no repair of a denied invocation can be proved, "" where one was
}

// Cause returns the finding that the decision turns on: the first failure of a
// denied verdict, the first unanswered question of an undetermined one. Where
// something in front of the service was seen to refuse the request, that is
// the cause. An allowed verdict has none.
func (v Verdict) Cause() (Finding, bool) {
	want := Fail
	switch v.Decision {
	case Allowed:
		return Finding{}, false
	case Undetermined:
		want = Unknown
	}
	if f, ok := v.find(answerOrigin.ID); ok && v.Decision == Denied && f.Outcome == Fail {
		return f, true
	}
	for _, f := range v.Findings {
		if f.Outcome == want && (want == Fail || len(f.Assumes) == 0) {
			return f, true
		}
	}
	return Finding{}, false
}

// Fix returns the fix with the given ID, from the first finding that offers
// it.
func (v Verdict) Fix(id string) (Fix, bool) {
	for _, f := range v.Findings {
		for _, x := range f.Fixes {
			if x.ID == id {
				return x, true
			}
		}
	}
	return Fix{}, false
}

func (v Verdict) find(check string) (Finding, bool) {
	for _, f := range v.Findings {
		if f.Check == check {
			return f, true
		}
	}
	return Finding{}, false
}

// Headline returns the verdict in one sentence.
func (v Verdict) Headline() string {
	if f, ok := v.Cause(); ok {
		return f.Message
	}
	if f, ok := v.find(answerOrigin.ID); ok && f.Outcome == Warn && isContainer(f.Answer.Author) {
		return f.Message
	}
	if v.Decision == Allowed {
		for _, id := range []string{"access-public", "access-granted", "iap-passed"} {
			for _, f := range v.Findings {
				if f.Check == id && f.Outcome == Pass {
					return f.Message
				}
			}
		}
	}
	return "nothing is known about this invocation"
}
