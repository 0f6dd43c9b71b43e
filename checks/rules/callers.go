package rules

import (
	"cmp"
	"fmt"
	"slices"

	"diagnose/checks"
	"diagnose/internal/caller"
	"diagnose/internal/estate"
	"diagnose/internal/gcp"
	"diagnose/internal/iam"
)

// callerRules find event sources and configured callers that are refused.
var callerRules = []Rule{triggerCannotInvoke, callerCannotInvoke, callerCredential, callerAudience}

const serviceToService = "https://docs.cloud.google.com/run/docs/authenticating/service-to-service"

var triggerCannotInvoke = Rule{
	ID: "trigger-cannot-invoke", Title: "a trigger without the permission to invoke",
	Severity: High, Confidence: checks.Documented,
	Ref: "https://docs.cloud.google.com/eventarc/docs/roles-permissions",
	Doc: `Events reach a v2 function through its trigger's service account, which needs run.routes.invoke on the function's Cloud Run
service. Without it events are lost and the function logs nothing.`,
	Run: func(x *Index) []Finding {
		var out []Finding
		for _, t := range x.order {
			if t.Event != estate.Yes || t.Gen1 || t.TriggerAccount == "" || t.free() {
				continue
			}
			member := "serviceAccount:" + t.TriggerAccount
			if f, bad := x.refused(t, member, "the trigger of "+shortName(t.name)+" calls as "+member); bad {
				out = append(out, f)
			}
		}
		return out
	},
}

// refused makes the finding of an identity that may not invoke a target, or of
// which that is not known.
func (x *Index) refused(t *target, member, who string) (Finding, bool) {
	d := x.decide(t, member)
	if d.State == iam.Granted {
		return Finding{}, false
	}
	f := aboutTarget(t, "%s, which may not invoke: %s", who, x.because(t, d))
	f.Member, f.GrantedOn = member, ""
	f.propose = func() []repair { return []repair{x.grantInvoker(t, member)} }
	if d.State == iam.Unknown {
		f.Unknown, f.Severity = true, Info
		f.Message = fmt.Sprintf("%s; it is unknown whether that account may invoke: %s", who, d.Reason)
	}
	return f, true
}

// calledBy finds the target of a configured caller, nil where it is none of
// those known.
func (x *Index) calledBy(c *estate.Caller) *target {
	switch {
	case x.addresses[place{c.Root, c.Of}] != nil && c.Of != "":
		return x.addresses[place{c.Root, c.Of}]
	case c.Service != "":
		return x.named(c.Service, c.Project)
	case c.URL == "":
		return nil
	}
	a := gcp.ParseAddress(c.URL)
	switch {
	case len(x.hosts[a.Host]) > 0:
		return x.answering(a.Host, c.Root)
	case a.Function != "":
		return x.only(func(t *target) bool {
			r := parse(t.full)
			fn := r
			if t.Function != "" {
				fn = parse(x.canonical(t.Function))
			}
			return (t.Gen1 || t.Function != "") && fn.ID == a.Function && fn.Project == a.Project && fn.Location == a.Region
		})
	case a.Service != "" && a.Number != "":
		project, known := x.numbers[a.Number]
		return x.only(func(t *target) bool {
			r := parse(t.full)
			return !t.Gen1 && r.ID == a.Service && r.Location == a.Region && (!known || r.Project == project) && (known || len(t.URLs) == 0)
		})
	}
	return nil
}

// answering finds the target that answers on a host: the one of the same root
// module where several do.
func (x *Index) answering(host, root string) *target {
	all := x.hosts[host]
	if i := slices.IndexFunc(all, func(t *target) bool { return t.Root == root }); i >= 0 {
		return all[i]
	}
	if len(all) > 1 {
		return nil
	}
	return all[0]
}

// named finds a target by full or short name.
func (x *Index) named(name, project string) *target {
	for _, full := range []string{name, "//" + gcp.RunAPI + "/" + name, "//" + gcp.FunctionsAPI + "/" + name} {
		full = x.canonical(full)
		if t := x.targets[full]; t != nil {
			return t
		}
		if t := x.functions[full]; t != nil {
			return t
		}
	}
	n, ok := gcp.ParseName(name)
	if !ok {
		return nil
	}
	project = cmp.Or(n.Project, project)
	return x.only(func(t *target) bool {
		r := parse(t.full)
		return r.ID == n.ID && (n.Collection == "" || r.Collection == n.Collection) &&
			(n.Location == "" || r.Location == "" || r.Location == n.Location) &&
			(project == "" || x.canonical("projects/"+project) == "projects/"+r.Project)
	})
}

