// Package manifest reads the files of a change before it is deployed: a
// Terraform plan or configuration, services and functions as Google's tools
// print them or as people write them, as Config Connector has them, and
// policies. It knows a file by its content.
package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"diagnose/internal/bounded"
	"diagnose/internal/estate"
	"diagnose/internal/evidence"
	"diagnose/internal/script"
	"diagnose/internal/terraform"
)

// An Input is what was read. Its zero value is nothing.
type Input struct {
	After *estate.Estate
	// Before is the estate before the change, nil where no file tells.
	Before  *estate.Estate
	Ignores []terraform.Ignore // in comments of configuration
	Files   int
	Kinds   map[string]int // of Files, by what they are: "Terraform plan"
	Skipped int            // files of folders that are none of this
	Left    map[string]int // of Skipped, by why
}

// Options say what is read. Its zero value is nothing.
type Options struct {
	Paths []string // files and folders; "-" is Stdin
	// Target names the resource of policy files, "" where their place tells.
	Target string
	// Exclude are patterns, in which ** stands for any folders, of what is left
	// out of folders.
	Exclude []string
	// Terraform are what configurations take from outside.
	Terraform terraform.Inputs
	// Instead holds by cleaned name what files are taken to hold in place of
	// what they do; only files that are there count.
	Instead map[string][]byte
	Stdin   io.Reader
}

// maxFile bounds the size of a file, in bytes.
const maxFile = 256 << 20

// errForeign reports a file that is none of those read here.
var errForeign = errors.New("is not recognized; expected a Terraform plan in JSON, *.tf files, or Cloud Run services, functions and " +
	"IAM policies in YAML or JSON")

// errSyntax reports a file that is not even what its name says.
var errSyntax = errors.New("")

// syntax marks an error as one of a file that cannot be taken apart.
func syntax(err error) error { return &broken{err} }

type broken struct{ error }

func (b *broken) Unwrap() []error { return []error{errSyntax, b.error} }

// Read reads files and folders. A file that is named and not recognized is an
// error; in a folder it is skipped and counted, and where it is one of ours
// that cannot be read, it is listed in After.Unread.
func Read(o Options) (Input, error) {
	on, err := fullName(o.Target)
	if err != nil {
		return Input{}, err
	}
	for _, pattern := range o.Exclude {
		if !doublestar.ValidatePattern(pattern) {
			return Input{}, fmt.Errorf("--exclude %q is not a pattern: a [ is not closed, or a \\ ends it", pattern)
		}
	}
	o.Terraform.Instead = o.Instead
	configurations, err := terraform.NewReader(o.Terraform)
	if err != nil {
		return Input{}, err
	}
	r := &reader{instead: o.Instead, Input: Input{After: &estate.Estate{}}, target: on, exclude: o.Exclude, paths: o.Paths, terraform: configurations}
	for _, p := range o.Paths {
		if err := r.path(p, o.Stdin); err != nil {
			return Input{}, err
		}
	}
	r.bindScripts()
	r.bindReferences()
	r.bindPolicies()
	r.After.JoinFunctions()
	if r.Before != nil {
		r.Before.JoinFunctions()
	}
	return r.Input, nil
}

type reader struct {
	Input
	policies []looseFile              // whose resource is told by their neighbours
	refs     []refPolicy              // whose resource is told by another object
	objects  map[string]estate.Target // of Config Connector, by kind, namespace and name
	planned  map[string]bool          // folders with a plan
	scripted []*estate.Estate         // what commands do, applied when all is read
	target   string                   // full resource name of policies, "" where it is not said
	exclude  []string
	paths    []string // as they were given
	roots    int      // root modules read so far

	terraform *terraform.Reader
	instead   map[string][]byte
}

// file is what a file holds, or is taken to hold.
func (r *reader) file(name string) ([]byte, error) {
	if data, ok := r.instead[filepath.Clean(name)]; ok {
		return data, nil
	}
	return bounded.File(name, maxFile)
}

// root tells a root module from the others: what two of them name alike need
// not be one thing.
func (r *reader) root(path string) string {
	if r.roots++; r.roots == 1 {
		return ""
	}
	return path
}

func (r *reader) path(name string, stdin io.Reader) error {
	if name == "-" {
		data, err := bounded.All(stdin, "standard input", maxFile)
		if err != nil {
			return err
		}
		return r.named("-", data)
	}
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return err
	case info.IsDir():
		return r.folder(name)
	case terraform.IsConfiguration(name):
		return r.module(name)
	}
	data, err := r.file(name)
	if err != nil {
		return err
	}
	return r.named(name, data)
}

