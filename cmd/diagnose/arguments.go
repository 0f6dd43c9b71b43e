package main

import (
	"regexp"
	"strconv"
	"strings"

	"diagnose/internal/gcp"
)

// withoutArguments takes out of an error the arguments that may be a secret
// given by mistake: an error repeats what was not found, and errors are kept
// in logs.
func withoutArguments(text string, args []string) string {
	for _, a := range args {
		if name, value, ok := strings.Cut(a, "="); ok && strings.HasPrefix(name, "--") {
			a = value
		}
		if !maybeSecret(a) {
			continue
		}
		quoted := strconv.Quote(a)
		for _, spelling := range append([]string{a, quoted[1 : len(quoted)-1]}, strings.Split(a, "\n")...) {
			if len(strings.TrimSpace(spelling)) >= shortestSecret {
				text = strings.ReplaceAll(text, spelling, gcp.Hidden)
			}
		}
	}
	return text
}

// shortestSecret is less than any secret worth hiding has.
const shortestSecret = 8

var (
	// random fits a word of one piece that is no name of a resource or file:
	// those are in lower case, or end as files do.
	random = regexp.MustCompile(`^[A-Za-z0-9+/=_~-]{8,}$`)
	hex    = regexp.MustCompile(`^[0-9a-f]{24,}$`)
)

// maybeSecret reports whether an argument looks like no name, address or
// moment that one would give: a part of a key file, a PEM, a random word.
func maybeSecret(a string) bool {
	if strings.ContainsAny(a, "\n{}\"") || strings.Contains(a, "-----") {
		return true
	}
	if hex.MatchString(a) {
		return true
	}
	upper := strings.ContainsAny(a, "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
	digit := strings.ContainsAny(a, "0123456789")
	path := strings.HasPrefix(a, "/") || strings.HasPrefix(a, "-")
	return random.MatchString(a) && upper && digit && !path
}
