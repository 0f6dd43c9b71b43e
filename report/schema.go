package report

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"
)

// SchemaVersion is the version of everything that is written as JSON.
const SchemaVersion = schemaVersion

// An output is one kind of report as JSON.
type output struct {
	name, title string
	of          reflect.Type
	enums       map[string][]string // by the path of the property
}

var (
	decisions = []string{"allowed", "denied", "undetermined"}
	bases     = []string{"proven", "assumed"}
	outcomes  = []string{"pass", "warn", "fail", "unknown", "not_applicable"}
	effects   = []string{"allowed", "open", "progress", "unverified"}
	version   = []string{schemaVersion}
)

var outputs = []output{
	{"invoke", "The verdict about one invocation", reflect.TypeFor[wireVerdict](), map[string][]string{"decision": decisions, "basis": bases,
		"findings.outcome": outcomes, "findings.fixes.effect": effects}},
	{"who", "Who can invoke a service", reflect.TypeFor[wireWho](), map[string][]string{
		"holders.answer": {"unknown", "may", "only-if", "denied"}}},
	{"token", "What a credential is", reflect.TypeFor[wireToken](), map[string][]string{"decision": decisions, "basis": bases,
		"findings.outcome": outcomes, "findings.fixes.effect": effects}},
	{"gate", "What a change would open or break", reflect.TypeFor[wireFindings](), nil},
	{"scan", "Where grants are too broad", reflect.TypeFor[wireFindings](), nil},
	{"explain", "What a check, rule or status means", reflect.TypeFor[wireTopic](), nil},
	{"error", "Why there is no report", reflect.TypeFor[Failure](), nil},
}

// A Failure is what is written as JSON in the place of a report.
type Failure struct {
	SchemaVersion string  `json:"schemaVersion"`
	Error         Problem `json:"error"`
}

// A Problem is an error as JSON.
type Problem struct {
	Message  string   `json:"message"`
	Hints    []string `json:"hints"` // what to do about it
	ExitCode int      `json:"exitCode"`
}

// Schemas lists the outputs that have a schema.
func Schemas() []string {
	out := make([]string, len(outputs))
	for i, o := range outputs {
		out[i] = o.name
	}
	return out
}

// Schema returns the JSON Schema of an output. Later versions of diagnose may
// add properties to it, and remove none.
func Schema(name string) ([]byte, error) {
	i := slices.IndexFunc(outputs, func(o output) bool { return o.name == name })
	if i < 0 {
		return nil, fmt.Errorf("no output is named %q; the outputs are %s", name, strings.Join(Schemas(), ", "))
	}
	o := outputs[i]
	s, err := jsonschema.ForType(o.of, &jsonschema.ForOptions{})
	if err != nil {
		return nil, fmt.Errorf("the schema of %s: %w", name, err)
	}
	s.Schema, s.Title = "https://json-schema.org/draft/2020-12/schema", o.title
	admit(s)
	constrain(s, "schemaVersion", version)
	for path, values := range o.enums {
		constrain(s, path, values)
	}
	out, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("writing the schema of %s: %w", name, err)
	}
	return append(out, '\n'), nil
}

// admit lets later properties in, and says that a list is never null.
func admit(s *jsonschema.Schema) {
	if s == nil {
		return
	}
	if s.AdditionalProperties != nil && s.AdditionalProperties.Not != nil {
		s.AdditionalProperties = nil
	}
	if slices.Contains(s.Types, "array") {
		s.Type, s.Types = "array", nil
	}
	for _, p := range s.Properties {
		admit(p)
	}
	admit(s.Items)
	admit(s.AdditionalProperties)
}

// constrain limits the values of a property, by its path through objects and
// lists.
func constrain(s *jsonschema.Schema, path string, values []string) {
	for _, key := range strings.Split(path, ".") {
		if s.Items != nil {
			s = s.Items
		}
		if s = s.Properties[key]; s == nil {
			return
		}
	}
	for _, v := range values {
		s.Enum = append(s.Enum, v)
	}
}
