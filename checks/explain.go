package checks

import (
	"fmt"
	"slices"

	"diagnose/internal/evidence"
)

// A candidate is what could have written a status, and the check that decides
// it. Where the documents leave the check open, text is said; where they
// answer it well and yet the answer is another, stale says which of them may
// be out of date. A candidate without the one that fits is ruled out.
type candidate struct {
	check  string
	text   string
	stale  string
	gather []Command
	always bool // what no check decides: text is said in any case
	rare   bool // stands behind what is open
}

// perhaps is a candidate that stands where the documents leave the check open.
func perhaps(check Check, text string, gather ...Command) candidate {
	return candidate{check: check.ID, text: text, gather: gather}
}

// surely is a candidate that no check decides.
func surely(check Check, text string, gather ...Command) candidate {
	return candidate{check: check.ID, text: text, gather: gather, always: true}
}

// seldom is one that no check decides, and less likely than what is open.
func seldom(check Check, text string, gather ...Command) candidate {
	return candidate{check: check.ID, text: text, gather: gather, always: true, rare: true}
}

// outdated adds what may be out of date where the documents answer the check.
func (c candidate) outdated(stale string) candidate {
	c.stale = stale
	return c
}

// explain lists what could have brought about an answer that the evidence does
// not account for: what the logs show, then what the documents leave open, then
// what they may be out of date about.
func (in *Invocation) explain(v *Verdict, o *Observation) []Explanation {
	out := slices.Concat(in.byChange(o), in.byBeside())
	if o.Author != "" && o.Author != frontEnd {
		return append(out, in.byOthers(o)...)
	}
	all := in.candidates(o)
	if o.Author == "" {
		all = in.withContainer(v, o, all)
	}
	var later []Explanation
	for _, c := range all {
		said := Explanation{Text: c.text, Check: c.check, Gather: c.gather}
		open := c.always || in.leavesOpen(v, c.check)
		switch {
		case open && c.text == "":
		case open && c.rare:
			later = append(later, said)
		case open:
			out = append(out, said)
		case c.stale != "" && o.Agrees == Disagrees && answered(v, c.check):
			said.Text = c.stale
			later = append(later, said)
		}
	}
	return append(out, later...)
}

// byChange tells what the audit log shows of a 403: a grant that was taken
// away before the answer, or given after it.
func (in *Invocation) byChange(o *Observation) []Explanation {
	if o.Status != 403 || o.Author != "" && o.Author != frontEnd {
		return nil
	}
	say := func(c policyChange, text string) []Explanation {
		return []Explanation{{Text: text, Check: accessGranted.ID, Cites: []evidence.Source{c.cite}}}
	}
	if c, ok := in.lost(o.Time); ok {
		return say(c, c.String())
	}
	if c, ok := in.late(o.Time); ok {
		return say(c, "the answer is older than the grant: "+c.String())
	}
	return nil
}

// byBeside tells that a log entry beside the response is the container's, so
// that the response may be too.
func (in *Invocation) byBeside() []Explanation {
	b := in.seen.beside
	if !isContainer(b.who) || isContainer(in.wrote.who) {
		return nil
	}
	text := fmt.Sprintf("the container wrote this answer, if %s is of the same request: %s", place(b.cite), b.basis)
	return []Explanation{{Text: text, Check: answerOrigin.ID, Cites: []evidence.Source{b.cite}}}
}

// byOthers explains an answer that the front end did not write.
func (in *Invocation) byOthers(o *Observation) []Explanation {
	out := []Explanation{{Text: fmt.Sprintf("%s wrote this answer: %s", o.Author, o.AuthorBasis),
		Check: answerOrigin.ID, Cites: []evidence.Source{in.wrote.cite}}}
	if o.Agrees != Disagrees {
		return out
	}
	return append(out, Explanation{Text: "the documents are newer or older than the answer, or it is to another request"})
}

// withContainer adds that the container may have answered, first where the
// documents let the request in anyway and the front end has no reason to
// refuse it.
func (in *Invocation) withContainer(v *Verdict, o *Observation, all []candidate) []candidate {
	own := surely(answerOrigin, "the container, or a proxy before it, gave its own answer", in.requestLogs()...)
	switch {
	case v.Decision == Allowed && (in.isPublic() || !slices.Contains([]int{401, 403}, o.Status)):
		return append([]candidate{own}, all...)
	case o.Status >= 400:
		return append(all, own)
	}
	return all
}

// leavesOpen reports whether the documents leave a check open. What only
// supposes a correct credential answers nothing about the one that was sent,
// and where that is not known, no check of it answers.
func (in *Invocation) leavesOpen(v *Verdict, check string) bool {
	f, ok := v.find(check)
	ofToken := f.Gate == credentialGate.Name || f.Gate == tokenGate.Name
	switch {
	case !ok:
		return false
	case f.Outcome == NotApplicable:
		return ofToken && (in.sent.supposed || !in.sent.known)
	case f.Outcome == Pass:
		return ofToken && in.sent.supposed || len(f.Assumes) > 0
	}
	return true
}

// answered reports whether the documents answer a check well.
func answered(v *Verdict, check string) bool {
	f, ok := v.find(check)
	return ok && f.Outcome == Pass
}
