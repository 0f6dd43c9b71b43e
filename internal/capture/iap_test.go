package capture_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"cloud.google.com/go/iam/apiv1/iampb"
	"cloud.google.com/go/iap/apiv1/iappb"
	"golang.org/x/tools/txtar"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"diagnose/internal/capture"
	"diagnose/internal/evidence"
)

const iapPolicy = `{"version": 3, "etag": "BwX=", "bindings": [{"role": "roles/iap.httpsResourceAccessor", "members": [
  "user:ann@acme.dev", "group:eng@acme.dev", "domain:acme.dev",
  "serviceAccount:mover@shop-prod.iam.gserviceaccount.com",
  "principal://iam.googleapis.com/locations/global/workforcePools/acme-people/subject/ann.smith@acme.dev",
  "principalSet://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/ci-acme/attribute.repo/acme/x"],
 "condition": {"title": "office", "expression": "request.path.startsWith(\"/x\")"}}]}`

const iapSettings = `{"name": "projects/123456789012/iap_web/cloud_run-europe-west1/services/orders",
 "accessSettings": {
  "oauthSettings": {"loginHint": "acme.dev", "clientId": "123456789012-a1b2c3acme.apps.googleusercontent.com",
   "clientSecret": "GOCSPX-canary", "clientSecretSha256": "sha-canary",
   "programmaticClients": ["987654321098-d4e5f6acme.apps.googleusercontent.com",
    "555555555555.apps.googleusercontent.com",
    "764086051850-6qr4p6gpi6hn506pt8ejuq83di341hur.apps.googleusercontent.com"]},
  "gcipSettings": {"tenantIds": ["acme-tenant-x1", "acme-tenant-y2"],
   "loginPageUri": "https://login.acme.dev/?apiKey=AIzaSyA0123456789012345678901234567890123"},
  "corsSettings": {"allowHttpOptions": true},
  "allowedDomainsSettings": {"enable": true, "domains": ["acme.dev", "acme-two.dev"]},
  "workforceIdentitySettings": {
   "workforcePools": ["locations/global/workforcePools/acme-people"],
   "oauth2": {"clientId": "acme-client", "clientSecret": "oauth2-canary", "clientSecretSha256": "oauth2-sha-canary"}}},
 "applicationSettings": {"cookieDomain": "acme.dev",
  "accessDeniedPageSettings": {"accessDeniedPageUri": "https://help.acme.dev/"}}}`

// iapCase is the case of a service behind IAP, and the documents it is made of.
func iapCase(t *testing.T) ([]txtar.File, *iampb.Policy, *iappb.IapSettings) {
	t.Helper()
	policy, settings := &iampb.Policy{}, &iappb.IapSettings{}
	for text, m := range map[string]proto.Message{iapPolicy: policy, iapSettings: settings} {
		if err := protojson.Unmarshal([]byte(text), m); err != nil {
			t.Fatal(err)
		}
	}
	s, err := evidence.LoadArchive([]byte(loaded), "loaded")
	if err != nil {
		t.Fatal(err)
	}
	src := evidence.Source{Document: "test"}
	s.IAPPolicy, s.IAPSettings = evidence.Known(policy, src), evidence.Known(settings, src)
	s.Accounts = evidence.Known([]evidence.AccountPolicy{
		{Email: "mover@shop-prod.iam.gserviceaccount.com", Policy: &iampb.Policy{Bindings: []*iampb.Binding{
			{Role: "roles/iam.serviceAccountTokenCreator", Members: []string{"group:eng@acme.dev"}}}}},
		{Email: "123456789012-compute@developer.gserviceaccount.com"},
	}, src)
	files, err := capture.Case(s)
	if err != nil {
		t.Fatal(err)
	}
	return files, policy, settings
}

func member(t *testing.T, files []txtar.File, name string) []byte {
	t.Helper()
	for _, f := range files {
		if f.Name == name {
			return f.Data
		}
	}
	t.Fatalf("the capture has no %s", name)
	return nil
}

