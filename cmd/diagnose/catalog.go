package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"diagnose/checks"
	"diagnose/checks/rules"
	"diagnose/fixtures"
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

func (a *app) explainCommand() *cobra.Command {
	return &cobra.Command{
		Use: "explain ID", Short: "What does this check or rule mean, with its source", Args: cobra.ExactArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return checkIDs(), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			c, g, ok := find(args[0])
			if !ok {
				return hint(fmt.Errorf("no check or rule is named %q", args[0]), near(args[0], checkIDs()), "diagnose checks lists them all")
			}
			return a.print(func(w io.Writer, st report.Style) error {
				return report.Explain(w, a.format, g, c, storiesOf(c.ID), st)
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

// near suggests the names that resemble one, or "" where none does.
func near(name string, names []string) string {
	out := gcp.Nearest(name, names, 4)
	if len(out) == 0 {
		return ""
	}
	return "did you mean " + strings.Join(out, ", ") + "?"
}

// storiesOf names up to three embedded stories that a check decides.
func storiesOf(id string) []string {
	var out []string
	for _, name := range fixtures.Names() {
		if story, err := fixtures.Read(name); err == nil && len(out) < 3 {
			if s, err := story.Snapshot(); err == nil {
				if cause, ok := checks.Judge(s, checks.Options{NoFixes: true}).Cause(); ok && cause.Check == id {
					out = append(out, name)
				}
			}
		}
	}
	return out
}
