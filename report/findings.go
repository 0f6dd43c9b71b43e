package report

import (
	"cmp"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"diagnose/checks/rules"
	"diagnose/internal/estate"
)

// Findings is what gate and scan report.
type Findings struct {
	Command string // "gate" or "scan"
	rules.Result
	FailOn rules.Severity // from which severity on a finding makes the run fail
	At     time.Time      // the moment judged at
	// Incomplete says why something is missing from the result, nil where
	// nothing is known to be.
	Incomplete []string
	// AllowUnknown says that what is not known of a change does not keep it
	// from passing.
	AllowUnknown bool
	// Baseline is the comparison with an earlier run, nil where there is none.
	// The findings are then the new ones.
	Baseline *Drift
}

// Drift counts findings against an earlier run.
type Drift struct {
	New, Gone, Unchanged int
	Fixed                []string // what is gone, a line each
}

// FindingFormats lists the formats of WriteFindings.
var FindingFormats = append(slices.Clone(Formats), "sarif", "junit", "ndjson", "csv")

// WriteFindings writes the findings in a format.
func WriteFindings(w io.Writer, format string, f Findings, st Style) error {
	switch format {
	case "json":
		return writeJSON(w, f.wire())
	case "ndjson":
		return writeNDJSON(w, f)
	case "csv":
		return writeCSV(w, f)
	case "markdown":
		return write(w, f.markdown())
	case "html":
		return writeFindingsHTML(w, f)
	case "sarif":
		return writeSARIF(w, f)
	case "junit":
		return writeJUnit(w, f)
	}
	return findingsText(f, st).send(w)
}

type (
	wireFindings struct {
		SchemaVersion string            `json:"schemaVersion"`
		Summary       wireSummary       `json:"summary"`
		Findings      []wireRuleFinding `json:"findings"`
		Changes       []wireChange      `json:"changes,omitempty"`
	}
	wireSummary struct {
		Services      int            `json:"services"`
		Functions     int            `json:"functions"`
		Public        int            `json:"public"`
		PublicUnknown int            `json:"publicUnknown,omitempty"`
		Complete      bool           `json:"complete"`
		Findings      int            `json:"findings"`
		Suppressed    int            `json:"suppressed"`
		BySeverity    map[string]int `json:"bySeverity"`
		ByRule        map[string]int `json:"byRule"`
		FailOn        string         `json:"failOn"`
		AtOrAbove     int            `json:"atOrAbove"`
		Baseline      *wireDrift     `json:"baseline,omitempty"`
		Unknown       int            `json:"unknown"`
		Unread        []string       `json:"unread"`
		Aside         int            `json:"aside,omitempty"`
		Incomplete    []string       `json:"incomplete"`
		Exposure      []wireExposure `json:"exposure,omitempty"`
	}
	wireDrift struct {
		New       int      `json:"new"`
		Gone      int      `json:"gone"`
		Unchanged int      `json:"unchanged"`
		Fixed     []string `json:"fixed,omitempty"`
	}
	wireExposure struct {
		Name     string `json:"name"`
		Title    string `json:"title,omitempty"`
		Parent   string `json:"parent,omitempty"`
		Targets  int    `json:"targets"`
		Public   int    `json:"public"`
		Findings int    `json:"findings"`
	}
	wireRuleFinding struct {
		Rule             string       `json:"rule"`
		Severity         string       `json:"severity"`
		Resource         string       `json:"resource"`
		ResourceType     string       `json:"resourceType"`
		Role             string       `json:"role"`
		Member           string       `json:"member"`
		GrantedOn        string       `json:"grantedOn"`
		Condition        string       `json:"condition"`
		Reach            wireReach    `json:"reach"`
		Message          string       `json:"message"`
		Location         wireLocation `json:"location"`
		Fixes            []wireFix    `json:"fixes"`
		Fingerprint      string       `json:"fingerprint"`
		Suppressed       bool         `json:"suppressed"`
		SuppressedReason string       `json:"suppressedReason,omitempty"`
		Unknown          bool         `json:"unknown,omitempty"`
	}
	// wireReach is a number, or "unknown".
	wireReach struct {
		Services any `json:"services"`
	}
	wireLocation struct {
		File    string `json:"file,omitempty"`
		Line    int    `json:"line,omitempty"`
		Offset  int64  `json:"offset,omitempty"`
		Address string `json:"address,omitempty"`
	}
	wireChange struct {
		Target string   `json:"target"`
		Gained []string `json:"gained"`
		Lost   []string `json:"lost"`
		Open   string   `json:"unknown,omitempty"`
	}
)

