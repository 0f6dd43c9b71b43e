package evidence

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"strings"
	"time"

	"diagnose/internal/credential"
	"diagnose/internal/gcp"
)

const blank = "[redacted]"

func writeRequest(s Snapshot) ([]byte, error) {
	r := s.Request.Or(Request{})
	out := map[string]any{"time": s.Now.UTC().Format(time.RFC3339Nano)}
	if from := cmp.Or(s.NowFrom, "now"); from != "request.json" || r.Time.IsZero() {
		out["timeFrom"] = from
	}
	if r.URL != nil {
		u := *r.URL
		u.User = nil
		u.RawQuery, u.Fragment, u.RawFragment = gcp.ShownQuery(u.RawQuery, blank), "", ""
		out["url"] = credential.Scrub(u.String())
	}
	for key, v := range map[string]string{"method": r.Method, "source": string(r.Origin),
		"principal": r.Principal, "client": r.Client} {
		if v != "" {
			out[key] = v
		}
	}
	if len(s.Guessed) > 0 {
		out["guessed"] = s.Guessed
	}
	if r.Headers != nil {
		out["headers"] = writtenHeaders(r.Headers)
		if kept := s.keptCredentials(); len(kept) > 0 {
			out["credentials"] = kept
		}
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
			case canonical == credential.Authorization || canonical == credential.Serverless:
				if word, rest, ok := strings.Cut(strings.TrimSpace(v), " "); ok && rest != "" {
					v = word + " " + blank
				} else if credential.Decode(v).Kind != credential.None && !strings.EqualFold(v, "bearer") {
					v = blank
				}
			case credential.SecretHeader(name):
				v = blank
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

// standsAlone reports whether a stand-in says all that is known of a credential.
func standsAlone(c credential.Credential) bool {
	return stands[c.Kind] != "" && !c.JWT() && len(claims(c.Claims)) == 0
}

// writeToken writes a stand-in for a credential that has no claims and is no
// JWT.
func writeToken(s Snapshot) ([]byte, error) {
	c := sent(s)
	if c.Supposed || !standsAlone(c) {
		return nil, nil
	}
	return []byte(stands[c.Kind] + "\n"), nil
}

// writeClaims writes a token as its decoded header and claims, and what was
// seen of it: its signature is verified before it goes.
func writeClaims(s Snapshot) ([]byte, error) {
	c := sent(s)
	if c.Supposed || c.Kind == credential.None || standsAlone(c) {
		return nil, nil
	}
	return writeJSON(s.kept(c))
}

// keptCredentials are the JWTs in headers, beside that which counts.
func (s Snapshot) keptCredentials() map[string]any {
	out := map[string]any{}
	for _, name := range []string{credential.Authorization, credential.Serverless, "Proxy-Authorization"} {
		r := s.Request.Or(Request{})
		one := http.Header{credential.Authorization: r.Headers[name]}
		sel := credential.FromHeaders(one)
		c, kept := r.Sent[name]
		if sel.Header != "" && !sel.Redacted {
			c, kept = sel.Credential, sel.Credential.JWT()
		}
		if kept {
			out[name] = s.kept(c)
		}
	}
	return out
}

// kept is what a case has of a credential: header and claims, and what was seen
// of it.
func (s Snapshot) kept(c credential.Credential) map[string]any {
	out := map[string]any{"header": header(c.Header), "claims": claims(c.Claims)}
	if parts := strings.Split(c.Redacted(), "."); c.JWT() && len(parts) == 3 {
		out["header"], out["claims"] = segment(parts[0]), segment(parts[1])
	}
	verified := c.Verified
	if keys, ok := s.Keys.Get(); ok && verified == nil && c.JWT() {
		v := credential.Verify(c, keys)
		verified = &v
	}
	if kept := c.AsSent(verified); kept != nil {
		out["asSent"] = kept
	}
	return out
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
	for name, v := range map[string]string{"iss": c.Issuer, "sub": c.Subject, "email": c.Email,
		"azp": c.AuthorizedParty, "hd": c.HostedDomain} {
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
