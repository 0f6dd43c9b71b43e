// Package words tests how the tool speaks: every sentence that a person may
// see, in the program, its documents and what it says of the stories, is plain
// English.
package words

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"diagnose/checks"
	"diagnose/checks/rules"
	"diagnose/fixtures"
	"diagnose/report"
)

// list names a file for a read-through of all messages.
var list = flag.String("messages", "", "write every message, with its place, to this `FILE`")

const root = "../.."

// A message is one text that a person may see.
type message struct{ place, text string }

// stilted are turns of phrase that a reader stops at, and what to write.
var stilted = []struct{ pattern, say string }{
	{`\bcarr(y|ies|ied|ying)\b`, "has, or includes"},
	{`\black(s|ed|ing)?\b`, "does not have"},
	{`\b(holds?|held|holding) (a|an|the|no|roles?|run|neither|%[sq])\b`, "has"},
	{`\bcondition \S+ ?(does not|never|no longer|only while it) holds?\b`, "is (not) true"},
	{`\b(stands?|stood|standing) (before|behind|in|between|inside|around|for|twice|there)\b`, "is in front of, protects, means"},
	{`\b(it|that|which|%s|token|credential|account|file|document|value|that) is no [a-z]+\b`, "is not a"},
	{`\bis none of\b`, "is not one of"},
	{`\b(name|domain|host)s? of (one's|your|its) own\b`, "a custom domain"},
	{`\bsuppos(e|es|ed|ing)\b`, "assuming"},
	{`\bwhom\b`, "who"},
	{`\b(is|are|was) another( one)?($|[;:,.])`, "is a different one"},
	{`\bmade (again|anew)\b`, "re-created, new"},
	{`\bis in no document\b`, "diagnose cannot check"},
	{`\btakes? (it|them|the grant|.*access) (from|away)\b`, "blocks, removes, denies"},
	{`\blooking like\b.*\band none\b`, "looks like a grant but is not"},
	{`\bcounts for nothing\b`, "has no effect"},
	{`\baud %q is another\b`, "the token is for another service (aud X)"},
	{`\bno document that was not read\b`, "nothing unread could change this"},
	{`\brests? on (\d|%)`, "N things were not checked (below)"},
	{`\bdoes not answer every question\b`, "not enough evidence"},
	{`\bproved by judging again\b`, "re-checked: the call then succeeds"},
	{`\banother failure remains\b`, "needed, but not enough alone"},
	{`\bto be read next\b`, "Next, run"},
	{`\band the command that would tell\b`, "Not checked. To be sure, run"},
	{`\bnot as it seems\b`, "one of them is out of date"},
	{`\bthe evidence leads to\b`, "the documents predict"},
	{`\bwhat would explain\b`, "possible causes"},
	{`\bdiffer by a letter\b`, "looks like a typo"},
	{`\bthe one of the same\b`, "a new account with the same e-mail"},
	{`\bwhether .{1,60} is not known`, "it is unknown whether"},
	{`\bthat is not known\b`, "it is unknown whether"},
	{`\bin what could be read\b`, "in the part that was read"},
	{`\bwhat there is to do about\b`, "the fix for"},
	{`\bturns it round\b`, "negates"},
	{`, got %`, "but is, not"},
	{`\b(path|Bearer|line %d|name) behind\b|\bbehind (the|Bearer|line)\b (URL|function|%)`, "after"},
	{`\bgoes by (its|the)\b`, "depends on"},
	{`\btombstone\b`, "an account that no longer exists"},
	{`\bof Google's\b[^ ]`, "Google's"},
}

// TestPlainEnglish finds no stilted phrase in a message.
func TestPlainEnglish(t *testing.T) {
	all := append(literals(t), append(documents(t), told(t)...)...)
	if len(all) < 1000 {
		t.Fatalf("only %d messages were found", len(all))
	}
	for _, s := range stilted {
		re := regexp.MustCompile("(?i)" + s.pattern)
		for _, m := range all {
			if found := re.FindString(m.text); found != "" {
				t.Errorf("%s: %q in %q: write %s", m.place, found, m.text, s.say)
			}
		}
	}
}