// only returns the one target that fits, nil where none or several do.
func (x *Index) only(fits func(*target) bool) *target {
	var found *target
	for _, t := range x.order {
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
func (x *Index) eachCall(f func(c *estate.Caller, t *target) (Finding, bool)) []Finding {
	var out []Finding
	for i := range x.Callers {
		c := &x.Callers[i]
		t := x.calledBy(c)
		if t == nil || t.free() || c.Kind == "eventarc" && t.Event == estate.Yes {
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
	ID: "caller-cannot-invoke", Title: "a configured caller without the permission to invoke",
	Severity: High, Confidence: checks.Documented,
	Ref: serviceToService,
	Doc: `A scheduler job, a push subscription, a task queue, a trigger, a workflow or a gateway calls the service as a service account
that does not have run.routes.invoke on it, so every call gets 403.`,
	Run: func(x *Index) []Finding {
		return x.eachCall(func(c *estate.Caller, t *target) (Finding, bool) {
			if c.Token != caller.IDToken || c.ServiceAccount == "" {
				return Finding{}, false
			}
			member := "serviceAccount:" + c.ServiceAccount
			return x.refused(t, member, describe(c)+" calls "+shortName(t.name)+" as "+member)
		})
	},
}

var callerCredential = Rule{
	ID: "caller-credential", Title: "a configured caller without an ID token",
	Severity: High, Confidence: checks.Documented,
	Ref: serviceToService,
	Doc: `Cloud Run accepts only a Google ID token. A caller that is configured with an OAuth token gets 401, and one without any token
403, unless the service is public. Configure an OIDC token.`,
	Run: func(x *Index) []Finding {
		return x.eachCall(func(c *estate.Caller, t *target) (Finding, bool) {
			sends := map[caller.TokenKind]string{caller.AccessToken: "an OAuth access token", caller.NoToken: "no token"}[c.Token]
			if sends == "" {
				return Finding{}, false
			}
			f := aboutTarget(t, "%s sends %s to %s, which takes an ID token", describe(c), sends, shortName(t.name))
			if c.ServiceAccount != "" {
				f.Member = "serviceAccount:" + c.ServiceAccount
			}
			f.propose = func() []repair { return []repair{x.configure(c, t)} }
			if t.Check == estate.Unknown && !t.Gen1 || t.anyone.State == iam.Unknown || x.partial(t) {
				f.Unknown = true
				f.Message += "; it is unknown whether the service is public"
			}
			return f, true
		})
	},
}

// partial reports whether a target's own policy may have more bindings than
// are known.
func (x *Index) partial(t *target) bool {
	d := x.door(t)
	own := d.Invoke.Layers[0]
	if t.behind() {
		own = d.IAP.Layers[0]
	}
	return own.Policy == nil || own.Reason != "" || own.Hidden != ""
}

var callerAudience = Rule{
	ID: "caller-audience", Title: "a configured caller with a wrong audience",
	Severity: High, Confidence: checks.Documented,
	Ref: "https://docs.cloud.google.com/run/docs/configuring/custom-audiences",
	Doc: `The audience of the caller's ID token, given or by default, is not one that the service accepts, so every
call gets 401. Set it to the service's URL, or to one of its custom audiences.`,
	Run: func(x *Index) []Finding {
		return x.eachCall(func(c *estate.Caller, t *target) (Finding, bool) {
			a := x.audiences(t)
			if c.Token != caller.IDToken || c.Audience == "" || len(a.List()) == 0 {
				return Finding{}, false
			}
			answer := a.Accepts(c.Audience, false)
			if answer.State == iam.Granted {
				return Finding{}, false
			}
			f := aboutTarget(t, "%s: %s", describe(c), answer.Reason)
			f.propose = func() []repair { return []repair{x.configure(c, t)} }
			if answer.State == iam.Unknown || answer.Custom {
				f.Unknown = true
			}
			return f, true
		})
	},
}

// audiences are those that a target accepts, as far as they are known.
func (x *Index) audiences(t *target) checks.Audiences {
	a := checks.Audiences{Gen1: t.Gen1, Custom: t.Custom, CustomKnown: t.CustomOK}
	for _, u := range t.URLs {
		if gcp.HostOf(u).Kind == gcp.FunctionsHost {
			a.Functions = append(a.Functions, u)
		} else {
			a.URLs = append(a.URLs, u)
		}
	}
	return a
}
