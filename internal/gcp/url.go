package gcp

import (
	"regexp"
	"strings"
)

// Hidden stands for what is not repeated because it may be a secret.
const Hidden = "[hidden]"

// docsHost fits Google's own documentation, whose fragments name a section.
var docsHost = regexp.MustCompile(`^https://(docs\.|console\.)?cloud\.google\.com/|^https://developers\.google\.com/`)

// ShownURL is a URL without what may be a secret: user and password, values
// of the query, the fragment. Each is said to be hidden.
func ShownURL(url string) string {
	scheme, rest, ok := strings.Cut(url, "://")
	if !ok || docsHost.MatchString(url) || strings.HasPrefix(strings.ToLower(scheme), "principal") {
		return url
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	if at := strings.LastIndexByte(rest[:end], '@'); at >= 0 {
		rest = Hidden + rest[at:]
	}
	rest, fragment, hasFragment := strings.Cut(rest, "#")
	if before, query, ok := strings.Cut(rest, "?"); ok {
		rest = before + "?" + ShownQuery(query, Hidden)
	}
	if hasFragment && fragment != "" {
		rest += "#" + Hidden
	}
	return scheme + "://" + rest
}

// plainValue is a value in a query that is no secret by its form, or one that
// was taken out.
var plainValue = regexp.MustCompile(`^(?:\d{1,9}|[a-z]{1,8}|REDACTED|\[redacted\]|%5Bredacted%5D|…|\[hidden\]|)$`)

// secretName is a name in a query whose value may be a secret.
var secretName = regexp.MustCompile(`(?i)key|token|secret|sig|pass|pwd|auth|cred|code|session|jwt|hash|otp|pin`)

// ShownQuery is a query with a mark in place of the values that may be secrets:
// all but short plain ones of which the name promises no secret.
func ShownQuery(query, mark string) string {
	pairs := strings.Split(query, "&")
	for i, pair := range pairs {
		name, value, ok := strings.Cut(pair, "=")
		switch taken := value == "…" || value == Hidden || value == ""; {
		case !ok && !plainValue.MatchString(pair):
			pairs[i] = mark
		case ok && !taken && (secretName.MatchString(name) || !plainValue.MatchString(value)):
			pairs[i] = name + "=" + mark
		}
	}
	return strings.Join(pairs, "&")
}
