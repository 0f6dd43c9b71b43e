package terraform

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	ctyjson "github.com/zclconf/go-cty/cty/json"
)

// A given is what a variable of a root module is set to: a value, or a text
// that its type says how to read.
type given struct {
	value cty.Value
	text  string
	raw   bool // it is text
}

// assign reads what sets the variables of a root module, in the order in
// which Terraform lets one count over another:
// https://developer.hashicorp.com/terraform/language/values/variables#variable-definition-precedence.
func (p *reading) assign(dir string, f *folder) error {
	p.values = map[string]given{}
	for _, b := range f.of("variable") {
		if name := b.label(0); p.Getenv != nil && p.Getenv("TF_VAR_"+name) != "" {
			p.values[name] = given{text: p.Getenv("TF_VAR_" + name), raw: true}
		}
	}
	for _, name := range variableFiles(dir) {
		if err := readValues(name, p.values); err != nil {
			if err := p.broken(name, err); err != nil {
				return err
			}
		}
	}
	maps.Copy(p.values, p.set)
	return nil
}

// setVariables reads what the user sets, which counts in every root module.
func (r *Reader) setVariables() error {
	for _, v := range r.Variables {
		if name, ok := strings.CutPrefix(v, "@"); ok {
			if err := readValues(name, r.set); err != nil {
				return err
			}
			continue
		}
		name, text, ok := strings.Cut(v, "=")
		if !ok || strings.TrimSpace(name) == "" {
			return fmt.Errorf("the variable %q has no value; expected NAME=VALUE", v)
		}
		r.set[strings.TrimSpace(name)] = given{text: text, raw: true}
	}
	return nil
}

// variableFiles lists those that Terraform reads by itself.
func variableFiles(dir string) []string {
	var out []string
	for _, name := range []string{"terraform.tfvars", "terraform.tfvars.json"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			out = append(out, filepath.Join(dir, name))
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return out
	}
	for _, e := range entries {
		if name := e.Name(); strings.HasSuffix(name, ".auto.tfvars") || strings.HasSuffix(name, ".auto.tfvars.json") {
			out = append(out, filepath.Join(dir, name))
		}
	}
	return out
}

// readValues reads a file of values of variables.
func readValues(name string, into map[string]given) error {
	data, file, err := parseFile(name, nil)
	if err != nil {
		return err
	}
	attributes, diags := file.Body.JustAttributes()
	if diags.HasErrors() {
		return &syntaxError{diagnostic(name, diags), data, diags}
	}
	for key, a := range attributes {
		v, diags := a.Expr.Value(nil)
		if diags.HasErrors() {
			v = cty.DynamicVal
		}
		into[key] = given{value: v}
	}
	return nil
}

// assigned is what a variable of the root module is set to, NilVal where it is
// not.
func (p *reading) assigned(name string, want cty.Type) cty.Value {
	g, ok := p.values[name]
	switch {
	case !ok:
		return cty.NilVal
	case !g.raw:
		return g.value
	case want == cty.String || want == cty.DynamicPseudoType:
		return cty.StringVal(g.text)
	}
	e, diags := hclsyntax.ParseExpression([]byte(g.text), name, hcl.InitialPos)
	if !diags.HasErrors() {
		if v, diags := e.Value(nil); !diags.HasErrors() {
			return v
		}
	}
	v, err := convert.Convert(cty.StringVal(g.text), want)
	if err != nil {
		return cty.DynamicVal
	}
	return v
}

// jsonValue is a value of a document in JSON, unknown where it is none.
func jsonValue(v any) cty.Value {
	data, err := json.Marshal(v)
	if err != nil {
		return cty.DynamicVal
	}
	t, err := ctyjson.ImpliedType(data)
	if err != nil {
		return cty.DynamicVal
	}
	out, err := ctyjson.Unmarshal(data, t)
	if err != nil {
		return cty.DynamicVal
	}
	return out
}
