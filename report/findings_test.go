package report

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"

	"diagnose/checks"
	"diagnose/checks/rules"
	"diagnose/internal/estate"
)

const service = "//run.googleapis.com/projects/shop/locations/europe-west1/services/orders"

// some are findings of every kind that a format treats apart.
func some() Findings {
	fix := checks.Fix{ID: "remove-binding", Summary: "Remove allUsers", Commands: []checks.Command{{Argv: []string{"gcloud", "run", "services", "remove-iam-policy-binding", "orders", "--member=allUsers"}}}, Terraform: "invoker_iam_disabled = false\n"}
	return Findings{
		Command: "scan", FailOn: rules.High, At: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC),
		Result: rules.Result{
			Findings: []rules.Finding{
				{Rule: "grant-all-users", Severity: rules.Critical, Resource: service, ResourceType: "run.googleapis.com/Service", Role: "roles/run.invoker", Member: "allUsers", GrantedOn: service, Reach: rules.Reach{Services: 1, Known: true},
					Node: "projects/shop", Message: "anyone may invoke services/orders through roles/run.invoker", Where: estate.Where{File: "main.tf", Line: 7, Address: "google_cloud_run_v2_service_iam_member.public"}, Fixes: []checks.Fix{fix}, Fingerprint: "aaaa"},
				{Rule: "grant-domain", Severity: rules.High, Resource: service, GrantedOn: service, Member: "domain:example.com", Role: "roles/run.invoker", Message: "everyone of a domain may invoke", Suppressed: "meant to be", Fingerprint: "bbbb", Node: "projects/shop"},
				{Rule: "grant-inherited", Severity: rules.Low, Resource: "//cloudresourcemanager.googleapis.com/folders/7", GrantedOn: "//cloudresourcemanager.googleapis.com/folders/7", Member: "user:ann@example.com", Role: "roles/owner", Message: "user:ann@example.com may invoke everything in folders/7",
					Condition: "request.time < timestamp('2027-01-01T00:00:00Z')", Fingerprint: "cccc", Unknown: true, Node: "folders/7", Where: estate.Where{File: "assets.ndjson", Line: 3, Offset: 99}},
			},
			Summary: rules.Summary{Services: 2, Functions: 1, Public: 1, Complete: true,
				Exposure: []rules.Exposure{{Name: "folders/7", Title: "Teams", Targets: 3, Public: 1, Findings: 3}, {Name: "projects/shop", Parent: "folders/7", Targets: 2, Public: 1, Findings: 2}, {Name: "projects/idle", Parent: "folders/7", Targets: 1}},
				Unread:   []estate.Unread{{What: "the permissions of custom role x", Reason: "known after apply"}}},
			Changes: []rules.Change{{Target: service, Gained: []string{"allUsers"}, Lost: []string{"user:bob@example.com"}}},
		},
	}
}

func written(t *testing.T, format string, f Findings, st Style) string {
	t.Helper()
	var b bytes.Buffer
	if err := WriteFindings(&b, format, f, st); err != nil {
		t.Fatalf("%s: %v", format, err)
	}
	return b.String()
}

func TestFindingsGolden(t *testing.T) {
	for _, format := range FindingFormats {
		if format == "html" || format == "sarif" {
			continue // read by a browser, and by the schema, below
		}
		golden(t, "findings."+format, written(t, format, some(), Style{}))
	}
}

func TestFindingsJSON(t *testing.T) {
	var doc struct {
		SchemaVersion string
		Summary       struct {
			Services, AtOrAbove, Suppressed int
			BySeverity                      map[string]int
		}
		Findings []map[string]any
	}
	if err := json.Unmarshal([]byte(written(t, "json", some(), Style{})), &doc); err != nil {
		t.Fatal(err)
	}
	if doc.SchemaVersion != "1" || doc.Summary.Services != 2 || doc.Summary.AtOrAbove != 1 || doc.Summary.Suppressed != 1 || doc.Summary.BySeverity["critical"] != 1 || len(doc.Findings) != 3 {
		t.Errorf("%+v", doc)
	}
	for _, key := range []string{"rule", "severity", "resource", "resourceType", "role", "member", "grantedOn", "condition", "reach", "message", "location", "fixes", "fingerprint", "suppressed"} {
		if _, ok := doc.Findings[0][key]; !ok {
			t.Errorf("a finding lacks %s", key)
		}
	}
	if n := doc.Findings[0]["reach"].(map[string]any)["services"]; n != 1.0 {
		t.Errorf("reach %v, want 1", n)
	}
	if n := doc.Findings[2]["reach"].(map[string]any)["services"]; n != "unknown" {
		t.Errorf("reach %v, want unknown", n)
	}
}

