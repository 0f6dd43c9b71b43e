// Package probe sends one request for real and returns what came back. It
// sends it to a host that belongs to the target and to no other: it follows no
// redirect, and a token never goes out in plaintext.
package probe

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"cloud.google.com/go/functions/apiv2/functionspb"

	"diagnose/internal/bounded"
	"diagnose/internal/credential"
	"diagnose/internal/evidence"
	"diagnose/internal/gcp"
)

// maxBody bounds what is read of an answer.
const maxBody = 64 << 10

// Options says how to send. The zero Options sends a GET without a body, to
// hosts of the target only, within 15 seconds.
type Options struct {
	Hosts     []string // further hosts that the user says belong to the target
	Body      []byte
	Timeout   time.Duration
	Transport http.RoundTripper
}

// A Result is the answer to a probe.
type Result struct {
	Response evidence.Response
	// Failed says why there was no answer, "" where there was one: no connection,
	// no TLS, no answer in time. It is what a caller of the same place would see.
	Failed string
	// Sent is the request as it was sent. The token of the snapshot is blanked out
	// in it.
	Sent     evidence.Request
	URL      string // what was asked, without its query
	Method   string
	Duration time.Duration
	// Redirect is where the answer sends the caller, "" for no redirect. It was
	// not followed.
	Redirect string
	// Cut says why the body is not complete, "" where it is.
	Cut string
}

