package gather

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"

	"cloud.google.com/go/auth"
	"cloud.google.com/go/auth/credentials"
	"cloud.google.com/go/auth/credentials/impersonate"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"diagnose/internal/credential"
	"diagnose/internal/gcp"
)

// scope is what the collector asks a token for. All its calls read.
const scope = "https://www.googleapis.com/auth/cloud-platform"

// An Unreachable error says that nothing could be read, for one reason that
// concerns the reader and not the target, and the command that helps.
type Unreachable struct {
	Why    string
	Remedy []string // nil where no command helps
}

func (e *Unreachable) Error() string { return e.Why }

// A reader is who reads: the options of its clients, and the project that its
// credentials belong to, "" where they name none.
type reader struct {
	options []option.ClientOption
	project string
	// person is set for credentials of a person that name no quota project:
	// calls then count for a project of Google's own, where most APIs are off.
	person bool
	check  func(context.Context) error // gets a first token; nil for an emulator
	close  func() error                // nil where nothing was opened
}

// countFor lets calls count for a project, where the credentials name none.
func (r *reader) countFor(project string) {
	if r.person && project != "" {
		r.options = append(r.options, option.WithQuotaProject(project))
	}
}

// readerOf finds the credentials to read with: those of an emulator, a token
// given to gcloud, or Application Default Credentials, and the service account
// to become with them.
func readerOf(ctx context.Context, o Options) (*reader, error) {
	if o.Emulator != "" {
		return emulated(o.Emulator, o.Dial)
	}
	r := &reader{options: []option.ClientOption{option.WithUserAgent("diagnose"), option.WithScopes(scope)}}
	creds, err := r.detect(ctx, o)
	if err != nil {
		return nil, err
	}
	if o.QuotaProject != "" {
		r.options, r.person = append(r.options, option.WithQuotaProject(o.QuotaProject)), false
	}
	if o.Impersonate != "" {
		options := &impersonate.CredentialsOptions{TargetPrincipal: o.Impersonate, Scopes: []string{scope}, Credentials: creds}
		if creds, err = impersonate.NewCredentials(options); err != nil {
			return nil, &Unreachable{Why: "reading as " + o.Impersonate + " is not possible: " + clip(credential.Scrub(err.Error()))}
		}
		r.person = false
	}
	r.options = append(r.options, option.WithAuthCredentials(creds))
	r.check = func(ctx context.Context) error {
		_, err := creds.Token(ctx)
		return noToken(err, o)
	}
	return r, nil
}

func (r *reader) detect(ctx context.Context, o Options) (*auth.Credentials, error) {
	if o.Defaults.AccessToken != "" {
		return auth.NewCredentials(&auth.CredentialsOptions{TokenProvider: given(o.Defaults.AccessToken)}), nil
	}
	creds, err := credentials.DetectDefault(&credentials.DetectOptions{Scopes: []string{scope}})
	if err != nil {
		return nil, noCredentials(err)
	}
	quota, err := creds.QuotaProjectID(ctx)
	if err != nil {
		quota = ""
	}
	if r.project, err = creds.ProjectID(ctx); err != nil || r.project == "" {
		r.project = quota
	}
	var file struct{ Type string }
	r.person = quota == "" && json.Unmarshal(creds.JSON(), &file) == nil && file.Type == string(credentials.AuthorizedUser)
	return creds, nil
}

// given is a token that somebody else renews.
type given string

func (g given) Token(context.Context) (*auth.Token, error) {
	return &auth.Token{Value: string(g), Type: "Bearer"}, nil
}

const adcVariable = "GOOGLE_APPLICATION_CREDENTIALS"

// ErrNoCredentials is the error where Application Default Credentials are set
// up nowhere.
var ErrNoCredentials = errors.New("no credentials for Google Cloud were found")

