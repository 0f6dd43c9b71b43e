package checks

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"cloud.google.com/go/functions/apiv2/functionspb"
	"cloud.google.com/go/iam/apiv1/iampb"
	denypb "cloud.google.com/go/iam/apiv2/iampb"
	"cloud.google.com/go/run/apiv2/runpb"

	"diagnose/internal/caller"
	"diagnose/internal/credential"
	"diagnose/internal/evidence"
	"diagnose/internal/iam"
)

// repaired is the source of a fact that a fix supposes.
var repaired = evidence.Source{Document: "after the fix"}

// grantCaller proposes the smallest grant that lets the caller in.
func (in *Invocation) grantCaller() []Fix {
	if in.principal == "" {
		return nil
	}
	if can, why := iam.ParseMember(in.principal).CanPresentIDToken(); can == iam.NotGranted {
		return []Fix{{ID: "call-as-service-account", Summary: "Call as a Google service account instead of " + in.principal, Caution: why}}
	}
	return []Fix{in.grant(in.principal)}
}

// grant binds the smallest invoker role to one member on the target itself.
func (in *Invocation) grant(member string) Fix {
	role := in.invokerRole()
	f := Fix{
		ID: "grant-invoker", Summary: fmt.Sprintf("Grant %s on %s to %s", role, in.resource(), member),
		apply: func(s evidence.Snapshot) evidence.Snapshot {
			bind := func(p *iampb.Policy) {
				p.Bindings = append(p.Bindings, &iampb.Binding{Role: role, Members: []string{member}})
			}
			if in.gen1 {
				s.FunctionPolicy = changePolicy(or2(s.FunctionPolicy, s.Policy), bind)
			} else {
				s.Policy = changePolicy(s.Policy, bind)
			}
			return s
		},
	}
	if in.gen1 {
		f.Commands = []Command{in.located("functions", "add-iam-policy-binding", in.functionWord(), "--member="+member, "--role="+role)}
		f.Terraform = resourceBlock("google_cloudfunctions_function_iam_member", "invoker",
			"project", in.projectWord(), "region", in.regionWord(), "cloud_function", in.functionWord(), "role", role, "member", member)
		return f
	}
	f.Commands = []Command{in.located("run", "services", "add-iam-policy-binding", in.serviceWord(), "--member="+member, "--role="+role)}
	f.Terraform = resourceBlock("google_cloud_run_v2_service_iam_member", "invoker",
		"project", in.projectWord(), "location", in.regionWord(), "name", in.serviceWord(), "role", role, "member", member)
	return f
}

func or2(a, b evidence.Fact[*iampb.Policy]) evidence.Fact[*iampb.Policy] {
	if a.Known() {
		return a
	}
	return b
}

// changePolicy returns the policy after a change. An unread policy becomes one
// that holds only the change: a grant does not depend on the other bindings.
func changePolicy(f evidence.Fact[*iampb.Policy], change func(*iampb.Policy)) evidence.Fact[*iampb.Policy] {
	p := f.Or(nil)
	if p == nil {
		p = &iampb.Policy{}
	}
	return evidence.Known(edit(p, change), repaired)
}

func changeService(s evidence.Snapshot, change func(*runpb.Service)) evidence.Snapshot {
	if svc, ok := s.Service.Get(); ok {
		s.Service = evidence.Known(edit(svc, change), s.Service.Source)
	}
	if fn, ok := s.Function.Get(); ok && fn.Function != nil && fn.ServiceConfig != nil {
		var probe runpb.Service
		change(&probe)
		if i, ok := functionIngress[probe.Ingress]; ok {
			fn.Function = edit(fn.Function, func(f *functionspb.Function) { f.ServiceConfig.IngressSettings = i })
			s.Function = evidence.Known(fn, s.Function.Source)
		}
	}
	return s
}

var functionIngress = map[runpb.IngressTraffic]functionspb.ServiceConfig_IngressSettings{
	runpb.IngressTraffic_INGRESS_TRAFFIC_ALL:                    functionspb.ServiceConfig_ALLOW_ALL,
	runpb.IngressTraffic_INGRESS_TRAFFIC_INTERNAL_ONLY:          functionspb.ServiceConfig_ALLOW_INTERNAL_ONLY,
	runpb.IngressTraffic_INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER: functionspb.ServiceConfig_ALLOW_INTERNAL_AND_GCLB,
}

