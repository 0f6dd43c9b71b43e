package checks

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"diagnose/internal/credential"
	"diagnose/internal/evidence"
	"diagnose/internal/gcp"
)

// candidates lists what usually brings about a status in this state of the
// service, the most likely first.
// https://docs.cloud.google.com/run/docs/troubleshooting
func (in *Invocation) candidates(o *Observation) []candidate {
	switch o.Status {
	case 401:
		return in.causes401(o)
	case 403:
		return in.causes403(o)
	case 404:
		return in.causes404()
	case 429, 500, 503:
		return []candidate{surely(serviceReady, "no instance could serve; the request log says why", in.requestLogs()...)}
	case 502, 504:
		return []candidate{surely(answerOrigin, "the load balancer or the container timed out", in.balancerLogs()...)}
	case 301, 302, 307, 308:
		return []candidate{
			perhaps(routeHTTPS, "http is redirected to https"),
			perhaps(iapPassed, "IAP sends the caller to sign in; plain Cloud Run never does", in.describeService()...),
		}
	}
	return nil
}

// otherService: the answer may be another service's.
func (in *Invocation) otherService() candidate {
	return perhaps(routeHost, "another service answered: the host, region or name is wrong", in.describe()...).
		outdated("another service answered: compare the URL that was called with " + in.describedBy())
}

// describedBy is the member of the case that describes the target.
func (in *Invocation) describedBy() string {
	if in.Service.Known() && !in.gen1 {
		return cmp.Or(in.Service.Source.Document, "service.json")
	}
	return cmp.Or(in.Function.Source.Document, "function.json")
}

func (in *Invocation) causes401(o *Observation) []candidate {
	token := Command{Argv: []string{"diagnose", "token", "TOKEN_FILE"}}
	if in.isPublic() {
		return []candidate{in.notPublicThen(o), in.otherService()}
	}
	var out []candidate
	if in.firebaseClient() && !in.credentialKnown() {
		out = append(out, surely(credentialKind, "the app sent its Firebase user token, which is not a Google ID token: "+
			"Cloud Run refuses it, whatever IAM grants", token))
	}
	out = append(out,
		perhaps(tokenAudience, "the token is for another service", token).
			outdated("the caller sent a different token than the one given; or "+in.describedBy()+
				" is out of date, and a custom audience was removed"),
		perhaps(tokenExpiry, "the token has expired", token),
		perhaps(credentialKind, "the caller sent an access token or another credential that is not an ID token", token).
			outdated("the caller sent a different credential than the one given"),
		perhaps(tokenIssuer, "Google did not issue the token", token),
		perhaps(tokenSignature, "the token was cut or changed on the way, so its signature is wrong", token),
		perhaps(credentialHeader, "a forwarded X-Serverless-Authorization overrides Authorization"),
	)
	if o.Author == "" {
		out = append(out, perhaps(iapToken, "IAP refused the token", in.describeService()...))
	}
	return append(out, in.otherService())
}

// firebaseClient reports whether the caller is, or looks like, an app with the
// Firebase SDK, whose users have Firebase tokens.
func (in *Invocation) firebaseClient() bool {
	agent := strings.ToLower(in.userAgent())
	looks := func(name string) bool { return strings.Contains(agent, name) }
	return in.client == "firebase-sdk" || slices.ContainsFunc([]string{"firebase", "okhttp", "cfnetwork"}, looks)
}

// credentialKnown reports whether it is known what was sent.
func (in *Invocation) credentialKnown() bool {
	return in.sent.known && !in.sent.supposed && !in.sent.config
}

// notPublicThen: what is public by the documents may not have been when it
// answered.
func (in *Invocation) notPublicThen(o *Observation) candidate {
	document, what := "service.json", "the invoker IAM check was on"
	if b := in.public.Binding; b != nil {
		document = in.layers[b.Layer].document
		what = "a deployment or an organization policy removed the grant to allUsers"
	}
	return perhaps(accessPublic, "", in.changeLogs()...).outdated(fmt.Sprintf(
		"the service was not public when it answered %d: %s may be out of date (%s)", o.Status, document, what))
}

