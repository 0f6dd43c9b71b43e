package iam

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"cloud.google.com/go/iam/admin/apiv1/adminpb"
	"cloud.google.com/go/iam/apiv1/iampb"
	denypb "cloud.google.com/go/iam/apiv2/iampb"
	"google.golang.org/genproto/googleapis/type/expr"
	"pgregory.net/rapid"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

const (
	mover   = "serviceAccount:mover@shop.iam.gserviceaccount.com"
	invoker = "roles/run.invoker"
)

func binding(role string, members ...string) *iampb.Binding {
	return &iampb.Binding{Role: role, Members: members}
}

func conditional(b *iampb.Binding, e string) *iampb.Binding {
	b.Condition = &expr.Expr{Expression: e}
	return b
}

func policy(bs ...*iampb.Binding) *iampb.Policy { return &iampb.Policy{Bindings: bs} }

func onService(bs ...*iampb.Binding) []Layer {
	return []Layer{{Resource: "services/orders", Level: Service, Policy: policy(bs...)}}
}

func ask(member string) Query {
	return Query{Permission: RunInvoke, Identity: IdentityOf(member), Context: Context{Time: now}}
}

func TestRoles(t *testing.T) {
	custom := NewRoles([]*adminpb.Role{
		{Name: "projects/shop/roles/caller", IncludedPermissions: []string{RunInvoke}},
		{Name: "projects/shop/roles/gone", IncludedPermissions: []string{RunInvoke}, Deleted: true},
		{Name: "projects/shop/roles/off", IncludedPermissions: []string{RunInvoke}, Stage: adminpb.Role_DISABLED},
		{Name: "roles/run.viewer", IncludedPermissions: []string{RunInvoke}},
	})
	tests := []struct {
		role, permission string
		want             State
	}{
		{invoker, RunInvoke, Granted},
		{"roles/run.servicesInvoker", RunInvoke, Granted},
		{"roles/run.developer", RunInvoke, Granted},
		{"roles/editor", RunInvoke, Granted},
		{"roles/owner", RunInvoke, Granted},
		{"roles/viewer", RunInvoke, NotGranted},
		{"roles/run.jobsExecutor", RunInvoke, NotGranted},
		{"roles/cloudfunctions.invoker", RunInvoke, NotGranted},
		{"roles/cloudfunctions.developer", RunInvoke, Granted},
		{"roles/cloudfunctions.invoker", FunctionsInvoke, Granted},
		{invoker, FunctionsInvoke, NotGranted},
		{"roles/owner", MintIDToken, NotGranted},
		{"roles/iap.httpsResourceAccessor", AccessViaIAP, Granted},
		{"roles/admin", RunInvoke, Unknown},
		{"roles/writer", RunInvoke, Unknown},
		{"projects/shop/roles/caller", RunInvoke, Granted},
		{"projects/shop/roles/caller", FunctionsInvoke, NotGranted},
		{"projects/shop/roles/gone", RunInvoke, NotGranted},
		{"projects/shop/roles/off", RunInvoke, NotGranted},
		{"projects/other/roles/x", RunInvoke, Unknown},
		{"organizations/1/roles/x", RunInvoke, Unknown},
		{"roles/run.viewer", RunInvoke, Granted}, // a newer definition beats the table
		{"roles/run.invoker_withcond_ab12cd34", RunInvoke, Unknown},
		{"invoker", RunInvoke, Unknown},
		{"roles/run.invoker", "some.other.permission", Unknown},
	}
	for _, tt := range tests {
		got, why := custom.Carries(tt.role, tt.permission)
		if got != tt.want || (got == Granted) != (why == "") {
			t.Errorf("%s carries %s: %s (%q), want %s", tt.role, tt.permission, got, why, tt.want)
		}
	}
	if n := len(RolesCarrying(RunInvoke)); n != 28 {
		t.Errorf("%d roles carry %s, want 28", n, RunInvoke)
	}
	if !slices.Contains(RolesCarrying(RunInvoke), MinimalInvoker) {
		t.Errorf("%s does not carry %s", MinimalInvoker, RunInvoke)
	}
}

// data reads a file of the folder that DIAGNOSE_DATA names.
func data(t *testing.T, name string) []byte {
	t.Helper()
	root := os.Getenv("DIAGNOSE_DATA")
	if root == "" {
		t.Skip("DIAGNOSE_DATA does not name a folder with inputs of others")
	}
	b, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Skipf("no such input: %v", err)
	}
	return b
}

