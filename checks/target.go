package checks

import (
	"cmp"
	"slices"
	"strings"

	"cloud.google.com/go/run/apiv2/runpb"

	"diagnose/internal/evidence"
	"diagnose/internal/gcp"
)

// parsed is a name of a document taken apart, the zero Name where it is none.
func parsed(s string) gcp.Name {
	n, _ := gcp.ParseName(s)
	return n
}

// resourceName is the service, or the gen1 function, as far as the documents
// name it, and else the URL or the log.
func (in *Invocation) resourceName() gcp.Name {
	fn := in.fn()
	n := parsed(cmp.Or(in.service().GetName(), fn.GetServiceConfig().GetService()))
	if in.gen1 {
		n = parsed(fn.GetName())
	} else if n == (gcp.Name{}) {
		n, _ = parsed(fn.GetName()).Service()
	}
	labels := in.seen.labels(cmp.Or(n.ID, in.host.Service))
	p := in.Project.Or(evidence.Project{})
	make := gcp.ServiceName
	if in.gen1 {
		make = gcp.FunctionName
	}
	return make(cmp.Or(p.ID, n.Project, in.host.Project, labels.Project, p.Number, in.host.Number),
		cmp.Or(n.Location, in.host.Region, labels.Location), cmp.Or(n.ID, in.host.Service, labels.ID))
}

// projectNumber returns the number of the service's project, or "".
func (in *Invocation) projectNumber() string {
	candidates := []string{
		in.Project.Or(evidence.Project{}).Number,
		parsed(in.service().GetName()).Project,
		parsed(in.fn().GetServiceConfig().GetService()).Project,
		parsed(in.fn().GetName()).Project,
		in.host.Number,
	}
	for _, u := range serviceURLs(in.service()) {
		candidates = append(candidates, gcp.HostOf(u).Number)
	}
	return firstNumber(candidates)
}

// documentNumber is the project's number as the documents give it, without
// what the request's own URL suggests.
func (in *Invocation) documentNumber() string {
	candidates := []string{
		in.Project.Or(evidence.Project{}).Number,
		parsed(in.service().GetName()).Project,
		parsed(in.fn().GetServiceConfig().GetService()).Project,
	}
	for _, u := range in.knownURLs() {
		candidates = append(candidates, gcp.HostOf(u).Number)
	}
	return firstNumber(candidates)
}

func firstNumber(candidates []string) string {
	if i := slices.IndexFunc(candidates, gcp.IsNumber); i >= 0 {
		return candidates[i]
	}
	return ""
}

// namedService is the service as its documents name it, without what the
// request's own URL suggests.
func (in *Invocation) namedService() gcp.Name {
	n := parsed(cmp.Or(in.service().GetName(), in.fn().GetServiceConfig().GetService()))
	n.Location = cmp.Or(n.Location, parsed(in.fn().GetName()).Location)
	return n
}

// knownURLs lists the run.app URLs that the documents give, those of tags
// included.
func (in *Invocation) knownURLs() []string {
	urls := serviceURLs(in.service())
	for _, t := range in.service().GetTrafficStatuses() {
		if t.GetUri() != "" {
			urls = append(urls, t.GetUri())
		}
	}
	if u := in.fn().GetServiceConfig().GetUri(); u != "" {
		urls = append(urls, u)
	}
	return urls
}

// serviceURLs returns every URL of the service that its document names, the
// main one first, without those of tags.
func serviceURLs(svc *runpb.Service) []string {
	var out []string
	for _, u := range append([]string{svc.GetUri()}, svc.GetUrls()...) {
		if u != "" && !slices.Contains(out, u) {
			out = append(out, u)
		}
	}
	return out
}

// functionOfURL is the function that the request names in its path, where the
// front end finds it by cloudfunctions.net, else "".
func (in *Invocation) functionOfURL() string {
	if in.url == nil {
		return ""
	}
	u := *in.url
	u.Host = in.host.Name // a Host header counts before the URL
	return gcp.FunctionOf(&u)
}

// The names below are for commands: what no document names comes from the
// URL or the log, and else is a word in capitals. A verdict does not rest on
// them.

// serviceName names the Cloud Run service.
func (in *Invocation) serviceName() gcp.Name {
	id := cmp.Or(in.name.ID, in.labelled("service_name", "configuration_name"))
	if id == "" && in.url != nil { // a Host header may name another
		id = gcp.ParseHost(in.url.Hostname()).Service
	}
	return gcp.ServiceName(in.projectID(), in.location(), id).Words()
}

// functionName names the function.
func (in *Invocation) functionName() gcp.Name {
	id := cmp.Or(parsed(in.fn().GetName()).ID, in.functionOfURL(), in.labelled("function_name"))
	return gcp.FunctionName(in.projectID(), in.location(), id).Words()
}

// iapName names the service at IAP.
func (in *Invocation) iapName() gcp.Name {
	n, _ := in.serviceName().IAP()
	return n
}

// targetName names what is called: the service, or the gen1 function.
func (in *Invocation) targetName() gcp.Name {
	if in.gen1 {
		return in.functionName()
	}
	return in.serviceName()
}

// projectName names the project.
func (in *Invocation) projectName() gcp.Name { return gcp.ProjectName(in.projectID()).Words() }

// projectID prefers an ID over a number: both are the project. A custom role of
// a project is bound in that project alone.
func (in *Invocation) projectID() string {
	ids := append([]string{in.name.Project, in.loggedProject()}, in.projectIDs()...)
	for _, r := range in.Roles.Or(nil) {
		ids = append(ids, gcp.Part(r.GetName(), "projects"))
	}
	for _, l := range in.layers {
		for _, b := range l.Policy.GetBindings() {
			ids = append(ids, gcp.Part(b.GetRole(), "projects"))
		}
	}
	for _, id := range ids {
		if id != "" && !gcp.IsNumber(id) {
			return id
		}
	}
	return cmp.Or(in.name.Project, in.loggedProject())
}

func (in *Invocation) location() string {
	return cmp.Or(in.name.Location, in.labelled("location", "region"))
}

// labelled is a label of the resource that the log entries are of, "" where
// none has it.
func (in *Invocation) labelled(names ...string) string {
	for _, e := range in.Logs.Or(nil) {
		if e.ResourceType != "cloud_run_revision" && e.ResourceType != "cloud_function" {
			continue
		}
		for _, n := range names {
			if v := e.Labels[n]; v != "" {
				return v
			}
		}
	}
	return ""
}

// loggedProject is the project of the log entries.
func (in *Invocation) loggedProject() string {
	if p := in.labelled("project_id"); p != "" {
		return p
	}
	for _, e := range in.Logs.Or(nil) {
		if p := gcp.Part(e.LogName, "projects"); p != "" && strings.HasPrefix(e.LogName, "projects/") {
			return p
		}
	}
	return ""
}

// resource names the target in a sentence.
func (in *Invocation) resource() string { return in.targetName().Short() }
