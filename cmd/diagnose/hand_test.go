package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"unicode/utf16"

	"diagnose/internal/credential/credentialtest"
)

// What a person with a refused call has at hand is answered, or refused with
// what to do. Each row is one such thing, of one service and one caller.

const (
	boltURL   = "https://bolts-x1y2z3a4b5-ew.a.run.app"
	boltToken = "TOKEN" // stands for a token in what is given
)

// boltClaims are those of a good token; expired 2026-11-24T21:30:00Z.
func boltClaims(change map[string]any) map[string]any {
	c := map[string]any{"iss": "https://accounts.google.com", "aud": boltURL, "sub": "104857600000000000001", "email": "press@mill.iam.gserviceaccount.com",
		"email_verified": true, "iat": 1795552200, "exp": 1795555800}
	for k, v := range change {
		if v == nil {
			delete(c, k)
			continue
		}
		c[k] = v
	}
	return c
}

func boltJWT(change map[string]any) string { return credentialtest.Sign(boltClaims(change)) }

const boltService = `apiVersion: serving.knative.dev/v1
kind: Service
metadata:
  name: bolts
  namespace: '123456789012'
  labels: {cloud.googleapis.com/location: europe-west1}
  annotations: {run.googleapis.com/ingress: all}
spec: {traffic: [{latestRevision: true, percent: 100}]}
status:
  url: https://bolts-x1y2z3a4b5-ew.a.run.app
  latestReadyRevisionName: bolts-1
  conditions: [{type: Ready, status: 'True'}]
`

const boltPolicy = `bindings:
- members:
  - serviceAccount:press@mill.iam.gserviceaccount.com
  role: roles/run.invoker
etag: BwY=
version: 1
`

const boltProjectPolicy = `bindings:
- members:
  - serviceAccount:service-123456789012@gcp-sa-artifactregistry.iam.gserviceaccount.com
  role: roles/artifactregistry.serviceAgent
- members:
  - user:ann@mill.example
  role: roles/owner
etag: BwY=
`

// A handful is what somebody has, and what they are told.
type handful struct {
	name  string
	file  string // how the file is called, hand.txt where it does not matter
	text  string // TOKEN stands for a good token
	stdin bool
	args  string // beside the file, which FILE places
	code  int
	says  []string // on stdout or stderr
	not   []string
}

