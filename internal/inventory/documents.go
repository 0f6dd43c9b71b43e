package inventory

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"slices"

	"diagnose/internal/estate"
	"diagnose/internal/yamldoc"
)

var newline = []byte("\n")

// documents reads one line an asset, or else a list or a sequence of values,
// in JSON or YAML, that go over several lines.
func (r *reader) documents(src *source, in *bufio.Reader) error {
	head, _ := in.Peek(64 << 10)
	trimmed := bytes.TrimLeft(skipComments(head), " \t\r\n\xef\xbb\xbf")
	first, _, _ := bytes.Cut(trimmed, newline)
	first = bytes.TrimSpace(first)
	switch {
	case bytes.HasPrefix(trimmed, []byte("[")), bytes.HasPrefix(first, []byte("{")) && bytes.IndexByte([]byte("{[,"), first[len(first)-1]) >= 0:
		return r.values(src, in)
	case yamlStart.Match(first):
		return r.yaml(src, in)
	}
	return r.lines(src, in)
}

func skipComments(head []byte) []byte {
	for {
		t := bytes.TrimLeft(head, " \t\r\n\xef\xbb\xbf")
		if !comment(t) {
			return t
		}
		_, rest, ok := bytes.Cut(t, newline)
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
func (r *reader) lines(src *source, in *bufio.Reader) error {
	next := chunk{source: src, line: 1, data: buffer()}
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
		after := chunk{source: src, line: next.line + bytes.Count(next.data[:cut], newline), offset: next.offset + int64(cut), data: append(buffer(), next.data[cut:]...)}
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

// skipLine leaves out a line too long to hold, of which data is the beginning,
// and says so. It returns how many bytes more the line had.
func (r *reader) skipLine(c chunk, in io.ByteReader) (int64, error) {
	r.incomplete(fmt.Sprintf("line %d of %s is longer than %d MB and was left out", c.line, c.name, r.longest>>20))
	r.note(c.source, Oddity{estate.Where{File: c.name, Line: c.line, Offset: c.offset}, fmt.Sprintf("is longer than %d MB and was left out", r.longest>>20)})
	for n := int64(1); ; n++ {
		switch x, err := in.ReadByte(); {
		case err != nil:
			return n - 1, err
		case n > 4*int64(r.longest):
			return n, fmt.Errorf("line %d is longer than %d MB, the most that diagnose reads to find the end of a line", c.line, 5*r.longest>>20)
		case x == '\n':
			return n, nil
		}
	}
}

// note counts a line that no worker saw.
func (r *reader) note(src *source, o Oddity) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stats.Lines++
	r.stats.Odd++
	r.stats.Oddities = append(r.stats.Oddities, o)
	src.assets.Add(1) // it may be one
}

// yamlStart starts what `gcloud asset list` prints without --format, and with
// --format=yaml: a document an asset, or one list.
var yamlStart = regexp.MustCompile(`^(?:---|-( .*)?|[A-Za-z_]+:( .*)?)$`)

// yaml reads a stream of documents, each an asset or a list of them.
func (r *reader) yaml(src *source, in *bufio.Reader) error {
	w := r.worker()
	var doc []byte
	start, line := 1, 0
	for {
		l, err := r.lineOf(in)
		line++
		if bytes.HasPrefix(l, []byte("---")) || err != nil {
			if err != nil {
				doc = append(doc, l...)
			}
			w.document(src, doc, start)
			doc, start = doc[:0], line+1
		} else if doc = append(doc, l...); len(doc) > r.longest {
			return fmt.Errorf("the document that starts on line %d is longer than %d MB", start, r.longest>>20)
		}
		switch {
		case r.stopped():
			return errStop
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
}

// lineOf reads a line with its end, of at most the longest.
func (r *reader) lineOf(in *bufio.Reader) ([]byte, error) {
	var l []byte
	for {
		part, err := in.ReadSlice('\n')
		l = append(l, part...)
		switch {
		case err != bufio.ErrBufferFull:
			return l, err
		case len(l) > r.longest:
			return l, fmt.Errorf("a line is longer than %d MB, the most that diagnose reads of one", r.longest>>20)
		}
	}
}

// document reads one YAML document that starts on a line of the source.
func (w *worker) document(src *source, doc []byte, line int) {
	if len(bytes.TrimSpace(doc)) == 0 {
		return
	}
	docs, err := yamldoc.Documents(doc)
	if err != nil {
		w.lines++
		w.odd(src, doc, estate.Where{File: src.name, Line: line}, "is neither JSON nor YAML: it "+err.Error())
		return
	}
	for _, d := range docs {
		var list []json.RawMessage
		if json.Unmarshal(d.JSON, &list) != nil {
			w.lines++
			w.line(src, d.JSON, estate.Where{File: src.name, Line: line + d.Line() - 1})
		}
		for i, l := range list {
			w.lines++
			w.line(src, l, estate.Where{File: src.name, Line: line + d.Node.Content[i].Line - 1})
		}
	}
}
