package terraform

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"

	"diagnose/internal/estate"
)

// An instance is one of count or for_each, with what its body sees of that.
type instance struct {
	index string // `["a"]`, "[0]", "", and "[*]" for one of which the key is not known
	key   cty.Value
	names map[string]cty.Value // "each", "count", the iterators of dynamic blocks
	maybe string               // why it may not be there, "" where it is
}

// any is the index of an instance that stands for all.
const anyIndex = "[*]"

// sees is what an instance sees under a name of its own, NilVal where nothing.
func (x *instance) sees(name string) cty.Value {
	if x == nil {
		return cty.NilVal
	}
	return x.names[name]
}

// with is an instance that sees one name more.
func (x *instance) with(name string, v cty.Value) *instance {
	out := &instance{names: map[string]cty.Value{name: v}}
	if x != nil {
		out.index, out.key, out.maybe = x.index, x.key, x.maybe
		for n, old := range x.names {
			if n != name {
				out.names[n] = old
			}
		}
	}
	return out
}

func pair(key, v cty.Value) cty.Value {
	return cty.ObjectVal(map[string]cty.Value{"key": key, "value": v})
}

func indexed(i cty.Value) cty.Value { return cty.ObjectVal(map[string]cty.Value{"index": i}) }

// instances are those of a block. Where their number is not known there is one
// that stands for all, and sees nothing of its key.
func (s *scope) instances(b *block) []*instance {
	if e := b.attributes["for_each"]; e != nil {
		v, _ := s.eval(e, nil).Unmark()
		if !v.IsKnown() || v.IsNull() || !v.CanIterateElements() || v.LengthInt() > maxInstances {
			x := (*instance)(nil).with("each", pair(cty.DynamicVal, cty.DynamicVal))
			x.index, x.key, x.maybe = anyIndex, cty.DynamicVal, s.condition("for_each", e)
			return []*instance{x}
		}
		return eachOf(v)
	}
	if e := b.attributes["count"]; e != nil {
		v, err := convert.Convert(s.plainly(e, nil), cty.Number)
		if err != nil || !v.IsKnown() || v.IsNull() {
			x := (*instance)(nil).with("count", indexed(cty.UnknownVal(cty.Number)))
			x.index, x.key = anyIndex, cty.DynamicVal
			if err != nil || !positive(v) {
				x.maybe = s.condition("count", e)
			}
			return []*instance{x}
		}
		n, _ := v.AsBigFloat().Int64()
		out := []*instance{}
		for i := range min(n, maxInstances) {
			x := (*instance)(nil).with("count", indexed(cty.NumberIntVal(i)))
			x.index, x.key = fmt.Sprintf("[%d]", i), cty.NumberIntVal(i)
			out = append(out, x)
		}
		return out
	}
	return []*instance{{}}
}

// positive reports whether a number that is not known is at least 1.
func positive(v cty.Value) bool {
	if v.IsNull() || v.Type() != cty.Number || v.IsKnown() {
		return false
	}
	low, in := v.Range().NumberLowerBound()
	return low.IsKnown() && (low.GreaterThan(cty.Zero).True() || in && low.GreaterThanOrEqualTo(cty.NumberIntVal(1)).True())
}

// eachOf makes an instance of each element of a map or set.
func eachOf(v cty.Value) []*instance {
	out := []*instance{}
	for it := v.ElementIterator(); it.Next(); {
		k, e := it.Element()
		if v.Type().IsSetType() {
			k = e
		}
		bare, _ := k.Unmark()
		text, err := convert.Convert(bare, cty.String)
		x := (*instance)(nil).with("each", pair(k, e))
		if err != nil || !text.IsKnown() || text.IsNull() {
			x.index, x.key = anyIndex, cty.DynamicVal
		} else {
			x.index, x.key = fmt.Sprintf("[%q]", text.AsString()), text
		}
		out = append(out, x)
	}
	return out
}

// condition says on what it depends whether count or for_each makes anything.
func (s *scope) condition(name string, e hcl.Expression) string {
	if c, ok := e.(*hclsyntax.ConditionalExpr); ok {
		yes, no := s.plainly(c.TrueResult, nil), s.plainly(c.FalseResult, nil)
		switch {
		case none(no) && !none(yes):
			return "only if " + s.clause(c.Condition, "true")
		case none(yes) && !none(no):
			return "only if " + s.clause(c.Condition, "false")
		}
	}
	if name == "count" {
		return "only if " + s.r.text(e) + " is not 0"
	}
	return "only if " + s.r.text(e) + " has an element"
}

// clause says that an expression is true, or false.
func (s *scope) clause(e hcl.Expression, word string) string {
	text := s.r.text(e)
	if _, ok := e.(*hclsyntax.BinaryOpExpr); ok && word == "true" {
		return text
	}
	return text + " is " + word
}

// none reports whether count or for_each makes nothing of a value.
func none(v cty.Value) bool {
	switch {
	case !v.IsKnown() || v.IsNull():
		return false
	case v.Type() == cty.Number:
		return v.Equals(cty.Zero).True()
	}
	return v.CanIterateElements() && v.LengthInt() == 0
}

