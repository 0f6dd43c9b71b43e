package report

import (
	"bytes"
	"flag"
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

// One story in full in every format; the others are told in fixtures.
func TestGolden(t *testing.T) {
	for _, format := range Formats {
		for name, got := range reports(t, snapshot(t, "token-problems"), format, Style{}) {
			file := filepath.Join("testdata", name+"."+format)
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				continue
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", file, diff)
			}
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

// isCommand tells the lines that are not wrapped, so that they can be copied.
func isCommand(line string) bool {
	return strings.HasPrefix(line, "    ") && regexp.MustCompile(`^    (gcloud|curl|kubectl|diagnose|TOKEN=|[a-z-]+/|  )`).MatchString(line)
}

func TestTextFits80Columns(t *testing.T) {
	for _, name := range fixtures.Names() {
		s := snapshot(t, name)
		for _, st := range []Style{{}, {Verbose: true}, {Color: true}, {ASCII: true}} {
			for kind, got := range reports(t, s, "table", st) {
				code := false
				for _, l := range strings.Split(got, "\n") {
					code = strings.HasPrefix(l, "    resource ") || code && strings.HasPrefix(l, "    ")
					if w := twwidth.Width(l); w > 80 && !isCommand(l) && !code {
						t.Errorf("%s of %s has a line of %d columns: %s", kind, name, w, l)
					}
				}
			}
		}
	}
}

// Where the terminal shows ASCII only, the tool's own words need no more.
func TestASCII(t *testing.T) {
	for _, name := range fixtures.Names() {
		for kind, got := range reports(t, snapshot(t, name), "table", Style{ASCII: true}) {
			for _, l := range strings.Split(got, "\n") {
				for _, r := range l {
					if r > 0x7e && !isCommand(l) {
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
var fenced = regexp.MustCompile("(?ms)^```+[a-z]*\n.*?^```+$")

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
				if strings.Contains(got, "<script") {
					t.Errorf("%s as %s of %q holds a script", kind, format, h)
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
