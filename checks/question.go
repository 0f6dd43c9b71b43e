package checks

import (
	"cmp"
	"fmt"
	"slices"

	"cloud.google.com/go/iam/apiv1/iampb"
	denypb "cloud.google.com/go/iam/apiv2/iampb"

	"diagnose/internal/evidence"
	"diagnose/internal/gcp"
	"diagnose/internal/iam"
)

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
	if in.name.ID == "" {
		own.Resource = map[iam.Level]string{iam.Service: "the service", iam.Function: "the function"}[own.Level]
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
	for _, p := range in.DenyPoliciesRead() {
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
