package laws

import (
	"cmp"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"cloud.google.com/go/functions/apiv2/functionspb"
	"cloud.google.com/go/iam/apiv1/iampb"
	denypb "cloud.google.com/go/iam/apiv2/iampb"
	"cloud.google.com/go/iap/apiv1/iappb"
	"cloud.google.com/go/run/apiv2/runpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"diagnose/internal/evidence"
)

// An extreme is a document that a case does not have, of the sort that is
// likeliest to turn a verdict.
type extreme struct {
	document, label string
	put             func(*evidence.Snapshot)
}

// about is what a case is about, as far as it tells, so that what is added
// speaks of the same service and caller.
type about struct {
	evidence.Snapshot
	gen1          bool
	service, host string
	project, org  string
	number        string
	caller        string
	roles, groups []string
	tags          []evidence.Tag
	out           []extreme
}

func (a *about) add(document, label string, put func(*evidence.Snapshot)) {
	a.out = append(a.out, extreme{document, label, put})
}

var (
	groupName = regexp.MustCompile(`(?:group|domain):[^"\s,]+@?[^"\s,]+|principalSet://goog/group/[^"\s]+`)
	roleName  = regexp.MustCompile(`(?:projects|organizations)/[^/"\s]+/roles/[^"\s]+`)
	tagTest   = regexp.MustCompile(`matchTag\(\\*['"]([^'"\\]+)\\*['"], ?\\*['"]([^'"\\]+)\\*['"]`)
	orgName   = regexp.MustCompile(`organizations(?:%2F|/)(\d+)`)
	longURL   = regexp.MustCompile(`-(\d{9,})\.[a-z0-9-]+\.run\.app`)
)

// extremes are all documents to add to a case, one at a time.
func extremes(s evidence.Snapshot) []extreme {
	a := &about{Snapshot: s, service: serviceID, host: hashHost, number: "999000111222", org: "1", caller: mover}
	a.identify()
	a.search()
	a.addService()
	a.addFunction()
	a.addPolicies()
	a.addDeny()
	a.addIAP()
	a.addNames()
	a.addRequest()
	a.addCredential()
	a.addCallers()
	a.addObserved()
	slices.SortStableFunc(a.out, func(x, y extreme) int {
		return cmp.Or(strings.Compare(x.document, y.document), strings.Compare(x.label, y.label))
	})
	return a.out
}

// identify finds the names in the case.
func (a *about) identify() {
	f := a.Function.Or(evidence.Function{})
	a.gen1 = f.GetEnvironment() == functionspb.Environment_GEN_1
	if n := f.GetServiceConfig().GetService(); n != "" {
		a.service = n
	}
	if svc := a.Service.Or(nil); svc.GetName() != "" {
		a.service = svc.GetName()
	}
	r := a.Request.Or(evidence.Request{})
	for _, text := range []string{a.Service.Or(nil).GetUri(), f.GetServiceConfig().GetUri(), urlText(r.URL)} {
		if u, err := url.Parse(text); err == nil && strings.HasSuffix(u.Host, "run.app") {
			a.host = u.Host
			break
		}
	}
	a.project = strings.Split(a.service, "/")[1]
	if a.gen1 && f.GetName() != "" {
		a.project = strings.Split(f.GetName(), "/")[1]
	}
	switch t, ok := a.Token.Get(); {
	case r.Principal != "":
		a.caller = r.Principal
	case ok && t.Claims.Email != "":
		a.caller = "user:" + t.Claims.Email
		if strings.HasSuffix(t.Claims.Email, "gserviceaccount.com") {
			a.caller = "serviceAccount:" + t.Claims.Email
		}
	}
}

func urlText(u *url.URL) string {
	if u == nil {
		return ""
	}
	return u.String()
}

