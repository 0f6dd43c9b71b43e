package main

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/diff"

	"diagnose/checks/rules"
	"diagnose/internal/bounded"
	"diagnose/internal/manifest"
	"diagnose/internal/patch"
	"diagnose/report"
)

// maxRounds bounds how often what is left is patched again: of findings of one
// kind about one resource only the first one shows.
const maxRounds = 5

// repair patches the sources of findings, judges them again, and prints the
// difference.
func (g *gating) repair(args []string, in manifest.Input, o rules.Options, f report.Findings) error {
	files := &patch.Files{Changed: map[string][]byte{}, Read: os.ReadFile}
	after := f
	for range maxRounds {
		left, made := g.round(files, after)
		if !made || in.Before != nil {
			for _, l := range left {
				g.app.say("left as it is: %s", l)
			}
			break
		}
		again, err := g.read(args, files.Changed)
		if err != nil {
			return fmt.Errorf("the patched sources: %w", err)
		}
		if after.Result, err = g.judge(again, o); err != nil {
			return err
		}
		if n := brought(f, after); n != "" {
			return fmt.Errorf("nothing was patched: it would bring another finding: %s", n)
		}
	}
	switch {
	case len(files.Changed) == 0:
		g.app.say("no change of the sources was made")
	case in.Before != nil:
		g.app.say("a plan does not tell what the patch does to it: make it again")
	default:
		g.app.say("%d of severity %s or above before, %d after this patch", f.AtLeast(f.FailOn), f.FailOn, after.AtLeast(f.FailOn))
	}
	if err := g.show(files); err != nil {
		return err
	}
	if g.write {
		return g.exit(after)
	}
	return g.exit(f)
}

// round patches the findings that make a run fail. It says which ones it left,
// and whether it made a change.
func (g *gating) round(files *patch.Files, f report.Findings) (left []string, made bool) {
	for _, x := range bottomUp(f.Result.Findings) {
		if x.Suppressed != "" || x.Unknown || x.Severity < f.FailOn {
			continue
		}
		if err := patched(files, x); err != nil {
			left = append(left, fmt.Sprintf("%s%s: %v", report.Clean(x.Message), standsIn(x), err))
			continue
		}
		made = true
	}
	return left, made
}

// bottomUp lists findings by file, the last line first: a patch leaves the
// lines above it where they are.
func bottomUp(list []rules.Finding) []rules.Finding {
	out := slices.Clone(list)
	slices.SortStableFunc(out, func(a, b rules.Finding) int {
		return cmp.Or(strings.Compare(a.Where.File, b.Where.File), cmp.Compare(b.Where.Line, a.Where.Line))
	})
	return out
}

// patched makes the first fix of a finding that its source takes.
func patched(files *patch.Files, x rules.Finding) error {
	if x.Where.File == "" || x.Where.Line == 0 || strings.Contains(filepath.ToSlash(x.Where.File), ".terraform/") {
		return fmt.Errorf("it is in no source that can be changed")
	}
	err := fmt.Errorf("no fix of it is known")
	for _, fix := range x.Fixes {
		c := patch.Change{File: x.Where.File, Line: x.Where.Line, Address: x.Where.Address, Terraform: fix.Terraform}
		if fix.ID == "remove-binding" {
			c.Member = x.Member
		}
		if err = files.Apply(c); err == nil {
			return nil
		}
	}
	return err
}

func standsIn(x rules.Finding) string {
	if x.Where.File == "" {
		return ""
	}
	return fmt.Sprintf(", %s:%d", x.Where.File, x.Where.Line)
}

// brought names a finding that is there after a patch and was not before, as
// severe as those that fail.
func brought(before, after report.Findings) string {
	for _, x := range after.Result.Findings {
		if x.Suppressed == "" && x.Severity >= before.FailOn && !slices.ContainsFunc(before.Result.Findings, func(o rules.Finding) bool { return o.Fingerprint == x.Fingerprint }) {
			return report.Clean(x.Message)
		}
	}
	return ""
}

// show prints the patch, and writes it where that is asked for.
func (g *gating) show(files *patch.Files) error {
	for _, name := range slices.Sorted(maps.Keys(files.Changed)) {
		old, err := bounded.File(name, maxChange)
		if err != nil {
			return err
		}
		slash := filepath.ToSlash(name)
		d := diff.Diff("a/"+slash, old, "b/"+slash, files.Changed[name])
		if _, after, ok := strings.Cut(string(d), "\n"); ok && strings.HasPrefix(string(d), "diff ") {
			d = []byte(after) // as git apply takes it
		}
		if _, err := g.app.Stdout.Write(d); err != nil {
			return err
		}
		if !g.write {
			continue
		}
		info, err := os.Stat(name)
		if err != nil {
			return err
		}
		if err := os.WriteFile(name, files.Changed[name], info.Mode().Perm()); err != nil {
			return err
		}
	}
	return nil
}
