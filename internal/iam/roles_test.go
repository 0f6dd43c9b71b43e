package iam

import (
	"strings"
	"testing"
)

// The reason says what kind of role it is whose permissions are not known.
func TestUnknownRoles(t *testing.T) {
	for role, want := range map[string]string{
		"projects/shop/roles/caller":         "was not read",
		"organizations/1/roles/caller":       "was not read",
		"caller":                             "is not the name of a role",
		"roles/admin":                        "the permissions of roles/admin are unknown",
		"roles/run.invoker_withcond_ab12cd3": "policy version 3",
	} {
		if got, why := (Roles{}).Carries(role, RunInvoke); got != Unknown || !strings.Contains(why, want) {
			t.Errorf("%s is %s (%s), want unknown: %s", role, got, why, want)
		}
	}
}
