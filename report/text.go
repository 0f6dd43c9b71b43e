package report

import (
	"fmt"
	"strings"

	"github.com/mattn/go-runewidth"
	"github.com/olekukonko/tablewriter"
	"github.com/olekukonko/tablewriter/renderer"
	"github.com/olekukonko/tablewriter/tw"

	"diagnose/checks"
)

// This file owns how the tool speaks to a terminal:
//
//   - the sentence that matters comes first, then what it rests on;
//   - what an observed answer says against it comes before everything else;
//   - passes are counted, not listed; consequences are folded;
//   - commands stand on lines of their own, unwrapped, ready to paste;
//   - symbols never carry meaning alone, and colour only repeats it;
//   - everything else fits 80 columns.

// columns is the width of text where the style names none.
const columns = 80

type symbol struct{ sign, ascii, word, color string }

var symbols = map[checks.Outcome]symbol{
	checks.Pass:          {"√", "+", "pass", "32"},
	checks.Warn:          {"‼", "!", "warn", "33"},
	checks.Fail:          {"×", "x", "fail", "31"},
	checks.Unknown:       {"?", "?", "unknown", "36"},
	checks.NotApplicable: {"·", "-", "n/a", "90"},
}

var decisionColor = map[checks.Decision]string{checks.Allowed: "1;32", checks.Denied: "1;31", checks.Undetermined: "1;33"}

func (st Style) width() int {
	if st.Width == 0 {
		return columns
	}
	return st.Width
}

func (st Style) paint(color, s string) string {
	if !st.Color || s == "" {
		return s
	}
	return "\x1b[" + color + "m" + s + "\x1b[0m"
}

// sign is the symbol of an outcome with its word, so that neither colour nor
// symbol is needed to read it.
func (st Style) sign(o checks.Outcome) string {
	s := symbols[o]
	if st.ASCII {
		return s.ascii
	}
	return s.sign
}

// A page is text under construction.
type page struct {
	strings.Builder
	st Style
}

// para writes a wrapped paragraph, its first line behind lead and the others
// indented to it.
func (p *page) para(lead, s string) {
	indent := strings.Repeat(" ", runewidth.StringWidth(lead))
	for i, line := range wrap(Clean(s), p.st.width()-len(indent)) {
		if i == 0 {
			p.WriteString(lead)
		} else {
			p.WriteString(indent)
		}
		p.WriteString(line + "\n")
	}
}

// wrap breaks text between words. A word that is longer than a line, such as a
// URL, is broken where the line ends.
func wrap(s string, width int) []string {
	var out []string
	line := ""
	for _, w := range strings.Fields(s) {
		for runewidth.StringWidth(w) > width {
			if line != "" {
				out, line = append(out, line), ""
			}
			head := runewidth.Truncate(w, width, "")
			out, w = append(out, head), w[len(head):]
		}
		switch {
		case line == "":
			line = w
		case runewidth.StringWidth(line)+1+runewidth.StringWidth(w) <= width:
			line += " " + w
		default:
			out, line = append(out, line), w
		}
	}
	if line != "" || len(out) == 0 {
		out = append(out, line)
	}
	return out
}

func (p *page) head(title string) {
	p.WriteString("\n" + p.st.paint("1", title) + "\n")
}

func (p *page) commands(indent string, cs []checks.Command) {
	for _, c := range cs {
		p.WriteString(indent + Shell(c) + "\n")
	}
}

// table lays rows out in columns without rules, the last column wrapped to
// what the others leave. A header may be nil.
func (p *page) table(header []string, rows [][]string) {
	widths := make([]int, 0, 8)
	for _, row := range append([][]string{header}, rows...) {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], runewidth.StringWidth(cell))
		}
	}
	last := len(widths) - 1
	left := p.st.width()
	for _, w := range widths[:last] {
		left -= w + 2
	}
	folded := make([][]string, len(rows))
	for i, row := range rows {
		folded[i] = append([]string(nil), row...)
		folded[i][last] = strings.Join(wrap(row[last], max(left, 20)), "\n")
	}
	none := tw.Border{Left: tw.Off, Right: tw.Off, Top: tw.Off, Bottom: tw.Off}
	t := tablewriter.NewTable(&p.Builder,
		tablewriter.WithRenderer(renderer.NewBlueprint(tw.Rendition{Borders: none, Settings: tw.Settings{
			Separators: tw.Separators{BetweenColumns: tw.Off, BetweenRows: tw.Off, ShowHeader: tw.Off, ShowFooter: tw.Off},
			Lines:      tw.Lines{ShowHeaderLine: tw.Off, ShowFooterLine: tw.Off, ShowTop: tw.Off, ShowBottom: tw.Off},
		}})),
		tablewriter.WithPadding(tw.Padding{Left: "", Right: "  ", Overwrite: true}),
		tablewriter.WithRowAutoWrap(tw.WrapNone), tablewriter.WithHeaderAutoFormat(tw.Off), tablewriter.WithHeaderAutoWrap(tw.WrapNone),
		tablewriter.WithHeaderAlignment(tw.AlignLeft), tablewriter.WithRowAlignment(tw.AlignLeft),
		tablewriter.WithTrimLine(tw.Off))
	if header != nil {
		t.Header(header)
	}
	if err := t.Bulk(folded); err != nil {
		return
	}
	_ = t.Render()
}

