package iam

import (
	"testing"

	"cloud.google.com/go/iam/apiv1/iampb"
	denypb "cloud.google.com/go/iam/apiv2/iampb"
)

func policyOf(bs ...*iampb.Binding) *iampb.Policy { return &iampb.Policy{Bindings: bs} }

func binds(members ...string) *iampb.Binding {
	return &iampb.Binding{Role: "roles/run.invoker", Members: members}
}

func denying(principals ...string) *denypb.Policy {
	rule := &denypb.DenyRule{DeniedPermissions: []string{"run.googleapis.com/routes.invoke"}, DeniedPrincipals: principals}
	return &denypb.Policy{Name: "policies/cloudresourcemanager.googleapis.com%2Fprojects%2Fshop/denypolicies/outside",
		Rules: []*denypb.PolicyRule{{Kind: &denypb.PolicyRule_DenyRule{DenyRule: rule}}}}
}

// whole is a question about ana of which every document was read and grants
// nothing.
func whole() Question {
	return Question{
		Query:    Query{Permission: RunInvoke, Identity: IdentityOf("user:ana@example.com"), Context: Context{Time: now}},
		CheckOff: NotGranted, Above: true, DenyRead: true,
		Layers: []Layer{{Resource: "services/orders", Policy: policyOf()}, {Resource: "projects/shop", Level: Project, Policy: policyOf()}},
	}
}

func documents(d Decision) []Document {
	var out []Document
	for _, o := range d.Open {
		out = append(out, o.Document)
	}
	return out
}

func TestDecide(t *testing.T) {
	everyone, ana := "principalSet://goog/public:all", "principal://goog/subject/ana@example.com"
	grant := func(q *Question) { q.Layers[0].Policy = policyOf(binds("user:ana@example.com")) }
	public := func(q *Question) { q.Layers[1].Policy = policyOf(binds("allUsers")) }
	custom := func(q *Question) {
		q.Layers[0].Policy = policyOf(&iampb.Binding{Role: "projects/shop/roles/c", Members: []string{"allUsers"}})
	}
	deny := func(who string, attached State) func(*Question) {
		return func(q *Question) { q.Deny = append(q.Deny, DenyLayer{denying(who), attached, "projects/shop"}) }
	}
	tests := []struct {
		name  string
		given []func(*Question)
		state State
		way   Way
		open  []Document
	}{
		{"nothing grants", nil, NotGranted, ByNothing, nil},
		{"granted", []func(*Question){grant}, Granted, ByBinding, nil},
		{"granted, deny policies unread", []func(*Question){grant, func(q *Question) { q.DenyRead = false }}, Granted, ByBinding, []Document{DenyDocuments}},
		{"granted and denied", []func(*Question){grant, deny(ana, Granted)}, NotGranted, ByDenyRule, nil},
		{"granted, a rule for another", []func(*Question){grant, deny("principal://goog/subject/ben@example.com", Granted)}, Granted, ByBinding, nil},
		{"granted, a rule that may not apply", []func(*Question){grant, deny(ana, Unknown)}, NotGranted, ByDenyRule, []Document{AbovePolicies}},
		{"granted, a rule elsewhere", []func(*Question){grant, deny(ana, NotGranted)}, Granted, ByBinding, nil},
		{"granted, a group is denied", []func(*Question){grant, deny("principalSet://goog/group/g@example.com", Granted)}, Unknown, ByNothing, []Document{GroupMembers}},
		{"not granted, a group is denied", []func(*Question){deny("principalSet://goog/group/g@example.com", Granted)}, NotGranted, ByNothing, nil},
		{"public", []func(*Question){public}, Granted, ByBinding, nil},
		{"public and denied", []func(*Question){public, deny(everyone, Granted)}, Unknown, ByNothing, []Document{UndocumentedFact}},
		{"granted, public and denied", []func(*Question){grant, public, deny(ana, Granted)}, Unknown, ByNothing, []Document{UndocumentedFact}},
		{"public, everyone but ana denied", []func(*Question){public, func(q *Question) {
			p := denying(everyone)
			p.Rules[0].GetDenyRule().ExceptionPrincipals = []string{ana}
			q.Deny = []DenyLayer{{p, Granted, "projects/shop"}}
		}}, Unknown, ByNothing, []Document{UndocumentedFact}},
		{"perhaps public and denied", []func(*Question){custom, deny(ana, Granted)}, Unknown, ByNothing, []Document{RoleDefinitions}},
		{"perhaps public", []func(*Question){custom}, Unknown, ByNothing, []Document{RoleDefinitions}},
		{"check off, denied", []func(*Question){deny(everyone, Granted), func(q *Question) { q.CheckOff = Granted }}, Granted, ByCheckOff, nil},
		{"check unread, denied", []func(*Question){deny(everyone, Granted), func(q *Question) { q.CheckOff = Unknown }}, NotGranted, ByDenyRule, []Document{TargetSettings}},
		{"check unread", []func(*Question){func(q *Question) { q.CheckOff = Unknown }}, NotGranted, ByNothing, []Document{TargetSettings}},
		{"a binding is not shown", []func(*Question){func(q *Question) { q.Layers[0].Hidden = "known after apply" }}, Unknown, ByNothing, []Document{TargetPolicy}},
		{"a binding above is not shown", []func(*Question){func(q *Question) { q.Layers[1].Hidden = "known after apply" }}, Unknown, ByNothing, []Document{AbovePolicies}},
		{"a binding is not shown, granted", []func(*Question){grant, func(q *Question) { q.Layers[1].Hidden = "known after apply" }}, Granted, ByBinding, nil},
		{"a binding is not shown, denied", []func(*Question){deny(ana, Granted), func(q *Question) { q.Layers[1].Hidden = "known after apply" }}, Unknown, ByNothing, []Document{AbovePolicies}},
		{"own policy unread", []func(*Question){func(q *Question) { q.Layers[0].Policy = nil }}, Unknown, ByNothing, []Document{TargetPolicy}},
		{"own policy in part", []func(*Question){func(q *Question) { q.Layers[0].Reason = "a plan shows a part" }}, Unknown, ByNothing, []Document{TargetPolicy}},
		{"own policy unread, denied", []func(*Question){deny(everyone, Granted), func(q *Question) { q.Layers[0].Policy = nil }}, NotGranted, ByDenyRule, []Document{TargetPolicy}},
		{"project unread", []func(*Question){func(q *Question) { q.Layers[1].Policy = nil }}, NotGranted, ByNothing, []Document{AbovePolicies}},
		{"project unread, granted", []func(*Question){grant, func(q *Question) { q.Layers[1].Policy = nil }}, Granted, ByBinding, nil},
		{"no path above", []func(*Question){func(q *Question) { q.Above = false }}, NotGranted, ByNothing, []Document{AbovePolicies}},
		{"gen1 cannot be denied", []func(*Question){deny(everyone, Granted), func(q *Question) {
			q.Permission = FunctionsInvoke
			q.Layers[0].Policy = policyOf(&iampb.Binding{Role: "roles/cloudfunctions.invoker", Members: []string{"user:ana@example.com"}})
		}}, Granted, ByBinding, nil},
		{"no layer at all", []func(*Question){func(q *Question) { q.Layers = nil }}, Unknown, ByNothing, []Document{TargetPolicy}},
	}
	for _, tt := range tests {
		q := whole()
		for _, f := range tt.given {
			f(&q)
		}
		d := q.Decide()
		if d.State != tt.state || d.Way != tt.way || !equal(documents(d), tt.open) {
			t.Errorf("%s: %s by %d, open %v; want %s by %d, open %v (%s)", tt.name, d.State, d.Way, documents(d), tt.state, tt.way, tt.open, d.Reason)
		}
	}
	if d := (Question{}).Decide(); d.State != Unknown || d.Certain() {
		t.Errorf("the zero question is answered %s", d.State)
	}
}

