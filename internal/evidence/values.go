package evidence

import (
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"strings"
)

// A number is an integer as people and tools spell it: 100, 100.0, 1e2 or
// "100". null leaves it as it is.
type number int64

func (n *number) UnmarshalJSON(data []byte) error {
	text := strings.Trim(string(data), `"`)
	if text == "null" || text == "" {
		return nil
	}
	if i, err := strconv.ParseInt(text, 10, 64); err == nil {
		*n = number(i)
		return nil
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
		return errors.New("is not an integer")
	}
	*n = number(f)
	return nil
}

// A word is a text, or a number or boolean that stands in the place of one, as
// where YAML is written without quotes. null leaves it as it is.
type word string

func (w *word) UnmarshalJSON(data []byte) error {
	switch data[0] {
	case '"':
		return json.Unmarshal(data, (*string)(w))
	case '{', '[':
		return errors.New("is not a text")
	}
	if string(data) != "null" {
		*w = word(data)
	}
	return nil
}

func wordsOf(m map[string]word) map[string]string {
	out := map[string]string{}
	for k, v := range m {
		out[k] = string(v)
	}
	return out
}

// Truth reads a boolean in any of its usual spellings: true, True, 'true', 1,
// t, and their opposites. ok is false for every other word, which says
// nothing: neither yes nor no.
//
// https://pkg.go.dev/strconv#ParseBool
func Truth(text string) (value, ok bool) {
	b, err := strconv.ParseBool(strings.ToLower(strings.TrimSpace(text)))
	return b, err == nil
}

// fits explains a document that does not fit the Go value it is read into: it
// names the field, and not its value.
func fits(err error, what string) error {
	var t *json.UnmarshalTypeError
	if errors.As(err, &t) && t.Field != "" {
		return errors.New("field " + documentName(t.Field) + " has an unexpected form; expected " + what)
	}
	return errors.New("does not fit " + what)
}

// documentName spells a path of Go fields as documents do.
func documentName(field string) string {
	parts := strings.Split(field, ".")
	for i, p := range parts {
		if len(p) > 1 && p[1] >= 'a' && p[1] <= 'z' {
			parts[i] = strings.ToLower(p[:1]) + p[1:]
		} else if strings.ToUpper(p) == p {
			parts[i] = strings.ToLower(p)
		}
	}
	return strings.Join(parts, ".")
}

// into reads a document of the case into its fact. An error of an API or of
// gcloud in its place makes the fact unknown for that reason.
func into[T any](fact *Fact[T], src Source, data []byte, parse func([]byte) (T, error)) error {
	if err := refusal(data); err != nil {
		*fact = Unknown[T](err, src)
		return nil
	}
	doc, err := toJSON(data)
	if err != nil {
		return err
	}
	v, err := parse(doc)
	if err != nil {
		return err
	}
	*fact = Known(v, src)
	return nil
}
