package checks_test

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"cloud.google.com/go/iam/apiv1/iampb"
	denypb "cloud.google.com/go/iam/apiv2/iampb"
	"cloud.google.com/go/iap/apiv1/iappb"
	"cloud.google.com/go/run/apiv2/runpb"
	"github.com/hashicorp/hcl/v2/hclparse"
	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"diagnose/checks"
	"diagnose/fixtures"
	"diagnose/internal/caller"
	"diagnose/internal/evidence"
)

// everyFix calls f for each fix of a verdict.
func everyFix(v checks.Verdict, f func(checks.Fix)) {
	for _, x := range v.Findings {
		for _, fix := range x.Fixes {
			f(fix)
		}
	}
}

// text is everything of a fix that a person may copy.
func text(f checks.Fix) string {
	var b strings.Builder
	b.WriteString(f.Summary + "\n" + f.Terraform + "\n")
	for _, c := range f.Commands {
		b.WriteString(strings.Join(c.Argv, " ") + "\n")
	}
	for _, s := range f.Snippets {
		b.WriteString(s.Text + "\n")
	}
	return b.String()
}

// Denied stories have a repair that was proved, or say why there is none.
func TestDeniedStoriesAreRepaired(t *testing.T) {
	denied, repaired := 0, 0
	for _, name := range fixtures.Names() {
		v := checks.Judge(story(t, name), checks.Options{})
		if v.Decision != checks.Denied {
			continue
		}
		denied++
		switch {
		case len(v.Repair) > 0 && v.NoRepair != "":
			t.Errorf("%s has a repair and says why there is none: %s", name, v.NoRepair)
		case len(v.Repair) > 0:
			repaired++
		case v.NoRepair == "":
			t.Errorf("%s has no repair and does not say why", name)
		}
	}
	if denied < 60 || repaired*100 < denied*95 {
		t.Errorf("%d of %d denied stories are repaired, want 95 %%", repaired, denied)
	}
}

var (
	impersonates = regexp.MustCompile(`--(?:impersonate-service-account|iam-account)=(\S+)`)
	googles      = regexp.MustCompile(`@gcp-sa-|@cloudservices\.|-robot\.iam|robot-prod\.iam|@cloudbuild\.`)
	placeholders = regexp.MustCompile(`\b(PROJECT_ID|REGION|SERVICE|FUNCTION|SERVICE_URL|SERVICE_ACCOUNT|QUEUE|JOB|SUBSCRIPTION)\b`)
)

// What is offered can be used: a command names the project, Terraform parses,
// a snippet says its language, and nobody is told to become a Google account.
func TestFixesCanBeUsed(t *testing.T) {
	for _, name := range fixtures.Names() {
		s := story(t, name)
		v := checks.Judge(s, checks.Options{})
		known := s.Service.Known() || s.Function.Known()
		everyFix(v, func(f checks.Fix) {
			for _, c := range f.Commands {
				usableCommand(t, name, c, known)
			}
			for _, m := range impersonates.FindAllStringSubmatch(text(f), -1) {
				if googles.MatchString(m[1]) {
					t.Errorf("%s: %s impersonates %s, which Google manages", name, f.ID, m[1])
				}
			}
			if p := placeholders.FindString(text(f)); p != "" && known {
				t.Errorf("%s: %s has the word %s for a name that the evidence has:\n%s", name, f.ID, p, text(f))
			}
			if held(s, f) {
				t.Errorf("%s: %s grants what is held already:\n%s", name, f.ID, text(f))
			}
			for _, snippet := range f.Snippets {
				if err := yaml.Unmarshal([]byte(snippet.Text), new(any)); snippet.Language == "yaml" && err != nil {
					t.Errorf("%s: the snippet of %s is no YAML: %v\n%s", name, f.ID, err, snippet.Text)
				}
				if snippet.Language == "" || snippet.Where == "" || snippet.Text == "" {
					t.Errorf("%s: %s has a snippet without language, place or text: %+v", name, f.ID, snippet)
				}
			}
			if _, diags := hclparse.NewParser().ParseHCL([]byte(f.Terraform), "fix.tf"); diags.HasErrors() {
				t.Errorf("%s: %s is no HCL: %v\n%s", name, f.ID, diags, f.Terraform)
			}
			if f.Effect == checks.Opens && len(f.Remaining) == 0 && v.Decision == checks.Denied {
				t.Errorf("%s: %s leaves a question open and does not name it", name, f.ID)
			}
		})
	}
}