func TestRoleTableAgainstDataset(t *testing.T) {
	var doc struct {
		Roles map[string][]struct{ Role string } `json:"roles_by_permission"`
	}
	if err := json.Unmarshal(data(t, "iam/role-permissions/roles_by_permission.json"), &doc); err != nil {
		t.Fatal(err)
	}
	for _, permission := range []string{RunInvoke, FunctionsInvoke, AccessViaIAP, MintIDToken} {
		var want []string
		for _, r := range doc.Roles[permission] {
			want = append(want, r.Role)
		}
		slices.Sort(want)
		if len(want) > 0 && !slices.Equal(want, RolesCarrying(permission)) {
			t.Errorf("%s: the table has %v, the dataset %v", permission, RolesCarrying(permission), want)
		}
	}
}

func TestAllow(t *testing.T) {
	group := binding(invoker, "group:dev@example.com")
	tests := []struct {
		name   string
		layers []Layer
		caller string
		want   State
	}{
		{"granted", onService(binding(invoker, mover)), mover, Granted},
		{"no layers", nil, mover, Unknown},
		{"empty policy", onService(), mover, NotGranted},
		{"granted beside an unread layer", append(onService(binding(invoker, mover)), Layer{}), mover, Granted},
		{"on the project", append(onService(), Layer{Resource: "projects/shop", Level: Project, Policy: policy(binding("roles/editor", mover))}), mover, Granted},
		{"role without permission", onService(binding("roles/viewer", mover)), mover, NotGranted},
		{"unknown group", onService(group), mover, Unknown},
		{"unknown group in a role that does not count", onService(binding("roles/viewer", "group:dev@example.com")), mover, NotGranted},
		{"unknown role", onService(binding("projects/x/roles/y", mover)), mover, Unknown},
		{"unknown role of another", onService(binding("projects/x/roles/y", "user:a@example.com")), mover, NotGranted},
		{"expired", onService(conditional(binding(invoker, mover), `request.time < timestamp("2026-01-01T00:00:00Z")`)), mover, NotGranted},
		{"condition on tags", onService(conditional(binding(invoker, mover), `resource.matchTag("1/env", "prod")`)), mover, Unknown},
		{"condition on tags of another", onService(conditional(binding(invoker, "user:a@example.com"), `resource.matchTag("1/env", "prod")`)), mover, NotGranted},
		{"public", onService(binding(invoker, "allUsers")), "allUsers", Granted},
		{"viewer for everybody is not public", onService(binding("roles/viewer", "allUsers")), "allUsers", NotGranted},
		{"a second member counts", onService(binding(invoker, "user:a@example.com", "group:x@example.com", mover)), mover, Granted},
		{"empty binding", onService(&iampb.Binding{}, nil), mover, NotGranted},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := Question{Query: ask(tt.caller), Layers: tt.layers, CheckOff: NotGranted, Above: true, DenyRead: true}.Decide()
			if d.State != tt.want {
				t.Errorf("%s, want %s: %+v", d.State, tt.want, d.Access.Bindings)
			}
			for _, b := range d.Access.Bindings {
				if (b.State != Granted) != (b.Reason != "") && b.Role != "" {
					t.Errorf("%s is %s for the reason %q", b.Role, b.State, b.Reason)
				}
			}
		})
	}
}

func deny(rules ...*denypb.DenyRule) []DenyLayer {
	p := &denypb.Policy{Name: "policies/cloudresourcemanager.googleapis.com%2Fprojects%2Fshop/denypolicies/d"}
	for _, r := range rules {
		p.Rules = append(p.Rules, &denypb.PolicyRule{Kind: &denypb.PolicyRule_DenyRule{DenyRule: r}})
	}
	return []DenyLayer{{}, {Policy: p, Attached: Granted}}
}

