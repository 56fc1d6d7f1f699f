package rest

import (
	"encoding/base64"
	"encoding/binary"
)

// letters holds the twelve bits that two letters stand for, by the two bytes as a
// little-endian number, and noLetters for what are none. Text uses few of its
// lines.
//
//nolint:gochecknoglobals // constant but for the language
var letters = newLetters("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")

const noLetters = 1 << 15

func newLetters(alphabet string) *[1 << 16]uint16 {
	t := new([1 << 16]uint16)
	for i := range t {
		t[i] = noLetters
	}
	for i := range uint16(len(alphabet)) { //nolint:gosec // 64
		for j := range uint16(len(alphabet)) { //nolint:gosec // as above
			t[uint16(alphabet[j])<<8|uint16(alphabet[i])] = i<<6 | j
		}
	}
	return t
}

// decodeBase64 decodes b in place, as [base64.StdEncoding] does but faster, and
// returns how many bytes there are.
func decodeBase64(b []byte) (int, error) {
	t := letters
	from, to := 0, 0
	for len(b)-from >= 8 {
		w := binary.LittleEndian.Uint64(b[from:])
		x0, x1, x2, x3 := t[uint16(w)], t[uint16(w>>16)], t[uint16(w>>32)], t[uint16(w>>48)] //nolint:gosec // its parts
		if (x0|x1|x2|x3)&noLetters != 0 {
			break
		}
		// Eight bytes are written for eight that have been read, no further on. The
		// last two are no part of the result.
		binary.BigEndian.PutUint64(b[to:], uint64(x0)<<52|uint64(x1)<<40|uint64(x2)<<28|uint64(x3)<<16)
		from, to = from+8, to+6
	}
	// The end, with its padding, and whatever is out of the ordinary. That decoder
	// writes no further than it has read either.
	n, err := base64.StdEncoding.Decode(b[to:], b[from:])
	return to + n, err
}
