package checks_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/eventarc/apiv1/eventarcpb"
	"cloud.google.com/go/functions/apiv2/functionspb"
	"cloud.google.com/go/iam/apiv1/iampb"
	denypb "cloud.google.com/go/iam/apiv2/iampb"
	"cloud.google.com/go/run/apiv2/runpb"
	"google.golang.org/genproto/googleapis/type/expr"
	"google.golang.org/protobuf/proto"

	"diagnose/checks"
	"diagnose/internal/caller"
	"diagnose/internal/credential"
	"diagnose/internal/credential/credentialtest"
	"diagnose/internal/evidence"
)

var here = evidence.Source{Document: "test"}

func service(change func(*runpb.Service)) func(*evidence.Snapshot) {
	return func(s *evidence.Snapshot) {
		svc := proto.Clone(s.Service.Or(nil)).(*runpb.Service)
		change(svc)
		s.Service = evidence.Known(svc, here)
	}
}

func bindings(bs ...*iampb.Binding) func(*evidence.Snapshot) {
	return func(s *evidence.Snapshot) { s.Policy = evidence.Known(&iampb.Policy{Bindings: bs}, here) }
}

func bind(role, condition string, members ...string) *iampb.Binding {
	b := &iampb.Binding{Role: role, Members: members}
	if condition != "" {
		b.Condition = &expr.Expr{Expression: condition}
	}
	return b
}

func request(change func(*evidence.Request)) func(*evidence.Snapshot) {
	return func(s *evidence.Snapshot) {
		r := s.Request.Or(evidence.Request{})
		change(&r)
		s.Request = evidence.Known(r, here)
	}
}

func claims(changes map[string]any) func(*evidence.Snapshot) {
	return func(s *evidence.Snapshot) {
		c := map[string]any{"iss": "https://accounts.google.com", "aud": "https://orders-ab12cd34ef-ew.a.run.app", "sub": "1", "email": "mover@shop.iam.gserviceaccount.com",
			"email_verified": true, "iat": s.Now.Add(-time.Minute).Unix(), "exp": s.Now.Add(time.Hour).Unix()}
		for k, v := range changes {
			if c[k] = v; v == nil {
				delete(c, k)
			}
		}
		s.Token = evidence.Known(credential.Decode(credentialtest.Sign(c)), here)
	}
}

func configured(c caller.Caller) func(*evidence.Snapshot) {
	return func(s *evidence.Snapshot) {
		s.Token = evidence.Fact[credential.Credential]{}
		s.Caller = evidence.Known(c, here)
		request(func(r *evidence.Request) { r.Headers, r.Principal = nil, "" })(s)
	}
}

func headers(lines ...string) func(*evidence.Snapshot) {
	return func(s *evidence.Snapshot) {
		s.Token = evidence.Fact[credential.Credential]{}
		request(func(r *evidence.Request) {
			r.Headers = http.Header{}
			for _, l := range lines {
				name, value, _ := strings.Cut(l, ": ")
				r.Headers.Add(name, value)
			}
		})(s)
	}
}

// onFunction grants the invoker role on a v2 function in front of the service.
func onFunction(members ...string) func(*evidence.Snapshot) {
	return func(s *evidence.Snapshot) {
		s.Function = evidence.Known(evidence.Function{Function: &functionspb.Function{
			Name: "projects/shop/locations/europe-west1/functions/orders", Environment: functionspb.Environment_GEN_2, State: functionspb.Function_ACTIVE,
			ServiceConfig: &functionspb.ServiceConfig{Service: s.Service.Or(nil).GetName()}}}, here)
		s.FunctionPolicy = evidence.Known(&iampb.Policy{Bindings: []*iampb.Binding{bind("roles/cloudfunctions.invoker", "", members...)}}, here)
		bindings()(s)
	}
}

