package caller

import (
	"encoding/json"
	"errors"
	"net/url"
	"sort"
	"strconv"
	"strings"
)

// A backend is the x-google-backend extension of API Gateway and ESPv2, or one
// of x-google-api-management, which spells its fields differently. In the
// latter form an extension refers to a backend by name.
//
// https://docs.cloud.google.com/api-gateway/docs/oasv3-extensions
type backend struct {
	Address     string
	JWTAudience string
	DisableAuth bool
	name        string // of the backend referred to, "" where it is given in place
}

func (b *backend) UnmarshalJSON(data []byte) error {
	if data[0] == '"' {
		return json.Unmarshal(data, &b.name)
	}
	var in struct {
		Address      string
		Audience2    string `json:"jwt_audience"`
		Audience3    string `json:"jwtAudience"`
		DisableAuth2 bool   `json:"disable_auth"`
		DisableAuth3 bool   `json:"disableAuth"`
	}
	if err := json.Unmarshal(data, &in); err != nil {
		return err
	}
	b.Address, b.JWTAudience, b.DisableAuth = in.Address, in.Audience2+in.Audience3, in.DisableAuth2 || in.DisableAuth3
	return nil
}

func (b backend) caller(pointer string) Caller {
	c := Caller{Kind: "api-gateway", URL: b.Address, Pointer: pointer, Token: NoToken,
		Note: "the gateway's own service account calls; the caller's token is in X-Forwarded-Authorization"}
	if b.DisableAuth {
		c.Note = "disable_auth is set, so the gateway passes the caller's own Authorization on"
		c.Token = UnknownToken
		return c
	}
	audience := b.Address
	if u, err := url.Parse(b.Address); err == nil && u.Host != "" {
		audience = u.Scheme + "://" + u.Host
	}
	c.oidc("", b.JWTAudience, audience, pointer)
	return c
}

// A gateway collects the calls of an OpenAPI document.
type gateway struct {
	backends map[string]backend
	calls    []Caller
	unknown  bool // a backend is named and not defined
}

const extension = "x-google-backend"

// add adds the backend of an object that has one, for a method, or "".
func (g *gateway) add(object json.RawMessage, method, at string) {
	var in struct {
		Backend *backend `json:"x-google-backend"`
	}
	if json.Unmarshal(object, &in) != nil || in.Backend == nil {
		return
	}
	b := *in.Backend
	if b.name != "" {
		named, ok := g.backends[b.name]
		if !ok {
			g.unknown = true
			return
		}
		b = named
	}
	c := b.caller(at + "/" + extension)
	c.Method = method
	g.calls = append(g.calls, c)
}

func openAPI(doc []byte) ([]Caller, error) {
	var d struct {
		Paths      map[string]json.RawMessage
		Servers    []json.RawMessage
		Management struct {
			Backends map[string]backend
		} `json:"x-google-api-management"`
	}
	if err := json.Unmarshal(doc, &d); err != nil {
		return nil, errors.New("does not fit an OpenAPI document")
	}
	g := &gateway{backends: d.Management.Backends}
	g.add(doc, "", "")
	for i, s := range d.Servers {
		g.add(s, "", "/servers/"+strconv.Itoa(i))
	}
	for path, raw := range d.Paths {
		at := "/paths/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(path)
		g.add(raw, "", at)
		var item map[string]json.RawMessage
		if json.Unmarshal(raw, &item) != nil {
			continue
		}
		for verb, operation := range item {
			if verb != extension {
				g.add(operation, strings.ToUpper(verb), at+"/"+verb)
			}
		}
	}
	switch {
	case len(g.calls) == 0 && g.unknown:
		return nil, errors.New("is an OpenAPI document whose x-google-backend names a backend that x-google-api-management does not define")
	case len(g.calls) == 0:
		return nil, errors.New("is an OpenAPI document without x-google-backend: it does not say what the gateway calls")
	}
	sort.SliceStable(g.calls, func(i, j int) bool { return g.calls[i].Pointer < g.calls[j].Pointer })
	return g.calls, nil
}