// changeRequest returns the evidence with a changed request.
func changeRequest(s evidence.Snapshot, change func(*evidence.Request)) evidence.Snapshot {
	r := s.Request.Or(evidence.Request{})
	r.Headers = r.Headers.Clone()
	change(&r)
	s.Request = evidence.Known(r, s.Request.Source)
	return s
}

// withToken returns the evidence with a correct token of the given member for
// the given audience in the header that counts.
func withToken(s evidence.Snapshot, member, audience string) evidence.Snapshot {
	s.Token = evidence.Known(credential.Synthetic(member, audience, s.Now), repaired)
	s.Caller = evidence.Fact[caller.Caller]{}
	return changeRequest(s, func(r *evidence.Request) {
		for _, h := range []string{"Authorization", "X-Serverless-Authorization"} {
			r.Headers.Del(h)
		}
		if len(r.Headers) == 0 {
			r.Headers = nil
		}
	})
}

// mint proposes a correct token in the language of the client.
func (in *Invocation) mint() []Fix {
	audience := in.audiences.Preferred()
	word := or(audience, "SERVICE_URL")
	if in.sent.config && !in.delivery {
		return in.configure(word)
	}
	f := Fix{
		ID: "mint-token", Summary: fmt.Sprintf("Send a Google-signed ID token whose audience is %s", word),
		Commands: in.mintCommands(audience),
		Caution:  in.mintCaution(),
	}
	member := or(in.principal, in.grantee("user:", "serviceAccount:"))
	if in.principal == "" && member != "" {
		f.Summary += ", as a principal that may invoke, such as " + member
	}
	f.apply = func(s evidence.Snapshot) evidence.Snapshot { return withToken(s, member, audience) }
	return []Fix{f}
}

// grantee returns a member, with one of the prefixes, that the policies read
// grant invocation to, or "".
func (in *Invocation) grantee(prefixes ...string) string {
	for _, g := range in.question(in.permission, iam.Identity{}).Holdings() {
		for _, p := range prefixes {
			if g.May == iam.Granted && strings.HasPrefix(g.Member.String(), p) {
				return g.Member.String()
			}
		}
	}
	return ""
}

// answerPreflight is what there is to do about a preflight, which carries no
// credential by design of the browser:
// https://docs.cloud.google.com/functions/docs/writing/write-http-functions#limitations.
var answerPreflight = Fix{
	ID: "answer-preflight", Summary: "Serve page and service from one origin, or let a load balancer or API gateway in front answer OPTIONS",
	Caution: "what stands in front of the service is in no document of a case; a public service that checks its callers itself is the other way",
}

func (in *Invocation) mintCaution() string {
	switch in.client {
	case "gcloud", "":
		if strings.HasPrefix(in.principal, "serviceAccount:") {
			return "impersonation needs roles/iam.serviceAccountOpenIdTokenCreator on the service account; owner does not carry it"
		}
	case "firebase-sdk":
		return "a Firebase ID token never passes Cloud Run's check: let a server call with its service account, or make the service public and verify the Firebase token in its code"
	case "browser":
		return "a browser sends no ID token by itself: put IAP or a gateway in front, or call from a server"
	}
	return ""
}