// delivers has Eventarc call the service, as an account.
func delivers(account string) func(*evidence.Snapshot) {
	return func(s *evidence.Snapshot) {
		s.Token = evidence.Fact[credential.Credential]{}
		request(func(r *evidence.Request) { r.Client, r.Headers, r.Origin = "eventarc", nil, evidence.GoogleService })(s)
		s.Trigger = evidence.Known(&eventarcpb.Trigger{ServiceAccount: account, Destination: &eventarcpb.Destination{
			Descriptor_: &eventarcpb.Destination_CloudRun{CloudRun: &eventarcpb.CloudRun{Service: "orders", Region: "europe-west1"}}}}, here)
	}
}

// agentMay lets IAP's service agent invoke.
var agentMay = bindings(bind("roles/run.invoker", "", "serviceAccount:service-123456789012@gcp-sa-iap.iam.gserviceaccount.com"))

// triggerTo puts the trigger and the service that it calls elsewhere.
func triggerTo(project, region string) func(*evidence.Snapshot) {
	return func(s *evidence.Snapshot) {
		t := s.Trigger.Or(nil)
		t.Name = "projects/" + project + "/locations/" + region + "/triggers/uploads"
		t.GetDestination().GetCloudRun().Region = region
	}
}

const mover = "serviceAccount:mover@shop.iam.gserviceaccount.com"

