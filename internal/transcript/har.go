package transcript

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"diagnose/internal/gcp"
)

// A recording is a HAR, as far as it matters here.
//
// http://www.softwareishard.com/blog/har-12-spec/
type recording struct {
	Log struct {
		Entries []recorded
	}
}

type recorded struct {
	StartedDateTime string
	Request         struct {
		Method, URL string
		Headers     []pair
		Cookies     []json.RawMessage
	}
	Response struct {
		Status  int
		Headers []pair
		Content struct{ Text, Encoding string }
	}
}

type pair struct{ Name, Value string }

// HAR reads the recording of a browser. Of several requests it keeps the one
// that was refused last, those to the hosts asked for first, and then those to
// Google's own hosts. A recording without any cookie and credential was saved
// without them.
func HAR(doc []byte, asked func(host string) bool) (Exchange, error) {
	var r recording
	if err := json.Unmarshal(doc, &r); err != nil {
		return Exchange{}, errors.New("does not fit a HAR, the recording of a browser")
	}
	best, top := -1, -1
	for i, e := range r.Log.Entries {
		if p := e.rank(asked); p >= top {
			best, top = i, p
		}
	}
	if best < 0 {
		return Exchange{}, errors.New("is a HAR, the recording of a browser, without a request")
	}
	e := r.Log.Entries[best]
	out := Exchange{Method: e.Request.Method, URL: parseURL(e.Request.URL), Header: headerOf(e.Request.Headers), Masked: r.masked()}
	out.Time, _ = time.Parse(time.RFC3339, e.StartedDateTime)
	if e.Response.Status > 0 {
		out.Answer = &Answer{Status: e.Response.Status, Header: headerOf(e.Response.Headers), Body: e.body()}
	}
	if n := len(r.Log.Entries); n > 1 && out.URL != nil {
		out.Note = fmt.Sprintf("it has %d requests, and the one judged is %s %s (status %d)",
			n, out.Method, out.URL.Host+out.URL.EscapedPath(), e.Response.Status)
	}
	return out, nil
}

// rank says how well a request answers the question that a person has.
func (e recorded) rank(asked func(string) bool) int {
	u, err := url.Parse(e.Request.URL)
	if err != nil {
		return 0
	}
	n := 0
	switch {
	case asked(u.Hostname()):
		n = 8
	case gcp.ParseHost(u.Hostname()).FrontEnd():
		n = 4
	}
	switch s := e.Response.Status; {
	case s == http.StatusUnauthorized || s == http.StatusForbidden:
		n += 3
	case s >= 400:
		n += 2
	case s == 0:
		n++
	}
	return n
}

// masked reports whether the recording was saved without what is secret.
func (r recording) masked() bool {
	for _, e := range r.Log.Entries {
		for _, h := range append(e.Request.Headers, e.Response.Headers...) {
			switch strings.ToLower(h.Name) {
			case "authorization", "x-serverless-authorization", "cookie", "set-cookie":
				return false
			}
		}
		if len(e.Request.Cookies) > 0 {
			return false
		}
	}
	return true
}

func headerOf(list []pair) http.Header {
	out := http.Header{}
	for _, p := range list {
		name := p.Name
		if strings.EqualFold(name, ":authority") {
			name = "Host"
		}
		if !strings.HasPrefix(name, ":") {
			out.Add(name, p.Value)
		}
	}
	return out
}

func (e recorded) body() string {
	c := e.Response.Content
	if c.Encoding != "base64" {
		return c.Text
	}
	data, _ := base64.StdEncoding.DecodeString(c.Text)
	return string(data)
}
