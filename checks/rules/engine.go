package rules

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"diagnose/internal/estate"
	"diagnose/internal/iam"
)

// Rules lists every rule.
func Rules() []Rule {
	return slices.Concat(broadRules, exposureRules, ineffectiveRules, callerRules, changeRules, indirectRules)
}

// Find returns the rule with an ID.
func Find(id string) (Rule, bool) {
	for _, r := range Rules() {
		if r.ID == id {
			return r, true
		}
	}
	return Rule{}, false
}

// Judge asks every rule about an estate. Where a before is given, it also says
// who gained and who lost access.
func Judge(e *estate.Estate, o Options) Result {
	x := newIndex(e, o)
	if o.Before != nil {
		earlier := o
		earlier.Before = nil
		x.before = newIndex(o.Before, earlier)
	}
	r := Result{Findings: x.findings()}
	if x.before != nil {
		r.Changes = diff(x.before, x)
		if o.OnlyNew {
			r.Findings, _ = baselineOf(x.before.findings()).fresh(r.Findings)
		}
	}
	x.prove(r.Findings)
	r.Summary = x.summary(r.Findings)
	r.Missing = x.accountsMissing()
	return r
}

// findings runs the rules and ranks what they find.
func (x *Index) findings() []Finding {
	var out []Finding
	for _, r := range Rules() {
		found := r.Run(x)
		for i := range found {
			f := &found[i]
			f.Rule = r.ID
			if f.Severity == 0 {
				f.Severity = r.Severity
			}
			if f.Unknown && f.Severity > Low {
				f.Severity = Low // it may be so, and may not
			}
			if s, ok := x.Severities[r.ID]; ok {
				f.Severity = s
			}
			if f.ResourceType == "" {
				f.ResourceType = resourceType(f.Resource)
			}
			named := *f
			named.Resource, named.GrantedOn = plainName(f.Resource), plainName(f.GrantedOn)
			f.Suppressed = x.ignored(named)
		}
		if x.OnePerBinding {
			found = x.merged(found)
		}
		for i := range found {
			f := &found[i]
			f.Fingerprint = x.fingerprint(*f)
			f.Resource, f.GrantedOn = plainName(f.Resource), plainName(f.GrantedOn)
		}
		out = append(out, found...)
	}
	slices.SortStableFunc(out, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(b.Severity, a.Severity), cmp.Compare(b.Reach.Services, a.Reach.Services), cmp.Compare(a.Rule, b.Rule),
			cmp.Compare(a.Resource, b.Resource), cmp.Compare(a.GrantedOn, b.GrantedOn), cmp.Compare(a.Member, b.Member), cmp.Compare(a.Role, b.Role), cmp.Compare(a.Fingerprint, b.Fingerprint))
	})
	return slices.CompactFunc(out, func(a, b Finding) bool {
		return a.Fingerprint == b.Fingerprint && a.Rule == b.Rule && a.Member == b.Member
	})
}

// fingerprint names a finding by what it is about, wherever it stands. Of one
// about several members it names the binding, whoever they are.
func (x *Index) fingerprint(f Finding) string {
	who := f.Member
	if f.Members != nil {
		who = f.detail
	}
	parts := []string{f.Rule, x.canonical(f.Resource), f.Role, who, x.canonical(f.GrantedOn), f.Condition}
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:10])
}

// ignored returns the reason of the ignore that covers a finding, or "".
func (x *Index) ignored(f Finding) string {
	for _, i := range x.Ignores {
		if !i.expired(x.Now) && i.covers(f) {
			return i.Reason
		}
	}
	return ""
}

func (i Ignore) expired(now time.Time) bool { return !i.Expires.IsZero() && !now.Before(i.Expires) }

func (i Ignore) covers(f Finding) bool {
	if i.Rule != "" && i.Rule != "*" && i.Rule != f.Rule {
		return false
	}
	if i.Lines[1] > 0 && (f.Where.File != i.Where.File || f.Where.Line < i.Lines[0] || f.Where.Line > i.Lines[1]) {
		return false
	}
	return (i.Resource == "" || matches(i.Resource, f.Resource, shortName(f.Resource), f.GrantedOn, f.Where.Address)) && (i.Member == "" || matches(i.Member, f.Member))
}

