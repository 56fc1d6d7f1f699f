// Package mask hides most of a text and keeps the rest readable, by one-way
// rules that need no key and hold no state.
//
// # Guarantees
//
// A [Rule] never shows more characters than it was asked to keep: a value that
// is too short to hide anything of it is hidden whole. What is hidden is gone,
// each hidden character is replaced by the same fill character, and no key
// brings it back. Text that is not UTF-8 is refused and never passed on.
//
// # What it does not promise
//
// The number of characters stays visible, and so do the kept ones: four digits
// of a card number still single out one customer among ten thousand. Where
// equal values must stay comparable, or must come back, a mask is the wrong
// tool.
//
// A character is one Unicode code point. A letter that is written with
// combining marks, or an emoji joined from several, counts as many, so a cut
// can fall between a letter and its accent; nothing more is shown by that, but
// the accent may stand on the fill character. Normalize to NFC beforehand
// where this matters.
package mask

import (
	"errors"
	"fmt"
	"slices"
	"unicode"
	"unicode/utf8"
)

// Test for these with [errors.Is].
var (
	// ErrNotText means that a value is not valid UTF-8.
	ErrNotText = errors.New("mask: value is not UTF-8 text")
	// ErrNoRule means that a zero Rule was used, one that [Keep] did not make.
	ErrNoRule = errors.New("mask: zero Rule")
)

// A Rule hides a part of a text. It is made by [Keep], immutable, and safe for
// concurrent use. The zero Rule refuses every value.
type Rule struct {
	first, last int
	fill        rune // never 0 in a Rule that Keep made
}

// An Option changes how [Keep] hides.
type Option func(*Rule)

// WithFill hides behind fill instead of the default '*'. It must be a
// printable character that stands by itself, so not a combining mark.
func WithFill(fill rune) Option { return func(r *Rule) { r.fill = fill } }

// Keep returns the Rule that shows the first and the last so many characters
// of a value and hides those between. A value of first+last characters or
// fewer is hidden whole, and Keep(0, 0) hides every value whole.
//
// It fails when a number is negative or the fill character does not fit.
func Keep(first, last int, opts ...Option) (Rule, error) {
	r := Rule{first: first, last: last, fill: '*'}
	for _, opt := range opts {
		opt(&r)
	}
	switch {
	case r.first < 0 || r.last < 0:
		return Rule{}, fmt.Errorf("mask: cannot keep %d first and %d last characters", first, last)
	case !unicode.IsPrint(r.fill) || unicode.IsMark(r.fill) || r.fill == utf8.RuneError:
		return Rule{}, fmt.Errorf("mask: fill character %U is not a printable character that stands by itself", r.fill)
	}
	return r, nil
}

// Append appends the masked form of value to dst and returns the longer slice.
// The masked form has as many characters as value, which takes more bytes or
// fewer where fill and hidden characters differ in size.
//
// value is neither changed nor kept, and the result never shares memory with
// it; the room behind the length of dst must not overlap value. On an error,
// which is [ErrNotText] or [ErrNoRule], the result is dst as it was. Nothing
// is allocated when dst has the room.
func (r Rule) Append(dst, value []byte) ([]byte, error) {
	if r.fill == 0 {
		return dst, ErrNoRule
	}
	if !utf8.Valid(value) {
		return dst, ErrNotText
	}
	first, last := r.first, r.last
	count := characters(value)
	// Subtracted, not added: two huge numbers to keep must not wrap around and
	// show the value.
	if count-first <= last {
		first, last = 0, 0
	}
	head, tail := prefix(value, first), suffix(value, last)
	gap := (count - first - last) * utf8.RuneLen(r.fill)

	dst = slices.Grow(dst, len(head)+gap+len(tail))
	dst = append(dst, head...)
	dst = appendFill(dst, r.fill, gap)
	return append(dst, tail...), nil
}

// appendFill appends size bytes of repeated fill to dst, which has the room.
func appendFill(dst []byte, fill rune, size int) []byte {
	var one [utf8.UTFMax]byte
	width := utf8.EncodeRune(one[:], fill)

	start := len(dst)
	dst = dst[:start+size]
	gap := dst[start:]
	copy(gap, one[:width])
	for done := width; done < size; done *= 2 {
		copy(gap[done:], gap[:done])
	}
	return dst
}

// characters counts the code points of text, which is valid UTF-8: every byte
// but those of the form 10xxxxxx begins one. utf8.RuneCount would copy a long
// text that is not ASCII.
func characters(text []byte) int {
	n := 0
	for _, b := range text {
		if b&0xc0 != 0x80 {
			n++
		}
	}
	return n
}

// prefix returns the first n characters of text, which has at least as many.
func prefix(text []byte, n int) []byte {
	end := 0
	for range n {
		_, size := utf8.DecodeRune(text[end:])
		end += size
	}
	return text[:end]
}

// suffix returns the last n characters of text, which has at least as many.
func suffix(text []byte, n int) []byte {
	start := len(text)
	for range n {
		_, size := utf8.DecodeLastRune(text[:start])
		start -= size
	}
	return text[start:]
}
