// Package caller reads the configuration of Google services that call a
// function or service with a token they mint themselves, and says who will
// call, with which kind of token, for which audience.
package caller

import "time"

// A TokenKind is the kind of token that a caller sends.
type TokenKind int

// The kinds of token. The zero TokenKind is unknown.
const (
	UnknownToken TokenKind = iota
	NoToken
	IDToken
	AccessToken
)

// A Caller is one configured caller. Empty fields are unknown or not set, as
// their comments say.
type Caller struct {
	Kind           string    // what calls: "cloud-scheduler", "pubsub-push" …
	Name           string    // the caller's own resource name, "" where the document has none
	Project        string    // the project of the caller, "" where unknown
	URL            string    // what it calls, "" where it is not in the document
	Method         string    // "" where not set
	Service        string    // full or short name of the Cloud Run service or function it names, "" where it names only a URL
	Token          TokenKind // what it sends
	ServiceAccount string    // e-mail of the identity it calls with, "" where the default is used or unknown
	Audience       string    // the audience of its ID token, given or by default, "" where it is computed
	Pointer        string    // where in its document the token is configured
	Note           string    // what else matters, e.g. that the job is paused
	LastStatus     int       // the HTTP status that its last attempt was answered with, 0 where that is not shown
	LastAttempt    time.Time // when that was, or zero
}
