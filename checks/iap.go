package checks

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"cloud.google.com/go/iap/apiv1/iappb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"diagnose/internal/credential"
	"diagnose/internal/evidence"
	"diagnose/internal/gcp"
	"diagnose/internal/iam"
)

var iapGate = Gate{"iap", "302, 401, 403", []Check{iapCredential, iapToken, iapPassed, iapAgent}}

const (
	iapPage      = "https://docs.cloud.google.com/run/docs/securing/identity-aware-proxy-cloud-run"
	iapHowTo     = "https://docs.cloud.google.com/iap/docs/authentication-howto"
	accessorRole = "roles/iap.httpsResourceAccessor"
)

// iapCheck makes a check that asks only where IAP is on. Where that follows
// from the observed answer alone, the outcome supposes it.
func iapCheck(c Check, run func(*Invocation) Finding) Check {
	c.Run = func(in *Invocation) Finding {
		switch {
		case in.gen1:
			return notApplicable("IAP is not offered on a gen1 function")
		case !in.iap && in.Service.Known():
			return notApplicable("IAP is off on the service")
		case !in.iap:
			return assume("service.json", "the service was not read", "IAP is off on the service", in.describeService()...)
		}
		f := in.beforeIAP(c.ID, run)
		if !in.service().GetIapEnabled() && (f.Outcome == Fail || f.Outcome == Pass) {
			f.Assumes = append(f.Assumes, Assumption{Document: "service.json", Text: "IAP is in front of the service, as the observed answer shows", Gather: in.describeService()})
		}
		return f
	}
	return c
}

// beforeIAP asks one question of IAP itself, unless its settings leave open
// whom it asks and how. What it refuses supposes that nothing above its own
// policy opens it, and is open where that is not known.
func (in *Invocation) beforeIAP(id string, run func(*Invocation) Finding) Finding {
	if id == "iap-agent" {
		return run(in)
	}
	if s := in.iapAsksOthers(); s != "" && !in.preflightPasses() {
		if id != "iap-credential" {
			return notApplicable("IAP has " + s + ", so it is unknown who it thinks the caller is")
		}
		return unknown("IAP has " + s + ", and Google does not document how it then identifies callers")
	}
	f := run(in)
	if f.Outcome != Fail {
		return f
	}
	if d := in.decide(iam.AccessViaIAP, iam.Anonymous()); d.State == iam.Unknown && d.Binding != nil {
		f.Outcome, f.Fixes, f.Gather = Unknown, nil, in.gatherOpen(d)
		f.Message += "; it is unknown whether IAP asks callers to sign in: " + d.Reason
		return f
	}
	f.Assumes = append(f.Assumes, Assumption{
		Text:   "no policy on all of IAP's resources of the project or region opens IAP",
		Gather: shell(gcp.GetIAPPolicies(in.projectID())),
	})
	return f
}

// The settings of IAP that change whom it asks, and how.
var (
	optionsAllowed  = &iappb.AccessSettings{CorsSettings: &iappb.CorsSettings{AllowHttpOptions: wrapperspb.Bool(true)}}
	otherIdentities = &iappb.AccessSettings{GcipSettings: &iappb.GcipSettings{TenantIds: []string{"tenant"}}}
	otherAudience   = &iappb.AccessSettings{OauthSettings: &iappb.OAuthSettings{ClientId: wrapperspb.String("other" + gcp.OAuthClientSuffix)}}
)

// ownAudience are settings that accept the audiences of the request's token.
func (in *Invocation) ownAudience() *iappb.AccessSettings {
	return &iappb.AccessSettings{OauthSettings: &iappb.OAuthSettings{ProgrammaticClients: in.iapSent().credential.Claims.Audience}}
}

func (in *Invocation) iapAccessSettings() *iappb.AccessSettings {
	return in.IAPSettings.Or(nil).GetAccessSettings()
}

// iapAsksOthers names a setting by which IAP asks for other than Google
// accounts or in another way, "" where none is set: what it does with a
// program is then not documented.
func (in *Invocation) iapAsksOthers() string {
	s := in.iapAccessSettings()
	switch {
	case s.GetGcipSettings() != nil:
		return "gcipSettings"
	case s.GetWorkforceIdentitySettings() != nil:
		return "workforceIdentitySettings"
	case s.GetReauthSettings() != nil:
		return "reauthSettings"
	case s.GetAllowedDomainsSettings().GetEnable():
		return "allowedDomainsSettings"
	case len(s.GetIdentitySources()) > 0:
		return "identitySources"
	}
	return ""
}

