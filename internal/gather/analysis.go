package gather

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"cloud.google.com/go/asset/apiv1/assetpb"
	"cloud.google.com/go/functions/apiv2/functionspb"
	"cloud.google.com/go/iam/admin/apiv1/adminpb"
	"cloud.google.com/go/iam/apiv1/iampb"
	"github.com/googleapis/gax-go/v2"
	"google.golang.org/grpc/codes"

	"diagnose/internal/credential"
	"diagnose/internal/evidence"
	"diagnose/internal/iam"
)

// asked are the permissions that Policy Analyzer is asked about.
var asked = []string{iam.RunInvoke, iam.FunctionsInvoke, iam.AccessViaIAP}

// An analysis is what Policy Analyzer tells about groups and custom roles. Its
// zero value says nothing.
type analysis struct {
	roles  evidence.Fact[[]*adminpb.Role]
	groups evidence.Fact[map[string][]string]
}

// A question is what Policy Analyzer is asked about one resource.
type question struct {
	resource  string // full resource name
	scope     string
	policy    func() evidence.Fact[*iampb.Policy] // the resource's own
	effective func() []scoped
}

func (c *collector) question(
	t Target, f evidence.Fact[evidence.Function], service string, r round, place func() hierarchy,
) question {
	q := question{runHost + indexed(service, place), c.Scope, r.policy, r.effective}
	if q.scope == "" {
		q.scope = "projects/" + t.Project
	}
	if fn, ok := f.Get(); ok && fn.GetEnvironment() == functionspb.Environment_GEN_1 {
		q.resource, q.policy = functionsHost+indexed(t.functionName(), place), r.functionPolicy
	}
	return q
}

// analyze asks Policy Analyzer who holds the permissions asked about, with
// groups expanded. It is asked only where a policy that was read has a group or
// a custom role, or at once where waiting for the policies would take a third
// round: an organization has 20 questions a day without a paid tier of
// Security Command Center, by
// https://docs.cloud.google.com/policy-intelligence/docs/analyze-iam-policies.
func (c *collector) analyze(ctx context.Context, q question, atOnce bool) analysis {
	if !atOnce && !q.needed() {
		return analysis{}
	}
	src := evidence.Source{Document: "https://cloudasset.googleapis.com/v1/" + q.scope + ":analyzeIamPolicy"}
	resp, err := call(ctx, c, analyzePolicy, q.scope, func(ctx context.Context, o gax.CallOption) (*assetpb.AnalyzeIamPolicyResponse, error) {
		client, err := c.asset()
		if err != nil {
			return nil, err
		}
		return client.AnalyzeIamPolicy(ctx, &assetpb.AnalyzeIamPolicyRequest{AnalysisQuery: &assetpb.IamPolicyAnalysisQuery{
			Scope:            q.scope,
			ResourceSelector: &assetpb.IamPolicyAnalysisQuery_ResourceSelector{FullResourceName: q.resource},
			AccessSelector:   &assetpb.IamPolicyAnalysisQuery_AccessSelector{Permissions: asked},
			Options:          &assetpb.IamPolicyAnalysisQuery_Options{ExpandGroups: true, OutputGroupEdges: true},
		}}, o)
	})
	switch {
	case !q.needed():
		return analysis{}
	case err != nil:
		return analysis{evidence.Unknown[[]*adminpb.Role](err, src), evidence.Unknown[map[string][]string](err, src)}
	}
	roles, _ := opaque(q.policy(), q.effective())
	return analysis{rolesOf(resp, roles, src), groupsOf(resp, src)}
}

func (q question) needed() bool {
	roles, groups := opaque(q.policy(), q.effective())
	return len(roles)+groups > 0
}

// opaque lists the custom roles and counts the groups in the policies that
// were read.
func opaque(own evidence.Fact[*iampb.Policy], effective []scoped) (roles []string, groups int) {
	policies := []*iampb.Policy{own.Or(nil)}
	for _, s := range effective {
		for _, p := range s.policies {
			policies = append(policies, p.GetPolicy())
		}
	}
	for _, p := range policies {
		for _, b := range p.GetBindings() {
			if custom(b.GetRole()) && !slices.Contains(roles, b.GetRole()) {
				roles = append(roles, b.GetRole())
			}
			for _, m := range b.GetMembers() {
				if strings.HasPrefix(m, "group:") && mayCarry(b.GetRole()) {
					groups++
				}
			}
		}
	}
	return roles, groups
}

