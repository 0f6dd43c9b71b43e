package evidence

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
)

// fails reads one document and returns its error.
func fails(t *testing.T, name, text string) string {
	t.Helper()
	var s Snapshot
	err := Read(name, Source{Document: name}, []byte(text), &s)
	if err == nil {
		t.Fatalf("%s is read: %s", name, text)
	}
	return err.Error()
}

func TestEveryDocumentIsWhole(t *testing.T) {
	seen := map[string]bool{}
	for _, d := range Documents {
		if d.read == nil || d.What == "" || d.Flag == "" || len(d.Names) == 0 {
			t.Errorf("%v lacks something", d.Names)
		}
		for _, n := range append([]string{d.Flag}, d.Names...) {
			if seen[n] {
				t.Errorf("%s stands twice", n)
			}
			seen[n] = true
		}
		if d.write == nil && d.Flag != "caller" && d.Flag != "jwks" {
			t.Errorf("%s is not written", d.Names[0])
		}
	}
}

// The same facts in the spelling of Knative and of the v2 API are one message.
func TestSpellingsAgree(t *testing.T) {
	knative := `
apiVersion: serving.knative.dev/v1
kind: Service
metadata:
  name: orders
  namespace: '123456789012'
  deletionTimestamp: 2026-11-23T12:00:00Z
  labels: {cloud.googleapis.com/location: europe-west1, team: a}
  annotations:
    run.googleapis.com/ingress: internal-and-cloud-load-balancing
    run.googleapis.com/invoker-iam-disabled: %s
    run.googleapis.com/default-url-disabled: %s
    run.googleapis.com/iap-enabled: %s
    run.googleapis.com/custom-audiences: '["https://a.example.com","b"]'
    run.googleapis.com/urls: '["https://orders-123456789012.europe-west1.run.app"]'
    run.googleapis.com/launch-stage: BETA
    run.googleapis.com/client-name: gcloud
    run.googleapis.com/client-version: 550.0.0
spec:
  template:
    metadata: {annotations: {run.googleapis.com/identity-type: agent-identity}}
    spec: {serviceAccountName: a@p.iam.gserviceaccount.com, containers: [{image: x}]}
  traffic:
  - {latestRevision: true, percent: 100.0}
  - {revisionName: orders-1, percent: '0', tag: blue}
status:
  url: https://orders-ab12cd34ef-ew.a.run.app
  latestReadyRevisionName: orders-2
  latestCreatedRevisionName: orders-3
  conditions: [{type: Ready, status: 'False', message: not yet}]
  traffic: [{revisionName: orders-1, percent: 0, tag: blue, url: https://blue---orders-ab12cd34ef-ew.a.run.app}]
`
	v2 := `{"name": "projects/123456789012/locations/europe-west1/services/orders", "deleteTime": "2026-11-23T12:00:00Z",
"labels": {"team": "a"}, "ingress": "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER",
"invokerIamDisabled": %s, "defaultUriDisabled": %s, "iapEnabled": %s,
"customAudiences": ["https://a.example.com", "b"], "urls": ["https://orders-123456789012.europe-west1.run.app"],
"launchStage": "BETA", "client": "gcloud", "clientVersion": "550.0.0",
"template": {"annotations": {"run.googleapis.com/identity-type": "agent-identity"}, "serviceAccount": "a@p.iam.gserviceaccount.com", "containers": [{"image": "x"}], "newer": 1},
"traffic": [{"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "percent": 100.0}, {"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", "revision": "orders-1", "percent": "0", "tag": "blue"}],
"uri": "https://orders-ab12cd34ef-ew.a.run.app", "latestReadyRevision": "orders-2", "latestCreatedRevision": "orders-3",
"terminalCondition": {"type": "Ready", "state": "CONDITION_FAILED", "message": "not yet"},
"trafficStatuses": [{"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", "revision": "orders-1", "percent": 0, "tag": "blue", "uri": "https://blue---orders-ab12cd34ef-ew.a.run.app"}]}`
	with := func(doc string, a, b, c string) string {
		for _, v := range []string{a, b, c} {
			doc = strings.Replace(doc, "%s", v, 1)
		}
		return doc
	}
	for _, values := range [][3]string{{"true", "false", "true"}, {"false", "true", "null"}, {`"true"`, `"False"`, `"1"`}, {"null", "null", "null"}} {
		a := read(t, "service.yaml", with(knative, values[0], values[1], values[2])).Service.Or(nil)
		b := read(t, "service.json", with(v2, values[0], values[1], values[2])).Service.Or(nil)
		if diff := cmp.Diff(b, a, protocmp.Transform()); diff != "" {
			t.Errorf("%v (-v2 +knative)\n%s", values, diff)
		}
		if !AgentIdentity(a) || !AgentIdentity(b) {
			t.Error("the agent identity is lost")
		}
	}
	for _, word := range []string{"yes", "on", "ture", "enabled", "'no'", "off", "2"} {
		for field, doc := range map[string]string{"invoker-iam-disabled": with(knative, word, "true", "true"), "default-url-disabled": with(knative, "true", word, "true"), "iap-enabled": with(knative, "true", "true", word)} {
			if err := fails(t, "service.yaml", doc); !strings.Contains(err, "annotation run.googleapis.com/"+field+" must be 'true' or 'false'") {
				t.Error(err)
			}
		}
		if word := `"` + strings.Trim(word, "'") + `"`; word != `"2"` {
			if err := fails(t, "service.json", with(v2, "true", "true", word)); !strings.Contains(err, "field iapEnabled must be true or false") {
				t.Error(err)
			}
		}
	}
}

