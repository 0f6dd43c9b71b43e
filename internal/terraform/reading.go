package terraform

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"

	"diagnose/internal/bounded"
	"diagnose/internal/estate"
)

// Inputs are what Terraform takes from outside a configuration. The zero
// Inputs is nothing.
type Inputs struct {
	// Variables are the values of --var ("name=value") and the files of
	// --var-file ("@FILE"), in the order given: the last one counts.
	Variables []string
	// Getenv looks up the environment: TF_VAR_…, TF_WORKSPACE, and the project
	// and region of the provider. nil stands for an empty one.
	Getenv func(string) string
	// Instead holds by cleaned name what files of configuration are taken to
	// hold in place of what they do.
	Instead map[string][]byte
}

// A Configuration is what a folder of configuration says, without a plan: what
// Terraform would have to ask a provider for is unknown.
type Configuration struct {
	Estate  *estate.Estate
	Ignores []Ignore
}

// Bounds of what is read of a configuration.
const (
	maxModules   = 16     // deep
	maxInstances = 5000   // of one resource or module
	maxScopes    = 20000  // instances of modules
	maxMade      = 200000 // instances of resources and data sources
)

// A Reader reads configurations. It parses each file once, however many
// modules it is part of.
type Reader struct {
	Inputs
	set     map[string]given // by Inputs.Variables
	sources map[string]*source
	failed  map[string]error
}

// NewReader returns a reader that takes what stands outside of configurations
// from some inputs. Its error is that of a variable without value, or of a
// file of values that cannot be read.
func NewReader(in Inputs) (*Reader, error) {
	r := &Reader{Inputs: in, set: map[string]given{}, sources: map[string]*source{}, failed: map[string]error{}}
	return r, r.setVariables()
}

// ReadConfiguration reads a folder, or one file as if it were alone, with no
// inputs.
func ReadConfiguration(path string) (Configuration, error) {
	r, err := NewReader(Inputs{})
	if err != nil {
		return Configuration{}, err
	}
	return r.Read(path)
}

// Read reads a folder as a root module, or files of one folder as all that it
// has. In a folder a file that is broken is listed as unread; the error of a
// file that is named names its line.
func (r *Reader) Read(paths ...string) (Configuration, error) {
	info, err := os.Stat(paths[0])
	if err != nil {
		return Configuration{}, err
	}
	dir, files := filepath.Dir(paths[0]), inOrder(slices.Clone(paths))
	if info.IsDir() {
		dir = paths[0]
		if files, err = configurationFiles(dir); err != nil {
			return Configuration{}, err
		}
	}
	p := &reading{Reader: r, lenient: info.IsDir(), estate: &estate.Estate{}, commented: map[string]bool{}, folders: map[string]*folder{}}
	f, err := p.folder(files)
	if err != nil {
		return Configuration{}, err
	}
	if err := p.assign(dir, f); err != nil {
		return Configuration{}, err
	}
	s := p.scope(f, dir)
	s.readProviders(nil)
	s.collect()
	if p.err != nil {
		return Configuration{}, p.err
	}
	e := Build(p.resources)
	e.Unread = append(e.Unread, p.estate.Unread...)
	return Configuration{e, p.ignores}, nil
}

// A reading is that of one root module.
type reading struct {
	*Reader
	lenient   bool // a file that is broken is listed, and the others are read
	estate    *estate.Estate
	resources []*Resource
	ignores   []Ignore
	commented map[string]bool // files whose comments were read
	folders   map[string]*folder
	values    map[string]given // of the root module's variables
	lists     map[string]moduleList
	calls     map[string]function.Function
	workspace string // the chosen one, "" until it is asked for
	scopes    int
	made      int
	err       error
}

// full notes that an instance is made, and reports whether there are too many.
func (p *reading) full() bool {
	if p.made++; p.made > maxMade && p.err == nil {
		p.err = errors.New("the configuration has too many resources: judge a plan instead")
	}
	return p.err != nil
}

// scope makes an instance of a module.
func (p *reading) scope(f *folder, dir string) *scope {
	p.scopes++
	return &scope{r: p, folder: f, dir: dir, values: map[string]cty.Value{}, resources: map[*block][]*made{}, modules: map[*block][]*scope{}}
}

// load parses a file once.
func (r *Reader) load(name string) (*source, error) {
	if s := r.sources[name]; s != nil {
		return s, nil
	}
	if err := r.failed[name]; err != nil {
		return nil, err
	}
	s, err := parse(name, r.Instead)
	if err != nil {
		r.failed[name] = err
		return nil, err
	}
	r.sources[name] = s
	return s, nil
}

// folder reads the files of a module.
func (p *reading) folder(files []string) (*folder, error) {
	f := &folder{kinds: map[string][]*block{}, named: map[string][]*block{}, locals: map[string]hcl.Expression{}}
	for _, name := range files {
		s, err := p.load(name)
		if err != nil {
			if err := p.broken(name, err); err != nil {
				return nil, err
			}
			continue
		}
		if !p.commented[name] {
			p.commented[name] = true
			list, err := s.comments(name)
			if err != nil {
				return nil, err
			}
			p.ignores = append(p.ignores, list...)
		}
		for _, b := range s.blocks {
			f.add(b, isOverride(name))
		}
	}
	return f, nil
}

// text is how an expression is written, in one line.
func (p *reading) text(e hcl.Expression) string {
	at := e.Range()
	s := p.sources[at.Filename]
	if s == nil || !at.CanSliceBytes(s.data) {
		return ""
	}
	text := strings.Join(strings.Fields(string(at.SliceBytes(s.data))), " ")
	if strings.HasSuffix(at.Filename, ".json") {
		text = strings.Trim(text, `"`)
		if inner, ok := strings.CutPrefix(text, "${"); ok && strings.Count(text, "${") == 1 {
			text = strings.TrimSuffix(inner, "}")
		}
	}
	return text
}

