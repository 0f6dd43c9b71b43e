package manifest

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"diagnose/internal/estate"
)

// laid writes files into a folder of their own, and stands in it.
func laid(t *testing.T, files map[string]string) {
	t.Helper()
	t.Chdir(t.TempDir())
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

const (
	publicBinding = "bindings: [{role: roles/run.invoker, members: [allUsers]}]\n"
	webService    = "name: projects/shop/locations/europe-west1/services/web\ningress: INGRESS_TRAFFIC_ALL\n"
)

// What stands beside a service in a folder neither aborts nor becomes a
// service; what is ours and broken is listed. By name, each is refused.
func TestNeighbours(t *testing.T) {
	const skip, open = "skip", "open"
	for _, c := range []struct{ file, text, folder string }{
		{"tsconfig.json", "{\n // why\n \"compilerOptions\": {},\n}", skip},
		{"cut.json", `{"a": [`, skip},
		{"comma.json", `{"a": 1,}`, skip},
		{"twice.json", `{"a": 1, "a": 2}`, skip},
		{"latin.json", "{\"a\": \"\xe9\"}", skip},
		{"nothing.json", "", skip},
		{"null.json", "null", skip},
		{"number.json", "12", skip},
		{"list.json", "[]", skip},
		{"renovate.json", `{"schedule": ["weekly"]}`, skip},
		{"function.json", `{"bindings": [{"type": "httpTrigger"}], "entryPoint": "f"}`, skip},
		{"grpc.json", `{"serviceConfig": {}}`, skip},
		{"package.json", `{"name": "@acme/services/web"}`, skip},
		{"openapi.json", `{"openapi": "3.0.0", "paths": {}}`, skip},
		{"validate.json", `{"format_version": "1.0", "valid": true, "diagnostics": []}`, skip},
		{"nested.json", `{"example": {"format_version": "1.2", "resource_changes": []}}`, skip},
		{"helm.yaml", "metadata:\n  name: {{ .Values.name }}\n", skip},
		{"tabs.yaml", "a:\n\t- b\n", skip},
		{"twice.yaml", "a: 1\na: 2\n", skip},
		{"key.yaml", "? [a]\n: b\n", skip},
		{"self.yaml", "a: &a [*a]\n", skip},
		{"tag.yaml", "a: !Ref b\n", skip},
		{"comment.yaml", "# nothing\n", skip},
		{"values.yaml", "ingress: {enabled: true}\n", skip},
		{"firewall.yaml", "ingress: all\n", skip},
		{"uri.yaml", "uri: https://example.com\n", skip},
		{"env.yaml", "environment: production\n", skip},
		{"entry.yaml", "entryPoint: main\n", skip},
		{"play.yaml", "- hosts: all\n  roles: [common]\n", skip},
		{"policies.yaml", "policies: [a]\n", skip},
		{"version.yaml", "version: 1\netag: x\nother: y\n", skip},
		{"deployment.yaml", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\n", skip},
		{"build.sh", "make all\n", skip},
		{"broken.sh", "if true; then\n", skip},
		{"Makefile", "all:\n\techo gcloud run deploy web --allow-unauthenticated\n", skip},
		{"test.yml", "on: push\njobs: {test: {steps: [{run: go test ./...}]}}\n", skip},
		{"endpoints.yaml", "specVersion: 2\nendpoints: [a]\n", skip},
		{"deploy-cut.sh", "if true; then\n  gcloud run deploy web --allow-unauthenticated\n", open},
		{"knative-helm.yaml", "apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata:\n  name: {{ .Values.name }}\n", open},
		{"policy-cut.json", `{"bindings": [{"role": "roles/run.invoker", "members": [`, open},
		{"members.yaml", "bindings: [{role: roles/run.invoker, members: allUsers}]\n", open},
		{"plan-cut.json", `{"format_version": "1.2", "resource_changes": [`, open},
		{"future.json", `{"format_version": "2.0", "resource_changes": []}`, open},
		{"switch.yaml", webService + "invokerIamDisabled: perhaps\n", open},
		{"twice-ours.yaml", webService + "ingress: INGRESS_TRAFFIC_ALL\n", open},
		{"member.yaml", "apiVersion: iam.cnrm.cloud.google.com/v1beta1\nkind: IAMPolicyMember\nmetadata: {name: a}\nspec: {role: roles/run.invoker}\n", open},
	} {
		t.Run(c.file, func(t *testing.T) {
			laid(t, map[string]string{"web.yaml": strings.ReplaceAll(webService, "web", "orders"), "web-policy.yaml": publicBinding, "n/" + c.file: c.text})
			in, err := Read(Options{Paths: []string{"."}})
			if err != nil {
				t.Fatalf("aborts: %v", err)
			}
			if len(in.After.Targets) != 1 || len(in.After.Policies) != 1 || in.Before != nil {
				t.Errorf("%d targets, %d policies, before %v", len(in.After.Targets), len(in.After.Policies), in.Before)
			}
			var left []string
			for _, u := range in.After.Unread {
				left = append(left, u.Where.File)
			}
			if want := filepath.Join("n", c.file); c.folder == open != slices.Contains(left, want) || c.folder == skip && (len(left) > 0 || in.Skipped != 1) {
				t.Errorf("open %q, skipped %v", left, in.Left)
			}
			if _, err := Read(Options{Paths: []string{"n/" + c.file}}); err == nil && !slices.Contains(lax, c.file) || err != nil && !strings.Contains(err.Error(), c.file) {
				t.Errorf("by name: %v", err)
			}
		})
	}
}

// A plan is one wherever its version stands: jq -S sorts the fields.
func TestPlanInAnyOrder(t *testing.T) {
	const service = `{"address":"google_cloud_run_v2_service.web","mode":"managed","type":"google_cloud_run_v2_service","name":"web",` +
		`"change":{"actions":["create"],"before":null,"after":{"name":"web","location":"l","project":"shop"},"after_unknown":{}}}`
	laid(t, map[string]string{
		"plan.json": `{"configuration":{"root_module":{"outputs":{"a":{"description":"` + strings.Repeat("long ", 4000) + `"}}}},"format_version":"1.2","resource_changes":[` + service + `]}`,
		"last.json": `{"resource_changes":[` + strings.ReplaceAll(service, "web", "two") + `],"format_version":"1.2"}`,
	})
	for _, paths := range [][]string{{"."}, {"plan.json", "last.json"}} {
		in, err := Read(Options{Paths: paths})
		if err != nil || len(in.After.Targets) != 2 || in.Kinds["Terraform plan"] != 2 {
			t.Errorf("%q: %v, %+v", paths, err, in.Kinds)
		}
	}
}

// lax are the neighbours that a name makes one of ours.
var lax = []string{"values.yaml", "firewall.yaml", "uri.yaml", "env.yaml", "entry.yaml", "grpc.json", "version.yaml", "function.json"}

func TestLeftOut(t *testing.T) {
	service := func(name string) string { return strings.ReplaceAll(webService, "/web", "/"+name) }
	laid(t, map[string]string{
		"a/one.yaml": service("one"), ".github/two.yaml": service("two"), ".cache/x.yaml": service("three"), "node_modules/x.yaml": service("four"),
		"a/vendor/x.yaml": service("five"), "a/test/x.yaml": service("six"), "b/skip.yaml": service("seven"),
	})
	in, err := Read(Options{Paths: []string{"."}, Exclude: []string{"a/test/**", "skip.*"}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, x := range in.After.Targets {
		got = append(got, x.Name[strings.LastIndex(x.Name, "/")+1:])
	}
	if slices.Sort(got); !slices.Equal(got, []string{"one", "two"}) || in.Left[leftOut] == 0 {
		t.Errorf("read %q, left %v", got, in.Left)
	}
	if _, err := Read(Options{Paths: []string{"."}, Exclude: []string{"a["}}); err == nil || !strings.Contains(err.Error(), `--exclude "a["`) {
		t.Errorf("a pattern without end: %v", err)
	}
}

// What a command sets counts for the service that another file has, where
// every part of its name is known.
func TestScripts(t *testing.T) {
	laid(t, map[string]string{
		"web.yaml":                webService,
		"deploy.sh":               "gcloud run services update web --region europe-west1 --project shop --no-invoker-iam-check\n",
		"other.sh":                "gcloud run deploy web --region europe-west1 --allow-unauthenticated\n",
		"bin/release":             "#!/bin/sh\ngcloud run deploy api --allow-unauthenticated\n",
		".github/workflows/d.yml": "on: push\njobs: {d: {steps: [{run: gcloud run deploy bill --allow-unauthenticated}]}}\n",
	})
	if err := os.Chmod("bin/release", 0o755); err != nil {
		t.Fatal(err)
	}
	in, err := Read(Options{Paths: []string{"."}})
	if err != nil || len(in.After.Unread) > 0 {
		t.Fatal(err, in.After.Unread)
	}
	var got []string
	for _, x := range in.After.Targets {
		got = append(got, fmt.Sprintf("%s %v %s", x.Name[len("//run.googleapis.com/projects/"):], x.Check == estate.No, x.Where.File))
	}
	want := []string{"-/locations/-/services/api false bin/release", "-/locations/-/services/bill false .github/workflows/d.yml",
		"-/locations/europe-west1/services/web false other.sh", "shop/locations/europe-west1/services/web true deploy.sh"}
	if slices.Sort(got); !slices.Equal(got, want) || in.Kinds["shell script"] != 3 || in.Kinds["GitHub workflow"] != 1 {
		t.Errorf("%q, %v", got, in.Kinds)
	}
}

// Firebase's functions, by what they say of their invokers.
func TestFirebase(t *testing.T) {
	laid(t, map[string]string{"functions.yaml": `specVersion: v1alpha1
endpoints:
  open:
    platform: gcfv2
    region: [europe-west1]
    httpsTrigger:
      invoker: [public]
  shut: {platform: gcfv1, project: shop, httpsTrigger: {invoker: [private]}}
  some: {platform: gcfv2, httpsTrigger: {invoker: [a@shop.iam.gserviceaccount.com, "b@"]}}
  unsaid: {platform: gcfv2, callableTrigger: {}}
  event: {platform: gcfv2, eventTrigger: {eventType: x}}
`})
	in, err := Read(Options{Paths: []string{"."}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range in.After.Policies {
		b := p.Bindings[0]
		got = append(got, fmt.Sprintf("%s %s %v open=%v maybe=%v", p.Resource[strings.LastIndex(p.Resource, "/")+1:], b.Role, b.Members, b.Open != "", b.Maybe != ""))
	}
	want := []string{
		"open roles/run.invoker [allUsers] open=false maybe=false", "shut roles/cloudfunctions.invoker [] open=false maybe=false",
		"some roles/run.invoker [serviceAccount:a@shop.iam.gserviceaccount.com] open=true maybe=false", "unsaid roles/run.invoker [allUsers] open=false maybe=true",
	}
	if slices.Sort(got); !slices.Equal(got, want) || len(in.After.Targets) != 5 {
		t.Errorf("%q, %d targets", got, len(in.After.Targets))
	}
	for _, p := range in.After.Policies {
		if strings.HasSuffix(p.Resource, "/open") && p.Where.Line != 7 {
			t.Errorf("line %d", p.Where.Line)
		}
	}
}

// Config Connector's objects, alone and in a List, joined by reference.
func TestConfigConnector(t *testing.T) {
	laid(t, map[string]string{"k.yaml": `apiVersion: v1
kind: List
items:
- apiVersion: run.cnrm.cloud.google.com/v1beta1
  kind: RunService
  metadata: {name: web, namespace: shop}
  spec: {location: europe-west1, ingress: INGRESS_TRAFFIC_INTERNAL_ONLY}
- apiVersion: iam.cnrm.cloud.google.com/v1beta1
  kind: IAMPolicyMember
  metadata: {name: open, namespace: shop}
  spec:
    member: allUsers
    role: roles/run.invoker
    resourceRef: {kind: RunService, name: web}
---
apiVersion: iam.cnrm.cloud.google.com/v1beta1
kind: IAMPartialPolicy
metadata: {name: some, namespace: shop}
spec:
  resourceRef: {kind: Project, external: projects/shop}
  bindings:
  - role: roles/run.invoker
    members: [{member: "user:ann@example.com"}, {memberFrom: {serviceAccountRef: {name: x}}}]
---
apiVersion: iam.cnrm.cloud.google.com/v1beta1
kind: IAMPolicy
metadata: {name: bucket}
spec: {resourceRef: {kind: StorageBucket, name: b}, bindings: [{role: roles/storage.admin, members: [allUsers]}]}
---
apiVersion: cloudfunctions.cnrm.cloud.google.com/v1beta1
kind: CloudFunctionsFunction
metadata: {name: old, annotations: {cnrm.cloud.google.com/project-id: shop}}
spec: {region: us-east1, httpsTrigger: {}}
`})
	in, err := Read(Options{Paths: []string{"."}})
	if err != nil || len(in.After.Unread) > 0 {
		t.Fatal(err, in.After.Unread)
	}
	const web = "//run.googleapis.com/projects/shop/locations/europe-west1/services/web"
	if x := in.After.Targets; len(x) != 2 || x[0].Name != web || x[0].Ingress != estate.IngressInternal || x[0].Where.Line != 4 ||
		x[1].Name != "//cloudfunctions.googleapis.com/projects/shop/locations/us-east1/functions/old" || !x[1].Gen1 {
		t.Errorf("targets %+v", x)
	}
	p := in.After.Policies
	if len(p) != 2 || p[0].Resource != web || p[0].Bindings[0].Members[0] != "allUsers" || p[0].Where.Line != 8 || p[0].Partial == "" {
		t.Fatalf("policies %+v", p)
	}
	if b := p[1].Bindings[0]; p[1].Resource != "//cloudresourcemanager.googleapis.com/projects/shop" || !b.NotAnyone || b.Open == "" || !slices.Equal(b.Members, []string{"user:ann@example.com"}) {
		t.Errorf("partial policy %+v", p[1])
	}
}
