package checks

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"diagnose/internal/credential"
	"diagnose/internal/evidence"
	"diagnose/internal/gcp"
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

// audienceAlone judges the audience of a token where no target was given: it is
// refused where no service takes it, and else compared with nothing.
func (in *Invocation) audienceAlone() Finding {
	c := in.sent.credential
	if c.Kind != credential.IDToken {
		return notApplicable("no target was given to compare the audience with")
	}
	in.audiences = Audiences{}
	f := tokenAudience.Run(in)
	if len(c.Claims.Audience) == 0 || f.Outcome != Unknown && f.Outcome != Pass || ofGcloud(c) {
		return f
	}
	aud := strings.Join(c.Claims.Audience, ", ")
	fixes := f.Fixes
	if f.Outcome == Unknown {
		fixes = nil
	}
	f = assume("service.json", fmt.Sprintf("the token is for %q; no target was given to compare that with", aud),
		fmt.Sprintf("the service accepts the audience %q", aud), in.describeService()...)
	f.Fixes = fixes
	return f
}

// ofGcloud reports whether the audience is a client of gcloud's, which every
// service takes or none.
func ofGcloud(c credential.Credential) bool {
	return len(c.Claims.Audience) == 1 && (c.Claims.Audience[0] == gcp.GcloudClient || c.Claims.Audience[0] == gcp.ADCClient)
}

// TokenSentence says in one sentence what a credential is good for, and of one
// that is not refused also what nobody checked.
func TokenSentence(c credential.Credential, v Verdict) string {
	if f, ok := v.Cause(); ok {
		return f.Message
	}
	out := "this " + c.Kind.String() + " has no fault"
	if aud := strings.Join(c.Claims.Audience, ", "); aud != "" && !ofGcloud(c) {
		out = fmt.Sprintf("this %s is good for %s only", c.Kind, aud)
	}
	for _, f := range v.Findings {
		if f.Outcome == Warn {
			out += "; " + f.Message
		}
	}
	var open []string
	for _, q := range []struct{ check, text string }{{"token-audience", "whether your service accepts this audience"}, {"token-signature", "its signature"}} {
		if slices.ContainsFunc(v.Assumptions, func(a Assumption) bool { return a.Check == q.check }) {
			open = append(open, q.text)
		}
	}
	if len(open) > 0 {
		out += "; not checked: " + strings.Join(open, " and ")
	}
	return out
}
