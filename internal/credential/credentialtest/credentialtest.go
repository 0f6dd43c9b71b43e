// Package credentialtest signs tokens for tests and fixtures with one fixed
// key. The key is public knowledge and protects nothing.
package credentialtest

import (
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"sync"

	"github.com/golang-jwt/jwt/v5"
)

// KeyID is the key ID of the test key, in the tokens and in JWKS.
const KeyID = "diagnose-test-key"

// An Option changes the header of a token before it is signed.
type Option func(header map[string]any)

// Header sets a parameter of the header; a nil value removes it. The signature
// is made with RS256 whatever alg says.
func Header(name string, value any) Option {
	return func(h map[string]any) {
		if h[name] = value; value == nil {
			delete(h, name)
		}
	}
}

var privateKey = sync.OnceValues(func() (*rsa.PrivateKey, error) {
	return jwt.ParseRSAPrivateKeyFromPEM([]byte(testKeyPEM))
})

// Sign returns a JWT with the claims, signed with RS256 and the test key: the
// same one for the same arguments. Claims or headers that cannot be marshalled
// give the error's text, which is no token.
func Sign(claims map[string]any, options ...Option) string {
	header := map[string]any{"alg": "RS256", "kid": KeyID, "typ": "JWT"}
	for _, set := range options {
		set(header)
	}
	h, err := json.Marshal(header)
	if err != nil {
		return fmt.Sprintf("signing a test token: %v", err)
	}
	c, err := json.Marshal(claims)
	if err != nil {
		return fmt.Sprintf("signing a test token: %v", err)
	}
	return SignParts(string(h), string(c))
}

// SignParts signs a header and a payload given as text, so that a test can
// sign what is no JSON.
func SignParts(header, payload string) string {
	encode := base64.RawURLEncoding.EncodeToString
	text := encode([]byte(header)) + "." + encode([]byte(payload))
	key, err := privateKey()
	if err != nil {
		return fmt.Sprintf("reading the test key: %v", err)
	}
	signature, err := jwt.SigningMethodRS256.Sign(text, key)
	if err != nil {
		return fmt.Sprintf("signing a test token: %v", err)
	}
	return text + "." + encode(signature)
}

// JWKS returns the JSON Web Key Set that verifies the tokens of Sign.
func JWKS() []byte {
	key, err := privateKey()
	if err != nil {
		return nil
	}
	encode := base64.RawURLEncoding.EncodeToString
	return fmt.Appendf(nil, `{"keys":[{"kty":"RSA","use":"sig","alg":"RS256","kid":%q,"n":%q,"e":%q}]}`+"\n",
		KeyID, encode(key.N.Bytes()), encode(big.NewInt(int64(key.E)).Bytes()))
}