// noCredentials says why the credentials cannot be used before any is asked
// for a token.
func noCredentials(err error) error {
	if file := os.Getenv(adcVariable); file != "" {
		why := "cannot be used: " + clip(credential.Scrub(err.Error()))
		if _, gone := os.Stat(file); gone != nil {
			why = "does not exist or cannot be opened"
		}
		return &Unreachable{Why: fmt.Sprintf("%s names %s, which %s: unset the variable, or let it name a file of credentials", adcVariable, file, why)}
	}
	return &noADC{&Unreachable{ErrNoCredentials.Error(), gcp.Login()}}
}

// noADC is an Unreachable that is ErrNoCredentials too.
type noADC struct{ *Unreachable }

func (e *noADC) Unwrap() []error { return []error{ErrNoCredentials, e.Unreachable} }

// noToken says why the credentials gave no token: who refused it, or what is
// in the way.
func noToken(err error, o Options) error {
	if err == nil {
		return nil
	}
	var refused *auth.Error
	switch {
	case errors.As(err, &refused) && refused.Response != nil && o.Impersonate != "" && refused.Response.StatusCode == http.StatusForbidden:
		return &Unreachable{"reading as " + o.Impersonate + " is refused: whoever runs diagnose needs iam.serviceAccounts.getAccessToken on that account",
			gcp.ServiceAccountName(o.Impersonate).AddBinding("", "roles/iam.serviceAccountTokenCreator")}
	case errors.As(err, &refused) && refused.Response != nil && o.Impersonate != "" && refused.Response.StatusCode == http.StatusNotFound:
		return &Unreachable{Why: "there is no service account " + o.Impersonate + " to read as"}
	case errors.As(err, &refused):
		return &Unreachable{"the credentials of this tool expired or were revoked: " + clip(credential.Scrub(err.Error())), gcp.Login()}
	}
	var wire net.Error
	why := "no token could be had: " + clip(credential.Scrub(err.Error()))
	if errors.As(err, &wire) || errors.Is(err, context.DeadlineExceeded) {
		why = "Google's token endpoint cannot be reached: " + clip(credential.Scrub(err.Error()))
	}
	return &Unreachable{Why: why + throughProxy()}
}

// throughProxy names the variable that sends calls to a proxy, without its
// value, in which a password may stand.
func throughProxy() string {
	for _, v := range []string{"HTTPS_PROXY", "https_proxy"} {
		if os.Getenv(v) != "" {
			return "; calls go through the proxy that " + v + " names"
		}
	}
	return ""
}

// emulated reaches every API at one address in plaintext and without
// credentials, as Google's emulators are reached.
func emulated(address string, dial func(context.Context, string) (net.Conn, error)) (*reader, error) {
	if _, _, err := net.SplitHostPort(address); err != nil {
		return nil, fmt.Errorf("DIAGNOSE_EMULATOR_HOST must be host:port, not %q", address)
	}
	dialOptions := []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}
	if dial != nil {
		dialOptions = append(dialOptions, grpc.WithContextDialer(dial))
	}
	conn, err := grpc.NewClient(address, dialOptions...)
	if err != nil {
		return nil, fmt.Errorf("reaching the emulator at %s: %w", address, err)
	}
	return &reader{options: []option.ClientOption{option.WithGRPCConn(conn), option.WithoutAuthentication()}, close: conn.Close}, nil
}

// unreachable reports whether nothing could be read for a reason that concerns
// the reader: the first document's, where every document has one like it.
func unreachable(what string, reasons []error) error {
	var first *Unreadable
	for _, r := range reasons {
		var u *Unreadable
		if !errors.As(r, &u) || notFound(r) {
			return nil
		}
		if first == nil || first.Reason == "" && u.Reason != "" {
			first = u
		}
	}
	if first == nil {
		return nil
	}
	why := first.Why()
	if first.Detail != "" {
		why += " (" + first.Detail + ")"
	}
	if strings.HasPrefix(why, "no answer") || strings.HasPrefix(why, "the API did not answer") {
		why += throughProxy()
	}
	return &Unreachable{"nothing about " + what + " could be read: " + why, first.Remedy}
}
