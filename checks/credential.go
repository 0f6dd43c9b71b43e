package checks

import (
	"cmp"
	"fmt"
	"strings"

	"diagnose/internal/credential"
	"diagnose/internal/evidence"
	"diagnose/internal/gcp"
)

var credentialGate = Gate{"credential", "403, 401", []Check{credentialPresent, credentialHeader, credentialKind}}

var credentialPresent = Check{
	ID:    "credential-present",
	Title: "credential in the request",
	Doc: `A private service answers 403 to a request without a credential. The log then says "not authenticated", but
Google logs the same for a known caller without the role. A browser never attaches an ID token by itself, and a CORS
preflight (OPTIONS) never has one.`,
	Ref:        "https://docs.cloud.google.com/run/docs/troubleshooting",
	Confidence: Documented,
	Run: func(in *Invocation) Finding {
		c := in.sent.credential
		if f, two := in.twoCallers(); two {
			return f
		}
		switch {
		case in.iap:
			return notApplicable(iapJudges)
		case in.gen1 && in.delivery:
			return notApplicable("events reach a gen1 function without a credential of the caller")
		case !in.sent.known:
			if in.isPublic() {
				return notApplicable("not needed: " + in.anyone())
			}
			return unknown("it is unknown which credential the request has", in.gatherCaller()...)
		case c.Kind != credential.None || in.sent.supposed:
			return pass(in.sentWhat(), in.sent.source)
		case in.isPublic():
			return notApplicable("the request has no credential and needs none: " + in.anyone())
		}
		f := fail(in.absence(), Answer{Status: 403, Log: notAuthenticated}, in.sent.source)
		f.Fixes = in.mint()
		if in.request.Method == "OPTIONS" {
			f.Fixes = append(f.Fixes, answerPreflight)
		}
		if in.ownUnread() && !in.refusedByFrontEnd(401, 403) {
			f.Outcome, f.Fixes = Unknown, nil
			f.Message = "the request has no credential, and it is unknown whether the service is public: " + in.ownPolicyName() + " was not read"
			f.Gather = in.readPolicy(in.layers[0])
			return f
		}
		return in.refuse(f)
	},
}

// iapJudges is why Cloud Run's own questions about a credential do not arise.
const iapJudges = "IAP judges the caller's credential, not Cloud Run"

// twoCallers answers where the question is about one principal and the token
// is another's: whose invocation is meant is not known.
func (in *Invocation) twoCallers() (Finding, bool) {
	asked, who := in.request.Principal, in.sent.credential.Who()
	if asked == "" || who == "" || in.sent.supposed || in.sent.config || strings.EqualFold(asked, who) {
		return Finding{}, false
	}
	f := unknown(fmt.Sprintf("there are two callers: the token belongs to %s, but the question is about %s; leave one out", who, asked))
	f.Cites = []evidence.Source{in.sent.source, in.Request.Source.At("/principal")}
	return f, true
}

func (in *Invocation) sentWhat() string {
	switch {
	case in.delivery:
		return "the event source sends an ID token of the trigger's service account"
	case in.sent.config:
		return fmt.Sprintf("%s is configured to send %s", cmp.Or(in.configured().Kind, "the caller"), an(in.sent.credential.Kind.String()))
	case in.sent.supposed && federatedWhy(in.principal) != "":
		return "assuming that " + in.principal + " calls"
	case in.sent.supposed:
		return fmt.Sprintf("assuming a correct ID token of %s", in.principal)
	}
	return "the request has " + an(in.sent.credential.Kind.String())
}

func an(noun string) string {
	if noun != "" && strings.ContainsRune("aeiouAEIO", rune(noun[0])) {
		return "an " + noun
	}
	return "a " + noun
}

// absence says what a request without a usable credential lacks.
func (in *Invocation) absence() string {
	switch {
	case in.request.Method == "OPTIONS":
		return "a CORS preflight (OPTIONS) never has a credential, and the service is private"
	case in.sent.config:
		return fmt.Sprintf("%s is configured to send no token, and the service is private", cmp.Or(in.configured().Kind, "the caller"))
	case in.request.Headers.Get("X-Goog-Api-Key") != "" || in.request.Headers.Get("X-Api-Key") != "" || (in.url != nil && in.url.Query().Has("key")):
		return "the request has only an API key, which Cloud Run does not accept, and the service is private"
	case in.client == "browser":
		return "a browser does not send an ID token by itself, and the service is private"
	}
	return "the request has no credential, and the service is private"
}