func (x *Index) summary(findings []Finding) Summary {
	s := Summary{Complete: x.TargetsComplete}
	for _, u := range append(slices.Clone(x.Unread), x.open()...) {
		if into := &s.Unread; u.Aside {
			s.Aside = append(s.Aside, u)
		} else if !slices.Contains(*into, u) {
			*into = append(*into, u)
		}
	}
	for _, t := range x.order {
		if t.Gen1 {
			s.Functions++
		} else {
			s.Services++
		}
		switch {
		case t.open():
			s.Public++
		case !t.public.Certain():
			s.PublicUnknown++
		}
	}
	for _, f := range findings {
		if n := x.nodes[f.Node]; n != nil && f.Suppressed == "" {
			for _, n := range n.chain() {
				n.findings++
			}
		}
	}
	for _, n := range x.nodes {
		if n.all == 0 && n.findings == 0 {
			continue
		}
		e := Exposure{Name: n.name, Title: n.title, Targets: n.all, Public: n.public, Findings: n.findings}
		if n.parent != nil {
			e.Parent = n.parent.name
		}
		s.Exposure = append(s.Exposure, e)
	}
	slices.SortFunc(s.Exposure, func(a, b Exposure) int {
		return cmp.Or(cmp.Compare(len(x.nodes[a.Name].chain()), len(x.nodes[b.Name].chain())), cmp.Compare(a.Name, b.Name))
	})
	return s
}

// open lists what is not known of the bindings and targets, as before a change
// is applied: it may open what nobody sees yet.
func (x *Index) open() []estate.Unread {
	var out []estate.Unread
	for i := range x.Policies {
		for _, b := range x.Policies[i].Bindings {
			if b.Open != "" && !b.NotAnyone && x.mayInvoke(b.Role) {
				what := "who gets " + orWord(b.Role, "which role") + " on " + x.subject(&x.Policies[i])
				out = append(out, estate.Unread{What: what, Reason: b.Open, Where: b.Where})
			}
		}
	}
	for _, t := range x.order {
		if t.Bare {
			continue // the input says so of all of them at once
		}
		if t.Ingress == estate.UnknownIngress {
			out = append(out, estate.Unread{What: "the ingress of " + shortName(t.name), Reason: "not known yet", Where: t.Where})
		}
		if t.Check == estate.Unknown && t.Function == "" {
			out = append(out, estate.Unread{What: "whether the invoker IAM check of " + shortName(t.name) + " is on", Reason: "not known yet", Where: t.Where})
		}
	}
	return out
}

// mayInvoke reports whether a role has a permission that lets a caller in, or
// may have one.
func (x *Index) mayInvoke(role string) bool {
	return slices.ContainsFunc([]string{iam.RunInvoke, iam.FunctionsInvoke, iam.AccessViaIAP}, func(p string) bool { return x.mayCarry(role, p) })
}

// about starts a finding about a grant.
func (x *Index) about(g *grant, format string, args ...any) Finding {
	f := Finding{
		Resource: g.on, GrantedOn: g.on, Role: g.role, Member: g.member.String(), Message: fmt.Sprintf(format, args...),
		Condition: g.binding.Condition.GetExpression(), Where: g.binding.Where,
	}
	if g.target != nil && g.kind == onTarget {
		f.ResourceType = resourceType(g.target.full)
	}
	f.target, f.place, f.key, f.grant = g.target, g.node, x.key(g.policy), g
	if g.node != nil {
		f.Node = g.node.name
	}
	if f.Where == (estate.Where{}) {
		f.Where = g.policy.Where
	}
	return f
}

// aboutTarget starts a finding about a target.
func aboutTarget(t *target, format string, args ...any) Finding {
	f := Finding{Resource: t.name, ResourceType: resourceType(t.full), Message: fmt.Sprintf(format, args...), Where: t.Where}
	f.target, f.place, f.key = t, t.node, t.name
	if t.node != nil {
		f.Node = t.node.name
	}
	return f
}

// ofGrants makes the Run of a rule that looks at one grant at a time.
func ofGrants(find func(*Index, *grant) (Finding, bool)) func(*Index) []Finding {
	return func(x *Index) []Finding {
		var out []Finding
		for g := range x.eachGrant() {
			if f, bad := find(x, g); bad {
				out = append(out, f)
			}
		}
		return out
	}
}

// ofTargets makes the Run of a rule that looks at one target at a time.
func ofTargets(find func(*Index, *target) (Finding, bool)) func(*Index) []Finding {
	return func(x *Index) []Finding {
		var out []Finding
		for _, t := range x.order {
			if f, bad := find(x, t); bad {
				out = append(out, f)
			}
		}
		return out
	}
}