func TestNoServices(t *testing.T) {
	for text, want := range map[string]string{
		`{"name":"projects/p/locations/l/workerPools/w","ingress":"INGRESS_TRAFFIC_ALL"}`:                           "is a Cloud Run worker pool, not a Cloud Run service: nothing calls it by URL",
		`{"apiVersion":"run.googleapis.com/v1","kind":"WorkerPool","metadata":{"name":"w"}}`:                        "is a Cloud Run worker pool, not a Cloud Run service",
		`{"name":"projects/p/locations/l/instances/i","invokerIamDisabled":true}`:                                   "is a Cloud Run instance, not a Cloud Run service",
		`{"name":"projects/p/locations/l/jobs/j","template":{"taskCount":1}}`:                                       "is a Cloud Run job, not a Cloud Run service: nothing calls it by URL",
		`{"name":"projects/p/locations/l/jobs/j","uri":"https://x","ingress":"INGRESS_TRAFFIC_ALL"}`:                "is one of jobs",
		`{"name":"projects/p/locations/l/routes/r","ingress":"INGRESS_TRAFFIC_ALL"}`:                                "is one of routes",
		"apiVersion: run.googleapis.com/v1\nkind: Job\nmetadata: {name: j}\n":                                       "is a Cloud Run job, not",
		`{"name":"projects/p/locations/l/services/s/revisions/r","uid":"x"}`:                                        "is a Cloud Run revision, not",
		`{"apiVersion":"serving.knative.dev/v1","kind":"Revision"}`:                                                 "is a Cloud Run revision, not",
		`{"apiVersion":"v1","kind":"Service","metadata":{"name":"s"}}`:                                              "is a Kubernetes resource",
		"✔ Service orders in region europe-west1\n \nURL:     https://orders-ab12cd34ef-ew.a.run.app\n":             "print it with: gcloud run services describe orders --format=json --region=europe-west1",
		"   SERVICE  REGION        URL                    LAST DEPLOYED BY\n✔  orders   europe-west1  https://x  a": "print it with: gcloud run services describe orders --format=json --region=europe-west1",
	} {
		if err := fails(t, "service.json", text); !strings.Contains(err, want) {
			t.Errorf("%q, want %q", err, want)
		}
	}
}

func TestDuplicateKeysAndDepth(t *testing.T) {
	for _, text := range []string{`{"bindings":[],"bindings":[{"role":"r"}]}`, "bindings: []\nbindings: []\n", `{"bindings":[{"role":"a","role":"b"}]}`} {
		if err := fails(t, "policy.json", text); !strings.Contains(err, "has a key twice") {
			t.Error(err)
		}
	}
	deep := strings.Repeat(`{"a":`, 300) + "1" + strings.Repeat("}", 300)
	if err := fails(t, "policy.json", deep); !strings.Contains(err, "nests deeper than 200 levels") {
		t.Error(err)
	}
}

func TestAncestorsThatAreNotWhole(t *testing.T) {
	for text, want := range map[string]string{
		`[{"id":"p","type":"project","policy":{}}]`:                                              "project",
		`[{"id":"p","type":"project","policy":{}},{"id":"1","type":"organization","policy":{}}]`: "project organization",
		`[{"id":"p","type":"project","policy":{}},{"id":"1","type":"folder","policy":{}}]`:       "project folder !organization",
		`[{"id":"1","type":"organization","policy":{}}]`:                                         "!project organization",
		`[]`: "!project !organization",
		"bindings:\n- {role: roles/owner, members: [user:a@example.com]}\netag: BwYmM1yq0Jg=\n": "project !organization",
	} {
		s := read(t, "ancestor-policies.json", text)
		var got []string
		for _, a := range s.Ancestors.Or(nil) {
			if a.Missing == a.Policy.Known() {
				t.Errorf("%s is missing %t and known %t", a.Type, a.Missing, a.Policy.Known())
			}
			got = append(got, map[bool]string{true: "!"}[a.Missing]+a.Type)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v, want %s", text, got, want)
		}
	}
}

