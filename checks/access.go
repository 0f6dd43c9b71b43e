package checks

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"diagnose/internal/credential"
	"diagnose/internal/evidence"
	"diagnose/internal/gcp"
	"diagnose/internal/iam"
)

var accessGate = Gate{"access", "403", []Check{
	accessPublic, accessGranted, accessNotDenied, accessBoundary,
	accessRoleEffective, accessResource, accessMemberLive, accessMemberKind, accessCondition,
}}

// isPublic reports whether anyone may invoke as far as IAM goes; then a
// credential cannot be refused.
func (in *Invocation) isPublic() bool { return in.public.State == iam.Granted }

// openToAll says why anyone may invoke, and where that stands.
func (in *Invocation) openToAll() (string, []evidence.Source) {
	if in.public.Way == iam.ByCheckOff {
		return "the invoker IAM check is off, so anyone may invoke", []evidence.Source{in.Service.Source.At("/invokerIamDisabled")}
	}
	b := in.public.Binding
	return fmt.Sprintf("allUsers has %s on %s, so anyone may invoke", b.Role, in.layers[b.Layer].Resource), []evidence.Source{in.cite(b)}
}

// privacyUnknown says why it is not known whether anyone may invoke, "" where
// it is. That the target's own policy was not read is no reason: a service is
// supposed private.
func (in *Invocation) privacyUnknown() string {
	if in.public.State != iam.Unknown || in.ownUnread() {
		return ""
	}
	return in.public.Reason
}

// ownUnread reports whether publicity turns on the target's own policy, which
// was not read.
func (in *Invocation) ownUnread() bool {
	return slices.ContainsFunc(in.public.Open, func(o iam.Open) bool { return o.Document == iam.TargetPolicy && !o.Assumed })
}

// refuse gives the outcome of a check that found a credential wanting: a
// warning where the service is public, a failure where it is private, and an
// open question where that is not known.
func (in *Invocation) refuse(f Finding) Finding {
	why := in.privacyUnknown()
	switch {
	case in.iap:
		return notApplicable(iapJudges)
	case in.isPublic():
		f.Outcome, f.Fixes = Warn, nil
		f.Message += "; the service is public, so this does not stop the call"
	case why == "":
		f.Outcome = Fail
	default:
		f.Outcome, f.Fixes = Unknown, nil
		f.Message += "; it is unknown whether the service is public: " + why
		f.Gather = in.gatherOpen(in.public)
	}
	return f
}

var accessPublic = Check{
	ID:    "access-public",
	Title: "public access",
	Doc: `A service is public where allUsers has run.routes.invoke through any role on the service, its project, a folder or
the organization, or where the invoker IAM check is off. The credential of a caller is then not needed, and a token that
Google cannot verify is passed on to the container. Most services are private; that is not a mistake.`,
	Ref:        "https://docs.cloud.google.com/run/docs/authenticating/public",
	Confidence: Documented,
	Admits:     true,
	Run: func(in *Invocation) Finding {
		switch {
		case in.iap:
			return notApplicable("IAP is on, so it checks the caller first")
		case in.isPublic():
			how, cites := in.openToAll()
			return pass(how, cites...)
		case in.public.State == iam.Unknown && in.grantedAnyway():
			return notApplicable("it is unknown whether anyone may invoke, but the caller may")
		case in.ownUnread():
			return assume(in.layers[0].document, "it is unknown whether anyone may invoke: "+in.ownPolicyName()+" was not read", "the service is not public",
				in.readPolicy(in.layers[0])...)
		case in.public.State == iam.Unknown:
			f := assume(in.layers[0].document, "it is unknown whether anyone may invoke: "+in.public.Reason, "the service is not public", in.gatherOpen(in.public)...)
			f.Cites = in.citeOpen(in.public)
			return f
		}
		return notApplicable("private: allUsers is not granted, so a caller needs a credential")
	},
}

// grantedAnyway reports whether the caller may invoke, whoever else may.
func (in *Invocation) grantedAnyway() bool {
	return !in.identity.Anonymous && in.decide(in.permission, in.identity).State == iam.Granted
}

