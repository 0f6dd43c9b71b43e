package checks

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"

	"cloud.google.com/go/functions/apiv2/functionspb"
	"cloud.google.com/go/run/apiv2/runpb"

	"diagnose/internal/caller"
	"diagnose/internal/credential"
	"diagnose/internal/evidence"
	"diagnose/internal/gcp"
	"diagnose/internal/iam"
)

// An Invocation is the evidence as the checks read it: which document answers
// which question is decided once, here, before any check runs.
type Invocation struct {
	*evidence.Snapshot

	request evidence.Request
	url     *url.URL // what is called; nil where unknown
	seen    sighting // the answer that was observed
	wrote   authorship
	host    gcp.Host // by which the front end finds the service: the Host header, or the URL's host
	origin  evidence.Origin
	client  string

	gen1       bool   // a gen1 function still served by its own stack
	function   bool   // known to be a function of either generation
	elsewhere  string // why the caller that was read does not call this target, "" where it may
	stray      string // why the function that was read is not this target, "" where it is
	event      bool   // an event-driven function
	delivery   bool   // the event source delivers, nobody calls directly
	permission string
	name       gcp.Name // the service's, or the gen1 function's

	sent      sent
	identity  iam.Identity // the caller's
	principal string
	audiences Audiences

	layers  []layer
	roles   iam.Roles
	groups  iam.Groups
	stop    func() bool // nil: never
	decided map[asked]iam.Decision
	public  iam.Decision // whether anyone may invoke
	checked iam.Identity // whom IAM is asked about: the caller, or IAP's agent
	iap     bool

	bare bool // no fixes are asked for: only the answers count
}

// sent is the credential under judgement.
type sent struct {
	known      bool // false: it is not known whether a credential was sent
	credential credential.Credential
	selection  *credential.Selection // where headers were recorded
	source     evidence.Source
	supposed   bool // no credential was captured: a correct one is supposed
	config     bool // minted by a configured caller, as caller.json says
}

// A layer is one allow policy on the path from the service upwards, and where
// it was read.
type layer struct {
	iam.Layer
	document string // the member of a case
	source   evidence.Source
}

// resolve reads the evidence. Where stop, which may be nil, turns true, what is
// not decided by then stays unknown.
func resolve(s *evidence.Snapshot, stop func() bool) *Invocation {
	in := &Invocation{Snapshot: s, request: s.Request.Or(evidence.Request{}), stop: stop}
	if in.elsewhere = in.callsElsewhere(); in.elsewhere != "" {
		without := *s
		without.Caller = evidence.Fact[caller.Caller]{}
		in.Snapshot = &without
	}
	if !in.saysWhoCalls() {
		in.request.Method = cmp.Or(in.request.Method, in.configured().Method)
	}
	in.seen = in.sight()
	in.resolveTarget()
	in.wrote = in.author()
	in.resolveCaller()
	in.resolveCredential()
	in.resolveClient()
	in.layers = in.allowLayers()
	roles, _ := in.Roles.Get()
	in.roles = iam.NewRoles(roles)
	groups, _ := in.Groups.Get()
	in.groups = iam.NewGroups(groups).Until(stop)
	in.iap = in.service().GetIapEnabled() || !in.Service.Known() && in.wrote.who == iapAuthor
	in.public = in.decide(in.permission, iam.Anonymous())
	in.checked = in.identity
	if in.iap {
		in.checked = in.identityOf(in.iapAgent())
	}
	return in
}

func (in *Invocation) service() *runpb.Service { return in.Service.Or(nil) }

// fn is the function that is called, nil where none was read or the one that
// was is not this target.
func (in *Invocation) fn() *functionspb.Function {
	if in.stray != "" {
		return nil
	}
	return in.Function.Or(evidence.Function{}).Function
}

func (in *Invocation) configured() caller.Caller { return in.Caller.Or(caller.Caller{}) }

// upgraded lists the states from which on the gen1 URL of a function is served
// by its Cloud Run service.
var upgraded = []string{"REDIRECT_FUNCTION_UPGRADE_TRAFFIC_SUCCESSFUL", "COMMIT_FUNCTION_UPGRADE_SUCCESSFUL",
	"COMMIT_FUNCTION_UPGRADE", "COMMIT_FUNCTION_UPGRADE_ERROR"}

func (in *Invocation) resolveTarget() {
	in.url = in.request.URL
	if c := in.configured(); in.url == nil && c.URL != "" {
		in.url, _ = url.Parse(c.URL)
	}
	if in.url == nil {
		in.url = in.seen.url
	}
	in.host = gcp.Host{Kind: gcp.NoHost}
	if in.url != nil {
		in.host = gcp.ParseHost(in.url.Hostname())
	}
	if h := in.request.HostHeader(); h != "" {
		in.host = gcp.ParseHost(h)
	}
	in.stray = in.strayFunction()
	fn := in.Function.Or(evidence.Function{})
	in.function = in.Function.Known() && in.stray == ""
	in.gen1 = in.function && in.standsAlone()
	in.event = in.function && (fn.GetEventTrigger() != nil || fn.EventOnly) || in.triggered()
	in.permission = iam.RunInvoke
	if in.gen1 {
		in.permission = iam.FunctionsInvoke
	}
	in.audiences = in.accepted()
	in.name = in.resourceName()
}

// port is the port of the URL, "" for the usual one.
func (in *Invocation) port() string {
	if in.url == nil {
		return ""
	}
	usual := map[string]string{"https": "443", "http": "80"}
	if p := in.url.Port(); p != usual[in.url.Scheme] {
		return p
	}
	return ""
}

