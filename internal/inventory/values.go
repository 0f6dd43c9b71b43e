package inventory

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
)

// A span is one value of a chunk.
type span struct {
	from, to int // positions in the chunk
	line     int // on which it starts, from 1
}

// values cuts JSON lists, and values one behind the other, into chunks of whole
// values for all cores. A file may hold several lists: "cat a.json b.json".
func (r *reader) values(src *source, in io.Reader) error {
	s := splitter{start: -1, line: 1}
	next := chunk{source: src, data: buffer()}
	for {
		err := fill(in, &next.data)
		if r.stopped() {
			return errStop
		}
		next.spans = s.split(next.data)
		if err != nil {
			if !r.send(next) {
				return r.ctx.Err()
			}
			if err == io.EOF {
				return s.end()
			}
			return err
		}
		cut := len(next.data)
		if s.start >= 0 {
			cut = s.start
		}
		if cut == 0 {
			if len(next.data) >= r.longest {
				return fmt.Errorf("the value that starts on line %d is longer than %d MB", s.startLine, r.longest>>20)
			}
			next.data = slices.Grow(next.data, cap(next.data))
			continue
		}
		after := chunk{source: src, offset: next.offset + int64(cut), data: append(buffer(), next.data[cut:]...)}
		next.data = next.data[:cut]
		if !r.send(next) {
			return r.ctx.Err()
		}
		next, s.at = after, s.at-cut
		if s.start >= 0 {
			s.start = 0
		}
	}
}

// A splitter finds the ends of values. What stands in them is left to the
// parser: a value that is broken ends where its brackets say, or where those
// of its neighbours say, and is refused then.
type splitter struct {
	at        int // the next byte to look at
	line      int // the line that it stands on
	start     int // of the open value, -1 where none is open
	startLine int
	depth     int // brackets open in the value
	list      bool
	quoted    bool // in a string
	escaped   bool // behind a backslash
	bare      bool // in a word that has no brackets
	comment   bool
}

// split returns the values that end in the data. It goes on where it stopped.
func (s *splitter) split(data []byte) []span {
	var out []span
	for ; s.at < len(data); s.at++ {
		c := data[s.at]
		if c == '\n' {
			s.line++
			s.comment, s.quoted, s.escaped = false, false, false // no string goes over a line
		}
		switch {
		case s.comment:
		case s.start < 0:
			s.between(c)
		case s.inside(c):
			end := s.at + 1
			if s.bare {
				end = s.at
			}
			out = append(out, span{s.start, end, s.startLine})
			bare := s.bare
			s.start, s.bare = -1, false
			if bare {
				s.between(c)
			}
		}
	}
	return out
}

// between reads a byte that stands in no value.
func (s *splitter) between(c byte) {
	switch c {
	case ' ', '\t', '\r', '\n', ',', 0xef, 0xbb, 0xbf: // the last three are a byte order mark
	case '#', '/':
		s.comment = true
	case ']':
		if s.list {
			s.list = false
			return
		}
		s.open(false, true)
	case '[':
		if !s.list {
			s.list = true
			return
		}
		s.open(true, false)
	case '{':
		s.open(true, false)
	default:
		s.open(false, true)
		s.quoted = c == '"'
	}
}

func (s *splitter) open(bracket, bare bool) {
	s.start, s.startLine, s.bare, s.depth = s.at, s.line, bare, 0
	if bracket {
		s.depth = 1
	}
}

// inside reads a byte of the open value, and says whether the value ends there.
func (s *splitter) inside(c byte) bool {
	switch {
	case s.escaped:
		s.escaped = false
	case s.quoted:
		s.escaped = c == '\\'
		s.quoted = c != '"'
	case s.bare:
		return bytes.IndexByte([]byte(" \t\r\n,[]{}"), c) >= 0
	case c == '"':
		s.quoted = true
	case c == '{' || c == '[':
		s.depth++
	case c == '}' || c == ']':
		s.depth--
		return s.depth == 0
	}
	return false
}

// end says what is missing behind the last byte, nil where nothing is.
func (s *splitter) end() error {
	switch {
	case s.start >= 0:
		return fmt.Errorf("the value that starts on line %d does not end", s.startLine)
	case s.list:
		return errors.New("the list does not end")
	}
	return nil
}
