package terraform_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"diagnose/checks/rules"
	"diagnose/internal/terraform"
)

// web is a service, and opened a grant on it to a member.
const web = `
provider "google" {
  project = "shop"
  region  = "europe-west1"
}
resource "google_cloud_run_v2_service" "web" {
  name     = "web"
  location = "europe-west1"
}
`

func opened(member string) string {
	return `
resource "google_cloud_run_v2_service_iam_member" "m" {
  name     = google_cloud_run_v2_service.web.name
  location = google_cloud_run_v2_service.web.location
  role     = "roles/run.invoker"
  member   = ` + member + `
}
`
}

const isPublic = "1 services, 1 public; grant-all-users web; ingress-all-public web"

// Whatever Terraform takes the member from, the service is public.
func TestEverySource(t *testing.T) {
	who := opened("var.who") + "variable \"who\" { default = \"user:ann@example.com\" }\n"
	for name, files := range map[string]string{
		"an override file":         "-- main.tf --" + web + opened(`"user:ann@example.com"`) + "-- override.tf --\nresource \"google_cloud_run_v2_service_iam_member\" \"m\" {\n  member = \"allUsers\"\n}\n",
		"a file _override.tf.json": "-- main.tf --" + web + opened(`"user:ann@example.com"`) + "-- my_override.tf.json --\n" + `{"resource": {"google_cloud_run_v2_service_iam_member": {"m": {"member": "allUsers"}}}}`,
		"JSON":                     "-- main.tf --" + web + "-- iam.tf.json --\n" + `{"locals": {"who": "allUsers"}, "resource": {"google_cloud_run_v2_service_iam_member": {"m": {"name": "${google_cloud_run_v2_service.web.name}", "location": "europe-west1", "role": "roles/run.invoker", "member": "${local.who}"}}}}`,
		"JSON alone": "-- cdk.tf.json --\n" + `{"//": {"metadata": {}}, "provider": {"google": [{"project": "shop", "region": "europe-west1"}]},
"resource": {"google_cloud_run_v2_service": {"web": {"//": {"metadata": {"path": "web"}}, "name": "web", "location": "europe-west1", "template": {"containers": [{"image": "i"}]}}},
"google_cloud_run_v2_service_iam_member": {"m": {"name": "${google_cloud_run_v2_service.web.name}", "location": "europe-west1", "role": "roles/run.invoker", "member": "allUsers"}}}}`,
		"a dynamic block in JSON": "-- main.tf --" + web + "-- iam.tf.json --\n" + `{"data": {"google_iam_policy": {"p": {"dynamic": {"binding": {"for_each": ["roles/run.invoker"], "content": {"role": "${binding.value}", "members": ["allUsers"]}}}}}},
"resource": {"google_cloud_run_v2_service_iam_policy": {"m": {"name": "web", "location": "europe-west1", "policy_data": "${data.google_iam_policy.p.policy_data}"}}}}`,
		"a file of OpenTofu":              "-- main.tf --" + web + "-- iam.tofu --" + opened(`"allUsers"`),
		"OpenTofu's file in place of one": "-- main.tf --" + web + "-- iam.tf --" + opened(`"user:ann@example.com"`) + "-- iam.tofu --" + opened(`"allUsers"`),
		"terraform.tfvars.json":           "-- main.tf --" + web + who + "-- terraform.tfvars --\nwho = \"user:bob@example.com\"\n-- terraform.tfvars.json --\n{\"who\": \"allUsers\"}\n",
		"auto.tfvars.json":                "-- main.tf --" + web + who + "-- terraform.tfvars --\nwho = \"user:bob@example.com\"\n-- x.auto.tfvars.json --\n{\"who\": \"allUsers\"}\n",
		"an optional attribute": "-- main.tf --" + web + opened("var.access.who") +
			"variable \"access\" {\n  type = object({ name = string, who = optional(string, \"allUsers\") })\n  default = { name = \"a\" }\n}\n",
		"a default in place of null": "-- main.tf --" + web + "module \"m\" {\n  source = \"./m\"\n  who = null\n  name = google_cloud_run_v2_service.web.name\n}\n-- m/main.tf --\nvariable \"name\" {}\nvariable \"who\" {\n  default = \"allUsers\"\n  nullable = false\n}\n" +
			strings.ReplaceAll(strings.ReplaceAll(opened("var.who"), "google_cloud_run_v2_service.web.name", "var.name"), "google_cloud_run_v2_service.web.location", `"europe-west1"`),
		"a file":               "-- main.tf --" + web + opened(`trimspace(file("${path.module}/who.txt"))`) + "-- who.txt --\nallUsers\n",
		"YAML":                 "-- main.tf --" + web + opened(`yamldecode(file("${path.root}/who.yaml")).access.members[0]`) + "-- who.yaml --\naccess:\n  members: [allUsers]\n",
		"a template":           "-- main.tf --" + web + opened(`templatefile("who.tftpl", { end = "Users" })`) + "-- who.tftpl --\nall${end}",
		"a set of files":       "-- main.tf --" + web + opened(`yamldecode(file(tolist(fileset(path.module, "who/*.yaml"))[0])).member`) + "-- who/a.yaml --\nmember: allUsers\n",
		"one, of a splat":      "-- main.tf --" + web + opened(`one([for m in ["allUsers"] : m if startswith(m, "all") && endswith(m, "Users")])`),
		"coalesce":             "-- main.tf --" + web + opened(`coalesce("", null, "allUsers")`),
		"alltrue, sum":         "-- main.tf --" + web + opened(`alltrue([true, anytrue([false, true])]) && sum([1, 2]) == 3 && length("abc") == 3 ? "allUsers" : "user:ann@example.com"`),
		"base64":               "-- main.tf --" + web + opened(`base64decode("YWxsVXNlcnM=")`),
		"the workspace":        "-- main.tf --" + web + opened(`terraform.workspace == "prod" ? "allUsers" : "user:ann@example.com"`) + "-- .terraform/environment --\nprod",
		"a module of init":     "-- main.tf --" + web + "module \"open\" {\n  source = \"example/open/google\"\n  name = google_cloud_run_v2_service.web.name\n}\n-- .terraform/modules/modules.json --\n" + `{"Modules":[{"Key":"","Source":"","Dir":"."},{"Key":"open","Source":"registry.terraform.io/example/open/google","Version":"1.0.0","Dir":".terraform/modules/open"}]}` + "\n-- .terraform/modules/open/main.tf --\nvariable \"name\" {}\nmodule \"in\" {\n  source = \"./in\"\n  name = var.name\n}\n-- .terraform/modules/open/in/main.tf --\nvariable \"name\" {}\n" + strings.ReplaceAll(strings.ReplaceAll(opened(`"allUsers"`), "google_cloud_run_v2_service.web.name", "var.name"), "google_cloud_run_v2_service.web.location", `"europe-west1"`),
		"a long way of values": "-- main.tf --" + web + "locals {\n  a = local.b\n  b = local.c\n  c = module.m.d\n}\nmodule \"m\" {\n  source = \"./m\"\n  e = local.f\n}\nlocals {\n  f = local.g\n  g = local.h\n  h = \"allUsers\"\n}\n" + opened("local.a") + "-- m/main.tf --\nvariable \"e\" {}\nlocals { e = var.e }\noutput \"d\" { value = local.e }\n",
		"outputs of a module that needs another of its own": "-- main.tf --" + web + "module \"m\" {\n  source = \"./m\"\n  e = module.m.first\n}\n" + opened("module.m.second") + "-- m/main.tf --\nvariable \"e\" {}\noutput \"first\" { value = \"allUsers\" }\noutput \"second\" { value = var.e }\n",
	} {
		c, err := terraform.ReadConfiguration(unpack(t, files))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := judged(c.Estate, nil, rules.Options{}); got != isPublic {
			t.Errorf("%s: %s\nunread %v", name, got, c.Estate.Unread)
		}
	}
}

