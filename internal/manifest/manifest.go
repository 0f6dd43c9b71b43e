// Package manifest reads the files of a change before it is deployed: a
// Terraform plan or configuration, services and functions as Google's tools
// print them or as people write them, and policies. It knows a file by its
// content.
package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"cloud.google.com/go/iam/admin/apiv1/adminpb"
	"go.yaml.in/yaml/v3"

	"diagnose/internal/caller"
	"diagnose/internal/estate"
	"diagnose/internal/evidence"
	"diagnose/internal/gcp"
	"diagnose/internal/terraform"
	"diagnose/internal/yamldoc"
)

// An Input is what was read. Its zero value is nothing.
type Input struct {
	After *estate.Estate
	// Before is the estate before the change, nil where no file tells.
	Before  *estate.Estate
	Ignores []terraform.Ignore // in comments of configuration
	Files   int
	Skipped int // files of folders that are none of this
}

// maxFile bounds the size of a file, in bytes.
const maxFile = 512 << 20

// maxYAML bounds what is read as YAML, in bytes: JSON beyond it has no lines.
const maxYAML = 8 << 20

// errForeign reports a file that is none of those read here.
var errForeign = errors.New("is not recognized; expected a Terraform plan in JSON, *.tf files, or Cloud Run services, functions and IAM policies in YAML or JSON")

// Read reads files and folders. A file that is named and not recognized is an
// error; in a folder it is skipped and counted. target names the resource of
// policy files, "" where their place tells.
func Read(paths []string, target string, stdin io.Reader) (Input, error) {
	on, err := fullName(target)
	if err != nil {
		return Input{}, err
	}
	r := &reader{Input: Input{After: &estate.Estate{}}, target: on}
	for _, p := range paths {
		if err := r.path(p, stdin); err != nil {
			return Input{}, err
		}
	}
	r.bindPolicies()
	r.After.JoinFunctions()
	if r.Before != nil {
		r.Before.JoinFunctions()
	}
	return r.Input, nil
}

type reader struct {
	Input
	policies []looseFile     // whose resource is told by their neighbours
	planned  map[string]bool // folders with a plan
	target   string          // full resource name of policies, "" where it is not said
	roots    int             // root modules read so far
}

// root tells a root module from the others: what two of them name alike need
// not be one thing.
func (r *reader) root(path string) string {
	if r.roots++; r.roots == 1 {
		return ""
	}
	return path
}

// A looseFile is a policy document, which does not name its resource.
type looseFile struct {
	file     string
	bindings []estate.Binding
}

func (r *reader) path(name string, stdin io.Reader) error {
	if name == "-" {
		data, err := io.ReadAll(io.LimitReader(stdin, maxFile+1))
		if err != nil {
			return fmt.Errorf("reading standard input: %w", err)
		}
		r.Files++
		return r.file("-", data)
	}
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	if info.IsDir() {
		return r.folder(name)
	}
	if strings.HasSuffix(name, ".tf") || strings.HasSuffix(name, ".tf.json") {
		r.Files++
		return r.configuration([]string{name})
	}
	data, err := read(name)
	if err != nil {
		return err
	}
	r.Files++
	return r.file(name, data)
}

func read(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err == nil && info.Size() > maxFile {
		return nil, fmt.Errorf("%s: is larger than %d MB", name, maxFile>>20)
	}
	return os.ReadFile(name)
}

func (r *reader) folder(root string) error {
	modules := map[string]bool{}
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && p != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "node_modules"):
			return filepath.SkipDir
		case d.IsDir() || !d.Type().IsRegular():
			return nil
		case strings.HasSuffix(p, ".tf"):
			modules[filepath.Dir(p)] = true
			r.Files++
			return nil
		case !slices.Contains([]string{".json", ".yaml", ".yml"}, filepath.Ext(p)):
			r.Skipped++
			return nil
		}
		data, err := read(p)
		if err != nil {
			return err
		}
		switch err := r.file(p, data); {
		case errors.Is(err, errForeign):
			r.Skipped++
		case err != nil:
			return err
		default:
			r.Files++
		}
		return nil
	})
	if err != nil {
		return err
	}
	if len(modules) == 0 {
		return nil
	}
	roots := slices.DeleteFunc(terraform.RootModules(modules), func(dir string) bool { return r.planned[filepath.Clean(dir)] })
	return r.configuration(roots) // what a plan is made of is judged by the plan
}

// configuration reads folders, or single files, of Terraform configuration.
func (r *reader) configuration(paths []string) error {
	for _, p := range paths {
		c, err := terraform.ReadConfiguration(p)
		if err != nil {
			return err
		}
		c.Estate.In(r.root(p))
		r.After.Add(c.Estate)
		r.Ignores = append(r.Ignores, c.Ignores...)
	}
	return nil
}

