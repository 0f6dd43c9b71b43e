package checks

import (
	"cmp"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"cloud.google.com/go/functions/apiv2/functionspb"
	"cloud.google.com/go/iam/apiv1/iampb"
	denypb "cloud.google.com/go/iam/apiv2/iampb"
	"cloud.google.com/go/iap/apiv1/iappb"
	"cloud.google.com/go/run/apiv2/runpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"diagnose/internal/caller"
	"diagnose/internal/evidence"
	"diagnose/internal/gcp"
	"diagnose/internal/iam"
)

// A possibility is what a document that was not read may hold. A verdict is
// proven where no possibility turns it: the judge is asked again with each of
// them, so that no check has to know what it does not know.
type possibility struct {
	document string // the kind of document, a member of a case
	text     string // what is supposed instead, a clause
	gather   []Command
	apply    func(evidence.Snapshot) evidence.Snapshot
}

// extreme is the source of a supposed document.
var extreme = evidence.Source{Document: "supposed"}

// possibilities lists what the documents that were not read may hold, one for
// each kind of document of a case and each way in which it could matter.
func (in *Invocation) possibilities() []possibility {
	return slices.Concat(
		in.otherRequests(), in.otherMoments(), in.otherServices(), in.otherFunctions(), in.otherPolicies(),
		in.otherDenials(), in.otherGroups(), in.otherIAP(), in.otherProjects(), in.otherCallers(),
	)
}

// otherRequests: without a request, one over https to the service's own URL
// from the internet is supposed.
func (in *Invocation) otherRequests() []possibility {
	if in.Request.Known() {
		return nil
	}
	suppose := func(text, flag string, change func(*evidence.Request)) possibility {
		if in.delivery {
			text = delivered
		}
		return possibility{"request.json", text, []Command{{Argv: []string{"diagnose", "invoke", flag}}},
			func(s evidence.Snapshot) evidence.Snapshot { return changeRequest(s, change) }}
	}
	var out []possibility
	for _, o := range evidence.Origins {
		if o != in.origin {
			out = append(out, suppose("the request comes from "+in.originWord(), "--source=SOURCE", func(r *evidence.Request) { r.Origin = o }))
		}
	}
	for _, path := range []string{"/", "/healthz", "/other"} {
		if u, err := url.Parse(cmp.Or(in.audiences.Preferred(), "https://service.example")); err == nil {
			u.Path += path
			out = append(out, suppose("the request goes to the service's own URL over https", "--url=URL", func(r *evidence.Request) { r.URL = u }))
		}
	}
	if !in.Token.Known() && !in.Caller.Known() && in.delivery {
		out = append(out, suppose(delivered, "--url=URL", func(r *evidence.Request) { r.Headers = http.Header{} }))
	}
	return out
}

// delivered is supposed of an event-driven target without a request.
const delivered = "only the event source calls"

// otherMoments: where nothing says when the request was made, now is supposed.
func (in *Invocation) otherMoments() []possibility {
	if in.momentSaid() {
		return nil
	}
	text := "the request is made at " + in.Now.UTC().Format(time.RFC3339)
	moments := []time.Time{in.Now.AddDate(-30, 0, 0), in.Now.AddDate(30, 0, 0)}
	if t := in.sent.credential.Claims.IssuedAt; t != nil {
		moments = append(moments, t.Add(time.Second))
	}
	if t := in.sent.credential.Claims.Expiry; t != nil {
		moments = append(moments, t.Add(-time.Second))
	}
	var out []possibility
	for _, m := range moments {
		out = append(out, possibility{"request.json", text, []Command{{Argv: []string{"diagnose", "invoke", "--at=TIME"}}},
			func(s evidence.Snapshot) evidence.Snapshot {
				s.Now, s.NowFrom = m, "--at"
				return s
			}})
	}
	return out
}

// momentSaid reports whether the user or the request says when it was made.
func (in *Invocation) momentSaid() bool {
	return in.NowFrom == "--at" || in.NowFrom == "request.json" || in.momentFrom() == "request.json"
}

