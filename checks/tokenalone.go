package checks

import (
	"cmp"
	"fmt"

	"diagnose/internal/credential"
	"diagnose/internal/evidence"
	"diagnose/internal/iam"
)

// JudgeToken answers the checks about a credential alone. Without a target its
// audience is not judged. The decision says whether Cloud Run would accept it.
func JudgeToken(s evidence.Snapshot, target bool) Verdict {
	in := resolve(&s, nil)
	in.public = iam.Decision{State: iam.NotGranted} // the question is about a private service
	v := Verdict{Target: in.target(), Principal: in.principal, JudgedAt: Moment{s.Now, cmp.Or(s.NowFrom, in.momentFrom())}}
	for _, g := range []Gate{credentialGate, tokenGate} {
		for _, c := range g.Checks {
			f := c.Run(in)
			if c.ID == "token-audience" && !target {
				f = in.audienceAlone()
			}
			f.Gate, f.Check = g.Name, c.ID
			for i := range f.Assumes {
				f.Assumes[i].Check = cmp.Or(f.Assumes[i].Check, c.ID)
			}
			v.Findings = append(v.Findings, f)
		}
	}
	v.Decision, v.Assumptions = conclude(append(v.Findings, Finding{Outcome: Pass, admits: true}))
	if v.Decision == Denied {
		v.Assumptions = refusedOn(v.Findings)
	}
	if v.Decision != Undetermined && len(v.Assumptions) == 0 {
		v.Basis = Proven
	}
	in.expect(&v)
	return v
}

// refusedOn is what a refusal rests on: nothing where one failure supposes
// nothing.
func refusedOn(findings []Finding) []Assumption {
	var out []Assumption
	for _, f := range findings {
		if f.Outcome != Fail {
			continue
		}
		if len(f.Assumes) == 0 {
			return nil
		}
		out = append(out, f.Assumes...)
	}
	return distinct(out)
}

// audienceAlone judges the audience of a token where no target was given.
func (in *Invocation) audienceAlone() Finding {
	c := in.sent.credential
	if c.Kind != credential.IDToken || len(c.Claims.Audience) == 0 {
		return notApplicable("no target was given to compare the audience with")
	}
	if a := (Audiences{}).Accepts(c.Claims.Audience[0], c.Person()); a.State == iam.NotGranted {
		f := withFixes(fail(a.Reason, rejected, in.sent.source.At("/aud")), in.mint())
		if a.Custom {
			f.Assumes = in.noCustomAudience()
		}
		return f
	}
	return assume("service.json", fmt.Sprintf("the token is for %q; no target was given to compare that with", c.Claims.Audience[0]),
		fmt.Sprintf("the service accepts the audience %q", c.Claims.Audience[0]), in.describeService()...)
}
