package rules

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"diagnose/checks"
	"diagnose/internal/estate"
	"diagnose/internal/iam"
)

// ineffectiveRules find bindings that look like a grant and are not.
var ineffectiveRules = []Rule{
	grantIneffectiveRole, grantIneffectiveMember, grantDeletedMember, grantIneffectiveCondition, grantExpiredCondition, grantRedundant,
}

// looksLikeInvoker reports whether somebody who binds a role means to let its
// member call.
func looksLikeInvoker(role string) bool {
	return slices.Contains(invokerRoles, role) || role == "roles/iap.httpsResourceAccessor" || strings.HasSuffix(strings.ToLower(role), "invoker")
}

// carries reports whether a grant's role carries a permission that counts
// where it is bound.
func (x *Index) carries(g *grant) iam.State {
	state := iam.NotGranted
	if g.kind == onIAP {
		state, _ = x.roles.Carries(g.role, iam.AccessViaIAP)
		return state
	}
	if g.kind != onEither && !(g.target != nil && g.target.Gen1) {
		s, _ := x.roles.Carries(g.role, iam.RunInvoke)
		state = s
	}
	if g.kind == onNode || g.kind == onEither || g.target != nil && g.target.Gen1 {
		s, _ := x.roles.Carries(g.role, iam.FunctionsInvoke)
		state = larger(state, s)
	}
	return state
}

var grantIneffectiveRole = Rule{
	ID: "grant-ineffective-role", Title: "a binding that looks like an invoker grant but is not",
	Severity: Medium, Confidence: checks.Source,
	Ref: accessPage,
	Doc: `roles/cloudfunctions.invoker does not include run.routes.invoke, so it does not let anyone call a v2 function
or a Cloud Run service. Google also ignores the policy of a v2 function: only the policy of its Cloud Run service
counts. Bind roles/run.servicesInvoker on the service.`,
	Run: func(x *Index) []Finding {
		var out []Finding
		for g := range x.eachGrant() {
			switch {
			case g.kind == onFunction && (looksLikeInvoker(g.role) || g.run.state != iam.NotGranted):
				f := x.about(g, "%s has %s on the function %s, but only the policy of its Cloud Run service counts", g.member, g.role, shortName(g.on))
				f.propose = func() []repair { return x.fixOn(g) }
				out = append(out, f)
			case g.kind == onTarget && looksLikeInvoker(g.role) && x.carries(g) == iam.NotGranted:
				f := x.about(g, "%s has %s on %s, but that role does not include %s", g.member, g.role, shortName(g.on), permissionOf(g))
				f.propose = func() []repair { return x.fixOn(g) }
				out = append(out, f)
			}
		}
		return out
	},
}

func permissionOf(g *grant) string {
	if g.target != nil {
		return g.target.permission()
	}
	return iam.RunInvoke
}

// fixOn grants what was meant, where it counts. What would open the service to
// everybody is not proposed.
func (x *Index) fixOn(g *grant) []repair {
	remove := x.removeBinding(g)
	if can, _ := g.member.CanPresentIDToken(); g.target == nil || can != iam.Granted || g.member.Broad() {
		return []repair{remove}
	}
	r := x.grantInvoker(g.target, g.member.String())
	r.Summary += ", and remove the binding that grants nothing"
	r.Commands = append(r.Commands, remove.Commands...)
	add := r.change
	r.change = func(e *estate.Estate) { add(e); remove.change(e) }
	return []repair{r, remove}
}

// mayGrant reports whether a binding would grant something, but for its member
// or condition.
func (x *Index) mayGrant(g *grant) bool {
	return g.kind != onFunction && x.carries(g) != iam.NotGranted
}

var grantIneffectiveMember = Rule{
	ID: "grant-ineffective-member", Title: "a member that cannot invoke",
	Severity: Low, Confidence: checks.Documented,
	Ref: "https://docs.cloud.google.com/iam/docs/federated-identity-supported-services",
	Doc: `A federated principal, a Kubernetes service account or a convenience value such as projectOwner: has no
Google ID token, so Cloud Run can never match it. Bind a service account that the caller impersonates.`,
	Run: ofGrants(func(x *Index, g *grant) (f Finding, bad bool) {
		can, why := g.member.CanPresentIDToken()
		if can != iam.NotGranted || g.member.Deleted || !x.mayGrant(g) || !looksLikeInvoker(g.role) {
			return f, false
		}
		f = x.about(g, "%s cannot invoke %s: %s", g.member, shortName(g.on), why)
		f.propose = func() []repair { return []repair{x.removeBinding(g)} }
		return f, true
	}),
}

