package rules

import (
	"slices"
	"strings"

	"diagnose/checks"
	"diagnose/internal/caller"
	"diagnose/internal/estate"
	"diagnose/internal/iam"
)

// A repair is a fix and what it changes. A nil change cannot be modelled, and
// the fix's caution says why.
type repair struct {
	checks.Fix
	change func(*estate.Estate)
}

// maxProofs bounds the fixes that are proved in one run, those of the most severe
// findings first: a proof takes about 0.2 ms, and a large scan has thousands of
// fixes.
const maxProofs = 500

// prove judges again what each fix leaves, and says what it does: the finding
// is gone and none comes instead, or another one remains.
func (x *Index) prove(findings []Finding) {
	left := maxProofs
	for i := range findings {
		f := &findings[i]
		if f.propose == nil {
			continue
		}
		var before *Index
		for _, r := range f.propose() {
			switch {
			case r.change == nil:
			case left == 0:
				r.Caution = joined(r.Caution, "not checked: this run has too many findings")
			default:
				left--
				if before == nil {
					before = x.derive(x.scope(f))
				}
				after := x.scope(f)
				r.change(after)
				try(f, &r.Fix, before, x.derive(after))
			}
			f.Fixes = append(f.Fixes, runnable(f, r.Fix))
		}
		f.propose = nil
	}
}

// runnable leaves the commands of gcloud out of the fix of what Terraform
// manages: the next apply would undo them.
func runnable(f *Finding, fix checks.Fix) checks.Fix {
	if f.Where.Address != "" || f.target != nil && f.target.Where.Address != "" {
		fix.Commands = slices.DeleteFunc(slices.Clone(fix.Commands), func(c checks.Command) bool { return len(c.Argv) > 0 && c.Argv[0] == "gcloud" })
	}
	return fix
}

func joined(a, b string) string {
	if a == "" {
		return b
	}
	return a + "; " + b
}

// try fills in what a fix does to a finding.
func try(f *Finding, fix *checks.Fix, before, after *Index) {
	has := func(list []Finding, f Finding) bool {
		return slices.ContainsFunc(list, func(o Finding) bool {
			return o.Fingerprint == f.Fingerprint && slices.ContainsFunc(o.subjects(), func(m string) bool { return slices.Contains(f.subjects(), m) })
		})
	}
	old, now := before.findings(), after.findings()
	if !has(old, *f) || has(now, *f) {
		return // zero: nothing is claimed
	}
	fix.Effect = checks.Leads
	for _, o := range now {
		if o.Severity == Info && !o.Unknown || has(old, o) {
			continue
		}
		if !o.Unknown {
			fix.Effect = checks.Progress
		} else if fix.Effect == checks.Leads {
			fix.Effect = checks.Opens
		}
		if !slices.Contains(fix.Remaining, o.Rule) {
			fix.Remaining = append(fix.Remaining, o.Rule)
		}
	}
	moved(fix, before, after)
}

// moved lists who can invoke after a fix and could not before, and the other
// way round: those whom a binding names, and the callers that documents tell.
func moved(fix *checks.Fix, before, after *Index) {
	for _, c := range diff(before, after) {
		fix.Gains, fix.Loses = append(fix.Gains, c.Gained...), append(fix.Loses, c.Lost...)
	}
	for _, t := range before.order {
		now := after.targets[t.name]
		for _, m := range before.callersOf(t) {
			was, is := before.decide(t, m).State, iam.Granted
			if now != nil {
				is = after.decide(now, m).State
			}
			switch {
			case was == iam.Granted && is != iam.Granted:
				fix.Loses = append(fix.Loses, m)
			case was != iam.Granted && is == iam.Granted:
				fix.Gains = append(fix.Gains, m)
			}
		}
	}
	fix.Gains, fix.Loses = sorted(fix.Gains), sorted(fix.Loses)
	if len(fix.Gains) > 0 {
		fix.Caution = joined(fix.Caution, "it lets in "+strings.Join(fix.Gains, ", "))
	}
	if len(fix.Loses) > 0 {
		fix.Caution = joined(fix.Caution, "it shuts out "+strings.Join(fix.Loses, ", "))
	}
}

func sorted(list []string) []string {
	slices.Sort(list)
	return slices.Compact(list)
}

// callers are the accounts that the documents say call a target: its
// trigger's, those of configured callers, and those that are expected to.
type callers struct {
	of      map[*target][]string
	targets []*target // those that are called, in order
}

func (x *Index) callersOf(t *target) []string {
	if x.known == nil {
		x.known = x.findCallers()
	}
	return x.known.of[t]
}

// called lists the targets of which it is known who calls them.
func (x *Index) called() []*target {
	x.callersOf(nil)
	return x.known.targets
}

