package mask

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Keep returns the Text rule that shows the first and the last so many
// characters of any text and hides those between, each behind one fill
// character. A value of first+last characters or fewer is hidden whole. The
// options are [WithFill] and [WithSeparators]; separators stay in their places,
// are not counted, and show.
//
// It fails when a number is negative or an option does not fit.
func Keep(first, last int, opts ...Option) (Rule, error) {
	o, err := readOptions(opts)
	if err != nil {
		return Rule{}, err
	}
	if first < 0 || last < 0 {
		return Rule{}, fmt.Errorf("mask: cannot keep %d first and %d last characters", first, last)
	}
	if o.separators == "" {
		return Rule{keep{first: first, last: last, fill: o.fill}, Text}, nil
	}
	return Rule{newKeepGroups(first, last, o), Text}, nil
}

// Redact returns the Text rule that hides every character of any text behind
// one fill character each. Only the number of characters stays visible, and
// separators with [WithSeparators].
func Redact(opts ...Option) (Rule, error) { return Keep(0, 0, opts...) }

// maxRedactTo bounds what [RedactTo] writes.
const maxRedactTo = 1024

// RedactTo returns the Text rule that writes n fill characters, at most 1024, in
// the place of any text, so that not even its length stays visible. The option
// is [WithFill].
func RedactTo(n int, opts ...Option) (Rule, error) {
	fill, err := readFill(opts)
	if err != nil {
		return Rule{}, err
	}
	if n < 0 || n > maxRedactTo {
		return Rule{}, fmt.Errorf("mask: cannot redact to %d characters: 0 to %d are possible", n, maxRedactTo)
	}
	return Rule{constant(strings.Repeat(string(fill), n)), Text}, nil
}

// Constant returns the Text rule that writes text, such as "[redacted]", in the
// place of any text. Nothing of the value stays visible. It fails when text is
// not UTF-8.
func Constant(text string) (Rule, error) {
	if !utf8.ValidString(text) {
		return Rule{}, fmt.Errorf("mask: the constant is not UTF-8")
	}
	return Rule{constant(text), Text}, nil
}

type constant string

func (c constant) append(dst, value []byte) ([]byte, error) {
	if !utf8.Valid(value) {
		return dst, ErrNotText
	}
	return append(dst, c...), nil
}

// keep hides all but the ends of a text.
type keep struct {
	first, last int
	fill        rune
}

func (k keep) append(dst, value []byte) ([]byte, error) {
	count, ok := characters(value)
	if !ok {
		return dst, ErrNotText
	}
	first, last := ends(count, k.first, k.last)
	head, tail := first, len(value)-last // in bytes, when each character is one
	if count != len(value) {
		head, tail = after(value, first), before(value, last)
	}
	gap := (count - first - last) * utf8.RuneLen(k.fill)

	dst = slices.Grow(dst, head+gap+len(value)-tail)
	dst = append(dst, value[:head]...)
	dst = appendFill(dst, k.fill, gap)
	return append(dst, value[tail:]...), nil
}

// ends returns how many of count characters are kept at both ends: those asked
// for, or none when that would leave nothing to hide.
func ends(count, first, last int) (int, int) {
	// Subtracted, not added: two huge numbers to keep must not wrap around and
	// show the value.
	if count-first <= last {
		return 0, 0
	}
	return first, last
}

// keepGroups is keep with separators.
type keepGroups struct {
	first, last int
	fill        rune
	ascii       [2]uint64 // separators below 128, as bits
	others      string    // and the rest
}

func newKeepGroups(first, last int, o options) *keepGroups {
	k := &keepGroups{first: first, last: last, fill: o.fill}
	for _, c := range o.separators {
		if c < utf8.RuneSelf {
			k.ascii[c>>6] |= 1 << (c & 63)
		} else {
			k.others += string(c)
		}
	}
	return k
}

func (k *keepGroups) separates(c rune) bool {
	if c < utf8.RuneSelf {
		return k.ascii[c>>6]>>(c&63)&1 != 0
	}
	return k.others != "" && strings.ContainsRune(k.others, c)
}

