package checks

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"diagnose/internal/evidence"
)

// The authors of answers. The front end judges the invocation; IAP and the
// others stand in front of it.
const (
	frontEnd     = "Google's front end"
	iapAuthor    = "IAP"
	cloudArmor   = "Cloud Armor"
	gateway      = "the API gateway"
	loadBalancer = "the load balancer"
	tokenService = "Google's token endpoint"
	googleAPI    = "a Google API"
	container    = "the container"
	framework    = "the functions framework in the container"
)

// An authorship says who wrote an observed answer, and what tells. The zero
// authorship is of nobody known.
type authorship struct {
	who   string
	basis string
	cite  evidence.Source
	fix   Fix
}

// isContainer reports whether an author runs in the container, so that what it
// answers has passed every gate.
func isContainer(who string) bool { return who == container || who == framework }

// refused reports whether something in front of the service gave the observed
// answer, so that the request did not reach the container.
func (in *Invocation) refused() bool {
	status := in.seen.status
	stopped := status == 0 || status >= 400 || status >= 300 && in.wrote.who == iapAuthor
	return stopped && slices.Contains([]string{iapAuthor, cloudArmor, gateway, loadBalancer, tokenService}, in.wrote.who)
}

// A mark is a text by which the author of an answer is known. Texts are
// compared without case.
type mark struct {
	text  string
	who   string
	basis string
	fix   string // what to do, "" where the judgement of the evidence says it
}

const (
	signatureFix = "Verify a token that Cloud Run did not consume: send a second copy in another header, or trust the claims behind the invoker check"
	eventFix     = "Send a CloudEvent: headers ce-id, ce-source, ce-type and ce-specversion"
	proxyFix     = "Look at the web server in the container: the request reached it"
)

// marks is in the order of how much a text tells: an application that quotes
// the front end's words has its own words too.
var marks = []mark{
	{"denied_by_security_policy", cloudArmor, "the load balancer logged statusDetails denied_by_security_policy", "Tune or remove the rule of the security policy that matched; enforcedSecurityPolicy in the log names it"},
	{"handled_by_identity_aware_proxy", iapAuthor, "the load balancer logged statusDetails handled_by_identity_aware_proxy", "Pass IAP on the load balancer: sign in, or send an ID token for IAP's OAuth client"},
	{"invalid iap credentials", iapAuthor, "the body says Invalid IAP credentials", "Mint an ID token with an e-mail claim for the audience that IAP expects"},
	{"x-goog-iap-generated-response", iapAuthor, "the header X-Goog-IAP-Generated-Response", "Grant the caller roles/iap.httpsResourceAccessor"},
	{iapNotSetUp[0], iapAuthor, "IAP says that it is not set up", "Grant IAP's service agent the invoker role on the service"},
	{iapNotSetUp[1], iapAuthor, "IAP says that its service account is not provisioned", "Create IAP's service agent and grant it the invoker role"},
	{"signature_removed_by_google", container, "its verifier was handed a token whose signature Cloud Run had removed", signatureFix},
	{"firebase auth blocking token has incorrect", container, "the Firebase SDK in the function refused the audience of the token", "Register the URL whose audience the SDK expects (the run.app URL of the service)"},
	{"firebase id token has incorrect", container, "the Firebase SDK in the function refused the token that Cloud Run had accepted", "Do not check the token of IAM again as a Firebase user token"},
	{"did not receive a cloudevent as a request", framework, "it says that the request is no CloudEvent", eventFix},
	{"do not belong to a permitted customer", googleAPI, "an organization policy refused the binding, so the policy of the service did not change", "Turn the invoker IAM check off instead of binding allUsers, where the service is meant to be public"},
	{"the audience client and the client need to be in the same project", tokenService, "it refused to mint the token, so nothing was sent to the service", "Use an OAuth client of the same project, or a service account"},
	{"jwt issuer is not configured", gateway, "its JWT check does not know the issuer", "Add the issuer to the gateway's security definitions, or drop the gateway's own check"},
	{"jwt verification fails", gateway, "its JWT check refused the token", "Send a token for the audience and issuer in the gateway's security definitions"},
	{"audiences in jwt are not allowed", gateway, "its JWT check refused the audience", "Add the audience to x-google-audiences of the gateway"},
	{"jwt is missing", gateway, "its JWT check found no bearer token", "Send the token as \"Authorization: Bearer TOKEN\""},
	{"jwt is expired", gateway, "its JWT check found the token expired", "Send a fresh token"},
	{"method doesn't allow unregistered callers", gateway, "it asks for an API key", "Send the API key that the gateway's definition asks for"},
	{"finished with status", container, "the function's own log shows that the handler ran", "Look at the function's code and logs: the request reached it"},
	{"<address>apache", container, "its page is Apache's, and the front end has its own", proxyFix},
	{"<center>nginx", container, "its page is nginx's, and the front end has its own", proxyFix},
	{"does not have permission to get url", frontEnd, "its page says that the client may not get the URL", ""},
	{"does not have permission to the requested url", frontEnd, "its page says that the client has no permission to the requested URL", ""},
	{"the access token could not be verified", frontEnd, "it says that the access token could not be verified", ""},
	{"the request was not authenticated", frontEnd, "the log says that the request was not authenticated", ""},
	{"the request was not authorized to invoke this service", frontEnd, "the log says that the request was not authorized to invoke this service", ""},
	{"was not found on this server", frontEnd, "the body is Google's 404 page", ""},
	{"error 404 (", frontEnd, "the body is Google's 404 page", ""},
	{"<title>404 page not found</title>", frontEnd, "the body is Google's 404 page", ""},
	{"access is forbidden", frontEnd, "its page says that access is forbidden, as ingress did in 2021", ""},
	{"there was no available instance", frontEnd, "the log says that no instance was available", ""},
	{"the instance could not start", frontEnd, "the log says that the instance could not start", ""},
	{"the http response was malformed or connection to the instance", frontEnd, "the log says that the connection to the instance broke", ""},
}

