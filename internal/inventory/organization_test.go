package inventory

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"diagnose/checks/rules"
)

// A whole organization by hand, with every mistake that an export can show.
// What is not listed is not found: the services fine, viewer and reader, for
// example, look like others that are.
func TestOrganization(t *testing.T) {
	e, s := readAll(t, Options{Strict: true}, "testdata/organization.ndjson")
	if s.Lines < 60 || len(s.Incomplete) > 0 {
		t.Errorf("%+v", s)
	}
	r := rules.Judge(e, rules.Options{Now: now, AllowedDomains: []string{"example.com"}})
	var got []string
	seen := map[string]bool{}
	for _, f := range r.Findings {
		reach := "?"
		if f.Reach.Known {
			reach = fmt.Sprint(f.Reach.Services)
		}
		seen[f.Rule] = true
		got = append(got, strings.TrimSpace(fmt.Sprintf("%s %s %s reach %s %s", f.Severity, f.Rule, f.Resource[strings.LastIndexByte(f.Resource, '/')+1:], reach, f.Member)))
	}
	slices.Sort(got)
	want, err := os.ReadFile("testdata/organization.want")
	if err != nil {
		t.Fatal(err)
	}
	if text := strings.Join(got, "\n") + "\n"; text != string(want) {
		t.Errorf("found\n%swant\n%s", text, want)
	}
	for _, rule := range rules.Rules() {
		gateOnly := slices.Contains([]string{"plan-conflict", "policy-lost", "access-expectation", "ignore-expired"}, rule.ID)
		if seen[rule.ID] == gateOnly {
			t.Errorf("%s is found: %v", rule.ID, seen[rule.ID])
		}
	}
	if r.Summary.Services != 25 || r.Summary.Functions != 1 || r.Summary.Public != 6 {
		t.Errorf("summary: %d services, %d functions, %d public", r.Summary.Services, r.Summary.Functions, r.Summary.Public)
	}
}
