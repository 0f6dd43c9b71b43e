package terraform

import (
	"encoding/json"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/tryfunc"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
	ctyjson "github.com/zclconf/go-cty/cty/json"
)

// functions are those of Terraform's language that need no provider and no
// file. An expression with another one is unknown.
var functions = map[string]function.Function{
	"abs": stdlib.AbsoluteFunc, "can": tryfunc.CanFunc, "ceil": stdlib.CeilFunc, "chomp": stdlib.ChompFunc, "chunklist": stdlib.ChunklistFunc, "coalesce": stdlib.CoalesceFunc,
	"coalescelist": stdlib.CoalesceListFunc, "compact": stdlib.CompactFunc, "concat": stdlib.ConcatFunc, "contains": stdlib.ContainsFunc, "csvdecode": stdlib.CSVDecodeFunc,
	"distinct": stdlib.DistinctFunc, "element": stdlib.ElementFunc, "flatten": stdlib.FlattenFunc, "floor": stdlib.FloorFunc, "format": stdlib.FormatFunc, "formatdate": stdlib.FormatDateFunc,
	"formatlist": stdlib.FormatListFunc, "indent": stdlib.IndentFunc, "index": stdlib.IndexFunc, "join": stdlib.JoinFunc, "jsondecode": stdlib.JSONDecodeFunc, "jsonencode": stdlib.JSONEncodeFunc,
	"keys": stdlib.KeysFunc, "length": stdlib.LengthFunc, "lookup": stdlib.LookupFunc, "lower": stdlib.LowerFunc, "max": stdlib.MaxFunc, "merge": stdlib.MergeFunc, "min": stdlib.MinFunc,
	"range": stdlib.RangeFunc, "regex": stdlib.RegexFunc, "regexall": stdlib.RegexAllFunc, "replace": stdlib.ReplaceFunc, "reverse": stdlib.ReverseListFunc, "setintersection": stdlib.SetIntersectionFunc,
	"setproduct": stdlib.SetProductFunc, "setsubtract": stdlib.SetSubtractFunc, "setunion": stdlib.SetUnionFunc, "slice": stdlib.SliceFunc, "sort": stdlib.SortFunc, "split": stdlib.SplitFunc,
	"strrev": stdlib.ReverseFunc, "substr": stdlib.SubstrFunc, "title": stdlib.TitleFunc, "tobool": stdlib.MakeToFunc(cty.Bool), "tolist": stdlib.MakeToFunc(cty.List(cty.DynamicPseudoType)),
	"tomap": stdlib.MakeToFunc(cty.Map(cty.DynamicPseudoType)), "tonumber": stdlib.MakeToFunc(cty.Number), "toset": stdlib.MakeToFunc(cty.Set(cty.DynamicPseudoType)), "tostring": stdlib.MakeToFunc(cty.String),
	"trim": stdlib.TrimFunc, "trimprefix": stdlib.TrimPrefixFunc, "trimspace": stdlib.TrimSpaceFunc, "trimsuffix": stdlib.TrimSuffixFunc, "try": tryfunc.TryFunc, "upper": stdlib.UpperFunc, "values": stdlib.ValuesFunc, "zipmap": stdlib.ZipmapFunc,
}

// meta are arguments of Terraform's own, in every resource.
var meta = map[string]bool{"count": true, "for_each": true, "provider": true, "depends_on": true, "lifecycle": true}

// A body is what a block says: attributes by name, nested blocks as lists.
type body struct {
	values, unknown map[string]any
	refs            map[string]string // addresses that unknown attributes are names of, by path
	hints           map[string]string // the first resource that the expression of an unknown attribute mentions
	notAnyone       map[string]bool   // unknown attributes whose members cannot be allUsers
}

// bodyValues reads a block without its schema.
func bodyValues(in *hclsyntax.Body, ctx *hcl.EvalContext) body {
	out := body{map[string]any{}, map[string]any{}, map[string]string{}, map[string]string{}, map[string]bool{}}
	values, unknown, body := out.values, out.unknown, in
	for name, a := range body.Attributes {
		if meta[name] {
			continue
		}
		whole := value(a.Expr, ctx)
		v, mark := plain(whole)
		if v != nil {
			values[name] = v
		}
		if mark != nil {
			unknown[name] = mark
			out.hints[name] = reference(a.Expr)
			out.notAnyone[name] = writtenNeverAnyone(a.Expr, ctx)
			if at := nameOf(whole); at != "" {
				out.refs[name] = at
			}
		}
	}
	for _, b := range body.Blocks {
		name := b.Type
		var inner []map[string]any
		var marks []any
		switch {
		case meta[name]:
			continue
		case name == "dynamic" && len(b.Labels) == 1:
			name = b.Labels[0]
			inner, marks = dynamic(b, ctx)
			if inner == nil {
				unknown[name] = true
				continue
			}
		default:
			nested := bodyValues(b.Body, ctx)
			inner, marks = []map[string]any{nested.values}, []any{nested.unknown}
			for path, at := range nested.refs {
				out.refs[name+"."+path] = at
			}
		}
		list, _ := values[name].([]any)
		all, _ := unknown[name].([]any)
		for i := range inner {
			list, all = append(list, inner[i]), append(all, marks[i])
		}
		values[name], unknown[name] = list, all
	}
	return out
}

// nameEnd ends an address in the prefix of a name that is not known.
const nameEnd = "\x00"

// unknownName is the name of a resource that is not known yet: a text of which
// it is known whose name it is, wherever it is passed on as it is.
func unknownName(address string) cty.Value {
	return cty.UnknownVal(cty.String).Refine().NotNull().StringPrefixFull(address + nameEnd).NewValue()
}

