package avro

import (
	"encoding/binary"
	"errors"
	"math"
	"sync"

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
	opFixed    opcode = iota // skip n bytes
	opInts                   // skip n 32-bit varints
	opLongs                  // skip n 64-bit varints
	opBytes                  // skip n length-prefixed values
	opBool                   // skip a boolean, which must be 0 or 1
	opEnum                   // skip an index below n
	opNullable               // read a branch index; 0 or 1 by a, null goes on at n
	opJump                   // go on at n
	opArray                  // run the body at pc+1 for each item; go on at n
	opMap                    // the same, with a key before each item
	// Those above are also done by pass.
	opEnd     // of the program, a subroutine, a loop body
	opEdit    // hand a length-prefixed value to the visitor as edit n
	opUnion   // read a branch index below n and jump by table
	opCall    // run the subroutine at n, a levels of recursion deeper
	opNullify // union in which branch a becomes null; see machine.nullify
	opWrap    // hand the value that the body at pc+1 reads to the visitor as edit a; go on at n
	opUnwrap  // the way back
	opNumber  // hand the number of program.numbers[a] to the visitor as edit n
)

// noNull stands in instr.table of opWrap and opUnwrap for a type that is not a
// union with null.
const noNull = -1

// An instr is one step of a program.
type instr struct {
	op opcode
	// empty tells that items of a loop may take no bytes.
	empty bool
	// strings tells that the items of a loop are strings or bytes that nobody
	// edits.
	strings bool
	a       int32
	n       int32
	// table is where the jumps of opUnion and opNullify begin in program.tables,
	// one for each branch; in opWrap and opUnwrap it is the null branch.
	table int32
}

type program struct {
	code   []instr
	tables []int32
	back   bool // edits are undone

	numbers   []number
	scratches sync.Pool // of *scratch
}

// machine is one run of a program. It lives on the stack of Rewrite.
type machine struct {
	code    []instr
	tables  []int32
	src     []byte
	pos     int
	mark    int // src[mark:pos] is still to be copied
	dst     []byte
	visitor schema.Visitor
	empty   int64
	back    bool
	numbers []number
	scratch *scratch // nil when there are no numbers
}

// Rewrite implements schema.Program.
func (p *program) Rewrite(dst, src []byte, v schema.Visitor) ([]byte, error) {
	// Field by field: a literal is put together elsewhere and copied over, which
	// waits for each of its words to be written.
	var m machine
	m.code, m.tables, m.numbers, m.back = p.code, p.tables, p.numbers, p.back
	m.src, m.dst, m.visitor = src, dst, v
	if len(p.numbers) > 0 {
		var ok bool
		if m.scratch, ok = p.scratches.Get().(*scratch); !ok {
			m.scratch = new(scratch)
		}
	}
	err := m.run(0, 0)
	if m.scratch != nil {
		p.scratches.Put(m.scratch)
	}
	if err != nil {
		return dst, err
	}
	if m.pos != len(src) {
		return dst, malformed(m.pos, "trailing bytes")
	}
	return append(m.dst, src[m.mark:]...), nil
}

func malformed(offset int, reason string) error {
	return &schema.MalformedError{Offset: offset, Reason: reason}
}

const (
	reasonTruncated = "truncated"
	reasonUnion     = "union index out of range"
	reasonMinimal   = "number takes more bytes than it needs"
	reasonRestored  = "restored value is not exactly one value of its type"
)

