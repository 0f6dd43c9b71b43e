package transcript

import (
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

// blockedTexts are the words in which browsers tell that a page may not read an
// answer, as their consoles show them: Chrome's, Firefox's and Safari's.
//
// https://developer.mozilla.org/docs/Web/HTTP/Guides/CORS/Errors
var blockedTexts = []*regexp.Regexp{
	regexp.MustCompile(`Access to \w+ at '(?P<url>[^']+)' (?:\(redirected from '(?P<first>[^']+)'\) )?from origin '(?P<origin>[^']+)' ` +
		`has been blocked by CORS policy: (?P<why>.*)`),
	regexp.MustCompile(`Cross-Origin Request Blocked: The Same Origin Policy disallows reading the remote resource at (?P<url>https?://\S+?)\. ` +
		`\(Reason: (?P<why>[^)]*)\)(?:\. Status code: (?P<status>\d{3}))?`),
	regexp.MustCompile(`(?P<why>Preflight response is not successful)\. Status code: (?P<status>\d{3})(?:\s[\s\S]*?cannot load (?P<url>https?://\S+) due to access control)?`),
}

// Blocked reads the message of a browser that a page may not read an answer. A
// preflight has the method OPTIONS and no credential; of another request the
// message does not tell which credential it had. ok is false where a text has
// no such message.
func Blocked(text string) (e Exchange, ok bool) {
	for _, pattern := range blockedTexts {
		m := pattern.FindStringSubmatch(text)
		if m == nil {
			continue
		}
		got := map[string]string{}
		for i, name := range pattern.SubexpNames() {
			got[name] = m[i]
		}
		e.URL = parseURL(got["url"])
		if got["first"] != "" {
			e.URL = parseURL(got["first"])
		}
		e.Header = http.Header{"User-Agent": {"Mozilla/5.0"}}
		if got["origin"] != "" {
			e.Header.Set("Origin", got["origin"])
		}
		if strings.Contains(strings.ToLower(got["why"]), "preflight") {
			e.Method = http.MethodOptions
		} else {
			e.Masked = true
		}
		if status, err := strconv.Atoi(got["status"]); err == nil {
			e.Answer = &Answer{Status: status}
		}
		return e, true
	}
	return Exchange{}, false
}
