package credential_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"diagnose/internal/credential"
	"diagnose/internal/credential/credentialtest"
)

var seeds = []string{"", "Bearer ", idToken(), "Bearer Bearer " + idToken(), idToken() + "," + idToken(), "ya29.a0Afexampleexample", "1//0gexampleexample",
	"AIzaSyexampleexample", "eyJhbGciOiJS.eyJ.x", "[REDACTED]", "Basic dXNlcjpwYXNz", `{"aud":"x"}`, "eyJ.eyJ.eyJ.eyJ.eyJ", "\ufeff\"eyJ\u200b\"", "a%2Eb%2Ec"}

// exercise asks a credential for everything it can tell.
func exercise(t *testing.T, c credential.Credential) {
	now := time.Unix(1795000000, 0)
	keys := keySet(t, credentialtest.JWKS())
	v := credential.Verify(c, keys)
	d := c.Describe(now)
	shown := append(forms(t, c), v.Reason, d.What, d.Until, c.Provider(), c.Client())
	for _, p := range credential.ClaimProblems(c, now) {
		shown = append(shown, p.String())
	}
	if !c.JWT() || !strings.Contains(strings.TrimSuffix(c.ForRequest(), secretOf(c)), secretOf(c)) {
		shown = append(shown, c.Redacted()) // a claim may repeat a signature
	}
	_, _, _ = c.Who(), c.Person(), c.ServiceAccount()
	secret := secretOf(c)
	for _, text := range shown {
		if secret != "" && strings.Contains(text, secret) {
			t.Errorf("%s shows its secret", c.Kind)
		}
	}
	if (c.Kind == credential.None) != (c.ForRequest() == "") {
		t.Errorf("a value of %d characters is read as %s", len(c.ForRequest()), c.Kind)
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		c := credential.Decode(raw)
		exercise(t, c)
		again := credential.Decode(c.ForRequest())
		if again.Kind != c.Kind || c.Kind != credential.Several && !again.Clean {
			t.Errorf("%s, once repaired, is read as %s with repairs %q", c.Kind, again.Kind, again.Repairs)
		}
	})
}

func FuzzFromClaims(f *testing.F) {
	for _, s := range []string{`{"aud":"x"}`, `{"header":{"alg":"RS256"},"claims":{"iss":"https://accounts.google.com","exp":1e400}}`, `{"exp":null}`, `{"payload":{}}`, idToken()} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		c, err := credential.FromClaims(doc)
		if err != nil {
			if c.Kind != credential.None {
				t.Errorf("an error beside %s", c.Kind)
			}
			return
		}
		if c.ForRequest() != "" || c.Signature != credential.SignatureUnknown || c.Kind == credential.None {
			t.Errorf("decoded claims are read as %s with signature %s", c.Kind, c.Signature)
		}
		_, _ = c.Describe(time.Unix(0, 0)), credential.ClaimProblems(c, time.Unix(0, 0))
	})
}

func FuzzHeaders(f *testing.F) {
	for _, s := range seeds {
		f.Add("Bearer "+s, s)
		f.Add(s, "")
	}
	f.Fuzz(func(t *testing.T, authorization, serverless string) {
		sel := credential.FromHeaders(http.Header{"Authorization": {authorization}, "x-serverless-authorization": {serverless}})
		if sel.Header == "" || sel.Header == credential.Serverless && strings.TrimSpace(serverless) == "" {
			t.Errorf("%s counts", sel.Header)
		}
		if sel.Redacted != (sel.Credential.Kind == credential.None) {
			t.Errorf("redacted is %v of %s", sel.Redacted, sel.Credential.Kind)
		}
		shown := strings.Join(append(forms(t, sel.Credential), sel.Malformed), "\n")
		if secret := secretOf(sel.Credential); secret != "" && strings.Contains(shown, secret) {
			t.Errorf("%s shows its secret", sel.Credential.Kind)
		}
	})
}

func FuzzParseKeySet(f *testing.F) {
	for _, s := range []string{string(credentialtest.JWKS()), `{"keys":[]}`, `{"kty":"RSA","n":"AQAB","e":"AQAB"}`, `{"k":"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"}`,
		`{"keys":[{"kty":"RSA","d":"c2VjcmV0c2VjcmV0c2VjcmV0"}]}`} {
		f.Add([]byte(s))
	}
	token := credential.Decode(idToken())
	f.Fuzz(func(t *testing.T, doc []byte) {
		keys, err := credential.ParseKeySet(doc)
		if (err == nil) != (keys.Len() > 0) {
			t.Errorf("%d keys and error %v", keys.Len(), err)
		}
		_ = credential.Verify(token, keys)
	})
}
