package evidence

import (
	"cmp"
	"net/http"
	"net/url"
	"time"

	"cloud.google.com/go/eventarc/apiv1/eventarcpb"
	"cloud.google.com/go/functions/apiv2/functionspb"
	"cloud.google.com/go/iam/admin/apiv1/adminpb"
	"cloud.google.com/go/iam/apiv1/iampb"
	denypb "cloud.google.com/go/iam/apiv2/iampb"
	"cloud.google.com/go/iap/apiv1/iappb"
	"cloud.google.com/go/run/apiv2/runpb"

	"diagnose/internal/caller"
	"diagnose/internal/credential"
)

// A Snapshot is what was known about one function or service and one request
// at one moment. Each field is one document as Google names it; the zero
// Snapshot knows nothing.
type Snapshot struct {
	Now     time.Time // the moment judged at
	NowFrom string    // what says so: "--at", "request.json", "log.json", "response.http" or "now"; "" counts as "now"

	Request        Fact[Request]
	Token          Fact[credential.Credential] // as sent, or decoded
	Function       Fact[Function]
	Service        Fact[*runpb.Service]
	Policy         Fact[*iampb.Policy]
	FunctionPolicy Fact[*iampb.Policy]
	Ancestors      Fact[[]Ancestor]
	DenyPolicies   Fact[[]*denypb.Policy]
	IAPPolicy      Fact[*iampb.Policy] // of the service's IAP resource
	IAPSettings    Fact[*iappb.IapSettings]
	Accounts       Fact[[]AccountPolicy]
	Roles          Fact[[]*adminpb.Role]
	Groups         Fact[map[string][]string]
	Trigger        Fact[*eventarcpb.Trigger]
	Caller         Fact[caller.Caller]
	Project        Fact[Project]
	Keys           Fact[credential.KeySet]
	Tags           Fact[[]Tag]
	Response       Fact[Response]
	Logs           Fact[[]LogEntry]

	// Notes say what was given and is not used, and what a document was taken
	// for that does not say it itself: a sentence each.
	Notes []string

	// Domain is the domain of one's own that a domain mapping was found to lead
	// from to the target, "" where none was.
	Domain string
	// Guessed says which parts of the target nobody named and nothing that was
	// read confirms: a clause each, as that its project is that of gcloud's
	// configuration. A verdict rests on them.
	Guessed []string

	asked []string // the hosts asked about, to choose among the requests of a HAR
}

// A Function is a Cloud Functions resource of either generation. What the
// public v2 message has no field for stands beside it.
type Function struct {
	*functionspb.Function
	UpgradeState string // upgradeInfo.upgradeState, "" where absent
	// EventOnly is set for a gen1 function without an httpsTrigger: it has no
	// URL.
	EventOnly bool
}

// A Request is the HTTP request under judgement. Its zero value says nothing
// about the request; fields keep "not said" apart from "empty".
type Request struct {
	URL    *url.URL // nil: not said
	Method string   // "": not said
	// Headers is nil where the headers were not said, and empty where the
	// request is known to carry none.
	Headers http.Header
	// Sent are the credentials of headers whose value was blanked out, decoded,
	// by the header's name.
	Sent      map[string]credential.Credential
	Origin    Origin
	Principal string // member string asked about, or ""
	Client    string // what made the request, or ""
	Time      time.Time
	BodyFile  string // the file that was sent as the body, or ""
}

// HostHeader is the name in the Host header without its port, "" where none was
// recorded. The front end finds the service by it, whatever address the request
// was sent to.
func (r Request) HostHeader() string {
	h := cmp.Or(r.Headers.Get("Host"), r.Headers.Get(":authority"))
	return (&url.URL{Host: h}).Hostname()
}

// An Ancestor is a project, folder or organization above the service with its
// allow policy, which may be unknown.
type Ancestor struct {
	ID, Type string // "shop", "project"; the ID is "" where it is not known
	// Missing is set for a layer that the document provably leaves out: its
	// policy is unknown, and so are the layers between.
	Missing bool
	Policy  Fact[*iampb.Policy]
}

// An AccountPolicy is the allow policy of one service account: who may become
// it.
type AccountPolicy struct {
	Email  string
	Policy *iampb.Policy
}

// A Project names a project both ways. Either may be "" where unknown.
type Project struct {
	ID, Number string
}

// A Tag is one effective tag of the service.
type Tag struct {
	NamespacedKey, NamespacedValue string // "123/env", "123/env/prod"
	Key, Value                     string // "tagKeys/1", "tagValues/2"
}

// A Response is an answer observed, as `curl -i` prints it. Of a chain of
// answers (redirects, "100 Continue") it is the last. The zero Response says
// nothing; a Status of 0 is not known.
type Response struct {
	Status int
	Header http.Header
	Body   string    // the first 64 KiB
	URL    *url.URL  // what was called, where the text quotes it, or nil
	Date   time.Time // of the Date header, or zero
}

// A LogEntry holds the fields of a Cloud Logging LogEntry that speak of an
// invocation.
type LogEntry struct {
	LogName      string
	Severity     string
	Timestamp    time.Time
	ResourceType string
	Labels       map[string]string // resource.labels
	Text         string            // textPayload, or jsonPayload.message
	JSON         map[string]any    // jsonPayload
	Audit        map[string]any    // protoPayload of an audit log
	Method       string            // httpRequest.requestMethod
	URL          string            // httpRequest.requestUrl
	UserAgent    string
	Status       int           // httpRequest.status, or the one that Google's own text tells; 0 where absent
	Trace        string        // "projects/shop/traces/…", or ""
	InsertID     string        // names the entry, or ""
	Change       *PolicyChange // of an audit entry of SetIamPolicy, or nil

	source Source // where it was read, where that is not the list
}

// A PolicyChange is who changed an allow policy, and what. Its time is that of
// its entry.
//
// https://docs.cloud.google.com/logging/docs/audit/understanding-audit-logs
type PolicyChange struct {
	By        string // principalEmail, "" where it is hidden
	UserAgent string
	Resource  string // resourceName
	Deltas    []BindingDelta
}

// A BindingDelta is one member added to or removed from a role.
type BindingDelta struct {
	Action       string // "ADD" or "REMOVE"
	Role, Member string
}
