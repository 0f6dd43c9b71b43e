package checks

import (
	"encoding/json"
	"fmt"
	"strings"

	"diagnose/internal/credential"
	"diagnose/internal/iam"
)

func gcloud(words ...string) Command { return Command{Argv: append([]string{"gcloud"}, words...)} }

// command is a command of gcloud: its words, one positional value and flags.
// A value that starts with a hyphen stands behind "--", so that it never
// becomes an option; flags are written --name=value.
func command(words, value string, flags ...string) Command {
	argv := strings.Fields(words)
	switch {
	case value == "":
		return gcloud(append(argv, flags...)...)
	case strings.HasPrefix(value, "-"):
		return gcloud(append(append(argv, flags...), "--", value)...)
	}
	return gcloud(append(append(argv, value), flags...)...)
}

// placed is a command about something in the service's region and project.
func (in *Invocation) placed(words, value string, flags ...string) Command {
	return command(words, value, append(flags, "--region="+in.regionWord(), "--project="+in.projectWord())...)
}

// project is a command about something in the service's project.
func (in *Invocation) project(words, value string, flags ...string) Command {
	return command(words, value, append(flags, "--project="+in.projectWord())...)
}

// The words of a command for names that are not known are in capitals, as in
// Google's own documentation.

func (in *Invocation) serviceWord() string {
	return or(dashless(in.name.ID), in.labelled("service_name", "configuration_name"), "SERVICE")
}

// projectWord prefers an ID over a number: both are the project.
func (in *Invocation) projectWord() string {
	name, logged := dashless(in.name.Project), in.loggedProject()
	if isNumber(name) && logged != "" && !isNumber(logged) {
		return logged
	}
	return or(name, logged, "PROJECT_ID")
}

func (in *Invocation) regionWord() string {
	return or(dashless(in.name.Location), in.labelled("location", "region"), "REGION")
}

func (in *Invocation) functionWord() string {
	return or(dashless(parseName(in.fn().GetName()).ID), in.functionOfURL(), in.labelled("function_name"), "FUNCTION")
}

// dashless is a part of a name, "" for the wildcard of a list.
func dashless(part string) string {
	if part == "-" {
		return ""
	}
	return part
}

// labelled is a label of the resource that the log entries are of, "" where
// none has it. Commands may name it; a verdict does not rest on it.
func (in *Invocation) labelled(names ...string) string {
	for _, e := range in.Logs.Or(nil) {
		if e.ResourceType != "cloud_run_revision" && e.ResourceType != "cloud_function" {
			continue
		}
		for _, n := range names {
			if v := e.Labels[n]; v != "" {
				return v
			}
		}
	}
	return ""
}

// loggedProject is the project of the log entries.
func (in *Invocation) loggedProject() string {
	if p := in.labelled("project_id"); p != "" {
		return p
	}
	for _, e := range in.Logs.Or(nil) {
		rest, ok := strings.CutPrefix(e.LogName, "projects/")
		if p, _, _ := strings.Cut(rest, "/"); ok && p != "" {
			return p
		}
	}
	return ""
}

func (in *Invocation) functionOfURL() string {
	if in.url != nil && in.host.Kind == functionHost {
		return functionPath(in.url)
	}
	return ""
}

func (in *Invocation) describeService() []Command {
	return []Command{in.placed("run services describe", in.serviceWord(), "--format=json")}
}

func (in *Invocation) describeFunction() []Command {
	return []Command{in.placed("functions describe", in.functionWord(), "--format=json")}
}

// describe reads the document that says most about the target.
func (in *Invocation) describe() []Command {
	if in.gen1 || (in.function && !in.Function.Known()) {
		return in.describeFunction()
	}
	return in.describeService()
}

// ownPolicyName names the target's own policy as a member of a case.
func (in *Invocation) ownPolicyName() string {
	if in.gen1 {
		return "function-policy.json"
	}
	return "policy.json"
}

// readPolicy is the command that prints the policy of a layer.
func (in *Invocation) readPolicy(l layer) []Command {
	switch l.Level {
	case iam.Service:
		return []Command{in.placed("run services get-iam-policy", in.serviceWord(), "--format=json")}
	case iam.Function:
		return []Command{in.placed("functions get-iam-policy", in.functionWord(), "--format=json")}
	}
	return []Command{command("projects get-ancestors-iam-policy", in.projectWord(), "--format=json")}
}

