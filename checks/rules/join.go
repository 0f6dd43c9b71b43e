package rules

import (
	"strings"

	"diagnose/internal/estate"
)

// A joint is what a policy is of.
type joint struct {
	key    string
	target *target
}

// v2Mark names the policy of a v2 function apart: a gen1 function may have the
// same name.
const v2Mark = "v2:"

func (x *Index) addPolicy(p *estate.Policy) {
	x.joints[p] = joint{x.key(p), x.targetOf(p)}
	key := x.key(p)
	x.policies[key] = append(x.policies[key], p)
	if x.stray(p) && !p.V2Function {
		x.strays.add(p, x.canonical(p.Resource))
	}
}

// stray reports whether it is not known what a policy is of.
func (x *Index) stray(p *estate.Policy) bool {
	return !whole(p.Resource) && nodeName(p.Resource) == "" && x.targetOf(p) == nil
}

// key names what a policy is of.
func (x *Index) key(p *estate.Policy) string {
	if at, ok := x.joints[p]; ok {
		return at.key
	}
	name := x.canonical(p.Resource)
	t := x.targetOf(p)
	switch {
	case p.V2Function:
		return v2Mark + name
	case t != nil && behindIAP(name) != "":
		return x.iapKey(t)
	case t != nil:
		return t.name
	case nodeName(name) != "":
		return nodeKey(x.node(nodeName(name), p.Root))
	case idUnknown(name) && p.Where.Address != "":
		return strings.TrimPrefix(name[strings.LastIndexByte(name, '/')+1:], "-")
	case !whole(name) && p.Where.Address != "" && x.targets[name] != nil:
		return p.Where.Address // the target that has this name need not be the one
	case !whole(name) && p.Root != "":
		return apartIn(name, p.Root)
	}
	return name
}

// apartIn tells a name of which a part is not known from the same one in
// another root module.
func apartIn(name, root string) string { return name + " of " + root }

func nodeKey(n *node) string { return estate.NodeHost + n.name }

// targetOf finds the target that a policy is of, or of whose function or IAP,
// nil where none is known: by reference, and else by name. A name of which a
// part is not known counts within one root module.
func (x *Index) targetOf(p *estate.Policy) *target {
	if at, ok := x.joints[p]; ok {
		return at.target
	}
	if t := x.addresses[place{p.Root, p.Of}]; t != nil && p.Of != "" {
		return t
	}
	name := x.canonical(p.Resource)
	if service := behindIAP(name); service != "" {
		name = service
	}
	if p.V2Function {
		return x.functions[name]
	}
	t := x.targets[name]
	if t != nil && t.Root != p.Root && !whole(name) {
		t = x.targets[apartIn(name, p.Root)]
	}
	if t == nil || !whole(name) && (t.Root != p.Root || p.Where.Address != "") {
		return nil
	}
	return t
}

// iapKey is the name of a target's IAP.
func (x *Index) iapKey(t *target) string {
	if idUnknown(t.full) {
		return "IAP of " + t.name
	}
	return iapName(t.full)
}
