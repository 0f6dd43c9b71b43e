package main

import (
	"context"
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

	"diagnose/internal/evidence"
)

// errNoRoots refuses paths where no folder is allowed.
var errNoRoots = errors.New("no folder may be read: the client names no roots, and the server was started without --root. Give the contents as documents instead")

// allowed lists the folders below which files may be read.
func (s *agentServer) allowed(ctx context.Context, session *mcp.ServerSession) ([]string, error) {
	roots := s.roots
	if p := session.InitializeParams(); len(roots) == 0 && p != nil && p.Capabilities != nil && p.Capabilities.RootsV2 != nil {
		list, err := session.ListRoots(ctx, nil)
		if err != nil {
			return nil, fmt.Errorf("asking the client for its roots: %w", err)
		}
		for _, r := range list.Roots {
			if u, err := url.Parse(r.URI); err == nil && u.Scheme == "file" && u.Path != "" {
				roots = append(roots, filepath.FromSlash(u.Path))
			}
		}
	}
	if len(roots) == 0 {
		return nil, errNoRoots
	}
	return roots, nil
}

// A place is a file or folder below an allowed folder, opened so that no link
// leads out of that.
type place struct {
	name string // as it was asked for
	root *os.Root
	rel  string // slashed, below the root
	info fs.FileInfo
}

// openBelow opens the place that a path names: relative to an allowed folder, or
// absolute and below one.
func openBelow(roots []string, name string) (*place, error) {
	for _, dir := range roots {
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
	return nil, fmt.Errorf("%s: no such file below %s, and nothing else may be read", name, strings.Join(roots, ", "))
}

// read reads a file, of which size bounds the bytes.
func (p *place) read(size int64) ([]byte, error) {
	if !p.info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a file", p.name)
	}
	if p.info.Size() > size {
		return nil, fmt.Errorf("%s: larger than %d MB", p.name, size>>20)
	}
	data, err := p.root.ReadFile(filepath.FromSlash(p.rel))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.name, err)
	}
	return data, nil
}

// evidence reads what paths and documents say of one invocation. The documents
// count where both say something.
func (s *agentServer) evidence(ctx context.Context, session *mcp.ServerSession, paths []string, documents map[string]string) (evidence.Snapshot, error) {
	var out evidence.Snapshot
	if len(paths) > 0 {
		roots, err := s.allowed(ctx, session)
		if err != nil {
			return out, err
		}
		if out, err = readPlaces(roots, paths); err != nil {
			return out, err
		}
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

// readPlaces reads files and folders of documents.
func readPlaces(roots, paths []string) (evidence.Snapshot, error) {
	var out evidence.Snapshot
	var files []evidence.Given
	for _, name := range paths {
		p, err := openBelow(roots, name)
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
