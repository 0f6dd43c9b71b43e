package rules

import (
	"fmt"
	"strings"

	"diagnose/checks"
	"diagnose/internal/estate"
	"diagnose/internal/gcp"
	"diagnose/internal/iam"
)

// agent is the member of IAP's service agent in a target's project, "" where
// the project's number is not known:
// https://docs.cloud.google.com/run/docs/securing/identity-aware-proxy-cloud-run.
func (x *Index) agent(t *target) string {
	if t.node == nil {
		return ""
	}
	project := strings.TrimPrefix(t.node.name, "projects/")
	for number, id := range x.numbers {
		if id == project && gcp.IsNumber(number) {
			return "serviceAccount:" + gcp.IAPAgent(number)
		}
	}
	if gcp.IsNumber(project) {
		return "serviceAccount:" + gcp.IAPAgent(project)
	}
	return ""
}

// agentInstead grants IAP's service agent what it has through a grant to
// everyone, and then takes that grant away.
func (x *Index) agentInstead(g *grant) repair {
	r, add := x.removeBinding(g), x.grantAgent(g.target)
	r.ID = "grant-iap-agent"
	r.Summary = add.Summary + ", then remove " + g.member.String()
	r.Commands = append(add.Commands, r.Commands...)
	r.Terraform = add.Terraform + r.Terraform
	remove := r.change
	r.change = func(e *estate.Estate) { add.change(e); remove(e) }
	return r
}

// grantAgent lets IAP's service agent invoke a service.
func (x *Index) grantAgent(t *target) repair {
	agent := x.agent(t)
	if agent == "" {
		agent = "serviceAccount:" + gcp.IAPAgent("PROJECT_NUMBER")
	}
	role := "roles/run.invoker"
	return repair{
		Fix: checks.Fix{
			Summary:   fmt.Sprintf("Grant %s on %s to IAP's service agent", role, shortName(t.name)),
			Commands:  []checks.Command{addBinding(t.full, agent, role)},
			Terraform: memberResource(t, agent, role),
		},
		change: func(e *estate.Estate) { bind(e, t, t.Target.Name, agent, role) },
	}
}

// needsGrant reports whether IAP's service agent can invoke through a grant
// alone.
func (x *Index) needsGrant(g *grant) bool {
	e := x.scope(&Finding{target: g.target, key: g.target.name})
	admitted := func() bool {
		part := x.derive(e)
		t := part.targets[g.target.name]
		return t != nil && part.agentAdmitted(t, iam.Unknown)
	}
	had := admitted()
	without(e, g)
	return had && !admitted()
}

// agentAdmitted reports whether IAP's service agent can invoke a service;
// check is the state of a switched off check to suppose, Unknown as it is.
func (x *Index) agentAdmitted(t *target, check iam.State) bool {
	d := x.door(t)
	q := d.Invoke
	q.Identity = d.Agent
	if check != iam.Unknown {
		q.CheckOff = check
	}
	return q.Decide().State == iam.Granted
}

// checkOn turns the invoker IAM check of a service on, after IAP's service
// agent has what it then needs.
func (x *Index) checkOn(t *target) repair {
	r := repair{Fix: checks.Fix{
		ID: "enable-invoker-check", Summary: "Turn the invoker IAM check of " + shortName(t.name) + " on",
		Commands:  []checks.Command{{Argv: parse(t.full).Update("--invoker-iam-check")}},
		Terraform: gcp.Attribute("invoker_iam_disabled", false) + "\n",
	}}
	on := func(e *estate.Estate) { onTargets(e, t, func(o *estate.Target) { o.Check = estate.Yes }) }
	r.change = on
	if t.behind() && !x.agentAdmitted(t, iam.NotGranted) {
		add := x.grantAgent(t)
		r.Summary = add.Summary + ", then turn the invoker IAM check on"
		r.Commands, r.Terraform = append(add.Commands, r.Commands...), add.Terraform+r.Terraform
		r.change = func(e *estate.Estate) { add.change(e); on(e) }
	}
	return r
}
