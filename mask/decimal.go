package mask

import (
	"math/bits"
	"strconv"
)

// A decimal is an integer count of units of 10^-scale, for a scale that its user
// keeps, with up to 72 digits. The zero decimal is zero.
type decimal struct {
	limbs    [maxLimbs]uint64 // base 10^18, the least significant first
	n        int              // limbs in use; those above are zero
	negative bool
	// inexact means that digits behind the last unit were cut off, so that the
	// number lies further from zero than the units say, by less than one.
	inexact bool
}

const (
	limbDigits = 18
	limbBase   = 1_000_000_000_000_000_000
	maxLimbs   = 4
	maxDigits  = limbDigits * maxLimbs
)

var errNumber = misfit("a decimal number of the length that the rule can hold")

// numeral is a number as it is written.
type numeral struct {
	whole, fraction []byte // digits
	exponent        int    // within ±maxExponent
	negative        bool
}

// maxExponent bounds exponents: a number with a larger one is as good as
// infinite or zero here, however many digits it has in front.
const maxExponent = 1 << 40

// parseNumeral reads a number as JSON writes it (RFC 8259, section 6).
func parseNumeral(text []byte) (x numeral, ok bool) {
	i := 0
	if i < len(text) && text[i] == '-' {
		x.negative = true
		i++
	}
	x.whole, i = digitsAt(text, i)
	if len(x.whole) == 0 || len(x.whole) > 1 && x.whole[0] == '0' {
		return x, false
	}
	if i < len(text) && text[i] == '.' {
		x.fraction, i = digitsAt(text, i+1)
		if len(x.fraction) == 0 {
			return x, false
		}
	}
	if i == len(text) {
		return x, true
	}
	if text[i]|0x20 != 'e' {
		return x, false
	}
	i++
	down := false
	if i < len(text) && (text[i] == '+' || text[i] == '-') {
		down = text[i] == '-'
		i++
	}
	exponent, end := digitsAt(text, i)
	if len(exponent) == 0 || end != len(text) {
		return x, false
	}
	for _, b := range exponent {
		x.exponent = min(x.exponent*10+int(b-'0'), maxExponent)
	}
	if down {
		x.exponent = -x.exponent
	}
	return x, true
}

// digitsAt returns the digits at i and where they end.
func digitsAt(text []byte, i int) ([]byte, int) {
	end := i
	for end < len(text) && isDigit(text[end]) {
		end++
	}
	return text[i:end], end
}

// A size says whether a number can be held as a decimal.
type size uint8

const (
	malformed size = iota
	fits
	tooLarge
)

// parse sets d, which is zero, to the number that text holds, in units of
// 10^-scale. Of one that is too large, only the sign is set.
func (d *decimal) parse(text []byte, scale int) size {
	if d.parseShort(text, scale) {
		return fits
	}
	x, ok := parseNumeral(text)
	if !ok {
		return malformed
	}
	return d.set(&x, scale)
}

// shortDigits is how many digits always fit in 64 bits.
const shortDigits = 19

// parseShort is parse for most numbers: those without an exponent that fit in 64
// bits. For all others, also faulty ones, it returns false.
func (d *decimal) parseShort(text []byte, scale int) bool {
	negative := len(text) > 0 && text[0] == '-'
	if negative {
		text = text[1:]
	}
	units, i := uint64(0), 0
	for i < len(text) && isDigit(text[i]) && i+scale < shortDigits {
		units = units*10 + uint64(text[i]-'0')
		i++
	}
	if i == 0 || text[0] == '0' && i > 1 {
		return false
	}
	inexact := false
	if i < len(text) {
		if text[i] != '.' || i+1 == len(text) {
			return false
		}
		for i++; i < len(text) && isDigit(text[i]); i++ {
			if scale > 0 {
				units = units*10 + uint64(text[i]-'0')
				scale--
			} else if text[i] != '0' {
				inexact = true
			}
		}
		if i < len(text) {
			return false
		}
	}
	for ; scale > 0; scale-- {
		units *= 10
	}
	d.negative, d.inexact = negative, inexact
	if units >= limbBase {
		d.limbs[1] = units / limbBase
		d.limbs[0] = units % limbBase
		d.n = 2
		return true
	}
	d.setUnits(units)
	return true
}

