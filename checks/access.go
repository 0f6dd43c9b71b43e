package checks

import (
	"fmt"
	"slices"
	"strings"

	"diagnose/internal/credential"
	"diagnose/internal/evidence"
	"diagnose/internal/iam"
)

var accessGate = Gate{"access", "403", []Check{
	accessPublic, accessGranted, accessNotDenied, accessBoundary,
	accessRoleEffective, accessResource, accessMemberLive, accessMemberKind, accessCondition,
}}

// publicity says whether anyone may invoke without a credential. The zero
// publicity is unknown.
type publicity struct {
	state   iam.State
	how     string
	cites   []evidence.Source
	assumes []Assumption // what a private answer takes for granted
	own     bool         // the policy of the target itself was read
	gather  []Command
}

func (in *Invocation) publicity() publicity {
	svc, known := in.Service.Get()
	if known && !in.gen1 && svc.GetInvokerIamDisabled() {
		return publicity{
			state: iam.Granted, how: "the invoker IAM check is off, so anyone may invoke",
			cites: []evidence.Source{in.Service.Source.At("/invokerIamDisabled")},
		}
	}
	a := in.allow(in.permission, iam.Anonymous())
	if a.State == iam.Granted {
		b := a.Bindings[slices.IndexFunc(a.Bindings, func(b iam.BindingAccess) bool { return b.State == iam.Granted })]
		return publicity{
			state: iam.Granted, cites: []evidence.Source{in.cite(b)},
			how: fmt.Sprintf("allUsers holds %s on %s, so anyone may invoke", b.Role, in.layers[b.Layer].Resource),
		}
	}
	for _, b := range a.Bindings {
		if b.State == iam.Unknown {
			return publicity{how: b.Reason, cites: []evidence.Source{in.cite(b)}, gather: in.gatherFor(b)}
		}
	}
	p := publicity{state: iam.NotGranted, how: "allUsers is not granted, so a caller needs a credential", own: in.layers[0].Policy != nil}
	if !known && !in.gen1 {
		p.assumes = append(p.assumes, Assumption{Check: "access-public", Text: "the invoker IAM check of the service is on", Gather: in.describeService()})
	}
	_, _, unread := in.read()
	for _, l := range unread {
		p.assumes = append(p.assumes, Assumption{Check: "access-public", Text: "no unread policy of " + l.Resource + " grants allUsers", Gather: in.readPolicy(l)})
	}
	if !in.Ancestors.Known() {
		p.assumes = append(p.assumes, in.ancestorsUnread("grants allUsers"))
	}
	return p
}

// ancestorsUnread is the assumption that no policy above the service settles
// the question.
func (in *Invocation) ancestorsUnread(does string) Assumption {
	text := "no policy of the project, its folders or its organization " + does
	if err := in.Ancestors.Reason(); err != nil && err != evidence.ErrNotGathered {
		text += " (" + err.Error() + ")"
	}
	return Assumption{Text: text, Gather: []Command{gcloud("projects", "get-ancestors-iam-policy", in.projectWord(), "--format=json")}}
}

// isPublic reports whether the service is known to be open to anyone; then a
// credential cannot be refused.
func (in *Invocation) isPublic() bool { return in.public.state == iam.Granted }

// refuse gives the outcome of a check that found a credential wanting: a
// warning where the service is public, a failure where it is private, and an
// open question where that is not known.
func (in *Invocation) refuse(f Finding) Finding {
	switch {
	case in.iap:
		return notApplicable("IAP judges the caller's credential, not Cloud Run")
	case in.isPublic():
		f.Outcome, f.Fixes = Warn, nil
		f.Message += "; the service is public, so this does not stop the call"
	case in.public.state == iam.NotGranted:
		f.Outcome = Fail
		f.Assumes = append(f.Assumes, in.public.assumes...)
	default:
		f.Outcome, f.Fixes = Unknown, nil
		f.Message += "; whether the service is public is not known: " + in.public.how
		f.Gather = in.public.gather
	}
	return f
}