var iapCredential = iapCheck(Check{
	ID: "iap-credential", Title: "credential for IAP", Ref: iapHowTo, Confidence: Documented,
	Doc: `IAP reads the credential in Proxy-Authorization or Authorization, not the one in X-Serverless-Authorization. A program
sends a Google ID token for IAP's OAuth client, or a JWT that a service account signed for the URL; a browser signs in and
then sends IAP's cookie. It is unknown whether IAP accepts OAuth access tokens.`,
}, func(in *Invocation) Finding {
	if f, two := in.twoCallers(); two {
		return f
	}
	if f, open := in.iapOpen(); open {
		return f
	}
	got, cite := in.iapSent(), in.Service.Source.At("/iapEnabled")
	c := got.credential
	switch {
	case !got.known:
		return unknown("IAP is on, and it is unknown what the request sends", in.gatherCaller()...)
	case got.supposed && federatedWhy(in.principal) != "":
		return withFixes(unknown("IAP is on, and it is unknown how it treats "+in.principal+": "+federatedWhy(in.principal)), in.iapMint())
	case got.supposed || got.config && c.Kind == credential.IDToken:
		return pass(in.sentWhat(), got.source)
	case c.Kind == credential.None && in.iapSession():
		return unknown("the request has IAP's session cookie, which does not show who signed in")
	case c.Kind == credential.None:
		return in.iapNone(cite)
	case c.Kind == credential.IDToken, c.Kind == credential.SelfSigned:
		return pass("the request sends "+an(c.Kind.String()), got.source)
	case c.Kind == credential.AccessToken:
		return withFixes(unknown("it is unknown whether IAP accepts an OAuth access token"), in.iapMint())
	}
	return withFixes(fail(fmt.Sprintf("IAP is on and does not take %s", an(c.Kind.String())), Answer{Status: 401}, cite, got.source), in.iapMint())
})

// iapNone answers where nothing that IAP reads was sent.
func (in *Invocation) iapNone(cite evidence.Source) Finding {
	message := "IAP is on and the request has no credential, so IAP sends the caller to sign in"
	switch {
	case in.request.Method == http.MethodOptions:
		message = "IAP is on and refuses a CORS preflight (OPTIONS), which never has a credential"
	case in.headerSent("X-Serverless-Authorization"):
		message = "IAP is on and does not read X-Serverless-Authorization, where the credential is"
	}
	f := fail(message, Answer{Status: 302, Also: []int{401}, Location: "https://accounts.google.com/"}, cite)
	f.Fixes = in.iapMint()
	return f
}

var iapPassed = iapCheck(Check{
	ID: "iap-passed", Title: "permission to pass IAP", Ref: iapPage, Confidence: Documented,
	Doc: `With IAP on, IAP checks every caller first, on every URL of the service: the caller needs
roles/iap.httpsResourceAccessor in IAP's own policy or above it, not run.invoker. Deny policies can deny it
(iap.googleapis.com/webServiceVersions.accessViaIAP). Where allUsers has the role, IAP asks nobody to sign in.`,
}, func(in *Invocation) Finding {
	id, who := in.iapIdentity()
	if f, open := in.iapOpen(); open {
		if who != "" && !in.preflightPasses() && in.decide(iam.AccessViaIAP, id).State == iam.Unknown {
			return in.iapAccess(id, who) // a deny rule may count all the same
		}
		return f
	}
	got := in.iapSent()
	switch {
	case id.Anonymous:
		return notApplicable("no credential, so there is nobody to ask about")
	case !got.known, who == "" && !id.Google:
		return notApplicable("the caller is unknown")
	case got.supposed && federatedWhy(in.principal) != "":
		return notApplicable("it is unknown who IAP takes " + in.principal + " for")
	}
	return in.iapAccess(id, who)
})

