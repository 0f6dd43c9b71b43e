package terraform_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"diagnose/checks/rules"
	"diagnose/internal/estate"
	"diagnose/internal/terraform"
)

func short(name string) string { return strings.TrimPrefix(name, "//") }

// describe lists what an estate holds, a line each.
func describe(e *estate.Estate) []string {
	var out []string
	for _, t := range e.Targets {
		s := fmt.Sprintf("target %s ingress %d check %d event %d", short(t.Name), t.Ingress, t.Check, t.Event)
		if t.Function != "" {
			s += " of " + short(t.Function)
		}
		out = append(out, s)
	}
	for _, p := range e.Policies {
		for _, b := range p.Bindings {
			s := fmt.Sprintf("grant %s %s %v", short(p.Resource), b.Role, b.Members)
			if b.Open != "" {
				s += " open"
			}
			if p.Partial != "" {
				s += " partial"
			}
			out = append(out, s)
		}
		if len(p.Bindings) == 0 {
			out = append(out, "nothing on "+short(p.Resource))
		}
	}
	for _, r := range e.Roles {
		out = append(out, "role "+r.GetName())
	}
	for _, c := range e.Callers {
		out = append(out, fmt.Sprintf("caller %s %s as %s for %s", c.Kind, c.URL, c.ServiceAccount, c.Audience))
	}
	slices.Sort(out)
	return out
}

func compare(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n%s\nwant\n%s", what, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestPlan(t *testing.T) {
	data, err := os.ReadFile("testdata/shop.plan.json")
	if err != nil {
		t.Fatal(err)
	}
	p, err := terraform.ReadPlan(data, "shop.plan.json")
	if err != nil {
		t.Fatal(err)
	}
	const uri = "https://orders.known-after-apply.europe-west1.shop.invalid"
	compare(t, "after", describe(p.After), []string{
		"caller cloud-scheduler " + uri + " as mover@shop.iam.gserviceaccount.com for " + uri,
		"grant cloudresourcemanager.googleapis.com/projects/shop roles/run.invoker [serviceAccount:mover@shop.iam.gserviceaccount.com] open partial",
		"grant run.googleapis.com/projects/shop/locations/europe-west1/services/late  [] open",
		"grant run.googleapis.com/projects/shop/locations/europe-west1/services/orders projects/shop/roles/caller [allUsers]",
		"grant run.googleapis.com/projects/shop/locations/europe-west1/services/orders roles/run.invoker [serviceAccount:mover@shop.iam.gserviceaccount.com]",
		"nothing on run.googleapis.com/projects/shop/locations/europe-west1/services/on-event",
		"role projects/shop/roles/caller",
		"target run.googleapis.com/projects/shop/locations/europe-west1/services/on-event ingress 2 check 2 event 2 of cloudfunctions.googleapis.com/projects/shop/locations/europe-west1/functions/On_Event",
		"target run.googleapis.com/projects/shop/locations/europe-west1/services/orders ingress 1 check 2 event 1",
		"target run.googleapis.com/projects/shop/locations/us-east1/services/web-a ingress 2 check 1 event 1",
	})
	compare(t, "before", describe(p.Before), []string{
		"grant cloudresourcemanager.googleapis.com/projects/shop roles/run.invoker [user:ann@example.com] partial",
		"grant run.googleapis.com/projects/shop/locations/us-east1/services/web-a roles/run.invoker [user:ann@example.com] partial",
		"target run.googleapis.com/projects/shop/locations/europe-west1/services/on-event ingress 1 check 0 event 1 of cloudfunctions.googleapis.com/projects/shop/locations/europe-west1/functions/On_Event",
		"target run.googleapis.com/projects/shop/locations/us-east1/services/web-a ingress 2 check 1 event 1",
	})
	for _, p := range p.After.Policies {
		for _, b := range p.Bindings {
			if b.Where.Address == "" || b.Authority == estate.NoAuthority {
				t.Errorf("%s has no address or authority: %+v", p.Resource, b)
			}
		}
	}
}

func TestPlanErrors(t *testing.T) {
	for doc, want := range map[string]string{
		"PK\x03\x04binary": "convert it with: terraform show -json p > plan.json",
		`{"format_version": "1.2", "resource_changes"`: "is cut off: the JSON ends in line 1",
		"{\n\"a\": !}":              "is broken JSON in line 2",
		`{"format_version": "2.0"}`: "is a plan of format 2.0; formats 0.1 to 1.x are read",
		`{"resource_changes": []}`:  "has no format_version",
		`[]`:                        "is broken JSON; expected the output of terraform show -json",
		`{"format_version": "1.2", "resource_changes": 7}`: "does not fit a Terraform plan",
		`{"a":` + strings.Repeat("[", 20000):               "is broken JSON",
	} {
		_, err := terraform.ReadPlan([]byte(doc), "p")
		if err == nil || !strings.HasPrefix(err.Error(), "p: ") || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.40q: %v, want %q", doc, err, want)
		}
	}
}

