package rules

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"diagnose/checks"
	"diagnose/internal/estate"
	"diagnose/internal/iam"
)

// changeRules are about a change before it is applied, and about what was
// stated of it.
var changeRules = []Rule{planConflict, accessExpectation, ignoreExpired}

var planConflict = Rule{
	ID: "plan-conflict", Title: "resources that overwrite each other's bindings", Severity: High, Confidence: checks.Documented,
	Ref: "https://registry.terraform.io/providers/hashicorp/google/latest/docs/resources/cloud_run_v2_service_iam",
	Doc: `An _iam_policy resource owns the whole policy, and an _iam_binding all members of its role. Beside another resource for the
same policy or role each apply takes away what the other one grants. Keep one kind of them.`,
	Run: func(j *Judgement) []Finding {
		var out []Finding
		for _, name := range j.policyNames() {
			if strings.HasSuffix(name, "/-") {
				continue // resources whose names are not known yet need not be one
			}
			owners := j.owners(name)
			name = strings.TrimPrefix(name, v2Mark)
			for i, a := range owners {
				for _, b := range owners[i+1:] {
					if why := conflict(a, b); why != "" {
						f := Finding{Resource: name, GrantedOn: name, Role: a.binding.Role, Member: b.binding.Where.Address, Where: a.binding.Where,
							Message: fmt.Sprintf("%s and %s fight over %s: %s", addressWord(a), addressWord(b), shortName(name), why)}
						f.Fixes = []checks.Fix{{ID: "one-kind-of-iam-resource", Summary: "Keep one kind of IAM resource for " + shortName(name) + ": _iam_member for each member, or one _iam_binding for each role, or one _iam_policy"}}
						out = append(out, f)
					}
				}
			}
		}
		return out
	},
}