func equal(a, b []Document) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// Behind IAP both must let in: IAP the caller, and the service IAP's agent.
func TestDoor(t *testing.T) {
	agent := "serviceAccount:service-1@gcp-sa-iap.iam.gserviceaccount.com"
	accessor := func(m string) *iampb.Policy {
		return policyOf(&iampb.Binding{Role: "roles/iap.httpsResourceAccessor", Members: []string{m}})
	}
	door := func(service, iap *iampb.Policy) Door {
		d := Door{Invoke: whole(), IAPOn: Granted, IAP: whole(), Agent: IdentityOf(agent), Internet: Granted}
		d.Invoke.Layers[0].Policy, d.IAP.Layers[0].Policy, d.IAP.Permission = service, iap, AccessViaIAP
		return d
	}
	ana := IdentityOf("user:ana@example.com")
	for _, tt := range []struct {
		name         string
		service, iap *iampb.Policy
		ana, public  State
	}{
		{"both", policyOf(binds(agent)), accessor("user:ana@example.com"), Granted, NotGranted},
		{"no agent", policyOf(binds("user:ana@example.com")), accessor("user:ana@example.com"), NotGranted, NotGranted},
		{"no accessor", policyOf(binds(agent)), policyOf(), NotGranted, NotGranted},
		{"allUsers on the service", policyOf(binds("allUsers")), policyOf(), NotGranted, NotGranted},
		{"allUsers at IAP", policyOf(binds(agent)), accessor("allUsers"), Granted, Granted},
		{"allUsers at IAP, no agent", policyOf(), accessor("allUsers"), NotGranted, NotGranted},
		{"IAP's policy unread", policyOf(binds(agent)), nil, Unknown, Unknown},
		{"IAP's policy unread, no agent", policyOf(), nil, NotGranted, NotGranted},
	} {
		d := door(tt.service, tt.iap)
		if got := d.Admit(ana).State; got != tt.ana {
			t.Errorf("%s: ana %s, want %s", tt.name, got, tt.ana)
		}
		if got := d.Public().State; got != tt.public {
			t.Errorf("%s: public %s, want %s", tt.name, got, tt.public)
		}
	}
	denied := door(policyOf(binds(agent)), accessor("allUsers"))
	rule := denying("principal://goog/subject/ana@example.com")
	rule.Rules[0].GetDenyRule().DeniedPermissions = []string{"iap.googleapis.com/webServiceVersions.accessViaIAP"}
	denied.IAP.Deny = []DenyLayer{{rule, Granted, "projects/shop"}}
	if got := denied.Admit(ana); got.State != Unknown || got.Reason == "" {
		t.Errorf("allUsers at IAP beside a deny: ana %s (%s), want unknown", got.State, got.Reason)
	}
	open := Door{Invoke: whole(), IAPOn: NotGranted}
	open.Invoke.Layers[0].Policy = policyOf(binds("allUsers"))
	for internet, want := range map[State]State{Granted: Granted, NotGranted: NotGranted, Unknown: Unknown} {
		open.Internet, open.Outside = internet, "ingress"
		if got := open.Public(); got.State != want {
			t.Errorf("ingress %s: public %s, want %s", internet, got.State, want)
		}
	}
	open.IAPOn, open.Internet = Unknown, Granted
	if got := open.Public(); got.State != Granted || got.Certain() {
		t.Errorf("IAP unknown: %s, certain %t", got.State, got.Certain())
	}
}
