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
	in := resolve(&s)
	v := Verdict{Target: in.target(), Principal: in.principal}
	for _, g := range Path() {
		for _, c := range g.Checks {
			f := c.Run(in)
			f.Gate, f.Check = g.Name, c.ID
			for i := range f.Assumes {
				f.Assumes[i].Check = cmp.Or(f.Assumes[i].Check, c.ID)
			}
			if o.Strict && len(f.Assumes) > 0 && f.Outcome != Warn && f.Outcome != NotApplicable {
				f.Gather = append(f.Gather, f.Assumes[0].Gather...)
				f.Outcome, f.Assumes, f.Fixes = Unknown, nil, nil
			}
			v.Findings = append(v.Findings, f)
		}
	}
	v.decide()
	v.Observed = in.observe(&v)
	return v
}

// decide draws the decision, its basis and the expected answer from the
// findings.
func (v *Verdict) decide() {
	v.Decision, v.Basis, v.Assumptions = conclude(v.Findings, true)
	if v.Decision == Denied {
		// What was seen once is not what the documents say: an observed
		// failure cannot overrule a proven permission, only explain it.
		if d, b, a := conclude(v.Findings, false); d == Allowed && b == Proven {
			for i, f := range v.Findings {
				if f.Outcome == Fail && f.Observed {
					v.Findings[i].Outcome = Warn
				}
			}
			v.Decision, v.Basis, v.Assumptions = d, b, a
		}
	}
	switch v.Decision {
	case Allowed:
		v.Expected = &Answer{}
	case Denied:
		if f, ok := v.Cause(); ok {
			v.Expected = &f.Answer
		}
	}
}

func conclude(findings []Finding, observed bool) (Decision, Basis, []Assumption) {
	var failed, proven, open, admitted bool
	var failing, supposed []Assumption
	for _, f := range findings {
		switch {
		case f.Outcome == Fail && f.Observed && !observed:
		case f.Outcome == Fail:
			failed = true
			proven = proven || len(f.Assumes) == 0
			failing = append(failing, f.Assumes...)
		case f.Outcome == Unknown && len(f.Assumes) == 0:
			open = true
		case f.Outcome == Unknown || f.Outcome == Pass || f.Outcome == Warn:
			supposed = append(supposed, f.Assumes...)
		}
		if f.Outcome == Pass && admits[f.Check] {
			admitted = true
		}
	}
	switch {
	case failed && proven:
		return Denied, Proven, nil
	case failed:
		return Denied, Assumed, distinct(failing)
	case open || !admitted:
		return Undetermined, Assumed, distinct(supposed)
	case len(supposed) > 0:
		return Allowed, Assumed, distinct(supposed)
	}
	return Allowed, Proven, nil
}

// admits names the checks one of which must pass before an invocation counts
// as allowed, so that a question nobody asked never reads as a permission.
var admits = map[string]bool{"access-public": true, "access-granted": true, "iap-agent": true}

func distinct(as []Assumption) []Assumption {
	var out []Assumption
	for _, a := range as {
		if !slices.ContainsFunc(out, func(b Assumption) bool { return b.Text == a.Text }) {
			out = append(out, a)
		}
	}
	return out
}

// maxRepair bounds the number of fixes that a repair may combine.
const maxRepair = 4

// prove labels every fix with what it does to the decision, and finds a
// smallest set of fixes that leads to allowed.
func prove(s evidence.Snapshot, o Options, v *Verdict) {
	o.NoFixes = true
	memo := map[string]Verdict{}
	rejudge := func(path []Fix) Verdict {
		key := ""
		for _, f := range path {
			key += f.ID + "\x00"
		}
		if _, ok := memo[key]; !ok {
			e := s
			for _, f := range path {
				e = f.apply(e)
			}
			memo[key] = judge(e, o)
		}
		return memo[key]
	}
	for i := range v.Findings {
		for j := range v.Findings[i].Fixes {
			f := &v.Findings[i].Fixes[j]
			if f.apply != nil {
				f.Effect = effect(v.Findings[i], rejudge([]Fix{*f}))
			}
		}
	}
	for _, f := range repair(*v, rejudge) {
		v.Repair = append(v.Repair, f.ID)
		v.offer(f)
	}
}

// offer adds a fix that only a repaired verdict proposed to the finding of the
// same check, so that every fix of the repair can be read.
func (v *Verdict) offer(f Fix) {
	if _, ok := v.Fix(f.ID); ok {
		return
	}
	for i := range v.Findings {
		if v.Findings[i].Check == f.check {
			f.Effect = Progress
			v.Findings[i].Fixes = append(v.Findings[i].Fixes, f)
		}
	}
}

// effect compares the finding that offered a fix with the verdict after it.
func effect(before Finding, after Verdict) Effect {
	if after.Decision == Allowed {
		return Leads
	}
	for _, f := range after.Findings {
		if f.Check == before.Check && (f.Outcome == Fail || f.Outcome == Unknown && before.Outcome != Fail) {
			return Unverified
		}
	}
	return Progress
}

// repair searches, fewest fixes first, for a set that leads to allowed. Fixes
// of a failure that shows only after another fix count too.
func repair(v Verdict, rejudge func([]Fix) Verdict) []Fix {
	type state struct {
		path []Fix
		v    Verdict
	}
	level := []state{{nil, v}}
	for range maxRepair {
		var next []state
		for _, st := range level {
			for _, f := range repairs(st.v) {
				if slices.ContainsFunc(st.path, func(p Fix) bool { return p.ID == f.ID }) {
					continue
				}
				path := append(slices.Clone(st.path), f)
				after := rejudge(path)
				if after.Decision == Allowed {
					return path
				}
				next = append(next, state{path, after})
			}
		}
		level = next
	}
	return nil
}

// repairs returns the modelled fixes of the cause and of its explanations, in
// the order offered: a set that leaves out the cause repairs nothing.
func repairs(v Verdict) []Fix {
	cause, ok := v.Cause()
	if !ok {
		return nil
	}
	var out []Fix
	for _, f := range v.Findings {
		if f.Gate != cause.Gate {
			continue
		}
		for _, x := range f.Fixes {
			x.check = f.Check
			if x.apply != nil && !slices.ContainsFunc(out, func(y Fix) bool { return y.ID == x.ID }) {
				out = append(out, x)
			}
		}
	}
	return out
}
