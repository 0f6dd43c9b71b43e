package transcript

import (
	"cmp"
	"encoding/base64"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// withValue lists curl's options that take a value, by curl --help all. Every
// other long option is taken for a switch.
const withValue = `abstract-unix-socket alt-svc aws-sigv4 cacert capath cert cert-type ciphers config connect-timeout
connect-to continue-at cookie cookie-jar create-file-mode crlfile curves data data-ascii data-binary data-raw
data-urlencode delegation dns-interface dns-ipv4-addr dns-ipv6-addr dns-servers doh-url dump-header egd-file engine
etag-compare etag-save expect100-timeout form form-string haproxy-clientip header hostpubmd5 hostpubsha256 hsts
happy-eyeballs-timeout-ms interface ip-tos ipfs-gateway json keepalive-time keepalive-cnt key key-type krb libcurl
limit-rate local-port login-options max-filesize max-redirs max-time netrc-file noproxy oauth2-bearer output output-dir
parallel-max pass pinnedpubkey preproxy proto proto-default proto-redir proxy proxy-header proxy-user proxy1.0 range
rate referer request request-target resolve retry retry-delay retry-max-time service-name socks4 socks4a socks5
socks5-hostname speed-limit speed-time stderr time-cond tls-max tls13-ciphers trace trace-ascii trace-config
unix-socket upload-file url url-query user user-agent variable write-out`

// shorts are the short options that take a value, and their long names.
var shorts = map[byte]string{
	'A': "user-agent", 'b': "cookie", 'c': "cookie-jar", 'C': "continue-at", 'd': "data", 'D': "dump-header", 'e': "referer",
	'E': "cert", 'F': "form", 'H': "header", 'h': "help", 'K': "config", 'm': "max-time", 'o': "output", 'P': "ftp-port",
	'Q': "quote", 'r': "range", 't': "telnet-option", 'T': "upload-file", 'u': "user", 'U': "proxy-user", 'w': "write-out",
	'x': "proxy", 'X': "request", 'y': "speed-time", 'Y': "speed-limit", 'z': "time-cond",
}

// switches are the short options that matter and take none.
var switches = map[byte]string{'I': "head", 'G': "get", 'n': "netrc", 'j': "junk-session-cookies"}

var takesValue = strings.Fields(withValue)

// An option is one option of curl with its value, or an argument: its name is
// then "url".
type option struct{ name, value string }

// options splits the arguments of curl.
func options(args []string) []option {
	var out []option
	for i := 0; i < len(args); i++ {
		a := args[i]
		next := func() string {
			if i++; i < len(args) {
				return args[i]
			}
			return ""
		}
		switch {
		case strings.HasPrefix(a, "--") && len(a) > 2:
			name := a[2:]
			o := option{name: name}
			if slices.Contains(takesValue, name) {
				o.value = next()
			}
			out = append(out, o)
		case strings.HasPrefix(a, "-") && len(a) > 1 && a != "--":
			for j := 1; j < len(a); j++ {
				if long, ok := shorts[a[j]]; ok {
					value := a[j+1:]
					if value == "" {
						value = next()
					}
					out = append(out, option{long, value})
					break
				}
				out = append(out, option{name: switches[a[j]]})
			}
		case a != "--" && a != "":
			out = append(out, option{"url", a})
		}
	}
	return out
}

// fromArgs reads the words of a curl command. ok is false where they are
// another command, or one that gets a token of a Google API.
func fromArgs(words []string) (Exchange, bool) {
	if len(words) < 2 || !isCurlWord(words[0]) {
		return Exchange{}, false
	}
	r := request{Exchange: Exchange{Header: http.Header{}}}
	for _, o := range options(words[1:]) {
		r.take(o)
	}
	r.finish()
	if r.URL != nil && slices.Contains([]string{"metadata.google.internal", "metadata", "169.254.169.254"}, r.URL.Hostname()) {
		return Exchange{}, false
	}
	return r.Exchange, true
}

// A request gathers what the options of one curl command say.
type request struct {
	Exchange
	urls      []string
	method    string
	data      bool // a body was given
	head, get bool
	typed     string // the Content-Type that an option implies
}

func (r *request) take(o option) {
	switch o.name {
	case "url":
		r.urls = append(r.urls, o.value)
	case "request":
		r.method = o.value
	case "head":
		r.head = true
	case "get":
		r.get = true
	case "header":
		r.header(o.value)
	case "user-agent":
		r.Header.Set("User-Agent", o.value)
	case "referer":
		r.Header.Set("Referer", o.value)
	case "cookie":
		if strings.Contains(o.value, "=") {
			r.Header.Set("Cookie", o.value)
		}
	case "oauth2-bearer":
		r.header("Authorization: Bearer " + o.value)
	case "user":
		r.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(o.value)))
	case "json":
		r.body(o.value, "application/json")
	case "data", "data-ascii", "data-binary", "data-urlencode":
		r.body(o.value, "application/x-www-form-urlencoded")
	case "data-raw":
		r.body("", "application/x-www-form-urlencoded")
	case "form", "form-string":
		r.body("", "multipart/form-data")
	case "upload-file":
		r.body("@"+o.value, "")
		r.method = cmp.Or(r.method, http.MethodPut)
	case "config", "netrc", "netrc-file", "netrc-optional", "negotiate", "ntlm", "aws-sigv4", "anyauth", "digest":
		r.Masked = true // what it sends is not shown
	}
}

// header takes a header as curl does: "Name: value"; "Name;" sends it empty,
// and "Name:" does not send it; @FILE has the headers of a file.
func (r *request) header(text string) {
	if strings.HasPrefix(text, "@") {
		r.Masked = true
		return
	}
	name, value, ok := strings.Cut(text, ":")
	name, value = strings.TrimSpace(name), strings.TrimSpace(value)
	switch {
	case ok && value != "" && name != "":
		r.Header.Add(name, value)
	case ok:
		r.Header.Del(name)
	case strings.HasSuffix(name, ";"):
		r.Header.Add(strings.TrimSuffix(name, ";"), "")
	}
	if m := minted.FindStringSubmatch(value); m != nil && value != "" {
		r.Minted = m[1]
	}
}

// minted is a command in the place of a credential.
var minted = regexp.MustCompile(`^(?:[A-Za-z]+\s+)?\$\((.*)\)$`)

// body notes that a body is sent, and its file where it is one.
func (r *request) body(value, kind string) {
	r.data = true
	if strings.HasPrefix(value, "@") && value != "@-" {
		r.Body = value[1:]
	}
	r.typed = cmp.Or(r.typed, kind)
}

func (r *request) finish() {
	r.Method = r.method
	switch {
	case r.method != "":
		r.Method = strings.ToUpper(r.method)
	case r.head:
		r.Method = http.MethodHead
	case r.data && !r.get:
		r.Method = http.MethodPost
	default:
		r.Method = http.MethodGet
	}
	if r.data && !r.get && r.typed != "" && r.Header.Get("Content-Type") == "" {
		r.Header.Set("Content-Type", r.typed)
	}
	if len(r.urls) > 0 {
		first := r.urls[0]
		if !strings.Contains(first, "://") {
			first = "http://" + first // as curl takes it
		}
		if u := parseURL(first); u != nil && !strings.Contains(u.Host, "$") {
			r.URL = u
		}
	}
	if len(r.urls) > 1 {
		r.Note = "the command calls several URLs, and the first is judged"
	}
}