func TestDeny(t *testing.T) {
	const (
		all      = "principalSet://goog/public:all"
		moverV2  = "principal://iam.googleapis.com/projects/-/serviceAccounts/mover@shop.iam.gserviceaccount.com"
		anaV2    = "principal://goog/subject/ana@example.com"
		group    = "principalSet://goog/group/dev@example.com"
		exact    = "run.googleapis.com/routes.invoke"
		wildcard = "run.googleapis.com/routes.*"
	)
	list := func(s ...string) []string { return s }
	tests := []struct {
		name string
		rule *denypb.DenyRule
		want DenyState
	}{
		{"everybody", &denypb.DenyRule{DeniedPrincipals: list(all), DeniedPermissions: list(exact)}, Denied},
		{"a group of permissions", &denypb.DenyRule{DeniedPrincipals: list(all), DeniedPermissions: list(wildcard)}, Denied},
		{"every permission of Cloud Run", &denypb.DenyRule{DeniedPrincipals: list(all), DeniedPermissions: list("run.googleapis.com/*.*")}, Denied},
		{"by name", &denypb.DenyRule{DeniedPrincipals: list(moverV2), DeniedPermissions: list(exact)}, Denied},
		{"somebody else", &denypb.DenyRule{DeniedPrincipals: list(anaV2), DeniedPermissions: list(exact)}, NotDenied},
		{"another permission", &denypb.DenyRule{DeniedPrincipals: list(all), DeniedPermissions: list("run.googleapis.com/services.get")}, NotDenied},
		{"excepted principal", &denypb.DenyRule{DeniedPrincipals: list(all), ExceptionPrincipals: list(moverV2), DeniedPermissions: list(exact)}, NotDenied},
		{"excepted permission", &denypb.DenyRule{DeniedPrincipals: list(all), DeniedPermissions: list(wildcard), ExceptionPermissions: list(exact)}, NotDenied},
		{"unknown group", &denypb.DenyRule{DeniedPrincipals: list(group), DeniedPermissions: list(exact)}, DenyUnknown},
		{"unknown exception", &denypb.DenyRule{DeniedPrincipals: list(all), ExceptionPrincipals: list(group), DeniedPermissions: list(exact)}, DenyUnknown},
		{"unknown customer", &denypb.DenyRule{DeniedPrincipals: list("principalSet://goog/cloudIdentityCustomerId/C01"), DeniedPermissions: list(exact)}, DenyUnknown},
		{"deleted principal", &denypb.DenyRule{DeniedPrincipals: list("deleted:" + moverV2 + "?uid=1"), DeniedPermissions: list(exact)}, NotDenied},
		{"tag is there", &denypb.DenyRule{DeniedPrincipals: list(all), DeniedPermissions: list(exact), DenialCondition: &expr.Expr{Expression: `resource.matchTag("1/env", "prod")`}}, Denied},
		{"tag is not there", &denypb.DenyRule{DeniedPrincipals: list(all), DeniedPermissions: list(exact), DenialCondition: &expr.Expr{Expression: `resource.matchTag("1/env", "test")`}}, NotDenied},
		{"a condition that is not understood", &denypb.DenyRule{DeniedPrincipals: list(all), DeniedPermissions: list(exact), DenialCondition: &expr.Expr{Expression: `newFunction("x")`}}, DenyUnknown},
		{"a condition on what is not provided denies", &denypb.DenyRule{DeniedPrincipals: list(all), DeniedPermissions: list(exact), DenialCondition: &expr.Expr{Expression: `resource.name == "x"`}}, Denied},
		{"no rule", nil, NotDenied},
	}
	q := ask(mover)
	q.Context.TagsKnown, q.Context.Tags = true, []Tag{{"1/env", "1/env/prod", "tagKeys/2", "tagValues/3"}}
	for _, tt := range tests {
		got := q.Deny(deny(tt.rule))
		if got.State != tt.want {
			t.Errorf("%s: %d (%s), want %d", tt.name, got.State, got.Reason, tt.want)
		}
		if got.State != NotDenied && (got.Policy != 1 || got.Reason == "") {
			t.Errorf("%s: decided by policy %d for the reason %q", tt.name, got.Policy, got.Reason)
		}
	}
	q.Context.TagsKnown = false
	if got := q.Deny(deny(tests[12].rule)); got.State != DenyUnknown {
		t.Errorf("a condition on tags that were not read is %d, want unknown", got.State)
	}
	q.Permission = FunctionsInvoke
	if got := q.Deny(deny(tests[0].rule)); got.State != NotDenied {
		t.Errorf("the invocation of a gen1 function is denied: %+v", got)
	}
}

func TestHoldings(t *testing.T) {
	q := Question{Query: Query{Permission: RunInvoke, Context: Context{Time: now}}, Layers: onService(
		binding(invoker, "allUsers", "deleted:user:x@example.com?uid=1", "principal://iam.googleapis.com/locations/global/workforcePools/p/subject/s"),
		binding("roles/viewer", "allUsers"),
		conditional(binding(invoker, mover), `resource.name == "x"`),
		binding("projects/p/roles/r", mover),
	)}
	gs := q.Holdings()
	want := []State{Granted, NotGranted, NotGranted, NotGranted, NotGranted, Unknown}
	for i, g := range gs {
		if g.State != want[i] || (g.State != Granted) != (g.Reason != "") {
			t.Errorf("grant %d to %s is %s (%q), want %s", i, g.Member, g.State, g.Reason, want[i])
		}
	}
	if len(gs) != len(want) {
		t.Errorf("%d grants, want %d", len(gs), len(want))
	}
}

