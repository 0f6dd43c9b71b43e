package checks

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"diagnose/internal/credential"
	"diagnose/internal/evidence"
	"diagnose/internal/gcp"
	"diagnose/internal/iam"
)

// A Standing says what a member may do. The zero Standing is unknown.
type Standing int

// The standings.
const (
	Unsure Standing = iota
	May
	OnlyIf // a condition allows it for some requests
	Barred // a deny policy blocks what a binding grants
)

func (s Standing) String() string { return [...]string{"unknown", "may", "only-if", "denied"}[s] }

// A Holder is one member that a binding gives the invoke permission to, or
// seems to.
type Holder struct {
	Member    string
	Standing  Standing
	State     iam.State
	Role, On  string // the role and the resource that it is bound on
	Cite      evidence.Source
	Condition string   // the expression, "" where there is none
	Only      string   // what the condition allows, in words
	Group     string   // the group or domain through which it is granted, "" where directly
	Via       []string // members of a group or domain, where they were listed
	Reason    string   // why it grants nothing, or may not; the deny policy that blocks it
}

// A WhoReport says who can invoke one target. The zero WhoReport knows nobody.
type WhoReport struct {
	Target      Target
	Permission  string       // the one that callers need: IAP's where IAP is on
	Public      string       // how anyone may invoke, "" where not
	Holders     []Holder     // one row a member, the broadest first
	Ineffective []Holder     // look like a grant and are none
	Unread      []Assumption // documents that could change the list
	Denied      string       // whom deny policies deny it, "" where none were read
	Notes       []string     // what else stands in the way
	Answered    bool         // the policy that lets callers in was read
	Complete    bool         // everything was read that could change the list
}

// Who lists everybody that the evidence lets invoke the target, whatever the
// path, host and moment of a request.
func Who(s evidence.Snapshot) WhoReport {
	in := resolve(&s, nil)
	door := in.door()
	q := door.Invoke
	if in.iap {
		q = door.IAP
	}
	w := WhoReport{Target: in.target(), Permission: q.Permission, Answered: q.Layers[0].Policy != nil}
	public := door.Public()
	if public.State == iam.Granted {
		w.Public = in.publicBecause(door)
	}
	w.Holders = in.rows(door, q)
	w.Ineffective = append(in.ineffective(q), in.boundOnFunction()...)
	w.Denied = in.denialNote(q.Permission)
	w.Notes = in.whoNotes(door, public)
	w.Unread = in.unreadFor(door, w.Holders)
	w.Complete = len(w.Unread) == 0 && !slices.ContainsFunc(w.Holders, func(h Holder) bool { return h.Standing == Unsure })
	return w
}

// door is everything between a caller and the container. It knows the moment
// of a request, and neither path nor host.
func (in *Invocation) door() iam.Door {
	forAny := func(q iam.Question) iam.Question {
		q.Context.Path, q.Context.Host = nil, nil
		return q
	}
	d := iam.Door{Gone: in.service().GetDeleteTime() != nil, Invoke: forAny(in.question(in.permission, iam.Identity{})), IAPOn: in.iapState(), IAP: forAny(in.iapQuestion(iam.Identity{}))}
	if agent := in.iapAgent(); agent != "" {
		d.Agent = iam.IdentityOf(agent)
	}
	setting, _, known := in.ingress()
	switch {
	case !known:
		d.Outside = "the ingress setting was not read"
	case setting == gcp.IngressAll:
		d.Internet = iam.Granted
	case setting == gcp.IngressInternalAndLoadBalancer:
		d.Outside = "ingress admits the internet only through a load balancer, and it is unknown whether there is one"
	default:
		d.Internet, d.Outside = iam.NotGranted, "ingress "+setting.String()+" keeps the internet out"
	}
	return d
}

func (in *Invocation) iapState() iam.State {
	switch {
	case in.iap:
		return iam.Granted
	case in.gen1, in.Service.Known():
		return iam.NotGranted
	}
	return iam.Unknown
}

func (in *Invocation) publicBecause(door iam.Door) string {
	if in.iap {
		return "IAP lets everyone through, and its service agent may invoke"
	}
	d := door.Invoke.Public()
	if d.Way == iam.ByCheckOff {
		return "the invoker IAM check is off, so anyone may invoke"
	}
	return fmt.Sprintf("allUsers has %s on %s, so anyone may invoke", d.Binding.Role, in.layers[d.Binding.Layer].Resource)
}

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

func (in *Invocation) denialNote(permission string) string {
	policies, ok := in.DenyPolicies.Get()
	if !ok || in.gen1 {
		return ""
	}
	var denied []string
	for _, p := range policies {
		if in.denyLayer(p).Attached == iam.NotGranted {
			continue
		}
		for _, r := range p.GetRules() {
			if d := r.GetDenyRule(); iam.Denies(d, permission) {
				denied = append(denied, d.GetDeniedPrincipals()...)
			}
		}
	}
	if len(denied) == 0 {
		return "no deny policy covers " + permission
	}
	return "deny policies deny it to " + strings.Join(denied, ", ")
}