// named reads a file that was named, whatever its name looks like.
func (r *reader) named(name string, data []byte) error {
	err := r.data(name, data, false)
	if at := (*placed)(nil); err == nil || errors.As(err, &at) && at.name == name || strings.HasPrefix(err.Error(), name+":") {
		return err
	}
	return fmt.Errorf("%s: %w", name, err)
}

// configuration reads a folder of Terraform configuration, or files of one, as
// a root module.
func (r *reader) configuration(paths ...string) error {
	c, err := r.terraform.Read(paths...)
	if err != nil {
		return err
	}
	c.Estate.In(r.root(paths[0]))
	r.After.Add(c.Estate)
	r.Ignores = append(r.Ignores, c.Ignores...)
	return nil
}

// module reads a file of configuration with the others that were named of its
// folder, where it is the first of them: together they are one module.
func (r *reader) module(name string) error {
	dir := filepath.Dir(name)
	r.count("Terraform configuration")
	list := slices.DeleteFunc(slices.Clone(r.paths), func(p string) bool {
		return !terraform.IsConfiguration(p) || filepath.Dir(p) != dir
	})
	if len(list) > 0 && list[0] != name {
		return nil
	}
	return r.configuration(list...)
}

// data reads one file. In a folder, strict takes only what is ours beyond
// doubt.
func (r *reader) data(name string, data []byte, strict bool) error {
	if bytes.HasPrefix(data, zipped) && !strict {
		return r.plan(name, data)
	}
	data, err := evidence.DecodeText(data) // PowerShell writes UTF-16
	if err != nil {
		return syntax(err)
	}
	trimmed := bytes.TrimSpace(data)
	switch {
	case script.Kind(name, data) != "":
		return r.script(name, data)
	case isPlan(trimmed, strict):
		return r.plan(name, data)
	case len(trimmed) == 0:
		return syntax(errors.New("is empty"))
	}
	var whole json.RawMessage
	if err := json.Unmarshal(data, &whole); err != nil && (trimmed[0] == '{' || trimmed[0] == '[') {
		return syntax(evidence.JSONError(data, err))
	}
	docs, err := documents(data)
	if err != nil {
		return syntax(err)
	}
	known := map[string]bool{}
	for _, d := range docs {
		switch what, err := r.document(name, d, strict); {
		case errors.Is(err, errForeign):
		case err != nil && !strict:
			return &placed{name, d.line, err}
		case err != nil:
			r.unread(name, &placed{name, d.line, err})
			known[what] = true
		default:
			known[what] = true
		}
	}
	for what := range known {
		r.count(what)
		r.Files--
	}
	if len(known) == 0 {
		return errForeign
	}
	r.Files++
	return nil
}

// errNoPlan reports another output of Terraform's, such as that of validate.
var errNoPlan = errors.New("has a format_version and nothing of a plan; expected the output of terraform show -json")

// zipped starts a plan in binary form.
var zipped = []byte("PK\x03\x04")

// planFields are those of what terraform show -json prints, beside the version.
var planFields = []string{"resource_changes", "planned_values", "terraform_version", "prior_state", "values", "errored", "complete"}

// isPlan reports whether a file is a Terraform plan: in a folder, a field of
// its own says so beside the version, in whatever order they stand.
func isPlan(data []byte, strict bool) bool {
	version, field := topFields(data)
	return version && (field || !strict)
}

// topFields reports whether a document has a version at its top, and a field
// of a plan there, as far as it can be read.
func topFields(data []byte) (version, field bool) {
	d := json.NewDecoder(bytes.NewReader(data))
	if start, err := d.Token(); err != nil || start != json.Delim('{') {
		return false, false
	}
	for d.More() && !(version && field) {
		key, err := d.Token()
		if err != nil {
			break
		}
		version = version || key == "format_version"
		field = field || slices.Contains(planFields, fmt.Sprint(key))
		var value json.RawMessage
		if d.Decode(&value) != nil {
			break
		}
	}
	return version, field
}

func (r *reader) plan(name string, data []byte) error {
	p, err := terraform.ReadPlan(data, name)
	if err != nil {
		return err
	}
	if _, field := topFields(data); !field {
		return errNoPlan
	}
	r.count("Terraform plan")
	if name != "-" {
		dir := filepath.Dir(name)
		ignores, err := r.terraform.Ignores(dir)
		if err != nil {
			return err
		}
		if !r.planned[dir] {
			r.Ignores = append(r.Ignores, ignores...)
		}
		if r.planned == nil {
			r.planned = map[string]bool{}
		}
		r.planned[dir] = true
	}
	root := r.root(name)
	p.After.In(root)
	p.Before.In(root)
	r.After.Add(p.After)
	if r.Before == nil {
		r.Before = &estate.Estate{}
	}
	r.Before.Add(p.Before)
	return nil
}
