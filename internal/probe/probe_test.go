package probe_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cloud.google.com/go/functions/apiv2/functionspb"
	"cloud.google.com/go/iam/apiv1/iampb"
	"cloud.google.com/go/run/apiv2/runpb"

	"diagnose/checks"
	"diagnose/internal/credential"
	"diagnose/internal/credential/credentialtest"
	"diagnose/internal/evidence"
	"diagnose/internal/probe"
)

// frontEnd answers as Google's front end does for a private service.
func frontEnd(member string) http.HandlerFunc {
	page := func(w http.ResponseWriter, status int, sentence string, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=UTF-8")
		w.WriteHeader(status)
		name := fmt.Sprintf("%d %s", status, http.StatusText(status))
		fmt.Fprintf(w, "<html><head>\n<title>%s</title>\n</head>\n<body text=#000000 bgcolor=#ffffff>\n<h1>Error: %s</h1>\n<h2>%s</h2>\n<h2></h2>\n</body></html>\n",
			name, http.StatusText(status), fmt.Sprintf(sentence, r.URL.Path))
	}
	return func(w http.ResponseWriter, r *http.Request) {
		token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		c := credential.Decode(token)
		switch {
		case r.URL.Path == "/healthz":
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, "<title>404 Page not found</title><h1>Error: Page not found</h1><h2>The requested URL was not found on this server.</h2>")
		case token == "", c.Claims.Email == "nobody@example.com":
			page(w, http.StatusForbidden, "Your client does not have permission to get URL <code>%s</code> from this server.", r)
		case c.Claims.Email != member:
			w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token" error_description="The access token could not be verified"`)
			page(w, http.StatusUnauthorized, "Your client does not have permission to the requested URL <code>%s</code>.", r)
		default:
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Set-Cookie", "session=cookie-canary")
			fmt.Fprintf(w, `{"hello":%q,"got":%q}`, c.Claims.Email, r.Header.Get("Authorization"))
		}
	}
}

func snapshot(t *testing.T, base, path, email string) evidence.Snapshot {
	t.Helper()
	u, err := url.Parse(base + path)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	src := evidence.Source{Document: "test"}
	s := evidence.Snapshot{
		Now:     now,
		Request: evidence.Known(evidence.Request{URL: u}, src),
		Service: evidence.Known(&runpb.Service{Name: "projects/shop/locations/europe-west1/services/orders", Uri: base, Urls: []string{base}, Ingress: runpb.IngressTraffic_INGRESS_TRAFFIC_ALL,
			TerminalCondition: &runpb.Condition{State: runpb.Condition_CONDITION_SUCCEEDED}}, src),
		Policy: evidence.Known(&iampb.Policy{Bindings: []*iampb.Binding{{Role: "roles/run.invoker", Members: []string{"user:ann@example.com"}}}}, src),
	}
	if email != "" {
		s.Token = evidence.Known(credential.Decode(credentialtest.Sign(map[string]any{"iss": "https://accounts.google.com", "aud": base, "sub": "1", "email": email, "email_verified": true,
			"iat": now.Add(-time.Minute).Unix(), "exp": now.Add(time.Hour).Unix()})), src)
	}
	return s
}

func serve(t *testing.T, h http.Handler) (*httptest.Server, probe.Options) {
	t.Helper()
	srv := httptest.NewTLSServer(h)
	t.Cleanup(srv.Close)
	return srv, probe.Options{Transport: srv.Client().Transport, Timeout: 2 * time.Second}
}

func TestAnswersOfTheFrontEnd(t *testing.T) {
	srv, o := serve(t, frontEnd("ann@example.com"))
	const host = "https://orders-ab12cd34ef-ew.a.run.app"
	transport := srv.Client().Transport.(*http.Transport).Clone()
	transport.TLSClientConfig.ServerName = "example.com" // the name of the test certificate
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, srv.Listener.Addr().String())
	}
	o.Transport = transport
	for _, test := range []struct {
		email, path string
		status      int
		agrees      checks.Agreement
		decision    checks.Decision
	}{
		{"ann@example.com", "/x", 200, checks.Agrees, checks.Allowed},
		{"nobody@example.com", "/x", 403, checks.Agrees, checks.Denied},
		{"", "/x", 403, checks.Agrees, checks.Denied},                        // it knows that it sent no credential
		{"stranger@example.com", "/x", 401, checks.Disagrees, checks.Denied}, // 403 is expected
		{"ann@example.com", "/healthz", 404, checks.Agrees, checks.Denied},
	} {
		s := snapshot(t, host, test.path, test.email)
		r, err := probe.Send(t.Context(), s, o)
		if err != nil {
			t.Errorf("%s %s: %v", test.email, test.path, err)
			continue
		}
		if r.Response.Status != test.status {
			t.Errorf("%s %s: status %d, want %d", test.email, test.path, r.Response.Status, test.status)
		}
		s.Request = evidence.Known(r.Sent, evidence.Source{Document: "probe of " + r.URL})
		s.Response = evidence.Known(r.Response, evidence.Source{Document: "probe of " + r.URL})
		v := checks.Judge(s, checks.Options{})
		if (v.Observed == nil || v.Observed.Agrees != test.agrees || v.Decision != test.decision) || v.Observed.Shows() != (map[bool]checks.Decision{true: checks.Allowed, false: checks.Denied}[test.status == 200]) {
			t.Errorf("%s %s: %s, observed %+v", test.email, test.path, v.Decision, v.Observed)
		}
		if text := fmt.Sprint(r); strings.Contains(text, "eyJ") || strings.Contains(text, "cookie-canary") {
			t.Errorf("the answer holds the token or the cookie: %s", text)
		}
	}
}