// TestTitles finds titles that would read as their opposite beside "fail":
// whole sentences do, noun phrases do not.
func TestTitles(t *testing.T) {
	verb := regexp.MustCompile(`\b(is|are|has|have|may|can|does|belongs|names|uses|reaches|admits|applies|issued)\b`)
	one := func(id, title string) {
		if head, _, _ := strings.Cut(title, " that "); verb.MatchString(head) {
			t.Errorf("%s: the title %q is a sentence; make it a noun phrase", id, title)
		}
	}
	for _, g := range checks.Path() {
		for _, c := range g.Checks {
			one(c.ID, c.Title)
		}
	}
	for _, r := range rules.Rules() {
		one(r.ID, r.Title)
	}
}

// TestMessages writes all messages into one file, to be read through.
func TestMessages(t *testing.T) {
	var b bytes.Buffer
	for _, m := range literals(t) {
		fmt.Fprintf(&b, "%s\t%s\n", m.place, m.text)
	}
	if *list == "" {
		return
	}
	if err := os.WriteFile(*list, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// unseen are the folders whose texts no user sees.
var unseen = regexp.MustCompile(`(test|/generate|/export|internal/laws)$`)

// literals returns the string literals of the program that hold a sentence or
// a part of one.
func literals(t *testing.T) []message {
	t.Helper()
	var out []message
	set := token.NewFileSet()
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(root, name)
		switch {
		case err != nil:
			return err
		case d.IsDir() && unseen.MatchString(filepath.ToSlash(rel)):
			return filepath.SkipDir
		case !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		f, err := parser.ParseFile(set, name, nil, 0)
		if err != nil {
			return err
		}
		for _, l := range texts(f) {
			out = append(out, message{fmt.Sprintf("%s:%d", filepath.ToSlash(rel), set.Position(l.Pos()).Line), value(l)})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// texts returns the literals of a file that have at least two words.
func texts(f *ast.File) []*ast.BasicLit {
	var out []*ast.BasicLit
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ImportSpec:
			return false
		case *ast.Field:
			return n.Tag == nil
		case *ast.BasicLit:
			if n.Kind == token.STRING && strings.Contains(value(n), " ") {
				out = append(out, n)
			}
		}
		return true
	})
	return out
}

func value(l *ast.BasicLit) string {
	s, _ := strconv.Unquote(l.Value)
	return strings.Join(strings.Fields(s), " ")
}

// console is what the program prints in a document, which other tests compare.
var console = regexp.MustCompile("(?ms)^```console\n.*?^```$")

// documents returns the paragraphs of the documentation.
func documents(t *testing.T) []message {
	t.Helper()
	var out []message
	for _, pattern := range []string{"*.md", "docs/*.md"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			for i, p := range strings.Split(console.ReplaceAllString(string(data), ""), "\n\n") {
				out = append(out, message{fmt.Sprintf("%s, paragraph %d", filepath.Base(name), i+1), strings.Join(strings.Fields(p), " ")})
			}
		}
	}
	return out
}

// told returns every text in the reports of the stories, put together from
// their parts.
func told(t *testing.T) []message {
	t.Helper()
	var out []message
	for _, name := range fixtures.Names() {
		story, err := fixtures.Read(name)
		if err != nil {
			t.Fatal(err)
		}
		s, err := story.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := report.Invoke(&b, "json", checks.Judge(s, checks.Options{}), report.Style{}); err != nil {
			t.Fatal(err)
		}
		var doc any
		if err := json.Unmarshal(b.Bytes(), &doc); err != nil {
			t.Fatal(err)
		}
		out = append(out, message{name, strings.Join(strings.Fields(story.Text), " ")})
		out = append(out, strung(name, doc)...)
	}
	return out
}

// strung returns the texts in a JSON value.
func strung(place string, v any) []message {
	switch v := v.(type) {
	case string:
		return []message{{place, v}}
	case []any:
		var out []message
		for _, x := range v {
			out = append(out, strung(place, x)...)
		}
		return out
	case map[string]any:
		var out []message
		for key, x := range v {
			out = append(out, strung(place+" "+key, x)...)
		}
		return out
	}
	return nil
}
