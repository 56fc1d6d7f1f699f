package avro

import (
	"encoding/binary"
	"math"

	"github.com/fieldveil/fieldveil/schema"
)

// Bounds of one run over a record.
const (
	// maxDepth bounds the nesting of recursive types in a record.
	maxDepth = 64
	// maxEmptyItems bounds the items of arrays and maps that take no bytes, all
	// together: otherwise six bytes could stand for 2^62 of them.
	maxEmptyItems = 4096
)

type opcode uint8

const (
	opEnd      opcode = iota // of the program, a subroutine, a loop body
	opFixed                  // skip n bytes
	opInts                   // skip n 32-bit varints
	opLongs                  // skip n 64-bit varints
	opBytes                  // skip n length-prefixed values
	opBool                   // skip a boolean, which must be 0 or 1
	opEnum                   // skip an index below n
	opEdit                   // hand a length-prefixed value to the visitor as edit n
	opUnion                  // read a branch index below n and jump by table
	opJump                   // go on at n
	opArray                  // run the body at pc+1 for each item; go on at n
	opMap                    // the same, with a key before each item
	opCall                   // run the subroutine at n
	opNullable               // read a branch index; 0 or 1 by a, null goes on at n
	opNullify                // union in which branch a becomes null; see machine.nullify
)

// An instr is one step of a program.
type instr struct {
	op opcode
	// empty tells that items of a loop may take no bytes.
	empty bool
	a     int32
	n     int32
	table []int32 // of opUnion and opNullify: where each branch goes on
}

type program struct {
	code []instr
}

// machine is one run of a program. It lives on the stack of Rewrite.
type machine struct {
	code    []instr
	src     []byte
	pos     int
	mark    int // src[mark:pos] is still to be copied
	dst     []byte
	visitor schema.Visitor
	empty   int64
}

// Rewrite implements schema.Program.
func (p *program) Rewrite(dst, src []byte, v schema.Visitor) ([]byte, error) {
	m := machine{code: p.code, src: src, dst: dst, visitor: v}
	if err := m.run(0, 0); err != nil {
		return dst, err
	}
	if m.pos != len(src) {
		return dst, m.malformed("trailing bytes")
	}
	return append(m.dst, src[m.mark:]...), nil
}

func (m *machine) malformed(reason string) error {
	return &schema.MalformedError{Offset: m.pos, Reason: reason}
}

const (
	reasonTruncated = "truncated"
	reasonVarint    = "varint is too long"
	reasonLength    = "length is negative or beyond the end"
)

// run executes from pc to the next opEnd.
func (m *machine) run(pc int32, depth int) error {
	for {
		in := &m.code[pc]
		pc++
		switch in.op {
		case opEnd:
			return nil
		case opFixed:
			if len(m.src)-m.pos < int(in.n) {
				return m.malformed(reasonTruncated)
			}
			m.pos += int(in.n)
		case opInts:
			for range in.n {
				if _, err := m.varint(math.MinInt32, math.MaxInt32); err != nil {
					return err
				}
			}
		case opLongs:
			for range in.n {
				if m.pos < len(m.src) && m.src[m.pos] < 0x80 {
					m.pos++
				} else if _, err := m.varint(math.MinInt64, math.MaxInt64); err != nil {
					return err
				}
			}
		case opBytes:
			for range in.n {
				n, err := m.length()
				if err != nil {
					return err
				}
				m.pos += n
			}
		case opBool:
			if m.pos >= len(m.src) {
				return m.malformed(reasonTruncated)
			}
			if m.src[m.pos] > 1 {
				return m.malformed("boolean is neither 0 nor 1")
			}
			m.pos++
		case opEnum:
			if _, err := m.index(in.n, "enum index out of range"); err != nil {
				return err
			}
		case opEdit:
			if err := m.edit(int(in.n)); err != nil {
				return err
			}
		case opNullable:
			i, err := m.index(2, reasonUnion)
			if err != nil {
				return err
			}
			if i == in.a {
				pc = in.n
			}
		case opUnion:
			i, err := m.index(in.n, reasonUnion)
			if err != nil {
				return err
			}
			pc = in.table[i]
		case opNullify:
			next, err := m.nullify(in, depth)
			if err != nil {
				return err
			}
			pc = next
		case opJump:
			pc = in.n
		case opArray, opMap:
			if err := m.blocks(in, pc, depth); err != nil {
				return err
			}
			pc = in.n
		case opCall:
			if depth >= maxDepth {
				return m.malformed("nested too deeply")
			}
			if err := m.run(in.n, depth+1); err != nil {
				return err
			}
		default:
			panic("avro: unknown instruction")
		}
	}
}

const reasonUnion = "union index out of range"

// varint reads a zigzag number between low and high.
func (m *machine) varint(low, high int64) (int64, error) {
	u, n := binary.Uvarint(m.src[m.pos:])
	if n <= 0 {
		if n == 0 && len(m.src)-m.pos < binary.MaxVarintLen64 {
			return 0, m.malformed(reasonTruncated)
		}
		return 0, m.malformed(reasonVarint)
	}
	v := int64(u>>1) ^ -int64(u&1) //nolint:gosec // zigzag
	if v < low || v > high {
		return 0, m.malformed("number out of range")
	}
	m.pos += n
	return v, nil
}

