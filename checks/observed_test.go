package checks_test

import (
	"slices"
	"strings"
	"testing"

	"cloud.google.com/go/iam/apiv1/iampb"
	"golang.org/x/tools/txtar"

	"diagnose/checks"
	"diagnose/internal/evidence"
)

// The parts of which observed situations are put together: a service in some
// state, a request, and an answer.
var parts = map[string]string{
	"service": `-- service.json --
{"name":"projects/shop/locations/europe-west1/services/orders","uri":"https://orders-ab12cd34ef-ew.a.run.app",
"urls":["https://orders-ab12cd34ef-ew.a.run.app"],"ingress":"INGRESS_TRAFFIC_ALL","latestReadyRevision":"orders-1",
"terminalCondition":{"state":"CONDITION_SUCCEEDED"}}
`,
	"iap": `-- service.json --
{"name":"projects/shop/locations/europe-west1/services/orders","uri":"https://orders-ab12cd34ef-ew.a.run.app",
"urls":["https://orders-ab12cd34ef-ew.a.run.app"],"ingress":"INGRESS_TRAFFIC_ALL","latestReadyRevision":"orders-1",
"terminalCondition":{"state":"CONDITION_SUCCEEDED"},"iapEnabled":true}
`,
	"check off": `-- service.json --
{"name":"projects/shop/locations/europe-west1/services/orders","uri":"https://orders-ab12cd34ef-ew.a.run.app",
"urls":["https://orders-ab12cd34ef-ew.a.run.app"],"ingress":"INGRESS_TRAFFIC_ALL","latestReadyRevision":"orders-1",
"terminalCondition":{"state":"CONDITION_SUCCEEDED"},"invokerIamDisabled":true}
`,
	"private": `-- policy.json --
{"bindings":[{"role":"roles/run.invoker","members":["serviceAccount:mover@shop.iam.gserviceaccount.com"]}]}
`,
	"ungranted": `-- policy.json --
{"bindings":[]}
`,
	"public": `-- policy.json --
{"bindings":[{"role":"roles/run.invoker","members":["allUsers"]}]}
`,
	"whole": `-- ancestor-policies.json --
[{"id":"shop","type":"project","policy":{"bindings":[]}},{"id":"1","type":"organization","policy":{"bindings":[]}}]
-- deny-policies.json --
[]
`,
	"deny read": `-- deny-policies.json --
[]
`,
	"anonymous": `-- request.json --
{"url":"https://orders-ab12cd34ef-ew.a.run.app/items","method":"GET","time":"2026-11-23T12:00:00Z","headers":{}}
`,
	"mover": `-- request.json --
{"url":"https://orders-ab12cd34ef-ew.a.run.app/items","time":"2026-11-23T12:00:00Z",
"principal":"serviceAccount:mover@shop.iam.gserviceaccount.com"}
`,
	"balanced": `-- request.json --
{"url":"https://shop.example.com/items","method":"GET","time":"2026-11-23T12:00:00Z","source":"load-balancer","headers":{}}
`,
	"url": `-- request.json --
{"url":"https://orders-ab12cd34ef-ew.a.run.app/items"}
`,
	"app": `-- request.json --
{"url":"https://orders-ab12cd34ef-ew.a.run.app/items","client":"firebase-sdk"}
`,
	"gen1": `-- function.json --
{"name":"projects/shop/locations/europe-west1/functions/orders","environment":"GEN_1","status":"ACTIVE",
"httpsTrigger":{"url":"https://europe-west1-shop.cloudfunctions.net/orders"}}
-- function-policy.json --
{"bindings":[]}
-- request.json --
{"url":"https://europe-west1-shop.cloudfunctions.net/orders","time":"2026-11-23T12:00:00Z","headers":{}}
`,
	"event": `-- function.json --
{"name":"projects/shop/locations/europe-west1/functions/orders","environment":"GEN_2","state":"ACTIVE",
"serviceConfig":{"service":"projects/shop/locations/europe-west1/services/orders"},
"eventTrigger":{"eventType":"google.cloud.storage.object.v1.finalized"}}
`,
	"json 401": `-- response.http --
HTTP/2 401
content-type: application/json

{"error":"Unauthorized"}
`,
	"json quotes 403": `-- response.http --
HTTP/2 403
content-type: application/json

{"error":"upstream: Your client does not have permission to get URL /x from this server"}
`,
	"page 401": `-- response.http --
HTTP/2 401
content-type: text/html

<title>401 Unauthorized</title><h2>Your client does not have permission to the requested URL <code>/items</code>.</h2>
`,
	"page 403": `-- response.http --
HTTP/2 403
content-type: text/html

<title>403 Forbidden</title><h2>Your client does not have permission to get URL <code>/items</code> from this server.</h2>
`,
	"page 404": `-- response.http --
HTTP/2 404
content-type: text/html

<title>Error 404 (Not Found)!!1</title><p>The requested URL <code>/items</code> was not found on this server.
`,
	"bare 403": `-- response.http --
HTTP/2 403
`,
	"apache 404": `-- response.http --
HTTP/2 404
content-type: text/html

<title>404 Not Found</title><p>The requested URL was not found on this server.</p><address>Apache/2.4 Server</address>
`,
	"iap 302": `-- response.http --
HTTP/2 302
location: https://accounts.google.com/o/oauth2/v2/auth?client_id=1
x-goog-iap-generated-response: true
`,
	"iap kept": `-- policy.json --
{"bindings":[{"role":"roles/run.invoker","members":["serviceAccount:service-123456789012@gcp-sa-iap.iam.gserviceaccount.com"]}]}
-- project.json --
{"projectId":"shop","projectNumber":"123456789012"}
`,
	"iap 403": `-- response.http --
HTTP/2 403
x-goog-iap-generated-response: true
`,
	"gateway 401": `-- response.http --
HTTP/2 401
content-type: application/json

{"code":401,"message":"Jwt is missing"}
`,
	"api 403": `-- response.http --
HTTP/2 403
content-type: application/json

{"error":{"code":403,"message":"Permission 'run.services.get' denied on resource","status":"PERMISSION_DENIED"}}
`,
	"armor log": `-- log.json --
[{"logName":"projects/shop/logs/requests","jsonPayload":{"statusDetails":"denied_by_security_policy"},
"httpRequest":{"requestUrl":"https://orders-ab12cd34ef-ew.a.run.app/items","status":403}}]
`,
	"balancer log": `-- log.json --
[{"logName":"projects/shop/logs/requests","jsonPayload":{"statusDetails":"failed_to_pick_backend"},
"httpRequest":{"requestUrl":"https://shop.example.com/items","status":503}}]
`,
	"mixed log": `-- log.json --
[{"logName":"projects/shop/logs/run.googleapis.com%2Fstderr","timestamp":"2026-11-23T13:00:00Z","textPayload":"started"},
{"logName":"projects/shop/logs/run.googleapis.com%2Frequests","timestamp":"2026-11-23T12:30:00Z",
"httpRequest":{"requestUrl":"https://orders-ab12cd34ef-ew.a.run.app/items","status":200}},
{"logName":"projects/shop/logs/run.googleapis.com%2Frequests","timestamp":"2026-11-23T12:00:00Z",
"textPayload":"The request was not authenticated. Either allow unauthenticated invocations",
"httpRequest":{"requestUrl":"https://orders-ab12cd34ef-ew.a.run.app/items","status":403}},
{"logName":"projects/shop/logs/run.googleapis.com%2Frequests","timestamp":"2026-11-23T12:50:00Z",
"textPayload":"The request was not authorized to invoke this service.",
"httpRequest":{"requestUrl":"https://billing-ab12cd34ef-ew.a.run.app/","status":401}}]
`,
	"app log": `-- log.json --
{"logName":"projects/shop/logs/run.googleapis.com%2Frequests","timestamp":"2026-11-23T12:00:00Z",
"textPayload":"The request was not authorized to invoke this service.",
"httpRequest":{"requestUrl":"https://orders-ab12cd34ef-ew.a.run.app/items","status":401,"userAgent":"okhttp/4.9"}}
`,
	"preflight log": `-- log.json --
{"logName":"projects/shop/logs/run.googleapis.com%2Frequests","timestamp":"2026-11-23T12:00:00Z",
"textPayload":"The request was not authenticated. Either allow unauthenticated invocations",
"httpRequest":{"requestMethod":"OPTIONS","requestUrl":"https://orders-ab12cd34ef-ew.a.run.app/items","status":403}}
`,
	"removed": `-- log.json --
[{"logName":"projects/shop/logs/cloudaudit.googleapis.com%2Factivity","timestamp":"2026-11-23T11:00:00Z",
"protoPayload":{"methodName":"google.cloud.run.v1.Services.SetIamPolicy","resourceName":"namespaces/shop/services/orders",
"authenticationInfo":{"principalEmail":"dev@example.com"},"requestMetadata":{"callerSuppliedUserAgent":"FirebaseCLI/15"},
"serviceData":{"policyDelta":{"bindingDeltas":[{"action":"REMOVE","role":"roles/run.invoker",
"member":"serviceAccount:mover@shop.iam.gserviceaccount.com"}]}}}}]
`,
	"perimeter log": `-- log.json --
[{"logName":"projects/shop/logs/cloudaudit.googleapis.com%2Fpolicy",
"protoPayload":{"methodName":"run.googleapis.com/HttpIngress"}}]
`,
	"job 401": `-- caller.json --
{"name":"projects/shop/locations/europe-west1/jobs/poll","httpTarget":{"uri":"https://orders-ab12cd34ef-ew.a.run.app/items",
"httpMethod":"POST","oidcToken":{"serviceAccountEmail":"mover@shop.iam.gserviceaccount.com","audience":"https://orders-ab12cd34ef-ew.a.run.app"}}}
`,
}

