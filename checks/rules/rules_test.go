package rules_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/iam/admin/apiv1/adminpb"
	denypb "cloud.google.com/go/iam/apiv2/iampb"
	"google.golang.org/genproto/googleapis/type/expr"
	"pgregory.net/rapid"

	"diagnose/checks/rules"
	"diagnose/internal/caller"
	"diagnose/internal/estate"
	"diagnose/internal/evidence"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

const (
	orders   = "//run.googleapis.com/projects/shop/locations/europe-west1/services/orders"
	billing  = "//run.googleapis.com/projects/shop/locations/europe-west1/services/billing"
	function = "//cloudfunctions.googleapis.com/projects/shop/locations/europe-west1/functions/orders"
	old      = "//cloudfunctions.googleapis.com/projects/shop/locations/europe-west1/functions/old"
	shop     = "//cloudresourcemanager.googleapis.com/projects/shop"
	folder   = "//cloudresourcemanager.googleapis.com/folders/7"
	url      = "https://orders-ab12cd34ef-ew.a.run.app"
	mover    = "serviceAccount:mover@shop.iam.gserviceaccount.com"
)

// base is a project in a folder with two services, one of them a function's,
// and a gen1 function. Nobody may invoke anything.
func base() *estate.Estate {
	return &estate.Estate{
		Nodes: []estate.Node{{Name: "projects/424242", ID: "shop", Parent: "folders/7"}, {Name: "folders/7", Parent: "organizations/1"}, {Name: "organizations/1", Title: "example.com"}},
		Targets: []estate.Target{
			{Name: orders, Function: function, Event: estate.No, Ingress: estate.IngressAll, Check: estate.Yes, IAP: estate.No, DefaultURL: estate.Yes, URLs: []string{url}, CustomOK: true},
			{Name: billing, Ingress: estate.IngressAll, Check: estate.Yes, IAP: estate.No, DefaultURL: estate.Yes, URLs: []string{"https://billing-ab12cd34ef-ew.a.run.app"}, CustomOK: true},
			{Name: old, Gen1: true, Ingress: estate.IngressAll, Check: estate.Yes},
		},
		PoliciesComplete: true, TargetsComplete: true,
	}
}

type change func(*estate.Estate)

func grant(on, role string, members ...string) change {
	return func(e *estate.Estate) {
		e.Policies = append(e.Policies, estate.Policy{Resource: on, Bindings: []estate.Binding{{Role: role, Members: members}}})
	}
}

func conditional(on, role, condition string, members ...string) change {
	return func(e *estate.Estate) {
		e.Policies = append(e.Policies, estate.Policy{Resource: on, Bindings: []estate.Binding{{Role: role, Members: members, Condition: &expr.Expr{Expression: condition}}}})
	}
}

func configured(on, role, address string, a estate.Authority, members ...string) change {
	return func(e *estate.Estate) {
		e.Policies = append(e.Policies, estate.Policy{Resource: on, Bindings: []estate.Binding{{Role: role, Members: members, Authority: a, Where: estate.Where{Address: address}}}})
	}
}

func target(name string, f func(*estate.Target)) change {
	return func(e *estate.Estate) {
		for i := range e.Targets {
			if e.Targets[i].Name == name {
				f(&e.Targets[i])
			}
		}
	}
}

func calls(c caller.Caller) change {
	return func(e *estate.Estate) { e.Callers = append(e.Callers, estate.Caller{Caller: c}) }
}

func customRole(name string, permissions ...string) change {
	return func(e *estate.Estate) {
		e.Roles = append(e.Roles, &adminpb.Role{Name: name, IncludedPermissions: permissions})
	}
}

func deny(at string, principals ...string) change {
	return func(e *estate.Estate) {
		e.Deny = append(e.Deny, estate.Deny{Policy: &denypb.Policy{Name: "policies/" + strings.ReplaceAll("cloudresourcemanager.googleapis.com/"+at, "/", "%2F") + "/denypolicies/d",
			Rules: []*denypb.PolicyRule{{Kind: &denypb.PolicyRule_DenyRule{DenyRule: &denypb.DenyRule{DeniedPrincipals: principals, DeniedPermissions: []string{"run.googleapis.com/routes.invoke"}}}}}}})
	}
}

// partly leaves open who else is granted on orders.
func partly(e *estate.Estate) {
	e.Policies = append(e.Policies, estate.Policy{Resource: orders, Partial: "the plan shows one member"})
}

// nameless is a service of which the name is known only after apply.
func nameless(e *estate.Estate) {
	s := e.Targets[1]
	s.Name, s.URLs = "//run.googleapis.com/projects/shop/locations/europe-west1/services/-google_cloud_run_v2_service.s", nil
	s.Where.Address = "google_cloud_run_v2_service.s"
	e.Targets = append(e.Targets, s)
}

func judge(o rules.Options, changes ...change) rules.Result {
	e := base()
	for _, c := range changes {
		c(e)
	}
	o.Now = now
	return rules.Judge(e, o)
}

