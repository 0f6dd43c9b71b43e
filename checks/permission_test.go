package checks_test

import (
	"testing"

	"diagnose/checks"
	"diagnose/internal/evidence"
)

// A permission that an error names tells which call was refused: the one that
// mints the token, one to another API, or the invocation itself.
func TestMissingPermissionTellsTheCall(t *testing.T) {
	for permission, want := range map[string]struct {
		author, cause string
		decision      checks.Decision
	}{
		"iam.serviceAccounts.getOpenIdToken": {"Google's token endpoint", "answer-origin", checks.Denied},
		"iam.serviceAccounts.getAccessToken": {"Google's token endpoint", "answer-origin", checks.Denied},
		"iam.serviceAccounts.signJwt":        {"Google's token endpoint", "answer-origin", checks.Denied},
		"run.services.get":                   {"a Google API", "ingress-source", checks.Undetermined},
		"cloudfunctions.functions.get":       {"a Google API", "ingress-source", checks.Undetermined},
		"run.routes.invoke":                  {"", "ingress-source", checks.Undetermined},
		"cloudfunctions.functions.invoke":    {"", "ingress-source", checks.Undetermined},
	} {
		var s evidence.Snapshot
		body := `HTTP/2 403 ` + "\ncontent-type: text/plain\n\nPermission '" + permission + "' denied on resource (or it may not exist)."
		if err := s.AddAs("response", evidence.Source{Document: "response.http"}, []byte(body)); err != nil {
			t.Fatal(err)
		}
		s.Now = now
		v := checks.Judge(s, checks.Options{})
		cause, _ := v.Cause()
		if v.Observed.Author != want.author || cause.Check != want.cause || v.Decision != want.decision {
			t.Errorf("%s: %s by %s, written by %q (%s), want %s by %s, written by %q",
				permission, v.Decision, cause.Check, v.Observed.Author, v.Observed.AuthorBasis, want.decision, want.cause, want.author)
		}
	}
}
