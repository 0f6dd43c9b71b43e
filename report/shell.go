package report

import (
	"strings"
	"unicode"

	"diagnose/checks"
	"diagnose/internal/credential"
	"diagnose/internal/gcp"
)

// Quote quotes a word for a POSIX shell, so that nothing in it is expanded.
// Control characters are shown, never sent to a terminal.
func Quote(word string) string {
	return gcp.Quote(Clean(word))
}

// Shell writes a command for a POSIX shell.
func Shell(c checks.Command) string {
	s := quoted(c.Argv)
	if c.Pipe != nil {
		s += " | " + quoted(c.Pipe)
	}
	if c.WithToken {
		s += ` -H "Authorization: Bearer $TOKEN"`
	}
	if c.Into != "" {
		s = c.Into + "=$(" + s + ")"
	}
	if c.Note != "" {
		s += "  # " + Clean(c.Note)
	}
	return s
}

func quoted(argv []string) string {
	words := make([]string, len(argv))
	for i, a := range argv {
		words[i] = Quote(a)
	}
	return strings.Join(words, " ")
}

// Clean makes text of the evidence safe to print in one line: characters that
// a terminal would obey, or that hide or turn text, become U+FFFD, and what
// looks like a secret is taken out.
func Clean(s string) string {
	if plain(s) {
		return credential.Hide(s)
	}
	return credential.Hide(strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case hidden(r):
			return '\ufffd'
		}
		return r
	}, s))
}

// plain reports quickly of most texts that each character shows itself.
func plain(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}

// hidden reports whether a character shows nothing by itself: a control, a
// format such as the marks that turn the direction of text, a line separator.
func hidden(r rune) bool { return unicode.In(r, unicode.C, unicode.Zl, unicode.Zp) }

func shells(cs []checks.Command) []string {
	out := make([]string, len(cs))
	for i, c := range cs {
		out[i] = Shell(c)
	}
	return out
}
