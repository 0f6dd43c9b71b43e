package rules

import (
	"fmt"
	"strings"

	"diagnose/checks"
	"diagnose/internal/estate"
	"diagnose/internal/iam"
	"diagnose/internal/reach"
)

// indirectRules find who can become somebody who may invoke.
var indirectRules = []Rule{grantIndirect}

const indirectID = "grant-indirect"

var grantIndirect = Rule{
	ID: indirectID, Title: "indirect access through a service account",
	Severity: High, Confidence: checks.Documented,
	Ref: "https://docs.cloud.google.com/iam/docs/service-account-permissions",
	Doc: `A principal that may not invoke can act as a service account that may: it may mint the account's tokens, sign with it,
make a key of it, deploy something that runs as it, or grant itself one of these, directly or through further accounts. Who
may write the policy of a service, or of what is above it, can let itself in too. The path has each binding on the way; the
one to remove is most often the first. Google's own service agents are no source, and a group whose members are not listed
counts as one principal.`,
	Run: func(x *Index) []Finding {
		b := x.becomings()
		var out []Finding
		for _, group := range b.grouped(b.allWays()) {
			out = append(out, b.finding(group))
		}
		return out
	},
}

// grouped puts the ways of several members of one binding together, where they
// are the same after the first step and the same ignore covers them.
func (b *becoming) grouped(ways []way) [][]way {
	type group struct {
		wayKey
		severity Severity
		direct   iam.State
		ignored  string
	}
	at := map[group]int{}
	var out [][]way
	for _, w := range ways {
		key := group{w.key(), b.severity(w), w.direct, ""}
		if len(b.x.Ignores) > 0 {
			f := b.about(w)
			f.Rule = indirectID
			key.ignored = b.x.ignored(f)
		}
		i, ok := at[key]
		if !ok {
			i = len(out)
			at[key] = i
			out = append(out, nil)
		}
		out[i] = append(out[i], w)
	}
	return out
}

// about starts the finding of a way.
func (b *becoming) about(w way) Finding {
	first := b.bindings[w.source.ref]
	f := aboutTarget(w.target, "")
	f.Resource, f.GrantedOn, f.Role = w.target.full, first.on, first.binding.Role
	if !whole(w.target.full) {
		f.Resource = w.target.name
	}
	f.Member, f.Condition, f.Where = b.members[w.source.principal].String(), first.binding.Condition.GetExpression(), first.binding.Where
	return f
}

// finding is what is said of one binding.
func (b *becoming) finding(ways []way) Finding {
	w := ways[0]
	f := b.about(w)
	for _, one := range ways {
		f.Members = append(f.Members, b.members[one.source.principal].String())
	}
	rest := b.sentence(w)
	f.says = func(members []string) string { return subject(members) + rest }
	f.Message = f.says(f.Members)
	f.detail = fmt.Sprint(strings.Join(b.accounts(w), " "), w.opens, w.unknown)
	f.Path, f.Unknown, f.Severity = b.steps(w), w.unknown, b.severity(w)
	f.Reach = b.reached(w)
	f.way = &w
	f.propose = func() []repair { return []repair{b.removal(ways)} }
	return f
}

// severity ranks a way by who can take it and what it needs: for everybody
// with an account it is open, for a basic role or the right to write policies
// it is one power among many.
func (b *becoming) severity(w way) Severity {
	role := b.bindings[w.source.ref].binding.Role
	switch kind := b.members[w.source.principal].Kind; {
	case w.target.shielded():
		return Medium
	case kind == iam.AllUsers || kind == iam.AllAuthenticatedUsers:
		return Critical
	case role == "roles/owner" || role == "roles/editor":
		return Low
	case w.opens && len(w.visits) == 0, len(w.visits) > 0 && strings.HasSuffix(w.visits[0].Named(false), ".setIamPolicy"):
		return Medium
	}
	return High
}

