package rules

import (
	"fmt"
	"slices"
	"strings"

	"diagnose/checks"
	"diagnose/internal/estate"
	"diagnose/internal/gcp"
	"diagnose/internal/iam"
)

// broadRules find grants that let in more than one named account, or more than
// one service.
var broadRules = []Rule{
	grantAllUsers, grantAllAuthenticated, grantInherited, grantDomain, grantAllServiceAccounts, grantExternal, grantExcessiveRole,
}

const accessPage = "https://docs.cloud.google.com/run/docs/securing/managing-access"

// byKind makes the rule of one kind of member, at any level.
func byKind(kinds []iam.Kind, who string) func(*Index) []Finding {
	return func(x *Index) []Finding {
		var out []Finding
		for g := range x.eachGrant() {
			if g.state != iam.NotGranted && g.kind != onFunction && slices.Contains(kinds, g.member.Kind) {
				out = append(out, x.broad(g, who))
			}
		}
		return out
	}
}

// broad says what a grant to many opens, and what still stands in the way.
func (x *Index) broad(g *grant, who string) Finding {
	f := x.about(g, "%s may invoke %s through %s", who, x.opened(g), g.role)
	f.Reach = x.reach(g)
	f.propose = func() []repair { return []repair{x.removeBinding(g)} }
	switch {
	case g.state == iam.Unknown:
		f.Unknown = true
		f.Message = fmt.Sprintf("%s may be able to invoke %s through %s: %s", who, x.opened(g), g.role, g.reason)
	case g.kind == onEither:
		f.Unknown = true
		f.Message += ", if that is a gen1 function; on a v2 function the binding has no effect"
	case g.kind == onTarget && g.target != nil && g.target.behind():
		x.behindIAP(&f, g, who)
	case g.target != nil && g.target.shielded():
		f.Severity = Medium
		f.Message += "; ingress keeps the internet out, so only requests from inside arrive"
	case g.kind == onNode && f.Reach.Known && f.Reach.Services == 0 && g.node.all > 0:
		f.Severity = Medium
		f.Message += "; ingress, IAP or a deny policy protects everything there now, but not what is added later"
	case g.may == iam.NotGranted:
		f.Severity = Low
		f.Message += "; it is " + g.denial
	case g.denial != "":
		f.Severity = Medium
		f.Message += ", unless a deny policy blocks it: " + g.denial
	case g.target != nil && g.member.Kind == iam.AllUsers:
		x.limited(&f, g.target)
	}
	if c := g.binding.Condition; c != nil && g.state == iam.Granted {
		f.Message += ", only while its condition holds"
	}
	return f
}

// behindIAP says of a grant on a service with IAP that IAP decides who gets
// through, and repairs it without shutting IAP's service agent out.
func (x *Index) behindIAP(f *Finding, g *grant, who string) {
	t := g.target
	if g.member.Kind == iam.AllUsers && t.open() {
		f.Message += "; IAP is in front but lets everyone through"
		return
	}
	f.Severity = Low
	f.Message = fmt.Sprintf("%s has %s on %s, but IAP is in front and decides who gets through", who, g.role, shortName(g.on))
	if x.needsGrant(g) {
		f.Message += ". IAP's service agent can invoke it through this grant alone"
		f.propose = func() []repair { return []repair{x.agentInstead(g)} }
	}
}

// limited says what ingress makes of a public service.
func (x *Index) limited(f *Finding, t *target) {
	switch {
	case t.Ingress == estate.IngressInternalAndLoadBalancer:
		f.Severity = High
		f.Message += ", only through a load balancer"
	case t.Bare:
		f.Message += "; it is unknown whether ingress or IAP blocks the internet"
	case t.Ingress == estate.UnknownIngress:
		f.Message += "; its ingress setting is unknown"
	}
}

// opened names what a grant opens.
func (x *Index) opened(g *grant) string {
	if g.kind == onIAP && g.target != nil {
		return shortName(g.target.name) + " behind IAP"
	}
	if g.kind == onIAP {
		return shortName(g.on) + " behind IAP"
	}
	if g.kind != onNode {
		return x.subject(g.policy)
	}
	switch r := x.reach(g); {
	case !r.Known:
		return "everything in " + shortName(g.on)
	case r.Services == 1:
		return "1 service in " + shortName(g.on)
	default:
		return fmt.Sprintf("%d services in %s", r.Services, shortName(g.on))
	}
}

