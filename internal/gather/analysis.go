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
	resource  string                              // full resource name
	scopes    []string                            // from the widest to the project
	policy    func() evidence.Fact[*iampb.Policy] // the resource's own
	effective func() []scoped                     // up to the project, and to the scope that was given
	above     func() []scoped                     // up to what is above the project
}

func (c *collector) question(
	t Target, f evidence.Fact[evidence.Function], service string, r round, above func() []scoped, place func() hierarchy,
) question {
	q := question{runHost + indexed(service, place), nil, r.policy, r.effective, above}
	if fn, ok := f.Get(); ok && fn.GetEnvironment() == functionspb.Environment_GEN_1 {
		q.resource, q.policy = functionsHost+indexed(t.functionName(), place), r.functionPolicy
	}
	q.scopes = place().above()
	slices.Reverse(q.scopes)
	for _, s := range []string{c.Scope, "projects/" + t.Project} {
		if s != "" && !slices.Contains(q.scopes, s) {
			q.scopes = append(q.scopes, s)
		}
	}
	return q
}

// analyze asks Policy Analyzer who holds the permissions asked about, with
// groups expanded. It is asked only where a policy that was read has a group or
// a custom role, or at once where waiting for the policies would take a further
// round: an organization has 20 questions a day without a paid tier of
// Security Command Center, by
// https://docs.cloud.google.com/policy-intelligence/docs/analyze-iam-policies.
func (c *collector) analyze(ctx context.Context, q question, atOnce bool) analysis {
	if !atOnce && !q.needed() {
		return analysis{}
	}
	scope := q.scopes[0]
	resp, err := c.ask(ctx, q, scope)
	if narrower := q.narrower(err); narrower != "" {
		scope = narrower
		resp, err = c.ask(ctx, q, scope)
	}
	src := evidence.Source{Document: "https://cloudasset.googleapis.com/v1/" + scope + ":analyzeIamPolicy"}
	switch {
	case !q.needed():
		return analysis{}
	case err != nil:
		return analysis{evidence.Unknown[[]*adminpb.Role](err, src), evidence.Unknown[map[string][]string](err, src)}
	}
	roles, _ := opaque(q.policy(), q.within(scope))
	return analysis{rolesOf(resp, roles, src), groupsOf(resp, src)}
}

func (c *collector) ask(ctx context.Context, q question, scope string) (*assetpb.AnalyzeIamPolicyResponse, error) {
	type response = *assetpb.AnalyzeIamPolicyResponse
	return call(ctx, c, analyzePolicy, scope, func(ctx context.Context, o gax.CallOption) (response, error) {
		client, err := c.asset()
		if err != nil {
			return nil, err
		}
		return client.AnalyzeIamPolicy(ctx, &assetpb.AnalyzeIamPolicyRequest{AnalysisQuery: &assetpb.IamPolicyAnalysisQuery{
			Scope:            scope,
			ResourceSelector: &assetpb.IamPolicyAnalysisQuery_ResourceSelector{FullResourceName: q.resource},
			AccessSelector:   &assetpb.IamPolicyAnalysisQuery_AccessSelector{Permissions: asked},
			Options:          &assetpb.IamPolicyAnalysisQuery_Options{ExpandGroups: true, OutputGroupEdges: true},
		}}, o)
	})
}

// narrower is the widest scope below the one that was refused in which policies
// could be read, the project where there is none, and "" where no narrower
// scope would help.
func (q question) narrower(err error) string {
	var u *Unreadable
	refused := errors.As(err, &u) && slices.Contains([]codes.Code{codes.PermissionDenied, codes.NotFound, codes.InvalidArgument}, u.Code)
	if !refused || len(q.scopes) == 1 {
		return ""
	}
	answers := slices.Concat(q.effective(), q.above())
	for _, scope := range q.scopes[1:] {
		if slices.ContainsFunc(answers, func(s scoped) bool { return s.scope == scope && s.err == nil }) {
			return scope
		}
	}
	return q.scopes[len(q.scopes)-1]
}

// within lists the policies that an answer in a scope goes by.
func (q question) within(scope string) []scoped {
	if strings.HasPrefix(scope, "organizations/") {
		return slices.Concat(q.effective(), q.above())
	}
	return slices.DeleteFunc(slices.Concat(q.effective(), q.above()), func(s scoped) bool {
		return s.scope != scope && !strings.HasPrefix(s.scope, "projects/")
	})
}

// needed reports whether a policy that was read has a group or a custom role.
// The policies above the project come last, so that they are waited for only
// where those below have none.
func (q question) needed() bool {
	if roles, groups := opaque(q.policy(), q.effective()); len(roles)+groups > 0 {
		return true
	}
	roles, groups := opaque(evidence.Fact[*iampb.Policy]{}, q.above())
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
// shows. Of other permissions the roles say nothing.
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
			out = append(out, iam.RoleAsked(role, carried[role], asked))
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
		err := errors.New("no group was expanded whole by Policy Analyzer")
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
	return uncut(groups), true
}

// maxExpansion is how many members of a group Policy Analyzer lists, by
// https://docs.cloud.google.com/asset-inventory/docs/reference/rest/v1/TopLevel/analyzeIamPolicy.
// Nothing says that an answer which leaves members out is not fully explored.
const maxExpansion = 1000

// uncut drops the groups of which members may have been left out: those with as
// many members, direct and of groups in them, as are listed at most, and every
// group in one of these.
func uncut(groups map[string][]string) map[string][]string {
	out := maps.Clone(groups)
	for group := range groups {
		in := below(groups, group)
		if len(in) < maxExpansion {
			continue
		}
		delete(out, group)
		maps.DeleteFunc(out, func(g string, _ []string) bool { return in[g] })
	}
	return out
}

// below lists everybody in a group, direct and through groups in it.
func below(groups map[string][]string, group string) map[string]bool {
	seen, open := map[string]bool{}, slices.Clone(groups[group])
	for len(open) > 0 {
		m := open[len(open)-1]
		open = open[:len(open)-1]
		if !seen[m] {
			seen[m] = true
			open = append(open, groups[m]...)
		}
	}
	return seen
}
