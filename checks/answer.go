package checks

import (
	"fmt"
	"slices"
	"strings"

	"diagnose/internal/evidence"
)

var answerGate = Gate{"answer", "–", []Check{answerOrigin}}

var answerOrigin = Check{
	ID:    "answer-origin",
	Title: "the answer came from the front end",
	Doc: `Not every 401, 403 or 404 is Google's judgement on the invocation: the container has its own, IAP, Cloud Armor and API
gateways have theirs, and so has a Google API called beside the service. Google's front end answers in HTML with a known
sentence, and a refused request never reaches the container.`,
	Ref:        "https://docs.cloud.google.com/run/docs/troubleshooting",
	Confidence: Reported,
	Run: func(in *Invocation) Finding {
		if !in.Response.Known() && !in.Logs.Known() {
			return notApplicable("no answer was observed")
		}
		a := in.author()
		switch {
		case a.who == "":
			return notApplicable("who wrote the observed answer does not show")
		case a.who == frontEnd:
			return pass("Google's front end wrote the answer: "+a.basis, a.cite)
		case a.status > 0 && a.status < 400 && a.who == container:
			return pass("the container answered", a.cite)
		}
		f := warn(fmt.Sprintf("%s wrote the answer, not the front end: %s", a.who, a.basis), a.cite)
		f.Answer = Answer{Status: a.status}
		if a.who == container {
			f.Message = fmt.Sprintf("the container answered %d itself, so IAM let the request in: %s", a.status, a.basis)
			f.Answer.Status = 0
		}
		f.Observed = true
		if a.fix.ID != "" {
			f.Fixes = []Fix{a.fix}
		}
		return f
	},
}

// The authors of answers that other checks ask about: the front end judges
// the invocation, and IAP stands before it, on the service or on its load
// balancer.
const (
	frontEnd  = "the front end"
	iapAuthor = "IAP"
	container = "the container"
)

// An authorship says who wrote an observed answer, and what tells.
type authorship struct {
	who    string
	basis  string
	status int
	cite   evidence.Source
	fix    Fix
}

// refused reports whether something in front of the service gave the answer,
// so that the request did not reach the container.
func (a authorship) refused() bool {
	return a.status >= 400 && slices.Contains([]string{iapAuthor, "Cloud Armor", "the gateway"}, a.who)
}

// A mark is a text by which the author of an answer is known. Texts are
// compared without case.
type mark struct {
	text  string
	who   string
	basis string
	fix   string // what to do, "" where the judgement of the evidence says it
}

const signatureFix = "Verify a token that Cloud Run did not consume: send a second copy in another header, or trust the claims behind the invoker check"

// marks is in the order of how much a text tells: an application that quotes
// the front end's words has its own words too.
var marks = []mark{
	{"denied_by_security_policy", "Cloud Armor", "the load balancer logged statusDetails denied_by_security_policy", "Tune or remove the rule of the security policy that matched; enforcedSecurityPolicy in the log names it"},
	{"invalid iap credentials", iapAuthor, "the body says Invalid IAP credentials", "Mint an ID token with an e-mail claim for the audience that IAP expects"},
	{"x-goog-iap-generated-response", iapAuthor, "the header X-Goog-IAP-Generated-Response", "Grant the caller roles/iap.httpsResourceAccessor"},
	{"iap for cloud run app is not set up correctly", iapAuthor, "IAP says that it is not set up", "Grant IAP's service agent the invoker role on the service"},
	{"iap service account is not provisioned", iapAuthor, "IAP says that its service account is not provisioned", "Create IAP's service agent and grant it the invoker role"},
	{"signature_removed_by_google", container, "its verifier was handed a token whose signature Cloud Run had removed", signatureFix},
	{"firebase auth blocking token has incorrect", container, "the Firebase SDK in the function refused the audience of the token", "Register the URL whose audience the SDK expects (the run.app URL of the service)"},
	{"firebase id token has incorrect", container, "the Firebase SDK in the function refused the token that Cloud Run had accepted", "Do not check the token of IAM again as a Firebase user token"},
	{"do not belong to a permitted customer", "the IAM API", "an organization policy refused the binding, so the policy of the service did not change", "Turn the invoker IAM check off instead of binding allUsers, where the service is meant to be public"},
	{"the audience client and the client need to be in the same project", "Google's token endpoint", "it refused to mint the token, so nothing was sent to the service", "Use an OAuth client of the same project, or a service account"},
	{"jwt issuer is not configured", "the gateway", "its JWT check does not know the issuer", "Add the issuer to the gateway's security definitions, or drop the gateway's own check"},
	{"jwt verification fails", "the gateway", "its JWT check refused the token", "Send a token for the audience and issuer in the gateway's security definitions"},
	{"audiences in jwt are not allowed", "the gateway", "its JWT check refused the audience", "Add the audience to x-google-audiences of the gateway"},
	{"jwt is missing", "the gateway", "its JWT check found no bearer token", "Send the token as \"Authorization: Bearer TOKEN\""},
	{"jwt is expired", "the gateway", "its JWT check found the token expired", "Send a fresh token"},
	{"finished with status", container, "the function's own log shows that the handler ran", "Look at the function's code and logs: the request reached it"},
	{"does not have permission to get url", frontEnd, "its page says that the client may not get the URL", ""},
	{"does not have permission to the requested url", frontEnd, "its page says that the client has no permission to the requested URL", ""},
	{"the access token could not be verified", frontEnd, "it says that the access token could not be verified", ""},
	{"the request was not authenticated", frontEnd, "the log says that the request was not authenticated", ""},
	{"the request was not authorized to invoke this service", frontEnd, "the log says that the request was not authorized to invoke this service", ""},
	{"was not found on this server", frontEnd, "the body is Google's 404 page", ""},
	{"error 404 (not found)", frontEnd, "the body is Google's 404 page", ""},
	{"<title>404 page not found</title>", frontEnd, "the body is Google's 404 page", ""},
	{"access is forbidden", frontEnd, "its page says that access is forbidden, as ingress did in 2021", ""},
	{"there was no available instance", frontEnd, "the log says that no instance was available", ""},
	{"the instance could not start", frontEnd, "the log says that the instance could not start", ""},
}

