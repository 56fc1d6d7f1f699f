package rest

import (
	"bytes"
	"unicode/utf8"
)

// MaxDepth is how deep the JSON of a request may be nested.
const MaxDepth = 64

// A fault is what is wrong with JSON. Its text is fixed.
type fault uint8

const (
	faultNone fault = iota
	faultSyntax
	faultEncoding
	faultSurrogate
	faultDepth
	faultDuplicate
)

func (f fault) text() string {
	switch f {
	case faultNone:
		return ""
	case faultSyntax:
		return "the JSON is malformed"
	case faultEncoding:
		return "the JSON is not UTF-8"
	case faultSurrogate:
		return "an escape is half of a surrogate pair"
	case faultDepth:
		return "the JSON is nested too deep"
	case faultDuplicate:
		return "a key occurs twice in one object"
	default:
		return "the JSON is malformed"
	}
}

// endsStream says whether what follows the value can still be understood.
func (f fault) endsStream() bool { return f == faultSyntax || f == faultEncoding }

// A value is one JSON value, a part of the body.
type value struct {
	raw     []byte
	kind    byte // one of { [ " 0 t f n
	spaced  bool // white space between its tokens
	escaped bool // a string with escapes
}

func (v value) null() bool { return v.kind == 'n' }

// absent is a value that was not there at all.
func (v value) absent() bool { return v.kind == 0 }

// A scanner reads strict JSON (RFC 8259, and no key twice in an object) from
// bytes that are UTF-8. It allocates only for objects with many keys or with
// escapes in keys. One goroutine uses it.
type scanner struct {
	b      []byte
	i      int
	spaced bool
	names  [][]byte // of the objects now open
}

func (s *scanner) reset(b []byte) fault {
	clear(s.names[:cap(s.names)])
	*s = scanner{b: b, names: s.names[:0]}
	if !utf8.Valid(b) {
		return faultEncoding
	}
	return faultNone
}

// space skips white space.
func (s *scanner) space() {
	for s.i < len(s.b) {
		switch s.b[s.i] {
		case ' ', '\t', '\n', '\r':
			s.spaced = true
			s.i++
		default:
			return
		}
	}
}

// take skips white space and the byte c after it, if it is there.
func (s *scanner) take(c byte) bool {
	s.space()
	if s.i < len(s.b) && s.b[s.i] == c {
		s.i++
		return true
	}
	return false
}

// end says whether nothing but white space is left.
func (s *scanner) end() bool {
	s.space()
	return s.i == len(s.b)
}

// member moves to the next member of an object whose brace has been taken, and
// returns its name. more is false at the end of the object.
func (s *scanner) member(first bool) (name []byte, more bool, f fault) {
	if s.take('}') {
		return nil, false, faultNone
	}
	if !first && !s.take(',') {
		return nil, false, faultSyntax
	}
	s.space()
	if s.i >= len(s.b) || s.b[s.i] != '"' {
		return nil, false, faultSyntax
	}
	from := s.i
	escaped, f := s.text()
	if f != faultNone {
		return nil, false, f
	}
	name = s.b[from+1 : s.i-1]
	if escaped {
		name = unescape(nil, name)
	}
	if !s.take(':') {
		return nil, false, faultSyntax
	}
	s.space()
	return name, true, faultNone
}

// element moves to the next element of an array whose bracket has been taken.
func (s *scanner) element(first bool) (more bool, f fault) {
	if s.take(']') {
		return false, faultNone
	}
	if !first && !s.take(',') {
		return false, faultSyntax
	}
	s.space()
	return true, faultNone
}