// index reads a number from 0 to n-1.
func (m *machine) index(n int32, reason string) (int32, error) {
	if m.pos < len(m.src) {
		if b := m.src[m.pos]; b < 0x80 && b&1 == 0 && int32(b>>1) < n {
			m.pos++
			return int32(b >> 1), nil
		}
	}
	at := m.pos
	v, err := m.varint(math.MinInt64, math.MaxInt64)
	if err != nil {
		return 0, err
	}
	if v < 0 || v >= int64(n) {
		m.pos = at
		return 0, m.malformed(reason)
	}
	return int32(v), nil //nolint:gosec // below n
}

// length reads the length of a value, which lies within the record.
func (m *machine) length() (int, error) {
	if m.pos < len(m.src) {
		if b := m.src[m.pos]; b < 0x80 && b&1 == 0 {
			if n := int(b >> 1); n <= len(m.src)-m.pos-1 {
				m.pos++
				return n, nil
			}
		}
	}
	at := m.pos
	v, err := m.varint(math.MinInt64, math.MaxInt64)
	if err != nil {
		return 0, err
	}
	if v < 0 || v > int64(len(m.src)-m.pos) {
		m.pos = at
		return 0, m.malformed(reasonLength)
	}
	return int(v), nil
}

// edit copies what was passed over, and has the visitor append the value.
func (m *machine) edit(n int) error {
	start := m.pos
	size, err := m.length()
	if err != nil {
		return err
	}
	value := m.src[m.pos : m.pos+size : m.pos+size]
	m.dst = append(m.dst, m.src[m.mark:start]...)
	// The new length is not known yet. Two bytes fit lengths from 64 to 8191,
	// which is what a sealed value has.
	at := len(m.dst)
	out, err := m.visitor.Visit(n, append(m.dst, 0, 0), value)
	if err != nil {
		return err
	}
	m.dst = putLength(out, at, 2, len(out)-at-2)
	m.pos += size
	m.mark = m.pos
	return nil
}

// putLength writes a zigzag number at dst[at:], where room bytes are reserved,
// and moves what follows when the number takes another room.
func putLength(dst []byte, at, room, n int) []byte {
	u := uint64(n) << 1 //nolint:gosec // a length
	if room == 2 && u >= 1<<7 && u < 1<<14 {
		dst[at], dst[at+1] = byte(u)|0x80, byte(u>>7)
		return dst
	}
	return putUvarint(dst, at, room, u)
}

func putUvarint(dst []byte, at, room int, u uint64) []byte {
	var buf [binary.MaxVarintLen64]byte
	width := binary.PutUvarint(buf[:], u)
	end := len(dst)
	switch {
	case width > room:
		dst = append(dst, buf[:width-room]...)
		copy(dst[at+width:], dst[at+room:end])
	case width < room:
		copy(dst[at+width:], dst[at+room:])
		dst = dst[:end-(room-width)]
	}
	copy(dst[at:], buf[:width])
	return dst
}

// nullify reads a union in which some branches are rewritten to null. Branches
// with a positive table entry stay and go on there; those with a negative one
// become null: what they hold is read, so that it is checked, and not copied.
func (m *machine) nullify(in *instr, depth int) (int32, error) {
	start := m.pos
	i, err := m.index(in.n, reasonUnion)
	if err != nil {
		return 0, err
	}
	if pc := in.table[i]; pc > 0 {
		return pc, nil
	}
	m.dst = append(m.dst, m.src[m.mark:start]...)
	// The branch is a leaf, so that reading it appends nothing.
	if err := m.run(-in.table[i], depth); err != nil {
		return 0, err
	}
	m.dst = binary.AppendVarint(m.dst, int64(in.a))
	m.mark = m.pos
	return in.table[in.a], nil
}

// blocks reads the blocks of an array or map, whose item is at body.
func (m *machine) blocks(in *instr, body int32, depth int) error {
	for {
		start := m.pos
		count, err := m.varint(math.MinInt64, math.MaxInt64)
		if err != nil {
			return err
		}
		if count == 0 {
			return nil
		}
		if count > 0 {
			if err := m.items(in, body, depth, count); err != nil {
				return err
			}
			continue
		}
		// A negative count has the size of the block behind it, for readers that
		// pass over it. It must be true before and after, or those would read
		// other values than the ones that were protected.
		if count == math.MinInt64 {
			m.pos = start
			return m.malformed("block count out of range")
		}
		sizeAt := m.pos
		size, err := m.length()
		if err != nil {
			return err
		}
		first, items := m.pos, len(m.dst)+m.pos-m.mark
		mark := m.mark
		if err := m.items(in, body, depth, -count); err != nil {
			return err
		}
		if m.pos-first != size {
			m.pos = sizeAt
			return m.malformed("block size differs from its content")
		}
		if m.mark == mark {
			continue // nothing was rewritten
		}
		m.dst = append(m.dst, m.src[m.mark:m.pos]...)
		m.mark = m.pos
		u := uint64(len(m.dst)-items) << 1 //nolint:gosec // a length
		m.dst = putUvarint(m.dst, items-(first-sizeAt), first-sizeAt, u)
	}
}

func (m *machine) items(in *instr, body int32, depth int, count int64) error {
	if in.empty {
		if m.empty += count; count > maxEmptyItems || m.empty > maxEmptyItems {
			return m.malformed("too many items that take no bytes")
		}
	} else if count > int64(len(m.src)-m.pos) {
		return m.malformed("block count is beyond the end")
	}
	for range count {
		if in.op == opMap {
			n, err := m.length()
			if err != nil {
				return err
			}
			m.pos += n
		}
		if err := m.run(body, depth); err != nil {
			return err
		}
	}
	return nil
}
