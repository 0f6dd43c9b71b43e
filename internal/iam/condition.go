package iam

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"google.golang.org/genproto/googleapis/type/expr"
)

// A Tag is one effective tag of the resource.
type Tag struct {
	NamespacedKey, NamespacedValue string // "123/env", "123/env/prod"
	Key, Value                     string // "tagKeys/1", "tagValues/2"
}

// A Context is what a condition can see of one request. What is not set is
// unknown; the zero Context knows nothing.
type Context struct {
	Time       time.Time
	Path, Host *string
	TagsKnown  bool
	Tags       []Tag
}

// A Condition is what became of a condition. The zero Condition is unknown.
type Condition struct {
	State      State     // Granted: it holds; NotGranted: it does not
	Part       string    // the smallest part that decided it
	Reason     string    // what that part says against it
	Unprovided []string  // attributes in it that Cloud Run does not provide
	Expires    time.Time // the end that it sets to itself, zero where none
	Failed     bool      // it could not be evaluated, by Google either
}

// EvalCondition evaluates the condition of a binding in three values. A nil or
// empty condition holds. A part that uses an attribute which Cloud Run does
// not provide never counts as granting, and a condition that cannot be
// evaluated does not hold:
// https://docs.cloud.google.com/iam/docs/conditions-attribute-reference.
func EvalCondition(e *expr.Expr, c Context) Condition {
	text := strings.TrimSpace(e.GetExpression())
	if text == "" {
		return Condition{State: Granted}
	}
	env, err := environment()
	if err != nil {
		return Condition{Reason: "conditions cannot be evaluated: " + err.Error()}
	}
	tree, issues := env.Compile(text)
	if issues.Err() != nil {
		return Condition{State: NotGranted, Part: text, Failed: true, Reason: "the condition is no valid expression: " + firstLine(issues.Err().Error())}
	}
	if t := tree.OutputType(); t != cel.BoolType && t != cel.DynType {
		return Condition{State: NotGranted, Part: text, Failed: true, Reason: "the condition is no yes-or-no expression"}
	}
	ev := evaluator{env: env, info: tree.NativeRep().SourceInfo(), context: c}
	root := tree.NativeRep().Expr()
	r := ev.eval(root, false)
	r.Unprovided = ev.unprovided
	r.Expires = expiry(root)
	return r
}

// evalDenial evaluates the condition of a deny rule: one that is true, or that
// cannot be evaluated, denies. Only tags are known to it:
// https://docs.cloud.google.com/iam/docs/deny-overview.
func evalDenial(e *expr.Expr, c Context) State {
	r := EvalCondition(e, Context{TagsKnown: c.TagsKnown, Tags: c.Tags})
	if r.Failed || len(r.Unprovided) > 0 {
		return Granted
	}
	return r.State
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return strings.TrimPrefix(s, "ERROR: ")
}

// An evaluator walks the boolean structure of a condition and has CEL evaluate
// its leaves, so that the part that decides can be named.
type evaluator struct {
	env        *cel.Env
	info       *ast.SourceInfo
	context    Context
	unprovided []string
}

// eval evaluates an expression. either is set within an "or": there a negated
// part on an unprovided attribute may be a guard for resources of other types,
// and Google does not document what becomes of it.
func (ev *evaluator) eval(e ast.Expr, either bool) Condition {
	if e.Kind() == ast.CallKind {
		call := e.AsCall()
		switch call.FunctionName() {
		case operators.LogicalAnd:
			return ev.all(call.Args(), either)
		case operators.LogicalOr:
			return ev.any(call.Args())
		case operators.LogicalNot:
			return ev.not(call.Args()[0], either)
		case operators.Conditional:
			return ev.choice(call.Args(), either)
		}
	}
	return ev.leaf(e, either, false)
}

func (ev *evaluator) all(args []ast.Expr, either bool) Condition {
	out := Condition{State: Granted}
	for _, a := range args {
		switch r := ev.eval(a, either); r.State {
		case NotGranted:
			if out.State != NotGranted {
				out = r
			}
		case Unknown:
			if out.State == Granted {
				out = r
			}
		}
	}
	return out
}

func (ev *evaluator) any(args []ast.Expr) Condition {
	var unknown, not *Condition
	for _, a := range args {
		r := ev.eval(a, true)
		switch {
		case r.State == Granted:
			return r
		case r.State == Unknown && unknown == nil:
			unknown = &r
		case r.State == NotGranted && not == nil:
			not = &r
		}
	}
	if unknown != nil {
		return *unknown
	}
	return *not
}

