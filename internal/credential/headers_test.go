package credential_test

import (
	"net/http"
	"strings"
	"testing"

	"diagnose/internal/credential"
	"diagnose/internal/credential/credentialtest"
)

func TestFromHeaders(t *testing.T) {
	token := idToken()
	other := credentialtest.Sign(claims{"iss": "https://accounts.google.com", "aud": "https://other.a.run.app", "exp": 1795009999})
	type row struct {
		headers    http.Header
		header     string
		kind       credential.Kind
		duplicates int
		malformed  string
		redacted   bool
		other      credential.Kind
	}
	auth := func(v ...string) http.Header { return http.Header{"Authorization": v} }
	const A, S = credential.Authorization, credential.Serverless
	for name, c := range map[string]row{
		"not recorded":   {headers: nil},
		"no headers":     {headers: http.Header{}},
		"bearer":         {auth("Bearer " + token), A, credential.IDToken, 1, "", false, 0},
		"lower case":     {http.Header{"authorization": {"bearer " + token}}, A, credential.IDToken, 1, "", false, 0},
		"tab":            {auth("Bearer\t" + token), A, credential.IDToken, 1, "", false, 0},
		"empty":          {auth(""), A, credential.Opaque, 1, "is empty", false, 0},
		"Bearer alone":   {auth("Bearer "), A, credential.Opaque, 1, "has no token after Bearer", false, 0},
		"no scheme":      {auth(token), A, credential.IDToken, 1, "does not have the word Bearer before the token", false, 0},
		"colon":          {auth("Bearer: " + token), A, credential.IDToken, 1, "has a colon or equals sign after Bearer", false, 0},
		"basic":          {auth("Basic dXNlcjpwYXNz"), A, credential.Opaque, 1, "uses the scheme Basic", false, 0},
		"digest":         {auth(`Digest username="a", response="b"`), A, credential.Opaque, 1, "uses the scheme Digest", false, 0},
		"token scheme":   {auth("Token " + token), A, credential.IDToken, 1, "uses the scheme Token", false, 0},
		"unknown scheme": {auth("s3cr3t " + token), A, credential.IDToken, 1, "uses an unknown scheme", false, 0},
		"two values":     {auth("Bearer "+token, "Bearer "+other), A, credential.IDToken, 2, "", false, 0},
		"two spellings":  {http.Header{"Authorization": {"Bearer " + token}, "authorization": {"Bearer " + other}}, A, credential.IDToken, 2, "", false, 0},
		"two tokens":     {auth("Bearer " + token + ", Bearer " + other), A, credential.Several, 1, "", false, 0},
		"access token":   {auth("Bearer ya29.abc"), A, credential.AccessToken, 1, "", false, 0},
		"both":           {http.Header{A: {"Bearer " + token}, S: {"Bearer " + other}}, S, credential.IDToken, 1, "", false, credential.IDToken},
		"other is basic": {http.Header{A: {"Basic abc"}, S: {"Bearer " + other}}, S, credential.IDToken, 1, "", false, credential.Opaque},
		"S empty":        {http.Header{A: {"Bearer " + token}, S: {""}}, A, credential.IDToken, 1, "", false, 0},
		"A empty":        {http.Header{A: {""}, S: {"Bearer " + token}}, S, credential.IDToken, 1, "", false, 0},
		"only S empty":   {http.Header{S: {" "}}, "", credential.None, 0, "", false, 0},
		"API key only":   {http.Header{"X-Goog-Api-Key": {"AIzaX"}}, "", credential.None, 0, "", false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := credential.FromHeaders(c.headers)
			got := row{c.headers, s.Header, s.Credential.Kind, s.Duplicates, s.Malformed, s.Redacted, 0}
			if s.Other != nil {
				got.other = s.Other.Kind
			}
			got.headers, c.headers = nil, nil
			if got.header != c.header || got.kind != c.kind ||
				got.duplicates != c.duplicates || got.malformed != c.malformed || got.redacted != c.redacted || got.other != c.other {
				t.Errorf("got  %+v\nwant %+v", got, c)
			}
		})
	}
}

func TestPlaceholdersAreUnknownCredentials(t *testing.T) {
	for _, value := range []string{"[REDACTED]", "REDACTED", "$TOKEN", "${ID_TOKEN}", "$(gcloud auth print-identity-token)", "***", "<token>", "…", "...",
		"eyJhbGciOi...", "eyJhbGci…", "ya29.***", "XXXXXX", "{{token}}", "%TOKEN%", "TOKEN", "id_token", "YOUR_TOKEN", "[hidden]"} {
		for _, header := range []string{"Bearer " + value, value} {
			s := credential.FromHeaders(http.Header{"Authorization": {header}})
			if !s.Redacted || s.Malformed != "" || s.Credential.Kind != credential.None {
				t.Errorf("%q: redacted %v, malformed %q, %s", header, s.Redacted, s.Malformed, s.Credential.Kind)
			}
		}
	}
	for _, value := range []string{"undefined", "null", "[object Object]", "s3cr3t", "ya29.abcdef", idToken()} {
		if s := credential.FromHeaders(http.Header{"Authorization": {"Bearer " + value}}); s.Redacted {
			t.Errorf("%.20s is taken for a placeholder", value)
		}
	}
}

func TestHeaderNotes(t *testing.T) {
	other := credentialtest.Sign(claims{"iss": "https://accounts.google.com", "aud": "https://other.a.run.app", "exp": 1795009999})
	for name, c := range map[string]struct {
		headers http.Header
		want    []string
	}{
		"plain":     {http.Header{"Authorization": {"Bearer " + idToken()}}, nil},
		"undefined": {http.Header{"Authorization": {"Bearer undefined"}}, []string{`the word "undefined" instead of a token`}},
		"gateway":   {http.Header{"X-Forwarded-Authorization": {"Bearer x"}, "x-apigateway-api-userinfo": {"e30"}}, []string{"a gateway moved the caller's own token", "through API Gateway"}},
		"IAP":       {http.Header{"X-Goog-Iap-Jwt-Assertion": {"x"}}, []string{"the request came through IAP"}},
		"API key":   {http.Header{"X-Goog-Api-Key": {"AIza"}}, []string{"which Cloud Run does not accept"}},
		"two tokens": {http.Header{"Authorization": {"Bearer " + idToken()}, "X-Serverless-Authorization": {"Bearer " + other}}, []string{
			`X-Serverless-Authorization is for ["https://other.a.run.app"], and Authorization, which does not count, for ["` + service + `"]`, "expire at different times"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := credential.FromHeaders(c.headers).Notes
			if len(got) != len(c.want) {
				t.Fatalf("got %q, want %q", got, c.want)
			}
			for i := range got {
				if !strings.Contains(got[i], c.want[i]) {
					t.Errorf("got %q, want %q", got[i], c.want[i])
				}
			}
		})
	}
}
