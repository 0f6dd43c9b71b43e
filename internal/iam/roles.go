package iam

import (
	_ "embed"
	"encoding/json"
	"slices"
	"strings"
	"sync"

	"cloud.google.com/go/iam/admin/apiv1/adminpb"
)

//go:embed roles.json
var tableJSON []byte

// A table says which predefined roles carry the permissions asked about, as
// read from every predefined role on one date.
type table struct {
	Date        string              `json:"date"`
	Roles       int                 `json:"roles"`
	Permissions map[string][]string `json:"permissions"`
	carries     map[string]map[string]bool
}

var predefined = sync.OnceValue(func() table {
	var t table
	if err := json.Unmarshal(tableJSON, &t); err != nil {
		return table{}
	}
	t.carries = map[string]map[string]bool{}
	for permission, roles := range t.Permissions {
		t.carries[permission] = make(map[string]bool, len(roles))
		for _, r := range roles {
			t.carries[permission][r] = true
		}
	}
	return t
})

// RolesCarrying returns the predefined roles with a permission, sorted. It
// returns nil for a permission that the table does not hold.
func RolesCarrying(permission string) []string {
	return slices.Sorted(slices.Values(predefined().Permissions[permission]))
}

// TableDate returns the date on which the table of predefined roles was read.
func TableDate() string { return predefined().Date }

// Roles answers which permissions a role carries: by the definitions given,
// and else by the table of predefined roles. The zero Roles has the table
// only.
type Roles struct {
	defined map[string]*adminpb.Role
}

// NewRoles returns the table with custom roles, and newer definitions of
// predefined ones, over it.
func NewRoles(defs []*adminpb.Role) Roles {
	r := Roles{defined: make(map[string]*adminpb.Role, len(defs))}
	for _, d := range defs {
		r.defined[d.GetName()] = d
	}
	return r
}

// onlyAsked begins the description of a role that RoleAsked made.
const onlyAsked = "diagnose knows of this role only whether it includes "

// RoleAsked is a role of which is known only which of some permissions it
// includes: Carries leaves every other permission open. Its description says
// so, which a case keeps.
func RoleAsked(name string, included, asked []string) *adminpb.Role {
	return &adminpb.Role{Name: name, IncludedPermissions: included, Description: onlyAsked + strings.Join(asked, ", ")}
}

// askedAbout reports whether it is known of a role if it includes a permission.
func askedAbout(d *adminpb.Role, permission string) bool {
	list, part := strings.CutPrefix(d.GetDescription(), onlyAsked)
	return !part || slices.Contains(strings.Split(list, ", "), permission)
}

// unread are basic roles that exist and whose permissions the table lacks.
var unread = []string{"roles/admin", "roles/writer", "roles/reader"}

// Carries says whether a role carries a permission, and why where it does not
// or where that is unknown.
func (r Roles) Carries(role, permission string) (State, string) {
	if d, ok := r.defined[role]; ok {
		switch {
		case d.GetDeleted():
			return NotGranted, role + " was deleted"
		case d.GetStage() == adminpb.Role_DISABLED:
			return NotGranted, role + " is disabled"
		case slices.Contains(d.GetIncludedPermissions(), permission):
			return Granted, ""
		case !askedAbout(d, permission):
			return Unknown, "it was not asked whether " + role + " includes " + permission
		}
		return NotGranted, role + " does not include " + permission
	}
	t := predefined()
	switch {
	case strings.Contains(role, "_withcond_"):
		return Unknown, "the policy was read in an old version that hides conditions; read it with policy version 3"
	case t.carries[permission][role]:
		return Granted, ""
	case slices.Contains(unread, role):
		return Unknown, "the permissions of " + role + " are unknown"
	case strings.HasPrefix(role, "projects/") || strings.HasPrefix(role, "organizations/"):
		return Unknown, "the custom role " + role + " was not read"
	case !strings.HasPrefix(role, "roles/"):
		return Unknown, role + " is not the name of a role"
	case t.carries[permission] == nil:
		return Unknown, "the table of predefined roles does not include " + permission
	}
	return NotGranted, role + " does not include " + permission + " (predefined roles of " + t.Date + ")"
}