func TestDenyPoliciesWithoutRules(t *testing.T) {
	const name = "policies/cloudresourcemanager.googleapis.com%2Fprojects%2F1/denypolicies/"
	f := read(t, "deny-policies.json", `[{"name":"`+name+`a","kind":"DenyPolicy"},{"name":"`+name+`b","rules":[{"denyRule":{}}]},{"name":"`+name+`c"}]`).DenyPolicies
	var unread *UnreadRules
	if f.Known() || !errors.As(f.Reason(), &unread) || !slices.Equal(unread.Names, []string{name + "a", name + "c"}) || len(unread.Read) != 1 {
		t.Errorf("known %t, reason %v", f.Known(), f.Reason())
	}
	if !strings.Contains(f.Reason().Error(), "read a, c with gcloud iam policies get") {
		t.Error(f.Reason())
	}
}

func TestGroups(t *testing.T) {
	const list = `[{"name":"groups/0abc/memberships/1","preferredMemberKey":{"id":"a@p.iam.gserviceaccount.com"},"roles":[{"name":"MEMBER"}]},
		{"name":"groups/0abc/memberships/2","preferredMemberKey":{"id":"b@example.com"},"type":"USER"},
		{"name":"groups/0abc/memberships/3","preferredMemberKey":{"id":"c@example.com"}},
		{"name":"groups/0abc/memberships/4","preferredMemberKey":{"id":"d","namespace":"identitysources/1"}}]`
	want := []string{"serviceAccount:a@p.iam.gserviceaccount.com", "user:b@example.com", "user:c@example.com", "group:c@example.com"}
	for _, text := range []string{`{"group:eng@example.com":` + list + `}`, `{"group:eng@example.com":{"memberships":` + list + `}}`, strings.ReplaceAll(list, "groups/0abc/", "groups/eng@example.com/")} {
		g, _ := read(t, "groups.json", text).Groups.Get()
		if !slices.Equal(g["group:eng@example.com"], want) {
			t.Errorf("%s: %v", text, g)
		}
	}
	if err := fails(t, "groups.json", list); !strings.Contains(err, `jq '{"group:GROUP": .}'`) || strings.Contains(err, "role") {
		t.Error(err)
	}
	if g, ok := read(t, "groups.json", `{"group:a@example.com":null,"group:b@example.com":[]}`).Groups.Get(); !ok || len(g) != 1 {
		t.Errorf("%v", g)
	}
}

func TestIAPAndAccounts(t *testing.T) {
	const secret = "GOCSPX-canary"
	s := read(t, "iap-settings.json", `{"name":"projects/1/iap_web/cloud_run-europe-west1/services/s","accessSettings":{"oauthSettings":{"clientSecret":"`+secret+`","programmaticClients":["x.apps.googleusercontent.com"]},
		"workforceIdentitySettings":{"oauth2":{"clientId":"c","clientSecret":"`+secret+`"}},"corsSettings":{"allowHttpOptions":true}},"newer":{}}`)
	settings, ok := s.IAPSettings.Get()
	if !ok || !settings.GetAccessSettings().GetCorsSettings().GetAllowHttpOptions().GetValue() || len(settings.GetAccessSettings().GetOauthSettings().GetProgrammaticClients()) != 1 {
		t.Errorf("settings %v", settings)
	}
	if strings.Contains(settings.String(), secret) {
		t.Error("the client secret is kept")
	}
	if p, ok := read(t, "iap-policy.json", `{"bindings":[{"role":"roles/iap.httpsResourceAccessor","members":["user:a@example.com"]}]}`).IAPPolicy.Get(); !ok || len(p.GetBindings()) != 1 {
		t.Errorf("policy %v", p)
	}
	a, ok := read(t, "service-account-policies.json", `[{"name":"projects/p/serviceAccounts/a@p.iam.gserviceaccount.com","policy":{"bindings":[]}},
		{"name":"projects/p/serviceAccounts/b@p.iam.gserviceaccount.com"},
		{"name":"projects/p/serviceAccounts/c@p.iam.gserviceaccount.com","policy":{"error":{"code":403,"status":"PERMISSION_DENIED"}}}]`).Accounts.Get()
	if !ok || len(a) != 1 || a[0].Email != "a@p.iam.gserviceaccount.com" {
		t.Errorf("accounts %v", a)
	}
	for _, text := range []string{`{"bindings":[{"role":"roles/iam.serviceAccountTokenCreator"}]}`, `[{"policy":{}}]`} {
		if err := fails(t, "service-account-policies.json", text); !strings.Contains(err, "jq") {
			t.Error(err)
		}
	}
	for text, flag := range map[string]string{
		`{"bindings":[{"role":"roles/iap.httpsResourceAccessor"}]}`:             "iap-policy",
		`{"name":"projects/1/iap_web","accessSettings":{}}`:                     "iap-settings",
		`[{"name":"projects/p/serviceAccounts/a@b","policy":{}}]`:               "service-account-policies",
		`[{"name":"groups/0abc/memberships/1","preferredMemberKey":{"id":""}}]`: "groups",
		`{"group:a@example.com":[]}`:                                            "groups",
		`{"name":"projects/p/locations/l/pipelines/x","destinations":[]}`:       "caller",
		`{"name":"projects/p/roles/r"}`:                                         "roles",
		`{"name":"projects/p/locations/l/jobs/j","httpTarget":{}}`:              "caller",
	} {
		if _, got := Kind([]byte(text)); got != flag {
			t.Errorf("%s is taken by %q, want %q", text, got, flag)
		}
	}
}