// set sets d, which is zero, to x in units of 10^-scale.
func (d *decimal) set(x *numeral, scale int) size {
	d.negative = x.negative
	whole, fraction := x.whole, x.fraction
	point := len(whole) + x.exponent // digits in front of the point
	// Zeros at the front do not count towards the digits that there is room for.
	lead := 0
	for lead < len(whole) && whole[lead] == '0' {
		lead++
	}
	whole = whole[lead:]
	if len(whole) == 0 {
		for lead < len(x.whole)+len(fraction) && fraction[lead-len(x.whole)] == '0' {
			lead++
		}
		fraction = x.fraction[lead-len(x.whole):]
	}
	if len(whole)+len(fraction) == 0 {
		d.setUnits(0)
		return fits
	}
	count := point - lead + scale // digits of the result
	if count > maxDigits {
		return tooLarge
	}
	limb := (count - 1) / limbDigits
	left, units := count-limb*limbDigits, uint64(0) // of this limb
	for i := range max(count, 0) {
		digit := uint64(0)
		switch {
		case i < len(whole):
			digit = uint64(whole[i] - '0')
		case i-len(whole) < len(fraction):
			digit = uint64(fraction[i-len(whole)] - '0')
		}
		units = units*10 + digit
		left--
		if left == 0 {
			d.limbs[limb] = units
			limb--
			left, units = limbDigits, 0
		}
	}
	used := min(max(count, 0), len(whole)+len(fraction))
	d.inexact = !allZero(whole[min(used, len(whole)):]) || !allZero(fraction[max(used-len(whole), 0):])
	d.trim()
	return fits
}

func allZero(digits []byte) bool {
	for _, b := range digits {
		if b != '0' {
			return false
		}
	}
	return true
}

// setUnits sets the magnitude of d, which is below 10^18, and drops the sign of
// an exact zero.
func (d *decimal) setUnits(units uint64) {
	d.limbs[0] = units
	d.n = 1
	if units == 0 && !d.inexact {
		d.negative = false
	}
}

// trim counts the limbs in use.
func (d *decimal) trim() {
	d.n = maxLimbs
	for d.n > 1 && d.limbs[d.n-1] == 0 {
		d.n--
	}
	if d.n == 1 {
		d.setUnits(d.limbs[0])
	}
}

// floor rounds d, of which something was cut off, towards negative infinity, and
// tells whether there is room.
func (d *decimal) floor() bool {
	ok := true
	if d.inexact && d.negative {
		ok = d.grow(1)
	}
	d.inexact = false
	return ok
}

// grow adds to the magnitude of d, and tells whether there is room.
func (d *decimal) grow(by uint64) bool {
	for i := range d.limbs {
		d.limbs[i] += by
		by = 0
		if d.limbs[i] >= limbBase {
			d.limbs[i] -= limbBase
			by = 1
		}
		if by == 0 {
			d.n = max(d.n, i+1)
			return true
		}
	}
	return false
}

// shrink takes by, which is below 10^18, from the magnitude of d, and turns the
// sign when that passes zero.
func (d *decimal) shrink(by uint64) {
	if d.n == 1 && d.limbs[0] < by {
		d.limbs[0] = by - d.limbs[0]
		d.negative = !d.negative
		return
	}
	for i := range d.limbs {
		if d.limbs[i] >= by {
			d.limbs[i] -= by
			break
		}
		d.limbs[i] += limbBase - by
		by = 1
	}
	d.trim()
}

// lower takes by, which is below 10^18, from d, which is exact.
func (d *decimal) lower(by uint64) bool {
	if d.negative {
		return d.grow(by)
	}
	d.shrink(by)
	return true
}

// raise adds by, which is below 10^18, to d, which is exact.
func (d *decimal) raise(by uint64) bool {
	if !d.negative {
		return d.grow(by)
	}
	d.shrink(by)
	return true
}

// round sets d to the nearest multiple of step, which is even and below 10^18,
// and tells whether there is room. One in the middle goes away from zero.
func (d *decimal) round(step uint64) bool {
	rest := d.magnitudeMod(step)
	d.inexact = false
	if rest >= step/2 {
		return d.grow(step - rest)
	}
	d.shrink(rest)
	if d.n == 1 {
		d.setUnits(d.limbs[0])
	}
	return true
}

