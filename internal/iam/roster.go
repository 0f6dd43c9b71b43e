package iam

import (
	"cloud.google.com/go/iam/apiv1/iampb"

	"diagnose/internal/gcp"
)

// A Roster is an allow policy, sorted by the accounts that it names, so that
// asking about each of many accounts does not go through all of them each time.
type Roster struct {
	policy   *iampb.Policy
	accounts map[named][]place
	others   []place // members that are not one account, or not for certain
}

// A named account is a user or service account, by its e-mail.
type named struct {
	kind  Kind
	value string
}

// A place is a position of a binding, and of a member in it.
type place struct{ binding, member int }

// NewRoster sorts a policy.
func NewRoster(p *iampb.Policy) *Roster {
	r := &Roster{policy: p, accounts: map[named][]place{}}
	for i, b := range p.GetBindings() {
		for k, s := range b.GetMembers() {
			if a, ok := accountNamed(ParseMember(s)); ok {
				r.accounts[a] = append(r.accounts[a], place{i, k})
			} else {
				r.others = append(r.others, place{i, k})
			}
		}
	}
	return r
}

// accountNamed is the account that a member names, and none for a member that may
// cover another one: a service agent may be that of another universe.
func accountNamed(m Member) (named, bool) {
	one := (m.Kind == User || m.Kind == ServiceAccount) && !m.Deleted && !gcp.NamedAsAgent(m.Value)
	return named{m.Kind, m.Value}, one
}

// About is the policy as far as it can matter to an identity: the members left
// out are other accounts. Every decision about the identity is that of the whole
// policy.
func (r *Roster) About(id Identity) *iampb.Policy {
	a, ok := accountNamed(id.Member)
	if !ok || id.Anonymous || !id.known() {
		return r.policy
	}
	out := &iampb.Policy{}
	all := r.policy.GetBindings()
	mine, others, last := r.accounts[a], r.others, -1
	for len(mine)+len(others) > 0 {
		next := &mine
		if len(mine) == 0 || len(others) > 0 && others[0].before(mine[0]) {
			next = &others
		}
		p := (*next)[0]
		*next = (*next)[1:]
		b := all[p.binding]
		if p.binding != last {
			out.Bindings = append(out.Bindings, &iampb.Binding{Role: b.GetRole(), Condition: b.GetCondition()})
			last = p.binding
		}
		now := out.Bindings[len(out.Bindings)-1]
		now.Members = append(now.Members, b.GetMembers()[p.member])
	}
	return out
}

func (p place) before(o place) bool {
	return p.binding < o.binding || p.binding == o.binding && p.member < o.member
}

// About is the door as far as its policies can matter to an identity. sorted
// returns the roster of a policy, nil for one that is better asked as it is.
// The positions in a decision are then those of the policies that are left.
func (d Door) About(id Identity, sorted func(*iampb.Policy) *Roster) Door {
	q := &d.Invoke
	if d.IAPOn == Granted {
		q = &d.IAP // the invocation is asked about IAP's agent
	}
	layers := make([]Layer, len(q.Layers))
	for i, l := range q.Layers {
		if r := sorted(l.Policy); r != nil {
			l.Policy = r.About(id)
		}
		layers[i] = l
	}
	q.Layers = layers
	return d
}
