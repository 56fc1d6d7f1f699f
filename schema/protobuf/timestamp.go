package protobuf

import (
	"errors"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/fieldveil/fieldveil/schema"
)

// timestampName is the message type whose values are one number each.
const timestampName = "google.protobuf.Timestamp"

// The fields of a Timestamp, and what they may hold: the years 1 to 9999, of
// which the seconds count from 1970 and are rounded down.
const (
	secondsNumber = 1
	nanosNumber   = 2
	minSeconds    = -62_135_596_800
	maxSeconds    = 253_402_300_799
	nanosDigits   = 9
	second        = 1_000_000_000 // nanoseconds
)

const reasonTimestamp = "timestamp out of range"

// timestamp tells whether m is the well-known type, and not only has its name.
func (m *message) timestamp() bool {
	if m.name != timestampName || len(m.fields) != 2 {
		return false
	}
	for i, kind := range []protoreflect.Kind{protoreflect.Int64Kind, protoreflect.Int32Kind} {
		if f := m.fields[i]; int(f.number) != i+1 || f.kind != kind || f.repeated() || f.required || f.sealed != partNone {
			return false
		}
	}
	return true
}

// A stamp is what one occurrence of a Timestamp holds. A field that stands there
// twice counts the last time.
type stamp struct {
	seconds int64
	nanos   int32
	// A zero may stand in the record although it could be left out.
	hasSeconds, hasNanos bool
	unknown              bool // there are fields of other numbers
	end                  int  // behind the fields; in a group, at the tag that ends it
	next                 int  // behind the occurrence
}

// timestamp has the visitor append the number that stands for a Timestamp, and
// writes seconds and nanoseconds of that, zeros only where a zero stood. Unknown
// fields follow. It returns the position behind the occurrence.
func (m *machine) timestamp(e *entry, tag uint32, pos, end, depth int) (int, error) {
	group, first := uint32(0), pos
	if protowire.Type(tag&7) == protowire.StartGroupType {
		group = tag >> 3
	} else {
		size, next, err := readLength(m.src[:end], pos)
		if err != nil {
			return 0, err
		}
		first, end = next, next+size
	}
	s, err := m.readStamp(m.tables[e.table].keep, first, end, group, depth+1)
	if err != nil {
		return 0, err
	}
	if !s.valid() {
		return 0, malformed(first, reasonTimestamp)
	}
	before := len(m.dst)
	m.dst = append(m.dst, m.src[m.mark:pos]...)
	at := len(m.dst)
	out, from, err := m.visitText(e, appendStamp(m.dst, s.seconds, s.nanos), at)
	if err != nil {
		if m.restore && errors.Is(err, schema.ErrKeep) {
			m.dst = m.dst[:before]
			return s.next, nil
		}
		return 0, err
	}
	seconds, nanos, ok := parseStamp(out[from:])
	if !ok {
		return 0, schema.ErrNumber
	}
	written, content := out[:at], at
	if group == 0 {
		written = append(written, 0) // the length
		content++
	}
	if seconds != 0 || s.hasSeconds && s.seconds == 0 {
		written = protowire.AppendTag(written, secondsNumber, protowire.VarintType)
		written = protowire.AppendVarint(written, uint64(seconds)) //nolint:gosec // two's complement
	}
	if nanos != 0 || s.hasNanos && s.nanos == 0 {
		written = protowire.AppendTag(written, nanosNumber, protowire.VarintType)
		written = protowire.AppendVarint(written, uint64(nanos)) //nolint:gosec // not negative
	}
	clearBehind(written, len(out))
	if s.unknown {
		written = m.appendUnknown(written, first, s.end)
	}
	if group == 0 {
		written = putLength(written, at, 1, len(written)-content)
	}
	m.dst, m.mark = written, s.end // the tag that ends a group is copied
	return s.next, nil
}

