package evidence

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"cloud.google.com/go/eventarc/apiv1/eventarcpb"
	"cloud.google.com/go/iam/admin/apiv1/adminpb"
)

func roleFact(s *Snapshot) *Fact[[]*adminpb.Role] { return &s.Roles }

func readRoles(s *Snapshot, src Source, data []byte) error {
	return into(&s.Roles, src, data, func(doc []byte) ([]*adminpb.Role, error) {
		list, err := elements(doc, "roles")
		if err != nil {
			return nil, err
		}
		var out []*adminpb.Role
		for i, raw := range list {
			r := &adminpb.Role{}
			if _, flag := Kind(raw); flag != "roles" && flag != "" {
				return nil, wrongKind(raw, nil, "roles")
			}
			if err := decode(raw, r, "etag"); err != nil {
				return nil, fmt.Errorf("element %d %w", i, err)
			}
			if r.GetName() == "" {
				return nil, wrongKind(doc, fmt.Errorf("element %d has no name; expected an IAM role", i), "roles")
			}
			out = append(out, r)
		}
		return out, nil
	})
}

func readTrigger(s *Snapshot, src Source, data []byte) error {
	return into(&s.Trigger, src, data, func(doc []byte) (*eventarcpb.Trigger, error) {
		doc, err := single(doc)
		if err != nil {
			return nil, err
		}
		if err := require(doc, "trigger"); err != nil {
			return nil, err
		}
		t := &eventarcpb.Trigger{}
		return t, decode(doc, t, "etag")
	})
}

func readProject(s *Snapshot, src Source, data []byte) error {
	return into(&s.Project, src, data, func(doc []byte) (Project, error) {
		doc, err := single(doc)
		if err != nil {
			return Project{}, err
		}
		var in struct {
			ProjectID           string
			ProjectNumber, Name word
		}
		if err := json.Unmarshal(doc, &in); err != nil {
			return Project{}, fits(err, "the project")
		}
		p := Project{ID: in.ProjectID, Number: string(in.ProjectNumber)}
		if name := string(in.Name); p.Number == "" && strings.HasPrefix(name, "projects/") {
			p.Number = strings.TrimPrefix(name, "projects/") // Resource Manager v3
		}
		if p.ID == "" && p.Number == "" {
			return p, wrongKind(doc, errors.New("has neither projectId nor projectNumber; expected the project"), "project-file")
		}
		if strings.Trim(p.Number, "0123456789") != "" {
			return p, errors.New("projectNumber is not a number; expected the project")
		}
		return p, nil
	})
}

func readTags(s *Snapshot, src Source, data []byte) error {
	return into(&s.Tags, src, data, func(doc []byte) ([]Tag, error) {
		list, err := elements(doc, "effectiveTags", "tags")
		if err != nil {
			return nil, err
		}
		out := []Tag{}
		for i, raw := range list {
			var t struct{ NamespacedTagKey, NamespacedTagValue, TagKey, TagValue string }
			if err := json.Unmarshal(raw, &t); err != nil || t.NamespacedTagKey+t.TagKey == "" && string(raw) != "{}" {
				return nil, wrongKind(doc, fmt.Errorf("element %d has neither namespacedTagKey nor tagKey; expected %s", i, what("tags")), "tags")
			}
			if t.NamespacedTagKey+t.TagKey != "" {
				out = append(out, Tag{t.NamespacedTagKey, t.NamespacedTagValue, t.TagKey, t.TagValue})
			}
		}
		return out, nil
	})
}
