package inventory

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"

	"diagnose/internal/estate"
)

// A worker reads values, and keeps what matters of them until all is read.
type worker struct {
	r *reader
	batch
	odds    []Oddity
	oddly   int // of which odds are the first
	lines   int
	told    struct{ lines, public atomic.Int64 } // what others may read meanwhile
	sources []*source                            // those without an asset so far
}

func newWorker(r *reader) *worker { return &worker{r: r, batch: newBatch()} }

// chunk reads whole lines.
func (w *worker) chunk(c chunk) {
	line, offset, rest := c.line, c.offset, c.data
	for len(rest) > 0 {
		l, after, ended := bytes.Cut(rest, newline)
		w.lines++
		if !w.r.plain && w.r.only == nil && dismiss(l) {
			c.assets.Store(1)
		} else if at := (estate.Where{File: c.name, Line: line, Offset: offset}); !w.line(c.source, l, at) && !ended && c.last {
			w.r.incomplete(fmt.Sprintf("%s ends in the middle of line %d", c.name, line))
		}
		line++
		offset += int64(len(rest) - len(after))
		rest = after
	}
	w.tell()
}

// spans reads the values of a chunk.
func (w *worker) spans(c chunk) {
	for _, s := range c.spans {
		w.lines++
		w.line(c.source, c.data[s.from:s.to], estate.Where{File: c.name, Line: s.line, Offset: c.offset + int64(s.from)})
	}
	w.tell()
}

func (w *worker) tell() {
	w.told.lines.Store(int64(w.lines))
	w.told.public.Store(int64(w.public))
}

// line reads one value, and reports whether it is JSON. What cannot matter is
// left out after the first look, which reads all of it.
func (w *worker) line(src *source, data []byte, at estate.Where) bool {
	data = bytes.TrimSpace(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")))
	if len(data) == 0 || comment(data) {
		return true
	}
	plain := w.r.plain
	if !plain {
		switch l := look(data); {
		case l.plain:
			plain = true
		case !l.valid:
			w.odd(src, data, at, "is not a JSON object")
			return false
		case len(l.kind) > 0 && !matters(l.kind):
			src.assets.Store(1)
			return true
		}
	}
	m, err := parse(data, plain)
	if err != nil {
		w.odd(src, data, at, err.Error())
		return false
	}
	if err := w.value(src, m, message{}, plain, at, 0); err != nil {
		w.odd(src, data, at, err.Error())
	}
	return true
}

// errNoAsset reports a value that is JSON and no asset.
var errNoAsset = errors.New("is not an asset: it has neither name nor asset type")

// maxWrapped is how deep an asset may be wrapped: list, envelope, message.
const maxWrapped = 6

// value reads an asset, or those inside of a wrapping.
func (w *worker) value(src *source, m object, c message, plain bool, at estate.Where, depth int) error {
	a := assetOf(m, c, plain)
	if a.kind != "" {
		return w.asset(src, a, at)
	}
	list, ok := unwrap(m, c)
	if !ok || depth == maxWrapped {
		return errNoAsset
	}
	if p, ok := pageOf(m); ok {
		src.assets.Store(1)
		w.pages = append(w.pages, p)
	}
	for _, x := range list {
		inner, err := parse(x.object, plain)
		if err == nil {
			err = w.value(src, inner, x.message, plain, at, depth+1)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// asset adds an asset that matters to the batch.
func (w *worker) asset(src *source, a asset, at estate.Where) error {
	src.assets.Store(1)
	switch {
	case !matters([]byte(a.kind)):
		return nil
	case a.name == "":
		return errNoAsset
	case w.r.only != nil && !w.r.only[a.name]:
		return nil
	}
	return w.add(a, at)
}

func (w *worker) odd(src *source, data []byte, at estate.Where, reason string) {
	o := Oddity{at, reason}
	w.oddly++
	w.odds = first(append(w.odds, o))
	src.mu.Lock()
	src.odd++
	if src.assets.Load() == 0 && src.head == nil {
		src.head = bytes.Clone(data[:min(len(data), maxHead)])
		w.sources = append(w.sources, src)
	}
	src.mu.Unlock()
	if w.r.Strict {
		w.r.mu.Lock()
		defer w.r.mu.Unlock()
		if w.r.stop == nil {
			w.r.stop = errors.New(o.String())
		}
	}
}

// maxHead is how much of a document is looked at to tell what it is.
const maxHead = 1 << 20

// broken reports whether an input without an asset starts as JSON and is none:
// an inventory that was cut, more likely than anything else.
func (s *source) broken() bool {
	return bytes.IndexByte([]byte("{["), s.head[0]) >= 0 && !json.Valid(s.head)
}
