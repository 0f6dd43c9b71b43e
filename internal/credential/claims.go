package credential

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"sort"
	"strconv"
	"strings"
	"time"
)

// A Header is the JOSE header of a JWT. Extra holds every other parameter.
type Header struct {
	Algorithm, KeyID, Type string
	Extra                  map[string]any
}

// Claims are the claims of a JWT that matter for an invocation. Absent claims
// are nil or ""; a time of 0 seconds is present and is 1970.
type Claims struct {
	Issuer, Subject, Email string
	EmailVerified          *bool
	Audience               []string
	AudienceList           bool   // aud was a list, not a string
	AuthorizedParty        string // azp
	HostedDomain           string // hd
	Expiry                 *time.Time
	IssuedAt               *time.Time
	NotBefore              *time.Time
	Extra                  map[string]any // every other claim
}

// decodeObject reads exactly one JSON object.
func decodeObject(b []byte) (map[string]any, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var m map[string]any
	if err := d.Decode(&m); err == io.EOF {
		return nil, errors.New("is empty")
	} else if err != nil {
		var syntax *json.SyntaxError
		if errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &syntax) && syntax.Offset >= int64(len(b)) {
			return nil, errors.New("is JSON that was cut off")
		}
		return nil, errors.New("is not a JSON object")
	}
	if _, err := d.Token(); m == nil || err != io.EOF {
		return nil, errors.New("is not one single JSON object")
	}
	return m, nil
}

func headerOf(m map[string]any) Header {
	var h Header
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
			if h.Extra == nil {
				h.Extra = map[string]any{}
			}
			h.Extra[k] = v
		}
	}
	return h
}

// claimReaders read the registered claims, each telling whether the value has
// a form that the claim can take.
var claimReaders = map[string]func(*Claims, any) bool{
	"iss":   func(c *Claims, v any) bool { return read(&c.Issuer, v) },
	"email": func(c *Claims, v any) bool { return read(&c.Email, v) },
	"azp":   func(c *Claims, v any) bool { return read(&c.AuthorizedParty, v) },
	"hd":    func(c *Claims, v any) bool { return read(&c.HostedDomain, v) },
	"sub": func(c *Claims, v any) bool {
		if n, ok := v.(json.Number); ok {
			v = n.String()
		}
		return read(&c.Subject, v)
	},
	"email_verified": func(c *Claims, v any) (ok bool) { c.EmailVerified, ok = boolOf(v); return },
	"aud":            func(c *Claims, v any) (ok bool) { c.Audience, c.AudienceList, ok = audienceOf(v); return },
	"exp":            func(c *Claims, v any) (ok bool) { c.Expiry, ok = numericDate(v); return },
	"iat":            func(c *Claims, v any) (ok bool) { c.IssuedAt, ok = numericDate(v); return },
	"nbf":            func(c *Claims, v any) (ok bool) { c.NotBefore, ok = numericDate(v); return },
}

// claimsOf reads the claims; a null claim is an absent one. The error names
// every claim of a wrong form, and the others are read nevertheless.
func claimsOf(m map[string]any) (Claims, error) {
	var c Claims
	var wrong []string
	for k, v := range m {
		reader, known := claimReaders[k]
		switch {
		case !known:
			if c.Extra == nil {
				c.Extra = map[string]any{}
			}
			c.Extra[k] = v
		case v != nil && !reader(&c, v):
			wrong = append(wrong, k)
		}
	}
	if len(wrong) == 0 {
		return c, nil
	}
	sort.Strings(wrong)
	return c, errors.New("these claims have a value of a wrong type: " + strings.Join(wrong, ", "))
}

func read(dst *string, v any) (ok bool) {
	*dst, ok = v.(string)
	return ok
}

// boolOf reads a truth value, also in the form of Google's tokeninfo: "true".
func boolOf(v any) (*bool, bool) {
	b, ok := v.(bool)
	if s, isText := v.(string); isText {
		b, ok = s == "true", s == "true" || s == "false"
	}
	if !ok {
		return nil, false
	}
	return &b, true
}

func audienceOf(v any) (out []string, list, ok bool) {
	if s, isText := v.(string); isText {
		return []string{s}, false, true
	}
	values, ok := v.([]any)
	for _, x := range values {
		s, isText := x.(string)
		if !isText {
			ok = false
			continue
		}
		out = append(out, s)
	}
	return out, true, ok
}

// latest bounds a date that time can hold and print: the year 9999.
const latest = 253402300799

// numericDate reads seconds since 1970, given as a number or, as in Google's
// tokeninfo, as a string. What no calendar holds becomes the year 9999, or its
// mirror before 1970.
func numericDate(v any) (*time.Time, bool) {
	var text string
	switch n := v.(type) {
	case json.Number:
		text = n.String()
	case string:
		text = n
	}
	if text == "" || strings.Trim(text, "0123456789+-.eE") != "" {
		return nil, false
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return nil, false
	}
	f = math.Max(-latest, math.Min(latest, f))
	whole, part := math.Modf(f)
	t := time.Unix(int64(whole), int64(part*1e9)).UTC()
	return &t, true
}
