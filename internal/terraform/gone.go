package terraform

import (
	"slices"
	"strings"

	"diagnose/internal/estate"
)

// gone is what a change destroys, or replaces: the addresses of services and
// functions by the names that they had, and what _iam_ resources claimed, by
// the resource that they were about.
type gone struct {
	targets map[string]string
	claims  map[string][]claim
}

// A claim is a part of a policy that a destroyed resource takes away: all of
// it, a role, or one member of a role.
type claim struct {
	address   string
	authority estate.Authority
	binding   estate.Binding
}

// readGone notes what the resources that go had claimed.
func (b *builder) readGone(resources []*Resource) {
	if len(resources) == 0 {
		return
	}
	b.gone = gone{map[string]string{}, map[string][]claim{}}
	before := build(resources, nil)
	for _, t := range before.Targets {
		b.gone.targets[t.Name] = t.Where.Address
		if t.Function != "" {
			b.gone.targets[t.Function] = t.Where.Address
		}
	}
	for _, p := range before.Policies {
		for _, x := range p.Bindings {
			b.gone.claims[p.Resource] = append(b.gone.claims[p.Resource], claim{x.Where.Address, x.Authority, x})
		}
	}
}

// left is what a change leaves of a policy, and whether it leaves any. What it
// takes away is noted.
func (b *builder) left(r *Resource, p estate.Policy, target *Resource) (estate.Policy, bool) {
	whole := !strings.Contains(p.Resource, "/"+unknownPart)
	if was, ok := b.gone.targets[p.Resource]; ok && whole && target == nil && !p.V2Function && !b.here(p.Resource) {
		if now := b.made[was]; now != nil && now.Replaced && r.Unchanged {
			b.e.Lost = append(b.e.Lost, estate.Lost{Policy: p, Target: was})
		}
		return p, false // it is about what is no longer there
	}
	if !whole || target != nil && target.Created {
		return p, true
	}
	claims := b.gone.claims[p.Resource]
	if len(claims) == 0 || len(p.Bindings) == 0 {
		return p, true
	}
	for _, c := range claims {
		if c.address != r.Address {
			p = b.taken(c, r, p)
		}
	}
	return p, len(p.Bindings) > 0
}

// here reports whether a target has a name.
func (b *builder) here(name string) bool {
	return slices.ContainsFunc(b.e.Targets, func(t estate.Target) bool { return t.Name == name || t.Function == name })
}

// taken takes from a policy what goes with a claim. What the same change makes
// again stays, since it may be made after that.
func (b *builder) taken(c claim, r *Resource, p estate.Policy) estate.Policy {
	all := p.Bindings
	p.Bindings = nil
	for _, x := range all {
		lost, kept := c.takes(x)
		if len(lost.Members) == 0 {
			p.Bindings = append(p.Bindings, x)
			continue
		}
		part := p
		part.Bindings = []estate.Binding{lost}
		b.e.Lost = append(b.e.Lost, estate.Lost{Policy: part, Taken: c.address, Maybe: !r.Unchanged})
		switch {
		case !r.Unchanged:
			p.Bindings = append(p.Bindings, x)
		case len(kept.Members) > 0:
			p.Bindings = append(p.Bindings, kept)
		}
	}
	return p
}

// takes splits a binding into what a claim takes away and what it leaves.
func (c claim) takes(x estate.Binding) (lost, kept estate.Binding) {
	same := c.authority == estate.PolicyAuthority ||
		c.binding.Role == x.Role && c.binding.Condition.GetExpression() == x.Condition.GetExpression()
	lost, kept = x, x
	lost.Members, kept.Members = nil, nil
	for _, m := range x.Members {
		if same && (c.authority != estate.MemberAuthority || slices.Contains(c.binding.Members, m)) {
			lost.Members = append(lost.Members, m)
		} else {
			kept.Members = append(kept.Members, m)
		}
	}
	return lost, kept
}
