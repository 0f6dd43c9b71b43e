package rules

import (
	"fmt"
	"slices"
	"strings"

	"diagnose/checks"
	"diagnose/internal/caller"
	"diagnose/internal/estate"
	"diagnose/internal/iam"
)

// A resource is a full resource name taken apart for a command.
type resource struct{ kind, id, project, location string }

// words stand for names that are not known.
var words = map[string]string{
	"projects": "PROJECT_ID", "locations": "REGION", "services": "SERVICE", "functions": "FUNCTION",
	"folders": "FOLDER_ID", "organizations": "ORGANIZATION_ID",
}

func parse(name string) resource {
	var r resource
	parts := strings.Split(strings.TrimPrefix(name, "//"), "/")
	for i, p := range parts {
		if i > 1 && strings.HasPrefix(p, "-") {
			parts[i] = words[parts[i-1]] // not known: a word to replace, as in Google's documentation
		}
	}
	for i := 1; i+1 < len(parts); i += 2 {
		switch r.kind, r.id = parts[i], parts[i+1]; r.kind {
		case "projects":
			r.project = r.id
		case "locations":
			r.location = r.id
		}
	}
	return r
}

// policyCommand is the command that changes one binding of a resource.
func policyCommand(on, verb, member, role string) checks.Command {
	r := parse(on)
	words := []string{"gcloud"}
	if service := behindIAP(on); service != "" {
		r = parse(service)
		words = append(words, "iap", "web", verb+"-iam-policy-binding", "--resource-type=cloud-run", "--service="+r.id,
			"--region="+r.location, "--project="+r.project)
		return checks.Command{Argv: append(words, "--member="+member, "--role="+role)}
	}
	switch r.kind {
	case "services":
		words = append(words, "run", "services", verb+"-iam-policy-binding", r.id, "--region="+r.location, "--project="+r.project)
	case "functions":
		words = append(words, "functions", verb+"-iam-policy-binding", r.id, "--region="+r.location, "--project="+r.project)
	case "folders":
		words = append(words, "resource-manager", "folders", verb+"-iam-policy-binding", r.id)
	default:
		words = append(words, r.kind, verb+"-iam-policy-binding", r.id)
	}
	return checks.Command{Argv: append(words, "--member="+member, "--role="+role)}
}

// resourceOf is the full resource name of what a grant is bound on, as the
// documents spell it.
func (x *Index) resourceOf(g *grant) string {
	switch {
	case g.target != nil && g.kind == onTarget:
		return g.target.full
	case g.target != nil && g.kind == onIAP:
		return iapName(g.target.full)
	}
	return x.canonical(g.policy.Resource)
}

// removeBinding takes one member out of one binding.
func (x *Index) removeBinding(g *grant) repair {
	c := policyCommand(x.resourceOf(g), "remove", g.member.String(), g.role)
	if g.binding.Condition != nil {
		c.Argv = append(c.Argv, "--all")
		c.Note = "with every condition; give --condition instead to remove one"
	}
	r := repair{change: func(e *estate.Estate) { without(e, g) }}
	r.Fix = checks.Fix{
		ID: "remove-binding", Summary: fmt.Sprintf("Remove %s from %s on %s", g.member, g.role, shortName(g.on)),
		Commands: []checks.Command{c},
	}
	if a := g.binding.Where.Address; a != "" {
		x.inTerraform(&r, g)
	}
	return r
}

// inTerraform makes the change where Terraform manages the grant: a command
// alone would drift.
func (x *Index) inTerraform(r *repair, g *grant) {
	b := g.binding
	left := slices.DeleteFunc(slices.Clone(b.Members), func(m string) bool { return m == g.member.String() })
	at := b.Where.Address
	for i := range r.Commands {
		c := &r.Commands[i]
		c.Note = joined(c.Note, "drifts: Terraform puts it back until "+at+" is changed")
	}
	switch {
	case b.Authority == estate.PolicyAuthority:
		r.Summary += ", in the policy_data of " + at
		r.Terraform = bindingBlock("binding {", b.Role, left)
	case b.Authority == estate.RoleAuthority && len(left) > 0:
		r.Summary += ", in " + at
		r.Terraform = bindingBlock(header(at), "", left)
	default:
		r.Summary = fmt.Sprintf("Delete %s, which grants %s to %s", at, g.role, g.member)
		if !strings.Contains(at, "[") {
			r.Terraform = "removed {\n  from = " + at + "\n\n  lifecycle {\n    destroy = true\n  }\n}\n"
		}
	}
}

// header opens the block of a resource.
func header(address string) string {
	parts := strings.Split(address, ".")
	name, _, _ := strings.Cut(parts[len(parts)-1], "[")
	if len(parts) < 2 {
		return "resource {"
	}
	return fmt.Sprintf("resource %s %s {", quoted(parts[len(parts)-2]), quoted(name))
}

