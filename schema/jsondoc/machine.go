package jsondoc

import (
	"bytes"
	"errors"
	"math"
	"slices"

	"github.com/fieldveil/fieldveil/schema"
)

// maxDepth bounds the nesting of objects and arrays.
const maxDepth = 64

// Reasons of a MalformedError.
const (
	reasonTruncated = "truncated"
	reasonEmpty     = "empty"
	reasonMark      = "byte order mark"
	reasonLarge     = "document is too large"
	reasonTrailing  = "trailing data"
	reasonDeep      = "nested too deeply"
	reasonValue     = "no JSON value"
	reasonNumber    = "bad number"
	reasonName      = "member name expected"
	reasonColon     = "colon expected"
	reasonMore      = "comma or end of object expected"
	reasonNext      = "comma or end of array expected"
	reasonControl   = "control character in a string"
	reasonEscape    = "bad escape in a string"
	reasonSurrogate = "lone surrogate"
	reasonUTF8      = "invalid UTF-8"
	reasonTwice     = "duplicate member"
	reasonCase      = "member name differs only in case from a protected one"
	reasonMember    = "member that the schema does not describe"
	reasonItem      = "item that the schema does not describe"
	reasonKind      = "value of a type that the schema does not describe"
	reasonString    = "value is not a string"
	reasonNoNumber  = "value is not a number"
	reasonRestored  = "restored value is not exactly one JSON value"
)

var (
	errAnswerUTF8 = errors.New("jsondoc: the visitor's answer is not UTF-8")
	errAnswerDst  = errors.New("jsondoc: the visitor did not append to dst")
)

func malformed(offset int, reason string) error {
	return &schema.MalformedError{Offset: offset, Reason: reason}
}

// machine is one run of a program. It lives on the stack of Rewrite.
type machine struct {
	program *program
	src     []byte
	mark    int // src[mark:] up to the position is still to be copied
	dst     []byte
	visitor schema.Visitor
	plain   schema.PlainVisitor // visitor, or nil if it does not say
	held    *scratch            // nil until it is needed
}

// Rewrite implements schema.Program.
func (p *program) Rewrite(dst, src []byte, v schema.Visitor) ([]byte, error) {
	// Field by field: a literal is put together elsewhere and copied over, which
	// waits for each of its words to be written.
	var m machine
	m.program, m.src, m.dst, m.visitor = p, src, dst, v
	m.plain, _ = v.(schema.PlainVisitor)
	err := m.document()
	if m.held != nil && !m.held.large() {
		// What was decoded is nobody's business any more.
		clear(m.held.text[:cap(m.held.text)])
		m.held.names, m.held.slots = m.held.names[:0], m.held.slots[:0]
		p.pool.Put(m.held)
	}
	if err != nil {
		return dst, err
	}
	return m.dst, nil
}

func (m *machine) document() error {
	if uint64(len(m.src)) > math.MaxUint32 {
		return malformed(0, reasonLarge)
	}
	if bytes.HasPrefix(m.src, []byte("\xef\xbb\xbf")) {
		return malformed(0, reasonMark)
	}
	pos := space(m.src, 0)
	if pos == len(m.src) {
		return malformed(pos, reasonEmpty)
	}
	pos, err := m.value(m.program.root, pos, 0)
	if err != nil {
		return err
	}
	if pos = space(m.src, pos); pos != len(m.src) {
		return malformed(pos, reasonTrailing)
	}
	m.flush(pos)
	return nil
}

// flush copies what was passed over, up to pos.
func (m *machine) flush(pos int) {
	if n := pos - m.mark; cap(m.dst)-len(m.dst) < n {
		m.dst = slices.Grow(m.dst, len(m.src)-m.mark+len(m.src)/4)
	}
	m.dst = append(m.dst, m.src[m.mark:pos]...)
	m.mark = pos
}

func (m *machine) scratch() *scratch {
	if m.held == nil {
		m.held, _ = m.program.pool.Get().(*scratch)
		if m.held == nil {
			m.held = new(scratch)
		}
	}
	return m.held
}

