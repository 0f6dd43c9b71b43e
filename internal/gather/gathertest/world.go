package gathertest

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"cloud.google.com/go/asset/apiv1/assetpb"
	"cloud.google.com/go/eventarc/apiv1/eventarcpb"
	"cloud.google.com/go/functions/apiv2/functionspb"
	"cloud.google.com/go/iam/apiv1/iampb"
	denypb "cloud.google.com/go/iam/apiv2/iampb"
	"cloud.google.com/go/run/apiv2/runpb"
	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"diagnose/internal/evidence"
	"diagnose/internal/gcp"
	"diagnose/internal/iam"
)

// A World is what the server serves: one function or service with the facts of
// a snapshot, in a project.
type World struct {
	evidence.Snapshot
	Project  string // ID
	Number   string
	Location string
	Name     string // of the function, or of the service where there is none
	// Others are further resources of the project that a search lists.
	Others []*assetpb.ResourceSearchResult
	// PageSize bounds the pages of lists, 0 for no bound.
	PageSize int
	// Regional refuses to list the services of all regions at once.
	Regional bool
	// Fresh is what the inventory does not have yet: it lists the project alone.
	Fresh bool
}

// WorldOf names a world by what the snapshot's documents say, and by defaults
// where they say nothing.
func WorldOf(s evidence.Snapshot) World {
	w := World{Snapshot: s, Project: "shop", Number: "424242", Location: "europe-west1", Name: "orders"}
	fn, svc := s.Function.Or(evidence.Function{}), s.Service.Or(nil)
	name := cmp.Or(fn.GetName(), svc.GetName())
	if parts := strings.Split(name, "/"); len(parts) == 6 {
		w.Name = parts[5]
		if parts[3] != "-" {
			w.Location = parts[3]
		}
		if parts[1] != "-" {
			w.Project = parts[1]
		}
	}
	for _, u := range append(svc.GetUrls(), svc.GetUri()) {
		w.Number = cmp.Or(gcp.HostOf(u).Number, w.Number)
	}
	p := s.Project.Or(evidence.Project{})
	w.Project, w.Number = cmp.Or(p.ID, w.Project), cmp.Or(p.Number, w.Number)
	return w
}

func (w *World) service() string {
	if fn := w.Function.Or(evidence.Function{}); fn.GetServiceConfig().GetService() != "" {
		return last(fn.GetServiceConfig().GetService())
	}
	if svc := w.Service.Or(nil); svc.GetName() != "" {
		return last(svc.GetName())
	}
	return w.Name
}

func last(s string) string { return s[strings.LastIndexByte(s, '/')+1:] }

// is reports whether a resource name is the one of this world: its project may
// be named by ID or number.
func (w *World) is(name, collection, id string) bool {
	rest, ok := strings.CutSuffix(name, "/locations/"+w.Location+"/"+collection+"/"+id)
	return ok && (rest == "projects/"+w.Project || rest == "projects/"+w.Number)
}

type functionServer struct {
	functionspb.UnimplementedFunctionServiceServer
	world *World
}

func (s functionServer) GetFunction(_ context.Context, r *functionspb.GetFunctionRequest) (*functionspb.Function, error) {
	fn, ok := s.world.Function.Get()
	if !ok || !s.world.is(r.GetName(), "functions", last(fn.GetName())) {
		return nil, notFound(r.GetName())
	}
	return fn.Function, nil
}

// iamServer serves the policies of functions: the v2 client asks the IAM
// policy mixin.
type iamServer struct {
	iampb.UnimplementedIAMPolicyServer
	world *World
}

func (s iamServer) GetIamPolicy(_ context.Context, r *iampb.GetIamPolicyRequest) (*iampb.Policy, error) {
	fn, ok := s.world.Function.Get()
	if !ok || !s.world.is(r.GetResource(), "functions", last(fn.GetName())) {
		return nil, notFound(r.GetResource())
	}
	p, err := known(s.world.FunctionPolicy)
	return atVersion(p, r), err
}

// ListFunctions knows one region and the wildcard.
func (s functionServer) ListFunctions(_ context.Context, r *functionspb.ListFunctionsRequest) (*functionspb.ListFunctionsResponse, error) {
	w := s.world
	if !w.lists(r.GetParent()) {
		return nil, status.Error(codes.InvalidArgument, "parent")
	}
	out := &functionspb.ListFunctionsResponse{}
	if fn, ok := w.Function.Get(); ok {
		f := proto.Clone(fn.Function).(*functionspb.Function)
		f.Name = "projects/" + w.Project + "/locations/" + w.Location + "/functions/" + last(fn.GetName())
		out.Functions = append(out.Functions, f)
	}
	for _, x := range w.Others {
		if x.GetAssetType() == gcp.FunctionAsset {
			out.Functions = append(out.Functions, &functionspb.Function{Name: strings.TrimPrefix(x.GetName(), "//"+gcp.FunctionsAPI+"/")})
		}
	}
	return out, nil
}

