package inventory

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math/bits"
)

// A line is what the first look at one asset tells: its type, as a JSON parser
// sees it.
type line struct {
	kind  []byte // the asset type, without escapes; nil where there is none
	plain bool   // something unusual stands here: only a parser can tell
	valid bool
}

// look reads one line as JSON, checks all of it against the grammar, and picks
// the asset type. It must agree with encoding/json on what is valid; where a
// key is spelt with escapes, it leaves the line to the parser.
func look(data []byte) line {
	s := scanner{data: data}
	s.space()
	if s.at >= len(s.data) || s.data[s.at] != '{' {
		return line{plain: true}
	}
	var snake, camel []byte
	unusual, ok := s.object(func(key, value []byte) bool {
		switch string(key) {
		case "asset_type":
			return typeOf(value, &snake)
		case "assetType":
			return typeOf(value, &camel)
		}
		return true
	})
	if !ok {
		return line{}
	}
	s.space()
	if s.at != len(s.data) {
		return line{}
	}
	l := line{valid: true, plain: unusual, kind: snake}
	if l.kind == nil {
		l.kind = camel
	}
	return l
}

// typeOf reads an asset type. It reports false where that is no text.
func typeOf(value []byte, into *[]byte) bool {
	if len(value) < 2 || value[0] != '"' {
		return false
	}
	*into = value[1 : len(value)-1]
	if bytes.IndexByte(*into, '\\') < 0 {
		return true
	}
	var text string // "run.googleapis.com\/Service" is a type as well
	if json.Unmarshal(value, &text) != nil {
		return false
	}
	*into = []byte(text)
	return true
}

// fields picks values of an object that is known to be valid, the last one of
// each key. It reports false where a key is spelt with escapes.
func fields(data []byte, pick func(key, value []byte)) bool {
	s := scanner{data: data}
	s.space()
	if s.at >= len(data) || data[s.at] != '{' {
		return false
	}
	unusual, ok := s.object(func(key, value []byte) bool {
		pick(key, value)
		return true
	})
	return ok && !unusual
}

type scanner struct {
	data []byte
	at   int
}

func (s *scanner) space() {
	for s.at < len(s.data) {
		switch s.data[s.at] {
		case ' ', '\t', '\r', '\n':
			s.at++
		default:
			return
		}
	}
}

// object reads an object and shows each of its keys with its value, in order.
// unusual is set where a key has escapes or show returns false.
func (s *scanner) object(show func(key, value []byte) bool) (unusual, ok bool) {
	s.at++
	s.space()
	if s.at < len(s.data) && s.data[s.at] == '}' {
		s.at++
		return false, true
	}
	for {
		s.space()
		key, escaped, ok := s.text()
		if !ok {
			return false, false
		}
		s.space()
		if s.at >= len(s.data) || s.data[s.at] != ':' {
			return false, false
		}
		s.at++
		s.space()
		start := s.at
		if !s.value() {
			return false, false
		}
		if escaped || !show(key, s.data[start:s.at]) {
			unusual = true
		}
		s.space()
		if s.at >= len(s.data) {
			return false, false
		}
		s.at++
		switch s.data[s.at-1] {
		case ',':
		case '}':
			return unusual, true
		default:
			return false, false
		}
	}
}