var accessPublic = Check{
	ID:    "access-public",
	Title: "anyone may invoke",
	Doc: `A service is public where allUsers holds run.routes.invoke through any role on the service, its project, a folder or
the organization, or where the invoker IAM check is off. The credential of a caller is then not needed, and a token that
Google cannot verify is passed on to the container. A private service is the usual case and no mistake.`,
	Ref:        "https://docs.cloud.google.com/run/docs/authenticating/public",
	Confidence: Documented,
	Run: func(in *Invocation) Finding {
		p := in.public
		switch {
		case p.state == iam.Granted:
			return pass(p.how, p.cites...)
		case p.state == iam.Unknown:
			return Finding{Message: "whether anyone may invoke is not known: " + p.how, Cites: p.cites, Gather: p.gather,
				Assumes: []Assumption{{Text: "the service is not public", Gather: p.gather}}}
		case !p.own:
			return Finding{Message: "whether anyone may invoke is not known: " + in.ownPolicyName() + " was not read",
				Gather:  in.readPolicy(in.layers[0]),
				Assumes: []Assumption{{Text: "the service is not public", Gather: in.readPolicy(in.layers[0])}}}
		}
		return notApplicable("private: " + p.how)
	},
}

var accessGranted = Check{
	ID:    "access-granted",
	Title: "the principal may invoke",
	Doc: `A private Cloud Run service answers only a principal that holds run.routes.invoke, through a binding on the service
itself, its project, a folder or the organization. The smallest role with it is roles/run.servicesInvoker. A gen1 function
asks for cloudfunctions.functions.invoke instead, granted on the function or above it.`,
	Ref:        "https://docs.cloud.google.com/run/docs/securing/managing-access",
	Confidence: Documented,
	Run: func(in *Invocation) Finding {
		if f, done := in.noIdentityToJudge(); done {
			return f
		}
		return in.grantFinding(in.identity, in.principal, in.grantCaller)
	},
}

// noIdentityToJudge answers for requests whose caller IAM is not asked about.
func (in *Invocation) noIdentityToJudge() (Finding, bool) {
	c := in.sent.credential
	switch {
	case in.iap:
		return notApplicable("with IAP on, the service sees only IAP's service agent"), true
	case in.isPublic():
		return notApplicable("not needed: " + in.public.how), true
	case in.gen1 && in.delivery:
		return notApplicable("events reach a gen1 function without an invoker binding"), true
	case in.identity.Anonymous:
		return notApplicable("no credential, so there is no principal to ask about"), true
	case in.principal != "" || in.identity.Google && !in.sent.config:
		return Finding{}, false
	case in.delivery || in.sent.config:
		return in.unnamedCaller(), true
	case in.sent.known && c.Kind != credential.IDToken && !in.sent.supposed && !in.sent.config:
		return notApplicable("a credential that is rejected names no principal"), true
	}
	return Finding{Message: "who calls is not known", Gather: in.gatherCaller()}, true
}

// unnamedCaller answers where a configured caller uses a default identity that
// the documents do not spell out.
func (in *Invocation) unnamedCaller() Finding {
	message := "the configuration names no service account"
	if in.projectNumber() == "" {
		message += ", and the default one is named by the project's number, which is not known"
	}
	if n := in.configured().Note; n != "" {
		message += " (" + n + ")"
	}
	return unknown(message, gcloud("projects", "describe", in.projectWord(), "--format=json"))
}