// line is a finding in short.
func line(f rules.Finding) string {
	reach := "?"
	if f.Reach.Known {
		reach = fmt.Sprint(f.Reach.Services)
	}
	s := fmt.Sprintf("%s %s %s %s %s", f.Severity, f.Rule, f.Resource[strings.LastIndexByte(f.Resource, '/')+1:], f.Member, reach)
	if f.Unknown {
		s += " unknown"
	}
	if f.Suppressed != "" {
		s += " suppressed"
	}
	return s
}

func lines(r rules.Result) []string {
	var out []string
	for _, f := range r.Findings {
		out = append(out, line(f))
	}
	slices.Sort(out)
	return out
}

// TestRules has for every rule what it finds, and what looks alike and is not
// found.
func TestRules(t *testing.T) {
	const public = "medium ingress-all-public orders  1"
	for _, test := range []struct {
		name    string
		changes []change
		want    []string // all findings, in order of the alphabet
	}{
		{"nothing is granted", nil, nil},
		{"a caller on its service is no mistake", []change{grant(orders, "roles/run.invoker", mover)}, nil},
		{"allUsers", []change{grant(orders, "roles/run.invoker", "allUsers")}, []string{"critical grant-all-users orders allUsers 1", public}},
		{"allUsers as viewer opens nothing", []change{grant(orders, "roles/viewer", "allUsers")}, nil},
		{"allUsers as developer", []change{grant(orders, "roles/run.developer", "allUsers")}, []string{"critical grant-all-users orders allUsers 1", public}},
		{"allUsers with the role of functions on a service", []change{grant(orders, "roles/cloudfunctions.invoker", "allUsers")}, []string{"medium grant-ineffective-role orders allUsers ?"}},
		{"allUsers on the v2 function", []change{grant(function, "roles/run.invoker", "allUsers")}, []string{"medium grant-ineffective-role orders allUsers ?"}},
		{"allUsers as functions invoker on the v2 function", []change{grant(function, "roles/cloudfunctions.invoker", "allUsers")}, []string{"medium grant-ineffective-role orders allUsers ?"}},
		{"allUsers as functions invoker on a gen1 function", []change{grant(old, "roles/cloudfunctions.invoker", "allUsers")}, []string{"critical grant-all-users old allUsers 1", "medium ingress-all-public old  1"}},
		{"allUsers as run invoker on a gen1 function", []change{grant(old, "roles/run.invoker", "allUsers")}, []string{"medium grant-ineffective-role old allUsers ?"}},
		{"allUsers with a custom role that carries it", []change{customRole("projects/shop/roles/caller", "run.routes.invoke"), grant(orders, "projects/shop/roles/caller", "allUsers")},
			[]string{"critical grant-all-users orders allUsers 1", public}},
		{"allUsers with a custom role that does not", []change{customRole("projects/shop/roles/reader", "run.services.get"), grant(orders, "projects/shop/roles/reader", "allUsers")}, nil},
		{"allUsers with a custom role that is not known", []change{grant(orders, "projects/shop/roles/caller", "allUsers")}, []string{"low grant-all-users orders allUsers 1 unknown"}},
		{"allUsers behind internal ingress", []change{grant(orders, "roles/run.invoker", "allUsers"), target(orders, func(t *estate.Target) { t.Ingress = estate.IngressInternal })},
			[]string{"medium grant-all-users orders allUsers 0"}},
		{"allUsers on a deleted service", []change{grant(orders, "roles/run.invoker", "allUsers"), target(orders, func(t *estate.Target) { t.Deleted = estate.Yes })}, nil},
		{"invoker check off on a deleted service", []change{target(orders, func(t *estate.Target) { t.Check, t.Deleted = estate.No, estate.Yes })}, nil},
		{"allUsers on the project, one service deleted", []change{grant(shop, "roles/run.invoker", "allUsers"), target(orders, func(t *estate.Target) { t.Deleted = estate.Yes })},
			[]string{"critical grant-all-users shop allUsers 1", "medium ingress-all-public billing  1"}},
		{"allUsers on the project", []change{grant(shop, "roles/run.invoker", "allUsers")},
			[]string{"critical grant-all-users shop allUsers 2", "medium ingress-all-public billing  1", public}},
		{"allUsers on the folder by an editor's role", []change{grant(folder, "roles/editor", "allUsers")},
			[]string{"critical grant-all-users 7 allUsers 3", "medium ingress-all-public billing  1", "medium ingress-all-public old  1", public}},
		{"allUsers on the project, denied there", []change{grant(shop, "roles/run.invoker", "allUsers"), deny("projects/424242", "principalSet://goog/public:all")},
			[]string{"medium grant-all-users shop allUsers 0"}},
		{"allUsers on the folder, denied in the project", []change{grant(folder, "roles/run.invoker", "allUsers"), deny("projects/shop", "principalSet://goog/public:all")},
			[]string{"medium grant-all-users 7 allUsers 0"}},
		{"allUsers in an unknown number of services", []change{grant(shop, "roles/run.invoker", "allUsers"), func(e *estate.Estate) { e.TargetsComplete = false; e.Targets = nil }},
			[]string{"critical grant-all-users shop allUsers ?"}},
		{"allAuthenticatedUsers", []change{grant(billing, "roles/run.servicesInvoker", "allAuthenticatedUsers")}, []string{"critical grant-all-authenticated billing allAuthenticatedUsers 1"}},
		{"invoker check off", []change{target(orders, func(t *estate.Target) { t.Check = estate.No })}, []string{"critical invoker-check-disabled orders  1", public}},
		{"invoker check not known", []change{target(orders, func(t *estate.Target) { t.Check = estate.Unknown })}, nil},
		{"inherited from the project", []change{grant(shop, "roles/run.invoker", mover)}, []string{"medium grant-inherited shop " + mover + " 2"}},
		{"inherited from the folder", []change{grant(folder, "roles/run.invoker", mover)}, []string{"high grant-inherited 7 " + mover + " 2"}},
		{"owner of the project", []change{grant(shop, "roles/owner", "user:ann@example.com")}, []string{"low grant-inherited shop user:ann@example.com 3"}},
		{"viewer of the project", []change{grant(shop, "roles/viewer", "user:ann@example.com")}, nil},
		{"a domain", []change{grant(orders, "roles/run.invoker", "domain:example.com")}, []string{"high grant-domain orders domain:example.com 1"}},
		{"every service account of a project", []change{grant(orders, "roles/run.invoker", "principalSet://cloudresourcemanager.googleapis.com/projects/424242/type/ServiceAccount")},
			[]string{"high grant-all-service-accounts orders principalSet://cloudresourcemanager.googleapis.com/projects/424242/type/ServiceAccount 1"}},
		{"more than needed", []change{grant(orders, "roles/run.admin", mover)}, []string{"medium grant-excessive-role orders " + mover + " 1"}},
		{"a federated principal", []change{grant(orders, "roles/run.invoker", "principal://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/subject/s")},
			[]string{"low grant-ineffective-member orders principal://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/subject/s ?"}},
		{"owners of the project, as a member", []change{grant(orders, "roles/run.invoker", "projectOwner:shop")}, []string{"low grant-ineffective-member orders projectOwner:shop ?"}},
		{"a deleted member", []change{grant(orders, "roles/run.invoker", "deleted:"+mover+"?uid=1")}, []string{"low grant-deleted-member orders deleted:" + mover + "?uid=1 ?"}},
		{"a deleted member of another role", []change{grant(orders, "roles/viewer", "deleted:"+mover+"?uid=1")}, nil},
		{"a condition on the resource's name", []change{conditional(orders, "roles/run.invoker", `resource.name.startsWith("projects/shop")`, mover)}, []string{"medium grant-ineffective-condition orders " + mover + " ?"}},
		{"a condition that is over", []change{conditional(orders, "roles/run.invoker", `request.time < timestamp("2026-01-01T00:00:00Z")`, "allUsers")}, []string{"low grant-expired-condition orders allUsers ?"}},
		{"a condition that still holds", []change{conditional(orders, "roles/run.invoker", `request.time < timestamp("2027-01-01T00:00:00Z")`, "allUsers")},
			[]string{"critical grant-all-users orders allUsers 1", public}},
		{"a condition on the path", []change{conditional(orders, "roles/run.invoker", `request.path.startsWith("/open")`, "allUsers")}, []string{"low grant-all-users orders allUsers 1 unknown"}},
		{"covered by the project", []change{grant(shop, "roles/run.invoker", mover), grant(orders, "roles/run.invoker", mover)},
			[]string{"info grant-redundant orders " + mover + " ?", "medium grant-inherited shop " + mover + " 2"}},
		{"a public event-driven function", []change{grant(orders, "roles/run.invoker", "allUsers"), target(orders, func(t *estate.Target) { t.Event = estate.Yes; t.TriggerAccount = "mover@shop.iam.gserviceaccount.com" })},
			[]string{"critical grant-all-users orders allUsers 1", "high event-function-public orders allUsers 1", public}},
		{"a trigger that may invoke", []change{grant(orders, "roles/run.invoker", mover), target(orders, func(t *estate.Target) { t.Event = estate.Yes; t.TriggerAccount = "mover@shop.iam.gserviceaccount.com" })}, nil},
		{"a trigger that may not invoke", []change{target(orders, func(t *estate.Target) { t.Event = estate.Yes; t.TriggerAccount = "mover@shop.iam.gserviceaccount.com" })},
			[]string{"high trigger-cannot-invoke orders " + mover + " ?"}},
		{"a trigger and a policy of which a part is known", []change{grant(orders, "roles/run.invoker", "user:ann@example.com"), func(e *estate.Estate) { e.Policies[0].Partial = "the plan shows one member" },
			target(orders, func(t *estate.Target) { t.Event = estate.Yes; t.TriggerAccount = "mover@shop.iam.gserviceaccount.com" })}, []string{"info trigger-cannot-invoke orders " + mover + " ? unknown"}},
		{"a job that may not invoke", []change{calls(caller.Caller{Kind: "cloud-scheduler", URL: url + "/run", Token: caller.IDToken, ServiceAccount: "mover@shop.iam.gserviceaccount.com", Audience: url})},
			[]string{"high caller-cannot-invoke orders " + mover + " ?"}},
		{"a job that may", []change{grant(orders, "roles/run.invoker", mover), calls(caller.Caller{Kind: "cloud-scheduler", URL: url + "/run", Token: caller.IDToken, ServiceAccount: "mover@shop.iam.gserviceaccount.com", Audience: url})}, nil},
		{"a job with an access token", []change{grant(orders, "roles/run.invoker", mover), calls(caller.Caller{Kind: "cloud-scheduler", URL: url, Token: caller.AccessToken, ServiceAccount: "mover@shop.iam.gserviceaccount.com"})},
			[]string{"high caller-credential orders " + mover + " ?"}},
		{"a job without token to a public service", []change{grant(orders, "roles/run.invoker", "allUsers"), calls(caller.Caller{Kind: "cloud-scheduler", URL: url, Token: caller.NoToken})},
			[]string{"critical grant-all-users orders allUsers 1", public}},
		{"a job with another service's audience", []change{grant(orders, "roles/run.invoker", mover), calls(caller.Caller{Kind: "cloud-scheduler", URL: url, Token: caller.IDToken, ServiceAccount: "mover@shop.iam.gserviceaccount.com", Audience: "https://billing-ab12cd34ef-ew.a.run.app"})},
			[]string{"high caller-audience orders  ?"}},
		{"a job to somewhere else", []change{calls(caller.Caller{Kind: "cloud-scheduler", URL: "https://example.org/", Token: caller.NoToken})}, nil},
		{"a trigger of a service by its name", []change{calls(caller.Caller{Kind: "eventarc", Service: "billing", Project: "shop", Token: caller.IDToken, ServiceAccount: "mover@shop.iam.gserviceaccount.com"})},
			[]string{"high caller-cannot-invoke billing " + mover + " ?"}},
		{"IAP on the load balancer only", []change{grant(orders, "roles/run.invoker", "allUsers"), target(orders, func(t *estate.Target) { t.FrontIAP = estate.Yes })},
			[]string{"critical grant-all-users orders allUsers 1", "high iap-bypass orders  1"}},
		{"IAP on the load balancer and ingress for it", []change{grant(orders, "roles/run.invoker", "allUsers"), target(orders, func(t *estate.Target) { t.FrontIAP = estate.Yes; t.Ingress = estate.IngressInternalAndLoadBalancer })},
			[]string{"high grant-all-users orders allUsers 1"}},
		{"binding and member of one role", []change{configured(orders, "roles/run.invoker", "a", estate.RoleAuthority, mover), configured(orders, "roles/run.invoker", "b", estate.MemberAuthority, "user:ann@example.com")},
			[]string{"high plan-conflict orders b ?"}},
		{"two bindings of one role", []change{configured(orders, "roles/run.invoker", "a", estate.RoleAuthority, mover), configured(orders, "roles/run.invoker", "b", estate.RoleAuthority, mover)},
			[]string{"high plan-conflict orders b ?"}},
		{"policy and member", []change{configured(orders, "roles/run.invoker", "a", estate.PolicyAuthority, mover), configured(orders, "roles/run.viewer", "b", estate.MemberAuthority, mover)},
			[]string{"high plan-conflict orders b ?"}},
		{"bindings of two roles", []change{configured(orders, "roles/run.invoker", "a", estate.RoleAuthority, mover), configured(orders, "roles/run.viewer", "b", estate.RoleAuthority, mover)}, nil},
		{"two members of one role", []change{configured(orders, "roles/run.invoker", "a", estate.MemberAuthority, mover), configured(orders, "roles/run.invoker", "b", estate.MemberAuthority, "user:ann@example.com")}, nil},
		{"a function of a generation that is not known", []change{func(e *estate.Estate) { e.Targets, e.TargetsComplete = nil, false }, grant(function, "roles/cloudfunctions.invoker", "allUsers")},
			[]string{"low grant-all-users orders allUsers 1 unknown"}},
		{"everybody with a Google account through IAP", []change{grant("//iap.googleapis.com/projects/shop/iap_web/cloud_run-europe-west1/services/orders", "roles/iap.httpsResourceAccessor", "allAuthenticatedUsers", "user:ann@example.com"),
			target(orders, func(t *estate.Target) { t.IAP = estate.Yes })}, []string{"critical grant-all-authenticated orders allAuthenticatedUsers 1"}},
		{"a bucket is none of this", []change{grant("//storage.googleapis.com/b", "roles/run.invoker", "allUsers")}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := lines(judge(rules.Options{}, test.changes...)); !slices.Equal(got, test.want) {
				t.Errorf("found\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(test.want, "\n"))
			}
		})
	}
}