// search finds what the policies name.
func (a *about) search() {
	var texts []string
	for _, p := range []*iampb.Policy{a.Policy.Or(nil), a.FunctionPolicy.Or(nil), a.IAPPolicy.Or(nil)} {
		texts = append(texts, p.String())
	}
	for _, n := range a.Ancestors.Or(nil) {
		texts = append(texts, n.Policy.Or(nil).String(), n.Type+"s/"+n.ID)
	}
	for _, d := range a.DenyPolicies.Or(nil) {
		texts = append(texts, d.String())
	}
	all := strings.Join(texts, "\n")
	for _, g := range groupName.FindAllString(all, -1) {
		a.groups = append(a.groups, strings.Replace(g, "principalSet://goog/group/", "group:", 1))
	}
	a.roles = roleName.FindAllString(all, -1)
	slices.Sort(a.roles)
	a.roles = slices.Compact(a.roles)
	for _, t := range tagTest.FindAllStringSubmatch(all, -1) {
		a.tags = append(a.tags, evidence.Tag{
			NamespacedKey: t[1], NamespacedValue: t[1] + "/" + t[2], Key: "tagKeys/77", Value: "tagValues/77",
		})
	}
	if m := orgName.FindStringSubmatch(all); m != nil {
		a.org = m[1]
	}
	for _, u := range append(a.Service.Or(nil).GetUrls(), a.host) {
		if m := longURL.FindStringSubmatch(u); m != nil {
			a.number = m[1]
		}
	}
}

func (a *about) agent() string {
	n := a.number
	if p, ok := a.Project.Get(); ok && p.Number != "" {
		n = p.Number
	}
	return "serviceAccount:service-" + n + "@gcp-sa-iap.iam.gserviceaccount.com"
}

func (a *about) addService() {
	if a.Service.Known() || a.gen1 {
		return
	}
	for label, change := range map[string]func(*runpb.Service){
		"plain":           func(*runpb.Service) {},
		"check off":       func(s *runpb.Service) { s.InvokerIamDisabled = true },
		"ingress none":    func(s *runpb.Service) { s.Ingress = runpb.IngressTraffic_INGRESS_TRAFFIC_NONE },
		"IAP on":          func(s *runpb.Service) { s.IapEnabled = true },
		"deleted":         func(s *runpb.Service) { s.DeleteTime = timestamppb.New(now.AddDate(0, 0, -3)) },
		"default URL off": func(s *runpb.Service) { s.DefaultUriDisabled = true },
		"other audiences": func(s *runpb.Service) { s.CustomAudiences = []string{"https://other.example"} },
		"never was ready": func(s *runpb.Service) {
			s.LatestReadyRevision = ""
			s.TerminalCondition.State = runpb.Condition_CONDITION_FAILED
		},
		"another revision": func(s *runpb.Service) { s.LatestReadyRevision = a.service + "/revisions/r2" },
	} {
		a.add("service.json", label, func(s *evidence.Snapshot) {
			svc := &runpb.Service{
				Name: a.service, Uri: "https://" + a.host, Urls: []string{"https://" + a.host},
				Ingress:             runpb.IngressTraffic_INGRESS_TRAFFIC_ALL,
				LatestReadyRevision: a.service + "/revisions/r1",
				TerminalCondition:   &runpb.Condition{Type: "Ready", State: runpb.Condition_CONDITION_SUCCEEDED},
			}
			change(svc)
			s.Service = known(svc, "service.json")
		})
	}
}

func (a *about) addFunction() {
	if a.Function.Known() {
		return
	}
	id := strings.Replace(a.service, "/services/", "/functions/", 1)
	second := func() *functionspb.Function {
		return &functionspb.Function{Name: id, Environment: functionspb.Environment_GEN_2, State: functionspb.Function_ACTIVE,
			ServiceConfig: &functionspb.ServiceConfig{Service: a.service, Uri: "https://" + a.host}}
	}
	put := func(label string, f *functionspb.Function) {
		a.add("function.json", label, func(s *evidence.Snapshot) {
			s.Function = known(evidence.Function{Function: f}, "function.json")
		})
	}
	put("v2", second())
	failed := second()
	failed.State = functionspb.Function_FAILED
	put("failed", failed)
	event := second()
	event.EventTrigger = &functionspb.EventTrigger{
		EventType:           "google.cloud.pubsub.topic.v1.messagePublished",
		ServiceAccountEmail: "events@shop.iam.gserviceaccount.com",
	}
	put("event", event)
	ofRun := strings.Contains(urlText(a.Request.Or(evidence.Request{}).URL), ".run.app")
	if !a.Service.Known() && !a.Policy.Known() && !ofRun {
		put("gen1", &functionspb.Function{
			Name: id, Environment: functionspb.Environment_GEN_1, State: functionspb.Function_ACTIVE, Url: gen1URL,
			ServiceConfig: &functionspb.ServiceConfig{},
		})
	}
}