func (k *keepGroups) append(dst, value []byte) ([]byte, error) {
	count, ok := characters(value)
	if !ok {
		return dst, ErrNotText
	}
	if count == len(value) && k.fill < utf8.RuneSelf {
		return k.appendASCII(dst, value), nil
	}
	count, seps := 0, 0
	for i := 0; i < len(value); {
		c, size := decode(value, i)
		if k.separates(c) {
			seps += size
		} else {
			count++
		}
		i += size
	}
	first, last := ends(count, k.first, k.last)
	n := 0
	for i := 0; i < len(value); {
		c, size := decode(value, i)
		switch {
		case k.separates(c):
			dst = append(dst, value[i:i+size]...)
		case n >= first && n < count-last:
			dst = appendRune(dst, k.fill)
			n++
		default:
			dst = append(dst, value[i:i+size]...)
			n++
		}
		i += size
	}
	return dst, nil
}

// appendASCII is append for values and fill characters that are ASCII.
func (k *keepGroups) appendASCII(dst, value []byte) []byte {
	low, high := k.ascii[0], k.ascii[1]
	count := len(value)
	for _, b := range value {
		if in(low, high, b) {
			count--
		}
	}
	first, last := ends(count, k.first, k.last)
	start := len(dst)
	dst = append(dst, value...)
	out := dst[start:]
	n := 0
	for i, b := range out {
		if in(low, high, b) {
			continue
		}
		if n >= first && n < count-last {
			out[i] = byte(k.fill) //nolint:gosec // ASCII
		}
		n++
	}
	return dst
}

// decode returns the character at i and its size.
func decode(text []byte, i int) (rune, int) {
	if text[i] < utf8.RuneSelf {
		return rune(text[i]), 1
	}
	return utf8.DecodeRune(text[i:])
}

// appendRune is utf8.AppendRune, inlined for ASCII.
func appendRune(dst []byte, c rune) []byte {
	if c < utf8.RuneSelf {
		return append(dst, byte(c)) //nolint:gosec // ASCII
	}
	return utf8.AppendRune(dst, c)
}

// appendFill appends size bytes of repeated fill to dst, which has the room.
func appendFill(dst []byte, fill rune, size int) []byte {
	start := len(dst)
	dst = dst[:start+size]
	gap := dst[start:]
	if fill < utf8.RuneSelf && size <= 32 {
		for i := range gap {
			gap[i] = byte(fill) //nolint:gosec // ASCII
		}
		return dst
	}
	var one [utf8.UTFMax]byte
	width := utf8.EncodeRune(one[:], fill)
	copy(gap, one[:width])
	for done := width; done < size; done *= 2 {
		copy(gap[done:], gap[:done])
	}
	return dst
}

// appendFills appends n fill characters to dst.
func appendFills(dst []byte, fill rune, n int) []byte {
	for range n {
		dst = appendRune(dst, fill)
	}
	return dst
}

// characters counts the code points of text, and tells whether it is UTF-8, as
// utf8.RuneCount and utf8.Valid do in two passes. The first would copy a long
// text that is not ASCII.
func characters(text []byte) (n int, ok bool) {
	for i := 0; i < len(text); n++ {
		b := text[i]
		switch {
		case b < utf8.RuneSelf:
			for i+8 <= len(text) && binary.LittleEndian.Uint64(text[i:])&0x8080808080808080 == 0 {
				i += 8
				n += 8
			}
			if i == len(text) {
				return n, true
			}
			if text[i] < utf8.RuneSelf {
				i++
			} else {
				n-- // counted when the loop comes to it
			}
		case b >= 0xc2 && b < 0xe0 && i+1 < len(text) && text[i+1]&0xc0 == 0x80:
			i += 2 // two bytes, the next most common
		default:
			_, size := utf8.DecodeRune(text[i:])
			if size == 1 {
				return 0, false
			}
			i += size
		}
	}
	return n, true
}

// after returns where the first n characters of text, which has as many, end.
func after(text []byte, n int) int {
	end := 0
	for range n {
		_, size := utf8.DecodeRune(text[end:])
		end += size
	}
	return end
}

// before returns where the last n characters of text, which has as many, begin.
func before(text []byte, n int) int {
	start := len(text)
	for range n {
		_, size := utf8.DecodeLastRune(text[:start])
		start -= size
	}
	return start
}