var tokensAtHand = []handful{
	{name: "token in a pipe", text: "TOKEN\n", stdin: true, args: "token -", says: []string{"Google ID token", boltURL}},
	{name: "token in a pipe, and nothing else", text: "TOKEN\n", stdin: true, args: "token", says: []string{"Google ID token"}},
	{name: "token in a pipe alone", text: "TOKEN\n", stdin: true, args: "--quiet", code: 3, says: []string{"press@mill.iam.gserviceaccount.com"}},
	{name: "Bearer", text: "Bearer TOKEN", args: "token FILE", says: []string{"Google ID token"}},
	{name: "header line", text: "Authorization: Bearer TOKEN\r\n", args: "token FILE", says: []string{"Google ID token"}},
	{name: "quoted", text: `"TOKEN"`, args: "token FILE", says: []string{"Google ID token"}},
	{name: "byte order mark", text: "\ufeffTOKEN", args: "token FILE", says: []string{"Google ID token"}},
	{name: "named like a token", file: "expired.jwt", text: "TOKEN", args: "token FILE", says: []string{"Google ID token"}},
	{name: "named like an access token", file: "ya29.txt", text: "TOKEN", args: "token FILE", says: []string{"Google ID token"}},
	{name: "access token", text: "ya29." + strings.Repeat("c0ffee", 12), args: "token FILE", code: 1, says: []string{"OAuth access token"}, not: []string{"c0ffee"}},
	{name: "Firebase", text: boltJWT(map[string]any{"iss": "https://securetoken.google.com/mill", "aud": "mill"}), args: "token FILE", code: 1, says: []string{"Firebase"}},
	{name: "IAP's assertion", text: boltJWT(map[string]any{"iss": "https://cloud.google.com/iap", "aud": "/projects/1/locations/x/services/y"}), args: "token FILE", code: 1, says: []string{"IAP"}},
	{name: "signed by the account itself", text: boltJWT(map[string]any{"iss": "press@mill.iam.gserviceaccount.com"}), args: "token FILE", code: 1, says: []string{"signed"}},
	{name: "signature removed", text: "HEAD.SIGNATURE_REMOVED_BY_GOOGLE", args: "token FILE", code: 1, says: []string{"removed the signature"}},
	{name: "key of an account", text: `{"type": "service_account", "private_key": "key-canary"}`, args: "token FILE", code: 2, says: []string{"is the key of a service account, not a token"}, not: []string{"canary"}},
	{name: "audience compared with nothing", text: "TOKEN", args: "token FILE", says: []string{"not checked:", "whether your service accepts this audience"}},
	{name: "audience of an OAuth client", text: boltJWT(map[string]any{"aud": "1234-abc.apps.googleusercontent.com"}), args: "token FILE", code: 1, says: []string{"is the OAuth client"}},
	{name: "no audience", text: boltJWT(map[string]any{"aud": nil}), args: "token FILE", code: 1, says: []string{"has no audience"}},
	{name: "no e-mail", text: boltJWT(map[string]any{"email": nil}), args: "token FILE", says: []string{"no email claim", "not checked:"}},
	{name: "two audiences", text: boltJWT(map[string]any{"aud": []string{"x", boltURL}}), args: "token FILE", says: []string{"whether your service accepts this audience"}},
	{name: "audience that it must have", text: "TOKEN", args: "token FILE --audience https://api.mill.example", code: 1, says: []string{"https://api.mill.example"}},
	{name: "audience that it has", text: "TOKEN", args: "token FILE --audience " + boltURL, not: []string{"whether your service"}},
	{name: "token and service", text: "TOKEN", args: "token FILE bolts.yaml", not: []string{"whether your service"}},
	{name: "token and policy", text: "TOKEN", args: "token FILE bolts-policy.yaml", says: []string{"bolts-policy.yaml is not used"}},
	{name: "token and principal", text: "TOKEN", args: "token FILE --principal user:ann@mill.example", code: 2, says: []string{"diagnose token does not read --principal: it is a flag of diagnose invoke"}},
	{name: "two callers", text: "TOKEN", args: "invoke FILE bolts.yaml bolts-policy.yaml --principal user:ann@mill.example", code: 3, says: []string{"there are two callers", "user:ann@mill.example"}},
	{name: "two callers of a public service", text: "TOKEN", args: "invoke demo:public-all-users FILE --principal user:ann@mill.example", code: 3, says: []string{"there are two callers"}},
	{name: "a story's token", text: "TOKEN", args: "token demo:token-firebase", code: 1, says: []string{"Firebase"}},
}

