package wire

import (
	"errors"
	"math"
)

// MaxIndexes is how many message indexes a framing may hold, which is how deep a
// message type can be nested in others.
const MaxIndexes = 32

// AppendIndexes appends the message indexes that lead to a message type in its
// Protobuf file, the outermost first: their count and then each of them, as
// zigzag varints, or a single zero byte for the first message of the file. It
// fails when there is none, when there are more than [MaxIndexes], and when one
// is negative or over 2^31-1.
func AppendIndexes(dst []byte, indexes []int) ([]byte, error) {
	if len(indexes) == 0 || len(indexes) > MaxIndexes {
		return dst, errors.New("wire: want 1 to 32 message indexes")
	}
	for _, i := range indexes {
		if i < 0 || i > math.MaxInt32 {
			return dst, errors.New("wire: message index out of range")
		}
	}
	if len(indexes) == 1 && indexes[0] == 0 {
		return append(dst, 0), nil
	}
	dst = appendZigzag(dst, len(indexes))
	for _, i := range indexes {
		dst = appendZigzag(dst, i)
	}
	return dst, nil
}

// ParseIndexes reads message indexes at the start of b, and returns them with
// the length of their encoding. It takes only the spelling that [AppendIndexes]
// gives, so that the same indexes are the same bytes everywhere.
func ParseIndexes(b []byte) (indexes []int, n int, err error) {
	if len(b) > 0 && b[0] == 0 {
		return []int{0}, 1, nil
	}
	count, n, err := zigzag(b, 0)
	switch {
	case err != nil:
		return nil, 0, err
	case count > MaxIndexes:
		return nil, 0, malformed(0, "too many message indexes")
	}
	// A count of zero has only the short spelling, which is gone by here.
	indexes = make([]int, count)
	for i := range indexes {
		if indexes[i], n, err = zigzag(b, n); err != nil {
			return nil, 0, err
		}
	}
	if count == 1 && indexes[0] == 0 {
		return nil, 0, malformed(0, "message indexes that are not in their short form")
	}
	return indexes, n, nil
}

// appendZigzag writes a number that is not negative.
func appendZigzag(dst []byte, v int) []byte {
	u := uint64(v) << 1 //nolint:gosec // not negative
	for u >= 0x80 {
		dst = append(dst, byte(u)|0x80)
		u >>= 7
	}
	return append(dst, byte(u))
}

// zigzag reads one number at b[at:] and returns it with the position behind.
func zigzag(b []byte, at int) (v, next int, err error) {
	var u uint64
	for i := range 5 { // 2^31-1 as a zigzag varint has five bytes
		if at+i >= len(b) {
			return 0, 0, malformed(len(b), "truncated message indexes")
		}
		c := b[at+i]
		u |= uint64(c&0x7f) << (7 * i)
		if c >= 0x80 {
			continue
		}
		switch {
		case c == 0 && i > 0:
			return 0, 0, malformed(at, "message index that is longer than needed")
		case u&1 == 1:
			return 0, 0, malformed(at, "message index that is negative")
		case u>>1 > math.MaxInt32:
			return 0, 0, malformed(at, "message index out of range")
		}
		return int(u >> 1), at + i + 1, nil
	}
	return 0, 0, malformed(at, "message index out of range")
}
