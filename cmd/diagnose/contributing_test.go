package main

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	fileBlock = regexp.MustCompile("(?ms)^```go (\\S+)\n(.*?)^```$")
	namedIn   = regexp.MustCompile("`(\\w+)` in `(\\w+)` of\\s+`([\\w/.]+)`")
)

// TestContributing does what CONTRIBUTING.md says, in a copy of the module: the
// check and the rule are then known to the program.
func TestContributing(t *testing.T) {
	text, err := os.ReadFile("../../CONTRIBUTING.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := copyModule(t)
	blocks, lists := fileBlock.FindAllSubmatch(text, -1), namedIn.FindAllSubmatch(text, -1)
	if len(blocks) != 2 || len(lists) != 2 {
		t.Fatalf("CONTRIBUTING.md shows %d files and names %d lists; want a check and a rule", len(blocks), len(lists))
	}
	for _, b := range blocks {
		if err := os.WriteFile(filepath.Join(dir, string(b[1])), b[2], 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, l := range lists {
		insert(t, filepath.Join(dir, string(l[3])), string(l[2]), string(l[1]))
	}
	binary := filepath.Join(t.TempDir(), "diagnose")
	build := exec.Command("go", "build", "-o", binary, "./cmd/diagnose")
	build.Dir = dir
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("what CONTRIBUTING.md says does not build: %v\n%s", err, out)
	}
	for id, says := range map[string]string{"service-launch-stage": "launch stage", "grant-testers": "group of testers"} {
		out, err := exec.Command(binary, "explain", id).CombinedOutput()
		if err != nil || !strings.Contains(string(out), says) {
			t.Errorf("explain %s: %v\n%s", id, err, out)
		}
	}
}

// insert puts a name into the list of values that is assigned to a variable.
func insert(t *testing.T, file, list, name string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	at := regexp.MustCompile(`(?m)^var ` + list + ` = .*?(?:\[\]Check|\[\]Rule)\{`).FindIndex(data)
	if at == nil {
		t.Fatalf("%s has no list %s", file, list)
	}
	out := string(data[:at[1]]) + name + ", " + string(data[at[1]:])
	if err := os.WriteFile(file, []byte(out), 0o644); err != nil {
		t.Fatal(err)
	}
}

// copyModule copies what a build needs of this module.
func copyModule(t *testing.T) string {
	t.Helper()
	root, dir := filepath.Join("..", ".."), t.TempDir()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		switch {
		case d.IsDir() && (rel == "bin" || rel == "docs" || strings.HasPrefix(d.Name(), ".") && rel != "."):
			return filepath.SkipDir
		case d.IsDir():
			return os.MkdirAll(filepath.Join(dir, rel), 0o755)
		case strings.HasSuffix(rel, "_test.go") || !d.Type().IsRegular():
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, rel), data, 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}
