package report

import (
	"regexp"
	"strings"
	"unicode"

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

// Clean makes text of the evidence safe to print in one line: characters that
// a terminal would obey, or that hide or turn text, become U+FFFD, and what
// looks like a secret is taken out.
func Clean(s string) string {
	if harmless(s) {
		return s
	}
	return secret.ReplaceAllString(strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case hidden(r):
			return '\ufffd'
		}
		return r
	}, s), "[secret removed]")
}

// secretMarks start every credential that secret matches.
var secretMarks = []string{"eyJ", "ya29.", "AIza", "GOCSPX-", "1//0", "-----BEGIN"}

// harmless reports quickly of most texts that nothing is to be cleaned.
func harmless(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	for _, m := range secretMarks {
		if strings.Contains(s, m) {
			return false
		}
	}
	return true
}

// hidden reports whether a character shows nothing by itself: a control, a
// format such as the marks that turn the direction of text, a line separator.
func hidden(r rune) bool { return unicode.In(r, unicode.C, unicode.Zl, unicode.Zp) }

// secret matches credentials, which belong in no report wherever the evidence
// carried them: in a URL, a log text, a name.
var secret = regexp.MustCompile(`eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*|ya29\.[A-Za-z0-9_.-]{12,}|AIza[A-Za-z0-9_-]{30,}|` +
	`GOCSPX-[A-Za-z0-9_-]{10,}|1//0[A-Za-z0-9_-]{20,}|-----BEGIN [A-Z ]*PRIVATE KEY-----`)

func shells(cs []checks.Command) []string {
	out := make([]string, len(cs))
	for i, c := range cs {
		out[i] = Shell(c)
	}
	return out
}
