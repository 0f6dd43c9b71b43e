package gather_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"cloud.google.com/go/asset/apiv1/assetpb"
	"cloud.google.com/go/iam/admin/apiv1/adminpb"
	"cloud.google.com/go/iam/apiv1/iampb"
	denypb "cloud.google.com/go/iam/apiv2/iampb"

	"diagnose/checks"
	"diagnose/internal/evidence"
	"diagnose/internal/gather"
	"diagnose/internal/gather/gathertest"
)

// people are the members of a group: as many as are asked for, and the caller
// in the place given, from 1; nowhere for 0.
func people(n, caller int) []string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf("user:u%d@example.com", i+1))
	}
	if caller > 0 {
		out[caller-1] = "user:ann@example.com"
	}
	return out
}

// granting is a policy that lets members invoke.
func granting(role string, members ...string) *iampb.Policy {
	return &iampb.Policy{Bindings: []*iampb.Binding{{Role: role, Members: members}}}
}

// withGroups is the story with a grant on the service to one group.
func withGroups(t *testing.T, groups map[string][]string) evidence.Snapshot {
	s := load(t, "orders")
	s.Policy = evidence.Known(granting("roles/run.invoker", "group:all@example.com"), s.Policy.Source)
	s.Groups = evidence.Known(groups, s.Groups.Source)
	return s
}

// A list of members as long as lists get may have been cut: who is not in it
// may be in the group.
func TestLongGroups(t *testing.T) {
	const all, part = "group:all@example.com", "group:part@example.com"
	for name, test := range map[string]struct {
		groups map[string][]string
		whole  bool
	}{
		"999 without the caller":    {map[string][]string{all: people(999, 0)}, true},
		"999 with the caller":       {map[string][]string{all: people(999, 999)}, true},
		"1000 without the caller":   {map[string][]string{all: people(1000, 0)}, false},
		"1200 with the caller last": {map[string][]string{all: people(1200, 1200)}, false},
		"1000 in a group in it":     {map[string][]string{all: {part}, part: people(1000, 0)}, false},
		"600 beside a group of 600": {map[string][]string{all: append(people(600, 0), part), part: people(1200, 1100)[600:]}, false},
		"500 beside a group of 400": {map[string][]string{all: append(people(500, 0), part), part: people(900, 0)[500:]}, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			disk := withGroups(t, test.groups)
			live, err := collect(t, fullFunction, gathertest.Pipe(t, gathertest.WorldOf(disk)))
			if err != nil {
				t.Fatal(err)
			}
			want, got := checks.Judge(disk, checks.Options{NoFixes: true}), checks.Judge(overlay(live, disk), checks.Options{})
			if test.whole && (got.Decision != want.Decision || got.Basis != want.Basis) {
				t.Errorf("%s: %s %s, want %s %s", name, got.Decision, got.Basis, want.Decision, want.Basis)
			}
			if !test.whole && got.Decision != checks.Undetermined {
				t.Errorf("%s: %s %s", name, got.Decision, got.Headline())
			}
			if _, listed := live.Groups.Or(nil)[all]; listed != test.whole {
				t.Errorf("%s: listed %t", name, listed)
			}
		})
	}
}

// above is the story in which only a policy above the project can let the
// caller in, if any does.
func above(t *testing.T, folder, organization *iampb.Policy, deny ...*denypb.Policy) evidence.Snapshot {
	s := load(t, "orders")
	s.Policy = evidence.Known(&iampb.Policy{}, s.Policy.Source)
	list := slices.Clone(s.Ancestors.Or(nil))
	list[1].Policy, list[2].Policy = evidence.Known(folder, list[1].Policy.Source), evidence.Known(organization, list[2].Policy.Source)
	s.Ancestors = evidence.Known(list, s.Ancestors.Source)
	s.Groups = evidence.Known(map[string][]string{"group:eng@example.com": {"user:ann@example.com"}, "group:ops@example.com": {"user:bob@example.com"}}, s.Groups.Source)
	s.Roles = evidence.Fact[[]*adminpb.Role]{}
	if len(deny) > 0 {
		s.DenyPolicies = evidence.Known(deny, s.DenyPolicies.Source)
	}
	return s
}

func denyRule(on, permission, who string) *denypb.Policy {
	rule := &denypb.DenyRule{DeniedPrincipals: []string{who}, DeniedPermissions: []string{permission}}
	return &denypb.Policy{Name: "policies/cloudresourcemanager.googleapis.com%2F" + on + "/denypolicies/p",
		Rules: []*denypb.PolicyRule{{Kind: &denypb.PolicyRule_DenyRule{DenyRule: rule}}}}
}

