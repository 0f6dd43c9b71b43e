package caller

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"cloud.google.com/go/cloudtasks/apiv2/cloudtaskspb"
	"cloud.google.com/go/eventarc/apiv1/eventarcpb"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"cloud.google.com/go/scheduler/apiv1/schedulerpb"
	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"diagnose/internal/gcp"
)

// ErrUnrecognized reports a document that configures no caller.
var ErrUnrecognized = errors.New("is not recognized; expected a Cloud Scheduler job, a Cloud Tasks task or queue, a Pub/Sub subscription, an Eventarc trigger or pipeline, an OpenAPI document with x-google-backend, or a Workflows definition")

// Parse reads the configuration of a caller from JSON. A document with several
// calls, such as an OpenAPI document, gives several callers; there is at least
// one where the error is nil. Its errors quote no value.
func Parse(doc []byte) ([]Caller, error) {
	var m map[string]json.RawMessage
	if err := json.Unmarshal(doc, &m); err != nil || m == nil {
		return nil, ErrUnrecognized
	}
	has := func(k string) bool { _, ok := m[k]; return ok }
	name := strings.Trim(string(m["name"]), `"`)
	switch {
	case has("caller"):
		return one(parseKept(doc))
	case has("swagger"), has("openapi"):
		return openAPI(doc)
	case has("sourceContents"), has("main"), has("steps"):
		return workflow(m)
	case has("schedule"), has("httpTarget") && strings.Contains(name, "/jobs/"), has("appEngineHttpTarget"), has("pubsubTarget"):
		return one(schedulerJob(doc))
	case has("httpRequest"), has("appEngineHttpRequest"):
		return one(task(doc))
	case strings.Contains(name, "/queues/"), has("rateLimits"):
		return one(queue(doc))
	case has("pushConfig"), strings.Contains(name, "/subscriptions/"):
		return one(subscription(doc))
	case has("destinations"), strings.Contains(name, "/pipelines/"):
		return pipeline(doc)
	case has("destination"), has("eventFilters"), strings.Contains(name, "/triggers/"):
		return one(trigger(doc))
	case has("httpTarget"):
		return one(schedulerJob(doc))
	}
	return nil, ErrUnrecognized
}

func one(c Caller, err error) ([]Caller, error) {
	if err != nil {
		return nil, err
	}
	return []Caller{c}, nil
}

func decode(doc []byte, into proto.Message) error {
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(doc, into); err != nil {
		return fmt.Errorf("does not fit %s", into.ProtoReflect().Descriptor().FullName())
	}
	return nil
}

// oidc fills in an ID token, with the default audience where none is given.
func (c *Caller) oidc(email, audience, fallback, pointer string) {
	c.Token, c.ServiceAccount, c.Pointer = IDToken, email, pointer
	c.Audience = cmp.Or(audience, fallback)
}

func schedulerJob(doc []byte) (Caller, error) {
	j := &schedulerpb.Job{}
	if err := decode(doc, j); err != nil {
		return Caller{}, err
	}
	c := Caller{Kind: "cloud-scheduler", Name: j.GetName(), Project: gcp.Part(j.GetName(), "projects"), Token: NoToken, Pointer: "/httpTarget"}
	t := j.GetHttpTarget()
	switch {
	case t == nil:
		return Caller{}, errors.New("is a Cloud Scheduler job without httpTarget: it publishes to Pub/Sub or App Engine and calls no service")
	case t.GetOidcToken() != nil:
		// The default audience is the whole target URI, by
		// https://docs.cloud.google.com/scheduler/docs/reference/rest/v1/projects.locations.jobs#OidcToken
		c.oidc(t.GetOidcToken().GetServiceAccountEmail(), t.GetOidcToken().GetAudience(), t.GetUri(), "/httpTarget/oidcToken")
	case t.GetOauthToken() != nil:
		c.Token, c.ServiceAccount, c.Pointer = AccessToken, t.GetOauthToken().GetServiceAccountEmail(), "/httpTarget/oauthToken"
	}
	c.URL, c.Method = t.GetUri(), method(t.GetHttpMethod().String())
	if j.GetState() == schedulerpb.Job_PAUSED {
		c.Note = "the job is paused"
	}
	c.LastStatus = answered[code.Code(j.GetStatus().GetCode())]
	if t := j.GetLastAttemptTime(); t.IsValid() {
		c.LastAttempt = t.AsTime()
	}
	return c, nil
}

