package protobuf

import (
	"math"
	"strconv"
)

// Words for what JSON has no number for.
const (
	wordNaN      = "NaN"
	wordInfinity = "Infinity"
	wordNegative = "-Infinity"
)

// appendFloat appends the shortest text that reads as v again, spelled as
// ECMAScript and encoding/json do.
func appendFloat(dst []byte, v float64, bits int) []byte {
	switch {
	case math.IsNaN(v):
		return append(dst, wordNaN...)
	case math.IsInf(v, 1):
		return append(dst, wordInfinity...)
	case math.IsInf(v, -1):
		return append(dst, wordNegative...)
	}
	format, abs := byte('f'), math.Abs(v)
	if bits == 32 {
		if abs != 0 && (float32(abs) < 1e-6 || float32(abs) >= 1e21) {
			format = 'e'
		}
	} else if abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	dst = strconv.AppendFloat(dst, v, format, -1, bits)
	// e-09 is e-9.
	if n := len(dst); format == 'e' && dst[n-4] == 'e' && dst[n-2] == '0' {
		dst[n-2] = dst[n-1]
		dst = dst[:n-1]
	}
	return dst
}

// parseFloat reads a number, rounded to what bits can hold, or one of the words.
// What is too large is refused. It allocates for texts of more than 32 bytes.
func parseFloat(text []byte, bits int) (float64, bool) {
	switch string(text) {
	case wordNaN:
		return math.NaN(), true
	case wordInfinity:
		return math.Inf(1), true
	case wordNegative:
		return math.Inf(-1), true
	}
	if _, ok := readNumeral(text); !ok {
		return 0, false
	}
	v, err := strconv.ParseFloat(string(text), bits)
	return v, err == nil
}

// A numeral is a number as JSON writes it, cut into its parts.
type numeral struct {
	negative        bool
	whole, fraction []byte // digits
	exponent        int64
}

// maxExponent is where exponents end to grow. It is greater than texts are long,
// so that what lies behind makes no difference.
const maxExponent = 1 << 40

// readNumeral cuts a text, and tells whether it is a number in the grammar of
// RFC 8259.
func readNumeral(text []byte) (n numeral, ok bool) {
	text, n.negative = cutByte(text, '-')
	n.whole, text = cutDigits(text)
	if len(n.whole) == 0 || n.whole[0] == '0' && len(n.whole) > 1 {
		return n, false
	}
	if rest, point := cutByte(text, '.'); point {
		if n.fraction, text = cutDigits(rest); len(n.fraction) == 0 {
			return n, false
		}
	}
	if len(text) == 0 {
		return n, true
	}
	if text[0]|0x20 != 'e' {
		return n, false
	}
	rest, minus := cutByte(text[1:], '-')
	if !minus {
		rest, _ = cutByte(rest, '+')
	}
	digits, rest := cutDigits(rest)
	for _, d := range digits {
		if n.exponent < maxExponent {
			n.exponent = n.exponent*10 + int64(d-'0')
		}
	}
	if minus {
		n.exponent = -n.exponent
	}
	return n, len(digits) > 0 && len(rest) == 0
}

func cutByte(text []byte, c byte) (rest []byte, found bool) {
	if len(text) > 0 && text[0] == c {
		return text[1:], true
	}
	return text, false
}

func cutDigits(text []byte) (digits, rest []byte) {
	i := 0
	for i < len(text) && text[i]-'0' < 10 {
		i++
	}
	return text[:i], text[i:]
}

// fixed returns the size of the number as its whole part and the given count of
// digits behind the point. It fails when there is more than that, or the whole
// part is beyond 64 bits. The work is bounded by the length of the text, not by
// the exponent.
func (n *numeral) fixed(places int) (whole, part uint64, ok bool) {
	point := int64(len(n.whole)) + n.exponent // digits before it
	at := int64(0)
	for _, digits := range [2][]byte{n.whole, n.fraction} {
		for _, c := range digits {
			d := uint64(c - '0')
			switch behind := at - point; {
			case behind < 0:
				if whole, ok = timesTen(whole, d); !ok {
					return 0, 0, false
				}
			case behind < int64(places):
				for range places - 1 - int(behind) {
					d *= 10
				}
				part += d
			case d != 0:
				return 0, 0, false
			}
			at++
		}
	}
	for ; at < point && whole != 0; at++ {
		if whole, ok = timesTen(whole, 0); !ok {
			return 0, 0, false
		}
	}
	return whole, part, true
}

// timesTen puts a digit behind the others.
func timesTen(v, digit uint64) (uint64, bool) {
	if v > (math.MaxUint64-digit)/10 {
		return 0, false
	}
	return v*10 + digit, true
}

// parseSigned reads an integer of 32 or 64 bits.
func parseSigned(text []byte, bits int) (int64, bool) {
	n, ok := readNumeral(text)
	if !ok {
		return 0, false
	}
	size, _, ok := n.fixed(0)
	limit := uint64(1) << (bits - 1)
	switch {
	case !ok:
		return 0, false
	case n.negative && size <= limit:
		return int64(-size), true //nolint:gosec // the least one is its own negative
	case !n.negative && size < limit:
		return int64(size), true //nolint:gosec // below the limit
	}
	return 0, false
}

// parseUnsigned reads an integer of 32 or 64 bits without a sign. There is no
// negative one but -0.
func parseUnsigned(text []byte, bits int) (uint64, bool) {
	n, ok := readNumeral(text)
	if !ok {
		return 0, false
	}
	size, _, ok := n.fixed(0)
	return size, ok && size>>(bits-1)>>1 == 0 && (!n.negative || size == 0)
}
