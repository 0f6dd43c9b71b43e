package checks

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"cloud.google.com/go/iam/admin/apiv1/adminpb"
	"cloud.google.com/go/iam/apiv1/iampb"

	"diagnose/internal/caller"
	"diagnose/internal/credential"
	"diagnose/internal/evidence"
	"diagnose/internal/gcp"
	"diagnose/internal/iam"
)

var triggerGate = Gate{"trigger", "403, 400", []Check{triggerKind, triggerIdentity, triggerReceiver, triggerTokenMinting}}

// eventOnly makes a check that asks about the delivery of events. Where a
// request is judged that does not come from the event source, what it finds is
// a warning.
func eventOnly(c Check, run func(*Invocation) Finding) Check {
	if c.Ref == "" {
		c.Ref = "https://docs.cloud.google.com/eventarc/docs/roles-permissions"
	}
	c.Run = func(in *Invocation) Finding {
		switch {
		case !in.event && !in.eventTrigger():
			return notApplicable("no event trigger")
		case in.strayTrigger():
			return notApplicable("the trigger that was read calls another service")
		case in.gen1:
			return notApplicable("events reach a gen1 function without an invoker binding")
		}
		f := run(in)
		if !in.delivery && !in.eventTrigger() && f.Outcome != Pass {
			if f.Outcome == Fail {
				f.Outcome = Warn
			} else {
				f.Outcome = NotApplicable
			}
			f.Fixes, f.Assumes = nil, nil
			f.Message = "for its events: " + f.Message
		}
		return f
	}
	return c
}

// eventTrigger reports whether an Eventarc trigger is what calls: it was given
// as the caller, or stands beside a plain service with no other request.
func (in *Invocation) eventTrigger() bool {
	return in.configured().Kind == "eventarc" || in.request.Client == "eventarc"
}

var triggerKind = Check{
	ID:    "trigger-kind",
	Title: "kind of trigger",
	Doc: `An event-driven v2 function is a Cloud Run service: a direct call passes the same access check, and its body must be a
CloudEvent, else the functions framework answers 400. An event-driven gen1 function has no URL at all.`,
	Ref:        "https://docs.cloud.google.com/functions/docs/calling",
	Confidence: Inferred,
	Run: func(in *Invocation) Finding {
		switch {
		case !in.function:
			return notApplicable("no function was given")
		case !in.event:
			return pass("an HTTP function", in.Function.Source)
		case in.delivery:
			return pass("an event-driven function, judged as its event source calls it", in.Function.Source.At("/eventTrigger"))
		case in.gen1:
			f := fail("an event-driven gen1 function has no URL; only the functions:call API and its event source reach it", notFound, in.Function.Source)
			return withFixes(f, []Fix{in.causeEvent()})
		case in.request.Headers == nil:
			return warn("an event-driven function: a direct call needs a CloudEvent (headers ce-id, ce-source, ce-type, ce-specversion)", in.Function.Source.At("/eventTrigger"))
		case cloudEvent(in.request.Headers):
			return pass("the request is a CloudEvent", in.Request.Source.At("/headers"))
		}
		if s := in.seen.status; isContainer(in.wrote.who) && s != 400 {
			return warn(fmt.Sprintf("an event-driven function takes CloudEvents, and the request is none; yet the container answered%s itself", statusWord(s)), in.Function.Source.At("/eventTrigger"))
		}
		f := fail("an event-driven function takes CloudEvents, but the request has no ce-id, ce-source, ce-type and ce-specversion headers", Answer{Status: 400, Author: framework}, in.Function.Source.At("/eventTrigger"))
		f.Fixes = []Fix{sendCloudEvent(in)}
		f.Assumes = []Assumption{{Document: "response.http", Text: "the container answers what is no CloudEvent with 400, as the functions framework does"}}
		return f
	},
}

func cloudEvent(h http.Header) bool {
	if strings.HasPrefix(h.Get("Content-Type"), "application/cloudevents") {
		return true
	}
	return h.Get("Ce-Id") != "" && h.Get("Ce-Source") != "" && h.Get("Ce-Type") != "" && h.Get("Ce-Specversion") != ""
}

