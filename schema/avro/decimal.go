package avro

import (
	"math/bits"
	"slices"
	"strconv"
)

// Decimals are unscaled integers of up to maxPrecision digits. They are read and
// written in words, least significant first and the highest one not zero, in
// memory that is there already: the work grows with the square of the precision,
// and 1024 digits are 54 words.
const (
	// maxPrecision is the greatest precision that is taken as a number. Databases
	// have 1000 at most.
	maxPrecision = 1024
	maxWords     = 54 // 10^1024 < 2^(64*54)
	maxParts     = 55 // of partDigits digits; enough for 2^(64*54)

	part       = 10_000_000_000_000_000_000 // the greatest power of ten in a word
	partDigits = 19
)

const reasonPrecision = "decimal is empty or has more digits than its precision"

// decimalBytes returns the number of bytes that hold every integer of that many
// digits in two's complement.
func decimalBytes(precision int) int {
	// The length of 10^p-1 in bits is that of 10^p, which is 1+floor(p*log2(10)).
	const log2Of10 = 14_267_572_527 // times 2^32
	return (1+int(int64(precision)*log2Of10>>32))/8 + 1
}

// readDecimal returns the text of a decimal in two's complement, and false for
// one that is not within its precision. More bytes than needed are only read, so
// that they are passed over.
func (f *number) readDecimal(s *scratch, b []byte) (text []byte, ok bool) {
	if len(b) == 0 {
		return nil, false
	}
	sign := byte(0)
	if b[0] >= 0x80 {
		sign = 0xff
	}
	for len(b) > 1 && b[0] == sign && (b[1]^sign) < 0x80 {
		b = b[1:]
	}
	if len(b) > f.limit {
		return nil, false
	}
	words := s.words[:(len(b)+7)/8]
	for i := range words {
		var w uint64
		for j := range 8 {
			c := sign
			if at := len(b) - 1 - i*8 - j; at >= 0 {
				c = b[at]
			}
			w |= uint64(c) << (8 * j)
		}
		words[i] = w
	}
	text = s.text[:0]
	if sign != 0 {
		negate(words)
		text = append(text, '-')
	}
	first := len(text)
	text = s.appendWords(text, words, f.precision)
	if text == nil {
		return nil, false
	}
	return point(text, first, f.scale), true
}

// negate turns a negative number in two's complement into its magnitude.
func negate(words []uint64) {
	carry := uint64(1)
	for i, w := range words {
		words[i], carry = bits.Add64(^w, 0, carry)
	}
}

// appendWords appends the digits of a number, or returns nil when it has more
// than precision. The words are used up.
func (s *scratch) appendWords(dst []byte, words []uint64, precision int) []byte {
	n := 0
	for {
		for len(words) > 0 && words[len(words)-1] == 0 {
			words = words[:len(words)-1]
		}
		if len(words) == 0 && n > 0 {
			break
		}
		var rest uint64
		for i := len(words) - 1; i >= 0; i-- {
			words[i], rest = bits.Div64(rest, words[i], part)
		}
		s.parts[n] = rest
		n++
	}
	if (n-1)*partDigits+decimalDigits(s.parts[n-1]) > precision {
		return nil
	}
	dst = strconv.AppendUint(dst, s.parts[n-1], 10)
	for i := n - 2; i >= 0; i-- {
		at := len(dst)
		dst = dst[:at+partDigits]
		for j, v := at+partDigits-1, s.parts[i]; j >= at; j-- {
			dst[j], v = '0'+byte(v%10), v/10
		}
	}
	return dst
}

// decimalDigits counts the digits of v.
func decimalDigits(v uint64) int {
	n := 1
	for v >= 10 {
		v /= 10
		n++
	}
	return n
}

// point sets the decimal point into the digits text[first:], with at least one
// digit before it. There is room behind.
func point(text []byte, first, scale int) []byte {
	if scale == 0 {
		return text
	}
	n := len(text)
	if missing := scale + 1 - (n - first); missing > 0 {
		text = text[:n+missing]
		copy(text[first+missing:], text[first:n])
		for i := range missing {
			text[first+i] = '0'
		}
		n += missing
	}
	text = text[:n+1]
	copy(text[n-scale+1:], text[n-scale:n])
	text[n-scale] = '.'
	return text
}

// parseDecimal reads a number that the scale and the precision hold exactly.
func (f *number) parseDecimal(s *scratch, text []byte) (words []uint64, negative, ok bool) {
	n, ok := readNumeral(text)
	if !ok {
		return nil, false, false
	}
	words, ok = n.unscaled(s, f.scale, f.precision)
	return words, n.negative && len(words) > 0, ok
}

// unscaled returns the magnitude of n times 10^scale, and false when that is no
// integer or has more digits than precision.
func (n *numeral) unscaled(s *scratch, scale, precision int) ([]uint64, bool) {
	// The digits before the point, once it has moved.
	keep := int64(len(n.whole)) + n.exponent + int64(scale)
	sum := digitSum{words: s.words[:0], power: 1}
	at := int64(0)
	for _, digits := range [2][]byte{n.whole, n.fraction} {
		for _, c := range digits {
			switch d := uint64(c - '0'); {
			case at >= keep:
				if d != 0 {
					return nil, false
				}
			case d == 0 && sum.count == 0:
			case sum.count == precision:
				return nil, false
			default:
				sum.add(d)
			}
			at++
		}
	}
	if sum.count > 0 && at < keep {
		if keep-at > int64(precision-sum.count) {
			return nil, false
		}
		for range keep - at {
			sum.add(0)
		}
	}
	sum.flush()
	return sum.words, true
}

// A digitSum is a number that is made digit by digit, the highest first.
type digitSum struct {
	words []uint64
	count int    // digits so far
	part  uint64 // digits that are not in words yet
	power uint64 // ten to the number of those
}

func (d *digitSum) add(digit uint64) {
	d.part, d.power = d.part*10+digit, d.power*10
	d.count++
	if d.power == part {
		d.flush()
	}
}

func (d *digitSum) flush() {
	carry := d.part
	for i, w := range d.words {
		high, low := bits.Mul64(w, d.power)
		var c uint64
		d.words[i], c = bits.Add64(low, carry, 0)
		carry = high + c
	}
	if carry > 0 {
		d.words = append(d.words, carry)
	}
	d.part, d.power = 0, 1
}

// twosSize returns the least number of bytes of a number in two's complement.
func twosSize(words []uint64, negative bool) int {
	n := len(words)
	if n == 0 {
		return 1
	}
	length := (n-1)*64 + bits.Len64(words[n-1])
	// The least number of some length is the negative of a power of two.
	if negative && words[n-1]&(words[n-1]-1) == 0 && !slices.ContainsFunc(words[:n-1], func(w uint64) bool { return w != 0 }) {
		length--
	}
	return length/8 + 1
}

// appendTwos appends a number in two's complement of that many bytes, which are
// enough. The words are used up.
func appendTwos(dst []byte, words []uint64, negative bool, size int) []byte {
	flip := byte(0)
	if negative {
		// -n is the complement of n-1.
		flip = 0xff
		borrow := uint64(1)
		for i, w := range words {
			words[i], borrow = bits.Sub64(w, 0, borrow)
		}
	}
	for i := size - 1; i >= 0; i-- {
		c := byte(0)
		if w := i / 8; w < len(words) {
			c = byte(words[w] >> (8 * (i % 8))) //nolint:gosec // the lowest byte
		}
		dst = append(dst, c^flip)
	}
	return dst
}
