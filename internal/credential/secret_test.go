package credential_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"diagnose/internal/credential"
)

// holder keeps a credential where fmt cannot call its methods.
type holder struct{ inner credential.Credential }

// forms returns everything that can be printed of a credential.
func forms(t testing.TB, c credential.Credential) []string {
	var out []string
	for _, v := range []any{c, &c, holder{c}, &holder{c}, []credential.Credential{c}, credential.Selection{Credential: c, Other: &c}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			out = append(out, fmt.Sprintf(verb, v))
		}
	}
	j, err := json.Marshal(map[string]any{"a": c, "b": &c, "c": map[credential.Kind]credential.Credential{c.Kind: c}})
	if err != nil {
		t.Fatal(err)
	}
	text, err := c.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "credential", c, "pointer", &c)
	return append(out, string(j), string(text), log.String(), c.GoString(), c.Problem, strings.Join(c.Repairs, "\n"))
}

// secretOf returns what must not be shown of a value: the signature of a JWT,
// all of anything else. It is "" where it is too short to be told from
// ordinary words.
func secretOf(c credential.Credential) string {
	secret := c.ForRequest()
	if parts := strings.Split(secret, "."); len(parts) == 3 && c.JWT() {
		secret = parts[2]
	}
	if len(secret) < 16 || strings.HasPrefix(secret, "SIGNATURE_REMOVED") {
		return ""
	}
	return secret
}

func TestNoSecretIsShown(t *testing.T) {
	part := strings.Split(idToken(), ".")
	for _, raw := range []string{idToken(), "ya29.a0AfH6SMBsecretsecretsecret", "1//0gsecretsecretsecret", "AIzaSysecretsecretsecretsecret", "sup3rs3cr3tsup3rs3cr3t",
		"Bearer " + idToken() + ",", part[0] + ".broken!." + part[2], part[0] + "." + part[2], idToken() + " " + idToken(), idToken() + ".x"} {
		c := credential.Decode(raw)
		shown := append(forms(t, c), c.Redacted())
		secret := secretOf(c)
		for _, text := range shown {
			if secret == "" || strings.Contains(text, secret) || strings.Contains(text, fmt.Sprintf("%x", secret)) || strings.Contains(text, part[2]) {
				t.Errorf("%s shows the secret", c.Kind)
			}
		}
	}
	if got, want := credential.Decode("ya29.secret").String(), "[OAuth access token, 11 characters]"; got != want {
		t.Errorf("String is %q, want %q", got, want)
	}
}

func TestRedacted(t *testing.T) {
	part := strings.Split(idToken(), ".")
	kept := part[0] + "." + part[1] + ".SIGNATURE_REMOVED_BY_GOOGLE"
	for raw, want := range map[string]string{
		idToken():                 kept,
		kept:                      kept,
		"ya29.secret":             "[OAuth access token]",
		"s3cr3t":                  "[opaque string]",
		part[0] + ".!." + part[2]: "[malformed JWT]",
		"":                        "[no credential]",
	} {
		if got := credential.Decode(raw).Redacted(); got != want {
			t.Errorf("redacted is %q, want %q", got, want)
		}
	}
}

// A report keeps the words about credentials and loses the credentials, in the
// middle of JSON too.
func TestHide(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"send Authorization: Bearer $TOKEN, basic authentication", "send Authorization: Bearer $TOKEN, basic authentication"},
		{`{"a":"-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\n","b":1}`, `{"a":"[secret removed]\n","b":1}`},
		{`{"a":"-----BEGIN PRIVATE KEY-----\nMIIE","b":1}`, `{"a":"[secret removed]","b":1}`},
		{"k=AIzaSyA1234567890&x", "k=[secret removed]&x"},
		{"eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJhIn0.c2ln", "[secret removed]"},
		{"http://x//1//2", "http://x//1//2"},
	} {
		if got := credential.Hide(tt.in); got != tt.want {
			t.Errorf("Hide(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestSecretHeader(t *testing.T) {
	for _, name := range []string{"authorization", "X-Serverless-Authorization", "cookie", "Set-Cookie", "x-api-key", "Proxy-Authorization"} {
		if !credential.SecretHeader(name) {
			t.Errorf("%s holds no credential", name)
		}
	}
	if credential.SecretHeader("Content-Type") || credential.SecretHeader("") {
		t.Error("a header without credential is secret")
	}
}
