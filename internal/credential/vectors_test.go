package credential_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"diagnose/internal/credential"
)

// accepted reports whether a token would be taken as it stands: nothing was
// repaired and the signature verifies.
func accepted(token string, keys credential.KeySet) bool {
	c := credential.Decode(token)
	return c.Clean && credential.Verify(c, keys).State == credential.Valid
}

// A vectorGroup is one group of Wycheproof's test vectors: a key and tokens.
type vectorGroup struct {
	Comment string          `json:"comment"`
	Public  json.RawMessage `json:"public"`
	Private json.RawMessage `json:"private"`
	Tests   []struct {
		ID      int             `json:"tcId"`
		Comment string          `json:"comment"`
		JWS     json.RawMessage `json:"jws"` // a string, or an object in JSON serialization
		Result  string          `json:"result"`
	} `json:"tests"`
}

func vectorGroups(t *testing.T, name string) []vectorGroup {
	t.Helper()
	var doc struct {
		TestGroups []vectorGroup `json:"testGroups"`
	}
	if err := json.Unmarshal(dataFile(t, "jose/wycheproof/"+name), &doc); err != nil {
		t.Fatal(err)
	}
	return doc.TestGroups
}

func algorithmOf(key json.RawMessage) string {
	var k struct {
		Algorithm string `json:"alg"`
	}
	_ = json.Unmarshal(key, &k)
	return k.Algorithm
}

// TestWycheproofSignatures: vectors of RS256 keys pass or fail as stated.
// Every other one is refused, valid or not, because Google signs ID tokens
// with RS256 only: HS* (a shared secret), ES*, PS*, RS384, RS512, tokens whose
// alg is none, JSON serialization, keys for encryption.
func TestWycheproofSignatures(t *testing.T) {
	counts := map[string]int{}
	for _, g := range vectorGroups(t, "json_web_signature_test.json") {
		keys, err := credential.ParseKeySet(g.Public)
		rs256 := algorithmOf(g.Public) == "RS256"
		if (err == nil) != rs256 {
			t.Errorf("%s: key of %q gives error %v", g.Comment, algorithmOf(g.Public), err)
		}
		for _, v := range g.Tests {
			var token string
			if json.Unmarshal(v.JWS, &token) != nil {
				token = string(v.JWS)
			}
			want := rs256 && v.Result == "valid"
			if got := accepted(token, keys); got != want {
				t.Errorf("%s %d %s (%s): accepted is %v", g.Comment, v.ID, v.Comment, v.Result, got)
			}
			counts[fmt.Sprintf("RS256 %v, accepted %v", rs256, want)]++
		}
	}
	if counts["RS256 true, accepted true"] < 5 || counts["RS256 true, accepted false"] < 200 || counts["RS256 false, accepted false"] < 100 {
		t.Errorf("too few vectors were read: %v", counts)
	}
}

// TestWycheproofKeys: a set with a key of RS256 is judged as stated, but for
// the listed differences.
func TestWycheproofKeys(t *testing.T) {
	differs := map[string]string{
		"rejectsKeyWithRocaVulnerability": "keys come from Google or a person; how a key was generated is not examined",
	}
	seen := 0
	for _, g := range vectorGroups(t, "json_web_key_test.json") {
		doc := g.Public
		if doc == nil {
			doc = g.Private
		}
		keys, err := credential.ParseKeySet(doc)
		for _, v := range g.Tests {
			var token string
			if json.Unmarshal(v.JWS, &token) != nil {
				t.Fatalf("%s: the vector is no string", v.Comment)
			}
			got := err == nil && accepted(token, keys)
			want := v.Result == "valid" && credential.Decode(token).Header.Algorithm == "RS256"
			if _, known := differs[v.Comment]; known {
				want = !want
			}
			if got != want {
				t.Errorf("%s %d %s (%s): accepted is %v (%v)", g.Comment, v.ID, v.Comment, v.Result, got, err)
			}
			seen++
		}
	}
	if seen < 20 {
		t.Errorf("only %d vectors were read", seen)
	}
}

