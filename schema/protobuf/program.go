package protobuf

import (
	"errors"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/fieldveil/fieldveil/schema"
)

// maxDepth bounds the messages and groups of a record that lie in each other.
const maxDepth = 64

type program struct {
	tables  []table
	restore bool
}

// machine is one run of a program. It lives on the stack of Rewrite.
type machine struct {
	tables  []table
	src     []byte
	mark    int // src[mark:] up to the position is still to be copied
	dst     []byte
	visitor schema.Visitor
	restore bool
}

// Rewrite implements schema.Program.
func (p *program) Rewrite(dst, src []byte, v schema.Visitor) ([]byte, error) {
	// Field by field: a literal is put together elsewhere and copied over, which
	// waits for each of its words to be written.
	var m machine
	m.tables, m.src, m.dst, m.visitor, m.restore = p.tables, src, dst, v, p.restore
	if _, err := m.walk(0, 0, len(src), 0, 0); err != nil {
		return dst, err
	}
	return append(m.dst, src[m.mark:]...), nil
}

func malformed(offset int, reason string) error {
	return &schema.MalformedError{Offset: offset, Reason: reason}
}

const (
	reasonTruncated  = "truncated"
	reasonVarint     = "varint is too long"
	reasonPadded     = "varint is longer than it needs to be"
	reasonNumber     = "field number out of range"
	reasonWire       = "wire type does not exist"
	reasonMismatch   = "wire type does not fit the field"
	reasonLength     = "length is beyond the end"
	reasonGroup      = "group ends where it did not begin"
	reasonOpenGroup  = "group does not end"
	reasonDepth      = "nested too deeply"
	reasonUnknown    = "field that the schema does not describe"
	reasonAny        = "Any with content that the schema does not describe"
	reasonUTF8       = "string is not UTF-8"
	reasonRestored   = "restored value is not one of the field"
	reasonNotWrapped = "value is not a protected one"
)

// walk rewrites the fields from pos to end with table n. group is the number of
// the group that they are in, or zero. It returns the position behind them: end,
// or in a group the one behind the tag that ends it.
func (m *machine) walk(n int32, pos, end int, group uint32, depth int) (int, error) {
	if depth > maxDepth {
		return 0, malformed(pos, reasonDepth)
	}
	t := &m.tables[n]
	dense, src := t.dense, m.src[:end]
	for {
		if pos = pass(t.plain, src, pos); pos >= len(src) {
			break
		}
		start := pos
		tag := uint32(src[pos])
		pos++
		if tag >= 0x80 {
			// Two bytes reach up to field 2047.
			if pos < len(src) && src[pos]-1 < 0x7F {
				tag = tag&0x7F | uint32(src[pos])<<7
				pos++
			} else {
				var err error
				if tag, pos, err = readTag(src, start); err != nil {
					return 0, err
				}
			}
		}
		var e *entry
		if number := tag >> 3; number < uint32(len(dense)) { //nolint:gosec // bounded by the compiler
			e = &dense[number]
		} else {
			e = t.find(number)
		}
		if e == nil || protowire.Type(tag&7) != e.wire {
			next, ended, err := m.other(t, e, tag, start, pos, end, group, depth)
			if err != nil || ended {
				return next, err
			}
			pos = next
			continue
		}
		switch e.op {
		case opVarint, opFixed32, opFixed64, opBytes:
			next, err := m.skip(e, tag, pos, end, depth)
			if err != nil {
				return 0, err
			}
			pos = next
		case opReplace:
			next, err := m.replace(e, pos, end)
			if err != nil {
				return 0, err
			}
			pos = next
		case opMessage:
			// Most messages are short, and many have nothing to edit.
			if pos < len(src) && src[pos] < 0x80 && depth < maxDepth {
				stop := pos + 1 + int(src[pos])
				if stop <= len(src) && pass(m.tables[e.table].plain, src[:stop], pos+1) == stop {
					pos = stop
					continue
				}
			}
			next, err := m.message(e, pos, end, depth)
			if err != nil {
				return 0, err
			}
			pos = next
		case opGroup:
			next, err := m.walk(e.table, pos, end, tag>>3, depth+1)
			if err != nil {
				return 0, err
			}
			pos = next
		case opDrop:
			next, err := m.drop(e, tag, start, pos, end, depth)
			if err != nil {
				return 0, err
			}
			pos = next
		case opWrap:
			next, err := m.wrap(e, tag, start, pos, end, depth)
			if err != nil {
				return 0, err
			}
			pos = next
		case opOpen:
			next, err := m.open(e, tag, start, pos, end, depth)
			if err != nil {
				return 0, err
			}
			pos = next
		case opNumber:
			next, err := m.number(e, pos, end)
			if err != nil {
				return 0, err
			}
			pos = next
		case opTimestamp:
			next, err := m.timestamp(e, tag, pos, end, depth)
			if err != nil {
				return 0, err
			}
			pos = next
		case opRefuse:
			return 0, malformed(start, reasonAny)
		default:
			panic("protobuf: unknown operation") //nolint:forbidigo // the compiler makes no others
		}
	}
	if group != 0 {
		return 0, malformed(pos, reasonOpenGroup)
	}
	return pos, nil
}