var answersAtHand = []handful{
	{name: "curl -i, 403", text: "HTTP/2 403\r\ncontent-type: text/html; charset=UTF-8\r\ndate: Tue, 24 Nov 2026 21:00:00 GMT\r\n\r\n<html><head><title>403 Forbidden</title></head>" +
		"<body>Your client does not have permission to get URL <code>/</code> from this server.</body></html>", args: "FILE --format json", code: 3,
		says: []string{`"status": 403`, `"from": "response.http"`}},
	{name: "curl -i, 404", text: "HTTP/2 404 \ncontent-type: text/html\n\n<title>Error: Page not found</title>The requested URL was not found on this server.", args: "FILE --format json", code: 3, says: []string{`"status": 404`}},
	{name: "the body alone", file: "page.html", text: "<html><head>\n<title>401 Unauthorized</title></head><body>Your client does not have permission to the requested URL</body></html>", args: "FILE --format json", code: 3, says: []string{`"status": 401`}},
	{name: "curl -v", text: "* Connected to bolts-x1y2z3a4b5-ew.a.run.app\n> GET /hex HTTP/2\n> Host: bolts-x1y2z3a4b5-ew.a.run.app\n> authorization: Bearer TOKEN\n>\n< HTTP/2 401\n< date: Tue, 24 Nov 2026 21:00:00 GMT\n<\n",
		args: "FILE --format json", code: 3, says: []string{boltURL + "/hex", "press@mill.iam.gserviceaccount.com", `"status": 401`}},
	{name: "curl command", text: "curl -X POST -d '{}' " + boltURL + "/hex -H 'Authorization: Bearer ya29." + strings.Repeat("c0ffee", 12) + "'", args: "FILE --format json", code: 1,
		says: []string{`"cause": "credential-kind"`}, not: []string{"c0ffee"}},
	{name: "curl of a browser, cmd", text: "curl ^\"" + boltURL + "/hex^\" ^\r\n  -H ^\"accept: */*^\" ^\r\n  -H ^\"authorization: Bearer TOKEN^\"", args: "FILE --format json", code: 3, says: []string{boltURL + "/hex", "press@mill"}},
	{name: "HAR", file: "bolts.har", text: `{"log":{"version":"1.2","entries":[{"startedDateTime":"2026-11-24T21:00:00Z","request":{"method":"GET","url":"` + boltURL + `/hex","headers":[]},"response":{"status":403,"headers":[],"content":{"text":"<title>403 Forbidden</title>"}}}]}}`,
		args: "FILE --format json", code: 3, says: []string{`"status": 403`, boltURL + "/hex"}},
	{name: "gRPC", text: "rpc error: code = Unauthenticated desc = unexpected HTTP status code received from server: 401 (Unauthorized); transport: received unexpected content-type \"text/html\"", args: "FILE --format json", code: 3, says: []string{`"status": 401`}},
	{name: "traceback", text: "Traceback (most recent call last):\n  File \"main.py\", line 3\nrequests.exceptions.HTTPError: 403 Client Error: Forbidden for url: " + boltURL + "/hex", args: "FILE --format json", code: 3, says: []string{`"status": 403`, boltURL + "/hex"}},
	{name: "Node", text: "GaxiosError: Request failed with status code 401\n    at Gaxios._request {\n  config: { url: '" + boltURL + "/hex', method: 'GET' }", args: "FILE --format json", code: 3, says: []string{`"status": 401`}},
	{name: "logs of gcloud", text: "2026-11-24 21:00:00 GET 403 " + boltURL + "/hex\n", args: "FILE --format json", code: 3, says: []string{`"status": 403`, boltURL + "/hex"}},
	{name: "one log entry", text: boltEntry(403, "The request was not authenticated. Either allow unauthenticated invocations or set the proper Authorization header.", "21:00:00"), args: "FILE --format json", code: 3,
		says: []string{`"status": 403`, "--project=mill", "europe-west1"}, not: []string{"=REGION", "PROJECT_ID"}},
	{name: "mixed log entries", text: "[" + boltEntry(200, "", "20:59:00") + "," + boltEntry(403, "The request was not authenticated.", "21:00:00") + "]", args: "FILE --format json", code: 3, says: []string{`"status": 403`, "/1"}},
	{name: "token of then, looked at now", text: boltEntry(403, "The request was not authenticated.", "21:00:00"), args: "FILE token.jwt bolts.yaml --format json", code: 3, says: []string{`"from": "log.json"`}, not: []string{`"cause": "token-expiry"`}},
}

// boltEntry is an entry of the log of requests.
func boltEntry(status int, text, clock string) string {
	message := ""
	if text != "" {
		message = `"textPayload": "` + text + `",`
	}
	return `{"insertId": "` + clock + `", "logName": "projects/mill/logs/run.googleapis.com%2Frequests", ` + message +
		`"httpRequest": {"requestMethod": "GET", "requestUrl": "` + boltURL + `/hex", "status": ` + map[int]string{200: "200", 403: "403"}[status] + `},
"resource": {"type": "cloud_run_revision", "labels": {"service_name": "bolts", "location": "europe-west1", "project_id": "mill", "revision_name": "bolts-1"}},
"timestamp": "2026-11-24T` + clock + `Z"}`
}

