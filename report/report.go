// Package report writes verdicts for people and for programs. It judges
// nothing: every sentence about access is in the verdict.
package report

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"diagnose/checks"
)

// A Style says how text is laid out. The zero Style is plain text of 80
// columns.
type Style struct {
	Color   bool
	ASCII   bool // no symbols beyond ASCII
	Verbose bool // every check, not only what matters
	Width   int  // columns; 0 is 80
}

// Formats lists the formats of Invoke and the other reports.
var Formats = []string{"table", "json", "markdown", "html"}

// CheckFormat returns an error that lists the formats where f is none of them.
func CheckFormat(f string, formats []string) error {
	if !slices.Contains(formats, f) {
		return fmt.Errorf("unknown format %q; the formats are %s", f, strings.Join(formats, ", "))
	}
	return nil
}

// Invoke writes a verdict in a format.
func Invoke(w io.Writer, format string, v checks.Verdict, st Style) error {
	switch format {
	case "json":
		return writeJSON(w, verdictJSON(v))
	case "markdown":
		return write(w, markdown(v))
	case "html":
		return writeHTML(w, "Invocation: "+v.Decision.String(), markdown(v))
	}
	return verdictText(v, st).send(w)
}

func write(w io.Writer, s string) error {
	_, err := io.WriteString(w, s)
	return err
}
