// Package inventory reads exports of Cloud Asset Inventory, of any size and in
// any order, into an estate. It reads each byte once and keeps only what can
// matter to an invocation.
package inventory

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"diagnose/internal/estate"
	"diagnose/internal/gcp"
)

// Options say how to read. The zero Options reads on after a malformed line.
type Options struct {
	Strict   bool        // stop at the first malformed line
	Progress func(Stats) // told now and then; not called concurrently
	plain    bool        // parse every line: for tests
	longest  int         // line in bytes, maxLine where 0: for tests
}

// Stats count what was read.
type Stats struct {
	Files    int
	Bytes    int64 // before decompression
	Total    int64 // of all files, 0 where one of them is a stream
	Lines    int
	Assets   int      // that can matter
	Public   int      // grants to anyone, of roles that can matter: findings so far
	Odd      int      // malformed lines
	Oddities []Oddity // the first of them
	// Incomplete says why something is missing, nil where nothing is known to
	// be.
	Incomplete []string
}

// An Oddity is a line that could not be read.
type Oddity struct {
	Where  estate.Where
	Reason string
}

func (o Oddity) String() string {
	return fmt.Sprintf("%s:%d (byte %d) %s", o.Where.File, o.Where.Line, o.Where.Offset, o.Reason)
}

// The sizes of what is read at once, and of the longest line.
const (
	chunkSize = 1 << 20
	maxLine   = 128 << 20
	maxOdd    = 20
)

// Read reads files, folders, globs, and "-" for stdin.
func Read(ctx context.Context, inputs []string, stdin io.Reader, o Options) (*estate.Estate, Stats, error) {
	files, err := expand(inputs)
	if err != nil {
		return nil, Stats{}, err
	}
	r := newReader(ctx, o)
	for _, f := range files {
		if f == "-" {
			r.stats.Total = 0
			break
		}
		info, err := os.Stat(f)
		if err != nil {
			return nil, Stats{}, err
		}
		r.stats.Total += info.Size()
	}
	for _, f := range files {
		if err := r.file(f, stdin); err != nil {
			r.wait()
			return nil, r.stats, err
		}
	}
	return r.finish()
}

// ReadLines reads assets that come one by one, as from an API.
func ReadLines(ctx context.Context, lines func(yield func([]byte) bool), o Options) (*estate.Estate, Stats, error) {
	r := newReader(ctx, o)
	b := &batch{}
	n := 0
	for l := range lines {
		n++
		b.lines++
		if r.line(b, l, estate.Where{Line: n}); r.stopped() {
			break
		}
		if b.lines == 1000 {
			r.merge(b)
			b = &batch{}
		}
	}
	r.merge(b)
	return r.finish()
}

// expand lists the files of folders and patterns, each file once.
func expand(inputs []string) ([]string, error) {
	var out []string
	seen := map[string]bool{}
	add := func(name string) {
		if clean := filepath.Clean(name); !seen[clean] {
			seen[clean] = true
			out = append(out, name)
		}
	}
	for _, in := range inputs {
		if _, err := os.Stat(in); in == "-" || err == nil {
			if err := walk(in, add); err != nil {
				return nil, err
			}
			continue
		} else if found, bad := filepath.Glob(in); bad != nil || len(found) == 0 {
			return nil, fmt.Errorf("--export: %w", err)
		} else {
			for _, f := range found {
				if err := walk(f, add); err != nil {
					return nil, err
				}
			}
		}
	}
	return out, nil
}

// walk adds a file, or the files of a folder. Those that start with a dot are
// left out; links are followed to files, not to folders.
func walk(name string, add func(string)) error {
	if info, err := os.Stat(name); name == "-" || err == nil && !info.IsDir() {
		add(name)
		return nil
	}
	return filepath.WalkDir(name, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(d.Name(), ".") {
			return err
		}
		if info, err := os.Stat(p); err != nil {
			return err
		} else if info.Mode().IsRegular() {
			add(p)
		}
		return nil
	})
}

type reader struct {
	Options
	ctx      context.Context
	mu       sync.Mutex
	total    batch
	stats    Stats
	nodes    map[string]estate.Node
	governed map[string]bool // nodes whose policies were read
	work     chan chunk
	done     sync.WaitGroup
	stop     error // a malformed line, where strict
}

