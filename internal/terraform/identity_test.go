package terraform_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"diagnose/checks/rules"
	"diagnose/internal/estate"
	"diagnose/internal/terraform"
)

// judged is what the rules say of an estate, a line each: how many services
// are public, and each finding with its subject.
func judged(e, before *estate.Estate, o rules.Options) string {
	o.Now, o.Before = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), before
	r := rules.Judge(e, o)
	out := []string{fmt.Sprintf("%d services, %d public", r.Summary.Services, r.Summary.Public)}
	for _, f := range r.Findings {
		s := f.Rule + " " + f.Resource[strings.LastIndexByte(f.Resource, '/')+1:]
		if f.Unknown {
			s += " unknown"
		}
		out = append(out, s)
	}
	slices.Sort(out[1:])
	return strings.Join(out, "; ")
}

const mover = "serviceAccount:mover@shop.iam.gserviceaccount.com"

// A grant that refers to a service is that service's, whatever its name will
// be; and two names that are not known are not one because they look alike.
func TestIdentityInConfiguration(t *testing.T) {
	service := func(name, id string) string {
		return fmt.Sprintf("resource \"google_cloud_run_v2_service\" %q {\n  name = %s\n  location = \"europe-west1\"\n  project = \"shop\"\n}\n", name, id)
	}
	member := func(name, id, who string) string {
		return fmt.Sprintf("resource \"google_cloud_run_v2_service_iam_member\" %q {\n  name = %s\n  location = \"europe-west1\"\n  project = \"shop\"\n"+
			"  role = \"roles/run.invoker\"\n  member = %q\n}\n", name, id, who)
	}
	job := func(uri string) string {
		return "resource \"google_cloud_scheduler_job\" \"j\" {\n  name = \"nightly\"\n  project = \"shop\"\n  region = \"europe-west1\"\n  http_target {\n" +
			"    uri = " + uri + "\n    oidc_token { service_account_email = \"mover@shop.iam.gserviceaccount.com\" }\n  }\n}\n"
	}
	const variables = "variable \"name\" {}\nvariable \"other\" {}\n"
	web := "google_cloud_run_v2_service.web"
	for _, tt := range []struct{ name, config, want string }{
		{"by reference, to a caller", service("web", "var.name") + member("m", web+".name", mover) + job(web+".uri"), "1 services, 0 public"},
		{"by reference, to anyone", service("web", "var.name") + member("m", web+".name", "allUsers"), "1 services, 1 public; grant-all-users " + web + "; ingress-all-public " + web},
		{"by its id", service("web", "var.name") + member("m", web+".id", "allUsers"), "1 services, 1 public; grant-all-users " + web + "; ingress-all-public " + web},
		{"written alike", service("web", `"${var.name}-web"`) + service("admin", `"${var.name}-admin"`) + member("m", `"${var.name}-web"`, "allUsers"),
			"2 services, 1 public; grant-all-users " + web + "; ingress-all-public " + web},
		{"by a local value", "locals { id = google_cloud_run_v2_service.web.name }\n" + service("web", "var.name") + member("m", "local.id", "allUsers"),
			"1 services, 1 public; grant-all-users " + web + "; ingress-all-public " + web},
		{"a name made of the service's", service("web", "var.name") + member("m", `"${google_cloud_run_v2_service.web.name}-two"`, "allUsers"),
			"1 services, 0 public; grant-all-users google_cloud_run_v2_service_iam_member.m"},
		{"another name that is not known", service("web", "var.name") + member("m", "var.other", mover) + job(web+".uri"),
			"1 services, 0 public; caller-cannot-invoke " + web + " unknown"},
		{"nobody here", service("web", "var.name") + job(web+".uri"), "1 services, 0 public; caller-cannot-invoke " + web + " unknown"},
		{"one name in two variables", service("web", "var.name") + service("two", "var.name") + member("m", web+".name", "allUsers"),
			"2 services, 1 public; grant-all-users " + web + "; ingress-all-public " + web},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "main.tf"), []byte(variables+tt.config), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := terraform.ReadConfiguration(dir)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		if got := judged(c.Estate, nil, rules.Options{}); got != tt.want {
			t.Errorf("%s: %s\nwant %s", tt.name, got, tt.want)
		}
	}
}

