package checks

import (
	"fmt"
	"slices"

	"cloud.google.com/go/functions/apiv2/functionspb"

	"diagnose/internal/evidence"
	"diagnose/internal/gcp"
)

var ingressGate = Gate{"ingress", "404, 403", []Check{ingressSource, ingressPerimeter}}

var ingressSource = Check{
	ID:    "ingress-source",
	Title: "ingress setting",
	Doc: `Ingress is independent of IAM, and both must pass. "internal" admits VPC networks of the project or its Shared VPC,
internal load balancers, the VPC-SC perimeter and, on the run.app URL only, Google services of the same project;
"internal-and-cloud-load-balancing" also the external Application Load Balancer. Everything else gets Google's 404 page,
which is not logged, whatever token it has.`,
	Ref:        "https://docs.cloud.google.com/run/docs/securing/ingress",
	Confidence: Documented,
	Run: func(in *Invocation) Finding {
		setting, src, known := in.ingress()
		if !known && !in.gen1 && in.refusedByFrontEnd(401, 403) {
			return assume("service.json", "the ingress setting was not read", fmt.Sprintf("ingress admitted the request: the observed %d came from the access check, which comes later", in.seen.status), in.describe()...)
		}
		if !known {
			return unknown("the ingress setting was not read"+reasonOf(in.Service), in.describe()...)
		}
		from := fmt.Sprintf("ingress %s, the request comes from %s", setting.String(), in.origin.Word())
		if why, ok := in.admitted(setting); ok {
			f := pass(from+why, src)
			f.Assumes = in.sameProject(setting)
			return f
		}
		if in.gen1Push() {
			f := fail("ingress is "+setting.String()+", and for a gen1 function a push of Pub/Sub or Eventarc does not count as internal", notFound, src)
			f.Assumes = []Assumption{{Text: "Pub/Sub and Eventarc do not count as internal for a gen1 function"}}
			f.Fixes = in.ingressFixes(setting)
			return f
		}
		f := fail("ingress is "+setting.String()+", which does not admit a request from "+in.origin.Word()+in.whyOutside(setting), notFound, src)
		if in.gen1 {
			f.Answer.Also = []int{403}
		}
		f.Fixes = in.ingressFixes(setting)
		return f
	},
}

// ingress returns the setting in force: the Cloud Run service's own where it
// was read, else what the function asked for.
func (in *Invocation) ingress() (gcp.Ingress, evidence.Source, bool) {
	if svc, ok := in.Service.Get(); ok && !in.gen1 {
		i := gcp.ParseIngress(svc.GetIngress().String())
		return i, in.Service.Source.At("/ingress"), i != gcp.UnknownIngress
	}
	if sc := in.fn().GetServiceConfig(); sc != nil && (in.gen1 || sc.GetIngressSettings() != functionspb.ServiceConfig_INGRESS_SETTINGS_UNSPECIFIED) {
		i := gcp.ParseIngress(sc.GetIngressSettings().String())
		return i, in.Function.Source.At("/serviceConfig/ingressSettings"), i != gcp.UnknownIngress
	}
	return 0, evidence.Source{}, false
}

// admitted says whether ingress admits the request, and in a few words why
// where that is not plain.
func (in *Invocation) admitted(setting gcp.Ingress) (why string, ok bool) {
	switch {
	case in.origin != evidence.GoogleService || setting == gcp.IngressAll:
	case in.host.Kind == gcp.CustomHost || in.gen1Push():
		return "", false
	case setting != gcp.IngressNone:
		why = " of the same project, on the default URL"
	}
	return why, in.origin.Passes(setting)
}

// sameProject is what the way in of a Google service rests on, where the caller's
// project is known by its ID and the target's by its number, or the other way.
func (in *Invocation) sameProject(setting gcp.Ingress) []Assumption {
	project := in.configured().Project
	if setting == gcp.IngressAll || in.origin != evidence.GoogleService || in.request.Origin != "" || project == "" || in.saysWhoCalls() {
		return nil
	}
	if own, known := in.ownProject(project); own || known {
		return nil
	}
	return []Assumption{{Document: "project.json", Text: "the caller's project " + project + " is the project of the service", Gather: in.describeProject()}}
}