// grantFinding says whether an identity holds the invoke permission.
func (in *Invocation) grantFinding(id iam.Identity, who string, fixes func() []Fix) Finding {
	a := in.allow(in.permission, id)
	for _, b := range a.Bindings {
		if b.State == iam.Granted {
			return pass(fmt.Sprintf("%s holds %s through %s on %s", subject(who), in.permission, b.Role, in.layers[b.Layer].Resource), in.cite(b))
		}
	}
	if who == "" {
		return Finding{Message: "the token names no e-mail, so the caller cannot be matched with a member", Gather: in.gatherCaller(), Fixes: in.mint()}
	}
	for _, b := range a.Bindings {
		if b.State == iam.Unknown {
			return Finding{Message: fmt.Sprintf("whether %s holds %s is not known: %s", subject(who), in.permission, b.Reason),
				Cites: []evidence.Source{in.cite(b)}, Gather: in.gatherFor(b), Fixes: fixes()}
		}
	}
	if in.layers[0].Policy == nil {
		return Finding{Message: fmt.Sprintf("whether %s holds %s is not known: %s was not read%s", subject(who), in.permission, in.ownPolicyName(), in.because(in.layers[0])),
			Gather: in.readPolicy(in.layers[0]), Fixes: fixes()}
	}
	f := fail(fmt.Sprintf("%s lacks %s on %s", who, in.permission, in.resource()), Answer{Status: 403, Log: notAuthenticated}, in.layers[0].source.At("/bindings"))
	f.Assumes, f.Fixes = in.grantAssumptions(), fixes()
	if why := in.nearMisses(id); len(why) > 0 {
		f.Message += ": " + why[0].text
		f.Cites = append(f.Cites, why[0].cite)
	}
	return f
}

// grantAssumptions is what a missing grant takes for granted: that no unread
// policy above grants it.
func (in *Invocation) grantAssumptions() []Assumption {
	var out []Assumption
	if !in.Ancestors.Known() {
		out = append(out, in.ancestorsUnread("grants "+in.permission+" to the caller"))
	}
	_, _, unread := in.read()
	for _, l := range unread {
		out = append(out, Assumption{Text: fmt.Sprintf("the policy of %s grants the caller nothing%s", l.Resource, in.because(l)), Gather: in.readPolicy(l)})
	}
	if !in.gen1 && !in.Service.Known() {
		out = append(out, Assumption{Text: "the invoker IAM check of the service is on", Gather: in.describeService()})
	}
	return out
}

func (in *Invocation) because(l layer) string {
	if l.Reason == "" || l.Reason == evidence.ErrNotGathered.Error() {
		return ""
	}
	return " (" + l.Reason + ")"
}

var accessNotDenied = Check{
	ID:    "access-not-denied",
	Title: "no deny policy applies",
	Doc: `A deny policy on the project, a folder or the organization beats every grant. Cloud Run's run.routes.invoke can be
denied, also through the permission group run.googleapis.com/routes.*; the invocation of a gen1 function cannot. A denial
condition that cannot be evaluated denies.`,
	Ref:        "https://docs.cloud.google.com/iam/docs/deny-overview",
	Confidence: Documented,
	Run: func(in *Invocation) Finding {
		switch {
		case in.gen1:
			return notApplicable("deny policies do not cover cloudfunctions.functions.invoke")
		case in.service().GetInvokerIamDisabled():
			return notApplicable("the invoker IAM check is off")
		}
		d, known := in.deny(in.checked)
		if !known {
			return assume("deny policies were not read"+reasonOf(in.DenyPolicies), "no deny policy denies "+in.permission+" to the caller",
				gcloud("iam", "policies", "list", "--attachment-point=cloudresourcemanager.googleapis.com/projects/"+in.projectWord(), "--kind=denypolicies", "--format=json"))
		}
		cite := in.DenyPolicies.Source.At(fmt.Sprintf("/%d/rules/%d", d.Policy, d.Rule))
		switch {
		case d.State == iam.NotDenied:
			return pass("no deny rule covers the caller", in.DenyPolicies.Source)
		case d.State == iam.Denied && in.isPublic():
			return Finding{Message: "the service is public and a deny rule covers the caller; that a deny beats public access follows from the model and is not documented: " + d.Reason, Cites: []evidence.Source{cite}}
		case d.State == iam.Denied:
			f := fail(fmt.Sprintf("%s is denied %s: %s", subject(in.principal), in.permission, d.Reason), Answer{Status: 403, Log: notAuthenticated}, cite)
			f.Fixes = []Fix{in.exemptFromDeny(d)}
			return f
		}
		return Finding{Message: "whether a deny rule covers the caller is not known: " + d.Reason, Cites: []evidence.Source{cite}}
	},
}

