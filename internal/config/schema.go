package config

import (
	"encoding/json"
	"fmt"
	"reflect"
)

// object is a JSON object under construction.
type object map[string]any

// Schema is the JSON Schema of a configuration, for editors: what a schema
// cannot say, Parse does.
func Schema(n Names) ([]byte, error) {
	out := schemaOf(reflect.TypeFor[Config]())
	out["$schema"] = "http://json-schema.org/draft-07/schema#"
	out["title"] = "diagnose.yaml"
	defs := out["properties"].(object)
	rules := object{"enum": n.Rules}
	defs["severities"].(object)["propertyNames"] = rules
	defs["severities"].(object)["additionalProperties"] = object{"enum": n.Severities}
	ignore := item(defs, "ignores")
	ignore["required"] = []string{"rule", "reason"}
	narrow(ignore, "rule", "enum", append([]string{"*"}, n.Rules...))
	narrow(ignore, "expires", "pattern", `^\d{4}-\d{2}-\d{2}$`)
	expectation := item(defs, "expectations")
	expectation["oneOf"] = []object{{"required": []string{"principal", "target", "decision"}}, {"required": []string{"only"}}}
	narrow(expectation, "principal", "pattern", `[:*]|^all(Authenticated)?Users$`)
	narrow(expectation, "decision", "enum", []string{"allowed", "denied"})
	narrow(expectation, "only", "required", []string{"target", "principals"})
	when := property(expectation, "when")
	narrow(when, "path", "pattern", "^/")
	narrow(when, "host", "pattern", "^[^/]+$")
	narrow(when, "source", "enum", n.Sources)
	narrow(when, "time", "format", "date-time")
	data, err := json.MarshalIndent(out, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("writing the schema: %w", err)
	}
	return append(data, '\n'), nil
}

func property(of object, key string) object { return of["properties"].(object)[key].(object) }

func item(properties object, key string) object { return properties[key].(object)["items"].(object) }

func narrow(of object, key, word string, value any) { property(of, key)[word] = value }

// schemaOf describes a type of the configuration by its tags.
func schemaOf(t reflect.Type) object {
	switch t.Kind() {
	case reflect.Struct:
		properties := object{}
		for i := range t.NumField() {
			f := t.Field(i)
			if tag := f.Tag.Get("yaml"); tag != "-" {
				p := schemaOf(f.Type)
				p["description"] = f.Tag.Get("doc")
				properties[tag] = p
			}
		}
		return object{"type": "object", "properties": properties, "additionalProperties": false}
	case reflect.Slice:
		return object{"type": "array", "items": schemaOf(t.Elem())}
	case reflect.Map:
		return object{"type": "object"}
	}
	return object{"type": "string"}
}
