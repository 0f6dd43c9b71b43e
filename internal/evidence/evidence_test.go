package evidence

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/functions/apiv2/functionspb"
	"cloud.google.com/go/run/apiv2/runpb"
)

// read reads one member from text.
func read(t *testing.T, member, text string) Snapshot {
	t.Helper()
	var s Snapshot
	if err := Read(member, Source{Document: member}, []byte(text), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestZeroFactIsUnknown(t *testing.T) {
	var f Fact[int]
	if _, ok := f.Get(); ok || f.Known() || !errors.Is(f.Reason(), ErrNotGathered) {
		t.Errorf("the zero fact is known %t, for the reason %v", f.Known(), f.Reason())
	}
	if f := Known(0, Source{}); !f.Known() || f.Reason() != nil {
		t.Error("a known zero is not known")
	}
	if got := Unknown[int](nil, Source{}).Or(7); got != 7 {
		t.Errorf("an unknown fact or 7 is %d", got)
	}
}

func TestFunctionSpellings(t *testing.T) {
	tests := []struct {
		name, text string
		env        functionspb.Environment
		url        string
		ingress    functionspb.ServiceConfig_IngressSettings
		eventOnly  bool
		trigger    string
		upgrade    string
	}{
		{name: "v2", text: `{"name":"projects/p/locations/r/functions/f","environment":"GEN_2","state":"ACTIVE","url":"https://r-p.cloudfunctions.net/f","serviceConfig":{"service":"projects/p/locations/r/services/f","ingressSettings":"ALLOW_INTERNAL_ONLY"},"unknownField":{"x":1}}`,
			env: functionspb.Environment_GEN_2, url: "https://r-p.cloudfunctions.net/f", ingress: functionspb.ServiceConfig_ALLOW_INTERNAL_ONLY},
		{name: "v2 without environment", text: `{"serviceConfig":{"service":"projects/p/locations/r/services/f"}}`, env: functionspb.Environment_GEN_2},
		{name: "v2 of an enum value that is newer", text: `{"environment":"GEN_2","serviceConfig":{"ingressSettings":"ALLOW_MOON"}}`, env: functionspb.Environment_GEN_2},
		{name: "v2 as yaml", text: "name: projects/p/locations/r/functions/f\nenvironment: GEN_2\nurl: https://x\n", env: functionspb.Environment_GEN_2, url: "https://x"},
		{name: "gen1 http", text: `{"name":"projects/p/locations/r/functions/f","status":"ACTIVE","entryPoint":"f","ingressSettings":"ALLOW_INTERNAL_AND_GCLB","httpsTrigger":{"url":"https://r-p.cloudfunctions.net/f","securityLevel":"SECURE_OPTIONAL"}}`,
			env: functionspb.Environment_GEN_1, url: "https://r-p.cloudfunctions.net/f", ingress: functionspb.ServiceConfig_ALLOW_INTERNAL_AND_GCLB},
		{name: "gen1 event", text: `{"name":"projects/p/locations/r/functions/f","status":"ACTIVE","entryPoint":"f","eventTrigger":{"eventType":"google.pubsub.topic.publish","resource":"projects/p/topics/t"}}`,
			env: functionspb.Environment_GEN_1, eventOnly: true, trigger: "google.pubsub.topic.publish"},
		{name: "gen1 of the v2 api, upgraded", text: `{"environment":"GEN_1","url":"https://x","upgradeInfo":{"upgradeState":"REDIRECT_FUNCTION_UPGRADE_TRAFFIC_SUCCESSFUL"}}`,
			env: functionspb.Environment_GEN_1, url: "https://x", upgrade: "REDIRECT_FUNCTION_UPGRADE_TRAFFIC_SUCCESSFUL"},
		{name: "a list of one", text: `[{"environment":"GEN_2"}]`, env: functionspb.Environment_GEN_2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, ok := read(t, "function.json", tt.text).Function.Get()
			if !ok {
				t.Fatal("the function is not known")
			}
			if f.GetEnvironment() != tt.env || f.GetUrl() != tt.url || f.EventOnly != tt.eventOnly || f.UpgradeState != tt.upgrade {
				t.Errorf("got %v %q event only %t, upgrade %q", f.GetEnvironment(), f.GetUrl(), f.EventOnly, f.UpgradeState)
			}
			if got := f.GetServiceConfig().GetIngressSettings(); got != tt.ingress {
				t.Errorf("ingress %v, want %v", got, tt.ingress)
			}
			if got := f.GetEventTrigger().GetEventType(); got != tt.trigger {
				t.Errorf("trigger %q, want %q", got, tt.trigger)
			}
		})
	}
}

const knativeYAML = `apiVersion: serving.knative.dev/v1
kind: Service
metadata:
  name: orders
  namespace: '123456789012'
  labels: {cloud.googleapis.com/location: europe-west1}
  annotations:
    run.googleapis.com/ingress: all
    run.googleapis.com/ingress-status: internal
    run.googleapis.com/invoker-iam-disabled: 'True'
    run.googleapis.com/default-url-disabled: true
    run.googleapis.com/iap-enabled: 'false'
    run.googleapis.com/custom-audiences: '["https://a.example.com","b"]'
    run.googleapis.com/urls: '["https://orders-123456789012.europe-west1.run.app"]'
spec:
  traffic:
  - {revisionName: orders-1, percent: 100, tag: blue}
status:
  url: https://orders-ab12cd34ef-ew.a.run.app
  latestReadyRevisionName: orders-2
  conditions:
  - {type: ConfigurationsReady, status: 'True'}
  - {type: Ready, status: 'False', message: not yet}
  traffic:
  - {revisionName: orders-1, percent: 100, tag: blue, url: https://blue---orders-ab12cd34ef-ew.a.run.app}
`

func TestServiceSpellings(t *testing.T) {
	s := read(t, "service.yaml", knativeYAML)
	svc, _ := s.Service.Get()
	if svc.GetName() != "projects/123456789012/locations/europe-west1/services/orders" {
		t.Errorf("name %q", svc.GetName())
	}
	if svc.GetIngress() != runpb.IngressTraffic_INGRESS_TRAFFIC_INTERNAL_ONLY {
		t.Errorf("ingress %v, want the effective one, internal", svc.GetIngress())
	}
	if !svc.GetInvokerIamDisabled() || !svc.GetDefaultUriDisabled() || svc.GetIapEnabled() {
		t.Errorf("check off %t, default url off %t, iap %t", svc.GetInvokerIamDisabled(), svc.GetDefaultUriDisabled(), svc.GetIapEnabled())
	}
	if want := []string{"https://a.example.com", "b"}; !slices.Equal(svc.GetCustomAudiences(), want) {
		t.Errorf("custom audiences %v, want %v", svc.GetCustomAudiences(), want)
	}
	if svc.GetTerminalCondition().GetState() != runpb.Condition_CONDITION_FAILED || svc.GetTraffic()[0].GetTag() != "blue" || svc.GetTrafficStatuses()[0].GetUri() == "" {
		t.Errorf("condition %v, traffic %v", svc.GetTerminalCondition(), svc.GetTraffic())
	}
	if got, want := s.Service.Source.At("/ingress").Pointer, "/metadata/annotations/run.googleapis.com~1ingress"; got != want {
		t.Errorf("ingress is cited at %q, want %q", got, want)
	}

	v2 := read(t, "service.json", `{"name":"projects/p/locations/r/services/s","ingress":"INGRESS_TRAFFIC_NONE","invokerIamDisabled":true,"terminalCondition":{"state":"CONDITION_SUCCEEDED"},"generation":"7"}`)
	if svc, _ := v2.Service.Get(); svc.GetIngress() != runpb.IngressTraffic_INGRESS_TRAFFIC_NONE || !svc.GetInvokerIamDisabled() {
		t.Errorf("v2 service is %v", svc)
	}
	// A manifest to deploy has no status: nothing is known of its state.
	manifest := read(t, "service.yaml", "apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata:\n  name: s\nspec: {}\n")
	if svc, _ := manifest.Service.Get(); svc.GetTerminalCondition() != nil || svc.GetUri() != "" {
		t.Errorf("a manifest claims a state: %v", svc)
	}
}

func TestPolicies(t *testing.T) {
	if p, ok := read(t, "policy.json", `{"etag":"ACAB"}`).Policy.Get(); !ok || len(p.GetBindings()) != 0 {
		t.Error("the empty policy is not known to be empty")
	}
	p, _ := read(t, "policy.json", "bindings:\n- members: ['user:a@example.com']\n  role: roles/run.invoker\n  condition: {expression: 'request.time < timestamp(\"2027-01-01T00:00:00Z\")', title: t}\netag: no base64!\nversion: 3\n").Policy.Get()
	if p.GetBindings()[0].GetCondition().GetTitle() != "t" || p.GetVersion() != 3 {
		t.Errorf("policy is %v", p)
	}
	// A refusal is no empty policy.
	for _, text := range []string{
		`{"error":{"code":403,"message":"Permission 'run.services.getIamPolicy' denied","status":"PERMISSION_DENIED"}}`,
		"ERROR: (gcloud.run.services.get-iam-policy) PERMISSION_DENIED: no\n",
	} {
		f := read(t, "policy.json", text).Policy
		if f.Known() || !strings.Contains(f.Reason().Error(), "PERMISSION_DENIED") {
			t.Errorf("a refusal reads as known %t, for the reason %v", f.Known(), f.Reason())
		}
	}
}

func TestAncestors(t *testing.T) {
	a, _ := read(t, "ancestor-policies.json", `[
		{"id":"shop","type":"project","policy":{"bindings":[{"role":"roles/owner","members":["user:a@example.com"]}]}},
		{"id":"42","type":"folder"},
		{"id":778899,"type":"organization","policy":{"error":{"code":403,"status":"PERMISSION_DENIED","message":"no"}}}]`).Ancestors.Get()
	if len(a) != 3 || !a[0].Policy.Known() || a[1].Policy.Known() || a[2].Policy.Known() || a[2].ID != "778899" {
		t.Errorf("ancestors are %+v", a)
	}
}

func TestDenyPolicies(t *testing.T) {
	if d, ok := read(t, "deny-policies.json", `[]`).DenyPolicies.Get(); !ok || len(d) != 0 {
		t.Error("an empty list is not known to be empty")
	}
	if d, ok := read(t, "deny-policies.json", `{}`).DenyPolicies.Get(); !ok || len(d) != 0 {
		t.Error("{} is not known to be no policy")
	}
	if f := read(t, "deny-policies.json", `{"policies":[{"name":"policies/x/denypolicies/y","kind":"DenyPolicy"}]}`).DenyPolicies; f.Known() || !strings.Contains(f.Reason().Error(), "rules") {
		t.Errorf("policies without rules are known %t: %v", f.Known(), f.Reason())
	}
}

const denyPolicy = `{"name":"policies/x/denypolicies/y","rules":[{"denyRule":{"deniedPermissions":["run.googleapis.com/routes.invoke"]}}]}`

// A policy by itself, or a page of a list, does not say that there are no
// others. A list does, and so does one that names those that are given.
func TestDenyPolicyAlone(t *testing.T) {
	list := `{"policies":[{"name":"policies/x/denypolicies/y","kind":"DenyPolicy"}]}`
	for _, test := range []struct {
		given []string
		whole bool
	}{
		{[]string{denyPolicy}, false},
		{[]string{denyPolicy, strings.ReplaceAll(denyPolicy, "/y", "/z")}, false},
		{[]string{`{"policies":[` + denyPolicy + `],"nextPageToken":"more"}`}, false},
		{[]string{`[` + denyPolicy + `,{"error":{"code":403,"status":"PERMISSION_DENIED","message":"no"}}]`}, false},
		{[]string{`{"policies":[` + denyPolicy + `],"nextPageToken":""}`}, true},
		{[]string{`[` + denyPolicy + `]`}, true},
		{[]string{denyPolicy, list}, true},
		{[]string{list, denyPolicy}, true},
		{[]string{`[]`, denyPolicy}, true},
	} {
		var s Snapshot
		for _, doc := range test.given {
			if err := s.AddAs("deny-policies", Source{Document: "d"}, []byte(doc)); err != nil {
				t.Fatal(err)
			}
		}
		if read := s.DenyPoliciesRead(); s.DenyPolicies.Known() != test.whole || len(read) == 0 || len(read[0].GetRules()) != 1 {
			t.Errorf("%s: known %t, want %t, with %v", test.given, s.DenyPolicies.Known(), test.whole, read)
		}
		data, err := writeDenyPolicies(s)
		if err != nil {
			t.Fatal(err)
		}
		back := read(t, "deny-policies.json", string(data))
		if back.DenyPolicies.Known() != test.whole || len(back.DenyPoliciesRead()) != len(s.DenyPoliciesRead()) {
			t.Errorf("%s is written as %s", test.given, data)
		}
	}
}

func TestPageOfMemberships(t *testing.T) {
	page := `{"memberships":[{"name":"groups/a/memberships/b","preferredMemberKey":{"id":"b@example.com"},"type":"USER"}],"nextPageToken":"more"}`
	if g, ok := read(t, "groups.json", `{"group:a@example.com":`+page+`}`).Groups.Get(); !ok || g["group:a@example.com"] != nil {
		t.Errorf("a page counts as all: %v", g)
	}
	var s Snapshot
	if err := Read("groups.json", Source{Document: "groups.json"}, []byte(page), &s); err == nil || !strings.Contains(err.Error(), "one page") {
		t.Errorf("a page alone: %v", err)
	}
}

func TestOtherMembers(t *testing.T) {
	if r, _ := read(t, "roles.json", `{"roles":[{"name":"projects/p/roles/x","includedPermissions":["run.routes.invoke"]}]}`).Roles.Get(); len(r) != 1 || r[0].GetIncludedPermissions()[0] != "run.routes.invoke" {
		t.Errorf("roles are %v", r)
	}
	if p, _ := read(t, "project.json", `{"projectId":"shop","projectNumber":"123"}`).Project.Get(); p != (Project{"shop", "123"}) {
		t.Errorf("project is %v", p)
	}
	if p, _ := read(t, "project.json", `{"name":"projects/123","projectId":"shop"}`).Project.Get(); p != (Project{"shop", "123"}) {
		t.Errorf("v3 project is %v", p)
	}
	if g, _ := read(t, "groups.json", `{"group:a@example.com":["user:b@example.com"]}`).Groups.Get(); len(g["group:a@example.com"]) != 1 {
		t.Errorf("groups are %v", g)
	}
	if tags, _ := read(t, "tags.json", `{"effectiveTags":[{"namespacedTagKey":"1/env","namespacedTagValue":"1/env/prod","tagKey":"tagKeys/2","tagValue":"tagValues/3"}]}`).Tags.Get(); len(tags) != 1 || tags[0].NamespacedValue != "1/env/prod" {
		t.Errorf("tags are %v", tags)
	}
	if tr, _ := read(t, "trigger.json", `{"name":"projects/p/locations/r/triggers/t","serviceAccount":"a@p.iam.gserviceaccount.com","destination":{"cloudRun":{"service":"s"}}}`).Trigger.Get(); tr.GetServiceAccount() == "" {
		t.Errorf("trigger is %v", tr)
	}
	if c, _ := read(t, "caller.json", `{"name":"projects/p/locations/r/jobs/j","schedule":"* * * * *","httpTarget":{"uri":"https://x.example.com/","oidcToken":{"serviceAccountEmail":"a@p.iam.gserviceaccount.com"}}}`).Caller.Get(); c.Audience != "https://x.example.com/" {
		t.Errorf("caller is %+v", c)
	}
}

func TestRequest(t *testing.T) {
	s := read(t, "request.json", `{"url":"https://x.example.com/a?b=1","method":"post","headers":{"A":"1","b":["2","3"]},"source":"vpc","principal":"user:a@example.com","client":"gcloud","time":"2026-11-23T12:00:00Z"}`)
	r, _ := s.Request.Get()
	if r.URL.Path != "/a" || r.Method != "POST" || len(r.Headers.Values("B")) != 2 || r.Origin != VPC || !s.Now.Equal(time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)) {
		t.Errorf("request is %+v", r)
	}
	if r, _ := read(t, "request.json", `{"method":"GET"}`).Request.Get(); r.Headers != nil {
		t.Error("headers that were not said are said to be none")
	}
	if r, _ := read(t, "request.json", `{"headers":{}}`).Request.Get(); r.Headers == nil || len(r.Headers) != 0 {
		t.Error("a request without headers is not known to be without")
	}
}

