package avro

import (
	"encoding/binary"
	"errors"

	"github.com/fieldveil/fieldveil/schema"
)

// whole wraps the value at m.pos, or unwraps it. The body reads one value as it
// was before it was wrapped.
//
//	type before          after
//	T                    bytes
//	null or others       null or bytes; null keeps the first place, else has the last
//
// A union of null and one other never comes here: its branch does.
func (m *machine) whole(in *instr, body int32, depth int) error {
	switch in.op {
	case opWrap:
		return m.wrap(in, body, depth)
	case opUnwrap:
		return m.unwrap(in, body, depth, -1)
	}
	t := m.tables[in.table : in.table+3]
	null, branches, wrappedNull := t[0], t[1], t[2]
	if in.op == opWrapUnion {
		start := m.pos
		i, next, err := readIndex(m.src, start, branches, reasonUnion)
		switch {
		case err != nil:
			return err
		case i == null:
			return m.null(start, next, null, wrappedNull)
		}
		m.dst = append(m.dst, m.src[m.mark:start]...)
		m.dst = binary.AppendVarint(m.dst, int64(1-wrappedNull))
		m.mark = start
		return m.wrap(in, body, depth)
	}
	start := m.pos
	i, next, err := readIndex(m.src, start, 2, reasonUnion)
	switch {
	case err != nil:
		return err
	case i == wrappedNull:
		return m.null(start, next, wrappedNull, null)
	case tooLong(m.src, start, next):
		return malformed(start, reasonMinimal)
	}
	// The branch is part of what was wrapped.
	m.dst = append(m.dst, m.src[m.mark:start]...)
	m.pos, m.mark = next, next
	return m.unwrap(in, body, depth, null)
}

// null writes a null, which was read as branch from, as branch to.
func (m *machine) null(start, next int, from, to int32) error {
	m.pos = next
	if from == to {
		return nil
	}
	if tooLong(m.src, start, next) {
		return malformed(start, reasonMinimal)
	}
	m.dst = append(m.dst, m.src[m.mark:start]...)
	m.dst = binary.AppendVarint(m.dst, int64(to))
	m.mark = next
	return nil
}

// wrap hands the bytes of a whole value to the visitor.
func (m *machine) wrap(in *instr, body int32, depth int) error {
	start := m.pos
	if err := m.run(body, depth); err != nil {
		return err
	}
	end := m.pos
	m.dst = append(m.dst, m.src[m.mark:start]...)
	at := len(m.dst)
	out, err := m.visitor.Visit(int(in.a), append(m.dst, 0, 0), m.src[start:end:end])
	if err != nil {
		return err
	}
	m.dst = putLength(out, at, 2, len(out)-at-2)
	m.mark = end
	return nil
}

// unwrap has the visitor append the value that was wrapped, which must be exactly
// one value of the type, and not the null branch of a union.
func (m *machine) unwrap(in *instr, body int32, depth int, null int32) error {
	start := m.pos
	size, from, err := readLength(m.src, start)
	if err != nil {
		return err
	}
	if tooLong(m.src, start, from) {
		return malformed(start, reasonMinimal)
	}
	end := from + size
	m.dst = append(m.dst, m.src[m.mark:start]...)
	at := len(m.dst)
	out, err := m.visitor.Visit(int(in.a), m.dst, m.src[from:end:end])
	if err != nil {
		if errors.Is(err, schema.ErrKeep) {
			return malformed(start, reasonKept)
		}
		return err
	}
	// The value is read in place of the record. The body has no edits, so it
	// leaves the rest of the machine alone.
	src, value := m.src, out[at:len(out):len(out)]
	m.src, m.pos = value, 0
	err = m.run(body, depth)
	whole := err == nil && m.pos == len(value)
	if whole && null >= 0 {
		i, _, _ := readVarint(value, 0, 0, int64(null))
		whole = i != int64(null)
	}
	m.src, m.dst = src, out
	if !whole {
		return malformed(start, reasonRestored)
	}
	m.pos, m.mark = end, end
	return nil
}
