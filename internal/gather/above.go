package gather

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"cloud.google.com/go/asset/apiv1/assetpb"
	"cloud.google.com/go/iam/apiv1/iampb"
	"github.com/googleapis/gax-go/v2"
	"google.golang.org/grpc/codes"

	"diagnose/internal/evidence"
	"diagnose/internal/gcp"
)

// scoped is the answer about the effective policies within one scope, the
// service's own first, or the reason why there is none.
type scoped struct {
	scope    string // "projects/shop", "organizations/1"
	source   evidence.Source
	policies []*assetpb.BatchGetEffectiveIamPoliciesResponse_EffectiveIamPolicy_PolicyInfo
	err      error
}

const (
	runHost       = "//" + gcp.RunAPI + "/"
	functionsHost = "//" + gcp.FunctionsAPI + "/"
	managerHost   = "//" + gcp.ResourceManagerAPI + "/"
)

// effectivePolicies asks in each scope for the policies from the service up to
// it, or from the project, which a gen1 function shares.
func (c *collector) effectivePolicies(ctx context.Context, t Target, service string, scopes []string) []scoped {
	out := make([]scoped, len(scopes))
	var reads []func()
	for i, s := range scopes {
		reads = append(reads, func() { out[i] = c.effectiveIn(ctx, t, service, s) })
	}
	all(reads...)
	return out
}

func (c *collector) effectiveIn(ctx context.Context, t Target, service, scope string) scoped {
	s := scoped{scope: scope, source: evidence.Source{Document: "https://cloudasset.googleapis.com/v1/" + scope + "/effectiveIamPolicies:batchGet"}}
	// The project is asked for beside the service. Alone, where the inventory
	// does not have the service: a gen1 function has none, and the index lags.
	project := managerHost + "projects/" + cmp.Or(gcp.Part(service, "projects"), t.Project)
	resp, err := c.batchGet(ctx, scope, runHost+service, project)
	var u *Unreadable
	if errors.As(err, &u) && (u.Code == codes.NotFound || u.Code == codes.InvalidArgument) {
		resp, err = c.batchGet(ctx, scope, project)
	}
	if s.err = err; err != nil {
		return s
	}
	for i, r := range resp.GetPolicyResults() {
		if len(r.GetPolicies()) > len(s.policies) {
			s.policies = r.GetPolicies()
			s.source.Pointer = fmt.Sprintf("/policyResults/%d/policies", i)
		}
	}
	return s
}

func (c *collector) batchGet(ctx context.Context, scope string, names ...string) (*assetpb.BatchGetEffectiveIamPoliciesResponse, error) {
	type response = *assetpb.BatchGetEffectiveIamPoliciesResponse
	return call(ctx, c, effectivePolicies, scope, func(ctx context.Context, o gax.CallOption) (response, error) {
		client, err := c.asset()
		if err != nil {
			return nil, err
		}
		return client.BatchGetEffectiveIamPolicies(ctx, &assetpb.BatchGetEffectiveIamPoliciesRequest{Scope: scope, Names: names}, o)
	})
}

// at returns the policy attached to a resource, by any of its names.
func (s scoped) at(resources ...string) (evidence.Fact[*iampb.Policy], bool) {
	for i, p := range s.policies {
		for _, r := range resources {
			if p.GetAttachedResource() == r {
				return evidence.Known(orEmpty(p.GetPolicy()), s.source.At(fmt.Sprintf("/%d/policy", i))), true
			}
		}
	}
	return evidence.Fact[*iampb.Policy]{}, false
}

func orEmpty(p *iampb.Policy) *iampb.Policy {
	if p == nil {
		return &iampb.Policy{}
	}
	return p
}

// aboveProject asks for the effective policies in the folders and the
// organization above the project, the widest of which that answers is enough.
// A narrower scope that was given hides none of them.
func (c *collector) aboveProject(ctx context.Context, t Target, service string, h hierarchy) []scoped {
	service = indexed(service, func() hierarchy { return h })
	if h.err != nil {
		return nil
	}
	asked := func(scope string) bool { return scope == c.Scope }
	return c.effectivePolicies(ctx, t, service, slices.DeleteFunc(h.above(), asked))
}

// maxAbove bounds the number of resources above a project; folders nest ten
// deep at most.
const maxAbove = 12

func (h hierarchy) above() []string {
	out := slices.Clone(h.folders)
	if h.organization != "" {
		out = append(out, h.organization)
	}
	return out[:min(len(out), maxAbove)]
}

