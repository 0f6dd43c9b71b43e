package evidence

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/tools/txtar"

	"diagnose/internal/bounded"
)

// What a case may have at most: bytes in all, and documents.
const (
	maxArchive = 8 * MaxDocument
	maxMembers = 1000
)

// Load reads a case: a folder, or one .txtar file. Documents that are not there
// stay unknown. A file that is not known by its content either is an error if
// its name resembles that of one, so that a misspelt one is not lost.
func Load(name string) (Snapshot, error) {
	info, err := os.Stat(name)
	if err != nil {
		return Snapshot{}, fmt.Errorf("no such case: %w", err)
	}
	if info.IsDir() {
		return LoadFS(os.DirFS(name), name)
	}
	data, err := bounded.File(name, maxArchive)
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

// LoadFS reads a case from a file system: documents with the names of a case,
// and others, which are known by their content. name is for errors.
func LoadFS(fsys fs.FS, name string) (Snapshot, error) {
	var s Snapshot
	entries, err := fs.ReadDir(fsys, ".")
	if err != nil {
		return s, fmt.Errorf("%s: %w", name, err)
	}
	if len(entries) > maxMembers {
		return s, fmt.Errorf("%s: has %d files, more than the %d that diagnose reads of one case", name, len(entries), maxMembers)
	}
	var read []string
	var others []Given
	size := 0
	has := func(name string) bool {
		return slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == name })
	}
	for _, e := range entries {
		m, ok := find(e.Name())
		switch {
		case e.IsDir(), !ok && ignored(e.Name()), e.Name() == "token.txt" && has("token.jwt"):
			continue // in a story, token.txt says what token.jwt was signed of
		case slices.Contains(read, m.Flag):
			return s, fmt.Errorf("%s: %s is given twice, as %s", name, m.What, strings.Join(m.Names, " and "))
		}
		data, err := readFile(fsys, e.Name())
		if err != nil {
			return s, fmt.Errorf("%s: %w", name, err)
		}
		if size += len(data); size > maxArchive {
			return s, fmt.Errorf("%s: its documents are larger than %d MB together, the most that diagnose reads of one case", name, maxArchive>>20)
		}
		if !ok {
			others = append(others, Given{e.Name(), data})
			continue
		}
		if err := Read(e.Name(), Source{Document: e.Name()}, data, &s); err != nil {
			return s, fmt.Errorf("%s: %w", name, err)
		}
		read = append(read, m.Flag)
	}
	n, err := s.addOthers(others)
	if err != nil {
		return s, fmt.Errorf("%s: %w", name, err)
	}
	if len(read)+n == 0 {
		return s, fmt.Errorf("%s: has no document of a case; they are %s", name, documentNames())
	}
	return s, nil
}

// addOthers adds the documents of a folder that have other names, and returns
// their number. One that is nothing diagnose knows is left out, unless its name
// resembles one of a case.
func (s *Snapshot) addOthers(list []Given) (int, error) {
	var known []Given
	for _, g := range list {
		_, err := Recognize(g.Data)
		switch {
		case err == nil:
			known = append(known, g)
		case !errors.Is(err, ErrUnrecognized) && !errors.Is(err, errNoText):
			return 0, fmt.Errorf("%s %w", g.Name, err)
		case suggest(g.Name) != "":
			return 0, fmt.Errorf("%s is not a document of a case%s", g.Name, suggest(g.Name))
		default:
			s.Notes = append(s.Notes, g.Name+" is not used: it is not a document that diagnose reads")
		}
	}
	return len(known), s.Add(known)
}

func readFile(fsys fs.FS, name string) ([]byte, error) {
	return bounded.FS(fsys, name, path.Base(name), MaxDocument)
}

func documentNames() string {
	var names []string
	for _, m := range Documents {
		names = append(names, m.Names[0])
	}
	return strings.Join(names, ", ")
}
