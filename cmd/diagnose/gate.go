package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"diagnose/checks/rules"
	"diagnose/internal/bounded"
	"diagnose/internal/estate"
	"diagnose/internal/manifest"
	"diagnose/internal/terraform"
	"diagnose/report"
)

func (a *app) gateCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "gate FILE...",
		Short: "Would this planned change open or break invocation?",
		Long: `Judge a change before it is deployed: Terraform plans in JSON, folders of *.tf
files, Cloud Run services, functions and IAM policies in YAML or JSON, or a
folder of these. A file is known by its content. What is known only after apply
is reported as unknown, never as safe.`,
		Example: `  terraform show -json plan.bin > plan.json && diagnose gate plan.json
  diagnose gate deploy/
  diagnose gate plan.json --only-new --format sarif -o diagnose.sarif`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return hint(errors.New("gate takes files or folders"), "terraform show -json plan.bin > plan.json && diagnose gate plan.json", "diagnose gate deploy/")
			}
			return nil
		},
	}
	g := &gating{judging: a.judgingFlags(c)}
	f := c.Flags()
	f.BoolVar(&g.onlyNew, "only-new", false, "of a plan, report only what it brings, not what was there before")
	f.StringVar(&g.target, "target", "", "the `RESOURCE` that policy files are for: a service, function, project, folder or organization")
	f.BoolVar(&g.draft, "write-expectations", false, "print expectations for "+defaultConfig+", drafted from who may invoke what today: before the change, where a plan tells")
	f.BoolVar(&g.reportOnly, "report-only", false, "report, and exit with 0 whatever is found or not known")
	f.StringArrayVar(&g.exclude, "exclude", nil, "leave out of folders what fits this `GLOB`, by name or by path, as 'test/**'; may be given again")
	f.BoolVar(&g.allowUnknown, "allow-unknown", false, "pass even where something unknown could open a service or cut off a caller")
	f.BoolVar(&g.fix, "fix", false, "print, as a diff of the sources, what repairs the findings from --fail-on on, judged again")
	f.BoolVar(&g.write, "write", false, "with --fix, write it into the sources")
	f.Var(&inOrder{list: &g.variables}, "var", "the value of a variable of configuration, as `NAME=VALUE`; may be given again")
	f.Var(&inOrder{list: &g.variables, prefix: "@"}, "var-file", "a `FILE` of values, beside those that Terraform reads by itself; may be given again")
	c.RunE = func(c *cobra.Command, args []string) error { return g.run(c.Context(), args) }
	return c
}

// A gating is a run of gate.
type gating struct {
	*judging
	onlyNew, draft, allowUnknown, fix, write bool
	target                                   string
	exclude, variables                       []string
}

func (g *gating) run(ctx context.Context, args []string) error {
	o, failOn, err := g.options(args)
	if err != nil {
		return err
	}
	if g.write && !g.fix {
		return hint(errors.New("--write needs --fix: it writes what that prints"), "diagnose gate --fix --write "+strings.Join(args, " "))
	}
	in, err := g.read(args, nil)
	if err != nil {
		return err
	}
	a := g.app
	a.say("%s", counts("read", in.Files, in.Kinds))
	if in.Skipped > 0 {
		a.say("%s", counts("skipped", in.Skipped, in.Left))
	}
	if g.onlyNew && in.Before == nil {
		return errors.New("--only-new needs a Terraform plan: no other input tells what was there before")
	}
	if g.draft {
		today := in.After
		if in.Before != nil && len(in.Before.Targets)+len(in.Before.Policies) > 0 {
			today = in.Before
		}
		return a.writeExpectations(today, o)
	}
	result, err := g.judge(in, o)
	if err != nil {
		return err
	}
	f := report.Findings{Command: "gate", Version: release(), Repository: repository(a.Getenv("GITHUB_WORKSPACE")), Result: result, FailOn: failOn, At: o.Now, AllowUnknown: g.allowUnknown}
	if g.fix {
		return g.repair(args, in, o, f)
	}
	if err := a.annotate(f); err != nil {
		return err
	}
	return g.report(ctx, f)
}

// read reads what is judged. Files may be taken to hold something else.
func (g *gating) read(args []string, instead map[string][]byte) (manifest.Input, error) {
	in, err := manifest.Read(manifest.Options{
		Paths: args, Target: g.target, Exclude: g.exclude, Stdin: g.app.Stdin, Instead: instead,
		Terraform: terraform.Inputs{Variables: g.variables, Getenv: g.app.Getenv},
	})
	switch {
	case err != nil:
		return in, err
	case in.Files == 0:
		return in, fmt.Errorf("%s: nothing there to judge: %d files, none of them recognized", strings.Join(args, ", "), in.Skipped)
	}
	locate(in.After, args)
	return in, nil
}