// mintCommands are the commands that mint a token for an audience, by client.
func (in *Invocation) mintCommands(audience string) []Command {
	member := or(in.principal, in.grantee("user:", "serviceAccount:"))
	aud, target := or(audience, "SERVICE_URL"), or(in.callURL(), audience, "SERVICE_URL")
	call := Command{Argv: []string{"curl", target}, WithToken: true}
	sa, isSA := strings.CutPrefix(member, "serviceAccount:")
	token := func(argv ...string) []Command { return []Command{{Into: "TOKEN", Argv: argv}, call} }
	switch in.client {
	case "metadata-server", "gke":
		return token("curl", "-s", "-H", "Metadata-Flavor: Google",
			"http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/identity?audience="+url.QueryEscape(aud)+"&format=full")
	case "service-account-key":
		return append([]Command{gcloud("auth", "activate-service-account", "--key-file=KEY_FILE")},
			token("gcloud", "auth", "print-identity-token", "--audiences="+aud)...)
	case "github-actions":
		return []Command{{Argv: []string{"google-github-actions/auth", "token_format: id_token", "id_token_audience: " + aud, "id_token_include_email: true",
			"service_account: " + or(sa, "SERVICE_ACCOUNT")}, Note: "with: of the workflow step"}}
	}
	switch {
	case isSA:
		return token("gcloud", "auth", "print-identity-token", "--impersonate-service-account="+sa, "--audiences="+aud, "--include-email")
	case strings.HasPrefix(member, "user:") || in.client == "gcloud":
		return token("gcloud", "auth", "print-identity-token")
	}
	return token("gcloud", "auth", "print-identity-token", "--impersonate-service-account=SERVICE_ACCOUNT", "--audiences="+aud, "--include-email")
}

// callURL is the URL to call in an example: what was called, on https.
func (in *Invocation) callURL() string {
	if in.url == nil || in.host.Kind == googleAPIHost {
		return ""
	}
	u := *in.url
	u.Scheme = "https"
	return u.String()
}

// configure proposes the setting of a configured caller that makes it send a
// correct token.
func (in *Invocation) configure(audience string) []Fix {
	c := in.configured()
	account := or(c.ServiceAccount, strings.TrimPrefix(in.grantee("serviceAccount:"), "serviceAccount:"))
	sa, short := or(account, "SERVICE_ACCOUNT"), or(parseName(c.Name).ID, "NAME")
	f := Fix{ID: "configure-caller", Summary: fmt.Sprintf("Let %s send an ID token of %s with the audience %s", or(c.Kind, "the caller"), sa, audience)}
	switch c.Kind {
	case "cloud-scheduler":
		f.Commands = []Command{gcloud("scheduler", "jobs", "update", "http", short, "--location="+or(parseName(c.Name).Location, "REGION"),
			"--oidc-service-account-email="+sa, "--oidc-token-audience="+audience)}
	case "cloud-tasks":
		f.Commands = []Command{gcloud("tasks", "queues", "update", or(parseName(c.Name).ID, "QUEUE"), "--location="+or(parseName(c.Name).Location, "REGION"),
			"--http-oidc-service-account-email-override="+sa, "--http-oidc-token-audience-override="+audience)}
		f.Caution = "the override covers every task of the queue; code that creates tasks can set oidcToken.audience instead"
	case "pubsub-push":
		f.Commands = []Command{gcloud("pubsub", "subscriptions", "modify-push-config", short, "--push-endpoint="+or(c.URL, "PUSH_ENDPOINT"),
			"--push-auth-service-account="+sa, "--push-auth-token-audience="+audience)}
	case "workflows":
		f.Caution = fmt.Sprintf("in the http step: auth: {type: OIDC, audience: %s}", audience)
	case "api-gateway":
		f.Caution = fmt.Sprintf("in x-google-backend: jwt_audience: %s", audience)
	}
	if account == "" {
		f.Caution = strings.TrimPrefix(f.Caution+"; name the service account that it shall call with", "; ")
	}
	f.apply = func(s evidence.Snapshot) evidence.Snapshot {
		fixed := s.Caller.Or(caller.Caller{})
		fixed.Token, fixed.Audience, fixed.AudienceGiven, fixed.ServiceAccount = caller.IDToken, audience, true, account
		s.Caller = evidence.Known(fixed, s.Caller.Source)
		return s
	}
	return []Fix{f}
}

// addCustomAudience lets the service accept an audience of the user's own.
func (in *Invocation) addCustomAudience(aud string) Fix {
	return Fix{
		ID: "add-custom-audience", Summary: fmt.Sprintf("Let the service accept the audience %s", aud),
		Commands:  []Command{in.located("run", "services", "update", in.serviceWord(), "--add-custom-audiences="+aud)},
		Terraform: "custom_audiences = [" + hclString(aud) + "]",
		Caution:   "this makes a new revision; every token minted for that audience by Google is then accepted",
		apply: func(s evidence.Snapshot) evidence.Snapshot {
			return changeService(s, func(svc *runpb.Service) { svc.CustomAudiences = append(svc.CustomAudiences, aud) })
		},
	}
}

