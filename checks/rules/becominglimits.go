package rules

import (
	"slices"

	"cloud.google.com/go/iam/apiv1/iampb"

	"diagnose/internal/gcp"
	"diagnose/internal/iam"
	"diagnose/internal/reach"
)

// join puts accounts into the sets that cover them: all service accounts of a
// project, all Google accounts, a group that is listed. Members of a group
// that is not listed are not known, and it stands for itself.
func (b *becoming) join() {
	for set, m := range b.members {
		if !m.Broad() && (m.Kind != iam.Group || len(b.x.Groups) == 0) || m.Deleted || m.Kind == iam.Domain && len(b.x.Groups) == 0 {
			continue
		}
		for p, one := range b.members {
			if one.Kind != iam.ServiceAccount || b.graph.Home(reach.Principal(p)) == reach.Nowhere {
				continue
			}
			s := b.x.covers(m, one)
			if s == iam.Granted || s == iam.Unknown && m.Kind == iam.ServiceAccountSet {
				b.graph.Join(reach.Principal(p), reach.Principal(set), s == iam.Granted)
			}
		}
	}
}

// covers asks whether what is granted to a member is an account's too.
func (x *Index) covers(set, account iam.Member) iam.State {
	q := x.query(iam.MintAccessToken)
	q.Identity = x.identity(account)
	return q.Allow([]iam.Layer{{Policy: &iampb.Policy{Bindings: []*iampb.Binding{{
		Role: "roles/iam.serviceAccountTokenCreator", Members: []string{set.String()},
	}}}}}).State
}

// identity is who a member is, with the number of an account's project.
func (x *Index) identity(m iam.Member) iam.Identity {
	id := iam.IdentityOf(m.String())
	if m.Kind == iam.ServiceAccount && !m.Deleted {
		id.Project = x.numberOf(gcp.AccountProject(m.Value))
	}
	return id
}

// numberOf is the number of a project, "" where it is not known.
func (x *Index) numberOf(project string) string {
	if gcp.IsNumber(project) || project == "" {
		return project
	}
	if x.ids == nil {
		x.ids = map[string]string{}
		for number, id := range x.numbers {
			x.ids[id] = number
		}
	}
	return x.ids[project]
}

type limitKey struct {
	principal reach.Principal
	on        *node
	rights    reach.Rights
}

// limited reports whether a deny policy is about becoming an account.
func (b *becoming) limited() bool {
	for _, d := range b.x.Deny {
		for _, r := range d.Policy.GetRules() {
			if slices.ContainsFunc(iam.Becoming(), func(p string) bool { return iam.Denies(r.GetDenyRule(), p) }) {
				return true
			}
		}
	}
	return false
}

// limit takes from rights what deny policies above a place deny. Who writes
// the policy of an account grants itself the right to its tokens, which must
// not be denied either.
func (b *becoming) limit(of reach.Principal, on reach.Place, r reach.Rights) (sure, may reach.Rights) {
	n := b.nodes[on]
	if n == nil {
		n = b.above(on)
	}
	g := b.leftOn(of, n, r)
	return g.sure, g.may
}

// leftOn is what deny policies above a node leave of the rights of a principal
// below it.
func (b *becoming) leftOn(of reach.Principal, n *node, r reach.Rights) given {
	key := limitKey{of, n, r}
	g, ok := b.denied[key]
	if !ok {
		g = b.left(b.members[of], b.x.denyOn(n.chain()), r)
		b.denied[key] = g
	}
	return g
}

// above is the node right above a place, nil where it is not known.
func (b *becoming) above(on reach.Place) *node {
	if up := b.graph.Parent(on); up != reach.Nowhere {
		return b.nodes[up]
	}
	return nil
}

func (b *becoming) left(m iam.Member, deny []iam.DenyLayer, r reach.Rights) given {
	g := given{r, r}
	q := b.x.query("")
	q.Identity = b.x.identity(m)
	state := func(p string) iam.DenyState {
		q.Permission = p
		return q.Deny(deny).State
	}
	for _, p := range iam.Becoming() {
		right := reach.RightsOf(p)
		if r&right == 0 {
			continue
		}
		got := state(p)
		if got == iam.NotDenied && reach.RightsOf(p).SetsPolicyAbove() {
			got = best(state, iam.MintIDToken, iam.MintAccessToken, iam.SignJWT, iam.SignBlob)
		}
		if got != iam.NotDenied {
			g.sure &^= right
		}
		if got == iam.Denied {
			g.may &^= right
		}
	}
	return g
}

// best is the answer about the permission that is denied least.
func best(state func(string) iam.DenyState, permissions ...string) iam.DenyState {
	out := iam.Denied
	for _, p := range permissions {
		switch state(p) {
		case iam.NotDenied:
			return iam.NotDenied
		case iam.DenyUnknown:
			out = iam.DenyUnknown
		}
	}
	return out
}