// otherServices: what the service may say of itself.
func (in *Invocation) otherServices() []possibility {
	if in.Service.Known() || in.gen1 && in.host.Kind == gcp.FunctionsHost {
		return nil
	}
	suppose := func(text string, change func(*runpb.Service)) possibility {
		return possibility{"service.json", text, in.describeService(), func(s evidence.Snapshot) evidence.Snapshot {
			svc := in.supposedService()
			change(svc)
			s.Service = evidence.Known(svc, extreme)
			return s
		}}
	}
	out := []possibility{
		suppose("the service's own document does not contradict this", func(*runpb.Service) {}),
		suppose("the invoker IAM check of the service is on", func(s *runpb.Service) { s.InvokerIamDisabled = true }),
		suppose("ingress admits the request", func(s *runpb.Service) { s.Ingress = runpb.IngressTraffic_INGRESS_TRAFFIC_NONE }),
		suppose("ingress admits the request", func(s *runpb.Service) { s.Ingress = runpb.IngressTraffic_INGRESS_TRAFFIC_INTERNAL_ONLY }),
		suppose("IAP is off on the service", func(s *runpb.Service) { s.IapEnabled = true }),
		suppose("the default URL of the service is on", func(s *runpb.Service) { s.DefaultUriDisabled = true }),
		suppose("the service is not deleted", func(s *runpb.Service) { s.DeleteTime = timestamppb.New(in.Now) }),
		suppose("the service has a serving revision", func(s *runpb.Service) {
			s.TerminalCondition, s.LatestReadyRevision = &runpb.Condition{State: runpb.Condition_CONDITION_FAILED}, ""
		}),
		suppose(in.host.Name+" is the service's host", func(s *runpb.Service) {
			s.Uri, s.Urls = "https://other-zz99zz99zz-ew.a.run.app", []string{"https://other-zz99zz99zz-ew.a.run.app"}
		}),
	}
	for _, aud := range in.sent.credential.Claims.Audience {
		out = append(out, suppose("the service does not have the token's audience as a custom audience", func(s *runpb.Service) { s.CustomAudiences = []string{aud} }))
		if gcp.HostOf(aud).Kind == gcp.RunHost {
			out = append(out, suppose("the service has no URL like the token's audience", func(s *runpb.Service) { s.Urls = append(s.Urls, aud) }))
		}
	}
	return out
}

// supposedService is a service that fits what is known of the target.
func (in *Invocation) supposedService() *runpb.Service {
	name := cmp.Or(in.fn().GetServiceConfig().GetService(),
		in.serviceName().String())
	s := &runpb.Service{Name: name, Ingress: runpb.IngressTraffic_INGRESS_TRAFFIC_ALL, LatestReadyRevision: "revisions/1",
		TerminalCondition: &runpb.Condition{State: runpb.Condition_CONDITION_SUCCEEDED}}
	if in.host.Kind == gcp.RunHost {
		s.Urls = append(s.Urls, "https://"+in.url.Host)
	}
	if u := in.fn().GetServiceConfig().GetUri(); u != "" && !slices.Contains(s.Urls, u) {
		s.Urls = append(s.Urls, u)
	}
	if len(s.Urls) > 0 {
		s.Uri = s.Urls[0]
	}
	if tag := in.host.Tag; tag != "" {
		s.Traffic = []*runpb.TrafficTarget{{Tag: tag}}
	}
	return s
}