var accessGranted = Check{
	ID:    "access-granted",
	Title: "permission to invoke",
	Doc: `A private Cloud Run service answers only a principal that has run.routes.invoke, through a binding on the
service itself, its project, a folder or the organization. The smallest role with it is roles/run.servicesInvoker. A
gen1 function needs cloudfunctions.functions.invoke instead, granted on the function or above it.`,
	Ref:        "https://docs.cloud.google.com/run/docs/securing/managing-access",
	Confidence: Documented,
	Admits:     true,
	Run: func(in *Invocation) Finding {
		if in.gen1 && in.delivery {
			return pass("events reach a gen1 function without an invoker binding", in.Function.Source)
		}
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
		return notApplicable("IAP is on, so the service sees only IAP's service agent"), true
	case in.isPublic():
		return notApplicable("not needed: " + in.anyone()), true
	case in.gen1 && in.delivery:
		return notApplicable("events reach a gen1 function without an invoker binding"), true
	case in.identity.Anonymous:
		return notApplicable("no credential, so there is no principal to ask about"), true
	case in.principal != "" || in.identity.Google && !in.sent.config:
		return Finding{}, false
	case in.delivery || in.sent.config:
		return in.unnamedCaller(), true
	case in.sent.known && c.Kind != credential.IDToken && !in.sent.supposed && !in.sent.config:
		return notApplicable("the credential is rejected, so there is no principal to ask about"), true
	}
	return Finding{Message: "the caller is unknown", Gather: in.gatherCaller()}, true
}

// unnamedCaller answers where a configured caller uses a default identity that
// the documents do not spell out.
func (in *Invocation) unnamedCaller() Finding {
	message := "the configuration names no service account"
	if in.projectNumber() == "" {
		message += ", and the name of the default one contains the project's number, which is unknown"
	}
	if n := in.configured().Note; n != "" {
		message += " (" + n + ")"
	}
	if in.projectNumber() != "" {
		return unknown(message, Command{Argv: []string{"diagnose", "invoke", "--principal=serviceAccount:" + gcp.AccountWord}})
	}
	return unknown(message, in.describeProject()...)
}

// anyone says in a clause why no credential is needed.
func (in *Invocation) anyone() string {
	how, _ := in.openToAll()
	return how
}

// grantFinding says whether the allow policies let an identity in. What deny
// policies say is for access-not-denied.
func (in *Invocation) grantFinding(id iam.Identity, who string, fixes func() []Fix) Finding {
	d := in.decideAllow(in.permission, id)
	switch {
	case d.Way == iam.ByCheckOff:
		return pass("the invoker IAM check is off", in.Service.Source.At("/invokerIamDisabled"))
	case d.State == iam.Granted:
		return pass(fmt.Sprintf("%s has %s through %s on %s", subject(who), in.permission, d.Binding.Role, in.layers[d.Binding.Layer].Resource), in.cite(d.Binding))
	case who == "":
		return Finding{Message: "the token has no e-mail, so the caller cannot be matched with a member", Gather: in.gatherCaller(), Fixes: in.mint()}
	case d.State == iam.Unknown:
		return Finding{Message: fmt.Sprintf("it is unknown whether %s has %s: %s", subject(who), in.permission, in.openReason(d)),
			Cites: in.citeOpen(d), Gather: in.gatherOpen(d), Fixes: fixes()}
	}
	f := fail(fmt.Sprintf("%s does not have %s on %s", who, in.permission, in.resource()), Answer{Status: 403, Log: notAuthenticated}, in.layers[0].source.At("/bindings"))
	f.Fixes = fixes()
	if c, ok := in.lost(in.Now); ok {
		f.Message += ": " + c.String()
		f.Cites = append(f.Cites, c.cite)
	} else if why := in.nearMisses(id); len(why) > 0 {
		f.Message += ": " + why[0].text
		f.Cites = append(f.Cites, why[0].cite)
	}
	return f
}

// openReason says why a decision is unknown.
func (in *Invocation) openReason(d iam.Decision) string {
	if d.Binding != nil {
		return d.Reason
	}
	return in.ownPolicyName() + " was not read" + in.because(in.layers[0])
}

// citeOpen points at the binding that a decision turns on.
func (in *Invocation) citeOpen(d iam.Decision) []evidence.Source {
	if d.Binding == nil {
		return nil
	}
	return []evidence.Source{in.cite(d.Binding)}
}

// logged is a text of Cloud Logging. What gen1 logs of a refused call is not
// established.
func (in *Invocation) logged(text string) string {
	if in.gen1 {
		return ""
	}
	return text
}

