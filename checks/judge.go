package checks

import (
	"cmp"
	"slices"

	"diagnose/internal/evidence"
)

// Options says how strictly to judge. The zero Options is the usual way.
type Options struct {
	// Strict allows no assumption: what rests on one is unanswered.
	Strict bool
	// NoFixes skips the proof of fixes, which judges the repaired evidence
	// again for each of them.
	NoFixes bool
	// Stop, where it is not nil, is asked again and again: once it returns
	// true the judgement ends, and what is not decided is unknown.
	Stop func() bool

	// repaired says that the evidence is that after a fix: the answer that was
	// observed before it decides nothing.
	repaired bool
	// proving says that only the decision counts, and not what it rests on.
	proving bool
}

// Judge answers every check for the invocation that the evidence describes,
// and proves the proposed fixes by judging the evidence that they lead to.
func Judge(s evidence.Snapshot, o Options) Verdict {
	v := judge(s, o)
	if !o.NoFixes && v.Decision != Allowed {
		prove(s, o, &v)
	}
	return v
}

func judge(s evidence.Snapshot, o Options) Verdict {
	in := resolve(&s, o.Stop)
	v := Verdict{
		Target: in.target(), Principal: in.principal, JudgedAt: Moment{Time: s.Now, From: cmp.Or(s.NowFrom, in.momentFrom())},
		Findings: in.answers(),
	}
	v.Decision, v.Assumptions = conclude(v.Findings)
	if !o.proving || o.Strict {
		in.weigh(&v)
	}
	if in.withoutObserved(&v); !o.repaired {
		in.heed(&v)
	}
	if o.Strict && v.Basis == Assumed {
		v.doubt()
	}
	in.expect(&v)
	v.Observed = in.observe(&v)
	return v
}

// answers asks every check, in path order.
func (in *Invocation) answers() []Finding {
	var out []Finding
	for _, g := range Path() {
		for _, c := range g.Checks {
			f := c.Run(in)
			f.Gate, f.Check, f.admits = g.Name, c.ID, c.Admits
			for i := range f.Assumes {
				f.Assumes[i].Check = cmp.Or(f.Assumes[i].Check, c.ID)
			}
			out = append(out, f)
		}
	}
	return out
}

// stops reports whether a finding keeps a request from counting as allowed.
func (f Finding) stops() bool {
	return f.Outcome == Fail || f.Outcome == Unknown && len(f.Assumes) == 0
}

// conclude draws the decision from the findings, and what it supposes where it
// is allowed or open.
func conclude(findings []Finding) (Decision, []Assumption) {
	var failed, open, admitted bool
	var supposed []Assumption
	for _, f := range findings {
		switch {
		case f.Outcome == Fail:
			failed = true
		case f.stops():
			open = true
		case f.Outcome != NotApplicable:
			supposed = append(supposed, f.Assumes...)
		}
		admitted = admitted || f.admits && f.Outcome == Pass
	}
	switch {
	case failed:
		return Denied, nil
	case open || !admitted:
		return Undetermined, distinct(supposed)
	}
	return Allowed, distinct(supposed)
}

// doubt turns a verdict that rests on assumptions into an open one, for those
// who allow none: what rests on one is unanswered.
func (v *Verdict) doubt() {
	for i := range v.Findings {
		f := &v.Findings[i]
		rests := f.Outcome == Fail
		for _, a := range v.Assumptions {
			if a.Check == f.Check {
				rests = true
				f.Gather = append(f.Gather, a.Gather...)
			}
		}
		if rests || f.Outcome == Unknown {
			f.Outcome, f.Assumes, f.Fixes = Unknown, nil, nil
		}
	}
	v.Decision = Undetermined
}

// expect says which answer the decision leads to.
func (in *Invocation) expect(v *Verdict) {
	switch v.Decision {
	case Allowed:
		v.Expected = &Answer{Author: container}
	case Denied:
		if f, ok := v.Cause(); ok {
			f.Answer.Author, f.Answer.Log = cmp.Or(f.Answer.Author, authorOf(f)), in.logged(f.Answer.Log)
			v.Expected = &f.Answer
		}
	}
}

// authorOf says who answers where a finding fails: IAP for its own gate, else
// the front end.
func authorOf(f Finding) string {
	if f.Gate == iapGate.Name {
		return iapAuthor
	}
	return frontEnd
}

func distinct(as []Assumption) []Assumption {
	var out []Assumption
	for _, a := range as {
		if !slices.ContainsFunc(out, func(b Assumption) bool { return b.Text == a.Text }) {
			out = append(out, a)
		}
	}
	return out
}