// environment are the defaults of a provider that sets none:
// https://registry.terraform.io/providers/hashicorp/google/latest/docs/guides/provider_reference.
func (p *reading) environment() Defaults {
	first := func(names ...string) string {
		for _, n := range names {
			if p.Getenv != nil && p.Getenv(n) != "" {
				return p.Getenv(n)
			}
		}
		return ""
	}
	return Defaults{
		Project: first("GOOGLE_PROJECT", "GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT", "CLOUDSDK_CORE_PROJECT"),
		Region:  first("GOOGLE_REGION", "GCLOUD_REGION", "CLOUDSDK_COMPUTE_REGION"),
	}
}

// workspaceIn is the one that Terraform would take in the folder of the root
// module: https://developer.hashicorp.com/terraform/cli/workspaces.
func (p *reading) workspaceIn(dir string) string {
	if p.workspace != "" {
		return p.workspace
	}
	chosen := ""
	if p.Getenv != nil {
		chosen = p.Getenv("TF_WORKSPACE")
	}
	data, err := bounded.File(filepath.Join(dir, ".terraform", "environment"), maxConfigFile)
	if err != nil {
		data = nil
	}
	p.workspace = cmp.Or(chosen, strings.TrimSpace(string(data)), "default")
	return p.workspace
}

// children are the instances of a module that a block calls, and whether they
// were read.
func (s *scope) children(b *block) ([]*scope, bool) {
	if list, done := s.modules[b]; done {
		return list, list != nil
	}
	s.modules[b] = nil
	f, dir, unread := s.called(b)
	if unread != nil {
		s.r.estate.Unread = append(s.r.estate.Unread, *unread)
		return nil, false
	}
	list := []*scope{}
	for _, x := range s.instances(b) {
		if s.r.scopes > maxScopes && s.r.err == nil {
			s.r.err = fmt.Errorf("%s: its modules are nested too deep, or too many: judge a plan instead", s.dir)
		}
		if s.r.err != nil {
			break
		}
		c := s.r.scope(f, dir)
		c.parent, c.depth, c.caller, c.arguments = s, s.depth+1, x, b.attributes
		c.prefix, c.maybe = s.prefix+"module."+b.label(0)+x.index+".", join2(s.maybe, x.maybe)
		c.readProviders(s.passed(b))
		list = append(list, c)
	}
	s.modules[b] = list
	return list, true
}

// errCycle reports modules that call each other in a circle.
var errCycle = errors.New("calls itself, directly or through other modules")

// called is the folder of the module that a block calls, or why it is unread.
func (s *scope) called(b *block) (*folder, string, *estate.Unread) {
	where := estate.Where{File: b.at.Filename, Line: b.at.Start.Line, Address: s.prefix + "module." + b.label(0)}
	unread := func(reason string) *estate.Unread {
		return &estate.Unread{What: "module " + b.label(0), Reason: reason, Where: where}
	}
	from := s.text(b.attributes["source"], nil)
	dir := filepath.Join(s.dir, from)
	if !strings.HasPrefix(from, "./") && !strings.HasPrefix(from, "../") {
		if dir = s.installed(b.label(0), from); dir == "" {
			u := s.unreadModule(b, where)
			return nil, "", &u
		}
	}
	for up := s; up != nil; up = up.parent {
		if filepath.Clean(up.dir) == filepath.Clean(dir) || s.depth >= maxModules {
			return nil, "", unread("it " + errCycle.Error())
		}
	}
	if f := s.r.folders[dir]; f != nil {
		return f, dir, nil
	}
	files, err := configurationFiles(dir)
	if err != nil || len(files) == 0 {
		return nil, "", unread("its folder " + dir + " has no *.tf file")
	}
	lenient := s.r.lenient
	s.r.lenient = true // it was not named
	f, err := s.r.folder(files)
	s.r.lenient = lenient
	if err != nil {
		s.r.err = cmp.Or(s.r.err, err)
		return nil, "", unread(err.Error())
	}
	s.r.folders[dir] = f
	return f, dir, nil
}

// Roots picks, of folders with configuration, those that no other one calls as
// a module.
func (r *Reader) Roots(dirs map[string]bool) []string {
	called := map[string]bool{}
	for dir := range dirs {
		files, _ := configurationFiles(dir)
		for _, f := range files {
			s, err := r.load(f)
			if err != nil {
				continue // reading it as a module tells
			}
			for _, b := range s.blocks {
				if to := localSource(b); to != "" && filepath.Join(dir, to) != filepath.Clean(dir) {
					called[filepath.Join(dir, to)] = true
				}
			}
		}
	}
	var out []string
	for dir := range dirs {
		if !called[filepath.Clean(dir)] {
			out = append(out, dir)
		}
	}
	if len(out) == 0 { // modules that call each other: reading one of them tells
		for dir := range dirs {
			out = append(out, dir)
		}
	}
	slices.Sort(out)
	return out
}

// localSource is the folder that a module block calls, "" where it calls none
// of this tree.
func localSource(b *block) string {
	e := b.attributes["source"]
	if b.kind != "module" || e == nil {
		return ""
	}
	v, diags := e.Value(nil)
	if diags.HasErrors() || v.Type() != cty.String || v.IsNull() || !v.IsKnown() {
		return ""
	}
	if from := v.AsString(); strings.HasPrefix(from, "./") || strings.HasPrefix(from, "../") {
		return from
	}
	return ""
}
