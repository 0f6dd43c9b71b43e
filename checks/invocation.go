package checks

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"cloud.google.com/go/functions/apiv2/functionspb"
	"cloud.google.com/go/iam/apiv1/iampb"
	denypb "cloud.google.com/go/iam/apiv2/iampb"
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
	if of.ID == "" || own.ID == "" || of.ID == own.ID && (of.Location == own.Location || own.Location == "") {
		return ""
	}
	return fmt.Sprintf("the function runs on the service %s, but the service given is %s", of.ID, own.ID)
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
		return parsed(service).ID == d.GetCloudRun().GetService() || service == "" && in.fn() == nil
	case d.GetCloudFunction() != "":
		return in.fn() != nil && parsed(in.fn().GetName()).ID == parsed(d.GetCloudFunction()).ID
	}
	return in.Function.Known() && in.stray == ""
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

// googleCallers are the callers of contract section 2 that count as Google
// services for ingress.
var googleCallers = []string{"cloud-scheduler", "cloud-tasks", "pubsub-push", "eventarc", "workflows"}

func (in *Invocation) resolveCaller() {
	c := in.configured()
	// A URL that Eventarc calls is a delivery too, whoever else is configured to
	// call. For gen1 it is not: there a delivery by HTTP does not count as internal.
	byEventarc := in.request.Client == "eventarc" && c.Kind != "eventarc" && !in.gen1
	in.delivery = in.event && !in.saysWhoCalls() && (byEventarc || in.request.URL == nil && !in.Caller.Known())
	in.origin = in.request.Origin
	if in.origin == "" {
		in.origin = evidence.Internet
		kind := in.request.Client
		if !in.saysWhoCalls() {
			kind = cmp.Or(c.Kind, kind)
		}
		if in.delivery || (slices.Contains(googleCallers, kind) && !in.foreign(c.Project)) {
			in.origin = evidence.GoogleService
		}
	}
}

// saysWhoCalls reports whether the request itself says who makes it, so that a
// configured caller beside it is somebody else's.
func (in *Invocation) saysWhoCalls() bool {
	return in.request.Principal != "" || in.request.Headers != nil || in.Token.Known()
}

// foreign reports whether a caller's project is known to be another one than
// the service's.
func (in *Invocation) foreign(project string) bool {
	own := []string{in.name.Project, in.projectNumber(), in.Project.Or(evidence.Project{}).ID}
	if project == "" || slices.Contains(own, project) {
		return false
	}
	for _, o := range own {
		if o != "" && gcp.IsNumber(o) == gcp.IsNumber(project) {
			return true
		}
	}
	return false
}

func (in *Invocation) resolveCredential() {
	switch {
	case in.delivery:
		in.suppose(in.triggerMember(), in.Function.Source.At("/eventTrigger/serviceAccountEmail"))
		in.sent.config = true
	case in.request.Headers != nil && in.fromHeaders():
	case in.Token.Known():
		t, _ := in.Token.Get()
		in.sent = sent{known: true, credential: t, source: in.Token.Source}
	case in.request.Principal != "":
		in.suppose(in.request.Principal, in.Request.Source.At("/principal"))
	case in.request.Headers != nil:
		in.sent = sent{known: true, source: in.Request.Source.At("/headers")}
	case in.Caller.Known():
		in.fromCaller()
	}
	in.identify()
}

// fromHeaders takes the credential from the recorded headers. It reports false
// where they carry none, or one whose value was blanked out: then the token
// beside them is it.
func (in *Invocation) fromHeaders() bool {
	sel := credential.FromHeaders(in.request.Headers)
	src := in.Request.Source.At("/headers/" + sel.Header)
	if sel.Header == "" {
		return false
	}
	in.sent = sent{known: true, credential: sel.Credential, selection: &sel, source: src}
	if !sel.Redacted {
		return true
	}
	if t, ok := in.Token.Get(); ok {
		in.sent.credential, in.sent.source = t, in.Token.Source
		return true
	}
	in.sent.known = false
	return in.request.Principal == "" && !in.Caller.Known()
}

func (in *Invocation) suppose(member string, src evidence.Source) {
	in.sent = sent{known: true, supposed: true, source: src}
	if member == "allUsers" {
		in.sent.supposed = false
		return
	}
	in.sent.credential = credential.Synthetic(member, in.audiences.Preferred(), in.Now)
}

func (in *Invocation) fromCaller() {
	c := in.configured()
	in.sent = sent{known: true, config: true, source: in.Caller.Source.At(c.Pointer)}
	switch c.Token {
	case caller.IDToken:
		member := ""
		if c.ServiceAccount != "" {
			member = "serviceAccount:" + c.ServiceAccount
		}
		audience := c.Audience
		if c.Kind == "eventarc" {
			audience = cmp.Or(audience, in.audiences.Preferred()) // Eventarc takes the destination's own
		}
		in.sent.credential = credential.Synthetic(member, audience, in.Now)
	case caller.AccessToken:
		in.sent.credential = credential.Credential{Kind: credential.AccessToken}
	case caller.UnknownToken:
		in.sent.known = false
	}
}

