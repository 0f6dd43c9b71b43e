package gather

import (
	"cmp"
	"context"
	"errors"
	"fmt"

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
// by its name. What was read counts also where a part was refused: a denial
// that is known must not be lost, and what is not known may be another one.
func (c *collector) denyPolicies(ctx context.Context, t Target, own func() denyList, place func() hierarchy) evidence.Fact[[]*denypb.Policy] {
	src := evidence.Source{Document: "https://iam.googleapis.com/v2/" + attachment("projects/"+t.Project)}
	lists := []func() denyList{own}
	h := place()
	for _, on := range h.above() {
		lists = append(lists, func() denyList { return c.listDeny(ctx, on) })
	}
	got := make([]denyRead, len(lists))
	var reads []func()
	for i, list := range lists {
		reads = append(reads, func() { got[i] = c.readDeny(ctx, list()) })
	}
	all(reads...)
	var sum denyRead
	if h.err != nil {
		sum.unlisted = fmt.Errorf("deny policies above the project: %w", h.err)
	}
	for _, r := range got {
		sum.read, sum.names = append(sum.read, r.read...), append(sum.names, r.names...)
		sum.unlisted, sum.unread = cmp.Or(r.unlisted, sum.unlisted), cmp.Or(r.unread, sum.unread)
	}
	return evidence.SomeOf(sum.read, sum.names, sum.unread, sum.unlisted, src)
}

// A denyRead is what could be read of the deny policies of one resource.
type denyRead struct {
	read     []*denypb.Policy
	names    []string // those whose rules could not be read
	unlisted error    // why there is no list, nil where there is one
	unread   error    // why rules could not be read
}

// readDeny reads the rules of each policy of a list.
func (c *collector) readDeny(ctx context.Context, l denyList) denyRead {
	if l.err != nil {
		return denyRead{unlisted: l.err}
	}
	policies, errs := make([]*denypb.Policy, len(l.names)), make([]error, len(l.names))
	var reads []func()
	for i, name := range l.names {
		reads = append(reads, func() {
			policies[i], errs[i] = call(ctx, c, getDeny, name, func(ctx context.Context, o gax.CallOption) (*denypb.Policy, error) {
				client, err := c.deny()
				if err != nil {
					return nil, err
				}
				return client.GetPolicy(ctx, &denypb.GetPolicyRequest{Name: name}, o)
			})
		})
	}
	all(reads...)
	var out denyRead
	for i, err := range errs {
		switch {
		case err == nil:
			out.read = append(out.read, policies[i])
		case !notFound(err): // one that was deleted meanwhile is none
			out.names, out.unread = append(out.names, l.names[i]), err
		}
	}
	return out
}
