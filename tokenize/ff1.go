package tokenize

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"unicode/utf8"

	"github.com/fieldveil/fieldveil/internal/ff1"
)

// Test for these with [errors.Is]. Errors never say what a value was.
var (
	// ErrValue means that a value does not fit what was declared of its field: a
	// character outside the alphabet, a wrong check digit, or too many
	// characters. It never gets better by trying again.
	ErrValue = errors.New("tokenize: value does not fit its format")
	// ErrDomain means that a value is so short that all values of its kind could
	// be tried: fewer than MinDomain.
	ErrDomain = errors.New("tokenize: domain of values is below one million")

	errOutside = fmt.Errorf("%w: character outside of alphabet and separators", ErrValue)
	errLong    = fmt.Errorf("%w: more than %d characters", ErrValue, ff1.MaxLength)
	errLuhn    = fmt.Errorf("%w: check digit", ErrValue)

	errFF1Key  = errors.New("tokenize: FF1 key is not 32 bytes long")
	errKeep    = fmt.Errorf("tokenize: characters to keep are not between 0 and %d", maxKeep)
	errMode    = errors.New("tokenize: unknown Luhn mode")
	errNotLuhn = errors.New("tokenize: Luhn check digits need the alphabet of digits")
	errOnly    = errors.New("tokenize: a width allows no separators, kept characters and check digits")
	errWidth   = fmt.Errorf("tokenize: width is not between MinLength and %d", ff1.MaxLength)
	errZeros   = fmt.Errorf("%w: number with a zero in front", ErrValue)
	errWide    = fmt.Errorf("%w: number of more digits than its width", ErrValue)
)

const (
	// FF1KeySize is the length of the key of an FF1, in bytes: AES-256.
	FF1KeySize = 32
	// MinDomain is the smallest number of values that may stand where one is
	// encrypted, as SP 800-38G revision 1 demands: six digits, or five letters.
	MinDomain = 1_000_000

	// maxKeep bounds the tweak, for which there is room on the stack.
	maxKeep = 32
)

// FF1Options say how values of a field are written. The zero value but for
// Alphabet encrypts all characters.
type FF1Options struct {
	// Alphabet is what is encrypted, and what it is encrypted to.
	Alphabet Alphabet
	// Separators are characters that stay as they are where they are, such as
	// " -". They are not in the alphabet.
	Separators string
	// KeepFirst and KeepLast are how many characters of the alphabet stay in
	// clear at both ends, 0 to 32. What is between depends on them: equal
	// middles between other ends become unrelated.
	KeepFirst, KeepLast int
	// Luhn says what becomes of the check digit. Other modes than LuhnNone need
	// the alphabet Digits.
	Luhn LuhnMode
	// Width, unless 0, makes values numbers of up to so many digits, and tokens
	// numbers too: both may lose the zeros before their first digit, as fields of
	// numeric types do, and AppendBack returns none. It excludes all options but
	// Alphabet, and is between what MinLength asks for and MaxLength.
	Width int
}