// setIngress opens ingress to one more origin.
func (in *Invocation) setIngress(to runpb.IngressTraffic, flag, functionFlag, caution string) Fix {
	f := Fix{
		ID: "set-ingress-" + flag, Summary: "Set ingress to " + flag, Caution: caution,
		Commands:  []Command{in.located("run", "services", "update", in.serviceWord(), "--ingress="+flag)},
		Terraform: fmt.Sprintf("ingress = %q", to.String()),
		apply: func(s evidence.Snapshot) evidence.Snapshot {
			return changeService(s, func(svc *runpb.Service) { svc.Ingress = to })
		},
	}
	if in.function {
		f.Commands = []Command{in.located("functions", "deploy", in.functionWord(), "--ingress-settings="+functionFlag)}
		f.Terraform = fmt.Sprintf("ingress_settings = %q", functionIngress[to])
	}
	return f
}

// callFrom proposes to send the request from an origin that ingress admits.
func callFrom(o evidence.Origin, summary string) Fix {
	return Fix{ID: "call-from-" + string(o), Summary: summary, apply: func(s evidence.Snapshot) evidence.Snapshot {
		return changeRequest(s, func(r *evidence.Request) { r.Origin = o })
	}}
}

// callURLFix proposes another URL for the same request.
func callURLFix(id, summary string, u *url.URL) Fix {
	return Fix{
		ID: id, Summary: summary,
		Commands: []Command{{Argv: []string{"curl", u.String()}, WithToken: true}},
		apply: func(s evidence.Snapshot) evidence.Snapshot {
			return changeRequest(s, func(r *evidence.Request) { r.URL = u })
		},
	}
}

// exemptFromDeny proposes to except the caller from the rule that denies it.
func (in *Invocation) exemptFromDeny(d iam.Denial) Fix {
	principal := denyPrincipal(in.principal)
	policy := in.DenyPolicies.Or(nil)[d.Policy]
	id := policy.GetName()[strings.LastIndex(policy.GetName(), "/")+1:]
	return Fix{
		ID: "except-from-deny", Summary: fmt.Sprintf("Add %s to exceptionPrincipals of rule %d of the deny policy %s", or(principal, "the caller"), d.Rule, id),
		Commands: []Command{gcloud("iam", "policies", "update", id, "--attachment-point="+iam.AttachmentPoint(policy.GetName()), "--kind=denypolicies", "--policy-file=POLICY_FILE")},
		Caution:  "a deny policy is somebody's decision: ask its owner first",
		apply: func(s evidence.Snapshot) evidence.Snapshot {
			all := slices.Clone(s.DenyPolicies.Or(nil))
			all[d.Policy] = edit(all[d.Policy], func(p *denypb.Policy) {
				if r := p.GetRules()[d.Rule].GetDenyRule(); r != nil && principal != "" {
					r.ExceptionPrincipals = append(r.ExceptionPrincipals, principal)
				}
			})
			s.DenyPolicies = evidence.Known(all, s.DenyPolicies.Source)
			return s
		},
	}
}

// enableDefaultURL turns the run.app URL of the service on again.
func (in *Invocation) enableDefaultURL() Fix {
	return Fix{
		ID: "enable-default-url", Summary: "Turn the default URL of the service on",
		Commands:  []Command{in.located("run", "services", "update", in.serviceWord(), "--default-url")},
		Terraform: "default_uri_disabled = false",
		apply: func(s evidence.Snapshot) evidence.Snapshot {
			return changeService(s, func(svc *runpb.Service) { svc.DefaultUriDisabled = false })
		},
	}
}

// makePublic proposes to open the service, only where the evidence says that
// it is meant to be public: the deployment asked for it, or an organization
// policy refused the binding of allUsers.
func (in *Invocation) makePublic() []Fix {
	if in.gen1 || !in.meantPublic() {
		return nil
	}
	return []Fix{{
		ID: "make-public", Summary: "Turn the invoker IAM check of " + in.resource() + " off",
		Commands:  []Command{in.located("run", "services", "update", in.serviceWord(), "--no-invoker-iam-check")},
		Terraform: "invoker_iam_disabled = true",
		Caution:   "this opens the service to anyone on the internet that ingress admits",
		apply: func(s evidence.Snapshot) evidence.Snapshot {
			return changeService(s, func(svc *runpb.Service) { svc.InvokerIamDisabled = true })
		},
	}}
}