// magnitudeMod returns the remainder of the magnitude of d by m, which is not 0
// and below 10^18.
func (d *decimal) magnitudeMod(m uint64) uint64 {
	if d.n == 1 {
		return d.limbs[0] % m
	}
	rest := uint64(0)
	for i := d.n - 1; i >= 0; i-- {
		hi, lo := bits.Mul64(rest, limbBase)
		lo, carry := bits.Add64(lo, d.limbs[i], 0)
		rest = bits.Rem64(hi+carry, lo, m)
	}
	return rest
}

// mod returns d modulo m, from 0 to m-1, where d is exact.
func (d *decimal) mod(m uint64) uint64 {
	rest := d.magnitudeMod(m)
	if d.negative && rest > 0 {
		return m - rest
	}
	return rest
}

// compare returns -1, 0 or 1 as d is less than, equal to or more than e, which
// has the same scale and is exact.
func (d *decimal) compare(e *decimal) int {
	if d.negative != e.negative {
		if d.negative {
			return -1
		}
		return 1
	}
	order := 0
	for i := maxLimbs - 1; i >= 0 && order == 0; i-- {
		switch {
		case d.limbs[i] > e.limbs[i]:
			order = 1
		case d.limbs[i] < e.limbs[i]:
			order = -1
		}
	}
	if order == 0 && d.inexact {
		order = 1
	}
	if d.negative {
		return -order
	}
	return order
}

// appendDecimal appends d, which is exact and has the scale given, without zeros
// at the end of its fraction.
func appendDecimal(dst []byte, d *decimal, scale int) []byte {
	if d.n > 1 {
		return appendLong(dst, d, scale)
	}
	if d.negative {
		dst = append(dst, '-')
	}
	units := d.limbs[0]
	for scale > 0 && units%10 == 0 {
		units /= 10
		scale--
		if units == 0 {
			scale = 0
		}
	}
	if scale == 0 {
		return strconv.AppendUint(dst, units, 10)
	}
	var digits [limbDigits + maxScale + 4]byte
	first := len(digits)
	for i := 0; units > 0 || i <= scale; i++ {
		if i == scale {
			first--
			digits[first] = '.'
		}
		first--
		digits[first] = '0' + byte(units%10)
		units /= 10
	}
	return append(dst, digits[first:]...)
}

// appendLong is appendDecimal for several limbs.
func appendLong(dst []byte, d *decimal, scale int) []byte {
	var digits [maxDigits]byte
	first := maxDigits // of the digits in use
	for i := range d.n {
		limb := d.limbs[i]
		end := maxDigits - (i+1)*limbDigits
		for p := end + limbDigits - 1; p >= end; p-- {
			if limb == 0 && i == d.n-1 {
				break
			}
			digits[p] = '0' + byte(limb%10)
			limb /= 10
			first = p
		}
	}
	// At least one digit stands in front of the point.
	for first > maxDigits-1-scale {
		first--
		digits[first] = '0'
	}
	whole, fraction := digits[first:maxDigits-scale], digits[maxDigits-scale:]
	for len(fraction) > 0 && fraction[len(fraction)-1] == '0' {
		fraction = fraction[:len(fraction)-1]
	}
	if d.negative {
		dst = append(dst, '-')
	}
	dst = append(dst, whole...)
	if len(fraction) > 0 {
		dst = append(dst, '.')
		dst = append(dst, fraction...)
	}
	return dst
}

// A parameter is a number that a rule is made with.
type parameter struct {
	numeral
	scale int // digits behind the point that it needs
}

// maxScale bounds the digits behind the point of a parameter.
const maxScale = 30

func parseParameter(text string) (parameter, bool) {
	x, ok := parseNumeral([]byte(text))
	if !ok || x.exponent < -maxScale || x.exponent > maxScale || len(text) > maxDigits {
		return parameter{}, false
	}
	p := parameter{numeral: x, scale: max(0, len(x.fraction)-x.exponent)}
	// Zeros at the end of a fraction need no digits.
	for i := len(x.fraction) - 1; i >= 0 && p.scale > 0 && x.fraction[i] == '0'; i-- {
		p.scale--
	}
	return p, p.scale <= maxScale
}
