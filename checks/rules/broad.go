package rules

import (
	"fmt"
	"slices"
	"strings"

	"diagnose/checks"
	"diagnose/internal/estate"
	"diagnose/internal/iam"
)

// broadRules find grants that let in more than one named account, or more than
// one service.
var broadRules = []Rule{
	grantAllUsers, grantAllAuthenticated, grantInherited, grantDomain, grantAllServiceAccounts, grantExternal, grantExcessiveRole,
}

const accessPage = "https://docs.cloud.google.com/run/docs/securing/managing-access"

// byKind makes the rule of one kind of member, at any level.
func byKind(kinds []iam.Kind, who string) func(*Judgement) []Finding {
	return func(j *Judgement) []Finding {
		var out []Finding
		for i := range j.grants {
			if g := &j.grants[i]; g.state != iam.NotGranted && g.place != onFunction && slices.Contains(kinds, g.member.Kind) {
				out = append(out, j.broad(g, who))
			}
		}
		return out
	}
}

// broad says what a grant to many opens.
func (j *Judgement) broad(g *grant, who string) Finding {
	f := j.about(g, "%s may invoke %s through %s", who, j.opened(g), g.role)
	f.Reach = j.reach(g)
	f.Fixes = []checks.Fix{removeBinding(g)}
	switch t := g.target; {
	case g.state == iam.Unknown:
		f.Unknown = true
		f.Message = fmt.Sprintf("%s may be able to invoke %s through %s: %s", who, j.opened(g), g.role, g.reason)
	case g.place == onEither:
		f.Unknown = true
		f.Message += ", if that is a gen1 function; on a v2 function the binding counts for nothing"
	case t != nil && t.shielded():
		f.Severity = Medium
		f.Message += "; ingress keeps the internet out, so that only requests from inside arrive"
	case g.place == onNode && f.Reach.Known && f.Reach.Services == 0 && g.node.all > 0:
		f.Severity = Medium
		f.Message += "; ingress or a deny policy shields all that is there now, and not what will be"
	case g.place != onNode && f.Reach.Services == 0:
		f.Severity = Low
		f.Message += "; a deny policy takes it away again"
	}
	if c := g.binding.Condition; c != nil && g.state == iam.Granted {
		f.Message += ", as long as its condition holds"
	}
	return f
}

// opened names what a grant opens.
func (j *Judgement) opened(g *grant) string {
	if g.place == onIAP {
		return shortName(g.on) + " behind IAP"
	}
	if g.place != onNode {
		return shortName(g.on)
	}
	switch r := j.reach(g); {
	case !r.Known:
		return "everything in " + shortName(g.on)
	case r.Services == 1:
		return "1 service in " + shortName(g.on)
	default:
		return fmt.Sprintf("%d services in %s", r.Services, shortName(g.on))
	}
}

var grantAllUsers = Rule{
	ID: "grant-all-users", Title: "anyone may invoke", Severity: Critical, Confidence: checks.Documented, Ref: "https://docs.cloud.google.com/run/docs/authenticating/public",
	Doc: `allUsers holds an invoke permission through any role that carries it, on the service or above it, so that anyone on the
internet may invoke without a credential. A role that does not carry the permission, such as roles/viewer, opens nothing
and is not reported.`,
	Run: byKind([]iam.Kind{iam.AllUsers}, "anyone"),
}

var grantAllAuthenticated = Rule{
	ID: "grant-all-authenticated", Title: "anyone with a Google account may invoke", Severity: Critical, Confidence: checks.Documented, Ref: "https://docs.cloud.google.com/iam/docs/principal-identifiers",
	Doc: `allAuthenticatedUsers stands for every Google account and service account in the world, not for those of an organization.`,
	Run: byKind([]iam.Kind{iam.AllAuthenticatedUsers}, "anyone with a Google account"),
}

var grantInherited = Rule{
	ID: "grant-inherited", Title: "an invoke permission is bound above the service", Severity: Medium, Confidence: checks.Documented, Ref: accessPage,
	Doc: `A role that is bound on a project, folder or organization lets its members invoke every service below, those made later
too. Bind the invoker role on each service that the caller needs instead. Owners, editors and administrators hold the
permission as part of a larger role; that is listed as low.`,
	Run: func(j *Judgement) []Finding {
		var out []Finding
		for i := range j.grants {
			g := &j.grants[i]
			if g.place != onNode || g.state == iam.NotGranted || hasOwnRule(g.member.Kind) {
				continue
			}
			f := j.broad(g, g.member.String())
			switch {
			case f.Unknown:
			case administrative(g.role):
				f.Severity = Low
			case !strings.HasPrefix(g.node.name, "projects/"):
				f.Severity = High
			}
			f.Fixes = append([]checks.Fix{bindBelow(g)}, f.Fixes...)
			out = append(out, f)
		}
		return out
	},
}

