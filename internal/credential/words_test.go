package credential_test

import (
	"testing"

	"diagnose/internal/credential"
)

func TestWords(t *testing.T) {
	for text, want := range map[string]string{
		"Build failed: function.js does not exist":                    "Build failed: function.js does not exist",
		"Container failed to listen on PORT=8080 within 240 seconds.": "Container failed to listen on PORT=8080 within 240 seconds.",
		"Revision 'orders-00012-abc' is not ready":                    "Revision 'orders-00012-abc' is not ready",
		"npm token=S3CR3Tx9Zq now":                                    "npm [hidden] now",
		"failed: postgres://u:S3CR3T@db/x":                            "failed: [hidden]",
		"the password: hunter then":                                   "the password: [hidden] then",
		"Authorization: Bearer abcdef":                                "Authorization: [hidden]",
		"a\nb\tS3CR3T S4CR4T c":                                       "a b [hidden] c",
		"":                                                            "",
	} {
		got := credential.Words(text)
		if got != want {
			t.Errorf("Words(%q) = %q, want %q", text, got, want)
		}
		if again := credential.Words(got); again != got {
			t.Errorf("Words(%q) is not stable: %q", got, again)
		}
	}
}

func TestHideURLs(t *testing.T) {
	for text, want := range map[string]string{
		`see "https://a.run.app/x?key=abc", then`:     `see "https://a.run.app/x?key=[hidden]", then`,
		"calls https://a.run.app/x?key=abc: it":       "calls https://a.run.app/x?key=[hidden]: it",
		"calls https://u:pw@a.run.app.":               "calls https://[hidden]@a.run.app.",
		"'https://a.run.app/x#frag' and more":         "'https://a.run.app/x#[hidden]' and more",
		"deleted:principal://a/b?uid=1 has":           "deleted:principal://a/b?uid=1 has",
		`<a t="&#34;https://a.run.app&#34;, b">`:      `<a t="&#34;https://a.run.app&#34;, b">`,
		`{"u":"HTTPS://a.run.app/x?y=\u0026z","b":1}`: `{"u":"HTTPS://a.run.app/x?y=[hidden]","b":1}`,
	} {
		got := credential.Hide(text)
		if got != want {
			t.Errorf("Hide(%q) = %q, want %q", text, got, want)
		}
		if again := credential.Hide(got); again != got {
			t.Errorf("Hide(%q) is not stable: %q", got, again)
		}
	}
}
