package gcp

import (
	"slices"
	"strings"
)

// The functions of this file build gcloud's commands, word by word and
// unquoted, as https://docs.cloud.google.com/sdk/gcloud/reference has them.
// What is not known stands in them as a word in capitals. A value never
// becomes an option: flags are written --flag=value, and a positional value
// that starts with a hyphen stands behind "--".

const jsonFormat = "--format=json"

// gcloud puts a command together; words are fixed, value is positional and
// left out where it is "".
func gcloud(words, value string, flags ...string) []string {
	out := append([]string{"gcloud"}, strings.Fields(words)...)
	flags = slices.DeleteFunc(flags, func(s string) bool { return s == "" })
	switch {
	case value == "":
		return append(out, flags...)
	case strings.HasPrefix(value, "-"):
		return append(append(out, flags...), "--", value)
	}
	return append(append(out, value), flags...)
}

// flag is "--name=value", "" where the value is.
func flag(name, value string) string {
	if value == "" {
		return ""
	}
	return "--" + name + "=" + value
}

// listFlag is a flag whose value is a list of one element, which may have a
// comma: https://docs.cloud.google.com/sdk/gcloud/reference/topic/escaping.
func listFlag(name, element string) string {
	if !strings.Contains(element, ",") {
		return "--" + name + "=" + element
	}
	for _, d := range []string{":", "|", "~", "@@", "%%%"} {
		if !strings.Contains(element, d) {
			return "--" + name + "=^" + d + "^" + element
		}
	}
	return "--" + name + "=" + element
}

// A command group is where gcloud keeps the commands of a collection.
type group struct{ words, place string }

func (n Name) group() (group, bool) {
	switch n.Collection {
	case "services":
		return group{"run services", "region"}, n.Host != IAPAPI
	case "functions":
		return group{"functions", "region"}, true
	case "projects", "organizations":
		return group{n.Collection, ""}, true
	case "folders":
		return group{"resource-manager folders", ""}, true
	case "triggers":
		return group{"eventarc triggers", "location"}, true
	case "workflows":
		return group{"workflows", "location"}, true
	case "queues":
		return group{"tasks queues", "location"}, true
	case "subscriptions":
		return group{"pubsub subscriptions", ""}, true
	case "topics":
		return group{"pubsub topics", ""}, true
	case "serviceAccounts":
		return group{"iam service-accounts", ""}, true
	case "jobs":
		if n.Host == RunAPI {
			return group{"run jobs", "region"}, true
		}
		return group{"scheduler jobs", "location"}, true
	}
	return group{}, false
}

// run is a command about the resource. It is nil where gcloud has no commands
// for its collection.
func (n Name) run(verb string, flags ...string) []string {
	g, ok := n.group()
	if !ok {
		return nil
	}
	if g.place != "" {
		flags = append(flags, flag(g.place, n.Words().Location))
	}
	if !n.Node() {
		flags = append(flags, flag("project", n.Project))
	}
	return gcloud(g.words+" "+verb, n.Words().ID, flags...)
}

// iap is a command about the resource at IAP.
func (n Name) iap(words string, flags ...string) []string {
	w := n.Words()
	return gcloud("iap "+words, "", append([]string{"--resource-type=cloud-run", flag("service", w.ID)},
		append(flags, flag("region", w.Location), flag("project", n.Project))...)...)
}

// Describe prints the resource.
func (n Name) Describe() []string { return n.run("describe", jsonFormat) }

// GetPolicy prints the allow policy of the resource, or of IAP for it.
func (n Name) GetPolicy() []string {
	if n.Host == IAPAPI {
		return n.iap("web get-iam-policy", jsonFormat)
	}
	return n.run("get-iam-policy", jsonFormat)
}

// GetIAPPolicies prints the policy of IAP for all of a project.
func GetIAPPolicies(project string) []string {
	return gcloud("iap web get-iam-policy", "", flag("project", or(project, ProjectWord)), jsonFormat)
}

// GetIAPSettings prints the settings of IAP for a Cloud Run service.
func (n Name) GetIAPSettings() []string { return n.iap("settings get", jsonFormat) }

// SetIAPSettings replaces the settings of IAP for a Cloud Run service by a file.
func (n Name) SetIAPSettings() []string { return n.iap("settings set SETTINGS_FILE") }

// AddBinding grants a role to a member on the resource, or at IAP for it. On a
// node it is a binding without condition.
func (n Name) AddBinding(member, role string) []string {
	var none string
	if n.Node() {
		none = "--condition=None" // gcloud asks, where another binding has one
	}
	return n.binding("add", member, role, none)
}

// RemoveBinding takes a role from a member on the resource, or at IAP for it;
// under every condition where anyCondition is set, else from the binding
// without one.
func (n Name) RemoveBinding(member, role string, anyCondition bool) []string {
	all := ""
	if anyCondition {
		all = "--all"
	}
	return n.binding("remove", member, role, all)
}

func (n Name) binding(verb, member, role, more string) []string {
	flags := []string{flag("member", or(member, "MEMBER")), flag("role", or(role, "ROLE")), more}
	if n.Host == IAPAPI {
		return n.iap("web "+verb+"-iam-policy-binding", flags...)
	}
	return n.run(verb+"-iam-policy-binding", flags...)
}

// Update changes settings by flags of gcloud's command "update", or "deploy"
// for a function and a workflow.
func (n Name) Update(flags ...string) []string {
	if n.Collection == "functions" || n.Collection == "workflows" {
		return n.run("deploy", flags...)
	}
	return n.run("update", flags...)
}

