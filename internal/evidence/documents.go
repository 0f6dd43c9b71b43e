package evidence

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"cloud.google.com/go/eventarc/apiv1/eventarcpb"
	"cloud.google.com/go/iam/admin/apiv1/adminpb"
	"cloud.google.com/go/iam/apiv1/iampb"
	denypb "cloud.google.com/go/iam/apiv2/iampb"
)

type policyFact = Fact[*iampb.Policy]

// policyReader makes the reader of one allow policy.
func policyReader(field func(*Snapshot) *policyFact) func(*Snapshot, Source, []byte) error {
	return func(s *Snapshot, src Source, data []byte) error {
		if err := refusal(data); err != nil {
			*field(s) = Unknown[*iampb.Policy](err, src)
			return nil
		}
		doc, err := toJSON(data)
		if err != nil {
			return err
		}
		p, err := AllowPolicy(doc)
		if err != nil {
			return err
		}
		*field(s) = Known(p, src)
		return nil
	}
}

// AllowPolicy reads an allow policy as get-iam-policy prints it. An object
// without bindings is the policy that grants nothing.
func AllowPolicy(doc []byte) (*iampb.Policy, error) {
	m, err := object(doc)
	if err != nil {
		return nil, errors.New(`holds a list; expected an allow policy: {"bindings":[…]}, without --flatten`)
	}
	if _, ok := m["bindings"]; !ok {
		if _, flag := Kind(doc); len(m) > 0 && flag != "policy" {
			return nil, wrongKind(doc, errors.New(`is not recognized; expected an allow policy: {"bindings":[…]}`), "policy")
		}
	}
	p := &iampb.Policy{}
	if err := decode(doc, p, "etag", "auditConfigs"); err != nil {
		return nil, err
	}
	for i, b := range p.GetBindings() {
		if b.GetRole() == "" {
			return nil, fmt.Errorf("bindings[%d] has no role; expected an allow policy", i)
		}
	}
	return p, nil
}

func readAncestors(s *Snapshot, src Source, data []byte) error {
	if err := refusal(data); err != nil {
		s.Ancestors = Unknown[[]Ancestor](err, src)
		return nil
	}
	doc, err := toJSON(data)
	if err != nil {
		return err
	}
	list, err := elements(doc)
	if err != nil {
		return err
	}
	out := make([]Ancestor, 0, len(list))
	for i, raw := range list {
		var a struct {
			ID     json.RawMessage `json:"id"`
			Type   string          `json:"type"`
			Policy json.RawMessage `json:"policy"`
		}
		if err := json.Unmarshal(raw, &a); err != nil || !slices.Contains([]string{"project", "folder", "organization"}, a.Type) {
			return wrongKind(doc, fmt.Errorf(`element %d is no {"id","type":"project|folder|organization","policy"}; expected %s`, i, what["ancestor-policies"]), "ancestor-policies")
		}
		anc := Ancestor{ID: strings.Trim(string(a.ID), `"`), Type: a.Type, Policy: Unknown[*iampb.Policy](errors.New("the policy is not in the list"), src.At(fmt.Sprintf("/%d", i)))}
		if at := src.At(fmt.Sprintf("/%d/policy", i)); len(a.Policy) > 0 && string(a.Policy) != "null" {
			if err := refusal(a.Policy); err != nil {
				anc.Policy = Unknown[*iampb.Policy](err, at)
			} else if p, err := AllowPolicy(a.Policy); err != nil {
				return fmt.Errorf("policy of %s %s: %w", a.Type, anc.ID, err)
			} else {
				anc.Policy = Known(p, at)
			}
		}
		out = append(out, anc)
	}
	s.Ancestors = Known(out, src)
	return nil
}

func readDenyPolicies(s *Snapshot, src Source, data []byte) error {
	if err := refusal(data); err != nil {
		s.DenyPolicies = Unknown[[]*denypb.Policy](err, src)
		return nil
	}
	doc, err := toJSON(data)
	if err != nil {
		return err
	}
	list, err := elements(doc, "policies")
	if err != nil {
		return err
	}
	out := make([]*denypb.Policy, 0, len(list))
	for i, raw := range list {
		if len(raw) <= 2 && len(list) == 1 && string(doc) != "" && doc[0] == '{' {
			break // {} is what listing no policies prints
		}
		if err := require(raw, "deny-policies"); err != nil {
			return fmt.Errorf("element %d %w", i, err)
		}
		p := &denypb.Policy{}
		if err := decode(raw, p, "etag", "createTime", "updateTime"); err != nil {
			return fmt.Errorf("element %d %w", i, err)
		}
		if len(p.GetRules()) == 0 {
			// A list of policies leaves their rules out.
			s.DenyPolicies = Unknown[[]*denypb.Policy](UnreadRules{[]string{p.GetName()}}, src)
			return nil
		}
		out = append(out, p)
	}
	s.DenyPolicies = Known(out, src)
	return nil
}

