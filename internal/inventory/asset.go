package inventory

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"diagnose/internal/gcp"
)

// types are the asset types that can matter to an invocation. The policy of
// anything else grants nothing that is asked about here.
var types = []string{
	gcp.ServiceAsset, gcp.FunctionAsset, gcp.Gen1FunctionAsset, gcp.ProjectAsset, gcp.FolderAsset, gcp.OrganizationAsset,
	gcp.RoleAsset, gcp.TriggerAsset, gcp.JobAsset, gcp.SubscriptionAsset, gcp.QueueAsset, gcp.BackendServiceAsset,
	gcp.RegionBackendServiceAsset, gcp.EndpointGroupAsset, gcp.ServiceAccountAsset,
}

// matters reports whether assets of a type are read.
func matters(kind []byte) bool {
	for _, t := range types {
		if string(kind) == t {
			return true
		}
	}
	return string(kind) == gcp.DenyPolicyAsset
}

// Types lists the asset types to ask for in an export or a live scan. A file
// may have deny policies as well, which are no type that the API knows.
func Types() []string { return slices.Clone(types) }

// An origin says what an asset was written by, and with that what its absence
// tells of others. The zero origin is an export: it lists all that there are.
type origin int

const (
	exported origin = iota
	searched        // a search may have left others out, and bindings of its own policies
	fed             // a feed tells only what changed
)

// An asset declares the fields that are read of one line, in both spellings.
// It is an Asset of an export or of a feed, or a result of a search.
type asset struct {
	name, kind string
	data       json.RawMessage // resource.data
	policy     json.RawMessage
	orgPolicy  json.RawMessage
	origin     origin
	updated    time.Time
	deleted    bool
	ancestors  []string // "projects/1", "folders/2", "organizations/3"
	parent     string   // full name
}

// A message is what stands around an asset says of it.
type message struct {
	origin  origin
	at      time.Time // of the change
	deleted bool
}

type object = map[string]json.RawMessage

// either returns the value of the first key that an object has.
func either(m object, keys ...string) json.RawMessage {
	for _, k := range keys {
		if v, ok := m[k]; ok {
			return v
		}
	}
	return nil
}

func str(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

func isNull(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }

// parse reads a line's fields. Keys are compared letter for letter, and of one
// that stands twice the last counts. plain says to use the standard parser
// alone.
func parse(data []byte, plain bool) (object, error) {
	m := object{}
	if plain || !fields(data, func(key, value []byte) { m[string(key)] = value }) {
		clear(m)
		if err := json.Unmarshal(data, &m); err != nil {
			return nil, errors.New("is not a JSON object")
		}
	}
	return m, nil
}

// assetOf reads the fields of an asset. Its kind is "" where the object is
// none.
func assetOf(m object, c message, plain bool) asset {
	a := asset{
		name: str(m["name"]), kind: kindOf(m), policy: either(m, "iam_policy", "iamPolicy"), orgPolicy: either(m, "org_policy", "orgPolicy"),
		origin: c.origin, deleted: c.deleted,
	}
	if a.kind == "" {
		return a
	}
	if at := moment(str(either(m, "update_time", "updateTime"))); at.After(c.at) {
		a.updated = at
	} else {
		a.updated = c.at
	}
	if isNull(a.policy) && !isNull(m["policy"]) { // a result of search-all-iam-policies
		a.policy, a.name, a.origin = m["policy"], str(m["resource"]), searched
	}
	var list []string
	if json.Unmarshal(m["ancestors"], &list) == nil {
		a.ancestors = list
	}
	if path := str(either(m, "ancestry_path", "ancestryPath")); path != "" && a.ancestors == nil {
		a.ancestors = ancestryPath(path)
	}
	a.searched(m)
	if raw := bytes.TrimSpace(m["resource"]); bytes.HasPrefix(raw, []byte("{")) {
		a.resource(raw, plain)
	}
	return a
}

func kindOf(m object) string { return str(either(m, "asset_type", "assetType")) }

// moments are the spellings of a time: of JSON, and of BigQuery.
var moments = []string{time.RFC3339Nano, "2006-01-02 15:04:05.999999999 MST", "2006-01-02 15:04:05.999999999Z07:00", "2006-01-02T15:04:05.999999999"}

// moment reads a time, the zero one where it is none.
func moment(s string) time.Time {
	for _, layout := range moments {
		if t, err := time.Parse(layout, s); err == nil {
			return t
		}
		if s == "" {
			break
		}
	}
	return time.Time{}
}

// resource reads the content RESOURCE.
func (a *asset) resource(raw []byte, plain bool) {
	m, err := parse(raw, plain)
	if err != nil {
		return
	}
	a.data, a.parent = unquoted(m["data"]), str(m["parent"])
}

// unquoted returns a document that stands in a text as BigQuery has it.
func unquoted(raw json.RawMessage) json.RawMessage {
	if s := str(raw); len(raw) > 0 && raw[0] == '"' && json.Valid([]byte(s)) {
		return json.RawMessage(s)
	}
	return raw
}

// searched reads what a search result names apart: its place, and its content
// where that was asked for.
func (a *asset) searched(m object) {
	if !isNull(m["project"]) && a.ancestors == nil {
		var folders []string
		if json.Unmarshal(m["folders"], &folders) != nil {
			folders = nil
		}
		for _, s := range append(append([]string{str(m["project"])}, folders...), str(m["organization"])) {
			if s != "" {
				a.ancestors = append(a.ancestors, s)
			}
		}
	}
	if m["ancestors"] == nil && isNull(a.policy) && either(m, "project", "parentFullResourceName", "parent_full_resource_name", "displayName", "display_name") != nil {
		a.origin = searched
	}
	type versioned struct {
		Version  string
		Resource json.RawMessage
	}
	var versions []versioned
	if json.Unmarshal(either(m, "versionedResources", "versioned_resources"), &versions) != nil || len(versions) == 0 {
		return
	}
	// v2 says more than the others.
	i := slices.IndexFunc(versions, func(v versioned) bool { return v.Version == "v2" })
	a.origin, a.data = searched, versions[max(i, 0)].Resource
}

// ancestryPath turns "organization/1/folder/2/project/3" round.
func ancestryPath(path string) []string {
	parts := strings.Split(path, "/")
	var out []string
	for i := len(parts) - 2; i >= 0; i -= 2 {
		out = append(out, strings.TrimSuffix(parts[i], "s")+"s/"+parts[i+1])
	}
	return out
}