// held reports whether a fix binds a member that the service's policy binds to
// the same role already.
func held(s evidence.Snapshot, f checks.Fix) bool {
	for _, c := range f.Commands {
		line := strings.Join(c.Argv, " ")
		for _, b := range s.Policy.Or(nil).GetBindings() {
			for _, m := range b.GetMembers() {
				if strings.Contains(line, "run services add-iam-policy-binding") && b.GetCondition() == nil &&
					strings.Contains(line, "--member="+m+" ") && strings.Contains(line, "--role="+b.GetRole()+" ") {
					return true
				}
			}
		}
	}
	return false
}

// usableCommand checks one command of a fix.
func usableCommand(t *testing.T, name string, c checks.Command, known bool) {
	t.Helper()
	line := strings.Join(c.Argv, " ")
	if !slices.Contains([]string{"gcloud", "curl", "kubectl", "cat"}, c.Argv[0]) {
		t.Errorf("%s: %q is no command", name, line)
	}
	if c.Argv[0] != "gcloud" || !known || slices.Contains([]string{"auth", "access-context-manager"}, c.Argv[1]) {
		return
	}
	if !strings.Contains(line, "--project=") && !strings.Contains(line, "--attachment-point=") && c.Argv[1] != "projects" {
		t.Errorf("%s: %q names no project", name, line)
	}
}

const (
	orders     = "https://orders-ab12cd34ef-ew.a.run.app"
	repository = "principalSet://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/github/attribute.repository/acme/shop"
	planner    = "principal://agents.global.org-998877.system.id.goog/resources/run/projects/123456789012/locations/europe-west1/services/planner"
	clusterSA  = "principal://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/shop.svc.id.goog/subject/ns/prod/sa/mover"
	workforce  = "principal://iam.googleapis.com/locations/global/workforcePools/acme/subject/ana@example.com"
)

// asked asks what would happen if a principal called.
func asked(principal, client string) func(*evidence.Snapshot) {
	return func(s *evidence.Snapshot) {
		headers()(s)
		request(func(r *evidence.Request) { r.Headers, r.Principal, r.Client = nil, principal, client })(s)
	}
}

func client(name string) func(*evidence.Snapshot) {
	return request(func(r *evidence.Request) { r.Client = name })
}

func called(method, rawURL string) func(*evidence.Snapshot) {
	return request(func(r *evidence.Request) { r.Method, r.URL = method, mustURL(rawURL) })
}

func iapOn(members ...string) func(*evidence.Snapshot) {
	return func(s *evidence.Snapshot) {
		service(func(svc *runpb.Service) { svc.IapEnabled = true })(s)
		s.IAPPolicy = evidence.Known(&iampb.Policy{Bindings: []*iampb.Binding{{Role: "roles/iap.httpsResourceAccessor", Members: members}}}, here)
	}
}

func iapClient(id string) func(*evidence.Snapshot) {
	return func(s *evidence.Snapshot) {
		s.IAPSettings = evidence.Known(&iappb.IapSettings{AccessSettings: &iappb.AccessSettings{
			OauthSettings: &iappb.OAuthSettings{ClientId: wrapperspb.String(id)}}}, here)
	}
}

func denyEverybody(s *evidence.Snapshot) {
	rule := &denypb.DenyRule{DeniedPrincipals: []string{"principalSet://goog/public:all"}, DeniedPermissions: []string{"run.googleapis.com/routes.invoke"}}
	s.DenyPolicies = evidence.Known([]*denypb.Policy{{Name: "policies/cloudresourcemanager.googleapis.com%2Fprojects%2Fshop/denypolicies/d",
		Rules: []*denypb.PolicyRule{{Kind: &denypb.PolicyRule_DenyRule{DenyRule: rule}}}}}, here)
}

func logged(text string) func(*evidence.Snapshot) {
	return func(s *evidence.Snapshot) { s.Logs = evidence.Known([]evidence.LogEntry{{Text: text}}, here) }
}

