// Package capture writes evidence as a case: the documents that evidence.Load
// reads, without what nobody needs to judge an invocation and nobody should
// find in a file: signatures, credentials, environment variables, secrets,
// images and build configuration.
package capture

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"cloud.google.com/go/functions/apiv2/functionspb"
	"cloud.google.com/go/run/apiv2/runpb"
	"golang.org/x/tools/txtar"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"diagnose/internal/credential"
	"diagnose/internal/evidence"
	"diagnose/internal/gcp"
)

// Case returns the members of a case with what a snapshot knows. What is
// unknown is left out, and so unknown again when the case is read. A token
// becomes its decoded header and claims, so that its signature is unknown
// there.
func Case(s evidence.Snapshot) ([]txtar.File, error) {
	w := &writer{}
	s.IAPSettings = withoutSecrets(s.IAPSettings)
	w.request(s)
	w.token(s)
	if f, ok := s.Function.Get(); ok {
		w.function(f)
	}
	if svc, ok := s.Service.Get(); ok {
		w.message("service.json", service(svc))
	}
	if p, ok := s.Policy.Get(); ok {
		w.message("policy.json", p)
	}
	if p, ok := s.FunctionPolicy.Get(); ok {
		w.message("function-policy.json", p)
	}
	if p, ok := s.IAPPolicy.Get(); ok {
		w.message("iap-policy.json", p)
	}
	if settings, ok := s.IAPSettings.Get(); ok {
		w.message("iap-settings.json", settings)
	}
	if list, ok := s.Accounts.Get(); ok {
		w.accounts(list)
	}
	if list, ok := s.Ancestors.Get(); ok {
		w.ancestors(list)
	}
	if list, ok := s.DenyPolicies.Get(); ok {
		messages(w, "deny-policies.json", list)
	}
	if list, ok := s.Roles.Get(); ok {
		messages(w, "roles.json", list)
	}
	if g, ok := s.Groups.Get(); ok {
		w.value("groups.json", g)
	}
	if t, ok := s.Trigger.Get(); ok {
		w.message("trigger.json", t)
	}
	if p, ok := s.Project.Get(); ok {
		w.value("project.json", map[string]string{"projectId": p.ID, "projectNumber": p.Number})
	}
	if tags, ok := s.Tags.Get(); ok {
		w.tags(tags)
	}
	w.observed(s)
	return w.files, w.err
}

type writer struct {
	files []txtar.File
	err   error
}

func (w *writer) add(name string, data []byte) {
	w.files = append(w.files, txtar.File{Name: name, Data: data})
}

func (w *writer) fail(name string, err error) {
	if w.err == nil {
		w.err = fmt.Errorf("writing %s: %w", name, err)
	}
}

func (w *writer) value(name string, v any) {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		w.fail(name, err)
		return
	}
	w.add(name, append(data, '\n'))
}

func (w *writer) message(name string, m proto.Message) {
	raw, err := rawMessage(m)
	if err != nil {
		w.fail(name, err)
		return
	}
	w.value(name, raw)
}

// rawMessage is the JSON of a message. protojson varies its white space on
// purpose; json.Marshal takes it out again.
func rawMessage(m proto.Message) (json.RawMessage, error) { return protojson.Marshal(m) }

func messages[M proto.Message](w *writer, name string, list []M) {
	out := make([]json.RawMessage, len(list))
	for i, m := range list {
		var err error
		if out[i], err = rawMessage(m); err != nil {
			w.fail(name, err)
			return
		}
	}
	w.value(name, out)
}

// secretHeaders carry credentials whatever their form.
var secretHeaders = []string{"Proxy-Authorization", "X-Forwarded-Authorization", "Cookie", "Set-Cookie", "X-Goog-Api-Key", "X-Api-Key", "X-Goog-Iap-Jwt-Assertion"}

const blank = "[redacted]"

func (w *writer) request(s evidence.Snapshot) {
	r := s.Request.Or(evidence.Request{})
	out := map[string]any{"time": s.Now.UTC().Format(time.RFC3339)}
	if r.URL != nil {
		u := *r.URL
		u.User = nil
		if u.Query().Has("key") {
			q := u.Query()
			q.Set("key", blank)
			u.RawQuery = q.Encode()
		}
		out["url"] = credential.Scrub(u.String())
	}
	for key, v := range map[string]string{"method": r.Method, "source": string(r.Origin), "principal": r.Principal, "client": r.Client} {
		if v != "" {
			out[key] = v
		}
	}
	if r.Headers != nil {
		out["headers"] = headers(r.Headers)
	}
	w.value("request.json", out)
}

// headers blanks the credentials in a request's headers out. What says more
// than the credential does, as a missing Bearer, stays.
func headers(in http.Header) map[string][]string {
	out := map[string][]string{}
	for name, values := range in {
		for _, v := range values {
			canonical := http.CanonicalHeaderKey(name)
			switch {
			case slices.Contains(secretHeaders, canonical):
				v = blank
			case canonical == credential.Authorization || canonical == credential.Serverless:
				if word, rest, ok := strings.Cut(strings.TrimSpace(v), " "); ok && rest != "" {
					v = word + " " + blank
				} else if credential.Decode(v).Kind != credential.None && !strings.EqualFold(v, "bearer") {
					v = blank
				}
			default:
				v = credential.Scrub(v)
			}
			out[name] = append(out[name], v)
		}
	}
	return out
}