func TestRFC7515(t *testing.T) {
	var doc struct {
		Vectors []struct {
			Name, Compact string
			JWK           json.RawMessage
			Valid         bool `json:"signature_valid"`
		}
	}
	if err := json.Unmarshal(dataFile(t, "jose/rfc7515/appendix_a.json"), &doc); err != nil {
		t.Fatal(err)
	}
	for _, v := range doc.Vectors {
		keys, _ := credential.ParseKeySet(v.JWK)
		c := credential.Decode(v.Compact)
		if want := strings.Contains(v.Name, "RS256") && v.Valid; accepted(v.Compact, keys) != want {
			t.Errorf("%s: accepted is %v", v.Name, !want)
		}
		if c.Kind != credential.ForeignJWT || c.Claims.Issuer != "joe" || c.Claims.Expiry.Unix() != 1300819380 {
			t.Errorf("%s: read as %s of %q", v.Name, c.Kind, c.Claims.Issuer)
		}
	}
	if len(doc.Vectors) < 4 {
		t.Errorf("only %d vectors were read", len(doc.Vectors))
	}
}

// TestGolangJWTCases verifies that library's own tokens: those of RS256 as
// stated, every other one refused.
func TestGolangJWTCases(t *testing.T) {
	var doc struct {
		Cases []struct {
			File, Name, Token string
			Valid             bool
		}
	}
	if err := json.Unmarshal(dataFile(t, "jose/golang-jwt/signature_cases.json"), &doc); err != nil {
		t.Fatal(err)
	}
	wrapped, err := json.Marshal(map[string]string{"sample": string(dataFile(t, "jose/golang-jwt/sample_key.pub"))})
	if err != nil {
		t.Fatal(err)
	}
	keys := keySet(t, wrapped)
	verified := 0
	for _, c := range doc.Cases {
		alg := credential.Decode(c.Token).Header.Algorithm
		want := c.File == "rsa_test.go" && alg == "RS256" && c.Valid // none_test.go calls valid what is unsigned
		if accepted(c.Token, keys) != want {
			t.Errorf("%s (%s): accepted is %v", c.Name, alg, !want)
		}
		if want {
			verified++
		}
	}
	if verified == 0 {
		t.Error("no token was verified")
	}
}

func TestForeignSamples(t *testing.T) {
	keys := keySet(t, dataFile(t, "jose/istio/jwks.json"))
	for _, name := range []string{"demo.jwt", "groups-scope.jwt"} {
		c := credential.Decode(string(dataFile(t, "jose/istio/"+name)))
		if v := credential.Verify(c, keys); v.State != credential.Valid || c.Kind != credential.ForeignJWT || c.Claims.Issuer != "testing@secure.istio.io" {
			t.Errorf("%s: %s of %q, state %d: %s", name, c.Kind, c.Claims.Issuer, v.State, v.Reason)
		}
	}
	opaque := credential.Decode(string(dataFile(t, "jose/google-auth-library-python/external_subject_token.txt")))
	if opaque.Kind != credential.Opaque {
		t.Errorf("a subject token that is no JWT is read as %s", opaque.Kind)
	}
	for name, want := range map[string]string{
		"oauthcertspem.json":   "has 1024 bits, and 2048 are the least",
		"ecdsapublickeys.json": "is not RSA",
	} {
		_, err := credential.ParseKeySet(dataFile(t, "jose/google-auth-library-nodejs/"+name))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error is %v, want %q", name, err, want)
		}
	}
}

// TestCookbook verifies the tokens of RFC 7520, whose payload is no JSON.
func TestCookbook(t *testing.T) {
	valid := []string{"4_1.rsa_v15_signature.json"}
	for _, name := range []string{"4_1.rsa_v15_signature.json", "4_2.rsa-pss_signature.json", "4_3.ecdsa_signature.json", "4_4.hmac-sha2_integrity_protection.json"} {
		var doc struct {
			Input struct {
				Key map[string]any
			}
			Output struct{ Compact string }
		}
		if err := json.Unmarshal(dataFile(t, "jose/ietf-jose-cookbook/jws/"+name), &doc); err != nil {
			t.Fatal(err)
		}
		key := map[string]any{}
		for _, public := range []string{"kty", "kid", "use", "n", "e", "crv", "x", "y"} {
			if v, ok := doc.Input.Key[public]; ok {
				key[public] = v
			}
		}
		text, err := json.Marshal(key)
		if err != nil {
			t.Fatal(err)
		}
		keys, _ := credential.ParseKeySet(text)
		if want := slices.Contains(valid, name); doc.Output.Compact == "" || accepted(doc.Output.Compact, keys) != want {
			t.Errorf("%s: accepted is %v", name, !want)
		}
		full, _ := json.Marshal(doc.Input.Key)
		if _, err := credential.ParseKeySet(full); err == nil {
			t.Errorf("%s: a private or shared key is taken", name)
		}
	}
}
