package main

import (
	"io"
	"strings"

	"github.com/spf13/cobra"

	"diagnose/checks"
	"diagnose/checks/rules"
	"diagnose/internal/gcp"
	"diagnose/report"
)

func (a *app) checksCommand() *cobra.Command {
	return &cobra.Command{
		Use: "checks", Short: "Which checks and rules exist", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return a.print(func(w io.Writer, st report.Style) error {
				return report.Checks(w, a.format, append(checks.Path(), ruleGates()...), st)
			})
		},
	}
}

func checkIDs() []string {
	var out []string
	for _, g := range checks.Path() {
		for _, c := range g.Checks {
			out = append(out, c.ID)
		}
	}
	return append(out, ruleIDs()...)
}

// ruleGates show the rules of gate and scan as checks, by severity.
func ruleGates() []checks.Gate {
	var out []checks.Gate
	for s := rules.Critical; s >= rules.Info; s-- {
		g := checks.Gate{Name: s.String()}
		for _, r := range rules.Rules() {
			if r.Severity == s {
				g.Checks = append(g.Checks, checks.Check{ID: r.ID, Title: r.Title, Doc: r.Doc, Ref: r.Ref, Confidence: r.Confidence})
			}
		}
		out = append(out, g)
	}
	return out
}

// find looks a check or a rule up.
func find(id string) (checks.Check, checks.Gate, bool) {
	if c, g, ok := checks.Find(id); ok {
		return c, g, true
	}
	for _, g := range ruleGates() {
		for _, c := range g.Checks {
			if c.ID == id {
				return c, g, true
			}
		}
	}
	return checks.Check{}, checks.Gate{}, false
}

// described completes names, each with its title.
func described(list []report.Named) []string {
	out := make([]string, len(list))
	for i, n := range list {
		out[i] = n.Name + "\t" + n.Title
	}
	return out
}

// near suggests the names that resemble one, or "" where none does.
func near(name string, names []string) string {
	out := gcp.Nearest(name, names, 4)
	if len(out) == 0 {
		return ""
	}
	return "did you mean " + strings.Join(out, ", ") + "?"
}