// identify says who the caller is, as far as the credential or the question
// tells.
func (in *Invocation) identify() {
	c := in.sent.credential
	switch {
	case in.sent.known && c.Kind == credential.None:
		in.identity, in.principal = iam.Anonymous(), ""
		return
	case in.sent.supposed && in.request.Principal != "":
		in.principal = in.request.Principal
	case c.Kind == credential.IDToken && c.Who() != "":
		in.principal = c.Who()
	case in.sent.config && in.configured().ServiceAccount != "":
		in.principal = "serviceAccount:" + in.configured().ServiceAccount
	default:
		in.principal = in.request.Principal
	}
	if in.principal != "" {
		in.identity = in.identityOf(in.principal)
		in.identity.HostedDomain = c.Claims.HostedDomain
	} else {
		in.identity = iam.Identity{Google: c.Kind == credential.IDToken}
	}
}

// identityOf is the identity of a member. The number of a service account's
// project is known where it is the target's own.
func (in *Invocation) identityOf(member string) iam.Identity {
	id := iam.IdentityOf(member)
	if p := gcp.ParseAccount(strings.TrimPrefix(member, "serviceAccount:")).Project; p != "" && slices.Contains(in.projectIDs(), p) {
		id.Project = in.projectNumber()
	}
	return id
}

// projectIDs lists the IDs by which the documents name the target's project.
func (in *Invocation) projectIDs() []string {
	ids := []string{in.name.Project, in.Project.Or(evidence.Project{}).ID, in.host.Project}
	for _, a := range in.Ancestors.Or(nil) {
		if a.Type == "project" {
			ids = append(ids, a.ID)
		}
	}
	return slices.DeleteFunc(ids, func(id string) bool { return id == "" || gcp.IsNumber(id) })
}

// triggerMember returns the identity with which the event source calls, or ""
// where it is the default one and the project's number is not known.
func (in *Invocation) triggerMember() string {
	email := cmp.Or(in.fn().GetEventTrigger().GetServiceAccountEmail(), in.Trigger.Or(nil).GetServiceAccount(), in.configured().ServiceAccount)
	return accountMember(cmp.Or(email, gcp.ComputeDefault(in.projectNumber())))
}

// accountMember is a service account as a member, "" where it is not known.
func accountMember(email string) string {
	if email == "" {
		return ""
	}
	return "serviceAccount:" + email
}

// iapAgent is IAP's service agent, "" where the project's number is not known.
func (in *Invocation) iapAgent() string {
	return accountMember(gcp.IAPAgent(in.projectNumber()))
}

// agents are the user agents that name a caller.
var agents = []struct{ contains, client string }{
	{"Google-Cloud-Scheduler", "cloud-scheduler"},
	{"Google-Cloud-Tasks", "cloud-tasks"},
	{"CloudPubSub-Google", "pubsub-push"},
	{"APIs-Google", "pubsub-push"},
	{"GoogleCloudWorkflows", "workflows"},
	{"Mozilla/", "browser"},
}

func (in *Invocation) resolveClient() {
	in.client = cmp.Or(in.request.Client, in.configured().Kind)
	if in.client == "" && in.delivery {
		in.client = "eventarc"
	}
	if in.client == "" {
		in.client = in.sent.credential.Client()
	}
	agent := in.userAgent()
	for _, a := range agents {
		if in.client == "" && strings.Contains(agent, a.contains) {
			in.client = a.client
		}
	}
}

// allowLayers returns the allow policies that count for this target, the
// target's own first. A policy on a v2 function is not among them: the
// function is no ancestor of its Cloud Run service.
func (in *Invocation) allowLayers() []layer {
	own := layer{Layer: iam.Layer{Resource: "services/" + in.name.ID, Level: iam.Service}, document: "policy.json", source: in.Policy.Source}
	fact := in.Policy
	if in.gen1 {
		own.Resource, own.Level, own.document = "functions/"+in.name.ID, iam.Function, "function-policy.json"
		if in.FunctionPolicy.Known() || !in.Policy.Known() {
			fact, own.source = in.FunctionPolicy, in.FunctionPolicy.Source
		}
	}
	fill(&own, fact)
	out := []layer{own}
	ancestors, _ := in.Ancestors.Get()
	for _, a := range ancestors {
		resource := a.Type + "s/" + a.ID
		if a.ID == "" {
			resource = "the " + a.Type
		}
		l := layer{Layer: iam.Layer{Resource: resource, Level: levels[a.Type]},
			document: "ancestor-policies.json", source: a.Policy.Source}
		fill(&l, a.Policy)
		out = append(out, l)
	}
	return out
}

var levels = map[string]iam.Level{"project": iam.Project, "folder": iam.Folder, "organization": iam.Organization}