// decoded returns what the inside of a string means, until the next call.
func (m *machine) decoded(raw []byte) []byte {
	s := m.scratch()
	s.text = appendDecoded(s.text[:0], raw)
	return s.text
}

// space returns the position of the first byte from pos that is no white space.
func space(src []byte, pos int) int {
	if pos < len(src) && src[pos] > ' ' {
		return pos
	}
	return spaces(src, pos)
}

func spaces(src []byte, pos int) int {
	for pos < len(src) && (src[pos] == ' ' || src[pos] == '\n' || src[pos] == '\r' || src[pos] == '\t') {
		pos++
	}
	return pos
}

// value reads the value at pos, which depth containers enclose, and returns the
// position behind it.
func (m *machine) value(n *node, pos, depth int) (int, error) {
	if n.edit != noEdit {
		return m.edit(n, pos, depth)
	}
	if pos >= len(m.src) {
		return 0, malformed(pos, reasonTruncated)
	}
	if n.kinds != 0 && (n.kinds|KindNull)&kindAt(m.src[pos]) == 0 {
		return 0, malformed(pos, reasonKind)
	}
	switch m.src[pos] {
	case '"':
		end, _, err := m.text(pos)
		return end, err
	case '{':
		return m.object(n, pos, depth+1)
	case '[':
		return m.array(n, pos, depth+1)
	case 't':
		return m.literal(pos, "true")
	case 'f':
		return m.literal(pos, "false")
	case 'n':
		return m.literal(pos, "null")
	default:
		return m.number(pos)
	}
}

func (m *machine) number(pos int) (int, error) {
	end, reason := numberEnd(m.src, pos)
	if reason != "" {
		return 0, malformed(pos, reason)
	}
	return end, nil
}

func (m *machine) literal(pos int, text string) (int, error) {
	rest := m.src[pos:]
	if len(rest) < len(text) || string(rest[:len(text)]) != text {
		return 0, malformed(pos, reasonValue)
	}
	return pos + len(text), nil
}

func (m *machine) array(n *node, pos, depth int) (int, error) {
	if depth > maxDepth {
		return 0, malformed(pos, reasonDeep)
	}
	src := m.src
	pos = space(src, pos+1)
	if pos < len(src) && src[pos] == ']' {
		return pos + 1, nil
	}
	for i := 0; ; i++ {
		var item *node
		switch {
		case i < len(n.prefix):
			item = n.prefix[i]
		case n.items != nil:
			item = n.items
		case n.any || !m.program.reject:
			item = m.program.open
		default:
			return 0, malformed(pos, reasonItem)
		}
		end := 0
		if item.plain && pos < len(src) && src[pos] == '"' {
			end = plainText(src, pos)
		}
		if end == 0 {
			var err error
			if end, err = m.value(item, pos, depth); err != nil {
				return 0, err
			}
		}
		if pos = space(src, end); pos >= len(src) {
			return 0, malformed(pos, reasonTruncated)
		}
		switch src[pos] {
		case ',':
			pos = space(src, pos+1)
		case ']':
			return pos + 1, nil
		default:
			return 0, malformed(pos, reasonNext)
		}
	}
}

// bitNames are the members of a node that have a bit each; the others go the way
// of unknown names, so that objects need no more memory than their bytes pay for.
const bitNames = 256

