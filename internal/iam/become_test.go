package iam

import (
	"testing"

	"cloud.google.com/go/iam/apiv1/iampb"
	denypb "cloud.google.com/go/iam/apiv2/iampb"
	"google.golang.org/genproto/googleapis/type/expr"
)

const (
	pool    = "principalSet://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/ci/*"
	subject = "principal://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/ci/subject/main"
)

// Who may mint tokens of an account is asked of the same decision as who may
// invoke, and federated identities count there.
func TestMayBecome(t *testing.T) {
	for _, c := range []struct {
		member, who string
		want        State
	}{
		{"user:a@example.com", "user:a@example.com", Granted},
		{"user:a@example.com", "user:b@example.com", NotGranted},
		{"deleted:user:a@example.com?uid=1", "user:a@example.com", NotGranted},
		{"allAuthenticatedUsers", "user:a@example.com", Granted},
		{"allAuthenticatedUsers", subject, NotGranted},
		{pool, subject, Granted},
		{subject, subject, Granted},
		{subject + "2", subject, NotGranted},
		{"principalSet://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/ci/attribute.ref/main", subject, Unknown},
		{"serviceAccount:shop.svc.id.goog[default/web]", "serviceAccount:shop.svc.id.goog[default/web]", Granted},
		{"serviceAccount:shop.svc.id.goog[default/web]", "serviceAccount:shop.svc.id.goog[default/db]", NotGranted},
		{"projectOwner:shop", "user:a@example.com", NotGranted},
		{"group:eng@example.com", "group:eng@example.com", Granted},
		{"group:eng@example.com", "user:a@example.com", Unknown},
	} {
		q := becoming(c.who, &iampb.Binding{Role: "roles/iam.serviceAccountTokenCreator", Members: []string{c.member}})
		if got := q.Decide(); got.State != c.want {
			t.Errorf("%s by a binding of %s: %s (%s), want %s", c.who, c.member, got.State, got.Reason, c.want)
		}
	}
}

func becoming(who string, b *iampb.Binding) Question {
	return Question{
		Query:    Query{Permission: MintAccessToken, Identity: IdentityOf(who)},
		CheckOff: NotGranted, Above: true, DenyRead: true,
		Layers: []Layer{{Resource: "serviceAccounts/app", Policy: &iampb.Policy{Bindings: []*iampb.Binding{b}}}},
	}
}

// A deny policy names the permission by its service.
func TestMintingDenied(t *testing.T) {
	q := becoming("user:a@example.com", &iampb.Binding{Role: "roles/iam.serviceAccountTokenCreator", Members: []string{"user:a@example.com"}})
	deny := func(permission, principal string) State {
		q.Deny = []DenyLayer{{Attached: Granted, Policy: &denypb.Policy{Rules: []*denypb.PolicyRule{{Kind: &denypb.PolicyRule_DenyRule{
			DenyRule: &denypb.DenyRule{DeniedPermissions: []string{permission}, DeniedPrincipals: []string{principal}},
		}}}}}}
		return q.Decide().State
	}
	if got := deny("iam.googleapis.com/serviceAccounts.getAccessToken", "principal://goog/subject/a@example.com"); got != NotGranted {
		t.Errorf("denied minting is %s", got)
	}
	if got := deny("iam.googleapis.com/serviceAccounts.getOpenIdToken", "principal://goog/subject/a@example.com"); got != Granted {
		t.Errorf("minting with another permission denied is %s", got)
	}
	q.Identity, q.Layers[0].Policy.Bindings[0].Members = IdentityOf(subject), []string{subject}
	if got := deny("iam.googleapis.com/serviceAccounts.*", pool); got != NotGranted {
		t.Errorf("minting denied to a pool is %s", got)
	}
}

// The attributes that conditions of Cloud Run have tell nothing of an account.
func TestMintingOnCondition(t *testing.T) {
	for text, want := range map[string]State{
		`resource.name.startsWith("x")`:                        Unknown,
		`request.time < timestamp("2020-01-01T00:00:00Z")`:     Unknown, // no moment is known
		`resource.type == "iam.googleapis.com/ServiceAccount"`: Unknown,
	} {
		b := &iampb.Binding{Role: "roles/iam.serviceAccountTokenCreator", Members: []string{"user:a@example.com"}, Condition: &expr.Expr{Expression: text}}
		if got := becoming("user:a@example.com", b).Decide(); got.State != want {
			t.Errorf("%s is %s, want %s", text, got.State, want)
		}
	}
}

// Every permission of the list is in the table of predefined roles, and deny
// policies can name it.
func TestBecomingIsKnown(t *testing.T) {
	for _, p := range Becoming() {
		if len(RolesCarrying(p)) == 0 || !Deniable(p) {
			t.Errorf("%s is in %d roles, deniable: %t", p, len(RolesCarrying(p)), Deniable(p))
		}
	}
}
