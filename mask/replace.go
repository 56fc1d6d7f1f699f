package mask

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"unicode/utf8"
)

// The bounds of [Replace].
const (
	maxReplacement = 1024    // bytes of the text that is put in
	maxReplaced    = 1 << 20 // bytes that a value may grow by
	// maxSearch bounds what matches cost beyond one pass over the value: a step
	// looks at one character in one state of the expression.
	maxSearch = 1 << 26
)

// Replace returns the Text rule for free text: everything that re matches is
// replaced by text, at most 1024 bytes, which is put in as it stands: "$1" has no
// meaning, since it would put back what is to be hidden.
//
// What re does not match passes, also when it matches nothing: this rule is for
// text in which something may stand, and it is only as good as re. A value that
// must have a form needs the rule of that form.
//
// re must not match the empty text. One search takes time linear in the value, but
// each match may look as far ahead as re can reach, in as many states as it has. A
// value with so many matches that this comes to more than 2^26 steps, about a
// second, is refused. An expression without an upper bound on the length of its
// matches reaches over all of the value: to write {1,50} rather than + lifts the
// number of matches. A value that would grow by more than 1 MiB is refused too.
// Memory is allocated in proportion to the matches and to what is written.
func Replace(re *regexp.Regexp, text string) (Rule, error) {
	if re == nil {
		return Rule{}, errors.New("mask: no regular expression")
	}
	if len(text) > maxReplacement || !utf8.ValidString(text) {
		return Rule{}, fmt.Errorf("mask: the text to put in must be UTF-8 of at most %d bytes", maxReplacement)
	}
	tree, err := syntax.Parse(re.String(), syntax.Perl)
	if err != nil {
		// One of POSIX syntax that Perl's does not know.
		if tree, err = syntax.Parse(re.String(), syntax.POSIX); err != nil {
			return Rule{}, errors.New("mask: not a regular expression")
		}
	}
	shortest, longest := matchLength(tree)
	if shortest == 0 {
		return Rule{}, errors.New("mask: the regular expression matches the empty text, which is everywhere")
	}
	program, err := syntax.Compile(tree.Simplify())
	if err != nil {
		return Rule{}, errors.New("mask: not a regular expression")
	}
	return Rule{&replace{re: re, text: text, reach: longest + 1, states: len(program.Inst)}, Text}, nil
}

var (
	errMatches = fmt.Errorf("%w: too many matches of an expression that reaches far ahead", ErrValue)
	errGrowth  = fmt.Errorf("%w: replacing would make it too long", ErrValue)
)

type replace struct {
	re     *regexp.Regexp
	text   string
	reach  int // characters that a match looks at, at most
	states int
}

func (r *replace) append(dst, value []byte) ([]byte, error) {
	if !utf8.Valid(value) {
		return dst, ErrNotText
	}
	most := maxReplaced
	if r.text != "" {
		most = maxReplaced / len(r.text)
	}
	// A match takes at least one byte away, so that a text of one byte or none
	// never makes a value longer.
	fault := errGrowth
	if len(r.text) <= 1 {
		most = len(value)
	}
	if search := maxSearch / (max(1, min(r.reach, len(value))) * r.states); search < most {
		most, fault = search, errMatches
	}
	matches := r.re.FindAllIndex(value, most+1)
	if len(matches) > most {
		return dst, fault
	}
	from := 0
	for _, m := range matches {
		dst = append(dst, value[from:m[0]]...)
		dst = append(dst, r.text...)
		from = m[1]
	}
	return append(dst, value[from:]...), nil
}

// unbounded stands for a match of any length. Sums and products of it are kept
// from overflowing by the same bound.
const unbounded = 1 << 20

// matchLength returns the least and the most characters that tree can match.
func matchLength(tree *syntax.Regexp) (shortest, longest int) {
	switch tree.Op {
	case syntax.OpNoMatch:
		return 1, 1
	case syntax.OpLiteral:
		return len(tree.Rune), len(tree.Rune)
	case syntax.OpCharClass, syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return 1, 1
	case syntax.OpCapture:
		return matchLength(tree.Sub[0])
	case syntax.OpStar:
		return 0, unbounded
	case syntax.OpPlus:
		shortest, _ = matchLength(tree.Sub[0])
		return shortest, unbounded
	case syntax.OpQuest:
		_, longest = matchLength(tree.Sub[0])
		return 0, longest
	case syntax.OpRepeat:
		shortest, longest = matchLength(tree.Sub[0])
		if tree.Max < 0 {
			return tree.Min * shortest, unbounded
		}
		return tree.Min * shortest, min(tree.Max*longest, unbounded)
	case syntax.OpConcat:
		for _, sub := range tree.Sub {
			s, l := matchLength(sub)
			shortest += s
			longest = min(longest+l, unbounded)
		}
		return shortest, longest
	case syntax.OpAlternate:
		shortest = unbounded
		for _, sub := range tree.Sub {
			s, l := matchLength(sub)
			shortest, longest = min(shortest, s), max(longest, l)
		}
		return shortest, longest
	default: // what matches between characters, and the empty expression
		return 0, 0
	}
}
