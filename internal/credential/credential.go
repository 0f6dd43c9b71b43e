// Package credential reads what a caller sends, without trusting it: it says
// what kind of credential it is, whose, for whom and until when, and verifies
// the signature of a JWT against a key set. Nothing it prints or marshals
// holds a signature or another secret.
package credential

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"
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
	ForeignJWT        // a JWT of another issuer
	MalformedJWT      // looks like a JWT and cannot be decoded
	JWE               // an encrypted JWT
	Several           // more than one credential in one value
	Opaque            // anything else
)

var kindNames = [...]string{
	"no credential", "Google ID token", "OAuth access token", "federated access token", "OAuth refresh token", "API key",
	"JWT signed by a service account itself", "Firebase ID token", "IAP assertion", "Kubernetes service account token",
	"GitHub Actions OIDC token", "JWT of another issuer", "malformed JWT", "encrypted JWT", "value with several tokens", "opaque string",
}

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

func (s Signature) String() string {
	return [...]string{"unknown", "present", "missing", "removed by Cloud Run", "not base64url"}[s]
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
	// Problem says why a MalformedJWT cannot be read.
	Problem string

	raw string // as repaired; "" for decoded claims
}

// A Header is the JOSE header of a JWT.
type Header struct {
	Algorithm, KeyID, Type string
	Extra                  map[string]any
}

// Claims are the claims of a JWT that matter for an invocation. Absent claims
// are nil or "".
type Claims struct {
	Issuer, Subject, Email string
	EmailVerified          *bool
	Audience               []string
	AuthorizedParty        string // azp
	HostedDomain           string // hd
	Expiry                 *time.Time
	IssuedAt               *time.Time
	NotBefore              *time.Time
	Extra                  map[string]any // every other claim
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

// serviceAccountDomain ends the e-mail of every service account.
const serviceAccountDomain = "gserviceaccount.com"

// Person reports whether a token is that of a person: its e-mail is no service
// account's. A token without e-mail is taken for a person's only if its
// audience is its authorized party, as in tokens of Google's OAuth clients.
func (c Credential) Person() bool {
	if c.Claims.Email != "" {
		return !strings.HasSuffix(strings.ToLower(c.Claims.Email), serviceAccountDomain)
	}
	return len(c.Claims.Audience) == 1 && c.Claims.AuthorizedParty == c.Claims.Audience[0] && c.Claims.AuthorizedParty != c.Claims.Subject
}

// Who returns the member string of the account that the token names,
// "user:…" or "serviceAccount:…", or "" where it names none.
func (c Credential) Who() string {
	email := strings.ToLower(c.Claims.Email)
	switch {
	case email == "":
		return ""
	case strings.HasSuffix(email, serviceAccountDomain):
		return "serviceAccount:" + email
	}
	return "user:" + email
}

// Client guesses what minted the credential, in the names of contract section
// 2, or "" where nothing tells.
func (c Credential) Client() string {
	switch c.Kind {
	case GitHub:
		return "github-actions"
	case Kubernetes:
		return "gke"
	case Firebase:
		return "firebase-sdk"
	case IAPAssertion:
		return "iap"
	case SelfSigned:
		return "service-account-key"
	}
	if _, ok := c.Claims.Extra["google"]; ok {
		return "metadata-server"
	}
	if len(c.Claims.Audience) == 1 && c.Claims.Audience[0] == "32555940559.apps.googleusercontent.com" {
		return "gcloud"
	}
	return ""
}

// ForRequest returns the credential as it is to be sent to the service under
// test, and nowhere else.
func (c Credential) ForRequest() string { return c.raw }

// Redacted returns a form that can be kept: of a JWT its header and claims
// with the signature marked as removed, of anything else only its kind.
func (c Credential) Redacted() string {
	parts := strings.Split(c.raw, ".")
	if c.JWT() && len(parts) == 3 && c.Kind != MalformedJWT {
		return parts[0] + "." + parts[1] + "." + removed
	}
	return "[" + c.Kind.String() + "]"
}

// String describes the credential without its secret.
func (c Credential) String() string { return "[" + c.Kind.String() + "]" }

// GoString is String.
func (c Credential) GoString() string { return c.String() }

// Format writes String for every verb.
func (c Credential) Format(f fmt.State, _ rune) { io.WriteString(f, c.String()) }

// MarshalJSON marshals String.
func (c Credential) MarshalJSON() ([]byte, error) { return json.Marshal(c.String()) }

// LogValue logs String.
func (c Credential) LogValue() slog.Value { return slog.StringValue(c.String()) }

// Synthetic returns a correct Google ID token of a member for an audience, as
// a supposition: it has no signature to send.
func Synthetic(member, audience string, now time.Time) Credential {
	issued, expires, verified := now, now.Add(time.Hour), true
	_, email, _ := strings.Cut(member, ":")
	c := Credential{Kind: IDToken, Clean: true, Header: Header{Algorithm: "RS256"}, Claims: Claims{
		Issuer: googleIssuer, Email: email, EmailVerified: &verified, IssuedAt: &issued, Expiry: &expires,
	}}
	if audience != "" {
		c.Claims.Audience = []string{audience}
	}
	return c
}

// ClaimProblems lists what is wrong with the time claims at a moment: every
// problem, not the first.
func ClaimProblems(c Credential, now time.Time) []string {
	var out []string
	if e := c.Claims.Expiry; e != nil && !e.After(now) {
		out = append(out, "expired "+Duration(now.Sub(*e))+" ago")
	}
	for name, t := range map[string]*time.Time{"iat": c.Claims.IssuedAt, "nbf": c.Claims.NotBefore} {
		if t != nil && t.Sub(now) > 5*time.Minute {
			out = append(out, name+" lies "+Duration(t.Sub(now))+" in the future")
		}
	}
	return out
}

// Duration writes a duration as people say it: "12 m", "3 h 20 m", "2 d".
func Duration(d time.Duration) string {
	switch {
	case d < 0:
		return "-" + Duration(-d)
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d m", int(d.Minutes()))
	case d < 24*time.Hour:
		h, m := int(d.Hours()), int(d.Minutes())%60
		if m == 0 {
			return fmt.Sprintf("%d h", h)
		}
		return fmt.Sprintf("%d h %d m", h, m)
	}
	return fmt.Sprintf("%d d", int(d.Hours())/24)
}
