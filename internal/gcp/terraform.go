package gcp

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"
)

// An Argument is one argument of a Terraform resource. Its value is a string,
// a bool, a []string or a Reference.
type Argument struct {
	Name  string
	Value any
}

// A Reference is an expression such as "google_project.shop.number", written
// as it is. One that is no reference is written as a string.
type Reference string

// Resource writes a Terraform resource, without a newline at the end. In
// strings "${" and "%{" stand for themselves.
func Resource(kind, label string, arguments ...Argument) string {
	width := 0
	for _, a := range arguments {
		width = max(width, len(a.Name))
	}
	var b strings.Builder
	b.WriteString("resource " + expression(kind) + " " + expression(label) + " {\n")
	for _, a := range arguments {
		b.WriteString("  " + a.Name + strings.Repeat(" ", width-len(a.Name)) + " = " + expression(a.Value) + "\n")
	}
	return b.String() + "}"
}

// expression writes a value.
func expression(value any) string {
	return string(hclwrite.Format(tokens(value).Bytes()))
}

// Attribute writes one argument alone, without a newline at the end.
func Attribute(name string, value any) string {
	return name + " = " + expression(value)
}

func tokens(value any) hclwrite.Tokens {
	switch v := value.(type) {
	case bool:
		return hclwrite.TokensForValue(cty.BoolVal(v))
	case []string:
		list := make([]hclwrite.Tokens, len(v))
		for i, s := range v {
			list[i] = tokens(s)
		}
		return hclwrite.TokensForTuple(list)
	case Reference:
		t, diags := hclsyntax.ParseTraversalAbs([]byte(v), "", hcl.InitialPos)
		if diags.HasErrors() {
			return tokens(string(v))
		}
		return hclwrite.TokensForTraversal(t)
	case string:
		return hclwrite.TokensForValue(cty.StringVal(v))
	}
	return hclwrite.TokensForValue(cty.NullVal(cty.DynamicPseudoType))
}

// Label is the label of a resource in Terraform. It shows name as far as a
// label can, and differs wherever one of the words that identify the thing
// does.
func Label(name string, identity ...string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(name) {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '_' || r == '-' {
			b.WriteRune(r)
		} else {
			b.WriteByte('_')
		}
	}
	s := strings.Trim(b.String(), "_-")
	if s == "" || s[0] >= '0' && s[0] <= '9' {
		s = "x" + s
	}
	if len(s) > 48 {
		s = s[:48]
	}
	sum := sha256.Sum256([]byte(strings.Join(append([]string{name}, identity...), "\x00")))
	return s + "_" + hex.EncodeToString(sum[:3])
}

// BindingResource writes the Terraform resource that grants a role to a member
// on the resource, or at IAP for it. A function is one of gen1: the policy of
// a v2 function does not count. It is "" where Terraform has no such resource.
// Source: https://registry.terraform.io/providers/hashicorp/google/latest/docs.
func (n Name) BindingResource(member, role string) string {
	kind, place := n.bindingKind()
	if kind == "" {
		return ""
	}
	member, role = or(member, "MEMBER"), or(role, "ROLE")
	_, who, _ := strings.Cut(member, ":")
	who, _, _ = strings.Cut(or(who, member), "@")
	label := Label(n.Words().ID+"_"+Last(role)+"_"+who, n.Words().String(), role, member)
	return Resource(kind, label, append(place, Argument{"role", role}, Argument{"member", member})...)
}

func (n Name) bindingKind() (kind string, place []Argument) {
	w := n.Words()
	in := func(place, id string) []Argument {
		return []Argument{{"project", w.Project}, {place, w.Location}, {id, w.ID}}
	}
	switch {
	case n.Collection == "services" && n.Host == IAPAPI:
		return "google_iap_web_cloud_run_service_iam_member", in("location", "cloud_run_service_name")
	case n.Collection == "services":
		return "google_cloud_run_v2_service_iam_member", in("location", "name")
	case n.Collection == "functions":
		return "google_cloudfunctions_function_iam_member", in("region", "cloud_function")
	case n.Collection == "projects":
		return "google_project_iam_member", []Argument{{"project", w.ID}}
	case n.Collection == "folders":
		return "google_folder_iam_member", []Argument{{"folder", w.String()}}
	case n.Collection == "organizations":
		return "google_organization_iam_member", []Argument{{"org_id", w.ID}}
	case n.Collection == "serviceAccounts":
		return "google_service_account_iam_member", []Argument{{"service_account_id", w.String()}}
	}
	return "", nil
}