// meantPublic reports whether the evidence says that anyone shall be let in.
func (in *Invocation) meantPublic() bool {
	return in.mentions("do not belong to a permitted customer", "setting iam policy failed", "allow unauthenticated invocations failed") ||
		in.request.Principal == "allUsers"
}

// grantOnProject binds a role to one member on the project.
func (in *Invocation) grantOnProject(id, role, member string) Fix {
	return Fix{
		ID: id, Summary: fmt.Sprintf("Grant %s on the project to %s", role, member),
		Commands: []Command{gcloud("projects", "add-iam-policy-binding", in.projectWord(), "--member="+member, "--role="+role, "--condition=None")},
		Terraform: resourceBlock("google_project_iam_member", strings.ReplaceAll(id, "-", "_"),
			"project", in.projectWord(), "role", role, "member", member),
		apply: func(s evidence.Snapshot) evidence.Snapshot {
			ancestors := slices.Clone(s.Ancestors.Or(nil))
			i := slices.IndexFunc(ancestors, func(a evidence.Ancestor) bool { return a.Type == "project" })
			if i < 0 {
				ancestors = append(ancestors, evidence.Ancestor{ID: in.projectWord(), Type: "project"})
				i = len(ancestors) - 1
			}
			ancestors[i].Policy = changePolicy(ancestors[i].Policy, func(p *iampb.Policy) {
				p.Bindings = append(p.Bindings, &iampb.Binding{Role: role, Members: []string{member}})
			})
			s.Ancestors = evidence.Known(ancestors, s.Ancestors.Source)
			return s
		},
	}
}

// denyPrincipal writes a member in the syntax of deny policies, "" where there
// is none.
func denyPrincipal(member string) string {
	kind, email, _ := strings.Cut(member, ":")
	switch kind {
	case "user":
		return "principal://goog/subject/" + email
	case "serviceAccount":
		return "principal://iam.googleapis.com/projects/-/serviceAccounts/" + email
	}
	return ""
}

// resourceBlock writes a Terraform resource from pairs of argument and value.
func resourceBlock(kind, label string, pairs ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "resource %q %q {\n", kind, label)
	width := 0
	for i := 0; i < len(pairs); i += 2 {
		width = max(width, len(pairs[i]))
	}
	for i := 0; i < len(pairs); i += 2 {
		fmt.Fprintf(&b, "  %-*s = %s\n", width, pairs[i], hclString(pairs[i+1]))
	}
	b.WriteString("}")
	return b.String()
}

// hclString quotes a string for HCL, where ${ and %{ would start a template.
func hclString(s string) string {
	return strings.NewReplacer("${", "$${", "%{", "%%{").Replace(strconv.Quote(s))
}

// grantAccessor lets a caller pass IAP.
func (in *Invocation) grantAccessor(member string) []Fix {
	if member == "" || !strings.Contains(member, ":") {
		return nil
	}
	return []Fix{{
		ID: "grant-iap-accessor", Summary: fmt.Sprintf("Grant %s to %s", accessorRole, member),
		Commands: []Command{in.located("iap", "web", "add-iam-policy-binding", "--resource-type=cloud-run", "--service="+in.serviceWord(),
			"--member="+member, "--role="+accessorRole)},
		apply: func(s evidence.Snapshot) evidence.Snapshot {
			s.IAPPolicy = changePolicy(s.IAPPolicy, func(p *iampb.Policy) {
				p.Bindings = append(p.Bindings, &iampb.Binding{Role: accessorRole, Members: []string{member}})
			})
			return s
		},
	}}
}

// iapSignIn tells how to send what IAP takes.
func (in *Invocation) iapSignIn() []Fix {
	return []Fix{{ID: "pass-iap", Summary: "Sign in with a browser, or send an ID token with an e-mail claim for IAP's OAuth client",
		Commands: []Command{in.iapSettingsCommand()},
		Caution:  "which OAuth client IAP takes is not known, so the effect cannot be shown"}}
}