// otherFunctions: what a function in front of the service may say.
func (in *Invocation) otherFunctions() []possibility {
	if in.Function.Known() {
		return nil
	}
	suppose := func(text string, f *functionspb.Function) possibility {
		return possibility{"function.json", text, in.describeFunction(), func(s evidence.Snapshot) evidence.Snapshot {
			s.Function = evidence.Known(evidence.Function{Function: f}, extreme)
			return s
		}}
	}
	base := func() *functionspb.Function {
		return &functionspb.Function{
			Name:        in.functionName().String(),
			Environment: functionspb.Environment_GEN_2, State: functionspb.Function_ACTIVE,
			ServiceConfig: &functionspb.ServiceConfig{Service: in.service().GetName()},
		}
	}
	event, failed, gen1 := base(), base(), base()
	event.EventTrigger = &functionspb.EventTrigger{EventType: "google.cloud.storage.object.v1.finalized"}
	failed.State = functionspb.Function_FAILED
	gen1.Environment, gen1.ServiceConfig = functionspb.Environment_GEN_1, &functionspb.ServiceConfig{}
	if in.host.Kind == gcp.FunctionsHost {
		for _, f := range []*functionspb.Function{event, failed, gen1} {
			f.Url = gcp.Origin(in.url) + "/" + in.functionOfURL()
		}
	}
	out := []possibility{
		suppose("the function is not event-driven", event),
		suppose("the function is active", failed),
		suppose("the target is not a gen1 function", gen1),
	}
	if !in.Service.Known() {
		internal := base()
		internal.ServiceConfig.IngressSettings = functionspb.ServiceConfig_ALLOW_INTERNAL_ONLY
		out = append(out, suppose("ingress admits the request", internal))
	}
	return out
}

// otherPolicies: what an allow policy may grant, to everyone and to whom IAM
// is asked about.
func (in *Invocation) otherPolicies() []possibility {
	var out []possibility
	role := in.invokerRole()
	members := in.askedAbout()
	grant := func(member string) *iampb.Policy {
		p := &iampb.Policy{Bindings: []*iampb.Binding{{Role: role, Members: []string{member}}}}
		if in.iap {
			p.Bindings = append(p.Bindings, &iampb.Binding{Role: accessorRole, Members: []string{member}})
		}
		return p
	}
	texts := func(l layer, m string) string {
		if m == "allUsers" {
			return "the policy of " + l.Resource + " does not make it public"
		}
		return "the policy of " + l.Resource + " does not grant it to " + m
	}
	for i, l := range in.layers {
		if l.Policy != nil {
			continue
		}
		for _, m := range members {
			out = append(out, possibility{l.document, texts(l, m), in.readPolicy(l),
				func(s evidence.Snapshot) evidence.Snapshot { return in.withLayer(s, i, grant(m)) }})
		}
		none := "the policy of " + l.Resource + " grants it"
		if i > 0 {
			none = hangAbove
		}
		out = append(out, possibility{l.document, none, in.readPolicy(l),
			func(s evidence.Snapshot) evidence.Snapshot { return in.withLayer(s, i, &iampb.Policy{}) }})
	}
	if in.Ancestors.Known() {
		return append(out, in.otherOrganization(grant)...)
	}
	for _, m := range members {
		out = append(out, possibility{"ancestor-policies.json", noneAbove(m), in.readAncestors(),
			func(s evidence.Snapshot) evidence.Snapshot { return in.withAncestors(s, grant(m), in.hung(&iampb.Policy{})) }})
	}
	return append(out, possibility{"ancestor-policies.json", hangAbove, in.readAncestors(),
		func(s evidence.Snapshot) evidence.Snapshot { return in.withAncestors(s, &iampb.Policy{}, unnamed) }})
}

// noneAbove is supposed of the policies above that no document has.
func noneAbove(member string) string {
	if member == "allUsers" {
		return "no policy of the project, its folders or its organization makes it public"
	}
	return "no policy of the project, its folders or its organization grants it to " + member
}

// hangAbove is supposed of deny policies on resources that are not known to be
// above the service.
const hangAbove = "the deny policies that were read are on resources above the service"

// otherOrganization: above a list that ends below an organization another one
// may stand than that which a deny policy hangs on, or that one, with a policy
// that was not read.
func (in *Invocation) otherOrganization(grant func(member string) *iampb.Policy) []possibility {
	if in.underOrganization() {
		return nil
	}
	suppose := func(text string, above []evidence.Ancestor) possibility {
		return possibility{"ancestor-policies.json", text, in.readAncestors(), func(s evidence.Snapshot) evidence.Snapshot {
			list := slices.DeleteFunc(slices.Clone(s.Ancestors.Or(nil)), func(a evidence.Ancestor) bool { return a.Missing })
			s.Ancestors = evidence.Known(append(list, above...), s.Ancestors.Source)
			return s
		}}
	}
	out := []possibility{suppose(hangAbove, unnamed)}
	if len(in.hung(nil)) == 0 {
		return out
	}
	for _, m := range in.askedAbout() {
		out = append(out, suppose(noneAbove(m), in.hung(grant(m))))
	}
	return out
}

