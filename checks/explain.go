package checks

import (
	"fmt"
	"slices"
	"strings"

	"cloud.google.com/go/run/apiv2/runpb"

	"diagnose/internal/evidence"
)

// A candidate is what could have written a status, and the check that decides
// it. Where the documents leave the check open, text is said; where they
// answer it well and yet the answer is another, stale says which of them may
// be out of date. A candidate without the one that fits is ruled out.
// https://docs.cloud.google.com/run/docs/troubleshooting
type candidate struct {
	check  string
	text   string
	stale  string
	gather []Command
	always bool // what no check decides: text is said in any case
	rare   bool // stands behind what is open
}

// explain lists what could have brought about an answer that the evidence does
// not account for: what the audit log shows, then what the documents leave
// open, then what they may be out of date about.
func (in *Invocation) explain(v *Verdict, o *Observation) []Explanation {
	out := slices.Concat(in.byChange(o), in.byBeside())
	if o.Author != "" && o.Author != frontEnd {
		return append(out, in.byOthers(v, o)...)
	}
	all := in.candidates(o)
	if o.Author == "" {
		all = in.withContainer(v, o, all)
	}
	var later []Explanation
	for _, c := range all {
		open := c.always || in.leavesOpen(v, c.check)
		switch {
		case open && c.text != "" && c.rare:
			later = append(later, Explanation{Text: c.text, Check: c.check, Gather: c.gather})
		case open && c.text != "":
			out = append(out, Explanation{Text: c.text, Check: c.check, Gather: c.gather})
		case !open && c.stale != "" && o.Agrees == Disagrees && in.answered(v, c.check):
			later = append(later, Explanation{Text: c.stale, Check: c.check, Gather: c.gather})
		}
	}
	return append(out, later...)
}

// byChange tells what the audit log shows of a 403: a grant that was taken
// away before the answer, or given after it.
func (in *Invocation) byChange(o *Observation) []Explanation {
	if o.Status != 403 || o.Author != "" && o.Author != frontEnd {
		return nil
	}
	if c, ok := in.lost(o.Time); ok {
		return []Explanation{{Text: c.String(), Check: accessGranted.ID, Cites: []evidence.Source{c.cite}}}
	}
	if c, ok := in.late(o.Time); ok {
		return []Explanation{{Text: "the answer is older than the grant: " + c.String(), Check: accessGranted.ID, Cites: []evidence.Source{c.cite}}}
	}
	return nil
}

// byBeside tells that a log entry beside the response is the container's, so
// that the response may be too.
func (in *Invocation) byBeside() []Explanation {
	b := in.seen.beside
	if !isContainer(b.who) || isContainer(in.wrote.who) {
		return nil
	}
	return []Explanation{{Text: fmt.Sprintf("the container wrote this answer, if %s is of the same request: %s", place(b.cite), b.basis),
		Check: answerOrigin.ID, Cites: []evidence.Source{b.cite}}}
}

// byOthers explains an answer that the front end did not write.
func (in *Invocation) byOthers(v *Verdict, o *Observation) []Explanation {
	out := []Explanation{{Text: fmt.Sprintf("%s wrote this answer: %s", o.Author, o.AuthorBasis), Check: answerOrigin.ID, Cites: []evidence.Source{in.wrote.cite}}}
	if o.Agrees == Disagrees {
		out = append(out, Explanation{Text: "the documents are newer or older than the answer, or it answers another request than the one judged"})
	}
	return out
}

// withContainer adds that the container may have answered, first where the
// documents let the request in anyway and the front end has no reason to
// refuse it.
func (in *Invocation) withContainer(v *Verdict, o *Observation, all []candidate) []candidate {
	own := candidate{check: answerOrigin.ID, text: "the container, or a proxy before it, gave its own answer", gather: []Command{in.requestLogs()}, always: true}
	if v.Decision == Allowed && (in.isPublic() || !slices.Contains([]int{401, 403}, o.Status)) {
		return append([]candidate{own}, all...)
	}
	if o.Status >= 400 {
		return append(all, own)
	}
	return all
}

// leavesOpen reports whether the documents leave a check open. What only
// supposes a correct credential answers nothing about the one that was sent.
func (in *Invocation) leavesOpen(v *Verdict, check string) bool {
	for _, f := range v.Findings {
		if f.Check != check {
			continue
		}
		ofToken := f.Gate == credentialGate.Name || f.Gate == tokenGate.Name
		supposed := ofToken && (in.sent.supposed || in.sent.config) && f.Outcome == Pass
		return supposed || f.Outcome == Unknown || f.Outcome == Fail || f.Outcome == Warn || f.Outcome == Pass && len(f.Assumes) > 0
	}
	return false
}

// answered reports whether the documents answer a check well.
func (in *Invocation) answered(v *Verdict, check string) bool {
	return slices.ContainsFunc(v.Findings, func(f Finding) bool { return f.Check == check && f.Outcome == Pass })
}

