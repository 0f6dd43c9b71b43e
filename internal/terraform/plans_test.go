package terraform_test

import (
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"diagnose/checks/rules"
	"diagnose/internal/estate"
	"diagnose/internal/terraform"
)

var replan = flag.Bool("plan", false, "have Terraform make the plans of testdata/plans anew: see testdata/plans/make")

// Terraform's plan and its configuration say the same of who may invoke what, or
// the configuration leaves open what only the plan knows.
func TestPlansAndConfigurations(t *testing.T) {
	cases, err := filepath.Glob("testdata/plans/*.txtar")
	if err != nil || len(cases) < 28 {
		t.Fatalf("%d cases: %v", len(cases), err)
	}
	for _, name := range cases {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			c := lay(t, name)
			if *replan {
				c.plan(t)
			}
			p, err := terraform.ReadPlan(c.file("plan.json"), "plan.json")
			if err != nil {
				t.Fatal(err)
			}
			r, err := terraform.NewReader(terraform.Inputs{Getenv: c.getenv})
			if err != nil {
				t.Fatal(err)
			}
			configuration, err := r.Read(c.dir)
			if err != nil {
				t.Fatal(err)
			}
			planned, configured := access(p.After), access(configuration.Estate)
			c.agree(t, planned, configured)
			want := printed("plan", planned) + printed("configuration", configured)
			if *replan {
				c.set("want", want)
				c.write(t)
			}
			if got := string(c.file("want")); got != want {
				t.Errorf("want\n%s\ngot\n%s", got, want)
			}
		})
	}
}

// access says by address of each service and function whether anyone may
// invoke it, and of each grant what it is of.
func access(e *estate.Estate) map[string]string {
	out := map[string]string{}
	var o rules.Options
	o.Now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for _, t := range e.Targets {
		out[t.Where.Address] = "private"
		o.Expectations = append(o.Expectations, rules.Expectation{Principal: "allUsers", Target: t.Where.Address})
	}
	at := map[string]string{}
	for _, t := range e.Targets {
		at[t.Name] = t.Where.Address
	}
	for _, f := range rules.Judge(e, o).Findings {
		address := f.Where.Address
		if _, is := out[address]; !is {
			address = cmp.Or(at[f.Resource], f.Resource)
		}
		switch {
		case f.Rule != "access-expectation" || out[address] == "":
		case f.Unknown:
			out[address] = unknown
		default:
			out[address] = "public"
		}
	}
	for _, p := range e.Policies {
		if p.Where.Address != "" && !strings.Contains(p.Resource, "cloudresourcemanager") {
			out[p.Where.Address] = "of " + cmp.Or(p.Of, unknown)
		}
	}
	return out
}

const unknown = "unknown"

func printed(mode string, m map[string]string) string {
	var s strings.Builder
	for _, at := range slices.Sorted(maps.Keys(m)) {
		fmt.Fprintf(&s, "%s: %s %s\n", mode, at, m[at])
	}
	return s.String()
}

// A laid is a case in a folder of its own.
type laid struct {
	*txtar.Archive
	name, dir string
}

