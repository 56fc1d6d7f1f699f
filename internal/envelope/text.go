package envelope

import "encoding/binary"

// TextPrefix begins the text form of an envelope.
const TextPrefix = "fv1:"

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// The text form is base64url as in encoding/base64, but every value of every
// record passes through it, and there it costs as much as the encryption
// itself. Twelve bits at a time through an 8 KiB table take a third of the
// time; encoding/base64 is the oracle of the tests. Tables indexed by the data
// would leak it through the cache, but what is encoded here is ciphertext.
var (
	pairs   = makePairs()   //nolint:gochecknoglobals // tables that never change
	sextets = makeSextets() //nolint:gochecknoglobals // tables that never change
)

func makePairs() *[4096]uint16 {
	var t [4096]uint16
	for i := range t {
		t[i] = uint16(alphabet[i>>6])<<8 | uint16(alphabet[i&63])
	}
	return &t
}

func makeSextets() *[4][256]uint32 {
	var t [4][256]uint32
	for i := range t {
		for c := range t[i] {
			t[i][c] = invalid
		}
		for v, c := range []byte(alphabet) {
			t[i][c] = uint32(v) << (26 - 6*i)
		}
	}
	return &t
}

// sextets holds, for each of four neighbouring characters, its six bits at their
// place in the upper 24 bits of a word. invalid marks characters outside the
// alphabet; no sextet has that bit.
const invalid = 1

// EncodedLen returns the length of n bytes in base64url without padding.
func EncodedLen(n int) int { return n/3*4 + (n%3*8+5)/6 }

// AppendBase64 appends src in base64url without padding.
func AppendBase64(dst, src []byte) []byte {
	n := EncodedLen(len(src))
	at := len(dst)
	dst = grow(dst, n)
	out := dst[at : at+n]
	pairs := pairs // one load for the loop
	for len(src) >= 14 && len(out) >= 16 {
		v := binary.BigEndian.Uint64(src)
		w := binary.BigEndian.Uint64(src[6:])
		binary.BigEndian.PutUint64(out, uint64(pairs[v>>52])<<48|uint64(pairs[v>>40&4095])<<32|
			uint64(pairs[v>>28&4095])<<16|uint64(pairs[v>>16&4095]))
		binary.BigEndian.PutUint64(out[8:], uint64(pairs[w>>52])<<48|uint64(pairs[w>>40&4095])<<32|
			uint64(pairs[w>>28&4095])<<16|uint64(pairs[w>>16&4095]))
		src, out = src[12:], out[16:]
	}
	if len(src) >= 8 {
		v := binary.BigEndian.Uint64(src)
		binary.BigEndian.PutUint64(out, uint64(pairs[v>>52])<<48|uint64(pairs[v>>40&4095])<<32|
			uint64(pairs[v>>28&4095])<<16|uint64(pairs[v>>16&4095]))
		src, out = src[6:], out[8:]
	}
	for len(src) >= 3 {
		v := uint32(src[0])<<16 | uint32(src[1])<<8 | uint32(src[2])
		binary.BigEndian.PutUint32(out, uint32(pairs[v>>12])<<16|uint32(pairs[v&4095]))
		src, out = src[3:], out[4:]
	}
	switch len(src) {
	case 1:
		binary.BigEndian.PutUint16(out, pairs[uint32(src[0])<<4])
	case 2:
		v := uint32(src[0])<<10 | uint32(src[1])<<2
		binary.BigEndian.PutUint16(out, pairs[v>>6])
		out[2] = alphabet[v&63]
	}
	return dst
}

// AppendText appends the text form of an envelope.
func AppendText(dst, env []byte) []byte {
	return AppendBase64(append(dst, TextPrefix...), env)
}

// IsText tells whether b begins as the text form of an envelope does.
func IsText(b []byte) bool {
	return len(b) >= len(TextPrefix) && string(b[:len(TextPrefix)]) == TextPrefix
}

// ParseText appends the envelope that text stands for to dst. It accepts only
// the one text that AppendText makes of those bytes.
func ParseText(dst, text []byte) ([]byte, error) {
	if !IsText(text) {
		return dst, ErrNotEnvelope
	}
	return ParseBase64(dst, text[len(TextPrefix):])
}

// ParseBase64 appends the bytes that src stands for to dst. It accepts only the
// one text that AppendBase64 makes of them.
func ParseBase64(dst, src []byte) ([]byte, error) {
	if len(src)%4 == 1 {
		return dst, ErrText
	}
	n := len(src)/4*3 + len(src)%4*6/8
	at := len(dst)
	out := grow(dst, n)
	w := out[at : at+n]
	t := sextets
	var bad uint32
	// Eight characters at a time; the last two bytes that are written there are
	// overwritten by the next round.
	for len(src) >= 8 && len(w) >= 8 {
		s := src[:8:8]
		hi := t[0][s[0]] | t[1][s[1]] | t[2][s[2]] | t[3][s[3]]
		lo := t[0][s[4]] | t[1][s[5]] | t[2][s[6]] | t[3][s[7]]
		bad |= hi | lo
		binary.BigEndian.PutUint64(w, uint64(hi)<<32|uint64(lo)<<8)
		src, w = src[8:], w[6:]
	}
	for len(src) >= 4 && len(w) >= 4 {
		v := t[0][src[0]] | t[1][src[1]] | t[2][src[2]] | t[3][src[3]]
		bad |= v
		// The fourth byte is overwritten by the next round.
		binary.BigEndian.PutUint32(w, v)
		src, w = src[4:], w[3:]
	}
	// At most four characters are left: a last group, whole or not.
	var v uint32
	for i, c := range src {
		v |= t[i][c]
	}
	for i := range w {
		w[i] = byte(v >> (24 - 8*i)) //nolint:gosec // one byte of the word
	}
	// Bits that no byte takes must be zero, or several texts would stand for the
	// same bytes. The mark of an invalid character is one of them.
	if bad&invalid != 0 || v<<(8*len(w)) != 0 {
		return dst, ErrText
	}
	return out, nil
}

// grow extends dst by n bytes whose content does not matter.
func grow(dst []byte, n int) []byte {
	if cap(dst)-len(dst) >= n {
		return dst[:len(dst)+n]
	}
	return append(dst, make([]byte, n)...)
}
