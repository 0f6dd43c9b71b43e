package terraform

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"

	"diagnose/internal/estate"
)

// A Configuration is what a folder of *.tf files says, without a plan: what
// Terraform would have to ask a provider for is unknown.
type Configuration struct {
	Estate  *estate.Estate
	Ignores []Ignore
}

// An Ignore is a comment "diagnose:ignore RULE REASON" and the lines of the
// block that it is in, or above.
type Ignore struct {
	Rule, Reason string
	File         string
	First, Last  int
}

// Bounds of what is read of a configuration.
const (
	maxConfigFile = 16 << 20
	maxModules    = 16    // deep
	maxInstances  = 5000  // of one resource or module
	maxWork       = 20000 // evaluations of modules, in all rounds
)

// ReadConfiguration reads a folder as a root module, or one file as if it were
// alone. Its errors name file and line.
func ReadConfiguration(path string) (Configuration, error) {
	info, err := os.Stat(path)
	if err != nil {
		return Configuration{}, err
	}
	h := &hclReader{estate: &estate.Estate{}, provider: map[string]string{}, lenient: info.IsDir()}
	files := []string{path}
	if info.IsDir() {
		if files, err = filepath.Glob(filepath.Join(path, "*.tf")); err != nil {
			return Configuration{}, err
		}
	}
	m, err := h.load(files, nil)
	if err != nil {
		return Configuration{}, err
	}
	m.dir = filepath.Dir(files[0])
	if info.IsDir() {
		m.dir = path
		if err := m.readVariables(h); err != nil {
			return Configuration{}, err
		}
	}
	if err := h.evaluate(m, nil); err != nil {
		return Configuration{}, err
	}
	e := Build(h.resources, Defaults{h.provider["project"], h.provider["region"]})
	e.Unread = append(e.Unread, h.estate.Unread...)
	return Configuration{e, h.ignores}, nil
}

// Ignores reads the ignores in the comments of a folder's *.tf files, for a
// plan that was made of it.
func Ignores(dir string) ([]Ignore, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.tf"))
	if err != nil {
		return nil, err
	}
	h := &hclReader{}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		file, diags := hclsyntax.ParseConfig(data, f, hcl.InitialPos)
		if diags.HasErrors() {
			continue // the plan was not made of it
		}
		if err := h.comments(f, data, file.Body.(*hclsyntax.Body)); err != nil {
			return nil, err
		}
	}
	return h.ignores, nil
}

