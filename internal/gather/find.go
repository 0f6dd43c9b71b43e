package gather

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"cloud.google.com/go/asset/apiv1/assetpb"
	"cloud.google.com/go/functions/apiv2/functionspb"
	"cloud.google.com/go/run/apiv2/runpb"
	"github.com/googleapis/gax-go/v2"
	"google.golang.org/api/iterator"
	"google.golang.org/grpc/codes"

	"diagnose/internal/evidence"
	"diagnose/internal/gcp"
)

// find picks the resource that a target means: by the asset inventory, or,
// where that does not know it, by the lists of the services themselves. The
// inventory lags, and its API is off in most projects.
func (c *collector) find(ctx context.Context, t Target, h hierarchy) (Target, error) {
	if t.custom {
		if h.err != nil {
			return t, fmt.Errorf("which service answers at %s is not known: %w; name the service and pass --url %s",
				t.URL.Host, h.err, gcp.Origin(t.URL))
		}
		return h.mapped(t)
	}
	matches := matching(t, h.targets())
	if len(matches) == 0 {
		listed, err := c.listed(ctx, t)
		if matches = matching(t, listed); len(matches) == 0 {
			return t, missing(t, h, listed, err)
		}
	}
	if t.hashed() {
		var urls []string
		if matches, urls = c.answering(ctx, t, matches); len(matches) == 0 {
			return t, &Elsewhere{t, urls}
		}
	}
	if len(matches) == 1 {
		return matches[0], nil
	}
	var where []string
	for _, m := range matches {
		where = append(where, m.Location)
	}
	slices.Sort(where)
	return t, fmt.Errorf("%s is in several regions: give --region, one of %s", t, strings.Join(where, ", "))
}

// matching lists the functions and services that a target can mean, one a
// region: of a function and the service that it made, the function.
func matching(t Target, all []Target) []Target {
	var out []Target
	for _, m := range all {
		other := t.Kind != AnyKind && m.Kind != t.Kind
		if other || gcp.ServiceID(m.Name) != gcp.ServiceID(t.Name) || t.Location != "" && !t.hinted && m.Location != t.Location {
			continue
		}
		m.Project, m.URL, m.projectFrom, m.regionFrom = t.Project, t.URL, t.projectFrom, t.regionFrom
		if i := slices.IndexFunc(out, func(o Target) bool { return o.Location == m.Location }); i < 0 {
			out = append(out, m)
		} else if m.Kind == FunctionKind {
			out[i] = m
		}
	}
	return out
}

// targets are the functions and services of a search.
func (h hierarchy) targets() []Target {
	var out []Target
	for _, r := range h.resources {
		if t := targetOf(r); t.Kind != AnyKind {
			out = append(out, t)
		}
	}
	return out
}

// targetOf reads a search result as a target; its kind is AnyKind where it is
// neither function nor service.
func targetOf(r *assetpb.ResourceSearchResult) Target {
	kind := map[string]Kind{gcp.ServiceAsset: ServiceKind, gcp.FunctionAsset: FunctionKind, gcp.Gen1FunctionAsset: FunctionKind}[r.GetAssetType()]
	t := resource(kind, r.GetName())
	t.Location = cmp.Or(r.GetLocation(), t.Location)
	return t
}

// listed asks Cloud Functions and Cloud Run for what a project has in all
// regions. Its error says what could not be listed; what was is returned too.
func (c *collector) listed(ctx context.Context, t Target) ([]Target, error) {
	var functions, services []Target
	var errs [2]error
	var reads []func()
	if t.Kind != ServiceKind {
		reads = append(reads, func() { functions, errs[0] = c.listFunctions(ctx, t) })
	}
	if t.Kind != FunctionKind {
		reads = append(reads, func() { services, errs[1] = c.listServices(ctx, t) })
	}
	all(reads...)
	if functionsOff(errs[0], t, hierarchy{}) {
		errs[0] = nil
	}
	return append(functions, services...), errors.Join(errs[0], errs[1])
}

// resource is the target that a full or relative name of a resource is about.
func resource(kind Kind, name string) Target {
	return Target{Kind: kind, Location: gcp.Part(name, "locations"), Name: gcp.Last(name)}
}

// everywhere is the parent of a list over all regions.
func everywhere(t Target) string { return "projects/" + t.Project + "/locations/-" }

func (c *collector) listFunctions(ctx context.Context, t Target) ([]Target, error) {
	on := everywhere(t)
	return call(ctx, c, listFunctions, on, func(ctx context.Context, o gax.CallOption) ([]Target, error) {
		client, err := c.functions()
		if err != nil {
			return nil, err
		}
		it := client.ListFunctions(ctx, &functionspb.ListFunctionsRequest{Parent: on, PageSize: 1000}, o)
		return gathered(it.Next, func(f *functionspb.Function) Target {
			return resource(FunctionKind, f.GetName())
		})
	})
}

// listServices asks for all regions at once. By the words of the API that is
// not possible, though its answer knows of it; where it is refused, the service
// is looked for in every region by its name.
func (c *collector) listServices(ctx context.Context, t Target) ([]Target, error) {
	on := everywhere(t)
	found, err := call(ctx, c, listServices, on, func(ctx context.Context, o gax.CallOption) ([]Target, error) {
		client, err := c.run()
		if err != nil {
			return nil, err
		}
		it := client.ListServices(ctx, &runpb.ListServicesRequest{Parent: on, PageSize: 1000}, o)
		return gathered(it.Next, func(s *runpb.Service) Target {
			return resource(ServiceKind, s.GetName())
		})
	})
	var u *Unreadable
	if !errors.As(err, &u) || u.Code != codes.InvalidArgument && u.Code != codes.Unimplemented && u.Code != codes.NotFound && u.Reason != "LOCATION_POLICY_VIOLATED" {
		return found, err
	}
	return c.inEveryRegion(ctx, t)
}

