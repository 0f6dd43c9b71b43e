package evidence

import (
	"regexp"
	"strconv"
	"strings"
	"time"
)

// runLine is a line of gcloud run services logs read: when (in UTC), and what
// a request was answered or what the service wrote.
//
// https://docs.cloud.google.com/sdk/gcloud/reference/run/services/logs/read
var runLine = regexp.MustCompile(`^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(?:\.\d+)? (?:([A-Z]{3,7}) (\d{3}) (https?://\S+)|(.*))$`)

// isRunLog reports whether a text is what gcloud run services logs read prints.
func isRunLog(text string) bool { return len(runLog(text)) > 0 }

// runLog reads what gcloud run services logs read prints; nil where a text
// shows no request like that. A line without a time goes on with the one above.
// The text that Cloud Run writes about a refusal belongs to the request above
// it.
func runLog(text string) []LogEntry {
	var out []LogEntry
	requests := 0
	for _, line := range strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n") {
		m := runLine.FindStringSubmatch(line)
		switch {
		case m == nil && len(out) == 0 && strings.TrimSpace(line) != "":
			return nil
		case m == nil && len(out) > 0:
			last := &out[len(out)-1]
			last.Text = strings.TrimSpace(last.Text + "\n" + line)
			continue
		case m == nil:
			continue
		}
		e := LogEntry{Method: m[2], URL: m[4], Text: m[5], Labels: map[string]string{}, LogName: runLogs + "stdout"}
		e.Timestamp, _ = time.Parse(time.DateTime, m[1])
		if m[2] != "" {
			requests++
			e.Status, _ = strconv.Atoi(m[3])
			e.LogName, e.ResourceType = runLogs+"requests", "cloud_run_revision"
		}
		if n := len(out); e.Status == 0 && n > 0 && out[n-1].Status != 0 && statusOfLog(e.Text) == out[n-1].Status {
			out[n-1].Text = e.Text
			continue
		}
		out = append(out, e)
	}
	if requests == 0 {
		return nil
	}
	return out
}

// runLogs starts the names of the logs of a service, whose project is not shown.
const runLogs = "logs/run.googleapis.com%2F"
