package checks

import (
	"fmt"
	"net/http"
	"strings"

	"diagnose/internal/credential"
	"diagnose/internal/evidence"
	"diagnose/internal/iam"
)

// iapSent is the credential that IAP reads: the one in Proxy-Authorization
// where that has a JWT, else the one in Authorization, else whatever is in
// Proxy-Authorization. X-Serverless-Authorization is nothing to it.
func (in *Invocation) iapSent() sent {
	if in.request.Headers == nil || in.sent.selection == nil && !in.headerSent("Proxy-Authorization") {
		return in.sent
	}
	last := sent{known: true, source: in.Request.Source.At("/headers")}
	for _, name := range []string{"Proxy-Authorization", "Authorization"} {
		if !in.headerSent(name) {
			continue
		}
		sel := credential.FromHeaders(http.Header{credential.Authorization: in.request.Headers[name]})
		got := sent{known: true, credential: sel.Credential, selection: &sel, source: in.Request.Source.At("/headers/" + name)}
		if c, kept := in.request.Sent[name]; sel.Redacted && kept {
			got.credential = c
		} else if sel.Redacted {
			got.credential, got.known = in.Token.Or(credential.Credential{}), in.Token.Known()
			got.source = in.Token.Source
		}
		if name == "Authorization" || got.credential.JWT() {
			return got
		}
		last = got
	}
	return last
}

func (in *Invocation) headerSent(name string) bool {
	return len(in.request.Headers[http.CanonicalHeaderKey(name)]) > 0
}

// iapSession reports whether a browser sent IAP's session cookie, which names
// nobody here.
func (in *Invocation) iapSession() bool {
	return strings.Contains(strings.Join(in.request.Headers["Cookie"], ";"), "GCP_IAP_AUTH_TOKEN")
}

// iapIdentity is who IAP takes the caller for.
func (in *Invocation) iapIdentity() (iam.Identity, string) {
	got := in.iapSent()
	if got.known && got.credential.Kind == credential.None && !got.supposed {
		return iam.Anonymous(), ""
	}
	if who := got.credential.Who(); who != "" && !got.supposed {
		id := iam.IdentityOf(who)
		id.HostedDomain = got.credential.Claims.HostedDomain
		return id, who
	}
	return in.identity, in.principal
}

// iapQuestion asks whether an identity may pass IAP: by IAP's own policy of
// the service and those above.
func (in *Invocation) iapQuestion(id iam.Identity) iam.Question {
	q := in.question(iam.AccessViaIAP, id)
	own := iam.Layer{Resource: "the IAP resource of " + in.resource(), Level: iam.Service, Policy: in.IAPPolicy.Or(nil)}
	if !in.IAPPolicy.Known() {
		own.Reason = "iap-policy.json was not read" + reasonOf(in.IAPPolicy)
	}
	q.Layers = append([]iam.Layer{own}, q.Layers[1:]...)
	return q
}

// iapOpen reports whether IAP lets the request pass unasked, and why: its
// policy admits allUsers, or a preflight is let through. Sources:
// https://cloud.google.com/iap/docs/force-login and the CorsSettings of the
// IAP API.
func (in *Invocation) iapOpen() (Finding, bool) {
	if d := in.decide(iam.AccessViaIAP, iam.Anonymous()); d.State == iam.Granted {
		return pass(fmt.Sprintf("IAP lets everyone through: allUsers has %s on %s", d.Binding.Role, in.iapLayer(d.Binding)), in.citeIAP(d.Binding)), true
	}
	if in.preflightPasses() {
		return pass("IAP lets OPTIONS pass without a credential", in.IAPSettings.Source.At("/accessSettings/corsSettings/allowHttpOptions")), true
	}
	return Finding{}, false
}

// preflightPasses reports whether IAP lets OPTIONS pass and that is asked.
func (in *Invocation) preflightPasses() bool {
	return in.request.Method == http.MethodOptions && in.iapAccessSettings().GetCorsSettings().GetAllowHttpOptions().GetValue()
}

func (in *Invocation) iapLayer(b *iam.BindingAccess) string {
	if b.Layer == 0 {
		return "the IAP resource of " + in.resource()
	}
	return in.layers[b.Layer].Resource
}

func (in *Invocation) citeIAP(b *iam.BindingAccess) evidence.Source {
	if b.Layer == 0 {
		return in.IAPPolicy.Source.At(fmt.Sprintf("/bindings/%d", b.Binding))
	}
	return in.cite(b)
}
