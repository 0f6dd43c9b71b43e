package gather

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"diagnose/internal/gcp"
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
	hinted   bool     // the location is only where to look first
	// projectFrom and regionFrom say where a part comes from that the target
	// itself does not name: a flag, a variable, a property.
	projectFrom, regionFrom string
}

var noun = map[Kind]string{AnyKind: "function or service", FunctionKind: "function", ServiceKind: "service"}

// String names the target for a sentence.
func (t Target) String() string {
	s := noun[t.Kind]
	if t.Name != "" {
		s += fmt.Sprintf(" %q", t.Name)
	} else if t.URL != nil {
		s += " of " + t.URL.Host
	}
	if t.Location != "" && !t.hinted {
		s += " in " + t.Location + from(t.regionFrom)
	}
	if t.Project != "" {
		s += " of project " + t.Project + from(t.projectFrom)
	}
	return s
}

// from says where a part comes from that nobody typed.
func from(source string) string {
	if source == "" || strings.HasPrefix(source, "--") {
		return ""
	}
	return " (from " + source + ")"
}

// hashed reports whether the URL is the hash form of run.app, which does not
// say whose project the service is of.
func (t Target) hashed() bool { return t.URL != nil && gcp.ParseHost(t.URL.Host).Hash != "" }

func (t Target) complete() bool { return t.Project != "" && t.Location != "" && t.Name != "" }

func (t Target) location() string { return "projects/" + t.Project + "/locations/" + t.Location }

func (t Target) functionName() string { return t.location() + "/functions/" + t.Name }

// serviceName is the Cloud Run service of that name, which for a function is
// that of its service as far as nobody says otherwise.
func (t Target) serviceName() string {
	name := t.Name
	if t.Kind != ServiceKind {
		name = gcp.ServiceID(name)
	}
	return t.location() + "/services/" + name
}

// A Contradiction error says that a flag and the target name different things.
type Contradiction struct{ Flag, Given, Named string }

func (e *Contradiction) Error() string {
	return fmt.Sprintf("%s=%s is not what the target says, which names %s: leave the flag out, or correct it", e.Flag, e.Given, e.Named)
}

// settle completes a target by the options: by a flag, or by a guess where the
// target and the flags say nothing. A default region is none for a URL, which
// says itself which service it is.
func (c *collector) settle(t Target) (Target, error) {
	same := gcp.IsNumber(t.Project) != gcp.IsNumber(c.Project) || t.Project == c.Project
	switch {
	case c.Project != "" && t.Project != "" && !same:
		return t, &Contradiction{"--project", c.Project, t.Project}
	case c.Region != "" && t.Location != "" && t.Location != c.Region:
		return t, &Contradiction{"--region", c.Region, t.Location}
	}
	if t.Project == "" {
		t.Project, t.projectFrom = c.Defaults.Project, c.Defaults.ProjectFrom
		if c.Project != "" {
			t.Project, t.projectFrom = c.Project, "--project"
		}
	}
	if t.Project == "" {
		return t, errors.New("the project is unknown: give --project, or run gcloud config set project PROJECT_ID")
	}
	switch {
	case t.Location != "" || t.custom:
	case c.Region != "":
		t.Location, t.regionFrom = c.Region, "--region"
	case t.URL == nil:
		t.Location, t.regionFrom = c.Defaults.Region, c.Defaults.RegionFrom
	default:
		t.Location = gcp.RegionOf(gcp.ParseHost(t.URL.Host).Code)
		t.hinted = t.Location != ""
	}
	return t, nil
}

// contradicted is the error where the project given by ID and the one that the
// target names by number, or the other way round, are found to be two.
func (c *collector) contradicted(t Target, place func() hierarchy) error {
	if c.Project == "" || c.Project == t.Project {
		return nil
	}
	h := place()
	if h.id == "" || h.number == "" || slices.Contains([]string{h.id, h.number}, c.Project) {
		return nil
	}
	return &Contradiction{"--project", c.Project, h.id}
}

var (
	shortName  = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{0,62}$`)
	consoleURL = regexp.MustCompile(`^/(run/detail|functions/details)/([^/]+)/([^/]+)`)
)

// ParseTarget reads a target: a short name, a resource name with or without
// the API's host in front, a URL of the service or function, a custom domain,
// or the address of its page in the Google Cloud console. Its errors say which
// forms there are.
func ParseTarget(text string) (Target, error) {
	text = strings.TrimSpace(text)
	if scheme, rest, ok := strings.Cut(text, "://"); ok {
		text = strings.ToLower(scheme) + "://" + rest
	}
	name := text
	if !strings.HasPrefix(text, "http") {
		name = strings.TrimSuffix(text, "/")
	}
	if n, ok := gcp.ParseName(name); ok && n.Collection != "" {
		return named(n)
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
	return Target{}, errTarget
}

// named is the target of a resource name: a service, also by its name at IAP,
// or a function. Parts that are not known are looked for.
func named(n gcp.Name) (Target, error) {
	t := Target{Project: n.Project, Location: n.Location, Name: n.ID}
	service, ok := n.Service()
	switch {
	case n.ID == "":
		return Target{}, errors.New("target names no service or function: expected one by its name")
	case n.Host == gcp.FunctionsAPI && ok:
		t.Kind = FunctionKind
	case ok:
		t.Kind, t.Name = ServiceKind, service.ID
	case n.Host == "":
		return Target{}, errTarget
	default:
		return Target{}, fmt.Errorf("%s has no %s to invoke: expected //%s/…/services/… or //%s/…/functions/…",
			n.Host, n.Collection, gcp.RunAPI, gcp.FunctionsAPI)
	}
	return t, nil
}

var errTarget = errors.New("the target is not one that diagnose knows: expected a name, projects/P/locations/L/services/S, " +
	"projects/P/locations/L/functions/F, or a URL")

func parseURL(text string) (Target, error) {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" {
		return Target{}, errors.New("target URL is broken: expected https://HOST/PATH")
	}
	if u.User != nil {
		return Target{}, errors.New("the target URL has a user name or password: leave it out")
	}
	host := gcp.ParseHost(u.Host)
	if host.Name == "console.cloud.google.com" {
		return parseConsole(u)
	}
	t := Target{URL: u}
	switch {
	case host.Kind == gcp.RunHost && host.Service != "":
		t.Kind, t.Name, t.Project, t.Location = ServiceKind, host.Service, host.Number, host.Region
	case host.Kind == gcp.FunctionsHost && host.Project != "":
		t.Kind, t.Location, t.Project = FunctionKind, host.Region, host.Project
		if t.Name = gcp.FunctionOf(u); t.Name == "" {
			return Target{}, errors.New("target URL has no function's name: expected https://REGION-PROJECT.cloudfunctions.net/FUNCTION")
		}
	case host.Kind == gcp.APIHost:
		return Target{}, errors.New("the target URL is a Google API: calling it does not invoke a service")
	default:
		t.Kind, t.custom = ServiceKind, true
	}
	return t, nil
}

func parseConsole(u *url.URL) (Target, error) {
	m := consoleURL.FindStringSubmatch(u.Path)
	if m == nil {
		return Target{}, errors.New("the target is another page of the console: expected the page of one service or function")
	}
	kind := FunctionKind
	if m[1] == "run/detail" {
		kind = ServiceKind
	}
	return Target{Kind: kind, Project: u.Query().Get("project"), Location: m[2], Name: m[3]}, nil
}