// A chunk is whole lines of a file.
type chunk struct {
	data   []byte
	file   string
	line   int    // of its first line
	offset int64  // of its first byte
	last   bool   // the file ends here
	spans  []span // its values, where they are not lines
}

func newReader(ctx context.Context, o Options) *reader {
	o.longest = cmp.Or(o.longest, maxLine)
	r := &reader{Options: o, ctx: ctx, nodes: map[string]estate.Node{}, governed: map[string]bool{}, work: make(chan chunk)}
	for range max(1, runtime.GOMAXPROCS(0)) {
		r.done.Go(func() {
			for c := range r.work {
				if c.line > 0 {
					r.chunk(c)
				} else {
					r.spans(c)
				}
				if cap(c.data) <= 4*chunkSize {
					chunks.Put(&c.data)
				}
			}
		})
	}
	return r
}

func (r *reader) wait() {
	close(r.work)
	r.done.Wait()
}

// chunks are reused: they are most of the memory.
var chunks = sync.Pool{New: func() any { b := make([]byte, 0, chunkSize+64<<10); return &b }}

func (r *reader) file(name string, stdin io.Reader) error {
	var in io.Reader = stdin
	var before fs.FileInfo
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		if before, err = f.Stat(); err != nil {
			return err
		}
		in = f
		defer func() {
			after, err := f.Stat()
			if err != nil || before.Mode().IsRegular() && (after.Size() != before.Size() || !after.ModTime().Equal(before.ModTime())) {
				r.incomplete(name + " changed while it was read")
			}
		}()
	}
	r.stats.Files++
	counted := &counter{in: in, r: r}
	plain, err := decompress(bufio.NewReaderSize(counted, 256<<10))
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	switch err := r.documents(name, plain); {
	case errors.Is(err, errStop):
		return r.stop
	case r.ctx.Err() != nil:
		return r.ctx.Err()
	case err != nil:
		r.incomplete(name + " could not be read to its end: " + err.Error())
	}
	return nil
}

func (r *reader) incomplete(why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stats.Incomplete = append(r.stats.Incomplete, why)
}

// counter counts bytes as they come from the file.
type counter struct {
	in io.Reader
	r  *reader
}

func (c *counter) Read(p []byte) (int, error) {
	if err := c.r.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := c.in.Read(p)
	c.r.mu.Lock()
	c.r.stats.Bytes += int64(n)
	s := c.r.stats
	c.r.mu.Unlock()
	if c.r.Progress != nil {
		c.r.Progress(s)
	}
	return n, err
}

// decompress knows gzip and zstd by their first bytes.
func decompress(in *bufio.Reader) (*bufio.Reader, error) {
	head, _ := in.Peek(4)
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, fmt.Errorf("is broken gzip: %w", err)
		}
		return bufio.NewReaderSize(z, 256<<10), nil
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}), len(head) == 4 && head[0]>>4 == 5 && bytes.Equal(head[1:], []byte{0x2a, 0x4d, 0x18}): // pzstd starts with a frame to skip
		z, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(256<<20))
		if err != nil {
			return nil, fmt.Errorf("is broken zstd: %w", err)
		}
		return bufio.NewReaderSize(z, 256<<10), nil
	}
	return in, nil
}

// errStop ends the reading where a malformed line should.
var errStop = errors.New("stopped at a malformed line")

// documents reads one line an asset, or else a list or a sequence of JSON
// values that go over several lines.
func (r *reader) documents(name string, in *bufio.Reader) error {
	head, _ := in.Peek(64 << 10)
	trimmed := bytes.TrimLeft(skipComments(head), " \t\r\n\xef\xbb\xbf")
	first, _, _ := bytes.Cut(trimmed, []byte("\n"))
	first = bytes.TrimSpace(first)
	if bytes.HasPrefix(trimmed, []byte("[")) || len(first) > 0 && first[0] == '{' && (len(first) == 1 || first[len(first)-1] == '{' || first[len(first)-1] == ',') {
		return r.values(name, in)
	}
	return r.lines(name, in)
}