func (f Findings) wire() wireFindings {
	s := f.Summary
	out := wireFindings{SchemaVersion: schemaVersion, Findings: []wireRuleFinding{}, Summary: wireSummary{
		Services: s.Services, Functions: s.Functions, Public: s.Public, PublicUnknown: s.PublicUnknown, Complete: s.Complete && len(f.Incomplete) == 0, Findings: len(f.Result.Findings), Suppressed: f.suppressed(),
		BySeverity: map[string]int{}, ByRule: map[string]int{}, FailOn: f.FailOn.String(), AtOrAbove: f.AtLeast(f.FailOn), Unknown: f.Open(), Unread: []string{}, Aside: len(s.Aside), Incomplete: append([]string{}, f.Incomplete...),
	}}
	if d := f.Baseline; d != nil {
		out.Summary.Baseline = &wireDrift{d.New, d.Gone, d.Unchanged, d.Fixed}
	}
	for _, u := range s.Unread {
		out.Summary.Unread = append(out.Summary.Unread, notKnown(u))
	}
	for _, e := range s.Exposure {
		out.Summary.Exposure = append(out.Summary.Exposure, wireExposure(e))
	}
	for _, x := range f.Result.Findings {
		if x.Suppressed == "" {
			out.Summary.BySeverity[x.Severity.String()]++
			out.Summary.ByRule[x.Rule]++
		}
		out.Findings = append(out.Findings, ruleFinding(x))
	}
	for _, c := range f.Changes {
		out.Changes = append(out.Changes, wireChange{c.Target, append([]string{}, c.Gained...), append([]string{}, c.Lost...), c.Open})
	}
	return out
}

func (f Findings) suppressed() int {
	n := 0
	for _, x := range f.Result.Findings {
		if x.Suppressed != "" {
			n++
		}
	}
	return n
}

func ruleFinding(x rules.Finding) wireRuleFinding {
	out := wireRuleFinding{
		Rule: x.Rule, Severity: x.Severity.String(), Resource: x.Resource, ResourceType: x.ResourceType, Role: x.Role, Member: x.Member, GrantedOn: x.GrantedOn,
		Condition: x.Condition, Reach: wireReach{"unknown"}, Message: x.Message, Location: wireLocation(x.Where), Fixes: []wireFix{}, Fingerprint: x.Fingerprint,
		Suppressed: x.Suppressed != "", SuppressedReason: x.Suppressed, Unknown: x.Unknown,
	}
	if x.Reach.Known {
		out.Reach.Services = x.Reach.Services
	}
	for _, fix := range x.Fixes {
		out.Fixes = append(out.Fixes, fixJSON(fix))
	}
	return out
}

// writeNDJSON writes one finding a line, as `json` has them.
func writeNDJSON(w io.Writer, f Findings) error {
	for _, x := range f.Result.Findings {
		line, err := json.Marshal(ruleFinding(x))
		if err != nil {
			return fmt.Errorf("encoding a finding: %w", err)
		}
		if err := write(w, spelt(string(line))+"\n"); err != nil {
			return err
		}
	}
	return nil
}