func lay(t *testing.T, name string) *laid {
	t.Helper()
	a, err := txtar.ParseFile(name)
	if err != nil {
		t.Fatal(err)
	}
	c := &laid{a, name, t.TempDir()}
	for _, f := range a.Files {
		if slices.Contains(notConfigured, f.Name) {
			continue
		}
		to := filepath.Join(c.dir, f.Name)
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, f.Data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// notConfigured are the files of a case that are none of its configuration: the
// environment, the arguments of terraform plan, the plan and what is said.
var notConfigured = []string{"env", "args", "plan.json", "want"}

func (c *laid) file(name string) []byte {
	for _, f := range c.Files {
		if f.Name == name {
			return f.Data
		}
	}
	return nil
}

func (c *laid) set(name, data string) {
	c.Files = slices.DeleteFunc(c.Files, func(f txtar.File) bool { return f.Name == name })
	c.Files = append(c.Files, txtar.File{Name: name, Data: []byte(data)})
}

func (c *laid) write(t *testing.T) {
	t.Helper()
	if err := os.WriteFile(c.name, txtar.Format(c.Archive), 0o644); err != nil {
		t.Fatal(err)
	}
}

func (c *laid) getenv(name string) string {
	for _, line := range strings.Split(string(c.file("env")), "\n") {
		if value, ok := strings.CutPrefix(line, name+"="); ok {
			return value
		}
	}
	return ""
}

// agree compares what a plan and its configuration say.
func (c *laid) agree(t *testing.T, planned, configured map[string]string) {
	t.Helper()
	for at, says := range planned {
		other, here := configured[at]
		switch {
		case other == says, other == unknown, other == "of "+unknown:
		case says == unknown, says == "of "+unknown:
		case !here && (strings.Contains(string(c.file("args")), "destroy") || c.has("removed {")):
		default:
			t.Errorf("%s: %s by the plan, %q by the configuration", at, says, other)
		}
	}
	for at, says := range configured {
		if planned[at] == "" {
			t.Errorf("%s: %s by the configuration, and not in the plan", at, says)
		}
	}
}

func (c *laid) has(text string) bool {
	return slices.ContainsFunc(c.Files, func(f txtar.File) bool {
		return strings.HasSuffix(f.Name, ".tf") && strings.Contains(string(f.Data), text)
	})
}

// plan has Terraform make the plan of a case, without asking Google anything.
func (c *laid) plan(t *testing.T) {
	t.Helper()
	google := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"name":"projects/shop/locations/europe-west1/services/web","uri":"https://web-1.a.run.app","ingress":"INGRESS_TRAFFIC_ALL",`+
			`"template":{"containers":[{"image":"us-docker.pkg.dev/cloudrun/container/hello"}]}}`)
	}))
	defer google.Close()
	run := func(args ...string) []byte {
		var failed strings.Builder
		cmd := exec.Command("terraform", args...)
		cmd.Dir, cmd.Stderr = c.dir, &failed
		cmd.Env = append(os.Environ(), "CHECKPOINT_DISABLE=1", "GOOGLE_OAUTH_ACCESS_TOKEN=none", "GOOGLE_CLOUD_RUN_V2_CUSTOM_ENDPOINT="+google.URL+"/")
		cmd.Env = append(cmd.Env, strings.Fields(string(c.file("env")))...)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("terraform %s: %v\n%s", args[0], err, failed.String())
		}
		return out
	}
	run("get", "-no-color")
	args := []string{"plan", "-no-color", "-input=false", "-out=plan.bin"}
	if !c.has("import {") {
		args = append(args, "-refresh=false")
	}
	run(append(args, strings.Fields(string(c.file("args")))...)...)
	c.set("plan.json", scrubbed(t, run("show", "-json", "plan.bin")))
}

// dropped are fields of a plan of which nothing is read.
var dropped = []string{
	"before_sensitive", "after_sensitive", "template", "traffic", "terraform_labels", "effective_labels", "effective_annotations", "timeouts", "conditions",
	"scaling", "build_config", "planned_values", "relevant_attributes", "applyable", "timestamp", "output_changes", "checks", "resource_drift",
	"schema_version", "sensitive_values", "version_constraint", "full_name", "provider_name",
}

// scrubbed is a plan with what is read of it.
func scrubbed(t *testing.T, data []byte) string {
	t.Helper()
	var doc map[string]any
	if err := json.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	if state, ok := doc["prior_state"].(map[string]any); ok {
		if _, any := state["values"]; !any {
			delete(doc, "prior_state")
		}
	}
	out, err := json.MarshalIndent(small(doc), "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(out) + "\n"
}

func small(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, x := range v {
			if x != nil && !slices.Contains(dropped, k) {
				out[k] = small(x)
			}
		}
		for _, k := range []string{"before", "after"} {
			if _, was := v[k]; was && v[k] == nil {
				out[k] = nil
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = small(x)
		}
		return out
	}
	return v
}
