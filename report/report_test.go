package report

import (
	"bytes"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/olekukonko/tablewriter/pkg/twwidth"
	"golang.org/x/tools/txtar"

	"cloud.google.com/go/iam/apiv1/iampb"
	"cloud.google.com/go/run/apiv2/runpb"

	"diagnose/checks"
	"diagnose/fixtures"
	"diagnose/internal/credential"
	"diagnose/internal/evidence"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func snapshot(t *testing.T, name string) evidence.Snapshot {
	t.Helper()
	story, err := fixtures.Read(name)
	if err != nil {
		t.Fatal(err)
	}
	s, err := story.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// reports writes every report about a snapshot in a format.
func reports(t *testing.T, s evidence.Snapshot, format string, st Style) map[string]string {
	t.Helper()
	c := s.Token.Or(credential.Credential{})
	out := map[string]string{}
	for name, render := range map[string]func(*bytes.Buffer) error{
		"invoke": func(b *bytes.Buffer) error { return Invoke(b, format, checks.Judge(s, checks.Options{}), st) },
		"who":    func(b *bytes.Buffer) error { return Who(b, format, checks.Who(s), st) },
		"token":  func(b *bytes.Buffer) error { return Token(b, format, c, checks.JudgeToken(s, true), s.Now, st) },
	} {
		var b bytes.Buffer
		if err := render(&b); err != nil {
			t.Fatalf("%s as %s: %v", name, format, err)
		}
		out[name] = b.String()
	}
	return out
}

// golden compares a report with a file of testdata, or writes that.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

// One story in full in every format; the others are told in fixtures.
func TestGolden(t *testing.T) {
	for _, format := range Formats {
		for name, got := range reports(t, snapshot(t, "token-problems"), format, Style{}) {
			golden(t, name+"."+format, got)
		}
	}
}

// No report about any story holds the signature of its token, or more of the
// token than its decoded claims.
func TestNoSecretInAnyReport(t *testing.T) {
	checked := 0
	for _, name := range fixtures.Names() {
		story, err := fixtures.Read(name)
		if err != nil {
			t.Fatal(err)
		}
		var parts []string
		for _, f := range txtar.Parse(story.Data).Files {
			for _, jwt := range regexp.MustCompile(`eyJ[\w-]+\.[\w-]+\.[\w-]+`).FindAllString(string(f.Data), -1) {
				parts = append(parts, strings.Split(jwt, ".")[1:]...)
			}
			parts = append(parts, regexp.MustCompile(`ya29\.[\w.-]+|AIza[\w-]{30,}`).FindAllString(string(f.Data), -1)...)
		}
		s := snapshot(t, name)
		for _, format := range Formats {
			for kind, got := range reports(t, s, format, Style{Verbose: true}) {
				for _, p := range parts {
					if len(p) > 16 && p != "SIGNATURE_REMOVED_BY_GOOGLE" && strings.Contains(got, p) {
						t.Errorf("%s of %s as %s holds a part of its credential", kind, name, format)
					}
				}
			}
		}
		checked += len(parts)
	}
	if checked < 60 {
		t.Errorf("only %d parts of credentials were looked for", checked)
	}
}

// pages builds every report about a snapshot as a page.
func pages(s evidence.Snapshot, st Style) map[string]*page {
	return map[string]*page{
		"invoke": verdictPage(checks.Judge(s, checks.Options{}), st),
		"who":    whoPage(checks.Who(s), st),
		"token":  tokenPage(s.Token.Or(credential.Credential{}), checks.JudgeToken(s, true), s.Now, st),
	}
}

// lay lays a page out for a terminal.
func lay(t *testing.T, p *page, st Style) string {
	t.Helper()
	var b strings.Builder
	if err := layText(&b, p, st); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// codeLines are the lines of a page that are copied, not read.
func codeLines(bs []block) map[string]bool {
	out := map[string]bool{}
	for _, b := range bs {
		switch b := b.(type) {
		case list:
			for _, x := range b.Items {
				for _, c := range x.Code {
					for _, l := range c.Lines {
						out[strings.TrimSpace(Clean(l))] = true
					}
				}
			}
		case folded:
			maps.Copy(out, codeLines(b.Blocks))
		}
	}
	return out
}

// A word that is longer than this is not broken, and may leave the columns.
const longWord = 38

// tooWide finds lines of more than 80 columns that are neither code nor end in
// a long word.
func tooWide(t *testing.T, what string, p *page, st Style) {
	t.Helper()
	code := codeLines(p.Blocks)
	for l := range strings.SplitSeq(lay(t, p, st), "\n") {
		last := l[strings.LastIndex(l, " ")+1:]
		if w := twwidth.Width(l); w > 80 && !code[strings.TrimSpace(l)] && len(last) < longWord {
			t.Errorf("%s has a line of %d columns: %s", what, w, l)
		}
	}
}

// Text fits 80 columns, commands are whole, and so is each word.
func TestTextFits80Columns(t *testing.T) {
	for _, name := range fixtures.Names() {
		s := snapshot(t, name)
		for _, st := range []Style{{}, {Verbose: true}, {Color: true}, {ASCII: true}} {
			for kind, p := range pages(s, st) {
				tooWide(t, kind+" of "+name, p, st)
			}
		}
	}
}

// Where the terminal shows ASCII only, the tool's own words need no more.
func TestASCII(t *testing.T) {
	for _, name := range fixtures.Names() {
		st := Style{ASCII: true}
		for kind, p := range pages(snapshot(t, name), st) {
			code := codeLines(p.Blocks)
			for l := range strings.SplitSeq(lay(t, p, st), "\n") {
				for _, r := range l {
					if r > 0x7e && !code[strings.TrimSpace(l)] {
						t.Errorf("%s of %s holds %q", kind, name, r)
					}
				}
			}
		}
	}
}

// Colour repeats what the words say: without it the text is the same.
func TestColorAddsNothing(t *testing.T) {
	escapes := regexp.MustCompile("\x1b\\[[0-9;]*m")
	for _, name := range fixtures.Names() {
		s := snapshot(t, name)
		plain, colored := reports(t, s, "table", Style{}), reports(t, s, "table", Style{Color: true})
		for kind := range plain {
			if got := escapes.ReplaceAllString(colored[kind], ""); strings.Join(strings.Fields(got), " ") != strings.Join(strings.Fields(plain[kind]), " ") {
				t.Errorf("%s of %s differs:\n%s\n%s", kind, name, got, plain[kind])
			}
			if !escapes.MatchString(colored[kind]) || escapes.MatchString(plain[kind]) {
				t.Errorf("%s of %s: colour is not where it was asked for", kind, name)
			}
		}
	}
}

// fenced is a block of code, in which Markdown shows everything as it stands.
var fenced = regexp.MustCompile("(?ms)^ *```+[a-z]*\n.*?^ *```+$")

// Hostile names reach no report as anything but text.
func TestHostileNames(t *testing.T) {
	for _, h := range hostile {
		s := snapshot(t, "grant-missing")
		src := evidence.Source{Document: "policy.json"}
		s.Service = evidence.Known(&runpb.Service{Name: "projects/shop/locations/europe-west1/services/" + h, Uri: "https://orders-ab12cd34ef-ew.a.run.app"}, s.Service.Source)
		s.Policy = evidence.Known(&iampb.Policy{Bindings: []*iampb.Binding{{Role: "roles/run.invoker", Members: []string{"group:" + h, "user:" + h}}}}, src)
		s.Request = evidence.Known(evidence.Request{Principal: "user:" + h, Client: "gcloud"}, s.Request.Source)
		s.Token = evidence.Fact[credential.Credential]{}
		for _, format := range Formats {
			for kind, got := range reports(t, s, format, Style{Verbose: true}) {
				if i := strings.IndexFunc(got, func(r rune) bool { return r != '\n' && hidden(r) }); i >= 0 {
					t.Errorf("%s as %s of %q holds %q", kind, format, h, got[i:min(i+8, len(got))])
				}
				if format != "html" && format != "markdown" {
					continue
				}
				if format == "markdown" {
					got = fenced.ReplaceAllString(got, "")
				}
				if n := strings.Count(got, "<script"); n != map[string]int{"html": 1}[format] {
					t.Errorf("%s as %s of %q holds %d scripts; only a page has one, its own", kind, format, h, n)
				}
			}
		}
	}
}

// What is meant for a shell stays one word there, wherever it came from.
func TestHostileCommandsAreQuoted(t *testing.T) {
	s := snapshot(t, "grant-missing")
	s.Request = evidence.Known(evidence.Request{Principal: "user:$(touch x)`id`", Client: "gcloud"}, s.Request.Source)
	s.Token = evidence.Fact[credential.Credential]{}
	got := reports(t, s, "table", Style{})["invoke"]
	if want := "'--member=user:$(touch x)`id`'"; !strings.Contains(got, want) {
		t.Errorf("the report lacks %s:\n%s", want, got)
	}
}
