package evidence

import (
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strings"
)

// groupsMake makes groups.json of what gcloud prints, which does not say of
// which group it is.
const groupsMake = `gcloud identity groups memberships list --group-email=GROUP --format=json | jq '{"group:GROUP": .}'`

const groupsForm = `expected {"group:eng@example.com":["user:a@example.com"]}`

var errGroups = errors.New("is not a list of members by group: " + groupsForm + ", or what gcloud prints: " + groupsMake)

func isGroupKey(k string) bool {
	return strings.HasPrefix(k, "group:") || strings.HasPrefix(k, "domain:")
}

// readGroups reads the members of groups and domains: lists of members, or of
// memberships as gcloud prints them, by group. A group whose list is null or
// one page of several is left out: it is not known.
func readGroups(s *Snapshot, src Source, data []byte) error {
	return into(&s.Groups, src, data, func(doc []byte) (map[string][]string, error) {
		if list, ok := memberships(doc); ok {
			if cutShort(doc) {
				return nil, errors.New("is one page of the memberships: read all of them, with " + groupsMake)
			}
			return groupOfMemberships(list)
		}
		in, err := object(doc)
		if err != nil {
			return nil, wrongKind(doc, errGroups, "groups")
		}
		out := map[string][]string{}
		for k, raw := range in {
			if !isGroupKey(k) {
				return nil, wrongKind(doc, errors.New("has a key that is not a group: or domain: member; "+groupsForm), "groups")
			}
			if string(raw) == "null" || cutShort(raw) {
				continue
			}
			var members []string
			if err := json.Unmarshal(raw, &members); err != nil {
				list, ok := memberships(raw)
				if !ok {
					return nil, errGroups
				}
				members = membersOf(list)
			}
			out[k] = members
		}
		return out, nil
	})
}

// A membership is one of a Cloud Identity group.
//
// https://docs.cloud.google.com/identity/docs/reference/rest/v1/groups.memberships
type membership struct {
	Name, Type                    string
	PreferredMemberKey, MemberKey struct{ ID, Namespace string }
	GroupKey                      struct{ ID string }
}

// memberships reads a list of memberships, bare or as the API answers.
func memberships(doc []byte) ([]membership, bool) {
	raw, err := elements(doc, "memberships")
	if err != nil || len(raw) == 0 {
		return nil, false
	}
	out := make([]membership, len(raw))
	for i, r := range raw {
		if json.Unmarshal(r, &out[i]) != nil {
			return nil, false
		}
		named, _ := path.Match("groups/*/memberships/*", out[i].Name)
		if !named && out[i].PreferredMemberKey.ID == "" && out[i].MemberKey.ID == "" {
			return nil, false
		}
	}
	return out, true
}

// groupOfMemberships reads a bare list, where it says of which group it is.
func groupOfMemberships(list []membership) (map[string][]string, error) {
	out := map[string][]string{}
	for _, m := range list {
		group := m.GroupKey.ID
		if parts := strings.Split(m.Name, "/"); group == "" && len(parts) == 4 {
			group = parts[1]
		}
		if !strings.Contains(group, "@") {
			return nil, fmt.Errorf("has memberships but does not name the group: make it with %s", groupsMake)
		}
		key := "group:" + strings.ToLower(group)
		out[key] = append(out[key], membersOf([]membership{m})...)
	}
	return out, nil
}

// membersOf spells the members of a list. One whose type is not shown may be a
// person or a group: it is listed as both, so that what a group of that name
// has stays open. Identities of other providers have no Google account.
func membersOf(list []membership) []string {
	out := []string{}
	for _, m := range list {
		key := m.PreferredMemberKey
		if key.ID == "" {
			key = m.MemberKey
		}
		switch {
		case key.ID == "" || key.Namespace != "":
		case m.Type == "SERVICE_ACCOUNT", strings.HasSuffix(key.ID, "gserviceaccount.com"):
			out = append(out, "serviceAccount:"+key.ID)
		case m.Type == "USER":
			out = append(out, "user:"+key.ID)
		case m.Type == "GROUP":
			out = append(out, "group:"+key.ID)
		case m.Type == "" || m.Type == "TYPE_UNSPECIFIED":
			out = append(out, "user:"+key.ID, "group:"+key.ID)
		}
	}
	return out
}