// readStamp reads the fields from pos to end, or to the end of the group.
func (m *machine) readStamp(keep bool, pos, end int, group uint32, depth int) (s stamp, err error) {
	if depth > maxDepth {
		return s, malformed(pos, reasonDepth)
	}
	src := m.src[:end]
	for pos < end {
		start := pos
		tag, next, err := readAnyTag(src, pos)
		if err != nil {
			return s, err
		}
		number, wire := tag>>3, protowire.Type(tag&7)
		switch {
		case number == 0:
			return s, malformed(start, reasonNumber)
		case wire > protowire.Fixed32Type:
			return s, malformed(start, reasonWire)
		case wire == protowire.EndGroupType:
			if number != group {
				return s, malformed(start, reasonGroup)
			}
			s.end, s.next = start, next
			return s, nil
		case number != secondsNumber && number != nanosNumber:
			if !keep {
				return s, malformed(start, reasonUnknown)
			}
			s.unknown = true
			if pos, err = skipUnknown(src, next, tag, depth); err != nil {
				return s, err
			}
			continue
		case wire != protowire.VarintType:
			return s, malformed(start, reasonMismatch)
		}
		raw, next, err := readNumber(src, next, opVarint)
		if err != nil {
			return s, err
		}
		if number == secondsNumber {
			s.seconds, s.hasSeconds = int64(raw), true //nolint:gosec // two's complement
		} else {
			s.nanos, s.hasNanos = int32(raw), true //nolint:gosec // of which 32 bits count
		}
		pos = next
	}
	if group != 0 {
		return s, malformed(pos, reasonOpenGroup)
	}
	s.end, s.next = pos, pos
	return s, nil
}

// valid tells whether s is a point in time for the readers of the type.
func (s *stamp) valid() bool {
	return s.seconds >= minSeconds && s.seconds <= maxSeconds && s.nanos >= 0 && s.nanos < second
}

// appendUnknown appends the fields between two positions that readStamp has
// passed over.
func (m *machine) appendUnknown(dst []byte, pos, end int) []byte {
	src := m.src[:end]
	for pos < end {
		tag, next, err := readAnyTag(src, pos)
		if err != nil {
			panic("protobuf: fields changed while they were read") //nolint:forbidigo // readStamp has read them
		}
		number := tag >> 3
		if next, err = skipUnknown(src, next, tag, 0); err != nil {
			panic("protobuf: fields changed while they were read") //nolint:forbidigo // readStamp has read them
		}
		if number != secondsNumber && number != nanosNumber {
			dst = append(dst, src[pos:next]...)
		}
		pos = next
	}
	return dst
}

// appendStamp appends the seconds with all nine digits behind the point. Before
// 1970 the nanoseconds count towards it, so that they are to be taken from the
// next second.
func appendStamp(dst []byte, seconds int64, nanos int32) []byte {
	if seconds < 0 {
		dst = append(dst, '-')
		seconds = -seconds
		if nanos > 0 {
			seconds, nanos = seconds-1, second-nanos
		}
	}
	dst = strconv.AppendInt(dst, seconds, 10)
	dst = append(dst, ".000000000"...)
	for i := len(dst) - 1; nanos > 0; i-- {
		dst[i] += byte(nanos % 10)
		nanos /= 10
	}
	return dst
}

// parseStamp reads a number of seconds with at most nine digits behind the point,
// within the years 1 to 9999.
func parseStamp(text []byte) (seconds int64, nanos int32, ok bool) {
	n, ok := readNumeral(text)
	if !ok {
		return 0, 0, false
	}
	whole, part, ok := n.fixed(nanosDigits)
	if !ok || whole > maxSeconds {
		return 0, 0, false
	}
	seconds, nanos = int64(whole), int32(part) //nolint:gosec // at most nine digits
	if n.negative {
		seconds = -seconds
		if nanos > 0 {
			seconds, nanos = seconds-1, second-nanos
		}
	}
	return seconds, nanos, seconds >= minSeconds && seconds <= maxSeconds
}