// FF1 is format-preserving encryption, FF1 of NIST SP 800-38G with AES-256: the
// output has the length, alphabet and separators of the value, equal values
// give equal outputs, and the key turns them back. It is immutable and safe for
// concurrent use.
//
// FF1 has no integrity. Another key, other options or a value that was never
// encrypted come back as something that looks right. A token whose zeros in
// front went lost is such a value, which is what Width is for. So the version of the key
// has to travel with the record, and LuhnBreak is the better choice for card
// numbers: it refuses nine of ten foreign values, and all real numbers. And FF1
// shows what equality shows: where few values are in use, counting them tells
// which is which.
//
// The construction: the characters of the alphabet, counted without separators,
// are numbered from zero by their place in it. Those between the kept ends are
// encrypted by FF1, with the number of characters of the alphabet as the radix,
// and with the tweak
//
//	Luhn mode (1 byte) | KeepFirst (1) | KeepLast (1) | first numbers | last numbers
//
// in which modes are 0, 1 and 2, or 3 with a Width, and kept numbers have one
// byte each, or two with the high one first where the alphabet has more than
// 256 characters. With a Width, zeros are put before a value up to that length.
//
// With LuhnKeep and LuhnBreak, the last character between the kept ends (the
// check digit itself when KeepLast is 0) is not encrypted but computed: for all
// other digits, one digit there makes the Luhn sum a multiple of ten, and
// another one makes it one more. LuhnKeep sets the former, LuhnBreak the
// latter. Inputs pass the check, so that this digit tells nothing, and it comes
// back by the same rule: both are one-to-one between the valid numbers and
// their outputs.
type FF1 struct {
	cipher      *ff1.Cipher
	coder       *coder
	first, last int
	luhn        LuhnMode
	width       int
	minLength   int
	head        [3]byte   // of the tweak
	far         sync.Pool // of *farNumerals
}

// near is the number of numerals for which there is room on the stack.
const near = 64

// farNumerals is the room for longer values.
type farNumerals struct{ x []uint16 }

// NewFF1 returns the FF1 of a key of 32 bytes. It keeps what AES makes of the
// key and not the key, which stays the caller's to wipe. It fails when options
// contradict each other.
func NewFF1(key []byte, o FF1Options) (*FF1, error) {
	if len(key) != FF1KeySize {
		return nil, errFF1Key
	}
	coder, err := newCoder(o.Alphabet, o.Separators)
	if err != nil {
		return nil, err
	}
	switch {
	case o.KeepFirst < 0 || o.KeepFirst > maxKeep || o.KeepLast < 0 || o.KeepLast > maxKeep:
		return nil, errKeep
	case o.Luhn > LuhnBreak:
		return nil, errMode
	case o.Luhn != LuhnNone && o.Alphabet != Digits:
		return nil, errNotLuhn
	}
	cipher, err := ff1.New(key, coder.radix)
	if err != nil {
		return nil, err
	}
	f := &FF1{cipher: cipher, coder: coder, first: o.KeepFirst, last: o.KeepLast, luhn: o.Luhn, width: o.Width}
	f.head = [3]byte{byte(o.Luhn), byte(o.KeepFirst), byte(o.KeepLast)}
	f.minLength = f.first + f.last + f.computed() + ff1.MinLength(coder.radix, MinDomain)
	if o.Width != 0 {
		switch {
		case o.Separators != "" || o.Luhn != LuhnNone || f.first|f.last != 0:
			return nil, errOnly
		case o.Width < f.minLength || o.Width > ff1.MaxLength:
			return nil, errWidth
		}
		f.head[0] = byte(LuhnBreak) + 1
		f.minLength = 1
	}
	f.far.New = func() any { return new(farNumerals) }
	return f, nil
}

// Format writes the name of the type and nothing of the key, whatever the verb.
func (f *FF1) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, "tokenize.FF1") }

// MinLength returns how many characters of the alphabet a value needs, so that
// those between the kept ends, less a check digit, have MinDomain values.
// Separators do not count. Append refuses what is shorter with ErrDomain. With
// a Width it is 1: that many digits are encrypted whatever the number is.
func (f *FF1) MinLength() int { return f.minLength }

// MaxLength returns how many characters of the alphabet a value may have: the
// Width, where there is one.
func (f *FF1) MaxLength() int {
	if f.width > 0 {
		return f.width
	}
	return ff1.MaxLength
}

// Append appends the encrypted form of value to dst and returns the longer
// slice. It has as many characters as value, and as many bytes where all
// characters of the alphabet take the same number of them. With a Width it has
// so many characters, zeros in front included.
//
// value is neither changed nor kept; the room behind the length of dst must not
// overlap it. On an error, which is [ErrValue] or [ErrDomain], the result is dst
// as it was. Nothing is allocated when dst has the room.
func (f *FF1) Append(dst, value []byte) ([]byte, error) { return f.append(dst, value, true) }

