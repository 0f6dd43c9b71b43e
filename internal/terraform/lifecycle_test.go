package terraform_test

import (
	"strings"
	"testing"

	"diagnose/checks/rules"
	"diagnose/internal/terraform"
)

const (
	webValues = `{"name":"web","location":"europe-west1","project":"shop"}`
	binding   = "google_cloud_run_v2_service_iam_binding"
)

func memberOf(who string) string {
	return `{"name":"web","location":"europe-west1","project":"shop","role":"roles/run.invoker","member":"` + who + `"}`
}

func membersOf(who ...string) string {
	return `{"name":"web","location":"europe-west1","project":"shop","role":"roles/run.invoker","members":["` + strings.Join(who, `","`) + `"]}`
}

// A grant of which it is not known whether it is made opens nothing for
// certain, and is not passed over.
func TestPerhapsMade(t *testing.T) {
	const unknown = "1 services, 0 public; grant-all-users web unknown"
	grant := func(meta string) string {
		return strings.Replace(opened(`"allUsers"`), "{", "{\n  "+meta, 1) + "variable \"public\" {}\nvariable \"all\" {}\n"
	}
	for meta, want := range map[string]string{
		"count = var.public ? 1 : 0":                             unknown,
		"count = length(var.all)":                                unknown,
		"for_each = var.all":                                     unknown,
		"for_each = var.public ? toset([\"a\"]) : toset([])":     unknown,
		"count = var.public ? 2 : 1":                             isPublic,
		"count = 0":                                              "1 services, 0 public",
		"for_each = toset([])":                                   "1 services, 0 public",
		"for_each = toset([for x in [\"a\"] : x if x == \"a\"])": isPublic,
	} {
		c, err := terraform.ReadConfiguration(unpack(t, "-- main.tf --"+web+grant(meta)))
		if err != nil {
			t.Fatal(err)
		}
		if got := judged(c.Estate, nil, rules.Options{}); got != want {
			t.Errorf("%s: %s, want %s", meta, got, want)
		}
	}
	c, err := terraform.ReadConfiguration(unpack(t, "-- main.tf --"+web+grant("count = var.public ? 1 : 0")))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range rules.Judge(c.Estate, rules.Options{}).Findings {
		if f.Rule == "grant-all-users" && !strings.Contains(f.Message, "only if var.public is true") {
			t.Errorf("the condition is not told: %s", f.Message)
		}
	}
}

// What a plan does not say is listed, and a state is judged as what there is.
func TestUnplanned(t *testing.T) {
	service := change(run, "web", `"create"`, "null", webValues, "{}")
	grant := change(runMember, "m", `"create"`, "null", memberOf("allUsers"), "{}")
	for name, tt := range map[string]struct{ doc, want, unread string }{
		"a plan that failed": {`{"format_version":"1.2","errored":true,"complete":false,"resource_changes":[` + service + `]}`, "1 services, 0 public", "terraform plan failed, so the plan is incomplete"},
		"a part of a plan":   {`{"format_version":"1.2","complete":false,"resource_changes":[` + service + `]}`, "1 services, 0 public", "a part of the configuration alone"},
		"a deferred grant": {`{"format_version":"1.2","complete":false,"resource_changes":[` + service + `],"deferred_changes":[{"reason":"instance_count_unknown","resource_change":` + grant + `}]}`,
			"1 services, 0 public; grant-all-users web unknown", "defers some changes"},
		"a whole plan": {`{"format_version":"1.2","errored":false,"complete":true,"resource_changes":[` + service + `,` + grant + `]}`, isPublic, ""},
		"a state": {`{"format_version":"1.0","values":{"root_module":{"resources":[{"address":"` + run + `.web","mode":"managed","type":"` + run + `","name":"web","values":` + webValues +
			`}],"child_modules":[{"resources":[{"address":"module.a.` + runMember + `.m","mode":"managed","type":"` + runMember + `","name":"m","values":` + memberOf("allUsers") + `}]}]}}}`, isPublic, ""},
	} {
		p, err := terraform.ReadPlan([]byte(tt.doc), "plan.json")
		if err != nil {
			t.Fatal(err)
		}
		if got := judged(p.After, p.Before, rules.Options{}); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
		var reasons []string
		for _, u := range p.After.Unread {
			reasons = append(reasons, u.Reason)
		}
		if got := strings.Join(reasons, "; "); !strings.Contains(got, tt.unread) || tt.unread == "" && got != "" {
			t.Errorf("%s: unread %q, want %q", name, got, tt.unread)
		}
	}
}

