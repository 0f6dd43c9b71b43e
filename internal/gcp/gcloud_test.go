package gcp

import (
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

func TestCommands(t *testing.T) {
	s, f := ServiceName("shop", "europe-west1", "orders"), FunctionName("shop", "r", "f")
	iap, _ := s.IAP()
	folder := Name{ResourceManagerAPI, "", "", "folders", "1"}
	job := Name{SchedulerAPI, "shop", "r", "jobs", "nightly"}
	const m, role = "user:ann@example.com", "roles/run.invoker"
	tests := []struct {
		got  []string
		want string
	}{
		{s.Describe(), "gcloud run services describe orders --format=json --region=europe-west1 --project=shop"},
		{ServiceName("", "", "").Describe(), "gcloud run services describe SERVICE --format=json --region=REGION"},
		{ServiceName("p", "r", "x").InProject("").Describe(), "gcloud run services describe x --format=json --region=r"},
		{Name{Host: RunAPI, Collection: "services", Location: "r", ID: "-x"}.Describe(), "gcloud run services describe --format=json --region=r -- -x"},
		{f.Describe(), "gcloud functions describe f --format=json --region=r --project=shop"},
		{ProjectName("shop").Describe(), "gcloud projects describe shop --format=json"},
		{ProjectName("").Describe(), "gcloud projects describe PROJECT_ID --format=json"},
		{job.Describe(), "gcloud scheduler jobs describe nightly --format=json --location=r --project=shop"},
		{s.GetPolicy(), "gcloud run services get-iam-policy orders --format=json --region=europe-west1 --project=shop"},
		{iap.GetPolicy(), "gcloud iap web get-iam-policy --resource-type=cloud-run --service=orders --format=json --region=europe-west1 --project=shop"},
		{iap.GetIAPSettings(), "gcloud iap settings get --resource-type=cloud-run --service=orders --format=json --region=europe-west1 --project=shop"},
		{s.AddBinding(m, role), "gcloud run services add-iam-policy-binding orders --member=user:ann@example.com --role=roles/run.invoker --region=europe-west1 --project=shop"},
		{f.RemoveBinding(m, role, true), "gcloud functions remove-iam-policy-binding f --member=user:ann@example.com --role=roles/run.invoker --all --region=r --project=shop"},
		{iap.AddBinding(m, role), "gcloud iap web add-iam-policy-binding --resource-type=cloud-run --service=orders --member=user:ann@example.com --role=roles/run.invoker --region=europe-west1 --project=shop"},
		{ProjectName("shop").AddBinding(m, role), "gcloud projects add-iam-policy-binding shop --member=user:ann@example.com --role=roles/run.invoker --condition=None"},
		{folder.AddBinding("", ""), "gcloud resource-manager folders add-iam-policy-binding 1 --member=MEMBER --role=ROLE --condition=None"},
		{ServiceAccountName("a@shop.iam.gserviceaccount.com").GetPolicy(), "gcloud iam service-accounts get-iam-policy a@shop.iam.gserviceaccount.com --format=json --project=shop"},
		{s.SetIngress(IngressInternalAndLoadBalancer), "gcloud run services update orders --ingress=internal-and-cloud-load-balancing --region=europe-west1 --project=shop"},
		{f.SetIngress(IngressInternal), "gcloud functions deploy f --ingress-settings=internal-only --region=r --project=shop"},
		{f.SetIngress(IngressNone), ""},
		{s.AddCustomAudience("a,b"), "gcloud run services update orders --add-custom-audiences=^:^a,b --region=europe-west1 --project=shop"},
		{s.AddCustomAudience("https://x.example"), "gcloud run services update orders --add-custom-audiences=https://x.example --region=europe-west1 --project=shop"},
		{AncestorPolicies(""), "gcloud projects get-ancestors-iam-policy PROJECT_ID --format=json"},
		{ProjectName("shop").ListDenyPolicies(), "gcloud iam policies list --attachment-point=cloudresourcemanager.googleapis.com/projects/shop --kind=denypolicies --format=json"},
		{folder.UpdateDenyPolicy("d"), "gcloud iam policies update d --attachment-point=cloudresourcemanager.googleapis.com/folders/1 --kind=denypolicies --policy-file=POLICY_FILE"},
		{Name{}.GetDenyPolicy(""), "gcloud iam policies get POLICY --attachment-point=POINT --kind=denypolicies --format=json"},
		{DescribeRole("projects/shop/roles/r"), "gcloud iam roles describe r --project=shop --format=json"},
		{DescribeRole("organizations/1/roles/r"), "gcloud iam roles describe r --organization=1 --format=json"},
		{DescribeRole("roles/run.invoker"), "gcloud iam roles describe roles/run.invoker --format=json"},
		{ListMembers("g@example.com"), "gcloud identity groups memberships list --group-email=g@example.com --format=json"},
		{s.ListTags(), "gcloud resource-manager tags bindings list --effective --location=europe-west1 --parent=//run.googleapis.com/projects/shop/locations/europe-west1/services/orders --format=json"},
		{ReadLogs("shop", "-severity=INFO"), "gcloud logging read --limit=5 --format=json --project=shop -- -severity=INFO"},
		{job.SendIDToken("a@b", "https://u", ""), "gcloud scheduler jobs update http nightly --oidc-service-account-email=a@b --oidc-token-audience=https://u --location=r --project=shop"},
		{Name{TasksAPI, "shop", "r", "queues", "q"}.SendIDToken("", "", ""), "gcloud tasks queues update q --http-oidc-service-account-email-override=SERVICE_ACCOUNT --http-oidc-token-audience-override=SERVICE_URL --location=r --project=shop"},
		{Name{PubSubAPI, "shop", "", "subscriptions", "s"}.SendIDToken("a", "u", ""), "gcloud pubsub subscriptions modify-push-config s --push-endpoint=PUSH_ENDPOINT --push-auth-service-account=a --push-auth-token-audience=u --project=shop"},
		{s.SendIDToken("a", "u", ""), ""},
		{Name{Collection: "workerPools"}.Describe(), ""},
		{PrintIDToken(""), "gcloud auth print-identity-token"},
		{PrintIDTokenAs("", "u"), "gcloud auth print-identity-token --impersonate-service-account=SERVICE_ACCOUNT --audiences=u --include-email"},
		{EnableAPI("run.googleapis.com", ""), "gcloud services enable run.googleapis.com"},
		{ListAccessBoundaries(""), "gcloud iam principal-access-boundary-policies list --organization=ORGANIZATION_ID --location=global --format=json"},
		{UpdatePerimeter(""), "gcloud access-context-manager perimeters update PERIMETER --set-ingress-policies=POLICY_FILE"},
		{ActivateKey(), "gcloud auth activate-service-account --key-file=KEY_FILE"},
		{Login(), "gcloud auth application-default login"},
		{Name{WorkflowsAPI, "shop", "", "workflows", "w"}.Update("--source=S"), "gcloud workflows deploy w --source=S --location=REGION --project=shop"},
		{f.SendEvent(), "gcloud functions call f --data=EVENT_JSON --region=r --project=shop"},
		{iap.SetIAPSettings(), "gcloud iap settings set SETTINGS_FILE --resource-type=cloud-run --service=orders --region=europe-west1 --project=shop"},
		{GetIAPPolicies("shop"), "gcloud iap web get-iam-policy --project=shop --format=json"},
		{CreateAccount("-x", ""), "gcloud iam service-accounts create --project=PROJECT_ID -- -x"},
		{SignJWT("a@b", "shop"), "gcloud iam service-accounts sign-jwt CLAIMS_FILE TOKEN_FILE --iam-account=a@b --project=shop"},
		{CreateAPIConfig("", "shop"), "gcloud api-gateway api-configs create CONFIG_ID --api=API_ID --openapi-spec=SPEC_FILE --backend-auth-service-account=SERVICE_ACCOUNT --project=shop"},
		{CredentialConfig("", true), "gcloud iam workload-identity-pools create-cred-config PROVIDER --output-file=CREDENTIALS_FILE --aws"},
		{CredentialConfig("p", false), "gcloud iam workload-identity-pools create-cred-config p --output-file=CREDENTIALS_FILE --credential-source-file=SUBJECT_TOKEN_FILE"},
		{LoginWorkforce(), "gcloud auth login --login-config=LOGIN_CONFIG_FILE"},
		{LoginWorkload(), "gcloud auth login --cred-file=CREDENTIALS_FILE"},
		{SetQuotaProject(""), "gcloud auth application-default set-quota-project PROJECT_ID"},
	}
	for _, tt := range tests {
		if got := strings.Join(tt.got, " "); got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
	}
}

func TestResource(t *testing.T) {
	got := Resource("google_x", "a", Argument{"name", "${evil}%{if}\"\n"}, Argument{"location", Reference("google_y.z.location")},
		Argument{"odd", Reference("a b")}, Argument{"on", true}, Argument{"list", []string{"a", "${b}"}})
	want := `resource "google_x" "a" {
  name     = "$${evil}%%{if}\"\n"
  location = google_y.z.location
  odd      = "a b"
  on       = true
  list     = ["a", "$${b}"]
}`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := Attribute("ingress", IngressInternal.Run()); got != `ingress = "INGRESS_TRAFFIC_INTERNAL_ONLY"` {
		t.Error(got)
	}
}

func TestBindingResource(t *testing.T) {
	s := ServiceName("shop", "r", "orders")
	iap, _ := s.IAP()
	names := []Name{s, iap, FunctionName("shop", "r", "orders"), ServiceName("shop", "r2", "orders"), ServiceName("", "", ""), ProjectName("shop"),
		{ResourceManagerAPI, "", "", "folders", "1"}, {ResourceManagerAPI, "", "", "organizations", "1"}, ServiceAccountName("a@shop.iam.gserviceaccount.com")}
	seen := map[string]bool{}
	for _, n := range names {
		for _, m := range []string{"user:ann@example.com", "serviceAccount:ann@shop.iam.gserviceaccount.com", "user:ann@example.org", ""} {
			block := n.BindingResource(m, "roles/run.invoker")
			file, diags := hclsyntax.ParseConfig([]byte(block), "x.tf", hcl.InitialPos)
			if diags.HasErrors() {
				t.Fatalf("%v\n%s", diags, block)
			}
			label := file.Body.(*hclsyntax.Body).Blocks[0].Labels[1]
			if !hclsyntax.ValidIdentifier(label) || seen[label] {
				t.Errorf("the label %q is no identifier, or stands twice", label)
			}
			seen[label] = true
		}
	}
	if (Name{Collection: "queues"}).BindingResource("a", "b") != "" {
		t.Error("a queue has a binding")
	}
}
