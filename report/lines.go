package report

import (
	"bytes"
	"encoding/json"
	"io"

	"diagnose/checks"
)

// InvokeLine writes a verdict as one line of JSON, with the name of its case.
func InvokeLine(w io.Writer, name string, v checks.Verdict) error {
	return line(w, struct {
		Case string `json:"case"`
		wireVerdict
	}{name, verdictJSON(v)})
}

// FailureLine writes why there is no verdict about a case as one line of JSON.
func FailureLine(w io.Writer, name string, p Problem) error {
	return line(w, struct {
		Case string `json:"case"`
		Failure
	}{name, Failure{schemaVersion, p}})
}

func line(w io.Writer, v any) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err
	}
	return write(w, spelt(b.String()))
}