// Send sends the request of the snapshot, with its token, and returns the
// answer. Its errors say why nothing was sent, or that ctx was cancelled; they
// hold no token.
func Send(ctx context.Context, s evidence.Snapshot, o Options) (Result, error) {
	u, err := address(s, o.Hosts)
	if err != nil {
		return Result{}, err
	}
	token := Token(s)
	if token != "" && u.Scheme != "https" {
		return Result{}, errors.New("probe: a token is sent over https only")
	}
	if o.Timeout <= 0 {
		o.Timeout = 15 * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	req, err := request(ctx, s, u, token, o.Body)
	if err != nil {
		return Result{}, err
	}
	start := time.Now()
	resp, err := client(o).Do(req)
	r := Result{URL: u.Scheme + "://" + u.Host + u.EscapedPath(), Method: req.Method, Sent: asSent(s, u, req.Method, token)}
	switch {
	case errors.Is(err, context.Canceled):
		return Result{}, fmt.Errorf("probe: %w", context.Canceled)
	case err != nil:
		r.Duration, r.Failed = time.Since(start), failure(u, err, token)
		return r, nil
	}
	defer resp.Body.Close()
	body, cut, err := bounded.Head(resp.Body, maxBody)
	r.Duration = time.Since(start)
	switch {
	case cut:
		r.Cut = fmt.Sprintf("only the first %d KiB were read", maxBody>>10)
	case err != nil:
		r.Cut = "the answer broke off: " + hide(err.Error(), token)
	}
	r.Response = evidence.Response{Status: resp.StatusCode, Header: headers(resp.Header, token), Body: hide(string(body), token)}
	r.Redirect = r.Response.Header.Get("Location")
	return r, nil
}

// address is the URL to ask: the request's, or the target's own.
func address(s evidence.Snapshot, more []string) (*url.URL, error) {
	own := ownURLs(s)
	u := s.Request.Or(evidence.Request{}).URL
	if u == nil {
		if len(own) == 0 {
			return nil, errors.New("probe: the target's URL is unknown: give --url")
		}
		u = own[0]
	}
	if u.User != nil {
		return nil, errors.New("probe: the URL has a user name or password")
	}
	for _, o := range own {
		if sameHost(u, o) && sameFunction(o, u) {
			return u, nil
		}
	}
	if s.Domain != "" && strings.EqualFold(s.Domain, u.Host) {
		return u, nil
	}
	if slices.ContainsFunc(more, func(h string) bool { return strings.EqualFold(h, u.Host) || strings.EqualFold(h, u.Hostname()) }) {
		return u, nil
	}
	return nil, fmt.Errorf("probe: %s may not belong to the target, and a token is sent only to hosts of the target: if it does, name it with --probe-host", u.Host)
}

func sameHost(a, b *url.URL) bool {
	return strings.EqualFold(a.Hostname(), b.Hostname()) && port(a) == port(b)
}

// port is the port where it is not the scheme's own: a service answers on both
// schemes.
func port(u *url.URL) string {
	if p := u.Port(); p != "" && p != map[string]string{"http": "80", "https": "443"}[u.Scheme] {
		return p
	}
	return ""
}

// sameFunction reports whether two URLs of one host lead to one function,
// where the host is one of cloudfunctions.net, which all functions of a project
// and region share.
func sameFunction(own, u *url.URL) bool {
	f := gcp.FunctionOf(own)
	return f == "" || f == gcp.FunctionOf(u)
}

// ownURLs are the URLs that the target's documents name, the one to call
// first.
func ownURLs(s evidence.Snapshot) []*url.URL {
	var all []string
	fn := s.Function.Or(evidence.Function{})
	if fn.GetEnvironment() == functionspb.Environment_GEN_1 {
		all = append(all, fn.GetUrl())
	}
	svc := s.Service.Or(nil)
	all = append(all, svc.GetUri(), fn.GetServiceConfig().GetUri())
	all = append(all, svc.GetUrls()...)
	for _, t := range svc.GetTrafficStatuses() {
		all = append(all, t.GetUri())
	}
	all = append(all, fn.GetUrl())
	var out []*url.URL
	for _, raw := range all {
		if u, err := url.Parse(raw); err == nil && u.Host != "" {
			out = append(out, u)
		}
	}
	return out
}

// Token is the token that a probe of the snapshot sends, "" where it has none.
func Token(s evidence.Snapshot) string {
	sel := credential.FromHeaders(s.Request.Or(evidence.Request{}).Headers)
	if t := sel.Credential.ForRequest(); t != "" && !sel.Redacted {
		return t
	}
	return s.Token.Or(credential.Credential{}).ForRequest()
}

// hop are the headers that concern one connection only.
var hop = []string{"Connection", "Content-Length", "Host", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Proxy-Authorization", "Cookie"}

func request(ctx context.Context, s evidence.Snapshot, u *url.URL, token string, body []byte) (*http.Request, error) {
	in := s.Request.Or(evidence.Request{})
	method := in.Method
	if method == "" {
		method = http.MethodGet
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("probe: method or URL cannot be sent")
	}
	req.Header.Set("User-Agent", "diagnose-probe")
	for name, values := range in.Headers {
		if !slices.Contains(hop, http.CanonicalHeaderKey(name)) {
			req.Header[http.CanonicalHeaderKey(name)] = values
		}
	}
	sel := credential.FromHeaders(in.Headers)
	switch {
	case token == "" || sel.Header != "" && !sel.Redacted:
	case sel.Header != "":
		req.Header.Set(sel.Header, "Bearer "+token)
	default:
		req.Header.Set(credential.Authorization, "Bearer "+token)
	}
	return req, nil
}

// asSent is the request that was sent, with every header that it had. A probe
// knows that it sent no credential.
func asSent(s evidence.Snapshot, u *url.URL, method, token string) evidence.Request {
	r := s.Request.Or(evidence.Request{})
	r.URL, r.Method = u, method
	headers := http.Header{}
	for name, values := range r.Headers {
		if !slices.Contains(hop, http.CanonicalHeaderKey(name)) {
			headers[name] = values
		}
	}
	if token != "" && credential.FromHeaders(headers).Header == "" {
		headers[credential.Authorization] = []string{"Bearer [redacted]"}
	}
	r.Headers = headers
	return r
}

func client(o Options) *http.Client {
	transport := o.Transport
	if transport == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.DisableCompression, t.DisableKeepAlives = true, true
		t.MaxResponseHeaderBytes = maxBody
		transport = t
	}
	return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// failure says why there was no answer.
func failure(u *url.URL, err error, token string) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return u.Host + " did not answer in time"
	}
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err // without the URL and its query
	}
	return u.Host + " gave no answer: " + hide(err.Error(), token)
}

// headers drops what a server sets for the caller alone.
func headers(h http.Header, token string) http.Header {
	out := http.Header{}
	for name, values := range h {
		for _, v := range values {
			if credential.SecretHeader(name) {
				v = "[removed]"
			}
			out.Add(name, hide(v, token))
		}
	}
	return out
}

// hide removes the token from a text: a server may send back what it was sent.
func hide(s, token string) string {
	if token == "" {
		return s
	}
	s = strings.ReplaceAll(s, token, "[the token sent]")
	if parts := strings.Split(token, "."); len(parts) == 3 && len(parts[2]) > 16 {
		s = strings.ReplaceAll(s, parts[2], "[its signature]")
	}
	return s
}
