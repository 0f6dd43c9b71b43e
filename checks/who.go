package checks

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

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
	// Becomers are those who can become somebody in the list, nil where that
	// was not asked.
	Becomers *Becomers
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
		add("iap-policy.json", "the policy of IAP was not read"+reasonOf(in.IAPPolicy), in.readIAPPolicy()...)
	}
	for _, h := range rows {
		if k := iam.ParseMember(h.Member).Kind; h.Standing != Barred && (k == iam.Group || k == iam.Domain) && in.Groups.Or(nil)[h.Member] == nil {
			add("groups.json", "the members of "+h.Member+" are not listed", listMembers(h.Member)...)
		}
	}
	return distinct(out)
}
