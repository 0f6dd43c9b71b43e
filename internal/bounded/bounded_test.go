package bounded_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
	"testing/iotest"

	"diagnose/internal/bounded"
)

// An endless stream counts what is read of it.
type endless struct{ read int }

func (e *endless) Read(p []byte) (int, error) {
	e.read += len(p)
	return len(p), nil
}

func TestAll(t *testing.T) {
	data, err := bounded.All(strings.NewReader("1234"), "it", 4)
	if string(data) != "1234" || err != nil {
		t.Errorf("at the limit: %q, %v", data, err)
	}
	e := &endless{}
	_, err = bounded.All(e, "it", 3<<20)
	if !errors.Is(err, bounded.ErrTooLarge) || err.Error() != "it: larger than 3 MB, the most that diagnose reads of it" {
		t.Errorf("endless: %v", err)
	}
	if e.read > 8<<20 {
		t.Errorf("%d bytes were read before the limit of 3 MB counted", e.read)
	}
	broken := errors.New("broken")
	if _, err := bounded.All(iotest.ErrReader(broken), "it", 4); !errors.Is(err, broken) || !strings.Contains(err.Error(), "it") {
		t.Errorf("broken: %v", err)
	}
}

func TestFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "a")
	if err := os.WriteFile(name, []byte("12345"), 0o600); err != nil {
		t.Fatal(err)
	}
	if data, err := bounded.File(name, 5); string(data) != "12345" || err != nil {
		t.Errorf("at the limit: %q, %v", data, err)
	}
	if _, err := bounded.File(name, 4); !errors.Is(err, bounded.ErrTooLarge) || !strings.Contains(err.Error(), name+": larger than 4 bytes") {
		t.Errorf("above it: %v", err)
	}
	if _, err := bounded.File(name+"no", 4); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent: %v", err)
	}
	if _, err := bounded.File("/dev/zero", 1<<20); err == nil || !errors.Is(err, bounded.ErrTooLarge) && !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a device without end: %v", err)
	}
	fsys := fstest.MapFS{"x/y": {Data: []byte("123")}}
	if data, err := bounded.FS(fsys, "x/y", "y", 3); string(data) != "123" || err != nil {
		t.Errorf("in a file system: %q, %v", data, err)
	}
	if _, err := bounded.FS(fsys, "x/y", "y", 2); !errors.Is(err, bounded.ErrTooLarge) || !strings.HasPrefix(err.Error(), "y:") {
		t.Errorf("in a file system, above the limit: %v", err)
	}
}

// TestNothingElseReads finds no other place that reads a whole input: there a
// limit would be forgotten.
func TestNothingElseReads(t *testing.T) {
	reads := regexp.MustCompile(`\b(os|fs|io|ioutil|root)\.(ReadFile|ReadAll)\(|\.ReadFrom\(`)
	files := 0
	err := filepath.WalkDir("../..", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (strings.HasSuffix(d.Name(), "test") || d.Name() == "bounded" || d.Name() == "laws" || d.Name() == "generate"):
			return filepath.SkipDir
		case !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		files++
		text, err := os.ReadFile(name)
		for i, l := range strings.Split(string(text), "\n") {
			if reads.MatchString(l) && !strings.Contains(l, "embed") {
				t.Errorf("%s:%d: %s: read it with package bounded", name, i+1, strings.TrimSpace(l))
			}
		}
		return err
	})
	if err != nil || files < 100 {
		t.Fatalf("%d files, %v", files, err)
	}
}