// bindingBlock writes the members of a role, one a line.
func bindingBlock(open, role string, members []string) string {
	var b strings.Builder
	b.WriteString(open + "\n")
	if role != "" {
		b.WriteString("  role = " + quoted(role) + "\n")
	}
	b.WriteString("  members = [\n")
	for _, m := range members {
		b.WriteString("    " + quoted(m) + ",\n")
	}
	b.WriteString("  ]\n}\n")
	return b.String()
}

// quoted writes a text of Terraform's language, in which ${ and %{ begin a
// template: https://developer.hashicorp.com/terraform/language/expressions/strings.
func quoted(s string) string {
	return strings.NewReplacer("${", "$${", "%{", "%%{").Replace(fmt.Sprintf("%q", s))
}

// bindBelow moves a grant from a project, folder or organization to the
// services that its member is known to call.
func (x *Index) bindBelow(g *grant) repair {
	r := repair{Fix: checks.Fix{
		ID:      "bind-below",
		Summary: fmt.Sprintf("Grant %s to %s on the services that it calls, then remove the binding above", iam.MinimalInvoker, g.member),
	}}
	var below []*target
	for _, t := range x.called() {
		if t.node.under(g.node) && slices.Contains(x.callersOf(t), g.member.String()) {
			below = append(below, t)
			r.Commands = append(r.Commands, policyCommand(t.full, "add", g.member.String(), invokerRole(t)))
		}
	}
	if len(below) == 0 {
		r.Commands = []checks.Command{{
			Argv: []string{"gcloud", "run", "services", "add-iam-policy-binding", "SERVICE", "--region=REGION",
				"--member=" + g.member.String(), "--role=" + iam.MinimalInvoker},
			Note: "for each service that it calls, before the other binding goes",
		}}
		r.Caution = "not checked: no document says which services it calls"
		return r
	}
	r.Commands = append(r.Commands, x.removeBinding(g).Commands...)
	r.change = func(e *estate.Estate) {
		for _, t := range below {
			bind(e, t, t.Target.Name, g.member.String(), invokerRole(t))
		}
		without(e, g)
	}
	return r
}

// invokerRole is the smallest predefined role that invokes a target.
func invokerRole(t *target) string {
	if t != nil && t.Gen1 {
		return "roles/cloudfunctions.invoker"
	}
	return iam.MinimalInvoker
}

// replaceRole grants the smallest role in place of a larger one.
func (x *Index) replaceRole(g *grant) repair {
	role, resource := invokerRole(g.target), x.resourceOf(g)
	r := x.removeBinding(g)
	r.ID, r.Summary = "replace-role", fmt.Sprintf("Grant %s to %s on %s in place of %s", role, g.member, shortName(g.on), g.role)
	r.Caution = "only where it calls the service and does not manage it"
	r.Commands = append([]checks.Command{policyCommand(resource, "add", g.member.String(), role)}, r.Commands...)
	if g.binding.Where.Address != "" && g.binding.Authority == estate.MemberAuthority {
		r.Terraform = header(g.binding.Where.Address) + "\n  role = " + quoted(role) + "\n}\n"
	}
	r.change = func(e *estate.Estate) {
		without(e, g)
		edit(e, g.policy, func(b *estate.Binding) {
			if b.Role == g.role && b.Where == g.binding.Where && len(b.Members) == 0 {
				b.Role, b.Members = role, []string{g.member.String()}
			}
		})
		if g.target != nil && len(g.binding.Members) > 1 {
			bind(e, g.target, g.target.Target.Name, g.member.String(), role)
		}
	}
	return r
}

// grantInvoker grants the smallest role with which a member gets to a target:
// IAP's where that stands in front.
func (x *Index) grantInvoker(t *target, member string) repair {
	if t.behind() {
		role := "roles/iap.httpsResourceAccessor"
		return repair{
			Fix: checks.Fix{
				ID: "grant-iap-accessor", Summary: fmt.Sprintf("Grant %s on %s, which is behind IAP, to %s", role, shortName(t.name), member),
				Commands: []checks.Command{policyCommand(iapName(t.full), "add", member, role)},
			},
			change: func(e *estate.Estate) { bind(e, t, iapName(t.Target.Name), member, role) },
		}
	}
	role := invokerRole(t)
	return repair{
		Fix: checks.Fix{
			ID: "grant-invoker", Summary: fmt.Sprintf("Grant %s on %s to %s", role, shortName(t.name), member),
			Commands:  []checks.Command{policyCommand(t.full, "add", member, role)},
			Terraform: memberResource(t, member, role),
		},
		change: func(e *estate.Estate) { bind(e, t, t.Target.Name, member, role) },
	}
}

