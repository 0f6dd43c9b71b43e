package manifest

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"diagnose/checks/rules"
	"diagnose/internal/estate"
	"diagnose/internal/evidence"
)

func unpack(t *testing.T, text string) {
	t.Helper()
	t.Chdir(t.TempDir())
	for _, f := range txtar.Parse([]byte(text)).Files {
		if err := os.MkdirAll(filepath.Dir(f.Name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(f.Name, f.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

const folder = `
-- run/orders.yaml --
apiVersion: serving.knative.dev/v1
kind: Service
metadata: {name: orders, namespace: shop, annotations: {run.googleapis.com/ingress: internal}}
---
apiVersion: serving.knative.dev/v1
kind: Service
metadata: {name: web, namespace: shop}
-- run/orders-policy.json --
{
  "bindings": [
    {"role": "roles/viewer", "members": ["allUsers"]},
    {"role": "roles/run.invoker", "members": ["user:ann@example.com"]}
  ]
}
-- run/policy.yaml --
bindings: [{role: roles/run.invoker, members: [allUsers]}]
-- fn/function.json --
{"name": "projects/shop/locations/europe-west1/functions/On_Event", "environment": "GEN_2", "eventTrigger": {"eventType": "x", "serviceAccountEmail": "e@shop.iam.gserviceaccount.com"},
 "serviceConfig": {"service": "projects/shop/locations/europe-west1/services/on-event"}}
-- fn/service.json --
{"name": "projects/shop/locations/europe-west1/services/on-event", "uri": "https://on-event-ab12cd34ef-ew.a.run.app", "ingress": "INGRESS_TRAFFIC_ALL"}
-- fn/function-policy.json --
{"bindings": [{"role": "roles/cloudfunctions.invoker", "members": ["allUsers"]}]}
-- fn/job.yaml --
name: projects/shop/locations/europe-west1/jobs/nightly
schedule: 0 1 * * *
httpTarget: {uri: https://on-event-ab12cd34ef-ew.a.run.app/}
-- above/ancestors.json --
[{"id": "shop", "type": "project", "policy": {"bindings": [{"role": "roles/owner", "members": ["user:ann@example.com"]}]}}]
-- other/pod.yaml --
apiVersion: v1
kind: Pod
-- other/notes.txt --
nothing
`

func TestFolder(t *testing.T) {
	unpack(t, folder)
	in, err := Read(Options{Paths: []string{"."}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, x := range in.After.Targets {
		got = append(got, "target "+x.Name+" "+x.Function)
	}
	for _, p := range in.After.Policies {
		for _, b := range p.Bindings {
			got = append(got, "grant "+p.Resource+" "+b.Role)
		}
	}
	slices.Sort(got)
	want := []string{
		"grant //cloudfunctions.googleapis.com/projects/shop/locations/europe-west1/functions/On_Event roles/cloudfunctions.invoker",
		"grant //cloudresourcemanager.googleapis.com/projects/shop roles/owner",
		"grant //run.googleapis.com/projects/-/locations/-/services/-policy.yaml roles/run.invoker",
		"grant //run.googleapis.com/projects/shop/locations/-/services/orders roles/run.invoker",
		"grant //run.googleapis.com/projects/shop/locations/-/services/orders roles/viewer",
		"target //run.googleapis.com/projects/shop/locations/-/services/orders ",
		"target //run.googleapis.com/projects/shop/locations/-/services/web ",
		"target //run.googleapis.com/projects/shop/locations/europe-west1/services/on-event //cloudfunctions.googleapis.com/projects/shop/locations/europe-west1/functions/On_Event",
	}
	if !slices.Equal(got, want) {
		t.Errorf("read\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if in.Skipped != 2 || in.Files != 8 || in.Before != nil {
		t.Errorf("%d files, %d skipped", in.Files, in.Skipped)
	}
	// policy.yaml is beside two services, so that it is neither's.
	if u := in.After.Unread; len(u) != 1 || u[0].Where.File != filepath.Join("run", "policy.yaml") {
		t.Errorf("unread %+v", u)
	}
	if c := in.After.Callers; len(c) != 1 || c[0].Kind != "cloud-scheduler" {
		t.Errorf("callers %+v", c)
	}
	for _, p := range in.After.Policies {
		if strings.HasSuffix(p.Resource, "/orders") && p.Bindings[1].Where.Line != 4 {
			t.Errorf("the second binding is in line %d, want 4", p.Bindings[1].Where.Line)
		}
	}
	for _, x := range in.After.Targets {
		if strings.HasSuffix(x.Name, "/web") && (x.Where.Line != 5 || x.Ingress != estate.IngressAll) {
			t.Errorf("%+v", x)
		}
		if x.Function != "" && (x.Event != estate.Yes || x.TriggerAccount == "" || len(x.URLs) != 1) {
			t.Errorf("the function is not joined: %+v", x)
		}
	}
}

func TestTarget(t *testing.T) {
	unpack(t, "-- p.yaml --\nbindings: [{role: roles/run.invoker, members: [allUsers]}]\n")
	for target, want := range map[string]string{
		"orders": "//run.googleapis.com/projects/-/locations/-/services/orders",
		"projects/shop/locations/l/services/orders":  "//run.googleapis.com/projects/shop/locations/l/services/orders",
		"projects/shop/locations/l/functions/orders": "//cloudfunctions.googleapis.com/projects/shop/locations/l/functions/orders",
		"projects/shop": "//cloudresourcemanager.googleapis.com/projects/shop",
		"folders/1":     "//cloudresourcemanager.googleapis.com/folders/1",
		"//iap.googleapis.com/projects/1/iap_web/cloud_run-l/services/orders": "//iap.googleapis.com/projects/1/iap_web/cloud_run-l/services/orders",
		"": "//run.googleapis.com/projects/-/locations/-/services/-p.yaml",
	} {
		in, err := Read(Options{Paths: []string{"p.yaml"}, Target: target})
		if err != nil || in.After.Policies[0].Resource != want || len(in.After.Unread) != map[bool]int{true: 1, false: 0}[target == ""] {
			t.Errorf("%q: %v, %v, want %s", target, in.After, err, want)
		}
	}
	for _, target := range []string{"//x.y/projects/p", "projects/p/locations/l", "https://example.com/", "orders x", "-"} {
		if _, err := Read(Options{Paths: []string{"p.yaml"}, Target: target}); err == nil || !strings.Contains(err.Error(), "names no resource") {
			t.Errorf("%q is a target: %v", target, err)
		}
	}
}

func TestErrors(t *testing.T) {
	unpack(t, `
-- pod.yaml --
apiVersion: v1
kind: Pod
-- empty.json --
-- service.yaml --
apiVersion: serving.knative.dev/v1
kind: Service
metadata: {name: a}
---
apiVersion: serving.knative.dev/v1
kind: Service
metadata: [b]
-- tabs.yaml --
a:
	- b
`)
	if err := os.WriteFile("large.yaml", []byte("a: "+strings.Repeat("x", maxYAML)), 0o644); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{
		"pod.yaml": "is not recognized; expected", "empty.json": "is empty", "service.yaml": "service.yaml:5: field metadata has an unexpected form", "tabs.yaml": "is not YAML",
		"large.yaml": "is YAML of more than 8 MB", "nosuch.yaml": "no such file",
	} {
		if _, err := Read(Options{Paths: []string{file}}); err == nil || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %q", file, err, want)
		}
	}
}

// A gate reads a service as invoke does: the same words are booleans, and a
// key given twice is an error.
func TestSameReader(t *testing.T) {
	const service = "apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata:\n  name: a\n  annotations: {run.googleapis.com/invoker-iam-disabled: %s}\n"
	for text, want := range map[string]string{
		strings.ReplaceAll(service, "%s", "yes"):                   "invoker-iam-disabled must be 'true' or 'false'",
		strings.ReplaceAll(service, "%s", `"ture"`):                "invoker-iam-disabled must be 'true' or 'false'",
		strings.ReplaceAll(service, "%s", "true") + "kind: Pod\n":  "has a key twice",
		`{"bindings": [], "bindings": [{"role": "roles/viewer"}]}`: "has a key twice",
	} {
		r := &reader{Input: Input{After: &estate.Estate{}}}
		if err := r.named("x", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
		var s evidence.Snapshot
		name := map[bool]string{true: "policy", false: "service"}[text[0] == '{']
		if err := evidence.Read(name, evidence.Source{Document: "x"}, []byte(text), &s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("invoke: %v, want %q", err, want)
		}
	}
	for _, word := range []string{"true", "True", "'true'", "1"} {
		r := &reader{Input: Input{After: &estate.Estate{}}}
		if err := r.named("x", []byte(strings.ReplaceAll(service, "%s", word))); err != nil || r.After.Targets[0].Check != estate.No {
			t.Errorf("%s: %v", word, err)
		}
	}
}

func TestDenyPoliciesWithoutRules(t *testing.T) {
	r := &reader{Input: Input{After: &estate.Estate{}}}
	err := r.named("x", []byte(`[{"name": "policies/p/denypolicies/a", "kind": "DenyPolicy"}, {"name": "policies/p/denypolicies/b", "rules": [{"denyRule": {}}]}]`))
	if err != nil || len(r.After.Deny) != 1 || len(r.After.Unread) != 1 || !strings.Contains(r.After.Unread[0].What, "denypolicies/a") {
		t.Errorf("%v: deny %v, unread %v", err, r.After.Deny, r.After.Unread)
	}
}

// JSON is JSON first: the YAML library gives its lines alone.
func TestJSONWithEscapes(t *testing.T) {
	r := &reader{Input: Input{After: &estate.Estate{}}}
	if err := r.named("x", []byte("\n{\"name\": \"projects/p/locations/l/services/s\", \"description\": \"\\ud83d\\ude00\\/\", \"invokerIamDisabled\": true}")); err != nil || r.After.Targets[0].Check != estate.No {
		t.Errorf("%v", err)
	}
}

func FuzzFile(f *testing.F) {
	for _, x := range txtar.Parse([]byte(folder)).Files {
		f.Add(x.Data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r := &reader{Input: Input{After: &estate.Estate{}}}
		if err := r.named("-", data); err != nil && !strings.HasPrefix(err.Error(), "-:") {
			t.Errorf("%v names no file", err)
		}
	})
}

// What two root modules name alike need not be one thing.
func TestRootModules(t *testing.T) {
	service := "resource \"google_cloud_run_v2_service\" \"web\" {\n  name = \"web\"\n  location = \"europe-west1\"\n}\n"
	binding := "resource \"google_cloud_run_v2_service_iam_binding\" \"m\" {\n  name = \"web\"\n  location = \"europe-west1\"\n" +
		"  role = \"roles/run.invoker\"\n  members = [%q]\n}\n"
	unpack(t, "-- dev/main.tf --\n"+service+strings.Replace(binding, "%q", `"allUsers"`, 1)+
		"-- prod/main.tf --\n"+service+strings.Replace(binding, "%q", `"user:ann@example.com"`, 1))
	in, err := Read(Options{Paths: []string{"."}})
	if err != nil {
		t.Fatal(err)
	}
	r := rules.Judge(in.After, rules.Options{})
	if r.Summary.Services != 2 || r.Summary.Public != 1 {
		t.Errorf("%d services, %d public; want 2 and 1", r.Summary.Services, r.Summary.Public)
	}
	for _, f := range r.Findings {
		if f.Rule == "grant-redundant" || f.Rule == "plan-conflict" {
			t.Errorf("%s: %s", f.Rule, f.Message)
		}
	}
}
