package gcp_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// spellings are the strings that only this package may have.
var spellings = []struct {
	what    string
	pattern *regexp.Regexp
}{
	{"a pattern of the hosts of default URLs", regexp.MustCompile(`run\\\.app|cloudfunctions\\\.net`)},
	{"an end of the hosts of default URLs", regexp.MustCompile(`^\.?(run\.app|cloudfunctions\.net)/?$`)},
	{"the start of a full resource name", regexp.MustCompile(`^//[a-z]+\.googleapis\.com/`)},
	{"an OAuth client of Google's", regexp.MustCompile(`\.apps\.googleusercontent\.com`)},
	{"a service account of Google's", regexp.MustCompile(`^@?gcp-sa-|[^ ]@gcp-sa-|-compute@|@appspot\.|\.iam\.gserviceaccount\.com$`)},
	{"a word of ingress", regexp.MustCompile(`^(INGRESS_TRAFFIC_\w+|ALLOW_INTERNAL_\w+|internal-and-cloud-load-balancing|internal-and-gclb)$`)},
}

// free lists the folders besides this one that write inputs of tests, which
// must not come from the code under test.
var free = []string{
	"internal/gcp", "internal/gather/gathertest", "internal/inventory/generate", "internal/inventory/generate/export",
}

// TestOneSpelling keeps a second copy of a rule about names out of the tree.
func TestOneSpelling(t *testing.T) {
	root, files := "../..", 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(root, path)
		folder := filepath.ToSlash(filepath.Dir(rel))
		if err != nil || d.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") || slices.Contains(free, folder) {
			return err
		}
		files++
		set := token.NewFileSet()
		f, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				text, _ := strconv.Unquote(lit.Value)
				for _, s := range spellings {
					if s.pattern.MatchString(text) {
						t.Errorf("%s: %q is %s: ask internal/gcp", set.Position(lit.Pos()), text, s.what)
					}
				}
			}
			return true
		})
		return nil
	})
	if err != nil || files < 50 {
		t.Fatalf("%d files, %v", files, err)
	}
}
