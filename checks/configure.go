package checks

import (
	"fmt"
	"net/url"
	"strings"

	"diagnose/internal/caller"
	"diagnose/internal/evidence"
	"diagnose/internal/iam"
)

// configure proposes the setting of a configured caller that makes it send a
// correct token for an audience, of an account that may invoke. "" stands for
// the service's own URL, which is not known.
func (in *Invocation) configure(audience string) Fix {
	c := in.configured()
	a := account{email: c.ServiceAccount, may: true}
	if c.ServiceAccount == "" {
		a = in.callingAccount(in.question(in.permission, iam.Identity{}))
	}
	word := or(audience, "SERVICE_URL")
	change := in.callerChange(c, a.email, word)
	change.apply = func(s evidence.Snapshot) evidence.Snapshot {
		fixed := s.Caller.Or(caller.Caller{})
		fixed.Token, fixed.Audience, fixed.AudienceGiven, fixed.ServiceAccount = caller.IDToken, audience, true, a.email
		s.Caller = evidence.Known(fixed, s.Caller.Source)
		return s
	}
	parts := []Fix{in.create(a), {}, change}
	if a.made {
		parts[1] = in.grantAccount(a)
	}
	summary := fmt.Sprintf("Make %s send an ID token of %s with the audience %s", callerWord(c), a.email, word)
	return joined("configure-caller", summary, change.Caution, parts...)
}

// callerWord names a configured caller in a sentence.
func callerWord(c caller.Caller) string {
	id := parseName(c.Name).ID
	switch c.Kind {
	case "cloud-scheduler":
		return strings.TrimSpace("the Cloud Scheduler job " + id)
	case "cloud-tasks":
		return strings.TrimSpace("the Cloud Tasks queue " + collection(c.Name, "queues"))
	case "pubsub-push":
		return strings.TrimSpace("the push subscription " + id)
	case "workflows":
		return strings.TrimSpace("the workflow " + id)
	case "api-gateway":
		return "the API gateway"
	case "eventarc":
		return strings.TrimSpace("the Eventarc trigger " + id)
	}
	return "the caller"
}

// collection returns the ID behind a collection in a resource name, "" where
// it has none: a task is named below its queue.
func collection(name, of string) string {
	_, rest, ok := strings.Cut(name, "/"+of+"/")
	if id, _, _ := strings.Cut(rest, "/"); ok {
		return id
	}
	return ""
}

// callerChange is the change of a caller's configuration. Sources: gcloud's
// reference, and for what gcloud does not set the reference of the service.
func (in *Invocation) callerChange(c caller.Caller, sa, audience string) Fix {
	n := parseName(c.Name)
	place := "--location=" + or(dashless(n.Location), in.regionWord())
	project := "--project=" + or(dashless(n.Project), dashless(c.Project), in.projectWord())
	run := func(words, value string, flags ...string) Command {
		return command(words, value, append([]string{place, project}, flags...)...)
	}
	switch c.Kind {
	case "cloud-scheduler":
		return Fix{Commands: []Command{run("scheduler jobs update http", or(n.ID, "JOB"),
			"--oidc-service-account-email="+sa, "--oidc-token-audience="+audience)}}
	case "cloud-tasks":
		return Fix{Commands: []Command{run("tasks queues update", or(collection(c.Name, "queues"), "QUEUE"),
			"--http-oidc-service-account-email-override="+sa, "--http-oidc-token-audience-override="+audience)},
			Caution: "the override counts for every task of the queue; " +
				"code that creates tasks can set oidcToken.audience instead"}
	case "pubsub-push":
		return in.pushChange(c, or(n.ID, "SUBSCRIPTION"), project, sa, audience)
	case "eventarc":
		return Fix{Commands: []Command{run("eventarc triggers update", or(n.ID, "TRIGGER"), "--service-account="+sa)}}
	case "workflows":
		f := Fix{Snippets: []Snippet{{Language: "yaml", Where: "in args of the http step",
			Text: "auth:\n  type: OIDC\n  audience: " + quoted(audience)}}}
		if c.ServiceAccount == "" {
			f.Commands = []Command{run("workflows deploy", or(n.ID, "WORKFLOW"), "--source=SOURCE_FILE",
				"--service-account="+sa)}
			f.Caution = "the workflow calls with its own service account, which must be that one"
		}
		return f
	case "api-gateway":
		return in.gatewayChange(c, sa, audience)
	}
	return Fix{}
}

// pushChange states the endpoint again, as gcloud wants it.
func (in *Invocation) pushChange(c caller.Caller, id, project, sa, audience string) Fix {
	endpoint := or(shownURL(c.URL), in.callTarget())
	push := command("pubsub subscriptions modify-push-config", id, project, "--push-endpoint="+endpoint,
		"--push-auth-service-account="+sa, "--push-auth-token-audience="+audience)
	if strings.Contains(endpoint, "…") {
		push.Note = "put the values of the endpoint's query back"
	}
	return Fix{Commands: []Command{push}}
}

func (in *Invocation) gatewayChange(c caller.Caller, sa, audience string) Fix {
	address := or(shownURL(c.URL), origin(in.ownURL()))
	text := "x-google-backend:\n  address: " + quoted(address) + "\n  jwt_audience: " + quoted(audience)
	f := Fix{Snippets: []Snippet{{Language: "yaml", Where: "in the OpenAPI document of the gateway", Text: text}}}
	if c.ServiceAccount == "" {
		f.Commands = []Command{in.project("api-gateway api-configs create", "CONFIG_ID", "--api=API_ID",
			"--openapi-spec=SPEC_FILE", "--backend-auth-service-account="+sa)}
		f.Caution = "the gateway calls with the service account of its API config, which must be that one"
	}
	return f
}

// ownURL is the service's URL, of which only scheme and host count.
func (in *Invocation) ownURL() *url.URL {
	if u, err := url.Parse(in.audiences.Preferred()); err == nil && u.Host != "" {
		return u
	}
	return &url.URL{Scheme: "https", Host: "SERVICE_URL"}
}
