package evidence

import (
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// A told is a text that tells which status a service answered.
// Group "status" is the status, or status is it; group "url" is what was
// called, where the text has it.
type told struct {
	by      string // whose words they are
	status  int    // 0: group "status"
	pattern *regexp.Regexp
}

// pages are Google's own words, of its pages and its logs.
//
// https://docs.cloud.google.com/run/docs/troubleshooting
var pages = []told{
	{"the title of Google's page", 0, regexp.MustCompile(`(?i)<title>\s*(?:Error )?(?P<status>[1-5]\d\d)\b`)},
	{"Google's page of a refusal", 403, regexp.MustCompile(`Your client does not have permission to get URL\b`)},
	{"Google's page of a token refused", 401, regexp.MustCompile(`Your client does not have permission to the requested URL\b`)},
}

// logTexts are the texts that Cloud Run logs for what it refuses: "not
// authenticated" goes with 403, and "not authorized" with 401.
//
// https://docs.cloud.google.com/run/docs/troubleshooting
var logTexts = []told{
	{"Cloud Run's log", 403, regexp.MustCompile(`The request was not authenticated\.`)},
	{"Cloud Run's log", 401, regexp.MustCompile(`The request was not authorized to invoke this service\.`)},
	{"Cloud Run's log", 503, regexp.MustCompile(`The request failed because either the HTTP response was malformed`)},
}

// exceptions are the words in which clients report a status. Those that name
// the status stand before the codes of gRPC, which stand for one.
var exceptions = []told{
	{"gRPC", 0, regexp.MustCompile(`(?i)unexpected HTTP status code received from server: (?P<status>\d{3})`)},
	{"gRPC", 0, regexp.MustCompile(`(?i)Received http2 header with status: (?P<status>\d{3})|HTTP status code (?P<status2>\d{3})`)},
	{"aiohttp", 0, regexp.MustCompile(`\b(?P<status>\d{3}), message='[^']*', url=(?:URL\()?['"]?(?P<url>https?://[^\s'")]+)`)},
	{"requests", 0, regexp.MustCompile(`\b(?P<status>\d{3}) (?:Client|Server) Error: .*? for url: (?P<url>https?://\S+)`)},
	{"httpx", 0, regexp.MustCompile(`(?:Client|Server) error '(?P<status>\d{3}) [^']*' for url '(?P<url>[^']+)'`)},
	{"urllib", 0, regexp.MustCompile(`HTTP Error (?P<status>\d{3}): `)},
	{"google-api-core", 0, regexp.MustCompile(`google\.api_core\.exceptions\.\w+: (?P<status>\d{3}) `)},
	{"axios and gaxios", 0, regexp.MustCompile(`Request failed with status code (?P<status>\d{3})\b`)},
	{"got", 0, regexp.MustCompile(`Response code (?P<status>\d{3}) \(`)},
	{"guzzle", 0, regexp.MustCompile("error: `[A-Z]+ (?P<url>https?://[^\\s`]+)` resulted in a `(?P<status>\\d{3}) ")},
	{"java.net", 0, regexp.MustCompile(`Server returned HTTP response code: (?P<status>\d{3}) for URL: (?P<url>https?://\S+)`)},
	{"google-http-client", 0, regexp.MustCompile(`HttpResponseException: (?P<status>\d{3})\b(?: [A-Za-z ]+\n[A-Z]+ (?P<url>https?://\S+))?`)},
	{"Spring WebClient", 0, regexp.MustCompile(`\b(?P<status>\d{3}) [A-Za-z ]+ from [A-Z]+ (?P<url>https?://\S+)`)},
	{"Spring RestTemplate", 0, regexp.MustCompile(`Http(?:Client|Server)ErrorException(?:\$\w+)?: (?P<status>\d{3})\b`)},
	{".NET", 0, regexp.MustCompile(`Response status code does not indicate success: (?P<status>\d{3})\b`)},
	{"Faraday", 0, regexp.MustCompile(`the server responded with status (?P<status>\d{3})\b`)},
	{"curl --fail", 0, regexp.MustCompile(`The requested URL returned error: (?P<status>\d{3})\b`)},
	{"wget", 0, regexp.MustCompile(`awaiting response\.\.\. (?P<status>\d{3})\b|\bERROR (?P<status2>\d{3}): `)},
	{"Go", 0, regexp.MustCompile(`(?i)\b(?:unexpected|got|bad|received|non-200) (?:HTTP )?(?:response )?status(?: code)?:? "?(?P<status>\d{3})\b`)},
	{"Node", 0, regexp.MustCompile(`Response \{\s*status: (?P<status>\d{3})\b(?:[^}]*?\burl: '(?P<url>https?://[^']+)')?`)},
	{"fetch", 0, regexp.MustCompile(`(?i)HTTP[ -]?error!?,? (?:with )?(?:status|code)(?: code)?:? ?(?P<status>\d{3})\b`)},
	{"reqwest", 0, regexp.MustCompile(`HTTP status (?:client|server) error \((?P<status>\d{3})[^)]*\) for url \((?P<url>https?://[^)\s]+)\)`)},
	{"Feign", 0, regexp.MustCompile(`\[(?P<status>\d{3})[^\]]*\] during \[[A-Z]+\] to \[(?P<url>https?://[^\]\s]+)\]`)},
	{"OkHttp", 0, regexp.MustCompile(`Response\{protocol=[^,]+, code=(?P<status>\d{3}), [^}]*url=(?P<url>https?://[^}\s]+)\}`)},
	{"googleapi", 0, regexp.MustCompile(`googleapi: Error (?P<status>\d{3}): `)},
	{"gRPC", 403, regexp.MustCompile(`\b(?:PERMISSION_DENIED|code = PermissionDenied)\b`)},
	{"gRPC", 401, regexp.MustCompile(`\b(?:UNAUTHENTICATED|code = Unauthenticated)\b`)},
}

// quoted returns what a text tells of an answer that is not shown itself:
// Google's page before the words of a client, and of several the last.
func quoted(text string) Response {
	for _, table := range [][]told{pages, logTexts, exceptions} {
		for _, t := range table {
			if r, ok := t.in(text); ok {
				return r
			}
		}
	}
	return Response{}
}

func (t told) in(text string) (Response, bool) {
	all := t.pattern.FindAllStringSubmatch(text, -1)
	if len(all) == 0 {
		return Response{}, false
	}
	r, last := Response{Status: t.status}, all[len(all)-1]
	for i, name := range t.pattern.SubexpNames() {
		switch {
		case strings.HasPrefix(name, "status") && last[i] != "":
			r.Status, _ = strconv.Atoi(last[i])
		case name == "url" && last[i] != "":
			if u, err := url.Parse(strings.TrimRight(last[i], `.,;:'")>`)); err == nil && u.Host != "" {
				r.URL = u
			}
		}
	}
	return r, r.Status >= 100 && r.Status < 600
}
