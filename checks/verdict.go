package checks

import (
	"time"

	"diagnose/internal/evidence"
)

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