// TestOutcomes changes one thing of a case that is allowed and proven, for
// what no story tells.
func TestOutcomes(t *testing.T) {
	public := bind("roles/run.invoker", "", "allUsers")
	for _, test := range []struct {
		name     string
		change   []func(*evidence.Snapshot)
		check    string
		outcome  checks.Outcome
		says     string
		decision checks.Decision
	}{
		{"as it is", nil, "access-granted", checks.Pass, "roles/run.servicesInvoker", checks.Allowed},
		{"public, expired token", []func(*evidence.Snapshot){bindings(public), claims(map[string]any{"exp": 1})}, "token-expiry", checks.Warn, "the service is public", checks.Allowed},
		{"public, other audience", []func(*evidence.Snapshot){bindings(public), claims(map[string]any{"aud": "https://other.example"})}, "token-audience", checks.Warn, "the service is public", checks.Allowed},
		{"public through the basic owner role", []func(*evidence.Snapshot){bindings(bind("roles/editor", "", "allUsers"))}, "access-public", checks.Pass, "roles/editor", checks.Allowed},
		{"viewer for everybody opens nothing", []func(*evidence.Snapshot){bindings(bind("roles/viewer", "", "allUsers"))}, "access-granted", checks.Fail, "does not have run.routes.invoke", checks.Denied},
		{"anyone with a Google account", []func(*evidence.Snapshot){bindings(bind("roles/run.invoker", "", "allAuthenticatedUsers"))}, "access-granted", checks.Pass, "roles/run.invoker", checks.Allowed},
		{"functions invoker on a service", []func(*evidence.Snapshot){bindings(bind("roles/cloudfunctions.invoker", "", mover))}, "access-role-effective", checks.Fail, "roles/cloudfunctions.invoker", checks.Denied},
		{"unknown custom role", []func(*evidence.Snapshot){bindings(bind("projects/shop/roles/caller", "", mover))}, "access-granted", checks.Unknown, "projects/shop/roles/caller", checks.Undetermined},
		{"unread group", []func(*evidence.Snapshot){bindings(bind("roles/run.invoker", "", "group:eng@example.com"))}, "access-granted", checks.Unknown, "group:eng@example.com", checks.Undetermined},
		{"condition that holds", []func(*evidence.Snapshot){bindings(bind("roles/run.invoker", `request.time < timestamp("2999-01-01T00:00:00Z")`, mover))}, "access-granted", checks.Pass, "", checks.Allowed},
		{"condition that fails to parse", []func(*evidence.Snapshot){bindings(bind("roles/run.invoker", `request.time <`, mover))}, "access-granted", checks.Unknown, "", checks.Undetermined},
		{"condition on tags that were not read", []func(*evidence.Snapshot){bindings(bind("roles/run.invoker", `resource.matchTag("1/env", "prod")`, mover)), func(s *evidence.Snapshot) { s.Tags = evidence.Fact[[]evidence.Tag]{} }},
			"access-granted", checks.Unknown, "", checks.Undetermined},
		{"deny condition that cannot be decided", []func(*evidence.Snapshot){func(s *evidence.Snapshot) {
			s.DenyPolicies = evidence.Known([]*denypb.Policy{{Name: "policies/cloudresourcemanager.googleapis.com%2Fprojects%2Fshop/denypolicies/d", Rules: []*denypb.PolicyRule{{Kind: &denypb.PolicyRule_DenyRule{DenyRule: &denypb.DenyRule{
				DeniedPrincipals: []string{"principalSet://goog/group/eng@example.com"}, DeniedPermissions: []string{"run.googleapis.com/routes.invoke"}}}}}}}, here)
		}}, "access-not-denied", checks.Unknown, "", checks.Undetermined},
		{"ingress none", []func(*evidence.Snapshot){service(func(s *runpb.Service) { s.Ingress = runpb.IngressTraffic_INGRESS_TRAFFIC_NONE })}, "ingress-source", checks.Fail, "", checks.Denied},
		{"ingress of a kind that is not known", []func(*evidence.Snapshot){service(func(s *runpb.Service) { s.Ingress = 99 })}, "ingress-source", checks.Unknown, "", checks.Undetermined},
		{"ingress not said", []func(*evidence.Snapshot){service(func(s *runpb.Service) { s.Ingress = runpb.IngressTraffic_INGRESS_TRAFFIC_UNSPECIFIED })}, "ingress-source", checks.Pass, "", checks.Allowed},
		{"service without traffic", []func(*evidence.Snapshot){service(func(s *runpb.Service) {
			s.TerminalCondition = &runpb.Condition{State: runpb.Condition_CONDITION_FAILED}
			s.LatestReadyRevision = ""
		})}, "service-ready", checks.Fail, "", checks.Denied},
		{"no e-mail in the token", []func(*evidence.Snapshot){claims(map[string]any{"email": nil, "email_verified": nil})}, "token-email", checks.Warn, "", checks.Undetermined},
		{"both headers", []func(*evidence.Snapshot){headers("Authorization: Basic eA==", "X-Serverless-Authorization: Bearer undefined")}, "credential-kind", checks.Fail, "undefined", checks.Denied},
		{"lower-case scheme", []func(*evidence.Snapshot){headers("Authorization: bearer ya29.abcdefghijklmnop")}, "credential-header", checks.Pass, "Authorization", checks.Denied},
		{"two credentials", []func(*evidence.Snapshot){headers("Authorization: Bearer a.b.c", "Authorization: Bearer d.e.f")}, "credential-header", checks.Fail, "2 Authorization headers", checks.Denied},
		{"nobody's token, functions invoker for everybody", []func(*evidence.Snapshot){headers(), bindings(bind("roles/cloudfunctions.invoker", "", "allUsers"))}, "access-role-effective", checks.Warn, "roles/cloudfunctions.invoker", checks.Denied},
		{"nobody's token, everybody on the function", []func(*evidence.Snapshot){headers(), onFunction("allUsers")}, "access-resource", checks.Warn, "on the function", checks.Denied},
		{"an app's token, everybody on the function", []func(*evidence.Snapshot){claims(map[string]any{"iss": "https://securetoken.google.com/shop", "aud": "shop"}), onFunction("allUsers")},
			"access-resource", checks.Warn, "on the function", checks.Denied},
		{"nobody's token, the account on the function", []func(*evidence.Snapshot){headers(), onFunction(mover)}, "access-resource", checks.NotApplicable, "", checks.Denied},
		{"Host header of another service", []func(*evidence.Snapshot){headers("Host: billing-ab12cd34ef-ew.a.run.app")}, "route-host", checks.Fail, "the Host header names the service billing", checks.Denied},
		{"own domain, Host header of the service", []func(*evidence.Snapshot){bindings(public), headers("Host: orders-ab12cd34ef-ew.a.run.app"),
			request(func(r *evidence.Request) { r.URL = mustURL("https://orders.shop.example/") })}, "route-host", checks.Unknown, "orders.shop.example is a custom domain", checks.Allowed},
		{"Host header of the service", []func(*evidence.Snapshot){headers("Host: orders-ab12cd34ef-ew.a.run.app")}, "route-host", checks.Pass, "", checks.Denied},
		{"Eventarc calls the URL", []func(*evidence.Snapshot){delivers("uploads@shop.iam.gserviceaccount.com")}, "access-granted", checks.Fail, "uploads@shop", checks.Denied},
		{"trigger of a service in another region", []func(*evidence.Snapshot){delivers("uploads@shop.iam.gserviceaccount.com"), triggerTo("shop", "us-central1")},
			"trigger-identity", checks.NotApplicable, "calls another service", checks.Undetermined},
		{"trigger of a service in another project", []func(*evidence.Snapshot){delivers("uploads@shop.iam.gserviceaccount.com"), triggerTo("other", "europe-west1")},
			"trigger-identity", checks.NotApplicable, "calls another service", checks.Undetermined},
		{"trigger of a project by number", []func(*evidence.Snapshot){delivers("uploads@shop.iam.gserviceaccount.com"), triggerTo("123456789012", "europe-west1")},
			"trigger-identity", checks.Fail, "uploads@shop", checks.Denied},
		{"Eventarc calls, a job is configured too", []func(*evidence.Snapshot){configured(caller.Caller{Kind: "cloud-scheduler", Token: caller.NoToken}), delivers("mover@shop.iam.gserviceaccount.com")}, "access-granted", checks.Pass, "mover@shop", checks.Denied},
		{"no header", []func(*evidence.Snapshot){headers()}, "credential-present", checks.Fail, "no credential", checks.Denied},
		{"job with ID token for the URL", []func(*evidence.Snapshot){configured(caller.Caller{Kind: "cloud-scheduler", URL: "https://orders-ab12cd34ef-ew.a.run.app", Token: caller.IDToken,
			ServiceAccount: "mover@shop.iam.gserviceaccount.com", Audience: "https://orders-ab12cd34ef-ew.a.run.app"})}, "token-audience", checks.Pass, "", checks.Allowed},
		{"job with access token", []func(*evidence.Snapshot){configured(caller.Caller{Kind: "cloud-scheduler", URL: "https://orders-ab12cd34ef-ew.a.run.app", Token: caller.AccessToken})}, "credential-kind", checks.Fail, "access token", checks.Denied},
		{"task that sends a preflight to IAP", []func(*evidence.Snapshot){service(func(s *runpb.Service) { s.IapEnabled = true }),
			request(func(r *evidence.Request) { r.Method = "" }), configured(caller.Caller{Kind: "cloud-tasks", URL: "https://orders-ab12cd34ef-ew.a.run.app", Method: "OPTIONS", Token: caller.NoToken})},
			"iap-credential", checks.Fail, "preflight", checks.Denied},
		{"trigger given as the caller, of another service", []func(*evidence.Snapshot){request(func(r *evidence.Request) { r.URL = nil }),
			configured(caller.Caller{Kind: "eventarc", Service: "billing", Token: caller.IDToken, ServiceAccount: "mover@shop.iam.gserviceaccount.com"})},
			"route-host", checks.Unknown, "calls billing, but the service is", checks.Undetermined},
		{"access token in the header that IAP reads first", []func(*evidence.Snapshot){iapOn(mover), agentMay,
			headers("Proxy-Authorization: Bearer ya29.abcdefghijklmnop")}, "iap-credential", checks.Unknown, "OAuth access token", checks.Undetermined},
		{"Basic for IAP", []func(*evidence.Snapshot){service(func(s *runpb.Service) { s.IapEnabled = true }),
			headers("Proxy-Authorization: Basic eA==")}, "iap-credential", checks.Fail, "does not take an opaque", checks.Denied},
		{"workforce at IAP", []func(*evidence.Snapshot){iapOn(workforce), agentMay, asked(workforce, "")},
			"iap-passed", checks.NotApplicable, "who IAP takes", checks.Undetermined},
		{"deny rule for IAP's agent", []func(*evidence.Snapshot){iapOn(mover), denyEverybody}, "access-not-denied", checks.Fail, "gcp-sa-iap.iam.gserviceaccount.com is denied", checks.Denied},
		{"workflow whose audience is computed", []func(*evidence.Snapshot){configured(caller.Caller{Kind: "workflows", URL: "https://orders-ab12cd34ef-ew.a.run.app", Token: caller.IDToken,
			ServiceAccount: "mover@shop.iam.gserviceaccount.com"})}, "token-audience", checks.Unknown, "does not show the audience", checks.Undetermined},
		{"trigger whose account receives no events", []func(*evidence.Snapshot){configured(caller.Caller{Kind: "eventarc", Service: "orders", Token: caller.IDToken, ServiceAccount: "mover@shop.iam.gserviceaccount.com"})},
			"trigger-receiver", checks.Fail, "mover@shop", checks.Denied},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := story(t, "granted-proven")
			for _, f := range test.change {
				f(&s)
			}
			v := decide(s)
			if v.Decision != test.decision {
				t.Errorf("%s, want %s: %s", v.Decision, test.decision, v.Headline())
			}
			for _, f := range v.Findings {
				if f.Check == test.check && (f.Outcome != test.outcome || !strings.Contains(f.Message, test.says)) {
					t.Errorf("%s is %s, want %s with %q: %s", f.Check, f.Outcome, test.outcome, test.says, f.Message)
				}
			}
		})
	}
}

