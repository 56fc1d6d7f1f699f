package avro

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"strconv"

	"github.com/fieldveil/fieldveil/schema"
)

// A number is how a program reads and writes the values of one field that is
// edited by schema.Number.
type number struct {
	kind numberKind
	size int // of numberFixed

	// Of decimals. limit is the number of bytes that are enough for every value
	// of the precision.
	precision, scale, limit int
}

type numberKind uint8

const (
	numberInt    numberKind = iota // varint of 32 bits
	numberLong                     // varint of 64 bits
	numberFloat                    // IEEE 754, 32 bits, little-endian
	numberDouble                   // the same with 64 bits
	numberBytes                    // decimal with a length before it
	numberFixed                    // decimal of size bytes
)

// numberOf returns the number that values of n are, and false for none.
//
// A decimal must be a good one: the specification has readers take it as plain
// bytes otherwise. One of more than maxPrecision digits is none here, because
// its scale alone would make a record of few bytes stand for a text without
// bound. Nor is a big-decimal, whose scale stands in the record and has no bound
// at all, nor a duration, which is three numbers.
func numberOf(n *node) (number, bool) {
	switch n.kind {
	case "int":
		return number{kind: numberInt}, true
	case "long":
		return number{kind: numberLong}, true
	case "float":
		return number{kind: numberFloat}, true
	case "double":
		return number{kind: numberDouble}, true
	}
	if !n.decimal() || n.precision < 1 || n.precision > maxPrecision || n.scale < 0 || n.scale > n.precision {
		return number{}, false
	}
	out := number{kind: numberBytes, precision: n.precision, scale: n.scale, limit: decimalBytes(n.precision)}
	if n.kind == "fixed" {
		out.kind, out.size = numberFixed, n.size
		return out, out.limit <= n.size
	}
	return out, true
}

// A scratch is the memory that one run needs for numbers. It belongs to the
// run alone, so that the text of a value shares nothing with src or dst.
type scratch struct {
	text  [maxPrecision + 3]byte // a sign, "0.", and the digits
	words [maxWords]uint64
	parts [maxParts]uint64
}

// number has the visitor append the number that stands for the one at pos, and
// encodes it in the same type. It returns the position behind the value.
func (m *machine) number(in *instr, pos int) (int, error) {
	f, s := &m.numbers[in.a], m.scratch
	text, next, err := f.read(s, m.src, pos)
	if err != nil {
		return 0, err
	}
	before := len(m.dst)
	m.dst = append(m.dst, m.src[m.mark:pos]...)
	at := len(m.dst)
	out, err := m.visitor.Visit(int(in.n), m.dst, slices.Clip(text))
	// A visitor that kept it would see another value there later on.
	clear(text)
	if err != nil {
		if m.back && errors.Is(err, schema.ErrKeep) {
			m.dst = m.dst[:before]
			return next, nil
		}
		return 0, err
	}
	if out, err = f.write(s, out, at); err != nil {
		return 0, err
	}
	m.dst, m.mark = out, next
	return next, nil
}

// read returns the text of the number at pos, which lies in s, and the position
// behind it.
func (f *number) read(s *scratch, src []byte, pos int) (text []byte, next int, err error) {
	text = s.text[:0]
	switch f.kind {
	case numberInt, numberLong:
		low, high := int64(math.MinInt64), int64(math.MaxInt64)
		if f.kind == numberInt {
			low, high = math.MinInt32, math.MaxInt32
		}
		v, next, err := readVarint(src, pos, low, high)
		if err != nil {
			return nil, 0, err
		}
		if next-pos > 1 && src[next-1] == 0 {
			return nil, 0, malformed(pos, reasonMinimal)
		}
		return strconv.AppendInt(text, v, 10), next, nil
	case numberFloat:
		if len(src)-pos < 4 {
			return nil, 0, malformed(pos, reasonTruncated)
		}
		v := math.Float32frombits(binary.LittleEndian.Uint32(src[pos:]))
		return appendFloat(text, float64(v), 32), pos + 4, nil
	case numberDouble:
		if len(src)-pos < 8 {
			return nil, 0, malformed(pos, reasonTruncated)
		}
		v := math.Float64frombits(binary.LittleEndian.Uint64(src[pos:]))
		return appendFloat(text, v, 64), pos + 8, nil
	case numberBytes:
		size, start, err := readLength(src, pos)
		if err != nil {
			return nil, 0, err
		}
		if start-pos > 1 && src[start-1] == 0 {
			return nil, 0, malformed(pos, reasonMinimal)
		}
		text, ok := f.readDecimal(s, src[start:start+size])
		if !ok {
			return nil, 0, malformed(pos, reasonPrecision)
		}
		return text, start + size, nil
	case numberFixed:
		if len(src)-pos < f.size {
			return nil, 0, malformed(pos, reasonTruncated)
		}
		text, ok := f.readDecimal(s, src[pos:pos+f.size])
		if !ok {
			return nil, 0, malformed(pos, reasonPrecision)
		}
		return text, pos + f.size, nil
	default:
		panic("avro: unknown kind of number") //nolint:forbidigo // numberOf makes no others
	}
}

// write puts the number that dst[at:] is the text of in its place.
func (f *number) write(s *scratch, dst []byte, at int) ([]byte, error) {
	text := dst[at:]
	switch f.kind {
	case numberInt, numberLong:
		bits := 64
		if f.kind == numberInt {
			bits = 32
		}
		v, ok := parseInteger(s, text, bits)
		if !ok {
			return nil, schema.ErrNumber
		}
		return binary.AppendVarint(dst[:at], v), nil
	case numberFloat:
		v, ok := parseFloat(text, 32)
		if !ok {
			return nil, schema.ErrNumber
		}
		b := math.Float32bits(float32(v))
		if math.IsNaN(v) {
			b = canonicalNaN32
		}
		return binary.LittleEndian.AppendUint32(dst[:at], b), nil
	case numberDouble:
		v, ok := parseFloat(text, 64)
		if !ok {
			return nil, schema.ErrNumber
		}
		b := math.Float64bits(v)
		if math.IsNaN(v) {
			b = canonicalNaN64
		}
		return binary.LittleEndian.AppendUint64(dst[:at], b), nil
	case numberBytes, numberFixed:
		words, negative, ok := f.parseDecimal(s, text)
		if !ok {
			return nil, schema.ErrNumber
		}
		size := twosSize(words, negative)
		dst = dst[:at]
		if f.kind == numberFixed {
			size = f.size // which the precision fits
		} else {
			dst = binary.AppendVarint(dst, int64(size))
		}
		return appendTwos(dst, words, negative, size), nil
	default:
		panic("avro: unknown kind of number") //nolint:forbidigo // numberOf makes no others
	}
}

// The one encoding that is written for what is no number, that of Java. Others
// are only read: their payload could hold anything.
const (
	canonicalNaN32 = 0x7fc00000
	canonicalNaN64 = 0x7ff8000000000000
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

// parseInteger reads an integer of 32 or 64 bits.
func parseInteger(s *scratch, text []byte, bits int) (int64, bool) {
	n, ok := readNumeral(text)
	if !ok {
		return 0, false
	}
	words, ok := n.unscaled(s, 0, maxInt64Digits)
	if !ok {
		return 0, false
	}
	limit, size := uint64(1)<<(bits-1), uint64(0)
	if len(words) > 0 {
		size = words[0] // 19 digits fit one word
	}
	switch {
	case n.negative && size <= limit:
		return -int64(size), true // the least one is its own negative
	case !n.negative && size < limit:
		return int64(size), true
	}
	return 0, false
}

const maxInt64Digits = 19

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
