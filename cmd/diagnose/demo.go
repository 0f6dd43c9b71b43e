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

func (a *app) demoCommand() *cobra.Command {
	list := false
	c := &cobra.Command{
		Use: "demo [NAME]", Short: "Run the embedded cases, offline", Args: cobra.MaximumNArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return fixtures.Names(), cobra.ShellCompDirectiveNoFileComp
		},
	}
	c.Flags().BoolVar(&list, "list", false, "list the cases only")
	c.RunE = func(_ *cobra.Command, args []string) error {
		if len(args) == 1 {
			v, story, err := judgeStory(args[0])
			if err != nil {
				return err
			}
			a.code = exitOf(v.Decision)
			return a.print(func(w io.Writer, st report.Style) error {
				st.Command = storyCommand(story)
				if a.format == "table" {
					return tell(w, v, story, st)
				}
				return report.Invoke(w, a.format, v, st)
			})
		}
		return a.print(func(w io.Writer, st report.Style) error {
			if !list && a.format == "table" {
				if err := a.tour(w, st); err != nil {
					return err
				}
			}
			return a.stories(w, st, list)
		})
	}
	return c
}

func readStory(name string) (fixtures.Story, error) {
	if !slices.Contains(fixtures.Names(), name) {
		return fixtures.Story{}, hint(fmt.Errorf("no story is named %q", name), near(name, fixtures.Names()), "diagnose demo --list names them all")
	}
	return fixtures.Read(name)
}

func judgeStory(name string) (checks.Verdict, fixtures.Story, error) {
	story, err := readStory(name)
	if err != nil {
		return checks.Verdict{}, story, err
	}
	s, err := story.Snapshot()
	if err != nil {
		return checks.Verdict{}, story, err
	}
	return checks.Judge(s, checks.Options{}), story, nil
}

// tour tells the stories of the tour in full.
func (a *app) tour(w io.Writer, st report.Style) error {
	for _, name := range fixtures.Tour {
		v, story, err := judgeStory(name)
		if err != nil {
			return err
		}
		if err := tell(w, v, story, st); err != nil {
			return err
		}
		if _, err := fmt.Fprintln(w); err != nil {
			return err
		}
	}
	return nil
}

// storyCommand is the command line that judges a story.
func storyCommand(story fixtures.Story) []string {
	return []string{"diagnose", "invoke", demoPrefix + story.Name}
}

// tell writes what happened, the command that judges it, and the verdict.
func tell(w io.Writer, v checks.Verdict, story fixtures.Story, st report.Style) error {
	st.Command = storyCommand(story)
	if err := report.Comment(w, story.Text, strings.Join(st.Command, " "), st); err != nil {
		return err
	}
	return report.Invoke(w, "table", v, st)
}

// stories lists the stories; after the tour, those that it did not tell.
func (a *app) stories(w io.Writer, st report.Style, all bool) error {
	var rows []report.StoryRow
	for _, name := range fixtures.Names() {
		if !all && a.format == "table" && slices.Contains(fixtures.Tour, name) {
			continue
		}
		v, story, err := judgeStory(name)
		if err != nil {
			return err
		}
		cause, _ := v.Cause()
		rows = append(rows, report.StoryRow{Name: name, Decision: v.Decision.String(), Cause: cause.Check, Title: story.Title})
	}
	return report.Stories(w, a.format, rows, st)
}
