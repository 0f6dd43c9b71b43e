package manifest

import (
	"encoding/json"
	"errors"
	"fmt"

	"cloud.google.com/go/iam/admin/apiv1/adminpb"
	"go.yaml.in/yaml/v3"

	"diagnose/internal/caller"
	"diagnose/internal/estate"
	"diagnose/internal/evidence"
	"diagnose/internal/yamldoc"
)

// maxYAML bounds what is read as YAML, in bytes: JSON beyond it has no lines.
const maxYAML = 8 << 20

// A document is one of a file, as JSON, with its nodes for their lines.
type document struct {
	json []byte
	node *yaml.Node
	line int
}

// documents splits a file. JSON is YAML too, so that both have lines; where
// the YAML library does not take it, JSON has none.
func documents(data []byte) ([]document, error) {
	isJSON := json.Valid(data)
	if !isJSON && len(data) > maxYAML {
		return nil, fmt.Errorf("is YAML of more than %d MB", maxYAML>>20)
	}
	if isJSON {
		return jsonDocument(data)
	}
	list, err := yamldoc.Documents(data)
	if err != nil {
		return nil, fmt.Errorf("is not YAML that can be read: it %w", err)
	}
	var out []document
	for _, d := range list {
		if d.Node.Kind != yaml.ScalarNode {
			out = append(out, document{d.JSON, d.Node, d.Line()})
		}
	}
	return out, nil
}

func jsonDocument(data []byte) ([]document, error) {
	if err := evidence.WellFormed(data); err != nil {
		return nil, err
	}
	d := document{data, &yaml.Node{}, 1}
	if len(data) > maxYAML {
		return []document{d}, nil
	}
	if list, err := yamldoc.Documents(data); err == nil && len(list) == 1 {
		d.node, d.line = list[0].Node, list[0].Line()
	}
	return []document{d}, nil
}

// document reads one document and says what it is. strict takes only what is
// ours beyond doubt.
func (r *reader) document(name string, d document, strict bool) (what string, err error) {
	if what, err = r.kubernetes(name, d, strict); !errors.Is(err, errForeign) {
		return what, err
	}
	if what, err := r.firebase(name, d); !errors.Is(err, errForeign) {
		return what, err
	}
	if what, err := r.pipeline(name, d); what != "" {
		return what, err
	}
	what, flag := evidence.Kind(d.json)
	if strict {
		flag = evidence.Own(d.json)
	}
	switch flag {
	case "service", "function", "policy", "caller", "trigger":
		list, err := evidence.Elements(d.json)
		if err != nil {
			return what, err
		}
		for i, one := range list {
			if err := r.resource(name, flag, d.element(one, i, len(list))); err != nil {
				return what, err
			}
		}
		return what, nil
	case "ancestor-policies", "roles", "deny-policies", "groups", "project-file", "iap-policy", "iap-settings", "service-account-policies":
		return what, r.member(flag, d.json, estate.Where{File: name, Line: d.line})
	}
	return "", errForeign
}

// element is one document of a list, with its own line.
func (d document) element(doc json.RawMessage, i, of int) document {
	if of == 1 && d.node.Kind != yaml.SequenceNode {
		return d
	}
	out := document{doc, &yaml.Node{}, d.line}
	if i < len(d.node.Content) && d.node.Kind == yaml.SequenceNode {
		out.node, out.line = d.node.Content[i], d.node.Content[i].Line
	}
	return out
}

// resource reads a service, a function, a policy or a caller.
func (r *reader) resource(name, flag string, d document) error {
	where := estate.Where{File: name, Line: d.line}
	switch flag {
	case "service":
		s, err := evidence.ParseService(d.json)
		if err != nil {
			return err
		}
		r.After.Targets = append(r.After.Targets, estate.OfService(s, where))
	case "function":
		f, err := evidence.ParseFunction(d.json)
		if err != nil {
			return err
		}
		r.After.Targets = append(r.After.Targets, estate.OfFunction(f, where))
	case "policy":
		return r.policy(name, d)
	default:
		list, err := caller.Parse(d.json)
		if err != nil {
			return err
		}
		for _, c := range list {
			r.After.Callers = append(r.After.Callers, estate.Caller{Caller: c, Where: where})
		}
	}
	return nil
}

// member reads a document that a case has too.
func (r *reader) member(flag string, doc []byte, where estate.Where) error {
	var s evidence.Snapshot
	if err := evidence.Read(flag, evidence.Source{Document: where.File}, doc, &s); err != nil {
		return err
	}
	r.hierarchy(s.Ancestors.Or(nil), where)
	for _, a := range s.Ancestors.Or(nil) {
		p, ok := a.Policy.Get()
		if !ok || a.ID == "" {
			continue
		}
		out := estate.Policy{Resource: estate.NodeHost + a.Type + "s/" + a.ID, Where: where}
		for _, b := range p.GetBindings() {
			out.Bindings = append(out.Bindings, estate.Binding{Role: b.GetRole(), Members: b.GetMembers(), Condition: b.GetCondition(), Where: where})
		}
		r.After.Policies = append(r.After.Policies, out)
	}
	r.After.Roles = append(r.After.Roles, s.Roles.Or([]*adminpb.Role(nil))...)
	if unread := (*evidence.UnreadRules)(nil); errors.As(s.DenyPolicies.Reason(), &unread) {
		for _, name := range unread.Names {
			r.After.Unread = append(r.After.Unread, estate.Unread{What: "the rules of the deny policy " + name, Where: where, Reason: unread.Error()})
		}
	}
	for _, p := range s.DenyPoliciesRead() {
		r.After.Deny = append(r.After.Deny, estate.Deny{Policy: p})
	}
	if p, ok := s.Project.Get(); ok && p.ID != "" && p.Number != "" {
		r.After.Nodes = append(r.After.Nodes, estate.Node{Name: "projects/" + p.Number, ID: p.ID, Where: where})
	}
	return nil
}

// hierarchy makes nodes of a list of ancestors, each below the next one.
func (r *reader) hierarchy(list []evidence.Ancestor, where estate.Where) {
	name := func(a evidence.Ancestor) string { return a.Type + "s/" + a.ID }
	for i, a := range list {
		if a.ID == "" {
			continue
		}
		n := estate.Node{Name: name(a), Where: where}
		if i+1 < len(list) && list[i+1].ID != "" {
			n.Parent = name(list[i+1])
		}
		r.After.Nodes = append(r.After.Nodes, n)
	}
}
