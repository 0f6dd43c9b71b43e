package capture_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"diagnose/checks"
	"diagnose/fixtures"
	"diagnose/internal/capture"
	"diagnose/internal/credential"
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

// answers is what every check of a verdict answers.
func answers(v checks.Verdict) []string {
	out := []string{v.Decision.String() + " " + v.Basis.String()}
	for _, f := range v.Findings {
		out = append(out, f.Check+": "+f.Outcome.String())
	}
	for _, a := range v.Assumptions {
		out = append(out, a.Check+" supposes of "+a.Document)
	}
	return out
}

// Every story, captured, is judged as before, check by check, also without
// anybody's name.
func TestCaptureKeepsTheVerdict(t *testing.T) {
	for _, name := range fixtures.Names() {
		_, s := story(t, name)
		want := checks.Judge(s, checks.Options{NoFixes: true})
		files, err := capture.Case(s)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for how, f := range map[string][]txtar.File{"captured": files, "anonymized": capture.Anonymize(files)} {
			got := judged(t, f)
			if diff := cmp.Diff(answers(want), answers(got)); diff != "" || cause(got) != cause(want) {
				t.Errorf("%s %s: %s, want %s:\n%s", name, how, cause(got), cause(want), diff)
			}
		}
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

// A token is captured without its signature, which is verified before it goes.
func TestCaptureKeepsTheSignaturesResult(t *testing.T) {
	_, s := story(t, "granted-proven")
	part := strings.Split(s.Token.Or(credential.Credential{}).ForRequest(), ".")
	if len(part) != 3 {
		t.Fatalf("the story has no token: %d parts", len(part))
	}
	forged := []byte(part[2])
	for i := range forged {
		if forged[i] != 'A' && i%2 == 0 {
			forged[i] = 'A'
		}
	}
	for name, token := range map[string]string{
		"as it is":   strings.Join(part, "."),
		"forged":     part[0] + "." + part[1] + "." + string(forged),
		"unsigned":   part[0] + "." + part[1] + ".",
		"cut":        part[0] + "." + part[1],
		"in pieces":  part[0] + "." + part[1][:len(part[1])-3] + "!." + part[2],
		"two of it":  strings.Join(part, ".") + " " + strings.Join(part, "."),
		"an API key": "AIzaSyA0123456789012345678901234567890123",
	} {
		for _, inHeader := range []bool{false, true} {
			s := s
			if s.Token = evidence.Known(credential.Decode(token), s.Token.Source); inHeader {
				r := s.Request.Or(evidence.Request{})
				r.Headers = http.Header{"Authorization": {"Bearer " + token}}
				s.Request, s.Token = evidence.Known(r, s.Request.Source), evidence.Fact[credential.Credential]{}
			}
			want := checks.Judge(s, checks.Options{NoFixes: true})
			files, err := capture.Case(s)
			if err != nil {
				t.Fatal(err)
			}
			got := judged(t, files)
			if diff := cmp.Diff(answers(want), answers(got)); diff != "" || cause(got) != cause(want) {
				t.Errorf("%s, in a header %t: %s\n%s", name, inHeader, diff, txtar.Format(&txtar.Archive{Files: files}))
			}
			if name != "as it is" && got.Decision == checks.Allowed {
				t.Errorf("%s is allowed", name)
			}
			if text := string(txtar.Format(&txtar.Archive{Files: files})); strings.Contains(text, part[2]) || strings.Contains(text, string(forged)) || strings.Contains(text, "AIza") {
				t.Errorf("%s: the capture has the credential", name)
			}
		}
	}
}
