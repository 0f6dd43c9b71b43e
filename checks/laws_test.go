package checks_test

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/iam/apiv1/iampb"
	"golang.org/x/tools/txtar"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"diagnose/checks"
	"diagnose/fixtures"
	"diagnose/internal/evidence"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// story returns the evidence of an embedded story.
func story(t testing.TB, name string) evidence.Snapshot {
	t.Helper()
	f, err := fixtures.Read(name)
	if err != nil {
		t.Fatal(err)
	}
	s, err := f.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	if s.Now.IsZero() {
		s.Now = now
	}
	return s
}

func decide(s evidence.Snapshot) checks.Verdict {
	return checks.Judge(s, checks.Options{NoFixes: true})
}

func TestNoEvidenceIsNeverAllowed(t *testing.T) {
	for _, o := range []checks.Options{{}, {Strict: true}} {
		for _, s := range []evidence.Snapshot{{}, {Now: now}} {
			if v := checks.Judge(s, o); v.Decision != checks.Undetermined || v.Expected != nil {
				t.Errorf("no evidence (strict %t) is %s, want undetermined", o.Strict, v.Decision)
			}
		}
	}
}

// Removing a document never makes a permission proven that was not there.
func TestRemovingADocumentProvesNothing(t *testing.T) {
	for _, name := range fixtures.Names() {
		whole := decide(story(t, name))
		if whole.Decision == checks.Allowed {
			continue
		}
		f, err := fixtures.Read(name)
		if err != nil {
			t.Fatal(err)
		}
		a := txtar.Parse(f.Data)
		for i, file := range a.Files {
			less := *a
			less.Files = slices.Delete(slices.Clone(a.Files), i, i+1)
			s, err := evidence.LoadArchive(txtar.Format(&less), name)
			if err != nil {
				continue // nothing is left
			}
			if s.Now.IsZero() {
				s.Now = now
			}
			if v := decide(s); v.Decision == checks.Allowed && v.Basis == checks.Proven {
				t.Errorf("%s is %s by %v; without %s it is allowed and proven", name, whole.Decision, whole.Findings[0].Check, file.Name)
			}
		}
	}
}

// Adding an allow binding never turns allowed to denied.
func TestAddingABindingNeverDenies(t *testing.T) {
	names := fixtures.Names()
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom(names).Draw(t, "story")
		f, _ := fixtures.Read(name)
		s, err := f.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		if s.Now.IsZero() {
			s.Now = now
		}
		before := decide(s)
		b := &iampb.Binding{
			Role:    rapid.SampledFrom([]string{"roles/run.invoker", "roles/viewer", "roles/cloudfunctions.invoker", "roles/owner", "projects/p/roles/x"}).Draw(t, "role"),
			Members: []string{rapid.SampledFrom([]string{"allUsers", "allAuthenticatedUsers", "user:ana@example.com", "serviceAccount:mover@shop.iam.gserviceaccount.com", "group:g@example.com", "deleted:user:x@example.com?uid=1", "domain:example.com"}).Draw(t, "member")},
		}
		p, ok := s.Policy.Get()
		if !ok {
			return
		}
		p = proto.Clone(p).(*iampb.Policy)
		p.Bindings = append(p.Bindings, b)
		s.Policy = evidence.Known(p, s.Policy.Source)
		if after := decide(s); before.Decision == checks.Allowed && after.Decision == checks.Denied {
			cause, _ := after.Cause()
			t.Fatalf("%s: adding %v turns allowed to denied by %s", name, b, cause.Check)
		}
	})
}

// The order of bindings and members says nothing.
func TestOrderIsIrrelevant(t *testing.T) {
	for _, name := range fixtures.Names() {
		s := story(t, name)
		p, ok := s.Policy.Get()
		if !ok {
			continue
		}
		before := decide(s)
		turned := proto.Clone(p).(*iampb.Policy)
		turned.Bindings = append(turned.Bindings, &iampb.Binding{Role: "roles/viewer", Members: []string{"user:z@example.com", "user:y@example.com"}})
		slices.Reverse(turned.Bindings)
		for _, b := range turned.Bindings {
			slices.Reverse(b.Members)
		}
		s.Policy = evidence.Known(turned, s.Policy.Source)
		after := decide(s)
		if before.Decision != after.Decision || before.Basis != after.Basis {
			t.Errorf("%s: %s %s, with the bindings turned round %s %s", name, before.Decision, before.Basis, after.Decision, after.Basis)
		}
	}
}

