package patch

import (
	"errors"
	"os"
	"testing"
)

const resources = `# kept
resource "google_cloud_run_v2_service" "web" {
  name                 = "web" # the site
  invoker_iam_disabled = true
}

# everybody may
resource "google_cloud_run_v2_service_iam_member" "open" {
  member = "allUsers"
}

resource "google_cloud_run_v2_service_iam_binding" "some" {
  members = [
    "user:ann@example.com", # she may
    "allUsers",
    "serviceAccount:${var.x}",
  ]
}
resource "google_cloud_run_v2_service_iam_policy" "p" {
  policy_data = data.google_iam_policy.p.policy_data
}
`

const policyData = `data "google_iam_policy" "p" {
  binding {
    role    = "roles/viewer"
    members = ["user:bob@example.com"]
  }
  binding {
    role    = "roles/run.invoker"
    members = ["user:ann@example.com", "allUsers"]
  }
}
`

func TestApply(t *testing.T) {
	const removed = "removed {\n  from = x\n}\n"
	for _, c := range []struct {
		name, file, text string
		change           Change
		old, new         string // the part of the text that changes, and to what
	}{
		{"an argument", "main.tf", resources, Change{Address: "module.m.google_cloud_run_v2_service.web", Terraform: "invoker_iam_disabled = false\n"}, "invoker_iam_disabled = true", "invoker_iam_disabled = false"},
		{"a resource, with the comment of it", "main.tf", resources, Change{Address: "google_cloud_run_v2_service_iam_member.open", Terraform: removed, Member: "allUsers"},
			"# everybody may\nresource \"google_cloud_run_v2_service_iam_member\" \"open\" {\n  member = \"allUsers\"\n}\n\n", ""},
		{"a member of a list", "main.tf", resources, Change{Address: "google_cloud_run_v2_service_iam_binding.some", Member: "allUsers",
			Terraform: "resource \"google_cloud_run_v2_service_iam_binding\" \"some\" {\n  members = []\n}\n"}, "    \"allUsers\",\n", ""},
		{"the only line of a script", "deploy.sh", "gcloud run deploy web --allow-unauthenticated\n", Change{Line: 1, Member: "allUsers"}, "--allow", "--no-allow"},
		{"a flag of a pipeline", "cloudbuild.yaml", "steps:\n- args:\n  - --no-invoker-iam-check\n", Change{Line: 3}, "--no-invoker", "--invoker"},
		{"a flag in another one's name", "deploy.sh", "deploy --public-key x\n", Change{Line: 1}, "", ""},
		{"a member of YAML", "p.yaml", "bindings:\n# why\n- role: roles/run.invoker\n  members:\n  - \"user:ann@example.com\"\n  - \"allUsers\" # all\n", Change{Line: 3, Member: "allUsers"}, "  - \"allUsers\" # all\n", ""},
		{"the only member of YAML", "p.yaml", "bindings:\n- members:\n  - allUsers\n  role: r\n", Change{Line: 2, Member: "allUsers"}, "members:\n  - allUsers\n", "members: []\n"},
		{"the first member of JSON", "p.json", `{"bindings": [{"role": "r", "members": ["allUsers", "user:é@example.com"]}]}`, Change{Line: 1, Member: "allUsers"}, `"allUsers", `, ""},
		{"the last member of JSON", "p.json", "{\"bindings\": [\n{\"role\": \"r\", \"members\": [\n\"user:ann@example.com\",\n\"allUsers\"\n]}]}", Change{Line: 2, Member: "allUsers"}, ",\n\"allUsers\"", ""},
		{"Firebase", "functions.yaml", "endpoints:\n  a:\n    httpsTrigger:\n      invoker: [public]\n", Change{Line: 4, Member: "allUsers"}, "public", "private"},
		{"an annotation", "web.yaml", "metadata:\n  annotations:\n    run.googleapis.com/invoker-iam-disabled: 'true'\n", Change{Line: 1, Terraform: "invoker_iam_disabled = false\n"}, "'true'", "'false'"},
		{"a list that is not written out", "main.tf", "resource \"a\" \"b\" {\n  members = var.members\n}\n", Change{Address: "a.b", Member: "allUsers", Terraform: "resource \"a\" \"b\" {\n  members = []\n}\n"}, "", ""},
		{"a resource that is not here", "main.tf", resources, Change{Address: "a.b", Terraform: removed}, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := &Files{Changed: map[string][]byte{}, Read: func(name string) ([]byte, error) {
				if name != c.file {
					return nil, os.ErrNotExist
				}
				return []byte(c.text), nil
			}}
			c.change.File = c.file
			err := f.Apply(c.change)
			if c.old == "" {
				if err == nil || len(f.Changed) > 0 {
					t.Errorf("changed to\n%s", f.Changed[c.file])
				}
				return
			}
			want := replaceOnce(t, c.text, c.old, c.new)
			if got := string(f.Changed[c.file]); err != nil || got != want {
				t.Errorf("%v, got\n%s\nwant\n%s", err, got, want)
			}
		})
	}
}

func replaceOnce(t *testing.T, text, old, to string) string {
	t.Helper()
	for i := range text {
		if len(text)-i >= len(old) && text[i:i+len(old)] == old {
			return text[:i] + to + text[i+len(old):]
		}
	}
	t.Fatalf("%q is not in the text", old)
	return ""
}

// The members of a policy stand in a data source, in the same file or another.
func TestPolicyData(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for name, text := range map[string]string{"main.tf": resources, "iam.tf": policyData} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f := &Files{Changed: map[string][]byte{}, Read: os.ReadFile}
	c := Change{File: "main.tf", Address: "google_cloud_run_v2_service_iam_policy.p", Member: "allUsers", Terraform: "binding {\n  role = \"roles/run.invoker\"\n  members = []\n}\n"}
	if err := f.Apply(c); err != nil {
		t.Fatal(err)
	}
	if got, want := string(f.Changed["iam.tf"]), replaceOnce(t, policyData, `, "allUsers"`, ""); got != want || len(f.Changed) != 1 {
		t.Errorf("got\n%s", got)
	}
	if err := f.Apply(c); !errors.Is(err, errDynamic) {
		t.Errorf("a second time: %v", err)
	}
}
