// Package reach is the graph of who can become which service account: who may
// mint its tokens, sign with it, make a key of it, attach it to what they
// deploy, or grant themselves one of these, directly or through other
// accounts. It is told what bindings give and decides nothing about IAM.
package reach

import (
	"slices"

	"diagnose/internal/iam"
)

// Rights is a set of permissions by which a principal becomes an account, or
// lets itself in.
type Rights uint32

// permissions are those of Rights, a bit each. Of several that do the same the
// first is named.
var permissions = iam.Becoming()

// RightsOf is the set of some permissions, without those that are of no use
// here.
func RightsOf(list ...string) Rights {
	var r Rights
	for _, p := range list {
		if i := slices.Index(permissions, p); i >= 0 {
			r |= 1 << i
		}
	}
	return r
}

// What rights are good for, by
// https://docs.cloud.google.com/iam/docs/service-account-permissions. An ID
// token lets in, and no API of Google takes it. A delegate asks for tokens of
// the next account only, not for keys or policies.
var (
	setting    = RightsOf(iam.SetProjectPolicy, iam.SetFolderPolicy, iam.SetOrganizationPolicy)
	acting     = RightsOf(iam.MintAccessToken, iam.SignJWT, iam.SignBlob, iam.CreateKey, iam.SetAccountPolicy) | setting
	minting    = RightsOf(iam.MintIDToken)
	delegating = RightsOf(iam.Delegate)
	asDelegate = RightsOf(iam.MintIDToken, iam.MintAccessToken, iam.SignJWT, iam.SignBlob, iam.Delegate)
	attaching  = RightsOf(iam.ActAs)
	deploying  = RightsOf(iam.CreateService, iam.UpdateService, iam.CreateFunction, iam.UpdateFunction, iam.CreateInstance)
	opening    = RightsOf(iam.SetServicePolicy, iam.SetFunctionPolicy) | setting
)

// Permission names the first permission of a set, "" of the empty one.
func (r Rights) Permission() string {
	for i, p := range permissions {
		if r&(1<<i) != 0 {
			return p
		}
	}
	return ""
}

// A Power is what a principal has of an account.
type Power uint8

// The powers. They add up: who acts as an account has them all.
const (
	Token    Power = 1 << iota // an ID token: it may invoke what the account may
	Delegate                   // the account's own rights to tokens of others
	Acting                     // everything that the account may do
)

// A Place is where roles are bound: an organization, folder, project or
// service account.
type Place int32

// Nowhere is above the topmost places.
const Nowhere Place = -1

// A Principal is a member, by its number.
type Principal int32

// A Grant is what one binding gives to one principal on a place.
type Grant struct {
	Place Place
	// Sure is what it gives, and May what it gives or may give.
	Sure, May Rights
	// Ref is the caller's name of the binding.
	Ref int32
}

type node struct {
	parent   Place
	children []Place
	account  Principal // at a service account, else -1
	from, to int32     // the accounts below, as positions in Graph.below
}

// A Graph says who holds which rights where. Places come first, then grants.
type Graph struct {
	places  []node
	grants  [][]Grant      // by principal
	sets    [][]membership // by principal: the sets that it is in
	homes   []Place        // by principal: the place of an account, else Nowhere
	below   []Principal    // the accounts that matter, those below a place side by side
	settled bool
	// Order, if not nil, puts places of one parent in order, so that of two
	// ways that are as long the same one is found whatever came first.
	Order func(a, b Place) int
	// Matters says whether an account is worth a visit although it holds no
	// right: it may invoke something. nil: every account.
	Matters func(Principal) bool
	// Limit, if not nil, says what is left of rights of a principal on an
	// account, as after deny policies.
	Limit func(of Principal, on Place, r Rights) (sure, may Rights)
}

// AddPlace adds a place below another one, or Nowhere.
func (g *Graph) AddPlace(parent Place) Place {
	p := Place(len(g.places))
	g.places = append(g.places, node{parent: parent, account: -1})
	if parent != Nowhere {
		g.places[parent].children = append(g.places[parent].children, p)
	}
	g.settled = false
	return p
}

// AddPrincipal adds a principal.
func (g *Graph) AddPrincipal() Principal {
	g.grants, g.sets, g.homes = append(g.grants, nil), append(g.sets, nil), append(g.homes, Nowhere)
	return Principal(len(g.grants) - 1)
}

// AddAccount says that a principal is the service account at a place.
func (g *Graph) AddAccount(p Principal, at Place) {
	g.homes[p], g.places[at].account = at, p
	g.settled = false
}

// Home is the place of an account, Nowhere of other principals.
func (g *Graph) Home(p Principal) Place { return g.homes[p] }

