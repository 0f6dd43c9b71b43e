package iam

import (
	"strings"
	"testing"

	"cloud.google.com/go/iam/admin/apiv1/adminpb"
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

// A role that was asked about some permissions says nothing of others.
func TestRoleAsked(t *testing.T) {
	roles := NewRoles([]*adminpb.Role{RoleAsked("projects/p/roles/r", []string{RunInvoke}, []string{RunInvoke, FunctionsInvoke})})
	for permission, want := range map[string]State{RunInvoke: Granted, FunctionsInvoke: NotGranted, MintIDToken: Unknown} {
		if got, why := roles.Carries("projects/p/roles/r", permission); got != want {
			t.Errorf("%s: %v (%s), want %v", permission, got, why, want)
		}
	}
}