// situation builds the evidence of the named parts.
func situation(t *testing.T, names string) evidence.Snapshot {
	t.Helper()
	text := ""
	for _, name := range strings.Split(names, ", ") {
		part, ok := parts[name]
		if !ok {
			t.Fatalf("there is no part %q", name)
		}
		text += part
	}
	s, err := evidence.LoadArchive(txtar.Format(txtar.Parse([]byte(text))), names)
	if err != nil {
		t.Fatal(err)
	}
	if s.Now.IsZero() {
		s.Now = now
	}
	return s
}

// What was observed, of whom, in which state of the service: the decision, who
// wrote it, what explains it first and what cannot.
func TestObservedSituations(t *testing.T) {
	const grant = "propagated"
	tests := []struct {
		names    string
		decision checks.Decision
		cause    string
		author   string
		first    string // of the first explanation, "" where there is none
		never    string // in no explanation
	}{
		{"service, public, anonymous, json 401", checks.Allowed, "", "the container", "", ""},
		{"service, ungranted, mover, json 401", checks.Allowed, "", "the container", "", ""},
		{"service, public, whole, anonymous, event, json 401", checks.Allowed, "", "the container", "", ""},
		{"service, ungranted, whole, mover, json 401", checks.Denied, "access-granted", "the container", "the container wrote", grant},
		{"service, private, mover, json quotes 403", checks.Allowed, "", "the container", "", ""},
		{"service, public, anonymous, apache 404", checks.Allowed, "", "the container", "", ""},
		{"service, public, whole, anonymous, page 403", checks.Allowed, "", "Google's front end", "VPC-SC perimeter", grant},
		{"service, public, whole, anonymous, bare 403", checks.Allowed, "", "", "the container, or a proxy", grant},
		{"check off, ungranted, anonymous, page 403", checks.Allowed, "", "Google's front end", "VPC-SC perimeter", grant},
		{"service, public, whole, anonymous, page 401", checks.Allowed, "", "Google's front end", "was not public when", "token is for"},
		{"service, private, whole, mover, page 403", checks.Allowed, "", "Google's front end", "the caller sent no ID token", "Cloud Armor"},
		{"service, private, whole, mover, page 401", checks.Allowed, "", "Google's front end", "token is for another service", grant},
		{"service, private, whole, mover, page 404", checks.Allowed, "", "Google's front end", "wrong Host header", grant},
		{"service, public, whole, anonymous, page 404", checks.Allowed, "", "Google's front end", "wrong Host header", "perimeter"},
		{"service, public, whole, balanced, page 404", checks.Allowed, "", "Google's front end", "URL mask", "default URL"},
		{"service, private, app, page 401", checks.Undetermined, "credential-present", "Google's front end", "Firebase user token", grant},
		{"service, private, app log", checks.Undetermined, "credential-present", "Google's front end", "Firebase user token", grant},
		{"service, private, url, page 401", checks.Undetermined, "credential-present", "Google's front end", "token is for another service", grant},
		{"service, private, url, page 403", checks.Undetermined, "credential-present", "Google's front end", "the caller sent no credential", grant},
		{"gen1, page 403", checks.Denied, "credential-present", "Google's front end", "", ""},
		{"iap, private, anonymous, iap 302", checks.Denied, "iap-credential", "IAP", "", ""},
		{"service, private, mover, iap 302", checks.Denied, "answer-origin", "IAP", "", ""},
		{"service, public, anonymous, armor log", checks.Denied, "answer-origin", "Cloud Armor", "", ""},
		{"service, ungranted, whole, mover, armor log", checks.Denied, "answer-origin", "Cloud Armor", "", ""},
		{"service, ungranted, mover, armor log", checks.Denied, "answer-origin", "Cloud Armor", "", ""},
		{"service, private, whole, mover, armor log", checks.Allowed, "", "Cloud Armor", "Cloud Armor wrote", "Armor refused"},
		{"service, public, balanced, balancer log", checks.Denied, "answer-origin", "the load balancer", "", ""},
		{"service, private, mover, gateway 401", checks.Denied, "answer-origin", "the API gateway", "", ""},
		{"service, private, mover, api 403", checks.Allowed, "", "a Google API", "a Google API wrote", grant},
		{"service, private, mover, balancer log", checks.Allowed, "", "", "", ""},
		{"service, private, preflight log", checks.Undetermined, "credential-present", "Google's front end", "CORS preflight (OPTIONS)", "sent no"},
		{"service, private, whole, mover, preflight log", checks.Allowed, "", "Google's front end", "CORS preflight (OPTIONS)", "sent no"},
		{"service, private, mover, mixed log", checks.Allowed, "", "Google's front end", "the caller sent no ID token", "authorized"},
	}
	for _, tt := range tests {
		t.Run(tt.names, func(t *testing.T) {
			v := checks.Judge(situation(t, tt.names), checks.Options{})
			cause, _ := v.Cause()
			if v.Decision != tt.decision || cause.Check != tt.cause {
				t.Errorf("%s by %q (%s), want %s by %q", v.Decision, cause.Check, v.Headline(), tt.decision, tt.cause)
			}
			if v.Observed == nil {
				t.Fatal("nothing was observed")
			}
			if v.Observed.Author != tt.author {
				t.Errorf("written by %q, want %q", v.Observed.Author, tt.author)
			}
			var texts []string
			for _, e := range v.Observed.Explanations {
				texts = append(texts, e.Text)
			}
			if (len(texts) > 0) != (tt.first != "") || len(texts) > 0 && !strings.Contains(texts[0], tt.first) {
				t.Errorf("explanations %q, want %q first", texts, tt.first)
			}
			if tt.never != "" && strings.Contains(strings.Join(texts, "\n"), tt.never) {
				t.Errorf("explanations %q, which cannot be %q", texts, tt.never)
			}
		})
	}
}

