package protobuf

import (
	"encoding/binary"
	"errors"
	"math"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/fieldveil/fieldveil/schema"
)

// numberKind is how the numbers of a field that is edited by schema.Number are
// read and written.
type numberKind uint8

const (
	numberNone   numberKind = iota
	numberInt32             // varint of which 32 bits count
	numberInt64             // varint
	numberUint32            // varint of which 32 bits count
	numberUint64            // varint
	numberSint32            // varint of which 32 bits count, the sign in the lowest
	numberSint64            // varint, the sign in the lowest bit
	numberFixed32
	numberFixed64
	numberSfixed32
	numberSfixed64
	numberFloat
	numberDouble
	numberTimestamp // message
)

// numberOf returns the kind of the values of a field, and numberNone when they
// are no numbers. A boolean and an enum are none, though they are encoded as one.
func numberOf(f *field) numberKind {
	switch f.kind {
	case protoreflect.Int32Kind:
		return numberInt32
	case protoreflect.Int64Kind:
		return numberInt64
	case protoreflect.Uint32Kind:
		return numberUint32
	case protoreflect.Uint64Kind:
		return numberUint64
	case protoreflect.Sint32Kind:
		return numberSint32
	case protoreflect.Sint64Kind:
		return numberSint64
	case protoreflect.Fixed32Kind:
		return numberFixed32
	case protoreflect.Fixed64Kind:
		return numberFixed64
	case protoreflect.Sfixed32Kind:
		return numberSfixed32
	case protoreflect.Sfixed64Kind:
		return numberSfixed64
	case protoreflect.FloatKind:
		return numberFloat
	case protoreflect.DoubleKind:
		return numberDouble
	case protoreflect.MessageKind, protoreflect.GroupKind:
		if f.msg != nil && f.msg.timestamp() {
			return numberTimestamp
		}
	case protoreflect.BoolKind, protoreflect.EnumKind, protoreflect.StringKind, protoreflect.BytesKind:
	}
	return numberNone
}

// number has the visitor append the number that stands for the one at pos, and
// encodes it in the same type. It returns the position behind the value.
func (m *machine) number(e *entry, pos, end int) (int, error) {
	raw, next, err := readNumber(m.src[:end], pos, e.shape)
	if err != nil {
		return 0, err
	}
	before := len(m.dst)
	m.dst = append(m.dst, m.src[m.mark:pos]...)
	at := len(m.dst)
	out, from, err := m.visitText(e, e.number.appendText(m.dst, raw), at)
	if err != nil {
		if m.restore && errors.Is(err, schema.ErrKeep) {
			m.dst = m.dst[:before]
			return next, nil
		}
		return 0, err
	}
	raw, ok := e.number.parse(out[from:])
	if !ok {
		return 0, schema.ErrNumber
	}
	m.dst = appendNumber(out[:at], raw, e.shape)
	clearBehind(m.dst, len(out))
	m.mark = next
	return next, nil
}

// visitText shows the visitor the text staged[at:], and returns where its answer
// begins. The text stands where the number is to stand, so that no memory of its
// own is needed, and is gone afterwards.
func (m *machine) visitText(e *entry, staged []byte, at int) (out []byte, from int, err error) {
	from = len(staged)
	out, err = m.visitor.Visit(int(e.edit), staged, staged[at:from:from])
	clear(staged[at:from])
	return out, from, err
}

// clearBehind wipes what is left of an answer behind the end of dst. The answer
// ended at the position end, unless dst has moved since.
func clearBehind(dst []byte, end int) {
	if end > len(dst) {
		clear(dst[len(dst):end])
	}
}

// numberRun edits the numbers of a packed run one by one, and writes its length
// anew when one was rewritten.
func (m *machine) numberRun(e *entry, pos, end int) (int, error) {
	size, next, err := readLength(m.src[:end], pos)
	if err != nil {
		return 0, err
	}
	mark := m.mark
	content := len(m.dst) + next - mark // where it will begin in dst
	end = next + size
	for at := next; at < end; {
		if at, err = m.number(e, at, end); err != nil {
			return 0, err
		}
	}
	if m.mark == mark {
		return end, nil // nothing was rewritten
	}
	m.dst = append(m.dst, m.src[m.mark:end]...)
	m.mark = end
	m.dst = putLength(m.dst, content-(next-pos), next-pos, len(m.dst)-content)
	return end, nil
}

