package checks

import (
	"cmp"
	"fmt"
	"net/url"
	"strings"

	"diagnose/internal/evidence"
	"diagnose/internal/gcp"
)

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
