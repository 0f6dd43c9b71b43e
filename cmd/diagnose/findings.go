package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"diagnose/checks/rules"
	"diagnose/internal/bounded"
	"diagnose/internal/config"
	"diagnose/internal/estate"
	"diagnose/internal/evidence"
	"diagnose/report"
)

// A judging holds the flags that gate and scan share.
type judging struct {
	app                         *app
	config, baseline, writeBase string
	failOn, at                  string
	reportOnly                  bool // findings do not fail the run
}

// defaultConfig is read where it exists and no other one is named.
const defaultConfig = "diagnose.yaml"

func (a *app) judgingFlags(c *cobra.Command) *judging {
	j := &judging{app: a}
	f := c.Flags()
	f.StringVar(&j.config, "config", "", "configuration `FILE` (default "+defaultConfig+" where there is one)")
	f.StringVar(&j.failOn, "fail-on", "high", "fail from this severity on: "+strings.Join(severities(), ", "))
	f.StringVar(&j.baseline, "baseline", "", "report only what is not in this `FILE`, an earlier report in JSON")
	f.StringVar(&j.writeBase, "write-baseline", "", "write all findings to this `FILE`, for --baseline")
	f.StringVar(&j.at, "at", "", "the moment to judge at, RFC 3339 (default now)")
	return j
}

func severities() []string {
	var out []string
	for s := rules.Critical; s >= rules.Info; s-- {
		out = append(out, s.String())
	}
	return out
}

func ruleIDs() []string {
	var out []string
	for _, r := range rules.Rules() {
		out = append(out, r.ID)
	}
	return out
}

// configNames are the names that a configuration may use.
func configNames() config.Names {
	n := config.Names{Rules: ruleIDs(), Severities: severities()}
	for _, o := range evidence.Origins {
		n.Sources = append(n.Sources, string(o))
	}
	return n
}

// options reads the flags and the configuration, which is looked for beside
// the inputs.
func (j *judging) options(inputs []string) (rules.Options, rules.Severity, error) {
	o := rules.Options{Now: time.Now().UTC()}
	failOn, ok := rules.ParseSeverity(j.failOn)
	if !ok {
		return o, 0, fmt.Errorf("--fail-on %q must be one of %s", j.failOn, strings.Join(severities(), ", "))
	}
	if j.at != "" {
		t, err := time.Parse(time.RFC3339, j.at)
		if err != nil {
			return o, 0, errors.New("--at: time must be RFC 3339, as 2026-11-23T12:00:00Z")
		}
		o.Now = t
	}
	name := j.config
	if name == "" {
		var err error
		if name, err = besides(inputs); err != nil || name == "" {
			return o, failOn, err
		}
		if name != defaultConfig {
			j.app.say("the configuration is %s", name)
		}
	}
	c, err := config.Read(name, configNames())
	if err != nil {
		return o, 0, err
	}
	o.AllowedDomains, o.AllowedProjects, o.AllowedPrincipals = c.AllowedDomains, c.AllowedProjects, c.AllowedPrincipals
	o.Severities = map[string]rules.Severity{}
	for rule, s := range c.Severities {
		o.Severities[rule], _ = rules.ParseSeverity(s)
	}
	for _, i := range c.Ignores {
		o.Ignores = append(o.Ignores, rules.Ignore{Rule: i.Rule, Resource: i.Resource, Member: i.Member, Reason: i.Reason, Expires: i.Until(), Where: estate.Where{File: name, Line: i.Line}})
	}
	for _, e := range c.Expectations {
		o.Expectations = append(o.Expectations, expectation(e, estate.Where{File: name, Line: e.Line}))
	}
	return o, failOn, nil
}

