package checks

import (
	"cmp"
	"slices"
	"strings"

	"diagnose/internal/caller"
	"diagnose/internal/credential"
	"diagnose/internal/evidence"
	"diagnose/internal/gcp"
	"diagnose/internal/iam"
)

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
	own, comparable := in.ownProject(project)
	return project != "" && comparable && !own
}

// ownProject reports whether a project is the service's, and whether the
// documents tell: they may know the one by its ID and the other by its number.
func (in *Invocation) ownProject(project string) (own, known bool) {
	names := append(in.projectIDs(), in.projectNumber())
	if slices.Contains(names, project) {
		return true, true
	}
	return false, slices.ContainsFunc(names, func(n string) bool { return n != "" && gcp.IsNumber(n) == gcp.IsNumber(project) })
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
	if c, kept := in.request.Sent[sel.OtherHeader]; kept {
		sel.Other = &c
	}
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
// where it is the default one and the project's number is not known, or where
// the trigger that was read calls another service.
func (in *Invocation) triggerMember() string {
	if in.strayTrigger() {
		return ""
	}
	email := cmp.Or(in.fn().GetEventTrigger().GetServiceAccountEmail(), in.Trigger.Or(nil).GetServiceAccount(), in.configured().ServiceAccount)
	return accountMember(cmp.Or(email, gcp.ComputeDefault(in.projectNumber())))
}

// strayTrigger reports whether the trigger that was read calls another
// service, and nothing else tells of one that calls this.
func (in *Invocation) strayTrigger() bool {
	return in.Trigger.Known() && !in.triggered() && !in.Caller.Known() && in.fn().GetEventTrigger() == nil
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
