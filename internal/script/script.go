// Package script reads what deploys from the command line: shell scripts,
// Makefiles and pipelines, as far as gcloud's commands in them set who may
// invoke a service or function. It runs nothing. What only a shell that runs
// could know is not known.
package script

import (
	"bytes"
	"errors"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"diagnose/internal/estate"
	"diagnose/internal/yamldoc"
)

// ErrNothing reports a file without a command that sets who may invoke.
var ErrNothing = errors.New("has no gcloud command that deploys a service or function, or grants a role")

// maxText bounds what is read of one file, in bytes.
const maxText = 4 << 20

// Kind says what a file is by its name and first line: "shell script" or
// "Makefile", "" for other files.
func Kind(name string, data []byte) string {
	base := filepath.Base(name)
	ext := filepath.Ext(base)
	first, _, _ := bytes.Cut(data[:min(len(data), 200)], []byte("\n"))
	switch {
	case slices.Contains([]string{"Makefile", "makefile", "GNUmakefile"}, base), ext == ".mk":
		return "Makefile"
	case slices.Contains([]string{".sh", ".bash"}, ext),
		bytes.HasPrefix(first, []byte("#!")) && slices.Contains(shells, filepath.Base(interpreter(string(first)))):
		return "shell script"
	}
	return ""
}

var shells = []string{"sh", "bash", "dash", "ksh", "zsh"}

// interpreter is the program of a first line "#!/usr/bin/env bash".
func interpreter(line string) string {
	words := strings.Fields(strings.TrimPrefix(line, "#!"))
	switch {
	case len(words) > 1 && filepath.Base(words[0]) == "env":
		return words[len(words)-1]
	case len(words) > 0:
		return words[0]
	}
	return ""
}

// Mentions reports whether a text speaks of a command that is read here, so
// that a file that cannot be taken apart matters.
func Mentions(data []byte) bool {
	return bytes.Contains(data, []byte("gcloud")) && (bytes.Contains(data, []byte("-iam-policy")) || bytes.Contains(data, []byte("-invoker-policy")) ||
		bytes.Contains(data, []byte("deploy")) || bytes.Contains(data, []byte("services update")))
}

// Read reads a shell script or a Makefile. It returns ErrNothing where no
// command in it matters here.
func Read(name string, data []byte) (*estate.Estate, error) {
	if len(data) > maxText {
		return nil, errors.New("is larger than 4 MB")
	}
	in := newEffects(name)
	if Kind(name, data) == "Makefile" {
		readMakefile(in, string(data))
		return in.estate()
	}
	if err := in.shell(string(data), 1, newVariables(nil)); err != nil {
		return nil, err
	}
	return in.estate()
}

// Pipeline reads a document of Cloud Build, GitHub Actions or GitLab. what is
// "" where the document is none of these.
func Pipeline(name string, doc *yaml.Node) (what string, e *estate.Estate, err error) {
	in := newEffects(name)
	switch {
	case yamldoc.Field(doc, "jobs") != nil && workflow(in, doc):
		what = "GitHub workflow"
	case yamldoc.Field(doc, "runs") != nil && action(in, doc):
		what = "GitHub action"
	case yamldoc.Field(doc, "steps") != nil && cloudBuild(in, doc):
		what = "Cloud Build pipeline"
	case strings.HasSuffix(name, ".gitlab-ci.yml") || strings.HasSuffix(name, ".gitlab-ci.yaml"):
		gitlab(in, doc)
		what = "GitLab pipeline"
	case filepath.Base(name) == "package.json" && yamldoc.Field(doc, "scripts") != nil:
		packageScripts(in, doc)
		what = "npm package"
	default:
		return "", nil, ErrNothing
	}
	e, err = in.estate()
	return what, e, err
}

// A word is one argument of a command. In its text stands what is not known
// between two marks.
type word struct {
	text string
	line int
}

const (
	mark    = "\x01" // around the name of what is not known
	usually = "\x02" // before a default that the environment may replace
)

// unknown makes the text of something that is not known.
func unknown(name string) string { return mark + name + mark }

// known reports whether all of a word is known, whatever the environment.
func (w word) known() bool { return !strings.ContainsAny(w.text, mark+usually) }

// value is the text of a word, "" where a part is not known. A default counts.
func (w word) value() string {
	if strings.Contains(w.text, mark) {
		return ""
	}
	return strings.ReplaceAll(w.text, usually, "")
}

// shown is a word as it was written.
func (w word) shown() string {
	parts := strings.Split(strings.ReplaceAll(w.text, usually, ""), mark)
	for i := range parts {
		switch {
		case i%2 == 0 || strings.HasPrefix(parts[i], "$"):
		case strings.Contains(parts[i], "."):
			parts[i] = "${{ " + parts[i] + " }}" // of GitHub Actions
		default:
			parts[i] = "$" + parts[i]
		}
	}
	return strings.Join(parts, "")
}

// A command is one command line, in the order in which it stands in its file.
type command struct {
	words []word
	// maybe says what it depends on whether it runs: "only if the condition in
	// line 4 holds", "" where it does.
	maybe string
}