func TestResponses(t *testing.T) {
	tests := []struct {
		name, text, header, value, body string
		status                          int
	}{
		{"curl -i", "HTTP/1.1 403 Forbidden\r\nContent-Type: text/html\r\n\r\n<html>no</html>\r\n", "Content-Type", "text/html", "<html>no</html>", 403},
		{"http 2, no body", "HTTP/2 401 \nwww-authenticate: Bearer error=\"invalid_token\"\n", "Www-Authenticate", `Bearer error="invalid_token"`, "", 401},
		{"a redirect followed", "HTTP/1.1 302 Found\nLocation: https://b\n\nHTTP/1.1 200 OK\nA: b\n\nhello\n", "A", "b", "hello", 200},
		{"curl -v", "* Connected\n> GET / HTTP/2\n> Authorization: Bearer x\n< HTTP/2 404 \n< a: b\n< \n* left\nnot here\n", "A", "b", "not here", 404},
		{"a body alone", "<html>Page not found</html>", "", "", "<html>Page not found</html>", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, _ := read(t, "response.http", tt.text).Response.Get()
			if r.Status != tt.status || r.Body != tt.body || r.Header.Get(tt.header) != tt.value {
				t.Errorf("got %d %v %q", r.Status, r.Header, r.Body)
			}
		})
	}
}