// observedText is one piece of what was observed.
type observedText struct {
	text   string
	status int
	cite   evidence.Source
	log    bool
}

func (in *Invocation) observedTexts() []observedText {
	var out []observedText
	if r, ok := in.Response.Get(); ok {
		src := in.Response.Source
		for k, vs := range r.Header {
			out = append(out, observedText{k + ": " + strings.Join(vs, ", "), r.Status, src, false})
		}
		out = append(out, observedText{r.Body, r.Status, src, false})
	}
	for i, e := range in.Logs.Or(nil) {
		src := in.Logs.Source.At(fmt.Sprintf("/%d", i))
		out = append(out, observedText{e.Text, e.Status, src.At("/textPayload"), true},
			observedText{fmt.Sprint(e.JSON["statusDetails"], " ", e.JSON["message"]), e.Status, src.At("/jsonPayload"), true})
	}
	return out
}

// mentions reports whether an observed text has one of the phrases.
func (in *Invocation) mentions(phrases ...string) bool {
	for _, t := range in.observedTexts() {
		for _, p := range phrases {
			if strings.Contains(strings.ToLower(t.text), p) {
				return true
			}
		}
	}
	return false
}

// author says who wrote the observed answer.
func (in *Invocation) author() authorship {
	texts := in.observedTexts()
	for _, m := range marks {
		for _, t := range texts {
			if !strings.Contains(strings.ToLower(t.text), m.text) {
				continue
			}
			a := authorship{who: m.who, basis: m.basis, status: t.status, cite: t.cite}
			if m.fix != "" {
				a.fix = Fix{ID: "look-elsewhere", Summary: m.fix, Caution: "the service's own documents do not show this refusal, so the effect cannot be shown"}
			}
			return a
		}
	}
	return in.authorByShape()
}

// authorByShape judges an answer without a known text by its form.
func (in *Invocation) authorByShape() authorship {
	if r, ok := in.Response.Get(); ok {
		a := authorship{status: r.Status, cite: in.Response.Source}
		kind := r.Header.Get("Content-Type")
		switch {
		case signInRedirect(r.Status, r.Header):
			a.who, a.basis = iapAuthor, "a redirect to accounts.google.com, which plain Cloud Run never sends"
		case strings.Contains(r.Header.Get("Www-Authenticate"), `error="invalid_token"`) && strings.Contains(r.Header.Get("Www-Authenticate"), "could not be verified"):
			a.who, a.basis = frontEnd, "its WWW-Authenticate header"
		case strings.Contains(r.Body, "Permission '") && strings.Contains(r.Body, "' denied"):
			a.who, a.basis = "a Google API", "the body names a permission of the control plane, not of invocation"
		case strings.Contains(kind, "json") || strings.HasPrefix(strings.TrimSpace(r.Body), "{"):
			a.who, a.basis = container, "the body is JSON, and the front end answers in HTML"
		case r.Header.Get("X-Powered-By") != "" || r.Header.Get("Set-Cookie") != "":
			a.who, a.basis = container, "it sets headers that the front end does not"
		case r.Status > 0 && r.Status < 400:
			a.who, a.basis = container, fmt.Sprintf("the status is %d", r.Status)
		}
		if a.who == container && r.Status >= 400 {
			a.fix = Fix{ID: "look-elsewhere", Summary: "Look at the container's code and logs: the request reached it", Caution: "what the container answers is in no document of a case"}
		}
		if a.who != "" {
			return a
		}
	}
	return in.authorByLog()
}

// authorByLog knows the container's own refusals by the request log: those of
// the front end carry a text, and never an instance.
func (in *Invocation) authorByLog() authorship {
	for i, e := range in.Logs.Or(nil) {
		src := in.Logs.Source.At(fmt.Sprintf("/%d", i))
		switch {
		case e.Status >= 400 && e.Labels["instanceId"] != "":
			return authorship{container, "the request log names the instance that answered", e.Status, src, Fix{}}
		case e.Status > 0 && e.Status < 400 && strings.HasSuffix(e.LogName, "requests"):
			return authorship{container, fmt.Sprintf("the request log shows %d", e.Status), e.Status, src, Fix{}}
		}
	}
	return authorship{}
}

// perimeterViolation reports whether a log entry is the audit record of a
// VPC-SC refusal of an invocation.
func perimeterViolation(e evidence.LogEntry) bool {
	return strings.HasSuffix(e.LogName, "cloudaudit.googleapis.com%2Fpolicy") &&
		(e.Audit["methodName"] == "run.googleapis.com/HttpIngress" || e.Labels["method"] == "run.googleapis.com/HttpIngress")
}