// unnamed is an organization that no document names.
var unnamed = []evidence.Ancestor{{ID: "0", Type: "organization", Policy: evidence.Known(&iampb.Policy{}, extreme)}}

// hung lists the folders and the organization that deny policies hang on and
// that are not listed above the service. Each has the policy given.
func (in *Invocation) hung(p *iampb.Policy) []evidence.Ancestor {
	var out []evidence.Ancestor
	for _, d := range in.question(in.permission, in.identity).Deny {
		kind, id, _ := strings.Cut(d.Point, "/")
		listed := slices.ContainsFunc(out, func(a evidence.Ancestor) bool { return a.ID == id })
		if d.Attached == iam.Unknown && kind != "projects" && id != "" && !listed {
			out = append(out, evidence.Ancestor{ID: id, Type: strings.TrimSuffix(kind, "s"), Policy: evidence.Known(p, extreme)})
		}
	}
	return out
}

// askedAbout lists the members whose access matters to the verdict.
func (in *Invocation) askedAbout() []string {
	out := []string{"allUsers"}
	add := func(m string) {
		if m != "" && !slices.Contains(out, m) {
			out = append(out, m)
		}
	}
	add(in.principal)
	if in.iap {
		add(in.iapAgent())
	}
	if in.event || in.eventTrigger() {
		add(in.triggerMember())
	}
	return out
}

// withLayer returns the evidence with the policy of one layer read.
func (in *Invocation) withLayer(s evidence.Snapshot, i int, p *iampb.Policy) evidence.Snapshot {
	switch {
	case i > 0:
		ancestors := slices.Clone(s.Ancestors.Or(nil))
		ancestors[i-1].Policy, ancestors[i-1].Missing = evidence.Known(p, extreme), false
		s.Ancestors = evidence.Known(ancestors, s.Ancestors.Source)
	case in.gen1:
		s.FunctionPolicy = evidence.Known(p, extreme)
	default:
		s.Policy = evidence.Known(p, extreme)
	}
	return s
}

// withAncestors returns the evidence with a project's policy and what is above
// it.
func (in *Invocation) withAncestors(s evidence.Snapshot, p *iampb.Policy, above []evidence.Ancestor) evidence.Snapshot {
	project := evidence.Ancestor{ID: in.projectName().ID, Type: "project", Policy: evidence.Known(p, extreme)}
	s.Ancestors = evidence.Known(slices.Concat([]evidence.Ancestor{project}, above), extreme)
	return s
}

// otherDenials: a deny policy may deny everyone.
func (in *Invocation) otherDenials() []possibility {
	if in.DenyPolicies.Known() {
		return nil
	}
	rule := &denypb.DenyRule{DeniedPrincipals: []string{"principalSet://goog/public:all"},
		DeniedPermissions: []string{"run.googleapis.com/*.*", "iap.googleapis.com/*.*"}}
	p := &denypb.Policy{Name: in.projectName().DenyParent() + "/supposed",
		Rules: []*denypb.PolicyRule{{Kind: &denypb.PolicyRule_DenyRule{DenyRule: rule}}}}
	return []possibility{{"deny-policies.json", "no deny policy denies " + in.permission + " to the caller", in.listDenyPolicies(),
		func(s evidence.Snapshot) evidence.Snapshot {
			s.DenyPolicies = evidence.Known([]*denypb.Policy{p}, extreme)
			return s
		}}}
}

