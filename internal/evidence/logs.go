package evidence

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// logEntry is a LogEntry as Cloud Logging prints it.
//
// https://docs.cloud.google.com/logging/docs/reference/v2/rest/v2/LogEntry
type logEntry struct {
	LogName, Severity, TextPayload string
	Trace, InsertID                string
	Timestamp                      time.Time
	JSONPayload, ProtoPayload      map[string]any
	Labels                         map[string]word
	Resource                       struct {
		Type   string
		Labels map[string]word
	}
	HTTPRequest *struct {
		RequestMethod, RequestURL, UserAgent string
		Status                               number
	}
}

func readLogs(s *Snapshot, src Source, data []byte) error {
	if e, ok := pasted(string(data)); ok {
		s.Logs = Known([]LogEntry{e}, src)
		return nil
	}
	if list := runLog(string(data)); len(list) > 0 {
		s.Logs = Known(list, src)
		return nil
	}
	list, err := logDocuments(data)
	if err != nil {
		return err
	}
	out := make([]LogEntry, 0, len(list))
	for i, raw := range list {
		var e logEntry
		if err := json.Unmarshal(raw, &e); err != nil {
			return fmt.Errorf("entry %d: %w", i, fits(err, "a Cloud Logging entry"))
		}
		if e.LogName == "" && e.TextPayload == "" && e.JSONPayload == nil && e.ProtoPayload == nil && e.HTTPRequest == nil {
			return wrongKind(raw, fmt.Errorf("entry %d is not a Cloud Logging entry: it has neither logName nor a payload", i), "log")
		}
		out = append(out, e.entry())
	}
	s.Logs = Known(out, src)
	return nil
}

func (e logEntry) entry() LogEntry {
	l := LogEntry{
		LogName: e.LogName, Severity: e.Severity, Timestamp: e.Timestamp, ResourceType: e.Resource.Type,
		Labels: wordsOf(e.Resource.Labels), Text: e.TextPayload, JSON: e.JSONPayload, Audit: e.ProtoPayload,
		Trace: e.Trace, InsertID: e.InsertID, Change: policyChange(e.ProtoPayload),
	}
	if r := e.HTTPRequest; r != nil {
		l.Method, l.URL, l.UserAgent, l.Status = r.RequestMethod, r.RequestURL, r.UserAgent, int(r.Status)
	}
	for k, v := range e.Labels {
		l.Labels[k] = string(v)
	}
	if m, ok := e.JSONPayload["message"].(string); ok && l.Text == "" {
		l.Text = m
	}
	if l.Status == 0 && e.HTTPRequest == nil && strings.HasSuffix(e.LogName, "run.googleapis.com%2Frequests") {
		l.Status = statusOfLog(l.Text)
	}
	return l
}

// statusOfLog is the status that goes with a text of Cloud Run's, 0 where it
// is none of them.
func statusOfLog(text string) int {
	for _, t := range logTexts {
		if r, ok := t.in(text); ok {
			return r.Status
		}
	}
	return 0
}

// pasted reads an entry as the console shows it with its fields folded, which
// is no document: "httpRequest: {10}". It is known by Cloud Run's own words.
func pasted(text string) (LogEntry, bool) {
	status := statusOfLog(text)
	if status == 0 || strings.HasPrefix(strings.TrimSpace(text), "{") || strings.HasPrefix(strings.TrimSpace(text), "[") {
		return LogEntry{}, false
	}
	if doc, err := toJSON([]byte(text)); err == nil && !folded(doc) {
		return LogEntry{}, false
	}
	e := LogEntry{Text: clipBody(text), Status: status, Labels: map[string]string{}}
	for _, line := range strings.Split(text, "\n") {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		value = strings.Trim(strings.TrimSpace(value), `"',`)
		switch name {
		case "logName":
			e.LogName = value
		case "severity":
			e.Severity = value
		case "insertId":
			e.InsertID = value
		case "trace":
			e.Trace = value
		case "textPayload":
			e.Text = value
		case "timestamp":
			e.Timestamp, _ = time.Parse(time.RFC3339Nano, value)
		}
	}
	return e, true
}

// folded reports whether a field of an entry shows its number of fields in
// their place.
func folded(doc []byte) bool {
	m, err := object(doc)
	if err != nil {
		return false
	}
	for _, name := range []string{"httpRequest", "resource", "labels", "jsonPayload", "protoPayload"} {
		fields, err := object(m[name])
		for k := range fields {
			if strings.Trim(k, "0123456789") == "" && err == nil && len(fields) == 1 {
				return true
			}
		}
	}
	return false
}

// policyChange reads what an audit entry says of a changed allow policy, nil
// where it is of another method.
func policyChange(audit map[string]any) *PolicyChange {
	var in struct {
		ResourceName          string
		AuthenticationInfo    struct{ PrincipalEmail string }
		RequestMetadata       struct{ CallerSuppliedUserAgent string }
		ServiceData, Metadata struct {
			PolicyDelta struct{ BindingDeltas []BindingDelta }
		}
	}
	raw, err := json.Marshal(audit)
	if method, _ := audit["methodName"].(string); err != nil || !strings.HasSuffix(method, "SetIamPolicy") {
		return nil
	}
	// What another form leaves unread stays empty.
	if err := json.Unmarshal(raw, &in); err != nil {
		in.ServiceData.PolicyDelta.BindingDeltas = nil
	}
	return &PolicyChange{
		By: in.AuthenticationInfo.PrincipalEmail, UserAgent: in.RequestMetadata.CallerSuppliedUserAgent,
		Resource: in.ResourceName,
		Deltas:   append(in.ServiceData.PolicyDelta.BindingDeltas, in.Metadata.PolicyDelta.BindingDeltas...),
	}
}

// logDocuments splits a log document: one entry, a list, the answer of
// entries.list, or one entry a line.
func logDocuments(data []byte) ([]json.RawMessage, error) {
	if list, ok := lines(data); ok {
		return list, nil
	}
	doc, err := toJSON(data)
	if err != nil {
		return nil, err
	}
	return elements(doc, "entries")
}

// lines returns the entries of a document with one entry a line.
func lines(data []byte) ([]json.RawMessage, bool) {
	var out []json.RawMessage
	sc := bufio.NewScanner(bytes.NewReader(data))
	sc.Buffer(nil, MaxDocument)
	for sc.Scan() {
		line := bytes.TrimSpace(sc.Bytes())
		if len(line) == 0 {
			continue
		}
		if line[0] != '{' || !json.Valid(line) {
			return nil, false
		}
		out = append(out, bytes.Clone(line))
	}
	return out, len(out) > 1 && sc.Err() == nil
}