type membership struct {
	set  Principal
	sure bool
}

// Join says that a principal is in a set, or may be, so that it has what the
// set has.
func (g *Graph) Join(p, set Principal, sure bool) {
	g.sets[p] = append(g.sets[p], membership{set, sure})
}

// Grant adds a grant.
func (g *Graph) Grant(p Principal, r Grant) { g.grants[p] = append(g.grants[p], r) }

// Under reports whether a place is another one, or below it.
func (g *Graph) Under(p, top Place) bool {
	for range len(g.places) + 1 {
		if p == top {
			return true
		}
		if p == Nowhere {
			return false
		}
		p = g.places[p].parent
	}
	return false
}

// settle lists the accounts that matter so that those below each place stand
// side by side.
func (g *Graph) settle() {
	if g.settled {
		return
	}
	g.settled, g.below = true, g.below[:0]
	seen := make([]bool, len(g.places))
	var visit func(Place)
	visit = func(p Place) {
		if seen[p] {
			return // a circle, which no hierarchy has
		}
		seen[p] = true
		n := &g.places[p]
		n.from = int32(len(g.below))
		if a := n.account; a >= 0 && g.matters(a) {
			g.below = append(g.below, a)
		}
		if g.Order != nil {
			slices.SortFunc(n.children, g.Order)
		}
		for _, c := range n.children {
			visit(c)
		}
		g.places[p].to = int32(len(g.below))
	}
	for p := range g.places {
		if g.places[p].parent == Nowhere {
			visit(Place(p)) // the order of the tops does not matter: nothing is above two of them
		}
	}
}

func (g *Graph) matters(a Principal) bool {
	return g.Matters == nil || g.Matters(a) || len(g.grants[a]) > 0 || len(g.sets[a]) > 0
}

// All lists the grants of a principal and of the sets that it is in. What it
// has only if it is in a set is not sure.
func (g *Graph) All(p Principal, unsure bool) []Grant {
	if len(g.sets[p]) == 0 {
		return g.grants[p]
	}
	out := slices.Clone(g.grants[p])
	for _, m := range g.sets[p] {
		if m.sure || unsure {
			out = append(out, g.grants[m.set]...)
		}
	}
	return out
}

// Opens reduces rights to those that write the policy of what is invoked.
func (r Rights) Opens() Rights { return r & opening }

// Of are the rights that a grant gives, or may give.
func (r Grant) Of(unsure bool) Rights {
	if unsure {
		return r.May
	}
	return r.Sure
}

// deploys returns the grant by which a principal may deploy in the project of
// an account. An account of another project cannot be attached unless an
// organization policy was lifted:
// https://docs.cloud.google.com/iam/docs/attach-service-accounts#attaching-different-project.
func (g *Graph) deploys(list []Grant, account Place, unsure bool) (Grant, bool) {
	home := g.places[account].parent
	for _, r := range list {
		if r.Of(unsure)&deploying != 0 && home != Nowhere && g.Under(home, r.Place) {
			return r, true
		}
	}
	return Grant{}, false
}

// powers says what rights on an account are good for.
func powers(r Rights, deploys bool) Power {
	var p Power
	if r&acting != 0 || r&attaching != 0 && deploys {
		p |= Acting | Token | Delegate
	}
	if r&minting != 0 {
		p |= Token
	}
	if r&delegating != 0 {
		p |= Delegate
	}
	return p
}

// Named is the permission that a visit goes by. The last one of a path names
// the right to an ID token, where there is that: it is all that is needed.
func (v Visit) Named(last bool) string {
	for _, r := range []Rights{v.Rights & minting, v.Rights & acting, v.Rights & attaching, v.Rights & delegating} {
		if r != 0 && (last || r != v.Rights&minting) && (r != v.Rights&attaching || v.Deploys) {
			return r.Permission()
		}
	}
	return v.Rights.Permission()
}

// Deployment is the permission to deploy that a visit takes as well, "" where
// it takes none.
func (v Visit) Deployment() string {
	if !v.Deploys {
		return ""
	}
	return (v.Deploy.May & deploying).Permission()
}

// Parent is the place above, Nowhere at the top.
func (g *Graph) Parent(p Place) Place { return g.places[p].parent }

// Deploys reduces rights to those that deploy.
func (r Rights) Deploys() Rights { return r & deploying }

// SetsPolicyAbove reports whether rights are those to write the policy of an
// account or of what is above it, so that they give what is granted next.
func (r Rights) SetsPolicyAbove() bool { return r&(setting|RightsOf(iam.SetAccountPolicy)) != 0 }
