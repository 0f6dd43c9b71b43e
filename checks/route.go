package checks

import (
	"cmp"
	"fmt"
	"net/url"
	"strings"

	"cloud.google.com/go/functions/apiv2/functionspb"

	"diagnose/internal/evidence"
	"diagnose/internal/gcp"
)

var routeGate = Gate{"route", "404, redirect", []Check{routeHost, routePath, routeHTTPS, routeDefaultURL}}

var notFound = Answer{Status: 404}

var routeHost = Check{
	ID:    "route-host",
	Title: "host of the URL",
	Doc: `Every name below run.app and cloudfunctions.net resolves, so a wrong host, region or project is answered by Google's
404 page and leaves no log entry. The service lists its own URLs; a v2 function also answers on cloudfunctions.net.
The service's own documents do not show whether a custom domain leads to it.`,
	Ref:        "https://docs.cloud.google.com/run/docs/triggering/https-request",
	Confidence: Documented,
	Run: func(in *Invocation) Finding {
		switch {
		case in.url == nil && !in.Request.Known():
			return assume("request.json", "no request was given", "the request goes to the service's own URL over https", Command{Argv: []string{"diagnose", "invoke", "--url", cmp.Or(in.audiences.Preferred(), "URL")}})
		case in.url == nil:
			return notApplicable("no URL was given, so this is about the service's own")
		case in.host.Kind == gcp.APIHost:
			return unknown(fmt.Sprintf("%s is a Google API: calling it does not invoke a service, and an access token is right there", in.host.Name))
		case in.host.Kind == gcp.CustomHost && in.ownHostFix() != nil:
			return in.foreignHostHeader()
		case in.ownName() != "":
			return Finding{Message: in.ownName() + " is a custom domain or not Google's; no document shows whether it leads to this service", Assumes: in.standing()}
		case in.port() != "":
			return Finding{Message: fmt.Sprintf("the service answers on port 443, but the request goes to port %s", in.port()), Assumes: in.standing()}
		case in.host.Kind == gcp.FunctionsHost:
			return in.functionHostFinding()
		}
		return in.runHostFinding()
	},
}

// ownName is the name of a host that is not Google's and stands in the way: in
// the Host header, or of the URL where the header has the service's. "" is none.
func (in *Invocation) ownName() string {
	if in.host.Kind == gcp.CustomHost {
		return in.host.Name
	}
	if in.url != nil && in.request.HostHeader() != "" {
		if h := gcp.ParseHost(in.url.Hostname()); h.Kind == gcp.CustomHost {
			return h.Name
		}
	}
	return ""
}

// foreignHostHeader answers where a request is sent to run.app with another
// name in its Host header: the front end looks that name up, and knows it only
// through a domain mapping.
func (in *Invocation) foreignHostHeader() Finding {
	f := fail(fmt.Sprintf("the Host header is %s, by which Google's front end finds the service; the service's host is %s", in.host.Name, in.url.Hostname()),
		notFound, in.Request.Source.At("/headers/Host"))
	f.Assumes = []Assumption{{Text: "no domain mapping leads " + in.host.Name + " to the service"}}
	f.Fixes = in.ownHostFix()
	return f
}

// ownHostFix leaves the Host header to the URL; nil where no header names
// another host, or where the URL's own is not one of Google's.
func (in *Invocation) ownHostFix() []Fix {
	if in.url == nil {
		return nil
	}
	own := gcp.ParseHost(in.url.Hostname())
	if in.request.HostHeader() == "" || own.Name == in.host.Name || own.Kind != gcp.RunHost && own.Kind != gcp.FunctionsHost {
		return nil
	}
	return []Fix{{ID: "send-own-host", Summary: "Send " + own.Name + " in the Host header: a proxy must not pass on the host name that its visitor used",
		apply: func(s evidence.Snapshot) evidence.Snapshot {
			return changeRequest(s, func(r *evidence.Request) {
				r.Headers.Del("Host")
				r.Headers.Del(":authority")
			})
		}}}
}

func (in *Invocation) functionHostFinding() Finding {
	fn := in.fn()
	n := parsed(fn.GetName())
	switch {
	case !in.function && in.Service.Known():
		return in.serviceOfFunctionHost()
	case !in.function:
		return assume("function.json", "the function was not read", in.host.Name+" is the function's host", in.describeFunction()...)
	case in.host.Region != "" && n.Location != "" && in.host.Region != n.Location:
		return in.wrongHost(fmt.Sprintf("%s is in the region %s, but the function is in %s", in.namer(), in.host.Region, n.Location))
	case in.host.Project != "" && n.Project != "" && !gcp.IsNumber(n.Project) && in.host.Project != n.Project:
		return in.wrongHost(fmt.Sprintf("%s is in the project %s, but the function is in %s", in.namer(), in.host.Project, n.Project))
	case fn.GetUrl() != "" && gcp.HostOf(fn.GetUrl()).Kind == gcp.FunctionsHost && gcp.HostOf(fn.GetUrl()).Name != in.host.Name:
		return in.wrongHost(fmt.Sprintf("%s is the host %s, but the function answers at %s", in.namer(), in.host.Name, fn.GetUrl()))
	}
	return pass(in.host.Name+" is the function's host", in.Function.Source.At("/url"))
}