func FuzzReadPlan(f *testing.F) {
	if data, err := os.ReadFile("testdata/shop.plan.json"); err == nil {
		f.Add(data)
	}
	f.Add([]byte(`{"format_version":"1.0","resource_changes":[{"address":"a[\"","type":"google_project_iam_member","change":{"actions":["create"],"after":{"member":{}},"after_unknown":true}}]}`))
	f.Add([]byte(`{"format_version":"1.0","planned_values":{"root_module":{"resources":[{"type":"google_cloudfunctions2_function","values":{"service_config":[7]}}]}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if p, err := terraform.ReadPlan(data, "p"); err == nil && (p.After == nil || p.Before == nil) {
			t.Error("neither an estate nor an error")
		}
	})
}

// BenchmarkPlan reads a plan of 10,000 resources.
func BenchmarkPlan(b *testing.B) {
	var s strings.Builder
	s.WriteString(`{"format_version":"1.2","resource_changes":[`)
	for i := range 5000 {
		if i > 0 {
			s.WriteString(",")
		}
		fmt.Fprintf(&s, `{"address":"google_cloud_run_v2_service.s[%d]","mode":"managed","type":"google_cloud_run_v2_service","name":"s","change":{"actions":["create"],"before":null,"after":{"name":"s%d","location":"europe-west1","project":"shop"},"after_unknown":{"uri":true}}},`, i, i)
		fmt.Fprintf(&s, `{"address":"google_cloud_run_v2_service_iam_member.m[%d]","mode":"managed","type":"google_cloud_run_v2_service_iam_member","name":"m","change":{"actions":["create"],"before":null,"after":{"name":"s%d","location":"europe-west1","project":"shop","role":"roles/run.invoker","member":"allUsers"},"after_unknown":{}}}`, i, i)
	}
	s.WriteString(`]}`)
	data := []byte(s.String())
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := terraform.ReadPlan(data, "p"); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkGate reads and judges a plan of 40,000 resources, with the members
// of 10,000 on one service.
func BenchmarkGate(b *testing.B) {
	const all, members = 40000, 10000
	var list []string
	for i := range (all - members) / 2 {
		web := fmt.Sprintf(`{"name":"s%d","location":"europe-west1","project":"shop"}`, i)
		list = append(list, change(run, fmt.Sprintf("s%d", i), made, "null", web, `{"uri":true}`))
	}
	for i := range (all + members) / 2 {
		grant := fmt.Sprintf(`{"name":"s%d","location":"europe-west1","project":"shop","role":"roles/run.invoker","member":"user:u%d@example.com"}`, max(0, i-members), i)
		list = append(list, change(runMember, fmt.Sprintf("m%d", i), made, "null", grant, `{"etag":true}`))
	}
	data := []byte(`{"format_version":"1.2","resource_changes":[` + strings.Join(list, ",") + `]}`)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		p, err := terraform.ReadPlan(data, "p")
		if err != nil {
			b.Fatal(err)
		}
		if r := rules.Judge(p.After, rules.Options{Before: p.Before}); r.Summary.Services != (all-members)/2 {
			b.Fatalf("%d services", r.Summary.Services)
		}
	}
}

// What the provider computes where nothing is set has its default; what is set
// and not known yet is not known.
func TestComputedDefaults(t *testing.T) {
	const plan = `{"format_version": "1.2", "resource_changes": [{"address": "google_cloud_run_service.a", "mode": "managed", "type": "google_cloud_run_service", "name": "a",
		"change": {"actions": ["create"], "before": null, "after": {"name": "a", "location": "l", "project": "p"}, "after_unknown": {"metadata": true, "status": true}}}],
		"configuration": {"root_module": {"resources": [{"address": "google_cloud_run_service.a", "mode": "managed", "type": "google_cloud_run_service", "name": "a", "expressions": {"name": {"constant_value": "a"}%s}}]}}}`
	for set, want := range map[string]estate.Target{
		"": {Ingress: estate.IngressAll, Check: estate.Yes},
		`, "metadata": {"references": ["var.m"]}`: {},
	} {
		p, err := terraform.ReadPlan([]byte(fmt.Sprintf(plan, set)), "p")
		if err != nil {
			t.Fatal(err)
		}
		if got := p.After.Targets[0]; got.Ingress != want.Ingress || got.Check != want.Check {
			t.Errorf("with %q: ingress %d, check %d; want %d, %d", set, got.Ingress, got.Check, want.Ingress, want.Check)
		}
	}
}

// A word that is no boolean says neither yes nor no.
func TestWordsAsBooleans(t *testing.T) {
	const plan = `{"format_version": "1.2", "resource_changes": [{"address": "google_cloud_run_service.a", "mode": "managed", "type": "google_cloud_run_service", "name": "a",
		"change": {"actions": ["create"], "before": null, "after": {"name": "a", "location": "l", "project": "p", "metadata": [{"annotations": {"run.googleapis.com/invoker-iam-disabled": %q}}]}, "after_unknown": {}}}]}`
	for word, want := range map[string]estate.Truth{"true": estate.No, "True": estate.No, "1": estate.No, "false": estate.Yes, "": estate.Yes,
		"yes": estate.Unknown, "ture": estate.Unknown, "on": estate.Unknown, "enabled": estate.Unknown} {
		p, err := terraform.ReadPlan([]byte(fmt.Sprintf(plan, word)), "p")
		if err != nil {
			t.Fatal(err)
		}
		if got := p.After.Targets[0].Check; got != want {
			t.Errorf("%q: check %d, want %d", word, got, want)
		}
	}
}

// A caller of which the plan does not say enough is listed, not passed over.
func TestOpenCaller(t *testing.T) {
	p, err := terraform.ReadPlan([]byte(`{"format_version": "1.2", "resource_changes": [{"address": "google_cloud_scheduler_job.j", "mode": "managed", "type": "google_cloud_scheduler_job", "name": "j",
		"change": {"actions": ["create"], "before": null, "after": {"name": "j", "http_target": [{"oidc_token": [{}]}]}, "after_unknown": {"http_target": [{"uri": true, "oidc_token": [{"service_account_email": true}]}]}}}]}`), "p")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, u := range p.After.Unread {
		got = append(got, u.What)
	}
	if want := []string{"what google_cloud_scheduler_job.j calls", "which account google_cloud_scheduler_job.j calls as"}; !slices.Equal(got, want) {
		t.Errorf("not known: %q, want %q", got, want)
	}
}
