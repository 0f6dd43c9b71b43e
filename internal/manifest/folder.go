package manifest

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"diagnose/internal/bounded"
	"diagnose/internal/estate"
	"diagnose/internal/script"
	"diagnose/internal/terraform"
)

// The kinds by which files of a folder are counted where nothing is read of
// them.
const (
	otherFiles   = "of other kinds"
	otherData    = "JSON or YAML of something else"
	brokenOther  = "broken, and of something else"
	otherScripts = "scripts without a command that matters here"
	leftOut      = "left out by --exclude"
	links        = "links and devices"
)

// leftFolder reports whether a folder holds what others made, or is hidden.
// GitHub's is not left out: it may hold configuration.
func leftFolder(name string) bool {
	return name == "node_modules" || name == "vendor" || strings.HasPrefix(name, ".") && name != ".github"
}

// folder reads what is ours in a folder and below it.
func (r *reader) folder(root string) error {
	modules := map[string]bool{}
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			r.unread(p, fmt.Errorf("cannot be read: %w", err))
			if d != nil && d.IsDir() {
				return filepath.SkipDir
			}
			return nil
		case p != root && r.excluded(root, p):
			r.skip(leftOut)
			if d.IsDir() {
				return filepath.SkipDir
			}
			return nil
		case d.IsDir():
			if p != root && leftFolder(d.Name()) {
				return filepath.SkipDir
			}
			return nil
		case !d.Type().IsRegular():
			r.skip(links)
			return nil
		}
		if terraform.IsConfiguration(p) {
			modules[filepath.Dir(p)] = true
			r.count("Terraform configuration")
			return nil
		}
		return r.found(p)
	})
	if err != nil {
		return err
	}
	roots := slices.DeleteFunc(r.terraform.Roots(modules), func(dir string) bool { return r.planned[filepath.Clean(dir)] })
	for _, dir := range roots { // what a plan is made of is judged by the plan
		switch err := r.configuration(dir); {
		case errors.Is(err, terraform.ErrIgnore):
			return err
		case err != nil:
			r.unread(dir, err)
		}
	}
	return nil
}

// excluded reports whether a pattern leaves a path out: by its name, or by its
// path below the folder that was given.
func (r *reader) excluded(root, path string) bool {
	below, err := filepath.Rel(root, path)
	if err != nil {
		below = path
	}
	below = filepath.ToSlash(below)
	return slices.ContainsFunc(r.exclude, func(pattern string) bool {
		return doublestar.MatchUnvalidated(pattern, below) || doublestar.MatchUnvalidated(pattern, filepath.Base(path))
	})
}

// found reads a file of a folder as far as it is ours. What is ours and cannot
// be read is listed; everything else is counted.
func (r *reader) found(p string) error {
	if !structured(p) && !runnable(p) {
		r.skip(otherFiles)
		return nil
	}
	data, err := r.file(p)
	if errors.Is(err, bounded.ErrTooLarge) {
		r.unread(p, err)
		return nil
	}
	if err != nil {
		r.unread(p, fmt.Errorf("cannot be read: %w", err))
		return nil
	}
	switch err := r.data(p, data, true); {
	case errors.Is(err, script.ErrNothing):
		r.skip(otherScripts)
	case errors.Is(err, errForeign) && !structured(p):
		r.skip(otherFiles)
	case errors.Is(err, errForeign):
		r.skip(otherData)
	case errors.Is(err, errSyntax) && !ours.Match(data) && !script.Mentions(data):
		r.skip(brokenOther)
	case err != nil:
		r.unread(p, err)
	}
	return nil
}

// unread lists a file, or a folder, that is ours and was not read.
func (r *reader) unread(name string, err error) {
	u := estate.Unread{What: name, Reason: strings.TrimPrefix(err.Error(), name+": "), Where: estate.Where{File: name}}
	if at := (*placed)(nil); errors.As(err, &at) {
		u.Where.Line, u.Reason = at.line, at.err.Error()
	}
	r.After.Unread = append(r.After.Unread, u)
}

// A placed error knows its line.
type placed struct {
	name string
	line int
	err  error
}

func (p *placed) Error() string { return fmt.Sprintf("%s:%d: %s", p.name, p.line, p.err) }
func (p *placed) Unwrap() error { return p.err }

// ours fits the text of a broken file that is about invocation: its services,
// functions, roles, or a plan.
var ours = regexp.MustCompile(`serving\.knative\.dev/|(run|cloudfunctions2?)\.cnrm\.cloud\.google\.com|` +
	`roles/(run\.(services)?[iI]nvoker|cloudfunctions\.invoker)|allUsers|allAuthenticatedUsers|"resource_changes"|` +
	`projects/[^/\s"]+/locations/[^/\s"]+/(services|functions)/`)

// structured reports whether a file may hold JSON or YAML, by its name.
func structured(name string) bool {
	return slices.Contains([]string{".json", ".yaml", ".yml"}, filepath.Ext(name)) && filepath.Base(name) != "diagnose.yaml"
}

// count counts a file of which something was read.
func (r *reader) count(what string) {
	r.Files++
	if r.Kinds == nil {
		r.Kinds = map[string]int{}
	}
	r.Kinds[what]++
}

// skip counts a file, or a folder, of which nothing was read.
func (r *reader) skip(what string) {
	r.Skipped++
	if r.Left == nil {
		r.Left = map[string]int{}
	}
	r.Left[what]++
}
