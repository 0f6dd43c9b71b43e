package report

import (
	"strings"
	"testing"

	"diagnose/checks"
	"diagnose/fixtures"
)

// oneCause reports whether a case has one cause: a decision, at most one check
// that fails, at most one step to repair it, at most one thing that was not
// checked, and no answer that was seen, which has a list of possible causes.
func oneCause(v checks.Verdict) bool {
	fails := 0
	for _, f := range v.Findings {
		if f.Outcome == checks.Fail {
			fails++
		}
	}
	return v.Decision != checks.Undetermined && fails <= 1 && len(v.Repair) <= 1 && len(v.Assumptions) <= 1 && v.Observed == nil
}

// pasted counts the lines of files to paste, which are as long as they are:
// Terraform, YAML.
func pasted(p *page) int {
	n := 0
	for _, b := range p.Blocks {
		l, ok := b.(list)
		if !ok {
			continue
		}
		for _, x := range l.Items {
			for _, c := range x.Code {
				if c.Language != "sh" && !x.Detail {
					n += len(c.Lines)
					if c.Where != "" { // the line that says what they belong in
						n++
					}
				}
			}
		}
	}
	return n
}

// A case with one cause is told in 24 lines, not counting files to paste.
func TestOneCauseFits24Lines(t *testing.T) {
	told := 0
	for _, name := range fixtures.Names() {
		v := checks.Judge(snapshot(t, name), checks.Options{})
		if !oneCause(v) {
			continue
		}
		told++
		p := verdictPage(v, Style{})
		text := lay(t, p, Style{})
		if n := strings.Count(text, "\n") - pasted(p); n > 24 {
			t.Errorf("%s is told in %d lines:\n%s", name, n, text)
		}
	}
	if told < 40 {
		t.Errorf("only %d cases have one cause", told)
	}
}