var accessBoundary = Check{
	ID:    "access-boundary",
	Title: "no principal access boundary blocks it",
	Doc: `Principal access boundary policies do not cover run.routes.invoke, so they cannot block a Cloud Run service or a v2
function. From enforcement version 3 they cover cloudfunctions.googleapis.com/*, so that they can block a gen1 function.`,
	Ref:        "https://docs.cloud.google.com/iam/docs/pab-blocked-permissions",
	Confidence: Documented,
	Run: func(in *Invocation) Finding {
		switch {
		case !in.gen1:
			return notApplicable("principal access boundaries do not cover run.routes.invoke")
		case in.isPublic() || in.delivery || in.identity.Anonymous:
			return notApplicable("no principal is asked for")
		}
		return assume("principal access boundaries are in no document of a case", "no principal access boundary of the caller blocks "+in.permission,
			gcloud("iam", "principal-access-boundary-policies", "list", "--organization=ORGANIZATION_ID", "--location=global", "--format=json"))
	},
}

// A nearMiss is a binding that almost grants, and the check that explains it.
type nearMiss struct {
	check string
	text  string
	cite  evidence.Source
}

// nearMisses lists what almost grants to an identity, the most telling first.
func (in *Invocation) nearMisses(id iam.Identity) []nearMiss {
	var out []nearMiss
	add := func(check string, cite evidence.Source, format string, args ...any) {
		out = append(out, nearMiss{check, fmt.Sprintf(format, args...), cite})
	}
	for _, b := range in.allow(in.permission, id).Bindings {
		on := in.layers[b.Layer].Resource
		switch {
		case b.Membership == iam.Granted && b.Carries == iam.Granted && b.Condition.State == iam.NotGranted:
			add("access-condition", in.cite(b), "the condition of %s on %s does not hold: %s", b.Role, on, b.Condition.Reason)
		case b.Membership == iam.Granted && b.Carries == iam.NotGranted && invokerLike(b.Role):
			add("access-role-effective", in.cite(b), "%s on %s does not carry %s", b.Role, on, in.permission)
		}
	}
	out = append(out, in.misspelt(id)...)
	out = append(out, in.onFunction(id)...)
	return out
}

// invokerLike reports whether a role's name promises invocation.
func invokerLike(role string) bool {
	r := strings.ToLower(role)
	return strings.Contains(r, "invoke") || strings.HasPrefix(r, "roles/run.") || strings.HasPrefix(r, "roles/cloudfunctions.")
}

// misspelt looks through the members of the bindings that would grant for one
// that resembles the caller or can never call.
func (in *Invocation) misspelt(id iam.Identity) []nearMiss {
	var live, kind []nearMiss
	roles, _ := in.Roles.Get()
	table := iam.NewRoles(roles)
	for _, l := range in.layers {
		for i, b := range l.Policy.GetBindings() {
			if carries, _ := table.Carries(b.GetRole(), in.permission); carries != iam.Granted {
				continue
			}
			for j, m := range b.GetMembers() {
				cite := l.source.At(fmt.Sprintf("/bindings/%d/members/%d", i, j))
				member := iam.ParseMember(m)
				if why := iam.NearMiss(member, id); why != "" {
					live = append(live, nearMiss{"access-member-live", fmt.Sprintf("%s has %s on %s, and %s", m, b.GetRole(), l.Resource, why), cite})
				} else if can, why := member.CanPresentIDToken(); can == iam.NotGranted && !member.Deleted {
					kind = append(kind, nearMiss{"access-member-kind", fmt.Sprintf("%s has %s on %s, and %s", m, b.GetRole(), l.Resource, why), cite})
				}
			}
		}
	}
	return append(live, kind...)
}