// SendEvent calls a function by the API that is for trying, with one event.
func (n Name) SendEvent() []string { return n.run("call", "--data=EVENT_JSON") }

// SetIngress changes which traffic a service or function admits. It is nil
// where there is no such setting.
func (n Name) SetIngress(to Ingress) []string {
	name, word := "ingress", to.Annotation()
	if n.Collection == "functions" {
		name, word = "ingress-settings", to.FunctionsFlag()
	}
	if word == "" {
		return nil
	}
	return n.Update(flag(name, word))
}

// AddCustomAudience lets a service accept an audience.
func (n Name) AddCustomAudience(audience string) []string {
	return n.Update(listFlag("add-custom-audiences", or(audience, "AUDIENCE")))
}

// AncestorPolicies prints the allow policies of a project and of what is above
// it.
func AncestorPolicies(project string) []string {
	return gcloud("projects get-ancestors-iam-policy", or(project, ProjectWord), jsonFormat)
}

// ListDenyPolicies prints the deny policies of a node, without their rules.
func (n Name) ListDenyPolicies() []string {
	return gcloud("iam policies list", "", n.attached(), denyKind, jsonFormat)
}

// GetDenyPolicy prints one deny policy of a node, with its rules.
func (n Name) GetDenyPolicy(id string) []string { return n.denyPolicy("get", id, jsonFormat) }

// UpdateDenyPolicy replaces one deny policy of a node by a file.
func (n Name) UpdateDenyPolicy(id string) []string {
	return n.denyPolicy("update", id, "--policy-file=POLICY_FILE")
}

func (n Name) denyPolicy(verb, id, last string) []string {
	return gcloud("iam policies "+verb, or(id, "POLICY"), n.attached(), denyKind, last)
}

const denyKind = "--kind=denypolicies"

func (n Name) attached() string {
	return flag("attachment-point", or(n.Words().AttachmentPoint(), "POINT"))
}

// DescribeRole prints a role: predefined, of a project, or of an organization.
func DescribeRole(role string) []string {
	parts := strings.Split(role, "/")
	if len(parts) == 4 && parts[2] == "roles" && (parts[0] == "projects" || parts[0] == "organizations") {
		return gcloud("iam roles describe", parts[3], flag(strings.TrimSuffix(parts[0], "s"), parts[1]), jsonFormat)
	}
	return gcloud("iam roles describe", or(role, "ROLE"), jsonFormat)
}

// ListMembers prints the members of a group.
func ListMembers(group string) []string {
	return gcloud("identity groups memberships list", "", flag("group-email", or(group, "GROUP")), jsonFormat)
}

// ListTags prints the tags that count for a resource, inherited ones too.
func (n Name) ListTags() []string {
	w := n.Words()
	return gcloud("resource-manager tags bindings list", "", "--effective",
		flag("location", w.Location), flag("parent", or(w.Full(), "FULL_NAME")), jsonFormat)
}

// ListAccessBoundaries prints the principal access boundary policies of an
// organization.
func ListAccessBoundaries(organization string) []string {
	return gcloud("iam principal-access-boundary-policies list", "",
		flag("organization", or(organization, "ORGANIZATION_ID")), "--location=global", jsonFormat)
}

// UpdatePerimeter replaces the ingress policies of a VPC-SC perimeter.
func UpdatePerimeter(perimeter string) []string {
	return gcloud("access-context-manager perimeters update", or(perimeter, "PERIMETER"),
		"--set-ingress-policies=POLICY_FILE")
}

// ReadLogs prints the newest log entries that match a filter. An unknown
// project leaves the choice to gcloud.
func ReadLogs(project, filter string) []string {
	return gcloud("logging read", or(filter, "FILTER"), "--limit=5", jsonFormat, flag("project", project))
}

// SendIDToken lets a configured caller send an ID token: a job of Cloud
// Scheduler, a queue of Cloud Tasks, or a push subscription, whose endpoint
// the command states again. It is nil for other callers.
func (n Name) SendIDToken(account, audience, endpoint string) []string {
	account, audience = or(account, AccountWord), or(audience, ServiceURLWord)
	switch n.Collection {
	case "jobs":
		return n.run("update http", flag("oidc-service-account-email", account), flag("oidc-token-audience", audience))
	case "queues":
		return n.run("update", flag("http-oidc-service-account-email-override", account),
			flag("http-oidc-token-audience-override", audience))
	case "subscriptions":
		return n.run("modify-push-config", flag("push-endpoint", or(statable(endpoint), "PUSH_ENDPOINT")),
			flag("push-auth-service-account", account), flag("push-auth-token-audience", audience))
	}
	return nil
}

// statable is a URL that a command may state, "" for one with what may be a
// secret.
func statable(url string) string {
	if ShownURL(url) != url {
		return ""
	}
	return url
}

// ListProjects prints the projects that one may see.
func ListProjects() []string { return gcloud("projects list", "") }

// ListRegions prints the regions of Cloud Run.
func ListRegions() []string { return gcloud("run regions list", "") }

// LinkBilling gives a project a billing account.
func LinkBilling(project string) []string {
	return gcloud("billing projects link", or(project, ProjectWord), "--billing-account=BILLING_ACCOUNT")
}

// EnableAPI turns an API on. An unknown project leaves the choice to gcloud.
func EnableAPI(api, project string) []string {
	return gcloud("services enable", api, flag("project", project))
}