// pass returns the position of the first field that is more than to be passed
// over in a few steps: one with an edit, with something inside, or with a tag or
// length of unusual size; the end when there is none. What is wrong with a field
// is for walk to tell. It is a function of its own so that all it needs stays in
// registers.
func pass(plain []opcode, src []byte, pos int) int {
	for pos < len(src) {
		tag, next := uint(src[pos]), pos+1
		if tag >= 0x80 {
			// Two bytes reach up to field 2047.
			if next >= len(src) || src[next]-1 >= 0x7F {
				return pos
			}
			tag = tag&0x7F | uint(src[next])<<7
			next++
		}
		if tag >= uint(len(plain)) {
			return pos
		}
		switch plain[tag] {
		case opBytes:
			if next >= len(src) || src[next] >= 0x80 {
				return pos
			}
			next += 1 + int(src[next])
		case opVarint:
			last := next + maxVarint - 1
			for next < len(src) && src[next] >= 0x80 {
				next++
			}
			if next >= last {
				return pos
			}
			next++
		case opFixed32:
			next += 4
		case opFixed64:
			next += 8
		default:
			return pos
		}
		if next > len(src) {
			return pos
		}
		pos = next
	}
	return pos
}

// other takes the fields whose wire type is not that of their entry: unknown
// ones, packed runs, the ends of groups, and those that do not fit.
func (m *machine) other(t *table, e *entry, tag uint32, start, pos, end int, group uint32, depth int) (next int, ended bool, err error) {
	wire := protowire.Type(tag & 7)
	switch {
	case tag>>3 == 0:
		return 0, false, malformed(start, reasonNumber)
	case wire > protowire.Fixed32Type:
		return 0, false, malformed(start, reasonWire)
	case wire == protowire.EndGroupType:
		if tag>>3 != group {
			return 0, false, malformed(start, reasonGroup)
		}
		return pos, true, nil
	case e == nil || e.op == opUnknown:
		if !t.keep {
			return 0, false, malformed(start, reasonUnknown)
		}
		next, err = skipUnknown(m.src[:end], pos, tag, depth)
		return next, false, err
	case !e.packed || wire != protowire.BytesType:
		return 0, false, malformed(start, reasonMismatch)
	}
	switch e.op {
	case opDrop:
		next, err = m.drop(e, tag, start, pos, end, depth)
	case opWrap:
		next, err = m.wrap(e, tag, start, pos, end, depth)
	case opNumber:
		next, err = m.numberRun(e, pos, end)
	default:
		next, err = m.skip(e, tag, pos, end, depth)
	}
	return next, false, err
}

// skip returns the position behind an occurrence with that tag, which fits the
// entry, without an edit inside.
func (m *machine) skip(e *entry, tag uint32, pos, end, depth int) (int, error) {
	src := m.src[:end]
	if e.packed && protowire.Type(tag&7) == protowire.BytesType {
		return skipRun(src, pos, e.shape)
	}
	switch e.shape {
	case opVarint:
		return skipVarint(src, pos)
	case opFixed32:
		return skipFixed(src, pos, 4)
	case opFixed64:
		return skipFixed(src, pos, 8)
	case opBytes:
		size, next, err := readLength(src, pos)
		return next + size, err
	case opMessage:
		size, next, err := readLength(src, pos)
		if err != nil {
			return 0, err
		}
		return m.walk(e.table, next, next+size, 0, depth+1)
	case opGroup:
		return m.walk(e.table, pos, end, tag>>3, depth+1)
	default:
		panic("protobuf: unknown shape") //nolint:forbidigo // the compiler makes no others
	}
}

// message walks a message, and writes its length anew when something inside was
// rewritten.
func (m *machine) message(e *entry, pos, end, depth int) (int, error) {
	size, next, err := readLength(m.src[:end], pos)
	if err != nil {
		return 0, err
	}
	mark := m.mark
	content := len(m.dst) + next - mark // where it will begin in dst
	end = next + size
	if _, err := m.walk(e.table, next, end, 0, depth+1); err != nil {
		return 0, err
	}
	if m.mark == mark {
		return end, nil // nothing was rewritten
	}
	m.dst = append(m.dst, m.src[m.mark:end]...)
	m.mark = end
	m.dst = putLength(m.dst, content-(next-pos), next-pos, len(m.dst)-content)
	return end, nil
}

// Lengths from which on the length of a new content takes two bytes: sealing
// makes 128 bytes or more of that many, and opening does so the other way round.
// A wrong guess costs a move.
const (
	longText, longBytes             = 43, 78
	longSealedText, longSealedBytes = 242, 178
)

