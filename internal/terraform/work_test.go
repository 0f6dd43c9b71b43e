package terraform

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	tfjson "github.com/hashicorp/terraform-json"
)

// worked is what reading a plan takes: how often resources are compared with
// each other, and how many bytes are asked for.
func worked(t *testing.T, changes []string) (steps int, bytes uint64) {
	t.Helper()
	var p tfjson.Plan
	if err := p.UnmarshalJSON([]byte(`{"format_version":"1.2","resource_changes":[` + strings.Join(changes, ",") + `]}`)); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r := newReader(&p, "plan.json")
	r.read()
	b := newBuilder()
	b.build(r.all, r.gone)
	runtime.ReadMemStats(&after)
	return b.steps, after.TotalAlloc - before.TotalAlloc
}

func changed(kind string, i int, actions, before, after, unknown string) string {
	return fmt.Sprintf(`{"address":"%[1]s.x[%[2]d]","mode":"managed","type":"%[1]s","name":"x","index":%[2]d,"change":{"actions":[%[3]s],"before":%[4]s,"after":%[5]s,"after_unknown":%[6]s}}`,
		kind, i, actions, before, after, unknown)
}

// Four times as many resources take four times the work, whatever they are.
func TestWorkOfPlans(t *testing.T) {
	const service, member, create = "google_cloud_run_v2_service", "google_cloud_run_v2_service_iam_member", `"create"`
	web := func(i int) string { return fmt.Sprintf(`{"name":"s%d","location":"l","project":"shop"}`, i) }
	grant := func(i, who int) string {
		return fmt.Sprintf(`{"name":"s%d","location":"l","project":"shop","role":"roles/run.invoker","member":"user:u%d@example.com"}`, i, who)
	}
	for name, shape := range map[string]func(n int) []string{
		"services with a grant each": func(n int) (out []string) {
			for i := range n {
				out = append(out, changed(service, i, create, "null", web(i), "{}"), changed(member, i, create, "null", grant(i, i), "{}"))
			}
			return out
		},
		"one service with all grants": func(n int) (out []string) {
			out = append(out, changed(service, 0, create, "null", web(0), "{}"))
			for i := range n {
				out = append(out, changed(member, i, create, "null", grant(0, i), "{}"))
			}
			return out
		},
		"grants that go and that stay": func(n int) (out []string) {
			out = append(out, changed(service, 0, `"no-op"`, web(0), web(0), "{}"))
			for i := range n {
				out = append(out, changed(member, i, `"delete"`, grant(0, i), "null", "{}"), changed(member, n+i, `"no-op"`, grant(0, n+i), grant(0, n+i), "{}"))
			}
			return out
		},
		"names that are not known": func(n int) (out []string) {
			for i := range n {
				out = append(out, changed(service, i, create, "null", `{"location":"l","project":"shop"}`, `{"name":true}`),
					changed(member, i, create, "null", `{"location":"l","role":"roles/run.invoker","member":"allUsers"}`, `{"name":true,"project":true}`))
			}
			return out
		},
		"services that are destroyed": func(n int) (out []string) {
			for i := range n {
				out = append(out, changed(service, i, `"delete"`, web(i), "null", "{}"), changed(member, i, `"no-op"`, grant(i, i), grant(i, i), "{}"))
			}
			return out
		},
	} {
		steps, bytes := worked(t, shape(100))
		more, moreBytes := worked(t, shape(400))
		if more > 6*steps+100 || moreBytes > 6*bytes {
			t.Errorf("%s: %d steps and %d bytes; of four times as many %d and %d", name, steps, bytes, more, moreBytes)
		}
	}
}
