package terraform

import (
	"regexp"

	"github.com/zclconf/go-cty/cty"
)

// A value that a plan or a variable marks as sensitive is not repeated, so it
// is not used either: it is unknown, as one that is known after apply. Google's
// own words are no secrets, and they are what opens a service.

// openWord fits what Google fixes: members, roles, ingress settings, types.
var openWord = regexp.MustCompile(`^(allUsers|allAuthenticatedUsers|roles/[A-Za-z.]+|INGRESS_TRAFFIC_[A-Z_]+|` +
	`all|internal|internal-and-cloud-load-balancing|ALLOW_[A-Z_]+|GEN_[12]|EXECUTION_[A-Z_0-9]+|[a-z]+-[a-z]+\d{1,2})$`)

// withoutSensitive takes the values that a mark covers out of a value, and adds
// them to what is unknown.
func withoutSensitive(value, unknown, mark any) (any, any) {
	switch m := mark.(type) {
	case bool:
		if m {
			return openOnly(value, unknown)
		}
	case map[string]any:
		if v, ok := value.(map[string]any); ok && len(m) > 0 {
			return sensitiveFields(v, unknown, func(key string) any { return m[key] })
		}
	case []any:
		if v, ok := value.([]any); ok && len(m) > 0 {
			return sensitiveElements(v, unknown, func(i int) any {
				if i < len(m) {
					return m[i]
				}
				return nil
			})
		}
	}
	return value, unknown
}

// openOnly leaves of a sensitive value what Google fixes.
func openOnly(value, unknown any) (any, any) {
	switch v := value.(type) {
	case map[string]any:
		return sensitiveFields(v, unknown, func(string) any { return true })
	case []any:
		return sensitiveElements(v, unknown, func(int) any { return true })
	case string:
		if v != "" && !openWord.MatchString(v) {
			return nil, true
		}
	}
	return value, unknown
}

func sensitiveFields(v map[string]any, unknown any, mark func(key string) any) (any, any) {
	out, marks := map[string]any{}, map[string]any{}
	if m, ok := unknown.(map[string]any); ok {
		for k, x := range m {
			marks[k] = x
		}
	}
	for k, x := range v {
		y, u := withoutSensitive(x, child(unknown, k), mark(k))
		if out[k] = y; u != nil {
			marks[k] = u
		}
	}
	if all, ok := unknown.(bool); ok && all {
		return out, true
	}
	return out, marks
}

func sensitiveElements(v []any, unknown any, mark func(i int) any) (any, any) {
	out, marks := make([]any, len(v)), make([]any, len(v))
	given, _ := unknown.([]any)
	for i, x := range v {
		var u any
		if i < len(given) {
			u = given[i]
		}
		out[i], marks[i] = withoutSensitive(x, u, mark(i))
	}
	if all, ok := unknown.(bool); ok && all {
		return out, true
	}
	return out, marks
}

// openValue is a sensitive value of a configuration: unknown, unless it is a
// word that Google fixes, or no text.
func openValue(v cty.Value) cty.Value {
	if v == cty.NilVal || !v.IsKnown() || v.IsNull() {
		return v
	}
	out, err := cty.Transform(v, func(_ cty.Path, x cty.Value) (cty.Value, error) {
		bare, _ := x.Unmark()
		if bare.Type() == cty.String && bare.IsKnown() && !bare.IsNull() && bare.AsString() != "" && !openWord.MatchString(bare.AsString()) {
			return cty.UnknownVal(cty.String), nil
		}
		return x, nil
	})
	if err != nil {
		return cty.DynamicVal
	}
	return out
}
