package capture_test

import (
	"regexp"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"diagnose/checks"
	"diagnose/fixtures"
	"diagnose/internal/capture"
	"diagnose/internal/evidence"
)

func story(t *testing.T, name string) (fixtures.Story, evidence.Snapshot) {
	t.Helper()
	st, err := fixtures.Read(name)
	if err != nil {
		t.Fatal(err)
	}
	s, err := st.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	return st, s
}

func judged(t *testing.T, files []txtar.File) checks.Verdict {
	t.Helper()
	data := txtar.Format(&txtar.Archive{Files: files})
	s, err := evidence.LoadArchive(data, "capture")
	if err != nil {
		t.Fatalf("%v\n%s", err, data)
	}
	return checks.Judge(s, checks.Options{NoFixes: true})
}

func cause(v checks.Verdict) string {
	f, _ := v.Cause()
	return f.Check
}

// unlike picks the verdicts that rest on the signature of a token or on the
// configuration of a caller, which a capture does not hold.
func unlike(v checks.Verdict, s evidence.Snapshot) bool {
	return cause(v) == "token-signature" || cause(v) == "token-format" || s.Caller.Known() || cause(v) == "credential-header"
}

// Every story, captured, is judged as before, also without anybody's name.
func TestCaptureKeepsTheVerdict(t *testing.T) {
	compared := 0
	for _, name := range fixtures.Names() {
		_, s := story(t, name)
		want := checks.Judge(s, checks.Options{NoFixes: true})
		if unlike(want, s) {
			continue
		}
		files, err := capture.Case(s)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		compared++
		for how, f := range map[string][]txtar.File{"captured": files, "anonymized": capture.Anonymize(files)} {
			got := judged(t, f)
			if got.Decision != want.Decision || cause(got) != cause(want) {
				t.Errorf("%s %s: %s by %s, want %s by %s\n%s", name, how, got.Decision, cause(got), want.Decision, cause(want), txtar.Format(&txtar.Archive{Files: f}))
			}
		}
	}
	if compared < 60 {
		t.Errorf("only %d stories were compared", compared)
	}
}

var credentials = regexp.MustCompile(`eyJ[\w-]+\.[\w-]+\.([\w-]+)|(ya29\.[\w.-]{12,})|(AIza[\w-]{30,})`)

func TestCaptureHoldsNoSecret(t *testing.T) {
	looked := 0
	for _, name := range fixtures.Names() {
		st, s := story(t, name)
		files, err := capture.Case(s)
		if err != nil {
			t.Fatal(err)
		}
		text := string(txtar.Format(&txtar.Archive{Files: files}))
		for _, m := range credentials.FindAllStringSubmatch(string(st.Data), -1) {
			for _, secret := range m[1:] {
				if len(secret) > 16 && secret != "SIGNATURE_REMOVED_BY_GOOGLE" {
					looked++
					if strings.Contains(text, secret) {
						t.Errorf("%s: the capture holds a secret", name)
					}
				}
			}
		}
	}
	if looked < 50 {
		t.Errorf("only %d secrets were looked for", looked)
	}
}

const loaded = `
-- request.json --
{"url": "https://orders-ab12cd34ef-ew.a.run.app/x?key=AIzaSyA0123456789012345678901234567890123", "headers": {"Cookie": "cookie-canary", "X-Api-Key": "key-canary", "Authorization": "Bearer ya29.canary-canary-canary", "X-Trace": "Bearer header-canary-header"}}
-- service.json --
{"name": "projects/shop-prod/locations/europe-west1/services/orders", "uri": "https://orders-ab12cd34ef-ew.a.run.app", "ingress": "INGRESS_TRAFFIC_ALL",
 "creator": "ann@acme.dev", "annotations": {"a": "annotation-canary"}, "labels": {"team": "label-canary", "goog-managed-by": "cloudfunctions"},
 "template": {"containers": [{"image": "image-canary", "env": [{"name": "PASSWORD", "value": "env-canary"}], "args": ["arg-canary"]}]},
 "buildConfig": {"sourceLocation": "build-canary", "environmentVariables": {"A": "build-env-canary"}}}
-- function.json --
{"name": "projects/shop-prod/locations/europe-west1/functions/orders", "environment": "GEN_2", "labels": {"a": "label-canary"},
 "buildConfig": {"source": {"storageSource": {"bucket": "bucket-canary"}}},
 "serviceConfig": {"service": "projects/shop-prod/locations/europe-west1/services/orders", "environmentVariables": {"P": "fenv-canary"}, "secretEnvironmentVariables": [{"key": "K", "secret": "secret-canary"}]}}
-- policy.json --
{"bindings": [{"role": "roles/run.invoker", "members": ["user:ann@acme.dev", "group:eng@acme.dev", "serviceAccount:mover@shop-prod.iam.gserviceaccount.com", "serviceAccount:123456789012-compute@developer.gserviceaccount.com"]}]}
-- response.http --
HTTP/1.1 401 Unauthorized
Set-Cookie: answer-canary
Content-Type: text/html

Bearer body-canary-body-canary
`

func TestWhatIsLeftOut(t *testing.T) {
	s, err := evidence.LoadArchive([]byte(loaded), "loaded")
	if err != nil {
		t.Fatal(err)
	}
	r := s.Response.Or(evidence.Response{})
	r.Body += "\n-- policy.json --\n{}"
	s.Response = evidence.Known(r, s.Response.Source)
	files, err := capture.Case(s)
	if err != nil {
		t.Fatal(err)
	}
	text := string(txtar.Format(&txtar.Archive{Files: files}))
	for _, m := range regexp.MustCompile(`[\w-]*canary[\w-]*|AIza\w*`).FindAllString(text, -1) {
		t.Errorf("the capture holds %q", m)
	}
	if !strings.Contains(text, "goog-managed-by") {
		t.Error("the label that tells a function's service is gone")
	}
	back, err := evidence.LoadArchive([]byte(text), "capture")
	if err != nil {
		t.Fatal(err)
	}
	if r, _ := back.Response.Get(); r.Status != 401 || r.Header.Get("Content-Type") != "text/html" {
		t.Errorf("response %+v", r)
	}
	anonymous := string(txtar.Format(&txtar.Archive{Files: capture.Anonymize(files)}))
	for _, id := range []string{"shop-prod", "orders", "ann@", "eng@", "acme", "mover", "123456789012", "ab12cd34ef"} {
		if strings.Contains(anonymous, id) {
			t.Errorf("the anonymized case holds %q:\n%s", id, anonymous)
		}
	}
	for _, keep := range []string{"roles/run.invoker", "-compute@developer.gserviceaccount.com", "europe-west1", "INGRESS_TRAFFIC_ALL", ".a.run.app"} {
		if !strings.Contains(anonymous, keep) {
			t.Errorf("the anonymized case lacks %q:\n%s", keep, anonymous)
		}
	}
}
