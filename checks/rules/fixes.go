package rules

import (
	"fmt"
	"strings"

	"diagnose/checks"
	"diagnose/internal/estate"
	"diagnose/internal/iam"
)

// A resource is a full resource name taken apart for a command.
type resource struct{ kind, id, project, location string }

// words stand for names that are not known.
var words = map[string]string{"projects": "PROJECT_ID", "locations": "REGION", "services": "SERVICE", "functions": "FUNCTION", "folders": "FOLDER_ID", "organizations": "ORGANIZATION_ID"}

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
		words = append(words, "iap", "web", verb+"-iam-policy-binding", "--resource-type=cloud-run", "--service="+r.id, "--region="+r.location, "--project="+r.project)
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

// removeBinding takes one member out of one binding.
func removeBinding(g *grant) checks.Fix {
	c := policyCommand(g.on, "remove", g.member.String(), g.role)
	if g.binding.Condition != nil {
		c.Argv = append(c.Argv, "--all")
		c.Note = "with every condition; give --condition instead to remove one"
	}
	f := checks.Fix{ID: "remove-binding", Summary: fmt.Sprintf("Remove %s from %s on %s", g.member, g.role, shortName(g.on)), Commands: []checks.Command{c}, Caution: "who calls as that member is cut off"}
	if a := g.binding.Where.Address; a != "" {
		f.Summary += ", in " + a
		f.Terraform = "# in " + a + ": remove " + g.member.String() + "\n"
	}
	return f
}

// bindBelow moves a grant from a project, folder or organization to the
// service that is called.
func bindBelow(g *grant) checks.Fix {
	c := checks.Command{Argv: []string{"gcloud", "run", "services", "add-iam-policy-binding", "SERVICE", "--region=REGION", "--member=" + g.member.String(), "--role=" + iam.MinimalInvoker},
		Note: "for each service that it calls, before the other binding goes"}
	return checks.Fix{ID: "bind-below", Summary: fmt.Sprintf("Grant %s to %s on the services that it calls, then remove the binding above", iam.MinimalInvoker, g.member), Commands: []checks.Command{c}}
}

// replaceRole grants the smallest role in place of a larger one.
func replaceRole(g *grant) checks.Fix {
	role := minimal(g)
	add, remove := policyCommand(g.on, "add", g.member.String(), role), policyCommand(g.on, "remove", g.member.String(), g.role)
	return checks.Fix{ID: "replace-role", Summary: fmt.Sprintf("Grant %s to %s on %s in place of %s", role, g.member, shortName(g.on), g.role), Commands: []checks.Command{add, remove},
		Caution: "only where it calls the service and does not manage it"}
}

// grantInvoker grants the smallest invoker role on a target.
func grantInvoker(t *target, member string) checks.Fix {
	role, r := iam.MinimalInvoker, parse(t.name)
	resource, key := "google_cloud_run_v2_service_iam_member", "name"
	location := "location"
	if t.Gen1 {
		role, resource, key, location = "roles/cloudfunctions.invoker", "google_cloudfunctions_function_iam_member", "cloud_function", "region"
	}
	if t.IAP == estate.Yes && !t.Gen1 {
		role = "roles/iap.httpsResourceAccessor"
		return checks.Fix{ID: "grant-iap-accessor", Summary: fmt.Sprintf("Grant %s on %s, which is behind IAP, to %s", role, shortName(t.name), member), Commands: []checks.Command{policyCommand(iapName(t.name), "add", member, role)}}
	}
	return checks.Fix{ID: "grant-invoker", Summary: fmt.Sprintf("Grant %s on %s to %s", role, shortName(t.name), member), Commands: []checks.Command{policyCommand(t.name, "add", member, role)},
		Terraform: fmt.Sprintf("resource %q \"invoker\" {\n  project = %q\n  %s = %q\n  %s = %q\n  role = %q\n  member = %q\n}\n", resource, r.project, location, r.location, key, r.id, role, member)}
}

// update changes one setting of a service.
func update(t *target, id, summary, flag, terraform string) checks.Fix {
	r := parse(t.name)
	return checks.Fix{ID: id, Summary: summary, Terraform: terraform + "\n",
		Commands: []checks.Command{{Argv: []string{"gcloud", "run", "services", "update", r.id, flag, "--region=" + r.location, "--project=" + r.project}}}}
}

// restrictIngress lets only a load balancer and the inside through.
func restrictIngress(t *target) checks.Fix {
	r := parse(t.name)
	if t.Gen1 {
		return checks.Fix{ID: "restrict-ingress", Summary: "Let only internal traffic and load balancers reach " + shortName(t.name), Terraform: "ingress_settings = \"ALLOW_INTERNAL_AND_GCLB\"\n",
			Commands: []checks.Command{{Argv: []string{"gcloud", "functions", "deploy", r.id, "--ingress-settings=internal-and-gclb", "--region=" + r.location, "--project=" + r.project}}}}
	}
	return update(t, "restrict-ingress", "Let only internal traffic and load balancers reach "+shortName(t.name), "--ingress=internal-and-cloud-load-balancing", `ingress = "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER"`)
}
