package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"

	"diagnose/fixtures"
	"diagnose/report"
)

// resolved is the schema of an output, which takes no property that it does not
// name.
func resolved(t *testing.T, name string) *jsonschema.Resolved {
	t.Helper()
	data, err := report.Schema(name)
	if err != nil {
		t.Fatal(err)
	}
	var s jsonschema.Schema
	if err := json.Unmarshal(data, &s); err != nil {
		t.Fatal(err)
	}
	shut(&s)
	r, err := s.Resolve(nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func shut(s *jsonschema.Schema) {
	if s == nil {
		return
	}
	if len(s.Properties) > 0 {
		s.AdditionalProperties = &jsonschema.Schema{Not: &jsonschema.Schema{}}
	}
	for _, p := range s.Properties {
		shut(p)
	}
	shut(s.Items)
}

// valid reports an output that its schema does not fit.
func valid(t *testing.T, r *jsonschema.Resolved, output, what string) {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(output), &v); err != nil {
		t.Errorf("%s: %v\n%s", what, err, output)
		return
	}
	if err := r.Validate(v); err != nil {
		t.Errorf("%s: %v", what, err)
	}
}

// Every story's reports, every explanation, and an error fit their schemas.
func TestOutputsFitTheirSchemas(t *testing.T) {
	invoke, who, token := resolved(t, "invoke"), resolved(t, "who"), resolved(t, "token")
	for _, name := range fixtures.Names() {
		_, out, _ := run(t, nil, "invoke", "--format=json", demoPrefix+name)
		valid(t, invoke, out, "invoke "+name)
		if _, out, _ = run(t, nil, "who", "--format=json", demoPrefix+name); !strings.Contains(out, `"error"`) {
			valid(t, who, out, "who "+name)
		}
		if _, out, _ = run(t, nil, "token", "--format=json", demoPrefix+name); !strings.Contains(out, `"error"`) {
			valid(t, token, out, "token "+name)
		}
	}
	explain := resolved(t, "explain")
	for _, n := range explainable() {
		_, out, _ := run(t, nil, "explain", "--format=json", n.Name)
		valid(t, explain, out, "explain "+n.Name)
	}
	_, out, _ := run(t, nil, "invoke", "--format=json", "nosuch.yaml")
	valid(t, resolved(t, "error"), out, "error")
	t.Chdir(t.TempDir())
	plan := `{"format_version": "1.2", "terraform_version": "1.9.0", "resource_changes": [{"address": "google_cloud_run_v2_service_iam_member.all", "mode": "managed",
"type": "google_cloud_run_v2_service_iam_member", "name": "all", "provider_name": "registry.terraform.io/hashicorp/google", "change": {"actions": ["create"], "before": null,
"after": {"name": "orders", "project": "shop", "location": "europe-west1", "role": "roles/run.invoker", "member": "allUsers", "condition": []}, "after_unknown": {}}}]}`
	if err := os.WriteFile("plan.json", []byte(plan), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, errs := run(t, nil, "gate", "--format=json", "plan.json")
	if code != 1 {
		t.Errorf("gate: exit code %d: %s", code, errs)
	}
	valid(t, resolved(t, "gate"), out, "gate")
	valid(t, resolved(t, "scan"), out, "scan")
}

// A schema that says less than what is written is no use: what is changed in a
// report no longer fits.
func TestSchemaRefuses(t *testing.T) {
	_, out, _ := run(t, nil, "invoke", "--format=json", "demo:granted-proven")
	r := resolved(t, "invoke")
	for _, change := range [][2]string{{`"allowed"`, `"perhaps"`}, {`"findings": [`, `"found": [`}, {`"basis": "proven"`, `"basis": 1`}} {
		var v any
		if err := json.Unmarshal([]byte(strings.Replace(out, change[0], change[1], 1)), &v); err != nil {
			t.Fatal(err)
		}
		if r.Validate(v) == nil {
			t.Errorf("a report with %s fits the schema", change[1])
		}
	}
}

var jqBlock = regexp.MustCompile("(?ms)^```sh\n(.*?)^```$")

// TestJQ runs the lines of docs/json.md in a shell, with this program, and each
// has to print something.
func TestJQ(t *testing.T) {
	if _, err := exec.LookPath("jq"); err != nil {
		t.Skip("jq is not installed")
	}
	text, err := os.ReadFile("../../docs/json.md")
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(self, filepath.Join(dir, "diagnose")); err != nil { // testscript.Main makes the test the program
		t.Fatal(err)
	}
	lines := 0
	for _, b := range jqBlock.FindAllStringSubmatch(string(text), -1) {
		for _, line := range strings.Split(strings.TrimSpace(b[1]), "\n") {
			if strings.HasPrefix(line, "#") {
				continue
			}
			lines++
			cmd := exec.Command("sh", "-c", line)
			cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"))
			if out, err := cmd.Output(); err != nil || strings.TrimSpace(string(out)) == "" || strings.TrimSpace(string(out)) == "null" {
				t.Errorf("%s: %v\n%s", line, err, out)
			}
		}
	}
	if lines == 0 {
		t.Error("docs/json.md shows no lines for jq")
	}
}