// readNumber returns the bits of the number at pos, and the position behind it. A
// varint may be longer than it needs to be.
func readNumber(src []byte, pos int, shape opcode) (raw uint64, next int, err error) {
	switch shape {
	case opVarint:
		if next, err = skipVarint(src, pos); err != nil {
			return 0, 0, err
		}
		for i := next - 1; i >= pos; i-- {
			raw = raw<<7 | uint64(src[i]&0x7F)
		}
		return raw, next, nil
	case opFixed32:
		if next, err = skipFixed(src, pos, 4); err != nil {
			return 0, 0, err
		}
		return uint64(binary.LittleEndian.Uint32(src[pos:])), next, nil
	case opFixed64:
		if next, err = skipFixed(src, pos, 8); err != nil {
			return 0, 0, err
		}
		return binary.LittleEndian.Uint64(src[pos:]), next, nil
	default:
		panic("protobuf: unknown shape of a number") //nolint:forbidigo // numberOf makes no others
	}
}

// appendNumber appends bits as readNumber reads them, a varint as short as it can
// be.
func appendNumber(dst []byte, raw uint64, shape opcode) []byte {
	switch shape {
	case opVarint:
		return protowire.AppendVarint(dst, raw)
	case opFixed32:
		return binary.LittleEndian.AppendUint32(dst, uint32(raw)) //nolint:gosec // has 32 bits
	case opFixed64:
		return binary.LittleEndian.AppendUint64(dst, raw)
	default:
		panic("protobuf: unknown shape of a number") //nolint:forbidigo // numberOf makes no others
	}
}

// appendText appends the number that the bits are. Of a varint of 32 bits the
// others do not count, as for all readers.
func (k numberKind) appendText(dst []byte, raw uint64) []byte {
	low := uint32(raw) //nolint:gosec // as told
	switch k {
	case numberInt32, numberSfixed32:
		return strconv.AppendInt(dst, int64(int32(low)), 10) //nolint:gosec // two's complement
	case numberInt64, numberSfixed64:
		return strconv.AppendInt(dst, int64(raw), 10) //nolint:gosec // two's complement
	case numberUint32, numberFixed32:
		return strconv.AppendUint(dst, uint64(low), 10)
	case numberUint64, numberFixed64:
		return strconv.AppendUint(dst, raw, 10)
	case numberSint32:
		return strconv.AppendInt(dst, protowire.DecodeZigZag(uint64(low)), 10)
	case numberSint64:
		return strconv.AppendInt(dst, protowire.DecodeZigZag(raw), 10)
	case numberFloat:
		return appendFloat(dst, float64(math.Float32frombits(low)), 32)
	case numberDouble:
		return appendFloat(dst, math.Float64frombits(raw), 64)
	case numberNone, numberTimestamp:
	}
	panic("protobuf: unknown kind of number") //nolint:forbidigo // numberOf makes no others
}

// The one encoding that is written for what is no number. Others are only read:
// their payload could hold anything.
const (
	canonicalNaN32 = 0x7fc00000
	canonicalNaN64 = 0x7ff8000000000000
)

// parse returns the bits of the number that a text stands for.
func (k numberKind) parse(text []byte) (raw uint64, ok bool) {
	var signed int64
	var float float64
	switch k {
	case numberInt32:
		signed, ok = parseSigned(text, 32)
		return uint64(signed), ok //nolint:gosec // with the sign in all 64 bits
	case numberInt64, numberSfixed64:
		signed, ok = parseSigned(text, 64)
		return uint64(signed), ok //nolint:gosec // two's complement
	case numberSfixed32:
		signed, ok = parseSigned(text, 32)
		return uint64(uint32(signed)), ok //nolint:gosec // two's complement
	case numberUint32, numberFixed32:
		return parseUnsigned(text, 32)
	case numberUint64, numberFixed64:
		return parseUnsigned(text, 64)
	case numberSint32:
		signed, ok = parseSigned(text, 32)
		return protowire.EncodeZigZag(signed), ok
	case numberSint64:
		signed, ok = parseSigned(text, 64)
		return protowire.EncodeZigZag(signed), ok
	case numberFloat:
		if float, ok = parseFloat(text, 32); math.IsNaN(float) {
			return canonicalNaN32, ok
		}
		return uint64(math.Float32bits(float32(float))), ok
	case numberDouble:
		if float, ok = parseFloat(text, 64); math.IsNaN(float) {
			return canonicalNaN64, ok
		}
		return math.Float64bits(float), ok
	case numberNone, numberTimestamp:
	}
	panic("protobuf: unknown kind of number") //nolint:forbidigo // numberOf makes no others
}
