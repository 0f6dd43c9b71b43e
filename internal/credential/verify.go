package credential

import (
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

// A VerifyState says what became of a signature. The zero VerifyState is
// Unverified.
type VerifyState int

// The states of a verification.
const (
	Unverified     VerifyState = iota // there is nothing to verify, or no key
	Valid                             // made with a key of the set
	Invalid                           // not made with the key, or unusable
	NoSuchKey                         // the set lacks the key that the token names
	WrongAlgorithm                    // not RS256
)

// A Verification is the result of Verify. The zero Verification says nothing.
type Verification struct {
	State  VerifyState
	KeyID  string // as the token names it
	Reason string // why it is not Valid; never quotes the signature
}

// Verify checks the signature of a JWT, and only that: with RS256, the
// algorithm of Google's ID tokens, and a key of the set, whatever algorithm or
// key the token itself proposes (alg, jwk, jku, x5u, x5c). It judges the value
// with copying damage undone; Clean says whether there was any. Of a token that
// was verified before its signature was removed, the result is the one kept.
func Verify(c Credential, keys KeySet) Verification {
	if c.raw == nil && c.Verified != nil {
		return *c.Verified
	}
	v := Verification{KeyID: c.Header.KeyID}
	parts := strings.Split(c.text(), ".")
	switch {
	case !c.JWT() || c.raw == nil:
		v.Reason = "there is no JWT with a signature to verify"
	case c.Kind == JWE || len(parts) != 3:
		v.State, v.Reason = Invalid, "it is not a signed JWT"
	case c.Header.Algorithm != jwt.SigningMethodRS256.Alg():
		v.State, v.Reason = WrongAlgorithm, "its algorithm is not RS256"
	case c.Header.critical():
		v.State, v.Reason = Invalid, "its header needs extensions that diagnose does not know"
	case c.Signature != SignaturePresent:
		v.State, v.Reason = Invalid, "its signature is "+c.Signature.String()
	case !readable(parts[0]) || !canonical(parts[1]):
		v.State, v.Reason = Invalid, "it is not in base64url throughout"
	case keys.Len() == 0:
		v.Reason = "there is no key to verify it with"
	default:
		v.try(parts, keys)
	}
	return v
}

// critical reports whether the header changes the meaning of the signature, by
// https://www.rfc-editor.org/rfc/rfc7515#section-4.1.11 or RFC 7797.
func (h Header) critical() bool {
	_, crit := h.Extra["crit"]
	encoded, ok := h.Extra["b64"].(bool)
	return crit || ok && !encoded
}

func canonical(part string) bool {
	_, note, err := segment(part)
	return err == nil && note == nil
}

// readable reports whether the part is a JSON object, encoded as it must be.
func readable(part string) bool {
	m, err := object(part)
	return m != nil && err == nil
}

func (v *Verification) try(parts []string, keys KeySet) {
	candidates := keys.candidates(v.KeyID)
	if len(candidates) == 0 {
		v.State, v.Reason = NoSuchKey, "no key has this key ID"
		if why := keys.skipped[v.KeyID]; why != "" {
			v.Reason = "the key with this key ID " + why
		}
		return
	}
	signature, _, _ := segment(parts[2])
	for _, key := range candidates {
		if jwt.SigningMethodRS256.Verify(parts[0]+"."+parts[1], signature, key) == nil {
			v.State, v.Reason = Valid, ""
			return
		}
	}
	v.State, v.Reason = Invalid, "it was made with a different key, or the token was changed"
}