// grants are policies that let nobody, everybody, the caller or IAP's agent
// use a role.
func (a *about) grants(role string) map[string]*iampb.Policy {
	out := map[string]*iampb.Policy{"empty": {}}
	for label, m := range map[string]string{
		"everyone": "allUsers", "any account": "allAuthenticatedUsers", "the caller": a.caller, "the agent": a.agent(),
	} {
		out[role+" for "+label] = &iampb.Policy{Version: 3, Bindings: []*iampb.Binding{{Role: role, Members: []string{m}}}}
	}
	return out
}

func (a *about) addPolicies() {
	if !a.Policy.Known() && !a.gen1 {
		for label, p := range a.grants("roles/run.invoker") {
			a.add("policy.json", label, func(s *evidence.Snapshot) { s.Policy = known(p, "policy.json") })
		}
	}
	if !a.FunctionPolicy.Known() {
		for label, p := range a.grants("roles/cloudfunctions.invoker") {
			a.add("function-policy.json", label, func(s *evidence.Snapshot) {
				s.FunctionPolicy = known(p, "function-policy.json")
			})
		}
	}
	if a.Ancestors.Known() {
		return
	}
	for _, role := range []string{"roles/editor", "roles/iap.httpsResourceAccessor"} {
		for label, p := range a.grants(role) {
			for _, org := range []string{a.org, "424242"} {
				a.add("ancestor-policies.json", label+" below organization "+org, func(s *evidence.Snapshot) {
					s.Ancestors = known([]evidence.Ancestor{
						{ID: a.project, Type: "project", Policy: known(&iampb.Policy{}, "ancestor-policies.json")},
						{ID: org, Type: "organization", Policy: known(p, "ancestor-policies.json")},
					}, "ancestor-policies.json")
				})
			}
		}
	}
}

func (a *about) addDeny() {
	if a.DenyPolicies.Known() {
		return
	}
	put := func(label string, list ...*denypb.Policy) {
		a.add("deny-policies.json", label, func(s *evidence.Snapshot) { s.DenyPolicies = known(list, "deny-policies.json") })
	}
	put("none")
	for _, permission := range []string{denyInvoke, denyIAP} {
		put(permission+" for everyone", &denypb.Policy{
			Name: "policies/cloudresourcemanager.googleapis.com%2Fprojects%2F" + a.project + "/denypolicies/all",
			Rules: []*denypb.PolicyRule{{Kind: &denypb.PolicyRule_DenyRule{DenyRule: &denypb.DenyRule{
				DeniedPrincipals: []string{"principalSet://goog/public:all"}, DeniedPermissions: []string{permission}}}}},
		})
	}
}

func (a *about) addIAP() {
	if !a.IAPPolicy.Known() {
		for label, p := range a.grants("roles/iap.httpsResourceAccessor") {
			a.add("iap-policy.json", label, func(s *evidence.Snapshot) { s.IAPPolicy = known(p, "iap-policy.json") })
		}
	}
	if a.IAPSettings.Known() {
		return
	}
	for label, access := range map[string]*iappb.AccessSettings{
		"plain":                {},
		"OPTIONS pass":         {CorsSettings: &iappb.CorsSettings{AllowHttpOptions: wrapperspb.Bool(true)}},
		"identity platform":    {GcipSettings: &iappb.GcipSettings{TenantIds: []string{"_1"}}},
		"programmatic clients": {OauthSettings: &iappb.OAuthSettings{ProgrammaticClients: []string{"1-x.apps"}}},
	} {
		a.add("iap-settings.json", label, func(s *evidence.Snapshot) {
			s.IAPSettings = known(&iappb.IapSettings{AccessSettings: access}, "iap-settings.json")
		})
	}
}
