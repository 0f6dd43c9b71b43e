// Package yamldoc reads YAML as JSON, the same way everywhere: a key given
// twice is an error, only true and false are booleans (yes and on are texts,
// as YAML 1.2 has it), times and dates stay as they are written, and what a
// document may make of itself by aliases and nesting is bounded.
//
// https://yaml.org/spec/1.2.2/#103-core-schema
package yamldoc

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxDepth bounds how deep a document nests: deeper than any of Google's.
const maxDepth = 200

// maxNodes bounds the values of a document with its aliases written out.
const maxNodes = 1 << 20

// A Document is one document of a stream. The zero Document holds nothing.
type Document struct {
	JSON []byte
	Node *yaml.Node // of its value, for the lines
}

// Line returns the line on which the document's value starts, from 1; 0 for
// the zero Document.
func (d Document) Line() int {
	if d.Node == nil {
		return 0
	}
	return d.Node.Line
}

// Field is the node under a key of a mapping, nil where there is none.
func Field(n *yaml.Node, key string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// Documents returns the documents of a stream, without empty ones. Its errors
// give the line and quote no value.
func Documents(data []byte) ([]Document, error) {
	var out []Document
	d := yaml.NewDecoder(bytes.NewReader(data))
	for {
		var n yaml.Node
		err := d.Decode(&n)
		switch {
		case errors.Is(err, io.EOF):
			return out, nil
		case err != nil:
			return nil, errors.New(place(err))
		case len(n.Content) == 0:
			continue
		}
		v, err := Value(n.Content[0])
		if err != nil {
			return nil, err
		}
		if v == nil {
			continue
		}
		js, err := json.Marshal(v)
		if err != nil {
			return nil, errors.New("is not representable as JSON")
		}
		out = append(out, Document{js, n.Content[0]})
	}
}

// JSON returns the one document of data as JSON, null where there is none.
func JSON(data []byte) ([]byte, error) {
	docs, err := Documents(data)
	switch {
	case err != nil:
		return nil, err
	case len(docs) == 0:
		return []byte("null"), nil
	case len(docs) > 1:
		return nil, fmt.Errorf("has %d documents, the second in line %d; expected one", len(docs), docs[1].Line())
	}
	return docs[0].JSON, nil
}

var lineOf = regexp.MustCompile(`line \d+`)

// place keeps of an error of the YAML library its place, and not the text
// around it.
func place(err error) string {
	if line := lineOf.FindString(err.Error()); line != "" {
		return "is broken in " + line
	}
	return "is broken"
}

// Value returns the value of a node, as encoding/json has values. Its errors
// give the line and quote no value.
func Value(n *yaml.Node) (any, error) {
	w := walker{left: maxNodes}
	return w.value(n, 0)
}

// A walker counts the values that it may still make.
type walker struct{ left int }

func (w *walker) value(n *yaml.Node, depth int) (any, error) {
	if w.left--; w.left < 0 {
		return nil, errors.New("has too many values: it refers to itself too often")
	}
	if depth > maxDepth {
		return nil, fmt.Errorf("nests deeper than %d levels in line %d", maxDepth, n.Line)
	}
	switch n.Kind {
	case yaml.AliasNode:
		return w.value(n.Alias, depth+1)
	case yaml.SequenceNode:
		out := make([]any, 0, len(n.Content))
		for _, c := range n.Content {
			v, err := w.value(c, depth+1)
			if err != nil {
				return nil, err
			}
			out = append(out, v)
		}
		return out, nil
	case yaml.MappingNode:
		return w.mapping(n, depth)
	}
	return scalar(n)
}

func (w *walker) mapping(n *yaml.Node, depth int) (map[string]any, error) {
	out, seen := map[string]any{}, map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, node := n.Content[i], n.Content[i+1]
		if key.Kind == yaml.AliasNode {
			key = key.Alias
		}
		v, err := w.value(node, depth+1)
		switch {
		case err != nil:
			return nil, err
		case key.Kind != yaml.ScalarNode:
			return nil, fmt.Errorf("has a key in line %d that is not a text", n.Content[i].Line)
		case key.ShortTag() == "!!merge":
			merge(out, seen, v)
			continue
		case seen[key.Value]:
			return nil, fmt.Errorf("has a key twice in line %d", n.Content[i].Line)
		}
		seen[key.Value], out[key.Value] = true, v
	}
	return out, nil
}

// merge adds what "<<" refers to. Keys of the mapping itself stand, and of
// several mappings the first.
func merge(out map[string]any, own map[string]bool, v any) {
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	for _, x := range list {
		m, _ := x.(map[string]any)
		for k, v := range m {
			if _, set := out[k]; !set && !own[k] {
				out[k] = v
			}
		}
	}
}

func scalar(n *yaml.Node) (any, error) {
	switch n.ShortTag() {
	case "!!null":
		return nil, nil
	case "!!bool", "!!int", "!!float":
		if json.Valid([]byte(n.Value)) {
			if n.ShortTag() != "!!bool" {
				return json.Number(n.Value), nil // as written: 1.0, or more digits than a float has
			}
		}
		var v any
		if err := n.Decode(&v); err != nil {
			return nil, errors.New(place(err))
		}
		if f, ok := v.(float64); ok && (math.IsInf(f, 0) || math.IsNaN(f)) {
			return n.Value, nil
		}
		return v, nil
	}
	return strings.ToValidUTF8(n.Value, "\uFFFD"), nil
}
