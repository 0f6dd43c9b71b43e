package laws

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"cloud.google.com/go/functions/apiv2/functionspb"
	"cloud.google.com/go/iam/admin/apiv1/adminpb"
	"cloud.google.com/go/iam/apiv1/iampb"
	denypb "cloud.google.com/go/iam/apiv2/iampb"
	"cloud.google.com/go/iap/apiv1/iappb"
	"cloud.google.com/go/run/apiv2/runpb"
	"google.golang.org/genproto/googleapis/type/expr"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"diagnose/checks"
	"diagnose/checks/rules"
	"diagnose/internal/estate"
	"diagnose/internal/evidence"
)

// This file alone knows the types of the program: worlds become its input
// here, and its answers become plain ones.

func known[T any](v T, document string) evidence.Fact[T] {
	return evidence.Known(v, evidence.Source{Document: document})
}

// read reads a document as the program does.
func read(s *evidence.Snapshot, document, text string) {
	if err := evidence.Read(document, evidence.Source{Document: document}, []byte(text), s); err != nil {
		panic(err)
	}
}

// snapshot is the world as the documents of one case.
func (w world) snapshot() evidence.Snapshot {
	s := evidence.Snapshot{Now: now, NowFrom: "request.json", Request: known(w.request(), "request.json")}
	switch {
	case w.gen1:
		s.Function = known(evidence.Function{Function: w.function()}, "function.json")
	case w.service != nil:
		s.Service = known(w.runService(), "service.json")
	}
	if w.own != nil && w.gen1 {
		s.FunctionPolicy = known(w.own.proto(), "function-policy.json")
	} else if w.own != nil {
		s.Policy = known(w.own.proto(), "policy.json")
	}
	if !w.noAbove {
		// Read, so that a list that is not whole is known to be none.
		read(&s, "ancestor-policies.json", string(must(json.Marshal(w.ancestorDocument()))))
	}
	if !w.noDeny {
		s.DenyPolicies = known(w.denyList(), "deny-policies.json")
	}
	if len(w.roles) > 0 {
		s.Roles = known(w.roleList(), "roles.json")
	}
	if len(w.groups) > 0 {
		s.Groups = known(w.groups, "groups.json")
	}
	if w.tags != nil {
		s.Tags = known(w.tagList(), "tags.json")
	}
	if w.iap != nil {
		s.IAPPolicy = known(w.iap.proto(), "iap-policy.json")
	}
	if w.settings != nil {
		s.IAPSettings = known(w.settings.proto(), "iap-settings.json")
	}
	if w.number {
		s.Project = known(evidence.Project{ID: project, Number: number}, "project.json")
	}
	return s
}

func (w world) request() evidence.Request {
	r := evidence.Request{Method: w.method, Origin: evidence.Origin(w.source), Principal: w.who, Time: now}
	if w.who == "" {
		r.Headers = http.Header{}
	}
	if w.path != "" {
		r.URL, _ = url.Parse(w.url())
	}
	return r
}

func (w world) url() string {
	switch {
	case w.path == "":
		return ""
	case w.gen1:
		return gen1URL + w.path
	}
	return "https://" + hashHost + w.path
}

func (w world) runService() *runpb.Service {
	s := &runpb.Service{
		Name: serviceID, Uri: "https://" + hashHost, Urls: []string{"https://" + longHost, "https://" + hashHost},
		InvokerIamDisabled: w.service.off, IapEnabled: w.service.iap, DefaultUriDisabled: w.service.noURL,
		LatestReadyRevision: serviceID + "/revisions/orders-00001-abc",
		TerminalCondition:   &runpb.Condition{Type: "Ready", State: runpb.Condition_CONDITION_SUCCEEDED},
		Traffic: []*runpb.TrafficTarget{{
			Type: runpb.TrafficTargetAllocationType_TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST, Percent: 100,
		}},
		Ingress: map[string]runpb.IngressTraffic{
			"all": runpb.IngressTraffic_INGRESS_TRAFFIC_ALL, "internal": runpb.IngressTraffic_INGRESS_TRAFFIC_INTERNAL_ONLY,
			"balancer": runpb.IngressTraffic_INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER,
			"none":     runpb.IngressTraffic_INGRESS_TRAFFIC_NONE,
		}[w.service.ingress],
	}
	if w.service.deleted {
		s.DeleteTime = timestamppb.New(now.AddDate(0, 0, -1))
	}
	return s
}