func TestLogs(t *testing.T) {
	entry := `{"logName":"projects/p/logs/run.googleapis.com%2Frequests","severity":"WARNING","textPayload":"The request was not authenticated.","httpRequest":{"status":403,"requestUrl":"https://x/","requestMethod":"GET"},"resource":{"type":"cloud_run_revision","labels":{"service_name":"s"}}}`
	for name, text := range map[string]string{
		"one": entry, "list": "[" + entry + "]", "entries": `{"entries":[` + entry + `]}`, "lines": entry + "\n\n" + entry + "\n",
		"yaml": "- logName: projects/p/logs/run.googleapis.com%2Frequests\n  textPayload: The request was not authenticated.\n  httpRequest: {status: '403', requestUrl: 'https://x/', requestMethod: GET}\n  resource: {labels: {service_name: s}}\n",
	} {
		logs, _ := read(t, "log.json", text).Logs.Get()
		if len(logs) == 0 || logs[0].Status != 403 || logs[0].Method != "GET" || logs[0].Labels["service_name"] != "s" || !strings.HasPrefix(logs[0].Text, "The request") {
			t.Errorf("%s: %+v", name, logs)
		}
	}
}

func TestEncodings(t *testing.T) {
	text := `{"projectId":"shop","projectNumber":"123"}`
	utf16 := []byte{0xFF, 0xFE}
	for _, r := range text {
		utf16 = append(utf16, byte(r), 0)
	}
	for name, data := range map[string][]byte{"bom": append([]byte{0xEF, 0xBB, 0xBF}, text...), "utf-16": utf16, "crlf": []byte("projectId: shop\r\nprojectNumber: '123'\r\n")} {
		var s Snapshot
		if err := Read("project.json", Source{Document: "project.json"}, data, &s); err != nil || s.Project.Or(Project{}).Number != "123" {
			t.Errorf("%s: %v %v", name, s.Project.Or(Project{}), err)
		}
	}
}