func (x *Index) findCallers() *callers {
	k := &callers{of: map[*target][]string{}}
	for i := range x.Callers {
		c := &x.Callers[i]
		if to := x.calledBy(c); to != nil && c.Token == caller.IDToken && c.ServiceAccount != "" {
			k.of[to] = append(k.of[to], "serviceAccount:"+c.ServiceAccount)
		}
	}
	for _, t := range x.order {
		if t.TriggerAccount != "" {
			k.of[t] = append(k.of[t], "serviceAccount:"+t.TriggerAccount)
		}
		for _, e := range x.Expectations {
			if e.Allowed && !isPattern(e.Principal) && x.means(e.Target, t) == iam.Granted {
				k.of[t] = append(k.of[t], e.Principal)
			}
		}
		if k.of[t] != nil {
			k.of[t] = sorted(k.of[t])
			k.targets = append(k.targets, t)
		}
	}
	return k
}

// derive makes an index of a part of the estate.
func (x *Index) derive(e *estate.Estate) *Index {
	o := x.Options
	o.Before = nil
	return indexWith(e, o, x.facts)
}

// maxScope bounds the targets below a node that a fix is proved on: those that
// are known to be called.
const maxScope = 50

// scope copies the part of the estate that the fixes of a finding can touch:
// its target, or the called ones below its node, and the policies from there
// upwards.
func (x *Index) scope(f *Finding) *estate.Estate {
	e := &estate.Estate{
		Deny: x.Deny, Roles: x.Roles, Domains: x.Domains, Fronts: x.Fronts, Groups: x.Groups,
		PoliciesComplete: x.PoliciesComplete, TargetsComplete: x.TargetsComplete,
	}
	targets := x.touched(f)
	keys, nodes := []string{f.key}, f.place.chain()
	for _, t := range targets {
		e.Targets = append(e.Targets, *t.Target)
		keys = append(keys, t.name, x.iapKey(t), v2Mark+x.canonical(t.Function))
		for _, n := range t.above() {
			if !slices.Contains(nodes, n) {
				nodes = append(nodes, n)
			}
		}
	}
	if f.way != nil {
		more, above := x.graph.along(*f.way, e)
		keys = append(keys, more...)
		for _, n := range above {
			if !slices.Contains(nodes, n) {
				nodes = append(nodes, n)
			}
		}
	}
	for _, n := range nodes {
		keys = append(keys, nodeKey(n))
		if n.self != nil {
			e.Nodes = append(e.Nodes, *n.self)
		}
	}
	for _, key := range sorted(keys) {
		for _, p := range x.policies[key] {
			e.Policies = append(e.Policies, *p)
		}
	}
	for i := range x.Callers {
		if t := x.calledBy(&x.Callers[i]); t != nil && slices.Contains(targets, t) {
			e.Callers = append(e.Callers, x.Callers[i])
		}
	}
	for _, l := range x.Lost {
		if slices.Contains(keys, x.key(&l.Policy)) {
			e.Lost = append(e.Lost, l)
		}
	}
	return e
}

// touched lists the targets that the fixes of a finding can touch.
func (x *Index) touched(f *Finding) []*target {
	if f.target != nil {
		return []*target{f.target}
	}
	var out []*target
	for _, t := range x.called() {
		if len(out) < maxScope && f.place != nil && t.node.under(f.place) {
			out = append(out, t)
		}
	}
	return out
}

// edit changes the bindings of the policies that fit, on a copy of them.
func edit(e *estate.Estate, of *estate.Policy, change func(*estate.Binding)) {
	for i := range e.Policies {
		p := &e.Policies[i]
		if p.Resource != of.Resource || p.Of != of.Of || p.Root != of.Root || p.V2Function != of.V2Function {
			continue
		}
		p.Bindings = slices.Clone(p.Bindings)
		for k := range p.Bindings {
			change(&p.Bindings[k])
		}
	}
}

// without takes a member out of its binding: of every condition where the
// binding has one, as the command does.
func without(e *estate.Estate, g *grant) {
	edit(e, g.policy, func(b *estate.Binding) {
		sameWhere := b.Where == g.binding.Where || g.binding.Condition != nil
		if b.Role != g.role || !sameWhere || (b.Condition == nil) != (g.binding.Condition == nil) {
			return
		}
		b.Members = slices.DeleteFunc(slices.Clone(b.Members), func(m string) bool { return m == g.member.String() })
	})
}

// bind grants a role on a target, or on its IAP.
func bind(e *estate.Estate, t *target, resource, member, role string) {
	e.Policies = append(slices.Clone(e.Policies), estate.Policy{
		Resource: resource, Of: t.Where.Address, Root: t.Root,
		Bindings: []estate.Binding{{Role: role, Members: []string{member}}},
	})
}

// onTargets changes a target.
func onTargets(e *estate.Estate, t *target, change func(*estate.Target)) {
	for i := range e.Targets {
		if o := &e.Targets[i]; o.Name == t.Target.Name && o.Root == t.Root && o.Where.Address == t.Where.Address {
			change(o)
		}
	}
}
