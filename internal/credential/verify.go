package credential

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"
)

// A KeySet holds the RSA keys with which ID tokens are signed, by key ID. The
// zero KeySet is empty and verifies nothing.
type KeySet struct {
	keys map[string]*rsa.PublicKey
	// anonymous keys carry no key ID and are tried for a token without one.
	anonymous []*rsa.PublicKey
}

// Len returns the number of keys that can verify.
func (k KeySet) Len() int { return len(k.keys) + len(k.anonymous) }

// minimalBits is the least size of an RSA key, by RFC 7518 section 3.3.
const minimalBits = 2048

// ParseKeySet reads a JSON Web Key Set, or Google's form of certificates by
// key ID (oauth2/v1/certs). Keys that cannot verify RS256 are left out. Its
// errors quote no key.
func ParseKeySet(doc []byte) (KeySet, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	out := KeySet{keys: map[string]*rsa.PublicKey{}}
	if err := json.Unmarshal(doc, &set); err != nil {
		return KeySet{}, errors.New(`expected a JSON Web Key Set: {"keys":[…]}`)
	}
	for i, raw := range set.Keys {
		if err := out.addJWK(raw); err != nil {
			return KeySet{}, fmt.Errorf("key %d of the set: %w", i, err)
		}
	}
	if set.Keys == nil {
		if err := out.addCertificates(doc); err != nil {
			return KeySet{}, err
		}
	}
	if out.Len() == 0 {
		return KeySet{}, errors.New("the key set holds no RSA key that can verify RS256")
	}
	return out, nil
}

func (k *KeySet) addJWK(raw json.RawMessage) error {
	var head struct{ KTY, KID, ALG, USE, D string }
	if err := json.Unmarshal(raw, &head); err != nil {
		return errors.New("is no JSON Web Key")
	}
	if head.KTY != "RSA" || head.USE == "enc" || (head.ALG != "" && head.ALG != "RS256") {
		return nil
	}
	if head.D != "" {
		return errors.New("is a private key; give the public key set only, and treat this key as disclosed")
	}
	jwk, err := jwkset.NewJWKFromRawJSON(raw, jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{SkipAll: true})
	if err != nil {
		return errors.New("is no valid RSA key")
	}
	if key, ok := jwk.Key().(*rsa.PublicKey); ok {
		k.add(head.KID, key)
	}
	return nil
}

func (k *KeySet) addCertificates(doc []byte) error {
	var certs map[string]string
	if err := json.Unmarshal(doc, &certs); err != nil || len(certs) == 0 {
		return errors.New(`expected a JSON Web Key Set: {"keys":[…]}`)
	}
	for kid, text := range certs {
		block, _ := pem.Decode([]byte(text))
		if block == nil {
			return errors.New(`expected a JSON Web Key Set: {"keys":[…]}`)
		}
		if strings.Contains(block.Type, "PRIVATE") {
			return errors.New("holds a private key; give the public key set only, and treat this key as disclosed")
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return errors.New("holds a certificate that cannot be read")
		}
		if key, ok := cert.PublicKey.(*rsa.PublicKey); ok {
			k.add(kid, key)
		}
	}
	return nil
}

func (k *KeySet) add(kid string, key *rsa.PublicKey) {
	switch {
	case key.N == nil || key.N.BitLen() < minimalBits || key.E < 3:
	case kid == "":
		k.anonymous = append(k.anonymous, key)
	default:
		k.keys[kid] = key
	}
}

// A VerifyState says what became of a signature. The zero VerifyState is
// Invalid.
type VerifyState int

// The states of a verification.
const (
	Invalid VerifyState = iota
	NoSuchKey
	Valid
)

// A Verification is the result of Verify.
type Verification struct {
	State  VerifyState
	KeyID  string
	Reason string // why it is not Valid; never quotes the token
}

// Verify checks the signature of a JWT, and only that, with RS256 and the key
// that its header names. Keys that the token itself brings along are ignored.
func Verify(c Credential, keys KeySet) Verification {
	v := Verification{KeyID: c.Header.KeyID}
	if _, ok := c.Header.Extra["crit"]; ok {
		v.Reason = "its header has critical extensions, which are not understood"
		return v
	}
	candidates := keys.anonymous
	if key, ok := keys.keys[c.Header.KeyID]; ok {
		candidates = []*rsa.PublicKey{key}
	} else if c.Header.KeyID != "" && len(keys.anonymous) == 0 {
		v.State, v.Reason = NoSuchKey, "no key has this key ID"
		return v
	} else if c.Header.KeyID == "" {
		for _, key := range keys.keys {
			candidates = append(candidates, key)
		}
	}
	v.Reason = "no key to verify it with"
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"RS256"}), jwt.WithoutClaimsValidation(), jwt.WithStrictDecoding())
	for _, key := range candidates {
		_, err := parser.Parse(c.raw, func(*jwt.Token) (any, error) { return key, nil })
		if err == nil {
			return Verification{State: Valid, KeyID: c.Header.KeyID}
		}
		v.Reason = verifyReason(err)
	}
	return v
}

// verifyReason says why a signature was refused, without the library's text,
// which may quote the token.
func verifyReason(err error) string {
	switch {
	case errors.Is(err, jwt.ErrTokenMalformed):
		return "the token is malformed"
	case bytes.Contains([]byte(err.Error()), []byte("signing method")):
		return "its algorithm is not RS256"
	}
	return "it was not made with Google's key, or the token was changed"
}
