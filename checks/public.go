package checks

import (
	"net/http"
	"slices"

	"cloud.google.com/go/iam/apiv1/iampb"
	"cloud.google.com/go/run/apiv2/runpb"

	"diagnose/internal/credential"
	"diagnose/internal/evidence"
	"diagnose/internal/gcp"
	"diagnose/internal/iam"
)

// makePublic proposes to open the service, only where nothing that was read
// forbids it. Turning the check off is what Google recommends, also where
// allUsers cannot be bound:
// https://docs.cloud.google.com/run/docs/authenticating/public.
func (in *Invocation) makePublic() []Fix {
	if in.bare || in.iap || in.event || in.publicDenied() {
		return nil
	}
	checkStays := in.mentions("invoker_iam_disabled is not currently available", "run.managed.requireinvokeriam")
	if in.gen1 || !in.Service.Known() || checkStays {
		if in.mentions("do not belong to a permitted customer") {
			return nil
		}
		f := in.grant("allUsers")
		f.ID, f.Caution = "make-public", in.publicCaution()
		f.Summary = "Make " + in.resource() + " public: grant " + in.invokerRole() + " to allUsers"
		return []Fix{f}
	}
	return []Fix{{
		ID: "make-public", Summary: "Make " + in.resource() + " public: turn its invoker IAM check off",
		Commands:  shell(in.serviceName().Update("--no-invoker-iam-check")),
		Terraform: terraformAttribute(in.terraformService(), "invoker_iam_disabled", true),
		Caution:   in.publicCaution(),
		apply: func(s evidence.Snapshot) evidence.Snapshot {
			return changeService(s, func(svc *runpb.Service) { svc.InvokerIamDisabled = true })
		},
	}}
}

func (in *Invocation) publicCaution() string {
	caution := "everyone that ingress admits can then call it without a token"
	if setting, _, known := in.ingress(); !known || setting == gcp.IngressAll {
		caution = "everyone on the internet can then call it without a token"
	}
	switch {
	case in.client == "firebase-sdk" || in.sent.credential.Kind == credential.Firebase:
		return caution + ": verify the Firebase ID token in the code"
	case in.client == "browser" || in.sent.credential.JWT():
		return caution + ": the code must check its callers itself"
	}
	return caution
}

// publicDenied reports whether a deny policy that was read may cover everyone:
// then its owner decides.
func (in *Invocation) publicDenied() bool {
	q := in.question(in.permission, iam.Anonymous())
	return len(q.Deny) > 0 && q.Query.Deny(q.Deny).State != iam.NotDenied
}

// wantsPublic reports whether to open the service is what the caller needs
// first: it can hold no Google identity, or the evidence says that anyone shall
// be let in.
func (in *Invocation) wantsPublic() bool {
	switch {
	case in.client == "browser", in.client == "firebase-sdk", in.sent.credential.Kind == credential.Firebase:
		return true
	case in.request.Method == http.MethodOptions, peopleProvider(in.sent.credential):
		return true
	}
	return in.meantPublic()
}

// meantPublic reports whether the evidence says that anyone shall be let in:
// the deployment asked for it, the question does, or allUsers is bound with a
// role that does not let them invoke.
func (in *Invocation) meantPublic() bool {
	if in.request.Principal == "allUsers" || in.mentions("do not belong to a permitted customer",
		"setting iam policy failed", "allow unauthenticated invocations failed") {
		return true
	}
	for _, p := range []*iampb.Policy{in.layers[0].Policy, in.FunctionPolicy.Or(nil)} {
		for _, b := range p.GetBindings() {
			if slices.Contains(b.GetMembers(), "allUsers") {
				return true
			}
		}
	}
	return false
}
