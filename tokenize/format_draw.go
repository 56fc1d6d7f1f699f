package tokenize

import (
	"bytes"
	"crypto/rand"
)

const (
	base32Chars = "abcdefghijklmnopqrstuvwxyz234567"
	hexChars    = "0123456789abcdef"

	// reservedPrefix begins tokens of card numbers.
	reservedPrefix = "99"
	// ssnGroups are the groups of tokens of social security numbers, from 00.
	ssnGroups = 50
)

// Append draws a random token for value, appends it to dst and returns the
// longer slice. Two draws for one value are two tokens: it is the [Vault] that
// remembers. The token is never the value itself. On an error, which is
// [ErrValue] or [ErrFormat], the result is dst as it was.
func (f Format) Append(dst, value []byte) ([]byte, error) {
	if err := f.Check(value); err != nil {
		return dst, err
	}
	start := len(dst)
	var d draws
	for {
		dst = f.draw(dst[:start], value, &d)
		if !bytes.Equal(dst[start:], value) {
			return dst, nil
		}
	}
}

// draw appends a token for a value that fits.
func (f Format) draw(dst, value []byte, d *draws) []byte {
	switch f.kind {
	case kindPrefixed:
		dst = append(dst, f.prefix...)
		for range randomChars {
			dst = append(dst, base32Chars[d.byte()%32])
		}
		return dst
	case kindUUID:
		return drawUUID(dst, d)
	case kindFixedDigits:
		return drawNumber(dst, f.length, d)
	case kindSameDigits:
		kept := value[len(value)-f.keepLast:]
		return append(drawNumber(dst, len(value)-f.keepLast, d), kept...)
	case kindPAN, kindSSN:
		var l layout
		l.read(value)
		if f.kind == kindPAN {
			f.drawPAN(&l, d)
		} else {
			f.drawSSN(&l, d)
		}
		return l.append(dst)
	}
	return dst // Check refused it
}

func drawUUID(dst []byte, d *draws) []byte {
	for i := range uuidLength {
		switch i {
		case 8, 13, 18, 23:
			dst = append(dst, '-')
		case 14:
			dst = append(dst, '4') // the version
		case 19:
			dst = append(dst, hexChars[8+d.byte()%4]) // the variant
		default:
			dst = append(dst, hexChars[d.byte()%16])
		}
	}
	return dst
}

// drawNumber appends n digits, of which the first is not 0.
func drawNumber(dst []byte, n int, d *draws) []byte {
	for i := range n {
		c := d.digit()
		for i == 0 && c == 0 {
			c = d.digit()
		}
		dst = append(dst, '0'+c)
	}
	return dst
}

// drawPAN replaces all digits but those to keep.
func (f Format) drawPAN(l *layout, d *draws) {
	first, last := f.keepFirst, l.n-f.keepLast
	if first == 0 {
		first = len(reservedPrefix)
		for i := range first {
			l.digits[i] = reservedPrefix[i] - '0'
		}
	}
	for {
		for i := first; i < last; i++ {
			l.digits[i] = d.digit()
		}
		// One draw in ten passes the check, and as all draws are equally likely,
		// so are those that are left.
		if (l.luhn() == 0) == f.validLuhn {
			return
		}
	}
}

// drawSSN replaces all digits but those to keep.
func (f Format) drawSSN(l *layout, d *draws) {
	for i := range l.n - f.keepLast {
		l.digits[i] = d.digit()
	}
	l.digits[0] = 9
	for l.digits[3] >= ssnGroups/10 {
		l.digits[3] = d.digit()
	}
}

// Valid tells whether a token has the shape that the format gives to tokens.
// For a format of which nothing tells tokens from values, values pass too.
func (f Format) Valid(token []byte) bool {
	switch f.kind {
	case kindPrefixed:
		rest, ok := bytes.CutPrefix(token, []byte(f.prefix))
		if !ok || len(rest) != randomChars {
			return false
		}
		for _, c := range rest {
			if (c < 'a' || c > 'z') && (c < '2' || c > '7') {
				return false
			}
		}
		return true
	case kindUUID:
		return isUUID(token)
	case kindFixedDigits:
		return len(token) == f.length && isNumber(token)
	case kindSameDigits:
		return len(token) >= leastDigits+f.keepLast && len(token) <= MaxToken && isNumber(token)
	case kindPAN:
		var l layout
		return l.read(token) && l.n >= minPAN && l.n <= maxPAN && l.n-f.keepFirst-f.keepLast >= leastDigits &&
			(l.luhn() == 0) == f.validLuhn && (f.keepFirst > 0 || beginsReserved(&l))
	case kindSSN:
		var l layout
		return l.read(token) && l.isSSN() && l.digits[0] == 9 && l.digits[3] < ssnGroups/10
	}
	return false
}

// ValidFor tells whether token is one that [Format.Append] may draw for value.
func (f Format) ValidFor(token, value []byte) bool {
	if !f.Valid(token) || f.Check(value) != nil || bytes.Equal(token, value) {
		return false
	}
	switch f.kind {
	case kindSameDigits:
		return len(token) == len(value) && bytes.HasSuffix(token, value[len(value)-f.keepLast:])
	case kindPAN, kindSSN:
		var t, v layout
		t.read(token)
		v.read(value)
		return sameSeparators(token, value) &&
			bytes.Equal(t.digits[:f.keepFirst], v.digits[:f.keepFirst]) &&
			bytes.Equal(t.digits[t.n-f.keepLast:t.n], v.digits[v.n-f.keepLast:v.n])
	default:
		return true // it shows nothing of the value
	}
}

func isUUID(token []byte) bool {
	if len(token) != uuidLength {
		return false
	}
	for i, c := range token {
		hex := c >= '0' && c <= '9' || c >= 'a' && c <= 'f'
		switch i {
		case 8, 13, 18, 23:
			hex = c == '-'
		case 14:
			hex = c == '4'
		case 19:
			hex = c == '8' || c == '9' || c == 'a' || c == 'b'
		}
		if !hex {
			return false
		}
	}
	return true
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isNumber(token []byte) bool {
	for _, c := range token {
		if !isDigit(c) {
			return false
		}
	}
	return len(token) > 0 && token[0] != '0'
}

// draws hands out random bytes, and takes them from the system many at once.
type draws struct {
	buf  [64]byte
	left int // unused bytes, at the end of buf
}

func (d *draws) byte() byte {
	if d.left == 0 {
		_, _ = rand.Read(d.buf[:]) // never fails
		d.left = len(d.buf)
	}
	b := d.buf[len(d.buf)-d.left]
	d.left--
	return b
}

// digit returns 0 to 9, each equally likely: the last six of the 256 bytes would
// make the first six digits more likely.
func (d *draws) digit() byte {
	for {
		if b := d.byte(); b < 250 {
			return b % 10
		}
	}
}