// run executes from pc to the next opEnd. The position lives in a local variable
// between instructions, and in m while something else is called.
func (m *machine) run(pc int32, depth int) error {
	code, src, pos := m.code, m.src, m.pos
	for {
		in := &code[pc]
		if in.op < opEnd {
			pc, pos = pass(code, src, pc, pos)
			in = &code[pc]
		}
		pc++
		switch in.op {
		case opEnd:
			m.pos = pos
			return nil
		case opFixed:
			if len(src)-pos < int(in.n) {
				return malformed(pos, reasonTruncated)
			}
			pos += int(in.n)
		case opInts:
			for range in.n {
				next := skipVarint(src, pos, 4)
				if next == 0 {
					var err error
					if _, next, err = readVarint(src, pos, math.MinInt32, math.MaxInt32); err != nil {
						return err
					}
				}
				pos = next
			}
		case opLongs:
			for range in.n {
				next := skipVarint(src, pos, 9)
				if next == 0 {
					var err error
					if _, next, err = readVarint(src, pos, math.MinInt64, math.MaxInt64); err != nil {
						return err
					}
				}
				pos = next
			}
		case opBytes:
			for range in.n {
				next := skipBytes(src, pos)
				if next == 0 {
					size, at, err := readLength(src, pos)
					if err != nil {
						return err
					}
					next = at + size
				}
				pos = next
			}
		case opBool:
			if pos >= len(src) {
				return malformed(pos, reasonTruncated)
			}
			if src[pos] > 1 {
				return malformed(pos, "boolean is neither 0 nor 1")
			}
			pos++
		case opEnum:
			_, next, err := readIndex(src, pos, in.n, "enum index out of range")
			if err != nil {
				return err
			}
			pos = next
		case opEdit:
			next, err := m.edit(int(in.n), pos)
			if err != nil {
				return err
			}
			pos = next
		case opNumber:
			next, err := m.number(in, pos)
			if err != nil {
				return err
			}
			pos = next
		case opNullable:
			i, next, err := readIndex(src, pos, 2, reasonUnion)
			if err != nil {
				return err
			}
			if pos = next; i == in.a {
				pc = in.n
			}
		case opUnion:
			i, next, err := readIndex(src, pos, in.n, reasonUnion)
			if err != nil {
				return err
			}
			pos, pc = next, m.tables[in.table+i]
		case opNullify:
			m.pos = pos
			next, err := m.nullify(in, depth)
			if err != nil {
				return err
			}
			pos, pc = m.pos, next
		case opWrap:
			m.pos = pos
			if err := m.wrap(in, pc, depth); err != nil {
				return err
			}
			pos, pc = m.pos, in.n
		case opUnwrap:
			m.pos = pos
			if err := m.unwrap(in, pc, depth); err != nil {
				return err
			}
			pos, pc = m.pos, in.n
		case opJump:
			pc = in.n
		case opArray, opMap:
			m.pos = pos
			if err := m.blocks(in, pc, depth); err != nil {
				return err
			}
			pos, pc = m.pos, in.n
		case opCall:
			if depth += int(in.a); depth > maxDepth {
				return malformed(pos, "nested too deeply")
			}
			m.pos = pos
			if err := m.run(in.n, depth); err != nil {
				return err
			}
			pos, depth = m.pos, depth-int(in.a)
		default:
			panic("avro: unknown instruction") //nolint:forbidigo // the compiler emits no others
		}
	}
}

// skipVarint returns the position behind a varint of at most limit bytes, or 0
// when there is none: then the reader that tells why has to look. Varints below
// the limit are in range whatever they hold.
func skipVarint(src []byte, pos, limit int) int {
	for i := pos; i < len(src) && i-pos < limit; i++ {
		if src[i] < 0x80 {
			return i + 1
		}
	}
	return 0
}

// skipBytes returns the position behind a value of less than 8 KiB, or 0.
func skipBytes(src []byte, pos int) int {
	if pos+1 >= len(src) {
		return 0
	}
	b, c := src[pos], src[pos+1]
	next := pos + 1 + int(b>>1)
	if b >= 0x80 {
		if c >= 0x80 {
			return 0
		}
		next = pos + 2 + int(b&0x7F)>>1 + int(c)<<6
	}
	if b&1 != 0 || next > len(src) {
		return 0
	}
	return next
}

// readVarint reads a zigzag number between low and high.
func readVarint(src []byte, pos int, low, high int64) (v int64, next int, err error) {
	if pos < len(src) && src[pos] < 0x80 {
		b := int64(src[pos])
		return b>>1 ^ -(b & 1), pos + 1, nil
	}
	u, n := binary.Uvarint(src[pos:])
	if n <= 0 {
		if n == 0 && len(src)-pos < binary.MaxVarintLen64 {
			return 0, 0, malformed(pos, reasonTruncated)
		}
		return 0, 0, malformed(pos, "varint is too long")
	}
	v = int64(u>>1) ^ -int64(u&1)
	if v < low || v > high {
		return 0, 0, malformed(pos, "number out of range")
	}
	return v, pos + n, nil
}

// readIndex reads a number from 0 to n-1.
func readIndex(src []byte, pos int, n int32, reason string) (i int32, next int, err error) {
	if pos < len(src) {
		if b := src[pos]; b < 0x80 && b&1 == 0 && int32(b>>1) < n {
			return int32(b >> 1), pos + 1, nil
		}
	}
	v, next, err := readVarint(src, pos, math.MinInt64, math.MaxInt64)
	if err != nil {
		return 0, 0, err
	}
	if v < 0 || v >= int64(n) {
		return 0, 0, malformed(pos, reason)
	}
	return int32(v), next, nil //nolint:gosec // below n
}