func (w world) function() *functionspb.Function {
	return &functionspb.Function{
		Name: gen1ID, Environment: functionspb.Environment_GEN_1, State: functionspb.Function_ACTIVE, Url: gen1URL,
		ServiceConfig: &functionspb.ServiceConfig{
			SecurityLevel: functionspb.ServiceConfig_SECURE_ALWAYS,
			IngressSettings: map[string]functionspb.ServiceConfig_IngressSettings{
				"all": functionspb.ServiceConfig_ALLOW_ALL, "internal": functionspb.ServiceConfig_ALLOW_INTERNAL_ONLY,
				"balancer": functionspb.ServiceConfig_ALLOW_INTERNAL_AND_GCLB,
			}[w.service.ingress],
		},
	}
}

func (p *policy) proto() *iampb.Policy {
	out := &iampb.Policy{Version: 3}
	for _, b := range p.bindings {
		out.Bindings = append(out.Bindings,
			&iampb.Binding{Role: b.role, Members: slices.Clone(b.members), Condition: b.when.proto()})
	}
	return out
}

func (c *cond) proto() *expr.Expr {
	if c == nil {
		return nil
	}
	return &expr.Expr{Title: "c", Expression: c.String()}
}

func (w world) denyList() []*denypb.Policy {
	var out []*denypb.Policy
	for i, d := range w.deny {
		rule := &denypb.DenyRule{
			DeniedPrincipals: d.principals, ExceptionPrincipals: d.exceptions, DeniedPermissions: d.permissions,
			ExceptionPermissions: d.excepted, DenialCondition: d.when.proto(),
		}
		out = append(out, &denypb.Policy{
			Name: fmt.Sprintf("policies/cloudresourcemanager.googleapis.com%%2F%s/denypolicies/d%d",
				strings.ReplaceAll(d.on, "/", "%2F"), i),
			Kind:  "DenyPolicy",
			Rules: []*denypb.PolicyRule{{Kind: &denypb.PolicyRule_DenyRule{DenyRule: rule}}},
		})
	}
	return out
}

func (w world) roleList() []*adminpb.Role {
	var out []*adminpb.Role
	for _, k := range slices.Sorted(maps.Keys(w.roles)) {
		out = append(out, &adminpb.Role{Name: k, IncludedPermissions: w.roles[k], Deleted: w.roles[k] == nil})
	}
	return out
}

func (w world) tagList() []evidence.Tag {
	out := []evidence.Tag{}
	for k, v := range w.tags {
		out = append(out, evidence.Tag{
			NamespacedKey: k, NamespacedValue: k + "/" + v, Key: "tagKeys/1", Value: "tagValues/" + v,
		})
	}
	return out
}

func (s *settings) proto() *iappb.IapSettings {
	out := &iappb.IapSettings{
		Name:           "projects/" + number + "/iap_web/cloud_run-" + region + "/services/" + name,
		AccessSettings: &iappb.AccessSettings{},
	}
	if s.options {
		out.AccessSettings.CorsSettings = &iappb.CorsSettings{AllowHttpOptions: wrapperspb.Bool(true)}
	}
	if s.foreign {
		out.AccessSettings.GcipSettings = &iappb.GcipSettings{TenantIds: []string{"_" + number}}
	}
	return out
}