func TestErrors(t *testing.T) {
	const secret = "ya29.never-in-an-error"
	tests := []struct{ member, text, want string }{
		{"policy.json", `{"name":"projects/p/locations/r/services/s","uri":"https://x","ingress":"INGRESS_TRAFFIC_ALL"}`, "policy.json: is a Cloud Run service; expected the allow policy of the Cloud Run service: pass it with --service"},
		{"service.json", `{"bindings":[]}`, "service.json: is an allow policy; expected a Cloud Run service, v2 or Knative: pass it with --policy"},
		{"service.json", `{"apiVersion":"v1","kind":"Pod"}`, "is a Kubernetes resource"},
		{"function.json", `{"what":1}`, "is not recognized; expected a Cloud Functions function"},
		{"function.json", `[{"environment":"GEN_2"},{"environment":"GEN_2"}]`, "a list of 2"},
		{"policy.json", `[{"bindings":[]}]`, "without --flatten"},
		{"policy.json", `{"bindings":[{"members":["user:a@example.com"]}]}`, "bindings[0] has no role"},
		{"policy.json", `{"bindings":[{"role":5}]}`, "does not fit google.iam.v1.Policy"},
		{"policy.json", "{\n \"bindings\": [\n", "is cut off: the JSON ends in line 2"},
		{"policy.json", "{\n \"bindings\": ]\n}", "is broken JSON in line 2, column 14"},
		{"policy.json", "   ", "is empty; expected the allow policy of the Cloud Run service, as \"gcloud run services get-iam-policy"},
		{"policy.json", "just words", "neither a JSON nor a YAML document"},
		{"policy.json", "\x00\x01\x02", "is not a text"},
		{"policy.json", "a: b: c:\n", "neither JSON nor YAML"},
		{"request.json", `{"urll":"x"}`, `unknown key "urll"; the keys of a request are url, method`},
		{"request.json", `{"url":"x"}`, "url must be absolute"},
		{"request.json", "curl -H 'X-A: b https://a.run.app\n", "has a curl command line that cannot be read"},
		{"request.json", `{"source":"moon"}`, `source "moon" must be one of internet, vpc`},
		{"request.json", `{"client":"moon"}`, `client "moon" must be one of gcloud`},
		{"request.json", `{"time":"yesterday"}`, "time must be RFC 3339"},
		{"request.json", `{"principal":"ana"}`, "must be a member"},
		{"request.json", `{"headers":{"A":7}}`, `header "A" must be a string`},
		{"token.jwt", "  \n", "is empty"},
		{"token.json", `{"a":1}`, "token.json"},
		{"jwks.json", `{"keys":[]}`, "no RSA key"},
		{"groups.json", `{"eng@example.com":["x"]}`, "not a group: or domain: member"},
		{"roles.json", `{"title":"x"}`, "no name"},
		{"project.json", `{"projectNumber":"abc"}`, "projectNumber is not a number"},
		{"ancestor-policies.json", `[{"id":"x"}]`, "element 0"},
		{"deny-policies.json", `[{"bindings":[]}]`, "element 0 is an allow policy"},
		{"caller.json", `{"x":1}`, "is not recognized; expected a Cloud Scheduler job"},
		{"trigger.json", `{"schedule":"x"}`, "is a Cloud Scheduler job"},
		{"log.json", `{"x":1}`, "is not a Cloud Logging entry"},
		{"polcy.json", `{}`, "did you mean policy.json?"},
		{"service.yaml", "apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: {annotations: {run.googleapis.com/ingress: moon}}\n", "must be all, internal"},
		{"policy.json", `{"bindings":"` + secret + `"}`, "policy.json"},
		{"request.json", `{"url":"` + secret + `"}`, "request.json"},
		{"jwks.json", secret, "jwks.json"},
		{"token.json", secret, "token.json"},
	}
	for _, tt := range tests {
		t.Run(tt.member+" "+tt.want, func(t *testing.T) {
			var s Snapshot
			err := Read(tt.member, Source{Document: tt.member}, []byte(tt.text), &s)
			if err == nil {
				t.Fatal("no error")
			}
			if !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), secret) {
				t.Errorf("error is %q, want one line with %q and no secret", err, tt.want)
			}
		})
	}
}

