package iam

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"cloud.google.com/go/iam/apiv1/iampb"
	"google.golang.org/genproto/googleapis/type/expr"
)

// A policy without the other accounts decides as the whole one does.
func TestRoster(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	members := []string{
		"allUsers", "allAuthenticatedUsers", "user:ann@example.com", "user:ANN@Example.com", "user:bob@other.com", "group:g@example.com", "domain:example.com",
		"serviceAccount:a@p.iam.gserviceaccount.com", "principal://iam.googleapis.com/projects/-/serviceAccounts/a@p.iam.gserviceaccount.com",
		"principal://goog/subject/ann@example.com", "deleted:user:ann@example.com?uid=1", "serviceAccount:service-1@gcp-sa-x.iam.gserviceaccount.com",
		"serviceAccount:service-1@gcp-sa-x.u.iam.gserviceaccount.com", "principalSet://cloudresourcemanager.googleapis.com/projects/1/type/ServiceAccount", "nobody", "",
		"projectOwner:p", "user:carl@example.com", "user:dan@example.com",
	}
	callers := append([]string{"user:eve@example.com"}, members...)
	roles := []string{"roles/run.invoker", "roles/viewer", "projects/p/roles/custom"}
	for range 500 {
		p := &iampb.Policy{}
		for range 1 + r.IntN(5) {
			b := &iampb.Binding{Role: roles[r.IntN(len(roles))]}
			for range r.IntN(5) {
				b.Members = append(b.Members, members[r.IntN(len(members))])
			}
			if r.IntN(3) == 0 {
				b.Condition = &expr.Expr{Expression: []string{"false", "request.host == 'h'", "true"}[r.IntN(3)]}
			}
			p.Bindings = append(p.Bindings, b)
		}
		sorted := NewRoster(p)
		for _, who := range callers {
			door := Door{Invoke: Question{Query: Query{Permission: RunInvoke}, CheckOff: NotGranted, Layers: []Layer{{Policy: p}}}, IAPOn: NotGranted}
			if r.IntN(2) == 0 {
				door.IAPOn, door.IAP, door.Agent = Granted, door.Invoke, IdentityOf(members[r.IntN(len(members))])
				door.IAP.Permission = AccessViaIAP
			}
			id := IdentityOf(who)
			whole, part := door.Admit(id), door.About(id, func(*iampb.Policy) *Roster { return sorted }).Admit(id)
			if got, want := summaryOf(part), summaryOf(whole); !reflect.DeepEqual(got, want) {
				t.Fatalf("%s in %v: %s, of the whole %s", who, p, got, want)
			}
		}
	}
}

// summaryOf is a decision without positions.
func summaryOf(d Decision) string {
	s := fmt.Sprint(d.State, d.Way, d.Reason, d.Open)
	if d.Binding != nil {
		s += fmt.Sprint(d.Binding.Role, d.Binding.Member, d.Binding.State, d.Binding.Reason)
	}
	return s
}
