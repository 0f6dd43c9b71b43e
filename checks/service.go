package checks

import (
	"cmp"
	"fmt"
	"strings"

	"cloud.google.com/go/functions/apiv2/functionspb"
	"cloud.google.com/go/run/apiv2/runpb"

	"diagnose/internal/credential"
	"diagnose/internal/evidence"
	"diagnose/internal/gcp"
)

var serviceGate = Gate{"service", "404, 429, 500, 503", []Check{serviceReady, serviceTraffic, functionState}}

var serviceReady = Check{
	ID:    "service-ready",
	Title: "state of the service",
	Doc: `A request that passed IAM still needs an instance: without a ready revision, or with none available, the
answer is 429, 500 or 503, and the request log explains it. Access was not refused.`,
	Ref:        "https://docs.cloud.google.com/run/docs/troubleshooting",
	Confidence: Documented,
	Run: func(in *Invocation) Finding {
		if f, seen := in.capacityFailure(); seen {
			return f
		}
		svc, known := in.Service.Get()
		switch {
		case in.gen1:
			return notApplicable("a gen1 function is not a Cloud Run service")
		case !known:
			return assume("service.json", "the service was not read", "the service has a serving revision", in.describeService()...)
		case svc.GetDeleteTime() != nil:
			return fail("the service was deleted", notFound, in.Service.Source.At("/deleteTime"))
		}
		cond, src := svc.GetTerminalCondition(), in.Service.Source.At("/terminalCondition")
		switch {
		case cond == nil || cond.GetState() == runpb.Condition_STATE_UNSPECIFIED:
			return assume("service.json", "the document does not say whether the service is ready", "the service has a serving revision", in.describeService()...)
		case cond.GetState() == runpb.Condition_CONDITION_FAILED && svc.GetLatestReadyRevision() != "":
			return warn("the last deployment failed, but an earlier revision serves: "+credential.Words(cond.GetMessage()), src)
		case cond.GetState() == runpb.Condition_CONDITION_FAILED:
			message := "the service has no serving revision"
			if m := credential.Words(cond.GetMessage()); m != "" {
				message += ": " + m
			}
			f := fail(message, Answer{Status: 503, Also: []int{404, 500}}, src)
			return withFixes(f, in.deployRevision())
		case cond.GetState() != runpb.Condition_CONDITION_SUCCEEDED:
			return warn("a deployment is under way", src)
		}
		return pass("ready", src)
	},
}

// serves reports whether the service says of itself that a revision serves.
func (in *Invocation) serves() bool {
	svc := in.service()
	return svc.GetDeleteTime() == nil && (svc.GetTerminalCondition().GetState() == runpb.Condition_CONDITION_SUCCEEDED || svc.GetLatestReadyRevision() != "")
}

// capacityTexts are the log texts of requests that found no instance.
var capacityTexts = []struct{ prefix, means string }{
	{"The request was aborted because there was no available instance", "no instance was available"},
	{"The request failed because the instance could not start successfully", "the instance could not start"},
	{"The request failed because either the HTTP response was malformed or connection to the instance had an error", "the container's answer was malformed or its connection broke"},
}

func (in *Invocation) capacityFailure() (Finding, bool) {
	e := in.seen.entry
	if e == nil {
		return Finding{}, false
	}
	for _, t := range capacityTexts {
		if !strings.HasPrefix(e.Text, t.prefix) {
			continue
		}
		f := fail("the log says that "+t.means+": IAM let the request in", Answer{Status: e.Status, Log: t.prefix}, in.seen.source.At("/textPayload"))
		f.Observed = true
		f.Assumes = []Assumption{{Text: "the log entry is of this request"}}
		f.Fixes = []Fix{{ID: "raise-capacity", Summary: "Look at the revision's own logs, and at max instances and quota",
			Commands: shell(in.serviceName().Update("--max-instances=MAX")),
			Caution:  "diagnose cannot check this: no document shows the capacity"}}
		return f, true
	}
	return Finding{}, false
}

