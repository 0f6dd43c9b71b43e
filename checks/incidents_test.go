package checks_test

import (
	"slices"
	"strings"
	"testing"

	"diagnose/checks"
	"diagnose/internal/evidence"
)

// An incident is a public report with no more evidence than its reporter gave,
// and the checks that name its established cause. Where the report leaves the
// answer open, gather is part of a command that fetches what is missing.
type incident struct {
	id, source string
	text       string // a case in txtar form
	causes     []string
	gather     string
}

var incidents = []incident{
	{"INC-001", "https://github.com/googleapis/google-auth-library-nodejs/issues/1208", `
-- function.json --
{"environment":"GEN_1","url":"https://us-central1-shop.cloudfunctions.net/my-function"}
-- request.json --
{"url":"https://us-central1-shop.cloudfunctions.net/my-function"}
-- token.json --
{"aud":"https://us-central1-shop.cloudfunctions.net"}
-- response.http --
HTTP/1.1 401 Unauthorized
www-authenticate: Bearer error="invalid_token" error_description="The access token could not be verified"
`, []string{"token-audience"}, ""},
	{"INC-005", "https://github.com/GoogleCloudPlatform/esp-v2/issues/19", `
-- request.json --
{"url":"https://orders.example.com/"}
-- token.json --
{"aud":"https://orders.example.com"}
-- log.json --
{"textPayload":"The request was not authorized to invoke this service","httpRequest":{"status":401}}
`, []string{"token-audience"}, ""},
	{"INC-008", "https://github.com/firebase/firebase-tools/pull/9922", `
-- function.json --
{"environment":"GEN_2","url":"https://us-central1-shop.cloudfunctions.net/beforeSignIn"}
-- log.json --
{"textPayload":"Firebase Auth Blocking token has incorrect \"aud\" (audience) claim. Expected \"run.app\" but got \"https://us-central1-shop.cloudfunctions.net/beforeSignIn\""}
`, []string{"answer-origin"}, ""},
	{"INC-009", "https://github.com/firebase/functions-samples/issues/1136", `
-- request.json --
{"url":"https://svc-ab12cd34ef-uc.a.run.app"}
-- token.json --
{"aud":"https://svc-ab12cd34ef-uc.a.run.app"}
-- log.json --
{"textPayload":"Firebase ID token has incorrect \"aud\" (audience) claim. Expected \"shop\" but got \"https://svc-ab12cd34ef-uc.a.run.app\""}
`, []string{"answer-origin"}, ""},
	{"INC-011", "https://github.com/google/adk-python/issues/4458", `
-- request.json --
{"url":"https://svc-123456789012.us-central1.run.app/mcp","method":"POST"}
-- token.jwt --
ya29.an-access-token
-- response.http --
HTTP/1.1 401 Unauthorized
`, []string{"credential-kind"}, ""},
	{"INC-014", "https://github.com/googleapis/google-auth-library-java/pull/469", `
-- token.json --
{"aud":"1234-abc.apps.googleusercontent.com","email":"ana@example.com"}
`, []string{"token-audience"}, ""},
	{"INC-016", "https://github.com/firebase/firebase-tools/issues/8629", `
-- function.json --
{"environment":"GEN_2","eventTrigger":{"eventType":"google.cloud.audit.log.v1.written","serviceAccountEmail":"123456789012-compute@developer.gserviceaccount.com"},"serviceConfig":{"service":"projects/shop/locations/us-central1/services/ext"}}
-- policy.json --
{"bindings":[{"role":"roles/run.invoker","members":[]}]}
-- log.json --
{"textPayload":"The request was not authenticated"}
`, []string{"access-granted", "trigger-identity"}, "functions describe"},
	{"INC-018", "https://github.com/GoogleCloudPlatform/docker-clamav-malware-scanner/issues/47", `
-- trigger.json --
{"name":"projects/shop/locations/us-central1/triggers/scan","serviceAccount":"scan@shop.iam.gserviceaccount.com","eventFilters":[{"attribute":"type","value":"google.cloud.storage.object.v1.finalized"}],"destination":{"cloudRun":{"service":"scan","region":"us-central1"}}}
-- function.json --
{"environment":"GEN_2","state":"ACTIVE","eventTrigger":{"eventType":"google.cloud.storage.object.v1.finalized"},"serviceConfig":{"service":"projects/shop/locations/us-central1/services/scan"}}
-- policy.json --
{"bindings":[{"role":"roles/run.invoker","members":["serviceAccount:scan@shop.iam.gserviceaccount.com"]}]}
-- ancestor-policies.json --
[{"id":"shop","type":"project","policy":{"bindings":[{"role":"roles/eventarc.eventReceiver","members":["serviceAccount:scan@shop.iam.gserviceaccount.com"]}]}}]
`, []string{"trigger-token-minting"}, "service-accounts get-iam-policy"},
	{"INC-022", "https://github.com/google-github-actions/deploy-cloudrun/issues/473", `
-- request.json --
{"headers":{}}
-- policy.json --
{"bindings":[{"role":"roles/run.invoker","members":[]}]}
`, []string{"credential-present"}, ""},
	{"INC-024", "https://github.com/firebase/firebase-functions/issues/1501", `
-- function.json --
{"environment":"GEN_2","serviceConfig":{"service":"projects/shop/locations/us-central1/services/api"}}
-- request.json --
{"principal":"serviceAccount:xyz@shop.iam.gserviceaccount.com"}
-- policy.json --
{"bindings":[{"role":"roles/run.invoker","members":[]}]}
`, []string{"access-granted"}, ""},
	{"INC-026", "https://github.com/GoogleCloudPlatform/cloud-run-proxy/issues/39", `
-- service.json --
{"name":"projects/shop/locations/us-central1/services/api","ingress":"INGRESS_TRAFFIC_INTERNAL_ONLY"}
-- request.json --
{"source":"internet","principal":"user:ana@example.com"}
`, []string{"ingress-source"}, ""},
	{"INC-029", "https://github.com/LayerZero-Labs/gasolina-gcp/issues/15", `
-- request.json --
{"headers":{}}
-- response.http --
HTTP/1.1 400 Bad Request

One or more users named in the policy do not belong to a permitted customer, perhaps due to an organization policy
`, []string{"answer-origin"}, ""},
	{"INC-031", "https://github.com/Worklytics/psoxy/pull/881", `
-- function.json --
{"environment":"GEN_2","serviceConfig":{"service":"projects/shop/locations/us-central1/services/proxy"}}
-- request.json --
{"principal":"serviceAccount:sa@shop.iam.gserviceaccount.com"}
-- function-policy.json --
{"bindings":[{"role":"roles/cloudfunctions.invoker","members":["serviceAccount:sa@shop.iam.gserviceaccount.com"]}]}
`, []string{"access-granted"}, "run services get-iam-policy"},
	{"INC-032", "https://github.com/kkdai/linebot-file/pull/5", `
-- request.json --
{"url":"https://svc-ab12cd34ef-uc.a.run.app/healthz","headers":{}}
-- policy.json --
{"bindings":[{"role":"roles/run.invoker","members":["allUsers"]}]}
-- response.http --
HTTP/2 404
content-type: text/html; charset=UTF-8

<title>Error 404 (Not Found)!!1</title>
`, []string{"route-path"}, ""},
	{"INC-036", "https://github.com/googleapis/google-auth-library-nodejs/issues/792", `
-- token.json --
{"iss":"https://accounts.google.com","aud":"1234-abc.apps.googleusercontent.com","email":null}
-- response.http --
HTTP/1.1 401 Unauthorized

Invalid IAP credentials: JWT 'email' claim isn't a string
`, []string{"iap-token"}, ""},
	{"INC-039", "https://github.com/googleapis/google-auth-library-python/issues/669", `
-- response.http --
HTTP/1.1 400 Bad Request

{"error": "invalid_audience", "error_description": "The audience client and the client need to be in the same project."}
`, []string{"answer-origin"}, ""},
	{"INC-043", "https://github.com/CopilotKit/CopilotKit/issues/5712", `
-- request.json --
{"headers":{"Authorization":"Bearer [REDACTED]","X-Serverless-Authorization":"Bearer [REDACTED]"}}
-- response.http --
HTTP/1.1 401 Unauthorized
`, []string{"credential-header"}, "--token-file"},
	{"INC-045", "https://github.com/pomerium/pomerium/issues/6677", `
-- log.json --
{"textPayload":"jwt: invalid signature: SIGNATURE_REMOVED_BY_GOOGLE"}
`, []string{"answer-origin"}, ""},
	{"INC-047", "https://github.com/GoogleCloudPlatform/cloud-run-mesh/issues/61", `
-- response.http --
HTTP/1.1 401 Unauthorized
`, []string{"answer-origin", "credential-header"}, "describe"},
	{"INC-049", "https://stackoverflow.com/questions/47511677", `
-- function.json --
{"environment":"GEN_1"}
-- response.http --
HTTP/1.1 403 Forbidden
content-type: text/html

<title>403 Forbidden</title><h1>Error: Forbidden</h1><h2>Your client does not have permission to get URL <code>/200</code> from this server.</h2>
-- log.json --
{"textPayload":"Function execution took 1200 ms, finished with status code: 302"}
`, []string{"answer-origin"}, ""},
	{"INC-052", "https://github.com/googleapis/python-tasks/issues/137", `
-- request.json --
{"url":"https://svc-ab12cd34ef-uc.a.run.app/path?query=1"}
-- token.json --
{"aud":"https://svc-ab12cd34ef-uc.a.run.app/path?query=1"}
-- response.http --
HTTP/1.1 401 Unauthorized
`, []string{"token-audience"}, ""},
	{"INC-054", "https://github.com/GoogleCloudPlatform/cloud-foundation-fabric/issues/1321", `
-- response.http --
HTTP/1.1 500 Internal Server Error

IAP for Cloud Run app is not set up correctly
`, []string{"iap-agent"}, ""},
	{"INC-057", "https://github.com/google/exposure-notifications-verification-server/issues/895", `
-- request.json --
{"url":"https://svc-ab12cd34ef-uc.a.run.app/","headers":{}}
-- service.json --
{"name":"projects/shop/locations/us-central1/services/svc","ingress":"INGRESS_TRAFFIC_ALL","uri":"https://svc-ab12cd34ef-uc.a.run.app"}
-- policy.json --
{"bindings":[{"role":"roles/run.invoker","members":["allUsers"]}]}
`, []string{"access-public"}, ""},
	{"INC-060", "https://github.com/kubernetes/registry.k8s.io/issues/148", `
-- log.json --
{"jsonPayload":{"statusDetails":"denied_by_security_policy"},"httpRequest":{"status":403}}
`, []string{"answer-origin"}, ""},
	{"INC-061", "https://github.com/fireact-dev/main/issues/16", `
-- function.json --
{"name":"projects/shop/locations/europe-west2/functions/api","environment":"GEN_1","url":"https://europe-west2-shop.cloudfunctions.net/api"}
-- request.json --
{"url":"https://us-west1-shop.cloudfunctions.net/api"}
`, []string{"route-host"}, ""},
	{"INC-067", "https://github.com/acceleratedscience/openad-toolkit/issues/125", `
-- token.json --
{"exp":1700000000,"iat":1699996400,"email":"ana@example.com"}
`, []string{"token-expiry"}, ""},
	{"INC-075", "https://github.com/richardhe-fundamenta/practical-gcp-examples/pull/11", `
-- service.json --
{"name":"projects/shop/locations/us-central1/services/api","ingress":"INGRESS_TRAFFIC_INTERNAL_ONLY"}
-- request.json --
{"source":"internet","headers":{}}
-- response.http --
HTTP/2 404
`, []string{"ingress-source"}, ""},
	{"INC-078", "https://github.com/GoogleCloudPlatform/esp-v2/issues/400", `
-- request.json --
{"headers":{"Authorization":"eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJ4In0.c2ln"}}
`, []string{"credential-header"}, ""},
}