// RootModules picks, of folders with *.tf files, those that no other one calls
// as a module.
func RootModules(dirs map[string]bool) []string {
	called := map[string]bool{}
	source := regexp.MustCompile(`(?m)^\s*source\s*=\s*"(\.{1,2}/[^"]*)"`)
	for dir := range dirs {
		files, _ := filepath.Glob(filepath.Join(dir, "*.tf"))
		for _, f := range files {
			data, err := os.ReadFile(f)
			if err != nil {
				continue // reading it as a module tells
			}
			for _, m := range source.FindAllStringSubmatch(string(data), -1) {
				if to := filepath.Join(dir, m[1]); to != filepath.Clean(dir) {
					called[to] = true
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

type hclReader struct {
	estate    *estate.Estate
	resources []*Resource
	ignores   []Ignore
	provider  map[string]string
	seen      map[string]bool // files whose comments were read
	work      int             // evaluations of modules so far
	loaded    map[string]*hclModule
	sources   map[string][]byte // by file
	lenient   bool              // a file that is broken is listed, and the others are read
}

// An hclModule is one folder, and how it is called.
type hclModule struct {
	dir       string
	prefix    string // of addresses: "module.a."
	stack     []string
	variables map[string]hcl.Expression // defaults; nil where there is none
	locals    map[string]hcl.Expression
	outputs   map[string]hcl.Expression
	blocks    []*hclsyntax.Block // resource, data and module blocks
	values    map[string]cty.Value
}

func (h *hclReader) load(files []string, stack []string) (*hclModule, error) {
	m := &hclModule{stack: stack, variables: map[string]hcl.Expression{}, locals: map[string]hcl.Expression{}, outputs: map[string]hcl.Expression{}, values: map[string]cty.Value{}}
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil {
			return nil, err
		}
		if info.Size() > maxConfigFile {
			return nil, fmt.Errorf("%s: is larger than %d MB", f, maxConfigFile>>20)
		}
		data, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		file, diags := hclsyntax.ParseConfig(data, f, hcl.InitialPos)
		if diags.HasErrors() {
			if err := h.broken(f, data, diags); err != nil {
				return nil, err
			}
			continue
		}
		if h.sources == nil {
			h.sources = map[string][]byte{}
		}
		h.sources[f] = data
		body := file.Body.(*hclsyntax.Body)
		if err := h.comments(f, data, body); err != nil {
			return nil, err
		}
		for _, b := range body.Blocks {
			m.file(h, b)
		}
	}
	return m, nil
}

// loadOnce parses the files of a module when it is first called.
func (h *hclReader) loadOnce(dir string, files []string) (*hclModule, error) {
	if m := h.loaded[dir]; m != nil {
		return m, nil
	}
	m, err := h.load(files, nil)
	if err == nil {
		if h.loaded == nil {
			h.loaded = map[string]*hclModule{}
		}
		h.loaded[dir] = m
	}
	return m, err
}

func diagnostic(file string, diags hcl.Diagnostics) error {
	for _, d := range diags {
		if d.Severity == hcl.DiagError && d.Subject != nil {
			return fmt.Errorf("%s:%d: is not a Terraform configuration: %s", d.Subject.Filename, d.Subject.Start.Line, d.Summary)
		}
	}
	return fmt.Errorf("%s: is not a Terraform configuration", file)
}

// file puts one block where it belongs.
func (m *hclModule) file(h *hclReader, b *hclsyntax.Block) {
	switch {
	case b.Type == "variable" && len(b.Labels) == 1:
		m.variables[b.Labels[0]] = nil
		if d := b.Body.Attributes["default"]; d != nil {
			m.variables[b.Labels[0]] = d.Expr
		}
	case b.Type == "locals":
		for name, a := range b.Body.Attributes {
			m.locals[name] = a.Expr
		}
	case b.Type == "output" && len(b.Labels) == 1:
		if v := b.Body.Attributes["value"]; v != nil {
			m.outputs[b.Labels[0]] = v.Expr
		}
	case (b.Type == "resource" || b.Type == "data") && len(b.Labels) == 2, b.Type == "module" && len(b.Labels) == 1, b.Type == "provider":
		m.blocks = append(m.blocks, b)
	}
}

// readVariables reads the *.tfvars that Terraform loads by itself.
func (m *hclModule) readVariables(h *hclReader) error {
	files, _ := filepath.Glob(filepath.Join(m.dir, "terraform.tfvars"))
	more, _ := filepath.Glob(filepath.Join(m.dir, "*.auto.tfvars"))
	for _, f := range append(files, more...) {
		data, err := os.ReadFile(f)
		if err != nil {
			return err
		}
		file, diags := hclsyntax.ParseConfig(data, f, hcl.InitialPos)
		if diags.HasErrors() {
			if err := h.broken(f, data, diags); err != nil {
				return err
			}
			continue
		}
		for name, a := range file.Body.(*hclsyntax.Body).Attributes {
			if v, diags := a.Expr.Value(nil); !diags.HasErrors() {
				m.values[name] = v
			}
		}
	}
	return nil
}

// ErrIgnore reports an ignore that does not say why.
var ErrIgnore = errors.New("an ignore needs a reason")

var ignoreComment = regexp.MustCompile(`diagnose:ignore\s+(\S+)[ \t]*(.*)`)

// comments collects the ignores of a file. Each needs a reason.
func (h *hclReader) comments(name string, data []byte, body *hclsyntax.Body) error {
	if h.seen == nil {
		h.seen = map[string]bool{}
	}
	if h.seen[name] {
		return nil
	}
	h.seen[name] = true
	tokens, _ := hclsyntax.LexConfig(data, name, hcl.InitialPos)
	for _, t := range tokens {
		if t.Type != hclsyntax.TokenComment {
			continue
		}
		found := ignoreComment.FindStringSubmatch(strings.TrimSpace(string(t.Bytes)))
		if found == nil {
			continue
		}
		line := t.Range.Start.Line
		reason := strings.TrimSpace(strings.TrimSuffix(found[2], "*/"))
		if reason == "" {
			return fmt.Errorf("%s:%d: %w: # diagnose:ignore RULE REASON", name, line, ErrIgnore)
		}
		i := Ignore{Rule: found[1], Reason: reason, File: name, First: line, Last: line}
		for _, b := range body.Blocks {
			first, last := b.TypeRange.Start.Line, b.CloseBraceRange.End.Line
			if line >= first && line <= last || nextBlock(body, line) == b {
				i.First, i.Last = first, last
			}
		}
		h.ignores = append(h.ignores, i)
	}
	return nil
}

// nextBlock is the block that starts right below the comment of a line.
func nextBlock(body *hclsyntax.Body, line int) *hclsyntax.Block {
	for _, b := range body.Blocks {
		if b.TypeRange.Start.Line == line+1 {
			return b
		}
	}
	return nil
}

// evaluate adds the resources of a module and returns its outputs. What one
// resource takes from another is known in a later round.
func (h *hclReader) evaluate(m *hclModule, arguments map[string]cty.Value) error {
	_, err := h.module(m, arguments)
	return err
}

// rounds is how often references between resources are followed.
const rounds = 4

func (h *hclReader) module(m *hclModule, arguments map[string]cty.Value) (cty.Value, error) {
	before, unread := len(h.resources), len(h.estate.Unread)
	var ctx *hcl.EvalContext
	known := map[string]map[string]cty.Value{} // of resources by type and name
	modules := map[string]cty.Value{}
	for range rounds {
		if h.work++; h.work > maxWork {
			return cty.DynamicVal, fmt.Errorf("%s: its modules are nested too deep, or too many: judge a plan instead", m.dir)
		}
		h.resources, h.estate.Unread = h.resources[:before], h.estate.Unread[:unread]
		ctx = m.context(arguments, known, modules)
		next := map[string]map[string]cty.Value{}
		calls := map[string]cty.Value{}
		for _, b := range m.blocks {
			switch b.Type {
			case "provider":
				h.readProvider(b, ctx)
			case "module":
				out, err := h.call(m, b, ctx)
				if err != nil {
					return cty.DynamicVal, err
				}
				calls[b.Labels[0]] = out
			default:
				h.resource(m, b, ctx, next)
			}
		}
		settled := same(modules, calls) && len(known) == len(next)
		for kind := range next {
			settled = settled && same(known[kind], next[kind])
		}
		known, modules = next, calls
		if settled {
			break
		}
	}
	outputs := map[string]cty.Value{}
	for name, e := range m.outputs {
		outputs[name] = value(e, ctx)
	}
	return cty.ObjectVal(outputs), nil
}

// value evaluates an expression; what cannot be evaluated is unknown.
func value(e hcl.Expression, ctx *hcl.EvalContext) cty.Value {
	if e == nil {
		return cty.DynamicVal
	}
	v, diags := e.Value(ctx)
	if diags.HasErrors() {
		return cty.DynamicVal
	}
	v, _ = v.UnmarkDeep()
	return v
}

func (m *hclModule) context(arguments map[string]cty.Value, known map[string]map[string]cty.Value, modules map[string]cty.Value) *hcl.EvalContext {
	ctx := &hcl.EvalContext{Variables: map[string]cty.Value{}, Functions: functions}
	variables := map[string]cty.Value{}
	for name, fallback := range m.variables {
		variables[name] = value(fallback, ctx)
		if v, ok := m.values[name]; ok {
			variables[name] = v
		}
		if v, ok := arguments[name]; ok {
			variables[name] = v
		}
	}
	ctx.Variables["var"] = cty.ObjectVal(variables)
	ctx.Variables["path"] = cty.ObjectVal(map[string]cty.Value{"module": cty.StringVal("."), "root": cty.StringVal("."), "cwd": cty.StringVal(".")})
	data := map[string]cty.Value{}
	for kind, byName := range known {
		if name, ok := strings.CutPrefix(kind, "data."); ok {
			data[name] = cty.ObjectVal(byName)
		} else {
			ctx.Variables[kind] = cty.ObjectVal(byName)
		}
	}
	ctx.Variables["data"] = cty.ObjectVal(data)
	ctx.Variables["module"] = cty.ObjectVal(modules)
	locals := map[string]cty.Value{}
	for range len(m.locals) + 1 { // locals may name each other, in any order
		ctx.Variables["local"] = cty.ObjectVal(locals)
		next := map[string]cty.Value{}
		for name, e := range m.locals {
			next[name] = value(e, ctx)
		}
		if same(locals, next) {
			break
		}
		locals = next
	}
	return ctx
}

func same(a, b map[string]cty.Value) bool {
	if len(a) != len(b) {
		return false
	}
	for k, v := range a {
		if !v.RawEquals(b[k]) {
			return false
		}
	}
	return true
}

func (h *hclReader) readProvider(b *hclsyntax.Block, ctx *hcl.EvalContext) {
	if len(b.Labels) != 1 || !strings.HasPrefix(b.Labels[0], "google") {
		return
	}
	for _, name := range []string{"project", "region"} {
		if a := b.Body.Attributes[name]; a != nil && h.provider[name] == "" {
			if v := value(a.Expr, ctx); v.IsKnown() && v.Type() == cty.String && !v.IsNull() {
				h.provider[name] = v.AsString()
			}
		}
	}
}

// An instance is one of count or for_each, with what its body sees of that.
type instance struct {
	index string // `["a"]`, "[0]", ""
	key   cty.Value
	ctx   *hcl.EvalContext
}

// instances are those of a block. Where their number is not known there is one
// that stands for all, and sees nothing of its key.
func instances(b *hclsyntax.Block, ctx *hcl.EvalContext) []instance {
	child := func(name string, v cty.Value) *hcl.EvalContext {
		c := ctx.NewChild()
		c.Variables = map[string]cty.Value{name: v}
		return c
	}
	each := func(k, v cty.Value) cty.Value { return cty.ObjectVal(map[string]cty.Value{"key": k, "value": v}) }
	if a := b.Body.Attributes["for_each"]; a != nil {
		v := value(a.Expr, ctx)
		if !v.IsKnown() || v.IsNull() || !v.CanIterateElements() || v.LengthInt() > maxInstances {
			return []instance{{"[*]", cty.DynamicVal, child("each", each(cty.DynamicVal, cty.DynamicVal))}}
		}
		out := []instance{}
		for it := v.ElementIterator(); it.Next(); {
			k, x := it.Element()
			if v.Type().IsSetType() {
				k = x
			}
			text, err := convert.Convert(k, cty.String)
			if err != nil || !text.IsKnown() {
				text = cty.StringVal("?")
			}
			out = append(out, instance{fmt.Sprintf("[%q]", text.AsString()), text, child("each", each(k, x))})
		}
		return out
	}
	if a := b.Body.Attributes["count"]; a != nil {
		v, err := convert.Convert(value(a.Expr, ctx), cty.Number)
		if err != nil || !v.IsKnown() || v.IsNull() {
			return []instance{{"[*]", cty.DynamicVal, child("count", cty.ObjectVal(map[string]cty.Value{"index": cty.DynamicVal}))}}
		}
		n, _ := v.AsBigFloat().Int64()
		out := []instance{}
		for i := range min(n, maxInstances) {
			out = append(out, instance{fmt.Sprintf("[%d]", i), cty.NumberIntVal(i), child("count", cty.ObjectVal(map[string]cty.Value{"index": cty.NumberIntVal(i)}))})
		}
		return out
	}
	return []instance{{"", cty.NilVal, ctx}}
}

// combine makes of the values of instances what a reference to them sees.
func combine(list []instance, values []cty.Value) cty.Value {
	switch {
	case len(list) == 1 && list[0].index == "":
		return values[0]
	case len(list) == 1 && list[0].index == "[*]":
		return cty.DynamicVal
	case len(list) > 0 && list[0].key.Type() == cty.Number:
		return cty.TupleVal(values)
	}
	byKey := map[string]cty.Value{}
	for i, x := range list {
		byKey[x.key.AsString()] = values[i]
	}
	return cty.ObjectVal(byKey)
}

// spelt is how the unknown attributes of a block are written. In one instance
// of a module, what is written alike is alike.
func (h *hclReader) spelt(m *hclModule, b *hclsyntax.Block, x instance, said body) map[string]string {
	out := map[string]string{}
	for name, a := range b.Body.Attributes {
		if said.unknown[name] == nil {
			continue
		}
		at := a.Expr.Range()
		text := string(at.SliceBytes(h.sources[at.Filename]))
		if strings.Contains(text, "each.") || strings.Contains(text, "count.") {
			text += x.index
		}
		out[name] = m.prefix + " " + text
	}
	return out
}

// errCycle reports modules that call each other in a circle.
var errCycle = errors.New("calls itself, directly or through other modules")

func (h *hclReader) call(m *hclModule, b *hclsyntax.Block, ctx *hcl.EvalContext) (cty.Value, error) {
	at := b.DefRange()
	where := estate.Where{File: at.Filename, Line: at.Start.Line, Address: m.prefix + "module." + b.Labels[0]}
	source := ""
	if a := b.Body.Attributes["source"]; a != nil {
		if v := value(a.Expr, ctx); v.IsKnown() && !v.IsNull() && v.Type() == cty.String {
			source = v.AsString()
		}
	}
	if !strings.HasPrefix(source, "./") && !strings.HasPrefix(source, "../") {
		h.estate.Unread = append(h.estate.Unread, unreadModule(b, h.sources[at.Filename], where))
		return cty.DynamicVal, nil
	}
	dir := filepath.Join(m.dir, source)
	stack := append(slices.Clone(m.stack), filepath.Clean(m.dir))
	if slices.Contains(stack, filepath.Clean(dir)) || len(stack) > maxModules {
		if h.lenient {
			h.estate.Unread = append(h.estate.Unread, estate.Unread{What: "module " + b.Labels[0], Reason: "it " + errCycle.Error(), Where: where})
			return cty.DynamicVal, nil
		}
		return cty.DynamicVal, fmt.Errorf("%s:%d: module %s %w", at.Filename, at.Start.Line, b.Labels[0], errCycle)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.tf"))
	if err != nil || len(files) == 0 {
		h.estate.Unread = append(h.estate.Unread, estate.Unread{What: "module " + b.Labels[0], Reason: "its folder " + dir + " has no *.tf file", Where: where})
		return cty.DynamicVal, nil
	}
	list := instances(b, ctx)
	var outputs []cty.Value
	for _, x := range list {
		parsed, err := h.loadOnce(dir, files)
		if err != nil {
			return cty.DynamicVal, err
		}
		inner := *parsed
		inner.dir, inner.stack, inner.prefix = dir, stack, m.prefix+"module."+b.Labels[0]+x.index+"."
		arguments := map[string]cty.Value{}
		for name, a := range b.Body.Attributes {
			arguments[name] = value(a.Expr, x.ctx)
		}
		out, err := h.module(&inner, arguments)
		if err != nil {
			return cty.DynamicVal, err
		}
		outputs = append(outputs, out)
	}
	if len(list) == 0 {
		return cty.EmptyTupleVal, nil
	}
	return combine(list, outputs), nil
}

func (h *hclReader) resource(m *hclModule, b *hclsyntax.Block, ctx *hcl.EvalContext, known map[string]map[string]cty.Value) {
	kind, name := b.Labels[0], b.Labels[1]
	data := b.Type == "data"
	key := kind
	if data {
		key = "data." + kind
	}
	list := instances(b, ctx)
	var values []cty.Value
	for _, x := range list {
		at := b.DefRange()
		address := m.prefix + key + "." + name + x.index
		r := &Resource{Type: kind, Name: name, Address: address, Where: estate.Where{File: at.Filename, Line: at.Start.Line, Address: address}}
		r.Said = func(attribute string) bool {
			return b.Body.Attributes[attribute] != nil || slices.ContainsFunc(b.Body.Blocks, func(b *hclsyntax.Block) bool { return b.Type == attribute })
		}
		said := bodyValues(b.Body, x.ctx)
		r.Values, r.Unknown, r.refs, r.hints = said.values, said.unknown, said.refs, said.hints
		r.spelt, r.notAnyone = h.spelt(m, b, x, said), said.notAnyone
		values = append(values, r.object(Defaults{h.provider["project"], h.provider["region"]}))
		if !data {
			h.resources = append(h.resources, r)
		}
	}
	if known[key] == nil {
		known[key] = map[string]cty.Value{}
	}
	if len(list) > 0 {
		known[key][name] = combine(list, values)
	} else {
		known[key][name] = cty.EmptyTupleVal
	}
}
