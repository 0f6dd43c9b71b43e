package gather

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/googleapis/gax-go/v2"
	"github.com/googleapis/gax-go/v2/apierror"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// A Method is one API method that the collector calls: the permission that it
// needs, the smallest predefined role with it, on what, and what is lost
// without it.
type Method struct {
	Name       string // "run.services.getIamPolicy"
	API        string // "run.googleapis.com"
	Permission string
	Role       string
	On         string // where the role is granted
	Without    string // what cannot be answered without it
}

// Methods lists every method that the collector calls.
func Methods() []Method {
	return []Method{getFunction, getService, getServicePolicy, getFunctionPolicy, effectivePolicies, analyzePolicy, searchResources, listDeny, getDeny, getTrigger, getIAPPolicy, getIAPSettings, listServices, listFunctions}
}

const assetPermissions = "cloudasset.assets.analyzeIamPolicy, cloudasset.assets.searchAllIamPolicies and cloudasset.assets.searchAllResources"

var (
	getFunction = Method{"cloudfunctions.functions.get", "cloudfunctions.googleapis.com", "cloudfunctions.functions.get", "roles/cloudfunctions.viewer", "project",
		"generation, URL, trigger and state of a function; a Cloud Run service needs none of it"}
	getService = Method{"run.services.get", "run.googleapis.com", "run.services.get", "roles/run.viewer", "project",
		"URLs, ingress, custom audiences, IAP, the invoker check and readiness"}
	getServicePolicy = Method{"run.services.getIamPolicy", "run.googleapis.com", "run.services.getIamPolicy", "roles/run.viewer", "project",
		"who may invoke; no access can be proven missing"}
	getFunctionPolicy = Method{"cloudfunctions.functions.getIamPolicy", "cloudfunctions.googleapis.com", "cloudfunctions.functions.getIamPolicy", "roles/cloudfunctions.viewer", "project",
		"who may invoke a gen1 function, and bindings made on the wrong resource"}
	effectivePolicies = Method{"cloudasset.effectiveIamPolicies.batchGet", "cloudasset.googleapis.com", assetPermissions, "roles/cloudasset.viewer", "organization, or folder or project",
		"grants inherited from the project, folders and organization: they are assumed absent"}
	analyzePolicy = Method{"cloudasset.analyzeIamPolicy", "cloudasset.googleapis.com", "cloudasset.assets.analyzeIamPolicy and iam.roles.get", "roles/cloudasset.viewer and roles/iam.roleViewer", "organization, or folder or project",
		"members of groups and permissions of custom roles: such a binding stays unknown"}
	searchResources = Method{"cloudasset.searchAllResources", "cloudasset.googleapis.com", "cloudasset.assets.searchAllResources", "roles/cloudasset.viewer", "project",
		"a service by its URL or without its region, the folders and organization above it, its tags and the project's number"}
	listServices = Method{"run.services.list", "run.googleapis.com", "run.services.list", "roles/run.viewer", "project",
		"a service without its region, where the asset inventory cannot be searched or does not have it yet"}
	listFunctions = Method{"cloudfunctions.functions.list", "cloudfunctions.googleapis.com", "cloudfunctions.functions.list", "roles/cloudfunctions.viewer", "project",
		"a function without its region, where the asset inventory cannot be searched or does not have it yet"}
	listDeny = Method{"iam.denypolicies.list", "iam.googleapis.com", "iam.denypolicies.list", "roles/iam.denyReviewer", "organization",
		"deny policies: they are assumed absent"}
	getDeny = Method{"iam.denypolicies.get", "iam.googleapis.com", "iam.denypolicies.get", "roles/iam.denyReviewer", "organization",
		"the rules of deny policies"}
	getTrigger = Method{"eventarc.triggers.get", "eventarc.googleapis.com", "eventarc.triggers.get", "roles/eventarc.viewer", "project",
		"the trigger of an event-driven function beyond what the function says"}
	// Both roles only read, by https://docs.cloud.google.com/iam/docs/roles-permissions/iap.
	getIAPPolicy = Method{"iap.getIamPolicy", "iap.googleapis.com", "iap.webServices.getIamPolicy", "roles/iam.securityReviewer", "project",
		"who may pass IAP; asked only where the service has IAP on"}
	getIAPSettings = Method{"iap.getIapSettings", "iap.googleapis.com", "iap.webServices.getSettings", "roles/iap.viewer", "project",
		"which tokens IAP takes of a program; asked only where the service has IAP on"}
)