var documentsAtHand = []handful{
	{name: "service and policy in YAML", text: boltPolicy, args: "FILE bolts.yaml --principal serviceAccount:press@mill.iam.gserviceaccount.com", says: []string{"allowed"}},
	{name: "gen2 function", text: "name: projects/mill/locations/europe-west1/functions/cut\nenvironment: GEN_2\nstate: ACTIVE\nbuildConfig: {entryPoint: cut, runtime: nodejs22}\n" +
		"serviceConfig: {service: projects/mill/locations/europe-west1/services/cut, uri: 'https://cut-x1y2z3a4b5-ew.a.run.app'}\n", args: "FILE --format json", code: 3, says: []string{`"environment": "GEN_2"`}},
	{name: "gen1 function", text: "name: projects/mill/locations/europe-west1/functions/cut\nentryPoint: cut\nhttpsTrigger: {url: 'https://europe-west1-mill.cloudfunctions.net/cut'}\nstatus: ACTIVE\n", args: "FILE --format json", code: 3, says: []string{`"environment": "GEN_1"`}},
	{name: "default text of describe", text: "✔ Service bolts in region europe-west1\n \nURL:     " + boltURL + "\nIngress: all\n", args: "FILE", code: 2, says: []string{"gcloud run services describe bolts --format=json --region=europe-west1"}},
	{name: "the same, with other documents", text: "✔ Service bolts in region europe-west1\n \nURL:     " + boltURL + "\nIngress: all\n", args: "FILE token.jwt", code: 2, says: []string{"gcloud run services describe bolts --format=json --region=europe-west1"}},
	{name: "what deploy says", text: "Service [bolts] revision [bolts-2] has been deployed and is serving 100 percent of traffic.\nService URL: https://bolts-123456789012.europe-west1.run.app\n", args: "FILE", code: 2, says: []string{"describe bolts --format=json --region=europe-west1"}},
	{name: "list of services", text: "   SERVICE  REGION        URL                                  LAST DEPLOYED BY  LAST DEPLOYED AT\n✔  bolts    europe-west1  " + boltURL + "  ann@mill.example  2026-11-20T09:12:44Z\nX  nuts     us-central1   https://nuts-x1y2z3a4b5-uc.a.run.app\n",
		args: "FILE", code: 2, says: []string{"one of the 2 rows", "gcloud run services describe bolts --format=json --region=europe-west1"}},
	{name: "list of functions", text: "NAME  STATE   TRIGGER       REGION        ENVIRONMENT\ncut   ACTIVE  HTTP Trigger  europe-west1  2nd gen\n", args: "FILE", code: 2, says: []string{"gcloud functions describe cut --format=json --region=europe-west1"}},
	{name: "list of revisions", text: "   REVISION  ACTIVE  SERVICE  DEPLOYED                 DEPLOYED BY\n✔  bolts-1   yes     bolts    2026-11-20 09:12:44 UTC  ann@mill.example\n", args: "FILE", code: 2, says: []string{"gcloud run services describe bolts --format=json"}},
	{name: "list of queues", text: "QUEUE_NAME  STATE    MAX_NUM_OF_TASKS  MAX_RATE (/sec)  MAX_ATTEMPTS\nmail        RUNNING  1000              500.0            100\n", args: "FILE", code: 2, says: []string{"gcloud tasks queues describe mail --format=json"}},
	{name: "list of jobs", text: "ID       LOCATION      SCHEDULE (TZ)          TARGET_TYPE  STATE\nnightly  europe-west1  0 3 * * * (Etc/UTC)    HTTP         ENABLED\n", args: "FILE", code: 2, says: []string{"gcloud scheduler jobs describe nightly --format=json --location=europe-west1"}},
	{name: "list of triggers", text: "NAME   LOCATION      TYPE                                        DESTINATION               ACTIVE  LABELS\nonnew  europe-west1  google.cloud.storage.object.v1.finalized    Cloud Run service: bolts  Yes\n", args: "FILE", code: 2, says: []string{"gcloud eventarc triggers describe onnew --format=json --location=europe-west1"}},
	{name: "list of accounts", text: "DISPLAY NAME  EMAIL                               DISABLED\npress         press@mill.iam.gserviceaccount.com  False\n", args: "FILE", code: 2, says: []string{"is what gcloud prints for people"}},
	{name: "flattened policy", text: "ROLE               MEMBERS\nroles/run.invoker  user:ann@mill.example\n", args: "FILE", code: 2, says: []string{"--format=json, and without --flatten"}},
	{name: "table in a frame", text: "┌─────────┐\n│ SERVICE │\n├─────────┤\n│ bolts   │\n└─────────┘\n", args: "FILE", code: 2, says: []string{"repeat the command with --format=json"}},
	{name: "etag alone", text: "etag: ACAB\n", args: "FILE bolts.yaml --principal serviceAccount:press@mill.iam.gserviceaccount.com --format json", code: 1, says: []string{`"cause": "access-granted"`}},
	{name: "what granting printed, both streams", text: "Updated IAM policy for service [bolts].\n" + boltPolicy, args: "FILE bolts.yaml --principal serviceAccount:press@mill.iam.gserviceaccount.com", says: []string{"allowed"}},
	{name: "the project's policy as --policy", text: boltProjectPolicy, args: "invoke --service bolts.yaml --policy FILE --principal user:ann@mill.example", code: 2,
		says: []string{"is the policy of a project, as it grants roles/artifactregistry.serviceAgent", "pass it with --ancestor-policies"}},
	{name: "an owner as --policy", text: "bindings:\n- {role: roles/owner, members: ['user:ann@mill.example']}\n", args: "invoke --service bolts.yaml --policy FILE --principal user:ann@mill.example",
		says: []string{"grants roles/owner, as a project's policy does: it is judged as the service's own"}},
	{name: "the project's policy as ancestors", text: boltProjectPolicy, args: "invoke --service bolts.yaml --ancestor-policies FILE --principal user:ann@mill.example", says: []string{"allowed"}},
	{name: "the project's policy by content", text: boltProjectPolicy, args: "FILE bolts.yaml --principal user:ann@mill.example", says: []string{"was taken as --ancestor-policies", "allowed"}},
	{name: "ancestors", text: "- id: mill\n  policy: {bindings: [{role: roles/run.invoker, members: ['user:ann@mill.example']}]}\n  type: project\n", args: "FILE bolts.yaml --principal user:ann@mill.example", says: []string{"allowed"}},
	{name: "scheduler's status", text: "name: projects/mill/locations/europe-west1/jobs/nightly\nhttpTarget:\n  httpMethod: GET\n  uri: " + boltURL + "/hex\n  oauthToken: {serviceAccountEmail: press@mill.iam.gserviceaccount.com}\nstatus: {code: 16}\n",
		args: "FILE bolts.yaml bolts-policy.yaml --format json", code: 1, says: []string{`"status": 401`, `"cause": "credential-kind"`}},
	{name: "scheduler's status, for another caller", text: "name: projects/mill/locations/europe-west1/jobs/nightly\nhttpTarget:\n  uri: " + boltURL + "/hex\n  oidcToken: {serviceAccountEmail: press@mill.iam.gserviceaccount.com}\nstatus: {code: 16}\n",
		args: "FILE bolts.yaml bolts-policy.yaml --principal user:ann@mill.example --format json", code: 1, says: []string{`"cause": "access-granted"`}, not: []string{`"observed"`}},
	{name: "push subscription", text: "name: projects/mill/subscriptions/push\ntopic: projects/mill/topics/new\npushConfig:\n  pushEndpoint: " + boltURL + "/\n  oidcToken: {serviceAccountEmail: press@mill.iam.gserviceaccount.com}\n",
		args: "FILE bolts.yaml bolts-policy.yaml", says: []string{"allowed", "press@mill.iam.gserviceaccount.com"}},
	{name: "Eventarc as trigger", text: boltTrigger, args: "invoke --trigger FILE --service bolts.yaml --policy bolts-policy.yaml", says: []string{"press@mill.iam.gserviceaccount.com"}},
	{name: "Eventarc as caller", text: boltTrigger, args: "invoke --caller FILE --service bolts.yaml --policy bolts-policy.yaml", says: []string{"press@mill.iam.gserviceaccount.com"}},
	{name: "memberships of a group", text: `[{"name":"groups/a/memberships/b","preferredMemberKey":{"id":"ann@mill.example"},"roles":[{"name":"MEMBER"}],"type":"USER"}]`, args: "invoke --service bolts.yaml --groups FILE --principal user:ann@mill.example", code: 2,
		says: []string{"group"}},
	{name: "list of deny policies", text: `[{"name":"policies/cloudresourcemanager.googleapis.com%2Fprojects%2F123456789012/denypolicies/shut","kind":"DenyPolicy"}]`, args: "FILE bolts.yaml bolts-policy.yaml --principal serviceAccount:press@mill.iam.gserviceaccount.com --format json",
		code: 3, says: []string{"gcloud iam policies get shut"}, not: []string{"gcloud iam policies list"}},
	{name: "no file", args: "nosuch.yaml", code: 2, says: []string{"no such file"}},
	{name: "empty file", text: "", args: "FILE", code: 2, says: []string{"is empty"}},
	{name: "error of gcloud", text: "ERROR: (gcloud.run.services.describe) Cannot find service [bolts]\n", args: "FILE", code: 2, says: []string{"is an error of gcloud"}},
	{name: "misspelt flag", args: "invoke --servce bolts.yaml", code: 2, says: []string{"did you mean --service?"}},
}

