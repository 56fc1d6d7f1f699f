package mask

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// An Option changes how a rule hides. Each constructor says which options it
// takes, and fails for others.
type Option func(*options)

type options struct {
	fill       rune
	separators string

	filled, separated bool
}

// WithFill hides behind fill instead of the default '*'. It must be a
// printable character that stands by itself, so not a combining mark.
func WithFill(fill rune) Option {
	return func(o *options) { o.fill, o.filled = fill, true }
}

// WithSeparators leaves these characters in their places and does not count
// them, so that "4111-1111" stays in two groups. Letters, digits and combining
// marks cannot be separators: leaving them would show what is to be hidden.
func WithSeparators(separators string) Option {
	return func(o *options) { o.separators, o.separated = separators, true }
}

// readFill applies the options of a rule that takes [WithFill] only.
func readFill(opts []Option) (rune, error) {
	o, err := readOptions(opts)
	if err == nil && o.separated {
		err = fmt.Errorf("mask: the separators of this rule cannot be changed")
	}
	return o.fill, err
}

func readOptions(opts []Option) (options, error) {
	o := options{fill: '*'}
	for _, opt := range opts {
		opt(&o)
	}
	if !unicode.IsPrint(o.fill) || unicode.IsMark(o.fill) || o.fill == utf8.RuneError {
		return o, fmt.Errorf("mask: fill character %U is not a printable character that stands by itself", o.fill)
	}
	if !utf8.ValidString(o.separators) {
		return o, fmt.Errorf("mask: the separators are not UTF-8")
	}
	for _, c := range o.separators {
		if unicode.IsLetter(c) || unicode.IsNumber(c) || unicode.IsMark(c) || c == utf8.RuneError {
			return o, fmt.Errorf("mask: separator %U is a letter, a digit or a mark, which would show what is to be hidden", c)
		}
	}
	if strings.ContainsRune(o.separators, o.fill) {
		return o, fmt.Errorf("mask: fill character %U is a separator too", o.fill)
	}
	return o, nil
}
