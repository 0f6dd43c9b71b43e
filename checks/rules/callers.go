package rules

import (
	"fmt"
	"slices"
	"strings"

	"diagnose/checks"
	"diagnose/internal/caller"
	"diagnose/internal/estate"
	"diagnose/internal/iam"
)

// callerRules find event sources and configured callers that are refused.
var callerRules = []Rule{triggerCannotInvoke, callerCannotInvoke, callerCredential, callerAudience}

const serviceToService = "https://docs.cloud.google.com/run/docs/authenticating/service-to-service"

var triggerCannotInvoke = Rule{
	ID: "trigger-cannot-invoke", Title: "a trigger whose service account may not invoke", Severity: High, Confidence: checks.Documented, Ref: "https://docs.cloud.google.com/eventarc/docs/roles-permissions",
	Doc: `Events reach a v2 function through its trigger's service account, which needs run.routes.invoke on the function's Cloud Run
service. Without it events are lost and the function logs nothing.`,
	Run: func(j *Judgement) []Finding {
		var out []Finding
		for _, t := range j.order {
			if t.Event != estate.Yes || t.Gen1 || t.TriggerAccount == "" || t.public.state == iam.Granted {
				continue
			}
			member := "serviceAccount:" + t.TriggerAccount
			if f, bad := j.refused(t, member, "the trigger of "+shortName(t.name)+" calls as "+member); bad {
				out = append(out, f)
			}
		}
		return out
	},
}

// refused makes the finding of an identity that may not invoke a target, or of
// which that is not known.
func (j *Judgement) refused(t *target, member, who string) (Finding, bool) {
	a := j.decide(t, member)
	if a.state == iam.Granted {
		return Finding{}, false
	}
	f := aboutTarget(t, "%s, which may not invoke: %s", who, a.reason)
	f.Member, f.GrantedOn = member, ""
	f.Fixes = []checks.Fix{grantInvoker(t, member)}
	if a.state == iam.Unknown {
		f.Unknown, f.Severity = true, Info
		f.Message = fmt.Sprintf("%s; whether that may invoke is not known: %s", who, a.reason)
	}
	return f, true
}

// called finds the target of a configured caller, nil where it is none of
// those known.
func (j *Judgement) called(c *estate.Caller) *target {
	if c.Service != "" {
		return j.named(c.Service, c.Project)
	}
	if c.URL == "" {
		return nil
	}
	a := addressOf(c.URL)
	switch {
	case j.hosts[a.Host] != nil:
		return j.hosts[a.Host]
	case a.Function != "":
		return j.only(func(t *target) bool {
			r := parse(t.name)
			fn := r
			if t.Function != "" {
				fn = parse(j.canonical(t.Function))
			}
			return (t.Gen1 || t.Function != "") && fn.id == a.Function && fn.project == a.Project && fn.location == a.Region
		})
	case a.Service != "" && a.Number != "":
		project, known := j.numbers[a.Number]
		return j.only(func(t *target) bool {
			r := parse(t.name)
			return !t.Gen1 && r.id == a.Service && r.location == a.Region && (!known || r.project == project) && (known || len(t.URLs) == 0)
		})
	}
	return nil
}

// named finds a target by full or short name.
func (j *Judgement) named(name, project string) *target {
	for _, prefix := range []string{"", "//run.googleapis.com/", "//cloudfunctions.googleapis.com/"} {
		full := j.canonical(prefix + name)
		if t := j.targets[full]; t != nil {
			return t
		}
		if t := j.functions[full]; t != nil {
			return t
		}
	}
	if strings.Contains(name, "/") {
		return nil
	}
	return j.only(func(t *target) bool {
		r := parse(t.name)
		return r.id == name && (project == "" || j.canonical("projects/"+project) == "projects/"+r.project)
	})
}

// only returns the one target that fits, nil where none or several do.
func (j *Judgement) only(fits func(*target) bool) *target {
	var found *target
	for _, t := range j.order {
		if fits(t) {
			if found != nil {
				return nil
			}
			found = t
		}
	}
	return found
}

// eachCall runs f for every caller of a known target that is not public.
func (j *Judgement) eachCall(f func(c *estate.Caller, t *target) (Finding, bool)) []Finding {
	var out []Finding
	for i := range j.Callers {
		c := &j.Callers[i]
		t := j.called(c)
		if t == nil || t.public.state == iam.Granted || c.Kind == "eventarc" && t.Event == estate.Yes {
			continue // the trigger of a function is judged with it
		}
		if x, bad := f(c, t); bad {
			x.Where, x.Resource, x.GrantedOn = c.Where, t.name, c.Name
			out = append(out, x)
		}
	}
	return out
}

// describe names a caller in a sentence.
func describe(c *estate.Caller) string {
	kinds := map[string]string{"cloud-scheduler": "the Cloud Scheduler job", "cloud-tasks": "the Cloud Tasks queue", "pubsub-push": "the push subscription", "eventarc": "the Eventarc trigger",
		"api-gateway": "the API gateway", "workflows": "the workflow"}
	s := kinds[c.Kind]
	if s == "" {
		s = "the caller"
	}
	if c.Name != "" {
		s += " " + shortName(c.Name)
	}
	return s
}

