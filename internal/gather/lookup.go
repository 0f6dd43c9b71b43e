package gather

import (
	"cmp"
	"context"
	"errors"
	"fmt"
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
	return t, fmt.Errorf("no domain mapping of project %s leads from %s to a service, and a load balancer is not looked through: name the service and pass --url %s",
		t.Project+from(t.projectFrom), t.URL.Host, t.URL.Scheme+"://"+t.URL.Host)
}