func (in *Invocation) because(l layer) string {
	if l.Reason == "" || l.Reason == evidence.ErrNotGathered.Error() {
		return ""
	}
	return " (" + l.Reason + ")"
}

var accessNotDenied = Check{
	ID:    "access-not-denied",
	Title: "deny policies",
	Doc: `A deny policy on the project, a folder or the organization beats every grant. Cloud Run's run.routes.invoke can be
denied, also through the permission group run.googleapis.com/routes.*; the invocation of a gen1 function cannot. A denial
condition that cannot be evaluated denies.`,
	Ref:        "https://docs.cloud.google.com/iam/docs/deny-overview",
	Confidence: Documented,
	Run: func(in *Invocation) Finding {
		switch {
		case in.gen1:
			return notApplicable("deny policies do not cover cloudfunctions.functions.invoke")
		case in.checkOff() == iam.Granted:
			return notApplicable("the invoker IAM check is off")
		}
		return in.denyFinding()
	},
}

// denyFinding says what the deny policies make of whom IAM is asked about.
func (in *Invocation) denyFinding() Finding {
	d := in.decide(in.permission, in.checked)
	cite := in.DenyPolicies.Source.At(fmt.Sprintf("/%d/rules/%d", d.Denial.Policy, d.Denial.Rule))
	switch {
	case d.Way == iam.ByDenyRule:
		f := fail(fmt.Sprintf("%s is denied %s: %s", in.checkedName(), in.permission, d.Denial.Reason), Answer{Status: 403, Log: notAuthenticated}, cite)
		f.Fixes = []Fix{in.exemptFromDeny(d.Denial, in.checked.Member.String())}
		return f
	case !in.DenyPolicies.Known() && (d.Denial.State == iam.NotDenied || d.State == iam.NotGranted):
		return in.denyUnread()
	case d.Denial.State == iam.NotDenied && (d.State != iam.Unknown || in.decideAllow(in.permission, in.checked).State != iam.Granted):
		return pass("no deny rule covers the caller", in.DenyPolicies.Source)
	case d.State == iam.NotGranted:
		return notApplicable("nothing is granted that a deny rule could block")
	}
	return Finding{Message: "it is unknown whether a deny rule stops the caller: " + d.Reason, Cites: []evidence.Source{cite}, Gather: in.gatherOpen(d)}
}

// checkedName names whom IAM is asked about: behind IAP its service agent.
func (in *Invocation) checkedName() string {
	if in.iap {
		return cmp.Or(in.iapAgent(), "IAP's service agent")
	}
	return subject(in.principal)
}

// denyUnread answers where deny policies were not read. One that is known to
// be there is not supposed away.
func (in *Invocation) denyUnread() Finding {
	text := "no deny policy denies " + in.permission + " to the caller"
	if in.denyListed() {
		return unknown(denyRulesUnread, in.readDenyPolicies()...)
	}
	return assume("deny-policies.json", "deny policies were not read"+reasonOf(in.DenyPolicies), text, in.readDenyPolicies()...)
}

const denyRulesUnread = "there are deny policies, but their rules were not read"

// denyListed reports whether deny policies are known to be there, and their
// rules are not.
func (in *Invocation) denyListed() bool {
	var listed *evidence.UnreadRules
	return errors.As(in.DenyPolicies.Reason(), &listed)
}

var accessBoundary = Check{
	ID:    "access-boundary",
	Title: "principal access boundary",
	Doc: `Up to enforcement version 3, principal access boundary policies do not cover run.routes.invoke, so they do not block
a Cloud Run service or a v2 function; for version 4, the default, it is unknown. From version 3 they cover
cloudfunctions.googleapis.com/*, so they can block a gen1 function, and from version 2 they can block IAP.`,
	Ref:        "https://docs.cloud.google.com/iam/docs/pab-blocked-permissions",
	Confidence: Documented,
	Run: func(in *Invocation) Finding {
		switch {
		case !in.gen1:
			return notApplicable("principal access boundaries up to version 3 do not cover run.routes.invoke; it is unknown whether version 4 does")
		case in.isPublic() || in.delivery || in.identity.Anonymous:
			return notApplicable("no principal is needed")
		}
		return assume("", "diagnose cannot check principal access boundaries", "no principal access boundary of the caller blocks "+in.permission,
			shell(gcp.ListAccessBoundaries(""))...)
	},
}
