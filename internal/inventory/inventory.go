// Package inventory reads exports of Cloud Asset Inventory, of any size and in
// any order, into an estate. It reads each byte once and keeps only what can
// matter to an invocation.
package inventory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"diagnose/internal/estate"
)

// Options say how to read. The zero Options reads on after a malformed line.
type Options struct {
	Strict bool // stop at the first malformed line
	// Complete says that what the input shows no policy of has none.
	Complete bool
	Progress func(Stats)     // told now and then; not called concurrently
	plain    bool            // parse every line: for tests
	longest  int             // line in bytes, maxLine where 0: for tests
	only     map[string]bool // names of the assets to read, all where nil
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
	// Missing says which kinds of content are missing, and what gives them.
	Missing []string
	// Foreign says of each input without an asset what it is, by its name.
	Foreign []string
}

// An Oddity is a line that could not be read.
type Oddity struct {
	Where  estate.Where
	Reason string
}

func (o Oddity) String() string {
	if o.Where.File == "" {
		return fmt.Sprintf("asset %d %s", o.Where.Line, o.Reason)
	}
	return fmt.Sprintf("%s:%d (byte %d) %s", o.Where.File, o.Where.Line, o.Where.Offset, o.Reason)
}

// The sizes of what is read at once, and of the longest line.
const (
	chunkSize = 1 << 20
	maxLine   = 128 << 20
	maxOdd    = 20
)

// Read reads files, folders, globs, and "-" for stdin: several files at once.
func Read(ctx context.Context, inputs []string, stdin io.Reader, o Options) (*estate.Estate, Stats, error) {
	files, err := expand(inputs)
	if err != nil {
		return nil, Stats{}, err
	}
	r := newReader(ctx, o)
	r.named = inputs
	if r.stats.Total, err = sizeOf(files); err != nil {
		r.wait()
		return nil, Stats{}, err
	}
	r.stats.Files = len(files)
	if err := r.files(files, stdin); err != nil {
		r.wait()
		return nil, r.snapshot(), err
	}
	return r.finish()
}

func sizeOf(files []string) (int64, error) {
	sum := int64(0)
	for _, f := range files {
		if f == "-" {
			return 0, nil
		}
		info, err := os.Stat(f)
		if err != nil {
			return 0, err
		}
		sum += info.Size()
	}
	return sum, nil
}

// ReadLines reads assets that come one by one, as from an API.
func ReadLines(ctx context.Context, lines func(yield func([]byte) bool), o Options) (*estate.Estate, Stats, error) {
	r := newReader(ctx, o)
	w := r.worker()
	src := &source{}
	n := 0
	for l := range lines {
		n++
		w.lines++
		if w.line(src, l, estate.Where{Line: n}); r.stopped() {
			break
		}
	}
	return r.finish()
}

type reader struct {
	Options
	ctx     context.Context
	mu      sync.Mutex
	named   []string // inputs as the user named them
	workers []*worker
	stats   Stats
	bytes   atomic.Int64
	work    chan chunk
	done    sync.WaitGroup
	stop    error // a malformed line, where strict
}

// A source is one input, and what it turned out to hold.
type source struct {
	name   string
	named  bool         // by the user, not found in a folder
	assets atomic.Int64 // of any type; 1 stands for some
	mu     sync.Mutex
	head   []byte // its first value without an asset, nil where there is none
	odd    int    // values that could not be read
}

// A chunk is whole lines of a file.
type chunk struct {
	*source
	data   []byte
	line   int    // of its first line
	offset int64  // of its first byte
	last   bool   // the file ends here
	spans  []span // its values, where they are not lines
}

func newReader(ctx context.Context, o Options) *reader {
	o.longest = cmp.Or(o.longest, maxLine)
	r := &reader{Options: o, ctx: ctx, work: make(chan chunk)}
	for range max(1, runtime.GOMAXPROCS(0)) {
		w := r.worker()
		r.done.Go(func() {
			for c := range r.work {
				if c.line > 0 {
					w.chunk(c)
				} else {
					w.spans(c)
				}
				if cap(c.data) <= 4*chunkSize {
					chunks.Put(&c.data)
				}
			}
		})
	}
	return r
}

func (r *reader) worker() *worker {
	w := newWorker(r)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.workers = append(r.workers, w)
	return w
}

func (r *reader) wait() {
	close(r.work)
	r.done.Wait()
}

// chunks are reused: they are most of the memory.
var chunks = sync.Pool{New: func() any { b := make([]byte, 0, chunkSize+64<<10); return &b }}

// files reads several files at once, one a core: most of the time of a
// compressed one goes to decompression, which takes one core.
func (r *reader) files(names []string, stdin io.Reader) error {
	next := make(chan string)
	failed := make(chan error, len(names))
	var done sync.WaitGroup
	for range min(len(names), max(1, runtime.GOMAXPROCS(0))) {
		done.Go(func() {
			for name := range next {
				if err := r.file(name, stdin); err != nil {
					failed <- err
				}
			}
		})
	}
	for _, n := range names {
		if len(failed) > 0 {
			break
		}
		next <- n
	}
	close(next)
	done.Wait()
	close(failed)
	return <-failed
}

func (r *reader) file(name string, stdin io.Reader) error {
	in := stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		before, err := f.Stat()
		if err != nil {
			return err
		}
		in = f
		defer func() {
			if after, err := f.Stat(); err != nil || changed(before, after) {
				r.incomplete(name + " changed while it was read")
			}
		}()
	}
	plain, err := text(&counter{in: in, r: r})
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	src := &source{name: name, named: slices.Contains(r.named, name)}
	switch err := r.documents(src, plain); {
	case errors.Is(err, errStop):
		return r.stop
	case r.ctx.Err() != nil:
		return r.ctx.Err()
	case err != nil:
		r.incomplete(name + " could not be read to its end: " + err.Error())
	}
	return nil
}

func changed(before, after fs.FileInfo) bool {
	return before.Mode().IsRegular() && (after.Size() != before.Size() || !after.ModTime().Equal(before.ModTime()))
}

func (r *reader) incomplete(why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stats.Incomplete = append(r.stats.Incomplete, why)
}

// read counts bytes and tells how far the reading is.
func (r *reader) read(n int64) {
	r.bytes.Add(n)
	if r.Progress == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Progress(r.count())
}

// snapshot is what was counted so far.
func (r *reader) snapshot() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.count()
}

func (r *reader) count() Stats {
	s := r.stats
	s.Bytes = r.bytes.Load()
	for _, w := range r.workers {
		s.Lines += int(w.told.lines.Load())
		s.Public += int(w.told.public.Load())
	}
	return s
}

// errStop ends the reading where a malformed line should.
var errStop = errors.New("stopped at a malformed line")

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

func byPlace(a, b Oddity) int {
	return cmp.Or(cmp.Compare(a.Where.File, b.Where.File), cmp.Compare(a.Where.Line, b.Where.Line))
}

// first keeps the first of the malformed lines.
func first(list []Oddity) []Oddity {
	if len(list) > maxOdd {
		slices.SortFunc(list, byPlace)
		list = list[:maxOdd]
	}
	return list
}
