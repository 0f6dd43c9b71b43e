package credential

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// prefixes tells Google's opaque credentials apart, the longer prefix first.
var prefixes = []struct {
	prefix string
	kind   Kind
}{
	{"ya29.d.", STSToken},
	{"ya29.", AccessToken},
	{"1//", RefreshToken},
	{"AIza", APIKey},
}

// Decode reads a credential as it was sent or pasted, without trusting it. It
// never fails: what cannot be read is said by the kind and the problem.
func Decode(raw string) Credential {
	value, found, several := clean(raw)
	c := Credential{Clean: len(found) == 0, Repairs: found}
	if value == "" {
		return c
	}
	c.raw, c.Kind = &value, Opaque
	if several {
		c.Kind = Several
		return c
	}
	for _, p := range prefixes {
		if strings.HasPrefix(value, p.prefix) {
			c.Kind = p.kind
			return c
		}
	}
	if looksLikeJWT(value) {
		c.decodeJWT(value)
	}
	return c
}

// jwtStart is how nearly every JWT starts: base64url of an opening brace, then
// a quotation mark or white space.
var jwtStart = regexp.MustCompile(`^(eyJ|ewog|ew0K|eyA|ewo|IHs)`)

func looksLikeJWT(s string) bool {
	if jwtStart.MatchString(s) {
		return true
	}
	first, _, dotted := strings.Cut(s, ".")
	b, _, err := segment(first)
	return dotted && err == nil && bytes.HasPrefix(bytes.TrimSpace(b), []byte("{"))
}

func (c *Credential) malformed(format string, args ...any) {
	c.Kind, c.Problem = MalformedJWT, fmt.Sprintf(format, args...)
}

// decodeJWT reads the parts of a JWT as far as they can be read.
func (c *Credential) decodeJWT(s string) {
	parts := strings.Split(s, ".")
	header, headerErr := object(parts[0])
	c.Header = headerOf(header)
	if len(parts) == 5 && c.Header.Extra["enc"] != nil {
		c.Kind, c.Problem = JWE, "it has five parts, like an encrypted JWT"
		return
	}
	if len(parts) > 3 && strings.Count(s, "eyJ") > len(parts)/2 {
		c.Kind = Several // joined without a space: each JWT has two parts that start so
		return
	}
	if len(parts) != 3 {
		c.malformed("it has %s, but a JWT has three", count(len(parts)))
		return
	}
	c.Signature = signatureState(parts[2])
	claims, claimsErr := object(parts[1])
	var typeErr error
	c.Claims, typeErr = claimsOf(claims)
	switch {
	case headerErr != nil && header == nil:
		c.malformed("its first part, the header, %v", headerErr)
	case claimsErr != nil && claims == nil:
		c.malformed("its second part, the claims, %v", claimsErr)
	case headerErr != nil:
		c.malformed("its first part, the header, %v", headerErr)
	case claimsErr != nil:
		c.malformed("its second part, the claims, %v", claimsErr)
	case typeErr != nil:
		c.malformed("%v", typeErr)
	default:
		c.Kind = kindOf(c.Claims)
	}
}

func count(parts int) string {
	if parts == 1 {
		return "one part"
	}
	return fmt.Sprintf("%d parts", parts)
}

func signatureState(part string) Signature {
	switch part {
	case "":
		return SignatureMissing
	case removed:
		return SignatureRemoved
	}
	if _, note, err := segment(part); err != nil || note != nil {
		return SignatureUndecodable
	}
	return SignaturePresent
}

// object decodes one part of a JWT. An error beside an object means that the
// part can be read although a JWT must not be encoded so. Errors never quote.
func object(part string) (map[string]any, error) {
	b, note, err := segment(part)
	if err != nil {
		return nil, err
	}
	m, err := decodeObject(b)
	if err != nil {
		return nil, err
	}
	return m, note
}

var strict = base64.RawURLEncoding.Strict()

// segment decodes base64url as https://www.rfc-editor.org/rfc/rfc7515#section-2
// has it. The note says what is not so although the part can be read.
func segment(part string) (b []byte, note, err error) {
	if b, err := strict.DecodeString(part); err == nil && !strings.ContainsAny(part, "\r\n") {
		return b, nil, nil
	}
	bare := strings.NewReplacer("+", "-", "/", "_", "\r", "", "\n", "").Replace(strings.TrimRight(part, "="))
	if b, err = base64.RawURLEncoding.DecodeString(bare); err != nil {
		if len(bare)%4 == 1 && strings.IndexFunc(bare, notBase64) < 0 {
			return nil, nil, errors.New("has a length that base64url cannot have: a character is missing or too many")
		}
		return nil, nil, errors.New("has a character that base64url does not have")
	}
	switch {
	case strings.HasSuffix(part, "="):
		note = errors.New("ends in = padding, which a JWT omits")
	case strings.ContainsAny(part, "+/"):
		note = errors.New("is in standard base64, but a JWT is in base64url")
	default:
		note = errors.New("is base64url that ends in stray bits")
	}
	return b, note, nil
}

func notBase64(r rune) bool {
	return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '_')
}