var grantDeletedMember = Rule{
	ID: "grant-deleted-member", Title: "a member that was deleted",
	Severity: Low, Confidence: checks.Documented,
	Ref: "https://docs.cloud.google.com/iam/docs/principal-identifiers",
	Doc: `A deleted: member is an account that no longer exists. A new account with the same e-mail is a different one
and does not have the role. Remove the binding, and grant the role to the new account where there is one.`,
	Run: ofGrants(func(x *Index, g *grant) (f Finding, bad bool) {
		if !g.member.Deleted || !x.mayGrant(g) {
			return f, false
		}
		f = x.about(g, "%s was deleted, but still has %s on %s", g.member, g.role, shortName(g.on))
		f.propose = func() []repair { return []repair{x.removeBinding(g)} }
		return f, true
	}),
}

var grantIneffectiveCondition = Rule{
	ID: "grant-ineffective-condition", Title: "a condition that is never true on Cloud Run",
	Severity: Medium, Confidence: checks.Documented,
	Ref: "https://docs.cloud.google.com/iam/docs/conditions-attribute-reference",
	Doc: `Cloud Run does not give conditions every attribute: a condition on resource.name, resource.type or
resource.service is never true, nor is one that cannot be evaluated.`,
	Run: ofGrants(func(x *Index, g *grant) (f Finding, bad bool) {
		c := g.condition
		if g.binding.Condition == nil || c.State != iam.NotGranted || x.expired(c) || !x.mayGrant(g) || len(c.Unprovided) == 0 && !c.Failed {
			return f, false
		}
		f = x.about(g, "the condition on %s for %s is never true: %s", g.role, g.member, c.Reason)
		f.propose = func() []repair { return []repair{x.removeBinding(g)} }
		return f, true
	}),
}

var grantExpiredCondition = Rule{
	ID: "grant-expired-condition", Title: "a condition that has expired",
	Severity: Low, Confidence: checks.Documented,
	Ref: "https://docs.cloud.google.com/iam/docs/configuring-temporary-access",
	Doc: `The condition set an end that has passed, so the binding no longer grants anything. Remove it, or set a new end.`,
	Run: ofGrants(func(x *Index, g *grant) (f Finding, bad bool) {
		if g.binding.Condition == nil || !x.expired(g.condition) || !x.mayGrant(g) {
			return f, false
		}
		f = x.about(g, "%s on %s for %s expired on %s", g.role, shortName(g.on), g.member, g.condition.Expires.UTC().Format(time.DateOnly))
		f.propose = func() []repair { return []repair{x.removeBinding(g)} }
		return f, true
	}),
}

func (x *Index) expired(c iam.Condition) bool {
	return c.State == iam.NotGranted && !c.Expires.IsZero() && c.Expires.Before(x.Now)
}

var grantRedundant = Rule{
	ID: "grant-redundant", Title: "a grant that a broader one covers",
	Severity: Info, Confidence: checks.Inferred,
	Ref: accessPage,
	Doc: `The member may invoke already, through a binding above the service or because the service is public. Keep the
narrow binding, and remove the broad one first.`,
	Run: func(x *Index) []Finding {
		above := map[string][]*grant{} // by node and member
		for g := range x.eachGrant() {
			if g.kind == onNode && g.may == iam.Granted && g.binding.Condition == nil {
				key := g.node.name + " " + g.member.String()
				above[key] = append(above[key], g)
			}
		}
		var out []Finding
		for g := range x.eachGrant() {
			if g.kind != onTarget || g.may != iam.Granted || g.member.Kind == iam.AllUsers || g.binding.Condition != nil {
				continue
			}
			if by := x.coveredBy(g, above); by != "" {
				out = append(out, x.about(g, "%s may invoke %s already: %s", g.member, shortName(g.on), by))
			}
		}
		return out
	},
}

// coveredBy says through what else a grant's member may invoke its target, ""
// where through nothing.
func (x *Index) coveredBy(g *grant, above map[string][]*grant) string {
	if t := g.target; t != nil && t.free() {
		return "the service is public"
	}
	for _, n := range g.node.chain() {
		for _, m := range []string{g.member.String(), "allUsers", "allAuthenticatedUsers"} {
			for _, b := range above[n.name+" "+m] {
				if b.ofNode(g.target).may == iam.Granted {
					return fmt.Sprintf("%s has %s on %s", m, b.role, shortName(b.on))
				}
			}
		}
	}
	return ""
}
