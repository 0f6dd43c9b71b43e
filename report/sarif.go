package report

import (
	"cmp"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"

	"diagnose/checks/rules"
	"diagnose/internal/estate"
)

// informationURI is where a reader of a SARIF report learns of the tool.
const informationURI = "https://docs.cloud.google.com/run/docs/securing/managing-access"

// sarifLevels are the levels of https://docs.oasis-open.org/sarif/sarif/v2.1.0
// section 3.27.10, and the scores by which GitHub ranks.
var sarifLevels = map[rules.Severity]struct{ level, score string }{
	rules.Critical: {"error", "9.5"}, rules.High: {"error", "8.0"}, rules.Medium: {"warning", "5.5"}, rules.Low: {"note", "3.0"}, rules.Info: {"note", "0.0"},
}

// maxResults bounds the results of a report: GitHub shows so many of one, and
// refuses one of more than five times as many.
// https://docs.github.com/code-security/code-scanning/integrating-with-code-scanning/sarif-support-for-code-scanning
const maxResults = 5000

// lineHash is the fingerprint by which GitHub knows a finding again. Where it is
// missing, GitHub makes one of the line, which all findings of a plan share.
const lineHash = "primaryLocationLineHash"

// writeSARIF writes SARIF 2.1.0 as GitHub code scanning takes it.
func writeSARIF(w io.Writer, f Findings) error {
	driver := sarif.NewToolComponent().WithName("diagnose").WithInformationURI(informationURI)
	if f.Version != "" {
		driver.WithVersion(f.Version)
	}
	index := map[string]int{}
	for i, r := range rules.Rules() {
		index[r.ID] = i
		level := sarifLevels[r.Severity]
		driver.AddRule(sarif.NewRule(r.ID).WithName(r.ID).WithShortDescription(text(r.Title)).WithFullDescription(text(r.Doc)).
			WithHelp(text(r.Doc + "\n" + r.Ref).WithMarkdown(r.Doc + "\n\n[Source](" + r.Ref + ")")).WithHelpURI(r.Ref).
			WithDefaultConfiguration(sarif.NewReportingConfiguration().WithLevel(level.level)).
			WithProperties(properties("security-severity", level.score, "tags", []string{"security", "iam"})))
	}
	run := sarif.NewRun()
	run.Tool = sarif.NewTool().WithDriver(driver)
	invocation := sarif.NewInvocation().WithExecutionSuccessful(len(f.Incomplete) == 0 && !f.Undecided())
	for _, i := range f.Incomplete {
		invocation.AddToolExecutionNotification(sarif.NewNotification().WithLevel("error").WithMessage(sarif.NewTextMessage(Clean(i))))
	}
	for _, u := range f.Summary.Unread {
		invocation.AddToolExecutionNotification(f.sarifUnknown(u))
	}
	run.AddInvocation(invocation)
	list, more, left := within(f.Result.Findings, maxResults)
	if left > 0 {
		note := fmt.Sprintf("%d further findings, the least severe ones, are not in this report: GitHub takes no more", left)
		invocation.AddToolExecutionNotification(sarif.NewNotification().WithLevel("warning").WithMessage(sarif.NewTextMessage(note)))
	}
	for _, x := range list {
		if n := more[x.Fingerprint]; n > 0 {
			x.Message += fmt.Sprintf("; %d more findings of this rule are on this resource", n)
		}
		run.AddResult(f.sarifResult(x, index))
	}
	report := sarif.NewReport().AddRun(run)
	if err := report.Validate(); err != nil {
		return fmt.Errorf("writing SARIF: %w", err)
	}
	return writeJSON(w, report)
}

// sarifUnknown is the notification of what is not known: an error where the
// change does not pass for it.
func (f Findings) sarifUnknown(u estate.Unread) *sarif.Notification {
	level := map[bool]string{true: "error", false: "warning"}[f.Undecided()]
	out := sarif.NewNotification().WithLevel(level).WithMessage(sarif.NewTextMessage(Clean("not known: " + notKnown(u))))
	if u.Where.File != "" {
		out.AddLocation(sarif.NewLocation().WithPhysicalLocation(f.physical(u.Where)))
	}
	return out
}