// lists reports whether a list has a parent: the project, in its region or in
// all of them.
func (w *World) lists(parent string) bool {
	project, location, ok := strings.Cut(parent, "/locations/")
	return ok && (project == "projects/"+w.Project || project == "projects/"+w.Number) && (location == "-" || location == w.Location)
}

func (s runServer) ListServices(_ context.Context, r *runpb.ListServicesRequest) (*runpb.ListServicesResponse, error) {
	w := s.world
	if !w.lists(r.GetParent()) || w.Regional && strings.HasSuffix(r.GetParent(), "/-") {
		return nil, status.Error(codes.InvalidArgument, "parent")
	}
	out := &runpb.ListServicesResponse{}
	if w.Service.Known() {
		out.Services = append(out.Services, &runpb.Service{
			Name: "projects/" + w.Project + "/locations/" + w.Location + "/services/" + w.service()})
	}
	for _, x := range w.Others {
		if x.GetAssetType() == gcp.ServiceAsset {
			out.Services = append(out.Services, &runpb.Service{Name: strings.TrimPrefix(x.GetName(), "//"+gcp.RunAPI+"/")})
		}
	}
	return out, nil
}

type runServer struct {
	runpb.UnimplementedServicesServer
	world *World
}

func (s runServer) GetService(_ context.Context, r *runpb.GetServiceRequest) (*runpb.Service, error) {
	if !s.world.is(r.GetName(), "services", s.world.service()) {
		return nil, notFound(r.GetName())
	}
	return known(s.world.Service)
}

func (s runServer) GetIamPolicy(_ context.Context, r *iampb.GetIamPolicyRequest) (*iampb.Policy, error) {
	if !s.world.is(r.GetResource(), "services", s.world.service()) {
		return nil, notFound(r.GetResource())
	}
	p, err := known(s.world.Policy)
	return atVersion(p, r), err
}

// atVersion hides conditions as the API does where version 3 was not asked
// for.
func atVersion(p *iampb.Policy, r *iampb.GetIamPolicyRequest) *iampb.Policy {
	if r.GetOptions().GetRequestedPolicyVersion() >= 3 || p == nil {
		return p
	}
	p = proto.Clone(p).(*iampb.Policy)
	for _, b := range p.GetBindings() {
		if b.GetCondition() != nil {
			b.Role, b.Condition = b.GetRole()+"_withcond_0123456789abcdef", nil
		}
	}
	p.Version = 1
	return p
}

type eventarcServer struct {
	eventarcpb.UnimplementedEventarcServer
	world *World
}

func (s eventarcServer) GetTrigger(_ context.Context, r *eventarcpb.GetTriggerRequest) (*eventarcpb.Trigger, error) {
	return known(s.world.Trigger)
}

type denyServer struct {
	denypb.UnimplementedPoliciesServer
	world *World
}

func (s denyServer) ListPolicies(_ context.Context, r *denypb.ListPoliciesRequest) (*denypb.ListPoliciesResponse, error) {
	all, err := known(s.world.DenyPolicies)
	if err != nil {
		return nil, err
	}
	point, _, _ := gcp.ParseDenyPolicy(r.GetParent() + "/x")
	var at []*denypb.Policy
	for _, p := range all {
		on, _, _ := gcp.ParseDenyPolicy(p.GetName())
		if on == point || on == gcp.ProjectName(s.world.Number) && point == gcp.ProjectName(s.world.Project) {
			at = append(at, &denypb.Policy{Name: p.GetName(), DisplayName: p.GetDisplayName()})
		}
	}
	page, next, err := paged(at, r.GetPageToken(), s.world.PageSize)
	return &denypb.ListPoliciesResponse{Policies: page, NextPageToken: next}, err
}

func (s denyServer) GetPolicy(_ context.Context, r *denypb.GetPolicyRequest) (*denypb.Policy, error) {
	for _, p := range s.world.DenyPolicies.Or(nil) {
		if p.GetName() == r.GetName() {
			return p, nil
		}
	}
	return nil, notFound(r.GetName())
}

func paged[T any](all []T, token string, size int) ([]T, string, error) {
	at := 0
	if token != "" {
		if _, err := fmt.Sscan(token, &at); err != nil || at > len(all) {
			return nil, "", status.Error(codes.InvalidArgument, "page token")
		}
	}
	if size == 0 || at+size >= len(all) {
		return all[at:], "", nil
	}
	return all[at : at+size], fmt.Sprint(at + size), nil
}

type assetServer struct {
	assetpb.UnimplementedAssetServiceServer
	world *World
}

// chain names the ancestors, the project first.
func (w *World) chain() []string {
	var out []string
	for _, a := range w.Ancestors.Or(nil) {
		out = append(out, a.Type+"s/"+a.ID)
	}
	return out
}

