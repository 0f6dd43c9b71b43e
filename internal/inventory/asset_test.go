package inventory

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"diagnose/internal/estate"
	"diagnose/internal/gather/gathertest"
	"diagnose/internal/gcp"
	"diagnose/internal/iam"
)

const (
	orders = `{"name":"//run.googleapis.com/projects/shop/locations/europe-west1/services/orders","asset_type":"run.googleapis.com/Service","ancestors":["projects/424242","folders/7","organizations/1"],"resource":{"version":"v1","data":{"apiVersion":"serving.knative.dev/v1","kind":"Service","metadata":{"name":"orders","namespace":"424242","labels":{"cloud.googleapis.com/location":"europe-west1"}}}}}`
	resize = `{"name":"//cloudfunctions.googleapis.com/projects/shop/locations/europe-west1/functions/resize","asset_type":"cloudfunctions.googleapis.com/Function","ancestors":["projects/424242","folders/7","organizations/1"],"resource":{"data":{"name":"projects/shop/locations/europe-west1/functions/resize","environment":"GEN_2","eventTrigger":{"eventType":"google.cloud.storage.object.v1.finalized"},"serviceConfig":{"service":"projects/shop/locations/europe-west1/services/resize"}}}}`
	behind = `{"name":"//run.googleapis.com/projects/shop/locations/europe-west1/services/resize","assetType":"run.googleapis.com/Service","resource":{"data":{"apiVersion":"serving.knative.dev/v1","kind":"Service","metadata":{"name":"resize","namespace":"424242"}}}}`
)

// policyOn is the line of a policy with one binding.
func policyOn(kind, name, role, member string) string {
	return fmt.Sprintf(`{"name":%q,"asset_type":%q,"ancestors":["projects/424242","folders/7","organizations/1"],"iam_policy":{"bindings":[{"role":%q,"members":[%q]}]}}`, name, kind, role, member)
}

func estateOf(t *testing.T, lines ...string) *estate.Estate {
	t.Helper()
	e, s := readAll(t, Options{}, write(t, "export", []byte(strings.Join(lines, "\n"))))
	if s.Odd > 0 || len(s.Incomplete) > 0 {
		t.Fatalf("%+v", s)
	}
	return e
}

// A function and its service are one target, event-driven, called with the
// project's default account; the project's number is told by the ancestors.
func TestJoined(t *testing.T) {
	for _, lines := range [][]string{{resize, behind, orders}, {behind, orders, resize}} {
		e := estateOf(t, lines...)
		if len(e.Targets) != 2 || !e.TargetsComplete {
			t.Fatalf("%d targets: %+v", len(e.Targets), e.Targets)
		}
		f := e.Targets[1]
		if f.Function != "//cloudfunctions.googleapis.com/projects/shop/locations/europe-west1/functions/resize" || f.Event != estate.Yes || f.TriggerAccount != "424242-compute@developer.gserviceaccount.com" {
			t.Errorf("%+v", f)
		}
		var nodes []string
		for _, n := range e.Nodes {
			nodes = append(nodes, n.Name+" "+n.ID+" "+n.Parent)
		}
		if want := []string{"folders/7  organizations/1", "organizations/1  ", "projects/424242 shop folders/7"}; !slices.Equal(nodes, want) {
			t.Errorf("nodes %q, want %q", nodes, want)
		}
	}
}

// A grant on a project reaches services that name it by its ID, though no
// asset of the project says which that is.
func TestReachByNumber(t *testing.T) {
	grant := policyOn(gcp.ProjectAsset, "//cloudresourcemanager.googleapis.com/projects/424242", "roles/run.invoker", "allUsers")
	if got := found(estateOf(t, grant, orders)); !slices.Contains(got, "grant-all-users //cloudresourcemanager.googleapis.com/projects/shop allUsers 1") {
		t.Errorf("found %q", got)
	}
}

// Custom roles grant what they include; one that is disabled or deleted grants
// nothing, and one that is not shown is unknown.
func TestCustomRoles(t *testing.T) {
	grant := policyOn(gcp.ServiceAsset, "//run.googleapis.com/projects/shop/locations/europe-west1/services/orders", "projects/shop/roles/caller", "allUsers")
	role := func(data string) string {
		return `{"name":"//iam.googleapis.com/projects/shop/roles/caller","asset_type":"iam.googleapis.com/Role","resource":{"data":{"name":"projects/shop/roles/caller",` + data + `}}}`
	}
	for name, c := range map[string]struct {
		role  string
		roles int
		want  bool
	}{
		"carries":   {role(`"includedPermissions":["run.routes.invoke","run.services.get"],"stage":"GA"`), 1, true},
		"other":     {role(`"includedPermissions":["run.services.get"]`), 1, false},
		"disabled":  {role(`"includedPermissions":["run.routes.invoke"],"stage":"DISABLED"`), 1, false},
		"deleted":   {role(`"includedPermissions":["run.routes.invoke"],"deleted":true`), 1, false},
		"not shown": {role(`"stage":"GA"`), 0, true}, // it may
		"not read":  {"", 0, true},
	} {
		e := estateOf(t, grant, orders, c.role)
		if got := slices.ContainsFunc(found(e), func(f string) bool { return strings.HasPrefix(f, "grant-all-users ") }); got != c.want || len(e.Roles) != c.roles {
			t.Errorf("%s: found %v, want %v; %d roles", name, got, c.want, len(e.Roles))
		}
	}
}