// A deny rule blocks what a binding gives to those whom it covers, one account
// or a whole set; on a public grant its effect is not known.
func TestHoldingsDenied(t *testing.T) {
	layers := onService(binding(invoker, mover, "user:ana@example.com", "group:dev@example.com", "group:ops@example.com", "allUsers"))
	rule := func(principal string) *denypb.DenyRule {
		return &denypb.DenyRule{DeniedPrincipals: []string{principal}, DeniedPermissions: []string{"run.googleapis.com/routes.invoke"}}
	}
	for principal, want := range map[string][]State{
		"principalSet://goog/public:all":            {NotGranted, NotGranted, NotGranted, NotGranted, Unknown},
		"principal://goog/subject/ana@example.com":  {Granted, NotGranted, Granted, Granted, Granted},
		"principalSet://goog/group/dev@example.com": {Unknown, Unknown, NotGranted, Unknown, Granted},
	} {
		q := Question{Query: Query{Permission: RunInvoke, Context: Context{Time: now}}, Layers: layers, Deny: deny(rule(principal))}
		for i, h := range q.Holdings() {
			if h.May != want[i] || h.State != Granted {
				t.Errorf("%s denied: %s may %s (%s), want %s", principal, h.Member, h.May, h.Reason, want[i])
			}
		}
	}
}

// Laws.

var (
	someMembers = []string{"allUsers", "allAuthenticatedUsers", mover, "user:ana@example.com", "group:dev@example.com", "domain:example.com", "deleted:user:a@b.c?uid=1", "projectOwner:x", ""}
	someRoles   = []string{invoker, "roles/viewer", "roles/editor", "projects/p/roles/x", "roles/admin"}
	someExprs   = []string{"", "true", "false", `request.path == "/x"`, `resource.name == "x"`, "broken ("}
)

func drawBinding(t *rapid.T) *iampb.Binding {
	b := binding(rapid.SampledFrom(someRoles).Draw(t, "role"), rapid.SliceOfN(rapid.SampledFrom(someMembers), 0, 3).Draw(t, "members")...)
	if e := rapid.SampledFrom(someExprs).Draw(t, "condition"); e != "" {
		conditional(b, e)
	}
	return b
}

func TestAllowLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bs := rapid.SliceOfN(rapid.Custom(drawBinding), 0, 5).Draw(t, "bindings")
		q := ask(rapid.SampledFrom([]string{mover, "user:ana@example.com", "allUsers"}).Draw(t, "caller"))
		before := q.Allow(onService(bs...))
		more := q.Allow(onService(append(slices.Clone(bs), drawBinding(t))...))
		if before.State == Granted && more.State != Granted {
			t.Fatalf("another binding takes the grant away: %v", bs)
		}
		if before.State == Unknown && more.State == NotGranted {
			t.Fatalf("another binding settles what was unknown: %v", bs)
		}
		turned := slices.Clone(bs)
		slices.Reverse(turned)
		if got := q.Allow(onService(turned...)); got.State != before.State {
			t.Fatalf("the order of bindings counts: %s, turned round %s", before.State, got.State)
		}
		whole := Question{Query: q, Layers: onService(bs...), CheckOff: NotGranted, Above: true, DenyRead: true}
		less := whole
		less.Layers = append(onService(bs...), Layer{Resource: "projects/shop", Level: Project})
		if got := less.Decide(); got.State == NotGranted && got.Certain() || got.State != whole.Decide().State {
			t.Fatalf("with an unread layer %s, certain %t", got.State, got.Certain())
		}
		listed := q
		listed.Groups = NewGroups(map[string][]string{"group:dev@example.com": {}})
		if listed.Allow(onService(bs...)).State == NotGranted && before.State == Granted {
			t.Fatal("an unlisted group grants")
		}
	})
}

func BenchmarkGrants(b *testing.B) {
	var bs []*iampb.Binding
	for range 1000 {
		bs = append(bs, binding(invoker, mover, "user:ana@example.com", "group:dev@example.com"))
	}
	layers := onService(bs...)
	q := Question{Query: Query{Permission: RunInvoke, Context: Context{Time: now}}, Layers: layers}
	for b.Loop() {
		q.Holdings()
	}
}
