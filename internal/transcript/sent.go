package transcript

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// requestLine starts a request as it goes over the wire.
var requestLine = regexp.MustCompile(`^([A-Z]{3,10}) (\S+) HTTP/[\d.]+$`)

// Sent reads the last request that curl -v shows, and a request written out as
// it goes over the wire. ok is false where a text has none.
func Sent(text string) (e Exchange, ok bool) {
	lines := strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	for i, l := range slices.Backward(lines) {
		line, verbose := strings.CutPrefix(l, "> ")
		m := requestLine.FindStringSubmatch(line)
		if m == nil || m[1] == http.MethodConnect || !verbose && i > 0 && strings.TrimSpace(lines[i-1]) != "" {
			continue
		}
		e := Exchange{Method: m[1], Header: headerLines(lines[i+1:], verbose)}
		target := m[2]
		if strings.HasPrefix(target, "/") {
			target = scheme(lines[:i]) + "://" + e.Header.Get("Host") + target
		}
		e.URL = parseURL(target)
		return e, true
	}
	return Exchange{}, false
}

// headerLines reads headers up to the empty line that ends them.
func headerLines(lines []string, verbose bool) http.Header {
	out := http.Header{}
	for _, l := range lines {
		if verbose && !strings.HasPrefix(l, ">") {
			if strings.HasPrefix(l, "* ") {
				continue // what curl says between them
			}
			break
		}
		l = strings.TrimSpace(strings.TrimPrefix(l, ">"))
		name, value, ok := strings.Cut(l, ":")
		if !ok || name == "" || strings.ContainsAny(name, " \t") {
			break
		}
		out.Add(name, strings.TrimSpace(value))
	}
	return out
}

// plainPort is how curl says that it speaks to the port of http.
var plainPort = regexp.MustCompile(`\bport 80\b`)

// scheme tells https from http by what curl says of the connection. A request
// that does not say is taken for one over https, which services redirect to.
func scheme(before []string) string {
	for _, l := range slices.Backward(before) {
		if !strings.HasPrefix(l, "* ") {
			continue
		}
		switch {
		case strings.Contains(l, "SSL") || strings.Contains(l, "TLS") || strings.Contains(l, "ALPN"):
			return "https"
		case strings.Contains(l, "Connected to") && plainPort.MatchString(l):
			return "http"
		}
	}
	return "https"
}
