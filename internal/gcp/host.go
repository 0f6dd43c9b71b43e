package gcp

import (
	"net"
	"net/url"
	"regexp"
	"strings"
)

// A HostKind says which of Google's front doors a host name is. The zero
// HostKind is a host of somebody's own: a domain mapping, a load balancer, a
// proxy, another universe.
type HostKind int

// The kinds of host.
const (
	CustomHost    HostKind = iota
	RunHost                // *.run.app
	FunctionsHost          // *.cloudfunctions.net
	APIHost                // *.googleapis.com
	NoHost                 // none is given
)

// A Host is a host taken apart by the URL forms of
// https://docs.cloud.google.com/run/docs/triggering/https-request. Parts that
// are "" are not in it; the zero Host is a custom one without a name.
type Host struct {
	Kind    HostKind
	Name    string // in lower case, without port
	Port    string
	Tag     string // run.app: of a revision
	Service string // run.app: the service's ID
	Number  string // run.app, deterministic form: of the project
	Region  string // run.app, deterministic form; cloudfunctions.net
	Hash    string // run.app, hash form
	Code    string // run.app, hash form: two or three letters for the region
	Project string // cloudfunctions.net: the project's ID
}

// The domains of the default URLs, without a dot in front.
const (
	RunDomain       = "run.app"
	FunctionsDomain = "cloudfunctions.net"
)

const (
	apiDomain    = ".googleapis.com"
	tagSeparator = "---"
)

var (
	deterministicHost = regexp.MustCompile(`^(?:([a-z0-9-]+)---)?([a-z][a-z0-9-]*)-(\d+)\.([a-z]+-[a-z]+\d+)\.run\.app$`)
	hashHost          = regexp.MustCompile(`^(?:([a-z0-9-]+)---)?([a-z][a-z0-9-]*)-([a-z0-9]+)-([a-z]{2,3})\.a\.run\.app$`)
	functionsHost     = regexp.MustCompile(`^([a-z]+-[a-z]+\d+)-(.+)\.cloudfunctions\.net$`)
	urlInText         = regexp.MustCompile(`[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.(?:run\.app|cloudfunctions\.net)\b` +
		`(?::\d+)?(?:/[A-Za-z0-9_-]+)?`)
)

// ParseHost takes a host apart, with or without a port.
func ParseHost(s string) Host {
	h := Host{Name: strings.ToLower(s)}
	if name, port, err := net.SplitHostPort(h.Name); err == nil {
		h.Name, h.Port = name, port
	}
	switch {
	case h.Name == "":
		h.Kind = NoHost
	case strings.HasSuffix(h.Name, "."+RunDomain):
		h.Kind = RunHost
		if m := deterministicHost.FindStringSubmatch(h.Name); m != nil {
			h.Tag, h.Service, h.Number, h.Region = m[1], m[2], m[3], m[4]
		} else if m := hashHost.FindStringSubmatch(h.Name); m != nil {
			h.Tag, h.Service, h.Hash, h.Code = m[1], m[2], m[3], m[4]
		}
	case strings.HasSuffix(h.Name, "."+FunctionsDomain):
		h.Kind = FunctionsHost
		if m := functionsHost.FindStringSubmatch(h.Name); m != nil {
			h.Region, h.Project = m[1], m[2]
		}
	case strings.HasSuffix(h.Name, apiDomain):
		h.Kind = APIHost
	}
	return h
}

// HostOf takes the host of a URL apart; that of a URL that cannot be read is
// NoHost.
func HostOf(rawURL string) Host {
	u, err := url.Parse(rawURL)
	if err != nil {
		return Host{Kind: NoHost}
	}
	return ParseHost(u.Host)
}

// Untagged is the host's name without the tag of a revision.
func (h Host) Untagged() string {
	if h.Tag == "" {
		return h.Name
	}
	return strings.TrimPrefix(h.Name, h.Tag+tagSeparator)
}

// FrontEnd reports whether the host is one of the default URLs of services
// and functions.
func (h Host) FrontEnd() bool { return h.Kind == RunHost || h.Kind == FunctionsHost }

// FindAddresses takes apart what stands in a text at run.app and
// cloudfunctions.net, in its order, with or without a scheme in front.
func FindAddresses(text string) []Address {
	var out []Address
	for _, s := range urlInText.FindAllString(text, -1) {
		out = append(out, ParseAddress("https://"+s))
	}
	return out
}

// FunctionURL is the cloudfunctions.net URL of a function, "" where a part of
// its name is not known:
// https://docs.cloud.google.com/functions/docs/calling/http.
func FunctionURL(function Name) string {
	if function.Collection != "functions" || !function.Complete() || IsNumber(function.Project) {
		return ""
	}
	return "https://" + function.Location + "-" + function.Project + "." + FunctionsDomain + "/" + function.ID
}

// FunctionOf is the function's ID in a cloudfunctions.net URL: the first
// element of its path. It is "" for other URLs.
func FunctionOf(u *url.URL) string {
	if u == nil || ParseHost(u.Host).Kind != FunctionsHost {
		return ""
	}
	first, _, _ := strings.Cut(strings.TrimPrefix(u.Path, "/"), "/")
	return first
}

// An Address is what a URL says of the service or function behind it. Parts
// that are "" are not in the URL; the zero Address says nothing.
type Address struct {
	Host     string // in lower case, without the tag of a run.app URL
	Service  string // of a run.app URL
	Hash     string // of a run.app URL, hash form
	Function string // of a cloudfunctions.net URL
	Project  string // ID
	Number   string // of the project
	Region   string
}

// ParseAddress takes the URL of a service or function apart.
func ParseAddress(rawURL string) Address {
	u, err := url.Parse(rawURL)
	if err != nil {
		return Address{}
	}
	h := ParseHost(u.Host)
	return Address{
		Host: h.Untagged(), Service: h.Service, Hash: h.Hash, Function: FunctionOf(u),
		Project: h.Project, Number: h.Number, Region: h.Region,
	}
}

// Origin is the scheme and host of a URL, without path, query and fragment.
func Origin(u *url.URL) string { return u.Scheme + "://" + u.Host }
