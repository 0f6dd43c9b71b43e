package evidence

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"diagnose/internal/credential"
	"diagnose/internal/gcp"
	"diagnose/internal/transcript"
)

// Clients lists what can be said to have made a request.
var Clients = []string{"gcloud", "metadata-server", "service-account-key", "impersonation", "cloud-scheduler", "cloud-tasks",
	"pubsub-push", "eventarc", "workflows", "api-gateway", "iap", "github-actions", "gke", "browser", "firebase-sdk"}

var requestKeys = []string{"url", "method", "headers", "source", "principal", "client", "time",
	"timeFrom", "credentials", "guessed"}

func readRequest(s *Snapshot, src Source, data []byte) error {
	if e, ok := written(string(data)); ok {
		s.takeExchange(e, src)
		return nil
	}
	if transcript.IsCurl(string(data)) {
		return errCurl // it may look like YAML
	}
	doc, err := toJSON(data)
	if err != nil {
		return err
	}
	m, err := object(doc)
	if err != nil {
		return err
	}
	for k := range m {
		if !slices.Contains(requestKeys, k) {
			if _, flag := Kind(doc); flag != "" && flag != "request" && flag != "project-file" {
				return wrongKind(doc, nil, "request")
			}
			return fmt.Errorf("has the unknown key %q; the keys of a request are %s", clip(k), strings.Join(requestKeys, ", "))
		}
	}
	var in struct {
		URL, Method, Source, Principal, Client, Time, TimeFrom string

		Headers     map[string]any
		Credentials map[string]json.RawMessage
		Guessed     []string
	}
	if err := json.Unmarshal(doc, &in); err != nil {
		var t *json.UnmarshalTypeError
		if errors.As(err, &t) {
			return fmt.Errorf("%s must be a %s", t.Field, map[bool]string{true: "object", false: "string"}[t.Field == "headers"])
		}
		return errors.New("does not fit a request")
	}
	r := Request{Method: strings.ToUpper(in.Method)}
	if in.Headers != nil {
		if r.Headers, err = headers(in.Headers); err != nil {
			return err
		}
	}
	for _, set := range []error{r.SetURL(in.URL), r.SetOrigin(in.Source), r.SetClient(in.Client), r.SetTime(in.Time), r.SetPrincipal(in.Principal)} {
		if set != nil {
			return set
		}
	}
	if r.Sent, err = decodedCredentials(in.Credentials); err != nil {
		return err
	}
	s.Guessed, s.Now = in.Guessed, r.Time
	switch {
	case in.TimeFrom != "": // nobody says when the request was made
		s.NowFrom, r.Time = in.TimeFrom, time.Time{}
	case !r.Time.IsZero():
		s.NowFrom = "request.json"
	}
	said := func(k string) bool { return k != "time" && k != "timeFrom" && k != "guessed" }
	if in.TimeFrom == "" || slices.ContainsFunc(slices.Collect(maps.Keys(m)), said) {
		s.Request = Known(r, src)
	}
	return nil
}

// decodedCredentials reads what a capture keeps of the credentials in headers.
func decodedCredentials(in map[string]json.RawMessage) (map[string]credential.Credential, error) {
	out := map[string]credential.Credential{}
	for name, doc := range in {
		c, err := credential.FromClaims(doc)
		if err != nil {
			return nil, fmt.Errorf("credential of header %q: %w", clip(name), err)
		}
		out[http.CanonicalHeaderKey(name)] = c
	}
	return out, nil
}

// errCurl reports a curl command line that calls nothing as it stands.
var errCurl = errors.New("has a curl command line that cannot be read: a quote is not closed, or it names no URL")

// written reads a request as a person has it: a curl command line, what goes
// over the wire, or what a browser says of it.
func written(text string) (transcript.Exchange, bool) {
	if e, ok := transcript.Curl(strings.ReplaceAll(text, "\r\n", "\n")); ok {
		return e, true
	}
	if e, ok := transcript.Sent(text); ok {
		return e, true
	}
	return transcript.Blocked(text)
}

func clip(s string) string {
	if len(s) > 24 {
		return s[:24] + "…"
	}
	return s
}

func headers(in map[string]any) (http.Header, error) {
	h := http.Header{}
	for k, v := range in {
		switch v := v.(type) {
		case string:
			h.Add(k, v)
		case []any:
			for _, x := range v {
				text, ok := x.(string)
				if !ok {
					return nil, fmt.Errorf("header %q must be a string or a list of strings", clip(k))
				}
				h.Add(k, text)
			}
		default:
			return nil, fmt.Errorf("header %q must be a string or a list of strings", clip(k))
		}
	}
	return h, nil
}

// SetURL sets the URL; "" leaves it unsaid.
func (r *Request) SetURL(text string) error {
	if text == "" {
		return nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		if whole, err := url.Parse("https://" + text); err == nil && !strings.Contains(text, "://") && strings.Contains(whole.Host, ".") {
			return errors.New("url must be absolute, as https://HOST/PATH: put https:// before it") // it may be a secret
		}
		return errors.New("url must be absolute, as https://HOST/PATH")
	}
	r.URL = u
	return nil
}

// SetOrigin sets where the request comes from; "" leaves it unsaid.
func (r *Request) SetOrigin(text string) error {
	if text != "" && !slices.Contains(Origins, Origin(text)) {
		names := make([]string, len(Origins))
		for i, o := range Origins {
			names[i] = string(o)
		}
		return fmt.Errorf("source %q must be one of %s", clip(text), strings.Join(names, ", "))
	}
	r.Origin = Origin(text)
	return nil
}

// SetClient sets what made the request; "" leaves it unsaid.
func (r *Request) SetClient(text string) error {
	if text != "" && !slices.Contains(Clients, text) {
		return fmt.Errorf("client %q must be one of %s", clip(text), strings.Join(Clients, ", "))
	}
	r.Client = text
	return nil
}

// SetTime sets the moment of the request; "" leaves it unsaid.
func (r *Request) SetTime(text string) error {
	if text == "" {
		return nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return errors.New("time must be RFC 3339, as 2026-11-23T12:00:00Z")
	}
	r.Time = t
	return nil
}

// SetPrincipal sets the member asked about; "" leaves it unsaid.
func (r *Request) SetPrincipal(text string) error {
	if text != "" && text != "allUsers" && !strings.Contains(text, ":") {
		hint := ""
		switch {
		case gcp.ParseAccount(text).Project != "":
			hint = "; did you mean serviceAccount:" + text + "?"
		case strings.Contains(text, "@"):
			hint = "; did you mean user:" + text + "?"
		}
		return fmt.Errorf("principal %q must be a member, as user:E-MAIL or serviceAccount:E-MAIL%s", clip(text), hint)
	}
	r.Principal = text
	return nil
}
