package report

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"diagnose/checks"
)

// toldInFull are the stories whose reports are kept whole: a refusal by each
// gate, an answer alone, an open question, and a call that succeeds.
var toldInFull = []string{
	"answer-403-only", "audience-other-service", "condition-expired", "credential-none", "event-token-minting",
	"grant-missing", "granted-proven", "group-unread", "iap-nobody-granted", "member-misspelt",
}

// Ten stories as a person reads them. Of a page, what it says is kept; its
// style and script are kept once, with TestGolden.
func TestStoriesGolden(t *testing.T) {
	for _, name := range toldInFull {
		v := checks.Judge(snapshot(t, name), checks.Options{})
		st := Style{Command: []string{"diagnose", "invoke", "demo:" + name}}
		for _, format := range []string{"table", "markdown", "html"} {
			var b bytes.Buffer
			if err := Invoke(&b, format, v, st); err != nil {
				t.Fatal(err)
			}
			got := b.String()
			if _, after, ok := strings.Cut(got, "<main>"); ok && format == "html" {
				got, _, _ = strings.Cut(after, "</main>")
			}
			golden(t, filepath.Join("stories", name+"."+format), got)
		}
	}
}
