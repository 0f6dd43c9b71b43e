package checks

import (
	"cmp"
	"slices"
	"strings"

	"diagnose/internal/evidence"
)

// The search for a repair combines at most maxRepair fixes and judges at most
// maxJudgements times, fewest fixes first.
const (
	maxRepair     = 4
	maxJudgements = 64
)

// A prover judges the evidence that fixes lead to, each set once.
type prover struct {
	from evidence.Snapshot
	o    Options
	memo map[string]Verdict
}

// after returns the verdict about the evidence after the fixes, and false
// where enough was judged already.
func (p *prover) after(path []Fix) (Verdict, bool) {
	key := ""
	for _, f := range path {
		key += f.ID + "\x00" + f.Summary + "\x00" // one ID may be of two members
	}
	if v, ok := p.memo[key]; ok {
		return v, true
	}
	if len(p.memo) >= maxJudgements {
		return Verdict{}, false
	}
	s := p.from
	for _, f := range path {
		s = f.apply(s)
	}
	v := judge(s, p.o)
	p.memo[key] = v
	return v, true
}

// prove labels every fix with what it does to the decision, leaves out those
// that change nothing, and finds a smallest set of fixes that leads to
// allowed, or says why there is none.
func prove(s evidence.Snapshot, o Options, v *Verdict) {
	cause, _ := v.Cause()
	o.NoFixes, o.proving = true, true
	// What was observed is the answer to the request before a fix, not after
	// it. What stands in front of the service stays, and no fix here moves it.
	o.repaired = cause.Check != answerOrigin.ID
	p := &prover{from: s, o: o, memo: map[string]Verdict{}}
	for i := range v.Findings {
		f := &v.Findings[i]
		f.Fixes = p.label(*f, *v)
	}
	for _, f := range p.repair(*v) {
		v.Repair = append(v.Repair, f.ID)
		if after, ok := p.after([]Fix{f}); ok {
			f.Effect, f.Remaining, _ = effect(Finding{}, *v, after)
		}
		v.offer(f)
	}
	if v.Decision == Denied && len(v.Repair) == 0 {
		v.NoRepair = noRepair(*v)
	}
}

// label judges each fix of a finding, and keeps those that change something.
func (p *prover) label(f Finding, before Verdict) []Fix {
	var out []Fix
	for _, x := range f.Fixes {
		if x.apply != nil {
			after, ok := p.after([]Fix{x})
			if !ok {
				continue
			}
			effect, remaining, helps := effect(f, before, after)
			if !helps {
				continue
			}
			x.Effect, x.Remaining = effect, remaining
		}
		out = append(out, x)
	}
	return out
}

// offer adds a fix that only a repaired verdict proposed to the finding of the
// same check, so that every fix of the repair can be read.
func (v *Verdict) offer(f Fix) {
	if _, ok := v.Fix(f.ID); ok {
		return
	}
	for i := range v.Findings {
		if v.Findings[i].Check == f.check {
			v.Findings[i].Fixes = append(v.Findings[i].Fixes, f)
			return
		}
	}
}

// effect compares the verdict after a fix with the one before, by the finding
// that offered it, and names what then remains. A fix that leaves its own
// finding as it was helps nothing.
func effect(offered Finding, before, after Verdict) (e Effect, remaining []string, helps bool) {
	if after.Decision == Allowed {
		return Leads, nil, before.Decision != Allowed
	}
	var failing, open []string
	for _, f := range after.Findings {
		switch {
		case f.Check == offered.Check && f.stops() && (f.Outcome == Fail || offered.Outcome != Fail):
			return Unverified, nil, false
		case f.Outcome == Fail:
			failing = append(failing, f.Check)
		case f.stops():
			open = append(open, f.Check)
		}
	}
	if len(failing) > 0 {
		return Progress, append(failing, open...), true
	}
	return Opens, open, true
}

// repair searches, fewest fixes first, for a set that leads to allowed. Fixes
// of a failure that shows only after another fix count too.
func (p *prover) repair(v Verdict) []Fix {
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
				after, ok := p.after(path)
				switch {
				case !ok:
					return nil
				case after.Decision == Allowed:
					return path
				case unmoved(st.v, after):
					continue
				}
				next = append(next, state{path, after})
			}
		}
		level = next
	}
	return nil
}

// unmoved reports whether a fix left every finding that stops the request.
func unmoved(before, after Verdict) bool {
	for i, f := range before.Findings {
		if f.stops() && (!after.Findings[i].stops() || f.Outcome != after.Findings[i].Outcome) {
			return false
		}
	}
	return true
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

// noRepair says why no repair can be proved, by the cause.
func noRepair(v Verdict) string {
	cause, _ := v.Cause()
	best := []string(nil)
	for _, f := range v.Findings {
		for _, x := range f.Fixes {
			if x.Effect == Opens && (best == nil || len(x.Remaining) < len(best)) {
				best = x.Remaining
			}
		}
	}
	switch {
	case cause.Check == answerOrigin.ID:
		author := "something in front of the service"
		if v.Observed != nil {
			author = cmp.Or(v.Observed.Author, author)
		}
		return author + " wrote the answer, but diagnose cannot check its rules"
	case cause.Check == serviceReady.ID && cause.Observed:
		return "diagnose cannot check capacity: whether an instance is free shows only when the request comes"
	case cause.Check == serviceReady.ID:
		return "the service was deleted; deploy it again, then check who may invoke it"
	case cause.Check == ingressPerimeter.ID:
		return "diagnose cannot check the rules of a perimeter"
	case len(best) > 0:
		return "the documents do not answer what remains: " + strings.Join(best, ", ")
	}
	for _, x := range cause.Fixes {
		if x.Effect == Unverified && x.Caution != "" {
			return x.Caution
		}
	}
	return "no change that diagnose knows makes this call succeed"
}