// answered is the status that a target answered, for the codes that one status
// alone is reported as.
//
// https://docs.cloud.google.com/scheduler/docs/reference/rest/v1/projects.locations.jobs
var answered = map[code.Code]int{
	code.Code_UNAUTHENTICATED: 401, code.Code_PERMISSION_DENIED: 403, code.Code_NOT_FOUND: 404, code.Code_RESOURCE_EXHAUSTED: 429,
}

func method(s string) string {
	if s == "HTTP_METHOD_UNSPECIFIED" {
		return "POST"
	}
	return s
}

func task(doc []byte) (Caller, error) {
	t := &cloudtaskspb.Task{}
	if err := decode(doc, t); err != nil {
		return Caller{}, err
	}
	r := t.GetHttpRequest()
	if r == nil {
		return Caller{}, errors.New("is a Cloud Tasks task without httpRequest: it calls App Engine and no service")
	}
	c := Caller{Kind: "cloud-tasks", Name: t.GetName(), Project: gcp.Part(t.GetName(), "projects"), URL: r.GetUrl(), Method: method(r.GetHttpMethod().String()), Token: NoToken, Pointer: "/httpRequest"}
	switch {
	case r.GetOidcToken() != nil:
		// https://docs.cloud.google.com/tasks/docs/reference/rest/v2/OidcToken
		c.oidc(r.GetOidcToken().GetServiceAccountEmail(), r.GetOidcToken().GetAudience(), r.GetUrl(), "/httpRequest/oidcToken")
	case r.GetOauthToken() != nil:
		c.Token, c.ServiceAccount, c.Pointer = AccessToken, r.GetOauthToken().GetServiceAccountEmail(), "/httpRequest/oauthToken"
	}
	return c, nil
}

func queue(doc []byte) (Caller, error) {
	// The override of a queue is in the v2 REST resource and not in every
	// version of the message.
	var q struct {
		Name       string
		HTTPTarget *struct {
			HTTPMethod  string
			URIOverride struct {
				Scheme, Host  string
				Port          json.RawMessage
				PathOverride  struct{ Path string }
				QueryOverride struct{ QueryParams string }
			}
			OidcToken  *struct{ ServiceAccountEmail, Audience string }
			OauthToken *struct{ ServiceAccountEmail string }
		}
	}
	if err := json.Unmarshal(doc, &q); err != nil {
		return Caller{}, errors.New("does not fit google.cloud.tasks.v2.Queue")
	}
	c := Caller{Kind: "cloud-tasks", Name: q.Name, Project: gcp.Part(q.Name, "projects"), Note: "what a task without override sends is set in the task"}
	t := q.HTTPTarget
	if t == nil {
		return c, nil
	}
	if host := t.URIOverride.Host; host != "" {
		c.URL = overrideScheme(t.URIOverride.Scheme) + host
		port, err := wholePort(t.URIOverride.Port)
		if err != nil {
			return Caller{}, err
		}
		c.URL += port + t.URIOverride.PathOverride.Path
		if query := t.URIOverride.QueryOverride.QueryParams; query != "" {
			c.URL += "?" + query
		}
	}
	switch {
	case t.OidcToken != nil:
		c.oidc(t.OidcToken.ServiceAccountEmail, t.OidcToken.Audience, c.URL, "/httpTarget/oidcToken")
		c.Note = ""
	case t.OauthToken != nil:
		c.Token, c.ServiceAccount, c.Pointer, c.Note = AccessToken, t.OauthToken.ServiceAccountEmail, "/httpTarget/oauthToken", ""
	}
	return c, nil
}

