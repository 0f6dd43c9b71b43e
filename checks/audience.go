package checks

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"diagnose/internal/gcp"
	"diagnose/internal/iam"
)

// Audiences are the audiences that a service or function accepts in an ID
// token. The zero Audiences knows none and may accept any.
type Audiences struct {
	URLs        []string // run.app URLs of the service, the main one first
	Functions   []string // cloudfunctions.net URLs, with the function's name
	Custom      []string // custom audiences
	CustomKnown bool     // false: the service was not read, and may have custom audiences
	Gen1        bool     // a gen1 function accepts its cloudfunctions.net URL only
}

// List returns the accepted audiences that are known, the preferred one first.
func (a Audiences) List() []string {
	if a.Gen1 {
		return a.Functions
	}
	return append(append(append([]string(nil), a.URLs...), a.Functions...), a.Custom...)
}

// Preferred returns the audience to mint a token for, or "" where none is
// known.
func (a Audiences) Preferred() string {
	if l := a.List(); len(l) > 0 {
		return l[0]
	}
	return ""
}

// An AudienceMatch says whether one audience is accepted: Granted,
// NotGranted, or Unknown where Google does not document it. Custom is set
// where a custom audience that was not read could turn a refusal. Supposed is
// what an accepted one rests on, "" where Google documents it.
type AudienceMatch struct {
	State    iam.State
	Reason   string
	Custom   bool
	Supposed string
}

// Accepts judges one audience of a token. person says whether the token is
// that of a person rather than a service account's.
//
// Rules: https://docs.cloud.google.com/run/docs/configuring/custom-audiences,
// https://docs.cloud.google.com/run/docs/troubleshooting and
// https://docs.cloud.google.com/functions/docs/troubleshooting.
func (a Audiences) Accepts(aud string, person bool) AudienceMatch {
	switch {
	case slices.Contains(a.List(), aud):
		return AudienceMatch{State: iam.Granted, Reason: fmt.Sprintf("aud is %q", aud)}
	case !a.Gen1 && strings.HasSuffix(aud, "/") && slices.Contains(append(a.URLs, a.Functions...), strings.TrimSuffix(aud, "/")):
		return AudienceMatch{State: iam.Granted, Reason: fmt.Sprintf("aud is %q; the trailing slash is accepted", aud)}
	case aud == gcp.GcloudClient && person:
		return AudienceMatch{State: iam.Granted, Reason: "aud is gcloud's own client, which Cloud Run accepts for people"}
	case aud == gcp.GcloudClient:
		return AudienceMatch{Reason: "aud is gcloud's own client in a service account's token; Google documents that only for people"}
	case aud == gcp.ADCClient:
		return AudienceMatch{Reason: "aud is the client of application default credentials; it passed the audience check in practice, but Google does not document it"}
	case aud == "":
		return AudienceMatch{State: iam.NotGranted, Reason: "the token has no audience"}
	}
	return a.near(aud)
}

// near judges an audience that is not in the list, by what it resembles.
func (a Audiences) near(aud string) AudienceMatch {
	refused := func(format string, args ...any) AudienceMatch {
		return AudienceMatch{State: iam.NotGranted, Reason: fmt.Sprintf(format, args...), Custom: !a.CustomKnown && !a.Gen1}
	}
	want := a.wanted()
	if strings.HasSuffix(aud, gcp.OAuthClientSuffix) {
		return refused("aud is the OAuth client %q; Cloud Run accepts only gcloud's own client, unless the service has this one as a custom audience%s", aud, want)
	}
	u, err := url.Parse(aud)
	if err != nil || u.Host == "" {
		return refused("the token is for %q%s", aud, want)
	}
	h := gcp.ParseHost(u.Hostname())
	switch {
	case u.RawQuery != "" || u.Fragment != "":
		return refused("aud %q has a query or fragment, so it matches no service%s", aud, want)
	case u.Scheme == "http" && (h.Kind == gcp.RunHost || h.Kind == gcp.FunctionsHost):
		return refused("aud %q starts with http, not https%s", aud, want)
	case h.Kind == gcp.RunHost && h.Tag != "":
		return refused("aud %q is the URL of the tag %q, and the audience must be the service's own URL%s", aud, h.Tag, want)
	case h.Kind == gcp.FunctionsHost:
		return a.nearFunction(aud, u, want)
	case h.Kind == gcp.RunHost && !a.Gen1:
		return a.nearRun(aud, u, h, want)
	case h.Kind == gcp.CustomHost:
		return refused("aud %q is a custom domain, which Cloud Run accepts only as a custom audience of the service%s", aud, want)
	}
	return refused("the token is for %q%s", aud, want)
}