// change is one entry of resource_changes.
func change(kind, name, actions, before, after, unknown string) string {
	return fmt.Sprintf(`{"address":"%[1]s.%[2]s","mode":"managed","type":"%[1]s","name":"%[2]s","change":{"actions":[%[3]s],"before":%[4]s,"after":%[5]s,"after_unknown":%[6]s}}`,
		kind, name, actions, before, after, unknown)
}

func config(kind, name, expressions string) string {
	return fmt.Sprintf(`{"address":"%[1]s.%[2]s","mode":"managed","type":"%[1]s","name":"%[2]s","expressions":{%[3]s}}`, kind, name, expressions)
}

func plan(t *testing.T, changes, configs []string) terraform.Plan {
	t.Helper()
	doc := `{"format_version":"1.2","resource_changes":[` + strings.Join(changes, ",") + `],"configuration":{"root_module":{"resources":[` + strings.Join(configs, ",") + `]}}}`
	p, err := terraform.ReadPlan([]byte(doc), "plan.json")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const (
	run       = "google_cloud_run_v2_service"
	runMember = "google_cloud_run_v2_service_iam_member"
	made      = `"create"`
)

// A plan joins by the references of its configuration what has no name yet.
func TestIdentityInPlans(t *testing.T) {
	service := change(run, "web", made, "null", `{"location":"europe-west1","project":"shop"}`, `{"name":true,"uri":true}`)
	bound := func(name, who string) string {
		return change(runMember, name, made, "null", `{"location":"europe-west1","role":"roles/run.invoker","member":"`+who+`"}`, `{"name":true,"project":true}`)
	}
	configs := []string{
		config(run, "web", `"name":{"references":["random_id.x.hex","random_id.x"]}`),
		config(runMember, "m", `"name":{"references":["google_cloud_run_v2_service.web.name","google_cloud_run_v2_service.web"]}`),
		config(runMember, "other", `"name":{"references":["local.other"]}`),
	}
	must := func(who string, allowed bool) rules.Options {
		return rules.Options{Expectations: []rules.Expectation{{Principal: who, Target: "*", Allowed: allowed}}}
	}
	web := run + ".web"
	for _, tt := range []struct {
		name    string
		changes []string
		options rules.Options
		want    string
	}{
		{"expected, and granted by reference", []string{service, bound("m", mover)}, must(mover, true), "1 services, 0 public"},
		{"forbidden, and granted by reference", []string{service, bound("m", mover)}, must(mover, false), "1 services, 0 public; access-expectation " + web},
		{"expected, and perhaps granted", []string{service, bound("other", mover)}, must(mover, true), "1 services, 0 public; access-expectation " + web + " unknown"},
		{"forbidden to anyone, and perhaps granted", []string{service, bound("other", "allUsers")}, must("allUsers", false),
			"1 services, 0 public; access-expectation " + web + " unknown; access-expectation google_cloud_run_v2_service_iam_member.other unknown; grant-all-users google_cloud_run_v2_service_iam_member.other"},
		{"expected, and not granted", []string{service}, must(mover, true), "1 services, 0 public; access-expectation " + web},
	} {
		p := plan(t, tt.changes, configs)
		if got := judged(p.After, p.Before, tt.options); got != tt.want {
			t.Errorf("%s: %s\nwant %s", tt.name, got, tt.want)
		}
		for _, x := range rules.Draft(p.After, rules.Options{}) {
			if strings.Contains(x.Target, "/-") {
				t.Errorf("%s: drafted for %q", tt.name, x.Target)
			}
		}
	}
}

// What is replaced loses its policy; what the same plan leaves as it is does
// not make it again.
func TestReplaced(t *testing.T) {
	const values = `{"name":"web","location":"europe-west1","project":"shop"}`
	grant := `{"name":"web","location":"europe-west1","project":"shop","role":"roles/run.invoker","member":"` + mover + `"}`
	viewer := strings.Replace(grant, "run.invoker", "viewer", 1)
	for _, tt := range []struct{ name, service, member, values, want string }{
		{"replaced, and the grant unchanged", `"delete","create"`, `"no-op"`, grant, "1 services, 0 public; access-expectation web; policy-lost web"},
		{"replaced, the new one first", `"create","delete"`, `"no-op"`, grant, "1 services, 0 public; access-expectation web; policy-lost web"},
		{"replaced together", `"delete","create"`, `"delete","create"`, grant, "1 services, 0 public"},
		{"updated in place", `"update"`, `"no-op"`, grant, "1 services, 0 public"},
		{"a role that lets nobody in", `"delete","create"`, `"no-op"`, viewer, "1 services, 0 public; access-expectation web"},
	} {
		p := plan(t, []string{change(run, "web", tt.service, values, values, "{}"), change(runMember, "m", tt.member, tt.values, tt.values, "{}")}, nil)
		o := rules.Options{Expectations: []rules.Expectation{{Principal: mover, Target: "web", Allowed: true}}}
		if got := judged(p.After, p.Before, o); got != tt.want {
			t.Errorf("%s: %s\nwant %s", tt.name, got, tt.want)
		}
	}
}

// A resource of a plan is in the project of its own provider, and in none where
// the plan does not tell that: "shop" and "x-${var.env}" look alike there.
func TestProvidersInPlans(t *testing.T) {
	const providers = `{"google":{"name":"google","expressions":{"project":{"references":["var.env"]}}},
"google.eu":{"name":"google","alias":"eu","expressions":{"project":{"constant_value":"shop-eu"}}},
"google.seen":{"name":"google","alias":"seen","expressions":{"project":{"references":["local.project"]}}},
"module.a:google":{"name":"google","module_address":"module.a","expressions":{"project":{"constant_value":"shop-a"}}}}`
	const web, grant = `{"location":"l","name":"web"%s}`, `{"location":"l","name":"web","role":"roles/run.invoker","member":"allUsers"}`
	of := func(key, resource string) string {
		return strings.Replace(resource, "{", `{"provider_config_key":"`+key+`",`, 1)
	}
	service := func(name, key, project string) [2]string {
		return [2]string{change(run, name, made, "null", fmt.Sprintf(web, project), "{}"), of(key, config(run, name, `"name":{"constant_value":"web"}`))}
	}
	member := func(name, key string) [2]string {
		return [2]string{change(runMember, name, made, "null", grant, `{"project":true}`), of(key, config(runMember, name, `"name":{"constant_value":"web"}`))}
	}
	for _, tt := range []struct {
		name      string
		resources [][2]string
		want      string
	}{
		{"a literal", [][2]string{service("a", "google.eu", ""), member("m", "google.eu")}, "shop-eu/web public"},
		{"a variable alone", [][2]string{service("a", "google", ""), member("m", "google")}, "-/web public"},
		{"what the provider puts in", [][2]string{service("a", "google.seen", `,"project":"shop-seen"`), member("m", "google.seen")}, "shop-seen/web public"},
		{"two providers, one not known", [][2]string{service("a", "google.eu", ""), member("m", "google")}, "shop-eu/web unknown"},
		{"two providers, none known", [][2]string{service("a", "google.seen", ""), member("m", "google")}, "-/web unknown"},
		{"two services of one name", [][2]string{service("a", "google", ""), service("b", "google.seen", ""), member("m", "google.seen")}, "-/web; -/web public"},
		{"two services, each with its grant", [][2]string{service("a", "google", ""), service("b", "google.eu", ""), member("m", "google"), member("n", "google.eu")},
			"-/web public; shop-eu/web public"},
		{"a provider that is seen with two projects", [][2]string{service("a", "google.seen", `,"project":"one"`), service("b", "google.seen", `,"project":"two"`), member("m", "google.seen")},
			"one/web unknown; two/web unknown"},
		{"a provider of a module", [][2]string{service("a", "module.a:google", ""), member("m", "module.a:google")}, "shop-a/web public"},
		{"a provider that the plan does not have", [][2]string{service("a", "module.b:google", ""), member("m", "module.b:google")}, "-/web public"},
		{"a plan that does not say which", [][2]string{service("a", "", ""), member("m", "")}, "-/web unknown"},
	} {
		var changes, configs []string
		for _, r := range tt.resources {
			changes, configs = append(changes, r[0]), append(configs, r[1])
		}
		p, err := terraform.ReadPlan([]byte(`{"format_version":"1.2","variables":{"env":{"value":"prod"}},"resource_changes":[`+strings.Join(changes, ",")+
			`],"configuration":{"provider_config":`+providers+`,"root_module":{"resources":[`+strings.Join(configs, ",")+`]}}}`), "plan.json")
		if err != nil {
			t.Fatal(err)
		}
		if got := openness(p.After); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

// So it is in configuration, where providers have values or not.
func TestProvidersInConfiguration(t *testing.T) {
	const providers = "variable \"one\" {}\nvariable \"two\" {}\nprovider \"google\" {\n  project = var.one\n}\n" +
		"provider \"google\" {\n  alias = \"eu\"\n  project = var.two\n}\nprovider \"google\" {\n  alias = \"it\"\n  project = \"shop-it\"\n}\n"
	with := func(provider, kind, name, rest string) string {
		return fmt.Sprintf("resource %q %q {\n  provider = %s\n  name = \"web\"\n  location = \"l\"\n%s}\n", kind, name, provider, rest)
	}
	service := func(name, provider string) string { return with(provider, run, name, "") }
	member := func(name, provider string) string {
		return with(provider, runMember, name, "  role = \"roles/run.invoker\"\n  member = \"allUsers\"\n")
	}
	for name, tt := range map[string]struct{ config, want string }{
		"one provider":                  {service("a", "google") + member("m", "google"), "-/web public"},
		"another provider":              {service("a", "google") + member("m", "google.eu"), "-/web unknown"},
		"a provider with a project":     {service("a", "google.it") + member("m", "google.it"), "shop-it/web public"},
		"a known one and an unknown":    {service("a", "google.it") + member("m", "google.eu"), "shop-it/web unknown"},
		"a provider before 0.12":        {service("a", `"google.it"`) + member("m", `"google.it"`), "shop-it/web public"},
		"two services of one name":      {service("a", "google") + service("b", "google.eu") + member("m", "google.eu"), "-/web unknown; -/web public"},
		"a provider that is nowhere":    {service("a", "google.no") + member("m", "google.nowhere"), "-/web unknown"},
		"one of the environment":        {service("a", "google-beta") + member("m", "google-beta"), "-/web public"},
		"the environment and a project": {service("a", "google.it") + member("m", "google-beta"), "shop-it/web unknown"},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "main.tf"), []byte(providers+tt.config), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := terraform.ReadConfiguration(dir)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := openness(c.Estate); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

// openness says of each service whether anyone may invoke it: "PROJECT/ID
// public", or "unknown".
func openness(e *estate.Estate) string {
	var out []string
	for _, t := range e.Targets {
		parts := strings.Split(t.Name, "/")
		s := parts[4] + "/" + parts[len(parts)-1]
		o := rules.Options{Now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), Expectations: []rules.Expectation{{Principal: "allUsers", Target: t.Where.Address}}}
		for _, f := range rules.Judge(e, o).Findings {
			switch {
			case f.Rule != "access-expectation":
			case f.Unknown:
				s += " unknown"
			default:
				s += " public"
			}
		}
		out = append(out, s)
	}
	return strings.Join(out, "; ")
}