var credentialHeader = Check{
	ID:    "credential-header",
	Title: "header with the credential",
	Doc: `Cloud Run reads X-Serverless-Authorization if it is there, and else Authorization, each as "Bearer TOKEN". The other
header is left to the application. Two values, or several tokens in one, are refused. A service that forwards the headers
it received sends a token whose signature Cloud Run has removed.`,
	Ref:        "https://docs.cloud.google.com/run/docs/authenticating/service-to-service",
	Confidence: Documented,
	Run: func(in *Invocation) Finding {
		sel := in.sent.selection
		if in.iap {
			return notApplicable(iapJudges)
		}
		if in.sent.credential.Kind == credential.Several {
			return in.refuse(withFixes(fail("the header has several tokens; it must have one", rejected, in.sent.source), in.mint()))
		}
		if sel == nil {
			return notApplicable("no headers were recorded")
		}
		src := in.Request.Source.At("/headers/" + sel.Header)
		switch {
		case sel.Duplicates > 1:
			return in.refuse(withFixes(fail(fmt.Sprintf("the request has %d %s headers; it must have one", sel.Duplicates, sel.Header), rejected, src), in.mint()))
		case sel.Malformed != "":
			f := withFixes(fail(fmt.Sprintf("%s %s; it must be \"Bearer TOKEN\"", sel.Header, sel.Malformed), Answer{Status: 401, Also: []int{403}, Log: notAuthorized}, src), in.mint())
			return in.refuse(f)
		case sel.Other != nil && in.overriding():
			f := fail("a forwarded X-Serverless-Authorization overrides the token in Authorization", rejected, src)
			return in.refuse(withFixes(f, []Fix{in.dropForwarded()}))
		case sel.Other != nil:
			return warn(strings.Join(append([]string{sel.Header + " counts, and " + sel.OtherHeader + " is left to the application"}, sel.Notes...), "; "), src)
		}
		return pass(strings.Join(append([]string{sel.Header + " has the credential"}, sel.Notes...), "; "), src)
	},
}

func withFixes(f Finding, fixes []Fix) Finding {
	f.Fixes = fixes
	return f
}

// overriding reports whether the header that counts holds a token that cannot
// pass while the other one differs from it.
func (in *Invocation) overriding() bool {
	o := in.sent.selection.Other
	return o.Kind == credential.IDToken && in.tokenRefused(in.sent.credential) && !in.tokenRefused(*o)
}

// tokenRefused reports whether a token is refused for what it says itself.
func (in *Invocation) tokenRefused(c credential.Credential) bool {
	if c.Kind != credential.IDToken || c.Signature == credential.SignatureRemoved || c.Signature == credential.SignatureMissing {
		return true
	}
	if len(credential.ClaimProblems(c, in.Now)) > 0 {
		return true
	}
	for _, aud := range c.Claims.Audience {
		if a := in.audiences.Accepts(aud, c.Person()); a.State == acceptedState || a.State == doubtfulState {
			return false
		}
	}
	return true
}

// dropForwarded proposes to stop forwarding the header of an earlier hop.
func (in *Invocation) dropForwarded() Fix {
	return Fix{
		ID: "drop-forwarded-header", Summary: "Do not forward X-Serverless-Authorization (nor other x-serverless-* headers) to the next service",
		apply: func(s evidence.Snapshot) evidence.Snapshot {
			return changeRequest(s, func(r *evidence.Request) { r.Headers.Del("X-Serverless-Authorization") })
		},
	}
}

var credentialKind = Check{
	ID:    "credential-kind",
	Title: "kind of credential",
	Doc: `Cloud Run takes a Google-signed ID token and nothing else: an OAuth access token (ya29.…), an API key or an
opaque string gets 401. A federated identity, a Kubernetes service account or an agent has no Google ID token and must
impersonate a service account. An access token is right where the target is a Google API, such as starting a Cloud Run
job.`,
	Ref:        "https://docs.cloud.google.com/run/docs/authenticating/service-to-service",
	Confidence: Documented,
	Run: func(in *Invocation) Finding {
		c := in.sent.credential
		switch {
		case in.iap:
			return notApplicable(iapJudges)
		case !in.sent.known:
			return in.noCredentialKnown()
		case c.Kind == credential.None:
			return notApplicable("no credential")
		case in.sent.supposed && federatedWhy(in.principal) != "":
			f := fail(federatedWhy(in.principal), rejected, in.sent.source)
			return in.refuse(withFixes(f, in.mint()))
		case in.host.Kind == gcp.APIHost && c.Kind == credential.AccessToken:
			return pass("an access token is the right kind for a Google API", in.sent.source)
		case c.JWT():
			return pass(fmt.Sprintf("%s is a JWT", c.Kind), in.sent.source)
		}
		message := an(c.Kind.String()) + " is sent where Cloud Run takes a Google-signed ID token"
		if sel := in.sent.selection; sel != nil && c.Kind == credential.Opaque && len(sel.Notes) > 0 {
			message = strings.Join(sel.Notes, "; ")
		}
		return in.refuse(withFixes(fail(message, rejected, in.sent.source), in.mint()))
	},
}

// noCredentialKnown answers the questions about a credential that was not
// recorded: they stay open behind credential-present.
func (in *Invocation) noCredentialKnown() Finding {
	return notApplicable("it is unknown which credential the request has")
}