// What an input does not show is not claimed: whose policies are missing, how
// many lines say so, and whether services can be counted.
func TestCompleteness(t *testing.T) {
	const service = "//run.googleapis.com/projects/shop/locations/europe-west1/services/orders"
	on := func(kind, name, role, member string) string {
		return policyOn(kind, "//cloudresourcemanager.googleapis.com/"+name, role, member)
	}
	own := policyOn(gcp.ServiceAsset, service, "roles/run.invoker", "user:ann@example.com")
	other := policyOn(gcp.ServiceAsset, strings.Replace(service, "orders", "other", 1), "roles/viewer", "user:ann@example.com")
	top := on(gcp.OrganizationAsset, "organizations/1", "roles/viewer", "user:ann@example.com")
	folder := on(gcp.FolderAsset, "folders/7", "roles/viewer", "user:ann@example.com")
	project := on(gcp.ProjectAsset, "projects/424242", "roles/viewer", "user:ann@example.com")
	search := `{"resource":"` + service + `","assetType":"run.googleapis.com/Service","project":"projects/424242","organization":"organizations/1","policy":{"bindings":[{"role":"roles/run.invoker","members":["user:ann@example.com"]}]}}`
	placeless := strings.Replace(orders, `"ancestors":["projects/424242","folders/7","organizations/1"],`, "", 1)
	for name, c := range map[string]struct {
		lines   []string
		targets bool
		missing []string // without policy, by the last part of the name
		said    int
	}{
		"whole":                    {[]string{orders, own, top}, true, nil, 0},
		"a neighbour's policy":     {[]string{orders, other, top}, true, nil, 0},
		"everything above":         {[]string{orders, project, folder, top}, true, nil, 0},
		"resources":                {[]string{orders}, true, []string{"424242", "shop", "7", "1", "orders", "orders"}, 2},
		"the project alone":        {[]string{orders, project}, true, []string{"7", "1", "orders", "orders"}, 2},
		"all but a folder":         {[]string{orders, project, top}, true, []string{"7", "orders", "orders"}, 2},
		"a project's export":       {[]string{orders, own, project}, true, []string{"7", "1"}, 1},
		"policies":                 {[]string{own, top}, false, nil, 1},
		"a search":                 {[]string{search, project, folder, top}, false, nil, 1},
		"nothing of the hierarchy": {[]string{placeless, own, top}, true, nil, 0},
		"no place at all":          {[]string{placeless}, true, []string{"orders", "shop"}, 3},
	} {
		e, s := readAll(t, Options{}, write(t, "export", []byte(strings.Join(c.lines, "\n"))))
		var missing []string
		for name := range e.PoliciesMissing {
			missing = append(missing, gcp.Last(name))
		}
		slices.Sort(missing)
		slices.Sort(c.missing)
		if e.TargetsComplete != c.targets || !slices.Equal(missing, c.missing) || len(s.Missing) != c.said {
			t.Errorf("%s: targets complete %v, policies missing %q, said %q", name, e.TargetsComplete, missing, s.Missing)
		}
	}
	e, s, err := Read(t.Context(), []string{write(t, "export", []byte(orders))}, nil, Options{Complete: true})
	if err != nil || len(e.PoliciesMissing)+len(s.Missing) > 0 {
		t.Errorf("complete by hand: %v %v %v", e.PoliciesMissing, s.Missing, err)
	}
}

// What Google grants its own agents in a project is no finding; the same roles
// for others, and their agents from elsewhere, are.
func TestServiceAgents(t *testing.T) {
	for member, c := range map[string]struct {
		role string
		want bool
	}{
		"serviceAccount:service-424242@serverless-robot-prod.iam.gserviceaccount.com": {"roles/run.serviceAgent", false},
		"serviceAccount:service-777777@serverless-robot-prod.iam.gserviceaccount.com": {"roles/run.serviceAgent", true},
		"serviceAccount:service-424242@gcf-admin-robot.iam.gserviceaccount.com":       {"roles/run.admin", true},
		"serviceAccount:424242@cloudservices.gserviceaccount.com":                     {"roles/editor", false},
		"serviceAccount:424242-compute@developer.gserviceaccount.com":                 {"roles/editor", true},
		"serviceAccount:robot@shop.iam.gserviceaccount.com":                           {"roles/run.serviceAgent", true},
	} {
		e := estateOf(t, orders, policyOn(gcp.ProjectAsset, "//cloudresourcemanager.googleapis.com/projects/424242", c.role, member))
		got := slices.ContainsFunc(found(e), func(f string) bool { return strings.HasPrefix(f, "grant-inherited ") })
		if got != c.want {
			t.Errorf("%s %s: found %v, want %v", c.role, member, got, c.want)
		}
	}
}

