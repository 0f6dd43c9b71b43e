package checks

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"

	"diagnose/internal/credential"
	"diagnose/internal/evidence"
	"diagnose/internal/gcp"
	"diagnose/internal/iam"
)

// shell makes commands of their words.
func shell(argv ...[]string) []Command {
	out := make([]Command, len(argv))
	for i, a := range argv {
		out[i] = Command{Argv: a}
	}
	return out
}

// reads makes a command whose output is a member of a case.
func reads(member string, argv []string) []Command { return []Command{{Argv: argv, Output: member}} }

func (in *Invocation) describeService() []Command {
	return reads("service.json", in.serviceName().Describe())
}

func (in *Invocation) describeFunction() []Command {
	return reads("function.json", in.functionName().Describe())
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
		return reads("policy.json", in.serviceName().GetPolicy())
	case iam.Function:
		return reads("function-policy.json", in.functionName().GetPolicy())
	}
	return in.readAncestors()
}

func (in *Invocation) readAncestors() []Command {
	return reads("ancestor-policies.json", gcp.AncestorPolicies(in.projectID()))
}

func (in *Invocation) describeProject() []Command {
	return reads("project.json", in.projectName().Describe())
}

func (in *Invocation) readIAPPolicy() []Command {
	return reads("iap-policy.json", in.iapName().GetPolicy())
}

func (in *Invocation) readIAPSettings() []Command {
	return reads("iap-settings.json", in.iapName().GetIAPSettings())
}

// readDenyPolicies reads the rules of the deny policies that are known to be
// there, or else lists those of each node above the target.
func (in *Invocation) readDenyPolicies() []Command {
	var listed *evidence.UnreadRules
	if errors.As(in.DenyPolicies.Reason(), &listed) {
		var out []Command
		for _, name := range listed.Names {
			out = append(out, readDenyPolicy(name)...)
		}
		return out
	}
	out := reads("deny-policies.json", in.projectName().ListDenyPolicies())
	for _, a := range in.Ancestors.Or(nil) {
		if a.Type != "project" {
			out = append(out, reads("deny-policies.json", gcp.NodeName(a.Type+"s", a.ID).ListDenyPolicies())...)
		}
	}
	if !in.Ancestors.Known() {
		out[0].Note = "and the same for each folder and the organization above the project"
	}
	return out
}

// readDenyPolicy reads one deny policy with its rules.
func readDenyPolicy(name string) []Command {
	on, id, _ := gcp.ParseDenyPolicy(name)
	return reads("deny-policies.json", on.GetDenyPolicy(id))
}

// listMembers reads who is in a group. What gcloud prints does not name the
// group, so that it goes through jq. Nothing lists the accounts of a domain.
// https://docs.cloud.google.com/sdk/gcloud/reference/identity/groups/memberships/list
func listMembers(member string) []Command {
	m := iam.ParseMember(member)
	if m.Kind != iam.Group {
		return nil
	}
	name, _ := json.Marshal(member)
	return []Command{{Argv: gcp.ListMembers(m.Value), Pipe: []string{"jq", "{" + string(name) + ": .}"}, Output: "groups.json"}}
}

// readAccountPolicy reads who may become a service account. What gcloud prints
// does not name the account, so that it goes through jq.
func readAccountPolicy(account gcp.Name) Command {
	name, _ := json.Marshal(account.String())
	return Command{Argv: account.GetPolicy(), Pipe: []string{"jq", `[{"name": ` + string(name) + `, "policy": .}]`}}
}

// gatherOpen lists the commands that settle what is open of a decision.
func (in *Invocation) gatherOpen(d iam.Decision) []Command {
	var out []Command
	for _, o := range d.Open {
		switch o.Document {
		case iam.RoleDefinitions:
			out = append(out, reads("roles.json", gcp.DescribeRole(o.Resource))...)
		case iam.TagBindings:
			out = append(out, reads("tags.json", in.serviceName().ListTags())...)
		case iam.GroupMembers:
			out = append(out, listMembers(cmp.Or(in.groups.Unread(o.Resource), o.Resource))...)
		case iam.TargetPolicy:
			out = append(out, in.readPolicy(in.layers[0])...)
		case iam.AbovePolicies:
			out = append(out, in.readAncestors()...)
		case iam.DenyDocuments:
			out = append(out, in.readDenyPolicies()...)
		case iam.CallerAccount, iam.RequestDetails:
			out = append(out, in.gatherCaller()...)
		}
	}
	return out
}

// gatherCaller tells how to learn who calls.
func (in *Invocation) gatherCaller() []Command {
	if in.sent.known && !in.sent.supposed && in.sent.credential.Kind == credential.IDToken {
		member := cmp.Or(in.ownMember(), "serviceAccount:"+gcp.AccountWord)
		return in.call(member, in.audiences.Preferred()).Commands
	}
	return []Command{{Argv: []string{"diagnose", "invoke", "--token-file", "TOKEN_FILE"}, Note: "the credential as it was sent, or --principal to ask about a caller"}}
}

// logs reads the newest log entries of the project that match a filter.
func (in *Invocation) logs(filter string) []Command {
	return reads("log.json", gcp.ReadLogs(in.name.Project, filter))
}

func (in *Invocation) requestLogs() []Command {
	if in.gen1 {
		return in.logs(fmt.Sprintf(`resource.type="cloud_function" resource.labels.function_name=%q`, in.functionName().ID))
	}
	const filter = `resource.type="cloud_run_revision" resource.labels.service_name=%q httpRequest.status>=400`
	return in.logs(fmt.Sprintf(filter, in.serviceName().ID))
}

func (in *Invocation) auditLogs() []Command {
	return in.logs(`log_id("cloudaudit.googleapis.com/policy") protoPayload.methodName="run.googleapis.com/HttpIngress"`)
}

// changeLogs reads who changed the policy of the target.
func (in *Invocation) changeLogs() []Command {
	const filter = `log_id("cloudaudit.googleapis.com/activity") protoPayload.methodName:"SetIamPolicy" protoPayload.resourceName:%q`
	return in.logs(fmt.Sprintf(filter, cmp.Or(in.name.ID, in.serviceName().ID)))
}

func (in *Invocation) balancerLogs() []Command {
	return in.logs(`resource.type="http_load_balancer" jsonPayload.statusDetails:*`)
}