// Every repair is a set of fixes that the verdict offers, and strict judging
// never decides more than the usual way.
func TestRepairsAndStrictness(t *testing.T) {
	repaired := 0
	for _, name := range fixtures.Names() {
		s := story(t, name)
		v := checks.Judge(s, checks.Options{})
		for _, id := range v.Repair {
			if _, ok := v.Fix(id); !ok {
				t.Errorf("%s: the repair names %s, which no finding offers", name, id)
			}
			repaired++
		}
		if len(v.Repair) == 1 {
			if f, _ := v.Fix(v.Repair[0]); f.Effect != checks.Leads {
				t.Errorf("%s: the repair %s has the effect %s", name, f.ID, f.Effect)
			}
		}
		for _, f := range v.Findings {
			for _, x := range f.Fixes {
				if x.Effect == checks.Leads && len(v.Repair) != 1 {
					t.Errorf("%s: %s alone leads to allowed, and the repair is %v", name, x.ID, v.Repair)
				}
			}
		}
		strict := checks.Judge(s, checks.Options{Strict: true})
		if strict.Decision != checks.Undetermined && strict.Basis != checks.Proven {
			t.Errorf("%s: strict and %s, and yet assumed", name, strict.Decision)
		}
		if strict.Decision != checks.Undetermined && strict.Decision != v.Decision {
			t.Errorf("%s: strict %s, else %s", name, strict.Decision, v.Decision)
		}
	}
	if repaired < 30 {
		t.Errorf("%d repairs among the stories, want at least 30", repaired)
	}
}

// Judging reads the evidence and changes nothing in it.
func TestJudgeIsPure(t *testing.T) {
	for _, name := range fixtures.Names() {
		s := story(t, name)
		first, second := checks.Judge(s, checks.Options{}), checks.Judge(s, checks.Options{})
		for i := range first.Findings {
			a, b := first.Findings[i], second.Findings[i]
			if a.Outcome != b.Outcome || a.Message != b.Message {
				t.Errorf("%s: %s says %q, and then %q", name, a.Check, a.Message, b.Message)
			}
		}
		if !reflect.DeepEqual(first.Repair, second.Repair) {
			t.Errorf("%s: the repair is %v, and then %v", name, first.Repair, second.Repair)
		}
	}
}

func TestChecksAreDocumented(t *testing.T) {
	kebab := regexp.MustCompile(`^[a-z]+(-[a-z]+)+$`)
	seen := map[string]bool{}
	for _, g := range checks.Path() {
		for _, c := range g.Checks {
			if !kebab.MatchString(c.ID) || seen[c.ID] {
				t.Errorf("%q is no ID, or used twice", c.ID)
			}
			seen[c.ID] = true
			if c.Title == "" || c.Doc == "" || !strings.HasPrefix(c.Ref, "https://") || c.Run == nil {
				t.Errorf("%s lacks a title, doc, reference or answer", c.ID)
			}
		}
	}
	// The names that scripts depend on.
	for _, id := range strings.Fields(`route-host route-path route-https route-default-url ingress-source ingress-perimeter
		iap-passed iap-agent credential-present credential-header credential-kind token-format token-issuer token-signature
		token-expiry token-issued-at token-audience token-email access-public access-granted access-not-denied access-boundary
		access-role-effective access-resource access-member-live access-member-kind access-condition trigger-kind
		trigger-identity trigger-receiver trigger-token-minting service-ready service-traffic function-state answer-origin`) {
		if !seen[id] {
			t.Errorf("the check %s is missing", id)
		}
	}
}

// Arrows go one way: gather, judge, report. What judges does no I/O.
func TestImports(t *testing.T) {
	forbidden := map[string][]string{
		"internal/gcp":        {"diagnose/", "os", "net/http"},
		"internal/iam":        {"diagnose/", "os", "net/http"},
		"internal/credential": {"diagnose/checks", "diagnose/report", "diagnose/internal/evidence", "os", "net/http/httptest"},
		"internal/yamldoc":    {"diagnose/", "os", "net/http"},
		"internal/caller":     {"diagnose/internal/evidence", "diagnose/internal/estate", "os", "net/http"},
		"internal/evidence":   {"diagnose/checks", "diagnose/report", "net/http/httptest"},
		"checks":              {"diagnose/report", "diagnose/internal/gather", "os", "net", "context"},
		"checks/rules":        {"diagnose/report", "diagnose/internal/gather", "diagnose/internal/inventory", "diagnose/internal/terraform", "os", "net", "context"},
		"internal/estate":     {"diagnose/internal/iam", "os", "net", "context"},
		"report":              {"diagnose/internal/gather", "net/http"},
	}
	root := ".."
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		rel, _ := filepath.Rel(root, filepath.Dir(path))
		rel = filepath.ToSlash(rel)
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, i := range f.Imports {
			imported, _ := strconv.Unquote(i.Path.Value)
			if imported == "diagnose/internal/gcp" && rel != "internal/gcp" {
				continue // the ground floor: it imports nothing of this project
			}
			for _, bad := range forbidden[rel] {
				if imported == bad || strings.HasSuffix(bad, "/") && strings.HasPrefix(imported, bad) {
					t.Errorf("%s imports %s", path, imported)
				}
			}
			if strings.HasPrefix(rel, "internal/") && (strings.HasPrefix(imported, "diagnose/checks") || strings.HasPrefix(imported, "diagnose/report")) {
				t.Errorf("%s imports %s: nothing under internal judges or reports", path, imported)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