// otherGroups: a domain that is matched by its name may have other members,
// and a domain can have service accounts:
// https://docs.cloud.google.com/iam/docs/principals-overview.
func (in *Invocation) otherGroups() []possibility {
	listed := in.Groups.Or(nil)
	empty, full := maps.Clone(listed), maps.Clone(listed)
	if listed == nil {
		empty, full = map[string][]string{}, map[string][]string{}
	}
	var gather []Command
	for _, m := range in.membersBound() {
		k := iam.ParseMember(m).Kind
		if k != iam.Group && k != iam.Domain || empty[m] != nil {
			continue
		}
		empty[m] = []string{}
		gather = append(gather, listMembers(m)...)
		if k == iam.Domain {
			full[m] = in.askedAbout()
		}
	}
	suppose := func(text string, groups map[string][]string) possibility {
		return possibility{"groups.json", text, gather, func(s evidence.Snapshot) evidence.Snapshot {
			s.Groups = evidence.Known(groups, extreme)
			return s
		}}
	}
	var out []possibility
	if len(empty) > len(listed) {
		out = append(out, suppose("the caller belongs to the groups and domains in the bindings", empty))
	}
	if len(full) > len(listed) {
		out = append(out, suppose("the caller does not belong to a domain in the bindings", full))
	}
	return out
}

// membersBound lists the members of every policy read that could let the
// caller in.
func (in *Invocation) membersBound() []string {
	policies := []*iampb.Policy{in.IAPPolicy.Or(nil)}
	for _, l := range in.layers {
		policies = append(policies, l.Policy)
	}
	var out []string
	for _, p := range policies {
		for _, b := range p.GetBindings() {
			out = append(out, b.GetMembers()...)
		}
	}
	return out
}

// otherIAP: what IAP's policy and settings may say where IAP is on.
func (in *Invocation) otherIAP() []possibility {
	if !in.iap {
		return nil
	}
	var out []possibility
	if !in.IAPPolicy.Known() {
		for _, m := range []string{"allUsers", in.principal, ""} {
			p := &iampb.Policy{}
			text := "IAP's policy admits the caller"
			if m != "" {
				p.Bindings = []*iampb.Binding{{Role: accessorRole, Members: []string{m}}}
				text = "IAP's policy does not admit " + m
			}
			out = append(out, possibility{"iap-policy.json", text, shell(in.iapName().GetPolicy()),
				func(s evidence.Snapshot) evidence.Snapshot {
					s.IAPPolicy = evidence.Known(p, extreme)
					return s
				}})
		}
	}
	if in.IAPSettings.Known() {
		return out
	}
	for text, settings := range map[string]*iappb.AccessSettings{
		"IAP does not let OPTIONS pass":            optionsAllowed,
		"IAP asks for Google accounts only":        otherIdentities,
		"the token's audience is not one of IAP's": in.ownAudience(),
		"the token's audience is one of IAP's":     otherAudience,
	} {
		out = append(out, possibility{"iap-settings.json", text, shell(in.iapName().GetIAPSettings()),
			func(s evidence.Snapshot) evidence.Snapshot {
				s.IAPSettings = evidence.Known(&iappb.IapSettings{AccessSettings: settings}, extreme)
				return s
			}})
	}
	slices.SortFunc(out, func(a, b possibility) int { return cmp.Compare(a.text, b.text) })
	return out
}

// otherProjects: the number of the project may be another one than a host
// suggests.
func (in *Invocation) otherProjects() []possibility {
	if in.Project.Known() || in.documentNumber() != "" {
		return nil
	}
	return []possibility{{"project.json", "the project number in the URL belongs to the service's project", in.describeProject(),
		func(s evidence.Snapshot) evidence.Snapshot {
			s.Project = evidence.Known(evidence.Project{ID: in.name.Project, Number: "1"}, extreme)
			return s
		}}}
}

// otherCallers: a configured caller may call where nothing says who does.
func (in *Invocation) otherCallers() []possibility {
	if in.Caller.Known() || in.saysWhoCalls() {
		return nil
	}
	text := "no Google service of the same project calls"
	if in.delivery {
		text = delivered
	}
	var out []possibility
	for _, c := range []caller.Caller{
		{Kind: "cloud-scheduler", Project: in.name.Project, Token: caller.IDToken, Audience: in.audiences.Preferred(), ServiceAccount: gcp.UserMade("caller", "example")},
		{Kind: "cloud-tasks", Project: in.name.Project, Token: caller.NoToken},
	} {
		out = append(out, possibility{"caller.json", text, in.gatherCaller(),
			func(s evidence.Snapshot) evidence.Snapshot {
				s.Caller = evidence.Known(c, extreme)
				return s
			}})
	}
	return out
}