// standsAlone reports whether the function that was read is served by the
// gen1 stack.
func (in *Invocation) standsAlone() bool {
	fn := in.Function.Or(evidence.Function{})
	return fn.GetEnvironment() == functionspb.Environment_GEN_1 && !slices.Contains(upgraded, fn.UpgradeState)
}

// strayFunction says why the function that was read is not in front of the
// service that was read, "" where it is.
func (in *Invocation) strayFunction() string {
	fn := in.Function.Or(evidence.Function{})
	if !in.Function.Known() || !in.Service.Known() {
		return ""
	}
	if in.standsAlone() {
		if in.host.Kind != gcp.FunctionsHost {
			return "the function is a gen1 function, which does not run on the service"
		}
		return ""
	}
	of, own := parsed(fn.GetServiceConfig().GetService()), parsed(in.service().GetName())
	if of.ID == "" || own.ID == "" || sameTarget(of, own) {
		return ""
	}
	return fmt.Sprintf("the function runs on the service %s, but the service given is %s", of.ID, own.ID)
}

// callsElsewhere says which other service or function the configured caller
// names, "" where it names this target or a URL.
func (in *Invocation) callsElsewhere() string {
	to := parsed(in.configured().Service)
	own := parsed(in.service().GetName())
	fn := in.Function.Or(evidence.Function{}).Function
	if to.Collection == "functions" {
		own = parsed(fn.GetName())
	} else if own.ID == "" {
		own = parsed(fn.GetServiceConfig().GetService())
	}
	if to.ID == "" || own.ID == "" || sameTarget(to, own) {
		return ""
	}
	return fmt.Sprintf("the caller that was read calls %s, but the service is %s", to, own)
}

// triggered reports whether an Eventarc trigger was read that leads to this
// target.
func (in *Invocation) triggered() bool {
	t, ok := in.Trigger.Get()
	if !ok {
		return false
	}
	d := t.GetDestination()
	service := in.service().GetName()
	if in.fn() != nil {
		service = cmp.Or(service, in.fn().GetServiceConfig().GetService())
	}
	switch {
	case d.GetCloudRun().GetService() != "":
		to := gcp.ServiceName(parsed(t.GetName()).Project, d.GetCloudRun().GetRegion(), d.GetCloudRun().GetService())
		return sameTarget(parsed(service), to) || service == "" && in.fn() == nil
	case d.GetCloudFunction() != "":
		return in.fn() != nil && sameTarget(parsed(in.fn().GetName()), parsed(d.GetCloudFunction()))
	}
	return in.Function.Known() && in.stray == ""
}

// sameTarget reports whether two names may be of one resource: their IDs are
// the same, and no part that both have differs. An ID and a number may be the
// same project.
func sameTarget(a, b gcp.Name) bool {
	differ := func(a, b string) bool { return a != "" && b != "" && a != b }
	projects := differ(a.Project, b.Project) && gcp.IsNumber(a.Project) == gcp.IsNumber(b.Project)
	return a.ID == b.ID && !differ(a.Location, b.Location) && !projects
}

// accepted gathers the audiences that the target's documents name. Without a
// document, a Google host of the request stands for itself.
func (in *Invocation) accepted() Audiences {
	fn, svc := in.fn(), in.service()
	a := Audiences{Gen1: in.gen1, CustomKnown: in.Service.Known(), URLs: serviceURLs(svc), Custom: svc.GetCustomAudiences()}
	if u := fn.GetServiceConfig().GetUri(); u != "" && !slices.Contains(a.URLs, u) {
		a.URLs = append(a.URLs, u)
	}
	if u := fn.GetUrl(); gcp.HostOf(u).Kind == gcp.FunctionsHost {
		a.Functions = append(a.Functions, u)
	} else if u != "" && !slices.Contains(a.URLs, u) {
		a.URLs = append(a.URLs, u)
	}
	if in.url == nil {
		return a
	}
	switch {
	case in.host.Kind == gcp.FunctionsHost && len(a.Functions) == 0 && in.functionOfURL() != "":
		a.Functions = append(a.Functions, gcp.Origin(in.url)+"/"+in.functionOfURL())
	case in.host.Kind == gcp.RunHost && in.ownHost() && in.host.Tag == "":
		if u := "https://" + in.url.Host; !slices.Contains(a.URLs, u) {
			a.URLs = append(a.URLs, u)
		}
	}
	return a
}

// ownHost reports whether the request's run.app host can be the service's: it
// has the service's name, and nothing known contradicts it.
func (in *Invocation) ownHost() bool {
	svc := cmp.Or(parsed(in.service().GetName()).ID, parsed(in.fn().GetServiceConfig().GetService()).ID)
	if svc == "" {
		return true
	}
	h := in.host
	for _, u := range serviceURLs(in.service()) {
		if k := gcp.HostOf(u); k.Name == h.Name {
			return true
		} else if k.Number == "" && h.Number == "" && k.Service != "" {
			return false // two different hash forms are two services
		}
	}
	loc := cmp.Or(parsed(in.service().GetName()).Location, parsed(in.fn().GetName()).Location)
	return h.Service == svc && (h.Region == "" || loc == "" || h.Region == loc)
}

func (in *Invocation) target() Target {
	t := Target{}
	switch {
	case in.request.URL != nil:
		t.URL = in.request.URL.String()
	case in.url != nil:
		t.URL = in.url.String()
	default:
		t.URL = in.audiences.Preferred()
	}
	t.Function = in.fn().GetName()
	if !in.gen1 {
		t.Service = cmp.Or(in.service().GetName(), in.fn().GetServiceConfig().GetService())
	}
	switch env := in.fn().GetEnvironment(); env {
	case functionspb.Environment_GEN_1, functionspb.Environment_GEN_2:
		t.Environment = env.String()
	}
	return t
}
