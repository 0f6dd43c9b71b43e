package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"diagnose/checks"
	"diagnose/fixtures"
	"diagnose/report"
)

func (a *app) explainCommand() *cobra.Command {
	return &cobra.Command{
		Use: "explain ID|STATUS|TEXT", Short: "What does this check, rule, status or log text mean, with its source",
		Example: `  diagnose explain 401
  diagnose explain token-audience
  diagnose explain "The request was not authenticated"
  diagnose explain audience`,
		Args: cobra.MinimumNArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return described(explainable()), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			word := strings.TrimSpace(strings.Join(args, " "))
			if e, ok := explanation(word); ok {
				return a.print(func(w io.Writer, st report.Style) error { return report.Explain(w, a.format, e, st) })
			}
			found := partOf(word)
			if len(found) == 0 {
				return hint(fmt.Errorf("no check, rule, status or log text is named %q", word), near(word, checkIDs()),
					"diagnose checks lists the checks and rules; the statuses are "+strings.Join(statuses(), ", "))
			}
			return a.print(func(w io.Writer, st report.Style) error { return report.Found(w, a.format, word, found, st) })
		},
	}
}

// explanation is that of a check, a rule, a status, or a text of an answer or a
// log, and of a part of a name that only one has.
func explanation(word string) (report.Explanation, bool) {
	if c, g, ok := find(word); ok {
		return explainCheck(g, c), true
	}
	if n, err := strconv.Atoi(strings.TrimPrefix(strings.ToLower(word), "http ")); err == nil {
		t, ok := checks.TopicOf(n)
		return explainStatus(t), ok
	}
	if t, ok := checks.TopicLogged(word); ok {
		return explainStatus(t), true
	}
	if s, ok := checks.SayingOf(word); ok {
		return report.ExplainSaying(s), true
	}
	if found := partOf(word); len(found) == 1 {
		return explanation(found[0].Name)
	}
	return report.Explanation{}, false
}

// explainable lists everything that has a name, with its title.
func explainable() []report.Named {
	var out []report.Named
	for _, t := range checks.Topics() {
		out = append(out, report.Named{Name: strconv.Itoa(t.Status), Title: t.Title})
	}
	for _, g := range append(checks.Path(), ruleGates()...) {
		for _, c := range g.Checks {
			out = append(out, report.Named{Name: c.ID, Title: c.Title})
		}
	}
	return out
}

// partOf lists what has a word in its name.
func partOf(word string) []report.Named {
	word = strings.ToLower(word)
	if len(word) < 2 {
		return nil
	}
	return slices.DeleteFunc(explainable(), func(n report.Named) bool { return !strings.Contains(n.Name, word) })
}

func statuses() []string {
	var out []string
	for _, t := range checks.Topics() {
		out = append(out, strconv.Itoa(t.Status))
	}
	return out
}

func explainCheck(g checks.Gate, c checks.Check) report.Explanation {
	e := report.ExplainCheck(g, c)
	if name := storyOf(g, c.ID, anyStatus); name != "" {
		e.Wrong, e.Repair = wrong(name)
	}
	if _, _, ok := checks.Find(c.ID); ok && e.Wrong.Story != "" {
		e.Right = right(c.ID)
	}
	return e
}

func explainStatus(t checks.Topic) report.Explanation {
	e := report.ExplainStatus(t)
	for _, id := range t.Causes {
		c, g, ok := checks.Find(id)
		if !ok {
			continue
		}
		cause := report.Cause{Check: id, Title: c.Title, Story: storyOf(g, id, t.Status)}
		if e.Wrong.Story == "" && cause.Story != "" {
			e.Wrong, e.Repair = wrong(cause.Story)
			e.Right = right(id)
		}
		e.Causes = append(e.Causes, cause)
	}
	return e
}

// wrong is a story as the example of a failure, and what repairs it.
func wrong(name string) (report.Example, []checks.Fix) {
	v, story, err := judgeStory(name)
	if err != nil {
		return report.Example{}, nil
	}
	f, _ := v.Cause()
	var repair []checks.Fix
	for _, id := range v.Repair {
		if x, ok := v.Fix(id); ok {
			repair = append(repair, x)
		}
	}
	return report.Example{Story: name, Tells: story.Text, Says: f.Message}, repair
}

// right is a story that is allowed and in which a check passes.
func right(id string) report.Example {
	for _, j := range judgedStories() {
		i := slices.IndexFunc(j.verdict.Findings, func(f checks.Finding) bool { return f.Check == id && f.Outcome == checks.Pass })
		if j.verdict.Decision == checks.Allowed && i >= 0 && j.verdict.Observed == nil {
			return report.Example{Story: j.story.Name, Tells: j.story.Text, Says: j.verdict.Findings[i].Message}
		}
	}
	return report.Example{}
}

const anyStatus = 0

// storyOf names the embedded story that shows best what a check refuses, with a
// status; "" where none does. One that is told in the tour comes first, then one
// that is called like the gate.
func storyOf(g checks.Gate, id string, status int) string {
	best, rank := "", 0
	for _, j := range judgedStories() {
		cause, ok := j.verdict.Cause()
		if !ok || cause.Check != id || j.verdict.Decision != checks.Denied ||
			status != anyStatus && (j.verdict.Expected == nil || j.verdict.Expected.Status != status) {
			continue
		}
		r := 1
		if family, _, _ := strings.Cut(j.story.Name, "-"); strings.HasSuffix(id, "-"+family) || family == g.Name {
			r = 2
		}
		if slices.Contains(fixtures.Tour, j.story.Name) {
			r = 3
		}
		if r > rank {
			best, rank = j.story.Name, r
		}
	}
	return best
}

type judgedStory struct {
	story   fixtures.Story
	verdict checks.Verdict
}

// judgedStories are the embedded stories with their verdicts, without fixes.
var judgedStories = sync.OnceValue(func() []judgedStory {
	var out []judgedStory
	for _, name := range fixtures.Names() {
		story, err := fixtures.Read(name)
		if err != nil {
			continue
		}
		if s, err := story.Snapshot(); err == nil {
			out = append(out, judgedStory{story, checks.Judge(s, checks.Options{NoFixes: true})})
		}
	}
	return out
})