// trimmed cuts the padding that a table leaves at the end of its lines.
func (p *page) trimmed() string {
	lines := strings.Split(p.String(), "\n")
	for i, l := range lines {
		lines[i] = strings.TrimRight(l, " ")
	}
	return strings.Join(lines, "\n")
}

func text(v checks.Verdict, st Style) string {
	p := &page{st: st}
	p.observed(v)
	decision := st.paint(decisionColor[v.Decision], v.Decision.String())
	p.para("", v.Decision.String()+": "+v.Headline())
	s := strings.Replace(p.String(), v.Decision.String(), decision, 1)
	if v.Observed == nil {
		p.Reset()
		p.WriteString(s)
	}
	p.basis(v)
	p.gates(v)
	p.fixes(v)
	p.assumptions(v)
	p.explanations(v)
	if f, ok := v.Cause(); ok {
		p.WriteString("\nmore: diagnose explain " + f.Check + "\n")
	}
	return p.trimmed()
}

// observed says first what was seen, and whether the evidence accounts for it.
func (p *page) observed(v checks.Verdict) {
	o := v.Observed
	if o == nil {
		return
	}
	seen := "an answer was observed"
	if o.Status != 0 {
		seen = fmt.Sprintf("%d was observed", o.Status)
	}
	if o.Author != "" {
		seen += fmt.Sprintf(", written by %s: %s", o.Author, o.AuthorBasis)
	}
	switch o.Agrees {
	case checks.Agrees:
		seen += "; that is what the evidence leads to"
	case checks.Disagrees:
		seen += "; the evidence leads to " + answerWord(v.Expected)
	}
	p.para("observed  ", seen)
}

func answerWord(a *checks.Answer) string {
	switch {
	case a == nil:
		return "no answer that can be named"
	case a.Status == 0:
		return "the container's own answer"
	}
	return fmt.Sprintf("%d from the front end", a.Status)
}

func (p *page) basis(v checks.Verdict) {
	who := v.Principal
	if who != "" {
		p.para("principal ", who)
	}
	if v.Target.URL != "" {
		p.para("target    ", v.Target.URL)
	}
	words := "proven: no document that was not read could turn it"
	switch {
	case v.Decision == checks.Undetermined:
		words = "open: see the questions marked unknown"
	case v.Basis == checks.Assumed:
		words = fmt.Sprintf("assumed: it rests on %s below", count(len(v.Assumptions), "assumption"))
	}
	p.para("basis     ", words)
	if v.Expected != nil {
		p.para("expect    ", answerWord(v.Expected)+suffix(v.Expected))
	}
}

