package credential

import "regexp"

// secrets matches credentials inside a text: JWTs, OAuth tokens, API keys, the
// value of an authorization header, keys in PEM.
var secrets = regexp.MustCompile(`(?i)eyJ[\w-]{6,}(\.[\w-]*)*|ya29\.[\w.-]+|1//[\w-]{10,}|AIza[\w-]{10,}|GOCSPX-[\w-]+|\b(bearer|basic)\s+[\w.~+/=-]{8,}|-----BEGIN[^-]*-----[\s\S]*?(-----END[^-]*-----|$)|("?(?:access_token|refresh_token|id_token|client_secret|private_key)"?\s*[:=]\s*)\S+`)

// Scrub returns a text without the credentials that it quotes, for messages
// and documents that others wrote.
func Scrub(text string) string { return secrets.ReplaceAllString(text, "[removed]") }