func skipComments(head []byte) []byte {
	for {
		t := bytes.TrimLeft(head, " \t\r\n")
		if !comment(t) {
			return t
		}
		_, rest, ok := bytes.Cut(t, []byte("\n"))
		if !ok {
			return nil
		}
		head = rest
	}
}

func comment(l []byte) bool {
	return bytes.HasPrefix(l, []byte("#")) || bytes.HasPrefix(l, []byte("//"))
}

// lines cuts the input into chunks of whole lines, for all cores.
func (r *reader) lines(name string, in *bufio.Reader) error {
	next := chunk{file: name, line: 1, data: buffer()}
	for {
		err := fill(in, &next.data)
		if r.stopped() {
			return errStop
		}
		if err != nil {
			next.last = true
			if !r.send(next) {
				return r.ctx.Err()
			}
			if err == io.EOF {
				return nil
			}
			return err
		}
		cut := bytes.LastIndexByte(next.data, '\n') + 1
		if cut == 0 && len(next.data) < r.longest {
			next.data = slices.Grow(next.data, cap(next.data))
			continue
		}
		if cut == 0 {
			n, err := r.skipLine(next, in)
			if err != nil && err != io.EOF {
				return err
			}
			next.offset, next.line, next.data = next.offset+int64(len(next.data))+n, next.line+1, next.data[:0]
			continue
		}
		after := chunk{file: name, line: next.line + bytes.Count(next.data[:cut], newline), offset: next.offset + int64(cut), data: append(buffer(), next.data[cut:]...)}
		next.data = next.data[:cut]
		if !r.send(next) {
			return r.ctx.Err()
		}
		next = after
	}
}

func buffer() []byte { return (*chunks.Get().(*[]byte))[:0] }

// fill reads until the buffer is full, or the input's own error.
func fill(in io.Reader, data *[]byte) error {
	for len(*data) < cap(*data) {
		n, err := in.Read((*data)[len(*data):cap(*data)])
		*data = (*data)[:len(*data)+n]
		if err != nil {
			return err
		}
	}
	return nil
}

var newline = []byte("\n")

func (r *reader) send(c chunk) bool {
	select {
	case r.work <- c:
		return true
	case <-r.ctx.Done():
		return false
	}
}

func (r *reader) stopped() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stop != nil
}

func (r *reader) chunk(c chunk) {
	b := &batch{}
	line, offset, rest := c.line, c.offset, c.data
	for len(rest) > 0 {
		l, after, ended := bytes.Cut(rest, newline)
		b.lines++
		before := len(b.odd)
		r.line(b, l, estate.Where{File: c.file, Line: line, Offset: offset})
		if !ended && c.last && len(b.odd) > before {
			r.incomplete(fmt.Sprintf("%s ends in the middle of line %d", c.file, line))
		}
		line++
		offset += int64(len(rest) - len(after))
		rest = after
	}
	r.merge(b)
}

// line reads one asset. What cannot matter is left out after the first look,
// which reads all of it.
func (r *reader) line(b *batch, data []byte, w estate.Where) {
	data = bytes.TrimSpace(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")))
	if len(data) == 0 || comment(data) {
		return
	}
	plain := r.plain
	if !plain {
		switch l := look(data); {
		case l.plain:
			plain = true
		case !l.valid:
			r.odd(b, w, "is no JSON object")
			return
		case len(l.kind) > 0 && !matters(l.kind):
			return
		}
	}
	a, err := parse(data, plain)
	if err == nil {
		switch {
		case !matters([]byte(a.kind)):
			return
		case a.name == "":
			err = errNoAsset
		default:
			err = b.add(a, w)
		}
	}
	if err != nil {
		r.odd(b, w, err.Error())
	}
}

func (r *reader) odd(b *batch, w estate.Where, reason string) {
	o := Oddity{w, reason}
	b.odd = append(b.odd, o)
	if r.Strict {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.stop == nil {
			r.stop = errors.New(o.String())
		}
	}
}

func (r *reader) merge(b *batch) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, n := range b.Nodes {
		old := r.nodes[n.Name]
		old.Name, old.ID, old.Title, old.Parent = n.Name, cmp.Or(old.ID, n.ID), cmp.Or(old.Title, n.Title), cmp.Or(old.Parent, n.Parent)
		if n.Where.File != "" {
			old.Where = n.Where
		}
		r.nodes[n.Name] = old
	}
	b.Nodes = nil
	for _, name := range b.governed {
		r.governed[name] = true
	}
	r.total.Add(&b.Estate)
	r.total.resources = r.total.resources || b.resources
	r.total.PoliciesComplete = r.total.PoliciesComplete || b.PoliciesComplete
	r.stats.Lines += b.lines
	r.stats.Assets += b.assets
	r.stats.Public += b.public
	r.stats.Odd += len(b.odd)
	r.stats.Oddities = append(r.stats.Oddities, b.odd...)
	if len(r.stats.Oddities) > maxOdd {
		slices.SortFunc(r.stats.Oddities, byPlace)
		r.stats.Oddities = r.stats.Oddities[:maxOdd]
	}
}