func (j *Judgement) policyNames() []string {
	var names []string
	for i := range j.Policies {
		if n := j.key(&j.Policies[i]); !slices.Contains(names[max(0, len(names)-8):], n) {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// An owner is one Terraform resource and a role that it claims.
type owner struct{ binding *estate.Binding }

func addressWord(o owner) string {
	if o.binding.Where.Address != "" {
		return o.binding.Where.Address
	}
	return "one resource"
}

// owners lists the resources that configure a policy, once for each role.
func (j *Judgement) owners(name string) []owner {
	var out []owner
	for _, p := range j.policies[name] {
		for i := range p.Bindings {
			b := &p.Bindings[i]
			if b.Authority == estate.NoAuthority || slices.ContainsFunc(out, func(o owner) bool {
				return o.binding.Where == b.Where && (o.binding.Role == b.Role || b.Authority == estate.PolicyAuthority)
			}) {
				continue
			}
			out = append(out, owner{b})
		}
	}
	return out
}

func conflict(a, b owner) string {
	x, y := a.binding, b.binding
	if x.Where == y.Where || x.Where.Address == y.Where.Address && x.Where.Address != "" {
		return ""
	}
	same := x.Role == y.Role && x.Condition.GetExpression() == y.Condition.GetExpression()
	switch {
	case x.Authority == estate.PolicyAuthority || y.Authority == estate.PolicyAuthority:
		return "one owns the whole policy"
	case same && x.Authority == estate.RoleAuthority && y.Authority == estate.RoleAuthority:
		return "each owns all members of " + x.Role
	case same && x.Authority != y.Authority:
		return "one owns all members of " + x.Role
	}
	return ""
}

var accessExpectation = Rule{
	ID: "access-expectation", Title: "an expectation does not hold", Severity: High, Confidence: checks.Documented, Ref: accessPage,
	Doc: `The configuration states who must, and who must not, be able to invoke what. The same engine that judges an invocation says
otherwise for the state after the change.`,
	Run: func(j *Judgement) []Finding {
		var out []Finding
		for _, e := range j.Expectations {
			found := false
			for _, t := range j.order {
				if !matches(e.Target, t.name, shortName(t.name), parse(t.name).id, j.canonical(t.Function), t.Where.Address) && !slices.Contains(t.URLs, e.Target) {
					continue
				}
				found = true
				if f, bad := j.unexpected(e, t); bad {
					out = append(out, f)
				}
			}
			if !found {
				out = append(out, Finding{Resource: e.Target, Member: e.Principal, Where: e.Where, Message: fmt.Sprintf("%s is stated to be able, or not, to invoke %s, and there is no such service here", e.Principal, e.Target), Severity: Medium})
			}
		}
		return out
	},
}

func (j *Judgement) unexpected(e Expectation, t *target) (Finding, bool) {
	a := j.decide(t, e.Principal)
	want := iam.NotGranted
	verb := "must not"
	if e.Allowed {
		want, verb = iam.Granted, "must"
	}
	if a.state == want {
		return Finding{}, false
	}
	f := aboutTarget(t, "%s %s be able to invoke %s: %s", e.Principal, verb, shortName(t.name), a.reason)
	f.Member, f.Where = e.Principal, e.Where
	if a.state == iam.Unknown {
		f.Message = fmt.Sprintf("%s %s be able to invoke %s, and that is not known: %s", e.Principal, verb, shortName(t.name), a.reason)
		f.Severity, f.Unknown = Low, true
	}
	if e.Allowed {
		f.Fixes = []checks.Fix{grantInvoker(t, e.Principal)}
	}
	return f, true
}

var ignoreExpired = Rule{
	ID: "ignore-expired", Title: "an ignore that has expired", Severity: Medium, Confidence: checks.Documented, Ref: accessPage,
	Doc: `The configuration ignored a finding until a day that has passed. Repair what was ignored, or give a new day with its reason.`,
	Run: func(j *Judgement) []Finding {
		var out []Finding
		for _, i := range j.Ignores {
			if i.expired(j.Now) {
				out = append(out, Finding{Resource: i.Resource, Member: i.Member, Role: i.Rule, Where: i.Where,
					Message: fmt.Sprintf("the ignore of %s (%s) expired on %s", orWord(i.Rule, "every rule"), i.Reason, i.Expires.UTC().Format("2006-01-02"))})
			}
		}
		return out
	},
}

func orWord(s, other string) string {
	if s == "" || s == "*" {
		return other
	}
	return s
}

// diff says for each resource who may invoke after a change and could not
// before, and the other way round. Who holds the permission by another way is
// not counted.
func diff(before, after *Judgement) []Change {
	var out []Change
	for _, name := range unionOf(before, after) {
		c := Change{Target: name}
		old, now := before.holders(name), after.holders(name)
		for m, g := range now {
			if old[m] == nil && !before.holds(name, m) {
				c.Gained = append(c.Gained, m)
				c.Where = g.where()
			}
		}
		c.Open = after.openOf(name)
		var maybe []string
		if after.targets[name] != nil || before.targets[name] == nil {
			for m, g := range old {
				switch {
				case now[m] != nil || after.holds(name, m):
				case c.Open != "":
					maybe = append(maybe, m) // it may be among what is not known yet
				default:
					c.Lost = append(c.Lost, m)
					c.Where = g.where()
				}
			}
		}
		if slices.Sort(maybe); len(maybe) > 0 {
			c.Open += "; it may cut off " + strings.Join(maybe, ", ")
		}
		slices.Sort(c.Gained)
		slices.Sort(c.Lost)
		if len(c.Gained)+len(c.Lost) > 0 || c.Open != "" {
			out = append(out, c)
		}
	}
	return out
}

func (g *grant) where() estate.Where {
	if g.binding == nil {
		return estate.Where{}
	}
	return g.binding.Where
}

func unionOf(before, after *Judgement) []string {
	var names []string
	for _, j := range []*Judgement{before, after} {
		for name := range j.policies {
			if !strings.HasPrefix(name, v2Mark) {
				names = append(names, name)
			}
		}
		for name := range j.targets {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// holders lists the members that the bindings of one resource let invoke.
func (j *Judgement) holders(name string) map[string]*grant {
	out := map[string]*grant{}
	if t := j.targets[name]; t != nil && t.Check == estate.No && !t.Gen1 {
		out["allUsers"] = &grant{}
	}
	for _, i := range j.granted[name] {
		if g := &j.grants[i]; g.place != onFunction && g.state == iam.Granted {
			out[g.member.String()] = g
		}
	}
	return out
}

// holds reports whether a member may invoke a target by any way.
func (j *Judgement) holds(name, member string) bool {
	t := j.targets[name]
	if t == nil {
		return false
	}
	if t.public.state == iam.Granted {
		return true
	}
	if m := iam.ParseMember(member); m.Kind != iam.User && m.Kind != iam.ServiceAccount {
		return slices.ContainsFunc(t.above(), func(n *node) bool {
			return j.holders("//cloudresourcemanager.googleapis.com/" + n.name)[member] != nil
		})
	}
	return j.decide(t, member).state == iam.Granted
}

// openOf says what of a resource's policy is not known before the change is
// applied.
func (j *Judgement) openOf(name string) string {
	var open []string
	for _, p := range j.policies[name] {
		for _, b := range p.Bindings {
			if b.Open != "" && !slices.Contains(open, b.Open) {
				open = append(open, b.Open)
			}
		}
	}
	return strings.Join(open, "; ")
}

// Draft states who may invoke what in an estate, and that nobody else from
// outside may: expectations to be read, and kept where they are meant.
func Draft(e *estate.Estate, o Options) []Expectation {
	j := newJudgement(e, o)
	var out []Expectation
	for _, t := range j.order {
		holders := j.holders(t.name)
		members := slices.Sorted(maps.Keys(holders))
		for _, m := range members {
			if k := iam.ParseMember(m).Kind; k == iam.User || k == iam.ServiceAccount || k == iam.AllUsers {
				out = append(out, Expectation{Principal: m, Target: t.name, Allowed: true})
			}
		}
		if t.public.state == iam.NotGranted {
			out = append(out, Expectation{Principal: "allUsers", Target: t.name})
		}
	}
	return out
}