// writeCSV writes a line for each finding. A cell that a spreadsheet would
// take for a formula gets an apostrophe in front:
// https://owasp.org/www-community/attacks/CSV_Injection.
func writeCSV(w io.Writer, f Findings) error {
	c := csv.NewWriter(w)
	rows := [][]string{{"severity", "rule", "resource", "resource_type", "role", "member", "granted_on", "condition", "reach", "message", "file", "line", "address", "fix", "fingerprint", "suppressed"}}
	for _, x := range f.Result.Findings {
		fix := ""
		if len(x.Fixes) > 0 {
			fix = strings.Join(shells(x.Fixes[0].Commands), " && ")
		}
		line := ""
		if x.Where.Line > 0 {
			line = strconv.Itoa(x.Where.Line)
		}
		rows = append(rows, []string{x.Severity.String(), x.Rule, x.Resource, x.ResourceType, x.Role, x.Member, x.GrantedOn, x.Condition, reachWord(x.Reach), x.Message,
			x.Where.File, line, x.Where.Address, fix, x.Fingerprint, x.Suppressed})
	}
	for _, r := range rows {
		for i, cell := range r {
			if r[i] = Clean(cell); strings.IndexAny(r[i], "=+-@") == 0 {
				r[i] = "'" + r[i]
			}
		}
		if err := c.Write(r); err != nil {
			return err
		}
	}
	c.Flush()
	return c.Error()
}

func reachWord(r rules.Reach) string {
	if !r.Known {
		return "unknown"
	}
	return strconv.Itoa(r.Services)
}

var severityColor = map[rules.Severity]string{rules.Critical: "1;31", rules.High: "31", rules.Medium: "33", rules.Low: "36", rules.Info: dim}

// verdict is the sentence that matters.
func (f Findings) verdict() (string, string) {
	n := f.AtLeast(f.FailOn)
	what := "finding"
	if f.Baseline != nil {
		what = "new finding"
	}
	switch {
	case n > 0:
		return fmt.Sprintf("failed: %s of severity %s or above", plural(n, what), f.FailOn), "1;31"
	case len(f.Incomplete) > 0:
		return "incomplete: nothing of severity " + f.FailOn.String() + " or above in what could be read", "1;33"
	}
	passed, color := "passed", "1;32"
	if n := f.Open(); n > 0 {
		if f.Undecided() {
			return "not known: " + plural(n, "thing") + " could open or break invocation, and no " + what + " of severity " + f.FailOn.String() + " or above", "1;33"
		}
		passed, color = "passed, with "+plural(n, "thing")+" not known", "1;33"
	}
	return passed + ": no " + what + " of severity " + f.FailOn.String() + " or above", color
}

// Undecided reports whether a change neither fails nor passes: what is not
// known of it could open or break an invocation.
func (f Findings) Undecided() bool {
	return f.Command == "gate" && !f.AllowUnknown && f.AtLeast(f.FailOn) == 0 && f.Open() > 0
}

// notKnown says what is not known, why, and where it stands.
func notKnown(u estate.Unread) string {
	return u.What + ": " + u.Reason + whereSuffix(u.Where.File, u.Where.Line, u.Where.Address)
}

