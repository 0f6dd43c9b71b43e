package caller

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"diagnose/internal/yamldoc"
)

func parse(t *testing.T, doc string) ([]Caller, error) {
	t.Helper()
	b, err := yamldoc.JSON([]byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	return Parse(b)
}

func TestParse(t *testing.T) {
	const account = "caller@shop.iam.gserviceaccount.com"
	for _, test := range []struct {
		name, doc string
		want      []Caller
	}{
		{"scheduler job with ID token", `
name: projects/shop/locations/europe-west1/jobs/nightly
schedule: 0 1 * * *
state: PAUSED
httpTarget: {uri: "https://orders.run.app/run?x=1", httpMethod: GET, oidcToken: {serviceAccountEmail: ` + account + `}}`,
			[]Caller{{Kind: "cloud-scheduler", Name: "projects/shop/locations/europe-west1/jobs/nightly", Project: "shop", URL: "https://orders.run.app/run?x=1", Method: "GET",
				Token: IDToken, ServiceAccount: account, Audience: "https://orders.run.app/run?x=1", Pointer: "/httpTarget/oidcToken", Note: "the job is paused"}}},
		{"scheduler job with access token", `
schedule: 0 1 * * *
httpTarget: {uri: "https://orders.run.app/", oauthToken: {serviceAccountEmail: ` + account + `}}`,
			[]Caller{{Kind: "cloud-scheduler", URL: "https://orders.run.app/", Method: "POST", Token: AccessToken, ServiceAccount: account, Pointer: "/httpTarget/oauthToken"}}},
		{"scheduler job without token", `
schedule: 0 1 * * *
httpTarget: {uri: "https://orders.run.app/"}`,
			[]Caller{{Kind: "cloud-scheduler", URL: "https://orders.run.app/", Method: "POST", Token: NoToken, Pointer: "/httpTarget"}}},
		{"task with an audience of its own", `
name: projects/shop/locations/europe-west1/queues/q/tasks/1
httpRequest: {url: "https://orders.run.app/t", oidcToken: {serviceAccountEmail: ` + account + `, audience: "https://orders.run.app"}}`,
			[]Caller{{Kind: "cloud-tasks", Name: "projects/shop/locations/europe-west1/queues/q/tasks/1", Project: "shop", URL: "https://orders.run.app/t", Method: "POST",
				Token: IDToken, ServiceAccount: account, Audience: "https://orders.run.app", Pointer: "/httpRequest/oidcToken"}}},
		{"queue that overrides", `
name: projects/shop/locations/europe-west1/queues/q
httpTarget: {uriOverride: {host: orders.run.app, pathOverride: {path: /t}}, oidcToken: {serviceAccountEmail: ` + account + `}}`,
			[]Caller{{Kind: "cloud-tasks", Name: "projects/shop/locations/europe-west1/queues/q", Project: "shop", URL: "https://orders.run.app/t",
				Token: IDToken, ServiceAccount: account, Audience: "https://orders.run.app/t", Pointer: "/httpTarget/oidcToken"}}},
		{"queue that overrides the scheme", `
name: projects/shop/locations/europe-west1/queues/q
httpTarget: {uriOverride: {scheme: HTTP, host: orders.run.app, port: 8080}}`,
			[]Caller{{Kind: "cloud-tasks", Name: "projects/shop/locations/europe-west1/queues/q", Project: "shop", URL: "http://orders.run.app:8080",
				Note: "what a task without override sends is set in the task"}}},
		{"queue with a query and the port as a float", `
name: projects/shop/locations/europe-west1/queues/q
httpTarget: {uriOverride: {host: orders.run.app, port: 443.0, queryOverride: {queryParams: a=1}}, oidcToken: {serviceAccountEmail: ` + account + `}}`,
			[]Caller{{Kind: "cloud-tasks", Name: "projects/shop/locations/europe-west1/queues/q", Project: "shop", URL: "https://orders.run.app:443?a=1",
				Token: IDToken, ServiceAccount: account, Audience: "https://orders.run.app:443?a=1", Pointer: "/httpTarget/oidcToken"}}},
		{"queue that leaves it to the task", `
name: projects/shop/locations/europe-west1/queues/q
rateLimits: {}`,
			[]Caller{{Kind: "cloud-tasks", Name: "projects/shop/locations/europe-west1/queues/q", Project: "shop", Note: "what a task without override sends is set in the task"}}},
		{"push subscription", `
name: projects/shop/subscriptions/s
pushConfig: {pushEndpoint: "https://orders.run.app/push", oidcToken: {serviceAccountEmail: ` + account + `, audience: orders}}`,
			[]Caller{{Kind: "pubsub-push", Name: "projects/shop/subscriptions/s", Project: "shop", URL: "https://orders.run.app/push", Method: "POST",
				Token: IDToken, ServiceAccount: account, Audience: "orders", Pointer: "/pushConfig/oidcToken"}}},
		{"push subscription without token", `
name: projects/shop/subscriptions/s
pushConfig: {pushEndpoint: "https://orders.run.app/push"}`,
			[]Caller{{Kind: "pubsub-push", Name: "projects/shop/subscriptions/s", Project: "shop", URL: "https://orders.run.app/push", Method: "POST", Token: NoToken, Pointer: "/pushConfig"}}},
		{"trigger of a service", `
name: projects/shop/locations/europe-west1/triggers/t
destination: {cloudRun: {service: orders, region: europe-west1}}
serviceAccount: ` + account,
			[]Caller{{Kind: "eventarc", Name: "projects/shop/locations/europe-west1/triggers/t", Project: "shop", Method: "POST", Service: "projects/shop/locations/europe-west1/services/orders", Token: IDToken, ServiceAccount: account, Pointer: "/serviceAccount"}}},
		{"gateway with and without audience", `
swagger: "2.0"
paths:
  /b: {get: {x-google-backend: {address: "https://orders.run.app/b", jwt_audience: "https://orders.run.app"}}}
  /a: {x-google-backend: {address: "https://orders.run.app/a"}}
  /c: {post: {x-google-backend: {address: "https://orders.run.app/c", disable_auth: true}}}`,
			[]Caller{
				{Kind: "api-gateway", URL: "https://orders.run.app/a", Token: IDToken, Audience: "https://orders.run.app", Pointer: "/paths/~1a/x-google-backend", Note: gatewayNote},
				{Kind: "api-gateway", URL: "https://orders.run.app/b", Method: "GET", Token: IDToken, Audience: "https://orders.run.app", Pointer: "/paths/~1b/get/x-google-backend", Note: gatewayNote},
				{Kind: "api-gateway", URL: "https://orders.run.app/c", Method: "POST", Token: UnknownToken, Pointer: "/paths/~1c/post/x-google-backend", Note: "disable_auth is set, so the gateway passes the caller's own Authorization on"},
			}},
		{"gateway by OpenAPI 3", `
openapi: 3.0.4
x-google-api-management: {backends: {b: {address: "https://orders.run.app/b", jwtAudience: orders}, c: {address: "https://c.run.app", disableAuth: true}}}
x-google-backend: b
servers: [{url: "https://g"}, {url: "https://h", x-google-backend: {address: "https://h.run.app"}}]
paths:
  /: {get: {operationId: x, x-google-backend: c, responses: {200: {description: ok}}}}`,
			[]Caller{
				{Kind: "api-gateway", URL: "https://c.run.app", Method: "GET", Pointer: "/paths/~1/get/x-google-backend", Note: "disable_auth is set, so the gateway passes the caller's own Authorization on"},
				{Kind: "api-gateway", URL: "https://h.run.app", Token: IDToken, Audience: "https://h.run.app", Pointer: "/servers/1/x-google-backend", Note: gatewayNote},
				{Kind: "api-gateway", URL: "https://orders.run.app/b", Token: IDToken, Audience: "orders", Pointer: "/x-google-backend", Note: gatewayNote},
			}},
		{"pipeline", `
name: projects/shop/locations/europe-west1/pipelines/p
destinations:
- {topic: projects/shop/topics/t}
- {httpEndpoint: {uri: "https://orders.run.app/e"}, authenticationConfig: {googleOidc: {serviceAccount: ` + account + `, audience: "https://orders.run.app"}}}
- {httpEndpoint: {uri: "https://orders.run.app/f"}}`,
			[]Caller{
				{Kind: "eventarc", Name: "projects/shop/locations/europe-west1/pipelines/p", Project: "shop", URL: "https://orders.run.app/e", Method: "POST", Token: IDToken,
					ServiceAccount: account, Audience: "https://orders.run.app", Pointer: "/destinations/1/authenticationConfig/googleOidc"},
				{Kind: "eventarc", Name: "projects/shop/locations/europe-west1/pipelines/p", Project: "shop", URL: "https://orders.run.app/f", Method: "POST", Token: NoToken, Pointer: "/destinations/2"},
			}},
		{"scheduler job whose last attempt was refused", `
schedule: 0 1 * * *
status: {code: 16.0, message: UNAUTHENTICATED}
lastAttemptTime: 2026-11-24T20:00:00Z
httpTarget: {uri: "https://orders.run.app/"}`,
			[]Caller{{Kind: "cloud-scheduler", URL: "https://orders.run.app/", Method: "POST", Token: NoToken, Pointer: "/httpTarget",
				LastStatus: 401, LastAttempt: time.Date(2026, 11, 24, 20, 0, 0, 0, time.UTC)}}},
		{"workflow", `
main:
  steps:
  - plain: {call: http.get, args: {url: "https://orders.run.app/"}}
  - oidc: {call: http.post, args: {url: "https://orders.run.app/x", auth: {type: OIDC}}}
  - computed: {call: http.request, args: {url: "${host}", method: put, auth: {type: OIDC, audience: "${aud}"}}}
  - api: {call: http.get, args: {url: "https://run.googleapis.com/", auth: {type: OAuth2}}}`,
			[]Caller{
				{Kind: "workflows", URL: "https://orders.run.app/", Method: "GET", Token: NoToken, Pointer: "/main/steps/0/plain/args", Note: workflowNote},
				{Kind: "workflows", URL: "https://orders.run.app/x", Method: "POST", Token: IDToken, Audience: "https://orders.run.app/x", Pointer: "/main/steps/1/oidc/args/auth", Note: workflowNote},
				{Kind: "workflows", Method: "PUT", Token: IDToken, Pointer: "/main/steps/2/computed/args/auth", Note: workflowNote + "; the audience is an expression"},
				{Kind: "workflows", URL: "https://run.googleapis.com/", Method: "GET", Token: AccessToken, Pointer: "/main/steps/3/api/args/auth", Note: workflowNote},
			}},
	} {
		got, err := parse(t, test.doc)
		if diff := cmp.Diff(test.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got)\n%s", test.name, err, diff)
		}
	}
}