func TestHugeAndBombs(t *testing.T) {
	var s Snapshot
	if err := Read("policy.json", Source{Document: "policy.json"}, make([]byte, MaxDocument+1), &s); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("a huge member gives %v", err)
	}
	bomb := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c <= 'k'; c++ {
		p := string(c - 1)
		bomb += string(c) + ": &" + string(c) + " [*" + p + strings.Repeat(",*"+p, 8) + "]\n"
	}
	start := time.Now()
	if err := Read("policy.json", Source{Document: "policy.json"}, []byte(bomb), &s); err == nil {
		t.Error("a YAML bomb is read")
	}
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("a YAML bomb takes %v", d)
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("policy.json", `{"bindings":[]}`)
	write("README.md", "notes")
	write("want", "anything")
	s, err := Load(dir)
	if err != nil || !s.Policy.Known() || s.Service.Known() {
		t.Fatalf("policy known %t, service known %t, %v", s.Policy.Known(), s.Service.Known(), err)
	}
	write("servise.json", "{}")
	if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), "did you mean service.json?") {
		t.Errorf("a misspelt member gives %v", err)
	}
	if err := os.Rename(filepath.Join(dir, "servise.json"), filepath.Join(dir, "service.yaml")); err != nil {
		t.Fatal(err)
	}
	write("service.json", "{}")
	write("service.yaml", knativeYAML)
	if _, err := Load(dir); err == nil {
		t.Error("two services are read as one")
	}
	if _, err := Load(t.TempDir()); err == nil || !strings.Contains(err.Error(), "no document") {
		t.Errorf("an empty folder gives %v", err)
	}
	if _, err := LoadArchive([]byte("no archive"), "x.txtar"); err == nil || !strings.Contains(err.Error(), "x.txtar") {
		t.Errorf("a file that is no archive gives %v", err)
	}
	if _, err := LoadArchive([]byte("-- policy.json --\n{}\n-- policy.json --\n{}\n"), "x.txtar"); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("a member given twice gives %v", err)
	}
	if _, err := LoadArchive([]byte("-- ../policy.json --\n{}\n"), "x.txtar"); err == nil {
		t.Error("a member outside of the archive is read")
	}
}