// value reads any value, at a depth of its own.
func (s *scanner) value(depth int) (value, fault) {
	s.space()
	s.spaced = false
	if s.i >= len(s.b) {
		return value{}, faultSyntax
	}
	v := value{kind: s.b[s.i]}
	from := s.i
	var f fault
	if v.kind == '"' {
		v.escaped, f = s.text()
	} else {
		f = s.skip(depth)
	}
	if f != faultNone {
		return value{}, f
	}
	if v.kind == '-' || v.kind >= '0' && v.kind <= '9' {
		v.kind = '0'
	}
	v.raw, v.spaced = s.b[from:s.i:s.i], s.spaced
	return v, faultNone
}

// skip moves behind the value that begins here.
func (s *scanner) skip(depth int) fault {
	if s.i >= len(s.b) {
		return faultSyntax
	}
	switch c := s.b[s.i]; c {
	case '{':
		if depth >= MaxDepth {
			return s.deep()
		}
		s.i++
		return s.object(depth + 1)
	case '[':
		if depth >= MaxDepth {
			return s.deep()
		}
		s.i++
		for first := true; ; first = false {
			more, f := s.element(first)
			if f != faultNone || !more {
				return f
			}
			if f = s.skip(depth + 1); f != faultNone {
				return f
			}
		}
	case '"':
		_, f := s.text()
		return f
	case 't':
		return s.word("true")
	case 'f':
		return s.word("false")
	case 'n':
		return s.word("null")
	default:
		return s.number()
	}
}

// deep is the fault of what is nested too deep.
func (s *scanner) deep() fault { return faultDepth }

// manyNames is from where on a map finds a name sooner than a look at each.
const manyNames = 48

func (s *scanner) object(depth int) fault {
	mark := len(s.names)
	var filter uint64 // a bit for each kind of name that was there
	var seen map[string]struct{}
	for first := true; ; first = false {
		name, more, f := s.member(first)
		if f != faultNone {
			return f
		}
		if !more {
			s.names = s.names[:mark]
			return faultNone
		}
		switch {
		case seen != nil:
			if _, dup := seen[string(name)]; dup {
				return faultDuplicate
			}
			seen[string(name)] = struct{}{}
		default:
			bit := nameBit(name)
			if filter&bit != 0 {
				for _, n := range s.names[mark:] {
					if bytes.Equal(n, name) {
						return faultDuplicate
					}
				}
			}
			filter |= bit
			s.names = append(s.names, name)
			if len(s.names)-mark >= manyNames {
				seen = make(map[string]struct{}, 4*manyNames)
				for _, n := range s.names[mark:] {
					seen[string(n)] = struct{}{}
				}
			}
		}
		if f = s.skip(depth); f != faultNone {
			return f
		}
	}
}

// nameBit tells most names apart without a look at their bytes.
func nameBit(name []byte) uint64 {
	n := len(name)
	if n == 0 {
		return 1
	}
	return 1 << ((uint(n) + uint(name[0])*7 + uint(name[n-1])*31 + uint(name[n/2])*13) & 63)
}

func (s *scanner) word(w string) fault {
	if len(s.b)-s.i < len(w) || string(s.b[s.i:s.i+len(w)]) != w {
		return faultSyntax
	}
	s.i += len(w)
	return faultNone
}

func (s *scanner) digits() bool {
	from := s.i
	for s.i < len(s.b) && s.b[s.i] >= '0' && s.b[s.i] <= '9' {
		s.i++
	}
	return s.i > from
}

func (s *scanner) number() fault {
	if s.b[s.i] == '-' {
		s.i++
	}
	zero := s.i < len(s.b) && s.b[s.i] == '0'
	from := s.i
	if !s.digits() || zero && s.i-from > 1 {
		return faultSyntax
	}
	if s.i < len(s.b) && s.b[s.i] == '.' {
		s.i++
		if !s.digits() {
			return faultSyntax
		}
	}
	if s.i < len(s.b) && (s.b[s.i] == 'e' || s.b[s.i] == 'E') {
		s.i++
		if s.i < len(s.b) && (s.b[s.i] == '+' || s.b[s.i] == '-') {
			s.i++
		}
		if !s.digits() {
			return faultSyntax
		}
	}
	return faultNone
}
