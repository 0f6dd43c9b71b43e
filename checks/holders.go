package checks

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"diagnose/internal/iam"
)

// rows lists one row for each member that a binding names, and for each member
// of a group that was listed.
func (in *Invocation) rows(door iam.Door, q iam.Question) []Holder {
	rows := map[string]Holder{}
	keep := func(h Holder) {
		if old, ok := rows[h.Member]; !ok || standingRank(h.Standing) > standingRank(old.Standing) {
			rows[h.Member] = h
		}
	}
	for _, g := range q.Holdings() {
		if g.State == iam.NotGranted {
			continue
		}
		h := in.holder(g, q)
		in.stand(&h, g, door)
		for _, m := range h.Via {
			one := h
			one.Member, one.Group, one.Via = m, g.Member.String(), nil
			in.stand(&one, g, door)
			keep(one)
		}
		keep(h)
	}
	out := slices.Collect(maps.Values(rows))
	slices.SortFunc(out, func(a, b Holder) int {
		return cmp.Or(cmp.Compare(breadth(b.Member), breadth(a.Member)), cmp.Compare(a.Member, b.Member))
	})
	return out
}

func standingRank(s Standing) int {
	return map[Standing]int{Barred: 0, Unsure: 1, OnlyIf: 2, May: 3}[s]
}

// stand says what a row's member may do: one account by the whole decision, a
// set of accounts by what the binding gives.
func (in *Invocation) stand(h *Holder, g iam.Holding, door iam.Door) {
	m := iam.ParseMember(h.Member)
	state, way, reason := g.May, iam.ByBinding, g.Reason
	if g.State != iam.NotGranted && g.May == iam.NotGranted {
		way = iam.ByDenyRule
	}
	if m.Kind == iam.User || m.Kind == iam.ServiceAccount || m.Kind == iam.AllUsers {
		d := door.Admit(iam.IdentityOf(h.Member))
		state, way, reason = d.State, d.Way, d.Reason
	}
	h.State, h.Reason = state, reason
	switch {
	case state == iam.Granted:
		h.Standing, h.Reason = May, ""
	case state == iam.NotGranted && way == iam.ByDenyRule:
		h.Standing = Barred
	case state == iam.NotGranted:
		h.Standing = Barred
	case g.Condition.State == iam.Unknown && onRequest(g.Condition):
		h.Standing = OnlyIf
	}
}

// onRequest reports whether a condition turns on path and host alone, so that
// it holds for some requests.
func onRequest(c iam.Condition) bool {
	return len(c.Needs) > 0 && !slices.ContainsFunc(c.Needs, func(n string) bool { return n != "request.path" && n != "request.host" })
}

func (in *Invocation) holder(g iam.Holding, q iam.Question) Holder {
	l := q.Layers[g.Layer]
	source := in.layers[g.Layer].source
	if g.Layer == 0 && in.iap {
		source = in.IAPPolicy.Source
	}
	expression := l.Policy.GetBindings()[g.Binding].GetCondition().GetExpression()
	return Holder{
		Member: g.Member.String(), State: g.State, Role: g.Role, On: l.Resource, Reason: g.Reason,
		Cite:      source.At(fmt.Sprintf("/bindings/%d/members/%d", g.Binding, g.Index)),
		Condition: expression, Only: cmp.Or(g.Condition.Only(), expression),
		Via: in.listed(g.Member.String(), map[string]bool{}),
	}
}

// listed flattens the members of a group or domain, as far as they are listed.
func (in *Invocation) listed(member string, seen map[string]bool) []string {
	if seen[member] {
		return nil
	}
	seen[member] = true
	var out []string
	for _, m := range in.Groups.Or(nil)[member] {
		if _, group := in.Groups.Or(nil)[m]; group {
			out = append(out, in.listed(m, seen)...)
		} else if !slices.Contains(out, m) {
			out = append(out, m)
		}
	}
	return out
}

// ineffective lists the bindings that look like a grant and are none.
func (in *Invocation) ineffective(q iam.Question) []Holder {
	var out []Holder
	for _, g := range q.Holdings() {
		if g.State == iam.NotGranted && (invokerLike(g.Role) || g.Role == accessorRole) {
			h := in.holder(g, q)
			h.Standing = Barred
			out = append(out, h)
		}
	}
	return out
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
				out = append(out, Holder{Member: m, Standing: Barred, State: iam.NotGranted, Role: b.GetRole(), On: in.functionName().Short(),
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
