package evidence

import (
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestStatusOfTexts(t *testing.T) {
	for text, want := range map[string]struct {
		status int
		url    string
	}{
		"<html><title>403 Forbidden</title></html>":                                                                        {403, ""},
		"<title>401 Unauthorized</title>":                                                                                  {401, ""},
		"<title>Error 404 (Not Found)!!1</title>":                                                                          {404, ""},
		"<title>Error 404 (Page not found)</title>":                                                                        {404, ""},
		"<title>Shop of 1001 things</title>":                                                                               {0, ""},
		"<h2>Your client does not have permission to get URL <code>/</code> from this server.</h2>":                        {403, ""},
		"<h2>Your client does not have permission to the requested URL <code>/</code>.</h2>":                               {401, ""},
		"aiohttp.client_exceptions.ClientResponseError: 403, message='Forbidden', url='https://a.run.app//x'":              {403, "https://a.run.app//x"},
		"aiohttp.client_exceptions.ClientResponseError: 401, message='Unauthorized', url=URL('https://a.run.app/x?y=1')":   {401, "https://a.run.app/x?y=1"},
		"requests.exceptions.HTTPError: 403 Client Error: Forbidden for url: https://a.run.app/x":                          {403, "https://a.run.app/x"},
		"httpx.HTTPStatusError: Client error '401 Unauthorized' for url 'https://a.run.app/x'\nFor more information check": {401, "https://a.run.app/x"},
		"urllib.error.HTTPError: HTTP Error 403: Forbidden":                                                                {403, ""},
		"AxiosError: Request failed with status code 401":                                                                  {401, ""},
		"GaxiosError: Request failed with status code 403\n    at Gaxios._request":                                         {403, ""},
		"panic: unexpected status 403":                                                                                     {403, ""},
		"unexpected status code: 401 Unauthorized":                                                                         {401, ""},
		"java.io.IOException: Server returned HTTP response code: 403 for URL: https://a.run.app/x\n\tat":                  {403, "https://a.run.app/x"},
		"com.google.api.client.http.HttpResponseException: 403 Forbidden\nPOST https://a.run.app/x\n":                      {403, "https://a.run.app/x"},
		"org.springframework.web.client.HttpClientErrorException$Forbidden: 403 Forbidden: [no body]":                      {403, ""},
		"WebClientResponseException$Unauthorized: 401 Unauthorized from GET https://a.run.app/x":                           {401, "https://a.run.app/x"},
		"HttpRequestException: Response status code does not indicate success: 403 (Forbidden).":                           {403, ""},
		"curl: (22) The requested URL returned error: 403":                                                                 {403, ""},
		"Client error: `GET https://a.run.app/x` resulted in a `403 Forbidden` response:":                                  {403, "https://a.run.app/x"},
		"rpc error: code = Unauthenticated desc = unexpected HTTP status code received from server: 401 (Unauthorized)":    {401, ""},
		"rpc error: code = PermissionDenied desc = no":                                                                     {403, ""},
		"io.grpc.StatusRuntimeException: UNAUTHENTICATED: HTTP status code 401":                                            {401, ""},
		"grpc._channel._InactiveRpcError: StatusCode.PERMISSION_DENIED":                                                    {403, ""},
		"Error: 7 PERMISSION_DENIED: Received HTTP status code 403":                                                        {403, ""},
		`{"error": "the thing 403 is missing"}`:                                                                            {0, ""},
	} {
		r, _ := read(t, "response.http", text).Response.Get()
		url := ""
		if r.URL != nil {
			url = r.URL.String()
		}
		if r.Status != want.status || url != want.url || r.Body != strings.TrimSpace(text) {
			t.Errorf("%q: %d %q", text, r.Status, url)
		}
	}
}

// The status line stands over what a body quotes.
func TestStatusLineFirst(t *testing.T) {
	r, _ := read(t, "response.http", "HTTP/2 500\ndate: Tue, 24 Nov 2026 21:01:06 GMT\n\nRequest failed with status code 403\n").Response.Get()
	if r.Status != 500 || !r.Date.Equal(time.Date(2026, 11, 24, 21, 1, 6, 0, time.UTC)) || r.URL != nil {
		t.Errorf("%+v", r)
	}
}

func TestVerboseCurl(t *testing.T) {
	text := "*   Trying 34.143.76.2:443...\n> GET /x HTTP/2\n> Host: a.run.app\n> Authorization: Bearer t\n> \n< HTTP/2 302 \n< location: /y\n< \n" +
		"* Issue another request: /y\n> GET /y HTTP/2\n> X-Mine: 1\n> \n} [5 bytes data]\n< HTTP/2 401 \n* schannel: remote party requests renegotiation\n< date: Tue, 24 Nov 2026 21:01:06 GMT\n< \n{ [312 bytes data]\n<title>401 Unauthorized</title>\n* Connection #0 to host left intact\n"
	r, _ := read(t, "response.http", text).Response.Get()
	if r.Status != 401 || len(r.Header) != 1 || r.Date.IsZero() || r.Body != "<title>401 Unauthorized</title>" {
		t.Errorf("%+v", r)
	}
}

func TestNoResponses(t *testing.T) {
	for text, want := range map[string]string{
		`{"log":{"version":"1.2","entries":[]}}`:                             "is a HAR, the recording of a browser, without a request",
		"curl -X POST 'https://a.run.app/' \\\n  -H 'accept: */*'\n":         "is a curl command line",
		"$ curl https://a.run.app/\n":                                        "is a curl command line",
		`{"bindings":[]}`:                                                    "is an allow policy",
		`{"logName":"l","textPayload":"The request was not authenticated."}`: "pass it with --log",
	} {
		if err := fails(t, "response.http", text); !strings.Contains(err, want) {
			t.Errorf("%q, want %q", err, want)
		}
	}
}

const folding = `httpRequest: {10}
insertId: "66b0e0"
labels: {5}
logName: "projects/shop/logs/run.googleapis.com%2Frequests"
resource: {2}
severity: "WARNING"
textPayload: "The request was not authenticated. Either allow unauthenticated invocations or set the proper Authorization header."
timestamp: "2026-08-12T15:00:48.125692Z"
`

func TestPastedLogs(t *testing.T) {
	for text, status := range map[string]int{
		folding: 403,
		"2026-08-12 15:00:48 WARNING 401 The request was not authorized to invoke this service. Read more at\n": 401,
	} {
		logs, _ := read(t, "log.json", text).Logs.Get()
		if len(logs) != 1 || logs[0].Status != status || !strings.Contains(logs[0].Text, "The request was not auth") {
			t.Errorf("%+v", logs)
		}
	}
	logs, _ := read(t, "log.json", folding).Logs.Get()
	if e := logs[0]; e.InsertID != "66b0e0" || e.Timestamp.IsZero() || e.Severity != "WARNING" || !strings.HasSuffix(e.LogName, "requests") {
		t.Errorf("%+v", e)
	}
}

func TestPolicyChange(t *testing.T) {
	logs, _ := read(t, "log.json", `{"logName":"projects/p/logs/cloudaudit.googleapis.com%2Factivity","insertId":"i","trace":"t","timestamp":"2026-11-24T20:00:00Z",
		"protoPayload":{"methodName":"google.cloud.run.v1.Services.SetIamPolicy","resourceName":"namespaces/p/services/s","authenticationInfo":{"principalEmail":"a@example.com"},
		"requestMetadata":{"callerSuppliedUserAgent":"google-cloud-sdk"},"serviceData":{"policyDelta":{"bindingDeltas":[{"action":"REMOVE","role":"roles/run.invoker","member":"user:b@example.com"}]}}}}`).Logs.Get()
	want := &PolicyChange{By: "a@example.com", UserAgent: "google-cloud-sdk", Resource: "namespaces/p/services/s",
		Deltas: []BindingDelta{{"REMOVE", "roles/run.invoker", "user:b@example.com"}}}
	if diff := cmp.Diff(want, logs[0].Change); diff != "" || logs[0].InsertID != "i" || logs[0].Trace != "t" {
		t.Errorf("%s %+v", diff, logs[0])
	}
	if logs, _ := read(t, "log.json", `{"logName":"l","protoPayload":{"methodName":"google.cloud.run.v1.Services.CreateService"}}`).Logs.Get(); logs[0].Change != nil {
		t.Error("a deployment changes a policy")
	}
}

func TestSettle(t *testing.T) {
	day := func(d int) time.Time { return time.Date(2026, 11, d, 0, 0, 0, 0, time.UTC) }
	const (
		request  = `{"time":"2026-11-02T00:00:00Z"}`
		response = "HTTP/2 403\ndate: Wed, 04 Nov 2026 00:00:00 GMT\n\n"
		logs     = `[{"logName":"l","timestamp":"2026-11-01T00:00:00Z","httpRequest":{"status":401}},{"logName":"l","timestamp":"2026-11-03T00:00:00Z","httpRequest":{"status":403}},
			{"logName":"l","timestamp":"2026-11-07T00:00:00Z","httpRequest":{"status":200}},{"logName":"l","timestamp":"2026-11-09T00:00:00Z","protoPayload":{"methodName":"SetIamPolicy"}}]`
	)
	const hosts = `[{"logName":"l","timestamp":"2026-11-02T00:00:00Z","httpRequest":{"status":403,"requestUrl":"https://a.example/x"}},
		{"logName":"l","timestamp":"2026-11-03T00:00:00Z","httpRequest":{"status":200,"requestUrl":"https://b.example/y"}},
		{"logName":"l","timestamp":"2026-11-04T00:00:00Z","httpRequest":{"status":403,"requestUrl":"https://a.example/z"}}]`
	for _, tt := range []struct {
		docs map[string]string
		at   time.Time
		want time.Time
		from string
	}{
		{map[string]string{"request.json": request, "log.json": logs, "response.http": response}, day(1), day(1), "--at"},
		{map[string]string{"request.json": request, "log.json": logs, "response.http": response}, time.Time{}, day(2), "request.json"},
		{map[string]string{"log.json": logs, "response.http": response}, time.Time{}, day(3), "log.json"},
		{map[string]string{"response.http": response, "request.json": `{"method":"GET"}`}, time.Time{}, day(4), "response.http"},
		{map[string]string{"log.json": `{"logName":"l","httpRequest":{"status":403}}`}, time.Time{}, day(5), "now"},
		{map[string]string{"request.json": `{"url":"https://a.example/x"}`, "log.json": hosts}, time.Time{}, day(2), "log.json"},
		{map[string]string{"request.json": `{"url":"https://b.example/y"}`, "log.json": hosts}, time.Time{}, day(3), "log.json"},
		{nil, time.Time{}, day(5), "now"},
	} {
		var s Snapshot
		for name, text := range tt.docs {
			if err := Read(name, Source{Document: name}, []byte(text), &s); err != nil {
				t.Fatal(err)
			}
		}
		s.Settle(tt.at, day(5))
		if !s.Now.Equal(tt.want) || s.NowFrom != tt.from {
			t.Errorf("%v: %v from %s, want %v from %s", tt.docs, s.Now, s.NowFrom, tt.want, tt.from)
		}
	}
}

// A project's own policy is that of the service's project.
func TestProjectOfPolicy(t *testing.T) {
	s := read(t, "ancestor-policies.json", `{"bindings":[]}`)
	if s.Settle(time.Time{}, time.Unix(0, 0)); s.Ancestors.Or(nil)[0].ID != "" {
		t.Error("a project is made up")
	}
	if err := Read("service", Source{}, []byte(`{"name":"projects/shop/locations/l/services/s"}`), &s); err != nil {
		t.Fatal(err)
	}
	s.Settle(time.Time{}, time.Unix(0, 0))
	if a := s.Ancestors.Or(nil); a[0].ID != "shop" || a[1].ID != "" || !a[1].Missing {
		t.Errorf("%+v", a)
	}
}

// A preflight is another request than the one that follows it.
func TestObservedGoesByTheMethod(t *testing.T) {
	u, _ := url.Parse("https://orders.example.com/a")
	entry := LogEntry{URL: u.String(), Status: 403, Method: "POST", Timestamp: time.Unix(1, 0)}
	preflight := entry
	preflight.Method, preflight.Timestamp = "OPTIONS", time.Unix(2, 0)
	s := Snapshot{Request: Known(Request{URL: u, Method: "POST"}, Source{}), Logs: Known([]LogEntry{entry, preflight}, Source{})}
	if got := s.Observed(); got != 0 {
		t.Errorf("entry %d is taken for the answer, want that of the POST", got)
	}
}

// What further clients report, with the URL where they say it.
func TestMoreClients(t *testing.T) {
	for text, want := range map[string]string{
		"Response {\n  status: 403,\n  statusText: 'Forbidden',\n  url: 'https://a.run.app/x'\n}": "403 https://a.run.app/x",
		"Error: HTTP error! status: 401":                                                                    "401 ",
		"HTTP status client error (403 Forbidden) for url (https://a.run.app/x)":                            "403 https://a.run.app/x",
		"feign.FeignException$Forbidden: [403 Forbidden] during [GET] to [https://a.run.app/x] [A#b()]: []": "403 https://a.run.app/x",
		"Response{protocol=h2, code=404, message=, url=https://a.run.app/x}":                                "404 https://a.run.app/x",
		"googleapi: Error 403: The caller does not have permission, forbidden":                              "403 ",
	} {
		r, _ := read(t, "response.http", text).Response.Get()
		got := strconv.Itoa(r.Status) + " "
		if r.URL != nil {
			got += r.URL.String()
		}
		if got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

// The console of a browser shows a request: a preflight has no credential, and
// of others it does not tell.
func TestBrowserConsole(t *testing.T) {
	const page = "https://orders-ab12cd34ef-ew.a.run.app/items"
	for why, want := range map[string]Request{
		"Response to preflight request doesn't pass access control check": {Method: "OPTIONS", Client: "",
			Headers: http.Header{"User-Agent": {"Mozilla/5.0"}, "Origin": {"https://app.example.com"}}},
		"No 'Access-Control-Allow-Origin' header is present on the requested resource.": {Client: "browser"},
	} {
		var s Snapshot
		text := "Access to fetch at '" + page + "' from origin 'https://app.example.com' has been blocked by CORS policy: " + why
		if err := s.Add([]Given{{"console.txt", []byte(text)}}); err != nil {
			t.Errorf("%s: %v", why, err)
		}
		got := s.Request.Or(Request{})
		if got.URL == nil || got.URL.String() != page || got.Method != want.Method || got.Client != want.Client || !reflect.DeepEqual(got.Headers, want.Headers) {
			t.Errorf("%s: %+v, want %+v", why, got, want)
		}
	}
}