func TestSARIF(t *testing.T) {
	got := written(t, "sarif", some(), Style{})
	r, err := sarif.FromString(got, sarif.WithStrictValidation())
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Validate(); err != nil { // against the schema of SARIF 2.1.0
		t.Errorf("%v\n%s", err, got)
	}
	run := r.Runs[0]
	if len(run.Tool.Driver.Rules) != len(rules.Rules()) || len(run.Results) != 3 {
		t.Fatalf("%d rules and %d results", len(run.Tool.Driver.Rules), len(run.Results))
	}
	for i, x := range run.Results {
		if *run.Tool.Driver.Rules[x.RuleIndex].ID != *x.RuleID || x.PartialFingerprints["diagnose/v1"] == "" {
			t.Errorf("result %d: rule %d is not %s, or there is no fingerprint", i, x.RuleIndex, *x.RuleID)
		}
	}
	first := run.Results[0]
	place := first.Locations[0].PhysicalLocation
	if *place.ArtifactLocation.URI != "main.tf" || *place.Region.StartLine != 7 || first.Level != "error" || len(first.Suppressions) > 0 {
		t.Errorf("%+v", first)
	}
	if s := run.Results[1].Suppressions; len(s) != 1 || *s[0].Justification != "meant to be" {
		t.Errorf("suppressions %+v", s)
	}
}