// A Call is one finished API call, as a log shows it. It holds no request and
// no answer.
type Call struct {
	Method   string
	On       string // resource name
	Duration time.Duration
	Code     codes.Code
}

// LogValue logs the call in one line.
func (c Call) LogValue() slog.Value {
	return slog.GroupValue(slog.String("method", c.Method), slog.String("on", c.On), slog.Duration("took", c.Duration.Round(time.Millisecond)), slog.String("code", c.Code.String()))
}

// String is the line that -v shows.
func (c Call) String() string {
	return fmt.Sprintf("%s %s: %s in %s", c.Method, c.On, c.Code, c.Duration.Round(time.Millisecond))
}

// A retryer repeats a call that may be repeated, as every call here may: all of
// them read. It keeps the last refusal, which a deadline would hide.
type retryer struct {
	unavailable, exhausted gax.Backoff
	tries                  int // left for a used-up quota
	last                   error
}

func newRetryer() *retryer {
	return &retryer{
		unavailable: gax.Backoff{Initial: 100 * time.Millisecond, Max: 2 * time.Second, Multiplier: 1.3},
		exhausted:   gax.Backoff{Initial: 500 * time.Millisecond, Max: 8 * time.Second, Multiplier: 2},
		tries:       4,
	}
}

// Retry implements gax.Retryer. A quota of a day is not waited for.
func (r *retryer) Retry(err error) (time.Duration, bool) {
	switch codeOf(err) {
	case codes.Unavailable:
		r.last = err
		return r.unavailable.Pause(), true
	case codes.ResourceExhausted:
		if r.tries--; r.tries < 0 || daily(err) {
			return 0, false
		}
		r.last = err
		var ae *apierror.APIError
		if errors.As(err, &ae) && ae.Details().RetryInfo != nil {
			return ae.Details().RetryInfo.GetRetryDelay().AsDuration(), true
		}
		return r.exhausted.Pause(), true
	}
	return 0, false
}

func daily(err error) bool {
	var ae *apierror.APIError
	return errors.As(err, &ae) && strings.Contains(ae.Metadata()["quota_limit"], "PerDay")
}

// call runs one API call within its deadline and turns a failure into an
// Unreadable.
func call[T any](
	ctx context.Context, c *collector, m Method, on string, f func(context.Context, gax.CallOption) (T, error),
) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, c.CallTimeout)
	defer cancel()
	start, r := time.Now(), newRetryer()
	v, err := f(ctx, gax.WithRetry(func() gax.Retryer { return r }))
	if codeOf(err) == codes.DeadlineExceeded && r.last != nil {
		err = r.last
	}
	code := codeOf(err)
	if c.Log != nil {
		c.Log(Call{Method: m.Name, On: on, Duration: time.Since(start), Code: code})
	}
	if err == nil {
		return v, nil
	}
	var zero T
	return zero, unreadable(m, on, code, err)
}

func codeOf(err error) codes.Code {
	switch {
	case err == nil:
		return codes.OK
	case errors.Is(err, context.DeadlineExceeded):
		return codes.DeadlineExceeded
	case errors.Is(err, context.Canceled):
		return codes.Canceled
	}
	var ae *apierror.APIError
	if errors.As(err, &ae) && ae.GRPCStatus() != nil {
		return ae.GRPCStatus().Code()
	}
	return status.Code(err)
}
