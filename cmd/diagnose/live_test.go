package main

import (
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/iam/apiv1/iampb"
	denypb "cloud.google.com/go/iam/apiv2/iampb"
	"cloud.google.com/go/run/apiv2/runpb"
	"google.golang.org/grpc/codes"

	"diagnose/internal/credential/credentialtest"
	"diagnose/internal/evidence"
	"diagnose/internal/gather/gathertest"
)

const (
	audience = "https://orders-ab12cd34ef-ew.a.run.app"
	ann      = "serviceAccount:ann@shop.iam.gserviceaccount.com"
)

// world is a service that ann may invoke, served by the APIs.
func world(uri string) gathertest.World {
	src := evidence.Source{Document: "test"}
	return gathertest.WorldOf(evidence.Snapshot{
		Service: evidence.Known(&runpb.Service{
			Name: "projects/shop/locations/europe-west1/services/orders", Uri: uri, Urls: []string{uri}, Ingress: runpb.IngressTraffic_INGRESS_TRAFFIC_ALL,
			Template:          &runpb.RevisionTemplate{Containers: []*runpb.Container{{Image: "image-canary", Env: []*runpb.EnvVar{{Name: "PASSWORD", Values: &runpb.EnvVar_Value{Value: "env-canary"}}}}}},
			TerminalCondition: &runpb.Condition{State: runpb.Condition_CONDITION_SUCCEEDED},
		}, src),
		Policy:       evidence.Known(&iampb.Policy{Version: 3, Bindings: []*iampb.Binding{{Role: "roles/run.invoker", Members: []string{ann}}}}, src),
		Ancestors:    evidence.Known([]evidence.Ancestor{{ID: "shop", Type: "project", Policy: evidence.Known(&iampb.Policy{}, src)}}, src),
		DenyPolicies: evidence.Known([]*denypb.Policy{}, src),
	})
}

// tokenFile writes a token of ann for an audience.
func tokenFile(t *testing.T, aud string) (name, signature string) {
	t.Helper()
	now := time.Now()
	jwt := credentialtest.Sign(map[string]any{"iss": "https://accounts.google.com", "aud": aud, "sub": "104857600000000000001", "email": strings.TrimPrefix(ann, "serviceAccount:"),
		"email_verified": true, "iat": now.Add(-time.Minute).Unix(), "exp": now.Add(time.Hour).Unix()})
	name = filepath.Join(t.TempDir(), "token.jwt")
	if err := os.WriteFile(name, []byte(jwt), 0o600); err != nil {
		t.Fatal(err)
	}
	return name, jwt[strings.LastIndexByte(jwt, '.')+1:]
}

// From a name alone to the verdict, and from the capture to the same one.
func TestLive(t *testing.T) {
	t.Chdir(t.TempDir())
	server := gathertest.Start(t, world(audience))
	env := map[string]string{emulatorVariable: server.Address}
	for _, test := range []struct {
		name, target, audience string
		flags                  []string
		code                   int
		says                   string
	}{
		{"by name", "orders", audience, []string{"--project=shop", "--region=europe-west1"}, 0, "✓ allowed  "},
		{"by name alone", "orders", audience, []string{"--project=shop"}, 0, "✓ allowed  "},
		{"by resource name", "//run.googleapis.com/projects/shop/locations/europe-west1/services/orders", audience, nil, 0, "✓ allowed  "},
		{"by URL", audience + "/x", "https://other.run.app", []string{"--project=shop"}, 1, "✗ 401  "},
	} {
		t.Run(test.name, func(t *testing.T) {
			token, signature := tokenFile(t, test.audience)
			args := append([]string{test.target, "--token-file", token}, test.flags...)
			code, out, errs := run(t, env, append([]string{"invoke", "-v"}, args...)...)
			if code != test.code || !strings.HasPrefix(out, test.says) {
				t.Fatalf("exit %d, want %d: %s%s", code, test.code, out, errs)
			}
			if !regexp.MustCompile(`(?m)^diagnose: run\.services\.get \S+: OK in \d+`).MatchString(errs) {
				t.Errorf("-v shows no call: %s", errs)
			}
			if strings.Contains(out+errs, signature) || strings.Contains(out+errs, "eyJ") {
				t.Error("the token is in the output")
			}
			for _, to := range []string{test.name + ".txtar", test.name} {
				code, out, errs = run(t, env, append([]string{"capture", "-o", to}, args...)...)
				if code != 0 || out != "" || !strings.Contains(errs, "wrote "+to) {
					t.Fatalf("capture: exit %d: %s%s", code, out, errs)
				}
				code, out, _ = run(t, nil, "invoke", to)
				if code != test.code || !strings.HasPrefix(out, test.says) {
					t.Errorf("captured: exit %d, want %d: %s", code, test.code, out)
				}
			}
			data, err := os.ReadFile(test.name + ".txtar")
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(data), signature) || strings.Contains(string(data), "canary") {
				t.Errorf("the capture holds a secret:\n%s", data)
			}
		})
	}
}

