package rules

import (
	"fmt"
	"slices"
	"strings"

	"diagnose/internal/estate"
	"diagnose/internal/gcp"
)

// inTerraform makes the change where Terraform manages the grant: a command
// alone would drift.
func (x *Index) inTerraform(r *repair, g *grant) {
	b := g.binding
	left := slices.DeleteFunc(slices.Clone(b.Members), func(m string) bool { return m == g.member.String() })
	at := b.Where.Address
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

// bindingBlock writes the members of a role.
func bindingBlock(open, role string, members []string) string {
	arguments := gcp.Attribute("members", members)
	if role != "" {
		arguments = gcp.Attribute("role", role) + "\n" + arguments
	}
	return open + "\n  " + strings.ReplaceAll(arguments, "\n", "\n  ") + "\n}\n"
}

// quoted writes a text of Terraform's language, in which ${ and %{ begin a
// template: https://developer.hashicorp.com/terraform/language/expressions/strings.
func quoted(s string) string {
	return strings.NewReplacer("${", "$${", "%{", "%%{").Replace(fmt.Sprintf("%q", s))
}

// memberResource is the resource that grants a role on a target. It refers to
// a target of the same configuration.
func memberResource(t *target, member, role string) string {
	a := t.Where.Address
	if a == "" || strings.HasPrefix(a, "module.") || t.Function != "" {
		return parse(t.full).BindingResource(member, role) + "\n"
	}
	kind, location, key := "google_cloud_run_v2_service_iam_member", "location", "name"
	if t.Gen1 {
		kind, location, key = "google_cloudfunctions_function_iam_member", "region", "cloud_function"
	}
	return gcp.Resource(kind, gcp.Label("invoker", a, role, member),
		gcp.Argument{Name: "project", Value: gcp.Reference(a + ".project")},
		gcp.Argument{Name: location, Value: gcp.Reference(a + "." + location)},
		gcp.Argument{Name: key, Value: gcp.Reference(a + ".name")},
		gcp.Argument{Name: "role", Value: role}, gcp.Argument{Name: "member", Value: member}) + "\n"
}
