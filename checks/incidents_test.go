package checks_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"diagnose/checks"
	"diagnose/internal/evidence"
)

// An incident is a public report with no more evidence than its reporter gave:
// a case whose comment is the source of the report, and which wants the checks
// that name its established cause. Where the report leaves the answer open,
// gather is part of a command that fetches what is missing.
type incident struct {
	evidence evidence.Snapshot
	causes   []string
	gather   string
	answered bool   // the report shows an answer
	author   string // who wrote that, "" where it does not tell
}

func readIncident(t *testing.T, file string) incident {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out incident
	if out.evidence, err = evidence.LoadArchive(data, file); err != nil {
		t.Fatal(err)
	}
	if out.evidence.Now.IsZero() {
		out.evidence.Now = now
	}
	_, want, _ := strings.Cut(string(data), "-- want --\n")
	for line := range strings.Lines(want) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		value = strings.TrimSpace(value)
		switch key {
		case "causes":
			out.causes = strings.Fields(value)
		case "gather":
			out.gather = value
		case "answered by":
			out.answered, out.author = true, value
		default:
			t.Fatalf("%s wants %q", file, line)
		}
	}
	return out
}

func TestIncidents(t *testing.T) {
	files, err := filepath.Glob("testdata/incidents/*.txtar")
	if err != nil || len(files) != 28 {
		t.Fatalf("%d incidents, %v, want 28", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			inc := readIncident(t, file)
			v := checks.Judge(inc.evidence, checks.Options{})
			cause, _ := v.Cause()
			if inc.answered != (v.Observed != nil) || inc.answered && v.Observed.Author != inc.author {
				t.Errorf("observed %+v, want an answer (%t) by %q", v.Observed, inc.answered, inc.author)
			}
			switch {
			case v.Decision != checks.Denied && toldBy(v, inc.causes):
			case v.Decision == checks.Denied && !slices.Contains(inc.causes, cause.Check):
				t.Errorf("denied by %s (%s), want one of %v: %s", cause.Check, v.Basis, inc.causes, cause.Message)
			case v.Decision == checks.Undetermined && !(inc.gather != "" && mentionsCommand(v, inc.gather)):
				t.Errorf("undetermined by %s: %s; want %v, or a command with %q", cause.Check, cause.Message, inc.causes, inc.gather)
			case v.Decision == checks.Allowed && !slices.Contains(inc.causes, "access-public"):
				t.Errorf("allowed (%s), want denied by one of %v", v.Basis, inc.causes)
			}
			t.Logf("%s %s by %s: %s", v.Decision, v.Basis, cause.Check, v.Headline())
		})
	}
}

// toldBy reports whether the observed answer names a cause: the container wrote
// it, or the first explanation says what did.
func toldBy(v checks.Verdict, causes []string) bool {
	if v.Observed == nil || !slices.Contains(causes, "answer-origin") {
		return false
	}
	if len(v.Observed.Explanations) > 0 {
		return v.Observed.Explanations[0].Check == "answer-origin"
	}
	return v.Decision == checks.Allowed && v.Observed.Author == "the container"
}

// mentionsCommand reports whether a verdict names a command to run next.
func mentionsCommand(v checks.Verdict, part string) bool {
	for _, f := range v.Findings {
		for _, c := range f.Gather {
			if strings.Contains(strings.Join(c.Argv, " "), part) {
				return true
			}
		}
	}
	if v.Observed != nil {
		for _, e := range v.Observed.Explanations {
			for _, c := range e.Gather {
				if strings.Contains(strings.Join(c.Argv, " "), part) {
					return true
				}
			}
		}
	}
	return false
}
