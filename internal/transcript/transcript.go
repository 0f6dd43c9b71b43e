// Package transcript reads what a person has of one HTTP request: the curl
// command line, what curl -v prints, and of a browser its recording (HAR) or
// its message that a page may not read an answer. It says what was sent and
// what was answered, and judges neither.
package transcript

import (
	"net/http"
	"net/url"
	"time"
)

// An Exchange is one request, and the answer to it where there is one. Its
// zero value says nothing.
type Exchange struct {
	Method string      // "" where it is not shown
	URL    *url.URL    // nil where it is not shown, as where a variable stands for it
	Header http.Header // nil where no header is shown
	// Masked is set where the record may leave credentials out that were sent,
	// so that a missing one says nothing.
	Masked bool
	// Minted is the command that stands in the place of the credential, as in
	// "Bearer $(gcloud auth print-access-token)", or "".
	Minted string
	Body   string    // the file that was sent as the body, as curl names it, or ""
	Time   time.Time // when it was made, or zero
	Answer *Answer   // nil where none is shown
	Note   string    // what else the record holds, or ""
}

// An Answer is the answer of an Exchange.
type Answer struct {
	Status int
	Header http.Header
	Body   string
}

// parseURL reads an absolute URL; nil where it is none.
func parseURL(text string) *url.URL {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil
	}
	return u
}