// iapAccess asks whether a known caller may pass.
func (in *Invocation) iapAccess(id iam.Identity, who string) Finding {
	d := in.decide(iam.AccessViaIAP, id)
	switch {
	case d.State == iam.Granted:
		f := pass(fmt.Sprintf("%s may pass IAP through %s on %s", subject(who), d.Binding.Role, in.iapLayer(d.Binding)), in.citeIAP(d.Binding))
		f.Assumes = []Assumption{{Text: "no principal access boundary of the caller blocks " + iam.AccessViaIAP}}
		open := slices.ContainsFunc(d.Open, func(o iam.Open) bool { return o.Document == iam.DenyDocuments })
		if open && in.denyListed() {
			return unknown(denyRulesUnread, in.readDenyPolicies()...)
		}
		if open {
			f.Assumes = append(f.Assumes, Assumption{Document: "deny-policies.json", Text: "no deny policy denies " + iam.AccessViaIAP + " to the caller", Gather: in.readDenyPolicies()})
		}
		return f
	case d.Way == iam.ByDenyRule:
		cite := in.DenyPolicies.Source.At(fmt.Sprintf("/%d/rules/%d", d.Denial.Policy, d.Denial.Rule))
		f := fail(fmt.Sprintf("%s is denied %s: %s", subject(who), iam.AccessViaIAP, d.Denial.Reason), Answer{Status: 403}, cite)
		f.Fixes = []Fix{in.exemptFromDeny(d.Denial, who)}
		return f
	case d.State == iam.NotGranted:
		f := fail(fmt.Sprintf("%s does not have %s on %s, so IAP refuses", subject(who), accessorRole, in.resource()), Answer{Status: 403}, in.IAPPolicy.Source.At("/bindings"))
		f.Fixes = in.grantAccessor(who)
		return f
	}
	reason := d.Reason
	if d.Binding == nil && !in.IAPPolicy.Known() {
		reason = "IAP's policy was not read" + reasonOf(in.IAPPolicy)
	}
	read := in.gatherOpen(d)
	if !in.IAPPolicy.Known() {
		read = in.readIAPPolicy()
	}
	f := unknown(fmt.Sprintf("IAP is on, and it is unknown whether %s may pass it: %s", subject(who), reason), read...)
	f.Cites, f.Fixes = []evidence.Source{in.Service.Source.At("/iapEnabled")}, in.grantAccessor(who)
	return f
}

var iapAgent = iapCheck(Check{
	ID: "iap-agent", Title: "permission of IAP's service agent", Ref: iapPage, Confidence: Documented, Admits: true,
	Doc: `Behind IAP, Cloud Run checks IAP's service agent ` + gcp.IAPAgent(gcp.ProjectNumberWord) + `, which needs
run.routes.invoke on the service, even for people who have it themselves. The console grants it; gcloud and Terraform leave
that to the user. allUsers with the invoker role, or the invoker check off, works too.`,
}, func(in *Invocation) Finding {
	agent := in.iapAgent()
	switch {
	case in.seen.says(iapNotSetUp...):
		return in.iapNotSetUp()
	case in.isPublic():
		how, cites := in.openToAll()
		return pass("IAP's service agent needs no grant: "+how, cites...)
	case agent == "":
		return unknown("the name of IAP's service agent contains the project's number, which is unknown", in.describeProject()...)
	}
	return in.grantFinding(in.checked, agent, func() []Fix { return []Fix{in.grantAgent(agent)} })
})

// iapNotSetUp are the words with which IAP says that its service agent is
// missing or may not invoke.
var iapNotSetUp = []string{"iap for cloud run app is not set up correctly", "iap service account is not provisioned"}

// iapNotSetUp answers where IAP itself reported that.
func (in *Invocation) iapNotSetUp() Finding {
	agent := cmp.Or(in.iapAgent(), accountMember(gcp.IAPAgent(gcp.ProjectNumberWord)))
	f := in.grantFinding(in.identityOf(agent), agent, func() []Fix { return []Fix{in.grantAgent(agent)} })
	if f.Outcome != Unknown {
		return f
	}
	out := fail("IAP says that it is not set up: its service agent "+strings.TrimPrefix(agent, "serviceAccount:")+" is missing or may not invoke the service", Answer{Status: 403, Also: []int{500, 502}})
	out.Observed, out.Fixes = true, f.Fixes
	out.Assumes = []Assumption{{Document: "policy.json", Text: "IAP's message means that its service agent may not invoke", Gather: in.readPolicy(in.layers[0])}}
	return out
}

// signInRedirect reports whether an answer sends the caller to Google's
// sign-in, which plain Cloud Run never does.
func signInRedirect(status int, h http.Header) bool {
	return status == http.StatusFound && strings.HasPrefix(h.Get("Location"), "https://accounts.google.com/")
}
