package rules

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"cloud.google.com/go/iam/apiv1/iampb"

	"diagnose/internal/estate"
	"diagnose/internal/gcp"
	"diagnose/internal/iam"
)

// members lists the members granted on a target, on its IAP or above, those of
// listed groups too, and says why there may be more.
func (x *Index) members(t *target) (members []string, open string) {
	d := x.door(t)
	layers := d.Invoke.Layers
	if t.behind() {
		layers = d.IAP.Layers
	}
	for i, l := range layers {
		if i == 0 {
			open = l.Reason
		}
		open = cmp.Or(l.Hidden, open)
		for _, b := range l.Policy.GetBindings() {
			for _, m := range b.GetMembers() {
				members = append(append(members, m), x.Groups[m]...)
			}
		}
	}
	return sorted(members), open
}

// fitting lists the members granted on a target whom the pattern of an
// expectation fits, and says why there may be more. A pattern of accounts that
// must not get in fits the accounts of a group or domain too, and anyone.
func (x *Index) fitting(e Expectation, t *target) (fit []string, open string) {
	all, open := x.members(t)
	accounts := strings.HasPrefix(e.Principal, "user:") || strings.HasPrefix(e.Principal, "serviceAccount:")
	for _, m := range all {
		if matches(e.Principal, m) || !e.Allowed && accounts && covers(iam.ParseMember(m), e.Principal) {
			fit = append(fit, m)
		}
	}
	if e.Allowed || len(fit) > 0 {
		return fit, open
	}
	if x.door(t).Admit(iam.Anonymous()).State == iam.Granted {
		return []string{"allUsers"}, "" // without a binding where the invoker check is off
	}
	if accounts && open == "" {
		e.Principal, e.inside = strings.ReplaceAll(e.Principal, "*", "anyone"), true
		if d := x.expectedOf(e, t); d.State == iam.Unknown {
			open = d.Reason // a group of which nobody knows who is in it
		}
	}
	return nil, open
}

// covers reports whether a member stands for accounts of which some fit a
// pattern, for certain.
func covers(m iam.Member, pattern string) bool {
	switch m.Kind {
	case iam.AllUsers, iam.AllAuthenticatedUsers:
		return true
	case iam.Domain:
		return overlap(pattern, "user:"+anyPart+"@"+m.Value)
	}
	return false
}

// others lists the members granted on a target beside those who alone may
// invoke it, and says why there may be more.
func (x *Index) others(e Expectation, t *target) (others []string, open string) {
	all, open := x.members(t)
	switch d := x.door(t).Admit(iam.Anonymous()); d.State {
	case iam.Granted:
		all = append(all, "allUsers") // without a binding where the invoker check is off
	case iam.Unknown:
		open = cmp.Or(open, d.Reason)
	}
	for _, m := range sorted(all) {
		if !x.among(e.Only, m) {
			others = append(others, m)
		}
	}
	return others, open
}

// among reports whether a member is known to be one of a list, or within one:
// by a pattern, or as an account of a listed group or a domain.
func (x *Index) among(list []string, member string) bool {
	q := iam.Question{Query: x.query(iam.RunInvoke), CheckOff: iam.NotGranted, Above: true, DenyRead: true}
	q.Identity = iam.IdentityOf(member)
	q.Layers = []iam.Layer{{Policy: &iampb.Policy{Bindings: []*iampb.Binding{{Role: "roles/run.invoker", Members: list}}}}}
	return slices.ContainsFunc(list, func(one string) bool { return matches(one, member) }) ||
		len(list) > 0 && q.Decide().State == iam.Granted
}

// onDefaultURL reports whether a host is that of a default URL.
func onDefaultURL(host string) bool { return gcp.ParseHost(host).FrontEnd() }

// Draft states who may invoke what in an estate, and that nobody else from
// outside may: expectations to be read, and kept where they are meant.
func Draft(e *estate.Estate, o Options) []Expectation {
	x := newIndex(e, o)
	var out []Expectation
	for _, t := range x.withBare() {
		name := t.name
		if !whole(name) {
			name = cmp.Or(t.Where.Address, shortName(t.name))
		}
		x.targets[t.name] = t
		for _, m := range slices.Sorted(maps.Keys(x.holders(t.name))) {
			if x.expectedOf(Expectation{Principal: m}, t).State == iam.Granted {
				out = append(out, Expectation{Principal: m, Target: name, Allowed: true})
			}
		}
		if x.expectedOf(Expectation{Principal: "allUsers"}, t).State == iam.NotGranted {
			out = append(out, Expectation{Principal: "allUsers", Target: name})
		}
	}
	return out
}