// ordinary marks the bytes that stand for themselves in a string.
var ordinary = func() (t [256]bool) {
	for c := 0x20; c < 256; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// special returns the position of the first byte of eight that does not stand
// for itself in a string, 8 where all do. The bytes are compared at once: see
// https://graphics.stanford.edu/~seander/bithacks.html#HasLessInWord.
func special(x uint64) int {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	quote, slash := x^(ones*'"'), x^(ones*'\\')
	found := ((x - ones*0x20) &^ x) | ((quote - ones) &^ quote) | ((slash - ones) &^ slash)
	return bits.TrailingZeros64(found&tops) / 8
}

// text reads a string and returns what stands between its quotes.
func (s *scanner) text() (between []byte, escaped, ok bool) {
	if s.at >= len(s.data) || s.data[s.at] != '"' {
		return nil, false, false
	}
	data := s.data
	i := s.at + 1
	start := i
	for {
		for i+8 <= len(data) {
			if end := special(binary.LittleEndian.Uint64(data[i:])); end < 8 {
				i += end
				break
			}
			i += 8
		}
		for i < len(data) && ordinary[data[i]] {
			i++
		}
		if i >= len(data) {
			return nil, false, false
		}
		switch data[i] {
		case '"':
			s.at = i + 1
			return data[start:i], escaped, true
		case '\\':
			escaped = true
			i++
			if i >= len(data) {
				return nil, false, false
			}
			switch data[i] {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
				i++
			case 'u':
				if i+4 >= len(data) || !hex(data[i+1]) || !hex(data[i+2]) || !hex(data[i+3]) || !hex(data[i+4]) {
					return nil, false, false
				}
				i += 5
			default:
				return nil, false, false
			}
		default:
			return nil, false, false // a control character
		}
	}
}

func hex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

// maxDepth is how deep encoding/json reads.
const maxDepth = 10000

// value reads any value. It keeps the open brackets on a stack of its own.
func (s *scanner) value() bool {
	var buf [64]byte
	open := buf[:0] // '{' and '['
	for {
		s.space()
		if s.at >= len(s.data) {
			return false
		}
		switch c := s.data[s.at]; c {
		case '{', '[':
			s.at++
			if open = append(open, c); len(open) >= maxDepth {
				return false
			}
			s.space()
			if s.at < len(s.data) && s.data[s.at] == c+2 { // '}' and ']' stand two behind
				s.at++
				open = open[:len(open)-1]
				break
			}
			if c == '{' && !s.key() {
				return false
			}
			continue
		case '"':
			if _, _, ok := s.text(); !ok {
				return false
			}
		case 't':
			if !s.word("true") {
				return false
			}
		case 'f':
			if !s.word("false") {
				return false
			}
		case 'n':
			if !s.word("null") {
				return false
			}
		default:
			if !s.number() {
				return false
			}
		}
		// A value has ended: so may what it is in.
		for {
			if len(open) == 0 {
				return true
			}
			in := open[len(open)-1]
			s.space()
			if s.at >= len(s.data) {
				return false
			}
			c := s.data[s.at]
			s.at++
			if c == ',' {
				if in == '{' && !s.key() {
					return false
				}
				break
			}
			if c != in+2 {
				return false
			}
			open = open[:len(open)-1]
		}
	}
}

func (s *scanner) key() bool {
	s.space()
	if _, _, ok := s.text(); !ok {
		return false
	}
	s.space()
	if s.at >= len(s.data) || s.data[s.at] != ':' {
		return false
	}
	s.at++
	return true
}

func (s *scanner) word(w string) bool {
	if len(s.data)-s.at < len(w) || string(s.data[s.at:s.at+len(w)]) != w {
		return false
	}
	s.at += len(w)
	return true
}

func (s *scanner) digits() bool {
	start := s.at
	for s.at < len(s.data) && '0' <= s.data[s.at] && s.data[s.at] <= '9' {
		s.at++
	}
	return s.at > start
}

func (s *scanner) number() bool {
	if s.data[s.at] == '-' {
		s.at++
	}
	if s.at < len(s.data) && s.data[s.at] == '0' {
		s.at++
	} else if !s.digits() {
		return false
	}
	if s.at < len(s.data) && s.data[s.at] == '.' {
		s.at++
		if !s.digits() {
			return false
		}
	}
	if s.at < len(s.data) && (s.data[s.at] == 'e' || s.data[s.at] == 'E') {
		s.at++
		if s.at < len(s.data) && (s.data[s.at] == '+' || s.data[s.at] == '-') {
			s.at++
		}
		return s.digits()
	}
	return true
}
