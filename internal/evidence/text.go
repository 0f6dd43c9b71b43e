package evidence

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"diagnose/internal/credential"
	"diagnose/internal/yamldoc"
)

// decodeText returns a document as UTF-8 without byte order mark. PowerShell
// writes UTF-16 when the output of a command is redirected.
func decodeText(data []byte) ([]byte, error) {
	switch {
	case bytes.HasPrefix(data, []byte{0xEF, 0xBB, 0xBF}):
		data = data[3:]
	case bytes.HasPrefix(data, []byte{0xFF, 0xFE}):
		data = fromUTF16(data[2:], 1) // little-endian: the high byte second
	case bytes.HasPrefix(data, []byte{0xFE, 0xFF}):
		data = fromUTF16(data[2:], 0)
	case len(data) > 3 && len(data)%2 == 0 && data[1] == 0 && data[3] == 0:
		data = fromUTF16(data, 1) // without the mark, as Notepad and iconv write it
	case len(data) > 3 && len(data)%2 == 0 && data[0] == 0 && data[2] == 0:
		data = fromUTF16(data, 0)
	}
	if !utf8.Valid(data) || bytes.IndexByte(data, 0) >= 0 {
		return nil, errNoText
	}
	return withoutProgress(data), nil
}

// progress is what gcloud says on stderr before a document, where both streams
// were saved.
var progress = regexp.MustCompile(`^(?:(?:Updated IAM policy for |Your active configuration is: |WARNING: )[^\r\n]*\r?\n)+`)

// withoutProgress empties the lines before a document, so that lines keep their
// numbers.
func withoutProgress(data []byte) []byte {
	head := progress.Find(data)
	if head == nil || len(bytes.TrimSpace(data[len(head):])) == 0 {
		return data
	}
	return append(bytes.Repeat([]byte("\n"), bytes.Count(head, []byte("\n"))), data[len(head):]...)
}

// errNoText reports a picture, a program, or another encoding.
var errNoText = errors.New("is not a text in UTF-8 or UTF-16")

func fromUTF16(b []byte, high int) []byte {
	units := make([]uint16, 0, len(b)/2)
	for i := 0; i+1 < len(b); i += 2 {
		units = append(units, uint16(b[i+high])<<8|uint16(b[i+1-high]))
	}
	return []byte(string(utf16.Decode(units)))
}

// toJSON returns a JSON document as it is and a YAML document as JSON. Its
// errors give the place and quote no value.
func toJSON(data []byte) ([]byte, error) {
	trimmed := bytes.TrimSpace(data)
	if _, ok := gcloudError(data); ok {
		return nil, errors.New("is an error message of gcloud instead of a document")
	}
	if len(trimmed) > 0 && (trimmed[0] == '{' || trimmed[0] == '[') {
		var v json.RawMessage
		if err := json.Unmarshal(data, &v); err != nil {
			return nil, JSONError(data, err)
		}
		return data, WellFormed(data)
	}
	if err := forPeople(trimmed); err != nil {
		return nil, err
	}
	if list := yamlList(data); list != nil {
		return list, nil
	}
	out, err := yamldoc.JSON(data)
	if err != nil {
		return nil, fmt.Errorf("is neither JSON nor YAML that can be read: it %w", err)
	}
	if o := bytes.TrimSpace(out); len(o) == 0 || (o[0] != '{' && o[0] != '[') {
		return nil, errors.New("is neither a JSON nor a YAML document")
	}
	return out, nil
}

// yamlList returns several documents of one file as a list, which is how gcloud
// prints a list with --format=yaml; nil where there is one document or none.
func yamlList(data []byte) []byte {
	docs, err := yamldoc.Documents(data)
	if err != nil || len(docs) < 2 {
		return nil
	}
	list := make([]json.RawMessage, len(docs))
	for i, d := range docs {
		if list[i] = d.JSON; !bytes.HasPrefix(bytes.TrimSpace(d.JSON), []byte("{")) {
			return nil
		}
	}
	out, err := json.Marshal(list)
	if err != nil {
		return nil
	}
	return out
}

// maxDepth bounds how deep a document nests: deeper than any of Google's.
const maxDepth = 200

// WellFormed refuses a document of JSON in which an object has a key twice, which readers
// take differently, and what nests without end.
func WellFormed(doc []byte) error {
	d := jsontext.NewDecoder(bytes.NewReader(doc), jsontext.AllowInvalidUTF8(true))
	for {
		_, err := d.ReadToken()
		switch {
		case errors.Is(err, jsontext.ErrDuplicateName):
			line := 1 + bytes.Count(doc[:min(int(d.InputOffset()), len(doc))], []byte("\n"))
			return fmt.Errorf("has a key twice in one object, in or after line %d", line)
		case err != nil:
			return nil // the end; whether it is JSON is asked elsewhere
		case d.StackDepth() > maxDepth:
			return fmt.Errorf("nests deeper than %d levels", maxDepth)
		}
	}
}

