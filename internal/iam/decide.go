package iam

import (
	"fmt"
	"slices"

	"cloud.google.com/go/iam/apiv1/iampb"
	denypb "cloud.google.com/go/iam/apiv2/iampb"
)

// A Question is whether one identity gets through one gate that IAM keeps: the
// invocation of a service or function, or IAP in front of it. The zero
// Question is about nobody and answers unknown.
type Question struct {
	Query
	// CheckOff says whether the gate is switched off, as with the invoker IAM
	// check of a service: then IAM is not asked. The zero value is unknown.
	CheckOff State
	// Layers are the allow policies from the target upwards, its own first.
	Layers []Layer
	// Above says that Layers reach up to the top of the hierarchy, so that no
	// further policy can grant.
	Above bool
	// Deny are the deny policies that were read.
	Deny []DenyLayer
	// DenyRead says that all deny policies on the path were read.
	DenyRead bool
}

// A DenyLayer is one deny policy and whether it hangs above the target.
type DenyLayer struct {
	Policy *denypb.Policy
	// Attached is Unknown where the path above the target is not known far
	// enough to tell. A policy that is NotGranted does not apply.
	Attached State
	// Point is what it hangs on: "organizations/1".
	Point string
}

// A Document names what could still turn a decision.
type Document int

// The documents that a decision about access rests on.
const (
	NoDocument       Document = iota
	TargetSettings            // the service: its invoker IAM check
	TargetPolicy              // the target's own allow policy
	AbovePolicies             // the allow policies of project, folders and organization
	DenyDocuments             // the deny policies
	RoleDefinitions           // a custom role
	GroupMembers              // a group or domain
	TagBindings               // the tags of the service
	RequestDetails            // time, path or host of the request
	CallerAccount             // who calls
	UndocumentedFact          // nothing settles it: Google does not document it
)

// An Open is one document that could still turn a decision.
type Open struct {
	Document Document
	Resource string // the resource, role or member that it is about
	Reason   string // why it was not read, or what is not known; a clause
	// Assumed says that the decision supposes its usual content. Where it is
	// false the decision is Unknown because of it.
	Assumed bool
}

// A Way says what a decision goes by. The zero Way is nothing.
type Way int

// The ways.
const (
	ByNothing Way = iota // no binding grants
	ByBinding
	ByCheckOff
	ByDenyRule
)

// A Decision is the whole answer of IAM to a Question. The zero Decision is
// unknown.
type Decision struct {
	State State
	Way   Way
	// Binding is the one that grants, or the first that may; nil where none.
	Binding *BindingAccess
	// Denial is the answer of the deny policies.
	Denial Denial
	// Reason says why it is not granted, or unknown, in a clause.
	Reason string
	// Open lists what could still turn it. Where it is empty nothing could.
	Open []Open
	// Access is the answer of the allow policies that were read.
	Access Access
}

// Certain reports whether no document could turn the decision.
func (d Decision) Certain() bool { return d.State != Unknown && len(d.Open) == 0 }

// Decide answers a question by everything that IAM goes by: the switch, the
// deny policies and then the allow policies, which are the union of all
// layers: https://docs.cloud.google.com/iam/docs/policy-types#evaluation.
//
// What is commonly absent may be supposed absent, and is then listed as open
// and assumed: deny policies, policies above the target, a switched off check.
// The target's own policy is never supposed.
//
// Whether a deny policy stops a request to a public service is not documented,
// so that the answer is then unknown.
func (q Question) Decide() Decision {
	d := Decision{Access: q.Allow(q.Layers)}
	if q.CheckOff == Granted {
		d.State, d.Way = Granted, ByCheckOff
		return d
	}
	d.Denial = q.Query.Deny(q.Deny)
	switch d.Denial.State {
	case Denied:
		q.denied(&d)
	case DenyUnknown:
		q.maybeDenied(&d)
	default:
		if !q.publicDenied(&d) {
			q.allowed(&d)
		}
	}
	return d
}

// publicDenied decides where a rule covers everyone but the caller and the
// service is public, or may be: whether such a request is asked for its caller
// at all is not documented.
func (q Question) publicDenied(d *Decision) bool {
	anyone := q.Query
	anyone.Identity = Anonymous()
	if q.Identity.Anonymous || len(q.Deny) == 0 || anyone.Deny(q.Deny).State == NotDenied {
		return false
	}
	public := anyone.Allow(q.Layers)
	if public.State == NotGranted {
		return false
	}
	d.Binding = public.first(public.State)
	d.Reason = "allUsers may be able to invoke, and a deny rule covers everyone but the caller; Google does not " +
		"document which one counts"
	d.Open = append(d.Binding.needs(), Open{Document: UndocumentedFact, Reason: d.Reason})
	return true
}