// nameOf is the address of the resource that a value is the unknown name of,
// "" for other values.
func nameOf(v cty.Value) string {
	if v.IsKnown() || v.Type() != cty.String {
		return ""
	}
	at, end, _ := strings.Cut(v.Range().StringPrefix(), nameEnd)
	if end != "" || !strings.HasSuffix(v.Range().StringPrefix(), nameEnd) {
		return ""
	}
	return at
}

// dynamic expands a dynamic block, nil where its number is not known.
func dynamic(b *hclsyntax.Block, ctx *hcl.EvalContext) ([]map[string]any, []any) {
	a := b.Body.Attributes["for_each"]
	if a == nil {
		return nil, nil
	}
	v := value(a.Expr, ctx)
	if !v.IsKnown() || v.IsNull() || !v.CanIterateElements() || v.LengthInt() > maxInstances {
		return nil, nil
	}
	out, marks := []map[string]any{}, []any{}
	iterator := b.Labels[0]
	if i := b.Body.Attributes["iterator"]; i != nil {
		if t, diags := hcl.AbsTraversalForExpr(i.Expr); !diags.HasErrors() {
			iterator = t.RootName()
		}
	}
	for it := v.ElementIterator(); it.Next(); {
		k, x := it.Element()
		c := ctx.NewChild()
		c.Variables = map[string]cty.Value{iterator: cty.ObjectVal(map[string]cty.Value{"key": k, "value": x})}
		for _, content := range b.Body.Blocks {
			if content.Type == "content" {
				nested := bodyValues(content.Body, c)
				out, marks = append(out, nested.values), append(marks, nested.unknown)
			}
		}
	}
	return out, marks
}

// reference names the resource that an expression is about, where it is about
// one.
func reference(e hcl.Expression) string {
	for _, t := range e.Variables() {
		if len(t) < 2 {
			continue
		}
		if a, ok := t[1].(hcl.TraverseAttr); ok {
			return t.RootName() + "." + a.Name
		}
	}
	return ""
}

// plain turns a value into what a plan would hold, and marks what is unknown.
func plain(v cty.Value) (value any, unknown any) {
	switch {
	case !v.IsKnown():
		return nil, true
	case v.IsNull():
		return nil, nil
	}
	t := v.Type()
	switch {
	case t == cty.String:
		return v.AsString(), nil
	case t.IsListType() || t.IsSetType() || t.IsTupleType():
		var list, marks []any
		open := false
		for it := v.ElementIterator(); it.Next(); {
			_, x := it.Element()
			p, u := plain(x)
			list, marks = append(list, p), append(marks, u)
			open = open || u != nil
		}
		if !open {
			return list, nil
		}
		return list, marks
	case t.IsObjectType() || t.IsMapType():
		m, marks := map[string]any{}, map[string]any{}
		for it := v.ElementIterator(); it.Next(); {
			k, x := it.Element()
			p, u := plain(x)
			m[k.AsString()] = p
			if u != nil {
				marks[k.AsString()] = u
			}
		}
		if len(marks) == 0 {
			return m, nil
		}
		return m, marks
	}
	data, err := ctyjson.Marshal(v, t)
	if err != nil {
		return nil, true
	}
	var out any
	if json.Unmarshal(data, &out) != nil {
		return nil, true
	}
	return out, nil
}

// computedAttributes are those that other resources refer to.
var computedAttributes = []string{"id", "name", "email", "member", "uri", "self_link", "project", "location", "region", "policy_data"}

// names reports whether an attribute names a service or function of which the
// name, or a part of it, is not known.
func names(r *Resource, attribute, computed string) bool {
	switch r.Type {
	case "google_cloud_run_service", "google_cloud_run_v2_service", "google_cloudfunctions_function", "google_cloudfunctions2_function":
		return attribute == "name" && computed == "" || attribute == "id" && strings.Contains(computed, "/"+unknownPart)
	}
	return false
}

// object is a resource as other ones see it: what is set, what the provider
// will compute where that can be told, and nothing else for certain.
func (r *Resource) object(d Defaults) cty.Value {
	out := map[string]cty.Value{}
	for k, v := range r.Values {
		if child(r.Unknown, k) == nil {
			out[k] = ctyOf(v)
		}
	}
	for _, name := range computedAttributes {
		if _, set := out[name]; set {
			continue
		}
		switch s := Computed(r, name, d); {
		case names(r, name, s):
			out[name] = unknownName(r.Address)
		case s != "" && s != unknownPart:
			out[name] = cty.StringVal(s)
		case name == "member" && serviceAccounts[r.Type]:
			out[name] = cty.UnknownVal(cty.String).Refine().NotNull().StringPrefixFull("serviceAccount:").NewValue()
		}
	}
	if r.Type == "google_cloud_run_service" {
		out["status"] = cty.TupleVal([]cty.Value{cty.ObjectVal(map[string]cty.Value{"url": cty.StringVal(Computed(r, "status", d))})})
	}
	if strings.HasPrefix(r.Type, "google_cloudfunctions2") {
		out["service_config"] = cty.TupleVal([]cty.Value{cty.ObjectVal(map[string]cty.Value{
			"service": unknownName(r.Address), "uri": unknownName(r.Address), "service_account_email": cty.DynamicVal,
		})})
		out["url"] = unknownName(r.Address)
	}
	return cty.ObjectVal(out)
}

func ctyOf(v any) cty.Value {
	data, err := json.Marshal(v)
	if err != nil {
		return cty.DynamicVal
	}
	t, err := ctyjson.ImpliedType(data)
	if err != nil {
		return cty.DynamicVal
	}
	out, err := ctyjson.Unmarshal(data, t)
	if err != nil {
		return cty.DynamicVal
	}
	return out
}
