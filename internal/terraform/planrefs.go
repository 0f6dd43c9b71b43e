package terraform

import (
	"slices"
	"strings"

	tfjson "github.com/hashicorp/terraform-json"
)

// A site is where an expression of a plan's configuration stands: in a block
// of one instance of a module.
type site struct {
	module *module // nil where the plan does not hold it
	in     string  // the address of that instance, "" for the root
	block  string  // "google_cloud_run_v2_service.web", without the key
	key    string  // of the block's instance: `["a"]`, "[0]", ""
	each   *tfjson.Expression
}

// site is that of the attributes of a resource.
func (r *reader) site(x *Resource) site {
	in, local, key := home(x.Address)
	s := site{module: r.modules[withoutIndexes(in)], in: in, block: local, key: key}
	if c := r.config[withoutIndexes(x.Address)]; c != nil {
		s.each = c.ForEachExpression
	}
	return s
}

// caller is the site of the arguments with which a module is called.
func (s site) caller() site {
	in, local, key := home(s.in)
	return site{module: s.module.parent, in: in, block: local, key: key, each: s.module.call.ForEachExpression}
}

// A referent is what an expression refers to: an attribute of a resource, ""
// where only the resource is known.
type referent struct {
	*Resource
	attribute string
}

// maxReferences bounds how far a reference is followed through modules.
const maxReferences = 16

// follow finds what the only reference of an expression leads to, through
// arguments and outputs of modules, in the instances that are meant.
func (r *reader) follow(s site, e *tfjson.Expression, depth int) (referent, bool) {
	if e == nil || e.ExpressionData == nil {
		return referent{}, false
	}
	refs, byKey := subjects(e.References)
	if len(refs) != 1 {
		return referent{}, false
	}
	return r.refersTo(s, refs[0], byKey, depth)
}

// subjects are the references of an expression without those that say which
// instance of another one is meant: a plan lists web[each.key].name as "web" and
// "each.key".
func subjects(all []string) (refs []string, byKey bool) {
	refs = distinctRefs(all)
	if !slices.ContainsFunc(refs, whatever) {
		return refs, false
	}
	n := len(refs)
	refs = slices.DeleteFunc(refs, func(ref string) bool { return slices.Contains([]string{"each.key", "each.value", "count.index"}, ref) })
	return refs, len(refs) < n
}

// whatever reports whether a reference is to a resource or module without
// telling which instance, or which attribute.
func whatever(ref string) bool {
	parts := elements(ref)
	n := 2
	if parts[0] == "data" {
		n = 3
	}
	return len(parts) == n && !slices.Contains([]string{"var", "local", "each", "count", "path", "terraform", "self"}, parts[0])
}

// refersTo follows one reference.
func (r *reader) refersTo(s site, ref string, byKey bool, depth int) (referent, bool) {
	parts := elements(ref)
	if s.module == nil || depth > maxReferences || len(parts) < 2 {
		return referent{}, false
	}
	switch parts[0] {
	case "var":
		if s.module.call == nil {
			return referent{}, false
		}
		name, _ := cutIndex(parts[1])
		x, ok := r.follow(s.caller(), s.module.call.Expressions[name], depth+1)
		if ok && x.attribute == "" && len(parts) > 2 {
			x.attribute, _ = cutIndex(parts[2])
		}
		return x, ok
	case "each":
		return r.element(s, parts, depth)
	case "module":
		return r.output(s, parts, byKey, depth)
	case "data":
		if len(parts) < 3 {
			return referent{}, false
		}
		return r.attribute(s, "data."+parts[1]+"."+parts[2], parts[3:], byKey)
	}
	return r.attribute(s, parts[0]+"."+parts[1], parts[2:], byKey)
}