func custom(role string) bool {
	return strings.HasPrefix(role, "projects/") || strings.HasPrefix(role, "organizations/")
}

// mayCarry reports whether a role carries one of the permissions, or is not
// known.
func mayCarry(role string) bool {
	return slices.ContainsFunc(asked, func(p string) bool {
		state, _ := iam.Roles{}.Carries(role, p)
		return state != iam.NotGranted
	})
}

// rolesOf reads which of the custom roles carry the permissions asked about.
// A role without a result carries none of them, provided that everything was
// explored and the resource is known to the inventory, as any other result
// shows. The roles list no other permission.
func rolesOf(resp *assetpb.AnalyzeIamPolicyResponse, seen []string, src evidence.Source) evidence.Fact[[]*adminpb.Role] {
	carried := map[string][]string{}
	for _, r := range resp.GetMainAnalysis().GetAnalysisResults() {
		role := r.GetIamBinding().GetRole()
		for _, l := range r.GetAccessControlLists() {
			for _, a := range l.GetAccesses() {
				if p := a.GetPermission(); p != "" && fine(a.GetAnalysisState()) && !slices.Contains(carried[role], p) {
					carried[role] = append(carried[role], p)
				}
			}
		}
	}
	if explored(resp) && len(carried) > 0 {
		for _, role := range seen {
			carried[role] = append([]string{}, carried[role]...)
		}
	}
	var out []*adminpb.Role
	for _, role := range slices.Sorted(maps.Keys(carried)) {
		if custom(role) {
			slices.Sort(carried[role])
			out = append(out, &adminpb.Role{Name: role, IncludedPermissions: carried[role]})
		}
	}
	if out == nil {
		return evidence.Fact[[]*adminpb.Role]{}
	}
	return evidence.Known(out, src)
}

func explored(resp *assetpb.AnalyzeIamPolicyResponse) bool {
	m := resp.GetMainAnalysis()
	return m != nil && resp.GetFullyExplored() && m.GetFullyExplored() && len(m.GetNonCriticalErrors()) == 0
}

func fine(s *assetpb.IamPolicyAnalysisState) bool { return codes.Code(s.GetCode()) == codes.OK }

// groupsOf reads the members of groups from the edges of the results. Only a
// group that was expanded completely is listed.
func groupsOf(resp *assetpb.AnalyzeIamPolicyResponse, src evidence.Source) evidence.Fact[map[string][]string] {
	out := map[string][]string{}
	var refused []string
	for _, r := range resp.GetMainAnalysis().GetAnalysisResults() {
		list := r.GetIdentityList()
		groups, ok := expanded(r)
		if !ok {
			for _, i := range list.GetIdentities() {
				if !fine(i.GetAnalysisState()) {
					refused = append(refused, fmt.Sprintf("%s: %s", i.GetName(), clip(credential.Scrub(i.GetAnalysisState().GetCause()))))
				}
			}
			continue
		}
		maps.Copy(out, groups)
	}
	if len(out) == 0 {
		err := errors.New("no group was expanded by Policy Analyzer")
		if len(refused) > 0 {
			err = fmt.Errorf("not expanded by Policy Analyzer, which needs groups.read of the directory: %s", strings.Join(refused, ", "))
		}
		return evidence.Unknown[map[string][]string](err, src)
	}
	return evidence.Known(out, src)
}

// expanded returns the members by group of one result, and whether the result
// is complete: everything explored, and each identity in it reached from the
// binding's members.
func expanded(r *assetpb.IamPolicyAnalysisResult) (map[string][]string, bool) {
	list := r.GetIdentityList()
	if !r.GetFullyExplored() {
		return nil, false
	}
	groups, reached := map[string][]string{}, map[string]bool{}
	for _, m := range r.GetIamBinding().GetMembers() {
		reached[m] = true
		if strings.HasPrefix(m, "group:") {
			groups[m] = []string{}
		}
	}
	for _, e := range list.GetGroupEdges() {
		source, target := e.GetSourceNode(), e.GetTargetNode()
		if !strings.HasPrefix(source, "group:") || !strings.Contains(target, ":") {
			return nil, false
		}
		reached[target] = true
		if strings.HasPrefix(target, "group:") && groups[target] == nil {
			groups[target] = []string{}
		}
		if !slices.Contains(groups[source], target) {
			groups[source] = append(groups[source], target)
		}
	}
	for _, i := range list.GetIdentities() {
		if !reached[i.GetName()] || !fine(i.GetAnalysisState()) {
			return nil, false
		}
	}
	return groups, true
}
