package rules_test

import (
	"fmt"
	"math/rand"
	"strings"
	"testing"

	"cloud.google.com/go/functions/apiv2/functionspb"
	"cloud.google.com/go/iam/admin/apiv1/adminpb"
	"cloud.google.com/go/iam/apiv1/iampb"
	denypb "cloud.google.com/go/iam/apiv2/iampb"
	"cloud.google.com/go/run/apiv2/runpb"
	"google.golang.org/genproto/googleapis/type/expr"

	"diagnose/checks"
	"diagnose/checks/rules"
	"diagnose/internal/estate"
	"diagnose/internal/evidence"
)

// twins is the number of random cases of TestTwin.
const twins = 2000

// A twin is one set of facts, as a case and as an estate.
type twin struct {
	r   *rand.Rand
	s   evidence.Snapshot
	e   *estate.Estate
	who string
}

func (w *twin) pick(list ...string) string { return list[w.r.Intn(len(list))] }

var said = evidence.Source{Document: "x"}

const agent = "serviceAccount:service-424242@gcp-sa-iap.iam.gserviceaccount.com"

func (w *twin) policy() *iampb.Policy {
	p := &iampb.Policy{}
	for range w.r.Intn(3) {
		b := &iampb.Binding{Role: w.pick("roles/run.invoker", "roles/run.servicesInvoker", "roles/cloudfunctions.invoker", "roles/viewer",
			"roles/owner", "projects/shop/roles/c", "roles/run.admin", "roles/iap.httpsResourceAccessor")}
		for range 1 + w.r.Intn(2) {
			b.Members = append(b.Members, w.pick("allUsers", "allAuthenticatedUsers", "user:a@example.com", mover, "group:g@example.com",
				"domain:example.com", "deleted:user:a@example.com?uid=1", "user:A@example.com", "projectOwner:shop", agent))
		}
		if c := w.pick("", "", "", `request.time < timestamp("2026-01-01T00:00:00Z")`, `request.time < timestamp("2027-01-01T00:00:00Z")`,
			`resource.name.startsWith("x")`, `resource.matchTag("1/env","prod")`, `request.path.startsWith("/a")`); c != "" {
			b.Condition = &expr.Expr{Expression: c}
		}
		p.Bindings = append(p.Bindings, b)
	}
	return p
}

func (w *twin) deny() *denypb.Policy {
	d := &denypb.DenyRule{DeniedPermissions: []string{w.pick("run.googleapis.com/routes.invoke", "run.googleapis.com/routes.invoke", "iap.googleapis.com/*.*")},
		DeniedPrincipals: []string{w.pick("principalSet://goog/public:all", "principal://goog/subject/a@example.com", "principalSet://goog/group/g@example.com")}}
	if w.r.Intn(4) == 0 {
		d.ExceptionPrincipals = []string{w.pick("principal://goog/subject/a@example.com", "principalSet://goog/group/g@example.com")}
	}
	if w.r.Intn(4) == 0 {
		d.DenialCondition = &expr.Expr{Expression: `resource.matchTag("1/env","prod")`}
	}
	point := w.pick("projects%2Fshop", "organizations%2F1")
	return &denypb.Policy{Name: "policies/cloudresourcemanager.googleapis.com%2F" + point + "/denypolicies/d",
		Rules: []*denypb.PolicyRule{{Kind: &denypb.PolicyRule_DenyRule{DenyRule: d}}}}
}

// bound puts a policy into the estate.
func (w *twin) bound(resource string, p *iampb.Policy) {
	out := estate.Policy{Resource: resource}
	for _, b := range p.GetBindings() {
		out.Bindings = append(out.Bindings, estate.Binding{Role: b.Role, Members: b.Members, Condition: b.Condition})
	}
	w.e.Policies = append(w.e.Policies, out)
}

// newTwin draws a case of which everything is known.
func newTwin(r *rand.Rand) *twin {
	w := &twin{r: r}
	w.who = w.pick("allUsers", "user:a@example.com", mover)
	own, project, org, iap := w.policy(), w.policy(), w.policy(), w.policy()
	w.s = evidence.Snapshot{Now: now, Request: evidence.Known(evidence.Request{Principal: w.who, Time: now}, said),
		Project: evidence.Known(evidence.Project{ID: "shop", Number: "424242"}, said)}
	w.e = &estate.Estate{PoliciesComplete: true, TargetsComplete: true,
		Nodes: []estate.Node{{Name: "projects/424242", ID: "shop", Parent: "organizations/1"}, {Name: "organizations/1"}}}
	w.s.Ancestors = evidence.Known([]evidence.Ancestor{{ID: "shop", Type: "project", Policy: evidence.Known(project, said)},
		{ID: "1", Type: "organization", Policy: evidence.Known(org, said)}}, said)
	w.bound(shop, project)
	w.bound("//cloudresourcemanager.googleapis.com/organizations/1", org)
	var denied []*denypb.Policy
	for range r.Intn(2) {
		denied = append(denied, w.deny())
		w.e.Deny = append(w.e.Deny, estate.Deny{Policy: denied[0]})
	}
	w.s.DenyPolicies = evidence.Known(denied, said)
	var roles []*adminpb.Role
	if r.Intn(2) == 0 {
		roles = []*adminpb.Role{{Name: "projects/shop/roles/c", IncludedPermissions: [][]string{nil, {"run.routes.invoke"}}[r.Intn(2)]}}
	}
	groups := map[string][]string{}
	if r.Intn(2) == 0 {
		groups["group:g@example.com"] = []string{w.pick("user:a@example.com", "user:b@example.com")}
	}
	w.s.Roles, w.e.Roles = evidence.Known(roles, said), roles
	w.s.Groups, w.e.Groups = evidence.Known(groups, said), groups
	if r.Intn(5) == 0 {
		w.gen1(own)
	} else {
		w.service(own, iap)
	}
	return w
}