// in reports whether a text has the mark. The front end and IAP write no JSON
// and nothing into the log of a container: there their words are quoted.
func (m mark) in(t observedText) bool {
	if t.quoted && (m.who == frontEnd || m.who == iapAuthor || t.log && m.who != container) {
		return false
	}
	return strings.Contains(strings.ToLower(t.text), m.text)
}

// author says who wrote the observed answer.
func (in *Invocation) author() authorship {
	var a authorship
	switch s := in.seen; {
	case s.entry != nil:
		a = in.byEntry(s)
	case s.response != nil:
		if a = in.byMark(s.texts()); a.who == "" {
			a = in.byShape(*s.response)
		}
	}
	if a.cite.Document == "" {
		a.cite = in.seen.source
	}
	if isContainer(a.who) && a.fix.ID == "" && in.seen.status >= 400 {
		a.fix = elsewhere("Look at the container's code and logs: the request reached it")
	}
	return a
}

// byEntry says who wrote the answer that a log entry shows.
func (in *Invocation) byEntry(s sighting) authorship {
	a := in.byMark(s.texts())
	if a.who == "" {
		a = byLog(*s.entry)
		a.cite = s.source
	}
	return a
}

func elsewhere(what string) Fix {
	return Fix{ID: "look-elsewhere", Summary: what, Caution: "diagnose cannot check this: the service's own documents do not show it"}
}

func (in *Invocation) byMark(texts []observedText) authorship {
	for _, m := range marks {
		for _, t := range texts {
			if !m.in(t) {
				continue
			}
			a := authorship{who: m.who, basis: m.basis, cite: t.cite}
			if m.fix != "" {
				a.fix = elsewhere(m.fix)
			}
			return a
		}
	}
	return authorship{}
}

// byShape judges a response without a known text by its form.
func (in *Invocation) byShape(r evidence.Response) authorship {
	switch {
	case signInRedirect(r.Status, r.Header):
		return authorship{who: iapAuthor, basis: "a redirect to accounts.google.com, which plain Cloud Run never sends"}
	case r.Status/100 == 3 && in.upgradesToHTTPS(r.Header):
		return authorship{who: frontEnd, basis: "a redirect to the same URL over https"}
	case strings.Contains(r.Body, "Permission '") && strings.Contains(r.Body, "' denied"):
		return authorship{who: googleAPI, basis: "the body names a permission of the control plane, not of invocation"}
	case in.host.Kind == googleAPIHost || in.host.Kind == noHost && apiError(r.Body):
		return authorship{who: googleAPI, basis: "the answer is an error of a Google API, and the call no invocation"}
	case isJSON(r):
		return authorship{who: container, basis: "the body is JSON, and the front end answers in HTML"}
	case r.Header.Get("X-Powered-By") != "":
		return authorship{who: container, basis: "it sets X-Powered-By, which the front end does not"}
	case ownCookie(r):
		return authorship{who: container, basis: "it sets a cookie, which the front end does not"}
	case r.Status/100 == 2:
		return authorship{who: container, basis: fmt.Sprintf("the status is %d", r.Status)}
	case r.Status/100 == 3 && r.Header.Get("Location") != "" && in.url != nil && in.url.Scheme == "https":
		return authorship{who: container, basis: "the front end redirects http only"}
	}
	return authorship{}
}

// apiError reports whether a body is an error as Google's APIs write it:
// https://google.aip.dev/193.
func apiError(body string) bool {
	var e struct {
		Error struct {
			Code   int
			Status string
		}
	}
	return json.Unmarshal([]byte(body), &e) == nil && e.Error.Code >= 400 && e.Error.Status != ""
}

// googleCookies are set by load balancers, IAP and session affinity, not by
// the container.
var googleCookies = []string{"GCLB=", "GCILB=", "GAESA=", "GCP_IAP", "__Host-GCP_IAP"}

func ownCookie(r evidence.Response) bool {
	return slices.ContainsFunc(r.Header["Set-Cookie"], func(c string) bool {
		return !slices.ContainsFunc(googleCookies, func(g string) bool { return strings.HasPrefix(c, g) })
	})
}

// balancerFailures are the statusDetails of answers that the load balancer
// itself gives:
// https://docs.cloud.google.com/load-balancing/docs/https/https-logging-monitoring.
var balancerFailures = []string{"failed_to_", "backend_timeout", "backend_connection_closed_before", "internal_error",
	"request_overall_timeout", "headers_too_long", "uri_too_long", "unsupported_method"}

// byLog judges an entry of a request log. The refusals of the front end have a
// text, and never an instance.
func byLog(e evidence.LogEntry) authorship {
	details := fmt.Sprint(e.JSON["statusDetails"])
	ours := strings.HasSuffix(e.LogName, "run.googleapis.com%2Frequests")
	switch {
	case slices.ContainsFunc(balancerFailures, func(f string) bool { return strings.HasPrefix(details, f) }):
		return authorship{who: loadBalancer, basis: "it logged statusDetails " + details, fix: elsewhere("Look at the load balancer's backend and its timeout")}
	case e.Status >= 400 && e.Labels["instanceId"] != "":
		return authorship{who: container, basis: "the request log names the instance that answered"}
	case ours && e.Status/100 == 2, ours && e.Status/100 == 3 && !strings.HasPrefix(e.URL, "http:"):
		return authorship{who: container, basis: fmt.Sprintf("the request log shows %d", e.Status)}
	}
	return authorship{}
}
