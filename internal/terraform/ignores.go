package terraform

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// An Ignore is a comment "diagnose:ignore RULE REASON" and the lines of the
// block that it is in, or above.
type Ignore struct {
	Rule, Reason string
	File         string
	First, Last  int
}

// Ignores reads the ignores in the comments of a folder's files, for a plan
// that was made of it.
func (r *Reader) Ignores(dir string) ([]Ignore, error) {
	files, err := configurationFiles(dir)
	if err != nil {
		return nil, err
	}
	var out []Ignore
	for _, f := range files {
		s, err := r.load(f)
		if err != nil {
			continue // the plan was not made of it
		}
		list, err := s.comments(f)
		if err != nil {
			return nil, err
		}
		out = append(out, list...)
	}
	return out, nil
}

// ErrIgnore reports an ignore that does not say why.
var ErrIgnore = errors.New("an ignore needs a reason")

var ignoreComment = regexp.MustCompile(`diagnose:ignore\s+(\S+)[ \t]*(.*)`)

// comments collects the ignores of a file. Each needs a reason. JSON has none.
func (s *source) comments(name string) ([]Ignore, error) {
	if s.native == nil || !strings.Contains(string(s.data), "diagnose:ignore") {
		return nil, nil
	}
	var out []Ignore
	tokens, _ := hclsyntax.LexConfig(s.data, name, hcl.InitialPos)
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
			return nil, fmt.Errorf("%s:%d: %w: # diagnose:ignore RULE REASON", name, line, ErrIgnore)
		}
		i := Ignore{Rule: found[1], Reason: reason, File: name, First: line, Last: line}
		for _, b := range s.native.Blocks {
			first, last := b.TypeRange.Start.Line, b.CloseBraceRange.End.Line
			if line >= first && line <= last || nextBlock(s.native, line) == b {
				i.First, i.Last = first, last
			}
		}
		out = append(out, i)
	}
	return out, nil
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
