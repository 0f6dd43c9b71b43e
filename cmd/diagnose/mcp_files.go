package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"golang.org/x/tools/txtar"

	"diagnose/internal/bounded"
	"diagnose/internal/evidence"
)

// A reading is what one call may read.
type reading struct {
	roots []string
	err   error // why there are none
}

// errNoRoots refuses paths where no folder is allowed.
var errNoRoots = errors.New("no folder may be read: the client names no roots, and the server was started without --root. Give the contents as documents instead")

// errAskRoots says that the client must first name its roots.
var errAskRoots = errors.New("the client has not named its roots")

// rootsRequest is the key of that question.
const rootsRequest = "roots"

// reading lists the folders below which a call may read files: those of
// --root, or else those that the client names.
func (s *agentServer) reading(r *mcp.CallToolRequest) reading {
	if len(s.roots) > 0 {
		return reading{roots: s.roots}
	}
	p := r.Session.InitializeParams()
	//lint:ignore SA1019 clients that name roots are served as long as there are any
	list, answered := r.Params.InputResponses[rootsRequest].(*mcp.ListRootsResult)
	switch {
	//lint:ignore SA1019 clients that name roots are served as long as there are any
	case p == nil || p.Capabilities == nil || p.Capabilities.RootsV2 == nil:
		return reading{err: errNoRoots}
	case !answered:
		return reading{err: errAskRoots}
	}
	out := reading{err: errNoRoots}
	for _, r := range list.Roots {
		if u, err := url.Parse(r.URI); err == nil && u.Scheme == "file" && u.Path != "" {
			out.roots, out.err = append(out.roots, filepath.FromSlash(u.Path)), nil
		}
	}
	return out
}

// A place is a file or folder below an allowed folder, opened so that no link
// leads out of that.
type place struct {
	name string // as it was asked for
	root *os.Root
	rel  string // slashed, below the root
	info fs.FileInfo
}

// open opens the place that a path names: relative to an allowed folder, or
// absolute and below one.
func (r reading) open(name string) (*place, error) {
	if r.err != nil {
		return nil, r.err
	}
	for _, dir := range r.roots {
		whole, err := filepath.Abs(dir)
		if err != nil {
			return nil, err
		}
		rel := name
		if filepath.IsAbs(name) {
			if rel, err = filepath.Rel(whole, name); err != nil {
				continue
			}
		}
		if rel = filepath.Clean(rel); !filepath.IsLocal(rel) {
			continue
		}
		root, err := os.OpenRoot(whole)
		if err != nil {
			return nil, fmt.Errorf("the allowed folder %s: %w", dir, err)
		}
		info, err := root.Stat(rel)
		if err == nil {
			return &place{name, root, filepath.ToSlash(rel), info}, nil
		}
		root.Close()
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%s cannot be read below the allowed folder %s", name, dir)
		}
	}
	return nil, fmt.Errorf("%s: no such file below %s, and nothing else may be read", name, strings.Join(r.roots, ", "))
}

// file reads the file that a path names, of which size bounds the bytes.
func (r reading) file(name string, size int64) ([]byte, error) {
	p, err := r.open(name)
	if err != nil {
		return nil, err
	}
	defer p.root.Close()
	return p.read(size)
}

// read reads a file, of which size bounds the bytes.
func (p *place) read(size int64) ([]byte, error) {
	if !p.info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a file", p.name)
	}
	data, err := bounded.FS(p.root.FS(), p.rel, p.name, size)
	if err != nil && !errors.Is(err, bounded.ErrTooLarge) {
		return nil, fmt.Errorf("%s: %w", p.name, err)
	}
	return data, err
}

// evidence reads what paths and documents say of one invocation. The documents
// count where both say something.
func (r reading) evidence(paths []string, documents map[string]string) (evidence.Snapshot, error) {
	out, err := r.places(paths)
	if err != nil {
		return out, err
	}
	if len(documents) == 0 {
		return out, nil
	}
	var files txtar.Archive
	for _, name := range slices.Sorted(maps.Keys(documents)) {
		if strings.ContainsAny(name, `/\`) || name == "" || name == "." || name == ".." {
			return out, fmt.Errorf("documents: %q: a name is a file name without folders, as service.yaml", name)
		}
		files.Files = append(files.Files, txtar.File{Name: name, Data: []byte(documents[name])})
	}
	fsys, err := txtar.FS(&files)
	if err != nil {
		return out, fmt.Errorf("documents: %w", err)
	}
	over, err := evidence.LoadFS(fsys, "documents")
	if err != nil {
		return out, err
	}
	out.Replace(over)
	return out, nil
}

// places reads files and folders of documents.
func (r reading) places(paths []string) (evidence.Snapshot, error) {
	var out evidence.Snapshot
	var files []evidence.Given
	for _, name := range paths {
		p, err := r.open(name)
		if err != nil {
			return out, err
		}
		defer p.root.Close()
		if p.info.IsDir() {
			dir, err := fs.Sub(p.root.FS(), p.rel)
			if err != nil {
				return out, err
			}
			s, err := evidence.LoadFS(dir, p.name)
			if err != nil {
				return out, err
			}
			out.Replace(s)
			continue
		}
		data, err := p.read(evidence.MaxDocument)
		if err != nil {
			return out, err
		}
		if strings.HasSuffix(name, ".txtar") {
			s, err := evidence.LoadArchive(data, p.name)
			if err != nil {
				return out, err
			}
			out.Replace(s)
			continue
		}
		files = append(files, evidence.Given{Name: p.name, Data: data})
	}
	return out, hintOf(out.Add(files))
}
