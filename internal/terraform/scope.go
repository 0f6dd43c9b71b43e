package terraform

import (
	"path/filepath"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// A scope is one instance of a module: what its names stand for. Everything in
// it is evaluated when it is first asked for, and once.
type scope struct {
	r      *reading
	folder *folder
	dir    string
	prefix string // of addresses: `module.a["x"].`
	parent *scope // nil for the root module
	depth  int
	maybe  string // why it may not be there, "" where it is

	arguments map[string]hcl.Expression // of the call, evaluated in the parent
	caller    *instance                 // of the call
	providers map[string]Defaults       // by name in this module: "google.eu"
	values    map[string]cty.Value      // of variables and locals: "var.a", "local.b"
	resources map[*block][]*made
	modules   map[*block][]*scope
}

// A made is one instance of a resource, with what others see of it.
type made struct {
	*instance
	resource *Resource
	value    cty.Value
}

func (s *scope) root() *scope {
	for s.parent != nil {
		s = s.parent
	}
	return s
}

// eval evaluates an expression as one instance of a block sees it; nil stands
// for one that has none. What cannot be evaluated is unknown. The value may
// have marks.
func (s *scope) eval(e hcl.Expression, x *instance) cty.Value {
	if e == nil {
		return cty.DynamicVal
	}
	ctx := &hcl.EvalContext{Functions: s.r.functions(s.root().dir)}
	if refs := e.Variables(); len(refs) > 0 {
		ctx.Variables = s.names(refs, x)
	}
	v, diags := e.Value(ctx)
	if diags.HasErrors() {
		return cty.DynamicVal
	}
	return v
}

// plainly evaluates an expression and drops the marks.
func (s *scope) plainly(e hcl.Expression, x *instance) cty.Value {
	v, _ := s.eval(e, x).UnmarkDeep()
	return v
}

// text is an expression's value as text, "" where it is none that is known.
func (s *scope) text(e hcl.Expression, x *instance) string {
	v := s.plainly(e, x)
	if !v.IsKnown() || v.IsNull() || v.Type() != cty.String {
		return ""
	}
	return v.AsString()
}

// names evaluates what an expression refers to.
func (s *scope) names(refs []hcl.Traversal, x *instance) map[string]cty.Value {
	out := map[string]cty.Value{}
	nested := map[string]map[string]cty.Value{}
	put := func(root, name string, v cty.Value) {
		if nested[root] == nil {
			nested[root] = map[string]cty.Value{}
		}
		nested[root][name] = v
	}
	data, modules := map[string]map[string]cty.Value{}, map[string][]string{}
	for _, t := range refs {
		root, name := t.RootName(), step(t, 1)
		switch {
		case x.sees(root) != cty.NilVal:
			out[root] = x.sees(root)
		case root == "path" || root == "terraform" || root == "tofu":
			out[root] = s.own(root)
		case root == "var" || root == "local":
			s.eachOf(root, name, put)
		case root == "module":
			modules[name] = append(modules[name], outputOf(t))
		case root == "data":
			if v := s.valueOf("data", name, step(t, 2)); v != cty.NilVal {
				if data[name] == nil {
					data[name] = map[string]cty.Value{}
				}
				data[name][step(t, 2)] = v
			}
		default:
			if v := s.valueOf("resource", root, name); v != cty.NilVal {
				put(root, name, v)
			}
		}
	}
	for name, outputs := range modules {
		if v := s.module(name, outputs); v != cty.NilVal {
			put("module", name, v)
		}
	}
	for kind, byName := range data {
		put("data", kind, cty.ObjectVal(byName))
	}
	for root, byName := range nested {
		out[root] = cty.ObjectVal(byName)
	}
	return out
}

// step is the name at a position of a traversal, "" where none stands there.
func step(t hcl.Traversal, i int) string {
	if i >= len(t) {
		return ""
	}
	switch a := t[i].(type) {
	case hcl.TraverseAttr:
		return a.Name
	case hcl.TraverseIndex:
		if a.Key.Type() == cty.String && a.Key.IsKnown() && !a.Key.IsNull() {
			return a.Key.AsString()
		}
	}
	return ""
}

// own are the names that Terraform itself gives a meaning. Paths are relative
// to the root module, as file functions take them.
func (s *scope) own(root string) cty.Value {
	if root != "path" {
		return cty.ObjectVal(map[string]cty.Value{"workspace": cty.StringVal(s.r.workspaceIn(s.root().dir))})
	}
	module, err := filepath.Rel(s.root().dir, s.dir)
	if err != nil {
		module = s.dir
	}
	return cty.ObjectVal(map[string]cty.Value{
		"module": cty.StringVal(filepath.ToSlash(module)), "root": cty.StringVal("."), "cwd": cty.UnknownVal(cty.String),
	})
}

// eachOf puts a variable or local value, or all of them where an expression
// does not name one.
func (s *scope) eachOf(root, name string, put func(root, name string, v cty.Value)) {
	if name != "" {
		put(root, name, s.named(root, name))
		return
	}
	if root == "local" {
		for n := range s.folder.locals {
			put(root, n, s.named(root, n))
		}
		return
	}
	for _, b := range s.folder.of("variable") {
		put(root, b.label(0), s.named(root, b.label(0)))
	}
}

// named is the value of a variable or a local value. One that needs itself is
// unknown.
func (s *scope) named(root, name string) cty.Value {
	key := root + "." + name
	if v, ok := s.values[key]; ok {
		return v
	}
	s.values[key] = cty.DynamicVal
	if root == "local" {
		s.values[key] = s.eval(s.folder.locals[name], nil)
	} else {
		s.values[key] = s.variable(s.folder.find("variable", name), name)
	}
	return s.values[key]
}

// variable is what a call, or the user, gives for a variable, or else its
// default, as its type takes it.
func (s *scope) variable(b *block, name string) cty.Value {
	if b == nil {
		return cty.DynamicVal // not declared
	}
	want, defaults := cty.DynamicPseudoType, (*typeexpr.Defaults)(nil)
	if e := b.attributes["type"]; e != nil {
		if t, d, diags := typeexpr.TypeConstraintWithDefaults(e); !diags.HasErrors() {
			want, defaults = t, d
		}
	}
	v := s.given(name, want)
	fallback := b.attributes["default"]
	if v == cty.NilVal || v.IsNull() && fallback != nil && s.never(b.attributes["nullable"]) {
		if fallback == nil {
			return cty.UnknownVal(want.WithoutOptionalAttributesDeep())
		}
		v = s.eval(fallback, nil)
	}
	if defaults != nil && !v.IsNull() {
		bare, marks := v.UnmarkDeepWithPaths()
		v = defaults.Apply(bare).MarkWithPaths(marks)
	}
	out, err := convert.Convert(v, want)
	if err != nil {
		return cty.DynamicVal
	}
	if e := b.attributes["sensitive"]; e != nil && !s.never(e) {
		return openValue(out)
	}
	return out
}

// never reports whether an expression is known to be false.
func (s *scope) never(e hcl.Expression) bool {
	v := s.plainly(e, nil)
	return e != nil && v.IsKnown() && !v.IsNull() && v.Type() == cty.Bool && v.False()
}

// given is what a variable is set to, NilVal where it is not.
func (s *scope) given(name string, want cty.Type) cty.Value {
	if s.parent == nil {
		return s.r.assigned(name, want)
	}
	if e := s.arguments[name]; e != nil {
		return s.parent.eval(e, s.caller)
	}
	return cty.NilVal
}

// valueOf is what a reference to a resource or data source sees, NilVal where
// it is not declared.
func (s *scope) valueOf(mode, kind, name string) cty.Value {
	b := s.folder.find(mode, kind, name)
	if b == nil {
		return cty.NilVal
	}
	key := mode + "." + kind + "." + name
	if v, ok := s.values[key]; ok {
		return v
	}
	s.values[key] = cty.DynamicVal // while it is being made
	list := s.make(b)
	instances, values := make([]*instance, len(list)), make([]cty.Value, len(list))
	for i, m := range list {
		instances[i], values[i] = m.instance, m.value
	}
	s.values[key] = combine(b, instances, values)
	return s.values[key]
}

// outputOf is the output of a module that a reference names, "" where it
// names none: then it sees all of them.
func outputOf(t hcl.Traversal) string {
	if len(t) > 2 {
		if _, ok := t[2].(hcl.TraverseAttr); ok {
			return step(t, 2)
		}
		if len(t) > 3 {
			return step(t, 3)
		}
	}
	return ""
}

// module is what references to outputs of a module see, NilVal where it is
// not declared.
func (s *scope) module(name string, outputs []string) cty.Value {
	b := s.folder.find("module", name)
	if b == nil {
		return cty.NilVal
	}
	children, read := s.children(b)
	if !read {
		return cty.DynamicVal
	}
	instances, values := make([]*instance, len(children)), make([]cty.Value, len(children))
	for i, c := range children {
		instances[i], values[i] = c.caller, c.outputs(outputs)
	}
	return combine(b, instances, values)
}

// outputs are those of a module with some names, or all where one is "".
func (s *scope) outputs(names []string) cty.Value {
	out := map[string]cty.Value{}
	for _, b := range s.folder.of("output") {
		if !slices.Contains(names, "") && !slices.Contains(names, b.label(0)) {
			continue
		}
		key := "output." + b.label(0)
		if _, done := s.values[key]; !done {
			s.values[key] = cty.DynamicVal // while it is being evaluated
			s.values[key] = s.eval(b.attributes["value"], nil)
		}
		out[b.label(0)] = s.values[key]
	}
	return cty.ObjectVal(out)
}
