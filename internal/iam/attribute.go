package iam

import (
	"slices"
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
)

// roots are the variables of IAM conditions.
var roots = []string{"request", "resource", "destination", "source", "origin", "principal", "token", "api"}

// The references that stand for functions of a variable.
const (
	tagNames       = "tags"
	tagIDs         = "tags by ID"
	modifiedGrants = "api.getAttribute('iam.googleapis.com/modifiedGrantsByRole')"
)

// tagFunctions work on resource without any attribute of it.
var tagFunctions = map[string]string{
	"matchTag": tagNames, "hasTagKey": tagNames, "matchTagId": tagIDs, "hasTagKeyId": tagIDs,
}

// A provision says whether a condition has an attribute.
type provision int

const (
	unheard    provision = iota // not known
	given                       // the condition has it
	unprovided                  // documented not to be there
)

// absent are the attributes of other services:
// https://docs.cloud.google.com/iam/docs/conditions-attribute-reference.
var absent = []string{
	"resource.name", "resource.type", "resource.service", "request.auth.access_levels",
	"destination.ip", "destination.port", "principal.type", "principal.subject",
}

// provision says whether the condition has an attribute. The time and tags are
// there for every service; path and host for Cloud Run, and for IAP, which
// asks twice where a path has another spelling:
// https://docs.cloud.google.com/chrome-enterprise-premium/docs/hostname-and-path-conditions.
// A request that sets no policy has the default of modifiedGrantsByRole:
// https://docs.cloud.google.com/iam/docs/setting-limits-on-granting-roles.
func (ev *evaluation) provision(ref string) provision {
	onRun := ev.context.Permission == "" || ev.context.Permission == RunInvoke
	switch {
	case ref == tagNames || ref == tagIDs:
		return given
	case ev.denial:
		return unprovided
	case ref == "request.time", ref == modifiedGrants && !strings.HasSuffix(ev.context.Permission, ".setIamPolicy"):
		return given
	case ref == "request.path" || ref == "request.host":
		if onRun || ev.context.Permission == AccessViaIAP && (ref == "request.host" || ev.context.plainPath()) {
			return given
		}
	case onRun && slices.Contains(absent, ref):
		return unprovided
	}
	return unheard
}

// references lists the attributes that an expression uses, such as
// "request.time", a variable without attribute, and what stands for functions.
func references(e ast.Expr) []string {
	var out []string
	var visit func(ast.Expr)
	visit = func(x ast.Expr) {
		ref, rest := reference(x)
		if ref != "" && !slices.Contains(out, ref) {
			out = append(out, ref)
		}
		for _, r := range rest {
			visit(r)
		}
	}
	visit(e)
	return out
}

// reference names what the top of an expression refers to, "" where nothing,
// and the expressions below that are still to be looked at.
func reference(e ast.Expr) (string, []ast.Expr) {
	if path, ok := attribute(e); ok {
		return path, nil
	}
	if e.Kind() != ast.CallKind {
		return "", children(e)
	}
	call := e.AsCall()
	if !call.IsMemberFunction() || call.Target().Kind() != ast.IdentKind {
		return "", children(e)
	}
	on, name := call.Target().AsIdent(), call.FunctionName()
	if ref := tagFunctions[name]; ref != "" && on == "resource" {
		return ref, call.Args()
	}
	if name == "getAttribute" && on == "api" && len(call.Args()) == 2 {
		if s, ok := literal(call.Args()[0]); ok {
			return "api.getAttribute('" + s + "')", call.Args()[1:]
		}
	}
	return "", children(e)
}

func children(e ast.Expr) []ast.Expr {
	switch e.Kind() {
	case ast.CallKind:
		call := e.AsCall()
		if call.IsMemberFunction() {
			return append([]ast.Expr{call.Target()}, call.Args()...)
		}
		return call.Args()
	case ast.SelectKind:
		return []ast.Expr{e.AsSelect().Operand()}
	case ast.ListKind:
		return e.AsList().Elements()
	case ast.MapKind:
		var out []ast.Expr
		for _, entry := range e.AsMap().Entries() {
			out = append(out, entry.AsMapEntry().Key(), entry.AsMapEntry().Value())
		}
		return out
	case ast.StructKind:
		var out []ast.Expr
		for _, f := range e.AsStruct().Fields() {
			out = append(out, f.AsStructField().Value())
		}
		return out
	case ast.ComprehensionKind:
		c := e.AsComprehension()
		return []ast.Expr{c.IterRange(), c.AccuInit(), c.LoopCondition(), c.LoopStep(), c.Result()}
	}
	return nil
}

// attribute returns the path of an attribute, written with dots or as an
// index.
func attribute(e ast.Expr) (string, bool) {
	switch e.Kind() {
	case ast.IdentKind:
		return e.AsIdent(), slices.Contains(roots, e.AsIdent())
	case ast.SelectKind:
		base, ok := attribute(e.AsSelect().Operand())
		return base + "." + e.AsSelect().FieldName(), ok
	case ast.CallKind:
		if call := e.AsCall(); call.FunctionName() == operators.Index {
			if field, ok := literal(call.Args()[1]); ok {
				base, ok := attribute(call.Args()[0])
				return base + "." + field, ok
			}
		}
	}
	return "", false
}

// literal returns the value of a string literal.
func literal(e ast.Expr) (string, bool) {
	if e.Kind() != ast.LiteralKind {
		return "", false
	}
	s, ok := e.AsLiteral().Value().(string)
	return s, ok
}

// tests are the functions that hold of a value because of what it is; values
// are those that make one value of another.
var (
	tests = []string{
		operators.Equals, operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals,
		operators.In, "startsWith", "endsWith", "contains", "matches",
	}
	values = []string{
		operators.Index, operators.Add, operators.Subtract, operators.Multiply, operators.Divide, operators.Modulo,
		"extract", "size", "int", "uint", "double", "string", "timestamp", "duration", "date", "lowerAscii", "upperAscii",
	}
)

// plain reports whether a leaf tests a value and negates nothing: what is not
// there does not pass such a test. Comparing with an empty value is no such
// test, because what is not there may count as empty.
func plain(e ast.Expr) bool {
	if _, ok := attribute(e); ok {
		return e.Kind() != ast.SelectKind || !e.AsSelect().IsTestOnly()
	}
	if e.Kind() != ast.CallKind || !slices.Contains(tests, e.AsCall().FunctionName()) {
		return false
	}
	for _, c := range children(e) {
		if !valued(c) || e.AsCall().FunctionName() == operators.Equals && empty(c) {
			return false
		}
	}
	return true
}

// valued reports whether an expression has no truth in it.
func valued(e ast.Expr) bool {
	switch e.Kind() {
	case ast.CallKind:
		if !slices.Contains(values, e.AsCall().FunctionName()) {
			return false
		}
	case ast.LiteralKind:
		return e.AsLiteral().Type() != types.BoolType
	case ast.SelectKind:
		if e.AsSelect().IsTestOnly() {
			return false
		}
	case ast.IdentKind, ast.ListKind:
	default:
		return false
	}
	return !slices.ContainsFunc(children(e), func(c ast.Expr) bool { return !valued(c) })
}

func empty(e ast.Expr) bool {
	if e.Kind() == ast.ListKind {
		return e.AsList().Size() == 0
	}
	if e.Kind() != ast.LiteralKind {
		return false
	}
	switch v := e.AsLiteral(); v.Type() {
	case types.StringType:
		return v.Value() == ""
	case types.IntType, types.UintType, types.DoubleType:
		return v.Equal(types.IntZero) == types.True
	case types.NullType:
		return true
	}
	return false
}
