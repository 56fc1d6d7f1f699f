package tokenize

import (
	"fmt"
	"math"
	"strconv"
)

// A Format is the shape of the random tokens of a scope, and says which values
// fit it. It is made by one of the functions whose names end in Format, compared
// with ==, immutable, and safe for concurrent use. The zero Format refuses every
// value.
//
// Tokens are drawn from the system's random generator and never computed from
// the value, of which they show the length, the separators and the digits to
// keep where the format says so, and nothing else.
type Format struct {
	kind      formatKind
	prefix    string // of prefixed tokens
	length    int    // of tokens of a fixed number of digits
	keepFirst int
	keepLast  int
	validLuhn bool
}

type formatKind uint8

const (
	kindPrefixed formatKind = iota + 1
	kindUUID
	kindPAN
	kindSSN
	kindFixedDigits
	kindSameDigits
)

const (
	// randomChars of base32 are the 130 random bits of a prefixed token.
	randomChars = 26
	// maxPrefix leaves room within MaxToken.
	maxPrefix = 64
	// leastDigits is how many digits of a token are drawn at least. With fewer, a
	// token would tell its value to whoever tries them all.
	leastDigits = 4
	// leastFixed is the least length of tokens of a fixed length, of which the
	// first holds 9,000 values.
	leastFixed = 6

	minPAN, maxPAN               = 12, 19
	maxPANKeepFirst, maxKeepLast = 6, 4
	ssnDigits                    = 9

	uuidLength = 36
)

// PrefixedFormat makes tokens of prefix and 26 letters and digits, which are 130
// random bits in lower-case base32. Every value fits. The prefix tells tokens of
// one kind from all else, as "tok_" does or "email_"; it is 1 to 64 printable
// ASCII characters without space.
func PrefixedFormat(prefix string) (Format, error) {
	if prefix == "" || len(prefix) > maxPrefix {
		return Format{}, fmt.Errorf("tokenize: token prefix of %d characters, not 1 to %d", len(prefix), maxPrefix)
	}
	for _, c := range []byte(prefix) {
		if c <= ' ' || c > '~' {
			return Format{}, fmt.Errorf("tokenize: token prefix %q is not printable ASCII without space", prefix)
		}
	}
	return Format{kind: kindPrefixed, prefix: prefix}, nil
}

// UUIDFormat makes random UUIDs (RFC 9562 version 4, 122 random bits) in lower
// case. Every value fits.
func UUIDFormat() Format { return Format{kind: kindUUID} }

// PANOptions says what tokens of card numbers show and pass.
type PANOptions struct {
	// KeepFirst is how many of the first digits the token shows, up to 6. The
	// default of 0 has every token begin with 99 instead, which no issuer's
	// numbers do: ISO/IEC 7812-1 has 9 followed by a country code of ISO 3166-1,
	// and those from 900 are never given to a country.
	KeepFirst int
	// KeepLast is how many of the last digits the token shows, up to 4.
	KeepLast int
	// ValidLuhn has tokens pass the check of ISO/IEC 7812-1 annex B, for systems
	// that would refuse them otherwise. By default no token passes it. It goes
	// with KeepFirst 0 only: a token that began like a card number and passed the
	// check would be one.
	ValidLuhn bool
}

// PANFormat makes tokens of payment card numbers: digits, as many as the value
// has, with the single spaces or hyphens between digits where the value has
// them. A value fits when it has 12 to 19 digits, passes the Luhn check, and
// does not begin with 99.
//
// The spelling counts: a number with spaces and the same one without get two
// tokens.
func PANFormat(o PANOptions) (Format, error) {
	switch {
	case o.KeepFirst < 0 || o.KeepFirst > maxPANKeepFirst || o.KeepLast < 0 || o.KeepLast > maxKeepLast:
		return Format{}, fmt.Errorf("tokenize: a card number's token cannot show its first %d and last %d digits, at most %d and %d",
			o.KeepFirst, o.KeepLast, maxPANKeepFirst, maxKeepLast)
	case o.KeepFirst > 0 && o.ValidLuhn:
		return Format{}, fmt.Errorf("tokenize: tokens that show the first digits of a card number must not pass the Luhn check")
	}
	return Format{kind: kindPAN, keepFirst: o.KeepFirst, keepLast: o.KeepLast, validLuhn: o.ValidLuhn}, nil
}

