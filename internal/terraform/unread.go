package terraform

import (
	"errors"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	tfjson "github.com/hashicorp/terraform-json"
	"github.com/zclconf/go-cty/cty"

	"diagnose/internal/estate"
)

// aboutInvocation fits what speaks of who can invoke: services, functions,
// invokers, and members of policies, which a module may bind at any level.
var aboutInvocation = regexp.MustCompile(`(?i)cloud[-_ ]?run|cloud[-_ ]?func|serverless|gcf|invoke|\biam|_iam\b|\bmembers?\b|_members?\b|allUsers|` +
	`allAuthenticatedUsers|roles/(owner|editor|run\.|cloudfunctions\.|iap\.)`)

// unreadModule is a module that is not there to read. One whose source and
// arguments have nothing to do with invocation leaves nothing open.
func (s *scope) unreadModule(b *block, where estate.Where) estate.Unread {
	text := ""
	for name, e := range b.attributes {
		if name != "version" && name != "depends_on" {
			text += name + " = " + s.r.text(e) + "\n"
		}
	}
	reason := "it is not in this folder: judge a plan instead"
	if who := anyone.FindString(text); who != "" {
		reason = "its arguments name " + who + ", and " + reason
	}
	return estate.Unread{What: "module " + b.label(0), Reason: reason, Where: where, Aside: !aboutInvocation.MatchString(text)}
}

var anyone = regexp.MustCompile(`\b(allUsers|allAuthenticatedUsers)\b`)

// broken lists a file that cannot be read as configuration, or returns its
// error where the file was named. One that says nothing of Google leaves
// nothing open.
func (p *reading) broken(name string, err error) error {
	if !p.lenient {
		return err
	}
	u := estate.Unread{What: name, Reason: err.Error(), Where: estate.Where{File: name}}
	if syntax := (*syntaxError)(nil); errors.As(err, &syntax) {
		u.Aside = !aboutGoogle.Match(syntax.data)
		for _, d := range syntax.diags {
			if d.Subject != nil && u.Where.Line == 0 {
				u.Where.Line = d.Subject.Start.Line
				u.Reason = "is not a Terraform configuration: " + d.Summary
			}
		}
	}
	p.estate.Unread = append(p.estate.Unread, u)
	return nil
}

// aboutGoogle fits configuration that may bear on a service of Google's:
// resources, modules and what is passed to them.
var aboutGoogle = regexp.MustCompile(`google|\bmodule\b|\bvariable\b|\blocals\b|allUsers|allAuthenticatedUsers|roles/`)

// serviceAccounts are the resources whose member is that of a service account.
var serviceAccounts = map[string]bool{"google_service_account": true, "google_project_service_identity": true, "google_compute_default_service_account": true}

// neverAnyone reports whether no part of a value that is not known can be
// allUsers: each is known to start as an account, a group or a domain does.
func neverAnyone(v cty.Value) bool {
	switch {
	case v.IsWhollyKnown():
		return true
	case !v.IsKnown():
		return v.Type() == cty.String && strings.Contains(v.Range().StringPrefix(), ":")
	case !v.CanIterateElements():
		return false
	}
	for it := v.ElementIterator(); it.Next(); {
		if _, x := it.Element(); !neverAnyone(x) {
			return false
		}
	}
	return true
}

// writtenNeverAnyone is neverAnyone for an expression whose value says less
// than how it is written: texts that start with a kind of member, and what
// Google's resources compute.
func (s *scope) writtenNeverAnyone(e hcl.Expression, x *instance) bool {
	if neverAnyone(s.plainly(e, x)) {
		return true
	}
	switch e := e.(type) {
	case *hclsyntax.TemplateExpr:
		l, ok := e.Parts[0].(*hclsyntax.LiteralValueExpr)
		return ok && l.Val.Type() == cty.String && strings.Contains(l.Val.AsString(), ":")
	case *hclsyntax.ScopeTraversalExpr:
		root := e.Traversal.RootName()
		return len(e.Traversal) > 2 && strings.HasPrefix(root, "google_") ||
			len(e.Traversal) > 3 && root == "data" && strings.HasPrefix(step(e.Traversal, 1), "google_")
	case *hclsyntax.TupleConsExpr:
		return !slices.ContainsFunc(e.Exprs, func(one hclsyntax.Expression) bool { return !s.writtenNeverAnyone(one, x) })
	}
	return false
}

// neverAnyone reports whether an expression of a plan refers only to what
// Google's resources compute, such as the e-mail of an account: none of that
// is allUsers.
func (r *reader) neverAnyone(m *module, e *tfjson.Expression, depth int) bool {
	if m == nil || e == nil || e.ExpressionData == nil || depth > maxReferences {
		return false
	}
	refs, _ := subjects(e.References)
	if len(refs) == 0 {
		return e.ConstantValue != nil && !anyone.MatchString(textOf(e.ConstantValue))
	}
	return !slices.ContainsFunc(refs, func(ref string) bool { return !r.refNeverAnyone(m, ref, depth) })
}

func (r *reader) refNeverAnyone(m *module, ref string, depth int) bool {
	parts := strings.Split(withoutIndexes(ref), ".")
	switch {
	case parts[0] == "data" && len(parts) > 3:
		return strings.HasPrefix(parts[1], "google_") && parts[1] != "google_iam_policy"
	case strings.HasPrefix(parts[0], "google_"):
		return len(parts) > 2 || parts[0] == "google_service_account"
	case parts[0] == "each" || parts[0] == "count":
		return false
	case parts[0] == "var" && len(parts) > 1 && m.call != nil:
		return r.neverAnyone(m.parent, m.call.Expressions[parts[1]], depth+1)
	case parts[0] == "module" && len(parts) > 2:
		inner := r.modules[join(m.path, "module."+parts[1])]
		return inner != nil && inner.config.Outputs[parts[2]] != nil && r.neverAnyone(inner, inner.config.Outputs[parts[2]].Expression, depth+1)
	}
	return false
}