const (
	gatewayNote  = "the gateway's own service account calls; the caller's token is in X-Forwarded-Authorization"
	workflowNote = "the workflow's own service account calls, by default the compute one"
)

func TestParseRefuses(t *testing.T) {
	for doc, want := range map[string]string{
		`{}`:   "is not recognized",
		`[]`:   "is not recognized",
		`null`: "is not recognized",
		`{"schedule":"* * * * *","pubsubTarget":{"topicName":"t"}}`:              "calls no service",
		`{"schedule":7,"httpTarget":"canary"}`:                                   "does not fit",
		`{"appEngineHttpRequest":{}}`:                                            "calls App Engine",
		`{"name":"projects/p/subscriptions/s"}`:                                  "it is pulled",
		`{"name":"projects/p/locations/l/triggers/t","eventFilters":[]}`:         "neither a Cloud Run service nor a function",
		`{"openapi":"3.0.0","paths":{"/a":{"get":{}}}}`:                          "without x-google-backend",
		`{"openapi":"3.0.0","x-google-backend":"b","paths":{}}`:                  "does not define",
		`{"destinations":[{"topic":"t"}]}`:                                       "without httpEndpoint",
		`{"main":{"steps":[]}}`:                                                  "without http call",
		`{"name":"n","sourceContents":"a: [canary"}`:                             "no workflow",
		`{"rateLimits":{},"httpTarget":{"oidcToken":{"audience":["canary"]}}}`:   "does not fit",
		`{"rateLimits":{},"httpTarget":{"uriOverride":{"host":"h","port":1.5}}}`: "must be a port number",
	} {
		_, err := Parse([]byte(doc))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v, want %q", doc, err, want)
		}
	}
}

