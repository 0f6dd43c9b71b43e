package iam

import (
	"cloud.google.com/go/iam/apiv1/iampb"
)

// A Level is the kind of resource that a policy hangs on.
type Level int

// The levels, from the target upwards.
const (
	Service Level = iota
	Function
	Project
	Folder
	Organization
)

// A Layer is one allow policy on the path from the target upwards. A nil
// Policy was not read. Reason says why, or why a policy that was read may have
// more bindings than are shown.
type Layer struct {
	Resource string
	Level    Level
	Policy   *iampb.Policy
	Reason   string
	// Hidden says why a binding that is there is not shown, as one whose
	// members are known after apply: it may grant to anyone. It is "" where
	// there is none.
	Hidden string
}

// A Query asks whether one identity holds one permission.
type Query struct {
	Permission string
	Identity   Identity
	Roles      Roles
	Groups     Groups
	Context    Context
}

// A BindingAccess explains one binding: role, membership and condition apart.
type BindingAccess struct {
	Layer, Binding   int // positions
	Role             string
	Carries          State
	CarriesReason    string
	Member           string // the member that decides, "" where none does
	Membership       State
	MembershipReason string
	Condition        Condition
	State            State
	Reason           string // why it is not granted, or unknown
}

// An Access is the answer of the allow policies that were read. The zero
// Access is unknown.
type Access struct {
	State    State
	Bindings []BindingAccess // every binding, in order
}

// Allow asks the allow policies that were read. One binding can show a grant;
// that none does is the answer of these alone, and Decide's to complete.
func (q Query) Allow(layers []Layer) Access {
	a := Access{State: NotGranted}
	for i, l := range layers {
		for j, b := range l.Policy.GetBindings() {
			x := q.binding(b)
			x.Layer, x.Binding = i, j
			a.Bindings = append(a.Bindings, x)
			if x.State == Granted || x.State == Unknown && a.State == NotGranted {
				a.State = x.State
			}
		}
	}
	return a
}

// context is what conditions see where the query's permission is asked about.
func (q Query) context() Context {
	c := q.Context
	c.Permission = q.Permission
	return c
}

func (q Query) binding(b *iampb.Binding) BindingAccess {
	x := BindingAccess{Role: b.GetRole(), Membership: NotGranted}
	x.Carries, x.CarriesReason = q.Roles.Carries(b.GetRole(), q.Permission)
	for _, s := range b.GetMembers() {
		st, why := q.covers(ParseMember(s))
		if st == Granted || st == Unknown && x.Membership != Granted || x.MembershipReason == "" && x.Membership == NotGranted {
			if rankOf(st) >= rankOf(x.Membership) {
				x.Membership, x.MembershipReason, x.Member = st, why, s
			}
		}
		if st == Granted {
			break
		}
	}
	if x.Membership == NotGranted || x.Carries == NotGranted {
		x.State, x.Reason = NotGranted, firstOf(x.MembershipReason, x.CarriesReason)
		// The condition matters only to those who are told that it is what
		// stands in the way.
		x.Condition = Condition{State: Granted}
		return x
	}
	x.Condition = EvalCondition(b.GetCondition(), q.context())
	x.State = both(both(x.Carries, x.Membership), x.Condition.State)
	if x.State != Granted {
		x.Reason = firstOf(x.reasonOf(x.State)...)
	}
	return x
}

// reasonOf lists the reasons of the parts that have the given state.
func (x BindingAccess) reasonOf(s State) []string {
	var out []string
	for _, p := range []struct {
		state State
		why   string
	}{{x.Carries, x.CarriesReason}, {x.Membership, x.MembershipReason}, {x.Condition.State, x.Condition.Reason}} {
		if p.state == s {
			out = append(out, p.why)
		}
	}
	return out
}

func rankOf(s State) int {
	switch s {
	case Granted:
		return 2
	case Unknown:
		return 1
	}
	return 0
}

func firstOf(list ...string) string {
	for _, s := range list {
		if s != "" {
			return s
		}
	}
	return ""
}