func (w *twin) gen1(own *iampb.Policy) {
	fn := evidence.Function{Function: &functionspb.Function{Name: "projects/shop/locations/europe-west1/functions/orders",
		Environment: functionspb.Environment_GEN_1, Url: "https://europe-west1-shop.cloudfunctions.net/orders", State: functionspb.Function_ACTIVE,
		ServiceConfig: &functionspb.ServiceConfig{IngressSettings: functionspb.ServiceConfig_ALLOW_ALL}}}
	w.s.Function, w.s.FunctionPolicy = evidence.Known(fn, said), evidence.Known(own, said)
	w.e.Targets = []estate.Target{estate.OfFunction(fn, estate.Where{})}
	w.bound(function, own)
}

func (w *twin) service(own, iap *iampb.Policy) {
	svc := &runpb.Service{Name: strings.TrimPrefix(orders, "//run.googleapis.com/"), Uri: url, Urls: []string{url}, LatestReadyRevision: "r",
		TerminalCondition: &runpb.Condition{State: runpb.Condition_CONDITION_SUCCEEDED}}
	svc.InvokerIamDisabled, svc.IapEnabled = w.r.Intn(8) == 0, w.r.Intn(4) == 0
	svc.Ingress = []runpb.IngressTraffic{1, 1, 1, 1, 2, 3, 4}[w.r.Intn(7)]
	w.s.Service, w.s.Policy = evidence.Known(svc, said), evidence.Known(own, said)
	w.e.Targets = []estate.Target{estate.OfService(svc, estate.Where{})}
	w.bound(orders, own)
	if svc.IapEnabled {
		w.s.IAPPolicy = evidence.Known(iap, said)
		w.bound("//iap.googleapis.com/projects/shop/iap_web/cloud_run-europe-west1/services/orders", iap)
	}
}

// contradictions compares what invoke, who, expectations and the counts say of
// one set of facts. What is not known on one side contradicts nothing on the
// other where that side knows more: gate knows no request.
func (w *twin) contradictions() []string {
	r := rules.Judge(w.e, rules.Options{Now: now, Expectations: []rules.Expectation{{Principal: w.who, Target: "orders", Allowed: true}}})
	gate, why := "allowed", ""
	for _, f := range r.Findings {
		switch {
		case f.Rule != "access-expectation":
		case f.Unknown:
			gate, why = "undetermined", f.Message
		default:
			gate, why = "denied", f.Message
		}
	}
	v := checks.Judge(w.s, checks.Options{NoFixes: true})
	who := checks.Who(w.s)
	var out []string
	svc := w.s.Service.Or(nil)
	balanced := svc.GetIngress() == runpb.IngressTraffic_INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER && w.who == "allUsers" && gate == "undetermined"
	inside := w.who != "allUsers" && svc != nil && svc.GetIngress() != runpb.IngressTraffic_INGRESS_TRAFFIC_ALL
	if invoke := v.Decision.String(); invoke != gate && !balanced && !inside {
		c, _ := v.Cause()
		out = append(out, fmt.Sprintf("invoke %s (%s), expectation %s (%s)", invoke, c.Check, gate, why))
	}
	if public := r.Summary.Public > 0; public != (who.Public != "") {
		out = append(out, fmt.Sprintf("who public %q, gate public %t", who.Public, public))
	}
	if r.Summary.Public > 0 && w.who == "allUsers" && gate != "allowed" {
		out = append(out, "public, and an expectation says otherwise")
	}
	return out
}

// One set of facts has one answer, whichever command is asked.
func TestTwin(t *testing.T) {
	r := rand.New(rand.NewSource(1))
	seen := map[string]int{}
	for range twins {
		w := newTwin(r)
		for _, c := range w.contradictions() {
			if seen[c]++; seen[c] == 1 {
				t.Errorf("%s\nwho %s\nservice %v\npolicy %v\niap %v\nabove %v\ndeny %v\ngroups %v\nroles %v", c, w.who, w.s.Service.Or(nil), w.e.Policies, w.s.IAPPolicy.Or(nil),
					w.s.Ancestors.Or(nil), w.s.DenyPolicies.Or(nil), w.e.Groups, w.e.Roles)
			}
		}
	}
}
