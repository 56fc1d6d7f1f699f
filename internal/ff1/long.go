package ff1

import (
	"crypto/aes"
	"encoding/binary"
	"math/bits"
	"slices"
)

// Numbers of several words are slices, the lowest word first, of a length that
// the layout fixes: words at the top may be zero.

// limbScratch is the room for halves that no word holds.
type limbScratch struct {
	x, y []uint64 // the halves
	f    []uint64 // what the round function returned
	q    []byte   // the last blocks of what the MAC reads, then what it returned
}

// cryptLong is the network on halves of any length.
func (c *Cipher) cryptLong(s *scratch, l *layout, dst, src []uint16, tweak []byte, encrypt bool) {
	g := &s.long
	g.x, g.y = room(g.x, l.words), room(g.y, l.words)
	base := c.absorb(s, l.start, tweak, l.b+1)
	c.longNum(g.x, src[:l.u])
	c.longNum(g.y, src[l.u:])
	if encrypt {
		for i := byte(0); i < rounds; i += 2 {
			l.longMods[0].add(g.x, c.longRound(s, l, base, i, g.y, &l.longMods[0]))
			l.longMods[1].add(g.y, c.longRound(s, l, base, i+1, g.x, &l.longMods[1]))
		}
	} else {
		for i := byte(rounds); i > 0; i -= 2 {
			l.longMods[1].sub(g.y, c.longRound(s, l, base, i-1, g.x, &l.longMods[1]))
			l.longMods[0].sub(g.x, c.longRound(s, l, base, i-2, g.y, &l.longMods[0]))
		}
	}
	c.longStr(dst[:l.u], g.x)
	c.longStr(dst[l.u:], g.y)
	// The halves are zero now.
	clear(g.f)
	clear(g.q)
}

// longRound is the round function number i of half, modulo m.
func (c *Cipher) longRound(s *scratch, l *layout, x state, i byte, half []uint64, m *longModulus) []uint64 {
	g := &s.long
	g.q = room(g.q, max(blocks(l.b+1), blocks(l.d)))
	q := g.q[:blocks(l.b+1)]
	clear(q[:len(q)-l.b])
	q[len(q)-l.b-1] = i
	putBytes(q[len(q)-l.b:], half)
	for ; len(q) > 0; q = q[aes.BlockSize:] {
		x = s.encrypt(c.block, x.xor(load(q)))
	}
	// The blocks behind the MAC are encryptions of the MAC and a counter.
	out := g.q[:blocks(l.d)]
	x.put(out)
	for j := aes.BlockSize; j < len(out); j += aes.BlockSize {
		s.encrypt(c.block, x.xor(state{0, uint64(j / aes.BlockSize)})).put(out[j:])
	}
	// A word more than d bytes take, for the shift of the division.
	g.f = room(g.f, (l.d+7)/8+1)
	getBytes(g.f, out[:l.d])
	return m.reduce(g.f)
}

// blocks is n bytes rounded up to whole blocks.
func blocks(n int) int { return (n + aes.BlockSize - 1) / aes.BlockSize * aes.BlockSize }

// longNum reads a half.
func (c *Cipher) longNum(x []uint64, src []uint16) {
	clear(x)
	// The first chunk is the short one, or empty, so that all others are whole.
	for n := len(src) % c.chunk; len(src) > 0; n = c.chunk {
		mulAdd(x, c.power.m, c.num(src[:n]))
		src = src[n:]
	}
}

// longStr writes x as numerals, filling dst, and leaves x zero.
func (c *Cipher) longStr(dst []uint16, x []uint64) {
	for len(dst) > 0 {
		n := min(len(dst), c.chunk)
		c.str(dst[len(dst)-n:], divWord(x, &c.power))
		dst = dst[:len(dst)-n]
	}
}

// A longModulus is a modulus of any number of words.
type longModulus struct {
	m    []uint64 // the top word is not zero
	bits int      // of m-1
	// norm is m shifted to the left by shift, so that its top bit is set, and top
	// divides by the top word of it.
	norm  []uint64
	shift uint
	top   modulus
}

// set makes d radix^n.
func (d *longModulus) set(c *Cipher, n int) {
	d.m = room(d.m, n/c.chunk+1)
	clear(d.m)
	d.m[0] = c.pow(n % c.chunk)
	for range n / c.chunk {
		mulAdd(d.m, c.power.m, 0)
	}
	for d.m[len(d.m)-1] == 0 {
		d.m = d.m[:len(d.m)-1]
	}
	d.prepare()
}

// prepare sets all that follows from m.
func (d *longModulus) prepare() {
	w := len(d.m)
	d.bits = 64*(w-1) + bits.Len64(d.m[w-1])
	if onlyTopBit(d.m) {
		d.bits--
	}
	d.shift = uint(bits.LeadingZeros64(d.m[w-1]))
	d.norm = room(d.norm, w)
	copy(d.norm, d.m)
	shiftLeft(d.norm, d.shift)
	d.top = newModulus(d.norm[w-1])
}

