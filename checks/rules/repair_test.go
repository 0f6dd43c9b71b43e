package rules_test

import (
	"slices"
	"strings"
	"testing"

	"diagnose/checks/rules"
	"diagnose/internal/caller"
	"diagnose/internal/estate"
)

const iapOrders = "//iap.googleapis.com/projects/shop/iap_web/cloud_run-europe-west1/services/orders"

func behindIAP(t *estate.Target) { t.IAP = estate.Yes }

func job(token caller.TokenKind) change {
	return calls(caller.Caller{Kind: "cloud-scheduler", Name: "projects/shop/locations/europe-west1/jobs/nightly", URL: url + "/run", Token: token,
		ServiceAccount: "mover@shop.iam.gserviceaccount.com", Audience: url})
}

// repaired is a fix in short: what it does, who gains and who loses by it.
func repaired(r rules.Result, rule string) string {
	for _, f := range r.Findings {
		if f.Rule != rule {
			continue
		}
		x := f.Fixes[0]
		return strings.Join(append([]string{f.Severity.String(), x.ID, x.Effect.String()},
			slices.Concat(x.Remaining, []string{"+"}, x.Gains, []string{"-"}, x.Loses)...), " ")
	}
	return "not found"
}

// Every fix is judged again: whether the finding is gone, what comes instead,
// who gains and who loses.
func TestRepairs(t *testing.T) {
	ann := rules.Options{Expectations: []rules.Expectation{{Principal: "user:ann@example.com", Target: "orders", Allowed: true}}}
	accessor := grant(iapOrders, "roles/iap.httpsResourceAccessor", "user:ann@example.com")
	public := grant(orders, "roles/run.invoker", "allUsers")
	tests := []struct {
		name    string
		options rules.Options
		changes []change
		rule    string
		want    string
	}{
		{"a public service", rules.Options{}, []change{public}, "grant-all-users", "critical remove-binding allowed + - allUsers"},
		{"public, and a job needs that", rules.Options{}, []change{public, job(caller.NoToken)}, "grant-all-users",
			"critical remove-binding progress caller-credential + - allUsers"},
		{"public, and a job calls with a token", rules.Options{}, []change{public, job(caller.IDToken)}, "grant-all-users",
			"critical remove-binding progress caller-cannot-invoke + - allUsers " + mover},
		{"public, with a policy of which a part is known", rules.Options{}, []change{public, job(caller.IDToken),
			func(e *estate.Estate) { e.Policies[0].Partial = "a plan shows a part" }}, "grant-all-users",
			"critical remove-binding open caller-cannot-invoke + - allUsers " + mover},
		{"behind IAP, the agent lives on allUsers", ann, []change{public, target(orders, behindIAP), accessor}, "grant-all-users",
			"low grant-iap-agent allowed + -"},
		{"behind IAP, the agent has a grant", ann, []change{public, target(orders, behindIAP), accessor, grant(orders, "roles/run.invoker", agent)},
			"grant-all-users", "low remove-binding allowed + -"},
		{"behind IAP, the agent has a grant above", ann, []change{public, target(orders, behindIAP), accessor, grant(shop, "roles/run.invoker", agent)},
			"grant-all-users", "low remove-binding allowed + -"},
		{"behind IAP, the check is off", ann, []change{target(orders, behindIAP), target(orders, func(t *estate.Target) { t.Check = estate.No }), accessor},
			"invoker-check-disabled", "low enable-invoker-check allowed + -"},
		{"the check is off", rules.Options{}, []change{target(orders, func(t *estate.Target) { t.Check = estate.No })}, "invoker-check-disabled",
			"critical enable-invoker-check allowed + - allUsers"},
		{"IAP lets everyone in", rules.Options{}, []change{target(orders, behindIAP), grant(orders, "roles/run.invoker", agent),
			grant(iapOrders, "roles/iap.httpsResourceAccessor", "allUsers")}, "grant-all-users", "critical remove-binding allowed + - allUsers"},
		{"inherited, and the callers are known", rules.Options{}, []change{grant(shop, "roles/run.invoker", mover), job(caller.IDToken)}, "grant-inherited",
			"medium bind-below allowed + - " + mover},
		{"inherited, and nobody knows who calls", rules.Options{}, []change{grant(shop, "roles/run.invoker", mover)}, "grant-inherited",
			"medium bind-below unverified + -"},
		{"a job without a grant", rules.Options{}, []change{job(caller.IDToken)}, "caller-cannot-invoke", "high grant-invoker allowed + " + mover + " -"},
		{"a job with an access token", rules.Options{}, []change{job(caller.AccessToken), grant(orders, "roles/run.invoker", mover)}, "caller-credential",
			"high send-id-token allowed + -"},
		{"more than needed", rules.Options{}, []change{grant(orders, "roles/run.admin", mover)}, "grant-excessive-role", "medium replace-role allowed + -"},
		{"nothing in front", rules.Options{}, []change{public}, "ingress-all-public", "medium restrict-ingress allowed + -"},
		{"bound on the function", rules.Options{}, []change{grant(function, "roles/run.invoker", mover)}, "grant-ineffective-role",
			"medium grant-invoker allowed + " + mover + " -"},
	}
	for _, tt := range tests {
		if got := repaired(judge(tt.options, tt.changes...), tt.rule); strings.TrimSpace(got) != strings.TrimSpace(tt.want) {
			t.Errorf("%s: %s\nwant %s", tt.name, got, tt.want)
		}
	}
}

