package gather

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/googleapis/gax-go/v2/apierror"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"diagnose/internal/credential"
	"diagnose/internal/gcp"
)

// An Unreadable says why a document could not be read, and what would make it
// readable. It is the reason of an unknown fact and quotes no secret.
type Unreadable struct {
	Method Method
	On     string // resource name
	Code   codes.Code
	Reason string // of the API's ErrorInfo, "" where it sent none
	Detail string // what the API said, where that tells more than the reason
	// Remedy is the command that would help, nil where there is none.
	Remedy []string

	meta map[string]string // of the API's ErrorInfo
}

// Error names what could not be read, why, and the command that helps.
func (e *Unreadable) Error() string {
	s := "calling " + e.Method.Name + " on " + e.On + ": " + e.Why()
	if e.Detail != "" {
		s += " (" + e.Detail + ")"
	}
	if len(e.Remedy) > 0 {
		s += "; run " + gcp.Spell(e.Remedy)
	}
	return s
}

// Why says in a clause what kept the API from answering.
func (e *Unreadable) Why() string {
	if r, ok := refusals[e.Reason]; ok {
		return r.says(e)
	}
	switch e.Code {
	case codes.PermissionDenied:
		return "permission denied: it needs " + e.Method.Permission + ", as in " + e.Method.Role
	case codes.Unauthenticated:
		return "Google refused the credentials that diagnose uses"
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

// consumer is the project that the call counts for, without "projects/".
func (e *Unreadable) consumer() string { return gcp.Part(e.meta["consumer"], "projects") }

// target is the project that was asked about, "" where it was none.
func (e *Unreadable) target() string {
	return gcp.Part(strings.ReplaceAll(e.On, "%2F", "/"), "projects")
}

// A refusal is what one reason of an ErrorInfo means: a clause, and the
// command that mends it.
type refusal struct {
	says func(*Unreadable) string
	mend func(*Unreadable) []string
}

func always(s string) func(*Unreadable) string { return func(*Unreadable) string { return s } }

func login(*Unreadable) []string { return gcp.Login() }

// refusals are the reasons of the domain googleapis.com, by
// https://github.com/googleapis/googleapis/blob/master/google/api/error_reason.proto,
// and that of iam.googleapis.com.
var refusals = map[string]refusal{
	"SERVICE_DISABLED": {disabled, func(e *Unreadable) []string {
		if e.foreign() {
			return gcp.SetQuotaProject(e.target())
		}
		return gcp.EnableAPI(e.Method.API, e.consumer())
	}},
	"SERVICE_NOT_VISIBLE": {
		func(e *Unreadable) string {
			return "the API " + e.Method.API + " is not offered to project " + e.consumer()
		}, nil},
	"USER_PROJECT_DENIED": {
		func(e *Unreadable) string {
			return "you may not use the quota of project " + e.consumer() + ": that needs serviceusage.services.use there, or another --quota-project"
		},
		func(e *Unreadable) []string {
			return gcp.ProjectName(e.consumer()).AddBinding("", "roles/serviceusage.serviceUsageConsumer")
		}},
	"CONSUMER_INVALID": {
		func(e *Unreadable) string {
			return "there is no project " + cmp.Or(e.consumer(), e.target()) + ", or it is deleted"
		},
		func(*Unreadable) []string { return gcp.ListProjects() }},
	"RESOURCE_PROJECT_INVALID": {
		func(e *Unreadable) string { return "there is no project " + e.target() },
		func(*Unreadable) []string { return gcp.ListProjects() }},
	"CONSUMER_SUSPENDED": {func(e *Unreadable) string { return "project " + e.consumer() + " is suspended" }, nil},
	"GCP_SUSPENDED":      {always("Google suspended this Google Cloud customer"), nil},
	"BILLING_DISABLED": {
		func(e *Unreadable) string { return "project " + e.consumer() + " has no active billing account" },
		func(e *Unreadable) []string { return gcp.LinkBilling(e.consumer()) }},
	"LOCATION_POLICY_VIOLATED": {
		func(e *Unreadable) string {
			return "there is no region " + cmp.Or(gcp.Last(e.meta["location"]), gcp.Part(e.On, "locations")) + ", or the project may not use it"
		},
		func(*Unreadable) []string { return gcp.ListRegions() }},
	"SECURITY_POLICY_VIOLATED": {
		func(e *Unreadable) string {
			return "a VPC Service Controls perimeter keeps this tool out: read from inside the perimeter, or ask its administrator"
		},
		func(e *Unreadable) []string {
			return gcp.ReadLogs(e.consumer(), `protoPayload.metadata.vpcServiceControlsUniqueId="`+cmp.Or(e.meta["uid"], "ID")+`"`)
		}},
	"RESOURCE_USAGE_RESTRICTION_VIOLATED": {
		func(e *Unreadable) string { return "an organization policy forbids the API " + e.Method.API }, nil},
	"ORG_RESTRICTION_VIOLATION": {always("the network allows only the resources of certain organizations"), nil},
	"USER_BLOCKED_BY_ADMIN":     {always("the Google Workspace administrator blocks Google Cloud for this account"), nil},
	"ACCESS_TOKEN_SCOPE_INSUFFICIENT": {
		always("the access token of this tool does not have the scope cloud-platform"),
		func(*Unreadable) []string { return gcp.LoginWithScope(scope) }},
	"ACCESS_TOKEN_EXPIRED":          {always("the access token of this tool expired"), login},
	"ACCESS_TOKEN_TYPE_UNSUPPORTED": {always("the API does not take access tokens of this type"), login},
	"CREDENTIALS_MISSING":           {always("the call had no credentials"), login},
	"SESSION_COOKIE_INVALID":        {always("the call had no valid credentials"), login},
	"ACCOUNT_STATE_INVALID": {
		func(e *Unreadable) string {
			return "the account " + cmp.Or(e.meta["email"], "of this tool") + " is disabled or deleted"
		}, login},
	"IAM_PERMISSION_DENIED": {
		func(e *Unreadable) string {
			s := "permission denied: it needs " + cmp.Or(e.meta["permission"], e.Method.Permission)
			if on := e.meta["resource"]; on != "" && gcp.Last(on) != gcp.Last(e.On) {
				s += " on " + on
			}
			if e.usual() {
				s += ", as in " + e.Method.Role
			}
			return s
		}, grant},
	"RATE_LIMIT_EXCEEDED": {func(e *Unreadable) string { return "too many calls" + e.limit() + ": wait a minute" }, nil},
	"RESOURCE_QUOTA_EXCEEDED": {
		func(e *Unreadable) string { return "the quota is used up" + e.limit() }, nil},
}

func disabled(e *Unreadable) string {
	if e.foreign() {
		return "your credentials have no quota project, and the API " + e.Method.API + " needs one"
	}
	s := "the API " + e.Method.API + " is not enabled"
	if p := e.consumer(); p != "" {
		s += " in project " + p
	}
	return s
}

// foreign reports whether the call counted for a project of Google's own: that
// of the OAuth client through which a person signed in.
func (e *Unreadable) foreign() bool {
	id := e.consumer() + "-"
	return id != "-" && (strings.HasPrefix(gcp.ADCClient, id) || strings.HasPrefix(gcp.GcloudClient, strings.TrimSuffix(id, "-")+"."))
}

// usual reports whether the permission denied is the one that the method is
// known to need, so that its role helps.
func (e *Unreadable) usual() bool {
	p := e.meta["permission"]
	return p == "" || slices.Contains(strings.FieldsFunc(e.Method.Permission, func(r rune) bool { return r == ' ' || r == ',' }), p)
}

func (e *Unreadable) limit() string {
	metric, project := e.meta["quota_metric"], e.consumer()
	switch {
	case metric == "":
		return ""
	case project == "":
		return " (" + metric + ")"
	}
	return " (" + metric + " of project " + project + ")"
}

func unreadable(m Method, on string, code codes.Code, err error) *Unreadable {
	e := &Unreadable{Method: m, On: on, Code: code, meta: map[string]string{}}
	var ae *apierror.APIError
	switch st, ok := status.FromError(err); {
	case errors.As(err, &ae):
		e.Detail = detail(ae.GRPCStatus())
		e.inform(ae.GRPCStatus())
	case ok:
		e.Detail = detail(st)
		e.inform(st)
	case code == codes.Unknown:
		e.Detail = clip(credential.Scrub(err.Error()))
	}
	r, known := refusals[e.Reason]
	switch {
	case known:
		e.Detail = "" // Google's words for what the reason says
		if r.mend != nil {
			e.Remedy = r.mend(e)
		}
	case code == codes.PermissionDenied:
		e.Remedy = grant(e)
	case code == codes.Unauthenticated:
		e.Remedy = gcp.Login()
	}
	return e
}

// inform takes the reason from the status, where the API gave one. The domain
// of a reason is the front end of all APIs, or IAM.
func (e *Unreadable) inform(st *status.Status) {
	if st == nil {
		return
	}
	for _, d := range st.Details() {
		if i, ok := d.(*errdetails.ErrorInfo); ok && (i.GetDomain() == "googleapis.com" || i.GetDomain() == gcp.IAMAPI) {
			e.Reason, e.meta = i.GetReason(), i.GetMetadata()
			return
		}
	}
}

// grant is the command with which an administrator lets the reader read.
func grant(e *Unreadable) []string {
	role, _, _ := strings.Cut(e.Method.Role, " and ")
	if !e.usual() {
		role = ""
	}
	on := strings.ReplaceAll(e.On, "%2F", "/")
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

// Reasons lists the reasons of refusals that have an explanation of their own.
func Reasons() []string { return slices.Sorted(maps.Keys(refusals)) }