// A token alone is judged without knowing which custom audiences a service has.
func TestAudienceAlone(t *testing.T) {
	const client = "1234-abc.apps.googleusercontent.com"
	for _, tt := range []struct {
		claims map[string]any
		basis  checks.Basis
		rests  int
	}{
		{map[string]any{"aud": client}, checks.Assumed, 1},
		{map[string]any{"aud": "https://orders.shop.example?x=1"}, checks.Assumed, 1},
		{map[string]any{"aud": client, "exp": 1}, checks.Proven, 0},
	} {
		s := evidence.Snapshot{Now: now}
		claims(tt.claims)(&s)
		v := checks.JudgeToken(s, false)
		if v.Decision != checks.Denied || v.Basis != tt.basis || len(v.Assumptions) != tt.rests {
			t.Errorf("%v: %s %s, assumptions %v", tt.claims, v.Decision, v.Basis, v.Assumptions)
		}
	}
}

// What is printed to read a group is what the reader of groups takes; nothing
// lists the accounts of a domain.
func TestGroupsAreReadByWhatIsPrinted(t *testing.T) {
	for member, want := range map[string]int{"group:eng@example.com": 1, "domain:example.com": 0} {
		s := story(t, "granted-proven")
		bindings(bind("roles/run.invoker", "", member))(&s)
		claims(map[string]any{"email": "ana@example.com"})(&s)
		s.Groups = evidence.Fact[map[string][]string]{}
		found := 0
		for _, u := range checks.Who(s).Unread {
			for _, c := range u.Gather {
				if slices.Contains(c.Argv, "memberships") {
					found++
					checkPipe(t, c, member)
				}
			}
		}
		if found != want {
			t.Errorf("%s: %d commands list its members, want %d", member, found, want)
		}
	}
}

// checkPipe reads what the filter of a command makes of memberships.
func checkPipe(t *testing.T, c checks.Command, member string) {
	t.Helper()
	if len(c.Pipe) != 2 || c.Pipe[0] != "jq" {
		t.Fatalf("%q goes through %q, want jq", c.Argv, c.Pipe)
	}
	var s evidence.Snapshot
	doc := strings.Replace(c.Pipe[1], ": .", `: [{"preferredMemberKey":{"id":"ana@example.com"},"roles":[{"name":"MEMBER"}]}]`, 1)
	if err := evidence.Read("groups.json", here, []byte(doc), &s); err != nil || !slices.Contains(s.Groups.Or(nil)[member], "user:ana@example.com") {
		t.Errorf("%s: %v, %v", doc, err, s.Groups)
	}
}