func sendCloudEvent(in *Invocation) Fix {
	event := map[string]string{"Ce-Id": "1", "Ce-Source": "//diagnose", "Ce-Type": cmp.Or(in.fn().GetEventTrigger().GetEventType(), "test"), "Ce-Specversion": "1.0"}
	var argv []string
	for _, k := range []string{"Ce-Id", "Ce-Source", "Ce-Type", "Ce-Specversion"} {
		argv = append(argv, "-H", strings.ToLower(k)+": "+event[k])
	}
	argv = append(argv, "-H", "content-type: application/json", "-d", "{}", in.callTarget())
	return Fix{
		ID: "send-cloudevent", Summary: "Send a CloudEvent", Commands: []Command{{Argv: append([]string{"curl"}, argv...), WithToken: true}},
		apply: func(s evidence.Snapshot) evidence.Snapshot {
			return changeRequest(s, func(r *evidence.Request) {
				for k, v := range event {
					r.Headers.Set(k, v)
				}
			})
		},
	}
}

// causeEvent leaves the call to the event source. The command sends one event
// by the functions:call API, which is meant for trying:
// https://docs.cloud.google.com/sdk/gcloud/reference/functions/call.
func (in *Invocation) causeEvent() Fix {
	return Fix{
		ID: "cause-event", Summary: "Let its event source call the function, or send one event by hand",
		Commands: shell(in.functionName().SendEvent()),
		Caution:  "the command needs cloudfunctions.functions.call, which is another permission than invoke",
		apply: func(s evidence.Snapshot) evidence.Snapshot {
			s.Request, s.Token = evidence.Fact[evidence.Request]{}, evidence.Fact[credential.Credential]{}
			s.Caller = evidence.Fact[caller.Caller]{}
			return s
		},
	}
}

var triggerIdentity = eventOnly(Check{
	ID: "trigger-identity", Title: "permission of the trigger's service account", Confidence: Source,
	Doc: `Eventarc delivers with an ID token of the trigger's service account, by default the compute one, which needs
run.routes.invoke on the service. Without it the function never runs, the request log shows 403 and messages pile up.`,
}, func(in *Invocation) Finding {
	member := in.triggerMember()
	switch {
	case in.isPublic():
		return notApplicable("not needed: " + in.anyone())
	case member == "":
		return in.unnamedCaller()
	}
	return in.grantFinding(in.identityOf(member), member, func() []Fix { return []Fix{in.grant(member)} })
})

// receiveEvent is what an event receiver needs. The table of predefined roles
// does not hold it: roles/eventarc.eventReceiver carries it for certain, and
// basic, custom and other Eventarc roles may.
const receiveEvent = "eventarc.events.receiveEvent"

// receiverRoles defines the roles of all bindings that were read by whether
// they carry receiveEvent, with the benefit of the doubt or without it.
func (in *Invocation) receiverRoles(doubt bool) iam.Roles {
	var defs []*adminpb.Role
	for _, l := range in.layers {
		for _, b := range l.Policy.GetBindings() {
			role := b.GetRole()
			d := &adminpb.Role{Name: role}
			maybe := strings.HasPrefix(role, "roles/eventarc.") || role == "roles/owner" || role == "roles/editor" || !strings.HasPrefix(role, "roles/")
			if role == "roles/eventarc.eventReceiver" || doubt && maybe {
				d.IncludedPermissions = []string{receiveEvent}
			}
			defs = append(defs, d)
		}
	}
	return iam.NewRoles(defs)
}

var triggerReceiver = eventOnly(Check{
	ID: "trigger-receiver", Title: "event receiver role", Confidence: Documented,
	Doc: `The trigger's service account also needs roles/eventarc.eventReceiver on the project, except for pure Pub/Sub triggers.`,
}, func(in *Invocation) Finding {
	member := in.triggerMember()
	switch {
	case in.pubsubTrigger():
		return notApplicable("a Pub/Sub trigger needs no receiver role")
	case member == "":
		return assume("ancestor-policies.json", "the trigger's service account is unknown", "it has roles/eventarc.eventReceiver on the project")
	}
	q := in.question(receiveEvent, in.identityOf(member))
	q.Roles = in.receiverRoles(false)
	if d := q.Decide(); d.State == iam.Granted {
		return pass(fmt.Sprintf("%s has %s", member, d.Binding.Role), in.cite(d.Binding))
	}
	grant := in.grantOnProject("grant-event-receiver", "roles/eventarc.eventReceiver", member)
	q.Roles = in.receiverRoles(true)
	maybe := q.Decide().Access.State != iam.NotGranted
	if !in.Ancestors.Known() || maybe {
		return assume("ancestor-policies.json", "it is unknown whether "+member+" has roles/eventarc.eventReceiver on the project", member+" may receive events", in.readPolicy(layer{Layer: iam.Layer{Level: iam.Project}})...)
	}
	return withFixes(fail(member+" does not have roles/eventarc.eventReceiver on the project", Answer{Status: 403}, in.Ancestors.Source), []Fix{grant})
})