func TestNumbersAsPeopleSpellThem(t *testing.T) {
	logs, _ := read(t, "log.json", `[{"logName":"l","httpRequest":{"status":403.0}},{"logName":"l","httpRequest":{"status":"403"}},{"logName":"l","httpRequest":{"status":4.03e2}},{"logName":"l","httpRequest":{"status":null},"resource":{"labels":{"revision":1,"x":null}}}]`).Logs.Get()
	var got []int
	for _, e := range logs {
		got = append(got, e.Status)
	}
	if !slices.Equal(got, []int{403, 403, 403, 0}) || logs[3].Labels["revision"] != "1" {
		t.Errorf("%v", logs)
	}
	if err := fails(t, "log.json", `[{"logName":"l","httpRequest":{"status":403.5}}]`); !strings.Contains(err, "Cloud Logging entry") {
		t.Error(err)
	}
	if p, _ := read(t, "project.yaml", "projectId: shop\nprojectNumber: 123456789012\n").Project.Get(); p.Number != "123456789012" {
		t.Errorf("%v", p)
	}
	f := read(t, "policy.json", `{"error":{"code":403.0,"status":"PERMISSION_DENIED","message":"no"}}`).Policy
	if f.Known() || !strings.Contains(f.Reason().Error(), "403 PERMISSION_DENIED") {
		t.Errorf("%v", f.Reason())
	}
}

// What is written is read as the same facts.
func TestWrittenIsRead(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for name, text := range map[string]string{
		"ancestor-policies.json":        "bindings:\n- {role: roles/owner, members: [user:a@example.com]}\n",
		"iap-policy.json":               `{"bindings":[{"role":"roles/iap.httpsResourceAccessor","members":["user:a@example.com"]}]}`,
		"iap-settings.json":             `{"name":"projects/1/iap_web","accessSettings":{"corsSettings":{"allowHttpOptions":true}}}`,
		"service-account-policies.json": `[{"name":"projects/p/serviceAccounts/a@p.iam.gserviceaccount.com","policy":{"version":3}}]`,
		"response.http":                 "requests.exceptions.HTTPError: 403 Client Error: Forbidden for url: https://x.a.run.app/v1\n",
		"log.json":                      `[{"logName":"l","insertId":"i","trace":"t","resource":{"type":"audited_resource","labels":{"a":"b"}},"protoPayload":{"methodName":"google.iam.v1.IAMPolicy.SetIamPolicy","authenticationInfo":{"principalEmail":"a@example.com"}}}]`,
		"service.json":                  `{"name":"projects/p/locations/l/services/s","annotations":{"run.googleapis.com/identity-type":"agent-identity"}}`,
		"groups.json":                   `{"group:a@example.com":["user:b@example.com"]}`,
		"tags.json":                     `[{"tagKey":"tagKeys/1","tagValue":"tagValues/2"}]`,
	} {
		s := read(t, name, text)
		s.Now, s.NowFrom = now, "request.json"
		d, _ := find(name)
		data, err := d.Written(s)
		if err != nil || data == nil {
			t.Errorf("%s: %s, %v", name, data, err)
			continue
		}
		back := read(t, name, string(data))
		back.Now, back.NowFrom = now, "request.json"
		same := cmp.Exporter(func(reflect.Type) bool { return true })
		if diff := cmp.Diff(s, back, protocmp.Transform(), same, cmp.Comparer(func(a, b error) bool { return fmt.Sprint(a) == fmt.Sprint(b) })); diff != "" {
			t.Errorf("%s: (-read +written and read)\n%s\n%s", name, diff, data)
		}
	}
}
