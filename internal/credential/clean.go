package credential

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// A repair undoes one kind of damage that copying does to a credential. It
// returns its argument where there is none.
type repair struct {
	found string // what was found, in words
	undo  func(string) string
}

var (
	headerName = regexp.MustCompile(`(?i)^((x-serverless-|proxy-)?authorization)\s*[:=]\s*`)
	bearerWord = regexp.MustCompile(`(?i)^bearer(\s+|\s*[:=]\s*|$)`)
)

const bearerFound = `the token starts with "Bearer"`

var repairs = []repair{
	{"the token starts with a byte order mark", func(s string) string { return strings.TrimPrefix(s, "\ufeff") }},
	{`the token starts with "Authorization:"`, func(s string) string { return headerName.ReplaceAllString(s, "") }},
	{bearerFound, func(s string) string { return bearerWord.ReplaceAllString(s, "") }},
	{"the token is in quotation marks", func(s string) string { return strings.Trim(s, "\"'`“”‘’") }},
	{"a comma or semicolon follows the token", func(s string) string { return strings.TrimRight(s, ",;") }},
	{"the token is URL-encoded", unescape},
}

func unescape(s string) string {
	if !strings.Contains(s, "%2E") && !strings.Contains(s, "%2e") {
		return s
	}
	if t, err := url.PathUnescape(s); err == nil {
		return t
	}
	return s
}

// clean undoes what copying does to a credential, and says what it undid. What
// a file needs anyway, such as its last line break, is no damage.
func clean(raw string) (value string, found []string, several bool) {
	s, bearers := strings.TrimSpace(raw), 0
	for {
		s, found, bearers = trimEnds(s, found, bearers)
		fields := strings.FieldsFunc(s, separates)
		if countTokens(fields) > 1 {
			return s, found, true
		}
		t := strings.Join(fields, "")
		if t == s {
			break
		}
		found, s = note(found, inside(s)), t
	}
	if i := slices.Index(found, bearerFound); bearers > 1 {
		found[i] = `the token starts with "Bearer" twice`
	}
	return s, found, false
}

// trimEnds repeats the repairs until none applies. Each one that does shortens
// the text, so this ends.
func trimEnds(s string, found []string, bearers int) (string, []string, int) {
	for again := true; again; {
		again = false
		for _, r := range repairs {
			t := strings.TrimSpace(r.undo(s))
			if len(t) >= len(s) {
				continue
			}
			if r.found == bearerFound {
				bearers++
			}
			s, again, found = t, true, note(found, r.found)
		}
	}
	return s, found, bearers
}

func note(list []string, what string) []string {
	if slices.Contains(list, what) {
		return list
	}
	return append(list, what)
}

// separates reports whether a character cannot be part of a token: white
// space, a comma, or one of those that cannot be seen.
func separates(r rune) bool {
	return r == ',' || r == ';' || unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r)
}

func inside(s string) string {
	switch {
	case strings.ContainsAny(s, "\r\n"):
		return "the token has a line break in it"
	case strings.IndexFunc(s, unicode.IsSpace) >= 0:
		return "the token has white space in it"
	case strings.ContainsAny(s, ",;"):
		return "the token has a comma or semicolon in it"
	}
	return "the token has invisible characters in it"
}

// countTokens counts the fields that are a whole token, and a scheme in the
// middle, which starts another one.
func countTokens(fields []string) int {
	n, schemes := 0, 0
	for i, f := range fields {
		switch {
		case jwtStart.MatchString(f) && strings.Count(f, ".") == 2, strings.HasPrefix(f, "ya29."):
			n++
		case i > 0 && i < len(fields)-1 && strings.EqualFold(f, "bearer"):
			schemes++
		}
	}
	return max(n, schemes+1)
}
