package checks

import (
	"cmp"
	"fmt"
	"net/url"
	"strings"

	"diagnose/internal/caller"
	"diagnose/internal/evidence"
	"diagnose/internal/gcp"
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
	word := cmp.Or(audience, gcp.ServiceURLWord)
	change := in.callerChange(c, a.email, word)
	change.apply = func(s evidence.Snapshot) evidence.Snapshot {
		fixed := s.Caller.Or(caller.Caller{})
		fixed.Token, fixed.Audience, fixed.ServiceAccount = caller.IDToken, audience, a.email
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
	id := callerName(c).ID
	switch c.Kind {
	case "cloud-scheduler":
		return strings.TrimSpace("the Cloud Scheduler job " + id)
	case "cloud-tasks":
		return strings.TrimSpace("the Cloud Tasks queue " + id)
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

// callerKinds are the names that Google gives to configured callers.
var callerKinds = map[string]gcp.Name{
	"cloud-scheduler": {Host: gcp.SchedulerAPI, Collection: "jobs"},
	"cloud-tasks":     {Host: gcp.TasksAPI, Collection: "queues"}, // a task is named below its queue
	"pubsub-push":     {Host: gcp.PubSubAPI, Collection: "subscriptions"},
	"eventarc":        {Host: gcp.EventarcAPI, Collection: "triggers"},
	"workflows":       {Host: gcp.WorkflowsAPI, Collection: "workflows"},
}

// callerName names a configured caller, as far as its document does.
func callerName(c caller.Caller) gcp.Name {
	n := callerKinds[c.Kind]
	n.ID = gcp.Part(c.Name, n.Collection)
	if short := parsed(c.Name); short.Collection == "" && n.ID == "" {
		n.ID = short.ID
	}
	n.Location = gcp.Part(c.Name, "locations")
	n.Project = cmp.Or(gcp.Part(c.Name, "projects"), c.Project)
	return n
}

// callerChange is the change of a caller's configuration. Sources: gcloud's
// reference, and for what gcloud does not set the reference of the service.
func (in *Invocation) callerChange(c caller.Caller, sa, audience string) Fix {
	n := callerName(c)
	n.Location, n.Project = cmp.Or(n.Location, in.location()), cmp.Or(n.Project, in.projectName().ID)
	endpoint := cmp.Or(shownURL(c.URL), in.callTarget())
	f := Fix{Commands: shell(n.SendIDToken(sa, audience, endpoint))}
	switch c.Kind {
	case "cloud-scheduler":
	case "cloud-tasks":
		f.Caution = "the override counts for every task of the queue; " +
			"code that creates tasks can set oidcToken.audience instead"
	case "pubsub-push":
		if strings.Contains(endpoint, "…") {
			f.Commands[0].Note = "put the values of the endpoint's query back"
		}
	case "eventarc":
		f.Commands = shell(n.Update("--service-account=" + sa))
	case "workflows":
		return workflowChange(c, n, sa, audience)
	case "api-gateway":
		return in.gatewayChange(c, sa, audience)
	default:
		return Fix{}
	}
	return f
}

func workflowChange(c caller.Caller, n gcp.Name, sa, audience string) Fix {
	f := Fix{Snippets: []Snippet{{Language: "yaml", Where: "in args of the http step",
		Text: "auth:\n  type: OIDC\n  audience: " + quoted(audience)}}}
	if c.ServiceAccount == "" {
		f.Commands = shell(n.Update("--source=SOURCE_FILE", "--service-account="+sa))
		f.Caution = "the workflow calls with its own service account, which must be that one"
	}
	return f
}

func (in *Invocation) gatewayChange(c caller.Caller, sa, audience string) Fix {
	address := cmp.Or(shownURL(c.URL), gcp.Origin(in.ownURL()))
	text := "x-google-backend:\n  address: " + quoted(address) + "\n  jwt_audience: " + quoted(audience)
	f := Fix{Snippets: []Snippet{{Language: "yaml", Where: "in the OpenAPI document of the gateway", Text: text}}}
	if c.ServiceAccount == "" {
		f.Commands = shell(gcp.CreateAPIConfig(sa, in.projectID()))
		f.Caution = "the gateway calls with the service account of its API config, which must be that one"
	}
	return f
}

// ownURL is the service's URL, of which only scheme and host count.
func (in *Invocation) ownURL() *url.URL {
	if u, err := url.Parse(in.audiences.Preferred()); err == nil && u.Host != "" {
		return u
	}
	return &url.URL{Scheme: "https", Host: gcp.ServiceURLWord}
}
