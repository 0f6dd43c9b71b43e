package gather

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"cloud.google.com/go/asset/apiv1/assetpb"
	"github.com/googleapis/gax-go/v2"
	"google.golang.org/api/iterator"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"diagnose/internal/evidence"
	"diagnose/internal/gcp"
)

// A hierarchy is what the asset inventory knows about a project: what is in
// it, and what is above it. err says why it knows nothing.
type hierarchy struct {
	err          error
	source       evidence.Source
	id, number   string   // of the project
	folders      []string // "folders/1", the nearest first as far as the API sorts them
	organization string   // "organizations/1", "" where there is none
	resources    []*assetpb.ResourceSearchResult
}

// maxResources bounds the search in a project.
const maxResources = 5000

// lookup searches a project for its services and functions.
func (c *collector) lookup(ctx context.Context, t Target) hierarchy {
	on := "projects/" + t.Project
	types := []string{gcp.ServiceAsset, gcp.FunctionAsset, gcp.Gen1FunctionAsset, gcp.ProjectAsset}
	mask := []string{"name", "asset_type", "project", "folders", "organization", "location", "display_name", "effective_tags"}
	if t.custom {
		types, mask = append(types, gcp.DomainMappingAsset), append(mask, "versioned_resources")
	}
	h := hierarchy{source: evidence.Source{Document: "https://cloudasset.googleapis.com/v1/" + on + ":searchAllResources"}}
	h.resources, h.err = call(ctx, c, searchResources, on, func(ctx context.Context, o gax.CallOption) ([]*assetpb.ResourceSearchResult, error) {
		client, err := c.asset()
		if err != nil {
			return nil, err
		}
		it := client.SearchAllResources(ctx, &assetpb.SearchAllResourcesRequest{Scope: on, AssetTypes: types, PageSize: 500, ReadMask: &fieldmaskpb.FieldMask{Paths: mask}}, o)
		var out []*assetpb.ResourceSearchResult
		for len(out) < maxResources {
			r, err := it.Next()
			if errors.Is(err, iterator.Done) {
				break
			}
			if err != nil {
				return nil, err
			}
			out = append(out, r)
		}
		return out, nil
	})
	h.place()
	if h.err == nil && len(h.resources) == 0 {
		h.err = fmt.Errorf("the asset inventory lists nothing in %s", on)
	}
	return h
}

// place reads from the results where the project hangs.
func (h *hierarchy) place() {
	for _, r := range h.resources {
		h.number = cmp.Or(h.number, strings.TrimPrefix(r.GetProject(), "projects/"))
		h.organization = cmp.Or(h.organization, r.GetOrganization())
		if len(h.folders) == 0 {
			h.folders = r.GetFolders()
		}
		if id := gcp.Part(r.GetName(), "projects"); !gcp.IsNumber(id) {
			h.id = cmp.Or(h.id, id)
		}
	}
}

// project names the project both ways.
func (h hierarchy) project(t Target) evidence.Fact[evidence.Project] {
	p := evidence.Project{ID: h.id, Number: h.number}
	if gcp.IsNumber(t.Project) {
		p.Number = t.Project
	} else {
		p.ID = t.Project
	}
	if p.ID == "" || p.Number == "" {
		if h.err != nil {
			return evidence.Unknown[evidence.Project](h.err, h.source)
		}
		return evidence.Fact[evidence.Project]{}
	}
	return evidence.Known(p, h.source)
}

// tags are the effective tags of a service. The inventory leaves the field out
// where it has none, which is not told from one that it does not know.
func (h hierarchy) tags(service string) evidence.Fact[[]evidence.Tag] {
	if h.err != nil {
		return evidence.Unknown[[]evidence.Tag](h.err, h.source)
	}
	var out []evidence.Tag
	for _, r := range h.resources {
		if r.GetAssetType() != gcp.ServiceAsset || gcp.Last(r.GetName()) != gcp.Last(service) || r.GetLocation() != gcp.Part(service, "locations") {
			continue
		}
		for _, d := range r.GetEffectiveTags() {
			for _, t := range d.GetEffectiveTags() {
				out = append(out, evidence.Tag{NamespacedKey: t.GetTagKey(), NamespacedValue: t.GetTagValue(), Key: t.GetTagKeyId(), Value: t.GetTagValueId()})
			}
		}
	}
	if out == nil {
		return evidence.Unknown[[]evidence.Tag](errors.New("the asset inventory names no tag of the service"), h.source)
	}
	return evidence.Known(out, h.source)
}

// resolve completes a target: project and region from the options, and what is
// still open by a search. It returns the hierarchy where it searched for it.
func (c *collector) resolve(ctx context.Context, t Target) (Target, func() hierarchy, error) {
	if t.Project == "" {
		t.Project = c.Project
	}
	if t.Location == "" {
		t.Location = c.Region
		if t.URL != nil {
			t.Location = "" // the URL says which service it is, whatever the default region
		}
	}
	switch {
	case t.Project == "":
		return t, nil, errors.New("which project is not known: give --project, or run gcloud config set project PROJECT_ID")
	case t.complete():
		return t, nil, nil
	}
	h := c.lookup(ctx, t)
	if h.err != nil {
		return t, nil, fmt.Errorf("cannot find %s: %w; give its name and --region", t, h.err)
	}
	found, err := c.find(ctx, t, h)
	return found, func() hierarchy { return h }, err
}