// What was refused, or lies outside of the scope, may say anything: a verdict
// that is proven is the one that all documents lead to.
func TestNarrowReadsProveNothingFalse(t *testing.T) {
	const organization, folder = "organizations/888001", "folders/777001"
	empty := &iampb.Policy{}
	grant := granting("roles/run.invoker", "user:ann@example.com")
	allowed := granting("roles/run.invoker", "user:ann@example.com")
	worlds := map[string]evidence.Snapshot{
		"nobody may":                  above(t, empty, empty),
		"the organization lets in":    above(t, empty, grant),
		"the folder lets in":          above(t, grant, empty),
		"a group of the organization": above(t, empty, granting("roles/run.admin", "group:eng@example.com")),
		"a group of others":           above(t, empty, granting("roles/run.admin", "group:ops@example.com")),
	}
	all := "principalSet://goog/public:all"
	denied := above(t, empty, empty, denyRule("projects%2Fshop", "run.googleapis.com/jobs.run", all), denyRule("organizations%2F888001", "run.googleapis.com/routes.invoke", all))
	denied.Policy = evidence.Known(allowed, denied.Policy.Source)
	worlds["the organization denies"] = denied
	refusals := map[string]func(*gathertest.Server){
		"nothing":                      func(*gathertest.Server) {},
		"the search":                   func(s *gathertest.Server) { s.Faults["SearchAllResources"] = gathertest.Deny },
		"policies of the organization": func(s *gathertest.Server) { s.Faults["BatchGetEffectiveIamPolicies"] = gathertest.DenyOn(organization) },
		"policies of the folder":       func(s *gathertest.Server) { s.Faults["BatchGetEffectiveIamPolicies"] = gathertest.DenyOn(folder) },
		"policies":                     func(s *gathertest.Server) { s.Faults["BatchGetEffectiveIamPolicies"] = gathertest.Deny },
		"analysis in the organization": func(s *gathertest.Server) { s.Faults["AnalyzeIamPolicy"] = gathertest.DenyOn(organization) },
		"analysis":                     func(s *gathertest.Server) { s.Faults["AnalyzeIamPolicy"] = gathertest.Deny },
		"deny policies":                func(s *gathertest.Server) { s.Faults["ListPolicies"] = gathertest.Deny },
		"deny policies of organizations": func(s *gathertest.Server) {
			s.Faults["ListPolicies"] = gathertest.DenyOn("policies/cloudresourcemanager.googleapis.com%2F" + "organizations%2F888001")
		},
		"the rules of deny policies": func(s *gathertest.Server) {
			s.Faults["GetPolicy"] = gathertest.DenyOn("policies/cloudresourcemanager.googleapis.com%2Forganizations%2F888001/denypolicies/p")
		},
		"all that concerns organizations": func(s *gathertest.Server) {
			s.Faults["BatchGetEffectiveIamPolicies"], s.Faults["AnalyzeIamPolicy"] = gathertest.DenyOn(organization), gathertest.DenyOn(organization)
		},
		"the search, policies of the rest": func(s *gathertest.Server) {
			s.Faults["SearchAllResources"], s.Faults["BatchGetEffectiveIamPolicies"] = gathertest.Deny, gathertest.DenyOn(organization)
		},
	}
	for world, disk := range worlds {
		truth := checks.Judge(disk, checks.Options{NoFixes: true})
		for what, refuse := range refusals {
			for _, scope := range []string{"", "projects/shop", folder, organization, "organizations/999"} {
				synctest.Test(t, func(t *testing.T) {
					server := gathertest.Pipe(t, gathertest.WorldOf(disk))
					refuse(server)
					live, err := collect(t, fullFunction, server, func(o *gather.Options) { o.Scope = scope })
					if err != nil {
						t.Fatal(err)
					}
					got := checks.Judge(overlay(live, disk), checks.Options{NoFixes: true})
					if got.Basis == checks.Proven && got.Decision != truth.Decision {
						t.Errorf("%s, refused: %s, --scope=%s: %s %s: %s, where all documents say %s", world, what, scope, got.Decision, got.Basis, got.Headline(), truth.Decision)
					}
					if what == "nothing" && (got.Decision != truth.Decision || got.Basis != truth.Basis) {
						t.Errorf("%s, --scope=%s: %s %s, want %s %s", world, scope, got.Decision, got.Basis, truth.Decision, truth.Basis)
					}
				})
			}
		}
	}
}

// Policy Analyzer is asked where most is seen, and below that only where it is
// refused.
func TestWidestScope(t *testing.T) {
	for _, test := range []struct {
		refused []string
		scope   string
		want    []string
	}{
		{nil, "", []string{"organizations/888001"}},
		{nil, "projects/shop", []string{"organizations/888001"}},
		{[]string{"organizations/888001"}, "", []string{"organizations/888001", "folders/777001"}},
		{[]string{"organizations/888001", "folders/777001"}, "", []string{"organizations/888001", "projects/shop"}},
	} {
		synctest.Test(t, func(t *testing.T) {
			server := gathertest.Pipe(t, gathertest.WorldOf(load(t, "orders")))
			for _, m := range []string{"BatchGetEffectiveIamPolicies", "AnalyzeIamPolicy"} {
				server.Faults[m] = gathertest.DenyOn(test.refused...)
			}
			if _, err := collect(t, fullFunction, server, func(o *gather.Options) { o.Scope = test.scope }); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, m := range server.Requests() {
				if r, ok := m.(*assetpb.AnalyzeIamPolicyRequest); ok {
					got = append(got, r.GetAnalysisQuery().GetScope())
				}
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("refused %q, --scope=%s: asked in %q, want %q", test.refused, test.scope, got, test.want)
			}
		})
	}
}
