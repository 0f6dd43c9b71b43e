package credential

import (
	"net/http"
	"regexp"
	"strings"
)

// The headers in which Cloud Run looks for a credential, the one that counts
// first: https://docs.cloud.google.com/run/docs/authenticating/service-to-service.
const (
	Serverless    = "X-Serverless-Authorization"
	Authorization = "Authorization"
)

// A Selection is the credential that counts among the headers of a request.
// The zero Selection is no credential.
type Selection struct {
	Header     string // the header that counts, "" where neither is there
	Credential Credential
	Duplicates int         // how many values that header has
	Malformed  string      // what is wrong with the header itself, "" where it is "Bearer TOKEN"
	Redacted   bool        // the recorded value was blanked out: the credential is not known
	Other      *Credential // the credential in the header that does not count
}

// FromHeaders picks the credential that Cloud Run would check.
func FromHeaders(h http.Header) Selection {
	var sel Selection
	for _, name := range []string{Serverless, Authorization} {
		values := h.Values(name)
		switch {
		case len(values) == 0 || len(values) == 1 && strings.TrimSpace(values[0]) == "" && name == Serverless:
		case sel.Header == "":
			sel = selection(name, values)
		default:
			other := selection(name, values).Credential
			sel.Other = &other
		}
	}
	return sel
}

// placeholder matches what people and tools write in place of a secret.
var placeholder = regexp.MustCompile(`(?i)^(\[?redacted\]?|\[.*\]|<.*>|\*{3,}|x{3,}|\.{3,}|…+|\$\{?[a-z_][a-z0-9_]*\}?|\$\(.*\)|token|id_token|your[-_ ]token.*|eyj[a-z0-9_-]{0,8}(\.{3}|…))$`)

func selection(name string, values []string) Selection {
	sel := Selection{Header: name, Duplicates: len(values)}
	value := strings.TrimSpace(values[0])
	scheme, rest, _ := strings.Cut(value, " ")
	rest = strings.TrimSpace(rest)
	switch {
	case value == "":
		sel.Malformed = "is empty"
	case strings.EqualFold(scheme, "bearer") && rest == "":
		sel.Malformed = "has no token behind Bearer"
	case strings.EqualFold(scheme, "bearer"):
		sel.Redacted = placeholder.MatchString(rest)
		sel.Credential = Decode(rest)
	case rest == "" && placeholder.MatchString(value):
		sel.Redacted = true
	case rest == "":
		sel.Malformed = "lacks the word Bearer before the token"
		sel.Credential = Decode(value)
	default:
		sel.Malformed = "uses the scheme " + schemeWord(scheme)
		sel.Credential = Credential{Kind: Opaque, raw: rest}
	}
	if sel.Malformed != "" && sel.Credential.Kind == None {
		sel.Credential = Credential{Kind: Opaque}
	}
	return sel
}

// schemeWord names a scheme only where it is a known one: what stands first in
// a damaged header may be the secret.
func schemeWord(s string) string {
	for _, known := range []string{"Basic", "Digest", "Negotiate", "Token", "ApiKey", "JWT", "OAuth", "AWS4-HMAC-SHA256", "DPoP"} {
		if strings.EqualFold(s, known) {
			return known
		}
	}
	return "of another kind"
}