func (s assetServer) SearchAllResources(_ context.Context, r *assetpb.SearchAllResourcesRequest) (*assetpb.SearchAllResourcesResponse, error) {
	w := s.world
	if err := cmp.Or(knownTypes(r.GetAssetTypes()), w.parent(r.GetScope())); err != nil {
		return nil, err
	}
	if !w.Ancestors.Known() && !w.Snapshot.Project.Known() && !w.Tags.Known() {
		return nil, Refused("IAM_PERMISSION_DENIED", "iam.googleapis.com")
	}
	in := func(host, collection, kind, id string) *assetpb.ResourceSearchResult {
		return &assetpb.ResourceSearchResult{Name: "//" + host + "/projects/" + w.Project + "/locations/" + w.Location + "/" + collection + "/" + id, AssetType: kind, Location: w.Location}
	}
	list := []*assetpb.ResourceSearchResult{{Name: "//cloudresourcemanager.googleapis.com/projects/" + w.Project, AssetType: "cloudresourcemanager.googleapis.com/Project"}}
	if fn, ok := w.Function.Get(); ok {
		kind := "cloudfunctions.googleapis.com/Function"
		if fn.GetEnvironment() == functionspb.Environment_GEN_1 {
			kind = "cloudfunctions.googleapis.com/CloudFunction"
		}
		list = append(list, in("cloudfunctions.googleapis.com", "functions", kind, last(fn.GetName())))
	}
	if w.Service.Known() || !w.Function.Known() {
		svc := in("run.googleapis.com", "services", "run.googleapis.com/Service", w.service())
		for _, t := range w.Tags.Or(nil) {
			svc.EffectiveTags = append(svc.EffectiveTags, &assetpb.EffectiveTagDetails{EffectiveTags: []*assetpb.Tag{
				{TagKey: &t.NamespacedKey, TagValue: &t.NamespacedValue, TagKeyId: &t.Key, TagValueId: &t.Value}}})
		}
		list = append(list, svc)
	}
	list = append(list, w.Others...)
	for _, x := range list {
		x.Project = "projects/" + w.Number
		for _, a := range w.chain() {
			if strings.HasPrefix(a, "folders/") && !slices.Contains(x.Folders, a) {
				x.Folders = append(x.Folders, a)
			} else if strings.HasPrefix(a, "organizations/") {
				x.Organization = a
			}
		}
		if !w.Ancestors.Known() {
			x.Organization = "organizations/999"
		}
	}
	list = slices.DeleteFunc(list, func(x *assetpb.ResourceSearchResult) bool {
		return !slices.Contains(r.GetAssetTypes(), x.GetAssetType()) || w.Fresh && x.GetAssetType() != gcp.ProjectAsset
	})
	for i, x := range list {
		list[i] = masked(x, r.GetReadMask())
	}
	page, next, err := paged(list, r.GetPageToken(), w.PageSize)
	return &assetpb.SearchAllResourcesResponse{Results: page, NextPageToken: next}, err
}

// indexed refuses a name that the inventory does not have: it names projects by
// their IDs.
func (w *World) indexed(name string) error {
	place := "projects/" + w.Project + "/locations/" + w.Location
	names := []string{"//cloudresourcemanager.googleapis.com/projects/" + w.Project}
	if _, is := w.Function.Get(); is && !w.Fresh {
		names = append(names, "//cloudfunctions.googleapis.com/"+place+"/functions/"+last(w.Function.Or(evidence.Function{}).GetName()))
	}
	if (w.Service.Known() || !w.Function.Known()) && !w.Fresh {
		names = append(names, "//run.googleapis.com/"+place+"/services/"+w.service())
	}
	if slices.Contains(names, name) {
		return nil
	}
	return status.Error(codes.NotFound, name+" is not in the inventory")
}

// within returns the policies from the service up to a scope, or a refusal
// where one of them is unknown.
func (w *World) within(scope string, own bool) ([]*policyInfo, error) {
	all, err := known(w.Ancestors)
	if err != nil {
		return nil, err
	}
	var out []*policyInfo
	if p, ok := w.Policy.Get(); ok && own {
		out = append(out, &policyInfo{AttachedResource: "//run.googleapis.com/projects/" + w.Project + "/locations/" + w.Location + "/services/" + w.service(), Policy: p})
	}
	for _, a := range all {
		p, err := known(a.Policy)
		if err != nil {
			return nil, err
		}
		name := a.Type + "s/" + a.ID
		out = append(out, &policyInfo{AttachedResource: "//cloudresourcemanager.googleapis.com/" + name, Policy: p})
		if name == scope || a.Type == "project" && strings.HasPrefix(scope, "projects/") {
			return out, nil
		}
	}
	return nil, status.Error(codes.PermissionDenied, "the caller does not have permission on the scope")
}