// A document that does not matter turns no decision that rests on what the
// container answered.
func TestDocumentsThatDoNotMatter(t *testing.T) {
	for _, more := range []string{"", "deny read, ", "whole, "} {
		v := checks.Judge(situation(t, "service, public, "+more+"anonymous, json 401"), checks.Options{})
		if v.Decision != checks.Allowed || !strings.HasPrefix(v.Headline(), "IAM let the request in: the container answered 401 itself") {
			t.Errorf("with %q: %s, %s", more, v.Decision, v.Headline())
		}
	}
}

func TestOneAnswerIsChosen(t *testing.T) {
	tests := []struct {
		names    string
		document string
		pointer  string
		status   int
		note     string
	}{
		{"service, private, mover, mixed log", "log.json", "/2", 403, ""},
		{"service, private, mixed log", "log.json", "/3", 401, ""},
		{"service, private, mover, page 404, mixed log", "response.http", "", 404, "log.json /2 shows 403"},
		{"service, private, mover, page 403, mixed log", "response.http", "", 403, ""},
		{"service, public, anonymous, page 404, balancer log", "response.http", "", 404, ""},
		{"service, public, anonymous, balancer log", "log.json", "/0", 503, "answers a request to shop.example.com, but the request judged is to"},
	}
	for _, tt := range tests {
		o := checks.Judge(situation(t, tt.names), checks.Options{NoFixes: true}).Observed
		if o == nil || !strings.HasSuffix(o.Source.Document, tt.document) || o.Source.Pointer != tt.pointer || o.Status != tt.status {
			t.Errorf("%s: observed %+v, want %d of %s %s", tt.names, o, tt.status, tt.document, tt.pointer)
			continue
		}
		if !strings.Contains(o.Note, tt.note) || (o.Note == "") != (tt.note == "") {
			t.Errorf("%s: note %q, want %q", tt.names, o.Note, tt.note)
		}
	}
}

