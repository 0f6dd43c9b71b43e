package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/tools/txtar"

	"diagnose/checks"
	"diagnose/internal/bounded"
	"diagnose/internal/evidence"
	"diagnose/report"
)

// A manyCase is one of many cases: its name, and how it is read.
type manyCase struct {
	name string
	load func() (evidence.Snapshot, error)
}

// A judgedCase is the line of one case, and the exit code that it alone would
// give.
type judgedCase struct {
	line []byte
	code int
}

// each judges many cases and writes one line of JSON for each, in their order.
// The exit code is 2 where one could not be read, else 1 where one is denied,
// else 3 where one is undetermined.
func (a *app) each(ctx context.Context, name string, opts checks.Options) error {
	list, err := manyCases(name)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return hint(fmt.Errorf("%s has no cases", name), "a case is a folder with documents such as service.json, a .txtar file, or a line of a .ndjson file")
	}
	opts.Stop = func() bool { return ctx.Err() != nil }
	out := judgeAll(list, opts)
	rank := []int{exitAllowed, exitOpen, exitDenied, exitUsage}
	return a.toOutput(func(w io.Writer) error {
		for i := range out {
			c := <-out[i]
			if _, err := w.Write(c.line); err != nil {
				return err
			}
			a.code = rank[max(slices.Index(rank, a.code), slices.Index(rank, c.code))]
		}
		return ctx.Err()
	})
}

// judgeAll judges cases at the same time. Each answer comes in its own channel.
func judgeAll(list []manyCase, opts checks.Options) []chan judgedCase {
	now := time.Now().UTC()
	out := make([]chan judgedCase, len(list))
	work := make(chan int)
	for i := range out {
		out[i] = make(chan judgedCase, 1)
	}
	for range runtime.GOMAXPROCS(0) {
		go func() {
			for i := range work {
				out[i] <- judgeCase(list[i], now, opts)
			}
		}()
	}
	go func() {
		for i := range list {
			work <- i
		}
		close(work)
	}()
	return out
}

// toOutput writes to stdout, or whole to the file of -o.
func (a *app) toOutput(write func(io.Writer) error) error {
	if a.output == "" {
		w := bufio.NewWriterSize(a.Stdout, 1<<16)
		return errors.Join(write(w), w.Flush())
	}
	var b bytes.Buffer
	if err := write(&b); err != nil {
		return err
	}
	return writeFile(a.output, b.Bytes())
}

func judgeCase(c manyCase, now time.Time, opts checks.Options) judgedCase {
	var b bytes.Buffer
	s, err := c.load()
	if err != nil {
		problem := report.Problem{Message: report.Clean(err.Error()), Hints: []string{}, ExitCode: exitUsage}
		_ = report.FailureLine(&b, c.name, problem) // a buffer takes everything
		return judgedCase{b.Bytes(), exitUsage}
	}
	s.Settle(time.Time{}, now)
	v := checks.Judge(s, opts)
	_ = report.InvokeLine(&b, c.name, v)
	return judgedCase{b.Bytes(), exitOf(v.Decision)}
}

// manyCases lists the cases of a folder or of a file with one a line.
func manyCases(name string) ([]manyCase, error) {
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return nil, err
	case info.IsDir():
		return casesBelow(name)
	}
	return caseLines(name)
}

// casesBelow lists the folders with documents and the archives below a folder,
// in lexical order.
func casesBelow(root string) ([]manyCase, error) {
	var out []manyCase
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root && strings.HasPrefix(d.Name(), "."):
			return filepath.SkipDir
		case d.IsDir():
			entries, err := os.ReadDir(path)
			if err == nil && slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return evidence.IsMember(e.Name()) }) {
				out = append(out, manyCase{path, func() (evidence.Snapshot, error) { return evidence.Load(path) }})
			}
			return err
		case strings.HasSuffix(path, ".txtar"):
			out = append(out, manyCase{path, func() (evidence.Snapshot, error) { return evidence.Load(path) }})
		}
		return nil
	})
	return out, err
}

// maxCases bounds the size of a file of cases, in bytes.
const maxCases = 1 << 30

// caseLines lists the cases of a file: each line is an object with the name of
// a case, which may be left out, and its documents by name.
func caseLines(name string) ([]manyCase, error) {
	data, err := bounded.File(name, maxCases)
	if err != nil {
		return nil, err
	}
	var out []manyCase
	for i, line := range bytes.Split(data, []byte("\n")) {
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		var c struct {
			Name      string
			Documents map[string]json.RawMessage
		}
		err := json.Unmarshal(line, &c)
		if err == nil && len(c.Documents) == 0 {
			err = errors.New(`has no documents; expected {"name": "…", "documents": {"service.json": {…}}}`)
		} else if err != nil {
			err = evidence.JSONError(line, err)
		}
		if c.Name == "" {
			c.Name = fmt.Sprintf("%s:%d", name, i+1)
		}
		out = append(out, manyCase{c.Name, func() (evidence.Snapshot, error) {
			if err != nil {
				return evidence.Snapshot{}, fmt.Errorf("%s:%d: %w", name, i+1, err)
			}
			return caseOf(c.Name, c.Documents)
		}})
	}
	return out, nil
}

// caseOf reads a case from its documents. One that is a JSON string is its text.
func caseOf(name string, documents map[string]json.RawMessage) (evidence.Snapshot, error) {
	var a txtar.Archive
	for file, raw := range documents {
		var text string
		if json.Unmarshal(raw, &text) != nil {
			text = string(raw)
		}
		a.Files = append(a.Files, txtar.File{Name: file, Data: []byte(text)})
	}
	fsys, err := txtar.FS(&a)
	if err != nil {
		return evidence.Snapshot{}, fmt.Errorf("%s: %w", name, err)
	}
	return evidence.LoadFS(fsys, name)
}