// pubsubTrigger reports whether the events come straight from a Pub/Sub topic.
func (in *Invocation) pubsubTrigger() bool {
	if in.fn().GetEventTrigger().GetEventType() == "google.cloud.pubsub.topic.v1.messagePublished" || in.fn().GetEventTrigger().GetPubsubTopic() != "" {
		return true
	}
	for _, f := range in.Trigger.Or(nil).GetEventFilters() {
		if f.GetAttribute() == "type" && f.GetValue() == "google.cloud.pubsub.topic.v1.messagePublished" {
			return true
		}
	}
	return false
}

var triggerTokenMinting = eventOnly(Check{
	ID: "trigger-token-minting", Title: "token minting by Pub/Sub's service agent", Confidence: Documented,
	Doc: `Pub/Sub's service agent ` + gcp.PubSubAgent(gcp.ProjectNumberWord) + ` mints the token of a delivery. It may
through roles/pubsub.serviceAgent, or in projects that used Pub/Sub before 8 April 2021 through
roles/iam.serviceAccountTokenCreator. Without either no event arrives, and the service logs nothing.`,
}, func(in *Invocation) Finding {
	agent := cmp.Or(accountMember(gcp.PubSubAgent(in.projectNumber())), in.boundPubSubAgent(),
		accountMember(gcp.PubSubAgent(gcp.ProjectNumberWord)))
	d := in.decide(iam.MintIDToken, in.identityOf(agent))
	if d.State == iam.Granted {
		return pass("Pub/Sub's service agent has "+d.Binding.Role, in.cite(d.Binding))
	}
	if d.Way == iam.ByDenyRule {
		return fail("a deny policy keeps Pub/Sub's service agent from minting tokens: "+d.Denial.Name, Answer{Status: 403}, in.DenyPolicies.Source)
	}
	if p, ok := in.accountPolicy(in.triggerMember()); ok && in.letsMint(p, agent) {
		return pass("the policy of the trigger's service account lets Pub/Sub's service agent mint its tokens", in.Accounts.Source)
	}
	if !in.Ancestors.Known() || d.Access.State == iam.Unknown {
		return assume("ancestor-policies.json", "it is unknown whether Pub/Sub's service agent may mint tokens", agent+" may mint tokens of the trigger's service account", in.readPolicy(layer{Layer: iam.Layer{Level: iam.Project}})...)
	}
	f := fail("Pub/Sub's service agent "+strings.TrimPrefix(agent, "serviceAccount:")+" has neither roles/pubsub.serviceAgent nor roles/iam.serviceAccountTokenCreator, so deliveries get no token",
		Answer{Status: 403}, in.Ancestors.Source)
	f.Assumes = in.byOwnPolicy(agent)
	f.Fixes = []Fix{in.grantOnProject("grant-token-creator", "roles/iam.serviceAccountTokenCreator", agent)}
	return f
})

// byOwnPolicy is what a refusal to mint rests on: the policy of the trigger's
// service account, unless it was read and lets nobody mint.
func (in *Invocation) byOwnPolicy(agent string) []Assumption {
	email := strings.TrimPrefix(in.triggerMember(), "serviceAccount:")
	out := Assumption{Document: "service-account-policies.json",
		Text: "Pub/Sub's agent may not mint tokens of the trigger's service account by that account's own policy"}
	p, ok := in.accountPolicy(in.triggerMember())
	if !ok {
		out.Gather = []Command{readAccountPolicy(gcp.ServiceAccountName(email))}
	} else if !slices.ContainsFunc(p.GetBindings(), func(b *iampb.Binding) bool {
		has, _ := in.roles.Carries(b.GetRole(), iam.MintIDToken)
		return has != iam.NotGranted
	}) {
		return nil
	}
	return []Assumption{out}
}

// accountPolicy is the policy of a service account, where it was read.
func (in *Invocation) accountPolicy(member string) (*iampb.Policy, bool) {
	for _, a := range in.Accounts.Or(nil) {
		if strings.EqualFold("serviceAccount:"+a.Email, member) {
			return a.Policy, true
		}
	}
	return nil, false
}

// boundPubSubAgent returns the service agent of Pub/Sub that a policy names,
// or "".
func (in *Invocation) boundPubSubAgent() string {
	for _, l := range in.layers {
		for _, b := range l.Policy.GetBindings() {
			for _, m := range b.GetMembers() {
				if email, ok := strings.CutPrefix(m, "serviceAccount:"); ok && gcp.IsPubSubAgent(email) {
					return m
				}
			}
		}
	}
	return ""
}