// readLength reads the length of a value, which lies within the record.
func readLength(src []byte, pos int) (size, next int, err error) {
	if pos < len(src) {
		if b := src[pos]; b < 0x80 && b&1 == 0 && int(b>>1) < len(src)-pos {
			return int(b >> 1), pos + 1, nil
		}
	}
	return readLongLength(src, pos)
}

func readLongLength(src []byte, pos int) (size, next int, err error) {
	v, next, err := readVarint(src, pos, math.MinInt64, math.MaxInt64)
	if err != nil {
		return 0, 0, err
	}
	if v < 0 || v > int64(len(src)-next) {
		return 0, 0, malformed(pos, "length is negative or beyond the end")
	}
	return int(v), next, nil
}

// edit copies what was passed over, and has the visitor append the value at pos.
// It returns the position behind it.
func (m *machine) edit(n, pos int) (int, error) {
	if m.back {
		return m.restore(n, pos)
	}
	src := m.src
	size, start, err := readLength(src, pos)
	if err != nil {
		return 0, err
	}
	end := start + size
	dst := m.dst
	dst = append(dst, src[m.mark:pos]...)
	// The new length is not known yet. Two bytes fit lengths from 64 to 8191,
	// which is what a sealed value has.
	at := len(dst)
	out, err := m.visitor.Visit(n, append(dst, 0, 0), src[start:end:end])
	if err != nil {
		return 0, err
	}
	if start-pos > 1 && src[start-1] == 0 {
		// Written anew it would be shorter, and the record not the same again.
		return 0, malformed(pos, reasonMinimal)
	}
	m.dst, m.mark = putLength(out, at, 2, len(out)-at-2), end
	return end, nil
}

// restore is edit on the way back, where a value may stay.
func (m *machine) restore(n, pos int) (int, error) {
	src := m.src
	size, start, err := readLength(src, pos)
	if err != nil {
		return 0, err
	}
	end := start + size
	dst := m.dst
	dst = append(dst, src[m.mark:pos]...)
	// A wrong guess of how many bytes the length will take costs a move.
	const shortest = 156 // a sealed text of 64 bytes
	at, room := len(dst), 1
	dst = append(dst, 0)
	if size >= shortest {
		dst = append(dst, 0)
		room = 2
	}
	out, err := m.visitor.Visit(n, dst, src[start:end:end])
	if err != nil {
		if errors.Is(err, schema.ErrKeep) {
			return end, nil
		}
		return 0, err
	}
	if start-pos > 1 && src[start-1] == 0 {
		return 0, malformed(pos, reasonMinimal)
	}
	if length := len(out) - at - room; room == 1 && length < 1<<6 {
		out[at] = byte(length << 1) //nolint:gosec // seven bits
		m.dst = out
	} else {
		m.dst = putLength(out, at, room, length)
	}
	m.mark = end
	return end, nil
}

// putLength writes a zigzag number at dst[at:], where room bytes are reserved,
// and moves what follows when the number takes another room.
func putLength(dst []byte, at, room, n int) []byte {
	u := uint64(n) << 1 //nolint:gosec // a length
	if room == 2 && u >= 1<<7 && u < 1<<14 {
		dst[at], dst[at+1] = byte(u)|0x80, byte(u>>7) //nolint:gosec // seven bits each
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
	i, next, err := readIndex(m.src, start, in.n, reasonUnion)
	if err != nil {
		return 0, err
	}
	m.pos = next
	target := m.tables[in.table+i]
	if target > 0 {
		return target, nil
	}
	m.dst = append(m.dst, m.src[m.mark:start]...)
	// There are no edits in the branch, so that reading it appends nothing.
	if err := m.run(-target, depth); err != nil {
		return 0, err
	}
	m.dst = binary.AppendVarint(m.dst, int64(in.a))
	m.mark = m.pos
	return m.tables[in.table+in.a], nil
}

// blocks reads the blocks of an array or map, whose item is at body.
func (m *machine) blocks(in *instr, body int32, depth int) error {
	for {
		start := m.pos
		if start < len(m.src) && m.src[start] == 0 {
			m.pos++
			return nil
		}
		count, next, err := readVarint(m.src, start, math.MinInt64, math.MaxInt64)
		if err != nil {
			return err
		}
		m.pos = next
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
			return malformed(start, "block count out of range")
		}
		sizeAt := m.pos
		size, next, err := readLength(m.src, sizeAt)
		if err != nil {
			return err
		}
		m.pos = next
		first, items := m.pos, len(m.dst)+m.pos-m.mark
		mark := m.mark
		if err := m.items(in, body, depth, -count); err != nil {
			return err
		}
		if m.pos-first != size {
			return malformed(sizeAt, "block size differs from its content")
		}
		if m.mark == mark {
			continue // nothing was rewritten
		}
		if first-sizeAt > 1 && m.src[first-1] == 0 {
			return malformed(sizeAt, reasonMinimal)
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
			return malformed(m.pos, "too many items that take no bytes")
		}
	} else if count > int64(len(m.src)-m.pos) {
		return malformed(m.pos, "block count is beyond the end")
	}
	if in.strings {
		// Items that are only passed over, as keys are, need no run each.
		if in.op == opMap {
			count *= 2
		}
		return m.skipStrings(count)
	}
	for range count {
		if in.op == opMap {
			if err := m.skipStrings(1); err != nil {
				return err
			}
		}
		if err := m.run(body, depth); err != nil {
			return err
		}
	}
	return nil
}

