package credential

import (
	"regexp"
	"strings"

	"diagnose/internal/gcp"
)

var (
	// wordOnly fits a word that says something and is no secret: a plain word,
	// words joined by a hyphen or a dot, an acronym, a small number, a setting
	// with a small number, the name of a revision.
	wordOnly = regexp.MustCompile(`^[("'\[{]*(?:[A-Z]?[a-z]{1,20}(?:['./-][A-Z]?[a-z]{1,16}){0,3}|[A-Z]{1,8}|[A-Z]{1,8}=\d{1,5}|\d{1,5}%?|` +
		`[a-z][a-z-]{0,40}-\d{5}-[a-z]{3}|[-–—&/]|\[hidden\])[)"'\]},.:;!?]*$`)
	// namesSecret fits a word after which a secret stands, whatever its form.
	namesSecret = regexp.MustCompile(`(?i)(pass(word|wd|phrase)?|pwd|token|secret|key|credentials?|authorization|bearer|basic)["']?[:=]$|^(?i:bearer|basic)$`)
)

// Words is a text that others wrote freely, as the message of a build or the
// output of a container, without what is no plain word: nobody can tell a
// secret in it by its form. What is left out is said to be hidden.
func Words(text string) string {
	var out []string
	secret := false
	for _, f := range strings.Fields(text) {
		shown := f
		if secret || !wordOnly.MatchString(f) {
			shown = gcp.Hidden
		}
		secret = namesSecret.MatchString(f)
		if n := len(out); shown == gcp.Hidden && n > 0 && out[n-1] == gcp.Hidden {
			continue
		}
		out = append(out, shown)
	}
	return strings.Join(out, " ")
}