// Public answers the question for a request without credential.
func (q Question) Public() Decision {
	q.Identity = Anonymous()
	return q.Decide()
}

// denied decides where a rule covers the identity: a private service refuses.
func (q Question) denied(d *Decision) {
	anyone := q.Query
	anyone.Identity = Anonymous()
	public := anyone.Allow(q.Layers)
	switch public.State {
	case Granted:
		d.Binding, d.Reason = public.first(Granted), "allUsers may invoke and a deny rule covers the caller; "+
			"Google does not document which one counts"
		d.Open = []Open{{Document: UndocumentedFact, Reason: d.Reason}}
		return
	case Unknown:
		d.Binding = public.first(Unknown)
		d.Reason = "a deny rule covers the caller, and it is unknown whether the service is public: " + d.Binding.Reason
		d.Open = d.Binding.needs()
		return
	}
	if i := q.hidden(); i >= 0 {
		d.Reason = "a deny rule covers the caller, and it is unknown whether the service is public: " + q.Layers[i].Hidden
		d.Open = []Open{{q.document(i), q.Layers[i].Resource, q.Layers[i].Hidden, false}}
		return
	}
	d.State, d.Way, d.Reason = NotGranted, ByDenyRule, d.Denial.Reason
	if d.Denial.Attached != Granted {
		d.Open = append(d.Open, Open{AbovePolicies, d.Denial.Point, d.Denial.Point + " is above the service", true})
	}
	d.Open = append(d.Open, q.switchOpen()...)
	d.Open = append(d.Open, q.unread(true)...)
}

// maybeDenied decides where it is not known whether a rule covers the
// identity: that matters only to those whom a binding may let in.
func (q Question) maybeDenied(d *Decision) {
	if d.Access.State == NotGranted {
		q.allowed(d)
		return
	}
	d.Binding = d.Access.first(Granted)
	if d.Binding == nil {
		d.Binding = d.Access.first(Unknown)
		d.Open = d.Binding.needs()
	}
	d.Reason = "a deny rule may cover the caller: " + d.Denial.Reason
	d.Open = append(d.Open, Open{Document: d.Denial.Needs, Reason: d.Denial.Reason})
}

// allowed decides by the allow policies.
func (q Question) allowed(d *Decision) {
	switch d.Access.State {
	case Granted:
		d.State, d.Way, d.Binding = Granted, ByBinding, d.Access.first(Granted)
		if _, ok := deniable[q.Permission]; ok && !q.DenyRead && invokes(q.Permission) {
			d.Open = []Open{{DenyDocuments, "", "deny policies were not read", true}}
		}
		return
	case Unknown:
		d.Binding = d.Access.first(Unknown)
		d.Reason, d.Open = d.Binding.Reason, d.Binding.needs()
		return
	}
	if i := q.hidden(); i >= 0 {
		d.Reason = q.Layers[i].Hidden
		d.Open = []Open{{q.document(i), q.Layers[i].Resource, d.Reason, false}}
		return
	}
	if l, missing := q.ownMissing(); missing {
		d.Reason = l.Reason
		d.Open = []Open{{TargetPolicy, l.Resource, l.Reason, false}}
		return
	}
	d.State, d.Reason = NotGranted, "no binding grants "+q.Permission
	d.Open = append(q.switchOpen(), q.unread(false)...)
}

// hidden is the first layer with a binding that is there and not shown, -1
// where there is none.
func (q Question) hidden() int {
	return slices.IndexFunc(q.Layers, func(l Layer) bool { return l.Hidden != "" })
}

// document says which document a layer is in.
func (q Question) document(layer int) Document {
	if layer == 0 {
		return TargetPolicy
	}
	return AbovePolicies
}

// ownMissing returns the target's own layer where it was not read, or only in
// part.
func (q Question) ownMissing() (Layer, bool) {
	if len(q.Layers) == 0 {
		return Layer{Reason: "the policy was not read"}, true
	}
	own := q.Layers[0]
	if own.Policy == nil && own.Reason == "" {
		own.Reason = "the policy of " + own.Resource + " was not read"
	}
	return own, own.Policy == nil || own.Reason != ""
}

