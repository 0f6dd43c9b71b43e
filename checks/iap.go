package checks

import (
	"fmt"
	"net/http"
	"strings"

	"diagnose/internal/credential"
	"diagnose/internal/evidence"
	"diagnose/internal/iam"
)

var iapGate = Gate{"iap", "302, 401, 403", []Check{iapPassed, iapAgent}}

// iapOff answers where IAP is off, or not known to be on.
func (in *Invocation) iapOff() (Finding, bool) {
	switch {
	case in.gen1:
		return notApplicable("IAP is not offered on a gen1 function"), true
	case in.iap:
		return Finding{}, false
	case in.Service.Known():
		return notApplicable("IAP is off on the service"), true
	}
	return assume("the service was not read", "IAP is off on the service", in.describeService()...), true
}

var iapPassed = Check{
	ID:    "iap-passed",
	Title: "IAP lets the caller through",
	Doc: `With IAP on, IAP alone judges the caller, on every URL of the service: the person needs
roles/iap.httpsResourceAccessor, not run.invoker. A browser without a session is sent to sign in; a program sends an ID
token with an e-mail claim. Scheduler, Pub/Sub and Eventarc may fail.`,
	Ref:        "https://docs.cloud.google.com/run/docs/securing/identity-aware-proxy-cloud-run",
	Confidence: Documented,
	Run: func(in *Invocation) Finding {
		if f, off := in.iapOff(); off {
			return f
		}
		f := in.passIAP()
		if !in.service().GetIapEnabled() && (f.Outcome == Fail || f.Outcome == Pass) {
			f.Assumes = append(f.Assumes, Assumption{Text: "IAP stands before the service, as the observed answer shows", Gather: in.describeService()})
		}
		return f
	},
}

func (in *Invocation) passIAP() Finding {
	cite, c := in.Service.Source.At("/iapEnabled"), in.sent.credential
	switch {
	case !in.sent.known:
		return unknown("IAP is on, and it is not known what the request carries", in.gatherCaller()...)
	case c.Kind == credential.None:
		f := fail("IAP is on and the request carries no credential, so it is sent to sign in", Answer{Status: 302, Also: []int{401}, Location: "https://accounts.google.com/"}, cite)
		f.Fixes = in.iapSignIn()
		return f
	case c.Kind != credential.IDToken && c.Kind != credential.SelfSigned:
		f := fail(fmt.Sprintf("IAP is on and takes no %s", c.Kind), Answer{Status: 401}, cite, in.sent.source)
		f.Fixes = in.iapSignIn()
		return f
	case c.Claims.Email == "" && c.Kind == credential.IDToken:
		f := fail("IAP needs the email claim, and the token has none", Answer{Status: 401}, cite, in.sent.source)
		f.Fixes = in.mint()
		return f
	}
	return in.iapAccess(cite)
}

// iapAccess asks the policies that were read for the accessor role. IAP's own
// policy on the service is no member of a case.
func (in *Invocation) iapAccess(cite evidence.Source) Finding {
	a := in.allow(iam.AccessViaIAP, in.identity)
	for _, b := range a.Bindings {
		if b.State == iam.Granted {
			return pass(fmt.Sprintf("%s may pass IAP through %s on %s", subject(in.principal), b.Role, in.layers[b.Layer].Resource), in.cite(b))
		}
	}
	f := unknown(fmt.Sprintf("IAP is on, and whether %s may pass it is in the policy of IAP, which is not part of the evidence", subject(in.principal)),
		in.located("iap", "web", "get-iam-policy", "--resource-type=cloud-run", "--service="+in.serviceWord(), "--format=json"))
	f.Cites = []evidence.Source{cite}
	if in.principal != "" {
		f.Fixes = []Fix{{ID: "grant-iap-accessor", Summary: "Grant roles/iap.httpsResourceAccessor to " + in.principal,
			Commands: []Command{in.located("iap", "web", "add-iam-policy-binding", "--resource-type=cloud-run", "--service="+in.serviceWord(),
				"--member="+in.principal, "--role=roles/iap.httpsResourceAccessor")},
			Caution: "the policy of IAP is in no document of a case, so the effect cannot be shown"}}
	}
	return f
}

func (in *Invocation) iapSignIn() []Fix {
	return []Fix{{ID: "pass-iap", Summary: "Sign in with a browser, or send an ID token with an e-mail claim for IAP's audience",
		Commands: []Command{in.located("iap", "web", "get-iam-policy", "--resource-type=cloud-run", "--service="+in.serviceWord(), "--format=json")},
		Caution:  "what IAP accepts is in no document of a case, so the effect cannot be shown"}}
}

var iapAgent = Check{
	ID:    "iap-agent",
	Title: "IAP's service agent may invoke",
	Doc: `Behind IAP, Cloud Run checks IAP's service agent service-PROJECT_NUMBER@gcp-sa-iap.iam.gserviceaccount.com, which needs
run.routes.invoke on the service. The console grants it; gcloud and Terraform leave that to the user.`,
	Ref:        "https://docs.cloud.google.com/run/docs/securing/identity-aware-proxy-cloud-run",
	Confidence: Documented,
	Run: func(in *Invocation) Finding {
		if f, off := in.iapOff(); off {
			return f
		}
		agent := in.iapAgent()
		switch {
		case in.mentions(iapNotSetUp...):
			return in.iapNotSetUp()
		case in.isPublic():
			return pass("IAP's service agent needs no grant: "+in.public.how, in.public.cites...)
		case agent == "":
			return unknown("IAP's service agent is named by the project's number, which is not known", gcloud("projects", "describe", in.projectWord(), "--format=json"))
		}
		return in.grantFinding(in.checked, agent, func() []Fix { return []Fix{in.grant(agent)} })
	},
}

// iapNotSetUp are the words with which IAP says that its service agent is
// missing or may not invoke.
var iapNotSetUp = []string{"iap for cloud run app is not set up correctly", "iap service account is not provisioned"}

// iapNotSetUp answers where IAP itself reported that.
func (in *Invocation) iapNotSetUp() Finding {
	agent := or(in.iapAgent(), "serviceAccount:service-PROJECT_NUMBER@gcp-sa-iap.iam.gserviceaccount.com")
	f := in.grantFinding(iam.IdentityOf(agent), agent, func() []Fix { return []Fix{in.grant(agent)} })
	if f.Outcome != Unknown {
		return f
	}
	out := fail("IAP says that it is not set up: its service agent "+strings.TrimPrefix(agent, "serviceAccount:")+" is missing or may not invoke the service", Answer{Status: 403, Also: []int{500, 502}})
	out.Observed, out.Fixes = true, f.Fixes
	out.Assumes = []Assumption{{Text: "IAP's message means that its service agent may not invoke", Gather: in.readPolicy(in.layers[0])}}
	return out
}

// signInRedirect reports whether an answer sends the caller to Google's
// sign-in, which plain Cloud Run never does.
func signInRedirect(status int, h http.Header) bool {
	return status == http.StatusFound && strings.HasPrefix(h.Get("Location"), "https://accounts.google.com/")
}
