package report

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"strings"
	"testing"

	"diagnose/checks"
)

// hostile are values that evidence could hold to get out of where it is shown.
var hostile = []string{
	"$(rm -rf /)", "`id`", "a'b", `a"b\`, "a b", "a;b|c&d>e<f", "*?[x]", "~root", "!!", "#x", "", "-n", "x\\", "'; touch /tmp/x; '",
	"<script>alert(1)</script>", "| a | b |", "a\x1b[31mred\x1b[0m", "a\x07b\x00c", "line\nbreak", "\u009b31m", "a\u202egpj.exe", "\ufeffx", "é√日本",
}

// A shell gives back exactly the word that was quoted, cleaned.
func TestQuoteSurvivesTheShell(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("no sh on this machine")
	}
	for _, w := range hostile {
		out, err := exec.Command(sh, "-c", "printf %s "+Quote(w)).Output()
		if err != nil {
			t.Errorf("%q: %v", w, err)
		}
		if string(out) != Clean(w) {
			t.Errorf("the shell reads %s as %q, want %q", Quote(w), out, Clean(w))
		}
	}
}

func TestShell(t *testing.T) {
	tests := []struct {
		c    checks.Command
		want string
	}{
		{checks.Command{Argv: []string{"gcloud", "run", "services", "list", "--region=europe-west1"}}, "gcloud run services list --region=europe-west1"},
		{checks.Command{Into: "TOKEN", Argv: []string{"gcloud", "auth", "print-identity-token"}}, "TOKEN=$(gcloud auth print-identity-token)"},
		{checks.Command{Argv: []string{"curl", "https://a.run.app/?a=1&b=2"}, WithToken: true}, `curl 'https://a.run.app/?a=1&b=2' -H "Authorization: Bearer $TOKEN"`},
		{checks.Command{Argv: []string{"true"}, Note: "a\nrm -rf /"}, "true  # a rm -rf /"},
		{checks.Command{Argv: []string{"echo", "it's"}}, `echo 'it'\''s'`},
	}
	for _, tt := range tests {
		if got := Shell(tt.c); got != tt.want {
			t.Errorf("Shell = %s\nwant    %s", got, tt.want)
		}
	}
}

func TestClean(t *testing.T) {
	tests := []struct{ in, want string }{
		{"plain – text, 日本 √", "plain – text, 日本 √"},
		{"a\x1b[31mb", "a\ufffd[31mb"},
		{"a\nb\tc\rd", "a b c d"},
		{"\u009b31m", "\ufffd31m"},
		{"a\u202eb\u200bc\u2028d", "a\ufffdb\ufffdc\ufffdd"},
		{"a\xffb", "a\ufffdb"},
		{"u?t=eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJhIn0.c2lnbmF0dXJl", "u?t=[secret removed]"},
		{"Bearer ya29.a0AfH6SMBxxxxxxxxxx", "Bearer [secret removed]"},
		{"key=AIzaSyA1234567890123456789012345678901&x", "key=[secret removed]&x"},
	}
	for _, tt := range tests {
		if got := Clean(tt.in); got != tt.want {
			t.Errorf("Clean(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

// JSON keeps hostile characters, as escapes, and loses only secrets.
func TestJSONIsSafeToPrint(t *testing.T) {
	in := strings.Join(hostile, "\n")
	var b bytes.Buffer
	if err := writeJSON(&b, map[string]string{"a": in, "b": "ya29.a0AfH6SMBxxxxxxxxxx"}); err != nil {
		t.Fatal(err)
	}
	for _, r := range b.String() {
		if r != '\n' && hidden(r) {
			t.Errorf("the output holds %U", r)
		}
	}
	var out map[string]string
	if err := json.Unmarshal(b.Bytes(), &out); err != nil {
		t.Fatal(err)
	}
	if out["a"] != in {
		t.Errorf("read back %q, want %q", out["a"], in)
	}
	if out["b"] != "[secret removed]" {
		t.Errorf("a secret became %q", out["b"])
	}
}
