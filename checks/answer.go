package checks

import (
	"fmt"
	"slices"
)

var answerGate = Gate{"answer", "–", []Check{answerOrigin}}

var answerOrigin = Check{
	ID:    "answer-origin",
	Title: "author of the answer",
	Doc: `Not every 401, 403 or 404 comes from Google's access check: the container has its own, IAP, Cloud Armor, load
balancers and API gateways have theirs, and so has a Google API called beside the service. Google's front end answers
in HTML with a known sentence, and a refused request never reaches the container. What the container answered itself
has passed every gate.`,
	Ref:        "https://docs.cloud.google.com/run/docs/troubleshooting",
	Confidence: Reported,
	Run: func(in *Invocation) Finding {
		a, status := in.wrote, in.seen.status
		switch {
		case !in.seen.known:
			return notApplicable("no answer was observed")
		case in.seen.foreign:
			return warn(in.seen.note, in.seen.source)
		case a.who == "":
			return in.noted(notApplicable("it is not clear who wrote the observed answer"))
		case a.who == frontEnd:
			return in.noted(pass("Google's front end wrote the answer: "+a.basis, a.cite))
		case status > 0 && status < 400 && isContainer(a.who):
			return in.noted(pass("the container answered", a.cite))
		}
		f := warn(fmt.Sprintf("%s wrote the answer, not Google's front end: %s", a.who, a.basis), a.cite)
		f.Answer = Answer{Status: status, Author: a.who}
		if isContainer(a.who) {
			f.Message = fmt.Sprintf("IAM let the request in: %s answered%s itself (%s)", a.who, statusWord(status), a.basis)
			f.Answer.Status = 0
		}
		f.Observed = true
		if a.fix.ID != "" {
			f.Fixes = []Fix{a.fix}
		}
		return in.noted(f)
	},
}

func statusWord(status int) string {
	if status == 0 {
		return ""
	}
	return fmt.Sprintf(" %d", status)
}

// noted warns where two answers were given that differ.
func (in *Invocation) noted(f Finding) Finding {
	if in.seen.note == "" {
		return f
	}
	f.Outcome, f.Message = Warn, f.Message+"; "+in.seen.note
	return f
}

// heed lets an observed answer speak where the documents do not prove
// otherwise: what the container answered has passed every gate, and what a
// front refused has not.
func (in *Invocation) heed(v *Verdict) {
	switch {
	case isContainer(in.wrote.who):
		in.heedContainer(v)
	case in.refused():
		in.heedFront(v)
	}
}

// onAnswer is what a decision supposes that rests on the observed answer.
func (in *Invocation) onAnswer() []Assumption {
	supposed := Assumption{Check: answerOrigin.ID, Text: "what was observed is the answer to this request"}
	return append([]Assumption{supposed}, in.standing()...)
}

// heedContainer lets the request in that the container answered. What failed
// by the documents did not stop it, so they are out of date or of another
// request. A refusal by the container itself stays one.
func (in *Invocation) heedContainer(v *Verdict) {
	cause, denied := v.Cause()
	switch {
	case v.Decision == Allowed, v.Decision == Denied && v.Basis == Proven:
		return
	case denied && isContainer(cause.Answer.Author):
		return
	}
	for i := range v.Findings {
		if f := &v.Findings[i]; f.Outcome == Fail {
			f.Outcome, f.Fixes, f.Assumes = Warn, nil, nil
			f.Message += "; yet the request got through, so the documents are out of date, or the answer belongs to a different request"
		}
	}
	v.Decision, v.Basis, v.Assumptions = Allowed, Assumed, in.onAnswer()
}

// heedFront refuses the request that something in front of the service
// answered. Where that is IAP and one of IAP's own checks says why, it is the
// cause.
func (in *Invocation) heedFront(v *Verdict) {
	byIAP := func(f Finding) bool { return f.Gate == iapGate.Name && f.Outcome == Fail }
	switch {
	case v.Decision == Allowed && v.Basis == Proven:
		return
	case in.wrote.who == iapAuthor && slices.ContainsFunc(v.Findings, byIAP):
		return
	}
	i := slices.IndexFunc(v.Findings, func(f Finding) bool { return f.Check == answerOrigin.ID })
	v.Findings[i].Outcome = Fail
	if v.Decision != Denied || v.Basis != Proven {
		v.Decision, v.Basis, v.Assumptions = Denied, Assumed, in.onAnswer()
	}
}

// withoutObserved keeps a failure that was seen once from overruling what the
// documents prove: it then only explains the answer.
func (in *Invocation) withoutObserved(v *Verdict) {
	if v.Decision != Denied || v.Basis == Proven {
		return
	}
	if !slices.ContainsFunc(v.Findings, func(f Finding) bool { return f.Outcome == Fail && f.Observed }) {
		return
	}
	less := slices.Clone(v.Findings)
	for i := range less {
		if less[i].Outcome == Fail && less[i].Observed {
			less[i].Outcome, less[i].Assumes = Warn, nil
		}
	}
	w := Verdict{Findings: less}
	w.Decision, w.Assumptions = conclude(less)
	if in.weigh(&w); w.Decision == Allowed && w.Basis == Proven {
		v.Findings, v.Decision, v.Basis, v.Assumptions = less, w.Decision, w.Basis, w.Assumptions
	}
}
