package checks

import (
	"fmt"
	"strings"

	"diagnose/internal/credential"
	"diagnose/internal/iam"
)

func gcloud(words ...string) Command { return Command{Argv: append([]string{"gcloud"}, words...)} }

// The words of a command for names that are not known are in capitals, as in
// Google's own documentation.

func (in *Invocation) serviceWord() string { return or(in.name.ID, "SERVICE") }
func (in *Invocation) projectWord() string { return or(in.name.Project, "PROJECT_ID") }
func (in *Invocation) regionWord() string  { return or(in.name.Location, "REGION") }

func (in *Invocation) functionWord() string {
	return or(parseName(in.fn().GetName()).ID, in.functionOfURL(), "FUNCTION")
}

func (in *Invocation) functionOfURL() string {
	if in.url != nil && in.host.Kind == functionHost {
		return functionPath(in.url)
	}
	return ""
}

// located completes a command about the service with its region and project.
func (in *Invocation) located(words ...string) Command {
	words = append(words, "--region="+in.regionWord())
	if in.name.Project != "" {
		words = append(words, "--project="+in.name.Project)
	}
	return gcloud(words...)
}

func (in *Invocation) describeService() []Command {
	return []Command{in.located("run", "services", "describe", in.serviceWord(), "--format=json")}
}

func (in *Invocation) describeFunction() []Command {
	return []Command{in.located("functions", "describe", in.functionWord(), "--format=json")}
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
		return []Command{in.located("run", "services", "get-iam-policy", in.serviceWord(), "--format=json")}
	case iam.Function:
		return []Command{in.located("functions", "get-iam-policy", in.functionWord(), "--format=json")}
	}
	return []Command{gcloud("projects", "get-ancestors-iam-policy", in.projectWord(), "--format=json")}
}

// gatherFor is the command that settles what is unknown of one binding.
func (in *Invocation) gatherFor(b iam.BindingAccess) []Command {
	switch m := iam.ParseMember(b.Member); {
	case b.Carries == iam.Unknown:
		return []Command{describeRole(b.Role)}
	case b.Condition.State == iam.Unknown:
		return []Command{gcloud("resource-manager", "tags", "bindings", "list", "--effective", "--location="+in.regionWord(),
			"--parent="+in.fullName(), "--format=json")}
	case m.Kind == iam.Group:
		return []Command{gcloud("identity", "groups", "memberships", "list", "--group-email="+m.Value, "--format=json")}
	}
	return in.gatherCaller()
}

func describeRole(role string) Command {
	parts := strings.Split(role, "/")
	if len(parts) == 4 && (parts[0] == "projects" || parts[0] == "organizations") {
		return gcloud("iam", "roles", "describe", parts[3], "--"+strings.TrimSuffix(parts[0], "s")+"="+parts[1], "--format=json")
	}
	return gcloud("iam", "roles", "describe", role, "--format=json")
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
	if in.sent.known && in.sent.credential.Kind == credential.IDToken {
		return in.mintCommands(in.audiences.Preferred())
	}
	return []Command{{Argv: []string{"diagnose", "invoke", "--token-file", "TOKEN_FILE"}, Note: "the credential as it was sent, or --principal for a supposed caller"}}
}