func fill(l *layer, f evidence.Fact[*iampb.Policy]) {
	if p, ok := f.Get(); ok {
		l.Policy = p
	} else {
		l.Reason = f.Reason().Error()
	}
}

// question asks whether an identity gets through with a permission, by every
// policy that was read.
func (in *Invocation) question(permission string, id iam.Identity) iam.Question {
	q := iam.Question{
		Query:    iam.Query{Permission: permission, Identity: id, Context: in.context(), Roles: in.roles, Groups: in.groups},
		CheckOff: iam.NotGranted, Layers: make([]iam.Layer, len(in.layers)), Above: in.Ancestors.Known(), DenyRead: in.DenyPolicies.Known(),
	}
	for i, l := range in.layers {
		q.Layers[i] = l.Layer
	}
	if permission == iam.RunInvoke {
		q.CheckOff = in.checkOff()
	}
	for _, p := range in.denyPolicies() {
		q.Deny = append(q.Deny, in.denyLayer(p))
	}
	return q
}

// asked names a question that was decided: about whom, and whether of the
// allow policies alone.
type asked struct {
	permission string
	identity   iam.Identity
	allowAlone bool
}

// decide answers a question once, however often checks ask it.
func (in *Invocation) decide(permission string, id iam.Identity) iam.Decision {
	return in.decideOnce(asked{permission, id, false})
}

// decideAllow answers it by the allow policies alone.
func (in *Invocation) decideAllow(permission string, id iam.Identity) iam.Decision {
	return in.decideOnce(asked{permission, id, true})
}

func (in *Invocation) decideOnce(a asked) iam.Decision {
	if d, ok := in.decided[a]; ok {
		return d
	}
	q := in.question(a.permission, a.identity)
	if a.permission == iam.AccessViaIAP {
		q = in.iapQuestion(a.identity)
	}
	if a.allowAlone {
		q.Deny, q.DenyRead = nil, true
	}
	if in.decided == nil {
		in.decided = map[asked]iam.Decision{}
	}
	d := q.Decide()
	in.decided[a] = d
	return d
}

// underOrganization reports whether the ancestors that were read reach up to an
// organization. Beside a deny policy of a folder or an organization, a project
// alone may be a list that was cut short.
func (in *Invocation) underOrganization() bool {
	return slices.ContainsFunc(in.Ancestors.Or(nil), func(a evidence.Ancestor) bool { return a.Type == "organization" && !a.Missing })
}

// denyPolicies lists the deny policies whose rules were read, also where those
// of others were not.
func (in *Invocation) denyPolicies() []*denypb.Policy {
	var unread *evidence.UnreadRules
	if errors.As(in.DenyPolicies.Reason(), &unread) {
		return unread.Read
	}
	return in.DenyPolicies.Or(nil)
}

// checkOff says whether the invoker IAM check is off. A gen1 function has none
// to turn off.
func (in *Invocation) checkOff() iam.State {
	svc, known := in.Service.Get()
	switch {
	case in.gen1, known && !svc.GetInvokerIamDisabled():
		return iam.NotGranted
	case known:
		return iam.Granted
	}
	return iam.Unknown
}

func (in *Invocation) context() iam.Context {
	c := iam.Context{Time: in.Now, Stop: in.stop}
	if in.url != nil {
		path, h := cmp.Or(in.url.EscapedPath(), "/"), in.url.Hostname()
		c.Path, c.Host = &path, &h
	}
	if tags, ok := in.Tags.Get(); ok {
		c.TagsKnown = true
		for _, t := range tags {
			c.Tags = append(c.Tags, iam.Tag(t))
		}
	}
	return c
}

// denyLayer says whether a deny policy hangs on a resource above the service.
func (in *Invocation) denyLayer(p *denypb.Policy) iam.DenyLayer {
	out := iam.DenyLayer{Policy: p, Attached: iam.Unknown}
	on, _, _ := gcp.ParseDenyPolicy(p.GetName())
	if out.Point = on.String(); out.Point == "" {
		return out
	}
	ancestors, known := in.Ancestors.Get()
	listed := slices.ContainsFunc(ancestors, func(a evidence.Ancestor) bool { return a.Type+"s" == on.Collection && a.ID == on.ID })
	whole := known && in.underOrganization()
	own := []string{in.name.Project, in.projectNumber(), in.Project.Or(evidence.Project{}).ID}
	switch {
	case listed, on.Collection == "projects" && slices.Contains(own, on.ID):
		out.Attached = iam.Granted
	case on.Collection == "projects" && in.foreign(on.ID), on.Collection != "projects" && whole:
		out.Attached = iam.NotGranted
	}
	return out
}

// cite points at one binding.
func (in *Invocation) cite(b *iam.BindingAccess) evidence.Source {
	return in.layers[b.Layer].source.At(fmt.Sprintf("/bindings/%d", b.Binding))
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
