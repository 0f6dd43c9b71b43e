package checks

import (
	"fmt"
	"slices"
	"strings"

	"diagnose/internal/evidence"
	"diagnose/internal/iam"
)

// A nearMiss is a binding that almost grants, and the check that explains it.
type nearMiss struct {
	check string
	text  string
	cite  evidence.Source
}

// nearMisses lists what almost grants to an identity, the most telling first.
func (in *Invocation) nearMisses(id iam.Identity) []nearMiss {
	return slices.Concat(in.almostBound(id), in.misspelt(id), in.onFunction(id))
}

// almostBound lists the bindings of an identity that do not grant: their
// condition does not hold, or their role sounds like one of invokers.
func (in *Invocation) almostBound(id iam.Identity) []nearMiss {
	var out []nearMiss
	add := func(check string, cite evidence.Source, format string, args ...any) {
		out = append(out, nearMiss{check, fmt.Sprintf(format, args...), cite})
	}
	bindings := in.decideAllow(in.permission, id).Access.Bindings
	for i := range bindings {
		b := &bindings[i]
		on := in.layers[b.Layer].Resource
		switch {
		case b.Membership == iam.Granted && b.Carries == iam.Granted && b.Condition.State == iam.NotGranted:
			add("access-condition", in.cite(b), "the condition of %s on %s is not true: %s", b.Role, on, b.Condition.Reason)
		case b.Membership == iam.Granted && b.Carries == iam.NotGranted && invokerLike(b.Role):
			add("access-role-effective", in.cite(b), "%s on %s does not include %s", b.Role, on, in.permission)
		}
	}
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
	for _, l := range in.layers {
		for i, b := range l.Policy.GetBindings() {
			if carries, _ := in.roles.Carries(b.GetRole(), in.permission); carries != iam.Granted {
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
		a := in.question(permission, id).Allow([]iam.Layer{{Level: iam.Function, Policy: p}})
		for _, b := range a.Bindings {
			if b.State == iam.Granted && len(out) == 0 {
				out = append(out, nearMiss{"access-resource", fmt.Sprintf("%s is granted on the function, which has no effect; grant it on the function's Cloud Run service", b.Role),
					in.FunctionPolicy.Source.At(fmt.Sprintf("/bindings/%d", b.Binding))})
			}
		}
	}
	return out
}

// publicMiss answers where no principal is asked about: what was meant to let
// in everybody, and does not, is told all the same.
func (in *Invocation) publicMiss(id string) Finding {
	if in.iap || in.isPublic() || in.delivery || in.principal != "" {
		return notApplicable("no grant is missing")
	}
	everybody := iam.Anonymous()
	for _, n := range append(in.almostBound(everybody), in.onFunction(everybody)...) {
		if n.check == id {
			return warn(n.text, n.cite)
		}
	}
	return notApplicable("no grant is missing")
}

// explanation makes a check that explains a missing grant by its near misses.
// It fails only beside a failing access-granted, and rests on the same
// assumptions.
func explanation(id, title, ref string, confidence Confidence, doc string) Check {
	return Check{ID: id, Title: title, Ref: ref, Confidence: confidence, Doc: doc, Run: func(in *Invocation) Finding {
		if _, done := in.noIdentityToJudge(); done {
			return in.publicMiss(id)
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
				f.Outcome, f.Answer = Fail, granted.Answer
			}
			return f
		}
		return pass("nothing of this kind was found")
	}}
}

func noFixes() []Fix { return nil }

var accessRoleEffective = explanation("access-role-effective", "permissions of the bound roles",
	"https://docs.cloud.google.com/run/docs/securing/managing-access", Source,
	`Only the permissions in a role count. roles/cloudfunctions.invoker includes only the permission to invoke gen1 functions,
and roles/run.viewer none to invoke anything.`)

var accessResource = explanation("access-resource", "resource of the binding",
	"https://docs.cloud.google.com/functions/docs/securing/managing-access-iam", Source,
	`A v2 function is invoked through its Cloud Run service, so IAM checks the policy of that service. Google accepts a
binding on the function, but it does not let anyone invoke.`)

var accessMemberLive = explanation("access-member-live", "spelling and state of the bound members",
	"https://docs.cloud.google.com/iam/docs/principal-identifiers", Documented,
	`A member that starts with deleted: is an account that no longer exists; a new account with the same e-mail is a
different one. A misspelt e-mail, or a service account of another project, is a different member too.`)

var accessMemberKind = explanation("access-member-kind", "kind of the bound members",
	"https://docs.cloud.google.com/iam/docs/federated-identity-supported-services", Documented,
	`Workforce and workload identity federation do not reach run.routes.invoke directly: such a principal has no Google ID
token and must impersonate a service account, or pass IAP. projectOwner: and the Kubernetes form of serviceAccount:
cannot call either.`)

var accessCondition = explanation("access-condition", "conditions of the bindings",
	"https://docs.cloud.google.com/iam/docs/conditions-attribute-reference", Documented,
	`A condition can use the time, the request's path and host, and tags. A condition that uses another attribute, such as
resource.name, never grants; a condition with an end that has passed no longer does.`)