func (ev *evaluator) not(e ast.Expr, either bool) Condition {
	if len(ev.missing(e)) > 0 && e.Kind() != ast.CallKind || ev.simple(e) && len(ev.missing(e)) > 0 {
		return ev.leaf(e, either, true)
	}
	r := ev.eval(e, either)
	switch {
	case r.Failed:
	case r.State == Granted:
		r.State, r.Part = NotGranted, "!("+ev.text(e)+")"
		r.Reason = r.Part + " is false"
	case r.State == NotGranted:
		r = Condition{State: Granted}
	}
	return r
}

func (ev *evaluator) choice(args []ast.Expr, either bool) Condition {
	switch r := ev.eval(args[0], either); r.State {
	case Granted:
		return ev.eval(args[1], either)
	case NotGranted:
		if r.Failed {
			return r
		}
		return ev.eval(args[2], either)
	default:
		return r
	}
}

// simple reports whether an expression has no boolean structure of its own.
func (ev *evaluator) simple(e ast.Expr) bool {
	if e.Kind() != ast.CallKind {
		return true
	}
	switch e.AsCall().FunctionName() {
	case operators.LogicalAnd, operators.LogicalOr, operators.LogicalNot, operators.Conditional:
		return false
	}
	return true
}

// leaf evaluates a part without boolean structure.
func (ev *evaluator) leaf(e ast.Expr, either, negated bool) Condition {
	part := ev.text(e)
	if missing := ev.missing(e); len(missing) > 0 {
		return ev.unprovidedLeaf(e, part, missing, either, negated)
	}
	for _, ref := range references(e) {
		if why := ev.context.unknown(ref); why != "" {
			return Condition{Part: part, Reason: fmt.Sprintf("%s depends on %s, which is not known", part, why)}
		}
	}
	ok, err := ev.run(part)
	switch {
	case err != nil:
		return Condition{State: NotGranted, Part: part, Failed: true, Reason: part + " cannot be evaluated: " + firstLine(err.Error())}
	case ok:
		return Condition{State: Granted, Part: part}
	}
	return Condition{State: NotGranted, Part: part, Reason: part + " is false" + ev.context.facts(references(e))}
}

func (ev *evaluator) unprovidedLeaf(e ast.Expr, part string, missing []string, either, negated bool) Condition {
	for _, m := range missing {
		if !slices.Contains(ev.unprovided, m) {
			ev.unprovided = append(ev.unprovided, m)
		}
	}
	if e.Kind() == ast.CallKind && e.AsCall().FunctionName() == operators.NotEquals {
		negated = true
	}
	if either && negated {
		return Condition{Part: part, Reason: fmt.Sprintf("%s uses %s, which Cloud Run does not provide: what becomes of it cannot be decided offline", part, missing[0])}
	}
	return Condition{State: NotGranted, Part: part, Reason: fmt.Sprintf("%s uses %s, which Cloud Run does not provide, so it never grants", part, missing[0])}
}

func (ev *evaluator) text(e ast.Expr) string {
	s, err := cel.ExprToString(e, ev.info)
	if err != nil {
		return "the condition"
	}
	return s
}

// costLimit bounds the work of one leaf.
const costLimit = 100_000

func (ev *evaluator) run(text string) (bool, error) {
	tree, issues := ev.env.Compile(text)
	if issues.Err() != nil {
		return false, issues.Err()
	}
	program, err := ev.env.Program(tree, cel.CostLimit(costLimit))
	if err != nil {
		return false, err
	}
	out, _, err := program.Eval(ev.context.variables())
	if err != nil {
		return false, err
	}
	b, ok := out.Value().(bool)
	if !ok {
		return false, fmt.Errorf("it is no yes-or-no expression")
	}
	return b, nil
}

// The attributes that Cloud Run provides to a condition.
var provided = []string{"request.time", "request.path", "request.host"}

// tagFunctions work on resource without any attribute of it.
var tagFunctions = []string{"matchTag", "matchTagId", "hasTagKey", "hasTagKeyId"}

// roots are the variables of IAM conditions.
var roots = []string{"request", "resource", "destination", "source", "origin", "principal", "token", "api"}