// estate is the world as one of an organization.
func (w world) estate() *estate.Estate {
	e := &estate.Estate{TargetsComplete: true, Roles: w.roleList(), Groups: w.groups}
	parent := ""
	for i := len(w.above) - 1; i >= 0; i-- {
		n := estate.Node{Name: w.above[i].kind + "s/" + w.above[i].id, Parent: parent}
		if n.Name == "projects/"+project {
			n.ID = project
			if w.number {
				n.Name = "projects/" + number
			}
		}
		parent = n.Name
		e.Nodes = append(e.Nodes, n)
		if p := w.above[i].policy; p != nil {
			e.Policies = append(e.Policies, p.estate(estate.NodeHost+w.above[i].kind+"s/"+w.above[i].id))
		}
	}
	for _, d := range w.denyList() {
		e.Deny = append(e.Deny, estate.Deny{Policy: d})
	}
	var target estate.Target
	if w.gen1 {
		target = estate.OfFunction(evidence.Function{Function: w.function()}, estate.Where{})
	} else {
		target = estate.OfService(w.runService(), estate.Where{})
	}
	e.Targets = []estate.Target{target}
	if w.own != nil {
		e.Policies = append(e.Policies, w.own.estate(target.Name))
	}
	whole := len(w.above) > 0 && w.above[len(w.above)-1].kind == "organization"
	unread := slices.ContainsFunc(w.above, func(n node) bool { return n.policy == nil })
	e.PoliciesComplete = w.own != nil && whole && !unread
	return e
}

func (p *policy) estate(resource string) estate.Policy {
	out := estate.Policy{Resource: resource}
	for _, b := range p.bindings {
		out.Bindings = append(out.Bindings, estate.Binding{Role: b.role, Members: b.members, Condition: b.when.proto()})
	}
	return out
}

// A verdict is the program's answer. Zero is undetermined.
type verdict struct {
	outcome  outcome
	proven   bool
	cause    string
	headline string
}

func (v verdict) String() string {
	text := map[outcome]string{unsettled: "undetermined", denied: "denied", allowed: "allowed"}[v.outcome]
	if v.outcome != unsettled {
		text += map[bool]string{true: " proven", false: " assumed"}[v.proven]
	}
	if v.cause != "" {
		text += " by " + v.cause
	}
	return text
}

// judge asks the program about one case.
func judge(s evidence.Snapshot, strict bool) verdict {
	v := checks.Judge(s, checks.Options{NoFixes: true, Strict: strict})
	out := verdict{proven: v.Basis == checks.Proven, headline: v.Headline()}
	switch v.Decision {
	case checks.Allowed:
		out.outcome = allowed
	case checks.Denied:
		out.outcome = denied
	}
	if c, ok := v.Cause(); ok {
		out.cause = c.Check
	}
	return out
}

// whoPublic asks whether the program lists the service as open to anyone.
func whoPublic(s evidence.Snapshot) bool { return checks.Who(s).Public != "" }

// A gateAnswer is what the rules say about one member of an estate.
type gateAnswer struct {
	outcome outcome
	clash   bool // that it may, and that it may not, both hold
	public  bool // the target is counted as public
}

// ofEstate asks the rules whether the member may invoke the target.
func ofEstate(e *estate.Estate, who string) gateAnswer {
	if who == "" {
		who = "allUsers"
	}
	var a gateAnswer
	holds := [2]bool{true, true}
	for i := range holds { // apart: findings alike are counted once
		stated := rules.Expectation{Principal: who, Target: name, Allowed: i == 1}
		r := rules.Judge(e, rules.Options{Now: now, Expectations: []rules.Expectation{stated}})
		a.public = r.Summary.Public > 0
		for _, f := range r.Findings {
			if f.Rule == "access-expectation" {
				holds[i] = false
			}
		}
	}
	a.clash = holds[0] && holds[1]
	switch {
	case holds[1]:
		a.outcome = allowed
	case holds[0]:
		a.outcome = denied
	}
	return a
}
