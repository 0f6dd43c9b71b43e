package main

import (
	"os"
	"strings"
	"testing"

	"cloud.google.com/go/iam/apiv1/iampb"
	"cloud.google.com/go/iap/apiv1/iappb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"diagnose/internal/evidence"
	"diagnose/internal/gather/gathertest"
)

// From a service behind IAP to a case with IAP's documents.
func TestCaptureBehindIAP(t *testing.T) {
	t.Chdir(t.TempDir())
	w := world(audience)
	w.Service.Or(nil).IapEnabled = true
	src := evidence.Source{Document: "test"}
	w.IAPPolicy = evidence.Known(&iampb.Policy{Version: 3, Bindings: []*iampb.Binding{
		{Role: "roles/iap.httpsResourceAccessor", Members: []string{ann}}}}, src)
	w.IAPSettings = evidence.Known(&iappb.IapSettings{AccessSettings: &iappb.AccessSettings{
		OauthSettings: &iappb.OAuthSettings{
			ClientId:           wrapperspb.String("424242-abc.apps.googleusercontent.com"),
			ClientSecretSha256: wrapperspb.String("sha-canary")}}}, src)
	server := gathertest.Start(t, w)
	env := map[string]string{emulatorVariable: server.Address}
	code, out, errs := run(t, env, "capture", "-v", "-o", "iap.txtar", "orders", "--project=shop", "--region=europe-west1")
	if code != 0 {
		t.Fatalf("exit %d: %s%s", code, out, errs)
	}
	for _, call := range []string{"iap.getIamPolicy", "iap.getIapSettings"} {
		if !strings.Contains(errs, call+" projects/424242/iap_web/cloud_run-europe-west1/services/orders: OK in ") {
			t.Errorf("-v does not show %s: %s", call, errs)
		}
	}
	data, err := os.ReadFile("iap.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"-- iap-policy.json --", "roles/iap.httpsResourceAccessor",
		"-- iap-settings.json --", "424242-abc.apps.googleusercontent.com",
	} {
		if !strings.Contains(string(data), want) {
			t.Errorf("the capture lacks %s:\n%s", want, data)
		}
	}
	if strings.Contains(string(data), "canary") {
		t.Errorf("the capture holds a secret:\n%s", data)
	}
}