// serviceOfFunctionHost answers for a cloudfunctions.net URL where only the
// Cloud Run service was read.
func (in *Invocation) serviceOfFunctionHost() Finding {
	n := parsed(in.service().GetName())
	if in.host.Region != "" && n.Location != "" && in.host.Region != n.Location {
		return in.wrongHost(fmt.Sprintf("%s is in the region %s, but the service is in %s", in.namer(), in.host.Region, n.Location))
	}
	return assume("function.json", "the function was not read", in.host.Name+" is the host of the function that this service serves", in.describeFunction()...)
}

func (in *Invocation) runHostFinding() Finding {
	urls := in.knownURLs()
	for _, u := range urls {
		if h := gcp.HostOf(u); h.Name == in.host.Name {
			return pass(in.host.Name+" is one of the service's hosts", in.sourceOfURLs())
		} else if in.host.Tag != "" && h.Name == in.host.Untagged() {
			return pass(fmt.Sprintf("%s is the tag %s of the service", in.host.Name, in.host.Tag), in.sourceOfURLs())
		}
	}
	if in.gen1 {
		return in.wrongHost(fmt.Sprintf("a gen1 function does not answer on run.app, but the request goes to %s", in.host.Name))
	}
	n := in.namedService()
	switch {
	case in.multiRegion() && in.host.Service == n.ID:
		return unknown(fmt.Sprintf("%s is not a listed host, and Google does not document the hosts of a service in several regions", in.host.Name), in.describeService()...)
	case len(urls) == 0 && n.ID == "":
		return assume("service.json", "the service was not read", in.host.Name+" is the service's host", in.describeService()...)
	case in.host.Service == "":
		return in.wrongHost(fmt.Sprintf("%s is not a host of the service", in.host.Name))
	case n.ID != "" && in.host.Service != n.ID:
		return in.wrongHost(fmt.Sprintf("%s names the service %s, but the service is %s", in.namer(), in.host.Service, n.ID))
	case n.Location != "" && in.host.Region != "" && in.host.Region != n.Location:
		return in.wrongHost(fmt.Sprintf("%s is in the region %s, but the service is in %s", in.namer(), in.host.Region, n.Location))
	case in.host.Number != "" && in.documentNumber() != "" && in.documentNumber() != in.host.Number:
		return in.wrongHost(fmt.Sprintf("%s is in the project %s, but the service is in %s", in.namer(), in.host.Number, in.documentNumber()))
	case in.host.Number != "" && in.documentNumber() != "":
		return pass(in.host.Name+" is the service's deterministic URL", in.sourceOfURLs())
	case in.host.Number != "":
		return assume("project.json", "the project's number is unknown", in.host.Number+" is the number of the service's project", in.describeProject()...)
	case !in.ownHost():
		return in.wrongHost(fmt.Sprintf("%s is not a host of the service", in.host.Name))
	}
	return assume("service.json", "the URLs of the service were not read", in.host.Name+" is the service's host", in.describeService()...)
}

// multiRegion reports whether the service runs in several regions.
func (in *Invocation) multiRegion() bool {
	return len(in.service().GetMultiRegionSettings().GetRegions()) > 0
}

func (in *Invocation) sourceOfURLs() evidence.Source {
	if in.Service.Known() {
		return in.Service.Source.At("/uri")
	}
	return in.Function.Source.At("/serviceConfig/uri")
}

// namer is what names the host that the front end looks up.
func (in *Invocation) namer() string {
	if in.request.HostHeader() != "" {
		return "the Host header"
	}
	return "the URL"
}

func (in *Invocation) wrongHost(message string) Finding {
	f := fail(message, notFound, in.Request.Source.At("/url"))
	if fixes := in.ownHostFix(); fixes != nil {
		f.Cites, f.Fixes = []evidence.Source{in.Request.Source.At("/headers/Host")}, fixes
		return f
	}
	if right := in.rightURL(); right != nil {
		f.Fixes = []Fix{in.callURLFix("use-own-url", "Call "+shown(right), right)}
	}
	return f
}

// rightURL is the request's URL on the target's own host, nil where that is
// not known.
func (in *Invocation) rightURL() *url.URL {
	fn := in.fn()
	base := cmp.Or(in.service().GetUri(), fn.GetServiceConfig().GetUri(), fn.GetUrl())
	if in.gen1 {
		base = fn.GetUrl()
	}
	u, err := url.Parse(base)
	if err != nil || u.Host == "" {
		return nil
	}
	if gcp.HostOf(base).Kind == gcp.RunHost && in.url != nil {
		path := in.url.Path
		if in.host.Kind == gcp.FunctionsHost {
			path = strings.TrimPrefix(path, "/"+in.functionOfURL())
		}
		u.Path, u.RawQuery = path, in.url.RawQuery
	}
	return u
}

