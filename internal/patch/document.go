package patch

import (
	"bytes"
	"strings"

	"go.yaml.in/yaml/v3"
)

// document changes a document of YAML or JSON: a member of a binding, the
// invokers of a Firebase function, or the switch of the invoker check.
func document(data []byte, c Change) ([]byte, error) {
	d := yaml.NewDecoder(bytes.NewReader(data))
	for {
		var root yaml.Node
		if err := d.Decode(&root); err != nil {
			return nil, errUnknown // the end, or what the YAML library does not take
		}
		if out, ok := inNode(data, &root, c); ok {
			return out, nil
		}
	}
}

// inNode changes what fits below a node.
func inNode(data []byte, n *yaml.Node, c Change) ([]byte, bool) {
	if n.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(n.Content); i += 2 {
			key, value := n.Content[i], n.Content[i+1]
			switch key.Value {
			case "members":
				if n.Line == c.Line && c.Member != "" {
					return withoutItem(data, key, value, c.Member)
				}
			case "invoker":
				if value.Line == c.Line && c.Member == "allUsers" {
					return replaced(data, value, "public", "private")
				}
			case "invokerIamDisabled", "run.googleapis.com/invoker-iam-disabled":
				if value.Value == "true" && c.Member == "" && strings.Contains(c.Terraform, "invoker_iam_disabled") {
					return at(data, value, "true", "false")
				}
			}
		}
	}
	for _, child := range n.Content {
		if out, ok := inNode(data, child, c); ok {
			return out, true
		}
	}
	return nil, false
}

// replaced changes a word of a list of texts, or the text itself.
func replaced(data []byte, n *yaml.Node, old, to string) ([]byte, bool) {
	if n.Kind == yaml.ScalarNode && n.Value == old {
		return at(data, n, old, to)
	}
	for _, item := range n.Content {
		if item.Value == old {
			return at(data, item, old, to)
		}
	}
	return nil, false
}

// offset is where a node begins in the text.
func offset(data []byte, n *yaml.Node) int {
	at := 0
	for line := 1; line < n.Line; line++ {
		next := bytes.IndexByte(data[at:], '\n')
		if next < 0 {
			return len(data)
		}
		at += next + 1
	}
	for column := 1; column < n.Column && at < len(data); column++ { // columns are runes
		at++
		for at < len(data) && data[at]&0xc0 == 0x80 {
			at++
		}
	}
	return at
}

// at replaces the text of a scalar, within its quotes.
func at(data []byte, n *yaml.Node, old, to string) ([]byte, bool) {
	from := offset(data, n)
	i := bytes.Index(data[from:], []byte(old))
	if i < 0 || i > 1 {
		return nil, false
	}
	return splice(data, from+i, from+i+len(old), to), true
}

func splice(data []byte, from, to int, with string) []byte {
	out := append([]byte(nil), data[:from]...)
	return append(append(out, with...), data[to:]...)
}

// withoutItem takes a text out of a list.
func withoutItem(data []byte, key, list *yaml.Node, member string) ([]byte, bool) {
	for i, item := range list.Content {
		if item.Value != member || item.Kind != yaml.ScalarNode {
			continue
		}
		from := offset(data, item)
		length := bytes.Index(data[from:], []byte(member))
		if length < 0 || length > 1 {
			return nil, false
		}
		to := from + length + len(member) + length // the quotes on both sides
		if list.Style&yaml.FlowStyle != 0 {
			return splice(data, from-commaBefore(data, from, i), to+commaAfter(data, to, i), ""), true
		}
		start := bytes.LastIndexByte(data[:from], '\n') + 1
		end := len(data)
		if next := bytes.IndexByte(data[to:], '\n'); next >= 0 {
			end = to + next + 1
		}
		out := splice(data, start, end, "")
		if len(list.Content) == 1 {
			colon := bytes.IndexByte(out[offset(out, key):], ':') + offset(out, key) + 1
			out = splice(out, colon, colon, " []")
		}
		return out, true
	}
	return nil, false
}

// commaAfter is the length of the comma behind the first item of a list, with
// the space that follows.
func commaAfter(data []byte, at, index int) int {
	rest := data[at:]
	trimmed := bytes.TrimLeft(rest, " \t\r\n")
	if index > 0 || !bytes.HasPrefix(trimmed, []byte(",")) {
		return 0
	}
	trimmed = bytes.TrimLeft(trimmed[1:], " \t\r\n")
	return len(rest) - len(trimmed)
}

// commaBefore is the length of the comma before a later item, with the space
// around it.
func commaBefore(data []byte, at, index int) int {
	if index == 0 {
		return 0
	}
	trimmed := bytes.TrimRight(data[:at], " \t\r\n")
	if !bytes.HasSuffix(trimmed, []byte(",")) {
		return 0
	}
	return at - len(trimmed) + 1
}