const boltTrigger = `name: projects/mill/locations/europe-west1/triggers/onnew
destination:
  cloudRun: {service: bolts, region: europe-west1, path: /}
eventFilters: [{attribute: type, value: google.cloud.pubsub.topic.v1.messagePublished}]
serviceAccount: press@mill.iam.gserviceaccount.com
`

func TestWhatIsAtHand(t *testing.T) {
	for _, list := range [][]handful{tokensAtHand, answersAtHand, documentsAtHand} {
		for _, h := range list {
			t.Run(h.name, func(t *testing.T) { h.check(t, []byte(h.whole())) })
		}
	}
}

// What is in UTF-16, or has CRLF, is read like the same in UTF-8.
func TestEncodingsAtHand(t *testing.T) {
	for _, h := range []handful{tokensAtHand[3], documentsAtHand[0], documentsAtHand[3], answersAtHand[7]} {
		text := h.whole()
		h.file = ""
		t.Run(h.name+" in UTF-16", func(t *testing.T) { h.check(t, utf16LE(text)) })
		t.Run(h.name+" with CRLF", func(t *testing.T) { h.check(t, []byte(strings.ReplaceAll(text, "\n", "\r\n"))) })
	}
}

func utf16LE(text string) []byte {
	out := []byte{0xFF, 0xFE}
	for _, u := range utf16.Encode([]rune(text)) {
		out = append(out, byte(u), byte(u>>8))
	}
	return out
}

