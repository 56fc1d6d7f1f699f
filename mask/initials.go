package mask

import (
	"unicode"
	"unicode/utf8"
)

// Initials returns the Text rule for names of persons. It writes the first
// letter of each word and a dot: "Johannes van der Berg" becomes "J. v. d. B.".
// Words are what stands between white space; one without a letter is left out. A
// word of one letter would be shown whole and becomes a fill character and a dot,
// unless a dot shows that it is an initial already. A fill character in the value
// counts as a letter. The option is [WithFill].
//
// The number of words stays visible. A value without any letter is refused,
// except an empty one.
func Initials(opts ...Option) (Rule, error) {
	fill, err := readFill(opts)
	if err != nil {
		return Rule{}, err
	}
	return Rule{initials{fill}, Text}, nil
}

var errInitials = misfit("a name, which has letters")

type initials struct{ fill rune }

func (r initials) append(dst, value []byte) ([]byte, error) {
	if !utf8.Valid(value) {
		return dst, ErrNotText
	}
	if len(value) == 0 {
		return dst, nil
	}
	start := len(dst)
	var w word
	for i := 0; i < len(value); {
		b := value[i]
		if isLetter(b) {
			w.letter(rune(b))
			i++
			continue
		}
		c, size := decode(value, i)
		i += size
		switch {
		case c == ' ' || unicode.IsSpace(c):
			dst = w.appendTo(dst, start, r.fill)
			w = word{}
		case c == '.':
			w.dotted = w.letters > 0
		case c == r.fill, c >= utf8.RuneSelf && unicode.IsLetter(c):
			w.letter(c)
		}
	}
	dst = w.appendTo(dst, start, r.fill)
	if len(dst) == start {
		return dst, errInitials
	}
	return dst, nil
}

// A word is what stands between white space.
type word struct {
	first   rune // letter
	letters int
	dotted  bool // a dot stands behind a letter
}

func (w *word) letter(c rune) {
	if w.letters == 0 {
		w.first = c
	}
	w.letters++
}

// appendTo appends the initial of w to dst, in which those of the words before it
// begin at start.
func (w *word) appendTo(dst []byte, start int, fill rune) []byte {
	if w.letters == 0 {
		return dst
	}
	if len(dst) > start {
		dst = append(dst, ' ')
	}
	c := w.first
	if w.letters == 1 && !w.dotted {
		c = fill
	}
	return append(appendRune(dst, c), '.')
}
