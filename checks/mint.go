package checks

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"diagnose/internal/caller"
	"diagnose/internal/credential"
	"diagnose/internal/evidence"
	"diagnose/internal/gcp"
	"diagnose/internal/iam"
)

// mint proposes a correct token in the language of the caller, and for callers
// that can have none what there is instead.
func (in *Invocation) mint() []Fix {
	if in.bare {
		return nil
	}
	if in.sent.config && !in.delivery {
		return []Fix{in.configure(in.audiences.Preferred())}
	}
	if o, ok := in.outsider(); ok {
		out := in.impersonate(o)
		if o.from == credential.ForeignJWT && o.kind != iam.Agent && in.sent.credential.Provider() == "" {
			out = append(out, in.makePublic()...) // it may be the provider of an application's users
		}
		return out
	}
	if member := in.ownMember(); member != "" {
		return []Fix{in.mintOwn(member)}
	}
	call := in.callAs()
	if in.wantsPublic() {
		return append(in.makePublic(), call)
	}
	if !in.sentByNobody() {
		return []Fix{call}
	}
	return append([]Fix{call}, in.makePublic()...)
}

// sentByNobody reports whether nothing that was sent is of a caller whom Google
// may know: no credential at all, or one that names no account.
func (in *Invocation) sentByNobody() bool {
	if sel := in.sent.selection; sel != nil && (sel.Malformed != "" || sel.Duplicates > 1) {
		return false
	}
	switch in.sent.credential.Kind {
	case credential.None, credential.APIKey, credential.Opaque, credential.ForeignJWT:
		return true
	}
	return false
}

// ownMember is the caller as a member whose ID token it can get itself, ""
// where it is not known or has none.
func (in *Invocation) ownMember() string {
	member := in.principal
	if member == "" && in.sent.credential.Kind == credential.SelfSigned {
		member = in.sent.credential.Who()
	}
	if strings.HasPrefix(member, "user:") || ownAccount(member) != "" {
		return member
	}
	return ""
}

// mintOwn proposes a correct token of the caller's own.
func (in *Invocation) mintOwn(member string) Fix {
	audience := in.audiences.Preferred()
	f := in.call(member, audience)
	f.ID, f.Summary = "mint-token", "Send a Google-signed ID token for "+cmp.Or(audience, "the service's URL")
	f.Caution = in.mintCaution(member)
	return f
}

// callAs proposes to call with a service account, where the caller has no
// identity that Cloud Run knows.
func (in *Invocation) callAs() Fix {
	audience := in.audiences.Preferred()
	q := in.question(in.permission, iam.Identity{})
	a := in.callingAccount(q)
	if a.may {
		f := in.call(a.member(), audience)
		f.ID, f.Caution = "mint-token", in.callAsCaution()
		f.Summary = fmt.Sprintf("Call from a server or a shell that sends an ID token for %s, "+
			"as an account that may invoke, such as %s", cmp.Or(audience, "the service's URL"), a.email)
		return f
	}
	if member := in.grantee(q, "user:"); member != "" && in.client == "gcloud" {
		f := in.call(member, audience)
		f.ID = "mint-token"
		f.Summary = fmt.Sprintf("Send a Google-signed ID token for %s, as a person who may invoke, such as %s",
			cmp.Or(audience, "the service's URL"), strings.TrimPrefix(member, "user:"))
		return f
	}
	return joined("call-with-new-account", "Make the service account "+a.email+
		", let it invoke, and call from a server or a shell that sends its ID token", in.callAsCaution(),
		in.create(a), in.grantAccount(a), in.call(a.member(), audience))
}

// grantee returns a member with a prefix that a question lets through, or "".
func (in *Invocation) grantee(q iam.Question, prefix string) string {
	for _, g := range q.Holdings() {
		if g.May == iam.Granted && strings.HasPrefix(g.Member.String(), prefix) {
			return g.Member.String()
		}
	}
	return ""
}

func (in *Invocation) callAsCaution() string {
	switch in.client {
	case "firebase-sdk":
		return "a Firebase ID token is not a Google ID token: the app calls the server, and the server checks the Firebase user"
	case "browser":
		return "a browser sends no ID token by itself: the page calls the server, and the server calls the service"
	}
	return openIDCaution
}

const openIDCaution = "impersonation needs roles/iam.serviceAccountOpenIdTokenCreator on the service account; " +
	"roles/owner does not include it"

