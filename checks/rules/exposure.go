package rules

import (
	"diagnose/checks"
	"diagnose/internal/estate"
)

// exposureRules find services that anyone reaches, whatever lets them in.
var exposureRules = []Rule{invokerCheckDisabled, ingressAllPublic, eventFunctionPublic, iapBypass}

var invokerCheckDisabled = Rule{
	ID: "invoker-check-disabled", Title: "an invoker IAM check that is off",
	Severity: Critical, Confidence: checks.Documented,
	Ref: "https://docs.cloud.google.com/run/docs/authenticating/public",
	Doc: `With the invoker IAM check off, anyone may invoke the service whatever its policy says; an empty policy then reads like a
private service. Where the service is not meant to be public, turn the check on again. Behind IAP, IAP decides who gets
through; give its service agent its own grant before you turn the check on.`,
	Run: func(x *Index) []Finding {
		var out []Finding
		for _, t := range x.order {
			if t.Gen1 || t.gone() || t.Check != estate.No {
				continue
			}
			f := aboutTarget(t, "anyone may invoke %s: its invoker IAM check is off", shortName(t.name))
			f.Reach = Reach{Services: 1, Known: true}
			f.propose = func() []repair { return []repair{x.checkOn(t)} }
			switch {
			case t.behind():
				f.Severity, f.Reach.Services = Low, 0
				f.Message = "the invoker IAM check of " + shortName(t.name) + " is off, but IAP is in front and decides who gets through"
				if t.open() {
					f.Severity, f.Reach.Services = 0, 1
					f.Message += ", and lets everyone through"
				}
			case t.shielded():
				f.Severity, f.Reach.Services = Medium, 0
				f.Message += "; ingress keeps the internet out, so only requests from inside arrive"
			default:
				x.limited(&f, t)
			}
			out = append(out, f)
		}
		return out
	},
}

var ingressAllPublic = Rule{
	ID: "ingress-all-public", Title: "a public service with nothing in front",
	Severity: Medium, Confidence: checks.Documented,
	Ref: "https://docs.cloud.google.com/run/docs/securing/ingress",
	Doc: `The service is public and admits requests from the internet on its own URL, so neither a load balancer with
Cloud Armor nor IAP protects it. Where it is meant to be public behind a load balancer, restrict its ingress to that.`,
	Run: ofTargets(func(x *Index, t *target) (f Finding, bad bool) {
		if !t.open() || t.Ingress != estate.IngressAll || t.IAP == estate.Yes || t.front || t.DefaultURL == estate.No {
			return f, false
		}
		f = aboutTarget(t, "%s is public and reachable from the internet, with nothing in front", shortName(t.name))
		f.Reach = Reach{Services: 1, Known: true}
		f.propose = func() []repair { return []repair{x.restrictIngress(t)} }
		return f, true
	}),
}

var eventFunctionPublic = Rule{
	ID: "event-function-public", Title: "a public event-driven function",
	Severity: High, Confidence: checks.Documented,
	Ref: "https://docs.cloud.google.com/functions/docs/calling",
	Doc: `Only its trigger's service account needs to call an event-driven function. Where it is public, anyone can send it forged
events. Remove the grant, or turn the invoker IAM check on.`,
	Run: ofTargets(func(x *Index, t *target) (f Finding, bad bool) {
		if t.Event != estate.Yes || !t.free() {
			return f, false
		}
		f = aboutTarget(t, "%s is event-driven, and anyone may call it", shortName(t.name))
		f.Reach = Reach{Services: 1, Known: true}
		if !t.open() {
			f.Severity, f.Reach.Services = Medium, 0
		}
		f.propose = func() []repair { return []repair{x.checkOn(t)} }
		if g := x.opens(t); g != nil {
			f.GrantedOn, f.Role, f.Member, f.Where = g.on, g.role, g.member.String(), g.binding.Where
			f.propose = func() []repair { return []repair{x.removeBinding(g)} }
		}
		return f, true
	}),
}

var iapBypass = Rule{
	ID: "iap-bypass", Title: "IAP on the load balancer only",
	Severity: High, Confidence: checks.Documented,
	Ref: "https://docs.cloud.google.com/iap/docs/enabling-cloud-run",
	Doc: `IAP on a load balancer checks only what comes through it. The service still answers on its run.app URL: where it is public
and admits all traffic, callers can go around IAP. Restrict ingress, turn the default URL off, or turn IAP on for the service.`,
	Run: ofTargets(func(x *Index, t *target) (f Finding, bad bool) {
		if !t.front || t.IAP == estate.Yes || t.Ingress != estate.IngressAll || t.DefaultURL == estate.No || !t.open() {
			return f, false
		}
		f = aboutTarget(t, "IAP protects %s on a load balancer, but its run.app URL is open to anyone", shortName(t.name))
		f.Reach = Reach{Services: 1, Known: true}
		f.propose = func() []repair { return []repair{x.restrictIngress(t)} }
		return f, true
	}),
}