func read(t *testing.T, files []txtar.File, name string, into proto.Message) {
	t.Helper()
	if err := protojson.Unmarshal(member(t, files, name), into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

func TestCaptureOfIAP(t *testing.T) {
	files, policy, settings := iapCase(t)
	var gotPolicy iampb.Policy
	if read(t, files, "iap-policy.json", &gotPolicy); !proto.Equal(&gotPolicy, policy) {
		t.Errorf("policy %v", &gotPolicy)
	}
	if settings.GetAccessSettings().GetOauthSettings().GetClientSecret() == nil {
		t.Error("the capture changed the evidence itself")
	}
	want := proto.Clone(settings).(*iappb.IapSettings)
	oauth, oauth2 := want.AccessSettings.OauthSettings, want.AccessSettings.WorkforceIdentitySettings.Oauth2
	oauth.ClientSecret, oauth.ClientSecretSha256, oauth2.ClientSecret, oauth2.ClientSecretSha256 = nil, nil, "", ""
	var got iappb.IapSettings
	read(t, files, "iap-settings.json", &got)
	page := got.AccessSettings.GcipSettings.LoginPageUri
	if strings.Contains(page.GetValue(), "AIza") || !strings.HasPrefix(page.GetValue(), "https://login.acme.dev/") {
		t.Errorf("sign-in page %s", page.GetValue())
	}
	page.Value = want.AccessSettings.GcipSettings.LoginPageUri.GetValue()
	if !proto.Equal(&got, want) {
		t.Errorf("settings %v\nwant %v", &got, want)
	}
	for _, f := range files {
		if m := regexp.MustCompile(`[\w-]*canary[\w-]*|AIza\w*`).Find(f.Data); m != nil {
			t.Errorf("%s has %q", f.Name, m)
		}
	}
}

func TestCaptureOfAccounts(t *testing.T) {
	files, _, _ := iapCase(t)
	var list []struct {
		Name   string
		Policy json.RawMessage
	}
	if err := json.Unmarshal(member(t, files, "service-account-policies.json"), &list); err != nil || len(list) != 2 {
		t.Fatalf("%d accounts: %v", len(list), err)
	}
	for i, name := range []string{
		"projects/shop-prod/serviceAccounts/mover@shop-prod.iam.gserviceaccount.com",
		"projects/123456789012/serviceAccounts/123456789012-compute@developer.gserviceaccount.com",
	} {
		var p iampb.Policy
		if err := protojson.Unmarshal(list[i].Policy, &p); err != nil || list[i].Name != name || len(p.GetBindings()) != 1-i {
			t.Errorf("account %d: %s with %v: %v", i, list[i].Name, &p, err)
		}
	}
}

// Without anybody's name, what ties the documents together is still the same.
func TestAnonymizedIAP(t *testing.T) {
	files, _, _ := iapCase(t)
	anonymous := capture.Anonymize(files)
	text := string(txtar.Format(&txtar.Archive{Files: anonymous}))
	for _, id := range []string{
		"acme", "shop", "orders", "ann", "smith", "eng@", "mover", "-x1", "-y2",
		"123456789012", "987654321098", "555555555555", "a1b2c3", "d4e5f6",
	} {
		if strings.Contains(text, id) {
			t.Errorf("the anonymized case has %q:\n%s", id, text)
		}
	}
	for _, keep := range []string{
		"roles/iap.httpsResourceAccessor", "iap_web/cloud_run-europe-west1/services/",
		"roles/iam.serviceAccountTokenCreator", "request.path", "/workforcePools/", "/attribute.repo/",
		"764086051850-6qr4p6gpi6hn506pt8ejuq83di341hur.apps.googleusercontent.com",
	} {
		if !strings.Contains(text, keep) {
			t.Errorf("the anonymized case lacks %q:\n%s", keep, text)
		}
	}
	var policy iampb.Policy
	var settings iappb.IapSettings
	read(t, anonymous, "iap-policy.json", &policy)
	read(t, anonymous, "iap-settings.json", &settings)
	oauth := settings.GetAccessSettings().GetOauthSettings()
	client := regexp.MustCompile(`^\d+-[a-z0-9]+\.apps\.googleusercontent\.com$`)
	if id := oauth.GetClientId().GetValue(); !client.MatchString(id) {
		t.Errorf("client ID %s", id)
	}
	number, _, _ := strings.Cut(oauth.GetClientId().GetValue(), "-")
	if !strings.HasPrefix(settings.GetName(), "projects/"+number+"/") {
		t.Errorf("client of project %s, resource %s", number, settings.GetName())
	}
	hint := oauth.GetLoginHint().GetValue()
	if members := policy.GetBindings()[0].GetMembers(); members[2] != "domain:"+hint {
		t.Errorf("member %s, hint %s", members[2], hint)
	}
}
