package credential

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const googleIssuer = "https://accounts.google.com"

// Decode reads a credential as it was sent or pasted. It never fails: what
// cannot be read is said by the kind and the problem.
func Decode(raw string) Credential {
	value, repairs, several := clean(raw)
	c := Credential{Clean: len(repairs) == 0, Repairs: repairs, raw: value}
	switch {
	case value == "":
		c.raw, c.Kind = "", None
	case several:
		c.Kind = Several
	case strings.HasPrefix(value, "ya29.d."):
		c.Kind = STSToken
	case strings.HasPrefix(value, "ya29."):
		c.Kind = AccessToken
	case strings.HasPrefix(value, "1//"):
		c.Kind = RefreshToken
	case strings.HasPrefix(value, "AIza") && !strings.Contains(value, "."):
		c.Kind = APIKey
	case looksLikeJWT(value):
		c.decodeJWT(value)
	default:
		c.Kind = Opaque
	}
	return c
}

// jwtStart is how every JWT starts: base64url of `{"`, with white space
// perhaps between.
var jwtStart = regexp.MustCompile(`^(eyJ|ewog|ew0K|eyA|ewo|IHs)`)

func looksLikeJWT(s string) bool {
	dots := strings.Count(s, ".")
	return jwtStart.MatchString(s) || (dots == 2 || dots == 4) && decodable(s[:strings.IndexByte(s, '.')])
}

func decodable(segment string) bool {
	b, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(segment, "="))
	return err == nil && len(b) > 0 && b[0] == '{'
}

var bearer = regexp.MustCompile(`(?i)^bearer(\s+|:\s*)`)

// clean undoes what copying does to a credential, and says what it undid. What
// a file needs anyway, such as its last line break, is no repair.
func clean(raw string) (value string, repairs []string, several bool) {
	undo := func(what string) { repairs = append(repairs, what) }
	s := strings.TrimPrefix(raw, "\ufeff")
	s = strings.TrimSpace(s)
	if rest, ok := cutFold(s, "authorization:"); ok {
		undo("\"Authorization:\" stands before the token")
		s = strings.TrimSpace(rest)
	}
	for n := 0; ; n++ {
		if t := strings.Trim(s, "\"'`"); t != s {
			undo("quotation marks stand around the token")
			s = strings.TrimSpace(t)
		}
		loc := bearer.FindStringIndex(s)
		if loc == nil {
			if strings.EqualFold(s, "bearer") {
				s = ""
			}
			break
		}
		if n == 0 {
			undo("\"Bearer\" is part of the token")
		} else if n == 1 {
			repairs[len(repairs)-1] = "\"Bearer\" stands twice before the token"
		}
		s = s[loc[1]:]
	}
	if t := strings.TrimRight(s, ",;"); t != s {
		undo("a comma or semicolon follows the token")
		s = t
	}
	if strings.Contains(s, "%2E") || strings.Contains(s, "%2e") {
		if t, err := url.PathUnescape(s); err == nil {
			undo("the token is URL-encoded")
			s = t
		}
	}
	fields := strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(" \t\r\n,", r) })
	if len(fields) > 1 {
		if countTokens(fields) > 1 {
			return s, repairs, true
		}
		undo("white space or a line break stands inside the token")
		s = strings.Join(fields, "")
	}
	return s, repairs, false
}

func cutFold(s, prefix string) (string, bool) {
	if len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix) {
		return s[len(prefix):], true
	}
	return s, false
}

func countTokens(fields []string) int {
	n := 0
	for _, f := range fields {
		if jwtStart.MatchString(f) && strings.Count(f, ".") == 2 || strings.HasPrefix(f, "ya29.") {
			n++
		}
	}
	return n
}

func (c *Credential) malformed(format string, args ...any) {
	c.Kind, c.Problem = MalformedJWT, fmt.Sprintf(format, args...)
}

func (c *Credential) decodeJWT(s string) {
	parts := strings.Split(s, ".")
	switch len(parts) {
	case 3:
	case 5:
		c.Kind, c.Problem = JWE, "it has five parts, as an encrypted JWT has"
		return
	default:
		c.malformed("it has %d parts, and a JWT has three", len(parts))
		return
	}
	c.Signature = signatureState(parts[2])
	header, err := object(parts[0])
	if err != nil {
		c.malformed("its first part, the header, %v", err)
		return
	}
	c.Header = headerOf(header)
	claims, err := object(parts[1])
	if err != nil {
		c.malformed("its second part, the claims, %v", err)
		return
	}
	c.Claims, err = claimsOf(claims)
	if err != nil {
		c.malformed("%v", err)
		return
	}
	c.Kind = kindOf(c.Claims)
}

func signatureState(part string) Signature {
	switch {
	case part == "":
		return SignatureMissing
	case part == removed:
		return SignatureRemoved
	}
	if _, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(part, "=")); err != nil {
		return SignatureUndecodable
	}
	return SignaturePresent
}

// object decodes one part of a JWT. Its errors never quote the part.
func object(part string) (map[string]any, error) {
	b, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(part, "="))
	if err != nil {
		return nil, errors.New("is no base64url")
	}
	m, err := decodeObject(b)
	if err != nil {
		return nil, errors.New("is no JSON object")
	}
	return m, nil
}