// Audit entries are no answers: the change of a policy explains a refusal, and
// a perimeter gives one.
func TestAuditEntriesAreEvidenceOfTheirOwn(t *testing.T) {
	const told = "on 2026-11-23 11:00 UTC dev@example.com removed roles/run.invoker from serviceAccount:mover@shop.iam.gserviceaccount.com with FirebaseCLI/15"
	v := checks.Judge(situation(t, "service, ungranted, whole, mover, removed"), checks.Options{})
	if v.Observed != nil || !strings.Contains(v.Headline(), told) {
		t.Errorf("observed %+v, headline %q; want none, and %q", v.Observed, v.Headline(), told)
	}
	v = checks.Judge(situation(t, "service, private, whole, mover, page 403, removed"), checks.Options{})
	if o := v.Observed; len(o.Explanations) == 0 || o.Explanations[0].Text != told || o.Explanations[0].Cites[0].Pointer != "/0" {
		t.Errorf("explanations %+v, want %q first", o.Explanations, told)
	}
	v = checks.Judge(situation(t, "service, private, mover, perimeter log"), checks.Options{})
	if cause, _ := v.Cause(); v.Observed != nil || cause.Check != "ingress-perimeter" {
		t.Errorf("observed %+v, cause %s; want none, and ingress-perimeter", v.Observed, cause.Check)
	}
	v = checks.Judge(situation(t, "service, private, mover, page 401, perimeter log"), checks.Options{})
	if cause, ok := v.Cause(); ok {
		t.Errorf("a perimeter is the cause of a 401: %s", cause.Message)
	}
}

