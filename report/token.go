package report

import (
	"fmt"
	"io"
	"strings"
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
	switch format {
	case "json":
		return writeJSON(w, tokenJSON(c, v))
	case "markdown":
		return write(w, tokenMarkdown(c, v, now))
	case "html":
		return writeHTML(w, "Token", tokenMarkdown(c, v, now))
	}
	return tokenText(c, v, now, st).send(w)
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
var tokenWords = map[checks.Decision]string{checks.Denied: "refused", checks.Undetermined: "open", checks.Allowed: "acceptable"}

// tokenHeadline says whether Cloud Run would accept the credential.
func tokenHeadline(c credential.Credential, v checks.Verdict) string {
	return tokenWords[v.Decision] + ": " + checks.TokenSentence(c, v)
}

func tokenFacts(c credential.Credential, now time.Time) [][2]string {
	d := c.Describe(now)
	rows := [][2]string{{"what", d.What}, {"whose", d.Whose}, {"for", d.For}, {"until", d.Until}}
	if c.JWT() {
		rows = append(rows, [2]string{"issuer", c.Claims.Issuer},
			[2]string{"signature", fmt.Sprintf("%s, alg %s, kid %s", c.Signature, orDash(c.Header.Algorithm), orDash(c.Header.KeyID))})
	}
	for _, r := range c.Repairs {
		rows = append(rows, [2]string{"damage", r})
	}
	return rows
}

func tokenText(c credential.Credential, v checks.Verdict, now time.Time, st Style) *page {
	p := &page{st: st}
	p.painted(decisionColor[v.Decision], "", tokenHeadline(c, v))
	for _, r := range tokenFacts(c, now) {
		p.fact(r[0], r[1])
	}
	p.gates(v)
	p.fixes(v)
	p.assumptions(v.Assumptions)
	p.more(deciding(v))
	return p
}

func tokenMarkdown(c credential.Credential, v checks.Verdict, now time.Time) string {
	var b strings.Builder
	fmt.Fprintf(&b, "## %s\n\n", md(tokenHeadline(c, v)))
	for _, r := range tokenFacts(c, now) {
		if r[1] != "" {
			fmt.Fprintf(&b, "- **%s:** %s\n", r[0], md(r[1]))
		}
	}
	b.WriteString("\n| check | outcome | finding |\n|---|---|---|\n")
	for _, f := range v.Findings {
		if f.Outcome != checks.NotApplicable {
			fmt.Fprintf(&b, "| %s | %s %s | %s |\n", f.Check, symbols[f.Outcome].sign, symbols[f.Outcome].word, md(f.Message))
		}
	}
	return b.String()
}