func TestOrgPolicy(t *testing.T) {
	for _, list := range []string{`"list_policy":{"allowed_values":["C01","is:C02"]}`, `"listPolicy":{"allowedValues":["C01","is:C02"]}`} {
		e := estateOf(t, `{"name":"//cloudresourcemanager.googleapis.com/organizations/1","asset_type":"cloudresourcemanager.googleapis.com/Organization","org_policy":[{"constraint":"constraints/compute.x","list_policy":{"allowed_values":["y"]}},{"constraint":"constraints/iam.allowedPolicyMemberDomains",`+list+`},{"constraint":"constraints/iam.allowedPolicyMemberDomains","list_policy":{"all_values":"ALLOW"}}]}`)
		if len(e.Domains) != 1 || e.Domains[0].Resource != "organizations/1" || !slices.Equal(e.Domains[0].Customers, []string{"C01", "is:C02"}) {
			t.Errorf("%+v", e.Domains)
		}
	}
}

// A job without a target here is none, and one that is broken is reported.
func TestCallers(t *testing.T) {
	job := func(data string) string {
		return `{"name":"//cloudscheduler.googleapis.com/projects/shop/locations/europe-west1/jobs/nightly","asset_type":"cloudscheduler.googleapis.com/Job","resource":{"data":{"name":"projects/shop/locations/europe-west1/jobs/nightly",` + data + `}}}`
	}
	e := estateOf(t, job(`"schedule":"* * * * *","httpTarget":{"uri":"https://orders.a.run.app/x","oidcToken":{"serviceAccountEmail":"caller@shop.iam.gserviceaccount.com"}}`), job(`"schedule":"* * * * *","pubsubTarget":{"topicName":"t"}`))
	if len(e.Callers) != 1 || e.Callers[0].ServiceAccount != "caller@shop.iam.gserviceaccount.com" || e.Callers[0].Where.Line != 1 {
		t.Errorf("%+v", e.Callers)
	}
	if _, s := readAll(t, Options{}, write(t, "export", []byte(job(`"schedule":7,"httpTarget":[]`)))); s.Odd != 1 {
		t.Errorf("%+v", s)
	}
}

// A request that names a type which the API does not know fails as a whole.
func TestTypes(t *testing.T) {
	if slices.Contains(Types(), gcp.DenyPolicyAsset) {
		t.Error("the API knows no asset type of deny policies")
	}
	published := gathertest.AssetTypes()
	for _, kind := range Types() {
		if !slices.Contains(published, kind) {
			t.Errorf("%s is not in the published list of asset types", kind)
		}
	}
	for _, kind := range append(Types(), gcp.DenyPolicyAsset) {
		if !matters([]byte(kind)) {
			t.Errorf("assets of type %s are asked for and not read", kind)
		}
	}
	if !slices.Contains(Types(), gcp.RegionBackendServiceAsset) || matters([]byte("run.googleapis.com/Job")) {
		t.Error("the types are not those that matter")
	}
}

// What IAP asks for counts as much as what the service asks for.
func TestAccessThroughIAPIsKept(t *testing.T) {
	data := `{"name":"//cloudresourcemanager.googleapis.com/projects/7","asset_type":"cloudresourcemanager.googleapis.com/Project",` +
		`"iam_policy":{"bindings":[{"role":"roles/iap.httpsResourceAccessor","members":["allUsers"]},{"role":"roles/logging.viewer","members":["allUsers"]}]}}
{"name":"//iam.googleapis.com/projects/p/roles/web","asset_type":"iam.googleapis.com/Role",` +
		`"resource":{"data":{"name":"projects/p/roles/web","includedPermissions":["iap.webServiceVersions.accessViaIAP","a.b.c"]}}}
`
	e, _ := readAll(t, Options{}, write(t, "export", []byte(data)))
	if len(e.Policies) != 1 || len(e.Policies[0].Bindings) != 1 || e.Policies[0].Bindings[0].Role != "roles/iap.httpsResourceAccessor" {
		t.Errorf("the policies read are %+v", e.Policies)
	}
	if len(e.Roles) != 1 || !slices.Equal(e.Roles[0].IncludedPermissions, []string{iam.AccessViaIAP}) {
		t.Errorf("the roles read are %+v", e.Roles)
	}
}