// physical is a place in a file.
func (f Findings) physical(w estate.Where) *sarif.PhysicalLocation {
	return sarif.NewPhysicalLocation().WithArtifactLocation(sarif.NewSimpleArtifactLocation(uriOf(f.Place(w.File)))).
		WithRegion(sarif.NewSimpleRegion(max(w.Line, 1), max(w.Line, 1)))
}

func text(s string) *sarif.MultiformatMessageString {
	return sarif.NewMultiformatMessageString().WithText(Clean(s))
}

func properties(pairs ...any) *sarif.PropertyBag {
	bag := sarif.NewPropertyBag()
	for i := 0; i < len(pairs); i += 2 {
		bag.Add(pairs[i].(string), pairs[i+1])
	}
	return bag
}

func (f Findings) sarifResult(x rules.Finding, index map[string]int) *sarif.Result {
	message := x.Message
	if len(x.Fixes) > 0 {
		message += ". Fix: " + x.Fixes[0].Summary
		for _, c := range shells(x.Fixes[0].Commands) {
			message += "\n" + c
		}
	}
	out := sarif.NewRuleResult(x.Rule).WithRuleIndex(index[x.Rule]).WithLevel(sarifLevels[x.Severity].level).WithMessage(sarif.NewTextMessage(keepLines(message))).
		WithPartialFingerprints(map[string]string{lineHash: x.Fingerprint + ":1", "diagnose/v1": x.Fingerprint}).
		WithProperties(properties("severity", x.Severity.String(), "member", Clean(x.Member), "role", Clean(x.Role), "grantedOn", Clean(x.GrantedOn), "reach", reachWord(x.Reach), "unknown", x.Unknown))
	location := sarif.NewLocation()
	if x.Where.File != "" {
		location.WithPhysicalLocation(f.physical(x.Where))
	}
	location.AddLogicalLocation(sarif.NewLogicalLocation().WithFullyQualifiedName(Clean(cmp.Or(x.Where.Address, x.GrantedOn, x.Resource))).WithKind("resource"))
	out.AddLocation(location)
	if x.Suppressed != "" {
		out.AddSuppression(sarif.NewSuppression().WithKind("external").WithStatus("accepted").WithJustification(Clean(x.Suppressed)))
	}
	return out
}

// keepLines cleans a text of several lines.
func keepLines(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = Clean(lines[i])
	}
	return strings.Join(lines, "\n")
}

// uriOf writes a file's name as a URI reference, relative where it is.
func uriOf(name string) string {
	u := url.URL{Path: filepath.ToSlash(filepath.Clean(name))}
	if filepath.IsAbs(name) {
		u.Scheme = "file"
	}
	return u.String()
}

// Place names a file from the top of the repository, and one that is not in it
// as it was given.
func (f Findings) Place(file string) string {
	if f.Repository == "" || file == "" {
		return file
	}
	whole, err := filepath.Abs(file)
	if err != nil {
		return file
	}
	below, err := filepath.Rel(f.Repository, whole)
	if err != nil || !filepath.IsLocal(below) {
		return file
	}
	return filepath.ToSlash(below)
}

// within keeps findings below a limit: beyond it those of one rule on one
// resource become the first of them, and the least severe are left out. more
// counts by fingerprint those that a finding stands for, left those that are
// left out.
func within(list []rules.Finding, limit int) (kept []rules.Finding, more map[string]int, left int) {
	if len(list) <= limit {
		return list, nil, 0
	}
	first := map[string]string{}
	more = map[string]int{}
	for _, x := range list {
		key := x.Rule + " " + x.GrantedOn + " " + x.Resource + " " + x.Suppressed
		if f, seen := first[key]; seen {
			more[f]++
			continue
		}
		first[key] = x.Fingerprint
		kept = append(kept, x)
	}
	for _, x := range kept[min(len(kept), limit):] {
		left += 1 + more[x.Fingerprint]
	}
	return kept[:min(len(kept), limit)], more, left
}
