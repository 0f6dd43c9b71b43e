package transcript

import (
	"fmt"
	"testing"
)

func TestBlocked(t *testing.T) {
	const page = "https://orders-ab12cd34ef-ew.a.run.app/items"
	for text, want := range map[string]string{
		"Access to fetch at '" + page + "' from origin 'https://app.example.com' has been blocked by CORS policy: Response to preflight request " +
			"doesn't pass access control check: No 'Access-Control-Allow-Origin' header is present on the requested resource.": "OPTIONS " + page + " https://app.example.com masked false 0",
		"app.js:3 Access to XMLHttpRequest at '" + page + "' from origin 'null' has been blocked by CORS policy: No 'Access-Control-Allow-Origin' " +
			"header is present on the requested resource.": " " + page + " null masked true 0",
		"Access to fetch at 'https://accounts.google.com/o/oauth2/v2/auth?x=1' (redirected from '" + page + "') from origin 'https://app.example.com' has been " +
			"blocked by CORS policy: No 'Access-Control-Allow-Origin' header is present on the requested resource.": " " + page + " https://app.example.com masked true 0",
		"Cross-Origin Request Blocked: The Same Origin Policy disallows reading the remote resource at " + page +
			". (Reason: CORS preflight response did not succeed). Status code: 403.": "OPTIONS " + page + "  masked false 403",
		"Cross-Origin Request Blocked: The Same Origin Policy disallows reading the remote resource at " + page +
			". (Reason: CORS header ‘Access-Control-Allow-Origin’ missing). Status code: 401.": " " + page + "  masked true 401",
		"Preflight response is not successful. Status code: 403\nFetch API cannot load " + page + " due to access control checks.": "OPTIONS " + page + "  masked false 403",
	} {
		e, ok := Blocked(text)
		status := 0
		if e.Answer != nil {
			status = e.Answer.Status
		}
		if got := fmt.Sprintf("%s %s %s masked %t %d", e.Method, e.URL, e.Header.Get("Origin"), e.Masked, status); !ok || got != want {
			t.Errorf("%s: %s, %t, want %s", text, got, ok, want)
		}
	}
	if e, ok := Blocked("blocked by CORS policy"); ok {
		t.Errorf("%+v, want nothing", e)
	}
}