// AppendBack appends the value of which Append made token. A token that Append
// cannot have made is refused with [ErrValue] or [ErrDomain] where that shows:
// by its characters, its length or its Luhn sum.
func (f *FF1) AppendBack(dst, token []byte) ([]byte, error) { return f.append(dst, token, false) }

func (f *FF1) append(dst, value []byte, encrypt bool) ([]byte, error) {
	// A value has no more characters than bytes.
	if max(len(value), f.width) <= near {
		var room [near]uint16
		return f.appendIn(room[:0], dst, value, encrypt)
	}
	far, _ := f.far.Get().(*farNumerals)
	far.x = slices.Grow(far.x[:0], min(max(len(value), f.width), ff1.MaxLength))
	dst, err := f.appendIn(far.x, dst, value, encrypt)
	clear(far.x[:cap(far.x)])
	f.far.Put(far)
	return dst, err
}

// appendIn uses the room behind x for the numerals.
func (f *FF1) appendIn(x []uint16, dst, value []byte, encrypt bool) ([]byte, error) {
	x, err := f.coder.numerals(x, value, ff1.MaxLength)
	if err != nil {
		return dst, err
	}
	if len(x) < f.minLength {
		return dst, ErrDomain
	}
	if f.width > 0 {
		return f.appendNumber(x, dst, encrypt)
	}
	have, want := 0, f.luhn.remainder()
	if !encrypt {
		have, want = want, have
	}
	if f.luhn != LuhnNone && luhn(x) != have {
		return dst, errLuhn
	}
	end := len(x) - f.last
	middle := x[f.first : end-f.computed()]
	var room [3 + 2*2*maxKeep]byte
	tweak := f.tweak(room[:0], x[:f.first], x[end:])
	if err := f.crypt(middle, tweak, encrypt); err != nil {
		return dst, err
	}
	if f.luhn != LuhnNone {
		fitLuhn(x, end-1, want)
	}
	return f.coder.text(slices.Grow(dst, len(value)), x, value), nil
}

// appendNumber is appendIn for numbers of a width, of which x has the digits
// that are there.
func (f *FF1) appendNumber(x []uint16, dst []byte, encrypt bool) ([]byte, error) {
	zeros := f.width - len(x)
	switch {
	case zeros < 0:
		return dst, errWide
	case encrypt && len(x) > 1 && x[0] == 0:
		return dst, errZeros // it would not come back as it was
	}
	x = slices.Grow(x, zeros)[:f.width]
	copy(x[zeros:], x)
	clear(x[:zeros])
	if err := f.crypt(x, f.head[:], encrypt); err != nil {
		return dst, err
	}
	if !encrypt {
		for len(x) > 1 && x[0] == 0 {
			x = x[1:]
		}
	}
	dst = slices.Grow(dst, len(x))
	for _, n := range x {
		dst = utf8.AppendRune(dst, f.coder.chars[n])
	}
	return dst, nil
}

// crypt encrypts or decrypts x in place.
func (f *FF1) crypt(x []uint16, tweak []byte, encrypt bool) error {
	if encrypt {
		return f.cipher.Encrypt(x, x, tweak)
	}
	return f.cipher.Decrypt(x, x, tweak)
}

// computed is how many characters between the kept ends are not encrypted but
// computed from all others.
func (f *FF1) computed() int {
	if f.luhn == LuhnNone {
		return 0
	}
	return 1
}

// tweak appends the tweak to dst.
func (f *FF1) tweak(dst []byte, first, last []uint16) []byte {
	dst = append(dst, f.head[:]...)
	for _, kept := range [2][]uint16{first, last} {
		for _, x := range kept {
			if f.coder.radix > 1<<8 {
				dst = append(dst, byte(x>>8))
			}
			dst = append(dst, byte(x)) //nolint:gosec // the low one
		}
	}
	return dst
}
