package report

import (
	"fmt"
	"io"
	"strings"

	"diagnose/checks"
)

type wireCheck struct {
	Gate       string `json:"gate"`
	ID         string `json:"id"`
	Title      string `json:"title"`
	Doc        string `json:"doc"`
	Ref        string `json:"ref"`
	Confidence string `json:"confidence"`
	Refuses    string `json:"refuses"`
}

func checkJSON(g checks.Gate, c checks.Check) wireCheck {
	return wireCheck{g.Name, c.ID, c.Title, strings.Join(strings.Fields(c.Doc), " "), c.Ref, c.Confidence.String(), g.Refuses}
}

// Checks lists the gates and their checks, and the rules as gates without
// refusal, in a format.
func Checks(w io.Writer, format string, gates []checks.Gate, st Style) error {
	if format == "json" {
		var out []wireCheck
		for _, g := range gates {
			for _, c := range g.Checks {
				out = append(out, checkJSON(g, c))
			}
		}
		return writeJSON(w, struct {
			SchemaVersion string      `json:"schemaVersion"`
			Checks        []wireCheck `json:"checks"`
		}{schemaVersion, out})
	}
	var rows [][]string
	for _, g := range gates {
		for _, c := range g.Checks {
			rows = append(rows, []string{g.Name, c.ID, c.Confidence.String(), c.Title}) // for a rule, its severity and what it finds
		}
	}
	if format == "table" {
		p := &page{st: st}
		p.table([]string{"gate", "check", "known by", "good answer"}, rows)
		return p.send(w)
	}
	s := "| gate | check | known by | good answer |\n|---|---|---|---|\n"
	for _, r := range rows {
		s += "| " + strings.Join(r, " | ") + " |\n"
	}
	if format == "html" {
		return writeHTML(w, "Checks", s)
	}
	return write(w, s)
}

// confidences say how a rule is known.
var confidences = map[checks.Confidence]string{
	checks.Unproven:   "unproven: no source was found, a live probe would tell",
	checks.Inferred:   "inferred: concluded from documented facts",
	checks.Reported:   "reported: observed by users",
	checks.Source:     "source: read in Google's own source or messages",
	checks.Documented: "documented: stated in Google's documentation",
}

// Explain writes what one check asks, why, and where the rule stands.
func Explain(w io.Writer, format string, g checks.Gate, c checks.Check, stories []string, st Style) error {
	if format == "json" {
		return writeJSON(w, checkJSON(g, c))
	}
	doc := strings.Join(strings.Fields(c.Doc), " ")
	if format != "table" {
		s := fmt.Sprintf("## %s\n\n%s\n\n%s\n\n- %s\n- known by: %s\n- source: %s\n", c.ID, c.Title, doc, place(g), c.Confidence, c.Ref)
		if format == "html" {
			return writeHTML(w, c.ID, s)
		}
		return write(w, s)
	}
	p := &page{st: st}
	p.painted(bold, "", c.ID+": "+c.Title)
	p.WriteString("\n")
	p.para("", doc)
	p.WriteString("\n")
	name, where, _ := strings.Cut(place(g), ": ")
	p.fact(name, where)
	p.fact("known by", confidences[c.Confidence])
	p.fact("source", c.Ref)
	for _, s := range stories {
		p.fact("example", "diagnose demo "+s)
	}
	return p.send(w)
}

// place says where a check stands: at a gate of invoke, or among the rules of
// gate and scan, which refuse nothing.
func place(g checks.Gate) string {
	if g.Refuses == "" {
		return "rule: of gate and scan, " + g.Name
	}
	return "gate: " + g.Name + ", refuses with " + g.Refuses
}

// Comment writes what a report is about, and the command that makes it.
func Comment(w io.Writer, text, command string, st Style) error {
	p := &page{st: st}
	p.painted(dim, "# ", text)
	p.WriteString("$ " + Clean(command) + "\n")
	return p.send(w)
}

// A StoryRow is one embedded case in a list.
type StoryRow struct {
	Name     string `json:"name"`
	Decision string `json:"decision"`
	Cause    string `json:"cause"`
	Title    string `json:"title"`
}

// Stories lists embedded cases, in a format.
func Stories(w io.Writer, format string, stories []StoryRow, st Style) error {
	if format == "json" {
		return writeJSON(w, stories)
	}
	p := &page{st: st}
	var b strings.Builder
	b.WriteString("| story | decision | cause | what happened |\n|---|---|---|---|\n")
	rows := make([][]string, len(stories))
	for i, s := range stories {
		rows[i] = []string{s.Name, s.Decision, s.Cause}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", s.Name, s.Decision, s.Cause, md(s.Title))
	}
	switch format {
	case "markdown":
		return write(w, b.String())
	case "html":
		return writeHTML(w, "Stories", b.String())
	}
	p.table([]string{"story", "decision", "cause"}, rows)
	p.WriteString("\nmore: diagnose demo NAME\n")
	return p.send(w)
}