type policyInfo = assetpb.BatchGetEffectiveIamPoliciesResponse_EffectiveIamPolicy_PolicyInfo

func (s assetServer) BatchGetEffectiveIamPolicies(_ context.Context, r *assetpb.BatchGetEffectiveIamPoliciesRequest) (*assetpb.BatchGetEffectiveIamPoliciesResponse, error) {
	out := &assetpb.BatchGetEffectiveIamPoliciesResponse{}
	if err := s.world.parent(r.GetScope()); err != nil {
		return nil, err
	}
	for _, n := range r.GetNames() {
		if err := s.world.indexed(n); err != nil {
			return nil, err
		}
		policies, err := s.world.within(r.GetScope(), strings.HasPrefix(n, "//run."))
		if err != nil {
			return nil, err
		}
		out.PolicyResults = append(out.PolicyResults, &assetpb.BatchGetEffectiveIamPoliciesResponse_EffectiveIamPolicy{FullResourceName: n, Policies: policies})
	}
	return out, nil
}

func (s assetServer) AnalyzeIamPolicy(_ context.Context, r *assetpb.AnalyzeIamPolicyRequest) (*assetpb.AnalyzeIamPolicyResponse, error) {
	w, q := s.world, r.GetAnalysisQuery()
	if err := cmp.Or(w.parent(q.GetScope()), w.indexed(q.GetResourceSelector().GetFullResourceName())); err != nil {
		return nil, err
	}
	policies, _ := w.within(q.GetScope(), false)
	own := w.Policy
	if strings.HasPrefix(q.GetResourceSelector().GetFullResourceName(), "//cloudfunctions.") {
		own = w.FunctionPolicy
	}
	policies = append([]*policyInfo{{AttachedResource: q.GetResourceSelector().GetFullResourceName(), Policy: own.Or(nil)}}, policies...)
	main := &assetpb.AnalyzeIamPolicyResponse_IamPolicyAnalysis{FullyExplored: true}
	for _, p := range policies {
		for _, b := range p.GetPolicy().GetBindings() {
			if x := w.analyzed(p.GetAttachedResource(), b, q.GetAccessSelector().GetPermissions(), main); x != nil {
				main.AnalysisResults = append(main.AnalysisResults, x)
			}
		}
	}
	return &assetpb.AnalyzeIamPolicyResponse{MainAnalysis: main, FullyExplored: main.FullyExplored}, nil
}

func (w *World) analyzed(on string, b *iampb.Binding, permissions []string, main *assetpb.AnalyzeIamPolicyResponse_IamPolicyAnalysis) *assetpb.IamPolicyAnalysisResult {
	list := &assetpb.IamPolicyAnalysisResult_AccessControlList{}
	for _, p := range permissions {
		switch carries, _ := iam.NewRoles(w.Roles.Or(nil)).Carries(b.GetRole(), p); carries {
		case iam.Granted:
			list.Accesses = append(list.Accesses, &assetpb.IamPolicyAnalysisResult_Access{OneofAccess: &assetpb.IamPolicyAnalysisResult_Access_Permission{Permission: p}})
		case iam.Unknown:
			main.FullyExplored = false
		}
	}
	if len(list.Accesses) == 0 {
		return nil
	}
	out := &assetpb.IamPolicyAnalysisResult{AttachedResourceFullName: on, IamBinding: b, FullyExplored: true, IdentityList: &assetpb.IamPolicyAnalysisResult_IdentityList{},
		AccessControlLists: []*assetpb.IamPolicyAnalysisResult_AccessControlList{list}}
	seen := map[string]bool{}
	for _, m := range b.GetMembers() {
		w.expand(m, seen, out)
	}
	return out
}

// maxMembers is how many members of a group are listed, by the words of
// IamPolicyAnalysisQuery.Options.
const maxMembers = 1000

func (w *World) expand(member string, seen map[string]bool, out *assetpb.IamPolicyAnalysisResult) {
	if seen[member] {
		return
	}
	seen[member] = true
	identity := &assetpb.IamPolicyAnalysisResult_Identity{Name: member}
	out.IdentityList.Identities = append(out.IdentityList.Identities, identity)
	if !strings.HasPrefix(member, "group:") {
		return
	}
	members, ok := w.Groups.Or(nil)[member]
	if !ok {
		identity.AnalysisState = &assetpb.IamPolicyAnalysisState{Code: code.Code_PERMISSION_DENIED, Cause: "not allowed to read the group"}
		out.FullyExplored = false
	}
	for i, m := range members {
		if i == maxMembers {
			break
		}
		out.IdentityList.GroupEdges = append(out.IdentityList.GroupEdges, &assetpb.IamPolicyAnalysisResult_Edge{SourceNode: member, TargetNode: m})
		w.expand(m, seen, out)
	}
}
