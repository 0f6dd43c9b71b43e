package manifest

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"diagnose/internal/estate"
	"diagnose/internal/script"
)

// maxScript bounds what is read of a file without an ending to see whether it
// is a script, in bytes.
const maxScript = 1 << 20

// runnable reports whether a file of a folder may be a script: by its name, or
// because it can be run and its name has no ending.
func runnable(name string) bool {
	if script.Kind(name, nil) != "" {
		return true
	}
	info, err := os.Stat(name)
	return err == nil && filepath.Ext(name) == "" && info.Mode()&0o111 != 0 && info.Size() <= maxScript
}

// script reads a shell script or a Makefile.
func (r *reader) script(name string, data []byte) error {
	e, err := script.Read(name, data)
	switch {
	case errors.Is(err, script.ErrNothing):
		return err
	case err != nil:
		return syntax(err)
	}
	r.count(script.Kind(name, data))
	r.commands(name, e)
	return nil
}

// pipeline reads a document of a pipeline. One without a command that matters
// is none of ours.
func (r *reader) pipeline(name string, d document) (string, error) {
	what, e, err := script.Pipeline(name, d.node)
	switch {
	case what == "":
		return "", nil
	case err != nil:
		return what, errors.Join(errForeign, err)
	}
	r.commands(name, e)
	return what, nil
}

func (r *reader) commands(name string, e *estate.Estate) {
	e.In(r.root(name))
	r.scripted = append(r.scripted, e)
}

// bindScripts puts what commands set onto the services that other files have,
// where every part of their names is known, and adds the others.
func (r *reader) bindScripts() {
	for _, e := range r.scripted {
		e.Targets = slices.DeleteFunc(e.Targets, func(t estate.Target) bool {
			if strings.Contains(t.Name, "/-") {
				return false
			}
			i := slices.IndexFunc(r.After.Targets, func(o estate.Target) bool { return o.Name == t.Name })
			if i < 0 {
				return false
			}
			override(&r.After.Targets[i], t)
			return true
		})
		r.After.Add(e)
	}
}

// override sets on a target what is known of another one.
func override(t *estate.Target, by estate.Target) {
	for _, f := range []struct{ to, from *estate.Truth }{{&t.Check, &by.Check}, {&t.IAP, &by.IAP}, {&t.DefaultURL, &by.DefaultURL}} {
		if *f.from != estate.Unknown {
			*f.to, t.Where = *f.from, by.Where
		}
	}
	if by.Ingress != estate.UnknownIngress {
		t.Ingress, t.Where = by.Ingress, by.Where
	}
	if t.Function == "" {
		t.Function = by.Function
	}
}