// combine makes of the values of a block's instances what a reference to them
// sees.
func combine(b *block, list []*instance, values []cty.Value) cty.Value {
	switch {
	case b.attributes["for_each"] == nil && b.attributes["count"] == nil:
		if len(values) == 0 {
			return cty.DynamicVal
		}
		return values[0]
	case slices.ContainsFunc(list, func(x *instance) bool { return x.index == anyIndex }):
		return cty.DynamicVal
	case b.attributes["for_each"] == nil:
		return cty.TupleVal(values)
	}
	byKey := map[string]cty.Value{}
	for i, x := range list {
		byKey[x.key.AsString()] = values[i]
	}
	return cty.ObjectVal(byKey)
}

// make makes the instances of a resource or data source.
func (s *scope) make(b *block) []*made {
	if list, done := s.resources[b]; done {
		return list
	}
	kind := b.label(0)
	if b.kind == "data" {
		kind = "data." + kind
	}
	out := []*made{}
	for _, x := range s.instances(b) {
		if s.r.full() {
			break
		}
		address := s.prefix + kind + "." + b.label(1) + x.index
		r := &Resource{
			Type: b.label(0), Name: b.label(1), Address: address, Said: b.says, maybe: join2(s.maybe, x.maybe),
			Where: estate.Where{File: b.at.Filename, Line: b.at.Start.Line, Address: address},
		}
		r.Defaults = s.provider(b)
		said := s.body(b, x)
		r.Values, r.Unknown, r.refs, r.named, r.hints, r.notAnyone = said.values, said.unknown, said.refs, said.named, said.hints, said.notAnyone
		r.spelt = s.spelt(b, x, said)
		out = append(out, &made{x, r, r.object()})
	}
	s.resources[b] = out
	return out
}

// join2 joins two reasons.
func join2(a, b string) string {
	if a == "" || b == "" || a == b {
		return a + strings.TrimPrefix(b, a)
	}
	return a + " and " + b
}

// spelt is how the unknown attributes of a block are written. In one instance
// of a module, what is written alike is alike.
func (s *scope) spelt(b *block, x *instance, said body) map[string]string {
	out := map[string]string{}
	for name, e := range b.attributes {
		if said.unknown[name] == nil {
			continue
		}
		text := s.r.text(e)
		if strings.Contains(text, "each.") || strings.Contains(text, "count.") {
			text += x.index
		}
		out[name] = s.prefix + " " + text
	}
	return out
}

// collect adds the resources of a module and of those that it calls, in the
// order in which they stand.
func (s *scope) collect() {
	for _, b := range s.folder.blocks {
		switch b.kind {
		case "resource":
			s.valueOf(b.kind, b.label(0), b.label(1))
			for _, m := range s.make(b) {
				s.r.resources = append(s.r.resources, m.resource)
			}
		case "module":
			children, _ := s.children(b)
			for _, c := range children {
				c.collect()
			}
		}
	}
}

// provider is the configuration of the provider that a resource has.
func (s *scope) provider(b *block) Defaults {
	name := "google"
	if e := b.attributes["provider"]; e != nil {
		name = providerName(e)
	}
	return s.providerNamed(name)
}

// providerNamed is a configuration of the provider. One without an alias that
// is configured nowhere has what the environment gives.
func (s *scope) providerNamed(name string) Defaults {
	d, ok := s.providers[name]
	if !ok && name != "" && !strings.Contains(name, ".") {
		d = s.r.environment()
		d.provider = name
	}
	return d
}

// providerName is how an expression names a provider: "google.eu"; "" where
// that is not known.
func providerName(e hcl.Expression) string {
	t, diags := hcl.AbsTraversalForExpr(e)
	if diags.HasErrors() {
		v, diags := e.Value(nil)
		if diags.HasErrors() || !v.IsWhollyKnown() || v.IsNull() || v.Type() != cty.String {
			return ""
		}
		return v.AsString() // as before Terraform 0.12
	}
	if alias := step(t, 1); alias != "" {
		return t.RootName() + "." + alias
	}
	return t.RootName()
}

// readProviders evaluates the providers that a module configures, beside those
// that it was given.
func (s *scope) readProviders(given map[string]Defaults) {
	s.providers = map[string]Defaults{}
	maps.Copy(s.providers, given)
	for _, b := range s.folder.of("provider") {
		name := b.label(0)
		if !strings.HasPrefix(name, "google") {
			continue
		}
		if alias := s.text(b.attributes["alias"], nil); alias != "" {
			name += "." + alias
		}
		d := s.r.environment()
		if b.attributes["for_each"] == nil {
			d.provider = s.prefix + name // else there are several, in OpenTofu
		}
		for attribute, into := range map[string]*string{"project": &d.Project, "region": &d.Region} {
			if e := b.attributes[attribute]; e != nil {
				*into = s.text(e, nil)
			}
		}
		s.providers[name] = d
	}
}

// passed are the providers that a call gives to a module: those without an
// alias, and those that it lists.
func (s *scope) passed(b *block) map[string]Defaults {
	out := map[string]Defaults{}
	for name, d := range s.providers {
		if !strings.Contains(name, ".") {
			out[name] = d
		}
	}
	if b.attributes["providers"] == nil {
		return out
	}
	pairs, diags := hcl.ExprMap(b.attributes["providers"])
	if diags.HasErrors() {
		return out
	}
	for _, p := range pairs {
		out[providerName(p.Key)] = s.providerNamed(providerName(p.Value))
	}
	return out
}
