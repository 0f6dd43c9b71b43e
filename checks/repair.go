package checks

import (
	"slices"

	"diagnose/internal/evidence"
)

// maxRepair bounds the number of fixes that a repair may combine.
const maxRepair = 4

// prove labels every fix with what it does to the decision, and finds a
// smallest set of fixes that leads to allowed.
func prove(s evidence.Snapshot, o Options, v *Verdict) {
	cause, _ := v.Cause()
	o.NoFixes, o.repaired = true, cause.Check != answerOrigin.ID
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
				f.Effect, f.Remaining = effect(v.Findings[i], rejudge([]Fix{*f}))
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

// effect compares the finding that offered a fix with the verdict after it,
// and names what then remains.
func effect(before Finding, after Verdict) (Effect, []string) {
	if after.Decision == Allowed {
		return Leads, nil
	}
	var failing, open []string
	for _, f := range after.Findings {
		switch {
		case f.Check == before.Check && (f.Outcome == Fail || f.Outcome == Unknown && before.Outcome != Fail):
			return Unverified, nil
		case f.Outcome == Fail:
			failing = append(failing, f.Check)
		case f.stops():
			open = append(open, f.Check)
		}
	}
	if len(failing) > 0 {
		return Progress, failing
	}
	return Opens, open
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
