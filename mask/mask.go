// Package mask makes values say less: it hides parts of texts, generalises
// numbers, and cuts times short, by one-way rules that need no key and hold no
// state.
//
// # Guarantees
//
// A [Rule] never shows more than it was asked to keep, and what it hides does
// not influence what it writes: no key brings it back. A value that is too short
// to hide anything of it is hidden whole. A value that does not have the form
// that a rule is for, such as a letter in a card number, an impossible date or
// text that is not UTF-8, is refused and never passed on, and no error holds
// anything of it. Only [Keep], [Redact] and the like, which take any text, and
// [Replace], which is for free text, accept every form.
//
// Every rule works in time linear in the value ([Replace] says how it is bounded)
// and allocates nothing when there is room for the result; [Replace] alone
// allocates.
//
// # What it does not promise
//
// What is kept stays readable: four digits of a card number still single out
// one customer among ten thousand, and a postal code with a year of birth may
// single out one person. Where a rule writes one fill character for each hidden
// one, the number of characters stays visible too; each rule says what it
// leaves. Where equal values must stay comparable, or must come back, a mask is
// the wrong tool.
//
// Checksums are not verified, and no rule knows whether a number was ever given
// to anyone: a mistyped card number is hidden like a good one.
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
	"unicode/utf8"
)

// Test for these with [errors.Is].
var (
	// ErrNotText means that a value is not valid UTF-8.
	ErrNotText = errors.New("mask: value is not UTF-8 text")
	// ErrValue means that a value does not have the form that the rule is for,
	// or that the result would not fit it. The text of the error says which
	// form, and never holds the value.
	ErrValue = errors.New("mask: value does not fit the rule")
	// ErrNoRule means that a zero Rule or a zero Shift was used.
	ErrNoRule = errors.New("mask: zero Rule")
)

// Kind says what kind of values a Rule takes.
type Kind uint8

// The kinds of values.
const (
	// Text is UTF-8 text.
	Text Kind = iota + 1
	// Number is a decimal number as JSON writes it, in ASCII. The result is one
	// as well.
	Number
	// Time is a point in time or a date, written as the [Layout] of the rule
	// says, and so is the result.
	Time
)

// String returns the kind as a lower-case word.
func (k Kind) String() string {
	switch k {
	case Text:
		return "text"
	case Number:
		return "number"
	case Time:
		return "time"
	default:
		return "none"
	}
}

// A Rule hides a part of a value. It is immutable and safe for concurrent use.
// The zero Rule refuses every value.
type Rule struct {
	body  body
	takes Kind
}

// A body is what a kind of rule does. It appends to dst, or fails before it has
// written anything behind it.
type body interface {
	append(dst, value []byte) ([]byte, error)
}

// Takes returns the kind of values that the rule is for, and zero for a zero
// Rule.
func (r Rule) Takes() Kind { return r.takes }

// Append appends what the rule leaves of value to dst and returns the longer
// slice.
//
// value is neither changed nor kept, and the result never shares memory with
// it; the room behind the length of dst must not overlap value. On an error,
// which is [ErrNotText], [ErrValue] or [ErrNoRule], the result is dst as it was.
// Nothing is allocated when dst has the room, except by [Replace].
func (r Rule) Append(dst, value []byte) ([]byte, error) {
	if r.body == nil {
		return dst, ErrNoRule
	}
	out, err := r.body.append(dst, value)
	if err != nil {
		return dst, refusal(err, value)
	}
	return out, nil
}

// refusal tells text of a wrong form from what is no text at all.
func refusal(err error, value []byte) error {
	if !utf8.Valid(value) {
		return ErrNotText
	}
	return err
}

// misfit returns the error for a value that is not a what.
func misfit(what string) error {
	return fmt.Errorf("%w: not %s", ErrValue, what)
}
