package rules

import (
	"slices"
	"strings"

	"diagnose/internal/estate"
	"diagnose/internal/iam"
)

// diff says for each resource who may invoke after a change and could not
// before, and the other way round. Who gets in by another way is not counted.
func diff(before, after *Index) []Change {
	var out []Change
	for _, name := range unionOf(before, after) {
		c := Change{Target: name}
		old, now := before.holders(name), after.holders(name)
		for m, where := range now {
			if _, had := old[m]; !had && !before.holds(name, m) {
				c.Gained, c.Where = append(c.Gained, m), where
			}
		}
		c.Open = after.openOf(name)
		var maybe []string
		for m, where := range old {
			_, still := now[m]
			switch {
			case still || after.targets[name] == nil && before.targets[name] != nil || after.holds(name, m):
			case c.Open != "":
				maybe = append(maybe, m) // it may be among what is not known yet
			default:
				c.Lost, c.Where = append(c.Lost, m), where
			}
		}
		if slices.Sort(maybe); len(maybe) > 0 {
			c.Open += "; it may cut off " + strings.Join(maybe, ", ")
		}
		slices.Sort(c.Gained)
		slices.Sort(c.Lost)
		if len(c.Gained)+len(c.Lost) > 0 || c.Open != "" {
			out = append(out, c)
		}
	}
	return out
}

// unionOf names the resources of two estates: a target stands for its IAP too.
func unionOf(before, after *Index) []string {
	var names []string
	for _, x := range []*Index{before, after} {
		iap := map[string]bool{}
		for name, t := range x.targets {
			names = append(names, name)
			iap[x.iapKey(t)] = true
		}
		for name := range x.policies {
			if !strings.HasPrefix(name, v2Mark) && !iap[name] {
				names = append(names, name)
			}
		}
	}
	return sorted(names)
}

// holders lists the members that the bindings of one resource let in, and
// where each is bound.
func (x *Index) holders(name string) map[string]estate.Where {
	out := map[string]estate.Where{}
	t := x.targets[name]
	key := name
	if t != nil && t.behind() {
		key = x.iapKey(t) // what is bound on the service itself is for IAP's agent
	}
	if t != nil && t.anyone.Way == iam.ByCheckOff && t.free() {
		out["allUsers"] = estate.Where{}
	}
	for g := range x.grantsOn(key) {
		m := g.member.String()
		if g.kind != onFunction && g.may == iam.Granted && (t == nil || !account(g.member) || x.admits(t, m)) {
			out[m] = g.binding.Where
		}
	}
	return out
}

// holdersAbove are the holders of a node, which many targets have in common.
func (x *Index) holdersAbove(n *node) map[string]estate.Where {
	key := nodeKey(n)
	if x.held[key] == nil {
		x.held[key] = x.holders(key)
	}
	return x.held[key]
}

// account reports whether a member is one account, or anyone: then the whole
// decision is asked for.
func account(m iam.Member) bool {
	return m.Kind == iam.User || m.Kind == iam.ServiceAccount || m.Kind == iam.AllUsers
}

// admits reports whether IAM and IAP let an account in, ingress aside.
func (x *Index) admits(t *target, member string) bool {
	if isAnyone(member) {
		return t.free()
	}
	id := iam.IdentityOf(member)
	return x.door(t).About(id, x.roster).Admit(id).State == iam.Granted
}

// holds reports whether a member may invoke a target by any way.
func (x *Index) holds(name, member string) bool {
	t := x.targets[name]
	if t == nil {
		return false
	}
	if m := iam.ParseMember(member); !account(m) {
		return t.free() || slices.ContainsFunc(t.above(), func(n *node) bool {
			_, ok := x.holdersAbove(n)[member]
			return ok
		})
	}
	return x.admits(t, member)
}

// openOf says what of a resource's policy is not known before the change is
// applied.
func (x *Index) openOf(name string) string {
	var open []string
	seen := map[string]bool{}
	for _, p := range x.policies[name] {
		for i := range p.Bindings {
			if b := &p.Bindings[i]; b.Open != "" && !seen[b.Open] && x.mayInvoke(b.Role) {
				seen[b.Open] = true
				open = append(open, b.Open)
			}
		}
	}
	return strings.Join(open, "; ")
}
