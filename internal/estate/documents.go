package estate

import (
	"cmp"
	"maps"
	"strings"

	"cloud.google.com/go/functions/apiv2/functionspb"
	"cloud.google.com/go/run/apiv2/runpb"

	"diagnose/internal/evidence"
	"diagnose/internal/gcp"
)

// The hosts that start full resource names:
// https://docs.cloud.google.com/iam/docs/full-resource-names.
const (
	RunHost       = "//" + gcp.RunAPI + "/"
	FunctionsHost = "//" + gcp.FunctionsAPI + "/"
	NodeHost      = "//" + gcp.ResourceManagerAPI + "/"
)

// OfService returns the target that a Cloud Run service is. All traffic is the
// default of ingress.
func OfService(s *runpb.Service, where Where) Target {
	t := Target{
		Name: RunHost + s.GetName(), Check: TruthOf(!s.GetInvokerIamDisabled()), IAP: TruthOf(s.GetIapEnabled()), DefaultURL: TruthOf(!s.GetDefaultUriDisabled()),
		Custom: s.GetCustomAudiences(), CustomOK: true, Deleted: TruthOf(s.GetDeleteTime() != nil), Where: where, Ingress: gcp.ParseIngress(s.GetIngress().String()),
	}
	for _, u := range append([]string{s.GetUri()}, s.GetUrls()...) {
		if u != "" {
			t.URLs = append(t.URLs, u)
		}
	}
	return t
}

// OfFunction returns the target that a function is: a gen1 function itself, a
// v2 function the service that it runs on, as far as the function tells.
func OfFunction(f evidence.Function, where Where) Target {
	config := f.GetServiceConfig()
	name := FunctionsHost + f.GetName()
	t := Target{Name: name, Event: TruthOf(f.GetEventTrigger() != nil), IAP: No, DefaultURL: Yes, Where: where}
	t.Ingress = gcp.ParseIngress(config.GetIngressSettings().String())
	if f.GetEnvironment() == functionspb.Environment_GEN_1 {
		t.Gen1, t.Check, t.CustomOK = true, Yes, true
		if f.GetUrl() != "" {
			t.URLs = []string{f.GetUrl()}
		}
		return t
	}
	t.Function = name
	t.Name = RunHost + config.GetService()
	if config.GetService() == "" {
		t.Name = RunHost + ServiceOf(f.GetName())
	}
	for _, u := range []string{config.GetUri(), f.GetUrl()} {
		if u != "" {
			t.URLs = append(t.URLs, u)
		}
	}
	t.TriggerAccount = f.GetEventTrigger().GetServiceAccountEmail()
	return t
}

// ServiceOf names the Cloud Run service of a v2 function, as far as the
// function's own name is known.
func ServiceOf(function string) string {
	n, _ := gcp.ParseName(function)
	if n.Collection == "" {
		n = gcp.FunctionName("", "", n.ID)
	}
	service, _ := n.Service()
	return service.String()
}

// Spelled is a full resource name as an estate has it: "-" stands for a
// project or location that is not known, and for an ID that is not, followed
// by what tells it from other unknown ones.
func Spelled(n gcp.Name, apart string) string {
	if n.ID == "" {
		n.ID = "-" + apart
	}
	if !n.Node() {
		n.Project, n.Location = cmp.Or(n.Project, "-"), cmp.Or(n.Location, "-")
	}
	return n.Full()
}

// Join puts a v2 function onto the service that it runs on, so that both are
// one target: what only the function tells is added to the service.
func (t *Target) Join(f Target) {
	t.Function, t.Event = f.Function, f.Event
	if t.TriggerAccount == "" {
		t.TriggerAccount = f.TriggerAccount
	}
	known := map[string]bool{}
	for _, u := range t.URLs {
		known[u] = true
	}
	for _, u := range f.URLs {
		if !known[u] {
			t.URLs = append(t.URLs, u)
		}
	}
}

// JoinFunctions makes one target of each service and the function in front of
// it, wherever both were read.
func (e *Estate) JoinFunctions() {
	at := map[string]int{}
	out := e.Targets[:0]
	for _, t := range e.Targets {
		key := t.Name
		if strings.Contains(key, "/-") {
			key += " " + t.Root + " " + t.Where.Address // a part is not known: like no other one
		}
		i, seen := at[key]
		switch {
		case !seen:
			at[key] = len(out)
			out = append(out, t)
		case t.Bare: // the other one says more
		case t.Function != "" && out[i].Function == "":
			out[i].Join(t)
		case out[i].Function != "" && t.Function == "":
			function := out[i]
			out[i] = t
			out[i].Join(function)
		}
	}
	e.Targets = out
}

// Add puts everything of another estate into this one.
func (e *Estate) Add(o *Estate) {
	e.Nodes = append(e.Nodes, o.Nodes...)
	e.Targets = append(e.Targets, o.Targets...)
	e.Policies = append(e.Policies, o.Policies...)
	e.Deny = append(e.Deny, o.Deny...)
	e.Roles = append(e.Roles, o.Roles...)
	e.Callers = append(e.Callers, o.Callers...)
	e.Domains = append(e.Domains, o.Domains...)
	e.Fronts = append(e.Fronts, o.Fronts...)
	e.Accounts = append(e.Accounts, o.Accounts...)
	e.Unread = append(e.Unread, o.Unread...)
	e.Lost = append(e.Lost, o.Lost...)
	if e.Groups == nil {
		e.Groups = map[string][]string{}
	}
	maps.Copy(e.Groups, o.Groups)
}

// In says in which root module everything of an estate is configured.
func (e *Estate) In(root string) {
	for i := range e.Targets {
		e.Targets[i].Root = root
	}
	for i := range e.Policies {
		e.Policies[i].Root = root
	}
	for i := range e.Callers {
		e.Callers[i].Root = root
	}
	for i := range e.Lost {
		e.Lost[i].Policy.Root = root
	}
}
