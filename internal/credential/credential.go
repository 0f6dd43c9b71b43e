// Package credential reads what a caller sends, without trusting it: it says
// what kind of credential it is, whose, for whom and until when, and verifies
// the signature of a JWT against a key set. Reading never fails: a damaged or
// foreign credential is described, not refused, because whether Google refuses
// it is for the checks to say. Nothing that is printed or marshalled here
// holds a signature or another secret.
package credential

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// A Kind says what a credential is. The zero Kind is no credential.
type Kind int

// The kinds of credential.
const (
	None         Kind = iota
	IDToken           // a JWT that says that Google issued it
	AccessToken       // an OAuth access token of Google: ya29.…
	STSToken          // a federated access token of Google's Security Token Service
	RefreshToken      // 1//…
	APIKey            // AIza…
	SelfSigned        // a JWT that a service account signed itself
	Firebase          // an ID token or session cookie of Firebase or Identity Platform
	IAPAssertion      // the assertion that IAP hands to a backend
	Kubernetes        // a service account token of a cluster
	GitHub            // an OIDC token of GitHub Actions
	ForeignJWT        // a JWT of another issuer, see Provider
	MalformedJWT      // looks like a JWT and cannot be decoded, see Problem
	JWE               // an encrypted JWT
	Several           // more than one credential in one value
	Opaque            // anything else
)

var kindNames = [...]string{
	"no credential", "Google ID token", "OAuth access token", "federated access token", "OAuth refresh token", "API key",
	"JWT signed by a service account itself", "Firebase ID token", "IAP assertion", "Kubernetes service account token",
	"GitHub Actions OIDC token", "JWT of another issuer", "malformed JWT", "encrypted JWT", "value with several tokens", "opaque string",
}

// String returns the noun for the kind, such as "Google ID token".
func (k Kind) String() string {
	if k < 0 || int(k) >= len(kindNames) {
		return "opaque string"
	}
	return kindNames[k]
}

// A Signature says what stands in the third part of a JWT. The zero Signature
// is unknown, as of decoded claims.
type Signature int

// The states of a signature.
const (
	SignatureUnknown Signature = iota
	SignaturePresent
	SignatureMissing     // the third part is empty
	SignatureRemoved     // Cloud Run replaced it: SIGNATURE_REMOVED_BY_GOOGLE
	SignatureUndecodable // it is no base64url
)

var signatureNames = [...]string{"unknown", "present", "missing", "removed by Cloud Run", "not base64url"}

// String returns the state in words.
func (s Signature) String() string {
	if s < 0 || int(s) >= len(signatureNames) {
		return "unknown"
	}
	return signatureNames[s]
}

// removed is what Cloud Run writes in place of the signature that it verified,
// by https://docs.cloud.google.com/run/docs/troubleshooting.
const removed = "SIGNATURE_REMOVED_BY_GOOGLE"

// A Credential is a decoded, unverified credential. The zero Credential is
// none. Its printed and marshalled forms hold no secret.
type Credential struct {
	Kind      Kind
	Header    Header
	Claims    Claims
	Signature Signature
	// Clean is false where copying damaged the value in a way that the request
	// would show; Repairs lists what was undone to read it.
	Clean   bool
	Repairs []string
	// Problem says why a MalformedJWT or JWE cannot be read. It never quotes
	// the credential.
	Problem string
	// Verified is what became of the signature before it was removed, as a case
	// says that keeps a token without it. It is nil for every other credential.
	Verified *Verification
	// Supposed is true for a credential that was never captured: a correct one
	// that somebody might send.
	Supposed bool

	raw secret // as repaired; nil for decoded claims
}

// A secret is a pointer to a string because that is what fmt never follows:
// printing a struct that holds a Credential in an unexported field, where fmt
// cannot call Format, shows an address with every verb.
type secret *string

func (c Credential) text() string {
	if c.raw == nil {
		return ""
	}
	return *c.raw
}

// JWT reports whether the credential is a JWT of any issuer, well-formed or
// not.
func (c Credential) JWT() bool {
	switch c.Kind {
	case IDToken, SelfSigned, Firebase, IAPAssertion, Kubernetes, GitHub, ForeignJWT, MalformedJWT, JWE:
		return true
	case STSToken:
		return c.Claims.Issuer != ""
	}
	return false
}

// ForRequest returns the credential, with copying damage undone, as it is to
// be sent to the service under test, and nowhere else. It is "" for decoded
// and supposed credentials.
func (c Credential) ForRequest() string { return c.text() }

// Redacted returns a form that can be kept in a case: of a JWT its header and
// claims with the signature marked as removed, of anything else only its kind.
func (c Credential) Redacted() string {
	parts := strings.Split(c.text(), ".")
	if c.JWT() && len(parts) == 3 && c.Kind != MalformedJWT {
		return parts[0] + "." + parts[1] + "." + removed
	}
	return "[" + c.Kind.String() + "]"
}

// String describes the credential by kind and length, without its secret.
func (c Credential) String() string {
	if n := len(c.text()); n > 0 {
		return fmt.Sprintf("[%s, %d characters]", c.Kind, n)
	}
	return "[" + c.Kind.String() + "]"
}

// GoString is String.
func (c Credential) GoString() string { return c.String() }

// Format writes String for every verb.
func (c Credential) Format(f fmt.State, _ rune) { io.WriteString(f, c.String()) }

// MarshalJSON marshals String.
func (c Credential) MarshalJSON() ([]byte, error) { return json.Marshal(c.String()) }

// MarshalText is String.
func (c Credential) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// LogValue logs String.
func (c Credential) LogValue() slog.Value { return slog.StringValue(c.String()) }
