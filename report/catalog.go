package report

import (
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
	data := func() any {
		var out []wireCheck
		for _, g := range gates {
			for _, c := range g.Checks {
				out = append(out, checkJSON(g, c))
			}
		}
		return struct {
			SchemaVersion string      `json:"schemaVersion"`
			Checks        []wireCheck `json:"checks"`
		}{schemaVersion, out}
	}
	return emit(w, format, data, func() *page {
		var rows [][]string
		for _, g := range gates {
			for _, c := range g.Checks {
				rows = append(rows, []string{g.Name, c.ID, c.Confidence.String(), c.Title}) // for a rule, its severity and what it finds
			}
		}
		p := &page{Title: "Checks"}
		p.add(textGrid([]string{"gate", "check", "known by", "question"}, rows))
		return p
	}, st)
}

// confidences say how a rule is known.
var confidences = map[checks.Confidence]string{
	checks.Unproven:   "unproven: no source was found, a live probe would tell",
	checks.Inferred:   "inferred: concluded from documented facts",
	checks.Reported:   "reported: observed by users",
	checks.Source:     "source: read in Google's own source or messages",
	checks.Documented: "documented: stated in Google's documentation",
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
func Comment(w io.Writer, about, command string, st Style) error {
	s := &sheet{st: st}
	s.para(st.paint(dim, "# "), "  ", about, dim)
	s.WriteString("$ " + Clean(command) + "\n")
	return write(w, s.String())
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
	return emit(w, format, func() any { return stories }, func() *page {
		rows := make([][]string, len(stories))
		for i, s := range stories {
			rows[i] = []string{s.Name, s.Decision, s.Cause}
			if format != "table" {
				rows[i] = append(rows[i], s.Title)
			}
		}
		p := &page{Title: "Stories"}
		p.add(textGrid([]string{"story", "decision", "cause", "what happened"}[:len(rows[0])], rows),
			links{{Command: "diagnose demo NAME"}})
		return p
	}, st)
}
