package mask

import (
	"bytes"
	"fmt"
	"unicode"
	"unicode/utf8"
)

// EmailForm says what [Email] shows.
type EmailForm uint8

// The forms of an email address.
const (
	// EmailDomain shows the domain: ****@example.com.
	EmailDomain EmailForm = iota + 1
	// EmailFirst shows the first character before the @, when there is more than
	// one, and the domain: a***@example.com.
	EmailFirst
	// EmailTLD shows the last label of the domain, when there is more than one:
	// ****@****.com.
	EmailTLD
)

// Email returns the Text rule for email addresses (RFC 5321, RFC 6531). What is
// hidden is given as four characters, whatever its length; with EmailFirst the
// first of them shows. The option is [WithFill].
//
// One bare address is accepted: a list, or a name beside the address, is not.
// A domain can itself name a person, and then only EmailTLD hides that.
func Email(form EmailForm, opts ...Option) (Rule, error) {
	fill, err := readFill(opts)
	if err != nil {
		return Rule{}, err
	}
	if form < EmailDomain || form > EmailTLD {
		return Rule{}, fmt.Errorf("mask: unknown form %d of an email address", form)
	}
	return Rule{email{form: form, fill: fill}, Text}, nil
}

var errEmail = misfit("an email address")

type email struct {
	form EmailForm
	fill rune
}

const (
	maxLocal    = 64  // bytes before the @ (RFC 5321, 4.5.3.1.1)
	maxDomain   = 253 // bytes of a domain that the DNS can hold, written out
	maxLabel    = 63  // bytes of one label of it
	hiddenEmail = 4   // characters in the place of what is hidden
)

func (e email) append(dst, value []byte) ([]byte, error) {
	if len(value) > maxLocal+1+maxDomain {
		return dst, errEmail
	}
	at := bytes.LastIndexByte(value, '@')
	if at < 0 || !isLocal(value[:at]) {
		return dst, errEmail
	}
	local, domain := value[:at], value[at+1:]
	tld, ok := isDomain(domain)
	if !ok {
		return dst, errEmail
	}
	hidden := hiddenEmail
	if e.form == EmailFirst && local[0] != '"' {
		if _, size := utf8.DecodeRune(local); size < len(local) {
			dst = append(dst, local[:size]...)
			hidden--
		}
	}
	dst = appendFills(dst, e.fill, hidden)
	dst = append(dst, '@')
	if e.form != EmailTLD {
		return append(dst, domain...), nil
	}
	dst = appendFills(dst, e.fill, hiddenEmail)
	return append(dst, domain[tld:]...), nil
}

// isLocal tells whether local can stand before the @: either a dotted string of
// atoms or a quoted string.
func isLocal(local []byte) bool {
	if len(local) == 0 || len(local) > maxLocal {
		return false
	}
	if local[0] == '"' {
		return isQuoted(local)
	}
	for i := 0; i < len(local); {
		b := local[i]
		if isAtom(b) {
			i++
			continue
		}
		if b < utf8.RuneSelf {
			return false
		}
		size := printable(local[i:])
		if size == 0 {
			return false
		}
		i += size
	}
	return true
}

// isAtom tells whether b is one of the characters that RFC 5322 allows in an
// atom, or the dot between atoms.
func isAtom(b byte) bool {
	const (
		low = digitBits | 1<<'!' | 1<<'#' | 1<<'$' | 1<<'%' | 1<<'&' | 1<<'\'' | 1<<'*' | 1<<'+' |
			1<<'-' | 1<<'.' | 1<<'/' | 1<<'=' | 1<<'?'
		high = letterBits | 1<<('^'-64) | 1<<('_'-64) | 1<<('`'-64) | 1<<('{'-64) | 1<<('|'-64) | 1<<('}'-64) | 1<<('~'-64)
	)
	return in(low, high, b)
}

func isQuoted(local []byte) bool {
	if len(local) < 3 || local[len(local)-1] != '"' {
		return false
	}
	inner := local[1 : len(local)-1]
	for i := 0; i < len(inner); {
		b := inner[i]
		if b >= utf8.RuneSelf {
			size := printable(inner[i:])
			if size == 0 {
				return false
			}
			i += size
			continue
		}
		switch b {
		case '"':
			return false
		case '\\':
			i++
			if i == len(inner) {
				return false
			}
			b = inner[i]
		default:
		}
		if b < ' ' || b > '~' {
			return false
		}
		i++
	}
	return true
}

// printable returns the size of the character that text, which is not empty,
// begins with, and 0 when it is none that can be printed or no UTF-8.
func printable(text []byte) int {
	c, size := utf8.DecodeRune(text)
	if c == utf8.RuneError || !unicode.IsPrint(c) {
		return 0
	}
	return size
}

// isDomain tells whether domain is a dotted string of labels or an address in
// brackets, and where the dot before its last label is: at the end of the domain
// when it has one label only.
func isDomain(domain []byte) (tld int, ok bool) {
	if len(domain) == 0 || len(domain) > maxDomain {
		return 0, false
	}
	if domain[0] == '[' {
		return len(domain), isLiteral(domain)
	}
	tld = len(domain)
	begin := 0 // of the label
	for i := 0; i < len(domain); {
		b := domain[i]
		switch {
		case in(1<<'-'|digitBits, letterBits, b):
			i++
		case b == '.':
			if !isLabel(domain[begin:i]) {
				return 0, false
			}
			tld = i
			i++
			begin = i
		case b >= utf8.RuneSelf:
			c, size := utf8.DecodeRune(domain[i:])
			if c == utf8.RuneError || !unicode.In(c, unicode.L, unicode.M, unicode.N) {
				return 0, false
			}
			i += size
		default:
			return 0, false
		}
	}
	return tld, isLabel(domain[begin:])
}

// isLabel tells whether label, whose characters are good, can be one.
func isLabel(label []byte) bool {
	return len(label) > 0 && len(label) <= maxLabel && label[0] != '-' && label[len(label)-1] != '-'
}

// isLiteral tells whether domain is an address literal such as [192.0.2.1] or
// [IPv6:2001:db8::1].
func isLiteral(domain []byte) bool {
	if len(domain) < 3 || domain[len(domain)-1] != ']' {
		return false
	}
	for _, b := range domain[1 : len(domain)-1] {
		if !isAlnum(b) && b != '.' && b != ':' && b != '-' {
			return false
		}
	}
	return true
}
