package evidence

import (
	"cmp"
	"net/http"
	"strings"

	"diagnose/internal/credential"
	"diagnose/internal/transcript"
)

// takeExchange adds what a record of one request shows of it, and of the
// answer. What was said of the request already stays.
func (s *Snapshot) takeExchange(e transcript.Exchange, src Source) {
	s.addRequest(requestOf(e), src)
	if strings.Contains(e.Minted, "print-access-token") && !s.Token.Known() {
		s.Token = Known(credential.Credential{Kind: credential.AccessToken}, src)
	}
	if a := e.Answer; a != nil {
		r := Response{Status: a.Status, Header: a.Header, Body: clipBody(a.Body), URL: e.URL}
		if r.Date, _ = http.ParseTime(a.Header.Get("Date")); r.Date.IsZero() {
			r.Date = e.Time
		}
		s.Response = Known(r, src)
	}
	if e.Note != "" {
		s.Notes = append(s.Notes, src.Document+": "+e.Note)
	}
}

// requestOf is the request of a record. Headers that may lack a credential
// which was sent are not said.
func requestOf(e transcript.Exchange) Request {
	r := Request{URL: e.URL, Method: e.Method, Headers: e.Header, BodyFile: e.Body}
	switch {
	case strings.Contains(e.Minted, "metadata"):
		r.Client = "metadata-server"
	case strings.Contains(e.Minted, "--impersonate-service-account"):
		r.Client = "impersonation"
	case strings.Contains(e.Minted, "gcloud auth"):
		r.Client = "gcloud"
	}
	if e.Answer == nil {
		r.Time = e.Time
	}
	if e.Masked && e.Method != http.MethodOptions && credential.FromHeaders(e.Header).Header == "" {
		if strings.Contains(e.Header.Get("User-Agent"), "Mozilla/") {
			r.Client = "browser"
		}
		r.Headers = nil
	}
	return r
}

// addRequest adds what a document says of the request to what is known of it.
func (s *Snapshot) addRequest(r Request, src Source) {
	known, ok := s.Request.Get()
	if !ok {
		s.Request = Known(r, src)
		return
	}
	if known.URL == nil {
		known.URL = r.URL
	}
	if known.Headers == nil {
		known.Headers = r.Headers
	}
	known.Method, known.Client = cmp.Or(known.Method, r.Method), cmp.Or(known.Client, r.Client)
	known.BodyFile, known.Origin = cmp.Or(known.BodyFile, r.BodyFile), cmp.Or(known.Origin, r.Origin)
	known.Principal = cmp.Or(known.Principal, r.Principal)
	if known.Time.IsZero() {
		known.Time = r.Time
	}
	s.Request = Known(known, s.Request.Source)
}
