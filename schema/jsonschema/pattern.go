package jsonschema

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"

	js "github.com/santhosh-tekuri/jsonschema/v6"
)

// maxPattern bounds the length of a regular expression.
const maxPattern = 2048

// A pattern is a regular expression of a schema, which means what it means in
// ECMA-262, in Unicode mode.
type pattern struct {
	source string
	re     *regexp.Regexp
	prefix string // of everything that matches
}

// String returns the expression as it was written.
func (p *pattern) String() string { return p.source }

// MatchString tells whether p matches somewhere in s.
func (p *pattern) MatchString(s string) bool { return p.re.MatchString(s) }

var errPattern = errors.New("means something else, or nothing, outside of ECMA-262")

// The classes of ECMA-262 that are wider there.
const (
	ecmaSpace = `\t\n\v\f\r \x{a0}\x{feff}\x{2028}\x{2029}\p{Zs}`
	ecmaBreak = `\n\r\x{2028}\x{2029}`
)

// compilePattern is the engine that the validator uses, too.
func compilePattern(source string) (js.Regexp, error) {
	p, err := newPattern(source)
	if err != nil {
		return nil, err
	}
	return p, nil
}

func newPattern(source string) (*pattern, error) {
	if len(source) > maxPattern {
		return nil, fmt.Errorf("regular expression of more than %d bytes", maxPattern)
	}
	text, err := translate(source)
	if err != nil {
		return nil, fmt.Errorf("regular expression %.80q: %w", source, err)
	}
	re, err := regexp.Compile(text)
	if err != nil {
		return nil, fmt.Errorf("regular expression %.80q: %w", source, errPattern)
	}
	return &pattern{source: source, re: re, prefix: literalPrefix(text)}, nil
}

// translate turns an expression of ECMA-262 into one that means the same to
// package regexp. It fails on what only one of the two knows.
func translate(source string) (string, error) {
	var b strings.Builder
	class := false // inside brackets
	for i := 0; i < len(source); i++ {
		c := source[i]
		switch {
		case c == '\\':
			i++
			if i == len(source) {
				return "", errPattern
			}
			n, err := translateEscape(&b, source[i:], class)
			if err != nil {
				return "", err
			}
			i += n - 1
		case class:
			if c == ']' {
				class = false
			}
			if c == '[' {
				// It stands for itself, and begins nothing like [:alpha:].
				b.WriteByte('\\')
			}
			b.WriteByte(c)
		case c == '[':
			class = true
			b.WriteByte(c)
			if strings.HasPrefix(source[i+1:], "^") {
				b.WriteByte('^')
				i++
			}
			if strings.HasPrefix(source[i+1:], "]") {
				// Empty here, a bracket there.
				return "", errPattern
			}
		case c == '.':
			b.WriteString(`[^` + ecmaBreak + `]`)
		case c == '(' && strings.HasPrefix(source[i:], "(?") && !strings.HasPrefix(source[i:], "(?:"):
			return "", errPattern
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), nil
}

// translateEscape writes the escape that rest begins with, behind the backslash,
// and returns its length there.
func translateEscape(b *strings.Builder, rest string, class bool) (int, error) {
	switch c := rest[0]; c {
	case 's':
		if class {
			b.WriteString(ecmaSpace)
		} else {
			b.WriteString(`[` + ecmaSpace + `]`)
		}
		return 1, nil
	case 'S':
		if class {
			return 0, errPattern
		}
		b.WriteString(`[^` + ecmaSpace + `]`)
		return 1, nil
	case 'd', 'D', 'w', 'W', 't', 'n', 'v', 'f', 'r':
		b.WriteByte('\\')
		b.WriteByte(c)
		return 1, nil
	case 'b':
		if class {
			b.WriteString(`\x08`)
		} else {
			b.WriteString(`\b`)
		}
		return 1, nil
	case 'B':
		if class {
			return 0, errPattern
		}
		b.WriteString(`\B`)
		return 1, nil
	case '0':
		if len(rest) > 1 && rest[1] >= '0' && rest[1] <= '9' {
			return 0, errPattern
		}
		b.WriteString(`\x00`)
		return 1, nil
	case 'x':
		return hexEscape(b, rest, 2)
	case 'u':
		return hexEscape(b, rest, 4)
	case 'p', 'P':
		end := strings.IndexByte(rest, '}')
		if end < 0 || rest[1] != '{' {
			return 0, errPattern
		}
		b.WriteByte('\\')
		b.WriteString(rest[:end+1])
		return end + 1, nil
	default:
		if c >= 0x80 || c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' {
			return 0, errPattern
		}
		if c == '/' || c == '-' && !class {
			b.WriteByte(c)
			return 1, nil
		}
		b.WriteByte('\\')
		b.WriteByte(c)
		return 1, nil
	}
}

func hexEscape(b *strings.Builder, rest string, digits int) (int, error) {
	if len(rest) <= digits {
		return 0, errPattern
	}
	hex := rest[1 : 1+digits]
	if strings.Trim(hex, "0123456789abcdefABCDEF") != "" || digits == 4 && strings.ContainsAny(hex[:1], "dD") && hex[1] >= '8' {
		// Half a surrogate pair is no character here.
		return 0, errPattern
	}
	b.WriteString(`\x{` + hex + `}`)
	return 1 + digits, nil
}

// literalPrefix returns what every match of the expression begins with, at the
// begin of the text. It is "" when nothing is known.
func literalPrefix(text string) string {
	re, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return ""
	}
	re = re.Simplify()
	if re.Op != syntax.OpConcat || len(re.Sub) < 2 || re.Sub[0].Op != syntax.OpBeginText {
		return ""
	}
	if lit := re.Sub[1]; lit.Op == syntax.OpLiteral && lit.Flags&syntax.FoldCase == 0 {
		return string(lit.Rune)
	}
	return ""
}

// disjoint tells whether no text can match both patterns.
func (p *pattern) disjoint(q *pattern) bool {
	n := min(len(p.prefix), len(q.prefix))
	return p.prefix[:n] != q.prefix[:n]
}
