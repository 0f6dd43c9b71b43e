package evidence

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

	"cloud.google.com/go/iam/apiv1/iampb"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"diagnose/internal/credential"
)

func writeJSON(v any) ([]byte, error) {
	data, err := json.MarshalIndent(v, "", "  ")
	return append(data, '\n'), err
}

// writeMessage writes a message. protojson varies its white space on purpose;
// json.Marshal takes it out again.
func writeMessage(m proto.Message) ([]byte, error) {
	raw, err := protojson.Marshal(m)
	if err != nil {
		return nil, err
	}
	return writeJSON(json.RawMessage(raw))
}

func writeFact[M proto.Message](f Fact[M]) ([]byte, error) {
	m, ok := f.Get()
	if !ok {
		return nil, nil
	}
	return writeMessage(m)
}

// listWriter makes the writer of a list of messages.
func listWriter[M proto.Message](field func(*Snapshot) *Fact[[]M]) func(Snapshot) ([]byte, error) {
	return func(s Snapshot) ([]byte, error) {
		list, ok := field(&s).Get()
		if !ok {
			return nil, nil
		}
		out := make([]json.RawMessage, len(list))
		for i, m := range list {
			var err error
			if out[i], err = protojson.Marshal(m); err != nil {
				return nil, err
			}
		}
		return writeJSON(out)
	}
}

func policyWriter(field func(*Snapshot) *policyFact) func(Snapshot) ([]byte, error) {
	return func(s Snapshot) ([]byte, error) { return writeFact(*field(&s)) }
}

func writeTrigger(s Snapshot) ([]byte, error) { return writeFact(s.Trigger) }

func writeIAPSettings(s Snapshot) ([]byte, error) { return writeFact(s.IAPSettings) }

func writeGroups(s Snapshot) ([]byte, error) {
	g, ok := s.Groups.Get()
	if !ok {
		return nil, nil
	}
	return writeJSON(g)
}

func writeProject(s Snapshot) ([]byte, error) {
	p, ok := s.Project.Get()
	if !ok {
		return nil, nil
	}
	return writeJSON(map[string]string{"projectId": p.ID, "projectNumber": p.Number})
}

func writeTags(s Snapshot) ([]byte, error) {
	tags, ok := s.Tags.Get()
	if !ok {
		return nil, nil
	}
	out := []map[string]string{}
	for _, t := range tags {
		out = append(out, map[string]string{"namespacedTagKey": t.NamespacedKey, "namespacedTagValue": t.NamespacedValue,
			"tagKey": t.Key, "tagValue": t.Value})
	}
	return writeJSON(out)
}

// A policyOf is an element of a list of policies.
type policyOf struct {
	ID     string          `json:"id,omitempty"`
	Type   string          `json:"type,omitempty"`
	Name   string          `json:"name,omitempty"`
	Policy json.RawMessage `json:"policy,omitempty"`
}

func (e *policyOf) set(p *iampb.Policy) (err error) {
	e.Policy, err = protojson.Marshal(p)
	return err
}

func writeAncestors(s Snapshot) ([]byte, error) {
	list, ok := s.Ancestors.Get()
	if !ok {
		return nil, nil
	}
	if len(list) == 2 && list[0].ID == "" && list[1].Missing {
		return writeFact(list[0].Policy) // a project's own, read as such again
	}
	out := []policyOf{}
	for _, a := range list {
		if a.Missing {
			continue // it is missing again when the list is read
		}
		e := policyOf{ID: a.ID, Type: a.Type}
		if p, ok := a.Policy.Get(); ok {
			if err := e.set(p); err != nil {
				return nil, err
			}
		}
		out = append(out, e)
	}
	return writeJSON(out)
}

func writeAccounts(s Snapshot) ([]byte, error) {
	list, ok := s.Accounts.Get()
	if !ok {
		return nil, nil
	}
	out := make([]policyOf, len(list))
	for i, a := range list {
		out[i].Name = accountName(a.Email)
		if err := out[i].set(a.Policy); err != nil {
			return nil, err
		}
	}
	return writeJSON(out)
}

// secretHeaders carry credentials whatever their form.
var secretHeaders = []string{"Proxy-Authorization", "X-Forwarded-Authorization", "Cookie", "Set-Cookie", "X-Goog-Api-Key", "X-Api-Key", "X-Goog-Iap-Jwt-Assertion"}

const blank = "[redacted]"

func writeRequest(s Snapshot) ([]byte, error) {
	r := s.Request.Or(Request{})
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
		out["headers"] = writtenHeaders(r.Headers)
	}
	return writeJSON(out)
}

// writtenHeaders blanks the credentials in a request's headers out. What says
// more than the credential does, as a missing Bearer, stays.
func writtenHeaders(in http.Header) map[string][]string {
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

// sent returns the credential of the headers, or else the one given.
func sent(s Snapshot) credential.Credential {
	if sel := credential.FromHeaders(s.Request.Or(Request{}).Headers); sel.Header != "" && !sel.Redacted {
		return sel.Credential
	}
	return s.Token.Or(credential.Credential{})
}

// writeToken writes a stand-in for a credential that has no claims.
func writeToken(s Snapshot) ([]byte, error) {
	c := sent(s)
	if data, err := writeClaims(s); data != nil || err != nil || c.Supposed || c.Kind == credential.None || stands[c.Kind] == "" {
		return nil, err
	}
	return []byte(stands[c.Kind] + "\n"), nil
}

// writeClaims writes a token as its decoded header and claims, so that its
// signature is unknown there.
func writeClaims(s Snapshot) ([]byte, error) {
	c := sent(s)
	switch {
	case c.Supposed || c.Kind == credential.None:
		return nil, nil
	case c.JWT() && strings.Count(c.Redacted(), ".") == 2:
		parts := strings.Split(c.Redacted(), ".")
		return writeJSON(map[string]json.RawMessage{"header": segment(parts[0]), "claims": segment(parts[1])})
	}
	if spelt := claims(c.Claims); len(spelt) > 0 {
		return writeJSON(map[string]any{"header": header(c.Header), "claims": spelt})
	}
	return nil, nil
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

// writeResponse writes the answer. A status that its body gives needs no
// status line, and may have none: the URL in the body is read again so.
func writeResponse(s Snapshot) ([]byte, error) {
	r, ok := s.Response.Get()
	if !ok {
		return nil, nil
	}
	var b bytes.Buffer
	if r.Status > 0 && (len(r.Header) > 0 || quoted(r.Body).Status != r.Status) {
		fmt.Fprintf(&b, "HTTP/1.1 %d %s\n", r.Status, http.StatusText(r.Status))
		h := r.Header.Clone()
		for name := range h {
			for i, v := range h[name] {
				if h[name][i] = oneLine(credential.Scrub(v)); slices.Contains(secretHeaders, name) {
					h[name][i] = blank
				}
			}
		}
		if err := h.Write(&b); err != nil {
			return nil, err
		}
		b.WriteByte('\n')
	}
	b.WriteString(escapeMarkers(strings.ReplaceAll(credential.Scrub(r.Body), "\r", "")) + "\n")
	return bytes.ReplaceAll(b.Bytes(), []byte("\r\n"), []byte("\n")), nil
}

func oneLine(s string) string { return strings.NewReplacer("\r", " ", "\n", " ").Replace(s) }

// escapeMarkers keeps a body from being read as the start of another document
// of a .txtar file.
func escapeMarkers(s string) string {
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, "-- ") && strings.HasSuffix(strings.TrimSpace(l), " --") {
			lines[i] = " " + l
		}
	}
	return strings.Join(lines, "\n")
}
