package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var shellBlock = regexp.MustCompile("(?ms)^```sh\n(.*?)^```$")

// TestInstall follows docs/install.md in a clone, with an empty HOME and no
// other tool than Go. The caches of Go are those of the machine.
func TestInstall(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the binary once more")
	}
	data, err := os.ReadFile("../../docs/install.md")
	if err != nil {
		t.Fatal(err)
	}
	var script strings.Builder
	for _, block := range shellBlock.FindAllStringSubmatch(string(data), -1) {
		script.WriteString(block[1])
	}
	top, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	clone, home, tools := t.TempDir(), t.TempDir(), t.TempDir()
	files, err := exec.Command("git", "-C", top, "ls-files", "-z").Output()
	if err != nil {
		t.Skipf("not a clone: %v", err)
	}
	for name := range strings.SplitSeq(strings.TrimRight(string(files), "\x00"), "\x00") {
		copyFile(t, filepath.Join(top, name), filepath.Join(clone, name))
	}
	for _, tool := range []string{"go", "bash"} {
		path, err := exec.LookPath(tool)
		if err == nil {
			err = os.Symlink(path, filepath.Join(tools, tool))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	caches, err := exec.Command("go", "env", "GOMODCACHE", "GOCACHE", "GOROOT", "GOPROXY").Output()
	if err != nil {
		t.Fatal(err)
	}
	env := strings.Split(strings.TrimSpace(string(caches)), "\n")
	c := exec.Command("bash", "-euc", script.String()+"complete -p diagnose\n")
	c.Dir = clone
	c.Env = []string{"HOME=" + home, "PATH=" + tools, "GOMODCACHE=" + env[0], "GOCACHE=" + env[1], "GOROOT=" + env[2], "GOPROXY=" + env[3], "GOFLAGS=-buildvcs=false", "CGO_ENABLED=0"}
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"predefined roles of", "denied", "__start_diagnose diagnose"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the output has no %q:\n%s", want, out)
		}
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(to), 0o755)
	}
	if err == nil {
		err = os.WriteFile(to, data, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}