func (m *machine) skipStrings(count int64) error {
	src, pos := m.src, m.pos
	for range count {
		next := skipBytes(src, pos)
		if next == 0 {
			size, at, err := readLength(src, pos)
			if err != nil {
				return err
			}
			next = at + size
		}
		pos = next
	}
	m.pos = pos
	return nil
}

// wrap hands a value over as it is encoded. Of a union with null, the null stays
// one, in a union of null and bytes.
func (m *machine) wrap(in *instr, body int32, depth int) error {
	start, mark := m.pos, m.mark
	null := false
	if in.table != noNull {
		i, next, err := readIndex(m.src, start, math.MaxInt32, reasonUnion)
		if err != nil {
			return err
		}
		if null = i == in.table; null && next-start > 1 {
			return malformed(start, reasonMinimal)
		}
	}
	// The body edits nothing, so it appends nothing.
	if err := m.run(body, depth); err != nil {
		return err
	}
	m.dst = append(m.dst, m.src[mark:start]...)
	m.mark = m.pos
	if in.table != noNull {
		m.dst = append(m.dst, m.wrappedBranch(in, null))
	}
	if null {
		return nil
	}
	at := len(m.dst)
	out, err := m.visitor.Visit(int(in.a), append(m.dst, 0, 0), m.src[start:m.pos:m.pos])
	if err != nil {
		return err
	}
	m.dst = putLength(out, at, 2, len(out)-at-2)
	return nil
}

// wrappedBranch is the encoded index of a branch in the union of null and bytes.
// Null stands first where it did before, so that it can be the default.
func (m *machine) wrappedBranch(in *instr, null bool) byte {
	if null == (in.table == 0) {
		return 0
	}
	return 2
}

// unwrap puts back what wrap handed over.
func (m *machine) unwrap(in *instr, body int32, depth int) error {
	start, pos := m.pos, m.pos
	if in.table != noNull {
		i, next, err := readIndex(m.src, pos, 2, reasonUnion)
		if err != nil {
			return err
		}
		if next-pos > 1 {
			return malformed(pos, reasonMinimal)
		}
		pos = next
		if byte(i<<1) == m.wrappedBranch(in, true) { //nolint:gosec // 0 or 1
			m.dst = append(m.dst, m.src[m.mark:start]...)
			m.dst = binary.AppendVarint(m.dst, int64(in.table))
			m.mark, m.pos = pos, pos
			return nil
		}
	}
	size, first, err := readLength(m.src, pos)
	if err != nil {
		return err
	}
	if first-pos > 1 && m.src[first-1] == 0 {
		return malformed(pos, reasonMinimal)
	}
	end := first + size
	m.dst = append(m.dst, m.src[m.mark:start]...)
	at := len(m.dst)
	out, err := m.visitor.Visit(int(in.a), m.dst, m.src[first:end:end])
	if err != nil {
		if errors.Is(err, schema.ErrLook) {
			m.mark, m.pos = end, end
			return nil
		}
		if errors.Is(err, schema.ErrKeep) {
			return malformed(start, "value was not wrapped, and the original type has no room for it")
		}
		return err
	}
	// What was sealed is authentic, and yet it may have been sealed by somebody
	// who had another idea of the type.
	value := machine{code: m.code, tables: m.tables, src: out[at:], empty: m.empty}
	if err := value.run(body, depth); err != nil || value.pos != len(value.src) {
		return malformed(start, reasonRestored)
	}
	if in.table != noNull {
		if i, _, err := readIndex(value.src, 0, math.MaxInt32, reasonUnion); err != nil || i == in.table {
			return malformed(start, reasonRestored)
		}
	}
	m.empty = value.empty
	m.dst, m.mark, m.pos = out, end, end
	return nil
}
