package patch

import (
	"bytes"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
)

// terraform changes a file of Terraform's language, or the file beside it that
// has the policy which the block refers to.
func (f *Files) terraform(data []byte, c Change) (string, []byte, error) {
	file, diags := hclwrite.ParseConfig(data, c.File, hcl.InitialPos)
	if diags.HasErrors() {
		return "", nil, errNowhere
	}
	wanted, diags := hclwrite.ParseConfig([]byte(c.Terraform), "", hcl.InitialPos)
	if diags.HasErrors() || c.Terraform == "" {
		return "", nil, errUnknown
	}
	body := file.Body()
	block := blockOf(body, c.Address)
	if blocks := wanted.Body().Blocks(); len(blocks) > 0 {
		w := blocks[0]
		switch {
		case w.Type() == "removed":
			if block == nil {
				return "", nil, errNowhere
			}
			return c.File, removed(file, block), nil
		case w.Type() == "binding":
			return f.policyData(c, block)
		case block == nil || !sameBlock(block, w):
			return c.File, appended(data, []byte(c.Terraform)), nil
		case w.Body().GetAttribute("members") != nil:
			if err := without(block.Body(), c.Member); err != nil {
				return "", nil, err
			}
			return c.File, file.Bytes(), nil
		}
		merge(block.Body(), w.Body())
		return c.File, file.Bytes(), nil
	}
	if block == nil {
		return "", nil, errNowhere
	}
	merge(block.Body(), wanted.Body())
	return c.File, file.Bytes(), nil
}

// blockOf is the block of a resource in a file, nil where there is none: what
// an earlier change took out moves the lines, not the names.
func blockOf(body *hclwrite.Body, address string) *hclwrite.Block {
	address, _, _ = strings.Cut(address, "[")
	parts := strings.Split(address, ".")
	if len(parts) < 2 {
		return nil
	}
	return body.FirstMatchingBlock("resource", parts[len(parts)-2:])
}

func sameBlock(a, b *hclwrite.Block) bool {
	return a.Type() == b.Type() && slices.Equal(a.Labels(), b.Labels())
}

// removed takes a block out, with the empty line that was around it.
func removed(file *hclwrite.File, block *hclwrite.Block) []byte {
	file.Body().RemoveBlock(block)
	out := file.Bytes()
	for bytes.Contains(out, []byte("\n\n\n")) {
		out = bytes.ReplaceAll(out, []byte("\n\n\n"), []byte("\n\n"))
	}
	return bytes.TrimLeft(append(bytes.TrimRight(out, "\n"), '\n'), "\n")
}

// appended adds a block behind everything.
func appended(data, block []byte) []byte {
	out := slices.Clone(data)
	if len(out) > 0 && !bytes.HasSuffix(out, []byte("\n")) {
		out = append(out, '\n')
	}
	if len(out) > 0 {
		out = append(out, '\n')
	}
	return append(out, block...)
}

// merge sets the arguments of another body, and puts its blocks into those of
// the same kind.
func merge(body, from *hclwrite.Body) {
	attributes := from.Attributes()
	names := make([]string, 0, len(attributes))
	for name := range attributes {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		body.SetAttributeRaw(name, attributes[name].Expr().BuildTokens(nil))
	}
	for _, b := range from.Blocks() {
		if old := body.FirstMatchingBlock(b.Type(), b.Labels()); old != nil {
			merge(old.Body(), b.Body())
			continue
		}
		body.AppendNewline()
		body.AppendBlock(b)
	}
}

// policyData takes the member out of the google_iam_policy that a resource
// refers to, in its file or one beside it.
func (f *Files) policyData(c Change, block *hclwrite.Block) (string, []byte, error) {
	if block == nil {
		return "", nil, errNowhere
	}
	a := block.Body().GetAttribute("policy_data")
	if a == nil {
		return "", nil, errDynamic
	}
	parts := strings.Split(strings.TrimSpace(string(a.Expr().BuildTokens(nil).Bytes())), ".")
	if len(parts) != 4 || parts[0] != "data" {
		return "", nil, errDynamic
	}
	names, _ := filepath.Glob(filepath.Join(filepath.Dir(c.File), "*.tf"))
	for _, name := range append([]string{c.File}, names...) {
		data, err := f.get(name)
		if err != nil {
			continue
		}
		file, diags := hclwrite.ParseConfig(data, name, hcl.InitialPos)
		if diags.HasErrors() {
			continue
		}
		policy := file.Body().FirstMatchingBlock("data", parts[1:3])
		if policy == nil {
			continue
		}
		for _, b := range policy.Body().Blocks() {
			if b.Type() == "binding" && without(b.Body(), c.Member) == nil {
				return name, file.Bytes(), nil
			}
		}
		return "", nil, errDynamic
	}
	return "", nil, errDynamic
}

// without takes a member, which must stand there as a text, out of a list.
func without(body *hclwrite.Body, member string) error {
	a := body.GetAttribute("members")
	if a == nil || member == "" {
		return errDynamic
	}
	tokens := a.Expr().BuildTokens(nil)
	for i := 0; i+2 < len(tokens); i++ {
		if tokens[i].Type != hclsyntax.TokenOQuote || tokens[i+1].Type != hclsyntax.TokenQuotedLit || tokens[i+2].Type != hclsyntax.TokenCQuote ||
			string(tokens[i+1].Bytes) != member {
			continue
		}
		from, to := i, i+3
		if to < len(tokens) && tokens[to].Type == hclsyntax.TokenComma {
			to++
			if to < len(tokens) && tokens[to].Type == hclsyntax.TokenNewline && from > 0 && bytes.HasSuffix(tokens[from-1].Bytes, []byte("\n")) {
				to++ // a line of its own
			} else if to < len(tokens) {
				tokens[to].SpacesBefore = tokens[from].SpacesBefore
			}
		} else if from > 0 && tokens[from-1].Type == hclsyntax.TokenComma {
			from--
		}
		body.SetAttributeRaw("members", slices.Delete(tokens, from, to))
		return nil
	}
	return errDynamic
}