// missing lists the attributes that an expression uses and Cloud Run does not
// provide.
func (ev *evaluator) missing(e ast.Expr) []string {
	var out []string
	for _, r := range references(e) {
		if !slices.Contains(provided, r) && r != "tags" && !slices.Contains(out, r) {
			out = append(out, r)
		}
	}
	return out
}

// references lists the attributes that an expression uses: "request.time",
// "resource.name", and "tags" for the tag functions.
func references(e ast.Expr) []string {
	var out []string
	ast.PreOrderVisit(e, ast.NewExprVisitor(func(x ast.Expr) {
		switch x.Kind() {
		case ast.SelectKind:
			if path, ok := attribute(x); ok {
				out = append(out, path)
			}
		case ast.CallKind:
			call := x.AsCall()
			if slices.Contains(tagFunctions, call.FunctionName()) {
				out = append(out, "tags")
			} else if call.FunctionName() == "getAttribute" {
				out = append(out, "api.getAttribute")
			}
		}
	}))
	// A longer path is visited before the shorter ones within it.
	return slices.DeleteFunc(out, func(r string) bool {
		return slices.ContainsFunc(out, func(o string) bool { return strings.HasPrefix(o, r+".") })
	})
}

func attribute(e ast.Expr) (string, bool) {
	switch e.Kind() {
	case ast.IdentKind:
		return e.AsIdent(), slices.Contains(roots, e.AsIdent())
	case ast.SelectKind:
		s := e.AsSelect()
		base, ok := attribute(s.Operand())
		return base + "." + s.FieldName(), ok
	}
	return "", false
}

// unknown names what a reference needs and the context lacks, "" where it is
// known.
func (c Context) unknown(ref string) string {
	switch {
	case ref == "request.time" && c.Time.IsZero(),
		ref == "request.path" && c.Path == nil,
		ref == "request.host" && c.Host == nil:
		return ref
	case ref == "tags" && !c.TagsKnown:
		return "the tags of the service"
	}
	return ""
}

// facts says what the attributes of a false part are.
func (c Context) facts(refs []string) string {
	switch {
	case slices.Contains(refs, "request.time"):
		return " (the time is " + c.Time.UTC().Format(time.RFC3339) + ")"
	case slices.Contains(refs, "request.path"):
		return fmt.Sprintf(" (the path is %q)", *c.Path)
	case slices.Contains(refs, "request.host"):
		return fmt.Sprintf(" (the host is %q)", *c.Host)
	}
	return ""
}

func (c Context) variables() map[string]any {
	request := map[string]any{"time": types.Timestamp{Time: c.Time}}
	if c.Path != nil {
		request["path"] = *c.Path
	}
	if c.Host != nil {
		request["host"] = *c.Host
	}
	tags := make([]string, 0, 4*len(c.Tags))
	for _, t := range c.Tags {
		tags = append(tags, "key:"+t.NamespacedKey, "value:"+t.NamespacedValue, "keyId:"+t.Key, "valueId:"+t.Key+"="+t.Value)
	}
	vars := map[string]any{"request": request, "resource": map[string]any{tagsField: tags}}
	for _, r := range roots[2:] {
		vars[r] = map[string]any{}
	}
	return vars
}

// expiry returns the end that a condition sets to itself by a conjunct
// request.time < timestamp("…").
func expiry(e ast.Expr) time.Time {
	if e.Kind() != ast.CallKind {
		return time.Time{}
	}
	call := e.AsCall()
	switch call.FunctionName() {
	case operators.LogicalAnd:
		for _, a := range call.Args() {
			if t := expiry(a); !t.IsZero() {
				return t
			}
		}
	case operators.Less, operators.LessEquals:
		if path, ok := attribute(call.Args()[0]); ok && path == "request.time" {
			return instantOf(call.Args()[1])
		}
	}
	return time.Time{}
}

func instantOf(e ast.Expr) time.Time {
	if e.Kind() != ast.CallKind || e.AsCall().FunctionName() != "timestamp" || e.AsCall().Args()[0].Kind() != ast.LiteralKind {
		return time.Time{}
	}
	s, _ := e.AsCall().Args()[0].AsLiteral().Value().(string)
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}
	}
	return t
}

// conditionDocument says what would settle a condition that is unknown.
func conditionDocument(c Condition) Document {
	if strings.Contains(c.Reason, "the tags of") {
		return TagBindings
	}
	return RequestDetails
}