// onlyTopBit tells whether m is a power of two.
func onlyTopBit(m []uint64) bool {
	ones := 0
	for _, w := range m {
		ones += bits.OnesCount64(w)
	}
	return ones == 1
}

// add makes x the sum of x and y modulo m. x has as many words as m or more,
// and what is above m is zero; y has as many as m.
func (d *longModulus) add(x, y []uint64) {
	x = x[:len(d.m)]
	carry, borrow := uint64(0), uint64(0)
	for i := range x {
		x[i], carry = bits.Add64(x[i], y[i], carry)
	}
	for i := range x {
		x[i], borrow = bits.Sub64(x[i], d.m[i], borrow)
	}
	// It was too much to subtract when the sum was below m: add it again.
	addMasked(x, d.m, -(borrow &^ carry))
}

// sub makes x the difference of x and y modulo m.
func (d *longModulus) sub(x, y []uint64) {
	x = x[:len(d.m)]
	borrow := uint64(0)
	for i := range x {
		x[i], borrow = bits.Sub64(x[i], y[i], borrow)
	}
	addMasked(x, d.m, -borrow)
}

// addMasked adds m to x when mask is all ones, and nothing when it is zero.
func addMasked(x, m []uint64, mask uint64) {
	carry := uint64(0)
	for i := range x {
		x[i], carry = bits.Add64(x[i], m[i]&mask, carry)
	}
}

// reduce returns x modulo m in as many words as m has, within x. The top word
// of x is zero, and x has more words than m. It is algorithm D of Knuth, "The
// Art of Computer Programming", section 4.3.1.
func (d *longModulus) reduce(x []uint64) []uint64 {
	w := len(d.norm)
	shiftLeft(x, d.shift)
	for j := len(x) - w - 1; j >= 0; j-- {
		d.step(x[j : j+w+1])
	}
	x = x[:w]
	shiftRight(x, d.shift)
	return x
}

// step subtracts from x, of a word more than norm and less than 2^64 times it,
// the multiple of norm that leaves less than norm.
func (d *longModulus) step(x []uint64) {
	w := len(d.norm)
	// Guess the multiple by the top words: never too small, and at most two too
	// large because the top bit of norm is set.
	guess := ^uint64(0)
	if x[w] < d.top.m {
		guess, _ = d.top.divide(x[w], x[w-1])
	}
	borrow, high := uint64(0), uint64(0)
	for i, v := range d.norm {
		hi, lo := bits.Mul64(guess, v)
		lo, carry := bits.Add64(lo, high, 0)
		high = hi + carry
		x[i], borrow = bits.Sub64(x[i], lo, borrow)
	}
	x[w], borrow = bits.Sub64(x[w], high, borrow)
	for borrow != 0 { // below zero: give back
		carry := uint64(0)
		for i, v := range d.norm {
			x[i], carry = bits.Add64(x[i], v, carry)
		}
		x[w], carry = bits.Add64(x[w], 0, carry)
		borrow -= carry
	}
}

// mulAdd makes x the product of x and mul, and add more. It fits by the choice
// of the length of x.
func mulAdd(x []uint64, mul, add uint64) {
	for i, v := range x {
		hi, lo := bits.Mul64(v, mul)
		lo, carry := bits.Add64(lo, add, 0)
		x[i], add = lo, hi+carry
	}
}

// divWord makes x its quotient by m and returns the remainder.
func divWord(x []uint64, m *modulus) (r uint64) {
	for i := len(x) - 1; i >= 0; i-- {
		x[i], r = m.divide(r, x[i])
	}
	return r
}

// shiftLeft shifts by less than 64; no bits go lost at the top.
func shiftLeft(x []uint64, n uint) {
	for i := len(x) - 1; i > 0; i-- {
		x[i] = x[i]<<n | x[i-1]>>(64-n) // a shift by 64 gives zero
	}
	x[0] <<= n
}

// shiftRight shifts by less than 64.
func shiftRight(x []uint64, n uint) {
	for i := range len(x) - 1 {
		x[i] = x[i]>>n | x[i+1]<<(64-n)
	}
	x[len(x)-1] >>= n
}

// putBytes writes the low bytes of x to b, the highest first, filling b.
func putBytes(b []byte, x []uint64) {
	for _, w := range x {
		if len(b) < 8 {
			for i := len(b) - 1; i >= 0; i-- {
				b[i], w = byte(w), w>>8
			}
			return
		}
		binary.BigEndian.PutUint64(b[len(b)-8:], w)
		b = b[:len(b)-8]
	}
}

// getBytes reads b, the highest byte first, into x, which has the room.
func getBytes(x []uint64, b []byte) {
	for i := range x {
		n := min(len(b), 8)
		x[i] = 0
		for _, v := range b[len(b)-n:] {
			x[i] = x[i]<<8 | uint64(v)
		}
		b = b[:len(b)-n]
	}
}

// room returns a slice of n elements, s where it is large enough. What is in it
// is left over.
func room[T any](s []T, n int) []T { return slices.Grow(s[:0], n)[:n] }