func (m *machine) object(n *node, pos, depth int) (int, error) {
	if depth > maxDepth {
		return 0, malformed(pos, reasonDeep)
	}
	src := m.src
	pos = space(src, pos+1)
	if pos < len(src) && src[pos] == '}' {
		return pos + 1, nil
	}
	known := &n.names
	if more := n.met.Load(); more != nil {
		known = more
	}
	var (
		met    [bitNames / 64]uint64
		set    nameSet
		before int  // the last member of n that was met, plus one
		kept   bool // a member before this one stays
		last   int  // the end of the one before
	)
	for {
		if pos >= len(src) {
			return 0, malformed(pos, reasonTruncated)
		}
		if src[pos] != '"' {
			return 0, malformed(pos, reasonName)
		}
		first := pos
		var child *node
		if i := known.expected(src, pos, before); i >= 0 {
			child = known.members[i].node
			pos += len(known.members[i].text)
			bit := uint64(1) << (i & 63)
			if met[i>>6]&bit != 0 {
				return 0, malformed(first, reasonTwice)
			}
			met[i>>6] |= bit
			before = i + 1
		} else {
			end, escaped, err := m.text(pos)
			if err != nil {
				return 0, err
			}
			name := src[first+1 : end-1]
			if escaped {
				name = m.decoded(name)
			}
			var again bool
			w := wordsOf(name)
			i := known.find(name, w)
			if i < 0 || i >= bitNames {
				again = !m.add(&set, name, w, first)
			} else {
				bit := uint64(1) << (i & 63)
				again = met[i>>6]&bit != 0
				met[i>>6] |= bit
			}
			if again {
				return 0, malformed(first, reasonTwice)
			}
			if i >= 0 {
				child = known.members[i].node
				if i < bitNames {
					known.learn(before, i)
				}
				before = i + 1
			} else {
				if child, err = m.other(n, name, w, first); err != nil {
					return 0, err
				}
				if n.meets && !escaped {
					m.program.meet(n, name, child)
				}
			}
			if pos = space(src, end); pos >= len(src) {
				return 0, malformed(pos, reasonTruncated)
			}
			if src[pos] != ':' {
				return 0, malformed(pos, reasonColon)
			}
			pos++
		}
		pos = space(src, pos)
		var err error
		switch {
		case child.plain && pos < len(src) && src[pos] == '"':
			if end := plainText(src, pos); end != 0 {
				pos = end
			} else {
				pos, _, err = m.text(pos)
			}
			kept = true
		case child.omit:
			if pos, err = m.value(m.program.open, pos, depth); err == nil {
				m.omit(first, last, pos, kept)
			}
		case child.op == schema.Replace && pos < len(src) && src[pos] == '"':
			pos, err = m.replace(child, pos)
			kept = true
		default:
			pos, err = m.value(child, pos, depth)
			kept = true
		}
		if err != nil {
			return 0, err
		}
		if kept && len(src)-pos >= 2 && src[pos] == ',' && src[pos+1] == '"' {
			last = pos
			pos++
			continue
		}
		last = pos
		if pos = space(src, pos); pos >= len(src) {
			return 0, malformed(pos, reasonTruncated)
		}
		switch src[pos] {
		case ',':
			pos = space(src, pos+1)
			if !kept {
				// Nothing stands before the comma any more.
				m.mark = pos
			}
		case '}':
			m.drop(&set)
			return pos + 1, nil
		default:
			return 0, malformed(pos, reasonMore)
		}
	}
}

// omit leaves out the member at first, which ends at end. With it goes the comma
// before it, and what stands around that, if a member before it stays; last is
// where that ends. Otherwise the comma behind it goes.
func (m *machine) omit(first, last, end int, kept bool) {
	if kept {
		m.flush(last)
	} else {
		m.flush(first)
	}
	m.mark = end
}

// other returns the node of a member whose name is not among the members of n.
func (m *machine) other(n *node, name []byte, w words, pos int) (*node, error) {
	if n.folds != nil && m.variant(n, name, w) {
		return nil, malformed(pos, reasonCase)
	}
	if n.match != nil {
		if s, ok := n.match(name); ok && s != nil {
			first := n.first.Load()
			if first != nil && first.shape == s {
				return first.node, nil
			}
			found, err := m.program.resolve(s)
			if err == nil && first == nil {
				n.first.CompareAndSwap(nil, &answer{s, found})
			}
			return found, err
		}
	}
	switch {
	case n.rest != nil:
		return n.rest, nil
	case n.any || !m.program.reject:
		return m.program.open, nil
	default:
		return nil, malformed(pos, reasonMember)
	}
}
