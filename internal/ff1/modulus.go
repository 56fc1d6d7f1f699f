package ff1

import "math/bits"

// A modulus divides by m with two multiplications, which takes no longer for
// one number than for another, as the divide instruction of many processors
// does.
type modulus struct {
	m uint64
	// norm is m shifted to the left by shift, so that its top bit is set, and
	// recip is floor((2^128-1)/norm) - 2^64.
	norm, recip uint64
	shift       uint
	// short is floor((2^64-1)/m), for m ≤ 2^32.
	short uint64
}

// newModulus takes m ≥ 1.
func newModulus(m uint64) modulus {
	shift := uint(bits.LeadingZeros64(m))
	norm := m << shift
	recip, _ := bits.Div64(^norm, ^uint64(0), norm)
	return modulus{m, norm, recip, shift, ^uint64(0) / m}
}

// reduce returns the number of the words hi, less than 2^32, and lo modulo m.
func (d *modulus) reduce(hi, lo uint64) uint64 {
	if d.m>>32 == 0 {
		_, hi = d.divide(0, hi)
	}
	_, r := d.divide(hi, lo)
	return r
}

// divide returns quotient and remainder of the number of the words hi and lo;
// hi is less than m. It is algorithm 4 of Möller and Granlund, "Improved
// division by invariant integers" (2011).
func (d *modulus) divide(hi, lo uint64) (q, r uint64) {
	// A shift by 64, where m needs none, gives zero.
	hi, lo = hi<<d.shift|lo>>(64-d.shift), lo<<d.shift
	q1, q0 := bits.Mul64(d.recip, hi)
	q0, carry := bits.Add64(q0, lo, 0)
	q1, _ = bits.Add64(q1, hi, carry)
	q1++
	r = lo - q1*d.norm
	// The quotient is one too large where the remainder exceeds q0.
	_, less := bits.Sub64(q0, r, 0)
	q1 -= less
	r += d.norm & -less
	// And it may be one too small, which is rare.
	_, less = bits.Sub64(r, d.norm, 0)
	q1 += 1 - less
	r -= d.norm & (less - 1)
	return q1, r >> d.shift
}

// add returns x+y modulo m, both less than m.
func (d *modulus) add(x, y uint64) uint64 {
	sum, carry := bits.Add64(x, y, 0)
	less, borrow := bits.Sub64(sum, d.m, 0)
	// The difference is right unless the sum was below m.
	keep := -(borrow &^ carry)
	return sum&keep | less&^keep
}

// sub returns x-y modulo m, both less than m.
func (d *modulus) sub(x, y uint64) uint64 {
	diff, borrow := bits.Sub64(x, y, 0)
	return diff + d.m&-borrow
}

// addNarrow returns x+y modulo m, for m ≤ 2^32, x less than m and any y.
func (d *modulus) addNarrow(x, y uint64) uint64 { return d.fold(d.rest(y) + x) }

// subNarrow returns x-y modulo m, for m ≤ 2^32, x less than m and any y.
func (d *modulus) subNarrow(x, y uint64) uint64 { return d.fold(x + 2*d.m - d.rest(y)) }

// rest returns a number less than twice m that is y modulo m. The true inverse
// of m, as short has it, lacks up to 2^-64, and so the product with y less than
// one. Rounding it down takes another part of one: the quotient is right or one
// too small.
func (d *modulus) rest(y uint64) uint64 {
	q, _ := bits.Mul64(y, d.short)
	return y - q*d.m
}

// fold returns x modulo m, for x up to three times m.
func (d *modulus) fold(x uint64) uint64 {
	// These become conditional moves.
	if x >= 2*d.m {
		x -= 2 * d.m
	}
	if x >= d.m {
		x -= d.m
	}
	return x
}
