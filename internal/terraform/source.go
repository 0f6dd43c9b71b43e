package terraform

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	hcljson "github.com/hashicorp/hcl/v2/json"

	"diagnose/internal/bounded"
)

// maxConfigFile bounds the size of a file of configuration, in bytes.
const maxConfigFile = 16 << 20

// endings are those of files of configuration, OpenTofu's first: it reads
// x.tofu in place of x.tf,
// https://opentofu.org/docs/language/files/#opentofu-specific-file-extensions.
var endings = []string{".tofu.json", ".tofu", ".tf.json", ".tf"}

// IsConfiguration reports whether Terraform, or OpenTofu, reads a file of this
// name as configuration.
func IsConfiguration(name string) bool {
	base := filepath.Base(name)
	return ending(base) != "" && !strings.HasPrefix(base, ".") && !strings.HasPrefix(base, "#")
}

func ending(name string) string {
	i := slices.IndexFunc(endings, func(e string) bool { return strings.HasSuffix(name, e) })
	if i < 0 {
		return ""
	}
	return endings[i]
}

// isOverride reports whether a file changes what the others say:
// https://developer.hashicorp.com/terraform/language/files/override.
func isOverride(name string) bool {
	base := filepath.Base(name)
	base = strings.TrimSuffix(base, ending(base))
	return base == "override" || strings.HasSuffix(base, "_override")
}

// configurationFiles lists the files that a folder's module consists of, in
// the order in which they count.
func configurationFiles(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, e := range entries {
		if !e.IsDir() && IsConfiguration(e.Name()) {
			files = append(files, filepath.Join(dir, e.Name()))
		}
	}
	return inOrder(files), nil
}

// inOrder drops files that OpenTofu reads another one for, and puts those that
// override last.
func inOrder(files []string) []string {
	have := map[string]bool{}
	for _, f := range files {
		have[f] = true
	}
	files = slices.DeleteFunc(slices.Clone(files), func(f string) bool {
		base, isJSON := strings.CutSuffix(f, ".json")
		base, isTerraform := strings.CutSuffix(base, ".tf")
		other := base + ".tofu"
		if isJSON {
			other += ".json"
		}
		return isTerraform && have[other]
	})
	slices.SortStableFunc(files, func(a, b string) int {
		rank := map[bool]int{true: 1}
		return cmp.Or(cmp.Compare(rank[isOverride(a)], rank[isOverride(b)]), cmp.Compare(a, b))
	})
	return files
}

// A block is one block of a configuration, in either syntax. In JSON a nested
// block is an attribute, but for dynamic ones.
type block struct {
	kind       string
	labels     []string
	at         hcl.Range // of its header
	attributes map[string]hcl.Expression
	blocks     []*block
}

// label is a block's first label, or a later one; "" where there is none.
func (b *block) label(i int) string {
	if i >= len(b.labels) {
		return ""
	}
	return b.labels[i]
}

// about is the type of the blocks that a block makes: that of a dynamic one is
// its label.
func (b *block) about() string {
	if b.kind == "dynamic" {
		return b.label(0)
	}
	return b.kind
}

// says reports whether a block sets an attribute, or has a nested block of the
// name.
func (b *block) says(name string) bool {
	return b.attributes[name] != nil || slices.ContainsFunc(b.blocks, func(x *block) bool { return x.about() == name })
}

func nativeBlock(in *hclsyntax.Block) *block {
	out := &block{kind: in.Type, labels: in.Labels, at: in.DefRange(), attributes: map[string]hcl.Expression{}}
	for name, a := range in.Body.Attributes {
		out.attributes[name] = a.Expr
	}
	for _, x := range in.Body.Blocks {
		out.blocks = append(out.blocks, nativeBlock(x))
	}
	return out
}

// topLevel are the blocks of a file and how many labels each has.
var topLevel = &hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{
	{Type: "resource", LabelNames: []string{"type", "name"}}, {Type: "data", LabelNames: []string{"type", "name"}},
	{Type: "module", LabelNames: []string{"name"}}, {Type: "variable", LabelNames: []string{"name"}},
	{Type: "output", LabelNames: []string{"name"}}, {Type: "provider", LabelNames: []string{"name"}}, {Type: "locals"},
}}

var dynamicBlocks = &hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{{Type: "dynamic", LabelNames: []string{"type"}}}}

var contentBlocks = &hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{{Type: "content"}}}

