package caller

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"sort"
	"strings"

	"cloud.google.com/go/cloudtasks/apiv2/cloudtaskspb"
	"cloud.google.com/go/eventarc/apiv1/eventarcpb"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"cloud.google.com/go/scheduler/apiv1/schedulerpb"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"sigs.k8s.io/yaml"
)

// ErrUnrecognized reports a document that configures no caller.
var ErrUnrecognized = errors.New("is not recognized; expected a Cloud Scheduler job, a Cloud Tasks task or queue, a Pub/Sub subscription, an Eventarc trigger, an OpenAPI document with x-google-backend, or a Workflows definition")

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

func projectOf(name string) string {
	parts := strings.Split(name, "/")
	if len(parts) > 1 && parts[0] == "projects" {
		return parts[1]
	}
	return ""
}

// oidc fills in an ID token, with the default audience where none is given.
func (c *Caller) oidc(email, audience, fallback, pointer string) {
	c.Token, c.ServiceAccount, c.Pointer = IDToken, email, pointer
	c.Audience, c.AudienceGiven = audience, audience != ""
	if audience == "" {
		c.Audience = fallback
	}
}

func schedulerJob(doc []byte) (Caller, error) {
	j := &schedulerpb.Job{}
	if err := decode(doc, j); err != nil {
		return Caller{}, err
	}
	c := Caller{Kind: "cloud-scheduler", Name: j.GetName(), Project: projectOf(j.GetName()), Token: NoToken, Pointer: "/httpTarget"}
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
	return c, nil
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
	c := Caller{Kind: "cloud-tasks", Name: t.GetName(), Project: projectOf(t.GetName()), URL: r.GetUrl(), Method: method(r.GetHttpMethod().String()), Token: NoToken, Pointer: "/httpRequest"}
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
				Scheme, Host string
				PathOverride struct{ Path string }
			}
			OidcToken  *struct{ ServiceAccountEmail, Audience string }
			OauthToken *struct{ ServiceAccountEmail string }
		}
	}
	if err := json.Unmarshal(doc, &q); err != nil {
		return Caller{}, errors.New("does not fit google.cloud.tasks.v2.Queue")
	}
	c := Caller{Kind: "cloud-tasks", Name: q.Name, Project: projectOf(q.Name), Note: "what a task without override sends is set in the task"}
	t := q.HTTPTarget
	if t == nil {
		return c, nil
	}
	if host := t.URIOverride.Host; host != "" {
		c.URL = "https://" + host + t.URIOverride.PathOverride.Path
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

func subscription(doc []byte) (Caller, error) {
	s := &pubsubpb.Subscription{}
	if err := decode(doc, s); err != nil {
		return Caller{}, err
	}
	p := s.GetPushConfig()
	if p.GetPushEndpoint() == "" {
		return Caller{}, errors.New("is a Pub/Sub subscription without pushEndpoint: it is pulled and calls no service")
	}
	c := Caller{Kind: "pubsub-push", Name: s.GetName(), Project: projectOf(s.GetName()), URL: p.GetPushEndpoint(), Method: "POST", Token: NoToken, Pointer: "/pushConfig"}
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
	c := Caller{Kind: "eventarc", Name: t.GetName(), Project: projectOf(t.GetName()), Method: "POST", Token: IDToken, ServiceAccount: t.GetServiceAccount(), Pointer: "/serviceAccount"}
	if c.ServiceAccount == "" {
		c.Note = "the trigger names no service account: the default compute one calls"
	}
	d := t.GetDestination()
	switch {
	case d.GetCloudRun() != nil:
		c.Service = d.GetCloudRun().GetService()
	case d.GetCloudFunction() != "":
		c.Service = d.GetCloudFunction()
	case d.GetHttpEndpoint() != nil:
		c.URL = d.GetHttpEndpoint().GetUri()
	default:
		return Caller{}, errors.New("is an Eventarc trigger whose destination is neither a Cloud Run service nor a function")
	}
	return c, nil
}

// backend is the x-google-backend extension of API Gateway and ESPv2.
type backend struct {
	Address     string `json:"address"`
	JWTAudience string `json:"jwt_audience"`
	DisableAuth bool   `json:"disable_auth"`
}

func (b backend) caller(pointer string) Caller {
	c := Caller{Kind: "api-gateway", URL: b.Address, Pointer: pointer, Token: NoToken,
		Note: "the gateway's own service account calls; the caller's token is in X-Forwarded-Authorization"}
	if b.DisableAuth {
		c.Note = "disable_auth is set, so the gateway passes the caller's own Authorization on"
		c.Token = UnknownToken
		return c
	}
	audience := b.Address
	if u, err := url.Parse(b.Address); err == nil && u.Host != "" {
		audience = u.Scheme + "://" + u.Host
	}
	c.oidc("", b.JWTAudience, audience, pointer)
	return c
}

func openAPI(doc []byte) ([]Caller, error) {
	var d struct {
		Backend *backend `json:"x-google-backend"`
		Paths   map[string]map[string]json.RawMessage
		Servers []struct {
			Backend json.RawMessage `json:"x-google-backend"`
		}
	}
	if err := json.Unmarshal(doc, &d); err != nil {
		return nil, errors.New("does not fit an OpenAPI document")
	}
	var out []Caller
	if d.Backend != nil {
		out = append(out, d.Backend.caller("/x-google-backend"))
	}
	for path, item := range d.Paths {
		at := "/paths/" + strings.ReplaceAll(strings.ReplaceAll(path, "~", "~0"), "/", "~1")
		for verb, raw := range item {
			b, pointer := &backend{}, at+"/x-google-backend"
			if verb == "x-google-backend" {
				if json.Unmarshal(raw, b) != nil {
					continue
				}
			} else {
				var op struct {
					Backend *backend `json:"x-google-backend"`
				}
				if json.Unmarshal(raw, &op) != nil || op.Backend == nil {
					continue
				}
				b, pointer = op.Backend, at+"/"+verb+"/x-google-backend"
			}
			c := b.caller(pointer)
			c.Method = strings.ToUpper(strings.TrimPrefix(verb, "x-google-backend"))
			out = append(out, c)
		}
	}
	if len(out) == 0 {
		return nil, errors.New("is an OpenAPI document without x-google-backend: it does not say what the gateway calls")
	}
	sort.SliceStable(out, func(i, j int) bool { return out[i].Pointer < out[j].Pointer })
	return out, nil
}

// workflow reads a Workflows resource, or the source of one.
func workflow(m map[string]json.RawMessage) ([]Caller, error) {
	base := Caller{Kind: "workflows"}
	var root any
	if raw, ok := m["sourceContents"]; ok {
		var source string
		if json.Unmarshal(raw, &source) != nil || yaml.Unmarshal([]byte(source), &root) != nil {
			return nil, errors.New("holds sourceContents that is no workflow")
		}
		json.Unmarshal(m["name"], &base.Name)
		var account string
		json.Unmarshal(m["serviceAccount"], &account)
		base.ServiceAccount = account[strings.LastIndexByte(account, '/')+1:]
		base.Project = projectOf(base.Name)
	} else {
		b, err := json.Marshal(m)
		if err != nil || json.Unmarshal(b, &root) != nil {
			return nil, ErrUnrecognized
		}
	}
	if base.ServiceAccount == "" {
		base.Note = "the workflow's own service account calls, by default the compute one"
	}
	var out []Caller
	httpCalls(root, "", base, &out)
	if len(out) == 0 {
		return nil, errors.New("is a workflow without http call")
	}
	return out, nil
}

// httpCalls walks a workflow for steps that call http.*.
func httpCalls(v any, at string, base Caller, out *[]Caller) {
	switch v := v.(type) {
	case map[string]any:
		if call, _ := v["call"].(string); strings.HasPrefix(call, "http.") {
			if args, ok := v["args"].(map[string]any); ok {
				*out = append(*out, base.httpStep(call, args, at+"/args"))
			}
		}
		keys := make([]string, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		sort.Strings(keys)
		for _, k := range keys {
			httpCalls(v[k], at+"/"+k, base, out)
		}
	case []any:
		for i, x := range v {
			httpCalls(x, fmt.Sprintf("%s/%d", at, i), base, out)
		}
	}
}

// httpStep reads one step. An expression ${…} is a value not known.
func (c Caller) httpStep(call string, args map[string]any, at string) Caller {
	known := func(v any) string {
		s, _ := v.(string)
		if strings.Contains(s, "${") {
			return ""
		}
		return s
	}
	c.URL, c.Method, c.Token, c.Pointer = known(args["url"]), strings.ToUpper(strings.TrimPrefix(call, "http.")), NoToken, at
	if c.Method == "REQUEST" {
		c.Method = strings.ToUpper(known(args["method"]))
	}
	auth, _ := args["auth"].(map[string]any)
	switch strings.ToUpper(known(auth["type"])) {
	case "OIDC":
		// https://docs.cloud.google.com/workflows/docs/authenticate-from-workflow
		c.oidc(c.ServiceAccount, known(auth["audience"]), c.URL, at+"/auth")
		if s, ok := auth["audience"].(string); ok && strings.Contains(s, "${") {
			c.Audience, c.AudienceGiven, c.Note = "", true, strings.TrimPrefix(c.Note+"; the audience is an expression", "; ")
		}
	case "OAUTH2":
		c.Token, c.Pointer = AccessToken, at+"/auth"
	}
	return c
}