func (in *Invocation) causes403(o *Observation) []candidate {
	deny := perhaps(accessNotDenied, "a deny policy applies", in.readDenyPolicies()...).
		outdated("a deny policy was made or changed since deny-policies.json was read")
	switch {
	case in.isPublic():
		deny.rare = true
		return slices.Concat(in.byPerimeter(), in.byArmor(o), []candidate{deny, in.notPublicThen(o), in.otherService()})
	case in.iap:
		agent := perhaps(iapAgent, "Cloud Run refused IAP's service agent, which does not have the invoker role",
			in.readPolicy(in.layers[0])...)
		return []candidate{agent.outdated("Cloud Run refused IAP's service agent: the policy has changed since"), deny}
	}
	out := append(in.missingCredential(), perhaps(accessGranted, "the caller does not have the permission",
		in.readPolicy(in.layers[0])...).outdated("the grant had not propagated, or the evidence is newer than the answer: "+
		"a policy takes about two minutes, sometimes more than seven, a group longer"))
	if in.credentialKnown() && in.sent.credential.Kind != credential.None {
		out = append(out, perhaps(credentialPresent, "", in.requestLogs()...).
			outdated("the credential was lost on the way: a redirect or a proxy dropped Authorization"))
	}
	out = append(out, deny)
	if in.gen1 {
		out = append(out, perhaps(accessBoundary, "a principal access boundary blocks the caller"))
	}
	if o.Author == "" {
		out = append(out, perhaps(iapPassed, "IAP refused the caller", in.describeService()...))
	}
	return slices.Concat(out, in.byPerimeter(), in.byArmor(o), []candidate{in.otherService()})
}

// missingCredential: the front end writes one page, and logs one text, for no
// credential and for a known caller without the role.
func (in *Invocation) missingCredential() []candidate {
	entry := cmp.Or(in.seen.entry, in.seen.twin)
	switch {
	case entry != nil && entry.Method == http.MethodOptions:
		return []candidate{surely(credentialPresent, "the refused request is a CORS preflight (OPTIONS), which never has a credential")}
	case in.sent.supposed && in.request.Principal != "":
		return []candidate{surely(credentialPresent, "the caller sent no ID token, or the token of someone else: "+
			"a 403 looks the same for a missing role", in.gatherCaller()...)}
	case !in.sent.known:
		return []candidate{surely(credentialPresent, "the caller sent no credential: the page and the log look the same "+
			"for a missing role", in.gatherCaller()...)}
	}
	return nil
}

// perimeterWrites reports whether a VPC-SC perimeter can write a status: 403
// where ingress is all, else 404. gen1 has no such check.
func (in *Invocation) perimeterWrites(status int) bool {
	setting, _, known := in.ingress()
	all := setting == gcp.IngressAll
	return !in.gen1 && (!known || all == (status == 403))
}

func (in *Invocation) byPerimeter() []candidate {
	if !in.perimeterWrites(403) {
		return nil
	}
	return []candidate{seldom(ingressPerimeter, "a VPC-SC perimeter refused it: the policy audit log shows that "+
		"run.googleapis.com/HttpIngress", in.auditLogs()...)}
}

// byArmor: Cloud Armor has pages of its own, and stands on a load balancer.
func (in *Invocation) byArmor(o *Observation) []candidate {
	if o.Author != "" || !in.balanced() && in.url != nil {
		return nil
	}
	return []candidate{seldom(answerOrigin, "Cloud Armor refused it: the load balancer's log shows that "+
		"denied_by_security_policy", in.balancerLogs()...)}
}

// balanced reports whether the request is known to pass a load balancer or
// another proxy.
func (in *Invocation) balanced() bool {
	return in.host.Kind == gcp.CustomHost || in.origin == evidence.LoadBalancer || in.origin == evidence.InternalLoadBalancer
}

func (in *Invocation) causes404() []candidate {
	var out []candidate
	document := in.describedBy() + " may be out of date"
	if in.balanced() {
		out = append(out, surely(routeHost, "the load balancer, its URL mask or the domain mapping leads to another service "+
			"or to none: try the run.app URL", in.balancerLogs()...))
	}
	out = append(out, perhaps(ingressSource, "ingress does not admit the source; nothing is logged then",
		in.describe()...))
	if !in.balanced() {
		out = append(out, perhaps(routeHost, "the host, region or name is wrong", in.describe()...).
			outdated("the caller used a wrong host, or a proxy forwarded a wrong Host header: "+
				"Google finds the service by that name"))
	}
	path := perhaps(routePath, in.pathWord())
	path.always = in.url == nil
	out = append(out, path, perhaps(serviceReady, "the service was deleted, or was never in this region and project",
		in.describe()...).outdated("the service was deleted since: "+document))
	if !in.balanced() && !in.gen1 {
		out = append(out, perhaps(routeDefaultURL, "the default URL is off", in.describeService()...).
			outdated("the default URL was turned off since: "+document))
	}
	out = append(out,
		perhaps(ingressSource, "", in.describe()...).
			outdated("ingress no longer admits the source: "+document+"; nothing is logged then"),
		perhaps(serviceTraffic, "no revision has the tag of the host"))
	if in.perimeterWrites(404) {
		out = append(out, seldom(ingressPerimeter, "a VPC-SC perimeter refused it", in.auditLogs()...))
	}
	return out
}

func (in *Invocation) pathWord() string {
	switch {
	case in.host.Kind == gcp.FunctionsHost:
		return "the path does not name the function"
	case in.host.Kind == gcp.NoHost || in.url != nil && in.url.Path == "/healthz":
		return "Google's front end keeps the exact path /healthz for itself"
	}
	return ""
}