// expectation is one that a configuration states.
func expectation(e config.Expectation, where estate.Where) rules.Expectation {
	w := e.When
	out := rules.Expectation{
		Principal: e.Principal, Target: e.Target, Allowed: e.Decision == "allowed", Where: where,
		When: rules.When{Path: w.Path, Host: w.Host, Source: evidence.Origin(w.Source), Time: w.At()},
	}
	if e.Only.Target != "" {
		out.Target, out.Only, out.Others = e.Only.Target, e.Only.Principals, true
	}
	return out
}

// besides finds the configuration beside the inputs or else in the folders
// above them, up to the top of their repository; "" where there is none.
func besides(inputs []string) (string, error) {
	found := ""
	for _, in := range append(slices.Clone(inputs), ".") {
		if in == "-" {
			continue
		}
		if info, err := os.Stat(in); err != nil || !info.IsDir() {
			in = filepath.Dir(in)
		}
		name := above(in)
		switch {
		case name == "":
		case found == "":
			found = name
		case !sameFile(found, name) && in != ".":
			return "", fmt.Errorf("%s and %s are both beside an input: name one of them with --config", found, name)
		}
	}
	return found, nil
}

// above is the configuration in a folder or the nearest one above it.
func above(dir string) string {
	whole, err := filepath.Abs(dir)
	if err != nil {
		return ""
	}
	for up := dir; ; up = filepath.Join(up, "..") {
		name := filepath.Join(up, defaultConfig)
		if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() {
			return name
		}
		if _, err := os.Stat(filepath.Join(up, ".git")); err == nil || whole == filepath.Dir(whole) {
			return ""
		}
		whole = filepath.Dir(whole)
	}
}

// repository is the folder that a forge knows files from: its workspace, where
// the working directory is in it, or else the top of the repository that one
// stands in; "" where there is none.
func repository(workspace string) string {
	here, err := os.Getwd()
	if err != nil {
		return ""
	}
	if below, err := filepath.Rel(workspace, here); err == nil && filepath.IsAbs(workspace) && filepath.IsLocal(below) {
		return workspace
	}
	for up := here; ; up = filepath.Dir(up) {
		if _, err := os.Stat(filepath.Join(up, ".git")); err == nil {
			return up
		}
		if up == filepath.Dir(up) {
			return ""
		}
	}
}

func sameFile(a, b string) bool {
	x, errX := os.Stat(a)
	y, errY := os.Stat(b)
	return errX == nil && errY == nil && os.SameFile(x, y)
}

// exit sets the exit code. Its error is nil.
func (j *judging) exit(f report.Findings) error {
	switch {
	case j.reportOnly:
	case f.AtLeast(f.FailOn) > 0:
		j.app.code = exitDenied
	case len(f.Incomplete) > 0 || f.Undecided():
		j.app.code = exitOpen
	}
	return nil
}

// report compares with the baseline, writes the report and sets the exit code.
func (j *judging) report(ctx context.Context, f report.Findings) error {
	if err := report.CheckFormat(j.app.format, report.FindingFormats); err != nil {
		return err
	}
	if j.writeBase != "" {
		var b bytes.Buffer
		if err := report.WriteFindings(&b, "json", f, report.Style{}); err != nil {
			return err
		}
		if err := writeFile(j.writeBase, b.Bytes()); err != nil {
			return err
		}
	}
	if j.baseline != "" {
		data, err := bounded.File(j.baseline, maxChange)
		if err != nil {
			return fmt.Errorf("--baseline: %w", err)
		}
		b, err := rules.ReadBaseline(data)
		if err != nil {
			return fmt.Errorf("--baseline %s: %w", j.baseline, err)
		}
		unchanged, gone := b.Compare(&f.Result)
		f.Baseline = &report.Drift{New: len(f.Result.Findings), Gone: len(gone), Unchanged: unchanged, Fixed: gone}
	}
	if ctx.Err() != nil {
		return &failure{ctx.Err()}
	}
	if err := j.exit(f); err != nil {
		return err
	}
	return j.app.printAs(report.FindingFormats, func(w io.Writer, st report.Style) error { return report.WriteFindings(w, j.app.format, f, st) })
}
