package report

import (
	"encoding/json"
	"strings"
	"testing"

	"diagnose/checks"
)

// What is no command stands apart from the commands in every format, and a
// verdict without repair says why in its head.
func TestRepairIsTold(t *testing.T) {
	var doc struct {
		JudgedAt struct{ Time, From string }
		Repair   []string
		Findings []struct {
			Fixes []struct {
				ID, Effect string
				Commands   []string
				Snippets   []struct{ Language, Where, Text string }
			}
		}
	}
	if err := json.Unmarshal([]byte(reports(t, snapshot(t, "token-github"), "json", Style{})["invoke"]), &doc); err != nil {
		t.Fatal(err)
	}
	if doc.JudgedAt.Time != "2026-11-23T12:00:00Z" || doc.JudgedAt.From != "request.json" {
		t.Errorf("judged at %+v", doc.JudgedAt)
	}
	for _, f := range doc.Findings {
		for _, x := range f.Fixes {
			if len(x.Snippets) != 1 || x.Snippets[0].Language != "yaml" || strings.Contains(strings.Join(x.Commands, " "), "id_token") {
				t.Errorf("%s has the commands %q and the snippets %+v", x.ID, x.Commands, x.Snippets)
			}
		}
	}
	if md := reports(t, snapshot(t, "token-github"), "markdown", Style{})["invoke"]; !strings.Contains(md, "```yaml\n  permissions:") {
		t.Errorf("Markdown shows no YAML:\n%s", md)
	}
	if text := reports(t, snapshot(t, "token-github"), "table", Style{})["invoke"]; !strings.Contains(text, "yaml, in the job of the workflow:") {
		t.Errorf("the table shows no snippet:\n%s", text)
	}
}

func TestNoRepairIsTold(t *testing.T) {
	s := snapshot(t, "service-no-instance")
	v := checks.Judge(s, checks.Options{})
	for format, want := range map[string]string{"json": `"repairNone": "`, "markdown": "none that diagnose could check: ", "table": "none that diagnose could check: "} {
		if got := reports(t, s, format, Style{})["invoke"]; v.NoRepair == "" || !strings.Contains(got, want) {
			t.Errorf("%s does not say why there is no repair:\n%s", format, got)
		}
	}
}

func TestEffectsNameWhatRemains(t *testing.T) {
	text := reports(t, snapshot(t, "token-expired-only"), "table", Style{Verbose: true})["invoke"]
	got := strings.Join(strings.Fields(text), " ")
	for _, want := range []string{"then nothing is known to fail", "still not known: ingress-source", "needed, but not enough alone", "what remains: token-expiry"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	if json := reports(t, snapshot(t, "token-expired-only"), "json", Style{})["invoke"]; !strings.Contains(json, `"remaining": [`) {
		t.Error("JSON does not name what remains")
	}
}