var routePath = Check{
	ID:    "route-path",
	Title: "path of the URL",
	Doc: `The front end keeps the exact path /healthz for itself on run.app and answers 404, even on a public service; /healthz/
reaches the container. On cloudfunctions.net the first part of the path is the function's name.`,
	Ref:        "https://docs.cloud.google.com/run/docs/known-issues",
	Confidence: Reported,
	Run: func(in *Invocation) Finding {
		switch {
		case in.url == nil:
			return notApplicable("no path was given")
		case in.host.Kind == gcp.FunctionsHost:
			return in.functionPathFinding()
		case in.url.Path == "/healthz" && in.host.Kind == gcp.CustomHost:
			return assume("", "the front end of run.app keeps the path /healthz for itself; whether it does so after "+in.host.Name+" is not documented",
				"/healthz reaches the container through "+in.host.Name)
		case in.url.Path == "/healthz":
			u := *in.url
			u.Path = "/health"
			f := fail("Google's front end keeps the exact path /healthz for itself, so the request never reaches the container", notFound, in.Request.Source.At("/url"))
			f.Fixes = []Fix{in.callURLFix("rename-path", "Serve and call another path, such as /health", &u)}
			return f
		}
		return pass("the path is not reserved by Google")
	},
}

func (in *Invocation) functionPathFinding() Finding {
	got := in.functionOfURL()
	fn := in.fn()
	want := parsed(fn.GetName()).ID
	want = cmp.Or(gcp.ParseAddress(fn.GetUrl()).Function, want)
	switch {
	case got == "":
		f := fail("a cloudfunctions.net URL must name the function in its path", notFound, in.Request.Source.At("/url"))
		if want != "" {
			u := *in.url
			u.Path = "/" + want
			f.Fixes = []Fix{in.callURLFix("use-own-url", "Call "+shown(&u), &u)}
		}
		return f
	case want == "":
		return assume("function.json", "the function was not read", got+" is the function's name", in.describeFunction()...)
	case got != want:
		u := *in.url
		u.Path = "/" + want
		f := fail(fmt.Sprintf("the path names the function %s, but the function is %s", got, want), notFound, in.Request.Source.At("/url"))
		f.Fixes = []Fix{in.callURLFix("use-own-url", "Call "+shown(&u), &u)}
		return f
	}
	return pass("the path names the function", in.Function.Source.At("/name"))
}

var routeHTTPS = Check{
	ID:    "route-https",
	Title: "use of https",
	Doc: `Cloud Run and v2 functions answer plain http with a redirect to https. A client that follows it may turn POST into GET,
drop the body or the Authorization header. Only a gen1 function with securityLevel SECURE_OPTIONAL serves http.`,
	Ref:        "https://docs.cloud.google.com/run/docs/triggering/https-request",
	Confidence: Documented,
	Run: func(in *Invocation) Finding {
		optional := in.gen1 && in.fn().GetServiceConfig().GetSecurityLevel() != functionspb.ServiceConfig_SECURE_ALWAYS
		switch {
		case in.url == nil || in.url.Scheme != "http":
			return pass("the request uses https")
		case in.host.Kind == gcp.CustomHost:
			return assume("", "the request uses http; whether "+in.host.Name+" redirects to https is not known", in.host.Name+" serves http")
		case optional:
			return warn("the request uses http, which this gen1 function serves: the token travels unencrypted", in.Function.Source.At("/serviceConfig/securityLevel"))
		}
		u := *in.url
		u.Scheme = "https"
		f := fail("http is redirected to https, and a client that follows may lose the method, the body or the Authorization header", Answer{Status: 302, Also: []int{301, 307, 308}, Location: u.String()}, in.Request.Source.At("/url"))
		f.Fixes = []Fix{in.callURLFix("use-https", "Call "+shown(&u), &u)}
		return f
	},
}

var routeDefaultURL = Check{
	ID:    "route-default-url",
	Title: "default URL setting",
	Doc: `With the default URL off, the run.app URLs of the service and the cloudfunctions.net URL of its v2 function answer 404,
and Google services such as Scheduler, Tasks, Pub/Sub and Eventarc cannot reach it.`,
	Ref:        "https://docs.cloud.google.com/run/docs/securing/ingress",
	Confidence: Documented,
	Run: func(in *Invocation) Finding {
		svc, known := in.Service.Get()
		onDefault := in.host.Kind != gcp.CustomHost
		switch {
		case in.gen1:
			return notApplicable("a gen1 function has no default URL to turn off")
		case !onDefault:
			return notApplicable("the request does not go to the default URL")
		case !known:
			return assume("service.json", "the service was not read", "the default URL of the service is on", in.describeService()...)
		case !svc.GetDefaultUriDisabled():
			return pass("the default URL is on", in.Service.Source.At("/defaultUriDisabled"))
		}
		f := fail("the default URL of the service is off, so run.app and cloudfunctions.net answer 404", notFound, in.Service.Source.At("/defaultUriDisabled"))
		f.Fixes = []Fix{in.enableDefaultURL()}
		return f
	},
}
