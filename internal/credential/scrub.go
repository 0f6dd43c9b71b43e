package credential

import (
	"net/http"
	"regexp"
	"slices"
	"strings"

	"diagnose/internal/gcp"
)

// shapes are the credentials that show by themselves: JWTs, OAuth tokens, API
// keys, client secrets.
const shapes = `eyJ[\w-]{6,}(?:\.[\w-]*)*|ya29\.[\w.-]+|1//0[\w-]{10,}|AIza[\w-]{10,}|GOCSPX-[\w-]+`

// marks are in every text that has one of the shapes, or a key in PEM.
var marks = []string{"eyJ", "ya29.", "1//0", "AIza", "GOCSPX-", "-----BEGIN"}

var (
	secrets = regexp.MustCompile(`(?i)` + shapes + `|1//[\w-]{10,}|\b(?:bearer|basic)\s+[\w.~+/=-]{8,}|` +
		`-----BEGIN[^-]*-----[\s\S]*?(?:-----END[^-]*-----|$)|` +
		`(?:"?(?:access_token|refresh_token|id_token|client_secret|private_key)"?\s*[:=]\s*)\S+`)
	// shown ends a key in PEM where a value of JSON or XML ends.
	shown = regexp.MustCompile(shapes + `|-----BEGIN[^-"<]*-----(?:[^"<]*?-----END[^-"<]*-----|[^"<]*)`)
)

// Scrub returns a text without the credentials that it quotes, for messages
// and documents that others wrote: also what stands where a credential does,
// as behind the word Bearer.
func Scrub(text string) string { return hideURLs(secrets.ReplaceAllString(text, "[removed]")) }

// urls are addresses as they stand in a text, with what may be a secret in
// them. They end where a text of JSON, XML or a shell does.
var urls = regexp.MustCompile(`[A-Za-z][A-Za-z0-9+.-]*://[^\s"'<>` + "`" + `|^{}]*`)

// spelled are characters that end a URL, as XML and HTML spell them.
var spelled = regexp.MustCompile(`&(?:#\d+|#x[0-9A-Fa-f]+|quot|lt|gt|apos);`)

// hideURLs takes out of URLs what may be a secret whatever its form.
func hideURLs(text string) string {
	if !strings.Contains(text, "://") || !strings.ContainsAny(text, "?#@") {
		return text
	}
	return urls.ReplaceAllStringFunc(text, func(u string) string {
		bare := u
		if end := spelled.FindStringIndex(u); end != nil {
			bare = u[:end[0]]
		}
		bare = strings.TrimRight(bare, `.,;:!?)\`)
		return gcp.ShownURL(bare) + u[len(bare):]
	})
}

// Hide returns a text of this program without the credentials that came into
// it from the evidence, as in a URL or a name. Words about credentials stay.
func Hide(text string) string {
	text = hideURLs(text)
	if !slices.ContainsFunc(marks, func(m string) bool { return strings.Contains(text, m) }) {
		return text
	}
	return shown.ReplaceAllString(text, "[secret removed]")
}

// secretHeaders are the headers, in canonical form, whose values are
// credentials whatever their form.
var secretHeaders = []string{
	Authorization, Serverless, "Proxy-Authorization", "X-Forwarded-Authorization", "Cookie", "Set-Cookie", "X-Goog-Api-Key",
	"X-Api-Key", "X-Goog-Iap-Jwt-Assertion",
}

// SecretHeader reports whether the values of a header are credentials,
// whatever the case of its name.
func SecretHeader(name string) bool {
	return slices.Contains(secretHeaders, http.CanonicalHeaderKey(name))
}
