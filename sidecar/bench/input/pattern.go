package input

import (
	"errors"
	"regexp/syntax"
	"strings"
	"unicode"
)

var errPattern = errors.New("a pattern that cannot be followed")

// maxRepeat bounds repeats that a pattern leaves open, and maxMatch what comes of
// repeats within repeats.
const (
	maxRepeat = 8
	maxMatch  = 4096
)

// matching returns a text that the expression matches as a whole. It knows nothing
// of word boundaries: whoever asks looks whether the text matches.
func (m *maker) matching(expression string) (string, error) {
	re, err := syntax.Parse(expression, syntax.Perl)
	if err != nil {
		return "", errPattern
	}
	var b strings.Builder
	if err := m.match(&b, re); err != nil {
		return "", err
	}
	return b.String(), nil
}

func (m *maker) match(b *strings.Builder, re *syntax.Regexp) error {
	if b.Len() > maxMatch {
		return errPattern
	}
	switch re.Op {
	case syntax.OpNoMatch:
		return errPattern
	case syntax.OpLiteral:
		for _, r := range re.Rune {
			b.WriteRune(r)
		}
	case syntax.OpCharClass:
		return m.class(b, re.Rune)
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		b.WriteRune('a' + m.r.Int32N(26))
	case syntax.OpCapture, syntax.OpConcat:
		for _, sub := range re.Sub {
			if err := m.match(b, sub); err != nil {
				return err
			}
		}
	case syntax.OpAlternate:
		return m.match(b, re.Sub[m.n(0, len(re.Sub)-1)])
	case syntax.OpStar:
		return m.repeat(b, re.Sub[0], 0, maxRepeat)
	case syntax.OpPlus:
		return m.repeat(b, re.Sub[0], 1, maxRepeat)
	case syntax.OpQuest:
		return m.repeat(b, re.Sub[0], 0, 1)
	case syntax.OpRepeat:
		most := re.Max
		if most < 0 {
			most = re.Min + maxRepeat
		}
		return m.repeat(b, re.Sub[0], re.Min, most)
	default: // what matches no character
	}
	return nil
}

func (m *maker) repeat(b *strings.Builder, re *syntax.Regexp, least, most int) error {
	for range m.n(least, most) {
		if err := m.match(b, re); err != nil {
			return err
		}
	}
	return nil
}

// class writes a character of a class, a plain one if there is any: classes that
// are negated hold characters of all scripts, and controls.
func (m *maker) class(b *strings.Builder, ranges []rune) error {
	if len(ranges) == 0 {
		return errPattern
	}
	var plain [][2]rune
	for i := 0; i+1 < len(ranges); i += 2 {
		if lo, hi := max(ranges[i], '!'), min(ranges[i+1], '~'); lo <= hi {
			plain = append(plain, [2]rune{lo, hi})
		}
	}
	if len(plain) > 0 {
		for range 8 {
			one := plain[m.r.IntN(len(plain))]
			r := rune(m.n(int(one[0]), int(one[1]))) //nolint:gosec // a character of ASCII
			if unicode.IsLetter(r) || unicode.IsDigit(r) || one[0] == one[1] {
				b.WriteRune(r)
				return nil
			}
		}
		b.WriteRune(plain[0][0])
		return nil
	}
	b.WriteRune(ranges[0])
	return nil
}
