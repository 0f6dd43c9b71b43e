// Package config reads diagnose.yaml: severities, who is not external, what is
// ignored and why, and who must and must not be able to invoke what.
package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"diagnose/internal/bounded"
	"diagnose/internal/yamldoc"
)

// A Config is what a diagnose.yaml says. The zero Config says nothing.
type Config struct {
	Severities        map[string]string `yaml:"severities" doc:"the severity of each rule named"`
	AllowedDomains    []string          `yaml:"allowedDomains" doc:"domains whose members are not external"`
	AllowedProjects   []string          `yaml:"allowedProjects" doc:"projects whose service accounts are not external"`
	AllowedPrincipals []string          `yaml:"allowedPrincipals" doc:"further members, or patterns of members, that are not external"`
	Ignores           []Ignore          `yaml:"ignores" doc:"findings that do not count, each for a reason"`
	Expectations      []Expectation     `yaml:"expectations" doc:"who must, and who must not, be able to invoke what"`
}

// An Ignore suppresses findings that fit all of its patterns, for a reason and
// until a day.
type Ignore struct {
	Rule     string `yaml:"rule" doc:"the rule that is ignored, or * for each"`
	Resource string `yaml:"resource" doc:"name or pattern of what the finding is about"`
	Member   string `yaml:"member" doc:"member or pattern that the finding is about"`
	Reason   string `yaml:"reason" doc:"why it does not count"`
	Expires  string `yaml:"expires" doc:"the last day, as 2027-01-31; never where absent"` // 2027-01-31, "" for never
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

// An Expectation states a decision, "allowed" or "denied", or who alone may.
type Expectation struct {
	Principal string `yaml:"principal" doc:"a member of a policy, or a pattern over the members granted"`
	Target    string `yaml:"target" doc:"name, address or URL of a service or function, or a pattern of these"`
	Decision  string `yaml:"decision" doc:"whether the principal must be able to invoke the target"`
	Only      Only   `yaml:"only" doc:"who alone may invoke a target"`
	When      When   `yaml:"when" doc:"the requests that the expectation is about"`
	Line      int    `yaml:"-"`
}

// An Only states that nobody but its principals may invoke its target. The
// zero Only states nothing; one without principals, that nobody may.
type Only struct {
	Target     string   `yaml:"target" doc:"name, address or URL of a service or function, or a pattern of these"`
	Principals []string `yaml:"principals" doc:"members, or patterns of members; [] for nobody"`
}

// A When narrows an expectation to some requests. Fields that are "" narrow
// nothing.
type When struct {
	Path   string `yaml:"path" doc:"the path of the request, from the slash on"` // from the slash on
	Host   string `yaml:"host" doc:"the host of the request, without scheme"`    // without scheme
	Source string `yaml:"source" doc:"where the request comes from; ingress counts where this is stated"`
	Time   string `yaml:"time" doc:"the moment of the request, RFC 3339"` // RFC 3339
}

// At returns the moment of a When, the zero time where it has none.
func (w When) At() time.Time {
	t, err := time.Parse(time.RFC3339, w.Time)
	if err != nil {
		return time.Time{}
	}
	return t
}

// The names that a configuration may use; empty lists allow any.
type Names struct{ Rules, Severities, Sources []string }

// maxFile bounds a configuration, in bytes.
const maxFile = 4 << 20

// Read reads a file. Its errors name the file, the line and what is allowed.
func Read(name string, n Names) (Config, error) {
	data, err := bounded.File(name, maxFile)
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
	if list := yamldoc.Field(root, key); list != nil {
		return list.Content
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
		if err := p.expectation(x, n); err != nil {
			return err
		}
	}
	return nil
}

func (p parser) expectation(x *Expectation, n *yaml.Node) error {
	if err := p.when(x.When, n.Line); err != nil {
		return err
	}
	if slices.ContainsFunc(n.Content, func(k *yaml.Node) bool { return k.Value == "only" }) {
		switch {
		case x.Principal+x.Target+x.Decision != "":
			return p.fail(n.Line, "an expectation with only has no other key but when: its target and principals are inside it")
		case x.Only.Target == "":
			return p.fail(n.Line, "only needs a target, and the principals that alone may invoke it")
		case x.Only.Principals == nil:
			return p.fail(n.Line, "only needs principals: those that alone may invoke the target, or [] for nobody")
		}
		for _, who := range x.Only.Principals {
			if !isMember(who) {
				return p.fail(n.Line, "principals are members, as serviceAccount:E-MAIL; got %q", who)
			}
		}
		return nil
	}
	if x.Target == "" || !isMember(x.Principal) {
		return p.fail(n.Line, "an expectation needs a target, and a principal that is a member, as serviceAccount:E-MAIL")
	}
	return p.oneOf(n.Line, "decision", x.Decision, []string{"allowed", "denied"})
}

func (p parser) when(w When, line int) error {
	switch {
	case w.Path != "" && !strings.HasPrefix(w.Path, "/"):
		return p.fail(line, "path must begin with /; got %q", w.Path)
	case strings.Contains(w.Host, "/"):
		return p.fail(line, "host must be a host name, without scheme and path; got %q", w.Host)
	case w.Time != "" && w.At().IsZero():
		return p.fail(line, "time must be RFC 3339, as 2027-01-31T12:00:00Z; got %q", w.Time)
	case w.Source != "":
		return p.oneOf(line, "source", w.Source, p.names.Sources)
	}
	return nil
}

// isMember reports whether a principal is written as a member of a policy is,
// or as a pattern of such.
func isMember(s string) bool {
	return s == "allUsers" || s == "allAuthenticatedUsers" || strings.ContainsAny(s, "*:")
}

func (p parser) oneOf(line int, what, got string, allowed []string) error {
	if len(allowed) > 0 && !slices.Contains(allowed, got) {
		return p.fail(line, "%s %q must be one of %s", what, got, strings.Join(allowed, ", "))
	}
	return nil
}
