package checks

import (
	"cmp"
	"fmt"

	"cloud.google.com/go/functions/apiv2/functionspb"

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
		case in.url == nil && in.elsewhere != "":
			return unknown(in.elsewhere)
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
