package checks

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"diagnose/internal/evidence"
	"diagnose/internal/gcp"
	"diagnose/internal/iam"
)

// The authors of answers. The front end judges the invocation; IAP and the
// others stand in front of it.
const (
	frontEnd     = "Google's front end"
	iapAuthor    = "IAP"
	cloudArmor   = "Cloud Armor"
	gateway      = "the API gateway"
	loadBalancer = "the load balancer"
	tokenService = "Google's token endpoint"
	googleAPI    = "a Google API"
	container    = "the container"
	framework    = "the functions framework in the container"
)

// An authorship says who wrote an observed answer, and what tells. The zero
// authorship is of nobody known.
type authorship struct {
	who   string
	basis string
	cite  evidence.Source
	fix   Fix
}

// isContainer reports whether an author runs in the container, so that what it
// answers has passed every gate.
func isContainer(who string) bool { return who == container || who == framework }

// refused reports whether something in front of the service gave the observed
// answer, so that the request did not reach the container.
func (in *Invocation) refused() bool {
	status := in.seen.status
	stopped := status == 0 || status >= 400 || status >= 300 && in.wrote.who == iapAuthor
	return stopped && slices.Contains([]string{iapAuthor, cloudArmor, gateway, loadBalancer, tokenService}, in.wrote.who)
}

// author says who wrote the observed answer.
func (in *Invocation) author() authorship {
	var a authorship
	switch s := in.seen; {
	case s.entry != nil:
		a = in.byEntry(s)
	case s.response != nil:
		if a = in.byMark(s.texts()); a.who == "" {
			a = in.byShape(*s.response)
		}
	}
	if a.cite.Document == "" {
		a.cite = in.seen.source
	}
	if isContainer(a.who) && a.fix.ID == "" && in.seen.status >= 400 {
		a.fix = elsewhere("Look at the container's code and logs: the request reached it")
	}
	return a
}

// byEntry says who wrote the answer that a log entry shows.
func (in *Invocation) byEntry(s sighting) authorship {
	a := in.byMark(s.texts())
	if a.who == "" {
		a = byLog(*s.entry)
		a.cite = s.source
	}
	return a
}

func elsewhere(what string) Fix {
	const caution = "diagnose cannot check this: the service's own documents do not show it"
	return Fix{ID: "look-elsewhere", Summary: what, Caution: caution}
}

func (in *Invocation) byMark(texts []observedText) authorship {
	for _, m := range marks {
		for _, t := range texts {
			if !m.in(t) {
				continue
			}
			a := authorship{who: m.who, basis: m.basis, cite: t.cite}
			if m.fix != "" {
				a.fix = elsewhere(m.fix)
			}
			return a
		}
	}
	return authorship{}
}

// byShape judges a response without a known text by its form.
func (in *Invocation) byShape(r evidence.Response) authorship {
	switch {
	case signInRedirect(r.Status, r.Header):
		return authorship{who: iapAuthor, basis: "a redirect to accounts.google.com, which plain Cloud Run never sends"}
	case r.Status/100 == 3 && in.upgradesToHTTPS(r.Header):
		return authorship{who: frontEnd, basis: "a redirect to the same URL over https"}
	case otherPermission(r.Body) != "":
		return authorship{who: googleAPI, basis: "the body says that " + otherPermission(r.Body) + " is missing, which is not a permission to invoke"}
	case in.host.Kind == gcp.APIHost || in.host.Kind == gcp.NoHost && apiError(r.Body):
		return authorship{who: googleAPI, basis: "the answer is an error of a Google API, so the call did not invoke the service"}
	case isJSON(r):
		return authorship{who: container, basis: "the body is JSON, but Google's front end answers in HTML"}
	case r.Header.Get("X-Powered-By") != "":
		return authorship{who: container, basis: "it sets X-Powered-By, which Google's front end does not"}
	case ownCookie(r):
		return authorship{who: container, basis: "it sets a cookie, which Google's front end does not"}
	case r.Status/100 == 2:
		return authorship{who: container, basis: fmt.Sprintf("the status is %d", r.Status)}
	case r.Status/100 == 3 && r.Header.Get("Location") != "" && in.url != nil && in.url.Scheme == "https":
		return authorship{who: container, basis: "Google's front end only redirects from http to https"}
	}
	return authorship{}
}

var missingPermission = regexp.MustCompile(`Permission '([a-z]\w*(?:\.\w+)+)' denied`)

// otherPermission is the permission that Google's APIs say is missing, "" where
// none is named, or one that invokes.
func otherPermission(body string) string {
	m := missingPermission.FindStringSubmatch(body)
	if m == nil || m[1] == iam.RunInvoke || m[1] == iam.FunctionsInvoke {
		return ""
	}
	return m[1]
}

// apiError reports whether a body is an error as Google's APIs write it:
// https://google.aip.dev/193.
func apiError(body string) bool {
	var e struct {
		Error struct {
			Code   int
			Status string
		}
	}
	return json.Unmarshal([]byte(body), &e) == nil && e.Error.Code >= 400 && e.Error.Status != ""
}

// googleCookies are set by load balancers, IAP and session affinity, not by
// the container.
var googleCookies = []string{"GCLB=", "GCILB=", "GAESA=", "GCP_IAP", "__Host-GCP_IAP"}

func ownCookie(r evidence.Response) bool {
	return slices.ContainsFunc(r.Header["Set-Cookie"], func(c string) bool {
		return !slices.ContainsFunc(googleCookies, func(g string) bool { return strings.HasPrefix(c, g) })
	})
}

// balancerFailures are the statusDetails of answers that the load balancer
// itself gives:
// https://docs.cloud.google.com/load-balancing/docs/https/https-logging-monitoring.
var balancerFailures = []string{"failed_to_", "backend_timeout", "backend_connection_closed_before", "internal_error",
	"request_overall_timeout", "headers_too_long", "uri_too_long", "unsupported_method"}

// byLog judges an entry of a request log. The refusals of the front end have a
// text, and never an instance.
func byLog(e evidence.LogEntry) authorship {
	details := fmt.Sprint(e.JSON["statusDetails"])
	ours := strings.HasSuffix(e.LogName, "run.googleapis.com%2Frequests")
	switch {
	case slices.ContainsFunc(balancerFailures, func(f string) bool { return strings.HasPrefix(details, f) }):
		return authorship{who: loadBalancer, basis: "it logged statusDetails " + details,
			fix: elsewhere("Look at the load balancer's backend and its timeout")}
	case e.Status >= 400 && e.Labels["instanceId"] != "":
		return authorship{who: container, basis: "the request log names the instance that answered"}
	case ours && e.Status/100 == 2, ours && e.Status/100 == 3 && !strings.HasPrefix(e.URL, "http:"):
		return authorship{who: container, basis: fmt.Sprintf("the request log shows %d", e.Status)}
	}
	return authorship{}
}
