package evidence

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/tools/txtar"
)

// Load reads a case: a folder, or one .txtar file. Documents that are not there
// stay unknown. A file that is no document of a case is an error if its name resembles
// one, so that a misspelt one is not lost.
func Load(name string) (Snapshot, error) {
	info, err := os.Stat(name)
	if err != nil {
		return Snapshot{}, fmt.Errorf("no such case: %w", err)
	}
	if info.IsDir() {
		return LoadFS(os.DirFS(name), name)
	}
	if info.Size() > int64(len(Documents))*maxDocument {
		return Snapshot{}, fmt.Errorf("%s: too large for a case", name)
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return Snapshot{}, err
	}
	return LoadArchive(data, name)
}

// LoadArchive reads a case from the text of a .txtar file. name is for errors.
func LoadArchive(data []byte, name string) (Snapshot, error) {
	data, err := decodeText(data)
	if err != nil {
		return Snapshot{}, fmt.Errorf("%s: %w", name, err)
	}
	a := txtar.Parse(data)
	if len(a.Files) == 0 {
		return Snapshot{}, fmt.Errorf("%s: has no document of a case; expected a folder, or a .txtar file with documents such as -- service.json --", name)
	}
	seen := map[string]bool{}
	for _, f := range a.Files {
		if seen[f.Name] {
			return Snapshot{}, fmt.Errorf("%s: has the document %s twice", name, f.Name)
		}
		seen[f.Name] = true
	}
	fsys, err := txtar.FS(a)
	if err != nil {
		return Snapshot{}, fmt.Errorf("%s: %w", name, err)
	}
	return LoadFS(fsys, name)
}

// LoadFS reads a case from a file system. name is for errors.
func LoadFS(fsys fs.FS, name string) (Snapshot, error) {
	var s Snapshot
	entries, err := fs.ReadDir(fsys, ".")
	if err != nil {
		return s, fmt.Errorf("%s: %w", name, err)
	}
	var read []string
	for _, e := range entries {
		m, ok := find(e.Name())
		switch {
		case e.IsDir(), !ok && ignored(e.Name()):
			continue
		case !ok && suggest(e.Name()) != "":
			return s, fmt.Errorf("%s: %s is not a document of a case%s", name, e.Name(), suggest(e.Name()))
		case !ok:
			return s, fmt.Errorf("%s: %s is not a document of a case; the documents are %s", name, e.Name(), documentNames())
		case slices.Contains(read, m.Flag):
			return s, fmt.Errorf("%s: %s is given twice, as %s", name, m.What, strings.Join(m.Names, " and "))
		}
		data, err := readFile(fsys, e.Name())
		if err != nil {
			return s, fmt.Errorf("%s: %w", name, err)
		}
		if err := Read(e.Name(), Source{Document: e.Name()}, data, &s); err != nil {
			return s, fmt.Errorf("%s: %w", name, err)
		}
		read = append(read, m.Flag)
	}
	if len(read) == 0 {
		return s, fmt.Errorf("%s: has no document of a case; the documents are %s", name, documentNames())
	}
	return s, nil
}

func readFile(fsys fs.FS, name string) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxDocument+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path.Base(name), err)
	}
	return data, nil
}

func documentNames() string {
	var names []string
	for _, m := range Documents {
		names = append(names, m.Names[0])
	}
	return strings.Join(names, ", ")
}
