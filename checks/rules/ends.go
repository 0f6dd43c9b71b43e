package rules

import (
	"slices"
	"strings"

	"diagnose/internal/iam"
)

// ends are the grants at which paths can end: what lets accounts invoke.
type ends struct {
	x     *Index
	exact map[string][]end    // by identityKey of the account
	wide  []end               // of sets of accounts
	below map[*node][]*target // targets in and under a node
}

// An end is one target that an account may be able to invoke, or all of those
// below a node.
type end struct {
	target *target
	grant  *grant // on a node; nil where target is set
}

func (b *becoming) findEnds() ends {
	e := ends{x: b.x, exact: map[string][]end{}, below: map[*node][]*target{}}
	for _, t := range b.x.order {
		for _, n := range t.above() {
			e.below[n] = append(e.below[n], t)
		}
		if t.behind() {
			for _, h := range b.x.door(t).IAP.Holdings() {
				if h.May != iam.NotGranted {
					e.add(b, h.Member, end{target: t})
				}
			}
		}
	}
	for _, list := range e.below {
		slices.SortFunc(list, byName)
	}
	for g := range b.x.eachGrant() {
		switch {
		case g.may == iam.NotGranted || g.kind == onFunction || g.kind == onIAP || g.kind == onEither:
		case g.kind == onTarget && g.target != nil && !g.target.behind():
			e.add(b, g.member, end{target: g.target})
		case g.kind == onNode:
			e.add(b, g.member, end{grant: g})
		}
	}
	for _, list := range e.exact {
		slices.SortStableFunc(list, func(a, b end) int { return strings.Compare(e.first(a), e.first(b)) })
	}
	return e
}

// add keeps the end of one account, or of a set of accounts. What anyone may
// invoke gains nobody anything.
func (e *ends) add(b *becoming, m iam.Member, at end) {
	switch m.Kind {
	case iam.ServiceAccount:
		key := identityKey(m)
		e.exact[key] = append(e.exact[key], at)
		b.principal(m)
	case iam.AllAuthenticatedUsers, iam.ServiceAccountSet:
		e.wide = append(e.wide, at)
	case iam.Group:
		if len(b.x.Groups) > 0 {
			e.wide = append(e.wide, at)
		}
	}
}

// any reports whether an account may be able to invoke something.
func (e *ends) any(m iam.Member) bool {
	return m.Kind == iam.ServiceAccount && (len(e.wide) > 0 || len(e.exact[identityKey(m)]) > 0)
}

// of lists the ends of an account.
func (e *ends) of(m iam.Member) []end {
	if len(e.wide) == 0 {
		return e.exact[identityKey(m)]
	}
	return append(slices.Clone(e.exact[identityKey(m)]), e.wide...)
}

// targets lists what an end is about, in order.
func (e *ends) targets(at end) []*target {
	if at.target != nil {
		return []*target{at.target}
	}
	return e.below[at.grant.node]
}

// may decides whether a member may invoke a target.
func (x *Index) may(m iam.Member, t *target) iam.State {
	return x.door(t).Admit(x.identity(m)).State
}

// gained returns the first target that an account may invoke and a member may
// not, nil where there is none. sure says that both are known: unsure is the
// state of the member's own access then.
func (e *ends) gained(m, account iam.Member, only *target, unsure bool) *target {
	for _, at := range e.of(account) {
		for _, t := range e.targets(at) {
			if only != nil && t != only {
				continue
			}
			s := e.x.may(account, t)
			if s == iam.Granted || unsure && s == iam.Unknown {
				if e.x.may(m, t) != iam.Granted {
					return t
				}
			}
		}
	}
	return nil
}

func byName(a, b *target) int { return strings.Compare(a.name, b.name) }

// first is the target of an end that comes first by name.
func (e *ends) first(at end) string {
	if list := e.targets(at); len(list) > 0 {
		return list[0].name
	}
	return ""
}