var serviceTraffic = Check{
	ID:    "service-traffic",
	Title: "traffic settings",
	Doc: `A tag URL serves only a tag that exists. Traffic pinned to an older revision may explain a change that is not
live; the service's access settings apply to all its revisions.`,
	Ref:        "https://docs.cloud.google.com/run/docs/rollouts-rollbacks-traffic-migration",
	Confidence: Documented,
	Run: func(in *Invocation) Finding {
		svc, known := in.Service.Get()
		if in.gen1 || !known {
			return notApplicable("no traffic settings were given")
		}
		if tag := in.host.Tag; tag != "" && in.host.Kind == gcp.RunHost {
			for _, t := range svc.GetTraffic() {
				if t.GetTag() == tag {
					return pass("the tag "+tag+" exists", in.Service.Source.At("/traffic"))
				}
			}
			for _, t := range svc.GetTrafficStatuses() {
				if t.GetTag() == tag {
					return pass("the tag "+tag+" exists", in.Service.Source.At("/trafficStatuses"))
				}
			}
			return withFixes(fail(fmt.Sprintf("no revision has the tag %q", tag), notFound, in.Service.Source.At("/traffic")), in.dropTag())
		}
		for _, t := range svc.GetTraffic() {
			if t.GetPercent() > 0 && t.GetRevision() != "" && svc.GetLatestReadyRevision() != "" && !strings.HasSuffix(svc.GetLatestReadyRevision(), t.GetRevision()) {
				return warn(fmt.Sprintf("%d%% of traffic is pinned to the older revision %s", t.GetPercent(), t.GetRevision()), in.Service.Source.At("/traffic"))
			}
		}
		return pass("traffic goes to the latest ready revision", in.Service.Source.At("/traffic"))
	},
}

func (in *Invocation) dropTag() []Fix {
	u := *in.url
	h := gcp.ParseHost(u.Host)
	if u.Host = h.Untagged(); h.Port != "" {
		u.Host += ":" + h.Port
	}
	return []Fix{in.callURLFix("drop-tag", "Call the service without the tag: "+shown(&u), &u)}
}

var functionState = Check{
	ID:    "function-state",
	Title: "state of the function",
	Doc: `A function whose deployment failed does not serve; while one is deployed or deleted the earlier version may still
answer. Its state messages say why.`,
	Ref:        "https://docs.cloud.google.com/functions/docs/reference/rest/v2/projects.locations.functions",
	Confidence: Source,
	Run: func(in *Invocation) Finding {
		if in.stray != "" {
			return warn(in.stray+": the function was not used", in.Function.Source)
		}
		if !in.function {
			return notApplicable("no function was given")
		}
		fn, src := in.fn(), in.Function.Source.At("/state")
		why := ""
		for _, m := range fn.GetStateMessages() {
			why += ": " + credential.Words(m.GetMessage())
		}
		switch fn.GetState() {
		case functionspb.Function_ACTIVE:
			return pass("ACTIVE", src)
		case functionspb.Function_FAILED:
			if in.serves() {
				return warn("the function's deployment failed"+why+"; yet its service is ready, so the two documents contradict each other or an earlier version serves", src)
			}
			f := fail("the function's deployment failed, so it does not serve"+why, Answer{Status: 404, Also: []int{500, 503}}, src)
			return withFixes(f, in.deployFunction())
		case functionspb.Function_DEPLOYING:
			return warn("the function is being deployed; the earlier version may still answer"+why, src)
		case functionspb.Function_DELETING:
			return warn("the function is being deleted", src)
		}
		return assume("function.json", "the document does not say whether the function is active", "the function is active", in.describeFunction()...)
	},
}

// deployRevision proposes a revision that serves. Why the last one does not is
// in its logs.
func (in *Invocation) deployRevision() []Fix {
	if in.bare {
		return nil
	}
	image := "IMAGE"
	if c := in.service().GetTemplate().GetContainers(); len(c) > 0 {
		image = cmp.Or(c[0].GetImage(), image)
	}
	return []Fix{{
		ID: "deploy-revision", Summary: "Read in the revision's logs why it does not start, correct that and deploy again",
		Commands: append(
			in.logs(fmt.Sprintf(`resource.type="cloud_run_revision" resource.labels.service_name=%q severity>=ERROR`, in.serviceName().ID)),
			shell(in.serviceName().Update("--image="+image))...),
		Caution: "the call then succeeds once a revision is ready",
		apply: func(s evidence.Snapshot) evidence.Snapshot {
			return changeService(s, func(svc *runpb.Service) {
				svc.LatestReadyRevision = svc.GetName() + "/revisions/next"
				svc.TerminalCondition = &runpb.Condition{Type: "Ready", State: runpb.Condition_CONDITION_SUCCEEDED}
			})
		},
	}}
}

// deployFunction proposes a deployment of the function that succeeds.
func (in *Invocation) deployFunction() []Fix {
	if in.bare {
		return nil
	}
	return []Fix{{
		ID: "deploy-function", Summary: "Fix the problem in the state messages, then deploy the function again",
		Commands: shell(in.functionName().Update("--source=SOURCE_FOLDER")),
		Caution:  "the call then succeeds once the function is active",
		apply: func(s evidence.Snapshot) evidence.Snapshot {
			fn, ok := s.Function.Get()
			if !ok || fn.Function == nil {
				return s
			}
			fn.Function = edit(fn.Function, func(f *functionspb.Function) {
				f.State, f.StateMessages = functionspb.Function_ACTIVE, nil
			})
			s.Function = evidence.Known(fn, s.Function.Source)
			return s
		},
	}}
}