func TestOptions(t *testing.T) {
	public := grant(orders, "roles/run.invoker", "allUsers")
	for _, test := range []struct {
		name    string
		options rules.Options
		changes []change
		want    []string
	}{
		{"external user", rules.Options{AllowedDomains: []string{"example.com"}}, []change{grant(orders, "roles/run.invoker", "user:eve@evil.example", "user:ann@example.com")}, []string{"high grant-external orders user:eve@evil.example 1"}},
		{"external account", rules.Options{AllowedProjects: []string{"shop"}}, []change{grant(orders, "roles/run.invoker", "serviceAccount:a@other.iam.gserviceaccount.com", mover, "serviceAccount:service-1@gcp-sa-iap.iam.gserviceaccount.com")},
			[]string{"high grant-external orders serviceAccount:a@other.iam.gserviceaccount.com 1"}},
		{"external and admitted", rules.Options{AllowedDomains: []string{"example.com"}, AllowedPrincipals: []string{"user:eve@*"}}, []change{grant(orders, "roles/run.invoker", "user:eve@evil.example")}, nil},
		{"severity", rules.Options{Severities: map[string]rules.Severity{"grant-domain": rules.Info}}, []change{grant(orders, "roles/run.invoker", "domain:example.com")}, []string{"info grant-domain orders domain:example.com 1"}},
		{"ignored", rules.Options{Ignores: []rules.Ignore{{Rule: "grant-all-users", Resource: "services/or*", Reason: "meant to be"}}}, []change{public},
			[]string{"critical grant-all-users orders allUsers 1 suppressed", "medium ingress-all-public orders  1"}},
		{"ignored elsewhere", rules.Options{Ignores: []rules.Ignore{{Rule: "*", Resource: "services/billing", Reason: "meant to be"}}}, []change{public},
			[]string{"critical grant-all-users orders allUsers 1", "medium ingress-all-public orders  1"}},
		{"ignored until yesterday", rules.Options{Ignores: []rules.Ignore{{Rule: "grant-all-users", Resource: "services/orders", Reason: "for now", Expires: now.Add(-time.Hour)}}}, []change{public},
			[]string{"critical grant-all-users orders allUsers 1", "medium ignore-expired orders  ?", "medium ingress-all-public orders  1"}},
		{"expected and so", rules.Options{Expectations: []rules.Expectation{{Principal: mover, Target: "orders", Allowed: true}, {Principal: "allUsers", Target: "services/*"}}}, []change{grant(orders, "roles/run.invoker", mover)}, nil},
		{"expected and not so", rules.Options{Expectations: []rules.Expectation{{Principal: mover, Target: "orders", Allowed: true}, {Principal: "user:eve@evil.example", Target: "billing"}}}, []change{grant(billing, "roles/run.invoker", "user:eve@evil.example")},
			[]string{"high access-expectation billing user:eve@evil.example ?", "high access-expectation orders " + mover + " ?"}},
		{"expected and not known", rules.Options{Expectations: []rules.Expectation{{Principal: mover, Target: "orders"}}}, []change{grant(orders, "roles/run.invoker", "group:eng@example.com")},
			[]string{"low access-expectation orders " + mover + " ? unknown"}},
		{"expected through IAP", rules.Options{Expectations: []rules.Expectation{{Principal: "user:ann@example.com", Target: "orders", Allowed: true}, {Principal: mover, Target: "orders", Allowed: true}}},
			[]change{target(orders, func(t *estate.Target) { t.IAP = estate.Yes }), grant(orders, "roles/run.invoker", mover, agent), grant("//iap.googleapis.com/projects/shop/iap_web/cloud_run-europe-west1/services/orders", "roles/iap.httpsResourceAccessor", "user:ann@example.com")},
			[]string{"high access-expectation orders " + mover + " ?"}},
		{"forbidden by pattern", rules.Options{Expectations: []rules.Expectation{{Principal: "user:*", Target: "orders"}}}, []change{grant(orders, "roles/run.invoker", "user:ann@example.com", mover)},
			[]string{"high access-expectation orders user:ann@example.com ?"}},
		{"forbidden by pattern, and nobody fits", rules.Options{Expectations: []rules.Expectation{{Principal: "user:*", Target: "orders"}}}, []change{grant(orders, "roles/run.invoker", mover)}, nil},
		{"forbidden by pattern, and not known", rules.Options{Expectations: []rules.Expectation{{Principal: "user:*", Target: "orders"}}},
			[]change{func(e *estate.Estate) {
				e.Policies = append(e.Policies, estate.Policy{Resource: orders, Bindings: []estate.Binding{{Role: "roles/run.invoker", Open: "known after apply"}}})
			}}, []string{"low access-expectation orders user:* ? unknown"}},
		{"allowed by pattern, and nobody fits", rules.Options{Expectations: []rules.Expectation{{Principal: "user:*", Target: "orders", Allowed: true}}}, nil,
			[]string{"high access-expectation orders user:* ?"}},
		{"only those named", rules.Options{Expectations: []rules.Expectation{{Target: "orders", Only: []string{mover}, Others: true}}}, []change{grant(orders, "roles/run.invoker", "user:ann@example.com", mover)},
			[]string{"high access-expectation orders user:ann@example.com ?"}},
		{"only those named, by pattern", rules.Options{Expectations: []rules.Expectation{{Target: "orders", Only: []string{"user:*", mover}, Others: true}}}, []change{grant(orders, "roles/run.invoker", "user:ann@example.com", mover)}, nil},
		{"nobody at all", rules.Options{Expectations: []rules.Expectation{{Target: "billing", Others: true}}}, nil, nil},
		{"not anyone with an account", rules.Options{Expectations: []rules.Expectation{{Principal: "allAuthenticatedUsers", Target: "orders"}}}, []change{grant(orders, "roles/run.invoker", "group:eng@example.com", mover)}, nil},
		{"nobody else, and a group", rules.Options{Expectations: []rules.Expectation{{Target: "orders", Only: []string{mover}, Others: true}}}, []change{grant(orders, "roles/run.invoker", mover, "group:eng@example.com")},
			[]string{"high access-expectation orders group:eng@example.com ?"}},
		{"nobody else, and the check is off", rules.Options{Expectations: []rules.Expectation{{Target: "orders", Only: []string{mover}, Others: true}}}, []change{target(orders, func(t *estate.Target) { t.Check = estate.No; t.Ingress = estate.IngressInternal })},
			[]string{"high access-expectation orders allUsers ?", "medium invoker-check-disabled orders  0"}},
		{"nobody else, and an account of a domain that may", rules.Options{Expectations: []rules.Expectation{{Target: "orders", Only: []string{"domain:example.com"}, Others: true}}}, []change{grant(orders, "roles/run.invoker", "user:ann@example.com")}, nil},
		{"nobody else, and a part of the policy is not known", rules.Options{Expectations: []rules.Expectation{{Target: "orders", Only: []string{mover}, Others: true}}}, []change{grant(orders, "roles/run.invoker", mover), partly},
			[]string{"low access-expectation orders  ? unknown"}},
		{"forbidden by pattern, and a group", rules.Options{Expectations: []rules.Expectation{{Principal: "user:*", Target: "orders"}}}, []change{grant(orders, "roles/run.invoker", "group:eng@example.com")},
			[]string{"low access-expectation orders user:* ? unknown"}},
		{"forbidden by pattern, and a group that is listed", rules.Options{Expectations: []rules.Expectation{{Principal: "user:*", Target: "orders"}}}, []change{grant(orders, "roles/run.invoker", "group:eng@example.com"), func(e *estate.Estate) {
			e.Groups = map[string][]string{"group:eng@example.com": {mover}}
		}}, nil},
		{"forbidden by pattern, and everyone with an account", rules.Options{Expectations: []rules.Expectation{{Principal: "serviceAccount:*@shop.iam.gserviceaccount.com", Target: "orders"}}}, []change{grant(orders, "roles/run.invoker", "allAuthenticatedUsers")},
			[]string{"critical grant-all-authenticated orders allAuthenticatedUsers 1", "high access-expectation orders allAuthenticatedUsers ?"}},
		{"forbidden by pattern, and their domain", rules.Options{Expectations: []rules.Expectation{{Principal: "user:*@example.com", Target: "orders"}}}, []change{grant(orders, "roles/run.invoker", "domain:example.com")},
			[]string{"high access-expectation orders domain:example.com ?", "high grant-domain orders domain:example.com 1"}},
		{"forbidden accounts of services, and a domain of people", rules.Options{Expectations: []rules.Expectation{{Principal: "serviceAccount:*", Target: "orders"}}}, []change{grant(orders, "roles/run.invoker", "domain:example.com")},
			[]string{"high grant-domain orders domain:example.com 1"}},
		{"forbidden by pattern, and the check is off", rules.Options{Expectations: []rules.Expectation{{Principal: "group:*", Target: "orders"}}}, []change{target(orders, func(t *estate.Target) { t.Check = estate.No; t.Ingress = estate.IngressInternal })},
			[]string{"high access-expectation orders allUsers ?", "medium invoker-check-disabled orders  0"}},
		{"anyone with an account, and anyone", rules.Options{Expectations: []rules.Expectation{{Principal: "allAuthenticatedUsers", Target: "orders"}}}, []change{grant(orders, "roles/run.invoker", "allUsers")},
			[]string{"critical grant-all-users orders allUsers 1", "high access-expectation orders allAuthenticatedUsers ?", "medium ingress-all-public orders  1"}},
		{"at a path", rules.Options{Expectations: []rules.Expectation{{Principal: mover, Target: "orders", Allowed: true, When: rules.When{Path: "/open/a"}}, {Principal: mover, Target: "orders", When: rules.When{Path: "/admin"}}, {Principal: mover, Target: "orders", Allowed: true, When: rules.When{Path: "/admin"}}}},
			[]change{conditional(orders, "roles/run.invoker", `request.path.startsWith("/open")`, mover)}, []string{"high access-expectation orders " + mover + " ?"}},
		{"at no path in particular", rules.Options{Expectations: []rules.Expectation{{Principal: mover, Target: "orders"}}},
			[]change{conditional(orders, "roles/run.invoker", `request.path.startsWith("/open")`, mover)}, []string{"low access-expectation orders " + mover + " ? unknown"}},
		{"after the condition is over", rules.Options{Expectations: []rules.Expectation{{Principal: mover, Target: "orders", Allowed: true, When: rules.When{Time: now.AddDate(1, 0, 0)}}, {Principal: mover, Target: "orders", Allowed: true}}},
			[]change{conditional(orders, "roles/run.invoker", `request.time < timestamp("2027-01-01T00:00:00Z")`, mover)}, []string{"high access-expectation orders " + mover + " ?"}},
		{"from inside", rules.Options{Expectations: []rules.Expectation{{Principal: mover, Target: "orders", Allowed: true, When: rules.When{Source: evidence.VPC}}, {Principal: "allUsers", Target: "orders"}, {Principal: mover, Target: "orders", When: rules.When{Source: evidence.Internet}}}},
			[]change{grant(orders, "roles/run.invoker", mover), target(orders, func(t *estate.Target) { t.Ingress = estate.IngressInternal })}, nil},
		{"from outside", rules.Options{Expectations: []rules.Expectation{{Principal: mover, Target: "orders", Allowed: true, When: rules.When{Source: evidence.LoadBalancer}}}},
			[]change{grant(orders, "roles/run.invoker", mover), target(orders, func(t *estate.Target) { t.Ingress = estate.IngressInternal })}, []string{"high access-expectation orders " + mover + " ?"}},
		{"from a Google service, on a domain of one's own", rules.Options{Expectations: []rules.Expectation{{Principal: mover, Target: "orders", Allowed: true, When: rules.When{Source: evidence.GoogleService, Host: "orders.example.com"}}}},
			[]change{grant(orders, "roles/run.invoker", mover), target(orders, func(t *estate.Target) { t.Ingress = estate.IngressInternal })}, []string{"low access-expectation orders " + mover + " ? unknown"}},
		{"of a service of which only the policy is here", rules.Options{Expectations: []rules.Expectation{{Principal: mover, Target: "services/stock", Allowed: true}, {Principal: "user:*", Target: "projects/shop/locations/europe-west1/services/stock"}}},
			[]change{grant("//run.googleapis.com/projects/shop/locations/europe-west1/services/stock", "roles/run.invoker", mover)}, nil},
		{"of a service without a name", rules.Options{Expectations: []rules.Expectation{{Principal: mover, Target: "services/stock", Allowed: true}, {Principal: "allUsers", Target: "services/st*"}, {Principal: "allUsers", Target: "services/s*", Allowed: true}}},
			[]change{nameless}, []string{"low access-expectation google_cloud_run_v2_service.s allUsers ? unknown", "low access-expectation google_cloud_run_v2_service.s " + mover + " ? unknown"}},
		{"of every service, one without a name", rules.Options{Expectations: []rules.Expectation{{Principal: "allUsers", Target: "services/*"}}}, []change{nameless, grant(orders, "roles/viewer", mover), func(e *estate.Estate) { e.Targets[3].Check = estate.No }},
			[]string{"critical invoker-check-disabled google_cloud_run_v2_service.s  1", "high access-expectation google_cloud_run_v2_service.s allUsers ?", "medium ingress-all-public google_cloud_run_v2_service.s  1"}},
		{"of a service that may be elsewhere", rules.Options{Expectations: []rules.Expectation{{Principal: mover, Target: "projects/other/locations/*/services/orders", Allowed: true}}}, nil,
			[]string{"high access-expectation orders " + mover + " ?"}},
		{"expected of nothing", rules.Options{Expectations: []rules.Expectation{{Principal: mover, Target: "nosuch", Allowed: true}}}, nil, []string{"high access-expectation nosuch " + mover + " ?"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := lines(judge(test.options, test.changes...)); !slices.Equal(got, test.want) {
				t.Errorf("found\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(test.want, "\n"))
			}
		})
	}
}

func TestChanges(t *testing.T) {
	before := base()
	grant(orders, "roles/run.invoker", mover, "user:ann@example.com")(before)
	grant(billing, "roles/run.invoker", mover)(before)
	grant(shop, "roles/run.invoker", "user:ann@example.com")(before)
	r := judge(rules.Options{Before: before, OnlyNew: true}, grant(orders, "roles/run.invoker", "allUsers"), grant(billing, "roles/run.servicesInvoker", mover), grant(shop, "roles/run.invoker", "user:ann@example.com"))
	want := []rules.Change{{Target: orders, Gained: []string{"allUsers"}}}
	if len(r.Changes) != 1 || r.Changes[0].Target != want[0].Target || !slices.Equal(r.Changes[0].Gained, want[0].Gained) || len(r.Changes[0].Lost) > 0 {
		t.Errorf("changes %+v, want %+v", r.Changes, want)
	}
	if got := lines(r); slices.ContainsFunc(got, func(s string) bool { return strings.Contains(s, "grant-inherited") }) || len(got) != 2 {
		t.Errorf("new findings %q", got)
	}
	// Who could before, by the project, gains nothing by a grant on the service.
	again := base()
	grant(shop, "roles/run.invoker", "user:ann@example.com")(again)
	if r = judge(rules.Options{Before: again}, grant(shop, "roles/run.invoker", "user:ann@example.com"), grant(billing, "roles/run.invoker", "user:ann@example.com")); len(r.Changes) != 0 {
		t.Errorf("changes %+v, want none", r.Changes)
	}
	// Who may be among members that are not known yet is not said to be cut off.
	open := func(e *estate.Estate) {
		e.Policies = append(e.Policies, estate.Policy{Resource: shop, Bindings: []estate.Binding{{Role: "roles/run.invoker", Open: "known after apply"}}})
	}
	if r = judge(rules.Options{Before: again}, open); len(r.Changes) != 1 || len(r.Changes[0].Lost) > 0 || r.Changes[0].Open != "known after apply; it may cut off user:ann@example.com" {
		t.Errorf("changes %+v", r.Changes)
	}
	r = judge(rules.Options{Before: before})
	if len(r.Changes) != 3 || !slices.Equal(r.Changes[2].Lost, []string{mover, "user:ann@example.com"}) {
		t.Errorf("changes %+v", r.Changes)
	}
}

func TestSummary(t *testing.T) {
	r := judge(rules.Options{}, grant(shop, "roles/run.invoker", "allUsers"))
	if s := r.Summary; s.Services != 2 || s.Functions != 1 || s.Public != 2 || !s.Complete {
		t.Errorf("summary %+v", s)
	}
	var names []string
	for _, e := range r.Summary.Exposure {
		names = append(names, fmt.Sprintf("%s<%s %d/%d", e.Name, e.Parent, e.Public, e.Targets))
	}
	if want := []string{"organizations/1< 2/3", "folders/7<organizations/1 2/3", "projects/shop<folders/7 2/3"}; !slices.Equal(names, want) {
		t.Errorf("exposure %q, want %q", names, want)
	}
	if n := r.AtLeast(rules.Critical); n != 1 {
		t.Errorf("%d critical findings, want 1", n)
	}
}

func TestRulesAreDocumented(t *testing.T) {
	ids := map[string]bool{}
	for _, r := range rules.Rules() {
		if !regexp.MustCompile(`^[a-z]+(-[a-z]+)+$`).MatchString(r.ID) || ids[r.ID] {
			t.Errorf("%q is no new ID in kebab case", r.ID)
		}
		ids[r.ID] = true
		if r.Title == "" || r.Doc == "" || !strings.HasPrefix(r.Ref, "https://") || r.Severity == 0 || r.Run == nil {
			t.Errorf("%s lacks a part", r.ID)
		}
	}
}

// The order of documents, bindings and members changes nothing, and neither a
// number in place of a project's ID.
func TestOrderIsIrrelevant(t *testing.T) {
	members := []string{"allUsers", mover, "user:ann@example.com", "domain:example.com", "deleted:" + mover + "?uid=1", "projectOwner:shop"}
	roles := []string{"roles/run.invoker", "roles/owner", "roles/viewer", "roles/cloudfunctions.invoker", "projects/shop/roles/caller"}
	places := []string{orders, billing, function, old, shop, folder}
	rapid.Check(t, func(t *rapid.T) {
		var changes []change
		for range rapid.IntRange(1, 6).Draw(t, "grants") {
			on, role := rapid.SampledFrom(places).Draw(t, "on"), rapid.SampledFrom(roles).Draw(t, "role")
			changes = append(changes, grant(on, role, rapid.SliceOfN(rapid.SampledFrom(members), 1, 3).Draw(t, "members")...))
		}
		want := judge(rules.Options{}, changes...)
		shuffled := rapid.Permutation(changes).Draw(t, "order")
		numbers := func(e *estate.Estate) {
			for i := range e.Policies {
				slices.Reverse(e.Policies[i].Bindings[0].Members)
				e.Policies[i].Resource = strings.Replace(e.Policies[i].Resource, "projects/shop", "projects/424242", 1)
			}
			slices.Reverse(e.Targets)
			slices.Reverse(e.Nodes)
		}
		got := judge(rules.Options{}, append(shuffled, numbers)...)
		if !slices.Equal(lines(got), lines(want)) {
			t.Fatalf("found\n%q\nwant\n%q", lines(got), lines(want))
		}
		for i := range got.Findings {
			if got.Findings[i].Fingerprint != want.Findings[i].Fingerprint {
				t.Fatalf("fingerprint of %s differs", line(got.Findings[i]))
			}
		}
	})
}

// A deny policy never adds reach.
func TestDenyingNeverOpens(t *testing.T) {
	for _, principal := range []string{"principalSet://goog/public:all", "principal://goog/subject/ann@example.com", "principalSet://goog/group/eng@example.com"} {
		for _, place := range []string{"projects/shop", "folders/7", "organizations/1", "projects/other"} {
			changes := []change{grant(shop, "roles/run.invoker", "allUsers", "user:ann@example.com"), grant(orders, "roles/run.invoker", "allUsers")}
			before, after := judge(rules.Options{}, changes...), judge(rules.Options{}, append(changes, deny(place, principal))...)
			if before.Summary.Public < after.Summary.Public {
				t.Errorf("%s on %s opens", principal, place)
			}
			for _, f := range after.Findings {
				i := slices.IndexFunc(before.Findings, func(b rules.Finding) bool { return b.Fingerprint == f.Fingerprint })
				if i >= 0 && before.Findings[i].Reach.Services < f.Reach.Services {
					t.Errorf("%s on %s: %s reaches %d, before %d", principal, place, line(f), f.Reach.Services, before.Findings[i].Reach.Services)
				}
			}
		}
	}
}

// What is known only after apply is never passed over.
func TestOpen(t *testing.T) {
	r := judge(rules.Options{}, func(e *estate.Estate) {
		e.Policies = append(e.Policies, estate.Policy{Resource: orders, Bindings: []estate.Binding{{Role: "roles/run.invoker", Open: "known after apply"}}})
	}, target(billing, func(t *estate.Target) { t.Ingress, t.Check = estate.UnknownIngress, estate.Unknown }))
	var got []string
	for _, u := range r.Summary.Unread {
		got = append(got, u.What)
	}
	want := []string{"who gets roles/run.invoker on services/orders", "the ingress of services/billing", "whether the invoker IAM check of services/billing is on"}
	if !slices.Equal(got, want) {
		t.Errorf("not known: %q, want %q", got, want)
	}
}