// judge judges what was read, with what comments in it ignore.
func (g *gating) judge(in manifest.Input, o rules.Options) (rules.Result, error) {
	o.Ignores = slices.Clone(o.Ignores)
	for _, i := range in.Ignores {
		if _, ok := rules.Find(i.Rule); !ok && i.Rule != "*" {
			return rules.Result{}, hint(fmt.Errorf("%s:%d: no rule is named %q", i.File, i.First, i.Rule), near(i.Rule, ruleIDs()))
		}
		o.Ignores = append(o.Ignores, rules.Ignore{Rule: i.Rule, Reason: i.Reason, Where: estate.Where{File: i.File, Line: i.First}, Lines: [2]int{i.First, i.Last}})
	}
	o.Before, o.OnlyNew = in.Before, g.onlyNew
	return rules.Judge(in.After, o), nil
}

// counts tells how many files there are of each kind, the most first.
func counts(what string, n int, kinds map[string]int) string {
	names := slices.Collect(maps.Keys(kinds))
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(kinds[b]-kinds[a], strings.Compare(a, b)) })
	for i, k := range names {
		names[i] = fmt.Sprintf("%d %s", kinds[k], strings.TrimPrefix(strings.TrimPrefix(k, "a "), "an "))
	}
	return fmt.Sprintf("%s %d: %s", what, n, strings.Join(names, ", "))
}

// An inOrder is one of several flags that fill a list in the order in which
// they are given.
type inOrder struct {
	list   *[]string
	prefix string // of what this flag adds
}

func (f *inOrder) String() string { return "" }
func (f *inOrder) Type() string   { return "text" }
func (f *inOrder) Set(s string) error {
	*f.list = append(*f.list, f.prefix+s)
	return nil
}

// writeExpectations drafts expectations from today's state.
func (a *app) writeExpectations(e *estate.Estate, o rules.Options) error {
	var b strings.Builder
	b.WriteString("expectations:\n")
	for _, x := range rules.Draft(e, o) {
		fmt.Fprintf(&b, "  - {principal: %q, target: %q, decision: %s}\n", x.Principal, x.Target, map[bool]string{true: "allowed", false: "denied"}[x.Allowed])
	}
	return a.deliver([]byte(b.String()))
}

// locate finds the lines of a plan's resources in the *.tf files beside it, so
// that a report names the line to change. Where there are none, or several
// that fit, the address alone is named.
func locate(e *estate.Estate, args []string) {
	lines := map[string]estate.Where{}
	for _, arg := range args {
		dir := filepath.Dir(arg)
		if info, err := os.Stat(arg); err == nil && info.IsDir() {
			dir = arg
		}
		files, _ := filepath.Glob(filepath.Join(dir, "*.tf"))
		for _, f := range files {
			data, err := bounded.File(f, maxChange)
			if err != nil {
				continue
			}
			for i, l := range strings.Split(string(data), "\n") {
				parts := strings.Fields(strings.ReplaceAll(l, `"`, " "))
				if len(parts) >= 3 && parts[0] == "resource" {
					lines[parts[1]+"."+parts[2]] = estate.Where{File: f, Line: i + 1}
				}
			}
		}
	}
	find := func(w *estate.Where) {
		address, _, _ := strings.Cut(w.Address, "[")
		if at, ok := lines[address]; ok && w.Line == 0 {
			w.File, w.Line = at.File, at.Line
		}
	}
	for i := range e.Targets {
		find(&e.Targets[i].Where)
	}
	for i := range e.Policies {
		find(&e.Policies[i].Where)
		for k := range e.Policies[i].Bindings {
			find(&e.Policies[i].Bindings[k].Where)
		}
	}
	for i := range e.Callers {
		find(&e.Callers[i].Where)
	}
}

// annotate writes GitHub's annotations and step summary, in a job of GitHub
// Actions: https://docs.github.com/actions/reference/workflow-commands.
func (a *app) annotate(f report.Findings) error {
	if a.Getenv("GITHUB_ACTIONS") != "true" {
		return nil
	}
	escape := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
	for _, x := range f.Result.Findings[:min(len(f.Result.Findings), 50)] {
		if x.Suppressed != "" {
			continue
		}
		level := map[bool]string{true: "error", false: "warning"}[x.Severity >= f.FailOn]
		place := ""
		if x.Where.File != "" {
			place = " file=" + escape.Replace(f.Place(x.Where.File))
			if x.Where.Line > 0 {
				place += fmt.Sprintf(",line=%d", x.Where.Line)
			}
			place += ","
		} else {
			place = " "
		}
		fmt.Fprintf(a.Stderr, "::%s%stitle=%s::%s\n", level, place, escape.Replace(x.Rule), strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(report.Clean(x.Message)))
	}
	name := a.Getenv("GITHUB_STEP_SUMMARY")
	if name == "" {
		return nil
	}
	file, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("writing the step summary: %w", err)
	}
	err = report.WriteFindings(file, "markdown", f, report.Style{})
	if cerr := file.Close(); err == nil {
		err = cerr
	}
	return err
}