// JSONError says where a JSON document is broken or cut off, and quotes nothing
// of it.
func JSONError(data []byte, err error) error {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		at := min(int(syntax.Offset), len(data))
		line := 1 + bytes.Count(data[:at], []byte("\n"))
		column := at - (bytes.LastIndexByte(data[:at], '\n') + 1)
		if strings.Contains(syntax.Error(), "unexpected end") {
			return fmt.Errorf("is cut off: the JSON ends in line %d", 1+bytes.Count(bytes.TrimSpace(data), []byte("\n")))
		}
		return fmt.Errorf("is broken JSON in line %d, column %d", line, column)
	}
	return errors.New("is broken JSON")
}

// elements returns the objects of a list, or the one object of a document
// that is none.
func elements(doc []byte, wrappers ...string) ([]json.RawMessage, error) {
	var list []json.RawMessage
	if err := json.Unmarshal(doc, &list); err == nil {
		return list, nil
	}
	var m map[string]json.RawMessage
	if err := json.Unmarshal(doc, &m); err != nil {
		return nil, errors.New("is no JSON object or list")
	}
	for _, w := range wrappers {
		if inner, ok := m[w]; ok {
			if err := json.Unmarshal(inner, &list); err != nil {
				return nil, fmt.Errorf("%s is no list", w)
			}
			return list, nil
		}
	}
	return []json.RawMessage{doc}, nil
}

// single returns the one object of a document: itself, or the only element of
// the list that a gcloud list command prints.
func single(doc []byte) ([]byte, error) {
	list, err := elements(doc)
	if err != nil {
		return nil, err
	}
	if len(list) != 1 {
		return nil, fmt.Errorf("is a list of %d; expected one: use describe instead of list", len(list))
	}
	return list[0], nil
}

func object(doc []byte) (map[string]json.RawMessage, error) {
	var m map[string]json.RawMessage
	if err := json.Unmarshal(doc, &m); err != nil || m == nil {
		return nil, errors.New("is no JSON object")
	}
	return m, nil
}

// decode reads a message as protojson, without the named fields and what the
// message does not know.
func decode(doc []byte, into proto.Message, without ...string) error {
	m, err := object(doc)
	if err != nil {
		return err
	}
	for _, k := range without {
		delete(m, k)
	}
	kept, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(kept, into); err != nil {
		return fmt.Errorf("does not fit %s%s", into.ProtoReflect().Descriptor().FullName(), fieldOf(err))
	}
	return nil
}

var protoField = regexp.MustCompile(`field ([A-Za-z_.]+)`)

// fieldOf names the field of a protojson error, and not the value.
func fieldOf(err error) string {
	if m := protoField.FindStringSubmatch(err.Error()); m != nil {
		return ": field " + m[1]
	}
	return ""
}

// An apiError is the error body that a Google API answers with.
type apiError struct {
	Error struct {
		Code    number
		Status  string
		Message string
	}
}

// A Refusal is the reason of a document in whose place the error of an API
// was saved.
type Refusal struct {
	Code            int // of HTTP
	Status, Message string
}

func (e *Refusal) Error() string { return fmt.Sprintf("%d %s: %s", e.Code, e.Status, e.Message) }

// refusal returns the reason why a document could not be read, where an error
// of gcloud or of an API was saved in its place: that is no empty document. An
// error without a code is what a capture keeps.
func refusal(data []byte) error {
	trimmed := bytes.TrimSpace(data)
	if line, ok := gcloudError(data); ok {
		return errors.New(line)
	}
	var e apiError
	if json.Unmarshal(trimmed, &e) != nil {
		return nil
	}
	if e.Error.Code != 0 {
		return &Refusal{int(e.Error.Code), e.Error.Status, e.Error.Message}
	}
	if m, err := object(trimmed); err == nil && len(m) == 1 && e.Error.Message != "" {
		return errors.New(e.Error.Message)
	}
	return nil
}

// cutShort reports whether a document is one page of a list that goes on.
func cutShort(doc []byte) bool {
	m, err := object(doc)
	return err == nil && text(m, "nextPageToken") != ""
}

// refusedAs writes a reason so that refusal reads it again.
func refusedAs(err error) any {
	out := map[string]any{"message": credential.Scrub(err.Error())}
	var r *Refusal
	if errors.As(err, &r) {
		out = map[string]any{"code": r.Code, "status": r.Status, "message": credential.Scrub(r.Message)}
	}
	return map[string]any{"error": out}
}