// What is given from outside counts over what files say, in Terraform's order.
func TestGivenVariables(t *testing.T) {
	dir := unpack(t, "-- main.tf --"+web+opened("var.who")+"variable \"who\" {\n  type = string\n}\nvariable \"more\" {\n  type = list(string)\n  default = []\n}\n"+
		"resource \"google_project_iam_member\" \"p\" {\n  for_each = toset(var.more)\n  project = \"shop\"\n  role = \"roles/run.invoker\"\n  member = each.key\n}\n-- of.tfvars --\nwho = \"allUsers\"\n")
	environment := func(values map[string]string) func(string) string {
		return func(name string) string { return values[name] }
	}
	for _, tt := range []struct {
		name, tfvars string
		in           terraform.Inputs
		want         string
	}{
		{"the environment", "", terraform.Inputs{Getenv: environment(map[string]string{"TF_VAR_who": "allUsers"})}, isPublic},
		{"a file over the environment", "who = \"user:ann@example.com\"", terraform.Inputs{Getenv: environment(map[string]string{"TF_VAR_who": "allUsers"})}, "1 services, 0 public"},
		{"a flag over a file", "who = \"user:ann@example.com\"", terraform.Inputs{Variables: []string{"who=allUsers"}}, isPublic},
		{"a file named over another", "who = \"user:ann@example.com\"", terraform.Inputs{Variables: []string{"@" + filepath.Join(dir, "of.tfvars")}}, isPublic},
		{"the last one of two", "", terraform.Inputs{Variables: []string{"@" + filepath.Join(dir, "of.tfvars"), "who=user:ann@example.com"}}, "1 services, 0 public"},
		{"a list in a flag", "", terraform.Inputs{Variables: []string{"who=user:ann@example.com", `more=["allUsers"]`}}, "1 services, 1 public; grant-all-users shop; grant-redundant web; ingress-all-public web"},
		{"nothing", "", terraform.Inputs{}, "1 services, 0 public"},
	} {
		if err := os.WriteFile(filepath.Join(dir, "terraform.tfvars"), []byte(tt.tfvars), 0o644); err != nil {
			t.Fatal(err)
		}
		c, err := reader(t, tt.in).Read(dir)
		if err != nil {
			t.Fatal(err)
		}
		if got := judged(c.Estate, nil, rules.Options{}); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
	for _, in := range []string{"who", "=x", "@" + filepath.Join(dir, "missing.tfvars")} {
		if _, err := terraform.NewReader(terraform.Inputs{Variables: []string{in}}); err == nil {
			t.Errorf("%q is taken", in)
		}
	}
}

// Files outside of the repository are not read: who proposes a change names
// them.
func TestFilesOutside(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "who.txt")
	if err := os.WriteFile(outside, []byte("allUsers"), 0o644); err != nil {
		t.Fatal(err)
	}
	dir := unpack(t, "-- .git/HEAD --\n-- infra/main.tf --"+web+opened(`file("../who.txt")`)+"-- who.txt --\nallUsers")
	if c, err := terraform.ReadConfiguration(filepath.Join(dir, "infra")); err != nil || judged(c.Estate, nil, rules.Options{}) != isPublic {
		t.Errorf("a file of the repository: %v", err)
	}
	if err := os.Symlink(outside, filepath.Join(dir, "infra", "link.txt")); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{outside, "link.txt", "../../" + filepath.Base(filepath.Dir(outside)) + "/who.txt", "~/who.txt", "/proc/self/environ", "infra"} {
		main := strings.ReplaceAll(web+opened(`file("PATH")`), "PATH", path)
		if err := os.WriteFile(filepath.Join(dir, "infra", "main.tf"), []byte(main), 0o644); err != nil {
			t.Fatal(err)
		}
		c, err := terraform.ReadConfiguration(filepath.Join(dir, "infra"))
		if err != nil {
			t.Fatal(err)
		}
		if b := c.Estate.Policies[0].Bindings[0]; b.Open == "" || len(b.Members) > 0 {
			t.Errorf("%s was read: %q", path, b.Members)
		}
	}
}

