package rest

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// special has the high bit of each byte of w set that is a quote, a backslash
// or a control character. Bits above the first one set may be wrong, so only the
// lowest counts.
func special(w uint64) uint64 {
	quote := w ^ ('"' * ones)
	slash := w ^ ('\\' * ones)
	return ((quote-ones)&^quote | (slash-ones)&^slash | (w-0x20*ones)&^w) & highs
}

// longText is after how many words a string is long enough for plainRun.
const longText = 4

// plainRun returns how many bytes there are before the next quote, and 0 where one
// of them is more than a letter. Long texts, such as base64, mostly have none.
func plainRun(b []byte) int {
	n := bytes.IndexByte(b, '"')
	if n < 0 || bytes.IndexByte(b[:n], '\\') >= 0 {
		return 0
	}
	run := b[:n]
	for ; len(run) >= 32; run = run[32:] {
		w0, w1 := binary.LittleEndian.Uint64(run), binary.LittleEndian.Uint64(run[8:])
		w2, w3 := binary.LittleEndian.Uint64(run[16:]), binary.LittleEndian.Uint64(run[24:])
		if (control(w0)|control(w1)|control(w2)|control(w3))&highs != 0 {
			return 0
		}
	}
	return n - len(run)
}

// control has the high bit of a byte of w set if one of them is a control
// character.
func control(w uint64) uint64 { return (w - 0x20*ones) &^ w }

// text moves behind the string that begins here.
func (s *scanner) text() (escaped bool, f fault) {
	b, i := s.b, s.i+1
	for words := 0; ; {
		for len(b)-i >= 8 {
			if m := special(binary.LittleEndian.Uint64(b[i:])); m != 0 {
				i += bits.TrailingZeros64(m) >> 3
				break
			}
			i += 8
			words++
			if words == longText {
				i += plainRun(b[i:])
			}
		}
		if i >= len(b) {
			return false, faultSyntax
		}
		switch c := b[i]; {
		case c == '"':
			s.i = i + 1
			return escaped, faultNone
		case c == '\\':
			escaped = true
			n, f := escapeLength(b[i:])
			if f != faultNone {
				return false, f
			}
			i += n
		case c < 0x20:
			return false, faultSyntax
		default: // only in the last bytes, where no whole word is left
			i++
		}
	}
}

// escapeLength returns how many bytes the escape at the start of b takes; two
// escapes that are one character count as one.
func escapeLength(b []byte) (int, fault) {
	if len(b) < 2 {
		return 0, faultSyntax
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2, faultNone
	case 'u':
	default:
		return 0, faultSyntax
	}
	r, ok := hex4(b[2:])
	switch {
	case !ok:
		return 0, faultSyntax
	case r < 0xd800 || r > 0xdfff:
		return 6, faultNone
	case r >= 0xdc00 || len(b) < 12 || b[6] != '\\' || b[7] != 'u':
		return 0, faultSurrogate
	}
	low, ok := hex4(b[8:])
	if !ok || low < 0xdc00 || low > 0xdfff {
		return 0, faultSurrogate
	}
	return 12, faultNone
}

func hex4(b []byte) (rune, bool) {
	if len(b) < 4 {
		return 0, false
	}
	var r rune
	for _, c := range b[:4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// unescape appends the text of a string, without its quotes, whose escapes have
// been checked. What it appends is never longer than what it has read, so dst
// may be src[:0].
func unescape(dst, src []byte) []byte {
	for {
		at := bytes.IndexByte(src, '\\')
		if at < 0 || at+1 >= len(src) {
			return append(dst, src...)
		}
		dst = append(dst, src[:at]...)
		c := src[at+1]
		src = src[at+2:]
		switch c {
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
			r, _ := hex4(src)
			src = src[4:]
			if r >= 0xd800 && r <= 0xdbff {
				low, _ := hex4(src[2:])
				src = src[6:]
				r = (r-0xd800)<<10 + (low - 0xdc00) + 0x10000
			}
			dst = utf8.AppendRune(dst, r)
		default:
			dst = append(dst, c)
		}
	}
}

// compact appends JSON that has been checked, without white space. dst may be
// src[:0].
func compact(dst, src []byte) []byte {
	for i := 0; i < len(src); {
		switch c := src[i]; c {
		case ' ', '\t', '\n', '\r':
			i++
		case '"':
			s := scanner{b: src, i: i}
			_, _ = s.text()
			dst = append(dst, src[i:s.i]...)
			i = s.i
		default:
			dst = append(dst, c)
			i++
		}
	}
	return dst
}
