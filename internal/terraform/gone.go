package terraform

import (
	"cmp"
	"slices"
	"strings"

	"diagnose/internal/estate"
)

// gone is what a change destroys, or replaces: the addresses of services and
// functions by the names that they had, and what _iam_ resources claimed, by
// what that was.
type gone struct {
	targets map[string]string
	claims  map[claimed][]claim
}

// A claimed is a whole policy, a role in it or a member of that: role and
// member are "" where all of them are meant.
type claimed struct{ resource, role, member string }

// A claim is a part of a policy that a destroyed resource takes away: all of
// it, a role, or one member of a role.
type claim struct {
	order     int
	address   string
	authority estate.Authority
	binding   estate.Binding
}

// readGone notes what the resources that go had claimed.
func (b *builder) readGone(resources []*Resource) {
	if len(resources) == 0 {
		return
	}
	b.gone = gone{map[string]string{}, map[claimed][]claim{}}
	before := build(resources, nil)
	for _, t := range before.Targets {
		b.gone.targets[t.Name] = t.Where.Address
		if t.Function != "" {
			b.gone.targets[t.Function] = t.Where.Address
		}
	}
	n := 0
	for _, p := range before.Policies {
		for _, x := range p.Bindings {
			n++
			b.gone.add(p.Resource, claim{n, x.Where.Address, x.Authority, x})
		}
	}
}

// add files a claim.
func (g gone) add(resource string, c claim) {
	switch role := roleOf(c.binding); c.authority {
	case estate.PolicyAuthority:
		g.put(claimed{resource, "", ""}, c)
	case estate.MemberAuthority:
		for _, m := range c.binding.Members {
			g.put(claimed{resource, role, m}, c)
		}
	default:
		g.put(claimed{resource, role, ""}, c)
	}
}

func (g gone) put(key claimed, c claim) { g.claims[key] = append(g.claims[key], c) }

// roleOf is the role of a binding, under its condition.
func roleOf(x estate.Binding) string { return x.Role + "\x00" + x.Condition.GetExpression() }

// claimsOn lists the claims that take something from a policy, as they were made.
func (b *builder) claimsOn(p estate.Policy) []claim {
	if len(b.gone.claims) == 0 {
		return nil
	}
	out := slices.Clone(b.gone.claims[claimed{p.Resource, "", ""}])
	for _, x := range p.Bindings {
		role := roleOf(x)
		out = append(out, b.gone.claims[claimed{p.Resource, role, ""}]...)
		for _, m := range x.Members {
			b.steps++
			out = append(out, b.gone.claims[claimed{p.Resource, role, m}]...)
		}
	}
	b.steps += len(out)
	slices.SortFunc(out, func(x, y claim) int { return cmp.Compare(x.order, y.order) })
	return slices.CompactFunc(out, func(x, y claim) bool { return x.order == y.order })
}

// left is what a change leaves of a policy, and whether it leaves any. What it
// takes away is noted.
func (b *builder) left(r *Resource, p estate.Policy, target *Resource) (estate.Policy, bool) {
	whole := !strings.Contains(p.Resource, "/"+unknownPart)
	if was, ok := b.gone.targets[p.Resource]; ok && whole && target == nil && !p.V2Function && !b.here[p.Resource] {
		if now := b.made[was]; now != nil && now.Replaced && r.Unchanged {
			b.e.Lost = append(b.e.Lost, estate.Lost{Policy: p, Target: was})
		}
		return p, false // it is about what is no longer there
	}
	if !whole || target != nil && target.Created {
		return p, true
	}
	if len(p.Bindings) == 0 {
		return p, true
	}
	for _, c := range b.claimsOn(p) {
		if c.address != r.Address {
			p = b.taken(c, r, p)
		}
	}
	return p, len(p.Bindings) > 0
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
	same := c.authority == estate.PolicyAuthority || roleOf(c.binding) == roleOf(x)
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