// subject names what a policy is of, for a sentence.
func (x *Index) subject(p *estate.Policy) string {
	key := strings.TrimPrefix(x.key(p), v2Mark)
	if key == p.Where.Address && key != "" {
		return "what " + key + " names"
	}
	return shortName(key)
}

var grantAllUsers = Rule{
	ID: "grant-all-users", Title: "a grant to everyone on the internet",
	Severity: Critical, Confidence: checks.Documented,
	Ref: "https://docs.cloud.google.com/run/docs/authenticating/public",
	Doc: `allUsers has an invoke permission through any role that includes it, on the service or above it, so anyone on
the internet may invoke without a credential. A role that does not include the permission, such as roles/viewer, opens
nothing, so it is not reported. Behind IAP, which asks everybody to sign in, allUsers on the service opens it to
nobody. IAP's service agent may depend on that grant: give it its own before you remove this one.`,
	Run: byKind([]iam.Kind{iam.AllUsers}, "anyone"),
}

var grantAllAuthenticated = Rule{
	ID: "grant-all-authenticated", Title: "a grant to everyone with a Google account",
	Severity: Critical, Confidence: checks.Documented,
	Ref: "https://docs.cloud.google.com/iam/docs/principal-identifiers",
	Doc: `allAuthenticatedUsers means every Google account and service account in the world, not for those of an organization.`,
	Run: byKind([]iam.Kind{iam.AllAuthenticatedUsers}, "anyone with a Google account"),
}

var grantInherited = Rule{
	ID: "grant-inherited", Title: "a grant on a project, folder or organization",
	Severity: Medium, Confidence: checks.Documented,
	Ref: accessPage,
	Doc: `A role that is bound on a project, folder or organization lets its members invoke every service below, also
later ones. Bind the invoker role on each service that the caller needs instead. Owners, editors and administrators
have the permission as part of a larger role; that is listed as low.`,
	Run: func(x *Index) []Finding {
		var out []Finding
		for g := range x.eachGrant() {
			if g.kind != onNode || g.state == iam.NotGranted || hasOwnRule(g.member.Kind) || x.googles(g) {
				continue
			}
			f := x.broad(g, g.member.String())
			switch {
			case f.Unknown:
			case administrative(g.role):
				f.Severity = Low
			case !strings.HasPrefix(g.node.name, "projects/"):
				f.Severity = High
			}
			f.propose = func() []repair { return []repair{x.bindBelow(g), x.removeBinding(g)} }
			out = append(out, f)
		}
		return out
	},
}

// googles reports whether a grant is one that Google makes for itself: a role
// made for service agents, or roles/editor for the agent of Google's APIs, to
// an agent of the same project.
// https://docs.cloud.google.com/iam/docs/service-agents
func (x *Index) googles(g *grant) bool {
	a := gcp.ParseAccount(g.member.Value)
	if g.member.Kind != iam.ServiceAccount || a.Kind != gcp.ServiceAgent || a.Project == "" {
		return false
	}
	own := x.canonical("projects/"+a.Project) == g.node.name
	made := strings.HasPrefix(g.role, "roles/") && strings.HasSuffix(g.role, ".serviceAgent")
	return own && (made || g.role == "roles/editor" && strings.HasSuffix(a.Email, "@cloudservices.gserviceaccount.com"))
}

// hasOwnRule lists the kinds of member with a rule at every level.
func hasOwnRule(k iam.Kind) bool {
	return slices.Contains([]iam.Kind{iam.AllUsers, iam.AllAuthenticatedUsers, iam.Domain, iam.Customer, iam.ServiceAccountSet}, k)
}

// invokerRoles are made for callers; every other role that includes the
// permission does more.
var invokerRoles = []string{"roles/run.invoker", "roles/run.servicesInvoker", "roles/cloudfunctions.invoker"}

// administrative reports whether a predefined role is one of those that carry
// the permission among many others.
func administrative(role string) bool {
	return strings.HasPrefix(role, "roles/") && !slices.Contains(invokerRoles, role)
}

