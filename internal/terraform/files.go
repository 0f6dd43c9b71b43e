package terraform

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"

	"diagnose/internal/bounded"
)

func hasPrefix(text, part string) bool { return strings.HasPrefix(text, part) }
func hasSuffix(text, part string) bool { return strings.HasSuffix(text, part) }
func contains(text, part string) bool  { return strings.Contains(text, part) }

// replaceFunc replaces a text, or what a pattern between slashes fits.
var replaceFunc = function.New(&function.Spec{
	Params: []function.Parameter{{Name: "str", Type: cty.String}, {Name: "substr", Type: cty.String}, {Name: "replace", Type: cty.String}},
	Type:   function.StaticReturnType(cty.String),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		part := args[1].AsString()
		if len(part) > 1 && strings.HasPrefix(part, "/") && strings.HasSuffix(part, "/") {
			return stdlib.RegexReplace(args[0], cty.StringVal(part[1:len(part)-1]), args[2])
		}
		return stdlib.Replace(args[0], args[1], args[2])
	},
})

// A tree is what the file functions of a root module may read: the repository
// that it is in, and where it is in none the module itself. What a change
// under review names is read nowhere else.
type tree struct{ top, dir string }

func treeOf(dir string) tree {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return tree{dir, dir}
	}
	for at := abs; ; at = filepath.Dir(at) {
		if _, err := os.Stat(filepath.Join(at, ".git")); err == nil {
			return tree{at, abs}
		}
		if at == filepath.Dir(at) {
			return tree{abs, abs}
		}
	}
}

var errOutside = errors.New("is outside of the repository")

// inside is a path of the tree for one that is relative to the root module.
func (t tree) inside(name string) (string, error) {
	if filepath.IsAbs(name) || strings.HasPrefix(name, "~") {
		return "", errOutside
	}
	rel, err := filepath.Rel(t.top, filepath.Join(t.dir, filepath.FromSlash(name)))
	if err != nil || !filepath.IsLocal(rel) {
		return "", errOutside
	}
	return rel, nil
}

// read reads a regular file of the tree, through no link that leaves it.
func (t tree) read(name string) (string, error) {
	rel, err := t.inside(name)
	if err != nil {
		return "", err
	}
	root, err := os.OpenRoot(t.top)
	if err != nil {
		return "", err
	}
	defer root.Close()
	info, err := root.Stat(rel)
	if err != nil || !info.Mode().IsRegular() {
		return "", errors.Join(err, errOutside)
	}
	data, err := bounded.FS(root.FS(), filepath.ToSlash(rel), name, maxConfigFile)
	return string(data), err
}

// match lists the files below a folder that a pattern fits, relative to it.
func (t tree) match(dir, pattern string) ([]string, error) {
	rel, err := t.inside(dir)
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(t.top)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	below, err := fs.Sub(root.FS(), filepath.ToSlash(rel))
	if err != nil {
		return nil, err
	}
	return doublestar.Glob(below, path.Clean(pattern), doublestar.WithFilesOnly())
}

var pathParam = function.Parameter{Name: "path", Type: cty.String}

// textFunc makes a function of one text that may fail.
func textFunc(of func(string) (cty.Value, error), result cty.Type) function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{pathParam}, Type: function.StaticReturnType(result),
		Impl: func(args []cty.Value, want cty.Type) (cty.Value, error) {
			v, err := of(args[0].AsString())
			if err != nil {
				return cty.UnknownVal(want), nil
			}
			return v, nil
		},
	})
}

// fileFunctions are the functions that read files. What cannot be read is
// unknown.
func fileFunctions(dir string, all func() map[string]function.Function) map[string]function.Function {
	t := treeOf(dir)
	file := func(name string) (cty.Value, error) {
		text, err := t.read(name)
		return cty.StringVal(text), err
	}
	return map[string]function.Function{
		"file":     textFunc(file, cty.String),
		"basename": textFunc(func(s string) (cty.Value, error) { return cty.StringVal(path.Base(s)), nil }, cty.String),
		"dirname":  textFunc(func(s string) (cty.Value, error) { return cty.StringVal(path.Dir(s)), nil }, cty.String),
		"filebase64": textFunc(func(s string) (cty.Value, error) {
			text, err := file(s)
			if err != nil {
				return text, err
			}
			return pure["base64encode"].Call([]cty.Value{text})
		}, cty.String),
		"fileexists": textFunc(func(s string) (cty.Value, error) {
			if _, err := t.inside(s); err != nil {
				return cty.False, err
			}
			_, err := t.read(s)
			return cty.BoolVal(err == nil), nil
		}, cty.Bool),
		"fileset":        t.filesetFunc(),
		"templatefile":   templateFunc(t.read, all),
		"templatestring": templateFunc(func(s string) (string, error) { return s, nil }, all),
	}
}

func (t tree) filesetFunc() function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{pathParam, {Name: "pattern", Type: cty.String}},
		Type:   function.StaticReturnType(cty.Set(cty.String)),
		Impl: func(args []cty.Value, want cty.Type) (cty.Value, error) {
			names, err := t.match(args[0].AsString(), args[1].AsString())
			if err != nil {
				return cty.UnknownVal(want), nil
			}
			if len(names) == 0 {
				return cty.SetValEmpty(cty.String), nil
			}
			var out []cty.Value
			for _, n := range names {
				out = append(out, cty.StringVal(n))
			}
			return cty.SetVal(out), nil
		},
	})
}

// templateFunc makes templatefile, or templatestring: a template must not call
// either.
func templateFunc(read func(string) (string, error), all func() map[string]function.Function) function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{pathParam, {Name: "vars", Type: cty.DynamicPseudoType, AllowDynamicType: true}},
		Type:   function.StaticReturnType(cty.DynamicPseudoType),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			text, err := read(args[0].AsString())
			if err != nil {
				return cty.DynamicVal, nil
			}
			e, diags := hclsyntax.ParseTemplate([]byte(text), "template", hcl.InitialPos)
			if diags.HasErrors() {
				return cty.DynamicVal, diags
			}
			ctx := &hcl.EvalContext{Functions: map[string]function.Function{}, Variables: args[1].AsValueMap()}
			for name, f := range all() {
				if !strings.HasPrefix(name, "template") {
					ctx.Functions[name] = f
				}
			}
			v, diags := e.Value(ctx)
			if diags.HasErrors() {
				return cty.DynamicVal, diags
			}
			return v, nil
		},
	})
}
