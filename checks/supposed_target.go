package checks

import (
	"cmp"
	"slices"

	"cloud.google.com/go/functions/apiv2/functionspb"
	"cloud.google.com/go/run/apiv2/runpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"diagnose/internal/evidence"
	"diagnose/internal/gcp"
)

// otherServices: what the service may say of itself.
func (in *Invocation) otherServices() []possibility {
	if in.Service.Known() || in.gen1 && in.host.Kind == gcp.FunctionsHost {
		return nil
	}
	suppose := func(text string, change func(*runpb.Service)) possibility {
		return possibility{"service.json", text, in.describeService(), func(s evidence.Snapshot) evidence.Snapshot {
			svc := in.supposedService()
			change(svc)
			s.Service = evidence.Known(svc, extreme)
			return s
		}}
	}
	out := []possibility{
		suppose("the service's own document does not contradict this", func(*runpb.Service) {}),
		suppose("the invoker IAM check of the service is on", func(s *runpb.Service) { s.InvokerIamDisabled = true }),
		suppose("ingress admits the request", func(s *runpb.Service) { s.Ingress = runpb.IngressTraffic_INGRESS_TRAFFIC_NONE }),
		suppose("ingress admits the request", func(s *runpb.Service) { s.Ingress = runpb.IngressTraffic_INGRESS_TRAFFIC_INTERNAL_ONLY }),
		suppose("IAP is off on the service", func(s *runpb.Service) { s.IapEnabled = true }),
		suppose("the default URL of the service is on", func(s *runpb.Service) { s.DefaultUriDisabled = true }),
		suppose("the service is not deleted", func(s *runpb.Service) { s.DeleteTime = timestamppb.New(in.Now) }),
		suppose("the service has a serving revision", func(s *runpb.Service) {
			s.TerminalCondition, s.LatestReadyRevision = &runpb.Condition{State: runpb.Condition_CONDITION_FAILED}, ""
		}),
	}
	if in.host.Name != "" {
		out = append(out, suppose(in.host.Name+" is the service's host", func(s *runpb.Service) {
			s.Uri, s.Urls = "https://other-zz99zz99zz-ew.a.run.app", []string{"https://other-zz99zz99zz-ew.a.run.app"}
		}))
	}
	for _, aud := range in.sent.credential.Claims.Audience {
		out = append(out, suppose("the service does not have the token's audience as a custom audience", func(s *runpb.Service) { s.CustomAudiences = []string{aud} }))
		if gcp.HostOf(aud).Kind == gcp.RunHost {
			out = append(out, suppose("the service has no URL like the token's audience", func(s *runpb.Service) { s.Urls = append(s.Urls, aud) }))
		}
	}
	return out
}

// supposedService is a service that fits what is known of the target.
func (in *Invocation) supposedService() *runpb.Service {
	name := cmp.Or(in.fn().GetServiceConfig().GetService(),
		in.serviceName().String())
	s := &runpb.Service{Name: name, Ingress: runpb.IngressTraffic_INGRESS_TRAFFIC_ALL, LatestReadyRevision: "revisions/1",
		TerminalCondition: &runpb.Condition{State: runpb.Condition_CONDITION_SUCCEEDED}}
	if in.host.Kind == gcp.RunHost {
		s.Urls = append(s.Urls, "https://"+in.url.Host)
	}
	if u := in.fn().GetServiceConfig().GetUri(); u != "" && !slices.Contains(s.Urls, u) {
		s.Urls = append(s.Urls, u)
	}
	if len(s.Urls) > 0 {
		s.Uri = s.Urls[0]
	}
	if tag := in.host.Tag; tag != "" {
		s.Traffic = []*runpb.TrafficTarget{{Tag: tag}}
	}
	return s
}

// otherFunctions: what a function in front of the service may say.
func (in *Invocation) otherFunctions() []possibility {
	if in.Function.Known() {
		return nil
	}
	suppose := func(text string, f *functionspb.Function) possibility {
		return possibility{"function.json", text, in.describeFunction(), func(s evidence.Snapshot) evidence.Snapshot {
			s.Function = evidence.Known(evidence.Function{Function: f}, extreme)
			return s
		}}
	}
	base := func() *functionspb.Function {
		return &functionspb.Function{
			Name:        in.functionName().String(),
			Environment: functionspb.Environment_GEN_2, State: functionspb.Function_ACTIVE,
			ServiceConfig: &functionspb.ServiceConfig{Service: in.service().GetName()},
		}
	}
	event, failed, gen1 := base(), base(), base()
	event.EventTrigger = &functionspb.EventTrigger{EventType: "google.cloud.storage.object.v1.finalized"}
	failed.State = functionspb.Function_FAILED
	gen1.Environment, gen1.ServiceConfig = functionspb.Environment_GEN_1, &functionspb.ServiceConfig{}
	if in.host.Kind == gcp.FunctionsHost {
		for _, f := range []*functionspb.Function{event, failed, gen1} {
			f.Url = gcp.Origin(in.url) + "/" + in.functionOfURL()
		}
	}
	out := []possibility{
		suppose("the function is not event-driven", event),
		suppose("the function is active", failed),
		suppose("the target is not a gen1 function", gen1),
	}
	if !in.Service.Known() {
		internal := base()
		internal.ServiceConfig.IngressSettings = functionspb.ServiceConfig_ALLOW_INTERNAL_ONLY
		out = append(out, suppose("ingress admits the request", internal))
	}
	return out
}

// otherProjects: the number of the project may be another one than a host
// suggests.
func (in *Invocation) otherProjects() []possibility {
	if in.Project.Known() || in.documentNumber() != "" {
		return nil
	}
	return []possibility{{"project.json", "the project number in the URL belongs to the service's project", in.describeProject(),
		func(s evidence.Snapshot) evidence.Snapshot {
			s.Project = evidence.Known(evidence.Project{ID: in.name.Project, Number: "1"}, extreme)
			return s
		}}}
}