// ancestors lists the project and what is above it, each with its policy or
// the reason why it is not known. Where the hierarchy itself is not known, an
// ancestor without an ID stands for what may be above.
func ancestors(t Target, h hierarchy, answers []scoped) evidence.Fact[[]evidence.Ancestor] {
	chain := chainOf(t, h, answers)
	var out []evidence.Ancestor
	src, known := evidence.Source{}, false
	for i, name := range chain {
		a := evidence.Ancestor{Type: strings.TrimSuffix(strings.Split(name, "/")[0], "s"), ID: gcp.Last(name)}
		a.Policy = policyOf(name, h, chain[i:], answers)
		if a.Policy.Known() {
			known = true
			src = evidence.Source{Document: a.Policy.Source.Document}
		}
		out = append(out, a)
	}
	if !known && len(answers) > 0 && h.err != nil {
		return evidence.Unknown[[]evidence.Ancestor](answers[0].err, answers[0].source)
	}
	if !complete(h, answers) {
		out = append(out, evidence.Ancestor{Type: "organization", Missing: true,
			Policy: evidence.Unknown[*iampb.Policy](fmt.Errorf("the folders and organization above the project are unknown: %w", orUnlisted(h.err)), h.source)})
	}
	return evidence.Known(out, cmp.Or(src, h.source))
}

func orUnlisted(err error) error {
	if err == nil {
		return errors.New("the asset inventory does not list them")
	}
	return err
}

// complete reports whether the chain of ancestors is known up to its end.
func complete(h hierarchy, answers []scoped) bool {
	if h.err == nil {
		return true
	}
	return slices.ContainsFunc(answers, func(s scoped) bool { return s.err == nil && strings.HasPrefix(s.scope, "organizations/") })
}

// chainOf names the project, its folders and the organization, in this order.
// An answer lists them in order; the hierarchy may not.
func chainOf(t Target, h hierarchy, answers []scoped) []string {
	chain := []string{"projects/" + cmp.Or(h.id, t.Project)}
	var listed []string
	for _, s := range answers {
		var here []string
		for _, p := range s.policies {
			if name, ok := strings.CutPrefix(p.GetAttachedResource(), managerHost); ok && !strings.HasPrefix(name, "projects/") {
				here = append(here, name)
			}
		}
		if len(here) > len(listed) {
			listed = here
		}
	}
	for _, name := range append(withoutOrganization(listed), h.folders...) {
		if !slices.Contains(chain, name) {
			chain = append(chain, name)
		}
	}
	for _, name := range append(listed, h.organization) {
		if strings.HasPrefix(name, "organizations/") && !slices.Contains(chain, name) {
			chain = append(chain, name)
		}
	}
	return chain
}

func withoutOrganization(names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(n string) bool { return strings.HasPrefix(n, "organizations/") })
}

// policyOf is the policy of one ancestor: as any answer lists it; empty where
// an answer covers the ancestor and lists no policy of it; else unknown. rest
// is the chain from the ancestor upwards.
func policyOf(name string, h hierarchy, rest []string, answers []scoped) evidence.Fact[*iampb.Policy] {
	names := []string{managerHost + name}
	if strings.HasPrefix(name, "projects/") && h.number != "" {
		names = append(names, managerHost+"projects/"+h.number)
	}
	var reason error
	var src evidence.Source
	for _, s := range answers {
		if s.err != nil {
			if reason == nil || slices.Contains(rest, s.scope) {
				reason, src = s.err, s.source
			}
			continue
		}
		if f, ok := s.at(names...); ok {
			return f
		}
	}
	for _, s := range answers {
		if s.err == nil && covers(s.scope, name, rest) && len(s.policies) > 0 {
			return evidence.Known(&iampb.Policy{}, s.source)
		}
	}
	if reason == nil {
		reason = errors.New("the asset inventory gave no policy of it")
	}
	return evidence.Unknown[*iampb.Policy](reason, src)
}

// covers reports whether an answer within a scope includes the policy of an
// ancestor: the scope is the ancestor or stands above it.
func covers(scope, name string, rest []string) bool {
	return scope == name || slices.Contains(rest, scope) || strings.HasPrefix(scope, "organizations/") ||
		strings.HasPrefix(scope, "projects/") && strings.HasPrefix(name, "projects/")
}

// ownPolicy takes the service's own policy from the inventory where the
// service itself refused to show it.
func ownPolicy(own evidence.Fact[*iampb.Policy], service string, h hierarchy, answers []scoped) evidence.Fact[*iampb.Policy] {
	if own.Known() || notFound(own.Reason()) {
		return own
	}
	names := []string{runHost + service}
	for _, project := range []string{h.id, h.number} {
		if n, ok := gcp.ParseName(service); ok && project != "" {
			names = append(names, runHost+n.InProject(project).String())
		}
	}
	for _, s := range answers {
		if f, ok := s.at(names...); ok && s.err == nil {
			return f
		}
	}
	return own
}