// whoNotes says what else keeps those listed from the container.
func (in *Invocation) whoNotes(door iam.Door, public iam.Decision) []string {
	var out []string
	if door.Internet == iam.NotGranted || door.Outside != "" {
		out = append(out, door.Outside)
	}
	if in.iap {
		agent := in.grantFinding(door.Agent, cmp.Or(in.iapAgent(), "IAP's service agent"), noFixes)
		out = append(out, "IAP is on: it checks callers first and then calls as its service agent; "+agent.Message)
	} else if public.State == iam.Unknown {
		out = append(out, "it is unknown whether anyone may invoke: "+public.Reason)
	}
	return out
}

// unreadFor lists the documents that could change who may invoke.
func (in *Invocation) unreadFor(door iam.Door, rows []Holder) []Assumption {
	var out []Assumption
	add := func(document, text string, gather ...Command) {
		out = append(out, Assumption{Document: document, Text: text, Gather: gather})
	}
	for _, l := range in.layers {
		if l.Policy == nil {
			add(l.document, "the policy of "+l.Resource+" was not read"+in.because(l), in.readPolicy(l)...)
		}
	}
	if !in.Ancestors.Known() {
		add("ancestor-policies.json", "the policies above the service were not read"+reasonOf(in.Ancestors), in.readAncestors()...)
	}
	if !in.gen1 && !in.Service.Known() {
		add("service.json", "the service was not read"+reasonOf(in.Service), in.describeService()...)
	}
	if iam.Deniable(door.Invoke.Permission) && !in.DenyPolicies.Known() {
		add("deny-policies.json", "deny policies were not read"+reasonOf(in.DenyPolicies), in.denyUnread().Gather...)
	}
	if in.iap && !in.IAPPolicy.Known() {
		add("iap-policy.json", "the policy of IAP was not read"+reasonOf(in.IAPPolicy), shell(in.iapName().GetPolicy())...)
	}
	for _, h := range rows {
		if k := iam.ParseMember(h.Member).Kind; h.Standing != Barred && (k == iam.Group || k == iam.Domain) && in.Groups.Or(nil)[h.Member] == nil {
			add("groups.json", "the members of "+h.Member+" are not listed", listMembers(h.Member)...)
		}
	}
	return distinct(out)
}

// JudgeToken answers the checks about a credential alone. Without a target its
// audience is not judged. The decision says whether Cloud Run would accept it.
func JudgeToken(s evidence.Snapshot, target bool) Verdict {
	in := resolve(&s, nil)
	in.public = iam.Decision{State: iam.NotGranted} // the question is about a private service
	v := Verdict{Target: in.target(), Principal: in.principal, JudgedAt: Moment{s.Now, cmp.Or(s.NowFrom, in.momentFrom())}}
	for _, g := range []Gate{credentialGate, tokenGate} {
		for _, c := range g.Checks {
			f := c.Run(in)
			if c.ID == "token-audience" && !target {
				f = in.audienceAlone()
			}
			f.Gate, f.Check = g.Name, c.ID
			for i := range f.Assumes {
				f.Assumes[i].Check = cmp.Or(f.Assumes[i].Check, c.ID)
			}
			v.Findings = append(v.Findings, f)
		}
	}
	v.Decision, v.Assumptions = conclude(append(v.Findings, Finding{Outcome: Pass, admits: true}))
	if v.Decision == Denied {
		v.Assumptions = refusedOn(v.Findings)
	}
	if v.Decision != Undetermined && len(v.Assumptions) == 0 {
		v.Basis = Proven
	}
	in.expect(&v)
	return v
}

// refusedOn is what a refusal rests on: nothing where one failure supposes
// nothing.
func refusedOn(findings []Finding) []Assumption {
	var out []Assumption
	for _, f := range findings {
		if f.Outcome != Fail {
			continue
		}
		if len(f.Assumes) == 0 {
			return nil
		}
		out = append(out, f.Assumes...)
	}
	return distinct(out)
}

// audienceAlone judges the audience of a token where no target was given.
func (in *Invocation) audienceAlone() Finding {
	c := in.sent.credential
	if c.Kind != credential.IDToken || len(c.Claims.Audience) == 0 {
		return notApplicable("no target was given to compare the audience with")
	}
	if a := (Audiences{}).Accepts(c.Claims.Audience[0], c.Person()); a.State == iam.NotGranted {
		f := withFixes(fail(a.Reason, rejected, in.sent.source.At("/aud")), in.mint())
		if a.Custom {
			f.Assumes = in.noCustomAudience()
		}
		return f
	}
	return assume("service.json", fmt.Sprintf("the token is for %q; no target was given to compare that with", c.Claims.Audience[0]),
		fmt.Sprintf("the service accepts the audience %q", c.Claims.Audience[0]), in.describeService()...)
}
