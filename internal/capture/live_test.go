package capture_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"diagnose/checks"
	"diagnose/internal/capture"
	"diagnose/internal/evidence"
	"diagnose/internal/gather"
	"diagnose/internal/gather/gathertest"
)

// gathered reads a world of which some methods fail, and puts who calls over it.
func gathered(t *testing.T, disk evidence.Snapshot, faults map[string]gathertest.Fault) evidence.Snapshot {
	t.Helper()
	w := gathertest.WorldOf(disk)
	server := gathertest.Pipe(t, w)
	for m, f := range faults {
		server.Faults[m] = f
	}
	target, err := gather.ParseTarget("projects/" + w.Project + "/locations/" + w.Location + "/services/" + w.Name)
	if err != nil {
		t.Fatal(err)
	}
	o := gather.Options{Emulator: server.Address, Dial: server.Dial, Now: func() time.Time { return disk.Now }}
	live, err := gather.Collect(t.Context(), target, o)
	if err != nil {
		t.Fatal(err)
	}
	live.Replace(evidence.Snapshot{Request: disk.Request, Token: disk.Token, Caller: disk.Caller, Keys: disk.Keys})
	live.Settle(time.Time{}, disk.Now)
	return live
}

// said is what every check answers, with the words.
func said(v checks.Verdict) []string {
	out := answers(v)
	for _, f := range v.Findings {
		out = append(out, f.Check+" says "+f.Message)
	}
	return out
}

// What was refused while a target was read is refused in its capture as well,
// for the same reason.
func TestCaptureKeepsRefusals(t *testing.T) {
	_, disk := story(t, "granted-proven")
	for _, method := range []string{
		"", "GetService", "Run.GetIamPolicy", "BatchGetEffectiveIamPolicies", "AnalyzeIamPolicy", "SearchAllResources", "ListPolicies", "GetPolicy",
	} {
		synctest.Test(t, func(t *testing.T) {
			faults := map[string]gathertest.Fault{}
			if method != "" {
				faults[method] = gathertest.Deny
			}
			live := gathered(t, disk, faults)
			want := checks.Judge(live, checks.Options{NoFixes: true})
			files, err := capture.Case(live)
			if err != nil {
				t.Fatal(err)
			}
			data := txtar.Format(&txtar.Archive{Files: files})
			back, err := evidence.LoadArchive(data, "capture")
			if err != nil {
				t.Fatalf("%s: %v\n%s", method, err, data)
			}
			back.Settle(time.Time{}, time.Time{})
			got := checks.Judge(back, checks.Options{NoFixes: true})
			if diff := cmp.Diff(said(want), said(got)); diff != "" || got.JudgedAt != want.JudgedAt {
				t.Errorf("%s refused: at %v, want %v: (-live +captured)\n%s\n%s", method, got.JudgedAt, want.JudgedAt, diff, data)
			}
			if method == "GetService" && !strings.Contains(string(data), "it needs run.services.get, as in roles/run.viewer") {
				t.Errorf("the capture does not say why the service is missing:\n%s", data)
			}
		})
	}
}