// element is what each.value is where for_each goes through the instances of
// one resource: the one with the same key.
func (r *reader) element(s site, parts []string, depth int) (referent, bool) {
	if parts[1] != "value" || s.each == nil || s.each.ExpressionData == nil {
		return referent{}, false
	}
	refs, byKey := subjects(s.each.References)
	if len(refs) != 1 || byKey {
		return referent{}, false
	}
	return r.refersTo(s, strings.Join(append(refs, parts[2:]...), "."), true, depth+1)
}

// output follows a reference to an output of a module that is called here.
func (r *reader) output(s site, parts []string, byKey bool, depth int) (referent, bool) {
	name, index := cutIndex(parts[1])
	inner := r.modules[join(s.module.path, "module."+name)]
	if inner == nil {
		return referent{}, false
	}
	local := "module." + name
	if index == "" && (inner.call.CountExpression != nil || inner.call.ForEachExpression != nil) {
		var known bool
		if index, known = r.keyFor(s, local, byKey); !known {
			return referent{}, false
		}
	}
	if len(parts) < 3 {
		return referent{}, false
	}
	out, _ := cutIndex(parts[2])
	if inner.config.Outputs[out] == nil {
		return referent{}, false
	}
	from := site{module: inner, in: join(s.in, local+index)}
	return r.follow(from, inner.config.Outputs[out].Expression, depth+1)
}

// attribute is a resource that a reference is about.
func (r *reader) attribute(s site, local string, rest []string, byKey bool) (referent, bool) {
	local, index := cutIndex(local)
	if index == "" {
		var known bool
		if index, known = r.keyFor(s, local, byKey); !known {
			return referent{}, false
		}
	}
	x := r.byAddress[join(s.in, local+index)]
	if x == nil {
		return referent{}, false
	}
	out := referent{Resource: x}
	if len(rest) > 0 {
		out.attribute, _ = cutIndex(rest[0])
	}
	return out, true
}

// keyFor is the key of the instance of a block that an expression means: the
// only one, or the one with the key of the expression's own block where it says
// so. A plan does not tell web[each.key] from web["x-${each.key}"], nor
// web[count.index] from web[count.index + 1]: no other instance must fit.
func (r *reader) keyFor(s site, local string, byKey bool) (string, bool) {
	keys := r.keys[join(s.in, local)]
	switch {
	case keys == nil:
		return "", false
	case !byKey:
		return keys.all[0], len(keys.all) == 1
	case s.key == "" || !keys.has[s.key]:
		return "", false
	}
	own := r.keys[join(s.in, s.block)]
	return s.key, own != nil && len(own.all) == len(keys.all) || !keys.contain(s.key)
}

// keys are those of the instances of one resource or module, which count or
// for_each makes: one that is "" where neither does.
type keys struct {
	all []string
	has map[string]bool
}

// maxContained bounds how many keys are looked through for one of them.
const maxContained = 500

// contain reports whether another key may be made of this one, as that of the
// next element of a list is.
func (k *keys) contain(key string) bool {
	bare := strings.Trim(key, `[]"`)
	return !strings.HasPrefix(key, `["`) || len(k.all) > maxContained ||
		slices.ContainsFunc(k.all, func(other string) bool { return other != key && strings.Contains(other, bare) })
}

// note files the keys of an instance and of the instances of modules that it
// is in.
func (r *reader) note(address string) {
	for address != "" {
		in, local, key := home(address)
		k := r.keys[join(in, local)]
		if k == nil {
			k = &keys{has: map[string]bool{}}
			r.keys[join(in, local)] = k
		}
		if k.has[key] {
			return // and so are those that it is in
		}
		k.all, k.has[key] = append(k.all, key), true
		address = in
	}
}

// distinctRefs drops references that are the beginning of another one:
// Terraform lists "a.b.email" and "a.b".
func distinctRefs(refs []string) []string {
	var out []string
	for _, a := range refs {
		if !slices.ContainsFunc(refs, func(b string) bool {
			return b != a && strings.HasPrefix(b, a) && strings.ContainsAny(b[len(a):len(a)+1], ".[")
		}) && !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	return out
}
