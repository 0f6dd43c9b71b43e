package evidence

import (
	"encoding/json"
	"fmt"
	"strings"
)

// A kind is a form of document, the flag that takes it, and how it is known.
type kind struct {
	name, flag string
	is         func(map[string]json.RawMessage) bool
}

func has(keys ...string) func(map[string]json.RawMessage) bool {
	return func(m map[string]json.RawMessage) bool {
		for _, k := range keys {
			if _, ok := m[k]; !ok {
				return false
			}
		}
		return true
	}
}

func text(m map[string]json.RawMessage, key string) string {
	var s string
	if json.Unmarshal(m[key], &s) != nil {
		return ""
	}
	return s
}

func named(part string) func(map[string]json.RawMessage) bool {
	return func(m map[string]json.RawMessage) bool { return strings.Contains(text(m, "name"), part) }
}

func either(fs ...func(map[string]json.RawMessage) bool) func(map[string]json.RawMessage) bool {
	return func(m map[string]json.RawMessage) bool {
		for _, f := range fs {
			if f(m) {
				return true
			}
		}
		return false
	}
}

// kinds is in the order of recognition: what is most telling first.
var kinds = []kind{
	{"an error of a Google API", "", func(m map[string]json.RawMessage) bool {
		var e apiError
		b, _ := json.Marshal(m)
		return json.Unmarshal(b, &e) == nil && e.Error.Code != 0
	}},
	{"a Knative service", "service", func(m map[string]json.RawMessage) bool {
		return strings.HasPrefix(text(m, "apiVersion"), "serving.knative.dev/") && text(m, "kind") == "Service"
	}},
	{"a Kubernetes resource", "", has("apiVersion", "kind")},
	{"a Terraform plan", "", has("format_version", "terraform_version")},
	{"a deny policy", "deny-policies", either(named("/denypolicies/"), func(m map[string]json.RawMessage) bool { return strings.Contains(string(m["rules"]), "denyRule") })},
	{"a list of deny policies", "deny-policies", has("policies")},
	{"an IAM role", "roles", either(has("includedPermissions"), has("roles"))},
	{"a Cloud Scheduler job", "caller", has("schedule")},
	{"a Cloud Tasks queue", "caller", either(named("/queues/"), has("rateLimits"))},
	{"a Cloud Tasks task", "caller", has("httpRequest", "scheduleTime")},
	{"a Pub/Sub subscription", "caller", either(has("pushConfig"), named("/subscriptions/"))},
	{"an OpenAPI document", "caller", either(has("swagger"), has("openapi"))},
	{"an Eventarc trigger", "trigger", either(named("/triggers/"), has("eventFilters", "destination"))},
	{"a Cloud Run service", "service", either(named("/services/"), has("template", "buildConfig"))}, // one made from source has a buildConfig too
	{"a function", "function", either(named("/functions/"), has("buildConfig"), has("httpsTrigger"), has("entryPoint"), has("environment"), has("serviceConfig"), has("eventTrigger"))},
	{"a Cloud Run service", "service", either(has("terminalCondition"), has("template", "ingress"), has("latestReadyRevision"),
		has("ingress"), has("invokerIamDisabled"), has("uri"), has("defaultUriDisabled"), has("iapEnabled"), has("customAudiences"))},
	{"a key set", "jwks", has("keys")},
	{"a log entry", "log", either(has("logName"), has("insertId"), has("textPayload"), has("jsonPayload"), has("protoPayload"), has("entries"))},
	{"a project", "project-file", either(has("projectId"), has("projectNumber"))},
	{"an allow policy", "policy", either(has("bindings"), has("etag"), has("auditConfigs"))},
	{"a request", "request", either(has("url", "method"), has("principal"), has("headers"))},
	{"the claims of a token", "claims", either(has("claims"), has("iss", "aud"))},
}

// Kind recognizes a document by its content and returns its form and the flag
// that takes it, both "" where it is not known.
func Kind(doc []byte) (name, flag string) {
	list, err := elements(doc)
	if err != nil || len(list) == 0 {
		return "", ""
	}
	m, err := object(list[0])
	if err != nil {
		return "", ""
	}
	if len(list) > 1 || len(doc) > 0 && doc[0] == '[' {
		if has("type", "policy")(m) {
			return "the policies of ancestors", "ancestor-policies"
		}
	}
	for _, k := range kinds {
		if k.is(m) {
			return k.name, k.flag
		}
	}
	return "", ""
}

// wrongKind explains a document that is not what its member takes: it names
// what the document is and the flag that takes it.
func wrongKind(doc []byte, err error, flag string) error {
	if name, right := Kind(doc); name != "" && right != flag {
		if right == "" {
			return fmt.Errorf("holds %s; expected %s", name, what[flag])
		}
		return fmt.Errorf("holds %s; expected %s: pass it with --%s", name, what[flag], right)
	}
	return err
}

// require refuses a document that is recognized as another kind, or as none.
func require(doc []byte, flag string) error {
	name, got := Kind(doc)
	if got == flag && name != "" {
		return nil
	}
	if name == "" {
		return fmt.Errorf("is not recognized; expected %s", what[flag])
	}
	return wrongKind(doc, nil, flag)
}
