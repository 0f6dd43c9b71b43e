package iam

import (
	"encoding/json"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	_ "cel.dev/expr/conformance/proto2" // the suite's files refer to its messages
	_ "cel.dev/expr/conformance/proto3"
	testpb "cel.dev/expr/conformance/test"
	"google.golang.org/genproto/googleapis/type/expr"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// Whole files of the conformance suite that IAM's dialect does not cover.
var celFiles = map[string]string{
	"basic": "", "comparisons": "", "conversions": "", "fields": "", "lists": "", "logic": "",
	"macros": "", "parse": "", "string": "", "timestamps": "",
	"string_ext": "an extension of strings that IAM conditions do not have",
}

// librarySkips are cases in which the CEL library itself differs.
var librarySkips = map[string]string{
	"map_value_repeat_key":               "cel-go keeps the last of two equal keys of a map",
	"map_value_repeat_key_heterogeneous": "cel-go keeps the last of two equal keys of a map",
}

// skipCEL says why a case is outside of IAM's dialect, "" where it is inside.
func skipCEL(c *testpb.SimpleTest) string {
	switch {
	case librarySkips[c.GetName()] != "":
		return librarySkips[c.GetName()]
	case c.GetContainer() != "" || regexp.MustCompile(`TestAllTypes|google\.protobuf\.|google\.type|cel\.expr|NullValue|\bproto[23]\b|GlobalEnum|\.(Int32Value|UInt64Value)`).MatchString(c.GetExpr()):
		return "uses test messages: IAM conditions have none"
	case len(c.GetTypeEnv()) > 0 || len(c.GetBindings()) > 0:
		return "declares variables of its own: IAM conditions have request and resource"
	case c.GetDisableCheck():
		return "is not to be type-checked: IAM conditions are"
	case c.GetDisableMacros():
		return "turns macros off"
	case strings.Contains(c.GetExpr(), "`"):
		return "quotes identifiers, which is off in this environment"
	case c.GetTypedResult() != nil || c.GetUnknown() != nil || c.GetAnyUnknowns() != nil:
		return "asks for a type or a set of unknowns"
	case c.GetCheckOnly():
		return "is about the type checker alone"
	}
	return ""
}

func TestCELConformance(t *testing.T) {
	env, err := environment()
	if err != nil {
		t.Fatal(err)
	}
	// The suite measures the language, not the bounds that a condition has.
	env, err = env.Extend(cel.ParserRecursionLimit(250), cel.ParserExpressionSizeLimit(1<<20))
	if err != nil {
		t.Fatal(err)
	}
	passed, skipped := 0, map[string]int{}
	for name, why := range celFiles {
		var file testpb.SimpleTestFile
		raw := data(t, filepath.Join("iam/cel-spec", name+".textproto"))
		if err := (prototext.UnmarshalOptions{AllowPartial: true, DiscardUnknown: true, Resolver: protoregistry.GlobalTypes}).Unmarshal(raw, &file); err != nil {
			t.Errorf("reading %s: %v", name, err)
			continue
		}
		for _, section := range file.GetSection() {
			for _, c := range section.GetTest() {
				reason := why
				if reason == "" {
					reason = skipCEL(c)
				}
				if reason != "" {
					skipped[reason]++
					continue
				}
				if problem := runCEL(env, c); problem != "" {
					t.Errorf("%s/%s/%s: %s: %s", name, section.GetName(), c.GetName(), c.GetExpr(), problem)
					continue
				}
				passed++
			}
		}
	}
	for reason, n := range skipped {
		t.Logf("%d skipped: %s", n, reason)
	}
	t.Logf("%d passed", passed)
	if passed < 400 {
		t.Errorf("%d cases passed, want at least 400", passed)
	}
}

// runCEL runs one case and says what is wrong with the result.
func runCEL(env *cel.Env, c *testpb.SimpleTest) string {
	tree, issues := env.Compile(c.GetExpr())
	if issues.Err() != nil {
		if c.GetEvalError() != nil {
			return ""
		}
		return "does not compile: " + firstLine(issues.Err().Error())
	}
	program, err := env.Program(tree)
	if err != nil {
		return err.Error()
	}
	got, _, err := program.Eval(cel.NoVars())
	if c.GetEvalError() != nil {
		if err == nil && !types.IsError(got) {
			return "is no error"
		}
		return ""
	}
	if err != nil {
		return err.Error()
	}
	if c.GetValue() == nil { // the default is true
		if got != types.True {
			return "is not true"
		}
		return ""
	}
	want, err := cel.ProtoAsValue(env.CELTypeAdapter(), c.GetValue())
	if err != nil {
		return err.Error()
	}
	if got.Type() == types.DoubleType && want.Type() == types.DoubleType && got.Equal(got) == types.False {
		return "" // NaN
	}
	if got.Type().TypeName() != want.Type().TypeName() || got.Equal(want) != types.True {
		return "is another value"
	}
	return ""
}

// Conditions that people wrote are read: each is decided, open for want of
// tags, or refused with a reason that names the function or attribute.
func TestFoundConditions(t *testing.T) {
	var doc struct {
		Expressions []struct {
			Expression   string `json:"expression"`
			TemplateVars bool   `json:"has_template_vars"`
			Truncated    bool   `json:"truncated_multiline"`
		} `json:"expressions"`
	}
	if err := json.Unmarshal(data(t, "iam/condition-expressions/expressions.json"), &doc); err != nil {
		t.Fatal(err)
	}
	path, host := "/x", "orders.example.com"
	read := 0
	for _, e := range doc.Expressions {
		if e.TemplateVars || e.Truncated {
			continue
		}
		got := EvalCondition(&expr.Expr{Expression: e.Expression}, Context{Time: now, Path: &path, Host: &host})
		if got.State != Granted && got.Reason == "" {
			t.Errorf("%s is %s for no reason", e.Expression, got.State)
		}
		if got.Failed && got.State != Unknown {
			t.Errorf("%s is %s, though it was not evaluated", e.Expression, got.State)
		}
		if got.Failed && !strings.Contains(got.Reason, "diagnose does not understand") {
			t.Errorf("%s fails with %q", e.Expression, got.Reason)
		}
		if strings.HasPrefix(e.Expression, "resource.name") && got.State != NotGranted {
			t.Errorf("%s is %s: Cloud Run does not provide resource.name", e.Expression, got.State)
		}
		if got.Failed {
			t.Logf("failed: %s: %s", e.Expression, got.Reason)
		}
		read++
	}
	if read < 30 {
		t.Errorf("%d conditions read, want at least 30", read)
	}
}
