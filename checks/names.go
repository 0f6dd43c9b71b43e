package checks

import (
	"cmp"
	"net/url"
	"regexp"
	"strings"

	"google.golang.org/protobuf/proto"

	"cloud.google.com/go/run/apiv2/runpb"
)

// A name is a resource name taken apart. Empty parts are unknown.
type name struct {
	Project  string // ID or number
	Location string
	ID       string // short name of the service or function
}

// parseName takes "projects/P/locations/L/services/S" apart, with or without
// a leading "//run.googleapis.com/".
func parseName(s string) name {
	if rest, ok := strings.CutPrefix(s, "//"); ok {
		_, s, _ = strings.Cut(rest, "/")
	}
	var n name
	parts := strings.Split(s, "/")
	for i := 0; i+1 < len(parts); i += 2 {
		switch parts[i] {
		case "projects", "namespaces":
			n.Project = parts[i+1]
		case "locations":
			n.Location = parts[i+1]
		default:
			n.ID = parts[i+1]
		}
	}
	if len(parts) == 1 {
		n.ID = s
	}
	return n
}

// A hostKind says which of Google's front doors a host name is. The zero
// hostKind is a host of the user's own: a domain mapping, a load balancer, a
// proxy.
type hostKind int

const (
	customHost hostKind = iota
	runHost             // *.run.app
	functionHost
	googleAPIHost
	noHost
)

// A host is a request's host taken apart by the URL forms of
// https://docs.cloud.google.com/run/docs/triggering/https-request.
type host struct {
	Kind    hostKind
	Name    string
	Tag     string
	Service string // run.app: the service's name
	Number  string // run.app, deterministic form: the project's number
	Region  string // "" in the hash form
	Project string // cloudfunctions.net: the project's ID
}

var (
	deterministicHost = regexp.MustCompile(`^(?:([a-z0-9-]+)---)?([a-z][a-z0-9-]*)-(\d+)\.([a-z]+-[a-z]+\d+)\.run\.app$`)
	hashHost          = regexp.MustCompile(`^(?:([a-z0-9-]+)---)?([a-z][a-z0-9-]*)-([a-z0-9]+)-([a-z]{2,3})\.a\.run\.app$`)
	functionsHost     = regexp.MustCompile(`^([a-z]+-[a-z]+\d+)-(.+)\.cloudfunctions\.net$`)
)

func parseHost(s string) host {
	s = strings.ToLower(s)
	h := host{Name: s}
	switch {
	case s == "":
		h.Kind = noHost
	case strings.HasSuffix(s, ".run.app"):
		h.Kind = runHost
		if m := deterministicHost.FindStringSubmatch(s); m != nil {
			h.Tag, h.Service, h.Number, h.Region = m[1], m[2], m[3], m[4]
		} else if m := hashHost.FindStringSubmatch(s); m != nil {
			h.Tag, h.Service = m[1], m[2]
		}
	case strings.HasSuffix(s, ".cloudfunctions.net"):
		h.Kind = functionHost
		if m := functionsHost.FindStringSubmatch(s); m != nil {
			h.Region, h.Project = m[1], m[2]
		}
	case strings.HasSuffix(s, ".googleapis.com"):
		h.Kind = googleAPIHost
	}
	return h
}

func hostOf(raw string) host {
	u, err := url.Parse(raw)
	if err != nil {
		return host{Kind: noHost}
	}
	return parseHost(u.Hostname())
}

// An Address is what a URL says of the service or function behind it. Empty
// parts are not in the URL; the zero Address says nothing.
type Address struct {
	Host     string // in lower case, without the tag of a run.app URL
	Service  string // of a run.app URL
	Function string // of a cloudfunctions.net URL
	Project  string // ID
	Number   string // of the project
	Region   string
}

// ParseAddress takes the URL of a service or function apart.
func ParseAddress(raw string) Address {
	u, err := url.Parse(raw)
	if err != nil {
		return Address{}
	}
	h := parseHost(u.Hostname())
	a := Address{Host: strings.TrimPrefix(h.Name, h.Tag+"---"), Service: h.Service, Project: h.Project, Number: h.Number, Region: h.Region}
	if h.Kind == functionHost {
		a.Function = functionPath(u)
	}
	return a
}

// origin returns scheme and host of a URL, without path, query and fragment.
func origin(u *url.URL) string { return u.Scheme + "://" + u.Host }

// functionPath returns the first segment of the path: the function's name on
// cloudfunctions.net.
func functionPath(u *url.URL) string {
	first, _, _ := strings.Cut(strings.TrimPrefix(u.Path, "/"), "/")
	return first
}

// serviceURLs returns every URL of the service that its document names, the
// main one first, without those of tags.
func serviceURLs(svc *runpb.Service) []string {
	var out []string
	for _, u := range append([]string{svc.GetUri()}, svc.GetUrls()...) {
		if u != "" && !contains(out, u) {
			out = append(out, u)
		}
	}
	return out
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

// edit returns a deep copy of a message after f has changed it.
func edit[M proto.Message](m M, f func(M)) M {
	c := proto.Clone(m).(M)
	f(c)
	return c
}

// or returns the first string that is not empty.
func or(s ...string) string { return cmp.Or(s...) }