// listMembers reads who is in a group. What gcloud prints does not name the
// group, so that it goes through jq. Nothing lists the accounts of a domain.
// https://docs.cloud.google.com/sdk/gcloud/reference/identity/groups/memberships/list
func listMembers(member string) []Command {
	m := iam.ParseMember(member)
	if m.Kind != iam.Group {
		return nil
	}
	c := gcloud("identity", "groups", "memberships", "list", "--group-email="+m.Value, "--format=json")
	name, _ := json.Marshal(member)
	c.Pipe = []string{"jq", "{" + string(name) + ": .}"}
	return []Command{c}
}

// gatherOpen lists the commands that settle what is open of a decision.
func (in *Invocation) gatherOpen(d iam.Decision) []Command {
	var out []Command
	for _, o := range d.Open {
		switch o.Document {
		case iam.RoleDefinitions:
			out = append(out, describeRole(o.Resource))
		case iam.TagBindings:
			out = append(out, gcloud("resource-manager", "tags", "bindings", "list", "--effective", "--location="+in.regionWord(),
				"--parent="+in.fullName(), "--format=json"))
		case iam.GroupMembers:
			out = append(out, listMembers(o.Resource)...)
		case iam.TargetPolicy:
			out = append(out, in.readPolicy(in.layers[0])...)
		case iam.AbovePolicies:
			out = append(out, in.ancestorsCommand())
		case iam.DenyDocuments:
			out = append(out, in.denyCommand())
		case iam.CallerAccount, iam.RequestDetails:
			out = append(out, in.gatherCaller()...)
		}
	}
	return out
}

func (in *Invocation) ancestorsCommand() Command {
	return command("projects get-ancestors-iam-policy", in.projectWord(), "--format=json")
}

func (in *Invocation) projectCommand() Command {
	return command("projects describe", in.projectWord(), "--format=json")
}

// denyCommand lists the deny policies of the project; each is then read with
// get.
func (in *Invocation) denyCommand() Command {
	return gcloud("iam", "policies", "list", "--attachment-point=cloudresourcemanager.googleapis.com/projects/"+in.projectWord(), "--kind=denypolicies", "--format=json")
}

// getDenyPolicy reads one deny policy with its rules.
func getDenyPolicy(name string) Command {
	return command("iam policies get", name[strings.LastIndexByte(name, '/')+1:], "--kind=denypolicies",
		"--attachment-point="+iam.AttachmentPoint(name), "--format=json")
}

func (in *Invocation) iapPolicyCommand() Command {
	return in.placed("iap web get-iam-policy", "", "--resource-type=cloud-run", "--service="+in.serviceWord(), "--format=json")
}

func (in *Invocation) iapSettingsCommand() Command {
	return in.placed("iap settings get", "", "--resource-type=cloud-run", "--service="+in.serviceWord(), "--format=json")
}

func describeRole(role string) Command {
	parts := strings.Split(role, "/")
	if len(parts) == 4 && (parts[0] == "projects" || parts[0] == "organizations") {
		return command("iam roles describe", parts[3], "--"+strings.TrimSuffix(parts[0], "s")+"="+parts[1], "--format=json")
	}
	return command("iam roles describe", role, "--format=json")
}

// fullName is the full resource name by
// https://docs.cloud.google.com/iam/docs/full-resource-names.
func (in *Invocation) fullName() string {
	return fmt.Sprintf("//run.googleapis.com/projects/%s/locations/%s/services/%s", in.projectWord(), in.regionWord(), in.serviceWord())
}

// resource names the target in a sentence.
func (in *Invocation) resource() string {
	if in.gen1 {
		return "functions/" + in.functionWord()
	}
	return "services/" + in.serviceWord()
}

// gatherCaller tells how to learn who calls.
func (in *Invocation) gatherCaller() []Command {
	if in.sent.known && !in.sent.supposed && in.sent.credential.Kind == credential.IDToken {
		member := or(in.ownMember(), "serviceAccount:SERVICE_ACCOUNT")
		return in.call(member, in.audiences.Preferred()).Commands
	}
	return []Command{{Argv: []string{"diagnose", "invoke", "--token-file", "TOKEN_FILE"}, Note: "the credential as it was sent, or --principal for a supposed caller"}}
}
