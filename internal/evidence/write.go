package evidence

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"cloud.google.com/go/iam/apiv1/iampb"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"diagnose/internal/caller"
	"diagnose/internal/credential"
)

func writeJSON(v any) ([]byte, error) {
	data, err := json.MarshalIndent(v, "", "  ")
	return append(data, '\n'), err
}

// writeMessage writes a message. protojson varies its white space on purpose;
// json.Marshal takes it out again.
func writeMessage(m proto.Message) ([]byte, error) {
	raw, err := protojson.Marshal(m)
	if err != nil {
		return nil, err
	}
	return writeJSON(json.RawMessage(raw))
}

func writeFact[M proto.Message](f Fact[M]) ([]byte, error) {
	m, ok := f.Get()
	if !ok {
		return nil, nil
	}
	return writeMessage(m)
}

// listWriter makes the writer of a list of messages.
func listWriter[M proto.Message](field func(*Snapshot) *Fact[[]M]) func(Snapshot) ([]byte, error) {
	return func(s Snapshot) ([]byte, error) {
		list, ok := field(&s).Get()
		if !ok {
			return nil, nil
		}
		out := make([]json.RawMessage, len(list))
		for i, m := range list {
			var err error
			if out[i], err = protojson.Marshal(m); err != nil {
				return nil, err
			}
		}
		return writeJSON(out)
	}
}

func policyWriter(field func(*Snapshot) *policyFact) func(Snapshot) ([]byte, error) {
	return func(s Snapshot) ([]byte, error) { return writeFact(*field(&s)) }
}

func writeCaller(s Snapshot) ([]byte, error) {
	c, ok := s.Caller.Get()
	if !ok {
		return nil, nil
	}
	return writeJSON(caller.Kept(c))
}

func writeTrigger(s Snapshot) ([]byte, error) { return writeFact(s.Trigger) }

func writeIAPSettings(s Snapshot) ([]byte, error) { return writeFact(s.IAPSettings) }

func writeGroups(s Snapshot) ([]byte, error) {
	g, ok := s.Groups.Get()
	if !ok {
		return nil, nil
	}
	return writeJSON(g)
}

func writeProject(s Snapshot) ([]byte, error) {
	p, ok := s.Project.Get()
	if !ok {
		return nil, nil
	}
	return writeJSON(map[string]string{"projectId": p.ID, "projectNumber": p.Number})
}

func writeTags(s Snapshot) ([]byte, error) {
	tags, ok := s.Tags.Get()
	if !ok {
		return nil, nil
	}
	out := []map[string]string{}
	for _, t := range tags {
		out = append(out, map[string]string{"namespacedTagKey": t.NamespacedKey, "namespacedTagValue": t.NamespacedValue,
			"tagKey": t.Key, "tagValue": t.Value})
	}
	return writeJSON(out)
}

// A policyOf is an element of a list of policies.
type policyOf struct {
	ID     string          `json:"id,omitempty"`
	Type   string          `json:"type,omitempty"`
	Name   string          `json:"name,omitempty"`
	Policy json.RawMessage `json:"policy,omitempty"`
}

// setFact sets a policy, or why it was not read.
func (e *policyOf) setFact(f policyFact) error {
	if p, ok := f.Get(); ok {
		return e.set(p)
	}
	var err error
	e.Policy, err = json.Marshal(refusedAs(f.Reason()))
	return err
}

func (e *policyOf) set(p *iampb.Policy) (err error) {
	e.Policy, err = protojson.Marshal(p)
	return err
}

func writeAncestors(s Snapshot) ([]byte, error) {
	list, ok := s.Ancestors.Get()
	if !ok {
		return nil, nil
	}
	if len(list) == 2 && list[0].Policy.Known() && list[1].Missing && list[1].Policy.Reason().Error() == ownPolicyAlone {
		return writeFact(list[0].Policy) // a project's own, read as such again
	}
	out := []policyOf{}
	for _, a := range list {
		e := policyOf{ID: a.ID, Type: a.Type}
		if err := e.setFact(a.Policy); err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return writeJSON(out)
}

func writeAccounts(s Snapshot) ([]byte, error) {
	list, ok := s.Accounts.Get()
	if !ok {
		return nil, nil
	}
	out := make([]policyOf, len(list))
	for i, a := range list {
		out[i].Name = accountName(a.Email)
		if err := out[i].set(a.Policy); err != nil {
			return nil, err
		}
	}
	return writeJSON(out)
}

// writeResponse writes the answer. A status that its body gives needs no
// status line, and may have none: the URL in the body is read again so.
func writeResponse(s Snapshot) ([]byte, error) {
	r, ok := s.Response.Get()
	if !ok {
		return nil, nil
	}
	var b bytes.Buffer
	if r.Status > 0 && (len(r.Header) > 0 || quoted(r.Body).Status != r.Status) {
		fmt.Fprintf(&b, "HTTP/1.1 %d %s\n", r.Status, http.StatusText(r.Status))
		h := r.Header.Clone()
		for name := range h {
			for i, v := range h[name] {
				if h[name][i] = oneLine(credential.Scrub(v)); credential.SecretHeader(name) {
					h[name][i] = blank
				}
			}
		}
		if err := h.Write(&b); err != nil {
			return nil, err
		}
		b.WriteByte('\n')
	}
	b.WriteString(escapeMarkers(strings.ReplaceAll(credential.Scrub(r.Body), "\r", "")) + "\n")
	return bytes.ReplaceAll(b.Bytes(), []byte("\r\n"), []byte("\n")), nil
}

func oneLine(s string) string { return strings.NewReplacer("\r", " ", "\n", " ").Replace(s) }

// escapeMarkers keeps a body from being read as the start of another document
// of a .txtar file.
func escapeMarkers(s string) string {
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, "-- ") && strings.HasSuffix(strings.TrimSpace(l), " --") {
			lines[i] = " " + l
		}
	}
	return strings.Join(lines, "\n")
}
