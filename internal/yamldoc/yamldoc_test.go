package yamldoc_test

import (
	"strings"
	"testing"

	"diagnose/internal/yamldoc"
)

func TestJSON(t *testing.T) {
	for text, want := range map[string]string{
		"a: yes\nb: on\nc: true\nd: 'true'\ne: True\n":                     `{"a":"yes","b":"on","c":true,"d":"true","e":true}`,
		"a: 100.0\nb: 0x10\nc: 1e3\nd: .inf\ne: 12345678901234567890123\n": `{"a":100.0,"b":16,"c":1e3,"d":".inf","e":12345678901234567890123}`,
		"a: 2026-11-23\nb: 2026-11-23T12:00:00Z\nc:\nd: ~\n":               `{"a":"2026-11-23","b":"2026-11-23T12:00:00Z","c":null,"d":null}`,
		"200: {x: 1}\ntrue: 2\n":                                           `{"200":{"x":1},"true":2}`,
		"a: &x {b: 1, c: 2}\nd: {<<: *x, c: 3}\ne: *x\n":                   `{"a":{"b":1,"c":2},"d":{"b":1,"c":3},"e":{"b":1,"c":2}}`,
		"---\n# only a comment\n":                                          `null`,
		"---\na: 1\n---\n":                                                 `{"a":1}`,
		"[]":                                                               `[]`,
	} {
		got, err := yamldoc.JSON([]byte(text))
		if err != nil || string(got) != want {
			t.Errorf("%q: %s, %v; want %s", text, got, err, want)
		}
	}
}

func TestErrors(t *testing.T) {
	bomb := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c <= 'k'; c++ {
		p := string(c - 1)
		bomb += string(c) + ": &" + string(c) + " [*" + p + strings.Repeat(",*"+p, 8) + "]\n"
	}
	for text, want := range map[string]string{
		"a: secret\nb: 2\na: 3\n": "has a key twice in line 3",
		"a: {b: 1,\n  b: 2}\n":    "has a key twice in line 2",
		"a: 1\nb: [secret\n":      "is broken in line",
		"? [a, b]\n: 1\n":         "has a key in line 1 that is not a text",
		"a: 1\n---\nb: 2\n":       "has 2 documents, the second in line 3",
		bomb:                      "refers to itself too often",
		"a: &a [*a]\n":            "nests deeper than",
		strings.Repeat("[", 300) + strings.Repeat("]", 300): "nests deeper than 200 levels in line 1",
	} {
		_, err := yamldoc.JSON([]byte(text))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%.40q: %v, want %q", text, err, want)
		}
	}
}
