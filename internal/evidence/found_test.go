package evidence_test

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"diagnose/internal/evidence"
)

// found returns the folder with inputs of others, or skips the test.
func found(t *testing.T, folder string) string {
	t.Helper()
	dir := os.Getenv("DIAGNOSE_DATA")
	if dir == "" {
		t.Skip("DIAGNOSE_DATA names no folder with inputs of others")
	}
	return filepath.Join(dir, folder)
}

func files(t *testing.T, dir, suffix string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(p, suffix) {
			out = append(out, p)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// answers splits a recording of requests and answers and returns the JSON
// bodies of the answers, by what was asked.
var answered = regexp.MustCompile(`(?ms)^(GET|POST|PATCH|PUT) (https://[^\n]*)$.*?^(\d{3}) [A-Z][^\n]*\n(?:[A-Z][^\n]*\n)*\n(\{.*?^\}|\{\})`)

type answer struct {
	url, status string
	body        []byte
}

func answers(t *testing.T, file string) []answer {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out []answer
	for _, part := range strings.Split(string(data), "\n---\n") {
		if m := answered.FindStringSubmatch(part); m != nil && json.Valid([]byte(m[4])) {
			out = append(out, answer{m[2], m[3], []byte(m[4])})
		}
	}
	return out
}

// Every recorded answer of the APIs that a case takes is read as what it is.
func TestRecordedAnswers(t *testing.T) {
	count := map[string]int{}
	for _, file := range files(t, found(t, "api-dumps/config-connector"), "_http.log") {
		for _, a := range answers(t, file) {
			member := ""
			switch {
			case a.status != "200" || strings.Contains(a.url, "/operations/"):
				continue
			case regexp.MustCompile(`run\.googleapis\.com/v2/.*/services/[^/?:]+(\?|$)`).MatchString(a.url):
				member = "service.json"
			case regexp.MustCompile(`cloudfunctions\.googleapis\.com/v\d/.*/functions/[^/?:]+(\?|$)`).MatchString(a.url):
				member = "function.json"
			case strings.Contains(a.url, ":getIamPolicy"):
				member = "policy.json"
			case regexp.MustCompile(`iam\.googleapis\.com/v2/policies/.*denypolicies/`).MatchString(a.url):
				member = "deny-policies.json"
			default:
				continue
			}
			if strings.Contains(string(a.body), `"@type"`) || strings.Contains(string(a.body), `"done"`) {
				continue // a long-running operation
			}
			var s evidence.Snapshot
			if err := evidence.Read(member, evidence.Source{Document: member}, a.body, &s); err != nil {
				t.Errorf("%s: %s: %v", file, a.url, err)
				continue
			}
			count[member]++
			switch {
			case member == "service.json" && s.Service.Or(nil).GetName() == "", member == "function.json" && s.Function.Or(evidence.Function{}).GetName() == "",
				member == "policy.json" && !s.Policy.Known(), member == "deny-policies.json" && len(s.DenyPoliciesRead()) != 1:
				t.Errorf("%s: %s: nothing was read from %s", file, a.url, a.body)
			}
		}
	}
	t.Log(count)
	for member, least := range map[string]int{"service.json": 5, "function.json": 2, "policy.json": 5, "deny-policies.json": 2} {
		if count[member] < least {
			t.Errorf("only %d answers were read as %s", count[member], member)
		}
	}
}

// Services as people write them are read; what is none is refused by name.
func TestFoundServices(t *testing.T) {
	read := 0
	for _, file := range files(t, found(t, "knative"), ".yaml") {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, doc := range regexp.MustCompile(`(?m)^---.*$`).Split(string(data), -1) {
			if strings.TrimSpace(doc) == "" {
				continue
			}
			var s evidence.Snapshot
			err := evidence.Read("service.yaml", evidence.Source{Document: file}, []byte(doc), &s)
			isService := regexp.MustCompile(`(?m)^kind: '?Service'?\s*$`).MatchString(doc)
			switch {
			case isService && (err != nil || strings.HasSuffix(s.Service.Or(nil).GetName(), "/")):
				t.Errorf("%s: %v", file, err)
			case !isService && err == nil:
				t.Errorf("%s: was read as %s", file, s.Service.Or(nil).GetName())
			case isService:
				read++
			}
		}
	}
	if read < 8 {
		t.Errorf("only %d services were read", read)
	}
}

// Dumps of whole lists are recognized, or refused with what they are.
func TestFoundDumps(t *testing.T) {
	dir := found(t, "api-dumps/gcpdiag")
	for file, want := range map[string]string{
		"cloudrun1/json-dumps/project.json":      "project-file",
		"cloudrun1/json-dumps/iam-policy.json":   "policy",
		"gke1/json-dumps/iam-roles-custom.json":  "roles",
		"gcf2/json-dumps/logging-entries-1.json": "log",
	} {
		data, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		if _, flag := evidence.Kind(data); flag != want {
			t.Errorf("%s is recognized as %q, want %q", file, flag, want)
		}
		var s evidence.Snapshot
		if err := evidence.Read(want, evidence.Source{Document: file}, data, &s); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}