// jsonBlock reads the body of a block in JSON syntax.
func jsonBlock(in *hcl.Block) (*block, hcl.Diagnostics) {
	out := &block{kind: in.Type, labels: in.Labels, at: in.DefRange, attributes: map[string]hcl.Expression{}}
	schema := dynamicBlocks
	if in.Type == "dynamic" {
		schema = contentBlocks
	}
	nested, rest, diags := in.Body.PartialContent(schema)
	for _, x := range nested.Blocks {
		b, more := jsonBlock(x)
		out.blocks, diags = append(out.blocks, b), append(diags, more...)
	}
	attributes, more := rest.JustAttributes()
	for name, a := range attributes {
		out.attributes[name] = a.Expr
	}
	return out, append(diags, more...)
}

// A source is one file of configuration.
type source struct {
	data   []byte
	native *hclsyntax.Body // nil for JSON
	blocks []*block
}

// parse reads one file of configuration. Its errors name file and line.
func parse(name string, instead map[string][]byte) (*source, error) {
	data, file, err := parseFile(name, instead)
	if err != nil {
		return nil, err
	}
	s := &source{data: data}
	if native, ok := file.Body.(*hclsyntax.Body); ok {
		s.native = native
		for _, b := range native.Blocks {
			s.blocks = append(s.blocks, nativeBlock(b))
		}
		return s, nil
	}
	content, _, diags := file.Body.PartialContent(topLevel)
	for _, b := range content.Blocks {
		out, more := jsonBlock(b)
		s.blocks, diags = append(s.blocks, out), append(diags, more...)
	}
	if diags.HasErrors() {
		return nil, &syntaxError{diagnostic(name, diags), data, diags}
	}
	return s, nil
}

// parseFile reads a file in either syntax, with its text, which may be taken to
// be another one. Its errors name file and line.
func parseFile(name string, instead map[string][]byte) ([]byte, *hcl.File, error) {
	data, changed := instead[filepath.Clean(name)]
	if !changed {
		var err error
		if data, err = bounded.File(name, maxConfigFile); err != nil {
			return nil, nil, err
		}
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	read := hcljson.Parse
	if !strings.HasSuffix(name, ".json") {
		read = func(data []byte, name string) (*hcl.File, hcl.Diagnostics) {
			return hclsyntax.ParseConfig(data, name, hcl.InitialPos)
		}
	}
	file, diags := read(data, name)
	if diags.HasErrors() {
		return nil, nil, &syntaxError{diagnostic(name, diags), data, diags}
	}
	return data, file, nil
}

// A syntaxError is that of a file that is not the language it should be.
type syntaxError struct {
	error
	data  []byte
	diags hcl.Diagnostics
}

func diagnostic(file string, diags hcl.Diagnostics) error {
	for _, d := range diags {
		if d.Severity == hcl.DiagError && d.Subject != nil {
			return fmt.Errorf("%s:%d: is not a Terraform configuration: %s", d.Subject.Filename, d.Subject.Start.Line, d.Summary)
		}
	}
	return fmt.Errorf("%s: is not a Terraform configuration", file)
}

// A folder is what the files of one module say, with what overrides it.
type folder struct {
	blocks []*block            // resources, data sources, modules and providers, as they stand
	kinds  map[string][]*block // the same, by kind
	named  map[string][]*block // by kind and labels: "resource google_project p"
	locals map[string]hcl.Expression
}

func (f *folder) find(kind string, labels ...string) *block {
	list := f.named[strings.Join(append([]string{kind}, labels...), " ")]
	if len(list) == 0 {
		return nil
	}
	return list[0]
}

// of lists the blocks of a kind.
func (f *folder) of(kind string) []*block { return f.kinds[kind] }

func (f *folder) add(b *block, override bool) {
	if b.kind == "locals" {
		maps.Copy(f.locals, b.attributes)
		return
	}
	key := strings.Join(append([]string{b.kind}, b.labels...), " ")
	if override {
		for _, base := range f.named[key] {
			if b.kind != "provider" || sameText(base.attributes["alias"], b.attributes["alias"]) {
				base.override(b)
				return
			}
		}
	}
	own := *b
	own.attributes = maps.Clone(b.attributes)
	f.named[key] = append(f.named[key], &own)
	f.blocks, f.kinds[b.kind] = append(f.blocks, &own), append(f.kinds[b.kind], &own)
}

// override puts what another file says of a block in place of what it says:
// each attribute, and all nested blocks of a type.
func (b *block) override(by *block) {
	maps.Copy(b.attributes, by.attributes)
	b.blocks = slices.DeleteFunc(slices.Clone(b.blocks), func(x *block) bool {
		return slices.ContainsFunc(by.blocks, func(y *block) bool { return y.about() == x.about() })
	})
	b.blocks = append(b.blocks, by.blocks...)
}

// sameText reports whether two expressions are one literal, or both missing.
func sameText(a, b hcl.Expression) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	x, more := a.Value(nil)
	y, and := b.Value(nil)
	return !more.HasErrors() && !and.HasErrors() && x.RawEquals(y)
}
