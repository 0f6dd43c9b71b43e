package checks

import (
	"fmt"
	"net/http"
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
	"diagnose/internal/iam"
)

// An Invocation is the evidence as the checks read it: which document answers
// which question is decided once, here, before any check runs.
type Invocation struct {
	*evidence.Snapshot

	request evidence.Request
	url     *url.URL // what is called; nil where unknown
	host    host
	origin  evidence.Origin
	client  string

	gen1       bool // a gen1 function still served by its own stack
	function   bool // known to be a function of either generation
	event      bool // an event-driven function
	delivery   bool // the event source delivers, nobody calls directly
	permission string
	name       name // the service's, or the gen1 function's

	sent      sent
	identity  iam.Identity // the caller's
	principal string
	audiences Audiences

	layers  []layer
	public  publicity
	checked iam.Identity // whom IAM is asked about: the caller, or IAP's agent
	iap     bool
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
	source evidence.Source
}

func resolve(s *evidence.Snapshot) *Invocation {
	in := &Invocation{Snapshot: s, request: s.Request.Or(evidence.Request{})}
	in.resolveTarget()
	in.resolveCaller()
	in.resolveCredential()
	in.resolveClient()
	in.layers = in.allowLayers()
	in.iap = in.service().GetIapEnabled() || in.author().who == iapAuthor
	in.public = in.publicity()
	in.checked = in.identity
	if in.iap {
		in.checked = iam.IdentityOf(in.iapAgent())
	}
	return in
}

func (in *Invocation) service() *runpb.Service   { return in.Service.Or(nil) }
func (in *Invocation) fn() *functionspb.Function { return in.Function.Or(evidence.Function{}).Function }
func (in *Invocation) configured() caller.Caller { return in.Caller.Or(caller.Caller{}) }

// upgraded lists the states from which on the gen1 URL of a function is served
// by its Cloud Run service.
var upgraded = []string{"REDIRECT_FUNCTION_UPGRADE_TRAFFIC_SUCCESSFUL", "COMMIT_FUNCTION_UPGRADE_SUCCESSFUL",
	"COMMIT_FUNCTION_UPGRADE", "COMMIT_FUNCTION_UPGRADE_ERROR"}

func (in *Invocation) resolveTarget() {
	fn := in.Function.Or(evidence.Function{})
	in.function = in.Function.Known()
	in.gen1 = in.function && fn.GetEnvironment() == functionspb.Environment_GEN_1 && !slices.Contains(upgraded, fn.UpgradeState)
	in.event = fn.GetEventTrigger() != nil || fn.EventOnly || (in.Trigger.Known() && in.function)
	in.permission = iam.RunInvoke
	if in.gen1 {
		in.permission = iam.FunctionsInvoke
	}

	in.url = in.request.URL
	if c := in.configured(); in.url == nil && c.URL != "" {
		in.url, _ = url.Parse(c.URL)
	}
	if in.url == nil {
		in.url = in.loggedURL()
	}
	in.host = host{Kind: noHost}
	if in.url != nil {
		in.host = parseHost(in.url.Hostname())
	}
	in.audiences = in.accepted()
	in.name = in.resourceName()
}

// loggedURL is the URL of the first log entry that has one.
func (in *Invocation) loggedURL() *url.URL {
	for _, e := range in.Logs.Or(nil) {
		if u, err := url.Parse(e.URL); err == nil && u.Host != "" {
			return u
		}
	}
	return nil
}

func (in *Invocation) resourceName() name {
	fn := in.fn()
	var n name
	switch {
	case in.gen1:
		n = parseName(fn.GetName())
	case in.service().GetName() != "":
		n = parseName(in.service().GetName())
	case fn.GetServiceConfig().GetService() != "":
		n = parseName(fn.GetServiceConfig().GetService())
	case fn.GetName() != "":
		n = parseName(fn.GetName())
		n.ID = strings.ToLower(strings.ReplaceAll(n.ID, "_", "-"))
	}
	n.ID = or(n.ID, in.host.Service)
	n.Location = or(n.Location, in.host.Region)
	p := in.Project.Or(evidence.Project{})
	n.Project = or(p.ID, n.Project, in.host.Project, p.Number, in.host.Number)
	return n
}

