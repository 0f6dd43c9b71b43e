package rules

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"cloud.google.com/go/iam/apiv1/iampb"

	"diagnose/checks"
	"diagnose/internal/estate"
	"diagnose/internal/evidence"
	"diagnose/internal/gcp"
	"diagnose/internal/iam"
)

// Become lists who can become somebody who may invoke the target of a case.
func Become(s evidence.Snapshot) checks.Becomers {
	e := estateOf(s)
	x := newIndex(e, Options{Now: s.Now})
	b, t := x.becomings(), x.order[0]
	best := map[string]way{}
	var order []string
	b.every = b.ways(t)
	for _, w := range b.every {
		m := b.members[w.source.principal].String()
		old, ok := best[m]
		if !ok {
			order = append(order, m)
		}
		if !ok || shorter(b, w, old) {
			best[m] = w
		}
	}
	var out checks.Becomers
	for _, m := range order {
		w := best[m]
		out.List = append(out.List, checks.Becomer{Member: m, Unsure: w.unknown, Text: m + b.sentence(w), Path: b.steps(w)})
	}
	slices.SortStableFunc(out.List, func(p, q checks.Becomer) int {
		return cmp.Or(order01(p.Unsure, q.Unsure), cmp.Compare(len(p.Path), len(q.Path)), cmp.Compare(p.Member, q.Member))
	})
	out.Unread = b.unread(s, t)
	return out
}

func shorter(b *becoming, w, than way) bool {
	if w.unknown != than.unknown {
		return than.unknown
	}
	return len(b.steps(w)) < len(b.steps(than))
}

