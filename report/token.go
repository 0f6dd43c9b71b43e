package report

import (
	"fmt"
	"io"
	"time"

	"diagnose/checks"
	"diagnose/internal/credential"
)

type wireToken struct {
	SchemaVersion string           `json:"schemaVersion"`
	Kind          string           `json:"kind"`
	Principal     string           `json:"principal"`
	Issuer        string           `json:"issuer"`
	Subject       string           `json:"subject"`
	Audience      []string         `json:"audience"`
	IssuedAt      *time.Time       `json:"issuedAt"`
	Expiry        *time.Time       `json:"expiry"`
	Algorithm     string           `json:"algorithm"`
	KeyID         string           `json:"keyId"`
	Signature     string           `json:"signature"`
	Repairs       []string         `json:"repairs"`
	Decision      string           `json:"decision"`
	Basis         string           `json:"basis"`
	Cause         string           `json:"cause"`
	Headline      string           `json:"headline"`
	Assumptions   []wireAssumption `json:"assumptions"`
	Findings      []wireFinding    `json:"findings"`
}

// Token writes what a credential is and whether Cloud Run would accept it.
func Token(w io.Writer, format string, c credential.Credential, v checks.Verdict, now time.Time, st Style) error {
	data := func() any { return tokenJSON(c, v) }
	return emit(w, format, data, func() *page { return tokenPage(c, v, now, st) }, st)
}

func tokenJSON(c credential.Credential, v checks.Verdict) wireToken {
	cause, _ := v.Cause()
	out := wireToken{
		SchemaVersion: schemaVersion, Kind: c.Kind.String(), Principal: c.Who(), Issuer: c.Claims.Issuer, Subject: c.Claims.Subject,
		Audience: append([]string{}, c.Claims.Audience...), IssuedAt: c.Claims.IssuedAt, Expiry: c.Claims.Expiry,
		Algorithm: c.Header.Algorithm, KeyID: c.Header.KeyID, Signature: c.Signature.String(), Repairs: append([]string{}, c.Repairs...),
		Decision: v.Decision.String(), Basis: v.Basis.String(), Cause: cause.Check,
		Headline: checks.TokenSentence(c, v), Assumptions: []wireAssumption{}, Findings: []wireFinding{},
	}
	for _, a := range v.Assumptions {
		out.Assumptions = append(out.Assumptions, wireAssumption{a.Check, a.Document, a.Text, shells(a.Gather)})
	}
	for _, f := range v.Findings {
		out.Findings = append(out.Findings, findingJSON(f))
	}
	return out
}

// tokenWords are the decisions of a token.
var tokenWords = map[checks.Decision]string{
	checks.Denied: "refused", checks.Undetermined: "open", checks.Allowed: "acceptable",
}

// tokenPage tells what a credential is, and whether Cloud Run would accept it.
func tokenPage(c credential.Credential, v checks.Verdict, now time.Time, st Style) *page {
	p := &page{Title: "Token"}
	p.add(tokenHeadline(c, v), paragraph{Tone: quiet, Text: basis(v)}, tokenFacts(c, v, now))
	r := st.reading(v)
	p.next(v, r)
	p.fixes(v)
	p.checked(v)
	p.notChecked(v, r)
	p.add(linksOf(v), allChecks(v))
	return p
}

func tokenHeadline(c credential.Credential, v checks.Verdict) headline {
	return headline{Mark: decisionMark(v), Label: tokenWords[v.Decision], Text: causeText(v, checks.TokenSentence(c, v))}
}

func tokenFacts(c credential.Credential, v checks.Verdict, now time.Time) facts {
	cause, _ := v.Cause()
	d := c.Describe(now)
	out := facts{
		{Name: "sent", Of: cause.Compared.Of, Values: cause.Compared.Sent, Tone: bad},
		{Name: "accepted", Of: cause.Compared.Of, Values: cause.Compared.Accepted, Tone: good},
		{Name: "what", Values: []string{d.What}}, {Name: "whose", Values: []string{d.Whose}},
		{Name: "for", Values: []string{d.For}}, {Name: "until", Values: []string{d.Until}},
	}
	if c.JWT() {
		signature := fmt.Sprintf("%s, alg %s, kid %s", c.Signature, orDash(c.Header.Algorithm), orDash(c.Header.KeyID))
		out = append(out, fact{Name: "issuer", Values: []string{c.Claims.Issuer}},
			fact{Name: "signature", Values: []string{signature}})
	}
	return append(out, fact{Name: "damage", Values: c.Repairs})
}
