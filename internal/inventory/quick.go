package inventory

import "bytes"

// The head of a line as Google's exporter writes it, and what starts a second
// key of its kind: "asset_type" or "assetType".
var (
	headName = []byte(`{"name":"`)
	headType = []byte(`","asset_type":"`)
	snakeKey = []byte(`_type":`)
	camelKey = []byte(`tType":`)
	escape   = []byte(`\u`)
)

// dismiss reports whether a line cannot matter, without reading it as JSON: it
// starts as Google's exporter writes it, with a type that cannot matter and
// that no second key of the line can change. Its quotes and brackets are
// counted, so that two lines run together, or a part of one, are not passed
// over; what does not add up is read whole.
func dismiss(l []byte) bool {
	if !bytes.HasPrefix(l, headName) || l[len(l)-1] != '}' {
		return false
	}
	rest := l[len(headName):]
	i := bytes.IndexByte(rest, '"')
	if i < 0 || !bytes.HasPrefix(rest[i:], headType) || bytes.IndexByte(rest[:i], '\\') >= 0 {
		return false
	}
	rest = rest[i+len(headType):]
	i = bytes.IndexByte(rest, '"')
	if i < 0 || bytes.IndexByte(rest[:i], '\\') >= 0 || matters(rest[:i]) {
		return false
	}
	rest = rest[i:]
	return !bytes.Contains(rest, snakeKey) && !bytes.Contains(rest, camelKey) && !bytes.Contains(rest, escape) && balanced(l)
}

// balanced reports whether brackets and quotes come in pairs, also those in
// texts.
func balanced(l []byte) bool {
	n := func(c byte) int { return bytes.Count(l, []byte{c}) }
	return n('{') == n('}') && n('[') == n(']') && n('"')%2 == 0
}

// irrelevant reports whether a policy has no role that may matter. It reports
// false where only a parser can tell.
func (b *batch) irrelevant(raw []byte) bool {
	var bindings []byte
	usual := true
	if !fields(raw, func(key, value []byte) {
		if string(key) == "bindings" {
			bindings = value
		} else if bytes.EqualFold(key, []byte("bindings")) {
			usual = false // encoding/json takes it too
		}
	}) || !usual {
		return false
	}
	s := scanner{data: bindings}
	s.space()
	if s.at >= len(bindings) || bindings[s.at] != '[' {
		return len(bindings) == 0 || string(bindings) == "null"
	}
	s.at++
	for {
		s.space()
		switch {
		case s.at >= len(bindings):
			return false
		case bindings[s.at] == ']':
			return true
		case bindings[s.at] == ',':
			s.at++
		case bindings[s.at] != '{' || !b.idle(&s):
			return false
		}
	}
}

// idle reports whether the binding at hand has a role that cannot matter, and
// goes past it.
func (b *batch) idle(s *scanner) bool {
	idle := true
	unusual, ok := s.object(func(key, value []byte) bool {
		switch {
		case string(key) == "role":
			if len(value) < 2 || value[0] != '"' || bytes.IndexByte(value, '\\') >= 0 {
				return false
			}
			idle = !b.matters(value[1 : len(value)-1])
		case bytes.EqualFold(key, []byte("role")), bytes.EqualFold(key, []byte("members")) && value[0] != '[':
			return false
		}
		return true
	})
	return ok && !unusual && idle
}
