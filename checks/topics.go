package checks

import (
	"slices"
	"strings"
)

// A Topic explains one status that a caller sees: who answers it, why, and what
// to do first.
type Topic struct {
	Status     int
	Title      string
	Doc        string     // what it means, and why it happens
	First      string     // what to do first
	Logs       []string   // what Cloud Logging has, as far as it logs it
	Causes     []string   // IDs of the checks that lead to it, the most likely first
	Ref        string     // the page that states it, with its anchor where it is known
	Confidence Confidence // how sure it is
}

// troubleshooting is Google's page of errors; Cloud Logging names its anchors.
const troubleshooting = "https://docs.cloud.google.com/run/docs/troubleshooting"

// Topics returns the statuses that can be explained, in their order.
func Topics() []Topic { return slices.Clone(topics) }

var topics = []Topic{{
	Status: 302, Title: "redirected, before the container ran",
	Doc: `Two parts of Google redirect. IAP sends a caller without a valid session to accounts.google.com to sign in: the Location
header names that host. Cloud Run itself sends a request over http to the same URL over https. Plain Cloud Run with IAM never
redirects to a sign-in page.`,
	First: `Look at the Location header. For accounts.google.com, a program has to send an ID token for the audience that IAP expects.
For the same host with https, call https:// at once, because a client may drop the body or the Authorization header on the way.`,
	Causes: []string{"iap-credential", "route-https"}, Ref: iapHowTo, Confidence: Documented,
}, {
	Status: 400, Title: "the function did not understand the request",
	Doc: `Google's front end let the request in, and the container answered 400. For an event-driven function that is the Functions
Framework: it takes CloudEvents, and the request has no ce-id, ce-source, ce-type and ce-specversion headers. Every other 400 is
your own code's.`,
	First:  `Send a CloudEvent, publish a real event, or look at the function's log: the request is in it.`,
	Causes: []string{"trigger-kind"}, Ref: "https://docs.cloud.google.com/functions/docs/calling", Confidence: Documented,
}, {
	Status: 401, Title: "a credential was read and refused",
	Doc: `Google's front end answers 401 before your container runs. It has read the credential and does not accept it: the token is for
another audience, is expired, was not issued or signed by Google, was damaged, or is not an ID token at all (an OAuth access token,
for example). IAM was not asked: an account without the role gets 403, not 401.
The answer is an HTML page, with the header WWW-Authenticate: Bearer error="invalid_token". A 401 with a JSON body or another page
comes from your container, IAP, API Gateway or a proxy, which have rules of their own.`,
	First: `Run "diagnose token" on the token: it names the claim that is wrong. Then send an ID token that Google signed, whose audience
is the URL of the service.`,
	Logs:   []string{notAuthorized},
	Causes: []string{"token-audience", "credential-kind", "token-issuer", "token-expiry", "token-signature", "credential-header", "token-format", "token-issued-at", "iap-token"},
	Ref:    troubleshooting + "#401", Confidence: Documented,
}, {
	Status: 403, Title: "no credential, or one without permission",
	Doc: `Google's front end answers 403 before your container runs, in two cases that look the same: the request had no credential, or
it had a good ID token and the account does not have the permission run.routes.invoke on the service. Cloud Logging has the same
text, "not authenticated", for both, so that the answer alone cannot tell them apart.
The answer is an HTML page. A 403 with JSON comes from your container or a Google API; IAP, Cloud Armor and a VPC-SC perimeter
answer 403 too.`,
	First: `Find out which credential was sent. If there was none, send an ID token. If there was one, grant its account
roles/run.servicesInvoker on the Cloud Run service (on a gen1 function: roles/cloudfunctions.invoker).`,
	Logs: []string{notAuthenticated},
	Causes: []string{"access-granted", "credential-present", "access-role-effective", "access-resource", "access-condition", "access-member-live",
		"access-not-denied", "iap-passed", "iap-agent", "ingress-perimeter"},
	Ref: troubleshooting + "#unauthorized-client", Confidence: Documented,
}, {
	Status: 404, Title: "not found, or not reachable from where you call",
	Doc: `Google's front end answers 404 before it looks at a token, and logs nothing for the service. Either no service has this host, or
the service has it and its ingress setting does not admit a caller from where the request comes. No token changes that. A 404 that
is in the service's log comes from your container: its path is wrong.`,
	First: `Look for the request in the service's log. If it is not there, compare the host with the URLs of the service, and then look at
its ingress setting.`,
	Causes: []string{"ingress-source", "route-host", "route-path", "route-default-url", "service-traffic"},
	Ref:    troubleshooting + "#404", Confidence: Documented,
}, {
	Status: 429, Title: "no instance was free",
	Doc: `IAM let the request in, and all instances that max-instances allows were busy. Cloud Run waits for a while and then answers
429.`,
	First:  `Raise max-instances or the concurrency, or send fewer requests at once.`,
	Logs:   []string{"The request was aborted because there was no available instance."},
	Causes: []string{"service-ready"}, Ref: troubleshooting + "#abort-request", Confidence: Documented,
}, {
	Status: 500, Title: "the container failed, or could not start",
	Doc: `The request passed all of Google's checks. Either your code answered 500, and its log says why, or the instance could not start
and the log of requests says that. Neither IAM nor the token has to do with it.`,
	First:  `Read the service's log of the same moment.`,
	Logs:   []string{"The request failed because the instance could not start successfully."},
	Causes: []string{"service-ready", "function-state"}, Ref: troubleshooting, Confidence: Documented,
}, {
	Status: 503, Title: "the service is not ready, or its connection broke",
	Doc: `The request passed all of Google's checks. No revision is ready, the container stopped while it answered, or what it sent is
not HTTP.`,
	First:  `Look at the state of the newest revision, and at the container's log for a crash, or for too little memory.`,
	Logs:   []string{"The request failed because either the HTTP response was malformed or connection to the instance had an error."},
	Causes: []string{"service-ready", "function-state"}, Ref: troubleshooting, Confidence: Documented,
}}