// sentence says after a member whom it can become, and what that lets it do.
func (b *becoming) sentence(w way) string {
	can := " can"
	if w.unknown {
		can = " may be able to"
	}
	target := b.x.placedName(w.target)
	text := can + " let itself in to " + target
	if names := b.accounts(w); len(names) > 0 {
		text = can + " become " + strings.Join(names, ", and through it ")
		if w.opens {
			text += ", which can let itself in to " + target
		} else {
			text += ", which may invoke " + target
		}
	}
	if r := b.reached(w); r.Known && r.Services > 1 {
		text += " and " + counted(r.Services-1, "more service")
	}
	first := b.bindings[w.source.ref]
	text += fmt.Sprintf(", through %s on %s", first.binding.Role, shortName(first.on))
	if w.unknown {
		text += "; not known: " + b.doubt(w)
	}
	if !w.unknown && w.direct == iam.Unknown {
		text += "; it is unknown whether it may invoke by itself"
	}
	return text
}

func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// placedName names a target and its project.
func (x *Index) placedName(t *target) string {
	if t.node == nil || !whole(t.node.name) {
		return shortName(t.name)
	}
	return shortName(t.name) + " in " + t.node.name
}

// accounts lists the e-mails that a way goes through.
func (b *becoming) accounts(w way) []string {
	var out []string
	for _, v := range w.visits {
		out = append(out, b.members[v.Account].Value)
	}
	return out
}

// doubt says what is not known of the first part of a way that is not sure.
func (b *becoming) doubt(w way) string {
	from := w.source.principal
	for i, v := range w.visits {
		if in := b.bindings[v.Grant.Ref].binding; v.Grant.Sure&v.Rights == 0 {
			if in.Maybe != "" {
				return maybe(in)
			}
			if h := b.x.holding(in, b.members[from], v.Named(i == len(w.visits)-1 && !w.opens)); h.Reason != "" {
				return h.Reason
			}
		}
		from = v.Account
	}
	if w.opens && w.open.Sure.Opens() == 0 {
		if h := b.x.holding(b.bindings[w.open.Ref].binding, b.members[from], w.open.May.Opens().Permission()); h.Reason != "" {
			return h.Reason
		}
	}
	if d := b.x.door(w.target).Admit(b.x.identity(b.members[from])); !w.opens && d.State == iam.Unknown {
		return d.Reason
	}
	return "whether a deny policy or a set of accounts is about it"
}

// removal takes the first step of ways away.
func (b *becoming) removal(ways []way) repair {
	first := b.bindings[ways[0].source.ref]
	g := &grant{policy: first.policy, binding: first.binding, role: first.binding.Role, on: first.on}
	r := repair{Fix: checks.Fix{ID: "remove-binding", Summary: fmt.Sprintf("Remove %s from %s on %s", memberList(b, ways), g.role, shortName(first.on))}}
	conditional := first.binding.Condition != nil
	for _, w := range ways {
		m := b.members[w.source.principal]
		c := checks.Command{Argv: parse(first.on).RemoveBinding(m.String(), g.role, conditional)}
		if conditional {
			c.Note = "with every condition; give --condition instead to remove one"
		}
		r.Commands = append(r.Commands, c)
	}
	r.change = func(e *estate.Estate) {
		for _, w := range ways {
			one := *g
			one.member = b.members[w.source.principal]
			without(e, &one)
		}
	}
	return r
}

func memberList(b *becoming, ways []way) string {
	if len(ways) > 3 {
		return fmt.Sprintf("%d members", len(ways))
	}
	var out []string
	for _, w := range ways {
		out = append(out, b.members[w.source.principal].String())
	}
	return strings.Join(out, ", ")
}

// steps is the path of a way, binding by binding.
func (b *becoming) steps(w way) []checks.Step {
	var out []checks.Step
	from := b.members[w.source.principal].String()
	step := func(r reach.Grant, permission, account string) {
		in := b.bindings[r.Ref]
		out = append(out, checks.Step{Principal: from, Permission: permission, Role: in.binding.Role, On: in.on, Account: account})
	}
	for i, v := range w.visits {
		account := b.members[v.Account].Value
		last := i == len(w.visits)-1 && !w.opens
		if v.Deploys && v.Named(last) == iam.ActAs {
			step(v.Deploy, v.Deployment(), "")
		}
		step(v.Grant, v.Named(last), account)
		from = "serviceAccount:" + account
	}
	if w.opens {
		step(w.open, b.openedBy(w.open, w.target), "")
	}
	return out
}

// openedBy is the permission by which a grant lets write the policy that
// counts for a target: the target's own first.
func (b *becoming) openedBy(r reach.Grant, t *target) string {
	return (r.May & opensTarget(t)).Permission()
}