func (h handful) whole() string {
	good := boltJWT(nil)
	head := good[:strings.LastIndexByte(good, '.')]
	return strings.NewReplacer(boltToken, good, "HEAD", head).Replace(h.text)
}

func (h handful) check(t *testing.T, data []byte) {
	t.Chdir(t.TempDir())
	file := h.file
	if file == "" {
		file = "hand.txt"
	}
	for name, text := range map[string]string{file: string(data), "bolts.yaml": boltService, "bolts-policy.yaml": boltPolicy, "token.jwt": boltJWT(nil)} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil && name != file {
			t.Fatal(err)
		}
	}
	args := strings.Fields(strings.ReplaceAll(h.args, "FILE", file))
	if !strings.Contains(h.args, "log") && len(args) > 0 && h.code != 2 && !dated(h.name) {
		args = append(args, "--at", "2026-11-24T21:00:00Z")
	}
	var out, errs bytes.Buffer
	p := Process{Args: args, Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs, Getenv: func(string) string { return "" }}
	if h.stdin {
		p.Stdin = bytes.NewReader(data)
	}
	code := Main(t.Context(), p)
	all := out.String() + errs.String()
	if code != h.code {
		t.Errorf("%v: exit code %d, want %d:\n%s", args, code, h.code, all)
	}
	flat := strings.Join(strings.Fields(all), " ")
	for _, want := range h.says {
		if !strings.Contains(flat, want) {
			t.Errorf("%v does not say %q:\n%s", args, want, all)
		}
	}
	for _, bad := range h.not {
		if strings.Contains(flat, bad) {
			t.Errorf("%v says %q:\n%s", args, bad, all)
		}
	}
}

// dated reports whether a thing says itself when the call was made.
func dated(name string) bool {
	return strings.HasPrefix(name, "curl -i, 403") || strings.HasPrefix(name, "token of then")
}