var grantDomain = Rule{
	ID: "grant-domain", Title: "a grant to a whole domain",
	Severity: High, Confidence: checks.Documented,
	Ref: "https://docs.cloud.google.com/iam/docs/principal-identifiers",
	Doc: `domain: and the principal sets of a Workspace or Cloud Identity customer mean everyone there, also those who
join later. Bind a group with the people who need the service.`,
	Run: func(x *Index) []Finding {
		return byKind([]iam.Kind{iam.Domain, iam.Customer}, "everyone of a domain")(x)
	},
}

var grantAllServiceAccounts = Rule{
	ID: "grant-all-service-accounts", Title: "a grant to every service account of a project, folder or organization",
	Severity: High, Confidence: checks.Documented,
	Ref: "https://docs.cloud.google.com/iam/docs/principal-identifiers",
	Doc: `A principal set of type ServiceAccount means every service account of a project, folder or organization, also
the default ones that any workload there runs as. Bind the one service account that calls.`,
	Run: func(x *Index) []Finding {
		return byKind([]iam.Kind{iam.ServiceAccountSet}, "every service account of a project, folder or organization")(x)
	},
}

var grantExternal = Rule{
	ID: "grant-external", Title: "a grant to a member from outside",
	Severity: High, Confidence: checks.Documented,
	Ref: "https://docs.cloud.google.com/resource-manager/docs/organization-policy/restricting-domains",
	Doc: `The configuration lists the domains and projects whose members may be granted access, or an organization policy lists the
customers. A member of a different one may invoke. Google's own service agents are not counted.`,
	Run: func(x *Index) []Finding {
		var out []Finding
		for g := range x.eachGrant() {
			if g.state == iam.NotGranted || g.kind == onFunction {
				continue
			}
			if why := x.external(g); why != "" {
				f := x.broad(g, g.member.String())
				f.Message += "; " + why
				out = append(out, f)
			}
		}
		return out
	},
}

// external says why a member is one from outside, "" where it is not known to
// be.
func (x *Index) external(g *grant) string {
	m := g.member
	if matchesAny(x.AllowedPrincipals, m.String()) {
		return ""
	}
	_, host, _ := strings.Cut(m.Value, "@")
	switch m.Kind {
	case iam.User, iam.Group, iam.Domain:
		if m.Kind == iam.Domain {
			host = m.Value
		}
		if len(x.AllowedDomains) > 0 && !matchesAny(x.AllowedDomains, host) {
			return host + " is not one of the allowed domains"
		}
	case iam.ServiceAccount:
		project := gcp.AccountProject(m.Value)
		if len(x.AllowedProjects) > 0 && project != "" && !matchesAny(x.AllowedProjects, project) && !matchesAny(x.AllowedProjects, x.numbers[project]) {
			return "its project " + project + " is not one of the allowed projects"
		}
	case iam.Customer:
		for _, d := range x.Domains {
			if g.node != nil && slices.ContainsFunc(g.node.chain(), func(n *node) bool { return n.name == x.canonical(d.Resource) }) && len(d.Customers) > 0 &&
				!slices.ContainsFunc(d.Customers, func(c string) bool { return strings.Contains(c, m.Value) }) {
				return "the organization policy of " + d.Resource + " does not admit that customer"
			}
		}
	}
	return ""
}

func matchesAny(patterns []string, s string) bool {
	return s != "" && slices.ContainsFunc(patterns, func(p string) bool { return matches(p, s) })
}

var grantExcessiveRole = Rule{
	ID: "grant-excessive-role", Title: "a caller with a larger role than it needs",
	Severity: Medium, Confidence: checks.Source,
	Ref: accessPage,
	Doc: `On a service, a role such as roles/run.admin, roles/run.developer or roles/editor lets its members invoke and change the
service as well. Who only calls needs roles/run.servicesInvoker.`,
	Run: func(x *Index) []Finding {
		var out []Finding
		for g := range x.eachGrant() {
			if g.kind != onTarget || g.state != iam.Granted || !administrative(g.role) || hasOwnRule(g.member.Kind) {
				continue
			}
			f := x.about(g, "%s has %s on %s, and %s is enough to invoke", g.member, g.role, shortName(g.on), invokerRole(g.target))
			f.Reach = x.reach(g)
			f.propose = func() []repair { return []repair{x.replaceRole(g)} }
			out = append(out, f)
		}
		return out
	},
}