func (a Audiences) nearFunction(aud string, u *url.URL, want string) AudienceMatch {
	answer := AudienceMatch{State: iam.NotGranted, Custom: !a.CustomKnown && !a.Gen1}
	switch {
	case gcp.FunctionOf(u) == "":
		answer.Reason = fmt.Sprintf("aud %q does not include the function's name%s", aud, want)
	case len(a.Functions) == 0 && !a.Gen1 && len(a.URLs) == 0:
		return AudienceMatch{Reason: fmt.Sprintf("the token is for %q, and the URL of the function is unknown", aud)}
	case a.Gen1 && len(a.Functions) == 0:
		return AudienceMatch{Reason: fmt.Sprintf("the token is for %q, and the URL of the function is unknown", aud)}
	case a.Gen1 && slices.Contains(a.Functions, strings.TrimSuffix(aud, "/")):
		return AudienceMatch{Reason: fmt.Sprintf("aud %q ends in a slash; Google does not document whether a gen1 function accepts that%s", aud, want)}
	case len(a.Functions) > 0 && strings.HasPrefix(aud, a.Functions[0]+"/"):
		answer.Reason = fmt.Sprintf("aud %q has a path after the function's name%s", aud, want)
	default:
		answer.Reason = fmt.Sprintf("the token is for another function (aud %q)%s", aud, want)
	}
	return answer
}

func (a Audiences) nearRun(aud string, u *url.URL, h gcp.Host, want string) AudienceMatch {
	base := gcp.Origin(u)
	if strings.Trim(u.Path, "/") != "" && (slices.Contains(a.URLs, base) || len(a.URLs) == 0) {
		return AudienceMatch{State: iam.Granted, Reason: fmt.Sprintf("aud is %q, the service's URL with a path", aud),
			Supposed: fmt.Sprintf("a path after the URL is accepted in practice; set the audience to %s to be sure", base)}
	}
	if slices.Contains(a.URLs, strings.ToLower(strings.TrimSuffix(base, ":"+u.Port()))) {
		return AudienceMatch{Reason: fmt.Sprintf("aud %q differs from the service's URL in its port or case; Google does not document whether that is accepted%s", aud, want)}
	}
	for _, known := range a.URLs {
		k := gcp.HostOf(known)
		if k.Service != "" && k.Service == h.Service && k.Name != h.Name && k.Tag == "" && (k.Number == "") != (h.Number == "") {
			return AudienceMatch{Reason: fmt.Sprintf("aud %q looks like the other URL of the same service, but the evidence does not list it%s", aud, want)}
		}
	}
	if len(a.URLs) == 0 {
		return AudienceMatch{Reason: fmt.Sprintf("the token is for %q, and the URLs of the service are unknown", aud)}
	}
	return AudienceMatch{State: iam.NotGranted, Custom: !a.CustomKnown, Reason: fmt.Sprintf("the token is for another service (aud %q)%s", aud, want)}
}

func (a Audiences) wanted() string {
	l := a.List()
	switch {
	case len(l) == 0:
		return ""
	case len(l) == 1:
		return fmt.Sprintf("; it must be %q", l[0])
	}
	q := make([]string, len(l))
	for i, s := range l {
		q[i] = fmt.Sprintf("%q", s)
	}
	return "; it must be one of " + strings.Join(q, ", ")
}