// weigh says what the decision rests on: every possibility that turns it is
// an assumption, and so is what no document settles.
func (in *Invocation) weigh(v *Verdict) {
	switch v.Decision {
	case Allowed:
		v.Assumptions = append(v.Assumptions, in.turningAllowed(v.Findings)...)
	case Denied:
		v.Assumptions = in.turningDenied(v.Findings)
	default:
		return
	}
	v.Assumptions = distinct(append(v.Assumptions, in.standing()...))
	v.Basis = Proven
	if len(v.Assumptions) > 0 {
		v.Basis = Assumed
	}
}

// turningAllowed lists what would stop a request that nothing stops. What a
// check already supposes of a document is not said twice.
func (in *Invocation) turningAllowed(findings []Finding) []Assumption {
	var out []Assumption
	for _, p := range in.possibilities() {
		if in.stopped() {
			break
		}
		after := in.supposing(p)
		if d, _ := conclude(after); d == Allowed {
			continue
		}
		i := slices.IndexFunc(after, func(f Finding) bool { return f.stops() })
		if i < 0 {
			i = slices.IndexFunc(after, func(f Finding) bool { return f.admits })
		}
		said := slices.ContainsFunc(findings[i].Assumes, func(a Assumption) bool { return a.Document == p.document })
		if !said {
			out = append(out, Assumption{Check: after[i].Check, Document: p.document, Text: p.text, Gather: p.gather})
		}
	}
	return out
}

// turningDenied lists what would lift the refusal. One refusal that nothing
// lifts is enough; else those of the cause are told.
func (in *Invocation) turningDenied(findings []Finding) []Assumption {
	turning := map[int][]Assumption{}
	var failing []int
	for i, f := range findings {
		if f.Outcome == Fail {
			failing = append(failing, i)
			turning[i] = slices.Clone(f.Assumes)
		}
	}
	for _, p := range in.possibilities() {
		if in.stopped() {
			break
		}
		after := in.supposing(p)
		for _, i := range failing {
			if after[i].Outcome != Fail {
				turning[i] = append(turning[i], Assumption{Check: findings[i].Check, Document: p.document, Text: p.text, Gather: p.gather})
			}
		}
	}
	for _, i := range failing {
		if len(turning[i]) == 0 {
			return nil
		}
	}
	return turning[failing[0]]
}

func (in *Invocation) stopped() bool { return in.stop != nil && in.stop() }

func (in *Invocation) supposing(p possibility) []Finding {
	s := p.apply(*in.Snapshot)
	other := resolve(&s, in.stop)
	other.bare = true
	return other.answers()
}

// standing lists what no document settles: what stands between the caller and
// the service.
func (in *Invocation) standing() []Assumption {
	var out []Assumption
	add := func(text string) { out = append(out, Assumption{Check: "route-host", Text: text}) }
	switch name := in.ownName(); {
	case in.ownHostFix() != nil: // the check supposes that no domain mapping is there
	case name != "":
		add(name + " leads to this service, and what is in between does not change the request")
	case in.port() != "":
		add("port " + in.port() + " of " + in.host.Name + " leads to this service")
	}
	switch in.request.Origin {
	case evidence.LoadBalancer, evidence.InternalLoadBalancer:
		add("the load balancer leads to this service and does not change the request")
	}
	return out
}

// momentFrom is what says the moment judged at, where the evidence does not
// tell.
func (in *Invocation) momentFrom() string {
	if !in.request.Time.IsZero() && in.request.Time.Equal(in.Now) {
		return "request.json"
	}
	return "now"
}

// invokerRole is the smallest role that lets a caller invoke the target.
func (in *Invocation) invokerRole() string {
	if in.gen1 {
		return "roles/cloudfunctions.invoker"
	}
	return iam.MinimalInvoker
}
