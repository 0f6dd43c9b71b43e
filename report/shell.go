package report

import (
	"regexp"
	"strings"

	"diagnose/checks"
)

// plainWord needs no quotes in a POSIX shell.
var plainWord = regexp.MustCompile(`^[A-Za-z0-9_@%+=:,./-]+$`)

// Quote quotes a word for a POSIX shell, so that nothing in it is expanded.
// Control characters are shown, never sent to a terminal.
func Quote(word string) string {
	word = Clean(word)
	if plainWord.MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// Shell writes a command for a POSIX shell.
func Shell(c checks.Command) string {
	words := make([]string, len(c.Argv))
	for i, a := range c.Argv {
		words[i] = Quote(a)
	}
	s := strings.Join(words, " ")
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

// Clean replaces control characters, which a terminal would obey, and the
// marks that turn the direction of text.
func Clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case r < 0x20 || r >= 0x7f && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 || r == 0xfeff:
			return '\ufffd'
		}
		return r
	}, s)
}

func shells(cs []checks.Command) []string {
	out := make([]string, len(cs))
	for i, c := range cs {
		out[i] = Shell(c)
	}
	return out
}