// hasOwnRule lists the kinds of member with a rule at every level.
func hasOwnRule(k iam.Kind) bool {
	return slices.Contains([]iam.Kind{iam.AllUsers, iam.AllAuthenticatedUsers, iam.Domain, iam.Customer, iam.ServiceAccountSet}, k)
}

// invokerRoles are made for callers; every other role that carries the
// permission does more.
var invokerRoles = []string{"roles/run.invoker", "roles/run.servicesInvoker", "roles/cloudfunctions.invoker"}

// administrative reports whether a predefined role is one of those that carry
// the permission among many others.
func administrative(role string) bool {
	return strings.HasPrefix(role, "roles/") && !slices.Contains(invokerRoles, role)
}

var grantDomain = Rule{
	ID: "grant-domain", Title: "a whole domain may invoke", Severity: High, Confidence: checks.Documented, Ref: "https://docs.cloud.google.com/iam/docs/principal-identifiers",
	Doc: `domain: and the principal sets of a Workspace or Cloud Identity customer stand for everyone there, those who join later
too. Bind a group with the people who need the service.`,
	Run: func(j *Judgement) []Finding {
		return byKind([]iam.Kind{iam.Domain, iam.Customer}, "everyone of a domain")(j)
	},
}

var grantAllServiceAccounts = Rule{
	ID: "grant-all-service-accounts", Title: "every service account of a project, folder or organization may invoke", Severity: High, Confidence: checks.Documented,
	Ref: "https://docs.cloud.google.com/iam/docs/principal-identifiers",
	Doc: `A principal set of type ServiceAccount stands for every service account of a project, folder or organization, also for the
default ones that any workload there runs as. Bind the one service account that calls.`,
	Run: func(j *Judgement) []Finding {
		return byKind([]iam.Kind{iam.ServiceAccountSet}, "every service account of a resource")(j)
	},
}

var grantExternal = Rule{
	ID: "grant-external", Title: "a member from outside may invoke", Severity: High, Confidence: checks.Documented, Ref: "https://docs.cloud.google.com/resource-manager/docs/organization-policy/restricting-domains",
	Doc: `The configuration lists the domains and projects whose members may be granted access, or an organization policy lists the
customers. A member of another one may invoke. Google's own service agents are not counted.`,
	Run: func(j *Judgement) []Finding {
		var out []Finding
		for i := range j.grants {
			g := &j.grants[i]
			if g.state == iam.NotGranted || g.place == onFunction {
				continue
			}
			if why := j.external(g); why != "" {
				f := j.broad(g, g.member.String())
				f.Message += "; " + why
				out = append(out, f)
			}
		}
		return out
	},
}

