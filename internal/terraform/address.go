package terraform

import "strings"

// elements takes an address, or a reference, apart at the dots that are not in
// a key: `module.a["x.y"].b` is "module", `a["x.y"]` and "b".
func elements(address string) []string {
	var out []string
	start, depth, quoted := 0, 0, false
	for i := 0; i < len(address); i++ {
		switch c := address[i]; {
		case quoted && c == '\\':
			i++ // what is escaped ends nothing
		case c == '"' && depth > 0:
			quoted = !quoted
		case quoted:
		case c == '[':
			depth++
		case c == ']':
			depth--
		case c == '.' && depth == 0:
			out = append(out, address[start:i])
			start = i + 1
		}
	}
	return append(out, address[start:])
}

// cutIndex takes the keys of count and for_each from an element.
func cutIndex(element string) (name, index string) {
	if i := strings.IndexByte(element, '['); i >= 0 {
		return element[:i], element[i:]
	}
	return element, ""
}

// withoutIndexes drops the keys of count and for_each from an address.
func withoutIndexes(address string) string {
	if !strings.Contains(address, "[") {
		return address
	}
	parts := elements(address)
	for i := range parts {
		parts[i], _ = cutIndex(parts[i])
	}
	return strings.Join(parts, ".")
}

// home takes the address of an instance apart: the instance of a module that it
// is in, its address in that one without its key, and its key.
func home(address string) (module, local, index string) {
	parts := elements(address)
	n := 0
	for n+2 < len(parts) && parts[n] == "module" {
		n += 2
	}
	last := len(parts) - 1
	parts[last], index = cutIndex(parts[last])
	return strings.Join(parts[:n], "."), strings.Join(parts[n:], "."), index
}