// What a configured caller got last is an answer too.
func TestLastAttemptIsObserved(t *testing.T) {
	s := situation(t, "service, private, whole, job 401")
	c, _ := s.Caller.Get()
	c.LastStatus, c.LastAttempt = 401, now
	s.Caller = evidence.Known(c, s.Caller.Source)
	o := checks.Judge(s, checks.Options{}).Observed
	if o == nil || o.Status != 401 || !o.Time.Equal(now) || o.Agrees != checks.Disagrees || !strings.HasSuffix(o.Source.Document, "caller.json") {
		t.Errorf("observed %+v, want the job's 401", o)
	}
}

// A response and a log entry of the same status are one answer, seen twice: the
// entry tells what was called.
func TestOneAnswerSeenTwice(t *testing.T) {
	v := checks.Judge(situation(t, "private, page 401, app log"), checks.Options{NoFixes: true})
	if v.Observed.Source.Document == "log.json" || v.Target.URL != "https://orders-ab12cd34ef-ew.a.run.app/items" {
		t.Errorf("observed %+v of %q, want the response, to the URL of the log", v.Observed, v.Target.URL)
	}
	v = checks.Judge(situation(t, "private, page 404, app log"), checks.Options{NoFixes: true})
	if v.Target.URL != "" {
		t.Errorf("the URL of another answer is judged: %s", v.Target.URL)
	}
}

// A client's exception names the URL that it called.
func TestQuotedURLIsTheRequests(t *testing.T) {
	s := situation(t, "service, private, page 403")
	r, _ := s.Response.Get()
	r.URL = situation(t, "url").Request.Or(evidence.Request{}).URL
	s.Response = evidence.Known(r, s.Response.Source)
	if v := checks.Judge(s, checks.Options{}); v.Target.URL != r.URL.String() || v.Observed.URL != r.URL.String() {
		t.Errorf("target %q, observed %q, want %q", v.Target.URL, v.Observed.URL, r.URL)
	}
}

// Each answer has the one who gives it.
func TestExpectedAuthors(t *testing.T) {
	tests := []struct {
		names  string
		author string
		log    bool
	}{
		{"service, private, anonymous", "Google's front end", true},
		{"service, private, whole, mover", "the container", false},
		{"iap, private, anonymous", "IAP", false},
		{"gen1", "Google's front end", false}, // what gen1 logs is not established
	}
	for _, tt := range tests {
		want := checks.Judge(situation(t, tt.names), checks.Options{NoFixes: true}).Expected
		if want == nil || want.Author != tt.author || (want.Log != "") != tt.log {
			t.Errorf("%s: expected %+v, want author %q, log %t", tt.names, want, tt.author, tt.log)
		}
	}
	event := checks.Judge(story(t, "event-called-directly"), checks.Options{NoFixes: true}).Expected
	if event == nil || event.Status != 400 || event.Author != "the functions framework in the container" {
		t.Errorf("expected %+v, want the framework's 400", event)
	}
}

// A refusal that was seen does not tell what a repaired request is answered.
func TestRepairsOutliveTheObservedAnswer(t *testing.T) {
	for names, want := range map[string]string{
		"service, ungranted, whole, mover, page 403": "grant-invoker",
		"iap, iap kept, whole, mover, iap 403":       "grant-iap-accessor",
	} {
		s := situation(t, names)
		s.IAPPolicy = evidence.Known(&iampb.Policy{}, evidence.Source{Document: "iap-policy.json"})
		v := checks.Judge(s, checks.Options{})
		if cause, _ := v.Cause(); !slices.Contains(v.Repair, want) {
			t.Errorf("%s: %s by %s with the repair %v, want %s", names, v.Decision, cause.Check, v.Repair, want)
		}
	}
}