func TestRedirectIsNotFollowed(t *testing.T) {
	var visits atomic.Int32
	other, _ := serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { visits.Add(1) }))
	for _, to := range []string{other.URL + "/steal", "/same-host"} {
		srv, o := serve(t, http.RedirectHandler(to, http.StatusFound))
		r, err := probe.Send(t.Context(), snapshot(t, srv.URL, "/", "ann@example.com"), o)
		if err != nil {
			t.Fatal(err)
		}
		if r.Response.Status != http.StatusFound || r.Redirect != to {
			t.Errorf("status %d to %q, want 302 to %q", r.Response.Status, r.Redirect, to)
		}
	}
	if visits.Load() != 0 {
		t.Error("the redirect was followed")
	}
}

func TestMisbehaviour(t *testing.T) {
	endless := func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 4096)); err != nil {
				return
			}
		}
	}
	dripping := func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			fmt.Fprint(w, "x")
			w.(http.Flusher).Flush()
			time.Sleep(20 * time.Millisecond)
		}
	}
	silent := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	for name, test := range map[string]struct {
		h        http.HandlerFunc
		cut, err string
	}{
		"endless body":  {endless, "first 64 KiB", ""},
		"dripping body": {dripping, "broke off", ""},
		"no headers":    {silent, "", "did not answer in time"},
	} {
		srv, o := serve(t, test.h)
		o.Timeout = 300 * time.Millisecond
		start := time.Now()
		r, err := probe.Send(t.Context(), snapshot(t, srv.URL, "/", "ann@example.com"), o)
		if d := time.Since(start); d > 3*time.Second {
			t.Errorf("%s: took %s", name, d)
		}
		if err != nil || !strings.Contains(r.Failed, test.err) || (r.Failed == "") != (test.err == "") {
			t.Errorf("%s: %v, %q, want %q", name, err, r.Failed, test.err)
		}
		if !strings.Contains(r.Cut, test.cut) || len(r.Response.Body) > 64<<10 {
			t.Errorf("%s: cut %q after %d bytes", name, r.Cut, len(r.Response.Body))
		}
	}
}

func TestOnlyToTheTarget(t *testing.T) {
	var visits atomic.Int32
	srv, o := serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { visits.Add(1) }))
	s := snapshot(t, srv.URL, "/", "ann@example.com")
	s.Service = evidence.Known(&runpb.Service{Uri: "https://orders-ab12cd34ef-ew.a.run.app"}, evidence.Source{})
	if _, err := probe.Send(t.Context(), s, o); err == nil || !strings.Contains(err.Error(), "--probe-host") {
		t.Errorf("another host: %v", err)
	}
	s.Function = evidence.Known(evidence.Function{Function: &functionspb.Function{Url: "https://europe-west1-shop.cloudfunctions.net/orders"}}, evidence.Source{})
	u, _ := url.Parse("https://europe-west1-shop.cloudfunctions.net/other")
	s.Request = evidence.Known(evidence.Request{URL: u}, evidence.Source{})
	if _, err := probe.Send(t.Context(), s, o); err == nil || !strings.Contains(err.Error(), "--probe-host") {
		t.Errorf("another function of the project: %v", err)
	}
	plain, _ := url.Parse("http://orders-ab12cd34ef-ew.a.run.app/")
	s.Request = evidence.Known(evidence.Request{URL: plain}, evidence.Source{})
	if _, err := probe.Send(t.Context(), s, o); err == nil || !strings.Contains(err.Error(), "over https only") {
		t.Errorf("plaintext: %v", err)
	}
	if visits.Load() != 0 {
		t.Error("a request went out")
	}
	s = snapshot(t, srv.URL, "/", "ann@example.com")
	s.Service = evidence.Fact[*runpb.Service]{}
	o.Hosts = []string{strings.TrimPrefix(srv.URL, "https://")}
	if _, err := probe.Send(t.Context(), s, o); err != nil || visits.Load() != 1 {
		t.Errorf("a host named by the user: %v", err)
	}
}

func TestRequestAsRecorded(t *testing.T) {
	var got *http.Request
	srv, o := serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Clone(context.Background()) }))
	s := snapshot(t, srv.URL, "/p?q=1", "ann@example.com")
	r, _ := s.Request.Get()
	r.Method, r.Headers = "POST", http.Header{"X-Serverless-Authorization": {"Bearer [redacted]"}, "X-Trace": {"a", "b"}, "Cookie": {"c=d"}, "Connection": {"upgrade"}}
	s.Request = evidence.Known(r, evidence.Source{})
	o.Body = []byte("{}")
	if _, err := probe.Send(t.Context(), s, o); err != nil {
		t.Fatal(err)
	}
	if got.Method != "POST" || got.URL.RawQuery != "q=1" || len(got.Header["X-Trace"]) != 2 || got.Header.Get("Cookie") != "" {
		t.Errorf("%s %s %v", got.Method, got.URL, got.Header)
	}
	if !strings.HasPrefix(got.Header.Get("X-Serverless-Authorization"), "Bearer eyJ") || got.Header.Get("Authorization") != "" {
		t.Error("the token is not in the header that was recorded")
	}
}

func TestErrorsHoldNoSecret(t *testing.T) {
	srv, o := serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	s := snapshot(t, srv.URL, "/?key=query-canary", "ann@example.com")
	srv.Close()
	r, err := probe.Send(t.Context(), s, o)
	if err != nil || !strings.Contains(r.Failed, "gave no answer") || strings.Contains(r.Failed, "eyJ") || strings.Contains(r.Failed, "canary") {
		t.Errorf("%v, %q", err, r.Failed)
	}
}
