package report

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf16"

	"diagnose/checks"
	"diagnose/internal/credential"
	"diagnose/internal/evidence"
)

// schemaVersion changes when a field changes its meaning or goes away.
const schemaVersion = "1"

// The wire types are the public format; they change only by addition.
type (
	wireVerdict struct {
		SchemaVersion string           `json:"schemaVersion"`
		Target        wireTarget       `json:"target"`
		Principal     string           `json:"principal"`
		JudgedAt      wireMoment       `json:"judgedAt"`
		Decision      string           `json:"decision"`
		Basis         string           `json:"basis"`
		Assumptions   []wireAssumption `json:"assumptions"`
		Expected      wireAnswer       `json:"expected"`
		Observed      *wireObserved    `json:"observed,omitempty"`
		Cause         string           `json:"cause"`
		Headline      string           `json:"headline"`
		Findings      []wireFinding    `json:"findings"`
		Repair        []string         `json:"repair"`
		RepairNone    string           `json:"repairNone,omitempty"`
	}
	wireTarget struct {
		URL         string `json:"url"`
		Function    string `json:"function"`
		Service     string `json:"service"`
		Environment string `json:"environment"`
	}
	wireAssumption struct {
		Check    string   `json:"check"`
		Document string   `json:"document,omitempty"`
		Text     string   `json:"text"`
		Gather   []string `json:"gather"`
	}
	// wireMoment has an empty time where none was judged at.
	wireMoment struct {
		Time string `json:"time"`
		From string `json:"from"`
	}
	// wireAnswer has a null status where no answer is expected.
	wireAnswer struct {
		Status          *int   `json:"status"`
		Author          string `json:"author"`
		WWWAuthenticate string `json:"wwwAuthenticate"`
		Log             string `json:"log"`
		Location        string `json:"location,omitempty"`
	}
	// wireObserved has a null agreement where there is nothing to compare.
	wireObserved struct {
		Status       int               `json:"status"`
		Agrees       *bool             `json:"agrees"`
		Author       string            `json:"author"`
		AuthorBasis  string            `json:"authorBasis"`
		Source       wireCite          `json:"source"`
		Time         string            `json:"time,omitempty"`
		URL          string            `json:"url,omitempty"`
		Note         string            `json:"note,omitempty"`
		Explanations []wireExplanation `json:"explanations"`
	}
	wireExplanation struct {
		Check  string     `json:"check"`
		Text   string     `json:"text"`
		Cites  []wireCite `json:"cites,omitempty"`
		Gather []string   `json:"gather"`
	}
	wireFinding struct {
		Gate    string     `json:"gate"`
		Check   string     `json:"check"`
		Outcome string     `json:"outcome"`
		Message string     `json:"message"`
		Cites   []wireCite `json:"cites"`
		Fixes   []wireFix  `json:"fixes"`
		Gather  []string   `json:"gather,omitempty"`
	}
	wireCite struct {
		Document string `json:"document"`
		Pointer  string `json:"pointer"`
	}
	wireFix struct {
		ID        string        `json:"id"`
		Summary   string        `json:"summary"`
		Commands  []string      `json:"commands"`
		Snippets  []wireSnippet `json:"snippets,omitempty"`
		Terraform string        `json:"terraform"`
		Effect    string        `json:"effect"`
		Remaining []string      `json:"remaining,omitempty"`
		Caution   string        `json:"caution,omitempty"`
	}
	wireSnippet struct {
		Language string `json:"language"`
		Where    string `json:"where"`
		Text     string `json:"text"`
	}
)

// writeJSON writes a document without secrets, and with the characters that a
// terminal would obey spelt as escapes.
func writeJSON(w io.Writer, v any) error {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("encoding the report: %w", err)
	}
	return write(w, spelt(b.String()))
}

// spelt takes secrets out of JSON, and spells the characters that a terminal
// would obey as escapes.
func spelt(text string) string {
	text = credential.Hide(text)
	if plain(strings.ReplaceAll(text, "\n", "")) {
		return text
	}
	var out strings.Builder
	for _, r := range text {
		if r == '\n' || !hidden(r) {
			out.WriteRune(r)
			continue
		}
		for _, u := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(&out, `\u%04x`, u)
		}
	}
	return out.String()
}

func verdictJSON(v checks.Verdict) wireVerdict {
	cause, _ := v.Cause()
	out := wireVerdict{
		SchemaVersion: schemaVersion, Target: wireTarget(v.Target), Principal: v.Principal,
		JudgedAt: wireMoment{timeJSON(v.JudgedAt.Time), v.JudgedAt.From},
		Decision: v.Decision.String(), Basis: v.Basis.String(), Cause: cause.Check, Headline: v.Headline(),
		Assumptions: []wireAssumption{}, Findings: []wireFinding{}, Repair: append([]string{}, v.Repair...),
		RepairNone: v.NoRepair, Observed: observedJSON(v.Observed),
	}
	if a := v.Expected; a != nil {
		out.Expected = wireAnswer{Status: &a.Status, Author: a.Author, WWWAuthenticate: a.WWWAuthenticate, Log: a.Log, Location: a.Location}
	}
	for _, a := range v.Assumptions {
		out.Assumptions = append(out.Assumptions, wireAssumption{a.Check, a.Document, a.Text, shells(a.Gather)})
	}
	for _, f := range v.Findings {
		out.Findings = append(out.Findings, findingJSON(f))
	}
	return out
}

func timeJSON(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

func observedJSON(o *checks.Observation) *wireObserved {
	if o == nil {
		return nil
	}
	out := &wireObserved{Status: o.Status, Author: o.Author, AuthorBasis: o.AuthorBasis, Explanations: []wireExplanation{},
		Source: wireCite{o.Source.Document, o.Source.Pointer}, Time: timeJSON(o.Time), URL: o.URL, Note: o.Note}
	if o.Agrees != checks.NotCompared {
		agrees := o.Agrees == checks.Agrees
		out.Agrees = &agrees
	}
	for _, e := range o.Explanations {
		out.Explanations = append(out.Explanations, wireExplanation{e.Check, e.Text, citesJSON(e.Cites), shells(e.Gather)})
	}
	return out
}

func findingJSON(f checks.Finding) wireFinding {
	out := wireFinding{Gate: f.Gate, Check: f.Check, Outcome: f.Outcome.String(), Message: f.Message,
		Cites: citesJSON(f.Cites), Fixes: []wireFix{}, Gather: shells(f.Gather)}
	for _, x := range f.Fixes {
		out.Fixes = append(out.Fixes, fixJSON(x))
	}
	return out
}

func fixJSON(x checks.Fix) wireFix {
	out := wireFix{ID: x.ID, Summary: x.Summary, Commands: shells(x.Commands), Terraform: x.Terraform,
		Effect: x.Effect.String(), Remaining: x.Remaining, Caution: x.Caution}
	for _, s := range x.Snippets {
		out.Snippets = append(out.Snippets, wireSnippet{s.Language, s.Where, s.Text})
	}
	return out
}

func citesJSON(cs []evidence.Source) []wireCite {
	out := []wireCite{}
	for _, c := range cs {
		if c.Document != "" {
			out = append(out, wireCite{c.Document, c.Pointer})
		}
	}
	return out
}