// asideLine counts what was not read and does not matter, "" where there is
// nothing.
func (f Findings) asideLine() string {
	n := len(f.Summary.Aside)
	if n == 0 {
		return ""
	}
	return plural(n, "thing") + " more could not be read and can neither open nor break invocation, such as " + f.Summary.Aside[0].What
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	if strings.HasSuffix(noun, "y") {
		noun = strings.TrimSuffix(noun, "y") + "ie"
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// maxListed bounds the findings that a terminal shows in full.
const maxListed = 50

func findingsText(f Findings, st Style) *page {
	p := &page{st: st}
	sentence, color := f.verdict()
	p.painted(color, "", sentence)
	p.fact("judged", f.judged())
	for _, i := range f.Incomplete {
		p.fact("missing", i)
	}
	if d := f.Baseline; d != nil {
		p.fact("baseline", fmt.Sprintf("%d new, %d gone, %d unchanged", d.New, d.Gone, d.Unchanged))
	}
	f.countsText(p)
	f.changesText(p)
	listed := f.Result.Findings
	if !st.Verbose {
		listed = slices.DeleteFunc(slices.Clone(listed), func(x rules.Finding) bool { return x.Suppressed != "" })
	}
	rest := len(listed)
	if !st.Verbose && len(listed) > maxListed {
		listed = listed[:maxListed]
	}
	for _, x := range listed {
		ruleFindingText(p, x)
	}
	if rest -= len(listed); rest > 0 {
		p.WriteString("\n")
		p.para("", fmt.Sprintf("and %s: -v lists them here, --format html or csv in full", plural(rest, "more finding")))
	}
	if n := f.suppressed(); n > 0 && !st.Verbose {
		p.WriteString("\n")
		p.para("", fmt.Sprintf("%s ignored, each with a reason: -v lists them", plural(n, "finding")))
	}
	if u := f.Summary.Unread; len(u) > 0 {
		p.head("not known, so not judged:")
		for _, x := range u[:min(len(u), 20)] {
			p.para("- ", notKnown(x))
		}
		if len(u) > 20 {
			p.para("- ", fmt.Sprintf("and %d more", len(u)-20))
		}
	}
	if line := f.asideLine(); line != "" {
		p.WriteString("\n")
		p.para("", line)
	}
	if len(listed) > 0 {
		p.more(listed[0].Rule)
	}
	return p
}

func (f Findings) judged() string {
	s := plural(f.Summary.Services, "Cloud Run service")
	if f.Summary.Functions > 0 {
		s += " and " + plural(f.Summary.Functions, "gen1 function")
	}
	s += fmt.Sprintf(", %d of them public", f.Summary.Public)
	if n := f.Summary.PublicUnknown; n > 0 {
		s += fmt.Sprintf(", not known of %d", n)
	}
	return s
}

// countsText counts by rule, the most severe first, and by project.
func (f Findings) countsText(p *page) {
	type count struct {
		rule     string
		severity rules.Severity
		n, reach int
		unknown  bool // the reach of one of them
	}
	var counts []*count
	for _, x := range f.Result.Findings {
		if x.Suppressed != "" {
			continue
		}
		i := slices.IndexFunc(counts, func(c *count) bool { return c.rule == x.Rule && c.severity == x.Severity })
		if i < 0 {
			counts = append(counts, &count{rule: x.Rule, severity: x.Severity})
			i = len(counts) - 1
		}
		counts[i].n++
		counts[i].reach += x.Reach.Services
		counts[i].unknown = counts[i].unknown || !x.Reach.Known
	}
	var rows [][]string
	for _, c := range counts {
		rows = append(rows, []string{p.st.paint(severityColor[c.severity], c.severity.String()), c.rule, strconv.Itoa(c.n), reachWord(rules.Reach{Services: c.reach, Known: !c.unknown})})
	}
	if len(rows) > 0 {
		p.WriteString("\n")
		p.table([]string{"severity", "rule", "findings", "reach"}, rows)
	}
	top := slices.Clone(f.Summary.Exposure)
	top = slices.DeleteFunc(top, func(e rules.Exposure) bool { return e.Public == 0 || !strings.HasPrefix(e.Name, "projects/") })
	slices.SortStableFunc(top, func(a, b rules.Exposure) int { return cmp.Compare(b.Public, a.Public) })
	if len(top) < 2 {
		return
	}
	rows = nil
	for _, e := range top[:min(len(top), 10)] {
		rows = append(rows, []string{Clean(cmp.Or(e.Title, strings.TrimPrefix(e.Name, "projects/"))), strconv.Itoa(e.Public), strconv.Itoa(e.Targets)})
	}
	p.WriteString("\n")
	p.table([]string{"most exposed project", "public", "of"}, rows)
}

func (f Findings) changesText(p *page) {
	if len(f.Changes) == 0 {
		return
	}
	p.head("who can invoke after this change, against before:")
	for _, c := range f.Changes {
		name := shortName(c.Target)
		if len(c.Gained) > 0 {
			p.para("+ ", "opens "+name+" to "+strings.Join(c.Gained, ", "))
		}
		if len(c.Lost) > 0 {
			p.para("- ", "cuts off "+strings.Join(c.Lost, ", ")+" from "+name)
		}
		if c.Open != "" {
			p.para("? ", name+": "+c.Open)
		}
	}
}

// shortName names a resource for a sentence.
func shortName(full string) string {
	parts := strings.Split(strings.TrimPrefix(full, "//"), "/")
	if len(parts) < 3 {
		return full
	}
	return strings.Join(parts[len(parts)-2:], "/")
}

func ruleFindingText(p *page, x rules.Finding) {
	p.WriteString("\n")
	p.para(p.st.paint(severityColor[x.Severity], x.Severity.String())+" ", x.Message)
	lead := strings.Repeat(" ", 4)
	p.para(lead, "rule "+x.Rule+", on "+cmp.Or(x.GrantedOn, x.Resource)+reachSuffix(x.Reach)+whereSuffix(x.Where.File, x.Where.Line, x.Where.Address))
	if x.Condition != "" {
		p.para(lead, "if "+x.Condition)
	}
	if x.Suppressed != "" {
		p.para(lead, "ignored: "+x.Suppressed)
		return
	}
	for _, fix := range x.Fixes[:min(len(x.Fixes), 1)] {
		p.para(lead+"fix ", fix.Summary)
		for _, l := range strings.Split(strings.TrimSuffix(fix.Terraform, "\n"), "\n") {
			if fix.Terraform != "" {
				p.WriteString(strings.TrimRight(lead+Clean(l), " ") + "\n")
			}
		}
		p.commands(lead, fix.Commands)
	}
}

func reachSuffix(r rules.Reach) string {
	switch {
	case !r.Known:
		return ""
	case r.Services == 1:
		return ", opens 1 service"
	}
	return fmt.Sprintf(", opens %d services", r.Services)
}

func whereSuffix(file string, line int, address string) string {
	var parts []string
	if address != "" {
		parts = append(parts, address)
	}
	if file != "" {
		if line > 0 {
			file += ":" + strconv.Itoa(line)
		}
		parts = append(parts, file)
	}
	if len(parts) == 0 {
		return ""
	}
	return ", see " + strings.Join(parts, " in ")
}

// markdown writes the findings for a ticket or the summary of a pipeline.
func (f Findings) markdown() string {
	var b strings.Builder
	sentence, _ := f.verdict()
	fmt.Fprintf(&b, "## %s\n\n- **Judged:** %s\n", md(sentence), md(f.judged()))
	for _, i := range f.Incomplete {
		fmt.Fprintf(&b, "- **Missing:** %s\n", md(i))
	}
	if d := f.Baseline; d != nil {
		fmt.Fprintf(&b, "- **Baseline:** %d new, %d gone, %d unchanged\n", d.New, d.Gone, d.Unchanged)
	}
	for _, u := range f.Summary.Unread {
		fmt.Fprintf(&b, "- **Not known:** %s\n", md(notKnown(u)))
	}
	if line := f.asideLine(); line != "" {
		fmt.Fprintf(&b, "- %s\n", md(line))
	}
	for _, c := range f.Changes {
		if len(c.Gained) > 0 {
			fmt.Fprintf(&b, "- **Opens** %s to %s\n", md(shortName(c.Target)), md(strings.Join(c.Gained, ", ")))
		}
		if len(c.Lost) > 0 {
			fmt.Fprintf(&b, "- **Cuts off** %s from %s\n", md(strings.Join(c.Lost, ", ")), md(shortName(c.Target)))
		}
		if c.Open != "" {
			fmt.Fprintf(&b, "- **Unknown:** %s: %s\n", md(shortName(c.Target)), md(c.Open))
		}
	}
	if len(f.Result.Findings) > 0 {
		b.WriteString("\n| severity | rule | finding | reach | where |\n|---|---|---|---|---|\n")
	}
	for _, x := range f.Result.Findings {
		note := ""
		if x.Suppressed != "" {
			note = " (ignored: " + x.Suppressed + ")"
		}
		where := strings.TrimPrefix(whereSuffix(x.Where.File, x.Where.Line, x.Where.Address), ", see ")
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", x.Severity, x.Rule, md(x.Message+note), reachWord(x.Reach), md(where))
	}
	seen := map[string]bool{}
	for _, x := range f.Result.Findings {
		if x.Suppressed == "" && len(x.Fixes) > 0 && !seen[x.Fixes[0].Summary] {
			if len(seen) == 0 {
				b.WriteString("\n### Fixes\n\n")
			}
			seen[x.Fixes[0].Summary] = true
			markdownItem(&b, x.Fixes[0].Summary, x.Fixes[0].Commands)
		}
	}
	return b.String()
}
