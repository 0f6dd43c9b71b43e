package rules

import (
	"regexp"
	"slices"
	"strings"

	"diagnose/internal/iam"
)

// isPattern reports whether a text stands for more than itself.
func isPattern(s string) bool { return strings.Contains(s, "*") }

// matches reports whether a pattern, in which * stands for any text, is one of
// the names.
func matches(pattern string, names ...string) bool {
	parts := strings.Split(pattern, "*")
	for i := range parts {
		parts[i] = regexp.QuoteMeta(parts[i])
	}
	re, err := regexp.Compile("(?s)^" + strings.Join(parts, ".*") + "$")
	if err != nil {
		return false
	}
	return slices.ContainsFunc(names, func(n string) bool { return n == pattern || re.MatchString(n) })
}

// anyPart stands in a name for a part that is not known: one or more
// characters without a slash.
const anyPart = "\x00"

// fits says whether a name, of which parts may be anyPart, is one that a
// pattern fits, whatever these parts are.
func fits(pattern, name string) iam.State {
	switch {
	case matches(pattern, name):
		return iam.Granted
	case strings.Contains(name, anyPart) && overlap(pattern, name):
		return iam.Unknown
	}
	return iam.NotGranted
}

// overlap reports whether a pattern and a name, of which parts may be anyPart,
// have a text in common. It goes through both once, from behind.
func overlap(pattern, name string) bool {
	next := make([]bool, len(name)+1) // whether pattern[i+1:] and name[j:] do
	next[len(name)] = true
	for i := len(pattern) - 1; i >= 0; i-- {
		row := make([]bool, len(name)+1)
		if pattern[i] == '*' {
			row[len(name)] = next[len(name)]
		}
		for j := len(name) - 1; j >= 0; j-- {
			switch {
			case pattern[i] == '*':
				row[j] = next[j] || row[j+1]
			case name[j] == anyPart[0]:
				row[j] = pattern[i] != '/' && (next[j] || next[j+1])
			default:
				row[j] = pattern[i] == name[j] && next[j+1]
			}
		}
		next = row
	}
	return next[0]
}

// spellings are the ways to name a resource in a configuration: in full, from
// its project on, with its kind, and alone. What is not known of it is anyPart.
func spellings(full string) []string {
	if full == "" {
		return nil
	}
	parts := strings.Split(full, "/")
	for i, p := range parts {
		if strings.HasPrefix(p, "-") {
			parts[i] = anyPart
		}
	}
	out := []string{strings.Join(parts, "/")}
	if i := slices.Index(parts, "projects"); i > 0 {
		out = append(out, strings.Join(parts[i:], "/"))
	}
	return append(out, strings.Join(parts[max(0, len(parts)-2):], "/"), parts[len(parts)-1])
}

// means says whether the target of an expectation, which may be a pattern, is
// a target of the estate: unknown where that depends on what is not known of
// its name.
func (x *Index) means(pattern string, t *target) iam.State {
	if matches(pattern, t.name, t.Where.Address) || matches(strings.TrimSuffix(pattern, "/"), t.URLs...) {
		return iam.Granted
	}
	state := iam.NotGranted
	for _, name := range append(spellings(t.full), spellings(x.canonical(t.Function))...) {
		state = larger(state, fits(pattern, name))
	}
	return state
}