// stands are credentials of each kind that are none: enough to be taken for
// one of the kind.
var stands = map[credential.Kind]string{
	credential.AccessToken:  "ya29.removed",
	credential.STSToken:     "ya29.d.removed",
	credential.RefreshToken: "1//removed",
	credential.Opaque:       "removed",
}

func (w *writer) token(s evidence.Snapshot) {
	c := s.Token.Or(credential.Credential{})
	if sel := credential.FromHeaders(s.Request.Or(evidence.Request{}).Headers); sel.Header != "" && !sel.Redacted {
		c = sel.Credential
	}
	switch {
	case c.Supposed || c.Kind == credential.None:
	case c.JWT() && strings.Count(c.Redacted(), ".") == 2:
		parts := strings.Split(c.Redacted(), ".")
		w.value("token.json", map[string]json.RawMessage{"header": segment(parts[0]), "claims": segment(parts[1])})
	case len(claims(c.Claims)) > 0:
		w.value("token.json", map[string]any{"header": header(c.Header), "claims": claims(c.Claims)})
	case stands[c.Kind] != "":
		w.add("token.jwt", []byte(stands[c.Kind]+"\n"))
	}
}

// header spells a decoded header.
func header(h credential.Header) map[string]any {
	out := maps.Clone(h.Extra)
	if out == nil {
		out = map[string]any{}
	}
	for name, v := range map[string]string{"alg": h.Algorithm, "kid": h.KeyID, "typ": h.Type} {
		if v != "" {
			out[name] = v
		}
	}
	return out
}

// claims spells decoded claims.
func claims(c credential.Claims) map[string]any {
	out := maps.Clone(c.Extra)
	if out == nil {
		out = map[string]any{}
	}
	for name, v := range map[string]string{"iss": c.Issuer, "sub": c.Subject, "email": c.Email, "azp": c.AuthorizedParty, "hd": c.HostedDomain} {
		if v != "" {
			out[name] = v
		}
	}
	for name, t := range map[string]*time.Time{"exp": c.Expiry, "iat": c.IssuedAt, "nbf": c.NotBefore} {
		if t != nil {
			out[name] = t.Unix()
		}
	}
	if c.EmailVerified != nil {
		out["email_verified"] = *c.EmailVerified
	}
	switch {
	case c.AudienceList:
		out["aud"] = c.Audience
	case len(c.Audience) == 1:
		out["aud"] = c.Audience[0]
	}
	return out
}

// segment decodes one part of a JWT; "null" where it is none.
func segment(s string) json.RawMessage {
	data, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(s, "="))
	if err != nil || !json.Valid(data) {
		return json.RawMessage("null")
	}
	return data
}

// function keeps of a function what speaks of invocation.
func (w *writer) function(f evidence.Function) {
	in, sc := f.Function, f.GetServiceConfig()
	out := &functionspb.Function{Name: in.GetName(), Environment: in.GetEnvironment(), Url: in.GetUrl(), State: in.GetState(), EventTrigger: in.GetEventTrigger()}
	if sc != nil {
		out.ServiceConfig = &functionspb.ServiceConfig{Service: sc.GetService(), Uri: sc.GetUri(), IngressSettings: sc.GetIngressSettings(), ServiceAccountEmail: sc.GetServiceAccountEmail(),
			AllTrafficOnLatestRevision: sc.GetAllTrafficOnLatestRevision(), SecurityLevel: sc.GetSecurityLevel(), MaxInstanceCount: sc.GetMaxInstanceCount(), TimeoutSeconds: sc.GetTimeoutSeconds()}
	}
	for _, m := range in.GetStateMessages() {
		out.StateMessages = append(out.StateMessages, &functionspb.StateMessage{Severity: m.GetSeverity(), Type: m.GetType(), Message: credential.Scrub(m.GetMessage())})
	}
	raw, err := rawMessage(out)
	if err != nil {
		w.fail("function.json", err)
		return
	}
	doc := map[string]any{}
	if err := json.Unmarshal(raw, &doc); err != nil {
		w.fail("function.json", err)
		return
	}
	if f.UpgradeState != "" {
		doc["upgradeInfo"] = map[string]string{"upgradeState": f.UpgradeState}
	}
	w.value("function.json", doc)
}

// service keeps of a service what speaks of invocation: of its template,
// annotations and build nothing.
func service(in *runpb.Service) *runpb.Service {
	out := proto.Clone(in).(*runpb.Service)
	out.Template, out.Annotations, out.BuildConfig, out.BinaryAuthorization = nil, nil, nil, nil
	out.Creator, out.LastModifier, out.Client, out.ClientVersion, out.Description, out.Etag = "", "", "", "", "", ""
	for k := range out.Labels {
		if !strings.HasPrefix(k, "goog-") {
			delete(out.Labels, k)
		}
	}
	for _, c := range append(out.Conditions, out.TerminalCondition) {
		if c != nil {
			c.Message = credential.Scrub(c.Message)
		}
	}
	return out
}