func FuzzRead(f *testing.F) {
	for i, m := range Documents {
		f.Add(i, []byte(`{"bindings":[{"role":"roles/run.invoker","members":["allUsers"]}]}`))
		f.Add(i, []byte(m.Names[0]))
	}
	f.Add(4, []byte(knativeYAML))
	f.Add(19, []byte("HTTP/2 403\na: b\n\nbody"))
	f.Fuzz(func(t *testing.T, i int, data []byte) {
		if i < 0 || i >= len(Documents) {
			return
		}
		var s Snapshot
		name := Documents[i].Names[0]
		if err := Read(name, Source{Document: name}, data, &s); err != nil && !strings.HasPrefix(err.Error(), name) {
			t.Errorf("the error %q does not name the document", err)
		}
	})
}

// A service made from source has a buildConfig, as functions have.
func TestServiceMadeFromSource(t *testing.T) {
	for _, doc := range []string{
		`{"name": "projects/p/locations/l/services/s", "buildConfig": {"sourceLocation": "gs://b/o"}}`,
		`{"template": {"containers": []}, "buildConfig": {"sourceLocation": "gs://b/o"}}`,
	} {
		if name, flag := Kind([]byte(doc)); flag != "service" {
			t.Errorf("%s is taken for %s", doc, name)
		}
	}
	if name, flag := Kind([]byte(`{"buildConfig": {"entryPoint": "hello"}}`)); flag != "function" {
		t.Errorf("a function is taken for %s", name)
	}
}