// SSNFormat makes tokens of United States social security numbers, of the form
// 3-2-4 or of nine digits, as the value is. They begin with 9 and go on with a
// group of 00 to 49, which is neither a social security number nor one of the
// other taxpayer numbers. keepLast is how many of the last digits the token
// shows, 0 to 4.
//
// A value fits when it can have been issued: no area of 000 or 666, no group of
// 00, no serial number of 0000; an area from 900 only with a group from 50, as
// other taxpayer numbers have.
//
// There are 50 million such tokens, so a scope holds 500,000 values; take
// [PrefixedFormat] for more.
func SSNFormat(keepLast int) (Format, error) {
	if keepLast < 0 || keepLast > maxKeepLast {
		return Format{}, fmt.Errorf("tokenize: a token cannot show the last %d digits, at most %d", keepLast, maxKeepLast)
	}
	return Format{kind: kindSSN, keepLast: keepLast}, nil
}

// DigitsFormat makes tokens of n digits, 6 to 255, of which the first is not 0.
// Every value fits. Nothing tells such a token from a number.
func DigitsFormat(n int) (Format, error) {
	if n < leastFixed || n > MaxToken {
		return Format{}, fmt.Errorf("tokenize: tokens of %d digits, not of %d to %d", n, leastFixed, MaxToken)
	}
	return Format{kind: kindFixedDigits, length: n}, nil
}

// SameDigitsFormat makes tokens of as many digits as the value has, of which the
// first is not 0, and the last keepLast are those of the value, at most 4. A
// value fits when it is digits alone, at least 4 and at most 255 besides those
// to keep. Nothing tells such a token from a value.
func SameDigitsFormat(keepLast int) (Format, error) {
	if keepLast < 0 || keepLast > maxKeepLast {
		return Format{}, fmt.Errorf("tokenize: a token cannot show the last %d digits, at most %d", keepLast, maxKeepLast)
	}
	return Format{kind: kindSameDigits, keepLast: keepLast}, nil
}

// String describes the format, and is the same for equal ones.
func (f Format) String() string {
	switch f.kind {
	case kindPrefixed:
		return "prefixed " + strconv.Quote(f.prefix)
	case kindUUID:
		return "uuid"
	case kindPAN:
		s := fmt.Sprintf("pan first=%d last=%d", f.keepFirst, f.keepLast)
		if f.validLuhn {
			s += " valid"
		}
		return s
	case kindSSN:
		return fmt.Sprintf("ssn last=%d", f.keepLast)
	case kindFixedDigits:
		return fmt.Sprintf("digits %d", f.length)
	case kindSameDigits:
		return fmt.Sprintf("digits last=%d", f.keepLast)
	}
	return "none"
}

// Check returns [ErrValue] when a value does not fit the format, and
// [ErrFormat] for the zero Format.
func (f Format) Check(value []byte) error {
	switch f.kind {
	case kindPrefixed, kindUUID, kindFixedDigits:
		return nil
	case kindPAN, kindSSN, kindSameDigits:
		var l layout
		if !l.read(value) || !f.fits(&l) {
			return ErrValue
		}
		return nil
	}
	return ErrFormat
}

// fits tells whether digits and separators are those of a value.
func (f Format) fits(l *layout) bool {
	if l.n-f.keepFirst-f.keepLast < leastDigits {
		return false
	}
	switch f.kind {
	case kindPAN:
		return l.n >= minPAN && l.n <= maxPAN && l.luhn() == 0 && !beginsReserved(l)
	case kindSSN:
		return l.isSSN() && issuedSSN(l)
	case kindSameDigits:
		return l.n == len(l.text)
	default:
		return false
	}
}

// Space returns how many tokens the format has for values of this length,
// counting the digits to keep as if values were spread over them evenly. It is
// math.MaxUint64 where there are more than 2^63, which no scope fills. For a
// value that does not fit it is 0.
func (f Format) Space(value []byte) uint64 {
	if f.Check(value) != nil {
		return 0
	}
	switch f.kind {
	case kindPAN:
		var l layout
		l.read(value)
		// One in ten passes the check, nine do not.
		share := uint64(9)
		if f.validLuhn {
			share = 1
		}
		if f.keepFirst == 0 {
			return share * power10(l.n-len(reservedPrefix)-1)
		}
		return share * power10(l.n-1)
	case kindSSN:
		return 100 * ssnGroups * 10_000
	case kindFixedDigits:
		return nonZeroFirst(f.length)
	case kindSameDigits:
		return nonZeroFirst(len(value))
	default:
		return math.MaxUint64
	}
}

// nonZeroFirst counts the numbers of n digits that do not begin with 0.
func nonZeroFirst(n int) uint64 {
	if n > 18 {
		return math.MaxUint64
	}
	return 9 * power10(n-1)
}

// power10 returns 10^n, for n up to 19.
func power10(n int) uint64 {
	p := uint64(1)
	for range n {
		p *= 10
	}
	return p
}
