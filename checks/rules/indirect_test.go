package rules

import (
	"testing"

	"diagnose/internal/estate"
)

func TestIndirectSmall(t *testing.T) {
	sa := func(id string) string { return "//iam.googleapis.com/projects/shop/serviceAccounts/" + id }
	e := &estate.Estate{
		PoliciesComplete: true, TargetsComplete: true,
		Nodes: []estate.Node{{Name: "projects/424242", ID: "shop", Parent: "organizations/1"}, {Name: "organizations/1"}},
		Targets: []estate.Target{
			{Name: "//run.googleapis.com/projects/shop/locations/r/services/billing", Check: estate.Yes, IAP: estate.No, Ingress: estate.IngressAll},
			{Name: "//run.googleapis.com/projects/shop/locations/r/services/orders", Check: estate.Yes, IAP: estate.No, Ingress: estate.IngressAll},
		},
		Accounts: []estate.Account{{Name: sa("111"), Email: "orders@shop.iam.gserviceaccount.com"}},
		Policies: []estate.Policy{
			{Resource: "//run.googleapis.com/projects/shop/locations/r/services/billing", Bindings: []estate.Binding{{Role: "roles/run.invoker", Members: []string{"serviceAccount:orders@shop.iam.gserviceaccount.com"}}}},
			{Resource: sa("111"), Bindings: []estate.Binding{{Role: "roles/iam.serviceAccountOpenIdTokenCreator", Members: []string{"user:mallory@gmail.com"}}}},
			{Resource: "//cloudresourcemanager.googleapis.com/projects/shop", Bindings: []estate.Binding{{Role: "roles/iam.serviceAccountTokenCreator", Members: []string{"user:ci@example.com"}}}},
		},
	}
	r := Judge(e, Options{})
	for _, f := range r.Findings {
		t.Logf("%s %s %s %v %+v reach %v\n  fixes %+v", f.Rule, f.Severity, f.Message, f.Members, f.Path, f.Reach, f.Fixes)
	}
}