var callerCannotInvoke = Rule{
	ID: "caller-cannot-invoke", Title: "a configured caller that may not invoke", Severity: High, Confidence: checks.Documented, Ref: serviceToService,
	Doc: `A scheduler job, a push subscription, a task queue, a trigger, a workflow or a gateway calls the service as a service account
that does not hold run.routes.invoke on it, so that every call is refused with 403.`,
	Run: func(j *Judgement) []Finding {
		return j.eachCall(func(c *estate.Caller, t *target) (Finding, bool) {
			if c.Token != caller.IDToken || c.ServiceAccount == "" {
				return Finding{}, false
			}
			member := "serviceAccount:" + c.ServiceAccount
			return j.refused(t, member, describe(c)+" calls "+shortName(t.name)+" as "+member)
		})
	},
}

var callerCredential = Rule{
	ID: "caller-credential", Title: "a configured caller that sends no ID token", Severity: High, Confidence: checks.Documented, Ref: serviceToService,
	Doc: `Cloud Run takes an ID token of Google's. A caller that is configured with an OAuth token gets 401, and one without any token
403, unless the service is public. Configure an OIDC token.`,
	Run: func(j *Judgement) []Finding {
		return j.eachCall(func(c *estate.Caller, t *target) (Finding, bool) {
			sends := map[caller.TokenKind]string{caller.AccessToken: "an OAuth access token", caller.NoToken: "no token"}[c.Token]
			if sends == "" {
				return Finding{}, false
			}
			f := aboutTarget(t, "%s sends %s to %s, which takes an ID token", describe(c), sends, shortName(t.name))
			if c.ServiceAccount != "" {
				f.Member = "serviceAccount:" + c.ServiceAccount
			}
			f.Fixes = configure(c, t)
			if t.Check == estate.Unknown && !t.Gen1 || t.public.state == iam.Unknown || j.partial(t) {
				f.Unknown = true
				f.Message += "; whether the service is public is not known"
			}
			return f, true
		})
	},
}

// partial reports whether a target's own policy may have more bindings than
// are known.
func (j *Judgement) partial(t *target) bool {
	_, open := j.layersOf(t)
	return open != ""
}

var callerAudience = Rule{
	ID: "caller-audience", Title: "a configured caller whose audience is not accepted", Severity: High, Confidence: checks.Documented, Ref: "https://docs.cloud.google.com/run/docs/configuring/custom-audiences",
	Doc: `The audience of the caller's ID token, given or by default, is none that the service accepts, so that every call is refused
with 401. Set it to the service's URL, or to one of its custom audiences.`,
	Run: func(j *Judgement) []Finding {
		return j.eachCall(func(c *estate.Caller, t *target) (Finding, bool) {
			a := j.audiences(t)
			if c.Token != caller.IDToken || c.Audience == "" || len(a.List()) == 0 {
				return Finding{}, false
			}
			answer := a.Accepts(c.Audience, false)
			if answer.State == iam.Granted {
				return Finding{}, false
			}
			f := aboutTarget(t, "%s: %s", describe(c), answer.Reason)
			f.Fixes = configure(c, t)
			if answer.State == iam.Unknown || answer.Custom {
				f.Unknown = true
			}
			return f, true
		})
	},
}

// audiences are those that a target accepts, as far as they are known.
func (j *Judgement) audiences(t *target) checks.Audiences {
	a := checks.Audiences{Gen1: t.Gen1, Custom: t.Custom, CustomKnown: t.CustomOK}
	for _, u := range t.URLs {
		if strings.Contains(u, ".cloudfunctions.net/") {
			a.Functions = append(a.Functions, u)
		} else {
			a.URLs = append(a.URLs, u)
		}
	}
	return a
}

// configure proposes the token that a caller should send.
func configure(c *estate.Caller, t *target) []checks.Fix {
	audience := "SERVICE_URL"
	if i := slices.IndexFunc(t.URLs, func(u string) bool { return u != "" }); i >= 0 {
		audience = t.URLs[i]
	}
	account := c.ServiceAccount
	if account == "" {
		account = "SERVICE_ACCOUNT"
	}
	name := shortName(c.Name)
	_, id, _ := strings.Cut(name, "/")
	if id == "" {
		id = "NAME"
	}
	var words []string
	switch c.Kind {
	case "cloud-scheduler":
		words = []string{"gcloud", "scheduler", "jobs", "update", "http", id, "--oidc-service-account-email=" + account, "--oidc-token-audience=" + audience}
	case "cloud-tasks":
		words = []string{"gcloud", "tasks", "queues", "update", id, "--http-oidc-service-account-email-override=" + account, "--http-oidc-token-audience-override=" + audience}
	case "pubsub-push":
		words = []string{"gcloud", "pubsub", "subscriptions", "modify-push-config", id, "--push-endpoint=" + c.URL, "--push-auth-service-account=" + account, "--push-auth-token-audience=" + audience}
	default:
		return []checks.Fix{{ID: "send-id-token", Summary: "Let " + describe(c) + " send an ID token for " + audience}}
	}
	if r := parse("//x/" + c.Name); r.location != "" {
		words = append(words, "--location="+r.location)
	}
	if c.Project != "" {
		words = append(words, "--project="+c.Project)
	}
	return []checks.Fix{{ID: "send-id-token", Summary: "Let " + describe(c) + " send an ID token for " + audience, Commands: []checks.Command{{Argv: words}}}}
}
