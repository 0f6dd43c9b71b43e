package evidence

import (
	"encoding/json"
	"slices"
	"strings"

	"diagnose/internal/gcp"
)

// Own recognizes a document that is beyond doubt one of those kinds: it is
// named as its API names it, or it has two fields that no other kind has. It
// returns the flag that takes it, "" where a document may be somebody else's:
// files beside it use the same words.
func Own(doc []byte) (flag string) {
	list, err := elements(doc)
	if err != nil || len(list) == 0 {
		return ""
	}
	_, flag = Kind(list[0])
	m, err := object(list[0])
	if err != nil || own[flag] == nil || !own[flag](m) {
		return ""
	}
	return flag
}

// own says by flag when a document is beyond doubt of that kind. A kind that
// is not here is never taken unnamed.
var own = map[string]sign{
	"service": either(knativeKind, named("projects/*/locations/*/services/*"), several(
		starts("ingress", "INGRESS_TRAFFIC_"), contains("template", `"containers"`), has("latestReadyRevision"), has("latestCreatedRevision"),
		has("terminalCondition"), has("invokerIamDisabled"), has("defaultUriDisabled"), has("iapEnabled"), has("customAudiences"),
		has("trafficStatuses"), runURI)),
	"function": either(named("projects/*/locations/*/functions/*"), several(
		has("buildConfig"), has("serviceConfig"), has("eventTrigger"), has("httpsTrigger"), has("entryPoint"), starts("environment", "GEN_"),
		has("availableMemoryMb"), has("sourceArchiveUrl"), has("sourceUploadUrl"), has("sourceRepository"))),
	"policy":            either(boundRoles, emptyPolicy),
	"function-policy":   boundRoles,
	"iap-policy":        boundRoles,
	"iap-settings":      either(namedPart("/iap_web"), several(has("accessSettings"), has("applicationSettings"))),
	"ancestor-policies": both(has("type", "id", "policy"), ancestorType),
	"deny-policies":     either(namedPart("/denypolicies/"), contains("rules", "denyRule")),
	"roles": several(either(named("roles/*"), named("*/*/roles/*")), has("includedPermissions"), has("includedPermissions", "title"),
		has("includedPermissions", "stage")),
	"service-account-policies": both(namedPart("/serviceAccounts/"), has("policy")),
	"project-file":             has("projectId", "projectNumber"),
	"groups":                   groupKeys,
	"trigger":                  either(both(named("projects/*/locations/*/triggers/*"), has("destination")), has("eventFilters", "destination")),
	"caller": either(named("projects/*/locations/*/jobs/*"), either(named("projects/*/locations/*/queues/*"),
		either(named("projects/*/subscriptions/*"), either(namedPart("/tasks/"), either(has("schedule", "httpTarget"),
			either(has("pushConfig", "topic"), backends)))))),
}

// several fits an object with at least two of the signs.
func several(signs ...sign) sign {
	return func(m map[string]json.RawMessage) bool {
		n := 0
		for _, s := range signs {
			if s(m) {
				n++
			}
		}
		return n >= 2
	}
}

func starts(key, prefix string) sign {
	return func(m map[string]json.RawMessage) bool { return strings.HasPrefix(text(m, key), prefix) }
}

// runURI fits a service that names the URL on which it answers.
func runURI(m map[string]json.RawMessage) bool { return gcp.HostOf(text(m, "uri")).Kind == gcp.RunHost }

// backends fits an API description whose backends are Google's.
func backends(m map[string]json.RawMessage) bool {
	if m["swagger"] == nil && m["openapi"] == nil {
		return false
	}
	for _, v := range m {
		if strings.Contains(string(v), `"x-google-backend"`) {
			return true
		}
	}
	return m["x-google-backend"] != nil
}

// boundRoles fits a policy with a binding of a role of IAM's.
func boundRoles(m map[string]json.RawMessage) bool {
	var bindings []map[string]json.RawMessage
	if json.Unmarshal(m["bindings"], &bindings) != nil {
		return false
	}
	return slices.ContainsFunc(bindings, func(b map[string]json.RawMessage) bool {
		role := text(b, "role")
		return strings.HasPrefix(role, "roles/") || strings.Contains(role, "/roles/")
	})
}

// emptyPolicy fits a policy that binds nothing, as gcloud prints one.
func emptyPolicy(m map[string]json.RawMessage) bool {
	for k := range m {
		if !slices.Contains([]string{"etag", "version", "bindings", "auditConfigs"}, k) {
			return false
		}
	}
	var bindings []any
	return m["etag"] != nil && (m["bindings"] == nil || json.Unmarshal(m["bindings"], &bindings) == nil && len(bindings) == 0)
}

// Elements lists the documents that a document is made of: those of a list, as
// commands that list resources print one, or itself.
func Elements(doc []byte) ([]json.RawMessage, error) { return elements(doc) }

// DecodeText returns a text as UTF-8 without a byte order mark, from UTF-8 or
// from UTF-16 with one, which Windows writes.
func DecodeText(data []byte) ([]byte, error) { return decodeText(data) }