// external says why a member is one from outside, "" where it is not known to
// be.
func (j *Judgement) external(g *grant) string {
	m := g.member
	if matchesAny(j.AllowedPrincipals, m.String()) {
		return ""
	}
	_, host, _ := strings.Cut(m.Value, "@")
	switch m.Kind {
	case iam.User, iam.Group, iam.Domain:
		if m.Kind == iam.Domain {
			host = m.Value
		}
		if len(j.AllowedDomains) > 0 && !matchesAny(j.AllowedDomains, host) {
			return host + " is none of the allowed domains"
		}
	case iam.ServiceAccount:
		project := accountProject(m.Value)
		if len(j.AllowedProjects) > 0 && project != "" && !matchesAny(j.AllowedProjects, project) && !matchesAny(j.AllowedProjects, j.numbers[project]) {
			return "its project " + project + " is none of the allowed projects"
		}
	case iam.Customer:
		for _, d := range j.Domains {
			if g.node != nil && slices.ContainsFunc(g.node.chain(), func(n *node) bool { return n.name == j.canonical(d.Resource) }) && len(d.Customers) > 0 &&
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

// accountProject is the project of a service account that a user made, "" for
// Google's own.
func accountProject(email string) string {
	name, host, _ := strings.Cut(email, "@")
	if p, ok := strings.CutSuffix(host, ".iam.gserviceaccount.com"); ok && !strings.HasPrefix(p, "gcp-sa-") && !slices.Contains([]string{"serverless-robot-prod", "gcf-admin-robot", "cloudbuild"}, p) {
		return p
	}
	switch {
	case host == "appspot.gserviceaccount.com":
		return name
	case host == "developer.gserviceaccount.com":
		return strings.TrimSuffix(name, "-compute")
	}
	return ""
}

var grantExcessiveRole = Rule{
	ID: "grant-excessive-role", Title: "a caller holds more than it needs", Severity: Medium, Confidence: checks.Source, Ref: accessPage,
	Doc: `On a service, a role such as roles/run.admin, roles/run.developer or roles/editor lets its members invoke and change the
service as well. Who only calls needs roles/run.servicesInvoker.`,
	Run: func(j *Judgement) []Finding {
		var out []Finding
		for i := range j.grants {
			g := &j.grants[i]
			if g.place != onTarget || g.state != iam.Granted || !administrative(g.role) || hasOwnRule(g.member.Kind) {
				continue
			}
			f := j.about(g, "%s holds %s on %s, and %s is enough to invoke", g.member, g.role, shortName(g.on), minimal(g))
			f.Reach = j.reach(g)
			f.Fixes = []checks.Fix{replaceRole(g)}
			out = append(out, f)
		}
		return out
	},
}

func minimal(g *grant) string {
	if g.target != nil && g.target.Gen1 {
		return "roles/cloudfunctions.invoker"
	}
	return iam.MinimalInvoker
}

var exposureRules = []Rule{invokerCheckDisabled, ingressAllPublic, eventFunctionPublic, iapBypass}

var invokerCheckDisabled = Rule{
	ID: "invoker-check-disabled", Title: "the invoker IAM check is off", Severity: Critical, Confidence: checks.Documented, Ref: "https://docs.cloud.google.com/run/docs/authenticating/public",
	Doc: `With the invoker IAM check off, anyone may invoke the service whatever its policy says; an empty policy then reads like a
private service. Where the service is not meant to be public, turn the check on again.`,
	Run: func(j *Judgement) []Finding {
		var out []Finding
		for _, t := range j.order {
			if t.Gen1 || t.Check != estate.No {
				continue
			}
			f := aboutTarget(t, "anyone may invoke %s: its invoker IAM check is off", shortName(t.name))
			f.Reach = Reach{Services: 1, Known: true}
			if t.shielded() {
				f.Severity, f.Reach.Services = Medium, 0
				f.Message += "; ingress keeps the internet out, so that only requests from inside arrive"
			}
			f.Fixes = []checks.Fix{update(t, "enable-invoker-check", "Turn the invoker IAM check of "+shortName(t.name)+" on", "--invoker-iam-check", "invoker_iam_disabled = false")}
			out = append(out, f)
		}
		return out
	},
}

var ingressAllPublic = Rule{
	ID: "ingress-all-public", Title: "a public service with nothing in front", Severity: Medium, Confidence: checks.Documented, Ref: "https://docs.cloud.google.com/run/docs/securing/ingress",
	Doc: `The service is public and admits requests from the internet on its own URL, so that neither a load balancer with Cloud
Armor nor IAP stands before it. Where it is meant to be public behind a load balancer, restrict its ingress to that.`,
	Run: func(j *Judgement) []Finding {
		var out []Finding
		for _, t := range j.order {
			if t.public.state != iam.Granted || t.Ingress != estate.IngressAll || t.IAP == estate.Yes || t.front || t.DefaultURL == estate.No {
				continue
			}
			f := aboutTarget(t, "%s is public and reachable from the internet, with nothing in front", shortName(t.name))
			f.Reach = Reach{Services: 1, Known: true}
			f.Fixes = []checks.Fix{restrictIngress(t)}
			out = append(out, f)
		}
		return out
	},
}

var eventFunctionPublic = Rule{
	ID: "event-function-public", Title: "anyone can call an event-driven function", Severity: High, Confidence: checks.Documented, Ref: "https://docs.cloud.google.com/functions/docs/calling",
	Doc: `An event-driven function is called by its trigger's service account alone. Where it is public, anyone can send it forged
events. Remove the grant, or turn the invoker IAM check on.`,
	Run: func(j *Judgement) []Finding {
		var out []Finding
		for _, t := range j.order {
			if t.Event != estate.Yes || t.public.state != iam.Granted {
				continue
			}
			f := aboutTarget(t, "%s is event-driven, and anyone may call it", shortName(t.name))
			f.Reach = Reach{Services: 1, Known: true}
			if t.shielded() {
				f.Severity, f.Reach.Services = Medium, 0
			}
			if g := t.public.by; g != nil {
				f.GrantedOn, f.Role, f.Member, f.Where = g.on, g.role, g.member.String(), g.binding.Where
				f.Fixes = []checks.Fix{removeBinding(g)}
			}
			out = append(out, f)
		}
		return out
	},
}

var iapBypass = Rule{
	ID: "iap-bypass", Title: "IAP on the load balancer only", Severity: High, Confidence: checks.Documented, Ref: "https://docs.cloud.google.com/iap/docs/enabling-cloud-run",
	Doc: `IAP on a load balancer checks only what comes through it. The service still answers on its run.app URL: where it is public
and admits all traffic, IAP can be passed by. Restrict ingress, turn the default URL off, or turn IAP on for the service.`,
	Run: func(j *Judgement) []Finding {
		var out []Finding
		for _, t := range j.order {
			if !t.front || t.IAP == estate.Yes || t.Ingress != estate.IngressAll || t.DefaultURL == estate.No || t.public.state != iam.Granted {
				continue
			}
			f := aboutTarget(t, "IAP stands before %s on a load balancer, and its run.app URL is open to anyone", shortName(t.name))
			f.Reach = Reach{Services: 1, Known: true}
			f.Fixes = []checks.Fix{restrictIngress(t)}
			out = append(out, f)
		}
		return out
	},
}
