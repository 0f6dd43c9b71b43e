package iam

import (
	"net/url"
	"strings"

	denypb "cloud.google.com/go/iam/apiv2/iampb"
)

// A DenyState says what the deny policies answer. The zero DenyState is
// unknown.
type DenyState int

// The deny states.
const (
	DenyUnknown DenyState = iota
	NotDenied
	Denied
)

// A Denial is the answer of the deny policies, with the rule that decided.
type Denial struct {
	State        DenyState
	Policy, Rule int
	Reason       string
}

// AttachmentPoint returns the resource that a deny policy hangs on, from its
// name "policies/ATTACHMENT/denypolicies/ID", or "" where the name has none.
func AttachmentPoint(name string) string {
	parts := strings.Split(name, "/")
	if len(parts) < 2 || parts[0] != "policies" {
		return ""
	}
	point, err := url.PathUnescape(parts[1])
	if err != nil {
		return ""
	}
	return point
}

// deniable is how deny policies name the permissions that they can deny. The
// invocation of a gen1 function is not among them:
// https://docs.cloud.google.com/iam/docs/deny-permissions-support.
var deniable = map[string]string{RunInvoke: "run.googleapis.com/routes.invoke"}

// Deny asks the deny policies, a nil one being skipped. Policies are
// independent of each other: one rule that denies is enough.
func (q Query) Deny(policies []*denypb.Policy) Denial {
	permission, ok := deniable[q.Permission]
	out := Denial{State: NotDenied}
	if !ok {
		return out
	}
	for i, p := range policies {
		for j, r := range p.GetRules() {
			state, why := q.denyRule(r.GetDenyRule(), permission)
			switch state {
			case Denied:
				return Denial{Denied, i, j, why}
			case DenyUnknown:
				if out.State == NotDenied {
					out = Denial{DenyUnknown, i, j, why}
				}
			}
		}
	}
	return out
}

func (q Query) denyRule(r *denypb.DenyRule, permission string) (DenyState, string) {
	if !anyPermission(r.GetDeniedPermissions(), permission) || anyPermission(r.GetExceptionPermissions(), permission) {
		return NotDenied, ""
	}
	denied, by, why := q.principals(r.GetDeniedPrincipals())
	if denied == NotGranted {
		return NotDenied, ""
	}
	excepted, _, whyExcepted := q.principals(r.GetExceptionPrincipals())
	if excepted == Granted {
		return NotDenied, ""
	}
	condition := evalDenial(r.GetDenialCondition(), q.Context)
	switch {
	case condition == NotGranted:
		return NotDenied, ""
	case condition == Unknown:
		return DenyUnknown, "its denial condition depends on the tags of the service, which are not known"
	case denied == Unknown:
		return DenyUnknown, why
	case excepted == Unknown:
		return DenyUnknown, "an exception may cover the caller: " + whyExcepted
	}
	return Denied, "deniedPrincipals has " + by
}

// anyPermission reports whether a permission is listed, alone or by a group
// such as run.googleapis.com/routes.* or run.googleapis.com/*.
func anyPermission(list []string, permission string) bool {
	for _, p := range list {
		if p == permission {
			return true
		}
		if prefix, ok := strings.CutSuffix(p, "*"); ok {
			prefix = strings.TrimSuffix(strings.TrimSuffix(prefix, "."), "*.")
			if prefix = strings.TrimSuffix(prefix, "*"); prefix != "" && strings.HasPrefix(permission, prefix) {
				return true
			}
		}
	}
	return false
}

// principals says whether a list of deny principals covers the identity.
func (q Query) principals(list []string) (State, string, string) {
	state, by, why := NotGranted, "", ""
	for _, s := range list {
		m := ParseMember(s)
		st, w := m.matches(q.Identity, q.Groups)
		switch {
		case st == Granted:
			return Granted, s, ""
		case m.Kind == OtherMember && st != NotGranted, st == Unknown:
			state, by, why = Unknown, s, w
		}
	}
	return state, by, why
}

// Denies reports whether a deny rule is about a permission, whomever it
// denies it to.
func Denies(r *denypb.DenyRule, permission string) bool {
	p, ok := deniable[permission]
	return ok && anyPermission(r.GetDeniedPermissions(), p) && !anyPermission(r.GetExceptionPermissions(), p)
}
