package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"diagnose/checks/rules"
	"diagnose/internal/estate"
	"diagnose/internal/gather"
	"diagnose/internal/inventory"
	"diagnose/report"
)

func (a *app) scanCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "scan --export FILE... | --scope SCOPE",
		Short: "Where in this organization are invoker grants too broad?",
		Long: `Judge every grant in an asset inventory: exports of Cloud Asset Inventory (lines
or lists of JSON, plain, gzip or zstd, in any order and number of files), or the
live inventory of an organization, folder or project.`,
		Example: `  gcloud asset export --organization=1 --content-type=resource --output-path=gs://B/resources
  gcloud asset export --organization=1 --content-type=iam-policy --output-path=gs://B/policies
  diagnose scan --export resources --export policies --format html -o scan.html
  diagnose scan --scope organizations/1 --fail-on critical`,
	}
	j := a.judgingFlags(c)
	f := c.Flags()
	exports := f.StringArray("export", nil, "an export: a `FILE`, folder, pattern, or - for stdin; repeatable, and further arguments count too")
	read := inventory.Options{}
	f.BoolVar(&read.Strict, "strict", false, "stop at the first malformed line")
	f.BoolVar(&read.Complete, "complete", false, "the input holds every policy that there is: what it shows none of has none")
	live := &gather.AssetOptions{}
	f.StringVar(&live.Scope, "scope", "", "read the live inventory of this `RESOURCE`: organizations/N, folders/N or projects/P")
	f.StringVar(&live.Resume, "resume", "", "keep what was read of a live inventory in this `FILE`, and go on from there")
	readTime := f.String("read-time", "", "read the inventory as it was at this `TIME`, RFC 3339")
	f.StringVar(&live.Impersonate, "impersonate-service-account", "", "the `E-MAIL` of a service account to read as")
	f.StringVar(&live.QuotaProject, "quota-project", "", "the `PROJECT` whose quota the calls use")
	c.RunE = func(c *cobra.Command, args []string) error {
		o, failOn, err := j.options(nil)
		if err != nil {
			return err
		}
		inputs := append(*exports, args...)
		switch {
		case len(inputs) == 0 && live.Scope == "":
			return hint(errors.New("scan takes an export or a scope"), "diagnose scan --export FILE", "diagnose scan --scope organizations/N")
		case len(inputs) > 0 && live.Scope != "":
			return errors.New("--export and --scope are two inputs: give one of them")
		}
		if *readTime != "" {
			if live.ReadTime, err = time.Parse(time.RFC3339, *readTime); err != nil {
				return errors.New("--read-time: time must be RFC 3339, as 2026-11-23T12:00:00Z")
			}
		}
		p := a.progress()
		read.Progress = p.show
		var e *estate.Estate
		var s inventory.Stats
		if live.Scope != "" {
			a.reader(&live.Options)
			e, s, err = a.scanLive(c.Context(), live, read)
		} else {
			e, s, err = inventory.Read(c.Context(), inputs, a.Stdin, read)
		}
		p.end()
		if err != nil {
			if c.Context().Err() != nil {
				return &failure{err}
			}
			return err
		}
		if s.Assets == 0 && s.Odd == 0 && len(s.Foreign) > 0 {
			return errors.New(strings.Join(s.Foreign, "; "))
		}
		for _, f := range s.Foreign {
			a.say("%s", f)
		}
		o.OnePerBinding = true
		r := report.Findings{Command: "scan", Version: release(), Result: rules.Judge(e, o), FailOn: failOn, At: o.Now}
		r.Incomplete = append(a.incomplete(s), r.Missing...)
		return j.report(c.Context(), r)
	}
	return c
}

// incomplete says why something is missing from what was read.
func (a *app) incomplete(s inventory.Stats) []string {
	out := s.Incomplete
	if s.Odd > 0 {
		a.say("%d of %d lines could not be read", s.Odd, s.Lines)
		out = append(out, oddities(s)...)
	}
	if s.Assets == 0 {
		out = append(out, "no asset that has to do with functions, services or the policies above them is in the input")
	}
	return append(out, s.Missing...)
}

// oddities lists the malformed lines, as far as they were kept.
func oddities(s inventory.Stats) []string {
	var out []string
	for _, o := range s.Oddities {
		out = append(out, o.String())
	}
	if more := s.Odd - len(out); more > 0 {
		out = append(out, fmt.Sprintf("and %d more lines", more))
	}
	return out
}

// scanLive reads the live inventory through the same door as an export.
func (a *app) scanLive(ctx context.Context, o *gather.AssetOptions, i inventory.Options) (*estate.Estate, inventory.Stats, error) {
	o.Types = inventory.Types()
	var failed error
	e, s, err := inventory.ReadLines(ctx, func(yield func([]byte) bool) {
		failed = gather.Assets(ctx, *o, yield)
	}, i)
	if err == nil && failed != nil {
		if s.Assets == 0 {
			return nil, s, answerless(failed)
		}
		s.Incomplete = append(s.Incomplete, failed.Error())
	}
	return e, s, err
}

// A progress shows on a terminal how far the reading is.
type progress struct {
	app      *app
	on       bool
	started  time.Time
	last     time.Time
	terminal *os.File
}

func (a *app) progress() *progress {
	file, ok := a.Stderr.(*os.File)
	return &progress{app: a, on: ok && !a.quiet && term.IsTerminal(int(file.Fd())), started: time.Now(), terminal: file}
}

func (p *progress) show(s inventory.Stats) {
	if !p.on || time.Since(p.last) < 200*time.Millisecond {
		return
	}
	p.last = time.Now()
	took := p.last.Sub(p.started).Seconds()
	line := fmt.Sprintf("%d MB, %d lines, %.0f lines/s, %d grants to anyone so far", s.Bytes>>20, s.Lines, float64(s.Lines)/took, s.Public)
	if s.Total > 0 && s.Bytes > 0 {
		left := time.Duration(took * float64(s.Total-s.Bytes) / float64(s.Bytes) * float64(time.Second))
		line += fmt.Sprintf(", %d%%, %s left", 100*s.Bytes/s.Total, left.Round(time.Second))
	}
	fmt.Fprintf(p.terminal, "\r\x1b[K%s", line)
}

func (p *progress) end() {
	if p.on && !p.last.IsZero() {
		fmt.Fprint(p.terminal, "\r\x1b[K")
	}
}
