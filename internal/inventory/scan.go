package inventory

// A line is what the first look at one asset tells: its type, as a JSON parser
// sees it.
type line struct {
	kind  []byte // the asset type, without escapes; nil where there is none
	plain bool   // something unusual stands here: only a parser can tell
	valid bool
}

// look reads one line as JSON, checks all of it against the grammar, and picks
// the asset type. It must agree with encoding/json on what is valid; where a
// key or the type is spelt with escapes, it leaves the line to the parser.
func look(data []byte) line {
	s := scanner{data: data}
	s.space()
	if s.at >= len(s.data) || s.data[s.at] != '{' {
		return line{plain: true}
	}
	snake, camel, unusual, ok := s.top()
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

// top reads the outermost object. Of a key that stands twice the last one
// counts, as for encoding/json.
func (s *scanner) top() (snake, camel []byte, unusual, ok bool) {
	s.at++
	s.space()
	if s.at < len(s.data) && s.data[s.at] == '}' {
		s.at++
		return nil, nil, false, true
	}
	for {
		s.space()
		key, escaped, ok := s.text()
		if !ok {
			return nil, nil, false, false
		}
		unusual = unusual || escaped
		s.space()
		if s.at >= len(s.data) || s.data[s.at] != ':' {
			return nil, nil, false, false
		}
		s.at++
		s.space()
		var into *[]byte
		switch string(key) {
		case "asset_type":
			into = &snake
		case "assetType":
			into = &camel
		}
		if into != nil && s.at < len(s.data) && s.data[s.at] == '"' {
			v, escaped, ok := s.text()
			if !ok {
				return nil, nil, false, false
			}
			unusual = unusual || escaped
			*into = v
		} else {
			unusual = unusual || into != nil
			if !s.value() {
				return nil, nil, false, false
			}
		}
		s.space()
		if s.at >= len(s.data) {
			return nil, nil, false, false
		}
		switch s.data[s.at] {
		case ',':
			s.at++
		case '}':
			s.at++
			return snake, camel, unusual, true
		default:
			return nil, nil, false, false
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

// text reads a string and returns what stands between its quotes.
func (s *scanner) text() (between []byte, escaped, ok bool) {
	if s.at >= len(s.data) || s.data[s.at] != '"' {
		return nil, false, false
	}
	data := s.data
	i := s.at + 1
	start := i
	for {
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
