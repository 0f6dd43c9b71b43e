package report

import (
	"fmt"
	"slices"
	"testing"

	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"

	"diagnose/checks/rules"
)

// A report of more findings than GitHub takes has those of one resource in
// one, the most severe first, and counts the rest.
func TestSARIFOfMany(t *testing.T) {
	f := Findings{Command: "scan", Version: "v1.2.3", Repository: "/r"}
	for i := range maxResults + 10 {
		x := rules.Finding{Rule: "grant-inherited", Severity: rules.Medium, Resource: fmt.Sprint("r", i/2), GrantedOn: fmt.Sprint("r", i/2), Message: "m", Fingerprint: fmt.Sprint("f", i)}
		x.Where.File, x.Where.Line = "/r/a b/plan.json", 3
		f.Result.Findings = append(f.Result.Findings, x)
	}
	r, err := sarif.FromString(written(t, "sarif", f, Style{}), sarif.WithStrictValidation())
	if err != nil {
		t.Fatal(err)
	}
	run := r.Runs[0]
	first := run.Results[0]
	if len(run.Results) != maxResults/2+5 || *first.Message.Text != "m; 1 more findings of this rule are on this resource" || first.PartialFingerprints[lineHash] != "f0:1" {
		t.Errorf("%d results, the first %q %v", len(run.Results), *first.Message.Text, first.PartialFingerprints)
	}
	if uri := *first.Locations[0].PhysicalLocation.ArtifactLocation.URI; uri != "a%20b/plan.json" || *run.Tool.Driver.Version != "v1.2.3" {
		t.Errorf("%s of %s", uri, *run.Tool.Driver.Version)
	}
	kept, _, left := within(f.Result.Findings, 5)
	if len(kept) != 5 || left != maxResults {
		t.Errorf("%d kept, %d left", len(kept), left)
	}
}

func TestPlace(t *testing.T) {
	f := Findings{Repository: "/r"}
	var got []string
	for _, name := range []string{"/r/infra/main.tf", "/elsewhere/main.tf", "", "/r/../s/main.tf"} {
		got = append(got, f.Place(name))
	}
	if want := []string{"infra/main.tf", "/elsewhere/main.tf", "", "/r/../s/main.tf"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if got := (Findings{}).Place("../x.tf"); got != "../x.tf" {
		t.Errorf("%q", got)
	}
	if got := uriOf("/elsewhere/main.tf"); got != "file:///elsewhere/main.tf" {
		t.Errorf("%q", got)
	}
}