func (q Question) switchOpen() []Open {
	if q.CheckOff != Unknown {
		return nil
	}
	return []Open{{TargetSettings, "", "the invoker IAM check is on", true}}
}

// unread lists the allow policies that may grant more than what was read.
func (q Question) unread(own bool) []Open {
	var out []Open
	for i, l := range q.Layers {
		if i == 0 && !own || l.Policy != nil && l.Reason == "" {
			continue
		}
		out = append(out, Open{q.document(i), l.Resource, l.Reason, true})
	}
	if !q.Above {
		out = append(out, Open{AbovePolicies, "", "the policies of the project, its folders and its organization were not read", true})
	}
	return out
}

// first returns the first binding in a state, nil where there is none.
func (a Access) first(s State) *BindingAccess {
	for i := range a.Bindings {
		if a.Bindings[i].State == s {
			return &a.Bindings[i]
		}
	}
	return nil
}

// needs lists the documents that would settle an unknown binding.
func (x *BindingAccess) needs() []Open {
	var out []Open
	if x.Carries == Unknown {
		out = append(out, Open{Document: RoleDefinitions, Resource: x.Role, Reason: x.CarriesReason})
	}
	if x.Membership == Unknown {
		out = append(out, Open{Document: memberDocument(x.Member), Resource: x.Member, Reason: x.MembershipReason})
	}
	if x.Condition.State == Unknown {
		out = append(out, Open{Document: conditionDocument(x.Condition), Reason: x.Condition.Reason})
	}
	return out
}

// memberDocument says what would tell whether a member covers the caller.
func memberDocument(member string) Document {
	switch ParseMember(member).Kind {
	case Group, Domain, Customer:
		return GroupMembers
	case OtherMember, Agent:
		return UndocumentedFact
	}
	return CallerAccount
}

// A Holding is what one binding gives to one of its members.
type Holding struct {
	Layer, Binding, Index int // positions of layer, binding and member
	Role                  string
	Member                Member
	State                 State  // what the binding gives, deny policies aside
	Reason                string // why it gives nothing, or may not
	Condition             Condition
	// Denial is the answer of the deny policies about the member.
	Denial Denial
	// May is State after the deny policies. A deny rule on a public grant
	// leaves it unknown.
	May State
}

// Holdings lists what each binding gives to each of its members. Bindings
// whose role does not include the permission are listed as not granted.
func (q Question) Holdings() []Holding {
	var out []Holding
	for i, l := range q.Layers {
		for j, b := range l.Policy.GetBindings() {
			for _, h := range q.holdingsOf(b) {
				h.Layer, h.Binding = i, j
				out = append(out, h)
			}
		}
	}
	return out
}

// holdingsOf lists what one binding gives to its members.
func (q Question) holdingsOf(b *iampb.Binding) []Holding {
	carries, why := q.Roles.Carries(b.GetRole(), q.Permission)
	cond := Condition{State: Granted}
	if carries != NotGranted {
		cond = EvalCondition(b.GetCondition(), q.context())
	}
	out := make([]Holding, 0, len(b.GetMembers()))
	for k, s := range b.GetMembers() {
		m := ParseMember(s)
		can, cannot := q.mayUse(m)
		h := Holding{Index: k, Role: b.GetRole(), Member: m, Condition: cond}
		h.State = both(both(carries, can), cond.State)
		switch h.State {
		case carries:
			h.Reason = why
		case can:
			h.Reason = cannot
		default:
			h.Reason = cond.Reason
		}
		h.May = h.State
		if h.State != NotGranted && len(q.Deny) > 0 {
			q.deny(&h)
		}
		out = append(out, h)
	}
	return out
}

// deny applies the deny policies to a holding.
func (q Question) deny(h *Holding) {
	asked := q.Query
	asked.Identity = IdentityOf(h.Member.String())
	h.Denial = asked.Deny(q.Deny)
	switch {
	case h.Denial.State == NotDenied:
	case h.Denial.State == Denied && (h.Member.Kind != AllUsers || !invokes(q.Permission)):
		h.May, h.Reason = NotGranted, "denied by "+h.Denial.Name+": "+h.Denial.Reason
	case h.Denial.State == Denied:
		h.May, h.Reason = Unknown, fmt.Sprintf("%s covers everyone; Google does not document whether it stops a "+
			"request to a public service", h.Denial.Name)
	default:
		h.May, h.Reason = Unknown, h.Denial.Reason
	}
}