// answered are the threads that show an answer, and who wrote it; "" where the
// thread does not tell.
var answered = map[string]string{
	"INC-001": "Google's front end", "INC-005": "Google's front end", "INC-008": "the container", "INC-009": "the container",
	"INC-011": "", "INC-016": "Google's front end",
	"INC-029": "a Google API", "INC-032": "Google's front end", "INC-036": "IAP", "INC-039": "Google's token endpoint",
	"INC-043": "", "INC-045": "the container", "INC-047": "", "INC-049": "Google's front end", "INC-052": "",
	"INC-054": "IAP", "INC-060": "Cloud Armor", "INC-075": "",
}

func TestIncidents(t *testing.T) {
	for _, inc := range incidents {
		t.Run(inc.id, func(t *testing.T) {
			s, err := evidence.LoadArchive([]byte(inc.text), inc.id)
			if err != nil {
				t.Fatal(err)
			}
			if s.Now.IsZero() {
				s.Now = now
			}
			v := checks.Judge(s, checks.Options{})
			cause, _ := v.Cause()
			if author, ok := answered[inc.id]; ok != (v.Observed != nil) || ok && v.Observed.Author != author {
				t.Errorf("observed %+v, want an answer (%t) by %q", v.Observed, ok, author)
			}
			switch {
			case v.Decision != checks.Denied && toldBy(v, inc.causes):
			case v.Decision == checks.Denied && !slices.Contains(inc.causes, cause.Check):
				t.Errorf("denied by %s (%s), want one of %v: %s", cause.Check, v.Basis, inc.causes, cause.Message)
			case v.Decision == checks.Undetermined && !(inc.gather != "" && mentionsCommand(v, inc.gather)):
				t.Errorf("undetermined by %s: %s; want %v, or a command with %q", cause.Check, cause.Message, inc.causes, inc.gather)
			case v.Decision == checks.Allowed && !slices.Contains(inc.causes, "access-public"):
				t.Errorf("allowed (%s), want denied by one of %v", v.Basis, inc.causes)
			}
			t.Logf("%s %s by %s: %s", v.Decision, v.Basis, cause.Check, v.Headline())
		})
	}
	if len(incidents) != 28 {
		t.Errorf("%d incidents, want 28", len(incidents))
	}
}

// toldBy reports whether the observed answer names a cause: the container wrote
// it, or the first explanation says what did.
func toldBy(v checks.Verdict, causes []string) bool {
	if v.Observed == nil || !slices.Contains(causes, "answer-origin") {
		return false
	}
	if len(v.Observed.Explanations) > 0 {
		return v.Observed.Explanations[0].Check == "answer-origin"
	}
	return v.Decision == checks.Allowed && v.Observed.Author == "the container"
}

// mentionsCommand reports whether a verdict names a command to run next.
func mentionsCommand(v checks.Verdict, part string) bool {
	for _, f := range v.Findings {
		for _, c := range f.Gather {
			if strings.Contains(strings.Join(c.Argv, " "), part) {
				return true
			}
		}
	}
	if v.Observed != nil {
		for _, e := range v.Observed.Explanations {
			for _, c := range e.Gather {
				if strings.Contains(strings.Join(c.Argv, " "), part) {
					return true
				}
			}
		}
	}
	return false
}
