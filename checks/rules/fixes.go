package rules

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"diagnose/checks"
	"diagnose/internal/caller"
	"diagnose/internal/estate"
	"diagnose/internal/gcp"
	"diagnose/internal/iam"
)

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
	conditional := g.binding.Condition != nil
	c := checks.Command{Argv: parse(x.resourceOf(g)).RemoveBinding(g.member.String(), g.role, conditional)}
	if conditional {
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
			r.Commands = append(r.Commands, addBinding(t.full, g.member.String(), invokerRole(t)))
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
	r.Commands = append([]checks.Command{addBinding(resource, g.member.String(), role)}, r.Commands...)
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
				Commands: []checks.Command{addBinding(iapName(t.full), member, role)},
			},
			change: func(e *estate.Estate) { bind(e, t, iapName(t.Target.Name), member, role) },
		}
	}
	role := invokerRole(t)
	return repair{
		Fix: checks.Fix{
			ID: "grant-invoker", Summary: fmt.Sprintf("Grant %s on %s to %s", role, shortName(t.name), member),
			Commands:  []checks.Command{addBinding(t.full, member, role)},
			Terraform: memberResource(t, member, role),
		},
		change: func(e *estate.Estate) { bind(e, t, t.Target.Name, member, role) },
	}
}

// addBinding is the command that grants a role on a resource.
func addBinding(on, member, role string) checks.Command {
	return checks.Command{Argv: parse(on).AddBinding(member, role)}
}

const balanced = estate.IngressInternalAndLoadBalancer

var (
	runIngress      = sync.OnceValue(func() string { return gcp.Attribute("ingress", balanced.Run()) })
	functionIngress = sync.OnceValue(func() string { return gcp.Attribute("ingress_settings", balanced.Functions()) })
)

// restrictIngress lets only a load balancer and the inside through.
func (x *Index) restrictIngress(t *target) repair {
	terraform := runIngress()
	if t.Gen1 || t.Function != "" {
		terraform = functionIngress()
	}
	return repair{
		Fix: checks.Fix{
			ID: "restrict-ingress", Summary: "Let only internal traffic and load balancers reach " + shortName(t.name), Terraform: terraform + "\n",
			Commands: []checks.Command{{Argv: parse(t.full).SetIngress(balanced)}},
		},
		change: func(e *estate.Estate) { onTargets(e, t, func(o *estate.Target) { o.Ingress = balanced }) },
	}
}

// configure proposes the token that a caller should send.
func (x *Index) configure(c *estate.Caller, t *target) repair {
	real := func(u string) bool { return u != "" && !strings.HasSuffix(gcp.ParseAddress(u).Host, ".invalid") }
	given := ""
	if i := slices.IndexFunc(t.URLs, real); i >= 0 {
		given = t.URLs[i]
	}
	r := repair{Fix: checks.Fix{
		ID: "send-id-token", Summary: "Let " + describe(c) + " send an ID token for " + orWord(given, "the URL of "+shortName(t.name)),
	}}
	if c.ServiceAccount == "" {
		r.Caution = "not checked: choose the account that it calls as"
	} else {
		r.change = func(e *estate.Estate) { sends(e, c, t) }
	}
	n := parse(c.Name)
	if n.Project == "" {
		n = n.InProject(c.Project)
	}
	if argv := n.SendIDToken(c.ServiceAccount, given, c.URL); argv != nil {
		r.Commands = []checks.Command{{Argv: argv}}
	}
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