func readRoles(s *Snapshot, src Source, data []byte) error {
	if err := refusal(data); err != nil {
		s.Roles = Unknown[[]*adminpb.Role](err, src)
		return nil
	}
	doc, err := toJSON(data)
	if err != nil {
		return err
	}
	list, err := elements(doc, "roles")
	if err != nil {
		return err
	}
	var out []*adminpb.Role
	for i, raw := range list {
		r := &adminpb.Role{}
		if err := decode(raw, r, "etag"); err != nil {
			return fmt.Errorf("element %d %w", i, err)
		}
		if r.GetName() == "" {
			return wrongKind(doc, fmt.Errorf("element %d has no name; expected an IAM role", i), "roles")
		}
		out = append(out, r)
	}
	s.Roles = Known(out, src)
	return nil
}

func readGroups(s *Snapshot, src Source, data []byte) error {
	doc, err := toJSON(data)
	if err != nil {
		return err
	}
	var groups map[string][]string
	if err := json.Unmarshal(doc, &groups); err != nil {
		return wrongKind(doc, errors.New(`is no list of members by group: expected {"group:eng@example.com":["user:a@example.com"]}`), "groups")
	}
	for k := range groups {
		if !strings.HasPrefix(k, "group:") && !strings.HasPrefix(k, "domain:") {
			return wrongKind(doc, errors.New(`has a key that is no group: or domain: member; expected {"group:eng@example.com":["user:a@example.com"]}`), "groups")
		}
	}
	s.Groups = Known(groups, src)
	return nil
}

func readTrigger(s *Snapshot, src Source, data []byte) error {
	doc, err := toJSON(data)
	if err != nil {
		return err
	}
	if doc, err = single(doc); err != nil {
		return err
	}
	if err := require(doc, "trigger"); err != nil {
		return err
	}
	t := &eventarcpb.Trigger{}
	if err := decode(doc, t, "etag"); err != nil {
		return err
	}
	s.Trigger = Known(t, src)
	return nil
}

func readProject(s *Snapshot, src Source, data []byte) error {
	doc, err := toJSON(data)
	if err != nil {
		return err
	}
	if doc, err = single(doc); err != nil {
		return err
	}
	m, err := object(doc)
	if err != nil {
		return err
	}
	p := Project{ID: text(m, "projectId"), Number: strings.Trim(string(m["projectNumber"]), `"`)}
	if name := text(m, "name"); p.Number == "" && strings.HasPrefix(name, "projects/") {
		p.Number = strings.TrimPrefix(name, "projects/") // Resource Manager v3
	}
	if p.ID == "" && p.Number == "" {
		return wrongKind(doc, errors.New("has neither projectId nor projectNumber; expected the project"), "project-file")
	}
	if strings.Trim(p.Number, "0123456789") != "" {
		return errors.New("projectNumber is no number; expected the project")
	}
	s.Project = Known(p, src)
	return nil
}

func readTags(s *Snapshot, src Source, data []byte) error {
	doc, err := toJSON(data)
	if err != nil {
		return err
	}
	list, err := elements(doc, "effectiveTags", "tags")
	if err != nil {
		return err
	}
	out := []Tag{}
	for i, raw := range list {
		var t struct{ NamespacedTagKey, NamespacedTagValue, TagKey, TagValue string }
		if err := json.Unmarshal(raw, &t); err != nil || t.NamespacedTagKey+t.TagKey == "" && string(raw) != "{}" {
			return wrongKind(doc, fmt.Errorf("element %d has neither namespacedTagKey nor tagKey; expected %s", i, what["tags"]), "tags")
		}
		if t.NamespacedTagKey+t.TagKey != "" {
			out = append(out, Tag{t.NamespacedTagKey, t.NamespacedTagValue, t.TagKey, t.TagValue})
		}
	}
	s.Tags = Known(out, src)
	return nil
}

// UnreadRules is why deny policies are unknown that are known to be there: a
// list of policies names them and leaves their rules out.
type UnreadRules struct {
	Names []string // resource names
}

func (u UnreadRules) Error() string {
	return "the rules of " + strings.Join(u.Names, ", ") + " are not shown: read them with gcloud iam policies get"
}