// TestRepairSpeaksTheCallersLanguage changes an invocation that is allowed, and
// looks at the repair of what then fails.
func TestRepairSpeaksTheCallersLanguage(t *testing.T) {
	agent := "serviceAccount:service-123456789012@gcp-sa-iap.iam.gserviceaccount.com"
	nobody := bindings()
	for _, test := range []struct {
		name   string
		change []func(*evidence.Snapshot)
		repair string // IDs
		says   string // a regular expression over the text of the repair
		not    string // what no fix of the verdict says
	}{
		{"browser", []func(*evidence.Snapshot){headers(), client("browser"), nobody}, "make-public", `--no-invoker-iam-check --region=europe-west1 --project=shop`, "SERVICE_ACCOUNT"},
		{"phone app", []func(*evidence.Snapshot){headers(), client("firebase-sdk"), nobody}, "make-public", "invoker_iam_disabled = true", ""},
		{"Firebase token", []func(*evidence.Snapshot){claims(map[string]any{"iss": "https://securetoken.google.com/shop", "aud": "shop"}), nobody}, "make-public", "", ""},
		{"browser where everybody is denied", []func(*evidence.Snapshot){headers(), client("browser"), nobody, denyEverybody}, "call-with-new-account except-from-deny", "", "make-public"},
		{"check cannot be turned off", []func(*evidence.Snapshot){headers(), client("browser"), nobody, logged("invoker_iam_disabled is not currently available")}, "make-public", "--member=allUsers", "--no-invoker-iam-check"},
		{"nothing public can be made", []func(*evidence.Snapshot){headers(), client("browser"), nobody,
			logged("invoker_iam_disabled is not currently available; users do not belong to a permitted customer")}, "call-with-new-account", "orders-invoker@shop", "make-public"},
		{"anonymous", []func(*evidence.Snapshot){headers(), nobody}, "call-with-new-account",
			`(?s)service-accounts create orders-invoker --project=shop.*add-iam-policy-binding orders .*--impersonate-service-account=orders-invoker@shop`, ""},
		{"anonymous where one may", []func(*evidence.Snapshot){headers()}, "mint-token", "such as mover@shop", "service-accounts create"},
		{"anonymous where only Google's own may", []func(*evidence.Snapshot){headers(), bindings(bind("roles/run.invoker", "", agent))}, "call-with-new-account", "orders-invoker@shop", "gcp-sa-iap"},
		{"a known caller is not told to be another", []func(*evidence.Snapshot){claims(map[string]any{"email": "other@shop.iam.gserviceaccount.com", "exp": 1}), bindings(bind("roles/run.invoker", "", mover))},
			"mint-token grant-invoker", "impersonate-service-account=other@shop", "mover@shop"},
		{"GitHub", []func(*evidence.Snapshot){claims(map[string]any{"iss": "https://token.actions.githubusercontent.com", "sub": "repo:acme/shop:ref:refs/heads/main", "email": nil}), bindings(bind("roles/run.invoker", "", repository))},
			"impersonate-service-account", `(?s)roles/iam.workloadIdentityUser.*workloadIdentityPools/github/providers/.*token_format: id_token`, "print-identity-token"},
		{"GitHub, pool in the token's audience", []func(*evidence.Snapshot){claims(map[string]any{"iss": "https://token.actions.githubusercontent.com", "sub": "repo:acme/shop:ref:x", "email": nil,
			"aud": "https://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/ci/providers/hub"}), bindings(bind("roles/run.invoker", "", mover))},
			"impersonate-service-account", `(?s)workloadIdentityPools/ci/attribute.repository/acme/shop.*workloadIdentityPools/ci/providers/hub`, "POOL"},
		{"GitHub with an account of its own", []func(*evidence.Snapshot){claims(map[string]any{"iss": "https://token.actions.githubusercontent.com", "sub": "repo:acme/shop:ref:x", "email": nil}),
			bindings(bind("roles/run.invoker", "", repository)), accounts("deployer@shop.iam.gserviceaccount.com", repository)},
			"impersonate-service-account", `service_account: "deployer@shop`, "workloadIdentityUser"},
		{"GKE", []func(*evidence.Snapshot){asked(clusterSA, "gke")}, "impersonate-service-account",
			`(?s)member=serviceAccount:shop.svc.id.goog\[prod/mover\].*annotate serviceaccount mover --namespace=prod iam.gke.io/gcp-service-account=mover@shop.*metadata.google.internal`, "grant-invoker"},
		{"agent", []func(*evidence.Snapshot){asked(planner, ""), nobody}, "impersonate-service-account", `(?s)serviceAccountOpenIdTokenCreator.*orders-invoker@shop[^ ]*:generateIdToken`, ""},
		{"workforce", []func(*evidence.Snapshot){asked(workforce, ""), nobody}, "impersonate-service-account", "login-config", ""},
		{"AWS", []func(*evidence.Snapshot){asked(strings.Replace(repository, "github/attribute.repository/acme/shop", "aws/attribute.aws_role/r", 1), "")},
			"impersonate-service-account", `create-cred-config projects/123456789012/locations/global/workloadIdentityPools/aws/providers/PROVIDER .*--aws`, ""},
		{"own OAuth client", []func(*evidence.Snapshot){claims(map[string]any{"aud": "7-x.apps.googleusercontent.com"})}, "add-custom-audience", "--add-custom-audiences=7-x.apps", ""},
		{"custom word", []func(*evidence.Snapshot){claims(map[string]any{"aud": "orders"}), service(func(s *runpb.Service) { s.CustomAudiences = []string{"old"} })},
			"mint-token", "", `custom_audiences = ["orders"]`},
		{"IAP asks for its client", []func(*evidence.Snapshot){claims(nil), iapOn(mover), iapClient("9-iap.apps.googleusercontent.com"), bindings(bind("roles/run.invoker", "", agent))},
			"mint-iap-token", "audiences=9-iap.apps.* --include-email", "gcp-sa-iap"},
		{"IAP without a credential", []func(*evidence.Snapshot){headers(), iapOn(), bindings(bind("roles/run.invoker", "", agent))}, "sign-iap-token",
			`(?s)iap web add-iam-policy-binding .*--member=serviceAccount:orders-invoker@shop.*sign-jwt CLAIMS_FILE TOKEN_FILE --iam-account=orders-invoker@shop`, "gcp-sa-iap"},
		{"IAP, nobody granted", []func(*evidence.Snapshot){asked("user:ana@example.com", ""), iapOn(), nobody}, "grant-iap-accessor grant-iap-agent", "google_iap_web_cloud_run_service_iam_member", ""},
		{"job at IAP", []func(*evidence.Snapshot){configured(caller.Caller{Kind: "cloud-scheduler", Name: "projects/shop/locations/europe-west1/jobs/j", URL: orders, Token: caller.IDToken,
			ServiceAccount: "mover@shop.iam.gserviceaccount.com", Audience: orders}), iapOn(mover), iapClient("9-iap.apps.googleusercontent.com"), bindings(bind("roles/run.invoker", "", agent))},
			"configure-caller", `jobs update http j .*--oidc-token-audience=9-iap.apps.* --location=europe-west1 --project=shop`, "impersonate"},
		{"an account of the own project first", []func(*evidence.Snapshot){headers(), bindings(bind("roles/run.invoker", "", "serviceAccount:x@cloud-team.iam.gserviceaccount.com", "serviceAccount:y-2@shop.iam.gserviceaccount.com"))},
			"mint-token", "such as y-2@shop", "x@cloud-team"},
		{"Auth0", []func(*evidence.Snapshot){claims(map[string]any{"iss": "https://acme.eu.auth0.com/", "email": nil}), nobody}, "make-public", "", "workloadIdentityUser"},
		{"Keycloak", []func(*evidence.Snapshot){claims(map[string]any{"iss": "https://id.example.com/", "email": nil}), nobody}, "impersonate-service-account", "PROVIDER", ""},
		{"queue of a task", []func(*evidence.Snapshot){configured(caller.Caller{Kind: "cloud-tasks", Name: "projects/other/locations/europe-west3/queues/q/tasks/1", URL: orders + "/t", Token: caller.NoToken})},
			"configure-caller", `tasks queues update q .* --location=europe-west3 --project=other`, ""},
		{"push with a secret", []func(*evidence.Snapshot){configured(caller.Caller{Kind: "pubsub-push", Name: "projects/shop/subscriptions/s", URL: orders + "/p?token=canary&page=2", Token: caller.NoToken})},
			"configure-caller", `--push-endpoint=\S+/p\?token=…&page=2`, "canary"},
		{"body and method", []func(*evidence.Snapshot){headers("Content-Type: application/json"), called("POST", orders+"/items?key=canary")}, "mint-token",
			`curl --request=POST -H Content-Type: application/json --data-binary @BODY_FILE \S+/items\?key=…`, "canary"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := story(t, "granted-proven")
			for _, f := range test.change {
				f(&s)
			}
			v := checks.Judge(s, checks.Options{})
			if got := strings.Join(v.Repair, " "); got != test.repair {
				t.Errorf("%s by %s: the repair is %q, want %q; %s", v.Decision, v.Headline(), got, test.repair, v.NoRepair)
			}
			all := ""
			for _, id := range v.Repair {
				f, _ := v.Fix(id)
				all += text(f)
			}
			if !regexp.MustCompile(test.says).MatchString(all) {
				t.Errorf("the repair does not say %q:\n%s", test.says, all)
			}
			everyFix(v, func(f checks.Fix) {
				if test.not != "" && strings.Contains(f.ID+"\n"+text(f), test.not) {
					t.Errorf("%s says %q:\n%s", f.ID, test.not, text(f))
				}
			})
		})
	}
}

