package terraform

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	ctyjson "github.com/zclconf/go-cty/cty/json"
)

// meta are arguments of Terraform's own, in every resource.
var meta = map[string]bool{"count": true, "for_each": true, "provider": true, "depends_on": true, "lifecycle": true}

// A body is what a block says: attributes by name, nested blocks as lists.
type body struct {
	values, unknown map[string]any
	refs            map[string]string // addresses that unknown attributes are names of, by path
	named           map[string]string // addresses that attributes may be names of, by name
	hints           map[string]string // the first resource that the expression of an unknown attribute mentions
	notAnyone       map[string]bool   // unknown attributes whose members cannot be allUsers
}

// body reads a block without its schema.
func (s *scope) body(in *block, x *instance) body {
	out := body{map[string]any{}, map[string]any{}, map[string]string{}, map[string]string{}, map[string]string{}, map[string]bool{}}
	for name, e := range in.attributes {
		if meta[name] {
			continue
		}
		whole, marks := s.eval(e, x).UnmarkDeep()
		if at := onlyTarget(marks); at != "" {
			out.named[name] = at
		}
		v, mark := plain(whole)
		if v != nil {
			out.values[name] = v
		}
		if mark != nil {
			out.unknown[name] = mark
			out.hints[name] = s.reference(e)
			out.notAnyone[name] = s.writtenNeverAnyone(e, x)
			if at := nameOf(whole); at != "" {
				out.refs[name] = at
			}
		}
	}
	for _, b := range in.blocks {
		s.nest(&out, b, x)
	}
	return out
}

// nest adds a nested block, or those that a dynamic one makes.
func (s *scope) nest(out *body, b *block, x *instance) {
	name := b.about()
	if meta[name] {
		return
	}
	list, _ := out.values[name].([]any)
	marks, _ := out.unknown[name].([]any)
	if b.kind != "dynamic" {
		nested := s.body(b, x)
		for path, at := range nested.refs {
			out.refs[name+"."+path] = at
		}
		out.values[name], out.unknown[name] = append(list, nested.values), append(marks, nested.unknown)
		return
	}
	each, known := s.dynamic(b, x)
	if !known {
		out.unknown[name] = true
		return
	}
	for _, nested := range each {
		list, marks = append(list, nested.values), append(marks, nested.unknown)
	}
	out.values[name], out.unknown[name] = list, marks
}

// dynamic expands a dynamic block; its number may not be known.
func (s *scope) dynamic(b *block, x *instance) (out []body, known bool) {
	e := b.attributes["for_each"]
	if e == nil {
		return nil, false
	}
	v, _ := s.eval(e, x).Unmark()
	if !v.IsKnown() || v.IsNull() || !v.CanIterateElements() || v.LengthInt() > maxInstances {
		return nil, false
	}
	iterator := b.label(0)
	if i := b.attributes["iterator"]; i != nil {
		if t, diags := hcl.AbsTraversalForExpr(i); !diags.HasErrors() {
			iterator = t.RootName()
		}
	}
	for it := v.ElementIterator(); it.Next(); {
		k, element := it.Element()
		if v.Type().IsSetType() {
			k = element
		}
		for _, content := range b.blocks {
			if content.kind == "content" {
				out = append(out, s.body(content, x.with(iterator, pair(k, element))))
			}
		}
	}
	return out, true
}

// reference is the address of the resource that an expression is about, ""
// where it is about none.
func (s *scope) reference(e hcl.Expression) string {
	for _, t := range e.Variables() {
		switch root := t.RootName(); {
		case len(t) < 2 || slices.Contains([]string{"var", "local", "each", "count", "module", "path"}, root):
			continue
		case root == "data" && step(t, 2) != "":
			return s.prefix + root + "." + step(t, 1) + "." + step(t, 2)
		case step(t, 1) != "":
			return s.prefix + root + "." + step(t, 1)
		}
	}
	return ""
}

// A targetMark marks what is made of the name of a service or function: its
// address.
type targetMark string

// onlyTarget is the one service or function of which the name is in a value,
// "" where there is none, or several.
func onlyTarget(marks cty.ValueMarks) string {
	at := ""
	for m := range marks {
		t, ok := m.(targetMark)
		if ok && at != "" {
			return ""
		}
		if ok {
			at = string(t)
		}
	}
	return at
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
	return r.isTarget() && (attribute == "name" && computed == "" || attribute == "id" && strings.Contains(computed, "/"+unknownPart))
}

// isTarget reports whether a resource is a service or function.
func (r *Resource) isTarget() bool {
	switch r.Type {
	case "google_cloud_run_service", "google_cloud_run_v2_service", "google_cloudfunctions_function", "google_cloudfunctions2_function":
		return true
	}
	return false
}

// object is a resource as other ones see it: what is set, what the provider
// will compute where that can be told, and nothing else for certain.
func (r *Resource) object() cty.Value {
	out := map[string]cty.Value{}
	for k, v := range r.Values {
		if child(r.Unknown, k) == nil {
			out[k] = jsonValue(v)
		}
	}
	for _, name := range computedAttributes {
		if _, set := out[name]; set {
			continue
		}
		switch s := compute(r, name); {
		case names(r, name, s):
			out[name] = unknownName(r.Address)
		case s != "" && !strings.Contains(s, "/"+unknownPart) && s != unknownPart:
			out[name] = cty.StringVal(s)
		case name == "member" && serviceAccounts[r.Type]:
			out[name] = cty.UnknownVal(cty.String).Refine().NotNull().StringPrefixFull("serviceAccount:").NewValue()
		}
	}
	if r.Type == "google_cloud_run_service" {
		url := cty.StringVal(compute(r, "status"))
		out["status"] = cty.TupleVal([]cty.Value{cty.ObjectVal(map[string]cty.Value{"url": url})})
	}
	if r.Type == "google_cloudfunctions2_function" {
		out["service_config"] = cty.TupleVal([]cty.Value{cty.ObjectVal(map[string]cty.Value{
			"service": unknownName(r.Address), "uri": unknownName(r.Address), "service_account_email": cty.DynamicVal,
		})})
		out["url"] = unknownName(r.Address)
	}
	for _, name := range []string{"name", "id"} {
		if v, ok := out[name]; ok && r.isTarget() {
			out[name] = v.Mark(targetMark(r.Address))
		}
	}
	return cty.ObjectVal(out)
}
