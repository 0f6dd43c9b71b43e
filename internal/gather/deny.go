package gather

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	denypb "cloud.google.com/go/iam/apiv2/iampb"
	"github.com/googleapis/gax-go/v2"
	"google.golang.org/api/iterator"

	"diagnose/internal/evidence"
	"diagnose/internal/gcp"
)

// denyList is the answer about the deny policies attached to one resource,
// without their rules.
type denyList struct {
	on    string // "projects/shop"
	names []string
	err   error
}

// attachment is the parent of the deny policies of a node, "projects/shop".
func attachment(on string) string {
	n, _ := gcp.ParseName(on)
	return n.DenyParent()
}

func (c *collector) listDeny(ctx context.Context, on string) denyList {
	names, err := call(ctx, c, listDeny, on, func(ctx context.Context, o gax.CallOption) ([]string, error) {
		client, err := c.deny()
		if err != nil {
			return nil, err
		}
		it := client.ListPolicies(ctx, &denypb.ListPoliciesRequest{Parent: attachment(on)}, o)
		var out []string
		for {
			p, err := it.Next()
			if errors.Is(err, iterator.Done) {
				return out, nil
			}
			if err != nil {
				return nil, err
			}
			out = append(out, p.GetName())
		}
	})
	return denyList{on, names, err}
}

// denyPolicies reads the deny policies of the project, whose list is on its
// way, and of what is above it. A list shows no rules, so each policy is read
// by its name. Where a layer cannot be read the whole is unknown, unless a rule
// that was read speaks of Cloud Run: a denial that is known must not be lost.
func (c *collector) denyPolicies(ctx context.Context, t Target, own func() denyList, place func() hierarchy) evidence.Fact[[]*denypb.Policy] {
	src := evidence.Source{Document: "https://iam.googleapis.com/v2/" + attachment("projects/"+t.Project)}
	lists := []func() denyList{own}
	h := place()
	for _, on := range h.above() {
		lists = append(lists, func() denyList { return c.listDeny(ctx, on) })
	}
	got, errs := make([][]*denypb.Policy, len(lists)), make([]error, len(lists), len(lists)+1)
	var reads []func()
	for i, list := range lists {
		reads = append(reads, func() { got[i], errs[i] = c.readDeny(ctx, list()) })
	}
	all(reads...)
	if h.err != nil {
		errs = append(errs, fmt.Errorf("deny policies above the project: %w", h.err))
	}
	read := append([]*denypb.Policy{}, slices.Concat(got...)...)
	for _, err := range errs {
		if err != nil && !slices.ContainsFunc(read, aboutRun) {
			return evidence.Unknown[[]*denypb.Policy](err, src)
		}
	}
	return evidence.Known(read, src)
}

// aboutRun reports whether a policy denies permissions of Cloud Run.
func aboutRun(p *denypb.Policy) bool {
	return slices.ContainsFunc(p.GetRules(), func(r *denypb.PolicyRule) bool {
		return slices.ContainsFunc(r.GetDenyRule().GetDeniedPermissions(), func(s string) bool {
			return strings.HasPrefix(s, "run.googleapis.com/")
		})
	})
}

// readDeny reads the rules of each policy of a list.
func (c *collector) readDeny(ctx context.Context, l denyList) ([]*denypb.Policy, error) {
	if l.err != nil {
		return nil, l.err
	}
	out, errs := make([]*denypb.Policy, len(l.names)), make([]error, len(l.names))
	var reads []func()
	for i, name := range l.names {
		reads = append(reads, func() {
			out[i], errs[i] = call(ctx, c, getDeny, name, func(ctx context.Context, o gax.CallOption) (*denypb.Policy, error) {
				client, err := c.deny()
				if err != nil {
					return nil, err
				}
				return client.GetPolicy(ctx, &denypb.GetPolicyRequest{Name: name}, o)
			})
		})
	}
	all(reads...)
	return slices.DeleteFunc(out, func(p *denypb.Policy) bool { return p == nil }), errors.Join(errs...)
}