// accounts lets a member become a service account.
func accounts(email, member string) func(*evidence.Snapshot) {
	return func(s *evidence.Snapshot) {
		s.Accounts = evidence.Known([]evidence.AccountPolicy{{Email: email,
			Policy: &iampb.Policy{Bindings: []*iampb.Binding{{Role: "roles/iam.workloadIdentityUser", Members: []string{member}}}}}}, here)
	}
}

func mustURL(raw string) *url.URL {
	u, err := url.Parse(raw)
	if err != nil {
		panic(err)
	}
	return u
}

// A principal for which Google issues no ID token is refused for its
// credential, whatever it was granted, and only where the service is private.
func TestFederatedPrincipalsHaveNoToken(t *testing.T) {
	for _, principal := range []string{repository, planner, clusterSA, workforce, "serviceAccount:shop.svc.id.goog[prod/mover]"} {
		s := story(t, "granted-proven")
		asked(principal, "")(&s)
		bindings(bind("roles/run.invoker", "", principal))(&s)
		v := decide(s)
		if cause, _ := v.Cause(); v.Decision != checks.Denied || cause.Check != "credential-kind" || v.Expected.Status != 401 {
			t.Errorf("%s: %s by %s, want denied by credential-kind with 401", principal, v.Decision, cause.Check)
		}
		bindings(bind("roles/run.invoker", "", "allUsers"))(&s)
		if v := decide(s); v.Decision != checks.Allowed {
			t.Errorf("%s at a public service: %s, want allowed", principal, v.Decision)
		}
	}
}

