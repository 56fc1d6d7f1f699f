package tokenize

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

// An Alphabet is the characters that a value is written in, each once, in the
// order that numbers them: the first one is zero. A character is one Unicode
// code point. Those below are ready; [NewAlphabet] checks others.
//
// The order is part of what a token means: the same letters in another order
// give other tokens.
type Alphabet string

// Alphabets. Upper and lower case are different characters.
const (
	Digits     Alphabet = "0123456789"
	Lower      Alphabet = "abcdefghijklmnopqrstuvwxyz"
	Upper      Alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	Letters             = Upper + Lower
	AlnumLower          = Digits + Lower
	AlnumUpper          = Digits + Upper
	Alnum               = Digits + Upper + Lower
	Hex        Alphabet = Digits + "abcdef"
	HexUpper   Alphabet = Digits + "ABCDEF"
)

// Limits of an Alphabet, in characters.
const (
	MinAlphabet = 2
	MaxAlphabet = 1 << 16
)

var (
	errAlphabetText   = errors.New("tokenize: alphabet or separators are not UTF-8")
	errAlphabetSize   = fmt.Errorf("tokenize: alphabet does not have %d to %d characters", MinAlphabet, MaxAlphabet)
	errAlphabetRepeat = errors.New("tokenize: character is twice in alphabet and separators")
)

// NewAlphabet returns the characters of chars as an Alphabet. It fails when
// chars is not UTF-8, repeats a character, or does not have between MinAlphabet
// and MaxAlphabet of them.
func NewAlphabet(chars string) (Alphabet, error) {
	a := Alphabet(chars)
	if _, err := newCoder(a, ""); err != nil {
		return "", err
	}
	return a, nil
}

// Len returns the number of characters, the radix of a number written in them.
func (a Alphabet) Len() int { return utf8.RuneCountInString(string(a)) }

// What a coder says of a character that has no number.
const (
	separator = -1
	outside   = -2
	// wide says that one byte does not tell.
	wide = -3
)

// A coder turns characters into their numbers and back. It is immutable.
type coder struct {
	radix int
	// ascii has the ASCII characters, and wide for all bytes beyond.
	ascii [256]int32
	// others are all characters beyond ASCII. Their order is not that of code
	// points, so that a table would be as large as Unicode.
	others map[rune]int32
	// chars are the characters by number. Where all of them are ASCII, bytes has
	// them too.
	chars []rune
	bytes []byte
}

func newCoder(a Alphabet, separators string) (*coder, error) {
	if !utf8.ValidString(string(a)) || !utf8.ValidString(separators) {
		return nil, errAlphabetText
	}
	c := &coder{chars: []rune(string(a)), others: map[rune]int32{}}
	c.radix = len(c.chars)
	if c.radix < MinAlphabet || c.radix > MaxAlphabet {
		return nil, errAlphabetSize
	}
	for i := range c.ascii {
		c.ascii[i] = outside
		if i >= utf8.RuneSelf {
			c.ascii[i] = wide
		}
	}
	for i, r := range c.chars {
		if !c.add(r, int32(i)) {
			return nil, errAlphabetRepeat
		}
	}
	for _, r := range separators {
		if !c.add(r, separator) {
			return nil, errAlphabetRepeat
		}
	}
	if len(a) == c.radix {
		c.bytes = []byte(a)
	}
	return c, nil
}

// add gives r the number n, unless it has one.
func (c *coder) add(r rune, n int32) bool {
	if c.number(r) != outside {
		return false
	}
	if r < utf8.RuneSelf {
		c.ascii[r] = n
	} else {
		c.others[r] = n
	}
	return true
}

// number returns the number of r, separator or outside.
func (c *coder) number(r rune) int32 {
	if r < utf8.RuneSelf {
		return c.ascii[r]
	}
	if n, ok := c.others[r]; ok {
		return n
	}
	return outside
}

// next returns the number and the size of the first character of p, of whose
// first byte the table says that it is wide.
func (c *coder) next(p []byte) (n int32, size int) {
	r, size := utf8.DecodeRune(p)
	if r == utf8.RuneError && size == 1 { // not UTF-8
		return outside, 1
	}
	return c.number(r), size
}

// numerals appends the numbers of value to x. It fails, with nothing appended,
// on a character that is neither in the alphabet nor a separator, and when more
// than most numbers come out.
func (c *coder) numerals(x []uint16, value []byte, most int) ([]uint16, error) {
	start := len(x)
	for len(value) > 0 {
		n, size := c.ascii[value[0]], 1
		if n == wide {
			n, size = c.next(value)
		}
		value = value[size:]
		switch {
		case n >= 0 && len(x)-start < most:
			x = append(x, uint16(n)) //nolint:gosec // below the radix
		case n >= 0:
			return x[:start], errLong
		case n == outside:
			return x[:start], errOutside
		}
	}
	return x, nil
}

// text appends x to dst, written in the alphabet, with the separators that
// value has where value has them. Value is one that numerals took, and x has
// the length of what came out.
func (c *coder) text(dst []byte, x []uint16, value []byte) []byte {
	if len(x) == len(value) && c.bytes != nil { // no separators, one byte each
		for _, n := range x {
			dst = append(dst, c.bytes[n])
		}
		return dst
	}
	for len(value) > 0 {
		n, size := c.ascii[value[0]], 1
		if n == wide {
			n, size = c.next(value)
		}
		if n == separator {
			dst = append(dst, value[:size]...)
		} else {
			dst = utf8.AppendRune(dst, c.chars[x[0]])
			x = x[1:]
		}
		value = value[size:]
	}
	return dst
}