// candidates lists what usually brings about a status in this state of the
// service, the most likely first.
func (in *Invocation) candidates(o *Observation) []candidate {
	switch o.Status {
	case 401:
		return in.causes401(o)
	case 403:
		return in.causes403(o)
	case 404:
		return in.causes404(o)
	case 429, 500, 503:
		return []candidate{{check: serviceReady.ID, text: "no instance could serve; the request log says why", gather: []Command{in.requestLogs()}, always: true}}
	case 502, 504:
		return []candidate{{check: answerOrigin.ID, text: "the load balancer or the container timed out", gather: []Command{in.balancerLogs()}, always: true}}
	case 301, 302, 307, 308:
		return []candidate{
			{check: routeHTTPS.ID, text: "http is redirected to https"},
			{check: iapPassed.ID, text: "IAP sends the caller to sign in; plain Cloud Run never does", gather: in.describeService()},
		}
	}
	return nil
}

// elsewhereAnswered: the answer may be another service's.
func (in *Invocation) elsewhereAnswered() candidate {
	return candidate{check: routeHost.ID, text: "another service answered: the host, region or name is another one",
		stale: "another service answered than the one described: compare the URL that was called with " + in.documentWord(), gather: in.describe()}
}

// documentWord is the member of the case that describes the target.
func (in *Invocation) documentWord() string {
	if in.Service.Known() && !in.gen1 {
		return or(in.Service.Source.Document, "service.json")
	}
	return or(in.Function.Source.Document, "function.json")
}

func (in *Invocation) causes401(o *Observation) []candidate {
	token := []Command{{Argv: []string{"diagnose", "token", "TOKEN_FILE"}}}
	if in.isPublic() {
		return []candidate{in.notPublicThen(o), in.elsewhereAnswered()}
	}
	var out []candidate
	if in.firebaseClient() && !in.answeredByToken() {
		out = append(out, candidate{check: credentialKind.ID, always: true, gather: token,
			text: "the app sent its Firebase user token, which is no Google ID token: Cloud Run refuses it, whatever IAM grants"})
	}
	out = append(out,
		candidate{check: "token-audience", text: "the token's audience is not the service's", gather: token,
			stale: "another token was sent than the one given, for another audience; or " + in.documentWord() + " is out of date and a custom audience was removed"},
		candidate{check: "token-expiry", text: "the token has expired", gather: token},
		candidate{check: credentialKind.ID, text: "an access token or another credential that is no ID token was sent", gather: token,
			stale: "an access token or another credential was sent than the one given"},
		candidate{check: "token-issuer", text: "the token is of another issuer", gather: token},
		candidate{check: "token-signature", text: "the token was cut or changed on the way, so that its signature is wrong", gather: token},
		candidate{check: credentialHeader.ID, text: "a forwarded X-Serverless-Authorization overrides Authorization"},
	)
	if o.Author == "" {
		out = append(out, candidate{check: iapToken.ID, text: "IAP refused the token", gather: in.describeService()})
	}
	return append(out, in.elsewhereAnswered())
}

// firebaseClient reports whether the caller is, or looks like, an app with the
// Firebase SDK, whose users have Firebase tokens.
func (in *Invocation) firebaseClient() bool {
	agent := strings.ToLower(in.userAgent())
	return in.client == "firebase-sdk" || slices.ContainsFunc([]string{"firebase", "okhttp", "cfnetwork"}, func(s string) bool { return strings.Contains(agent, s) })
}

// answeredByToken reports whether the credential that was sent is known.
func (in *Invocation) answeredByToken() bool {
	return in.sent.known && !in.sent.supposed && !in.sent.config
}

// notPublicThen: what is public by the documents may not have been when it
// answered.
func (in *Invocation) notPublicThen(o *Observation) candidate {
	document, what := in.layers[0].document, "a deployment or an organization policy took the grant of allUsers away"
	if in.public.Binding != nil {
		document = in.layers[in.public.Binding.Layer].document
	} else {
		document, what = "service.json", "the invoker IAM check was on"
	}
	return candidate{check: accessPublic.ID, stale: fmt.Sprintf("the service was not public when it answered %d: %s may be out of date (%s)", o.Status, document, what),
		gather: []Command{in.changeLogs()}}
}

func (in *Invocation) causes403(o *Observation) []candidate {
	deny := candidate{check: accessNotDenied.ID, text: "a deny policy applies", stale: "a deny policy was made or changed since " + or(in.DenyPolicies.Source.Document, "deny-policies.json") + " was read",
		gather: []Command{in.denyCommand()}}
	if in.isPublic() {
		deny.rare = true
		return slices.Concat(in.byPerimeter(), in.byArmor(o), []candidate{deny, in.notPublicThen(o), in.elsewhereAnswered()})
	}
	if in.iap {
		return append([]candidate{{check: iapAgent.ID, text: "Cloud Run refused IAP's service agent, which does not have the invoker role",
			stale: "Cloud Run refused IAP's service agent: the policy may have changed since", gather: in.readPolicy(in.layers[0])}}, deny)
	}
	out := in.missingCredential()
	granted := candidate{check: accessGranted.ID, text: "the caller is known and does not have the permission", gather: in.readPolicy(in.layers[0]),
		stale: "the grant had not propagated, or the evidence is newer than the answer: a policy takes about two minutes, sometimes more than seven, a group longer"}
	out = append(out, granted)
	if in.answeredByToken() && in.sent.credential.Kind != 0 {
		out = append(out, candidate{check: credentialPresent.ID, stale: "the credential was lost on the way: a redirect or a proxy dropped Authorization", gather: []Command{in.requestLogs()}})
	}
	out = append(out, deny)
	if in.gen1 {
		out = append(out, candidate{check: accessBoundary.ID, text: "a principal access boundary blocks the caller"})
	}
	if o.Author == "" {
		out = append(out, candidate{check: iapPassed.ID, text: "IAP refused the caller", gather: in.describeService()})
	}
	return slices.Concat(out, in.byPerimeter(), in.byArmor(o), []candidate{in.elsewhereAnswered()})
}

