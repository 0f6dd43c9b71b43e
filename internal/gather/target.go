package gather

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

// A Kind says which collection a target's name is in. The zero Kind is not
// known: a function or a Cloud Run service.
type Kind int

// The kinds of target.
const (
	AnyKind Kind = iota
	FunctionKind
	ServiceKind
)

// A Target names what to read. Empty parts are not known yet.
type Target struct {
	Kind     Kind
	Project  string // ID or number
	Location string
	Name     string
	URL      *url.URL // the URL asked about, nil where a name was given
	custom   bool     // URL is on a domain of one's own
}

// String names the target for a sentence.
func (t Target) String() string {
	noun := map[Kind]string{AnyKind: "function or service", FunctionKind: "function", ServiceKind: "service"}[t.Kind]
	s := noun
	if t.Name != "" {
		s += fmt.Sprintf(" %q", t.Name)
	} else if t.URL != nil {
		s += " of " + t.URL.Host
	}
	if t.Location != "" {
		s += " in " + t.Location
	}
	if t.Project != "" {
		s += " of project " + t.Project
	}
	return s
}

func (t Target) complete() bool { return t.Project != "" && t.Location != "" && t.Name != "" }

func (t Target) location() string { return "projects/" + t.Project + "/locations/" + t.Location }

func (t Target) functionName() string { return t.location() + "/functions/" + t.Name }

// serviceName is the Cloud Run service of that name. A function's service has
// its name in lower case with hyphens, as far as nobody says otherwise.
func (t Target) serviceName() string {
	name := t.Name
	if t.Kind != ServiceKind {
		name = strings.ToLower(strings.ReplaceAll(name, "_", "-"))
	}
	return t.location() + "/services/" + name
}

var (
	resourceName = regexp.MustCompile(`^(?:(?:https:)?//(run|cloudfunctions)\.googleapis\.com/(?:v\w+/)?)?projects/([^/]+)/locations/([^/]+)/(services|functions)/([^/?]+)$`)
	shortName    = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{0,62}$`)
	consoleURL   = regexp.MustCompile(`^/(run/detail|functions/details)/([^/]+)/([^/]+)`)

	// The URL forms of https://docs.cloud.google.com/run/docs/triggering/https-request.
	numberHost   = regexp.MustCompile(`^(?:[a-z0-9-]+---)?([a-z][a-z0-9-]*)-(\d+)\.([a-z]+-[a-z]+\d+)\.run\.app$`)
	hashHost     = regexp.MustCompile(`^(?:[a-z0-9-]+---)?([a-z][a-z0-9-]*)-[a-z0-9]+-[a-z]{2,3}\.a\.run\.app$`)
	functionHost = regexp.MustCompile(`^([a-z]+-[a-z]+\d+)-(.+)\.cloudfunctions\.net$`)
)

// ParseTarget reads a target: a short name, a resource name with or without
// the API's host in front, a URL of the service or function, a custom domain,
// or the address of its page in the Google Cloud console. Its errors say which
// forms there are.
func ParseTarget(text string) (Target, error) {
	text = strings.TrimSpace(text)
	if m := resourceName.FindStringSubmatch(text); m != nil {
		kind := map[string]Kind{"services": ServiceKind, "functions": FunctionKind}[m[4]]
		if (m[1] == "run") != (kind == ServiceKind) && m[1] != "" {
			return Target{}, fmt.Errorf("%s.googleapis.com has no %s: expected //run.googleapis.com/…/services/… or //cloudfunctions.googleapis.com/…/functions/…", m[1], m[4])
		}
		return Target{Kind: kind, Project: m[2], Location: m[3], Name: m[5]}, nil
	}
	if strings.HasPrefix(text, "http://") || strings.HasPrefix(text, "https://") {
		return parseURL(text)
	}
	if shortName.MatchString(text) {
		return Target{Name: text}, nil
	}
	if u, err := url.Parse("https://" + text); err == nil && strings.Contains(u.Host, ".") && !strings.ContainsAny(text, " \t") {
		return parseURL("https://" + text)
	}
	return Target{}, errors.New("target is not understood: expected a name, projects/P/locations/L/services/S, projects/P/locations/L/functions/F, or a URL")
}

func parseURL(text string) (Target, error) {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" {
		return Target{}, errors.New("target URL is broken: expected https://HOST/PATH")
	}
	if u.User != nil {
		return Target{}, errors.New("target URL holds a user name or password: leave it out")
	}
	host := strings.ToLower(u.Hostname())
	if host == "console.cloud.google.com" {
		return parseConsole(u)
	}
	t := Target{URL: u}
	switch m := [][]string{numberHost.FindStringSubmatch(host), hashHost.FindStringSubmatch(host), functionHost.FindStringSubmatch(host)}; {
	case m[0] != nil:
		t.Kind, t.Name, t.Project, t.Location = ServiceKind, m[0][1], m[0][2], m[0][3]
	case m[1] != nil:
		t.Kind, t.Name = ServiceKind, m[1][1]
	case m[2] != nil:
		t.Kind, t.Location, t.Project = FunctionKind, m[2][1], m[2][2]
		if t.Name, _, _ = strings.Cut(strings.TrimPrefix(u.Path, "/"), "/"); t.Name == "" {
			return Target{}, errors.New("target URL lacks the function's name: expected https://REGION-PROJECT.cloudfunctions.net/FUNCTION")
		}
	case strings.HasSuffix(host, ".googleapis.com"):
		return Target{}, errors.New("target URL is a Google API: calling it is no invocation of a service")
	default:
		t.Kind, t.custom = ServiceKind, true
	}
	return t, nil
}

func parseConsole(u *url.URL) (Target, error) {
	m := consoleURL.FindStringSubmatch(u.Path)
	if m == nil {
		return Target{}, errors.New("target is another page of the console: expected that of one service or function")
	}
	kind := FunctionKind
	if m[1] == "run/detail" {
		kind = ServiceKind
	}
	return Target{Kind: kind, Project: u.Query().Get("project"), Location: m[2], Name: m[3]}, nil
}
