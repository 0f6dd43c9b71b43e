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

	"diagnose/internal/credential"
	"diagnose/internal/gcp"
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
	return []Method{getFunction, getService, getServicePolicy, getFunctionPolicy, effectivePolicies, analyzePolicy, searchResources, listDeny, getDeny, getTrigger, getIAPPolicy, getIAPSettings}
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

// Every call here reads, so that it may be repeated. The clients retry some
// reads and not others; this is the policy they use where they do.
var retry = gax.WithRetry(func() gax.Retryer {
	return gax.OnCodes([]codes.Code{codes.Unavailable}, gax.Backoff{Initial: 100 * time.Millisecond, Max: 2 * time.Second, Multiplier: 1.3})
})

// call runs one API call within its deadline and turns a failure into an
// Unreadable.
func call[T any](ctx context.Context, c *collector, m Method, on string, f func(context.Context, gax.CallOption) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, c.CallTimeout)
	defer cancel()
	start := time.Now()
	v, err := f(ctx, retry)
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

// An Unreadable says why a document could not be read, and what would make it
// readable. It is the reason of an unknown fact and quotes no secret.
type Unreadable struct {
	Method Method
	On     string // resource name
	Code   codes.Code
	Detail string // what the API said, where that tells more than the code
	// Remedy is the command that would help, nil where there is none.
	Remedy []string
}

// Error names what could not be read, why, and what it needs.
func (e *Unreadable) Error() string {
	s := "calling " + e.Method.Name + " on " + e.On + ": " + e.why()
	if e.Detail != "" {
		s += " (" + e.Detail + ")"
	}
	return s
}

func (e *Unreadable) why() string {
	switch e.Code {
	case codes.PermissionDenied:
		if len(e.Remedy) > 1 && e.Remedy[1] == "services" {
			return "the API " + e.Method.API + " is not enabled: " + strings.Join(e.Remedy, " ")
		}
		return "permission denied: it needs " + e.Method.Permission + ", as in " + e.Method.Role
	case codes.Unauthenticated:
		return "the credentials of this tool were refused: " + strings.Join(e.Remedy, " ")
	case codes.DeadlineExceeded:
		return "no answer in time; --timeout sets the limit"
	case codes.ResourceExhausted:
		return "the quota is used up"
	case codes.Unavailable:
		return "the API did not answer"
	case codes.NotFound:
		return "not found"
	}
	return e.Code.String()
}

func unreadable(m Method, on string, code codes.Code, err error) *Unreadable {
	e := &Unreadable{Method: m, On: on, Code: code}
	var ae *apierror.APIError
	reason, meta := "", map[string]string{}
	if errors.As(err, &ae) {
		reason, meta = ae.Reason(), ae.Metadata()
		e.Detail = detail(ae.GRPCStatus())
	} else if st, ok := status.FromError(err); ok {
		e.Detail = detail(st)
	} else if code == codes.Unknown {
		e.Detail = clip(credential.Scrub(err.Error()))
	}
	switch {
	case reason == "SERVICE_DISABLED":
		e.Remedy = gcp.EnableAPI(m.API, gcp.Part(meta["consumer"], "projects"))
	case reason == "USER_PROJECT_DENIED" || reason == "CONSUMER_INVALID":
		e.Remedy = gcp.SetQuotaProject("")
	case code == codes.PermissionDenied:
		e.Remedy = grant(m, on)
	case code == codes.Unauthenticated:
		e.Remedy = gcp.Login()
	}
	return e
}

// grant is the command with which an administrator lets the reader read.
func grant(m Method, on string) []string {
	role, _, _ := strings.Cut(m.Role, " and ")
	on = strings.ReplaceAll(on, "%2F", "/")
	for _, collection := range []string{"projects", "folders", "organizations"} {
		if id := gcp.Part(on, collection); id != "" {
			return gcp.NodeName(collection, id).AddBinding("", role)
		}
	}
	return gcp.ProjectName("").AddBinding("", role)
}

// detail keeps of a status message what tells more than its code.
func detail(st *status.Status) string {
	if st == nil || st.Code() == codes.DeadlineExceeded || st.Code() == codes.Canceled {
		return ""
	}
	return clip(credential.Scrub(st.Message()))
}

func clip(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > 200 {
		return string(r[:200]) + "…"
	}
	return s
}
