package evidence

import (
	"cmp"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"
)

// A form is a shape that a kind of document has, and how much its signs tell.
type form struct {
	name string
	tell tell
	is   sign
}

// A tell says how much a sign tells. Forms are tried in its order.
type tell int

const (
	certain tell = iota // the document names itself
	telling             // it has a field of its own
	vague               // its fields are those of others too
)

// A sign recognizes an object by its fields.
type sign func(map[string]json.RawMessage) bool

func has(keys ...string) sign {
	return func(m map[string]json.RawMessage) bool {
		for _, k := range keys {
			if _, ok := m[k]; !ok {
				return false
			}
		}
		return true
	}
}

func lacks(key string) sign {
	return func(m map[string]json.RawMessage) bool { return m[key] == nil }
}

func contains(key, part string) sign {
	return func(m map[string]json.RawMessage) bool { return strings.Contains(string(m[key]), part) }
}

func text(m map[string]json.RawMessage, key string) string {
	var s string
	if json.Unmarshal(m[key], &s) != nil {
		return ""
	}
	return s
}

// named fits a resource name, by the pattern of path.Match.
func named(pattern string) sign {
	return func(m map[string]json.RawMessage) bool {
		ok, _ := path.Match(pattern, text(m, "name"))
		return ok
	}
}

func namedPart(part string) sign {
	return func(m map[string]json.RawMessage) bool { return strings.Contains(text(m, "name"), part) }
}

func either(signs ...sign) sign {
	return func(m map[string]json.RawMessage) bool {
		return slices.ContainsFunc(signs, func(s sign) bool { return s(m) })
	}
}

func both(a, b sign) sign {
	return func(m map[string]json.RawMessage) bool { return a(m) && b(m) }
}

func kubernetes(kind string) sign {
	return func(m map[string]json.RawMessage) bool { return m["apiVersion"] != nil && text(m, "kind") == kind }
}

func knativeKind(m map[string]json.RawMessage) bool {
	return strings.HasPrefix(text(m, "apiVersion"), "serving.knative.dev/") && text(m, "kind") == "Service"
}

func ancestorType(m map[string]json.RawMessage) bool {
	return slices.Contains(ancestorTypes, text(m, "type"))
}

// groupKeys fits an object whose keys are groups and domains.
func groupKeys(m map[string]json.RawMessage) bool {
	for k := range m {
		if !isGroupKey(k) {
			return false
		}
	}
	return len(m) > 0
}

// onlyRoles fits an allow policy that grants nothing but the named role.
func onlyRoles(role string) sign {
	return func(m map[string]json.RawMessage) bool {
		var bindings []struct{ Role string }
		if json.Unmarshal(m["bindings"], &bindings) != nil || len(bindings) == 0 {
			return false
		}
		for _, b := range bindings {
			if b.Role != role {
				return false
			}
		}
		return true
	}
}

// A stranger is a document that no flag takes, and why a reader of services
// refuses it, "" where its name says enough.
type stranger struct {
	name, why string
	is        sign
}

const harName = "a HAR, the recording of a browser"

const apiErrorName = "an error of a Google API"

// noURL says why something that runs on Cloud Run is no target.
const noURL = "nothing calls it by URL"

// strangers are looked for before the kinds of a case. What runs on Cloud Run
// is told by name and by kind:
// https://docs.cloud.google.com/run/docs/reference/rest
var strangers = []stranger{
	{apiErrorName, "", func(m map[string]json.RawMessage) bool {
		var e apiError
		return json.Unmarshal(m["error"], &e.Error) == nil && e.Error.Code != 0
	}},
	{"a Terraform plan", "", has("format_version", "terraform_version")},
	{"a Cloud Run worker pool", noURL, either(namedPart("/workerPools/"), kubernetes("WorkerPool"))},
	{"a Cloud Run instance", "it has a URL and a policy of its own",
		either(named("projects/*/locations/*/instances/*"), kubernetes("Instance"))},
	{"a Cloud Run revision", "give the service that it belongs to",
		either(namedPart("/revisions/"), kubernetes("Revision"))},
	{"an execution of a Cloud Run job", noURL, either(namedPart("/executions/"), kubernetes("Execution"))},
	{"a Cloud Run job", noURL,
		either(kubernetes("Job"), both(namedPart("/jobs/"), either(has("template"), has("executionCount"))))},
	{"a Cloud Run job", noURL, either(has("executionCount"), has("latestCreatedExecution"))},
	{"a domain mapping", "give the service that it leads to", kubernetes("DomainMapping")},
	{"a Kubernetes resource", "",
		func(m map[string]json.RawMessage) bool { return has("apiVersion", "kind")(m) && !knativeKind(m) }},
}

// strangerOf returns what a document is that no flag takes.
func strangerOf(m map[string]json.RawMessage) (stranger, bool) {
	i := slices.IndexFunc(strangers, func(s stranger) bool { return s.is(m) })
	if i < 0 {
		return stranger{}, false
	}
	return strangers[i], true
}

type flagged struct {
	form
	flag string
}

// recognition lists the forms of all kinds, what tells most first.
var recognition = sync.OnceValue(func() []flagged {
	var out []flagged
	for _, d := range Documents {
		for _, f := range d.forms {
			out = append(out, flagged{f, d.Flag})
		}
	}
	slices.SortStableFunc(out, func(a, b flagged) int { return cmp.Compare(a.tell, b.tell) })
	return out
})

// Kind recognizes a document by its content and returns its form and the flag
// that takes it: both "" where it is not known, the flag "" where none takes
// it.
func Kind(doc []byte) (name, flag string) {
	list, err := elements(doc)
	if err != nil || len(list) == 0 {
		return "", ""
	}
	m, err := object(list[0])
	if err != nil {
		return "", ""
	}
	if s, ok := strangerOf(m); ok {
		return s.name, ""
	}
	for _, f := range recognition() {
		if f.is(m) {
			return f.name, f.flag
		}
	}
	return "", ""
}

// wrongKind explains a document that is not what its flag takes: it names
// what the document is and the flag that takes it.
func wrongKind(doc []byte, err error, flag string) error {
	name, right := Kind(doc)
	switch {
	case name == "" || right == flag:
		return err
	case right != "":
		return fmt.Errorf("is %s; expected %s: pass it with --%s", name, what(flag), right)
	}
	list, _ := elements(doc)
	if m, err := object(list[0]); err == nil {
		if s, _ := strangerOf(m); s.why != "" {
			expected, _, _ := strings.Cut(what(flag), ",")
			return fmt.Errorf("is %s, not %s: %s", name, expected, s.why)
		}
	}
	return fmt.Errorf("is %s; expected %s", name, what(flag))
}

// require refuses a document that is recognized as another kind, or as none.
func require(doc []byte, flag string) error {
	name, got := Kind(doc)
	if got == flag && name != "" {
		return nil
	}
	if name == "" {
		return fmt.Errorf("is not recognized; expected %s", what(flag))
	}
	return wrongKind(doc, nil, flag)
}