func byPlace(a, b Oddity) int {
	return cmp.Or(cmp.Compare(a.Where.File, b.Where.File), cmp.Compare(a.Where.Line, b.Where.Line))
}

// finish makes the estate, the same whatever the order of the lines was.
func (r *reader) finish() (*estate.Estate, Stats, error) {
	r.wait()
	if r.stop != nil {
		return nil, r.stats, r.stop
	}
	if err := r.ctx.Err(); err != nil {
		return nil, r.stats, err
	}
	e := &r.total.Estate
	e.Nodes = slices.SortedFunc(maps.Values(r.nodes), func(a, b estate.Node) int { return cmp.Compare(a.Name, b.Name) })
	whole := len(r.stats.Incomplete) == 0 && r.stats.Odd == 0
	e.TargetsComplete = r.total.resources && whole
	e.PoliciesComplete = e.PoliciesComplete && whole
	numbers, ids := map[string]string{}, map[string]string{}
	for _, n := range e.Nodes {
		if number, ok := strings.CutPrefix(n.Name, "projects/"); ok && n.ID != "" {
			numbers[n.ID], ids[number] = number, n.ID
		}
	}
	for i := range e.Targets {
		t := &e.Targets[i]
		t.Name, t.Function = named(t.Name, ids), named(t.Function, ids)
	}
	slices.SortStableFunc(e.Targets, func(a, b estate.Target) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Function, b.Function), cmp.Compare(a.Where.File, b.Where.File), cmp.Compare(a.Where.Line, b.Where.Line))
	})
	e.JoinFunctions()
	for i := range e.Targets {
		if t := &e.Targets[i]; t.Event == estate.Yes && !t.Gen1 && t.TriggerAccount == "" {
			// https://docs.cloud.google.com/eventarc/docs/roles-permissions
			if n := numbers[gcp.Part(t.Name, "projects")]; n != "" {
				t.TriggerAccount = gcp.ComputeDefault(n)
			}
		}
	}
	slices.SortStableFunc(e.Policies, func(a, b estate.Policy) int {
		return cmp.Or(cmp.Compare(a.Resource, b.Resource), cmp.Compare(a.Where.File, b.Where.File), cmp.Compare(a.Where.Line, b.Where.Line))
	})
	r.openTop(e)
	slices.SortFunc(r.stats.Oddities, byPlace)
	return e, r.stats, nil
}

// openTop says where grants from above cannot be excluded: the export of a
// project or folder leaves out what its organization grants, which always has
// a policy.
func (r *reader) openTop(e *estate.Estate) {
	if !e.PoliciesComplete {
		return
	}
	for _, n := range e.Nodes {
		if n.Parent != "" || strings.HasPrefix(n.Name, "projects/") || r.governed[n.Name] {
			continue
		}
		const why = "it is not in the export, so that what is granted there is unknown"
		what := "the policy of " + n.Name
		e.Policies = append(e.Policies, estate.Policy{Resource: estate.NodeHost + n.Name, Partial: why, Bindings: []estate.Binding{{Open: what + " is not in the export"}}})
	}
}

// named puts a project's ID in place of its number.
func named(name string, ids map[string]string) string {
	n, ok := gcp.ParseName(name)
	if !ok || ids[n.Project] == "" {
		return name
	}
	return cmp.Or(n.InProject(ids[n.Project]).Full(), name)
}