// onFunction looks for grants on the v2 function, which its Cloud Run service
// does not inherit.
func (in *Invocation) onFunction(id iam.Identity) []nearMiss {
	p, ok := in.FunctionPolicy.Get()
	if in.gen1 || !ok {
		return nil
	}
	var out []nearMiss
	for _, permission := range []string{iam.RunInvoke, iam.FunctionsInvoke} {
		a := in.query(permission, id).Allow([]iam.Layer{{Level: iam.Function, Policy: p}})
		for _, b := range a.Bindings {
			if b.State == iam.Granted && len(out) == 0 {
				out = append(out, nearMiss{"access-resource", fmt.Sprintf("%s is bound on the function, which counts for nothing; it belongs on its Cloud Run service", b.Role),
					in.FunctionPolicy.Source.At(fmt.Sprintf("/bindings/%d", b.Binding))})
			}
		}
	}
	return out
}

// explanation makes a check that explains a missing grant by its near misses.
// It fails only beside a failing access-granted, and rests on the same
// assumptions.
func explanation(id, title, ref string, confidence Confidence, doc string) Check {
	return Check{ID: id, Title: title, Ref: ref, Confidence: confidence, Doc: doc, Run: func(in *Invocation) Finding {
		if _, done := in.noIdentityToJudge(); done {
			return notApplicable("no grant is missing")
		}
		granted := in.grantFinding(in.identity, in.principal, noFixes)
		if granted.Outcome == Pass {
			return notApplicable("no grant is missing")
		}
		for _, n := range in.nearMisses(in.identity) {
			if n.check != id {
				continue
			}
			f := Finding{Outcome: Warn, Message: n.text, Cites: []evidence.Source{n.cite}}
			if granted.Outcome == Fail {
				f.Outcome, f.Answer, f.Assumes = Fail, granted.Answer, granted.Assumes
			}
			return f
		}
		return pass("nothing of this kind was found")
	}}
}

func noFixes() []Fix { return nil }

var accessRoleEffective = explanation("access-role-effective", "the roles bound carry the permission",
	"https://docs.cloud.google.com/run/docs/securing/managing-access", Source,
	`A role counts only through the permissions in it. roles/cloudfunctions.invoker carries the permission of gen1 functions
only, and roles/run.viewer none that invokes.`)

var accessResource = explanation("access-resource", "the binding is on the Cloud Run service or above it",
	"https://docs.cloud.google.com/functions/docs/securing/managing-access-iam", Source,
	`A v2 function is invoked through its Cloud Run service, and IAM is asked about that service. A binding on the function
resource succeeds and grants no invocation.`)

var accessMemberLive = explanation("access-member-live", "the bound members exist and are spelt right",
	"https://docs.cloud.google.com/iam/docs/principal-identifiers", Documented,
	`A member written deleted:… is the tombstone of an account; an account made again under the same e-mail is another one.
A misspelt e-mail or a service account of another project is a member of its own.`)

var accessMemberKind = explanation("access-member-kind", "the bound members can present a Google ID token",
	"https://docs.cloud.google.com/iam/docs/federated-identity-supported-services", Documented,
	`Workforce and workload identity federation do not reach run.routes.invoke directly: such a principal has no Google ID
token of its own and must impersonate a service account, or pass IAP. projectOwner: and the Kubernetes form of
serviceAccount: are no callers either.`)

var accessCondition = explanation("access-condition", "the conditions of the bindings hold",
	"https://docs.cloud.google.com/iam/docs/conditions-attribute-reference", Documented,
	`Cloud Run gives a condition the time, the request's path and host, and tags. A condition that uses another attribute,
such as resource.name, never grants; one whose time has passed no longer does.`)