// find picks the resource that a target means.
func (c *collector) find(ctx context.Context, t Target, h hierarchy) (Target, error) {
	if t.custom {
		return h.mapped(t)
	}
	var matches []Target
	for _, r := range h.resources {
		m := targetOf(r)
		if m.Kind == AnyKind || t.Kind != AnyKind && m.Kind != t.Kind || !sameName(m, t) {
			continue
		}
		m.Project, m.URL = t.Project, t.URL
		if i := slices.IndexFunc(matches, func(o Target) bool { return o.Location == m.Location }); i >= 0 {
			if m.Kind == FunctionKind { // a function and the service it made
				matches[i] = m
			}
			continue
		}
		matches = append(matches, m)
	}
	if t.URL != nil && len(matches) > 1 {
		matches = c.answering(ctx, matches)
	}
	switch len(matches) {
	case 0:
		return t, h.missing(t)
	case 1:
		return matches[0], nil
	}
	var where []string
	for _, m := range matches {
		where = append(where, m.Location)
	}
	slices.Sort(where)
	return t, fmt.Errorf("%s is in several regions: give --region, one of %s", t, strings.Join(where, ", "))
}

// answering keeps the services that list the URL's host among their own.
func (c *collector) answering(ctx context.Context, candidates []Target) []Target {
	hit := make([]bool, len(candidates))
	var reads []func()
	for i, m := range candidates {
		reads = append(reads, func() {
			s, _ := c.service(ctx, m.serviceName()).Get()
			hit[i] = slices.ContainsFunc(append(s.GetUrls(), s.GetUri()), func(u string) bool {
				host := strings.ToLower(m.URL.Host)
				return strings.HasSuffix(host, strings.TrimPrefix(u, "https://")) && u != ""
			})
		})
	}
	all(reads...)
	var out []Target
	for i, m := range candidates {
		if hit[i] {
			out = append(out, m)
		}
	}
	return out
}

// mapped finds the service that a domain mapping leads to.
func (h hierarchy) mapped(t Target) (Target, error) {
	for _, r := range h.resources {
		if r.GetAssetType() != gcp.DomainMappingAsset || !strings.EqualFold(gcp.Last(r.GetName()), t.URL.Hostname()) {
			continue
		}
		for _, v := range r.GetVersionedResources() {
			spec := v.GetResource().GetFields()["spec"].GetStructValue()
			if route := spec.GetFields()["routeName"].GetStringValue(); route != "" {
				t.Name, t.Location = route, r.GetLocation()
				return t, nil
			}
		}
	}
	return t, fmt.Errorf("no domain mapping of project %s leads from %s to a service, and a load balancer is not looked through: name the service and pass --url %s", t.Project, t.URL.Host, t.URL.Scheme+"://"+t.URL.Host)
}

// targetOf reads a search result as a target; its kind is AnyKind where it is
// neither function nor service.
func targetOf(r *assetpb.ResourceSearchResult) Target {
	kind := map[string]Kind{gcp.ServiceAsset: ServiceKind, gcp.FunctionAsset: FunctionKind, gcp.Gen1FunctionAsset: FunctionKind}[r.GetAssetType()]
	return Target{Kind: kind, Location: cmp.Or(r.GetLocation(), gcp.Part(r.GetName(), "locations")), Name: gcp.Last(r.GetName())}
}

func sameName(a, b Target) bool {
	return gcp.ServiceID(a.Name) == gcp.ServiceID(b.Name)
}

// A Missing error says that the target does not exist, and what resembles it.
type Missing struct {
	Target Target
	Near   []string // "orders in us-central1", the nearest first
	err    error    // why nothing could be looked for
}

func (e *Missing) Error() string {
	s := "there is no " + e.Target.String()
	switch {
	case len(e.Near) > 0:
		s += "; near it: " + strings.Join(e.Near, ", ")
	case e.err != nil:
		s += "; what else there is could not be read: " + e.err.Error()
	default:
		s += ", nor anything with a similar name"
	}
	return s
}

// missing names the functions and services whose name or region is nearest.
func (h hierarchy) missing(t Target) error {
	type near struct {
		text     string
		distance int
	}
	var list []near
	for _, r := range h.resources {
		m := targetOf(r)
		if m.Kind == AnyKind {
			continue
		}
		d := gcp.Distance(strings.ToLower(m.Name), strings.ToLower(t.Name))
		if !gcp.Alike(m.Name, t.Name) {
			continue
		}
		n := near{m.Name + " in " + m.Location, d}
		if !slices.Contains(list, n) {
			list = append(list, n)
		}
	}
	slices.SortStableFunc(list, func(a, b near) int {
		return cmp.Or(cmp.Compare(a.distance, b.distance), cmp.Compare(a.text, b.text))
	})
	e := &Missing{Target: t, err: h.err}
	for _, n := range list[:min(len(list), 5)] {
		e.Near = append(e.Near, n.text)
	}
	return e
}
