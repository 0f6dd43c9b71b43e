package credential_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"diagnose/internal/credential"
	"diagnose/internal/credential/credentialtest"
)

func keySet(t *testing.T, doc []byte) credential.KeySet {
	t.Helper()
	keys, err := credential.ParseKeySet(doc)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func modulus(key *rsa.PublicKey) string { return base64.RawURLEncoding.EncodeToString(key.N.Bytes()) }

func rsaKey(t *testing.T, bits int) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func signed(t *testing.T, method jwt.SigningMethod, key any, header claims) string {
	t.Helper()
	token := jwt.NewWithClaims(method, jwt.MapClaims{"iss": "https://accounts.google.com", "aud": service})
	for k, v := range header {
		token.Header[k] = v
	}
	text, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// macWithPublicKey signs with HS256 and the text of the public key as the
// shared secret: https://www.rfc-editor.org/rfc/rfc8725#section-2.1.
func macWithPublicKey(key *rsa.PublicKey) string {
	der, _ := x509.MarshalPKIXPublicKey(key)
	text := b64(`{"alg":"HS256","kid":"k"}`) + "." + b64(`{"iss":"https://accounts.google.com"}`)
	mac := hmac.New(sha256.New, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func TestVerify(t *testing.T) {
	key, stranger := rsaKey(t, 2048), rsaKey(t, 2048)
	ec, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	keys := keySet(t, fmt.Appendf(nil, `{"keys":[{"kty":"RSA","kid":"k","n":%q,"e":"AQAB"},{"kty":"EC","kid":"ec","crv":"P-256"},{"kty":"??"}]}`, modulus(&key.PublicKey)))
	good := signed(t, jwt.SigningMethodRS256, key, claims{"kid": "k"})
	part := strings.Split(good, ".")
	jwkOf := claims{"kty": "RSA", "n": modulus(&stranger.PublicKey), "e": "AQAB"}
	for name, c := range map[string]struct {
		raw  string
		want credential.VerifyState
	}{
		"good":               {good, credential.Valid},
		"no key ID":          {signed(t, jwt.SigningMethodRS256, key, nil), credential.Valid},
		"other key ID":       {signed(t, jwt.SigningMethodRS256, key, claims{"kid": "old"}), credential.NoSuchKey},
		"EC key ID":          {signed(t, jwt.SigningMethodRS256, key, claims{"kid": "ec"}), credential.NoSuchKey},
		"stranger":           {signed(t, jwt.SigningMethodRS256, stranger, claims{"kid": "k"}), credential.Invalid},
		"stranger, no ID":    {signed(t, jwt.SigningMethodRS256, stranger, nil), credential.Invalid},
		"embedded jwk":       {signed(t, jwt.SigningMethodRS256, stranger, claims{"kid": "k", "jwk": jwkOf}), credential.Invalid},
		"jku":                {signed(t, jwt.SigningMethodRS256, stranger, claims{"kid": "k", "jku": "https://example.org/jwks"}), credential.Invalid},
		"x5u":                {signed(t, jwt.SigningMethodRS256, stranger, claims{"kid": "k", "x5u": "https://example.org/x"}), credential.Invalid},
		"crit":               {signed(t, jwt.SigningMethodRS256, key, claims{"kid": "k", "crit": []string{"exp"}}), credential.Invalid},
		"b64 false":          {signed(t, jwt.SigningMethodRS256, key, claims{"kid": "k", "b64": false}), credential.Invalid},
		"b64 true":           {signed(t, jwt.SigningMethodRS256, key, claims{"kid": "k", "b64": true}), credential.Valid},
		"RS512":              {signed(t, jwt.SigningMethodRS512, key, claims{"kid": "k"}), credential.WrongAlgorithm},
		"PS256":              {signed(t, jwt.SigningMethodPS256, key, claims{"kid": "k"}), credential.WrongAlgorithm},
		"ES256":              {signed(t, jwt.SigningMethodES256, ec, claims{"kid": "ec"}), credential.WrongAlgorithm},
		"none":               {b64(`{"alg":"none"}`) + "." + part[1] + ".", credential.WrongAlgorithm},
		"None, signed":       {b64(`{"alg":"None","kid":"k"}`) + "." + part[1] + "." + part[2], credential.WrongAlgorithm},
		"no alg":             {b64(`{"kid":"k"}`) + "." + part[1] + "." + part[2], credential.WrongAlgorithm},
		"rs256":              {b64(`{"alg":"rs256","kid":"k"}`) + "." + part[1] + "." + part[2], credential.WrongAlgorithm},
		"HS256, public key":  {macWithPublicKey(&key.PublicKey), credential.WrongAlgorithm},
		"changed claims":     {part[0] + "." + b64(`{"iss":"https://accounts.google.com"}`) + "." + part[2], credential.Invalid},
		"signature missing":  {part[0] + "." + part[1] + ".", credential.Invalid},
		"signature removed":  {part[0] + "." + part[1] + ".SIGNATURE_REMOVED_BY_GOOGLE", credential.Invalid},
		"signature cut":      {good[:len(good)-40], credential.Invalid},
		"padded signature":   {good + "==", credential.Invalid},
		"opaque":             {"s3cr3t", credential.Unverified},
		"nothing":            {"", credential.Unverified},
		"copied with Bearer": {"Bearer " + good, credential.Valid},
		"JWE":                {b64(`{"alg":"RSA-OAEP","enc":"A256GCM"}`) + ".a.b.c.d", credential.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			got := credential.Verify(credential.Decode(c.raw), keys)
			if got.State != c.want || (got.Reason == "") != (c.want == credential.Valid) {
				t.Errorf("state is %d (%s), want %d", got.State, got.Reason, c.want)
			}
		})
	}
	if got := credential.Verify(credential.Decode(good), credential.KeySet{}); got.State != credential.Unverified {
		t.Errorf("no keys: state is %d", got.State)
	}
	decoded, _ := credential.FromClaims([]byte(`{"aud":"x"}`))
	for _, c := range []credential.Credential{decoded, credential.Synthetic("user:a@b.c", "x", time.Now())} {
		if got := credential.Verify(c, keys); got.State != credential.Unverified {
			t.Errorf("%s without a value: state is %d", c.Kind, got.State)
		}
	}
}

// TestVerifyIsStrict: what is signed and yet not base64url as a JWT has it, is
// not valid.
func TestVerifyIsStrict(t *testing.T) {
	key := rsaKey(t, 2048)
	keys := keySet(t, fmt.Appendf(nil, `{"kty":"RSA","n":%q,"e":"AQAB"}`, modulus(&key.PublicKey)))
	sign := func(text string) string {
		signature, err := jwt.SigningMethodRS256.Sign(text, key)
		if err != nil {
			t.Fatal(err)
		}
		return text + "." + base64.RawURLEncoding.EncodeToString(signature)
	}
	header, payload := b64(`{"alg":"RS256"}`), b64(`{"iss":"x"}`)
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	good := sign(header + "." + payload)
	stray := good[:len(good)-1] + string(alphabet[strings.IndexByte(alphabet, good[len(good)-1])+1])
	for name, c := range map[string]struct {
		raw  string
		want credential.VerifyState
	}{
		"good":                     {good, credential.Valid},
		"payload no JSON":          {sign(header + "." + b64("foo")), credential.Valid},
		"padded payload":           {sign(header + "." + payload + "="), credential.Invalid},
		"padded header":            {sign(header + "=." + payload), credential.Invalid},
		"payload no base64":        {sign(header + ".~"), credential.Invalid},
		"stray bits in signature":  {stray, credential.Invalid},
		"standard base64":          {sign(header + "." + base64.RawStdEncoding.EncodeToString([]byte(`{"a":"?>?>"}`))), credential.Invalid},
		"signature of other token": {header + "." + b64(`{"iss":"y"}`) + good[strings.LastIndexByte(good, '.'):], credential.Invalid},
	} {
		if got := credential.Verify(credential.Decode(c.raw), keys); got.State != c.want {
			t.Errorf("%s: state is %d (%s), want %d", name, got.State, got.Reason, c.want)
		}
	}
}

func TestTestKeyVerifies(t *testing.T) {
	keys := keySet(t, credentialtest.JWKS())
	if got := credential.Verify(credential.Decode(idToken()), keys); got.State != credential.Valid || got.KeyID != credentialtest.KeyID || keys.String() != "key set, usable RSA keys: 1" {
		t.Errorf("state is %d: %s", got.State, got.Reason)
	}
	if first, second := idToken(), idToken(); first != second {
		t.Error("signing is not deterministic")
	}
	if got := credential.Verify(credential.Decode(credentialtest.Sign(claims{}, credentialtest.Header("kid", nil))), keys); got.State != credential.Valid || got.KeyID != "" {
		t.Errorf("without key ID: state is %d: %s", got.State, got.Reason)
	}
}

func certificate(t *testing.T, key *rsa.PrivateKey) string {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotAfter: time.Unix(0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func TestParseKeySet(t *testing.T) {
	key, weak := rsaKey(t, 2048), rsaKey(t, 1024)
	n := modulus(&key.PublicKey)
	certs, _ := json.Marshal(map[string]string{"k": certificate(t, key)})
	private := string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
	pemDoc, _ := json.Marshal(map[string]string{"k": private})
	account, _ := json.Marshal(map[string]string{"type": "service_account", "private_key": private, "auth_uri": "https://x"})
	secret := base64.RawURLEncoding.EncodeToString(key.D.Bytes())
	rsaJWK := func(more string) string { return fmt.Sprintf(`{"kty":"RSA","kid":"k","n":%q,"e":"AQAB"%s}`, n, more) }
	set := func(keys ...string) string { return `{"keys":[` + strings.Join(keys, ",") + `]}` }
	for name, c := range map[string]struct {
		doc  string
		keys int
		err  string
	}{
		"set":               {set(rsaJWK("")), 1, ""},
		"one key":           {rsaJWK(""), 1, ""},
		"byte order mark":   {"\ufeff" + set(rsaJWK("")), 1, ""},
		"certificates":      {string(certs), 1, ""},
		"duplicates":        {set(rsaJWK(""), rsaJWK("")), 2, ""},
		"unknown type":      {set(`{"kty":"FUTURE","kid":"x"}`, rsaJWK("")), 1, ""},
		"x5u is not read":   {set(rsaJWK(`,"x5u":"https://192.0.2.1/x","x5c":["AA"]`)), 1, ""},
		"for RS256":         {set(rsaJWK(`,"use":"sig","alg":"RS256","key_ops":["verify"]`)), 1, ""},
		"for encryption":    {set(rsaJWK(`,"use":"enc"`)), 0, "is not for signatures"},
		"for signing":       {set(rsaJWK(`,"key_ops":["encrypt"]`)), 0, "is not for verifying"},
		"for PS256":         {set(rsaJWK(`,"alg":"PS256"`)), 0, "is for another algorithm"},
		"weak":              {set(fmt.Sprintf(`{"kty":"RSA","kid":"w","n":%q,"e":"AQAB"}`, modulus(&weak.PublicKey))), 0, "has 1024 bits"},
		"exponent 1":        {set(strings.Replace(rsaJWK(""), "AQAB", "AQ", 1)), 0, "exponent that proves nothing"},
		"exponent 65536":    {set(strings.Replace(rsaJWK(""), "AQAB", "AQAA", 1)), 0, "exponent that proves nothing"},
		"exponent overflow": {set(strings.Replace(rsaJWK(""), "AQAB", "AQAAAAAAAAAAAAAD", 1)), 0, "exponent that is too large"},
		"EC only":           {set(`{"kty":"EC","kid":"e"}`), 0, `key "e" is of type "EC", not RSA`},
		"empty set":         {set(), 0, "no RSA key of the set"},
		"no n":              {set(`{"kty":"RSA","e":"AQAB"}`), 0, "key 1 of the set: its n and e are not an RSA key"},
		"no key":            {set(`7`), 0, "key 1 of the set: it is not a JSON Web Key"},
		"private JWK":       {set(rsaJWK(`,"d":"` + secret + `"`)), 0, "private key"},
		"private, enc":      {set(rsaJWK(""), rsaJWK(`,"use":"enc","d":"`+secret+`"`)), 0, "private key"},
		"private EC":        {set(`{"kty":"EC","d":"` + secret + `"}`), 0, "private key"},
		"private PEM":       {string(pemDoc), 0, "private key"},
		"bare private PEM":  {private, 0, "private key"},
		"service account":   {string(account), 0, "private key"},
		"nothing":           {"", 0, "expected a JSON Web Key Set"},
		"list":              {"[]", 0, "expected a JSON Web Key Set"},
		"other document":    {`{"name":"orders"}`, 0, "expected a JSON Web Key Set"},
		"keys no list":      {`{"keys":7}`, 0, "expected a JSON Web Key Set"},
		"broken cert":       {`{"k":"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"}`, 0, "cannot be read as a certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := credential.ParseKeySet([]byte(c.doc))
			if got.Len() != c.keys || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("got %d keys and error %v, want %d and %q", got.Len(), err, c.keys, c.err)
			}
			if err != nil && (strings.Contains(err.Error(), secret[:16]) || strings.Contains(err.Error(), n[:16])) {
				t.Error("the error quotes the key")
			}
		})
	}
	token := credential.Decode(signed(t, jwt.SigningMethodRS256, key, claims{"kid": "k"}))
	if got := credential.Verify(token, keySet(t, certs)); got.State != credential.Valid {
		t.Errorf("with the certificate: state is %d: %s", got.State, got.Reason)
	}
}
