package checks_test

import (
	"testing"

	"diagnose/checks"
)

// BenchmarkJudge judges with and without the proof of fixes.
func BenchmarkJudge(b *testing.B) {
	for _, name := range []string{"granted-proven", "condition-expired", "token-problems"} {
		s := story(b, name)
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				checks.Judge(s, checks.Options{})
			}
		})
	}
}
