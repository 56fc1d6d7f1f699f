package protobuf

import (
	"math/bits"

	"google.golang.org/protobuf/encoding/protowire"
)

// maxVarint is the length of the longest varint.
const maxVarint = 10

// readAnyTag reads a tag.
func readAnyTag(src []byte, pos int) (tag uint32, next int, err error) {
	if pos < len(src) && src[pos] < 0x80 {
		return uint32(src[pos]), pos + 1, nil
	}
	return readTag(src, pos)
}

// readTag reads a tag of two bytes or more.
func readTag(src []byte, pos int) (tag uint32, next int, err error) {
	var v uint32
	for i := range 5 {
		if pos+i >= len(src) {
			return 0, 0, malformed(len(src), reasonTruncated)
		}
		b := src[pos+i]
		if i == 4 && b > 0x0F {
			return 0, 0, malformed(pos, reasonNumber)
		}
		v |= uint32(b&0x7F) << (7 * i)
		if b < 0x80 {
			if b == 0 && i > 0 {
				return 0, 0, malformed(pos, reasonPadded)
			}
			return v, pos + i + 1, nil
		}
	}
	return 0, 0, malformed(pos, reasonNumber)
}

// readLength reads the length of what lies within src.
func readLength(src []byte, pos int) (size, next int, err error) {
	if pos < len(src) {
		if b := src[pos]; b < 0x80 && int(b) < len(src)-pos {
			return int(b), pos + 1, nil
		}
	}
	return readLongLength(src, pos)
}

func readLongLength(src []byte, pos int) (size, next int, err error) {
	var v uint64
	for i := range maxVarint {
		if pos+i >= len(src) {
			return 0, 0, malformed(len(src), reasonTruncated)
		}
		b := src[pos+i]
		if i == maxVarint-1 && b > 1 {
			return 0, 0, malformed(pos, reasonVarint)
		}
		v |= uint64(b&0x7F) << (7 * i)
		if b >= 0x80 {
			continue
		}
		if b == 0 && i > 0 {
			return 0, 0, malformed(pos, reasonPadded)
		}
		next = pos + i + 1
		if v > uint64(len(src)-next) { //nolint:gosec // not negative
			return 0, 0, malformed(pos, reasonLength)
		}
		return int(v), next, nil //nolint:gosec // within src
	}
	return 0, 0, malformed(pos, reasonVarint)
}

// skipVarint returns the position behind a number. It may be longer than it
// needs to be, as long as it has 64 bits: it is copied as it stands.
func skipVarint(src []byte, pos int) (int, error) {
	for i := range maxVarint {
		if pos+i >= len(src) {
			return 0, malformed(len(src), reasonTruncated)
		}
		b := src[pos+i]
		if i == maxVarint-1 && b > 1 {
			return 0, malformed(pos, reasonVarint)
		}
		if b < 0x80 {
			return pos + i + 1, nil
		}
	}
	return 0, malformed(pos, reasonVarint)
}

func skipFixed(src []byte, pos, size int) (int, error) {
	if len(src)-pos < size {
		return 0, malformed(len(src), reasonTruncated)
	}
	return pos + size, nil
}

// skipRun returns the position behind a packed run of numbers.
func skipRun(src []byte, pos int, shape opcode) (int, error) {
	size, at, err := readLength(src, pos)
	if err != nil {
		return 0, err
	}
	end := at + size
	switch shape {
	case opFixed32, opFixed64:
		width := 4
		if shape == opFixed64 {
			width = 8
		}
		if size%width != 0 {
			return 0, malformed(end, reasonTruncated)
		}
	default:
		for at < end {
			if src[at] < 0x80 {
				at++
				continue
			}
			if at, err = skipVarint(src[:end], at); err != nil {
				return 0, err
			}
		}
	}
	return end, nil
}

// skipUnknown returns the position behind a field of which only the wire type is
// known.
func skipUnknown(src []byte, pos int, tag uint32, depth int) (int, error) {
	switch protowire.Type(tag & 7) {
	case protowire.VarintType:
		return skipVarint(src, pos)
	case protowire.Fixed32Type:
		return skipFixed(src, pos, 4)
	case protowire.Fixed64Type:
		return skipFixed(src, pos, 8)
	case protowire.BytesType:
		size, next, err := readLength(src, pos)
		return next + size, err
	case protowire.StartGroupType:
		return skipUnknownGroup(src, pos, tag>>3, depth+1)
	default:
		return 0, malformed(pos, reasonWire)
	}
}

func skipUnknownGroup(src []byte, pos int, group uint32, depth int) (int, error) {
	if depth > maxDepth {
		return 0, malformed(pos, reasonDepth)
	}
	for pos < len(src) {
		start := pos
		tag, next, err := readTag(src, pos)
		if err != nil {
			return 0, err
		}
		switch {
		case tag>>3 == 0:
			return 0, malformed(start, reasonNumber)
		case protowire.Type(tag&7) != protowire.EndGroupType:
			if pos, err = skipUnknown(src, next, tag, depth); err != nil {
				return 0, err
			}
		case tag>>3 != group:
			return 0, malformed(start, reasonGroup)
		default:
			return next, nil
		}
	}
	return 0, malformed(len(src), reasonOpenGroup)
}

// varintWidth is the number of bytes that v takes.
func varintWidth(v uint64) int { return (bits.Len64(v|1) + 6) / 7 }

// putTag writes a tag over dst, which has its width.
func putTag(dst []byte, tag uint32) {
	for i := range dst {
		dst[i] = byte(tag) | 0x80
		tag >>= 7
	}
	dst[len(dst)-1] &= 0x7F
}

// putLength writes a length at dst[at:], where room bytes are reserved, and moves
// what follows when the length takes another room.
func putLength(dst []byte, at, room, n int) []byte {
	v := uint64(n) //nolint:gosec // a length
	if room == 1 && v < 1<<7 {
		dst[at] = byte(v)
		return dst
	}
	if room == 2 && v >= 1<<7 && v < 1<<14 {
		dst[at], dst[at+1] = byte(v)|0x80, byte(v>>7) //nolint:gosec // seven bits each
		return dst
	}
	width := varintWidth(v)
	end := len(dst)
	if width > room {
		var zero [maxVarint]byte
		dst = append(dst, zero[:width-room]...)
		copy(dst[at+width:], dst[at+room:end])
	} else if width < room {
		copy(dst[at+width:], dst[at+room:])
		dst = dst[:end-(room-width)]
	}
	for i := range width {
		dst[at+i] = byte(v) | 0x80
		v >>= 7
	}
	dst[at+width-1] &= 0x7F
	return dst
}