// Whatever the document, Parse does not panic, gives callers or an error, and
// claims an ID token only with the place where it is configured.
func FuzzParse(f *testing.F) {
	for _, doc := range []string{
		`{"schedule":"* * * * *","httpTarget":{"uri":"https://a.run.app/","oidcToken":{"serviceAccountEmail":"a@b"}}}`,
		`{"httpRequest":{"url":"https://a.run.app","oauthToken":{}}}`, `{"rateLimits":{},"httpTarget":{"uriOverride":{"host":"h"}}}`,
		`{"pushConfig":{"pushEndpoint":"https://a.run.app"}}`, `{"destination":{"cloudRun":{"service":"a"}}}`,
		`{"swagger":"2.0","x-google-backend":{"address":"https://a.run.app"},"paths":{"/":{"get":{}}}}`,
		`{"main":{"steps":[{"a":{"call":"http.get","args":{"url":"https://a.run.app","auth":{"type":"OIDC"}}}}]}}`,
		`{"sourceContents":"main:\n  steps: []","serviceAccount":"projects/p/serviceAccounts/a"}`,
	} {
		f.Add([]byte(doc))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		got, err := Parse(doc)
		if (err == nil) != (len(got) > 0) {
			t.Fatalf("%d callers and error %v", len(got), err)
		}
		for _, c := range got {
			if c.Kind == "" || c.Token == IDToken && c.Pointer == "" {
				t.Errorf("%+v", c)
			}
			if c.Pointer != "" && !strings.HasPrefix(c.Pointer, "/") {
				t.Errorf("pointer %q", c.Pointer)
			}
		}
		if err == nil && !json.Valid(doc) {
			t.Error("callers of a document that is no JSON")
		}
	})
}
