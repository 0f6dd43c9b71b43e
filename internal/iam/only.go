package iam

import (
	"slices"
	"strings"
	"time"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
)

// conjuncts lists the parts that must all hold.
func conjuncts(e ast.Expr) []ast.Expr { return flat(e, operators.LogicalAnd) }

func flat(e ast.Expr, op string) []ast.Expr {
	if e.Kind() != ast.CallKind || e.AsCall().FunctionName() != op {
		return []ast.Expr{e}
	}
	var out []ast.Expr
	for _, a := range e.AsCall().Args() {
		out = append(out, flat(a, op)...)
	}
	return out
}

// expiry returns the end that a condition sets to itself: the earliest of
// those that must all hold, zero where there is none.
func expiry(e ast.Expr) time.Time {
	var end time.Time
	for _, c := range conjuncts(e) {
		if t, until := bound(c); until && (end.IsZero() || t.Before(end)) {
			end = t
		}
	}
	return end
}

// bound reads a comparison of request.time with an instant: until where that
// is an end. The instant is zero where e is another expression.
func bound(e ast.Expr) (_ time.Time, until bool) {
	if e.Kind() != ast.CallKind || len(e.AsCall().Args()) != 2 {
		return time.Time{}, false
	}
	call := e.AsCall()
	left, right := call.Args()[0], call.Args()[1]
	turned := false
	if path, ok := attribute(right); ok && path == "request.time" {
		left, right, turned = right, left, true
	}
	if path, ok := attribute(left); !ok || path != "request.time" {
		return time.Time{}, false
	}
	t := instantOf(right)
	switch call.FunctionName() {
	case operators.Less, operators.LessEquals:
		return t, !turned && !t.IsZero()
	case operators.Greater, operators.GreaterEquals:
		return t, turned && !t.IsZero()
	}
	return time.Time{}, false
}

func instantOf(e ast.Expr) time.Time {
	if e.Kind() != ast.CallKind || len(e.AsCall().Args()) != 1 {
		return time.Time{}
	}
	layout := map[string]string{"timestamp": time.RFC3339, "date": time.DateOnly}[e.AsCall().FunctionName()]
	s, ok := literal(e.AsCall().Args()[0])
	if layout == "" || !ok {
		return time.Time{}
	}
	t, err := time.Parse(layout, s)
	if err != nil {
		return time.Time{}
	}
	return t
}

// only says in a few words what a condition limits a grant to, "" where one
// of its parts is not simple.
func only(e ast.Expr) string {
	var words []string
	for _, c := range conjuncts(e) {
		w := limit(c)
		if w == "" {
			return ""
		}
		words = append(words, w)
	}
	return "only " + strings.Join(words, " and ")
}

// limit says what one part limits a grant to: a time, a tag, or a choice of
// paths or hosts.
func limit(e ast.Expr) string {
	if t, until := bound(e); !t.IsZero() {
		if until {
			return "until " + instant(t)
		}
		return "from " + instant(t)
	}
	if w := tagLimit(e); w != "" {
		return w
	}
	var kind string
	var words []string
	for _, c := range flat(e, operators.LogicalOr) {
		path, w := pattern(c)
		if path == "" || kind != "" && kind != path {
			return ""
		}
		kind = path
		words = append(words, w)
	}
	if kind == "request.host" {
		return "on host " + strings.Join(words, " or ")
	}
	return strings.Join(words, " or ")
}

func instant(t time.Time) string {
	if t = t.UTC(); t.Equal(t.Truncate(24 * time.Hour)) {
		return t.Format(time.DateOnly)
	}
	return t.Format(time.RFC3339)
}

// pattern reads a test of the path or the host: which of them, and how it
// looks, with * for what is left open.
func pattern(e ast.Expr) (path, word string) {
	if e.Kind() != ast.CallKind {
		return "", ""
	}
	call := e.AsCall()
	args := call.Args()
	if call.IsMemberFunction() {
		args = append([]ast.Expr{call.Target()}, args...)
	}
	if len(args) != 2 {
		return "", ""
	}
	path, ok := attribute(args[0])
	s, isText := literal(args[1])
	if !ok || !isText || s == "" || !slices.Contains([]string{"request.path", "request.host"}, path) {
		return "", ""
	}
	switch call.FunctionName() {
	case operators.Equals:
		return path, s
	case "startsWith":
		return path, s + "*"
	case "endsWith":
		return path, "*" + s
	}
	return "", ""
}

func tagLimit(e ast.Expr) string {
	if e.Kind() != ast.CallKind || tagFunctions[e.AsCall().FunctionName()] == "" {
		return ""
	}
	var args []string
	for _, a := range e.AsCall().Args() {
		s, ok := literal(a)
		if !ok {
			return ""
		}
		args = append(args, s)
	}
	switch len(args) {
	case 1:
		return "with the tag " + args[0]
	case 2:
		return "with the tag " + args[0] + "=" + args[1]
	}
	return ""
}