// memberResource is the resource that grants a role on a target. It refers to
// a target of the same configuration.
func memberResource(t *target, member, role string) string {
	r := parse(t.full)
	kind, location, key := "google_cloud_run_v2_service_iam_member", "location", "name"
	if t.Gen1 {
		kind, location, key = "google_cloudfunctions_function_iam_member", "region", "cloud_function"
	}
	project, place, id := quoted(r.project), quoted(r.location), quoted(r.id)
	if a := t.Where.Address; a != "" && !strings.HasPrefix(a, "module.") && t.Function == "" {
		project, place, id = a+".project", a+"."+location, a+".name"
	}
	return fmt.Sprintf("resource %q \"invoker\" {\n  project = %s\n  %s = %s\n  %s = %s\n  role = %s\n  member = %s\n}\n",
		kind, project, location, place, key, id, quoted(role), quoted(member))
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
		agent = agentOf("PROJECT_NUMBER")
	}
	role := "roles/run.invoker"
	return repair{
		Fix: checks.Fix{
			Summary:   fmt.Sprintf("Grant %s on %s to IAP's service agent", role, shortName(t.name)),
			Commands:  []checks.Command{policyCommand(t.full, "add", agent, role)},
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
	r := x.update(t, "enable-invoker-check", "Turn the invoker IAM check of "+shortName(t.name)+" on",
		"--invoker-iam-check", "invoker_iam_disabled = false")
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

// update changes one setting of a service.
func (x *Index) update(t *target, id, summary, flag, terraform string) repair {
	r := parse(t.full)
	return repair{Fix: checks.Fix{
		ID: id, Summary: summary, Terraform: terraform + "\n",
		Commands: []checks.Command{{Argv: []string{"gcloud", "run", "services", "update", r.id, flag, "--region=" + r.location, "--project=" + r.project}}},
	}}
}

// restrictIngress lets only a load balancer and the inside through.
func (x *Index) restrictIngress(t *target) repair {
	p := parse(t.full)
	r := x.update(t, "restrict-ingress", "Let only internal traffic and load balancers reach "+shortName(t.name),
		"--ingress=internal-and-cloud-load-balancing", `ingress = "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER"`)
	if t.Gen1 {
		r.Terraform = "ingress_settings = \"ALLOW_INTERNAL_AND_GCLB\"\n"
		r.Commands = []checks.Command{{Argv: []string{"gcloud", "functions", "deploy", p.id, "--ingress-settings=internal-and-gclb",
			"--region=" + p.location, "--project=" + p.project}}}
	}
	r.change = func(e *estate.Estate) {
		onTargets(e, t, func(o *estate.Target) { o.Ingress = estate.IngressInternalAndLoadBalancer })
	}
	return r
}

// configure proposes the token that a caller should send.
func (x *Index) configure(c *estate.Caller, t *target) repair {
	audience, account := "SERVICE_URL", c.ServiceAccount
	real := func(u string) bool { return u != "" && !strings.HasSuffix(addressOf(u).Host, ".invalid") }
	if i := slices.IndexFunc(t.URLs, real); i >= 0 {
		audience = t.URLs[i]
	}
	r := repair{Fix: checks.Fix{ID: "send-id-token", Summary: "Let " + describe(c) + " send an ID token for " + audience}}
	if account == "" {
		account = "SERVICE_ACCOUNT"
		r.Caution = "not checked: which account it will call as is for you to choose"
	} else {
		r.change = func(e *estate.Estate) { sends(e, c, t) }
	}
	_, id, _ := strings.Cut(shortName(c.Name), "/")
	if id == "" {
		id = "NAME"
	}
	var words []string
	switch c.Kind {
	case "cloud-scheduler":
		words = []string{"gcloud", "scheduler", "jobs", "update", "http", id, "--oidc-service-account-email=" + account, "--oidc-token-audience=" + audience}
	case "cloud-tasks":
		words = []string{"gcloud", "tasks", "queues", "update", id, "--http-oidc-service-account-email-override=" + account,
			"--http-oidc-token-audience-override=" + audience}
	case "pubsub-push":
		words = []string{"gcloud", "pubsub", "subscriptions", "modify-push-config", id, "--push-endpoint=" + c.URL,
			"--push-auth-service-account=" + account, "--push-auth-token-audience=" + audience}
	default:
		return r
	}
	if p := parse("//x/" + c.Name); p.location != "" {
		words = append(words, "--location="+p.location)
	}
	if c.Project != "" {
		words = append(words, "--project="+c.Project)
	}
	r.Commands = []checks.Command{{Argv: words}}
	return r
}

// sends lets a caller send an ID token for its target.
func sends(e *estate.Estate, c *estate.Caller, t *target) {
	e.Callers = slices.Clone(e.Callers)
	for i := range e.Callers {
		o := &e.Callers[i]
		if o.Name == c.Name && o.Kind == c.Kind && o.Where == c.Where {
			o.Token, o.Audience = caller.IDToken, ""
			if len(t.URLs) > 0 {
				o.Audience = t.URLs[0]
			}
		}
	}
}