func (w *writer) ancestors(list []evidence.Ancestor) {
	type ancestor struct {
		ID     string          `json:"id"`
		Type   string          `json:"type"`
		Policy json.RawMessage `json:"policy,omitempty"`
	}
	out := make([]ancestor, len(list))
	for i, a := range list {
		out[i] = ancestor{ID: a.ID, Type: a.Type}
		if p, ok := a.Policy.Get(); ok {
			raw, err := rawMessage(p)
			if err != nil {
				w.fail("ancestor-policies.json", err)
				return
			}
			out[i].Policy = raw
		}
	}
	w.value("ancestor-policies.json", out)
}

// accounts names each service account as the API does; where its e-mail does
// not tell the project, "-" stands for it, as it does in the API.
func (w *writer) accounts(list []evidence.AccountPolicy) {
	type account struct {
		Name   string          `json:"name"`
		Policy json.RawMessage `json:"policy"`
	}
	out := make([]account, len(list))
	for i, a := range list {
		raw, err := rawMessage(a.Policy)
		if err != nil {
			w.fail("service-account-policies.json", err)
			return
		}
		project := "-"
		if parsed := gcp.ParseAccount(a.Email); parsed.Kind == gcp.UserAccount {
			project = parsed.Project
		}
		out[i] = account{Name: "projects/" + project + "/serviceAccounts/" + a.Email, Policy: raw}
	}
	w.value("service-account-policies.json", out)
}

func (w *writer) tags(tags []evidence.Tag) {
	out := []map[string]string{}
	for _, t := range tags {
		out = append(out, map[string]string{"namespacedTagKey": t.NamespacedKey, "namespacedTagValue": t.NamespacedValue, "tagKey": t.Key, "tagValue": t.Value})
	}
	w.value("tags.json", out)
}

// observed writes the answer and the log entries that were given.
func (w *writer) observed(s evidence.Snapshot) {
	if r, ok := s.Response.Get(); ok {
		var b bytes.Buffer
		if r.Status > 0 {
			fmt.Fprintf(&b, "HTTP/1.1 %d %s\n", r.Status, http.StatusText(r.Status))
			h := r.Header.Clone()
			for name := range h {
				for i, v := range h[name] {
					if h[name][i] = oneLine(credential.Scrub(v)); slices.Contains(secretHeaders, name) {
						h[name][i] = blank
					}
				}
			}
			h.Write(&b)
			b.WriteByte('\n')
		}
		b.WriteString(escapeMarkers(strings.ReplaceAll(credential.Scrub(r.Body), "\r", "")) + "\n")
		w.add("response.http", bytes.ReplaceAll(b.Bytes(), []byte("\r\n"), []byte("\n")))
	}
	if list, ok := s.Logs.Get(); ok {
		out := make([]any, len(list))
		for i, e := range list {
			out[i] = logEntry(e)
		}
		w.value("log.json", out)
	}
}

func oneLine(s string) string { return strings.NewReplacer("\r", " ", "\n", " ").Replace(s) }

// escapeMarkers keeps a body from being read as the start of another member.
func escapeMarkers(s string) string {
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, "-- ") && strings.HasSuffix(strings.TrimSpace(l), " --") {
			lines[i] = " " + l
		}
	}
	return strings.Join(lines, "\n")
}

func logEntry(e evidence.LogEntry) map[string]any {
	out := map[string]any{"logName": e.LogName, "severity": e.Severity, "resource": map[string]any{"type": e.ResourceType, "labels": e.Labels}}
	if !e.Timestamp.IsZero() {
		out["timestamp"] = e.Timestamp.UTC().Format(time.RFC3339Nano)
	}
	request := map[string]any{}
	for key, v := range map[string]string{"requestMethod": e.Method, "requestUrl": credential.Scrub(e.URL), "userAgent": credential.Scrub(e.UserAgent)} {
		if v != "" {
			request[key] = v
		}
	}
	if e.Status != 0 {
		request["status"] = e.Status
	}
	if len(request) > 0 {
		out["httpRequest"] = request
	}
	switch {
	case e.JSON != nil:
		out["jsonPayload"] = scrubAll(e.JSON)
	case e.Audit != nil:
		out["protoPayload"] = scrubAll(e.Audit)
	case e.Text != "":
		out["textPayload"] = credential.Scrub(e.Text)
	}
	return out
}

func scrubAll(v any) any {
	switch v := v.(type) {
	case string:
		return credential.Scrub(v)
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = scrubAll(x)
		}
		return out
	case map[string]any:
		out := map[string]any{}
		for k, x := range v {
			out[k] = scrubAll(x)
		}
		return out
	}
	return v
}