// file reads one file of JSON or YAML, of one or more documents.
func (r *reader) file(name string, data []byte) error {
	trimmed := bytes.TrimSpace(data)
	if bytes.HasPrefix(trimmed, []byte("PK\x03\x04")) || bytes.HasPrefix(trimmed, []byte("{")) && bytes.Contains(head(trimmed), []byte(`"format_version"`)) {
		return r.plan(name, data)
	}
	if len(trimmed) == 0 {
		return fmt.Errorf("%s: is empty", name)
	}
	var whole json.RawMessage
	if err := json.Unmarshal(data, &whole); err != nil && (trimmed[0] == '{' || trimmed[0] == '[') {
		return fmt.Errorf("%s: %w", name, evidence.JSONError(data, err))
	}
	docs, err := documents(data)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	known := 0
	for _, d := range docs {
		switch err := r.document(name, d); {
		case errors.Is(err, errForeign):
		case err != nil:
			return fmt.Errorf("%s:%d: %w", name, d.line, err)
		default:
			known++
		}
	}
	if known == 0 {
		return fmt.Errorf("%s: %w", name, errForeign)
	}
	return nil
}

// head is the part of a document in which a plan says what it is.
func head(data []byte) []byte { return data[:min(len(data), 4096)] }

func (r *reader) plan(name string, data []byte) error {
	p, err := terraform.ReadPlan(data, name)
	if err != nil {
		return err
	}
	if name != "-" {
		dir := filepath.Dir(name)
		ignores, err := terraform.Ignores(dir)
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

// A document is one of a file, as JSON, with its nodes for their lines.
type document struct {
	json []byte
	node *yaml.Node
	line int
}

// documents splits a file. JSON is YAML too, so that both have lines; where
// the YAML library does not take it, JSON has none.
func documents(data []byte) ([]document, error) {
	isJSON := json.Valid(data)
	if !isJSON && len(data) > maxYAML {
		return nil, fmt.Errorf("is YAML of more than %d MB", maxYAML>>20)
	}
	if isJSON {
		return jsonDocument(data)
	}
	list, err := yamldoc.Documents(data)
	if err != nil {
		return nil, fmt.Errorf("is not YAML that can be read: it %w", err)
	}
	var out []document
	for _, d := range list {
		if d.Node.Kind != yaml.ScalarNode {
			out = append(out, document{d.JSON, d.Node, d.Line()})
		}
	}
	return out, nil
}

func jsonDocument(data []byte) ([]document, error) {
	if err := evidence.WellFormed(data); err != nil {
		return nil, err
	}
	d := document{data, &yaml.Node{}, 1}
	if len(data) > maxYAML {
		return []document{d}, nil
	}
	if list, err := yamldoc.Documents(data); err == nil && len(list) == 1 {
		d.node, d.line = list[0].Node, list[0].Line()
	}
	return []document{d}, nil
}

func (r *reader) document(name string, d document) error {
	where := estate.Where{File: name, Line: d.line}
	_, flag := evidence.Kind(d.json)
	switch flag {
	case "service":
		s, err := evidence.ParseService(d.json)
		if err != nil {
			return err
		}
		r.After.Targets = append(r.After.Targets, estate.OfService(s, where))
	case "function":
		f, err := evidence.ParseFunction(d.json)
		if err != nil {
			return err
		}
		r.After.Targets = append(r.After.Targets, estate.OfFunction(f, where))
	case "policy":
		p, err := evidence.AllowPolicy(d.json)
		if err != nil {
			return err
		}
		lines := bindingLines(d.node)
		l := looseFile{file: name}
		for i, b := range p.GetBindings() {
			at := where
			if i < len(lines) {
				at.Line = lines[i]
			}
			l.bindings = append(l.bindings, estate.Binding{Role: b.GetRole(), Members: b.GetMembers(), Condition: b.GetCondition(), Where: at})
		}
		r.policies = append(r.policies, l)
	case "ancestor-policies", "roles", "deny-policies", "groups", "project-file", "iap-policy", "iap-settings", "service-account-policies":
		return r.member(flag, d.json, where)
	case "caller", "trigger":
		list, err := caller.Parse(d.json)
		if err != nil {
			return err
		}
		for _, c := range list {
			r.After.Callers = append(r.After.Callers, estate.Caller{Caller: c, Where: where})
		}
	default:
		return errForeign
	}
	return nil
}

// member reads a document that a case has too.
func (r *reader) member(flag string, doc []byte, where estate.Where) error {
	var s evidence.Snapshot
	if err := evidence.Read(flag, evidence.Source{Document: where.File}, doc, &s); err != nil {
		return err
	}
	r.hierarchy(s.Ancestors.Or(nil), where)
	for _, a := range s.Ancestors.Or(nil) {
		p, ok := a.Policy.Get()
		if !ok || a.ID == "" {
			continue
		}
		out := estate.Policy{Resource: estate.NodeHost + a.Type + "s/" + a.ID, Where: where}
		for _, b := range p.GetBindings() {
			out.Bindings = append(out.Bindings, estate.Binding{Role: b.GetRole(), Members: b.GetMembers(), Condition: b.GetCondition(), Where: where})
		}
		r.After.Policies = append(r.After.Policies, out)
	}
	r.After.Roles = append(r.After.Roles, s.Roles.Or([]*adminpb.Role(nil))...)
	deny := s.DenyPolicies.Or(nil)
	if unread := (*evidence.UnreadRules)(nil); errors.As(s.DenyPolicies.Reason(), &unread) {
		deny = unread.Read
		for _, name := range unread.Names {
			r.After.Unread = append(r.After.Unread, estate.Unread{What: "the rules of the deny policy " + name, Where: where, Reason: unread.Error()})
		}
	}
	for _, p := range deny {
		r.After.Deny = append(r.After.Deny, estate.Deny{Policy: p})
	}
	if p, ok := s.Project.Get(); ok && p.ID != "" && p.Number != "" {
		r.After.Nodes = append(r.After.Nodes, estate.Node{Name: "projects/" + p.Number, ID: p.ID, Where: where})
	}
	return nil
}

// hierarchy makes nodes of a list of ancestors, each below the next one.
func (r *reader) hierarchy(list []evidence.Ancestor, where estate.Where) {
	name := func(a evidence.Ancestor) string { return a.Type + "s/" + a.ID }
	for i, a := range list {
		if a.ID == "" {
			continue
		}
		n := estate.Node{Name: name(a), Where: where}
		if i+1 < len(list) && list[i+1].ID != "" {
			n.Parent = name(list[i+1])
		}
		r.After.Nodes = append(r.After.Nodes, n)
	}
}

// bindingLines are the lines of the bindings of a policy.
func bindingLines(n *yaml.Node) []int {
	for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value != "bindings" {
			continue
		}
		var out []int
		for _, b := range n.Content[i+1].Content {
			out = append(out, b.Line)
		}
		return out
	}
	return nil
}

// fullName completes the name of a service, function, project, folder or
// organization. A short name is that of a service.
func fullName(name string) (string, error) {
	if name == "" {
		return "", nil
	}
	n, ok := gcp.ParseName(name)
	if ok && n.Collection == "" {
		n = gcp.ServiceName("", "", n.ID)
	}
	if full := estate.Spelled(n, ""); ok && n.ID != "" && full != "" {
		return full, nil
	}
	return "", fmt.Errorf("%q names no resource that has a policy here; expected a service's name, "+
		"projects/P/locations/L/services/S, projects/P/locations/L/functions/F, projects/P, folders/N or organizations/N", name)
}

// bindPolicies finds the resource of each policy file: the service or function
// whose name the file's name starts with, or else the only one in its folder,
// or of all. A policy for which nothing tells is judged as that of a service
// of its own, and listed as such: who hands a public one to a gate wants to
// know.
func (r *reader) bindPolicies() {
	for _, p := range r.policies {
		on := r.target
		if on == "" {
			on = r.resourceOf(p.file)
		}
		if on == "" {
			on = estate.Spelled(gcp.ServiceName("", "", ""), filepath.Base(p.file))
			if strings.Contains(filepath.Base(p.file), "function") {
				on = estate.Spelled(gcp.FunctionName("", "", ""), filepath.Base(p.file))
			}
			r.After.Unread = append(r.After.Unread, estate.Unread{What: "the resource of the policy in " + p.file, Where: estate.Where{File: p.file},
				Reason: "it is judged as that of a service: give --target, name the file SERVICE-policy.json, or put it into a folder with that one service"})
		}
		r.After.Policies = append(r.After.Policies, estate.Policy{Resource: on, Bindings: p.bindings, Where: estate.Where{File: p.file}})
	}
}

func (r *reader) resourceOf(file string) string {
	base := strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))
	ofFunction := strings.Contains(base, "function-policy") || strings.Contains(base, "function.policy")
	var named, near []estate.Target
	for _, t := range r.After.Targets {
		id := gcp.Last(t.Name)
		for _, end := range []string{"-policy", ".policy", "_policy", "-iam", ".iam", "-iam-policy", ".iam-policy", "-function-policy"} {
			if base == id+end {
				named = append(named, t)
			}
		}
		if filepath.Dir(t.Where.File) == filepath.Dir(file) {
			near = append(near, t)
		}
	}
	if len(named) == 0 {
		named = near
	}
	if len(named) == 0 {
		named = r.After.Targets
	}
	if len(named) == 2 && named[0].Name == named[1].Name {
		named = named[:1] // a function and its service
	}
	if len(named) != 1 {
		return ""
	}
	if ofFunction && r.function(named[0].Name) != "" {
		return r.function(named[0].Name)
	}
	return named[0].Name
}

// function is the v2 function in front of a service, "" where none is known.
func (r *reader) function(service string) string {
	for _, t := range r.After.Targets {
		if t.Name == service && t.Function != "" {
			return t.Function
		}
	}
	return ""
}