// projectNumber returns the number of the service's project, or "".
func (in *Invocation) projectNumber() string {
	candidates := []string{
		in.Project.Or(evidence.Project{}).Number,
		parseName(in.service().GetName()).Project,
		parseName(in.fn().GetServiceConfig().GetService()).Project,
		parseName(in.fn().GetName()).Project,
		in.host.Number,
	}
	for _, u := range serviceURLs(in.service()) {
		candidates = append(candidates, hostOf(u).Number)
	}
	for _, c := range candidates {
		if isNumber(c) {
			return c
		}
	}
	return ""
}

func isNumber(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// accepted gathers the audiences that the target's documents name. Without a
// document, a Google host of the request stands for itself.
func (in *Invocation) accepted() Audiences {
	fn, svc := in.fn(), in.service()
	a := Audiences{Gen1: in.gen1, CustomKnown: in.Service.Known(), URLs: serviceURLs(svc), Custom: svc.GetCustomAudiences()}
	if u := fn.GetServiceConfig().GetUri(); u != "" && !contains(a.URLs, u) {
		a.URLs = append(a.URLs, u)
	}
	if u := fn.GetUrl(); hostOf(u).Kind == functionHost {
		a.Functions = append(a.Functions, u)
	} else if u != "" && !contains(a.URLs, u) {
		a.URLs = append(a.URLs, u)
	}
	if in.url == nil {
		return a
	}
	switch {
	case in.host.Kind == functionHost && len(a.Functions) == 0 && functionPath(in.url) != "":
		a.Functions = append(a.Functions, origin(in.url)+"/"+functionPath(in.url))
	case in.host.Kind == runHost && in.ownHost() && in.host.Tag == "":
		if u := "https://" + in.url.Host; !contains(a.URLs, u) {
			a.URLs = append(a.URLs, u)
		}
	}
	return a
}

// ownHost reports whether the request's run.app host can be the service's: it
// has the service's name, and nothing known contradicts it.
func (in *Invocation) ownHost() bool {
	svc := or(parseName(in.service().GetName()).ID, parseName(in.fn().GetServiceConfig().GetService()).ID)
	if svc == "" {
		return true
	}
	h := in.host
	for _, u := range serviceURLs(in.service()) {
		if k := hostOf(u); k.Name == h.Name {
			return true
		} else if k.Number == "" && h.Number == "" && k.Service != "" {
			return false // two different hash forms are two services
		}
	}
	loc := or(parseName(in.service().GetName()).Location, parseName(in.fn().GetName()).Location)
	return h.Service == svc && (h.Region == "" || loc == "" || h.Region == loc)
}

// googleCallers are the callers of contract section 2 that count as Google
// services for ingress.
var googleCallers = []string{"cloud-scheduler", "cloud-tasks", "pubsub-push", "eventarc", "workflows"}

func (in *Invocation) resolveCaller() {
	c := in.configured()
	asked := in.request.Principal != "" || in.Token.Known() || in.request.URL != nil || in.request.Headers != nil || in.Caller.Known()
	in.delivery = in.event && !asked
	in.origin = in.request.Origin
	if in.origin == "" {
		in.origin = evidence.Internet
		kind := or(c.Kind, in.request.Client)
		if in.delivery || (slices.Contains(googleCallers, kind) && !in.foreign(c.Project)) {
			in.origin = evidence.GoogleService
		}
	}
}

// foreign reports whether a caller's project is known to be another one than
// the service's.
func (in *Invocation) foreign(project string) bool {
	own := []string{in.name.Project, in.projectNumber(), in.Project.Or(evidence.Project{}).ID}
	if project == "" || contains(own, project) {
		return false
	}
	for _, o := range own {
		if o != "" && isNumber(o) == isNumber(project) {
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
	case in.Caller.Known():
		in.fromCaller()
	case in.request.Headers != nil:
		in.sent = sent{known: true, source: in.Request.Source.At("/headers")}
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
			audience = or(audience, in.audiences.Preferred()) // Eventarc takes the destination's own
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
		in.identity = iam.IdentityOf(in.principal)
		in.identity.HostedDomain = c.Claims.HostedDomain
	} else {
		in.identity = iam.Identity{Google: c.Kind == credential.IDToken}
	}
}

// triggerMember returns the identity with which the event source calls, or ""
// where it is the default one and the project's number is not known.
func (in *Invocation) triggerMember() string {
	email := or(in.fn().GetEventTrigger().GetServiceAccountEmail(), in.Trigger.Or(nil).GetServiceAccount(), in.configured().ServiceAccount)
	if email == "" && in.projectNumber() != "" {
		email = in.projectNumber() + "-compute@developer.gserviceaccount.com"
	}
	if email == "" {
		return ""
	}
	return "serviceAccount:" + email
}

func (in *Invocation) iapAgent() string {
	if n := in.projectNumber(); n != "" {
		return "serviceAccount:service-" + n + "@gcp-sa-iap.iam.gserviceaccount.com"
	}
	return ""
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
	in.client = or(in.request.Client, in.configured().Kind)
	if in.client == "" && in.delivery {
		in.client = "eventarc"
	}
	if in.client == "" {
		in.client = in.sent.credential.Client()
	}
	agent := http.Header(in.request.Headers).Get("User-Agent")
	for _, e := range in.Logs.Or(nil) {
		agent = or(agent, e.UserAgent)
	}
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
	own := layer{Layer: iam.Layer{Resource: "services/" + in.name.ID, Level: iam.Service}, source: in.Policy.Source}
	fact := in.Policy
	if in.gen1 {
		own.Resource, own.Level = "functions/"+in.name.ID, iam.Function
		if in.FunctionPolicy.Known() || !in.Policy.Known() {
			fact, own.source = in.FunctionPolicy, in.FunctionPolicy.Source
		}
	}
	fill(&own, fact)
	out := []layer{own}
	ancestors, _ := in.Ancestors.Get()
	for _, a := range ancestors {
		l := layer{Layer: iam.Layer{Resource: a.Type + "s/" + a.ID, Level: levels[a.Type]}, source: a.Policy.Source}
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

func (in *Invocation) query(permission string, id iam.Identity) iam.Query {
	roles, _ := in.Roles.Get()
	groups, _ := in.Groups.Get()
	return iam.Query{
		Permission: permission, Identity: id, Context: in.context(),
		Roles: iam.NewRoles(roles), Groups: iam.NewGroups(groups),
	}
}

func (in *Invocation) context() iam.Context {
	c := iam.Context{Time: in.Now}
	if in.url != nil {
		path, h := or(in.url.EscapedPath(), "/"), in.url.Hostname()
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

// read returns the layers that were read, and the others.
func (in *Invocation) read() (read []iam.Layer, index []int, unread []layer) {
	for i, l := range in.layers {
		if l.Policy != nil {
			read, index = append(read, l.Layer), append(index, i)
		} else {
			unread = append(unread, l)
		}
	}
	return read, index, unread
}

// allow asks the policies that were read about one identity. Its bindings
// point into in.layers.
func (in *Invocation) allow(permission string, id iam.Identity) iam.Access {
	read, index, _ := in.read()
	a := in.query(permission, id).Allow(read)
	for i := range a.Bindings {
		a.Bindings[i].Layer = index[a.Bindings[i].Layer]
	}
	return a
}

// deny asks the deny policies that apply to the service's project or one of
// its ancestors.
func (in *Invocation) deny(id iam.Identity) (iam.Denial, bool) {
	all, ok := in.DenyPolicies.Get()
	if !ok {
		return iam.Denial{}, false
	}
	applying := make([]*denypb.Policy, len(all))
	for i, p := range all {
		if in.attached(p) {
			applying[i] = p
		}
	}
	return in.query(in.permission, id).Deny(applying), true
}

// attached reports whether a deny policy hangs on a resource above the
// service, or may do so for all that is known.
func (in *Invocation) attached(p *denypb.Policy) bool {
	point := iam.AttachmentPoint(p.GetName())
	kind, id, ok := strings.Cut(strings.TrimPrefix(point, "cloudresourcemanager.googleapis.com/"), "/")
	if !ok {
		return true
	}
	if kind == "projects" {
		return !in.foreign(id)
	}
	ancestors, known := in.Ancestors.Get()
	return !known || slices.ContainsFunc(ancestors, func(a evidence.Ancestor) bool { return a.Type+"s" == kind && a.ID == id })
}

// cite points at one binding.
func (in *Invocation) cite(b iam.BindingAccess) evidence.Source {
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
		t.Service = or(in.service().GetName(), in.fn().GetServiceConfig().GetService())
	}
	switch env := in.fn().GetEnvironment(); env {
	case functionspb.Environment_GEN_1, functionspb.Environment_GEN_2:
		t.Environment = env.String()
	}
	return t
}
