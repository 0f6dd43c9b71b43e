package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// The lines of a small organization: one service that one account invokes.
const (
	shopAncestors = `"ancestors":["projects/11","organizations/1"]`
	shopProject   = `{"name":"//cloudresourcemanager.googleapis.com/projects/11","asset_type":"cloudresourcemanager.googleapis.com/Project","resource":{"data":{"projectId":"shop","projectNumber":"11"}},` + shopAncestors + `}`
	shopService   = `{"name":"//run.googleapis.com/projects/shop/locations/r/services/billing","asset_type":"run.googleapis.com/Service","resource":{"data":{"name":"projects/shop/locations/r/services/billing","ingress":"INGRESS_TRAFFIC_ALL"}},` + shopAncestors + `}`
	shopInvoker   = `{"name":"//run.googleapis.com/projects/shop/locations/r/services/billing","asset_type":"run.googleapis.com/Service","iam_policy":{"bindings":[{"role":"roles/run.invoker","members":["serviceAccount:orders@shop.iam.gserviceaccount.com"]}]},` + shopAncestors + `}`
	shopTop       = `{"name":"//cloudresourcemanager.googleapis.com/organizations/1","asset_type":"cloudresourcemanager.googleapis.com/Organization","iam_policy":{"bindings":[]},"ancestors":["organizations/1"]}`
	shopOwn       = `{"name":"//cloudresourcemanager.googleapis.com/projects/11","asset_type":"cloudresourcemanager.googleapis.com/Project","iam_policy":{"bindings":[]},` + shopAncestors + `}`
	shopAccount   = `{"name":"//iam.googleapis.com/projects/shop/serviceAccounts/111","asset_type":"iam.googleapis.com/ServiceAccount","resource":{"data":{"email":"orders@shop.iam.gserviceaccount.com"}},` + shopAncestors + `}`
)

// accountPolicy is the line of the policy of a service account.
func accountPolicy(id string, members ...string) string {
	list, _ := json.Marshal(members)
	return fmt.Sprintf(`{"name":"//iam.googleapis.com/projects/shop/serviceAccounts/%s","asset_type":"iam.googleapis.com/ServiceAccount",`+
		`"iam_policy":{"bindings":[{"role":"roles/iam.serviceAccountOpenIdTokenCreator","members":%s}]},%s}`, id, list, shopAncestors)
}

type scanned struct {
	Summary struct {
		Incomplete []string
		Baseline   struct {
			New, Gone, Unchanged int
			Fixed                []string
		}
	}
	Findings []struct {
		Rule, Member, Message, Fingerprint string
		Members                            []string
		Suppressed                         bool
		Path                               []map[string]string
	}
}

func scanLines(t *testing.T, lines []string, args ...string) (int, scanned) {
	t.Helper()
	if err := os.WriteFile("export", []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	code, out, errs := run(t, nil, append([]string{"scan", "--export=export", "--format=json"}, args...)...)
	var doc scanned
	if err := json.Unmarshal([]byte(out), &doc); err != nil {
		t.Fatalf("%v: %s%s", err, out, errs)
	}
	return code, doc
}

// What an export does not show of service accounts makes a scan incomplete,
// where it can matter.
func TestScanAccountsUnread(t *testing.T) {
	base := []string{shopProject, shopService, shopInvoker, shopTop}
	byID, byEmail := accountPolicy("111", "user:mallory@gmail.com"), accountPolicy("orders@shop.iam.gserviceaccount.com", "user:mallory@gmail.com")
	public := strings.ReplaceAll(shopInvoker, `"members":[`, `"members":["allUsers",`)
	for name, c := range map[string]struct {
		lines []string
		args  []string
		code  int
		want  string // a part of the reason, "" where complete
	}{
		"no policy of an account":            {base, nil, 3, "who can become orders@shop.iam.gserviceaccount.com is not known; gcloud asset export --organization=1 --content-type=iam-policy"},
		"stated":                             {base, []string{"--complete"}, 0, ""},
		"everything above":                   {append(base, shopOwn), nil, 0, ""},
		"of another account":                 {append(base, strings.ReplaceAll(accountPolicy("222"), "OpenIdTokenCreator", "Viewer")), nil, 0, ""},
		"everybody may invoke":               {[]string{shopProject, shopService, public, shopTop}, nil, 1, ""},
		"a unique ID alone":                  {append(base, byID), nil, 3, "the e-mail of projects/shop/serviceAccounts/111 is not in the input"},
		"a unique ID alone, stated":          {append(base, byID), []string{"--complete"}, 3, "the e-mail of projects/shop/serviceAccounts/111 is not in the input"},
		"a unique ID of a listed account":    {append(base, byID, shopAccount), nil, 1, ""},
		"a unique ID, and the e-mail listed": {append(base, shopAccount, accountPolicy("222", "user:mallory@gmail.com")), nil, 0, ""},
		"by e-mail":                          {append(base, byEmail), nil, 1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			code, doc := scanLines(t, c.lines, c.args...)
			if all := strings.Join(doc.Summary.Incomplete, "\n"); code != c.code || c.want == "" && all != "" || !strings.Contains(all, c.want) {
				t.Errorf("exit %d, want %d: %s", code, c.code, all)
			}
		})
	}
}

