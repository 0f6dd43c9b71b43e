package iam

import (
	"slices"
	"strings"

	denypb "cloud.google.com/go/iam/apiv2/iampb"

	"diagnose/internal/gcp"
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
	Policy, Rule int    // positions
	Name         string // the policy's short name
	Reason       string
	// Attached says whether the policy hangs above the target; Unknown where
	// that is supposed, and Point is what it hangs on.
	Attached State
	Point    string
	Needs    Document // what would settle an unknown denial
}

// deniable is how deny policies name the permissions that they can deny. The
// invocation of a gen1 function is not among them:
// https://docs.cloud.google.com/iam/docs/deny-permissions-support.
var deniable = func() map[string]string {
	out := map[string]string{
		RunInvoke:    "run.googleapis.com/routes.invoke",
		AccessViaIAP: "iap.googleapis.com/webServiceVersions.accessViaIAP",
	}
	for _, p := range Becoming() {
		service, rest, _ := strings.Cut(p, ".")
		if service == "resourcemanager" {
			service = "cloudresourcemanager"
		}
		out[p] = service + ".googleapis.com/" + rest
	}
	return out
}()

// Deniable reports whether deny policies can deny a permission.
func Deniable(permission string) bool { return deniable[permission] != "" }

// Deny asks the deny policies. Policies are independent of each other: one
// rule that denies is enough, and one on a policy that certainly applies
// counts before one that is only supposed to.
func (q Query) Deny(policies []DenyLayer) Denial {
	permission, ok := deniable[q.Permission]
	out := Denial{State: NotDenied}
	if !ok {
		return out
	}
	for i, p := range policies {
		if p.Attached == NotGranted {
			continue
		}
		for j, r := range p.Policy.GetRules() {
			d := q.denyRule(r.GetDenyRule(), permission)
			d.Policy, d.Rule, d.Attached, d.Point = i, j, p.Attached, p.Point
			d.Name = gcp.Last(p.Policy.GetName())
			if d.stronger(out) {
				out = d
			}
		}
	}
	return out
}

// stronger reports whether a denial counts before another one.
func (d Denial) stronger(than Denial) bool {
	rank := func(d Denial) int {
		switch {
		case d.State == Denied && d.Attached == Granted:
			return 3
		case d.State == Denied:
			return 2
		case d.State == DenyUnknown:
			return 1
		}
		return 0
	}
	return rank(d) > rank(than)
}

func (q Query) denyRule(r *denypb.DenyRule, permission string) Denial {
	no := Denial{State: NotDenied}
	if !anyPermission(r.GetDeniedPermissions(), permission) || anyPermission(r.GetExceptionPermissions(), permission) {
		return no
	}
	denied, by, why := q.principals(r.GetDeniedPrincipals())
	if denied == NotGranted {
		return no
	}
	excepted, exception, whyExcepted := q.principals(r.GetExceptionPrincipals())
	if excepted == Granted {
		return no
	}
	condition := EvalDenial(r.GetDenialCondition(), q.context())
	switch {
	case condition.State == NotGranted:
		return no
	case condition.State == Unknown:
		return Denial{State: DenyUnknown, Needs: conditionDocument(condition), Reason: "it is unknown whether its denial condition is true: " + condition.Reason}
	case denied == Unknown:
		return Denial{State: DenyUnknown, Needs: memberDocument(by), Reason: why}
	case excepted == Unknown:
		return Denial{State: DenyUnknown, Needs: memberDocument(exception), Reason: "an exception may cover the caller: " + whyExcepted}
	}
	return Denial{State: Denied, Reason: "deniedPrincipals has " + by}
}

// anyPermission reports whether a permission is listed, alone or by a group:
// all of a resource (run.googleapis.com/routes.*), all of a service
// (run.googleapis.com/*.*, or /*), or one verb of all resources.
func anyPermission(list []string, permission string) bool {
	return slices.ContainsFunc(list, func(p string) bool { return coversPermission(p, permission) })
}

func coversPermission(pattern, permission string) bool {
	if pattern == permission {
		return true
	}
	service, what, ok := strings.Cut(pattern, "/")
	own, of, _ := strings.Cut(permission, "/")
	if !ok || service != own {
		return false
	}
	if what == "*" {
		return true
	}
	resource, verb, _ := strings.Cut(what, ".")
	ownResource, ownVerb, _ := strings.Cut(of, ".")
	return (resource == "*" || resource == ownResource) && (verb == "*" || verb == ownVerb)
}

// principals says whether a list of deny principals covers the identity.
func (q Query) principals(list []string) (State, string, string) {
	state, by, why := NotGranted, "", ""
	for _, s := range list {
		m := ParseMember(s)
		st, w := q.covers(m)
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