// missingCredential: the front end writes one page, and logs one text, for no
// credential and for a known caller without the role.
func (in *Invocation) missingCredential() []candidate {
	switch {
	case in.sent.supposed && in.request.Principal != "":
		return []candidate{{check: credentialPresent.ID, always: true, gather: in.gatherCaller(),
			text: "no ID token was sent, or that of another caller: a 403 does not tell this from a missing role"}}
	case !in.sent.known:
		return []candidate{{check: credentialPresent.ID, always: true, gather: in.gatherCaller(),
			text: "no credential was sent: neither the page nor the log tells this from a missing role"}}
	}
	return nil
}

// byPerimeter: VPC-SC writes 403 where ingress is all, else 404. gen1 has no
// such check.
func (in *Invocation) byPerimeter() []candidate {
	if setting, _, known := in.ingress(); in.gen1 || known && setting != runpb.IngressTraffic_INGRESS_TRAFFIC_ALL {
		return nil
	}
	return []candidate{{check: ingressPerimeter.ID, always: true, rare: true, gather: []Command{in.auditLogs()},
		text: "a VPC-SC perimeter refused it: the policy audit log would show run.googleapis.com/HttpIngress"}}
}

// byArmor: Cloud Armor has pages of its own, and stands on a load balancer.
func (in *Invocation) byArmor(o *Observation) []candidate {
	if o.Author != "" || !in.mayBalance() {
		return nil
	}
	return []candidate{{check: answerOrigin.ID, always: true, rare: true, gather: []Command{in.balancerLogs()},
		text: "Cloud Armor refused it: the load balancer's log would show denied_by_security_policy"}}
}

// balanced reports whether the request is known to pass a load balancer or
// another proxy.
func (in *Invocation) balanced() bool {
	return in.host.Kind == customHost || in.origin == evidence.LoadBalancer || in.origin == evidence.InternalLoadBalancer
}

func (in *Invocation) mayBalance() bool { return in.balanced() || in.url == nil }

func (in *Invocation) causes404(o *Observation) []candidate {
	var out []candidate
	if in.balanced() {
		out = append(out, candidate{check: routeHost.ID, always: true, gather: []Command{in.balancerLogs()},
			text: "the load balancer, its URL mask or the domain mapping leads to another service or to none: the run.app URL would tell"})
	}
	document := in.documentWord()
	out = append(out, candidate{check: ingressSource.ID, text: "ingress does not admit the source; nothing is logged then", gather: in.describe(),
		stale: "ingress does not admit the source now: " + document + " may be out of date; nothing is logged then"})
	if !in.balanced() {
		out = append(out, in.wrongHosts()...)
	}
	out = append(out,
		candidate{check: routePath.ID, text: in.pathWord(), always: in.url == nil},
		candidate{check: serviceReady.ID, text: "the service was deleted, or was never in this region and project", gather: in.describe(),
			stale: "the service was deleted since: " + document + " may be out of date"},
		candidate{check: serviceTraffic.ID, text: "no revision has the tag of the host"},
	)
	setting, _, known := in.ingress()
	if restricted := !known || setting != runpb.IngressTraffic_INGRESS_TRAFFIC_ALL; restricted && !in.gen1 {
		out = append(out, candidate{check: ingressPerimeter.ID, always: true, rare: true, text: "a VPC-SC perimeter refused it", gather: []Command{in.auditLogs()}})
	}
	return out
}

// wrongHosts: the front end finds the service by the Host header.
func (in *Invocation) wrongHosts() []candidate {
	out := []candidate{{check: routeHost.ID, text: "the host, region or name is another one", gather: in.describe(),
		stale: "the host that was called, or the Host header that a proxy forwarded, is another one: the front end finds the service by it"}}
	if in.gen1 {
		return out
	}
	return append(out, candidate{check: routeDefaultURL.ID, text: "the default URL is off", gather: in.describeService(),
		stale: "the default URL was turned off since: " + in.documentWord() + " may be out of date"})
}

func (in *Invocation) pathWord() string {
	switch {
	case in.host.Kind == functionHost:
		return "the path does not name the function"
	case in.host.Kind == noHost || in.url != nil && in.url.Path == "/healthz":
		return "the exact path /healthz is the front end's own"
	}
	return ""
}
