package credential

import (
	"errors"
	"strings"
)

// errShape says what token.json must hold.
var errShape = errors.New(`expected a JSON object: {"header":{…},"claims":{…}}, or the claims alone`)

// FromClaims reads a decoded token: {"header":{},"claims":{}}, the same with
// "payload", the claims alone, or the answer of Google's tokeninfo. Its
// signature is unknown. Claims without an issuer are taken as part of a Google
// ID token whose issuer was left out. What a capture says of the token as it was
// sent counts as if it were there. Errors quote nothing of the document.
func FromClaims(doc []byte) (Credential, error) {
	text := strings.TrimPrefix(strings.TrimSpace(string(doc)), "\ufeff")
	m, err := decodeObject([]byte(text))
	if err != nil {
		if k := Decode(text).Kind; k != Opaque && k != None && !strings.HasPrefix(text, "{") {
			err = errors.New("this is a credential as it is sent, not a decoded one: give it as token.jwt")
		} else {
			err = errShape
		}
		return Credential{}, err
	}
	c := Credential{Clean: true}
	kept, err := c.keep(m)
	if err != nil {
		return Credential{}, err
	}
	delete(m, keptKey)
	claims, err := c.unwrap(m)
	if err != nil {
		return Credential{}, err
	}
	if !kept && !anyClaim(claims) {
		return Credential{}, errors.New("found none of the claims iss, aud, sub, email, azp, exp, iat: " + errShape.Error())
	}
	if c.Claims, err = claimsOf(claims); err != nil {
		return Credential{}, err
	}
	if kept {
		return c, nil
	}
	c.Kind = kindOf(c.Claims)
	switch _, scoped := c.Claims.Extra["scope"]; {
	case c.Claims.Issuer == "" && scoped: // tokeninfo of an access token
		c.Kind = AccessToken
	case c.Claims.Issuer == "" && c.Kind == ForeignJWT:
		c.Kind = IDToken
	}
	return c, nil
}

// unwrap finds the claims in the document, and sets the header.
func (c *Credential) unwrap(m map[string]any) (map[string]any, error) {
	if m["private_key"] != nil || m["type"] == "service_account" {
		return nil, errors.New("this is a service account key, not a token: keep it out of a case")
	}
	for _, name := range []string{"claims", "payload"} {
		v, ok := m[name]
		if !ok {
			continue
		}
		inner, ok := v.(map[string]any)
		if !ok {
			return nil, errors.New(`"` + name + `" must be a JSON object`)
		}
		if h, ok := m["header"]; ok && h != nil {
			header, ok := h.(map[string]any)
			if !ok {
				return nil, errors.New(`"header" must be a JSON object`)
			}
			c.Header = headerOf(header)
		}
		return inner, nil
	}
	claims, header := map[string]any{}, map[string]any{}
	for k, v := range m {
		switch k {
		case "alg", "kid", "typ":
			header[k] = v
		default:
			claims[k] = v
		}
	}
	c.Header = headerOf(header)
	return claims, nil
}

func anyClaim(m map[string]any) bool {
	for _, name := range []string{"iss", "aud", "sub", "email", "exp", "iat", "azp"} {
		if _, ok := m[name]; ok {
			return true
		}
	}
	return false
}