// TopicOf returns the topic of a status.
func TopicOf(status int) (Topic, bool) {
	i := slices.IndexFunc(topics, func(t Topic) bool { return t.Status == status })
	if i < 0 {
		return Topic{}, false
	}
	return topics[i], true
}

// A Saying is a text of an answer or a log that tells who wrote it.
type Saying struct {
	Text   string // a part of it, in lower case
	Author string
	Basis  string // how the text tells: "the log says that …"
	Fix    string // what to do, "" where that depends on the evidence
}

// SayingOf finds what a text of an answer or a log tells. At least one of them
// has to be a part of the other, so that a few words are enough.
func SayingOf(text string) (Saying, bool) {
	text = strings.ToLower(strings.TrimSpace(text))
	if len(strings.Fields(text)) < 2 {
		return Saying{}, false
	}
	for _, m := range marks {
		if strings.Contains(text, m.text) || strings.Contains(m.text, text) {
			return Saying{m.text, m.who, m.basis, m.fix}, true
		}
	}
	return Saying{}, false
}

// TopicLogged returns the topic whose log text has a text in it, or is in it.
func TopicLogged(text string) (Topic, bool) {
	text = strings.ToLower(strings.TrimSpace(text))
	if len(strings.Fields(text)) < 2 {
		return Topic{}, false
	}
	for _, t := range topics {
		for _, l := range t.Logs {
			if l = strings.ToLower(l); strings.Contains(l, text) || strings.Contains(text, strings.TrimSuffix(l, ".")) || begins(text, l) {
				return t, true
			}
		}
	}
	return Topic{}, false
}

// begins reports whether a text has the first sentence of a log entry: Google
// changed what follows it.
func begins(text, logged string) bool {
	first, _, _ := strings.Cut(logged, ".")
	return strings.Contains(text, first)
}
