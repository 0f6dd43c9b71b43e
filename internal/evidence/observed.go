package evidence

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"regexp"
	"strconv"
	"strings"
	"time"
)

var statusLine = regexp.MustCompile(`^(?:< )?HTTP/[\d.]+ (\d{3})\b`)

// maxBody bounds what is kept of a body.
const maxBody = 64 << 10

// readResponse reads what `curl -i` or `curl -v` prints. Of several answers in
// a row it keeps the last; a text without status line is a body.
func readResponse(s *Snapshot, src Source, data []byte) error {
	text := strings.ReplaceAll(string(data), "\r\n", "\n")
	r := Response{Header: http.Header{}}
	lines := strings.Split(text, "\n")
	start := -1
	verbose := false
	for i, l := range lines {
		if m := statusLine.FindStringSubmatch(l); m != nil && (start < 0 || strings.HasPrefix(l, "< ") || i > 0 && lines[i-1] == "" || i == 0) {
			start, verbose = i, strings.HasPrefix(l, "< ")
			r.Status, _ = strconv.Atoi(m[1])
		}
	}
	if start < 0 {
		r.Body = clipBody(text)
		s.Response = Known(r, src)
		return nil
	}
	i := start + 1
	for ; i < len(lines); i++ {
		line := lines[i]
		if verbose {
			line = strings.TrimSpace(strings.TrimPrefix(line, "<"))
		}
		if strings.TrimSpace(line) == "" {
			i++
			break
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			if verbose {
				continue
			}
			return fmt.Errorf("line %d is no header; expected the answer as curl -i prints it", i+1)
		}
		r.Header.Add(textproto.TrimString(name), textproto.TrimString(value))
	}
	var body []string
	for ; i < len(lines); i++ {
		if verbose && (strings.HasPrefix(lines[i], "* ") || strings.HasPrefix(lines[i], "{ [")) {
			continue
		}
		body = append(body, lines[i])
	}
	r.Body = clipBody(strings.Join(body, "\n"))
	s.Response = Known(r, src)
	return nil
}

func clipBody(s string) string {
	s = strings.TrimSpace(s)
	if len(s) > maxBody {
		return s[:maxBody]
	}
	return s
}

// logEntry is a LogEntry as Cloud Logging prints it.
type logEntry struct {
	LogName, Severity, TextPayload string
	Timestamp                      time.Time
	JSONPayload, ProtoPayload      map[string]any
	Labels                         map[string]string
	Resource                       struct {
		Type   string
		Labels map[string]string
	}
	HTTPRequest struct {
		RequestMethod, RequestURL, UserAgent, RemoteIP string
		Status                                         json.RawMessage
	}
}

func readLogs(s *Snapshot, src Source, data []byte) error {
	list, err := logDocuments(data)
	if err != nil {
		return err
	}
	out := make([]LogEntry, 0, len(list))
	for i, raw := range list {
		var e logEntry
		if err := json.Unmarshal(raw, &e); err != nil {
			return fmt.Errorf("entry %d does not fit a Cloud Logging entry%s", i, typeField(err))
		}
		if e.LogName == "" && e.TextPayload == "" && e.JSONPayload == nil && e.ProtoPayload == nil && e.HTTPRequest.Status == nil {
			return wrongKind(raw, fmt.Errorf("entry %d is no Cloud Logging entry: it has neither logName nor a payload", i), "log")
		}
		status, _ := strconv.Atoi(strings.Trim(string(e.HTTPRequest.Status), `"`))
		l := LogEntry{
			LogName: e.LogName, Severity: e.Severity, Timestamp: e.Timestamp, ResourceType: e.Resource.Type, Labels: map[string]string{},
			Text: e.TextPayload, JSON: e.JSONPayload, Audit: e.ProtoPayload, Method: e.HTTPRequest.RequestMethod, URL: e.HTTPRequest.RequestURL,
			UserAgent: e.HTTPRequest.UserAgent, RemoteIP: e.HTTPRequest.RemoteIP, Status: status,
		}
		for _, labels := range []map[string]string{e.Resource.Labels, e.Labels} {
			for k, v := range labels {
				l.Labels[k] = v
			}
		}
		if m, ok := e.JSONPayload["message"].(string); ok && l.Text == "" {
			l.Text = m
		}
		out = append(out, l)
	}
	s.Logs = Known(out, src)
	return nil
}

// typeField names the field of a JSON type error, and not the value.
func typeField(err error) string {
	var t *json.UnmarshalTypeError
	if errors.As(err, &t) {
		return ": field " + t.Field
	}
	return ""
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
	sc.Buffer(nil, maxMember)
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
