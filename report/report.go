// Package report writes verdicts for people and for programs. It judges
// nothing: every sentence about access is in the verdict.
package report

import (
	"io"

	"diagnose/checks"
)

// A Style says how text is laid out. The zero Style is plain text of 80
// columns.
type Style struct {
	Color   bool
	ASCII   bool // no symbols beyond ASCII
	Verbose bool // every check, not only what matters
	Width   int  // columns; 0 is 80
	// Command is the user's own command line, word by word, to be repeated
	// with what is missing; nil is "diagnose invoke".
	Command []string
}

// Invoke writes a verdict in a format.
func Invoke(w io.Writer, format string, v checks.Verdict, st Style) error {
	data := func() any { return verdictJSON(v) }
	return emit(w, format, data, func() *page { return verdictPage(v, st) }, st)
}

func write(w io.Writer, s string) error {
	_, err := io.WriteString(w, s)
	return err
}
