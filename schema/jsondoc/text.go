package jsondoc

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"slices"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// special has the highest bit of the first byte of w that is a quote, a backslash
// or a control character. Bits above it mean nothing, zero means that there is
// none. Subtracting sets the highest bit of an ASCII byte that is too small, and
// borrows only from bytes behind one that is.
func special(w uint64) uint64 {
	return ((w - ' '*ones) | (w ^ '"'*ones - ones) | (w ^ '\\'*ones - ones)) &^ w & highs
}

// plain returns the position of the first quote, backslash or control character
// in src[i:], or its end. high is not zero if there are bytes before it that are
// not ASCII.
func plain(src []byte, i int) (stop int, high uint64) {
	for len(src)-i >= 8 {
		w := binary.LittleEndian.Uint64(src[i : i+8 : i+8])
		if hit := special(w); hit != 0 {
			high |= w & (hit&-hit - 1)
			return i + bits.TrailingZeros64(hit)>>3, high & highs
		}
		high |= w
		i += 8
	}
	high &= highs
	for ; i < len(src); i++ {
		c := src[i]
		if c == '"' || c == '\\' || c < ' ' {
			return i, high
		}
		high |= uint64(c & 0x80)
	}
	return i, high
}

// plainText returns the position behind the string whose opening quote is at pos,
// or 0 where that is not plain ASCII without escapes: then anyText has to look.
func plainText(src []byte, pos int) int {
	i := pos + 1
	for ; len(src)-i >= 8; i += 8 {
		if stop := unusual(binary.LittleEndian.Uint64(src[i : i+8 : i+8])); stop != 0 {
			return behindQuote(src, i+bits.TrailingZeros64(stop)>>3)
		}
	}
	if len(src) < 8 || i == len(src) {
		return 0
	}
	// The last bytes of src, and behind them zeros, at which it stops.
	w := binary.LittleEndian.Uint64(src[len(src)-8:]) >> (8 * (8 - (len(src) - i)) & 63)
	return behindQuote(src, i+bits.TrailingZeros64(unusual(w))>>3)
}

// behindQuote returns the position behind i, or 0 if no quote stands there.
func behindQuote(src []byte, i int) int {
	if i < len(src) && src[i] == '"' {
		return i + 1
	}
	return 0
}

// unusual is special for bytes that are not ASCII, too: they have the highest bit
// themselves, and borrow nothing.
func unusual(w uint64) uint64 {
	return ((w - ' '*ones) | (w ^ '"'*ones - ones) | (w ^ '\\'*ones - ones) | w) & highs
}

// text checks the string whose opening quote is at pos, and returns the position
// behind it.
func (m *machine) text(pos int) (end int, escaped bool, err error) {
	if end := plainText(m.src, pos); end != 0 {
		return end, false, nil
	}
	i, high := plain(m.src, pos+1)
	return m.anyText(pos, i, high)
}

// anyText goes on at i, where plain text ended.
func (m *machine) anyText(pos, i int, high uint64) (end int, escaped bool, err error) {
	src := m.src
	for {
		if i >= len(src) {
			return 0, false, malformed(i, reasonTruncated)
		}
		switch src[i] {
		case '"':
			if high != 0 && !utf8.Valid(src[pos+1:i]) {
				return 0, false, malformed(pos, reasonUTF8)
			}
			return i + 1, escaped, nil
		case '\\':
			escaped = true
			size, reason := escape(src[i:])
			if reason != "" {
				return 0, false, malformed(i, reason)
			}
			i += size
		default:
			return 0, false, malformed(i, reasonControl)
		}
		next, more := plain(src, i)
		i, high = next, high|more
	}
}

// escape returns the size of the escape sequence that s begins with; a pair of
// surrogates is one.
func escape(s []byte) (size int, reason string) {
	if len(s) < 2 {
		return 0, reasonTruncated
	}
	switch s[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2, ""
	case 'u':
	default:
		return 0, reasonEscape
	}
	r := hex4(s[2:])
	switch {
	case r < 0:
		return 0, reasonEscape
	case !utf16.IsSurrogate(r):
		return 6, ""
	case len(s) < 12 || s[6] != '\\' || s[7] != 'u' || utf16.DecodeRune(r, hex4(s[8:])) == utf8.RuneError:
		return 0, reasonSurrogate
	default:
		return 12, ""
	}
}

// hex4 reads four hexadecimal digits, or returns -1.
func hex4(s []byte) rune {
	if len(s) < 4 {
		return -1
	}
	var r rune
	for _, c := range s[:4] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return -1
		}
		r = r<<4 | rune(c)
	}
	return r
}

// appendDecoded appends what the inside of a checked string means.
func appendDecoded(dst, raw []byte) []byte {
	for {
		i := bytes.IndexByte(raw, '\\')
		if i < 0 {
			return append(dst, raw...)
		}
		dst = append(dst, raw[:i]...)
		raw = raw[i:]
		size := 2
		switch c := raw[1]; c {
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		case 'u':
			r := hex4(raw[2:])
			size = 6
			if utf16.IsSurrogate(r) {
				r = utf16.DecodeRune(r, hex4(raw[8:]))
				size = 12
			}
			dst = utf8.AppendRune(dst, r)
		default:
			dst = append(dst, c)
		}
		raw = raw[size:]
	}
}

// quoted makes dst[start:] the inside of a string, with no more escapes than JSON
// demands. It fails where that is not UTF-8.
func quoted(dst []byte, start int) ([]byte, error) {
	stop, high := plain(dst, start)
	if stop == len(dst) && high == 0 {
		return dst, nil
	}
	if !utf8.Valid(dst[start:]) {
		return nil, errAnswerUTF8
	}
	extra := 0
	for i := stop; i < len(dst); i, _ = plain(dst, i+1) {
		extra++
		if escapeOf(dst[i]) == "" {
			extra += len(`\u0000`) - len(`\n`)
		}
	}
	// From the end, so that nothing is overwritten before it has moved.
	from := len(dst)
	dst = slices.Grow(dst, extra)[:from+extra]
	to := len(dst)
	for to > from {
		from--
		c := dst[from]
		switch short := escapeOf(c); {
		case short != "":
			to -= 2
			copy(dst[to:], short)
		case c < ' ':
			const digits = "0123456789abcdef"
			to -= 6
			copy(dst[to:], `\u00`)
			dst[to+4], dst[to+5] = digits[c>>4], digits[c&15]
		default:
			to--
			dst[to] = c
		}
	}
	return dst, nil
}

// escapeOf returns the escape sequence of two characters that c needs, or none.
func escapeOf(c byte) string {
	switch c {
	case '"':
		return `\"`
	case '\\':
		return `\\`
	case '\b':
		return `\b`
	case '\f':
		return `\f`
	case '\n':
		return `\n`
	case '\r':
		return `\r`
	case '\t':
		return `\t`
	default:
		return ""
	}
}