func suffix(a *checks.Answer) string {
	s := ""
	if a.Log != "" {
		s += fmt.Sprintf(", logged as %q", a.Log)
	} else if a.Status == 404 {
		s += ", and nothing in the log"
	}
	if a.Location != "" {
		s += ", to " + a.Location
	}
	return s
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// gates writes a row for every gate: what fails, is open or is not right in
// full, the rest as a number.
func (p *page) gates(v checks.Verdict) {
	var rows [][]string
	told := map[string]bool{}
	for start := 0; start < len(v.Findings); {
		end := start
		for end < len(v.Findings) && v.Findings[end].Gate == v.Findings[start].Gate {
			end++
		}
		rows = append(rows, p.gate(v.Findings[start:end], told)...)
		start = end
	}
	p.WriteString("\n")
	p.table(nil, rows)
}

func (p *page) gate(fs []checks.Finding, told map[string]bool) [][]string {
	var rows [][]string
	name := fs[0].Gate
	add := func(o checks.Outcome, check, message string) {
		rows = append(rows, []string{name, p.st.sign(o), check, Clean(message)})
		name = ""
	}
	passes, idle := 0, 0
	for _, f := range fs {
		switch {
		case p.st.Verbose:
			add(f.Outcome, f.Check, f.Message)
		case f.Outcome == checks.Pass:
			passes++
		case f.Outcome == checks.NotApplicable:
			idle++
		case told[f.Message]:
		default:
			told[f.Message] = true
			add(f.Outcome, f.Check, p.message(f, told))
		}
	}
	switch {
	case p.st.Verbose:
	case passes > 0 && len(rows) == 0:
		add(checks.Pass, "", count(passes, "check")+" passed")
	case passes > 0:
		add(checks.Pass, "", fmt.Sprintf("%d more passed", passes))
	case len(rows) == 0 && idle > 0:
		add(checks.NotApplicable, "", "does not apply: "+fs[0].Message)
	}
	return rows
}

// message is what a finding says, with the place to look. An explanation that
// repeats the end of an earlier sentence is left out.
func (p *page) message(f checks.Finding, told map[string]bool) string {
	if _, cause, ok := strings.Cut(f.Message, ": "); ok && f.Check == "access-granted" {
		told[cause] = true
	}
	s := f.Message
	if len(f.Assumes) > 0 && f.Outcome == checks.Unknown {
		s += " (assumed: " + f.Assumes[0].Text + ")"
	}
	if f.Outcome == checks.Fail {
		for _, c := range f.Cites {
			if c.Document != "" {
				s += fmt.Sprintf(" [%s%s]", c.Document, c.Pointer)
				break
			}
		}
	}
	return s
}

func (p *page) fixes(v checks.Verdict) {
	written := map[string]bool{}
	if len(v.Repair) > 0 {
		p.head("repair: this makes it succeed, proved by judging again")
		for _, id := range v.Repair {
			if f, ok := v.Fix(id); ok {
				written[id] = true
				p.fix(f, "")
			}
		}
	}
	titled := false
	for _, f := range v.Findings {
		for _, x := range f.Fixes {
			if written[x.ID] || (f.Outcome != checks.Fail && f.Outcome != checks.Unknown) {
				continue
			}
			if !titled {
				p.head(map[bool]string{true: "other ways", false: "fixes"}[len(v.Repair) > 0])
				titled = true
			}
			written[x.ID] = true
			p.fix(x, x.Effect.String())
		}
	}
}

var effectWords = map[string]string{
	"allowed": "makes it succeed", "progress": "this failure goes, another remains", "unverified": "effect not shown",
}

func (p *page) fix(f checks.Fix, effect string) {
	summary := f.Summary
	if effect != "" {
		summary += " (" + effectWords[effect] + ")"
	}
	p.para("- ", summary)
	p.commands("    ", f.Commands)
	if f.Caution != "" {
		p.para("    note: ", f.Caution)
	}
	if f.Terraform != "" && p.st.Verbose {
		for _, l := range strings.Split(f.Terraform, "\n") {
			p.WriteString("    " + Clean(l) + "\n")
		}
	}
}

func (p *page) assumptions(v checks.Verdict) {
	if len(v.Assumptions) == 0 {
		return
	}
	p.head("assumed, and the command that would tell")
	for _, a := range v.Assumptions {
		p.para("- ", a.Text)
		p.commands("    ", a.Gather)
	}
}

// explanations writes what could account for the observed answer, and for an
// undetermined verdict what to fetch next.
func (p *page) explanations(v checks.Verdict) {
	if v.Observed != nil && len(v.Observed.Explanations) > 0 {
		p.head("what would explain the answer, the most likely first")
		for _, e := range v.Observed.Explanations {
			p.para("- ", e.Text+" ("+e.Check+")")
			p.commands("    ", e.Gather)
		}
		return
	}
	if v.Decision != checks.Undetermined {
		return
	}
	p.head("fetch next")
	seen := map[string]bool{}
	for _, f := range v.Findings {
		if f.Outcome != checks.Unknown || len(f.Assumes) > 0 {
			continue
		}
		for _, c := range f.Gather {
			if s := Shell(c); !seen[s] {
				seen[s] = true
				p.WriteString("    " + s + "\n")
			}
		}
	}
}
