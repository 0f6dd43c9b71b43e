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
	o.Agrees = in.agrees(v, o)
	if v.Decision == Undetermined || !o.Agrees {
		o.Explanations = in.explain(v, o)
	}
	return o
}

// agrees reports whether the observed answer is the one to expect.
func (in *Invocation) agrees(v *Verdict, o *Observation) bool {
	switch {
	case v.Expected == nil || o.Status == 0:
		return v.Expected != nil && o.Status == 0 && o.Author == ""
	case v.Expected.Status == 0:
		return o.Author == "the container" || (o.Author == "" && o.Status < 400)
	}
	return (o.Status == v.Expected.Status || slices.Contains(v.Expected.Also, o.Status)) && o.Author != "the container"
}

// explain lists what could have brought about an answer that the evidence does
// not account for, the most likely first.
func (in *Invocation) explain(v *Verdict, o *Observation) []Explanation {
	var out []Explanation
	add := func(check, text string, gather ...Command) { out = append(out, Explanation{text, check, gather}) }
	policy, token := in.readPolicy(in.layers[0]), []Command{{Argv: []string{"diagnose", "token", "TOKEN_FILE"}}}
	if o.Author != "" && o.Author != frontEnd {
		add("answer-origin", fmt.Sprintf("%s wrote this answer: %s", o.Author, o.AuthorBasis))
	}
	if v.Decision == Undetermined {
		for _, f := range v.Findings {
			if f.Outcome == Unknown && len(f.Assumes) == 0 && f.Check != "answer-origin" {
				add(f.Check, f.Message, f.Gather...)
			}
		}
	}
	if v.Decision == Allowed && o.Status >= 400 {
		add("access-granted", "the evidence is newer than the answer, or the grant had not propagated yet: a policy takes about two minutes, sometimes more than seven, a group longer", policy...)
	}
	if o.Author != frontEnd && o.Status >= 400 {
		add("answer-origin", "the container, or a proxy before it, gave its own answer", in.requestLogs())
	}
	switch o.Status {
	case 401:
		add("token-audience", "the token's audience is not the service's, or it has expired", token...)
		add("credential-kind", "an access token or a token of another issuer was sent", token...)
		add("credential-header", "a forwarded X-Serverless-Authorization overrides Authorization")
	case 403:
		add("credential-present", "no credential was sent: the log does not tell this from a missing role")
		add("access-granted", "the caller is known and lacks the permission", policy...)
		add("access-not-denied", "a deny policy applies", gcloud("iam", "policies", "list", "--attachment-point=cloudresourcemanager.googleapis.com/projects/"+in.projectWord(), "--kind=denypolicies"))
		add("ingress-perimeter", "a VPC-SC perimeter refused it; the policy audit log would show run.googleapis.com/HttpIngress", in.auditLogs())
		add("answer-origin", "Cloud Armor refused it; the load balancer's log would show denied_by_security_policy", in.balancerLogs())
	case 404:
		add("ingress-source", "ingress does not admit the source; nothing is logged then", in.describe()...)
		add("route-host", "the host, region or function name is another one", in.describe()...)
		add("route-default-url", "the default URL is off", in.describeService()...)
		add("route-path", "the exact path /healthz is the front end's own")
		add("ingress-perimeter", "a VPC-SC perimeter refused it", in.auditLogs())
		add("answer-origin", "the container has no such route; its request log would show it", in.requestLogs())
	case 429, 500, 503:
		add("service-ready", "no instance could serve; the request log says why", in.requestLogs())
	case 502, 504:
		add("answer-origin", "the load balancer or the container timed out", in.balancerLogs())
	case 302:
		add("iap-passed", "IAP sends the caller to sign in; plain Cloud Run never does", in.describeService()...)
	}
	return distinctExplanations(out)
}

func distinctExplanations(list []Explanation) []Explanation {
	var out []Explanation
	for _, e := range list {
		if !slices.ContainsFunc(out, func(o Explanation) bool {
			return o.Check == e.Check && (o.Text == e.Text || e.Check != "answer-origin")
		}) {
			out = append(out, e)
		}
	}
	return out
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