func (in *Invocation) mintCaution(member string) string {
	switch {
	case !strings.HasPrefix(member, "serviceAccount:"):
		return ""
	case in.client == "gcloud", in.client == "", in.client == "impersonation":
		return openIDCaution
	}
	return ""
}

// call mints an ID token of a member and calls with it.
func (in *Invocation) call(member, audience string) Fix {
	aud := cmp.Or(audience, gcp.ServiceURLWord)
	f := Fix{apply: func(s evidence.Snapshot) evidence.Snapshot { return withToken(s, member, audience) }}
	email, isAccount := strings.CutPrefix(member, "serviceAccount:")
	own := in.ownMember() == member
	print := Command{Argv: gcp.PrintIDToken("")}
	switch {
	case !isAccount:
	case own && in.client == "github-actions":
		f.Snippets = []Snippet{in.githubStep(email, workloadPool+"/providers/PROVIDER", aud)}
		return f
	case own && (in.client == "metadata-server" || in.client == "gke"):
		print = metadataToken(aud)
	case own && in.client == "service-account-key":
		f.Commands = shell(gcp.ActivateKey())
		print = Command{Argv: gcp.PrintIDToken(aud)}
	default:
		print = tokenOf(email, aud)
	}
	print.Into = "TOKEN"
	f.Commands = append(f.Commands, print, in.callCommand())
	return f
}

// tokenOf mints an ID token of a service account, by impersonation.
func tokenOf(email, audience string) Command {
	return Command{Argv: gcp.PrintIDTokenAs(email, audience), Into: "TOKEN"}
}

// metadataToken asks the metadata server for an ID token of the account that a
// workload runs as.
func metadataToken(audience string) Command {
	return Command{Argv: []string{"curl", "-s", "-H", "Metadata-Flavor: Google",
		"http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/identity?audience=" +
			url.QueryEscape(audience) + "&format=full"}}
}

// callCommand repeats the user's call with a token: with the method, and with
// a body where the headers say that there was one.
func (in *Invocation) callCommand() Command {
	argv := []string{"curl"}
	method := in.request.Method
	if method == http.MethodOptions {
		method = in.request.Headers.Get("Access-Control-Request-Method")
	}
	switch method {
	case "", http.MethodGet:
	case http.MethodHead:
		argv = append(argv, "--head")
	default:
		argv = append(argv, "--request="+method)
	}
	kind, length := in.request.Headers.Get("Content-Type"), in.request.Headers.Get("Content-Length")
	if method != "" && method != http.MethodGet && (kind != "" || length != "" && length != "0") {
		if kind != "" {
			argv = append(argv, "-H", "Content-Type: "+kind)
		}
		argv = append(argv, "--data-binary", "@"+cmp.Or(in.request.BodyFile, "BODY_FILE"))
	}
	return Command{Argv: append(argv, in.callTarget()), WithToken: true}
}

// callTarget is the URL to call in an example: what was called, on https, and
// else the service's own.
func (in *Invocation) callTarget() string {
	if in.url != nil && in.host.Kind != gcp.APIHost && in.url.Host != "" {
		u := *in.url
		u.Scheme = "https"
		return shown(&u)
	}
	return cmp.Or(in.audiences.Preferred(), gcp.ServiceURLWord)
}

// shown is a URL for a command or a sentence: without user, password and
// fragment, and with a mark in place of values of the query that may be
// secrets.
func shown(u *url.URL) string {
	c := *u
	c.User, c.Fragment, c.RawFragment = nil, "", ""
	c.RawQuery = gcp.ShownQuery(c.RawQuery, "…")
	return c.String()
}

// shownURL is shown for a URL in text.
func shownURL(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return shown(u)
}

// withToken returns the evidence with a correct token of the given member for
// the given audience in the header that counts.
func withToken(s evidence.Snapshot, member, audience string) evidence.Snapshot {
	return withCredential(s, credential.Synthetic(member, audience, s.Now))
}

// withCredential returns the evidence with a credential in the place of the
// one that was sent, or that was supposed.
func withCredential(s evidence.Snapshot, c credential.Credential) evidence.Snapshot {
	s.Token = evidence.Known(c, repaired)
	s.Caller = evidence.Fact[caller.Caller]{}
	return changeRequest(s, func(r *evidence.Request) {
		r.Principal = ""
		for _, h := range []string{"Authorization", "Proxy-Authorization", "X-Serverless-Authorization"} {
			r.Headers.Del(h)
		}
		if r.Method == http.MethodOptions { // the preflight passes, and the request itself comes
			r.Method = ""
		}
		if len(r.Headers) == 0 {
			r.Headers = nil
		}
	})
}