func (c *collector) inEveryRegion(ctx context.Context, t Target) ([]Target, error) {
	regions := gcp.Regions()
	there, errs := make([]*Target, len(regions)), make([]error, len(regions))
	var reads []func()
	for i, region := range regions {
		at := Target{Kind: ServiceKind, Project: t.Project, Location: region, Name: gcp.ServiceID(t.Name)}
		reads = append(reads, func() {
			f := c.service(ctx, at.serviceName())
			var u *Unreadable
			switch {
			case f.Known():
				there[i] = &at
			case notFound(f.Reason()):
			case errors.As(f.Reason(), &u) && u.Reason == "LOCATION_POLICY_VIOLATED":
			default:
				errs[i] = f.Reason()
			}
		})
	}
	all(reads...)
	var out []Target
	for _, f := range there {
		if f != nil {
			out = append(out, *f)
		}
	}
	if i := slices.IndexFunc(errs, func(err error) bool { return err != nil }); i >= 0 {
		return out, errs[i]
	}
	return out, nil
}

// gathered reads a list of the API's to its end.
func gathered[T, U any](next func() (T, error), of func(T) U) ([]U, error) {
	var out []U
	for len(out) < maxResources {
		x, err := next()
		if errors.Is(err, iterator.Done) {
			break
		}
		if err != nil {
			return nil, err
		}
		out = append(out, of(x))
	}
	return out, nil
}

// leads reports whether a service lists the host of a URL among its own. Where
// it lists none, that is not known, and it does.
func leads(s *runpb.Service, u *url.URL) bool {
	host := gcp.ParseHost(u.Host)
	known := false
	for _, own := range urlsOf(s) {
		known = true
		if h := gcp.HostOf(own); h.Name == host.Name || h.Name == host.Untagged() {
			return true
		}
	}
	return !known
}

// urlsOf lists the URLs that a service says it has, those of tags too.
func urlsOf(s *runpb.Service) []string {
	out := append([]string{s.GetUri()}, s.GetUrls()...)
	for _, t := range s.GetTrafficStatuses() {
		out = append(out, t.GetUri())
	}
	return slices.DeleteFunc(out, func(u string) bool { return u == "" })
}

// answering keeps the services that the URL leads to, and those that cannot be
// read. It returns the URLs of the others.
func (c *collector) answering(ctx context.Context, t Target, candidates []Target) (out []Target, others []string) {
	read := make([]evidence.Fact[*runpb.Service], len(candidates))
	var reads []func()
	for i, m := range candidates {
		reads = append(reads, func() { read[i] = c.service(ctx, m.serviceName()) })
	}
	all(reads...)
	for i, m := range candidates {
		s, ok := read[i].Get()
		switch {
		case ok && !leads(s, t.URL):
			others = append(others, urlsOf(s)[0])
		case ok || !notFound(read[i].Reason()):
			out = append(out, m)
		}
	}
	return out, others
}

// An Elsewhere error says that a URL does not lead to the service of that name
// in the project that was looked in: it is that of another project.
type Elsewhere struct {
	Target Target
	URLs   []string // of the services of that name
}

func (e *Elsewhere) Error() string {
	t := e.Target
	where := t.Project + from(t.projectFrom)
	s := fmt.Sprintf("%s is not a URL of a service of project %s", gcp.Origin(t.URL), where)
	if len(e.URLs) > 0 {
		s += fmt.Sprintf(", whose service %q answers at %s", t.Name, strings.Join(e.URLs, ", "))
	}
	return s + ": give --project, the one of this URL"
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
		s += "; the list of others could not be read: " + e.err.Error()
	default:
		s += ", nor anything with a similar name"
	}
	if e.Target.hashed() {
		s += "; if the URL is that of another project, give --project"
	}
	return s
}

// missing names the functions and services whose name or region is nearest,
// each once, and what it is where another kind was asked for. Where the lists
// could not be read, the inventory alone shows nothing: it may lag.
func missing(t Target, h hierarchy, listed []Target, unlisted error) error {
	type near struct {
		text     string
		distance int
	}
	var list []near
	for _, m := range once(append(h.targets(), listed...), t.Kind) {
		if !gcp.Alike(m.Name, t.Name) {
			continue
		}
		text := m.Name + " in " + m.Location
		if t.Kind != AnyKind && m.Kind != t.Kind {
			text = "the " + noun[m.Kind] + " " + text
		}
		list = append(list, near{text, gcp.Distance(strings.ToLower(m.Name), strings.ToLower(t.Name))})
	}
	slices.SortStableFunc(list, func(a, b near) int {
		return cmp.Or(cmp.Compare(a.distance, b.distance), cmp.Compare(a.text, b.text))
	})
	e := &Missing{Target: t, err: unlisted}
	for _, n := range list[:min(len(list), 5)] {
		e.Near = append(e.Near, n.text)
	}
	if unlisted != nil && len(e.Near) == 0 && !t.complete() {
		return fmt.Errorf("cannot find %s: %w; give its name and --region", t, cmp.Or(h.err, unlisted))
	}
	return e
}

// once drops what has the name and region of another one: a function and its
// service are one thing, named as the kind that was asked for.
func once(all []Target, asked Kind) []Target {
	var out []Target
	for _, m := range all {
		i := slices.IndexFunc(out, func(o Target) bool {
			return o.Location == m.Location && gcp.ServiceID(o.Name) == gcp.ServiceID(m.Name)
		})
		switch {
		case i < 0:
			out = append(out, m)
		case m.Kind == asked || asked == AnyKind && m.Kind == FunctionKind:
			out[i] = m
		}
	}
	return out
}