// Two fixes that are pasted into one file do not collide.
func TestTerraformLabelsDiffer(t *testing.T) {
	label := regexp.MustCompile(`resource "([^"]+)" "([^"]+)"`)
	seen := map[string]string{}
	for _, member := range []string{"user:ana@example.com", "user:ana@example.org", "serviceAccount:ana@shop.iam.gserviceaccount.com", "user:${evil}@example.com"} {
		s := story(t, "granted-proven")
		asked(member, "")(&s)
		bindings()(&s)
		f, ok := checks.Judge(s, checks.Options{}).Fix("grant-invoker")
		m := label.FindStringSubmatch(f.Terraform)
		if !ok || m == nil {
			t.Fatalf("%s: no resource in %q", member, f.Terraform)
		}
		if other := seen[m[2]]; other != "" {
			t.Errorf("%s and %s have the label %s", member, other, m[2])
		}
		seen[m[2]] = member
		if strings.Contains(strings.ReplaceAll(f.Terraform, "$${", ""), "${") {
			t.Errorf("a name became a template: %s", f.Terraform)
		}
	}
}

// A name that starts with a hyphen never becomes an option.
func TestNamesAreNoOptions(t *testing.T) {
	s := story(t, "granted-proven")
	bindings()(&s)
	service(func(svc *runpb.Service) { svc.Name = "projects/shop/locations/europe-west1/services/--impersonate" })(&s)
	everyFix(checks.Judge(s, checks.Options{}), func(f checks.Fix) {
		for _, c := range f.Commands {
			i, end := slices.Index(c.Argv, "--impersonate"), slices.Index(c.Argv, "--")
			if i >= 0 && (end < 0 || end > i) {
				t.Errorf("%q", c.Argv)
			}
		}
	})
}