func TestLiveFailures(t *testing.T) {
	server := gathertest.Start(t, world(audience))
	env := map[string]string{emulatorVariable: server.Address, "CLOUDSDK_CORE_PROJECT": "shop", "CLOUDSDK_RUN_REGION": "europe-west1"}
	for _, test := range []struct {
		name string
		args []string
		env  map[string]string
		code int
		says string
	}{
		{"no such service", []string{"invoke", "ordres"}, env, 2, "near it: orders in europe-west1"},
		{"no project", []string{"invoke", "orders"}, map[string]string{emulatorVariable: server.Address}, 3, "give --project"},
		{"no target", []string{"invoke", "a b c"}, env, 2, "is neither a case nor a target"},
		{"bad emulator", []string{"invoke", "orders"}, map[string]string{emulatorVariable: "nonsense", "GOOGLE_CLOUD_PROJECT": "shop"}, 3, "must be host:port"},
		{"capture into a full folder", []string{"capture", "orders", "-o", "."}, env, 2, "the folder is not empty"},
		{"capture without -o", []string{"capture", "orders"}, env, 2, "capture needs -o"},
		{"who", []string{"who", "orders"}, env, 0, ""},
	} {
		code, _, errs := run(t, test.env, test.args...)
		if code != test.code || !strings.Contains(errs, test.says) {
			t.Errorf("%s: exit %d, want %d: %s", test.name, code, test.code, errs)
		}
	}
	server = gathertest.Start(t, world(audience))
	server.Faults["Run.GetIamPolicy"] = gathertest.Fail(codes.PermissionDenied, "denied eyJhbGciOiJSUzI1NiJ9.eyJjYW5hcnkiOjF9.canary ya29.canary-canary")
	server.Faults["BatchGetEffectiveIamPolicies"] = gathertest.Deny
	env[emulatorVariable] = server.Address
	token, _ := tokenFile(t, audience)
	code, out, errs := run(t, env, "invoke", "-v", "orders", "--token-file", token)
	if code != 3 || !strings.Contains(strings.Join(strings.Fields(out), " "), "permission denied: it needs run.services.getIamPolicy, as in roles/run.viewer") {
		t.Errorf("exit %d, want 3: %s%s", code, out, errs)
	}
	if strings.Contains(out+errs, "canary") {
		t.Errorf("a secret of the API's message is in the output: %s%s", out, errs)
	}
}

// TestProbe asks a server on this machine, whose certificate the process is
// made to trust.
func TestProbe(t *testing.T) {
	status := http.StatusOK
	asked := 0
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		if !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer eyJ") {
			t.Error("the request carries no token")
		}
		if status == http.StatusFound {
			w.Header().Set("Location", "https://elsewhere.example/")
		}
		w.WriteHeader(status)
		if status == http.StatusForbidden {
			fmt.Fprint(w, "<title>403 Forbidden</title><h1>Error: Forbidden</h1><h2>Your client does not have permission to get URL <code>/</code> from this server.</h2>")
		}
	}))
	defer srv.Close()
	cert := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SSL_CERT_FILE", cert) // read once, with the first request of this process
	server := gathertest.Start(t, world(srv.URL))
	env := map[string]string{emulatorVariable: server.Address, "GOOGLE_CLOUD_PROJECT": "shop", "CLOUDSDK_RUN_REGION": "europe-west1"}
	token, signature := tokenFile(t, srv.URL)
	for _, test := range []struct {
		status int
		want   []string
	}{
		{200, []string{"✓ allowed serviceAccount:", "seen", "as predicted, in probe of "}},
		{403, []string{"✓ allowed serviceAccount:", "! 403 seen in probe of ", "had not propagated"}},
		{302, []string{"seen as predicted, in probe of ", "leads to https://elsewhere.example/, which was not followed"}},
	} {
		status = test.status
		code, out, errs := run(t, env, "invoke", "orders", "--probe", "--token-file", token)
		if want := map[int]int{200: 0, 403: 1, 302: 0}[status]; code != want {
			t.Errorf("%d: exit %d, want %d", status, code, want)
		}
		text := strings.Join(strings.Fields(out+errs), " ")
		for _, w := range test.want {
			if !strings.Contains(text, w) {
				t.Errorf("%d: the report lacks %q:\n%s%s", test.status, w, out, errs)
			}
		}
		if strings.Contains(text, signature) {
			t.Error("the token is in the output")
		}
	}
	if asked != 3 {
		t.Errorf("%d requests were sent, want 3", asked)
	}
	if code, _, errs := run(t, env, "invoke", "orders", "--probe", "--url=https://elsewhere.example/", "--token-file", token); code != 3 || !strings.Contains(errs, "is sent only to hosts of the target") {
		t.Errorf("another host: exit %d: %s", code, errs)
	}
	if code, _, errs := run(t, env, "invoke", "orders", "--probe", "--principal=user:ann@example.com"); code != 2 || asked != 3 || !strings.Contains(errs, "no token of user:ann@example.com to send") {
		t.Errorf("a principal without a token: exit %d: %s", code, errs)
	}
	if code, _, errs := run(t, env, "invoke", "orders", "--token-file", token); code != 0 || asked != 3 {
		t.Errorf("without --probe: exit %d, %d requests: %s", code, asked, errs)
	}
}
