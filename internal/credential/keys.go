package credential

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/MicahParks/jwkset"
)

// A KeySet holds the RSA keys with which ID tokens are signed, by key ID. The
// zero KeySet is empty and verifies nothing.
type KeySet struct {
	// keys under "" carry no key ID and are tried where no other one is named.
	keys    map[string][]*rsa.PublicKey
	skipped map[string]string // key ID to the reason why that key does not count
}

// Len returns the number of keys that can verify.
func (k KeySet) Len() int {
	n := 0
	for _, same := range k.keys {
		n += len(same)
	}
	return n
}

// Has reports whether the set names a key, usable or not.
func (k KeySet) Has(keyID string) bool { return len(k.keys[keyID]) > 0 || k.skipped[keyID] != "" }

// String says how many keys the set has.
func (k KeySet) String() string { return fmt.Sprintf("key set, usable RSA keys: %d", k.Len()) }

// The sizes of an RSA key in bits: the least by
// https://www.rfc-editor.org/rfc/rfc7518#section-3.3, and one that still
// verifies in reasonable time.
const (
	minimalBits = 2048
	maximalBits = 16384
)

var (
	errKeyShape = errors.New(`expected a JSON Web Key Set, {"keys":[…]}, or certificates by key ID, {"KEY_ID":"CERTIFICATE IN PEM"}`)
	errPrivate  = errors.New("it is a private key: give the public key set only, and treat this key as disclosed")
)

// ParseKeySet reads a JSON Web Key Set, one JSON Web Key, or Google's form of
// certificates by key ID (https://www.googleapis.com/oauth2/v1/certs). Keys
// that cannot verify RS256 are left out: other types and uses, less than 2048
// bits. It fails where no key remains and where a private key is in the
// document. Errors quote no key.
func ParseKeySet(doc []byte) (KeySet, error) {
	doc = bytes.TrimPrefix(bytes.TrimSpace(doc), []byte("\ufeff"))
	out := KeySet{keys: map[string][]*rsa.PublicKey{}, skipped: map[string]string{}}
	members, err := decodeObject(doc)
	if err != nil {
		if bytes.Contains(doc, []byte("PRIVATE KEY-----")) {
			return KeySet{}, errPrivate
		}
		return KeySet{}, errKeyShape
	}
	switch {
	case members["private_key"] != nil:
		err = errPrivate
	case members["keys"] != nil:
		err = out.addSet(doc)
	case members["kty"] != nil:
		err = out.addJWK(doc)
	default:
		err = out.addCertificates(members)
	}
	if err != nil {
		return KeySet{}, err
	}
	if out.Len() == 0 {
		return KeySet{}, errors.New("no RSA key of the set can verify RS256" + out.reasons())
	}
	return out, nil
}

func (k *KeySet) reasons() string {
	var all []string
	for _, kid := range slices.Sorted(maps.Keys(k.skipped)) {
		all = append(all, fmt.Sprintf("key %q %s", kid, k.skipped[kid]))
	}
	if len(all) == 0 {
		return ""
	}
	return ": " + strings.Join(all, ", ")
}

func (k *KeySet) addSet(doc []byte) error {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(doc, &set); err != nil {
		return errKeyShape
	}
	for i, raw := range set.Keys {
		if err := k.addJWK(raw); err != nil {
			return fmt.Errorf("key %d of the set: %w", i+1, err)
		}
	}
	return nil
}

// jwk are the members of a JSON Web Key that matter here,
// https://www.rfc-editor.org/rfc/rfc7518#section-6.3. The private ones are
// only looked for.
type jwk struct {
	KeyType    string          `json:"kty"`
	ID         string          `json:"kid"`
	Use        string          `json:"use"`
	Operations []string        `json:"key_ops"`
	Algorithm  string          `json:"alg"`
	N          string          `json:"n"`
	E          string          `json:"e"`
	D          json.RawMessage `json:"d"`
	P          json.RawMessage `json:"p"`
	Q          json.RawMessage `json:"q"`
}

// unfit says why a key cannot verify RS256, or "".
func (j jwk) unfit() string {
	switch {
	case j.KeyType != "RSA":
		return "is of type " + fmt.Sprintf("%.10q", j.KeyType) + ", not RSA"
	case j.Use != "" && j.Use != "sig":
		return "is not for signatures"
	case len(j.Operations) > 0 && !slices.Contains(j.Operations, "verify"):
		return "is not for verifying"
	case j.Algorithm != "" && j.Algorithm != "RS256":
		return "is for another algorithm than RS256"
	case len(j.E) > 6: // more than 4 bytes, which no exponent in use needs
		return "has an exponent that is too large"
	}
	return ""
}

func (k *KeySet) addJWK(raw json.RawMessage) error {
	var j jwk
	if err := json.Unmarshal(raw, &j); err != nil {
		return errors.New("it is not a JSON Web Key")
	}
	if j.D != nil || j.P != nil || j.Q != nil {
		return errPrivate
	}
	if why := j.unfit(); why != "" {
		k.skip(j.ID, why)
		return nil
	}
	// Only n and e are handed on: x5u and x5c in a key lead elsewhere.
	public := jwkset.JWKMarshal{KTY: jwkset.KtyRSA, N: j.N, E: j.E}
	parsed, err := jwkset.NewJWKFromMarshal(public, jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{SkipAll: true})
	if err != nil {
		return errors.New("its n and e are not an RSA key")
	}
	if key, ok := parsed.Key().(*rsa.PublicKey); ok {
		k.add(j.ID, key)
	}
	return nil
}

func (k *KeySet) addCertificates(members map[string]any) error {
	for _, kid := range slices.Sorted(maps.Keys(members)) {
		text, ok := members[kid].(string)
		block, _ := pem.Decode([]byte(text))
		if !ok || block == nil {
			return errKeyShape
		}
		if strings.Contains(block.Type, "PRIVATE") {
			return fmt.Errorf("key %q: %w", kid, errPrivate)
		}
		public, err := publicKey(block)
		if err != nil {
			return fmt.Errorf("key %q: it cannot be read as a certificate or public key", kid)
		}
		if key, ok := public.(*rsa.PublicKey); ok {
			k.add(kid, key)
		} else {
			k.skip(kid, "is not RSA")
		}
	}
	return nil
}

func publicKey(block *pem.Block) (any, error) {
	if block.Type != "CERTIFICATE" {
		return x509.ParsePKIXPublicKey(block.Bytes)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, err
	}
	return cert.PublicKey, nil
}

func (k *KeySet) add(kid string, key *rsa.PublicKey) {
	switch bits := key.N.BitLen(); {
	case bits < minimalBits:
		k.skip(kid, fmt.Sprintf("has %d bits, and %d are the least", bits, minimalBits))
	case bits > maximalBits:
		k.skip(kid, fmt.Sprintf("has %d bits", bits))
	case key.E < 3 || key.E%2 == 0:
		k.skip(kid, "has an exponent that proves nothing")
	default:
		k.keys[kid] = append(k.keys[kid], key)
	}
}

func (k *KeySet) skip(kid, why string) { k.skipped[kid] = why }

// candidates returns the keys to try for a key ID: all keys of that ID, else
// those without one; for a token that names none, all.
func (k KeySet) candidates(kid string) []*rsa.PublicKey {
	if kid != "" {
		if same := k.keys[kid]; len(same) > 0 {
			return same
		}
		return k.keys[""]
	}
	var all []*rsa.PublicKey
	for _, id := range slices.Sorted(maps.Keys(k.keys)) {
		all = append(all, k.keys[id]...)
	}
	return all
}
