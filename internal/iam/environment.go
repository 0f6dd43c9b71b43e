package iam

import (
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"
	_ "time/tzdata" // conditions name time zones, also where the system has none

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// tagsField is where the tag functions find the tags of the resource.
const tagsField = "$tags"

var stringSlice = reflect.TypeFor[[]string]()

// Bounds on a condition. IAM allows twelve logical operators; these leave room
// and keep a hostile policy from costing much.
const (
	maxExpression = 16 << 10
	maxDepth      = 64
)

// environment is the dialect of IAM conditions: the standard functions of CEL,
// extract, date, hasOnly and the tag functions. It is made on first use.
var environment = sync.OnceValues(func() (*cel.Env, error) {
	opts := []cel.EnvOption{
		cel.ParserExpressionSizeLimit(maxExpression),
		cel.ParserRecursionLimit(maxDepth),
		cel.EnableMacroCallTracking(),
		cel.DefaultUTCTimeZone(true),
		cel.Function("extract", cel.MemberOverload("string_extract", []*cel.Type{cel.StringType, cel.StringType}, cel.StringType,
			cel.BinaryBinding(func(s, t ref.Val) ref.Val { return types.String(extract(text(s), text(t))) }))),
		cel.Function("date", cel.Overload("date_string", []*cel.Type{cel.StringType}, cel.TimestampType, cel.UnaryBinding(date))),
		cel.Function("hasOnly", cel.MemberOverload("list_has_only", []*cel.Type{cel.ListType(cel.DynType), cel.ListType(cel.DynType)}, cel.BoolType,
			cel.BinaryBinding(hasOnly))),
		cel.Function("getAttribute", cel.MemberOverload("get_attribute", []*cel.Type{cel.DynType, cel.StringType, cel.DynType}, cel.DynType,
			cel.FunctionBinding(func(args ...ref.Val) ref.Val { return args[2] }))),
		tagFunction("matchTag", func(a []string) string { return "value:" + a[0] + "/" + a[1] }, 2),
		tagFunction("matchTagId", func(a []string) string { return "valueId:" + a[0] + "=" + a[1] }, 2),
		tagFunction("hasTagKey", func(a []string) string { return "key:" + a[0] }, 1),
		tagFunction("hasTagKeyId", func(a []string) string { return "keyId:" + a[0] }, 1),
	}
	for _, r := range roots {
		opts = append(opts, cel.Variable(r, cel.DynType))
	}
	return cel.NewEnv(opts...)
})

func text(v ref.Val) string {
	s, _ := v.Value().(string)
	return s
}

// tagFunction declares a function that looks for one tag.
func tagFunction(name string, want func([]string) string, params int) cel.EnvOption {
	signature := []*cel.Type{cel.DynType}
	for range params {
		signature = append(signature, cel.StringType)
	}
	return cel.Function(name, cel.MemberOverload("resource_"+name, signature, cel.BoolType, cel.FunctionBinding(func(args ...ref.Val) ref.Val {
		words := make([]string, 0, params)
		for _, a := range args[1:] {
			words = append(words, text(a))
		}
		resource, ok := args[0].(traits.Mapper)
		if !ok {
			return types.NewErr("%s is a function of resource", name)
		}
		tags, ok := resource.Find(types.String(tagsField))
		if !ok {
			return types.NewErr("%s is a function of resource", name)
		}
		list, err := tags.ConvertToNative(stringSlice)
		if err != nil {
			return types.NewErr("%s: %v", name, err)
		}
		return types.Bool(slices.Contains(list.([]string), want(words)))
	})))
}

// extract takes out of s what stands at the place of {name} in the template,
// "" where the template does not match:
// https://docs.cloud.google.com/iam/docs/conditions-attribute-reference#extract.
func extract(s, template string) string {
	open, end := strings.IndexByte(template, '{'), strings.IndexByte(template, '}')
	if open < 0 || end < open {
		return ""
	}
	before, after := template[:open], template[end+1:]
	i := strings.Index(s, before)
	if i < 0 {
		return ""
	}
	rest := s[i+len(before):]
	if after == "" {
		return rest
	}
	j := strings.Index(rest, after)
	if j < 0 {
		return ""
	}
	return rest[:j]
}

func date(v ref.Val) ref.Val {
	t, err := time.Parse(time.DateOnly, text(v))
	if err != nil {
		return types.NewErr("date must be YYYY-MM-DD, not %q", text(v))
	}
	return types.Timestamp{Time: t}
}

func hasOnly(list, allowed ref.Val) ref.Val {
	l, ok := list.(traits.Lister)
	a, ok2 := allowed.(traits.Lister)
	if !ok || !ok2 {
		return types.NewErr("hasOnly takes lists")
	}
	for it := l.Iterator(); it.HasNext() == types.True; {
		if a.Contains(it.Next()) != types.True {
			return types.False
		}
	}
	return types.True
}
