package checks

import (
	"fmt"
	"slices"
)

// observedStatus is the status of the response, or else of the first log
// entry that has one.
func (in *Invocation) observedStatus() int {
	if r, ok := in.Response.Get(); ok && r.Status != 0 {
		return r.Status
	}
	for _, e := range in.Logs.Or(nil) {
		if e.Status != 0 {
			return e.Status
		}
	}
	return 0
}

// refusedByFrontEnd reports whether the front end was seen to answer with one
// of the statuses, which a public service does not get.
func (in *Invocation) refusedByFrontEnd(statuses ...int) bool {
	return slices.Contains(statuses, in.observedStatus()) && in.author().who == frontEnd
}

// observe compares the observed answer with the verdict, nil where none was
// observed.
func (in *Invocation) observe(v *Verdict) *Observation {
	if !in.Response.Known() && !in.Logs.Known() {
		return nil
	}
	a := in.author()
	o := &Observation{Status: in.observedStatus(), Author: a.who, AuthorBasis: a.basis}
	o.Agrees = in.agreement(v, o)
	if o.Agrees != Agrees {
		o.Explanations = in.explain(v, o)
	}
	return o
}

// agreement compares the observed answer with the expected one.
func (in *Invocation) agreement(v *Verdict, o *Observation) Agreement {
	same := false
	switch {
	case v.Expected == nil || o.Status == 0 && o.Author == "":
		return NotCompared
	case v.Expected.Status == 0:
		same = o.Author == container || o.Author == "" && o.Status < 400
	case o.Status == 0:
		same = o.Author == frontEnd
	default:
		same = (o.Status == v.Expected.Status || slices.Contains(v.Expected.Also, o.Status)) && o.Author != container
	}
	if same {
		return Agrees
	}
	return Disagrees
}

// explain lists what could have brought about an answer that the evidence does
// not account for, the most likely first.
func (in *Invocation) explain(v *Verdict, o *Observation) []Explanation {
	var out []Explanation
	if o.Author != "" && o.Author != frontEnd {
		out = append(out, Explanation{Text: fmt.Sprintf("%s wrote this answer: %s", o.Author, o.AuthorBasis), Check: "answer-origin"})
	}
	if v.Decision == Allowed && o.Status >= 400 {
		out = append(out, Explanation{Check: "access-granted", Gather: in.readPolicy(in.layers[0]),
			Text: "the grant had not propagated, or the evidence is newer than the answer: a policy takes about two minutes, sometimes more than seven, a group longer"})
	}
	for _, e := range in.usual(o.Status) {
		if in.possible(v, o, e.Check) {
			out = append(out, e)
		}
	}
	if o.Author != frontEnd && o.Status >= 400 {
		out = append(out, Explanation{"the container, or a proxy before it, gave its own answer", "answer-origin", []Command{in.requestLogs()}})
	}
	return out
}

// possible reports whether a check can still explain the answer: it has not
// passed on evidence, and what wrote the answer is known to be nothing else.
func (in *Invocation) possible(v *Verdict, o *Observation, check string) bool {
	if check == "answer-origin" && o.Author == frontEnd {
		return false
	}
	for _, f := range v.Findings {
		if f.Check == check {
			return f.Outcome == Unknown || f.Outcome == Fail || f.Outcome == NotApplicable || v.Decision == Allowed && f.Outcome == Warn
		}
	}
	return true
}

// usual lists what usually brings about a status, the most likely first, with
// the document to fetch next for each. Sources:
// https://docs.cloud.google.com/run/docs/troubleshooting.
func (in *Invocation) usual(status int) []Explanation {
	policy, token := in.readPolicy(in.layers[0]), []Command{{Argv: []string{"diagnose", "token", "TOKEN_FILE"}}}
	switch status {
	case 401:
		return []Explanation{
			{"the token's audience is not the service's", "token-audience", token},
			{"the token has expired", "token-expiry", token},
			{"an access token or another credential that is no ID token was sent", "credential-kind", token},
			{"the token is of another issuer", "token-issuer", token},
			{"a forwarded X-Serverless-Authorization overrides Authorization", "credential-header", nil},
		}
	case 403:
		return []Explanation{
			{"no credential was sent: neither the page nor the log tells this from a missing role", "credential-present", in.gatherCaller()},
			{"the caller is known and lacks the permission", "access-granted", policy},
			{"a deny policy applies", "access-not-denied", []Command{gcloud("iam", "policies", "list", "--attachment-point=cloudresourcemanager.googleapis.com/projects/"+in.projectWord(), "--kind=denypolicies", "--format=json")}},
			{"a VPC-SC perimeter refused it: the policy audit log would show run.googleapis.com/HttpIngress", "ingress-perimeter", []Command{in.auditLogs()}},
			{"Cloud Armor refused it: the load balancer's log would show denied_by_security_policy", "answer-origin", []Command{in.balancerLogs()}},
		}
	case 404:
		return []Explanation{
			{"ingress does not admit the source; nothing is logged then", "ingress-source", in.describe()},
			{"the host, region or name is another one", "route-host", in.describe()},
			{"the default URL is off", "route-default-url", in.describeService()},
			{"the exact path /healthz is the front end's own", "route-path", nil},
			{"a VPC-SC perimeter refused it", "ingress-perimeter", []Command{in.auditLogs()}},
		}
	case 429, 500, 503:
		return []Explanation{{"no instance could serve; the request log says why", "service-ready", []Command{in.requestLogs()}}}
	case 502, 504:
		return []Explanation{{"the load balancer or the container timed out", "answer-origin", []Command{in.balancerLogs()}}}
	case 302:
		return []Explanation{{"IAP sends the caller to sign in; plain Cloud Run never does", "iap-passed", in.describeService()}}
	}
	return nil
}

func (in *Invocation) logs(filter string) Command {
	words := []string{"logging", "read", filter, "--limit=5", "--format=json"}
	if in.name.Project != "" {
		words = append(words, "--project="+in.name.Project)
	}
	return gcloud(words...)
}

func (in *Invocation) requestLogs() Command {
	if in.gen1 {
		return in.logs(fmt.Sprintf(`resource.type="cloud_function" resource.labels.function_name=%q`, in.functionWord()))
	}
	return in.logs(fmt.Sprintf(`resource.type="cloud_run_revision" resource.labels.service_name=%q httpRequest.status>=400`, in.serviceWord()))
}

func (in *Invocation) auditLogs() Command {
	return in.logs(`log_id("cloudaudit.googleapis.com/policy") protoPayload.methodName="run.googleapis.com/HttpIngress"`)
}

func (in *Invocation) balancerLogs() Command {
	return in.logs(`resource.type="http_load_balancer" jsonPayload.statusDetails:*`)
}
