package checks

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"diagnose/internal/evidence"
	"diagnose/internal/iam"
)

// A Holder is one member that a binding gives the invoke permission to, or
// seems to.
type Holder struct {
	Member    string
	State     iam.State
	Role, On  string // the role and the resource that it is bound on
	Cite      evidence.Source
	Condition string   // the expression, "" where there is none
	Via       []string // members of a group or domain, where they were listed
	Reason    string   // why it grants nothing, or may not
}

// A WhoReport says who can invoke one target. The zero WhoReport knows nobody.
type WhoReport struct {
	Target      Target
	Permission  string
	Public      string       // how anyone may invoke, "" where not
	Holders     []Holder     // granted or unknown, the broadest first
	Ineffective []Holder     // look like a grant and are none
	Unread      []Assumption // policies that were not read: they may grant more
	Denied      string       // what deny policies take away, "" where none were read
	Complete    bool         // the target's own policy was read
}

// Who lists everybody that the evidence lets invoke the target.
func Who(s evidence.Snapshot) WhoReport {
	in := resolve(&s)
	w := WhoReport{Target: in.target(), Permission: in.permission, Complete: in.layers[0].Policy != nil}
	if in.isPublic() {
		w.Public = in.public.how
	}
	read, index, unread := in.read()
	roles, _ := in.Roles.Get()
	for _, g := range iam.Grants(in.permission, read, iam.NewRoles(roles), in.context()) {
		h := in.holder(g, in.layers[index[g.Layer]])
		switch {
		case g.State != iam.NotGranted:
			w.Holders = append(w.Holders, h)
		case invokerLike(g.Role):
			w.Ineffective = append(w.Ineffective, h)
		}
	}
	w.Ineffective = append(w.Ineffective, in.boundOnFunction()...)
	slices.SortStableFunc(w.Holders, func(a, b Holder) int { return cmp.Compare(breadth(b.Member), breadth(a.Member)) })
	for _, l := range unread {
		w.Unread = append(w.Unread, Assumption{Text: "the policy of " + l.Resource + " was not read" + in.because(l), Gather: in.readPolicy(l)})
	}
	if !in.Ancestors.Known() {
		w.Unread = append(w.Unread, Assumption{Text: "the policies above the service were not read" + reasonOf(in.Ancestors), Gather: in.ancestorsUnread("").Gather})
	}
	w.Denied = in.denialNote()
	return w
}

func (in *Invocation) holder(g iam.Grant, l layer) Holder {
	b := l.Policy.GetBindings()[g.Binding]
	return Holder{
		Member: g.Member.String(), State: g.State, Role: g.Role, On: l.Resource, Reason: g.Reason,
		Cite:      l.source.At(fmt.Sprintf("/bindings/%d/members/%d", g.Binding, g.Index)),
		Condition: b.GetCondition().GetExpression(),
		Via:       slices.Clone(in.Groups.Or(nil)[g.Member.String()]),
	}
}

// boundOnFunction lists the invoker-like bindings on a v2 function, which
// count for nothing.
func (in *Invocation) boundOnFunction() []Holder {
	p, ok := in.FunctionPolicy.Get()
	if !ok || in.gen1 {
		return nil
	}
	var out []Holder
	for i, b := range p.GetBindings() {
		for j, m := range b.GetMembers() {
			if invokerLike(b.GetRole()) {
				out = append(out, Holder{Member: m, State: iam.NotGranted, Role: b.GetRole(), On: "functions/" + in.functionWord(),
					Cite: in.FunctionPolicy.Source.At(fmt.Sprintf("/bindings/%d/members/%d", i, j)), Reason: "bound on the function, not on its Cloud Run service"})
			}
		}
	}
	return out
}

// breadth ranks members by how many they stand for.
func breadth(member string) int {
	switch m := iam.ParseMember(member); m.Kind {
	case iam.AllUsers:
		return 4
	case iam.AllAuthenticatedUsers:
		return 3
	case iam.Group:
		return 1
	default:
		if m.Broad() {
			return 2
		}
	}
	return 0
}

func (in *Invocation) denialNote() string {
	policies, ok := in.DenyPolicies.Get()
	if !ok || in.gen1 {
		return ""
	}
	var denied []string
	for _, p := range policies {
		if !in.attached(p) {
			continue
		}
		for _, r := range p.GetRules() {
			if d := r.GetDenyRule(); iam.Denies(d, in.permission) {
				denied = append(denied, d.GetDeniedPrincipals()...)
			}
		}
	}
	if len(denied) == 0 {
		return "no deny policy covers " + in.permission
	}
	return "deny policies take it from " + strings.Join(denied, ", ")
}

// JudgeToken answers the checks about a credential alone. Without a target its
// audience is not judged. The decision says whether Cloud Run would accept it.
func JudgeToken(s evidence.Snapshot, target bool) Verdict {
	in := resolve(&s)
	v := Verdict{Target: in.target(), Principal: in.principal}
	for _, g := range []Gate{credentialGate, tokenGate} {
		for _, c := range g.Checks {
			f := c.Run(in)
			if c.ID == "token-audience" && !target {
				f = notApplicable("no target was given to compare the audience with")
			}
			f.Gate, f.Check, f.Assumes = g.Name, c.ID, withoutPublic(f.Assumes)
			v.Findings = append(v.Findings, f)
		}
	}
	v.Decision, v.Basis, v.Assumptions = conclude(append(v.Findings, Finding{Check: "access-granted", Outcome: Pass}), true)
	if f, ok := v.Cause(); ok && v.Decision == Denied {
		v.Expected = &f.Answer
	}
	return v
}

// withoutPublic drops the assumption that the service is private, which a
// question about the token alone takes for granted.
func withoutPublic(as []Assumption) []Assumption {
	return slices.DeleteFunc(slices.Clone(as), func(a Assumption) bool { return a.Check == "access-public" })
}
