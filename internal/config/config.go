// Package config reads diagnose.yaml: severities, who is not external, what is
// ignored and why, and who must and must not be able to invoke what.
package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// A Config is what a diagnose.yaml says. The zero Config says nothing.
type Config struct {
	Severities        map[string]string `yaml:"severities"`
	AllowedDomains    []string          `yaml:"allowedDomains"`
	AllowedProjects   []string          `yaml:"allowedProjects"`
	AllowedPrincipals []string          `yaml:"allowedPrincipals"`
	Ignores           []Ignore          `yaml:"ignores"`
	Expectations      []Expectation     `yaml:"expectations"`
}

// An Ignore suppresses findings that fit all of its patterns, for a reason and
// until a day.
type Ignore struct {
	Rule     string `yaml:"rule"`
	Resource string `yaml:"resource"`
	Member   string `yaml:"member"`
	Reason   string `yaml:"reason"`
	Expires  string `yaml:"expires"` // 2027-01-31, "" for never
	Line     int    `yaml:"-"`
}

// Until returns the end of the day that an ignore expires on, the zero time
// for never.
func (i Ignore) Until() time.Time {
	day, err := time.Parse(time.DateOnly, i.Expires)
	if err != nil {
		return time.Time{}
	}
	return day.AddDate(0, 0, 1)
}

// An Expectation states a decision: "allowed" or "denied".
type Expectation struct {
	Principal string `yaml:"principal"`
	Target    string `yaml:"target"`
	Decision  string `yaml:"decision"`
	Line      int    `yaml:"-"`
}

// The names that a configuration may use; empty lists allow any.
type Names struct{ Rules, Severities []string }

// Read reads a file. Its errors name the file, the line and what is allowed.
func Read(name string, n Names) (Config, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return Config{}, fmt.Errorf("--config: %w", err)
	}
	return Parse(name, data, n)
}

// Parse reads a configuration; name is for errors.
func Parse(name string, data []byte, n Names) (Config, error) {
	var root yaml.Node
	if err := yaml.Unmarshal(data, &root); err != nil {
		return Config{}, fmt.Errorf("%s: is not YAML: %s", name, strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if root.Kind == 0 {
		return Config{}, nil
	}
	p := parser{name, n}
	if err := p.keys(root.Content[0], reflect.TypeFor[Config]()); err != nil {
		return Config{}, err
	}
	var c Config
	d := yaml.NewDecoder(bytes.NewReader(data))
	if err := d.Decode(&c); err != nil && !errors.Is(err, io.EOF) {
		return Config{}, fmt.Errorf("%s: %s", name, strings.ReplaceAll(strings.TrimPrefix(err.Error(), "yaml: unmarshal errors:\n  "), "\n", ";"))
	}
	return c, p.check(&c, root.Content[0])
}

type parser struct {
	name  string
	names Names
}

func (p parser) fail(line int, format string, args ...any) error {
	return fmt.Errorf("%s:%d: %s", p.name, line, fmt.Sprintf(format, args...))
}

// keys refuses keys that no field has.
func (p parser) keys(n *yaml.Node, t reflect.Type) error {
	switch {
	case t.Kind() == reflect.Slice && n.Kind == yaml.SequenceNode:
		for _, c := range n.Content {
			if err := p.keys(c, t.Elem()); err != nil {
				return err
			}
		}
	case t.Kind() == reflect.Struct && n.Kind == yaml.MappingNode:
		fields := map[string]reflect.Type{}
		var known []string
		for i := range t.NumField() {
			if tag := t.Field(i).Tag.Get("yaml"); tag != "-" {
				fields[tag] = t.Field(i).Type
				known = append(known, tag)
			}
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			k := n.Content[i]
			if fields[k.Value] == nil {
				return p.fail(k.Line, "unknown key %q; the keys here are %s", k.Value, strings.Join(known, ", "))
			}
			if err := p.keys(n.Content[i+1], fields[k.Value]); err != nil {
				return err
			}
		}
	case t.Kind() == reflect.Struct || t.Kind() == reflect.Slice:
		return p.fail(n.Line, "expected a %s", map[bool]string{true: "list", false: "mapping"}[t.Kind() == reflect.Slice])
	}
	return nil
}

// items returns the nodes of the list under a key.
func items(root *yaml.Node, key string) []*yaml.Node {
	for i := 0; i+1 < len(root.Content); i += 2 {
		if root.Content[i].Value == key {
			return root.Content[i+1].Content
		}
	}
	return nil
}

func (p parser) check(c *Config, root *yaml.Node) error {
	nodes := items(root, "severities")
	for i := 0; i+1 < len(nodes); i += 2 {
		if err := p.oneOf(nodes[i].Line, "rule", nodes[i].Value, p.names.Rules); err != nil {
			return err
		}
		if err := p.oneOf(nodes[i+1].Line, "severity", nodes[i+1].Value, p.names.Severities); err != nil {
			return err
		}
	}
	for i, n := range items(root, "ignores") {
		x := &c.Ignores[i]
		x.Line = n.Line
		if x.Rule != "*" {
			if err := p.oneOf(n.Line, "rule", x.Rule, p.names.Rules); err != nil {
				return err
			}
		}
		if strings.TrimSpace(x.Reason) == "" {
			return p.fail(n.Line, "an ignore needs a reason")
		}
		if x.Expires != "" && x.Until().IsZero() {
			return p.fail(n.Line, "expires must be a day, as 2027-01-31")
		}
	}
	for i, n := range items(root, "expectations") {
		x := &c.Expectations[i]
		x.Line = n.Line
		if x.Target == "" || x.Principal == "" || x.Principal != "allUsers" && !strings.Contains(x.Principal, ":") {
			return p.fail(n.Line, "an expectation needs a target, and a principal that is a member, as serviceAccount:E-MAIL")
		}
		if err := p.oneOf(n.Line, "decision", x.Decision, []string{"allowed", "denied"}); err != nil {
			return err
		}
	}
	return nil
}

func (p parser) oneOf(line int, what, got string, allowed []string) error {
	if len(allowed) > 0 && !slices.Contains(allowed, got) {
		return p.fail(line, "%s %q must be one of %s", what, got, strings.Join(allowed, ", "))
	}
	return nil
}