// replace copies what was passed over, and has the visitor append the content of
// the field. It returns the position behind it.
func (m *machine) replace(e *entry, pos, end int) (int, error) {
	if m.restore {
		return m.reopen(e, pos, end)
	}
	src := m.src
	size, start, err := readLength(src[:end], pos)
	if err != nil {
		return 0, err
	}
	end = start + size
	value, long := src[start:end:end], longBytes
	// The plain side must be text. The other one is what the visitor makes it.
	if e.utf8 {
		if long = longText; !utf8.Valid(value) {
			return 0, malformed(start, reasonUTF8)
		}
	}
	dst := m.dst
	dst = append(dst, src[m.mark:pos]...)
	at, room := len(dst), 1
	dst = append(dst, 0)
	if size >= long {
		dst = append(dst, 0)
		room = 2
	}
	out, err := m.visitor.Visit(int(e.edit), dst, value)
	if err != nil {
		return 0, err
	}
	m.dst, m.mark = putLength(out, at, room, len(out)-at-room), end
	return end, nil
}

// reopen is replace on the way back, where a value may stay.
func (m *machine) reopen(e *entry, pos, end int) (int, error) {
	size, start, err := readLength(m.src[:end], pos)
	if err != nil {
		return 0, err
	}
	end = start + size
	m.dst = append(m.dst, m.src[m.mark:pos]...)
	m.mark = pos
	at, room, long := len(m.dst), 1, longSealedBytes
	if e.utf8 {
		long = longSealedText
	}
	if size >= long {
		room = 2
	}
	out, err := m.visitor.Visit(int(e.edit), append(m.dst, 0, 0)[:at+room], m.src[start:end:end])
	if err != nil {
		if errors.Is(err, schema.ErrKeep) {
			return end, nil
		}
		return 0, err
	}
	if e.utf8 && !utf8.Valid(out[at+room:]) {
		return 0, malformed(start, reasonUTF8)
	}
	m.dst, m.mark = putLength(out, at, room, len(out)-at-room), end
	return end, nil
}

// drop leaves an occurrence out.
func (m *machine) drop(e *entry, tag uint32, start, pos, end, depth int) (int, error) {
	next, err := m.skip(e, tag, pos, end, depth)
	if err != nil {
		return 0, err
	}
	m.dst = append(m.dst, m.src[m.mark:start]...)
	m.mark = next
	return next, nil
}

// wrap hands an occurrence to the visitor as a whole. Its tag begins at start,
// what follows the tag at pos.
func (m *machine) wrap(e *entry, tag uint32, start, pos, end, depth int) (int, error) {
	next, err := m.skip(e, tag, pos, end, depth)
	if err != nil {
		return 0, err
	}
	last := next
	if protowire.Type(tag&7) == protowire.StartGroupType {
		last -= pos - start // the tag that ends it is as long as the first one
	}
	m.dst = append(m.dst, m.src[m.mark:pos]...)
	at := len(m.dst)
	putTag(m.dst[at-(pos-start):], tag&^7|uint32(protowire.BytesType))
	// The visitor gets the wire type and the rest in one piece. It is put
	// together where the result is to stand, which moves over it.
	from := at + 2
	staged := append(append(m.dst, 0, 0, byte(tag&7)), m.src[pos:last]...)
	out, err := m.visitor.Visit(int(e.edit), staged, staged[from:len(staged):len(staged)])
	if err != nil {
		return 0, err
	}
	n := copy(out[from:], out[len(staged):])
	clear(out[from+n:])
	m.dst = putLength(out[:from+n], at, 2, n)
	m.mark = next
	return next, nil
}

// open has the visitor give back what wrap handed out, and checks that it is one
// occurrence of the field.
func (m *machine) open(e *entry, tag uint32, start, pos, end, depth int) (int, error) {
	size, first, err := readLength(m.src[:end], pos)
	if err != nil {
		return 0, err
	}
	next := first + size
	// The visitor writes the wire type where the tag will end.
	m.dst = append(m.dst, m.src[m.mark:pos-1]...)
	at := len(m.dst)
	out, err := m.visitor.Visit(int(e.edit), m.dst, m.src[first:next:next])
	if err != nil {
		if errors.Is(err, schema.ErrLook) {
			m.mark = next
			return next, nil
		}
		if errors.Is(err, schema.ErrKeep) {
			return 0, malformed(start, reasonNotWrapped)
		}
		return 0, err
	}
	if len(out) == at {
		return 0, malformed(start, reasonRestored)
	}
	wire := protowire.Type(out[at]) //nolint:gosec // compared with those there are
	if wire != e.inner && (!e.packed || wire != protowire.BytesType) {
		return 0, malformed(start, reasonRestored)
	}
	whole := at + 1 - (pos - start)
	tag = tag&^7 | uint32(wire) //nolint:gosec // below 8
	putTag(out[whole:at+1], tag)
	if wire == protowire.StartGroupType {
		out = append(out, m.src[start:pos]...)
		putTag(out[len(out)-(pos-start):], tag&^7|uint32(protowire.EndGroupType))
	}
	inner := machine{tables: m.tables, src: out}
	if behind, err := inner.skip(e, tag, at+1, len(out), depth); err != nil || behind != len(out) {
		return 0, malformed(start, reasonRestored)
	}
	m.dst = out
	m.mark = next
	return next, nil
}