func decodeObject(b []byte) (map[string]any, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var m map[string]any
	if err := d.Decode(&m); err != nil {
		return nil, err
	}
	if m == nil || d.More() {
		return nil, errors.New("no single object")
	}
	return m, nil
}

func headerOf(m map[string]any) Header {
	h := Header{Extra: map[string]any{}}
	for k, v := range m {
		s, _ := v.(string)
		switch k {
		case "alg":
			h.Algorithm = s
		case "kid":
			h.KeyID = s
		case "typ":
			h.Type = s
		default:
			h.Extra[k] = v
		}
	}
	return h
}

func claimsOf(m map[string]any) (Claims, error) {
	c := Claims{Extra: map[string]any{}}
	var errs []string
	text := func(dst *string, name string, v any) {
		s, ok := v.(string)
		if !ok {
			errs = append(errs, name+" is no string")
		}
		*dst = s
	}
	instant := func(dst **time.Time, name string, v any) {
		t, ok := numericDate(v)
		if !ok {
			errs = append(errs, name+" is no time in seconds")
			return
		}
		*dst = &t
	}
	for k, v := range m {
		switch k {
		case "iss":
			text(&c.Issuer, k, v)
		case "sub":
			text(&c.Subject, k, v)
		case "email":
			c.Email, _ = v.(string) // a null e-mail is an absent one
		case "email_verified":
			if b, ok := boolOf(v); ok {
				c.EmailVerified = &b
			}
		case "azp":
			c.AuthorizedParty, _ = v.(string)
		case "hd":
			c.HostedDomain, _ = v.(string)
		case "aud":
			c.Audience = audienceOf(v)
		case "exp":
			instant(&c.Expiry, k, v)
		case "iat":
			instant(&c.IssuedAt, k, v)
		case "nbf":
			instant(&c.NotBefore, k, v)
		default:
			c.Extra[k] = v
		}
	}
	if len(errs) > 0 {
		return c, errors.New("its claim " + strings.Join(errs, ", "))
	}
	return c, nil
}

func boolOf(v any) (bool, bool) {
	switch b := v.(type) {
	case bool:
		return b, true
	case string:
		t, err := strconv.ParseBool(b)
		return t, err == nil
	}
	return false, false
}

func audienceOf(v any) []string {
	switch a := v.(type) {
	case string:
		return []string{a}
	case []any:
		var out []string
		for _, x := range a {
			if s, ok := x.(string); ok {
				out = append(out, s)
			}
		}
		return out
	}
	return nil
}

// latest bounds a date that time can hold and print: the year 9999.
const latest = 253402300799

func numericDate(v any) (time.Time, bool) {
	var text string
	switch n := v.(type) {
	case json.Number:
		text = n.String()
	case string:
		text = n
	default:
		return time.Time{}, false
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(f) {
		return time.Time{}, false
	}
	f = math.Max(-latest, math.Min(latest, f))
	return time.Unix(int64(f), 0).UTC(), true
}

// kindOf tells the issuers apart.
func kindOf(c Claims) Kind {
	iss := strings.ToLower(c.Issuer)
	switch {
	case iss == googleIssuer || iss == "accounts.google.com":
		return IDToken
	case strings.HasPrefix(iss, "https://securetoken.google.com/"), strings.HasPrefix(iss, "https://session.firebase.google.com/"):
		return Firebase
	case iss == "https://cloud.google.com/iap":
		return IAPAssertion
	case strings.Contains(iss, "sts.googleapis.com"):
		return STSToken
	case strings.HasPrefix(iss, "https://token.actions.githubusercontent.com"):
		return GitHub
	case strings.HasPrefix(iss, "https://container.googleapis.com/"), strings.HasPrefix(iss, "https://kubernetes.default.svc"),
		iss == "kubernetes/serviceaccount", strings.HasPrefix(c.Subject, "system:serviceaccount:"):
		return Kubernetes
	case strings.HasSuffix(iss, serviceAccountDomain):
		return SelfSigned
	}
	return ForeignJWT
}

// FromClaims reads a decoded token: {"header":{},"claims":{}} or the claims
// alone. Its signature is unknown.
func FromClaims(doc []byte) (Credential, error) {
	m, err := decodeObject(doc)
	if err != nil {
		return Credential{}, errors.New(`expected a JSON object: {"header":{…},"claims":{…}}, or the claims alone`)
	}
	c := Credential{Clean: true}
	claims := m
	for _, name := range []string{"claims", "payload"} {
		if inner, ok := m[name].(map[string]any); ok {
			claims = inner
			if h, ok := m["header"].(map[string]any); ok {
				c.Header = headerOf(h)
			}
		}
	}
	if !anyClaim(claims) {
		return Credential{}, errors.New("found none of the claims iss, aud, sub, email, exp, iat: expected the claims of a token")
	}
	if c.Claims, err = claimsOf(claims); err != nil {
		return Credential{}, err
	}
	c.Kind = kindOf(c.Claims)
	if c.Claims.Issuer == "" {
		c.Kind = IDToken // claims given in part: the issuer was left out
	}
	return c, nil
}

func anyClaim(m map[string]any) bool {
	for _, name := range []string{"iss", "aud", "sub", "email", "exp", "iat", "azp"} {
		if _, ok := m[name]; ok {
			return true
		}
	}
	return false
}