// One binding is one finding, its path has the four keys of a step, an ignore
// covers the members that it names, and a baseline compares member by member.
func TestScanIndirectMembers(t *testing.T) {
	t.Chdir(t.TempDir())
	lines := func(members ...string) []string {
		return []string{shopProject, shopService, shopInvoker, shopTop, shopAccount, accountPolicy("111", members...)}
	}
	code, doc := scanLines(t, lines("user:a@x.org", "user:b@x.org"), "--write-baseline=base.json")
	if code != 1 || len(doc.Findings) != 1 || !slices.Equal(doc.Findings[0].Members, []string{"user:a@x.org", "user:b@x.org"}) {
		t.Fatalf("exit %d: %+v", code, doc)
	}
	f := doc.Findings[0]
	want := map[string]string{
		"principal": "user:a@x.org", "permission": "iam.serviceAccounts.getOpenIdToken", "role": "roles/iam.serviceAccountOpenIdTokenCreator",
		"on": "//iam.googleapis.com/projects/shop/serviceAccounts/orders@shop.iam.gserviceaccount.com",
	}
	if len(f.Path) != 1 || fmt.Sprint(f.Path[0]) != fmt.Sprint(want) {
		t.Errorf("path %v", f.Path)
	}
	code, doc = scanLines(t, lines("user:b@x.org", "user:c@x.org"), "--baseline=base.json")
	drift := doc.Summary.Baseline
	if code != 1 || len(doc.Findings) != 1 || doc.Findings[0].Member != "user:c@x.org" || len(doc.Findings[0].Members) != 1 ||
		!strings.HasPrefix(doc.Findings[0].Message, "user:c@x.org can become ") || doc.Findings[0].Fingerprint != f.Fingerprint {
		t.Errorf("exit %d: %+v", code, doc.Findings)
	}
	if drift.New != 1 || drift.Gone != 1 || !strings.Contains(drift.Fixed[0], "user:a@x.org") {
		t.Errorf("%+v", drift)
	}
	if code, doc = scanLines(t, lines("user:b@x.org"), "--baseline=base.json"); code != 0 || doc.Summary.Baseline.Unchanged != 1 {
		t.Errorf("exit %d: %+v", code, doc)
	}
	config := "ignores:\n  - {rule: grant-indirect, member: \"user:a@x.org\", reason: known}\n"
	if err := os.WriteFile("diagnose.yaml", []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	_, doc = scanLines(t, lines("user:a@x.org", "user:b@x.org"))
	if len(doc.Findings) != 2 || doc.Findings[0].Suppressed == doc.Findings[1].Suppressed || len(doc.Findings[0].Members) != 1 {
		t.Errorf("%+v", doc.Findings)
	}
}

// whoIndirect is the part of `who --indirect` that these tests read.
type whoIndirect struct {
	Holders  []struct{ Member string }
	Indirect []struct {
		Member, Answer, Message string
		Path                    []map[string]string
	}
	IndirectUnread []struct{ Document, Text string }
}

// Who can become the account that may invoke, from a case: by the policy of
// the account, by the project's, and through another account; and what was not
// read.
func TestWhoIndirect(t *testing.T) {
	const orders, middle = "orders@shop.iam.gserviceaccount.com", "deploy@shop.iam.gserviceaccount.com"
	policy := func(role, member string) string {
		return fmt.Sprintf(`{"bindings":[{"role":%q,"members":[%q]}]}`, role, member)
	}
	service := `{"name":"projects/shop/locations/r/services/billing","uri":"https://billing-x-ew.a.run.app"}`
	own := policy("roles/run.invoker", "serviceAccount:"+orders)
	above := func(project string) string {
		return `[{"id":"shop","type":"project","policy":` + project + `},{"id":"1","type":"organization","policy":{}}]`
	}
	account := func(email, policy string) string {
		return fmt.Sprintf(`{"name":"projects/shop/serviceAccounts/%s","policy":%s}`, email, policy)
	}
	const creator, minter = "roles/iam.serviceAccountTokenCreator", "roles/iam.serviceAccountOpenIdTokenCreator"
	for name, c := range map[string]struct {
		files  map[string]string
		code   int
		want   []string // member, answer, permissions
		unread string   // a part of what was not read, "" where all was
	}{
		"by the account's policy": {map[string]string{"ancestor-policies.json": above("{}"), "deny-policies.json": "[]",
			"service-account-policies.json": "[" + account(orders, policy(minter, "user:mallory@gmail.com")) + "]"}, 0,
			[]string{"user:mallory@gmail.com may iam.serviceAccounts.getOpenIdToken"}, ""},
		"by the project's policy": {map[string]string{"ancestor-policies.json": above(policy(creator, "user:ci@example.com")), "deny-policies.json": "[]",
			"service-account-policies.json": "[" + account(orders, "{}") + "]"}, 0,
			[]string{"user:ci@example.com may iam.serviceAccounts.getOpenIdToken"}, ""},
		"through another account": {map[string]string{"ancestor-policies.json": above("{}"), "deny-policies.json": "[]",
			"service-account-policies.json": "[" + account(middle, policy(creator, "user:ci@example.com")) + "," + account(orders, policy(minter, "serviceAccount:"+middle)) + "]"}, 0,
			[]string{"serviceAccount:" + middle + " may iam.serviceAccounts.getOpenIdToken",
				"user:ci@example.com may iam.serviceAccounts.getAccessToken iam.serviceAccounts.getOpenIdToken"}, ""},
		"the policy of the account was not read": {map[string]string{"ancestor-policies.json": above("{}"), "deny-policies.json": "[]"}, 3, nil,
			"the policy of " + orders + " was not read"},
		"what is above was not read": {map[string]string{"deny-policies.json": "[]",
			"service-account-policies.json": "[" + account(orders, "{}") + "]"}, 3, nil, "the policies above the service were not all read"},
		"nobody": {map[string]string{"ancestor-policies.json": above("{}"), "deny-policies.json": "[]",
			"service-account-policies.json": "[" + account(orders, "{}") + "]"}, 0, nil, ""},
		"denied": {map[string]string{"ancestor-policies.json": above("{}"),
			"deny-policies.json":            `[{"name":"policies/cloudresourcemanager.googleapis.com%2Fprojects%2Fshop/denypolicies/d","rules":[{"denyRule":{"deniedPrincipals":["principalSet://goog/public:all"],"deniedPermissions":["iam.googleapis.com/serviceAccounts.getOpenIdToken"]}}]}]`,
			"service-account-policies.json": "[" + account(orders, policy(minter, "user:mallory@gmail.com")) + "]"}, 0, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			c.files["service.json"], c.files["policy.json"] = service, own
			for file, data := range c.files {
				if err := os.WriteFile(dir+"/"+file, []byte(data), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			code, out, errs := run(t, nil, "who", "--indirect", "--format=json", dir)
			var doc whoIndirect
			if err := json.Unmarshal([]byte(out), &doc); err != nil {
				t.Fatalf("%v: %s%s", err, out, errs)
			}
			var got, unread []string
			for _, x := range doc.Indirect {
				line := x.Member + " " + x.Answer
				for _, s := range x.Path {
					line += " " + s["permission"]
				}
				got = append(got, line)
			}
			for _, u := range doc.IndirectUnread {
				unread = append(unread, u.Text)
			}
			all := strings.Join(unread, "; ")
			if code != c.code || !slices.Equal(got, c.want) || c.unread == "" && all != "" || !strings.Contains(all, c.unread) {
				t.Errorf("exit %d, %q, unread %q\nwant %d, %q, %q\n%s", code, got, all, c.code, c.want, c.unread, errs)
			}
			if _, text, _ := run(t, nil, "who", "--indirect", dir); !strings.Contains(text, "become one that may invoke") {
				t.Error(text)
			}
		})
	}
	_, out, _ := run(t, nil, "who", "--format=json", t.TempDir())
	if strings.Contains(out, "indirect") {
		t.Errorf("not asked: %s", out)
	}
}
