package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"diagnose/report"
)

// fail reports an error for people on stderr, and with --format json also as an
// object on stdout, so that a program always reads JSON there. It returns the
// exit code.
func (a *app) fail(err error) int {
	out := report.Failure{SchemaVersion: report.SchemaVersion, Error: report.Problem{Hints: []string{}}}
	out.Error.Message, out.Error.ExitCode = report.Clean(withoutArguments(err.Error(), a.Args)), exitUsage
	var f *failure
	if errors.As(err, &f) {
		out.Error.ExitCode = exitOpen
	}
	var h *hinted
	if errors.As(err, &h) {
		for _, hint := range h.hints {
			if hint != "" {
				out.Error.Hints = append(out.Error.Hints, report.Clean(withoutArguments(hint, a.Args)))
			}
		}
	}
	fmt.Fprintf(a.Stderr, "diagnose: error: %s\n", out.Error.Message)
	for _, hint := range out.Error.Hints {
		fmt.Fprintf(a.Stderr, "diagnose: hint: %s\n", hint)
	}
	if a.wantsJSON() {
		e := json.NewEncoder(a.Stdout)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		_ = e.Encode(out) // stderr has it too
	}
	return out.Error.ExitCode
}

// wantsJSON reports whether the report was to be JSON on stdout, also where the
// flags could not be read to the end.
func (a *app) wantsJSON() bool {
	i := slices.Index(a.Args, "--format")
	asked := a.format == "json" || slices.Contains(a.Args, "--format=json") || i >= 0 && i+1 < len(a.Args) && a.Args[i+1] == "json"
	return asked && a.output == ""
}