// What is destroyed takes with it what Terraform does not mention.
func TestDestroyed(t *testing.T) {
	const ann = "user:ann@example.com"
	service := change(run, "web", `"no-op"`, webValues, webValues, "{}")
	kept := func(who string) string {
		return change(runMember, "m", `"no-op"`, memberOf(who), memberOf(who), "{}")
	}
	for _, tt := range []struct {
		name    string
		changes []string
		want    string
	}{
		{"the service, with its grant left", []string{change(run, "web", `"delete"`, webValues, "null", "{}"), kept("allUsers")}, "0 services, 0 public"},
		{"the service, replaced under another name", []string{change(run, "web", `"create","delete"`, webValues, strings.Replace(webValues, "web", "web2", 1), "{}"), kept(mover)},
			"1 services, 0 public; policy-lost web"},
		{"a binding of the role", []string{service, change(binding, "b", `"delete"`, membersOf(ann), "null", "{}"), kept(mover)}, "1 services, 0 public; policy-lost web"},
		{"a binding of the role, made again as a member", []string{service, change(binding, "b", `"delete"`, membersOf(mover), "null", "{}"),
			change(runMember, "m", `"create"`, "null", memberOf(mover), "{}")}, "1 services, 0 public; policy-lost web unknown"},
		{"a binding of another role", []string{service, change(binding, "b", `"delete"`, strings.Replace(membersOf(ann), "run.invoker", "run.admin", 1), "null", "{}"), kept(mover)}, "1 services, 0 public"},
		{"another member of the role", []string{service, change(runMember, "n", `"delete"`, memberOf(ann), "null", "{}"), kept(mover)}, "1 services, 0 public"},
		{"the same member under another address", []string{service, change(runMember, "n", `"delete"`, memberOf(mover), "null", "{}"), kept(mover)}, "1 services, 0 public; policy-lost web"},
		{"one member of a binding that stays", []string{service, change(runMember, "n", `"delete"`, memberOf(mover), "null", "{}"),
			change(binding, "b", `"no-op"`, membersOf(mover, "allUsers"), membersOf(mover, "allUsers"), "{}")}, "1 services, 1 public; grant-all-users web; ingress-all-public web; policy-lost web"},
		{"only forgotten", []string{service, change(runMember, "m", `"forget"`, memberOf("allUsers"), "null", "{}")}, isPublic},
		{"what an earlier replacement left", []string{service, kept("allUsers"),
			strings.Replace(change(runMember, "m", `"delete"`, memberOf("allUsers"), "null", "{}"), `"mode"`, `"deposed":"1","mode"`, 1)}, isPublic},
		{"the grant itself", []string{service, change(runMember, "m", `"delete"`, memberOf("allUsers"), "null", "{}")}, "1 services, 0 public"},
	} {
		p := plan(t, tt.changes, nil)
		if got := judged(p.After, nil, rules.Options{}); got != tt.want {
			t.Errorf("%s: %s\nwant %s", tt.name, got, tt.want)
		}
	}
	empty := change("google_cloud_run_v2_service_iam_policy", "p", `"no-op"`, `{"name":"web","location":"europe-west1","project":"shop","policy_data":"{\"bindings\":[]}"}`,
		`{"name":"web","location":"europe-west1","project":"shop","policy_data":"{\"bindings\":[]}"}`, "{}")
	p := plan(t, []string{service, empty, change(runMember, "n", `"delete"`, memberOf(mover), "null", "{}")}, nil)
	if n := len(p.After.Policies); n != 1 || p.After.Policies[0].Partial != "" || p.After.Policies[0].Bindings != nil {
		t.Errorf("an empty policy that stays: %+v", p.After.Policies)
	}
}
