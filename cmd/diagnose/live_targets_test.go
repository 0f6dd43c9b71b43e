package main

import (
	"strings"
	"testing"

	"diagnose/internal/gather/gathertest"
)

// A URL is a target, whatever it ends in, and never a path.
func TestURLIsNoPath(t *testing.T) {
	t.Chdir(t.TempDir())
	server := gathertest.Start(t, world(audience))
	env := map[string]string{emulatorVariable: server.Address, "GOOGLE_CLOUD_PROJECT": "shop"}
	for _, target := range []string{
		audience + "/", audience + "/openapi.json", audience + "/a.yaml?next=/", audience + "/x.txtar",
		strings.TrimPrefix(audience, "https://") + "/", strings.ToUpper(audience) + "/",
		"projects/shop/locations/europe-west1/services/orders/",
	} {
		token, _ := tokenFile(t, audience)
		if code, out, errs := run(t, env, "invoke", target, "--token-file", token); code != 0 && !strings.HasSuffix(target, ".txtar") {
			t.Errorf("%s: exit %d: %s%s", target, code, out, errs)
		}
	}
	for _, path := range []string{"missing.txtar", "missing/", "./missing", "missing.json", "/missing", "../x.run.app"} {
		if code, _, errs := run(t, env, "invoke", path); code != 2 || !strings.Contains(errs, "no such file or folder") {
			t.Errorf("%s: exit %d: %s", path, code, errs)
		}
	}
}

// What is wrong with the reader is one error before any verdict.
func TestNothingCanBeRead(t *testing.T) {
	server := gathertest.Start(t, world(audience))
	for _, m := range []string{"GetFunction", "GetService", "Run.GetIamPolicy", "Functions.GetIamPolicy",
		"BatchGetEffectiveIamPolicies", "SearchAllResources", "ListPolicies"} {
		server.Faults[m] = gathertest.Refuse("CONSUMER_INVALID", "consumer", "projects/shpo")
	}
	env := map[string]string{emulatorVariable: server.Address}
	code, out, errs := run(t, env, "invoke", "orders", "--project=shop", "--region=europe-west1")
	want := `diagnose: error: nothing about function or service "orders" in europe-west1 of project shop could be read: there is no project shpo, or it is deleted
diagnose: hint: gcloud projects list
diagnose: hint: or judge documents instead: diagnose invoke --service service.json --policy policy.json --token-file token.jwt
`
	if code != 3 || out != "" || errs != want {
		t.Errorf("exit %d: %s%s\nwant %s", code, out, errs, want)
	}
}

func TestLiveFlagsAreChecked(t *testing.T) {
	server := gathertest.Start(t, world(audience))
	env := map[string]string{emulatorVariable: server.Address, "GOOGLE_CLOUD_PROJECT": "shop"}
	for flag, want := range map[string]string{
		"--timeout=-1s":   "--timeout must be a positive duration",
		"--scope=999":     "--scope must be organizations/NUMBER",
		"--project=other": "--project=other is not what the target says, which names shop",
	} {
		if code, _, errs := run(t, env, "invoke", "projects/shop/locations/europe-west1/services/orders", flag); code != 2 || !strings.Contains(errs, want) {
			t.Errorf("%s: exit %d: %s", flag, code, errs)
		}
	}
}
