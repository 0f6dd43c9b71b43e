package credential

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"sort"
	"strings"
)

// The headers in which Cloud Run looks for a credential, the one that counts
// first: https://docs.cloud.google.com/run/docs/authenticating/service-to-service.
const (
	Serverless    = "X-Serverless-Authorization"
	Authorization = "Authorization"
)

// A Selection is the credential that counts among the headers of a request.
// The zero Selection says nothing.
type Selection struct {
	Header string // the header that counts, "" where neither is there
	scheme string // "Bearer", another known scheme, or "" where there is none
	// Credential is what the header holds. A header without a token that can be
	// read counts as an opaque one: whether Cloud Run takes it for no credential
	// or for an invalid one is not documented.
	Credential  Credential
	Duplicates  int    // how many values that header has
	Malformed   string // what is wrong with the header itself, "" where it is "Bearer TOKEN"
	Redacted    bool   // the recorded value was blanked out: the credential is not known
	OtherHeader string // the header that does not count, "" where it is not there
	Other       *Credential
	Notes       []string // what else the headers tell about the credential
}

// FromHeaders picks the credential that Cloud Run would check:
// X-Serverless-Authorization where it is not empty, else Authorization. Nil
// headers are unknown ones. Names are compared regardless of case.
func FromHeaders(h http.Header) Selection {
	if h == nil {
		return Selection{}
	}
	sel := Selection{}
	for _, name := range []string{Serverless, Authorization} {
		values := valuesOf(h, name)
		empty := !slices.ContainsFunc(values, func(v string) bool { return strings.TrimSpace(v) != "" })
		switch {
		case len(values) == 0 || name == Serverless && empty:
		case sel.Header == "":
			sel = selection(name, values)
		case !empty:
			other := selection(name, values).Credential
			sel.OtherHeader, sel.Other = name, &other
		}
	}
	sel.noteOther()
	sel.noteBeside(h)
	return sel
}

func valuesOf(h http.Header, name string) []string {
	var keys, out []string
	for k := range h {
		if strings.EqualFold(k, name) {
			keys = append(keys, k)
		}
	}
	sort.Strings(keys)
	for _, k := range keys {
		out = append(out, h[k]...)
	}
	return out
}

// placeholder matches what people and tools write in place of a secret.
var placeholder = regexp.MustCompile(`(?i)^(\[?redacted\]?|\[[^\]]*\]|<[^>]*>|\{\{.*\}\}|\*{3,}|x{3,}|(eyj|ya29\.)?[a-z0-9_-]{0,12}(\.{3}|…|\*{3,})|…+|` +
	`\$\{?[a-z_][a-z0-9_]*\}?|\$\(.*\)|%[a-z_]+%|(id[-_ ]?|access[-_ ]?)?token|your[-_ ].*)$`)

// blanks are what programs write in place of a token that they do not have:
// the value was sent so.
var blanks = []string{"undefined", "null", "none", "nil", "[object object]", "[object promise]", "false", "nan"}

func redacted(value string) bool {
	return placeholder.MatchString(value) && !slices.Contains(blanks, strings.ToLower(value))
}

var bearerWithColon = regexp.MustCompile(`(?i)^bearer\s*[:=]`)

// selection reads the values of one header. Of several values the first one
// is decoded.
func selection(name string, values []string) Selection {
	sel := Selection{Header: name, Duplicates: len(values)}
	value := strings.TrimSpace(values[0])
	word, rest := cutScheme(value)
	sel.scheme = knownScheme(word)
	switch {
	case value == "":
		sel.Malformed = "is empty"
	case bearerWithColon.MatchString(value):
		sel.scheme, sel.Malformed = "Bearer", "has a colon or equals sign after Bearer"
		rest = strings.TrimSpace(bearerWithColon.ReplaceAllString(value, ""))
	case sel.scheme == "Bearer" && rest == "":
		sel.Malformed = "has no token after Bearer"
	case sel.scheme == "Bearer":
	case rest == "" || looksLikeJWT(word) || redacted(value):
		sel.scheme, rest = "", value
		if !redacted(value) {
			sel.Malformed = "does not have the word Bearer before the token"
		}
	case sel.scheme != "":
		sel.Malformed = "uses the scheme " + sel.scheme
	default:
		sel.Malformed = "uses an unknown scheme"
	}
	sel.read(rest)
	return sel
}

func (sel *Selection) read(value string) {
	switch {
	case redacted(value):
		sel.Redacted = true
		return
	case sel.scheme == "Basic" || sel.scheme == "Digest":
		sel.Credential = Credential{Kind: Opaque, raw: &value}
		return
	}
	sel.Credential = Decode(value)
	if sel.Credential.Kind == None {
		sel.Credential.Kind = Opaque
	}
	if i := slices.Index(blanks, strings.ToLower(value)); i >= 0 {
		sel.Notes = append(sel.Notes, fmt.Sprintf("it has the word %q instead of a token: the client had none", blanks[i]))
	}
}

func cutScheme(value string) (word, rest string) {
	i := strings.IndexAny(value, " \t")
	if i < 0 {
		return value, ""
	}
	return value[:i], strings.TrimSpace(value[i:])
}

// knownScheme names a scheme only where it is a known one: what stands first
// in a damaged header may be the secret.
func knownScheme(s string) string {
	for _, known := range []string{"Bearer", "Basic", "Digest", "Negotiate", "Token", "ApiKey", "JWT", "OAuth", "AWS4-HMAC-SHA256", "DPoP"} {
		if strings.EqualFold(s, known) {
			return known
		}
	}
	return ""
}

// noteOther compares the two headers where both hold a Google ID token.
func (sel *Selection) noteOther() {
	if sel.Other == nil || sel.Credential.Kind != IDToken || sel.Other.Kind != IDToken {
		return
	}
	a, b := sel.Credential.Claims, sel.Other.Claims
	if !slices.Equal(a.Audience, b.Audience) {
		sel.Notes = append(sel.Notes, fmt.Sprintf("%s is for %q, and %s, which does not count, for %q", sel.Header, a.Audience, sel.OtherHeader, b.Audience))
	}
	if a.Expiry != nil && b.Expiry != nil && !a.Expiry.Equal(*b.Expiry) {
		sel.Notes = append(sel.Notes, fmt.Sprintf("the tokens in %s and %s expire at different times", sel.Header, sel.OtherHeader))
	}
}

// beside are headers that carry or carried a credential and do not count.
var beside = []struct{ header, says string }{
	{"X-Forwarded-Authorization", "a gateway moved the caller's own token to X-Forwarded-Authorization"},
	{"X-Goog-Iap-Jwt-Assertion", "the request came through IAP, which adds X-Goog-Iap-Jwt-Assertion"},
	{"X-Apigateway-Api-Userinfo", "the request came through API Gateway, which adds X-Apigateway-Api-Userinfo"},
	{"X-Endpoint-Api-Userinfo", "the request came through an Endpoints proxy, which adds X-Endpoint-API-UserInfo"},
	{"Proxy-Authorization", "Proxy-Authorization is for a proxy on the way, not for the service"},
	{"X-Goog-Api-Key", "X-Goog-Api-Key has an API key, which Cloud Run does not accept"},
	{"X-Api-Key", "X-Api-Key has an API key, which Cloud Run does not accept"},
}

func (sel *Selection) noteBeside(h http.Header) {
	for _, b := range beside {
		if len(valuesOf(h, b.header)) > 0 {
			sel.Notes = append(sel.Notes, b.says)
		}
	}
}
