package rules

import (
	"slices"
	"strings"
	"testing"

	"diagnose/checks"
	"diagnose/internal/estate"
)

// One binding is one finding where the same is said of its members; its
// message names the project, and its repair takes all of them out.
func TestOnePerBinding(t *testing.T) {
	const service = "//run.googleapis.com/projects/shop/locations/r/services/billing"
	const project = estate.NodeHost + "projects/shop"
	members := func(n int) (list []string) {
		for i := range n {
			list = append(list, "user:"+string(rune('a'+i))+"@x.org")
		}
		return list
	}
	for name, c := range map[string]struct {
		on, role string
		members  []string
		ignores  []Ignore
		rule     string
		want     []string // messages
		commands int      // of the first fix of the first finding
		effect   checks.Effect
	}{
		"several": {service, "roles/run.admin", members(3), nil, "grant-excessive-role",
			[]string{"user:a@x.org and 2 more members have roles/run.admin on services/billing in projects/shop, and roles/run.servicesInvoker is enough to invoke"},
			6, checks.Leads},
		"one": {service, "roles/run.admin", members(1), nil, "grant-excessive-role",
			[]string{"user:a@x.org has roles/run.admin on services/billing in projects/shop, and roles/run.servicesInvoker is enough to invoke"},
			2, checks.Leads},
		"many": {service, "roles/run.admin", members(12), nil, "grant-excessive-role",
			[]string{"user:a@x.org and 11 more members have roles/run.admin on services/billing in projects/shop, and roles/run.servicesInvoker is enough to invoke"},
			20, checks.Leads},
		"an ignored one is apart": {service, "roles/run.admin", members(3), []Ignore{{Member: "user:b@x.org", Reason: "known"}}, "grant-excessive-role",
			[]string{"user:a@x.org and 1 more member have roles/run.admin on services/billing in projects/shop, and roles/run.servicesInvoker is enough to invoke",
				"user:b@x.org has roles/run.admin on services/billing in projects/shop, and roles/run.servicesInvoker is enough to invoke"},
			4, checks.Leads},
		"on a project": {project, "roles/run.invoker", members(2), nil, "grant-inherited",
			[]string{"user:a@x.org and 1 more member may invoke 1 service in projects/shop through roles/run.invoker"}, 2, 0},
		"deleted": {service, "roles/run.invoker", []string{"deleted:user:a@x.org?uid=1", "deleted:user:b@x.org?uid=2"}, nil, "grant-deleted-member",
			[]string{"deleted:user:a@x.org?uid=1 and 1 more member were deleted, but still have roles/run.invoker on services/billing in projects/shop"}, 2, checks.Leads},
	} {
		e := &estate.Estate{
			PoliciesComplete: true, TargetsComplete: true,
			Nodes:    []estate.Node{{Name: "projects/424242", ID: "shop", Parent: orgNode}, {Name: orgNode}},
			Targets:  []estate.Target{{Name: service, Check: estate.Yes, IAP: estate.No, Ingress: estate.IngressAll}},
			Policies: []estate.Policy{{Resource: c.on, Bindings: []estate.Binding{{Role: c.role, Members: c.members}}}},
		}
		var got []Finding
		var messages, about []string
		for _, f := range Judge(e, Options{OnePerBinding: true, Ignores: c.ignores}).Findings {
			if f.Rule == c.rule {
				got, messages, about = append(got, f), append(messages, f.Message), append(about, f.Members...)
			}
		}
		slices.Sort(about)
		if !slices.Equal(messages, c.want) || !slices.Equal(about, c.members) {
			t.Errorf("%s: %q about %v\nwant %q", name, messages, about, c.want)
			continue
		}
		fix := got[0].Fixes[0]
		if len(fix.Commands) != c.commands || fix.Effect != c.effect {
			t.Errorf("%s: %d commands, effect %v: %+v", name, len(fix.Commands), fix.Effect, fix)
		}
	}
}

// A fingerprint is the binding's: it does not change with who is in it, nor
// with how many services are below.
func TestFingerprintOfBinding(t *testing.T) {
	print := func(services int, members ...string) string {
		e := &estate.Estate{PoliciesComplete: true, TargetsComplete: true,
			Nodes: []estate.Node{{Name: "projects/424242", ID: "shop", Parent: orgNode}, {Name: orgNode}},
			Policies: []estate.Policy{{Resource: estate.NodeHost + "projects/shop",
				Bindings: []estate.Binding{{Role: "roles/run.invoker", Members: members}}}}}
		for i := range services {
			e.Targets = append(e.Targets, estate.Target{Name: "//run.googleapis.com/projects/shop/locations/r/services/s" + string(rune('a'+i)),
				Check: estate.Yes, IAP: estate.No, Ingress: estate.IngressAll})
		}
		for _, f := range Judge(e, Options{OnePerBinding: true}).Findings {
			if f.Rule == "grant-inherited" {
				return f.Fingerprint
			}
		}
		return ""
	}
	first := print(1, "user:a@x.org")
	for _, again := range []string{print(1, "user:b@x.org"), print(3, "user:a@x.org", "user:b@x.org")} {
		if again != first || first == "" {
			t.Errorf("%s, %s", first, again)
		}
	}
	if !strings.Contains(about("user:a has x and user:a", "user:a", []string{"user:b", "user:c"}), "user:b and 1 more member have x") {
		t.Error("the plural is not told")
	}
}