// gen1Push reports whether Pub/Sub or Eventarc sends the request to a gen1
// function by HTTP, which its internal ingress does not admit:
// https://docs.cloud.google.com/functions/1stgendocs/networking/network-settings.
func (in *Invocation) gen1Push() bool {
	return in.gen1 && !in.delivery && in.origin == evidence.GoogleService && (in.client == "pubsub-push" || in.client == "eventarc")
}

func (in *Invocation) whyOutside(setting gcp.Ingress) string {
	switch {
	case setting == gcp.IngressNone:
		return " nor from anywhere else; Google does not document the status"
	case in.origin == evidence.GoogleService && in.host.Kind == gcp.CustomHost:
		return ": Google services count as internal only on the run.app URL"
	case in.foreign(in.configured().Project):
		return ": the caller is in another project"
	case in.origin == evidence.LoadBalancer:
		return ": an external load balancer needs internal-and-cloud-load-balancing"
	}
	return "; no token changes that"
}

func (in *Invocation) ingressFixes(setting gcp.Ingress) []Fix {
	if in.bare {
		return nil
	}
	var out []Fix
	if in.foreign(in.configured().Project) {
		out = append(out, callFrom(evidence.GoogleService, "Create the caller in the project of the service"))
	} else if setting != gcp.IngressNone && in.origin != evidence.GoogleService {
		out = append(out, callFrom(evidence.VPC, "Call from inside: a VPC network of the project, or with egress through it"))
	}
	if in.origin == evidence.LoadBalancer {
		return append(out, in.setIngress(gcp.IngressInternalAndLoadBalancer, ""))
	}
	return append(out, in.setIngress(gcp.IngressAll,
		"this lets the whole internet reach the service; IAM is then the only protection"))
}

var ingressPerimeter = Check{
	ID:    "ingress-perimeter",
	Title: "VPC-SC perimeter",
	Doc: `VPC Service Controls can refuse the request as run.googleapis.com/HttpIngress: 403 where ingress is all, else 404. No
document of the service shows it; the policy audit log does.`,
	Ref:        "https://docs.cloud.google.com/run/docs/troubleshooting",
	Confidence: Documented,
	Run: func(in *Invocation) Finding {
		for i, e := range in.Logs.Or(nil) {
			if !perimeterViolation(e) || !in.seen.foreign && !slices.Contains([]int{0, 403, 404}, in.seen.status) {
				continue // the answer is another one than a perimeter gives
			}
			status := Answer{Status: 404, Also: []int{403}}
			if setting, _, known := in.ingress(); known && setting == gcp.IngressAll {
				status = Answer{Status: 403, Also: []int{404}}
			}
			f := fail("the audit log shows that a VPC-SC perimeter refused the request as run.googleapis.com/HttpIngress", status, in.LogSource(i))
			f.Observed = true
			f.Assumes = []Assumption{{Text: "the audit log entry is of this request"}}
			f.Fixes = in.perimeterFixes()
			return f
		}
		return notApplicable("no log entry or response points to a perimeter")
	},
}

// perimeterFixes tell how to pass a perimeter. From inside it the refusal that
// was logged is another request's.
func (in *Invocation) perimeterFixes() []Fix {
	if in.bare {
		return nil
	}
	rule := Fix{ID: "perimeter-ingress-rule", Summary: "Add an ingress rule for the caller to the perimeter",
		Commands: shell(gcp.UpdatePerimeter("")),
		Caution:  "diagnose cannot check the rules of a perimeter"}
	if in.origin == evidence.Perimeter {
		return []Fix{rule}
	}
	inside := callFrom(evidence.Perimeter, "Call from inside the perimeter")
	move := inside.apply
	inside.apply = func(s evidence.Snapshot) evidence.Snapshot {
		logs := slices.DeleteFunc(slices.Clone(s.Logs.Or(nil)), perimeterViolation)
		s.Logs = evidence.Known(logs, s.Logs.Source)
		return move(s)
	}
	return []Fix{inside, rule}
}