func order01(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// estateOf puts the documents of a case into an estate of one target.
func estateOf(s evidence.Snapshot) *estate.Estate {
	e := &estate.Estate{Roles: s.Roles.Or(nil), Groups: s.Groups.Or(nil)}
	t := targetOf(s)
	project := gcp.Part(t.Name, "projects")
	list := s.Ancestors.Or(nil)
	p := s.Project.Or(evidence.Project{})
	if project == "" || project == "-" {
		project = cmp.Or(p.ID, p.Number)
	}
	e.Nodes = append(e.Nodes, projectNode(project, p))
	e.PoliciesComplete = s.Ancestors.Known()
	at := 0
	for _, a := range list {
		if a.Missing {
			e.PoliciesComplete = false
			continue
		}
		name := a.Type + "s/" + a.ID
		if a.Type == "project" {
			name = e.Nodes[0].Name
		} else {
			e.Nodes[at].Parent = name
			e.Nodes, at = append(e.Nodes, estate.Node{Name: name}), len(e.Nodes)
		}
		e.PoliciesComplete = e.PoliciesComplete && a.Policy.Known()
		e.Policies = append(e.Policies, policyOf(estate.NodeHost+name, a.Policy.Or(nil))...)
	}
	own := s.Policy
	if t.Gen1 {
		own = s.FunctionPolicy
	}
	e.PoliciesComplete = e.PoliciesComplete && own.Known()
	e.Policies = append(e.Policies, policyOf(t.Name, own.Or(nil))...)
	if t.IAP == estate.Yes {
		e.Policies = append(e.Policies, policyOf(iapName(t.Name), s.IAPPolicy.Or(nil))...)
		e.PoliciesComplete = e.PoliciesComplete && s.IAPPolicy.Known()
	}
	for _, a := range s.Accounts.Or(nil) {
		name := gcp.ServiceAccountName(a.Email)
		e.Policies = append(e.Policies, policyOf(name.InProject(cmp.Or(gcp.AccountProject(a.Email), "-")).Full(), a.Policy)...)
	}
	for _, d := range s.DenyPolicies.Or(nil) {
		e.Deny = append(e.Deny, estate.Deny{Policy: d})
	}
	e.Targets = []estate.Target{t}
	return e
}

// targetOf is what a case is about, as far as it tells.
func targetOf(s evidence.Snapshot) estate.Target {
	fn, service := s.Function.Or(evidence.Function{}), s.Service.Or(nil)
	switch {
	case service != nil:
		return estate.OfService(service, estate.Where{})
	case fn.Function != nil:
		return estate.OfFunction(fn, estate.Where{})
	}
	project := cmp.Or(s.Project.Or(evidence.Project{}).ID, "-")
	for _, a := range s.Ancestors.Or(nil) {
		if a.Type == "project" && a.ID != "" && project == "-" {
			project = a.ID
		}
	}
	return estate.Target{Name: estate.RunHost + "projects/" + project + "/locations/-/services/-"}
}

func projectNode(project string, p evidence.Project) estate.Node {
	if p.Number != "" && (project == p.ID || project == p.Number) {
		return estate.Node{Name: "projects/" + p.Number, ID: p.ID}
	}
	return estate.Node{Name: "projects/" + cmp.Or(project, "-")}
}

// policyOf is a policy as an estate has it, nothing where it is nil.
func policyOf(resource string, p *iampb.Policy) []estate.Policy {
	if p == nil {
		return nil
	}
	out := estate.Policy{Resource: resource}
	for _, b := range p.GetBindings() {
		out.Bindings = append(out.Bindings, estate.Binding{Role: b.GetRole(), Members: b.GetMembers(), Condition: b.GetCondition()})
	}
	return []estate.Policy{out}
}

// unread lists what a case does not show of who can become an account that
// may invoke.
func (b *becoming) unread(s evidence.Snapshot, t *target) []checks.Assumption {
	var out []checks.Assumption
	add := func(document, text string, gather ...[]string) {
		a := checks.Assumption{Check: indirectID, Document: document, Text: text}
		for _, argv := range gather {
			a.Gather = append(a.Gather, checks.Command{Argv: argv})
		}
		out = append(out, a)
	}
	if !s.Ancestors.Known() || slices.ContainsFunc(s.Ancestors.Or(nil), func(a evidence.Ancestor) bool { return !a.Policy.Known() }) {
		add("ancestor-policies.json", "the policies above the service were not all read, and who can become an account there is not known")
	}
	own := s.Policy
	if t.Gen1 {
		own = s.FunctionPolicy
	}
	if !own.Known() {
		add("policy.json", "the policy of the service was not read, and which accounts may invoke is not known")
	}
	if !s.DenyPolicies.Known() {
		add("deny-policies.json", "deny policies were not read, and it is unknown who they deny")
	}
	read := map[string]bool{}
	for _, a := range s.Accounts.Or(nil) {
		read[strings.ToLower(a.Email)] = true
	}
	for _, email := range b.invokers() {
		name := gcp.ServiceAccountName(email)
		if !read[email] {
			add("service-account-policies.json", "the policy of "+email+" was not read, and who can become it is not known",
				[]string{"gcloud", "iam", "service-accounts", "get-iam-policy", email, "--format=json"})
		}
		if home := gcp.AccountProject(email); home != "" && b.x.homeOf(email) == nil {
			add("ancestor-policies.json", fmt.Sprintf("the policies of project %s of %s were not read, and who can become it there is not known", home, name.ID))
		}
	}
	return out
}

// invokers lists the accounts that may invoke, or can become one that does,
// Google's own left out.
func (b *becoming) invokers() []string {
	set := map[string]bool{}
	for _, m := range b.members {
		if m.Kind != iam.ServiceAccount || m.Deleted || gcp.IsServiceAgent(m.Value) || gcp.NamedAsAgent(m.Value) {
			continue
		}
		if b.ends.worth(m) {
			set[m.Value] = true
		}
	}
	for _, w := range b.every {
		if m := b.members[w.source.principal]; m.Kind == iam.ServiceAccount {
			set[m.Value] = true
		}
	}
	out := make([]string, 0, len(set))
	for email := range set {
		out = append(out, email)
	}
	slices.Sort(out)
	return out
}