// wholePort is the end of a host that a port makes, "" without one. Tools
// print the number as a text or, from a spreadsheet of values, as a float.
func wholePort(raw json.RawMessage) (string, error) {
	text := strings.Trim(string(raw), `"`)
	if text == "" || text == "null" {
		return "", nil
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || n != math.Trunc(n) || n < 1 || n > 65535 {
		return "", errors.New("field httpTarget.uriOverride.port must be a port number")
	}
	return fmt.Sprintf(":%d", int(n)), nil
}

// overrideScheme is https unless a queue says HTTP.
//
// https://docs.cloud.google.com/tasks/docs/reference/rest/v2/projects.locations.queues#UriOverride
func overrideScheme(s string) string {
	if s == "HTTP" {
		return "http://"
	}
	return "https://"
}

func subscription(doc []byte) (Caller, error) {
	s := &pubsubpb.Subscription{}
	if err := decode(doc, s); err != nil {
		return Caller{}, err
	}
	p := s.GetPushConfig()
	if p.GetPushEndpoint() == "" {
		return Caller{}, errors.New("is a Pub/Sub subscription without pushEndpoint: it is pulled and calls no service")
	}
	c := Caller{Kind: "pubsub-push", Name: s.GetName(), Project: gcp.Part(s.GetName(), "projects"), URL: p.GetPushEndpoint(), Method: "POST", Token: NoToken, Pointer: "/pushConfig"}
	if t := p.GetOidcToken(); t != nil {
		// https://docs.cloud.google.com/pubsub/docs/reference/rest/v1/projects.subscriptions#OidcToken
		c.oidc(t.GetServiceAccountEmail(), t.GetAudience(), p.GetPushEndpoint(), "/pushConfig/oidcToken")
	}
	return c, nil
}

func trigger(doc []byte) (Caller, error) {
	t := &eventarcpb.Trigger{}
	if err := decode(doc, t); err != nil {
		return Caller{}, err
	}
	c := Caller{Kind: "eventarc", Name: t.GetName(), Project: gcp.Part(t.GetName(), "projects"), Method: "POST", Token: IDToken, ServiceAccount: t.GetServiceAccount(), Pointer: "/serviceAccount"}
	if c.ServiceAccount == "" {
		c.Note = "the trigger names no service account: the default compute one calls"
	}
	d := t.GetDestination()
	switch {
	case d.GetCloudRun() != nil:
		c.Service = d.GetCloudRun().GetService()
		if region := d.GetCloudRun().GetRegion(); c.Project != "" && region != "" && !strings.Contains(c.Service, "/") {
			c.Service = gcp.ServiceName(c.Project, region, c.Service).String()
		}
	case d.GetCloudFunction() != "":
		c.Service = d.GetCloudFunction()
	case d.GetHttpEndpoint() != nil:
		c.URL = d.GetHttpEndpoint().GetUri()
	default:
		return Caller{}, errors.New("is an Eventarc trigger whose destination is neither a Cloud Run service nor a function")
	}
	return c, nil
}

// pipeline reads a pipeline of Eventarc Advanced: each destination with a URL
// is a call.
func pipeline(doc []byte) ([]Caller, error) {
	p := &eventarcpb.Pipeline{}
	if err := decode(doc, p); err != nil {
		return nil, err
	}
	var out []Caller
	for i, d := range p.GetDestinations() {
		if d.GetHttpEndpoint() == nil {
			continue
		}
		at := fmt.Sprintf("/destinations/%d", i)
		c := Caller{Kind: "eventarc", Name: p.GetName(), Project: gcp.Part(p.GetName(), "projects"), Method: "POST",
			URL: d.GetHttpEndpoint().GetUri(), Token: NoToken, Pointer: at}
		at += "/authenticationConfig"
		switch a := d.GetAuthenticationConfig(); {
		case a.GetGoogleOidc() != nil:
			// https://docs.cloud.google.com/eventarc/docs/reference/rest/v1/projects.locations.pipelines
			c.oidc(a.GetGoogleOidc().GetServiceAccount(), a.GetGoogleOidc().GetAudience(), c.URL, at+"/googleOidc")
		case a.GetOauthToken() != nil:
			c.Token, c.ServiceAccount, c.Pointer = AccessToken, a.GetOauthToken().GetServiceAccount(), at+"/oauthToken"
		}
		out = append(out, c)
	}
	if len(out) == 0 {
		return nil, errors.New("is an Eventarc pipeline without httpEndpoint: it calls no service")
	}
	return out, nil
}
