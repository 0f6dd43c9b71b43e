package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"

	"diagnose/checks/rules"
)

var (
	//go:embed page/findings.html
	findingsHTML string
	//go:embed page/findings.css
	findingsCSS string
	//go:embed page/findings.js
	findingsJS string

	findingsTemplate = template.Must(template.New("findings").Parse(findingsHTML))
)

// findingsPage is what the page shows.
type findingsPage struct {
	Title, Verdict, Class string
	Notes                 []string
	Tiles                 []tile
	Data                  pageData
	dress
}

type tile struct {
	Name  string
	Value int
}

type pageData struct {
	Findings []pageFinding  `json:"findings"`
	Exposure []wireExposure `json:"exposure"`
}

type pageFinding struct {
	Index      int       `json:"i"`
	Severity   string    `json:"severity"`
	Rule       string    `json:"rule"`
	Resource   string    `json:"resource"`
	Member     string    `json:"member"`
	Role       string    `json:"role"`
	On         string    `json:"on"`
	Condition  string    `json:"condition,omitempty"`
	Reach      any       `json:"reach"`
	Message    string    `json:"message"`
	Where      string    `json:"where,omitempty"`
	Node       string    `json:"node,omitempty"`
	Suppressed string    `json:"suppressed,omitempty"`
	Fixes      []wireFix `json:"fixes,omitempty"`
}

func writeFindingsHTML(w io.Writer, f Findings) error {
	label, sentence, m := f.verdict()
	p := findingsPage{
		Title: "diagnose " + f.Command, Verdict: label + ": " + Clean(sentence), Class: m.Tone.String(), Tiles: f.tiles(),
		dress: dressed(findingsCSS, findingsJS),
	}
	for _, i := range f.Incomplete {
		p.Notes = append(p.Notes, "missing: "+Clean(i))
	}
	if d := f.Baseline; d != nil {
		p.Notes = append(p.Notes, fmt.Sprintf("against the baseline: %d new, %d gone, %d unchanged", d.New, d.Gone, d.Unchanged))
	}
	for _, u := range f.Summary.Unread[:min(len(f.Summary.Unread), 20)] {
		p.Notes = append(p.Notes, "not known: "+Clean(notKnown(u)))
	}
	if line := f.asideLine(); line != "" {
		p.Notes = append(p.Notes, Clean(line))
	}
	for _, c := range f.Changes {
		if len(c.Gained) > 0 {
			p.Notes = append(p.Notes, "opens "+shortName(c.Target)+" to "+Clean(strings.Join(c.Gained, ", ")))
		}
		if len(c.Lost) > 0 {
			p.Notes = append(p.Notes, "cuts off "+Clean(strings.Join(c.Lost, ", "))+" from "+shortName(c.Target))
		}
	}
	for i, x := range f.Result.Findings {
		p.Data.Findings = append(p.Data.Findings, pageFindingOf(i, x))
	}
	if p.Data.Findings == nil {
		p.Data.Findings = []pageFinding{}
	}
	for _, e := range f.Summary.Exposure {
		e.Name, e.Title, e.Parent = Clean(e.Name), Clean(e.Title), Clean(e.Parent)
		p.Data.Exposure = append(p.Data.Exposure, wireExposure(e))
	}
	if err := findingsTemplate.Execute(w, p); err != nil {
		return fmt.Errorf("writing the page: %w", err)
	}
	return nil
}

func pageFindingOf(i int, x rules.Finding) pageFinding {
	out := pageFinding{Index: i, Severity: x.Severity.String(), Rule: x.Rule, Resource: Clean(x.Resource), Member: Clean(x.Member), Role: Clean(x.Role), On: Clean(x.GrantedOn), Condition: Clean(x.Condition),
		Reach: "unknown", Message: Clean(x.Message), Where: Clean(strings.TrimPrefix(whereSuffix(x.Where.File, x.Where.Line, x.Where.Address), ", see ")), Node: Clean(x.Node), Suppressed: Clean(x.Suppressed)}
	if x.Reach.Known {
		out.Reach = x.Reach.Services
	}
	for _, fix := range x.Fixes {
		out.Fixes = append(out.Fixes, wireFix{ID: fix.ID, Summary: Clean(fix.Summary), Commands: shells(fix.Commands), Terraform: keepLines(fix.Terraform), Caution: Clean(fix.Caution)})
	}
	return out
}

// tiles are the numbers on top of the page.
func (f Findings) tiles() []tile {
	n := map[rules.Severity]int{}
	for _, x := range f.Result.Findings {
		if x.Suppressed == "" {
			n[x.Severity]++
		}
	}
	return []tile{
		{"services", f.Summary.Services}, {"gen1 functions", f.Summary.Functions}, {"public", f.Summary.Public},
		{"critical", n[rules.Critical]}, {"high", n[rules.High]}, {"medium", n[rules.Medium]}, {"low and info", n[rules.Low] + n[rules.Info]},
	}
}
