package report

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"diagnose/checks/rules"
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
	// Version is that of the program, "" where it is not known.
	Version string
	// Repository is the folder that places are named from in SARIF and in
	// annotations, "" for the working directory.
	Repository string
	// Baseline is the comparison with an earlier run, nil where there is none.
	// The findings are then the new ones.
	Baseline *Drift
}

// Drift counts findings against an earlier run.
type Drift struct {
	New, Gone, Unchanged int
	Fixed                []string // what is gone, a line each
}

// findingWriters write the findings in the formats that no other report has.
var findingWriters = []struct {
	name  string
	write func(io.Writer, Findings) error
}{{"sarif", writeSARIF}, {"junit", writeJUnit}, {"ndjson", writeNDJSON}, {"csv", writeCSV}}

// FindingFormats lists the formats of WriteFindings.
var FindingFormats = findingFormats()

func findingFormats() []string {
	out := slices.Clone(Formats)
	for _, f := range findingWriters {
		out = append(out, f.name)
	}
	return out
}

// WriteFindings writes the findings in a format.
func WriteFindings(w io.Writer, format string, f Findings, st Style) error {
	for _, x := range findingWriters {
		if x.name == format {
			return x.write(w, f)
		}
	}
	if format == "html" { // thousands of findings, to sort and search
		return writeFindingsHTML(w, f)
	}
	return emit(w, format, func() any { return f.wire() }, func() *page { return listPage(f, st) }, st)
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
		Members          []string     `json:"members,omitempty"`
		Path             []wireStep   `json:"path,omitempty"`
	}
	// wireStep is one binding on the way of grant-indirect.
	wireStep struct {
		Principal  string `json:"principal"`
		Permission string `json:"permission"`
		Role       string `json:"role"`
		On         string `json:"on"`
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
		Members: x.About(),
	}
	if x.Reach.Known {
		out.Reach.Services = x.Reach.Services
	}
	out.Path = stepsJSON(x.Path)
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
