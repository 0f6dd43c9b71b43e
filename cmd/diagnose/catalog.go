package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"diagnose/checks"
	"diagnose/fixtures"
	"diagnose/report"
)

func (a *app) checksCommand() *cobra.Command {
	return &cobra.Command{
		Use: "checks", Short: "Which checks exist", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return a.print(func(w io.Writer, st report.Style) error { return report.Checks(w, a.format, checks.Path(), st) })
		},
	}
}

func (a *app) explainCommand() *cobra.Command {
	return &cobra.Command{
		Use: "explain ID", Short: "What does this check mean, with its source", Args: cobra.ExactArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return checkIDs(), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			c, g, ok := checks.Find(args[0])
			if !ok {
				return hint(fmt.Errorf("no check is named %q", args[0]), near(args[0]), "diagnose checks lists them all")
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
	return out
}

// near names the checks that share a word with a name.
func near(name string) string {
	var out []string
	for _, id := range checkIDs() {
		for _, w := range strings.Split(id, "-") {
			if len(w) > 2 && strings.Contains(name, w) && !slices.Contains(out, id) {
				out = append(out, id)
			}
		}
	}
	if len(out) == 0 {
		out = checkIDs()
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
