package gather

import (
	"context"
	"sync"

	asset "cloud.google.com/go/asset/apiv1"
	eventarc "cloud.google.com/go/eventarc/apiv1"
	functions "cloud.google.com/go/functions/apiv2"
	deny "cloud.google.com/go/iam/apiv2"
	iap "cloud.google.com/go/iap/apiv1"
	run "cloud.google.com/go/run/apiv2"
	"google.golang.org/api/option"
)

// clients makes each API's client when it is first asked for. All of them
// share one set of options.
type clients struct {
	asset     func() (*asset.Client, error)
	deny      func() (*deny.PoliciesClient, error)
	functions func() (*functions.FunctionClient, error)
	proxy     func() (*iap.IdentityAwareProxyAdminClient, error)
	run       func() (*run.ServicesClient, error)
	triggers  func() (*eventarc.Client, error)

	mu     sync.Mutex
	closed []func() error
}

func newClients(ctx context.Context, options []option.ClientOption) *clients {
	c := &clients{}
	c.asset = lazily(c, ctx, asset.NewClient, options)
	c.deny = lazily(c, ctx, deny.NewPoliciesClient, options)
	c.functions = lazily(c, ctx, functions.NewFunctionClient, options)
	c.proxy = lazily(c, ctx, iap.NewIdentityAwareProxyAdminClient, options)
	c.run = lazily(c, ctx, run.NewServicesClient, options)
	c.triggers = lazily(c, ctx, eventarc.NewClient, options)
	return c
}

func lazily[C interface{ Close() error }](c *clients, ctx context.Context, make func(context.Context, ...option.ClientOption) (C, error), options []option.ClientOption) func() (C, error) {
	return sync.OnceValues(func() (C, error) {
		client, err := make(ctx, options...)
		if err == nil {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.closed = append(c.closed, client.Close)
		}
		return client, err
	})
}

func (c *clients) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range c.closed {
		f() // a connection that does not close cleanly is of no interest
	}
}
