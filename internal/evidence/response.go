package evidence

import (
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"diagnose/internal/transcript"
)

var statusLine = regexp.MustCompile(`^(?:< )?HTTP/[\d.]+ (\d{3})\b`)

// maxBody bounds what is kept of a body, in bytes.
const maxBody = 64 << 10

// readResponse reads what `curl -i` or `curl -v` prints. Of several answers in
// a row it keeps the last; of curl -v the request is none of the answer. A text
// without status line is the body of a page, or what a client reports: the
// status is the one that it tells, if any.
func readResponse(s *Snapshot, src Source, data []byte) error {
	text := strings.ReplaceAll(string(data), "\r\n", "\n")
	lines := strings.Split(text, "\n")
	if start := lastStatusLine(lines); start >= 0 {
		return s.takeAnswer(lines, start, src)
	}
	if name, _ := Kind(data); name == harName {
		e, err := transcript.HAR(data, func(host string) bool { return slices.Contains(s.asked, strings.ToLower(host)) })
		if err != nil {
			return err
		}
		s.takeExchange(e, src)
		return nil
	}
	if otherDocument(data) {
		return wrongKind(data, nil, "response")
	}
	if err := forPeople(data); err != nil {
		return err
	}
	r := quoted(text)
	if r.Status == 0 && transcript.IsCurl(text) {
		return errors.New("is a curl command line, not the answer to it: run it with -i and pass what it prints")
	}
	r.Header, r.Body = http.Header{}, clipBody(text)
	s.Response = Known(r, src)
	return nil
}

// takeAnswer adds the answer that starts at a line, and the request before it,
// as curl -v shows it or as it was typed.
func (s *Snapshot) takeAnswer(lines []string, start int, src Source) error {
	r, err := answer(lines[start:], start)
	if err != nil {
		return err
	}
	if e, ok := written(strings.Join(lines[:start], "\n")); ok {
		r.URL = e.URL
		s.takeExchange(e, src)
	}
	s.Response = Known(r, src)
	return nil
}

// otherDocument reports whether a text is a document of another kind, and not
// a body of a few fields that those have too.
func otherDocument(data []byte) bool {
	name, flag := Kind(data)
	return name != "" && name != apiErrorName && !slices.Contains([]string{"request", "claims", "project-file"}, flag)
}

// lastStatusLine returns the index of the status line of the last answer, -1
// where there is none. One in the midst of a body is none.
func lastStatusLine(lines []string) int {
	start := -1
	for i, l := range lines {
		if statusLine.MatchString(l) && (start < 0 || strings.HasPrefix(l, "< ") || lines[i-1] == "") {
			start = i
		}
	}
	return start
}

// answer reads an answer from its status line on, which is a line of the
// document, for errors.
func answer(lines []string, line int) (Response, error) {
	verbose := strings.HasPrefix(lines[0], "< ")
	r := Response{Header: http.Header{}}
	r.Status, _ = strconv.Atoi(statusLine.FindStringSubmatch(lines[0])[1])
	i := 1
	for ; i < len(lines); i++ {
		text, of := strings.CutPrefix(lines[i], "<")
		if verbose && !of {
			continue // what curl says between the headers
		}
		if strings.TrimSpace(text) == "" {
			i++
			break
		}
		name, value, ok := strings.Cut(text, ":")
		if !ok && verbose {
			continue
		}
		if !ok {
			return r, fmt.Errorf("line %d is not a header; expected the answer as curl -i prints it", line+i+1)
		}
		r.Header.Add(textproto.TrimString(name), textproto.TrimString(value))
	}
	r.Date, _ = http.ParseTime(r.Header.Get("Date"))
	var body []string
	for ; i < len(lines); i++ {
		if !verbose || !strings.HasPrefix(lines[i], "* ") && !strings.HasPrefix(lines[i], "{ [") && !strings.HasPrefix(lines[i], "} [") {
			body = append(body, lines[i])
		}
	}
	r.Body = clipBody(strings.Join(body, "\n"))
	return r, nil
}

func clipBody(s string) string {
	s = strings.TrimSpace(s)
	if len(s) > maxBody {
		return strings.ToValidUTF8(s[:maxBody], "")
	}
	return s
}
