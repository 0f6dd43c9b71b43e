package terraform_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"diagnose/checks/rules"
	"diagnose/internal/estate"
	"diagnose/internal/iam"
	"diagnose/internal/terraform"
)

var update = flag.Bool("update", false, "rewrite docs/comparison.md")

// unpack writes a txtar into a folder.
func unpack(t *testing.T, text string) string {
	t.Helper()
	dir := t.TempDir()
	for _, f := range txtar.Parse([]byte(text)).Files {
		name := filepath.Join(dir, f.Name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, f.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const whole = `
-- main.tf --
provider "google" {
  project = var.project
  region  = "europe-west1"
}
variable "project" {}
variable "callers" { default = ["mover", "loader"] }
variable "secret" {}
locals {
  role   = "roles/${local.suffix}"
  suffix = "run.invoker"
}
resource "google_service_account" "caller" {
  for_each   = toset(var.callers)
  account_id = each.key
}
resource "google_cloud_run_v2_service" "orders" {
  name    = "orders"
  location = "europe-west1"
  ingress = "INGRESS_TRAFFIC_INTERNAL_ONLY"
}
resource "google_cloud_run_v2_service_iam_member" "callers" {
  for_each = google_service_account.caller
  name     = google_cloud_run_v2_service.orders.name
  location = google_cloud_run_v2_service.orders.location
  role     = local.role
  member   = "serviceAccount:${each.value.email}"
}
resource "google_project_iam_binding" "open" {
  project = var.project
  role    = local.role
  members = ["user:ann@example.com", var.secret]
}
data "google_iam_policy" "web" {
  dynamic "binding" {
    for_each = ["roles/run.invoker"]
    content {
      role    = binding.value
      members = ["allUsers"]
    }
  }
}
# diagnose:ignore grant-all-users the web site
resource "google_cloud_run_service_iam_policy" "web" {
  count       = 2
  service     = "web-${count.index}"
  location    = "us-east1"
  policy_data = data.google_iam_policy.web.policy_data
}
resource "google_cloud_run_v2_service_iam_member" "elsewhere" {
  name   = google_cloud_run_v2_service.other.name
  role   = "roles/run.invoker"
  member = "allUsers"
}
module "inner" {
  source = "./inner"
  name   = "inner"
}
module "foreign" {
  source = "terraform-google-modules/iam/google"
}
-- terraform.tfvars --
project = "shop"
-- inner/main.tf --
variable "name" {}
resource "google_cloudfunctions2_function" "f" {
  name     = var.name
  location = "europe-west1"
  service_config { ingress_settings = var.missing }
}
output "name" { value = google_cloudfunctions2_function.f.name }
`

func TestConfiguration(t *testing.T) {
	dir := unpack(t, whole)
	c, err := terraform.ReadConfiguration(dir)
	if err != nil {
		t.Fatal(err)
	}
	compare(t, "configuration", describe(c.Estate), []string{
		"grant cloudresourcemanager.googleapis.com/projects/shop roles/run.invoker [user:ann@example.com] open partial",
		"grant run.googleapis.com/projects/shop/locations/europe-west1/services/-google_cloud_run_v2_service.other roles/run.invoker [allUsers] partial",
		"grant run.googleapis.com/projects/shop/locations/europe-west1/services/orders roles/run.invoker [serviceAccount:loader@shop.iam.gserviceaccount.com] partial",
		"grant run.googleapis.com/projects/shop/locations/europe-west1/services/orders roles/run.invoker [serviceAccount:mover@shop.iam.gserviceaccount.com] partial",
		"grant run.googleapis.com/projects/shop/locations/us-east1/services/web-0 roles/run.invoker [allUsers]",
		"grant run.googleapis.com/projects/shop/locations/us-east1/services/web-1 roles/run.invoker [allUsers]",
		"target run.googleapis.com/projects/shop/locations/europe-west1/services/inner ingress 0 check 0 event 1 of cloudfunctions.googleapis.com/projects/shop/locations/europe-west1/functions/inner",
		"target run.googleapis.com/projects/shop/locations/europe-west1/services/orders ingress 2 check 2 event 1",
	})
	if len(c.Ignores) != 1 || c.Ignores[0].Rule != "grant-all-users" || c.Ignores[0].Reason != "the web site" || c.Ignores[0].Last-c.Ignores[0].First != 5 {
		t.Errorf("ignores %+v", c.Ignores)
	}
	if u := c.Estate.Unread; len(u) != 1 || u[0].What != "module foreign" || u[0].Where.Line == 0 {
		t.Errorf("unread %+v", u)
	}
	for _, p := range c.Estate.Policies {
		if p.Where.Line == 0 || !strings.HasSuffix(p.Where.File, ".tf") {
			t.Errorf("%s has no line: %+v", p.Resource, p.Where)
		}
	}
}

func TestConfigurationErrors(t *testing.T) {
	dir := unpack(t, "-- main.tf --\nresource \"a\" {\n-- i/main.tf --\n# diagnose:ignore grant-domain\n")
	for file, want := range map[string]string{"main.tf": "main.tf:1: is not a Terraform configuration", "i/main.tf": "main.tf:1: an ignore needs a reason"} {
		_, err := terraform.ReadConfiguration(filepath.Join(dir, file))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %q", file, err, want)
		}
	}
}

// In a folder, what cannot be read is listed and the rest is read.
func TestFolderLeftOpen(t *testing.T) {
	const open = "-- iam.tf --\nresource \"google_project_iam_member\" \"p\" {\n  project = \"shop\"\n  role = \"roles/run.invoker\"\n  member = \"allUsers\"\n}\n"
	for text, want := range map[string]string{
		"-- main.tf --\nresource \"google_a\" {": "main.tf: is not a Terraform configuration",
		"-- main.tf --\nresource \"aws_s3\" {":   "",
		"-- main.tf --\nmodule \"m\" { source = \"./m\" }\n-- m/main.tf --\nmodule \"back\" { source = \"../\" }\n":    "module back: it calls itself",
		"-- main.tf --\nmodule \"m\" { source = \"./\" }\n":                                                            "module m: it calls itself",
		"-- terraform.tfvars --\nx = {\nallUsers":                                                                      "terraform.tfvars: is not a Terraform configuration",
		"-- main.tf --\nmodule \"net\" {\n  source = \"terraform-google-modules/network/google\"\n  name = \"a\"\n}\n": "",
		"-- main.tf --\nmodule \"run\" {\n  source = \"a/cloud-run/google\"\n}\n":                                      "module run: it is not in this folder",
		"-- main.tf --\nmodule \"m\" {\n  source = \"a/b/google\"\n  members = [\"allUsers\"]\n}\n":                    "module m: its arguments name allUsers, and it is not in this folder",
		"-- main.tf --\nmodule \"m\" {\n  source = \"a/b/google\"\n  iam = var.x\n}\n":                                 "module m: it is not in this folder",
	} {
		c, err := terraform.ReadConfiguration(unpack(t, text+"\n"+open))
		if err != nil || len(c.Estate.Policies) == 0 {
			t.Errorf("%q: %v, %d policies", text, err, len(c.Estate.Policies))
			continue
		}
		var got []string
		for _, u := range c.Estate.Unread {
			if !u.Aside {
				got = append(got, filepath.Base(u.What)+": "+u.Reason)
			}
		}
		if text := strings.Join(got, "\n"); !strings.HasPrefix(text, want) || want == "" && text != "" {
			t.Errorf("%q: open %q, want %q", text, got, want)
		}
	}
}

// Whoever it will be, an account is not anyone.
func TestNeverAnyone(t *testing.T) {
	for member, want := range map[string]bool{
		`"serviceAccount:${google_service_account.a.email}"`:       true,
		`google_service_account.a.member`:                          true,
		`local.member`:                                             true,
		`"user:${var.x}"`:                                          true,
		`"serviceAccount:${data.google_project.p.number}-compute"`: true,
		`var.x`:                          false,
		`"${var.x}"`:                     false,
		`google_service_account.a.email`: true,
		`data.google_project.p.number`:   true,
		`module.m.who`:                   false,
		`"all${var.x}"`:                  false,
	} {
		c, err := terraform.ReadConfiguration(unpack(t, "-- main.tf --\nvariable \"x\" {}\nlocals { member = google_service_account.a.member }\n"+
			"resource \"google_service_account\" \"a\" { account_id = var.x }\ndata \"google_project\" \"p\" {}\n"+
			"resource \"google_project_iam_binding\" \"p\" {\n  project = \"shop\"\n  role = \"roles/run.invoker\"\n  members = [\"user:a@example.com\", "+member+"]\n}\n"))
		if err != nil {
			t.Fatal(err)
		}
		if b := c.Estate.Policies[0].Bindings[0]; b.Open == "" || b.NotAnyone != want {
			t.Errorf("%s: open %q, not anyone %v, want %v", member, b.Open, b.NotAnyone, want)
		}
	}
}

// Modules in modules take bounded time.
func TestDeepModules(t *testing.T) {
	var b strings.Builder
	b.WriteString("-- main.tf --\nmodule \"m\" {\n source = \"./m1\"\n}\n")
	for i := 1; i < 14; i++ {
		fmt.Fprintf(&b, "-- %s/main.tf --\nvariable \"v\" { default = 1 }\nmodule \"m\" {\n  source = \"./m%d\"\n}\noutput \"o\" { value = module.m.o }\n", deep(i), i+1)
	}
	fmt.Fprintf(&b, "-- %s/main.tf --\nresource \"google_project_iam_member\" \"p\" {\n  project = \"shop\"\n  role = \"roles/run.invoker\"\n  member = \"allUsers\"\n}\noutput \"o\" { value = 1 }\n", deep(14))
	c, err := terraform.ReadConfiguration(unpack(t, b.String()))
	if err != nil {
		if !strings.Contains(err.Error(), "nested too deep") {
			t.Error(err)
		}
		return
	}
	if len(c.Estate.Policies) != 1 {
		t.Errorf("%d policies, want that of the innermost module", len(c.Estate.Policies))
	}
}

func deep(n int) string {
	var parts []string
	for i := 1; i <= n; i++ {
		parts = append(parts, fmt.Sprintf("m%d", i))
	}
	return strings.Join(parts, "/")
}

func TestRootModules(t *testing.T) {
	dir := unpack(t, whole)
	got := reader(t, terraform.Inputs{}).Roots(map[string]bool{dir: true, filepath.Join(dir, "inner"): true})
	if !slices.Equal(got, []string{dir}) {
		t.Errorf("roots %q, want %q", got, dir)
	}
}

// public are the rules that say that anyone may invoke.
var public = []string{"grant-all-users", "grant-all-authenticated", "invoker-check-disabled"}

// TestComparison writes, resource by resource, what other tools say of their
// own fixtures, and what this one says and why.
func TestComparison(t *testing.T) {
	dir := os.Getenv("DIAGNOSE_DATA")
	if dir == "" {
		t.Skip("DIAGNOSE_DATA names no folder with inputs of others")
	}
	var doc struct {
		Verdicts []struct {
			Check, Fixture string
			Pass, Fail     []string
		}
	}
	data, err := os.ReadFile(filepath.Join(dir, "hcl/checkov/expected_verdicts.json"))
	if err != nil || json.Unmarshal(data, &doc) != nil {
		t.Fatalf("the verdicts cannot be read: %v", err)
	}
	var b strings.Builder
	b.WriteString("# What other tools say of their own fixtures\n\nCheckov's and KICS's test fixtures for Cloud Run and functions, read as raw configuration. They go by the member of a binding;\ndiagnose asks whether the role includes the permission to invoke, and whether the policy counts. Written by a test.\n")
	wrong := 0
	for _, v := range doc.Verdicts {
		if v.Check != "CKV_GCP_102" && v.Check != "CKV_GCP_107" {
			continue
		}
		c, err := terraform.ReadConfiguration(filepath.Dir(filepath.Join(dir, v.Fixture)))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "\n## Checkov %s\n\n| resource | Checkov | diagnose | why |\n|---|---|---|---|\n", v.Check)
		ours := verdicts(c.Estate)
		for _, row := range []struct {
			verdict string
			list    []string
		}{{"fail", v.Fail}, {"pass", v.Pass}} {
			for _, address := range row.list {
				us := ours[address]
				if us.rule == "" {
					us.rule, us.why = "nothing", roleReason(c.Estate, address)
				}
				if slices.Contains(public, us.rule) {
					wrong++
				}
				fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", address, row.verdict, us.rule, us.why)
			}
		}
	}
	if wrong != 1 {
		t.Errorf("%d resources are called public, want the 1 that is", wrong)
	}
	kics(t, dir, &b)
	name := "../../docs/comparison.md"
	if *update {
		if err := os.WriteFile(name, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(name); err != nil || string(got) != b.String() {
		t.Errorf("%s is not what the test finds; -update rewrites it (%v)", name, err)
	}
}

type ruling struct{ rule, why string }

// verdicts are the findings about access by address, the most severe first.
func verdicts(e *estate.Estate) map[string]ruling {
	out := map[string]ruling{}
	for _, f := range rules.Judge(e, rules.Options{Now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}).Findings {
		if f.Rule == "plan-conflict" || f.Rule == "grant-redundant" || f.Rule == "ingress-all-public" {
			continue // of another kind
		}
		if _, ok := out[f.Where.Address]; !ok {
			out[f.Where.Address] = ruling{f.Rule, f.Message}
		}
	}
	return out
}

// roleReason says why nothing was found about a binding.
func roleReason(e *estate.Estate, address string) string {
	for _, p := range e.Policies {
		for _, b := range p.Bindings {
			if b.Where.Address != address {
				continue
			}
			for _, permission := range []string{iam.RunInvoke, iam.FunctionsInvoke} {
				if carries, _ := iam.NewRoles(nil).Carries(b.Role, permission); carries != iam.NotGranted {
					return "only named members have " + b.Role
				}
			}
			return b.Role + " does not include a permission to invoke"
		}
	}
	return "no grant"
}

func kics(t *testing.T, dir string, b *strings.Builder) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "hcl/kics-*/cloud_run_*/*.tf"))
	more, _ := filepath.Glob(filepath.Join(dir, "hcl/kics-*/cloud_run_*/test/*.tf"))
	files = append(files, more...)
	if err != nil || len(files) < 6 {
		t.Fatalf("only %d fixtures of KICS: %v", len(files), err)
	}
	b.WriteString("\n## KICS, Cloud Run service is public\n\n| fixture | KICS | diagnose |\n|---|---|---|\n")
	slices.Sort(files)
	for _, f := range files {
		c, err := terraform.ReadConfiguration(f)
		if err != nil {
			t.Fatal(err)
		}
		found := []string{}
		for _, r := range verdicts(c.Estate) {
			found = append(found, r.rule)
		}
		slices.Sort(found)
		positive := strings.HasPrefix(filepath.Base(f), "positive")
		says := map[bool]string{true: "public", false: "not public"}[positive]
		open := slices.ContainsFunc(found, func(r string) bool { return slices.Contains(public, r) })
		if open != positive {
			t.Errorf("%s: %v, and KICS says %s", f, found, says)
		}
		rel, _ := filepath.Rel(dir, f)
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", strings.TrimPrefix(rel, "hcl/"), says, orNothing(found))
	}
}

func orNothing(list []string) string {
	if len(list) == 0 {
		return "nothing"
	}
	return strings.Join(list, ", ")
}
