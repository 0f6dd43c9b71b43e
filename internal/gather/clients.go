package gather

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"

	asset "cloud.google.com/go/asset/apiv1"
	"cloud.google.com/go/auth/credentials"
	eventarc "cloud.google.com/go/eventarc/apiv1"
	functions "cloud.google.com/go/functions/apiv2"
	deny "cloud.google.com/go/iam/apiv2"
	iap "cloud.google.com/go/iap/apiv1"
	run "cloud.google.com/go/run/apiv2"
	"google.golang.org/api/impersonate"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"diagnose/internal/credential"
)

// scope is what the collector asks a token for. All its calls read.
const scope = "https://www.googleapis.com/auth/cloud-platform"

// ErrNoCredentials is the error where Application Default Credentials are set
// up nowhere.
var ErrNoCredentials = errors.New("no credentials for Google Cloud were found: run gcloud auth application-default login")

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

// clientOptions turns the collector's options into those of the clients, and
// returns the project that the credentials belong to, "" where they name none.
func clientOptions(ctx context.Context, o Options) ([]option.ClientOption, string, error) {
	if o.Emulator != "" {
		return emulated(o.Emulator, o.Dial)
	}
	out := []option.ClientOption{option.WithUserAgent("diagnose"), option.WithScopes(scope)}
	if o.QuotaProject != "" {
		out = append(out, option.WithQuotaProject(o.QuotaProject))
	}
	if o.Impersonate != "" {
		// The token source outlives the deadline of one call.
		ts, err := impersonate.CredentialsTokenSource(context.WithoutCancel(ctx), impersonate.CredentialsConfig{TargetPrincipal: o.Impersonate, Scopes: []string{scope}})
		if err != nil {
			return nil, "", fmt.Errorf("impersonating %s: %s", o.Impersonate, credential.Scrub(err.Error()))
		}
		return append(out, option.WithTokenSource(ts)), "", nil
	}
	creds, err := credentials.DetectDefault(&credentials.DetectOptions{Scopes: []string{scope}})
	if err != nil {
		return nil, "", fmt.Errorf("%w (%s)", ErrNoCredentials, credential.Scrub(err.Error()))
	}
	project, err := creds.ProjectID(ctx)
	if err != nil {
		project = ""
	}
	return append(out, option.WithAuthCredentials(creds)), project, nil
}

// emulated reaches every API at one address in plaintext and without
// credentials, as Google's emulators are reached.
func emulated(address string, dial func(context.Context, string) (net.Conn, error)) ([]option.ClientOption, string, error) {
	if _, _, err := net.SplitHostPort(address); err != nil {
		return nil, "", fmt.Errorf("DIAGNOSE_EMULATOR_HOST must be host:port, got %q", address)
	}
	dialOptions := []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}
	if dial != nil {
		dialOptions = append(dialOptions, grpc.WithContextDialer(dial))
	}
	conn, err := grpc.NewClient(address, dialOptions...)
	if err != nil {
		return nil, "", fmt.Errorf("reaching the emulator at %s: %w", address, err)
	}
	return []option.ClientOption{option.WithGRPCConn(conn), option.WithoutAuthentication()}, "", nil
}