// A resource is in the project of its own provider.
func TestProviders(t *testing.T) {
	dir := unpack(t, `
-- main.tf --
provider "google" {
  project = "shop"
}
provider "google" {
  alias   = "eu"
  project = local.eu
  region  = "europe-west1"
}
provider "google-beta" {
  project = var.unknown
}
variable "unknown" {}
locals { eu = "shop-eu" }
resource "google_cloud_run_v2_service" "a" {
  name = "a"
  location = "us-east1"
}
resource "google_cloud_run_v2_service" "b" {
  provider = google.eu
  name = "b"
  location = "us-east1"
}
resource "google_cloudfunctions_function" "c" {
  provider = google-beta
  name = "c"
}
module "m" {
  source = "./m"
  providers = { google = google.eu }
}
module "n" { source = "./m" }
-- m/main.tf --
resource "google_cloudfunctions_function" "d" { name = "d" }
`)
	c, err := reader(t, terraform.Inputs{Getenv: func(name string) string { return map[string]string{"GOOGLE_REGION": "us-west1"}[name] }}).Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, target := range c.Estate.Targets {
		got = append(got, target.Where.Address+" "+short(target.Name)[strings.IndexByte(short(target.Name), '/'):])
	}
	compare(t, "projects", got, []string{
		"google_cloud_run_v2_service.a /projects/shop/locations/us-east1/services/a",
		"google_cloud_run_v2_service.b /projects/shop-eu/locations/us-east1/services/b",
		"google_cloudfunctions_function.c /projects/-/locations/us-west1/functions/c",
		"module.m.google_cloudfunctions_function.d /projects/shop-eu/locations/europe-west1/functions/d",
		"module.n.google_cloudfunctions_function.d /projects/shop/locations/us-west1/functions/d",
	})
}

func reader(t *testing.T, in terraform.Inputs) *terraform.Reader {
	t.Helper()
	r, err := terraform.NewReader(in)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