// The report is as JUnit's schema has it, which xmllint checks where it is
// found.
func TestJUnit(t *testing.T) {
	got := written(t, "junit", some(), Style{})
	var doc struct {
		Suites []struct {
			Tests    int `xml:"tests,attr"`
			Failures int `xml:"failures,attr"`
			Skipped  int `xml:"skipped,attr"`
			Cases    []struct {
				Failure *struct {
					Message string `xml:"message,attr"`
				} `xml:"failure"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal([]byte(got), &doc); err != nil {
		t.Fatal(err)
	}
	if s := doc.Suites[0]; s.Failures != 1 || s.Skipped != 2 || s.Tests != len(rules.Rules()) || s.Cases[0].Failure.Message != some().Result.Findings[0].Message {
		t.Errorf("%+v", doc.Suites[0])
	}
	xmllint, err := exec.LookPath("xmllint")
	if err != nil {
		t.Skip("xmllint is not installed: the report was not checked against the schema")
	}
	file := filepath.Join(t.TempDir(), "junit.xml")
	if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(xmllint, "--noout", "--schema", "testdata/junit.xsd", file).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

func TestCSVIsNoFormula(t *testing.T) {
	f := some()
	f.Result.Findings[0].Member = "=cmd|' /C calc'!A0"
	f.Result.Findings[0].Role = "@sum"
	rows, err := csv.NewReader(strings.NewReader(written(t, "csv", f, Style{}))).ReadAll()
	if err != nil || len(rows) != 4 {
		t.Fatalf("%d rows: %v", len(rows), err)
	}
	for _, row := range rows {
		for _, cell := range row {
			if strings.IndexAny(cell, "=+-@") == 0 {
				t.Errorf("the cell %q starts a formula", cell)
			}
		}
	}
}

func TestFindingsFit80Columns(t *testing.T) {
	for _, st := range []Style{{}, {Verbose: true}, {Color: true}} {
		tooWide(t, "findings", listPage(some(), st), st)
	}
}

// hostileFindings puts one text wherever a name can stand.
func hostileFindings(h string) Findings {
	f := some()
	for i := range f.Result.Findings {
		x := &f.Result.Findings[i]
		x.Resource, x.Member, x.Role, x.GrantedOn, x.Condition, x.Message, x.Where.File, x.Where.Address, x.Fixes = h, h, h, h, h, h, h, h, []checks.Fix{{Summary: h, Commands: []checks.Command{{Argv: []string{"gcloud", h}}}, Terraform: h, Caution: h}}
	}
	f.Summary.Exposure[0].Title, f.Changes[0].Gained = h, []string{h}
	return f
}

func TestHostileFindings(t *testing.T) {
	for _, h := range hostile {
		for _, format := range FindingFormats {
			got := written(t, format, hostileFindings(h), Style{Verbose: true})
			if i := strings.IndexFunc(got, func(r rune) bool { return r != '\n' && r != '\t' && hidden(r) }); i >= 0 && format != "html" {
				t.Errorf("%s of %q holds %q", format, h, got[i:min(i+8, len(got))])
			}
			if format == "html" && strings.Count(got, "<script") != 2 {
				t.Errorf("%q puts a script into the page", h)
			}
		}
	}
}

// browser starts a headless Chromium, or skips the test where none is found.
func browser(t *testing.T) context.Context {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if p, err := exec.LookPath(name); err == nil {
			path = p
			break
		}
	}
	if path == "" {
		t.Skip("no Chromium is installed: the page was not tested")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.WindowSize(1280, 900))
	allocator, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(cancel)
	return ctx
}

// complaints is what a page says on its console, or asks the network for.
type complaints struct {
	mu   sync.Mutex
	list []string
}

func (c *complaints) hear(ev any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch ev := ev.(type) {
	case *runtime.EventExceptionThrown:
		c.list = append(c.list, ev.ExceptionDetails.Text)
	case *runtime.EventConsoleAPICalled:
		c.list = append(c.list, fmt.Sprintf("console: %s", ev.Type))
	case *log.EventEntryAdded:
		c.list = append(c.list, ev.Entry.Text)
	case *network.EventRequestWillBeSent:
		if u := ev.Request.URL; !strings.HasPrefix(u, "file://") && !strings.HasPrefix(u, "data:") && !strings.HasPrefix(u, "about:") {
			c.list = append(c.list, "request to "+u)
		}
	}
}

func (c *complaints) check(t *testing.T) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.list) > 0 {
		t.Errorf("the page complains: %q", c.list)
	}
}

// open shows a page, and listens to it.
func open(t *testing.T, ctx context.Context, f Findings) *complaints {
	t.Helper()
	file := filepath.Join(t.TempDir(), "scan.html")
	if err := os.WriteFile(file, []byte(written(t, "html", f, Style{})), 0o644); err != nil {
		t.Fatal(err)
	}
	c := &complaints{}
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil { // starts the browser, which lives as long as ctx
		t.Fatal(err)
	}
	if err := chromedp.Listen(ctx, c.hear); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Call(ctx, network.Enable, network.EnableParams{}); err != nil {
		t.Fatal(err)
	}
	for _, enable := range []cdp.Command[cdp.Empty, cdp.Empty]{log.Enable, runtime.Enable} {
		if _, err := chromedp.Call(ctx, enable, cdp.Empty{}); err != nil {
			t.Fatal(err)
		}
	}
	do(t, ctx, chromedp.Navigate("file://"+file))
	until(t, ctx, "#count", " of ")
	return c
}

func do(t *testing.T, ctx context.Context, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		t.Fatal(err)
	}
}

// script evaluates an expression in the page.
func script[T any](t *testing.T, ctx context.Context, expression string) T {
	t.Helper()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		t.Fatalf("%s: %v", expression, err)
	}
	return v
}

func textOf(t *testing.T, ctx context.Context, selector string) string {
	t.Helper()
	return script[string](t, ctx, fmt.Sprintf("(document.querySelector(%q) || document.createElement('p')).textContent", selector))
}

// until waits for a text, as long as a person would.
func until(t *testing.T, ctx context.Context, selector, want string) {
	t.Helper()
	got := ""
	for range 50 {
		if got = textOf(t, ctx, selector); strings.Contains(got, want) {
			return
		}
		do(t, ctx, chromedp.Sleep(40*time.Millisecond))
	}
	t.Errorf("%s: %q lacks %q", selector, got, want)
}

func TestPage(t *testing.T) {
	ctx := browser(t)
	heard := open(t, ctx, some())
	until(t, ctx, "#count", "3 of 3")
	do(t, ctx, chromedp.Click(`#head [data-key="rule"]`))
	until(t, ctx, "#row-0", "grant-all-users")
	do(t, ctx, chromedp.Click(`#head [data-key="rule"]`))
	until(t, ctx, "#row-0", "grant-inherited")
	do(t, ctx, chromedp.Click(`#head [data-key="severity"]`))
	until(t, ctx, "#row-0", "critical")
	do(t, ctx, chromedp.Click("#row-0"))
	until(t, ctx, "#detail", "gcloud run services remove-iam-policy-binding")
	do(t, ctx, chromedp.Click("#detail .copy"))
	until(t, ctx, "#detail .copy", "Copied")
	do(t, ctx, chromedp.Click(`#bars [data-node="folders/7"]`), chromedp.Click(`#bars [data-node="projects/shop"]`))
	until(t, ctx, "#count", "2 of 3")
	until(t, ctx, "#path", "Teams")
	do(t, ctx, chromedp.SendKeys("#search", "domain:example"))
	until(t, ctx, "#count", "1 of 3")
	do(t, ctx, chromedp.Click(`#filter [type="reset"]`))
	until(t, ctx, "#count", "3 of 3")
	script[bool](t, ctx, `(() => { const s = document.getElementById('severity'); s.value = 'low'; s.dispatchEvent(new Event('input', { bubbles: true })); return true; })()`)
	until(t, ctx, "#count", "1 of 3")
	heard.check(t)
}

func TestPageByKeyboard(t *testing.T) {
	ctx := browser(t)
	heard := open(t, ctx, some())
	do(t, ctx, chromedp.Focus("#grid"), chromedp.KeyEvent(kb.ArrowDown), chromedp.KeyEvent(kb.ArrowDown), chromedp.KeyEvent(kb.Enter))
	if got := script[string](t, ctx, `document.getElementById('row-1').getAttribute('aria-selected')`); got != "true" {
		t.Errorf("the second row is selected: %s", got)
	}
	until(t, ctx, "#detail", "everyone of a domain may invoke")
	do(t, ctx, chromedp.KeyEvent(kb.Escape))
	if !script[bool](t, ctx, `document.getElementById('detail').hidden`) {
		t.Error("Escape does not close the detail")
	}
	do(t, ctx, chromedp.KeyEvent("/"))
	if got := script[string](t, ctx, `document.activeElement.id`); got != "search" {
		t.Errorf("/ leads to %q, want the search", got)
	}
	heard.check(t)
}

// Hostile names stay text, in a real browser too.
func TestPageEscapes(t *testing.T) {
	ctx := browser(t)
	heard := open(t, ctx, hostileFindings(`</script><script>window.bad=1</script><img src=x onerror="window.bad=1">`))
	do(t, ctx, chromedp.Click("#row-0"))
	until(t, ctx, "#detail", "onerror")
	if script[bool](t, ctx, "window.bad === 1") {
		t.Error("a name was run as a script")
	}
	heard.check(t)
}

// Fifty thousand findings are shown, scrolled and searched.
func TestPageOfMany(t *testing.T) {
	ctx := browser(t)
	f := some()
	one := f.Result.Findings[0]
	f.Result.Findings = nil
	for i := range 50_000 {
		x := one
		x.Member, x.Reach.Services = fmt.Sprintf("user:u%d@example.com", i), i
		f.Result.Findings = append(f.Result.Findings, x)
	}
	heard := open(t, ctx, f)
	if n := script[int](t, ctx, "document.querySelectorAll('.row').length"); n == 0 || n > 100 {
		t.Errorf("%d rows exist, want those in view", n)
	}
	script[float64](t, ctx, "(() => { const v = document.getElementById('view'); return v.scrollTop = v.scrollHeight; })()")
	until(t, ctx, "#row-49999", "u49999@")
	do(t, ctx, chromedp.SendKeys("#search", "u4999@"))
	until(t, ctx, "#count", "1 of 50000")
	heard.check(t)
}
