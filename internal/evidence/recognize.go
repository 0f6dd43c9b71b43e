package evidence

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"diagnose/internal/credential"
	"diagnose/internal/transcript"
)

// Recognize says what a document is by its content: the flag of Documents that
// takes it. A document that none takes is an error that says what it is, and
// how to get it in a form that can be read. Errors quote no value of it.
func Recognize(data []byte) (flag string, err error) {
	data, err = decodeText(data)
	switch {
	case err != nil:
		return "", err
	case strings.TrimSpace(string(data)) == "":
		return "", errors.New("is empty")
	case serviceAccountKey(data):
		return "", errAccountKey
	case isToken(string(data)):
		return "token-file", nil
	}
	if flag, err := recognizeDocument(data); flag != "" || err != nil {
		return flag, err
	}
	if flag := recognizeText(string(data)); flag != "" {
		return flag, nil
	}
	if _, err := toJSON(data); err != nil && (data[0] == '{' || data[0] == '[') {
		return "", err
	}
	return "", ErrUnrecognized
}

// ErrUnrecognized reports a document that is nothing that diagnose knows.
var ErrUnrecognized = errors.New("is not a document that diagnose reads; it reads a token, a curl command line, " +
	"an answer, a log entry, and what gcloud prints with --format=json or --format=yaml")

// recognizeDocument recognizes what has structure, and what has none and should.
func recognizeDocument(data []byte) (string, error) {
	if line, ok := gcloudError(data); ok {
		return "", fmt.Errorf("is an error of gcloud, not a document: the command failed: %s", line)
	}
	if list, ok := lines(data); ok {
		_, flag := Kind(list[0])
		return flag, nil
	}
	if err := forPeople(data); err != nil {
		return "", err
	}
	doc, err := toJSON(data)
	if err != nil {
		return "", nil
	}
	name, flag := Kind(doc)
	switch list, err := elements(doc); {
	case err == nil && len(list) == 0:
		return "", errors.New("is an empty list, which may be one of anything: give it with a flag, as --deny-policies")
	case flag != "" || name == "":
		return flag, nil
	case name == apiErrorName:
		return "", fmt.Errorf("is an error of a Google API, not a document: the call that it answers failed: %w", refusal(doc))
	}
	return "", foreign(doc, name)
}

// foreign explains a document that is known and that no flag takes.
func foreign(doc []byte, name string) error {
	list, _ := elements(doc)
	if m, err := object(list[0]); err == nil {
		if s, _ := strangerOf(m); s.why != "" {
			return fmt.Errorf("is %s, which is not judged: %s", name, s.why)
		}
	}
	return fmt.Errorf("is %s, which is not judged", name)
}

// recognizeText recognizes what has no structure of its own.
func recognizeText(text string) string {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	_, sent := transcript.Sent(text)
	_, blocked := transcript.Blocked(text)
	_, told := pasted(text)
	switch {
	case lastStatusLine(strings.Split(text, "\n")) >= 0:
		return "response"
	case transcript.IsCurl(text) || sent || blocked:
		return "request"
	case told || isRunLog(text):
		return "log"
	case quoted(text).Status != 0, isPage(text):
		return "response"
	}
	return ""
}

// isPage reports whether a text is the body of an answer: a page, or an object
// that tells of an error.
func isPage(text string) bool {
	var m map[string]json.RawMessage
	if json.Unmarshal([]byte(text), &m) == nil {
		return m["error"] != nil || m["message"] != nil
	}
	lower := strings.ToLower(strings.TrimSpace(text))
	return strings.HasPrefix(lower, "<!doctype html") || strings.HasPrefix(lower, "<html")
}

// bearerLine is a credential with the word before it.
var bearerLine = regexp.MustCompile(`(?i)^["']?(?:(?:x-serverless-)?authorization\s*:\s*)?bearer\s+[^\s"']+["']?$`)

// isToken reports whether a text is a credential alone.
func isToken(text string) bool {
	text = strings.TrimSpace(text)
	if bearerLine.MatchString(text) {
		return true
	}
	if strings.HasPrefix(text, "{") || strings.HasPrefix(text, "[") || len(strings.Fields(text)) > 2*maxWords {
		return false
	}
	switch credential.Decode(text).Kind {
	case credential.None, credential.Opaque, credential.Several:
		return false
	}
	return true
}