// What a rule says of a grant that something else stands before.
func TestStandingInTheWay(t *testing.T) {
	public := grant(orders, "roles/run.invoker", "allUsers")
	ingress := func(i estate.Ingress) change { return target(orders, func(t *estate.Target) { t.Ingress = i }) }
	for _, tt := range []struct {
		name    string
		changes []change
		public  int
		says    string // the severity and a part of the message
	}{
		{"IAP", []change{public, target(orders, behindIAP)}, 0, "low: anyone has roles/run.invoker on services/orders, but IAP is in front"},
		{"IAP that asks nobody", []change{public, target(orders, behindIAP), grant(iapOrders, "roles/iap.httpsResourceAccessor", "allUsers")}, 1,
			"critical: IAP is in front but lets everyone through"},
		{"a load balancer", []change{public, ingress(estate.IngressInternalAndLoadBalancer)}, 0, "high: only through a load balancer"},
		{"internal", []change{public, ingress(estate.IngressInternal)}, 0, "medium: ingress keeps the internet out"},
		{"ingress that is not known", []change{public, ingress(estate.UnknownIngress)}, 0, "critical: its ingress setting is unknown"},
		{"a deny policy on everyone", []change{public, deny("projects/shop", "principalSet://goog/public:all")}, 0,
			"medium: does not document whether it stops"},
		{"a deny policy on the member", []change{grant(orders, "roles/run.invoker", "domain:example.com"), deny("projects/shop", "principalSet://goog/public:all")}, 0,
			"low: it is denied by d: "},
	} {
		r := judge(rules.Options{}, tt.changes...)
		if r.Summary.Public != tt.public {
			t.Errorf("%s: %d public, want %d", tt.name, r.Summary.Public, tt.public)
		}
		severity, part, _ := strings.Cut(tt.says, ": ")
		if !slices.ContainsFunc(r.Findings, func(f rules.Finding) bool {
			return f.Severity.String() == severity && strings.Contains(f.Message, part)
		}) {
			t.Errorf("%s: nothing of severity %s says %q: %v", tt.name, severity, part, lines(r))
		}
	}
}

// A grant that Terraform manages is repaired there: the next apply would undo a
// command.
func TestRepairsInTerraform(t *testing.T) {
	at := func(authority estate.Authority, members ...string) rules.Result {
		return judge(rules.Options{}, configured(orders, "roles/run.invoker", "google_cloud_run_v2_service_iam_x.public", authority, members...))
	}
	for _, tt := range []struct {
		authority estate.Authority
		members   []string
		want      string
	}{
		{estate.MemberAuthority, []string{"allUsers"}, "removed {\n  from = google_cloud_run_v2_service_iam_x.public\n"},
		{estate.RoleAuthority, []string{"allUsers", mover}, "resource \"google_cloud_run_v2_service_iam_x\" \"public\" {\n  members = [\"" + mover + "\"]\n}\n"},
		{estate.PolicyAuthority, []string{"allUsers", mover}, "binding {\n  role = \"roles/run.invoker\"\n  members = [\"" + mover + "\"]\n}\n"},
	} {
		f := at(tt.authority, tt.members...).Findings[0]
		if x := f.Fixes[0]; !strings.HasPrefix(x.Terraform, tt.want) || len(x.Commands) > 0 {
			t.Errorf("%d: %q, %v", tt.authority, x.Terraform, x.Commands)
		}
	}
}
