// Package ff1 is FF1, the format-preserving encryption of NIST SP 800-38G, on
// the AES of the standard library.
//
// It promises that every string of numerals is mapped to another one of the
// same length and radix, in a way that the key, the tweak and the length fix and
// that Decrypt undoes, and that a warm [Cipher] allocates nothing. It takes
// every domain of the first edition of the standard, 100 strings and more: a
// million, which revision 1 asks for, is for the caller to see to, because the
// test vectors are older than that.
//
// It does not promise integrity: any other key, tweak or string decrypts too, to
// something else. And it is deterministic: equal inputs give equal outputs.
package ff1

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"sync"
)

// Limits.
const (
	MinRadix = 2
	MaxRadix = 1 << 16
	// MinDomain is the smallest number of strings of a length that is taken.
	MinDomain = 100
	// MaxLength is the longest string, in numerals. The standard allows 2^32;
	// the work grows with the square.
	MaxLength = 4096
	// MaxTweak is the longest tweak, in bytes.
	MaxTweak = 1 << 16
)

// Errors. They say nothing of the input.
var (
	// ErrLength means that a string is too short for its radix, or longer than
	// MaxLength.
	ErrLength = errors.New("ff1: length is out of range")
	// ErrNumeral means that a numeral is not below the radix.
	ErrNumeral = errors.New("ff1: numeral is not below the radix")
	// ErrTweak means that a tweak is longer than MaxTweak.
	ErrTweak = errors.New("ff1: tweak is too long")

	errRadix  = errors.New("ff1: radix is out of range")
	errBuffer = errors.New("ff1: output is shorter than input")
)

// rounds of the Feistel network.
const rounds = 10

// A Cipher encrypts and decrypts under one key and radix. It is safe for
// concurrent use.
type Cipher struct {
	block     cipher.Block
	radix     uint64
	minLength int
	// half is the number of numerals that always fit into half a word,
	// radix^half ≤ 2^32, and halfPower is what they count to. inverse[n] is
	// 2^64/radix^n, rounded up.
	half      int
	halfPower modulus
	inverse   [33]uint64
	// chunk is the number of numerals that always fit into a word, and power is
	// what a chunk counts to: radix^chunk ≤ 2^64-1.
	chunk   int
	power   modulus
	scratch sync.Pool // of *scratch
}

// scratch is what one call works on. Arguments of an interface's method escape,
// so a local array would be an allocation.
type scratch struct {
	b       [aes.BlockSize]byte
	layouts [layoutSlots]layout
	long    limbScratch
}

// layoutSlots is the number of lengths whose layout a scratch remembers. Card
// numbers have eight.
const layoutSlots = 32

// New returns the cipher of an AES key of 16, 24 or 32 bytes. It keeps the key
// schedule and not the key, which the caller may wipe.
func New(key []byte, radix int) (*Cipher, error) {
	if radix < MinRadix || radix > MaxRadix {
		return nil, errRadix
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("ff1: %w", err) // it names the length
	}
	c := &Cipher{block: block, radix: uint64(radix), minLength: MinLength(radix, MinDomain)}
	power := uint64(1)
	for hi, lo := bits.Mul64(power, c.radix); hi == 0; hi, lo = bits.Mul64(power, c.radix) {
		power = lo
		c.chunk++
		if power <= 1<<32 {
			c.half, c.halfPower = c.chunk, newModulus(power)
			c.inverse[c.half] = ^uint64(0)/power + 1
		}
	}
	c.power = newModulus(power)
	c.scratch.New = func() any { return new(scratch) }
	return c, nil
}

// MinLength returns the smallest length at which radix, 2 or more, has at least
// domain strings: 6 for digits and a million. It is 2 at least, as the standard
// demands.
func MinLength(radix int, domain uint64) int {
	n, strings := 0, uint64(1)
	for strings < domain {
		hi, lo := bits.Mul64(strings, uint64(radix)) //nolint:gosec // positive
		strings = lo
		if hi != 0 {
			strings = ^uint64(0)
		}
		n++
	}
	return max(n, 2)
}

// Format writes the name of the type and nothing of the key, whatever the verb.
func (c *Cipher) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "ff1.Cipher") }

// Encrypt writes the encryption of src to the first len(src) numerals of dst,
// which may be src. On an error nothing is written. The error is ErrLength,
// ErrNumeral or ErrTweak, or says that dst is too short.
func (c *Cipher) Encrypt(dst, src []uint16, tweak []byte) error {
	return c.crypt(dst, src, tweak, true)
}

// Decrypt undoes Encrypt with the same tweak.
func (c *Cipher) Decrypt(dst, src []uint16, tweak []byte) error {
	return c.crypt(dst, src, tweak, false)
}

func (c *Cipher) crypt(dst, src []uint16, tweak []byte, encrypt bool) error {
	switch {
	case len(src) < c.minLength || len(src) > MaxLength:
		return ErrLength
	case len(tweak) > MaxTweak:
		return ErrTweak
	case len(dst) < len(src):
		return errBuffer
	}
	for _, x := range src {
		if uint64(x) >= c.radix {
			return ErrNumeral
		}
	}
	s, _ := c.scratch.Get().(*scratch)
	l := &s.layouts[len(src)%layoutSlots]
	if l.n != len(src) || l.t != len(tweak) {
		c.lay(s, l, len(src), len(tweak))
	}
	if l.words == 1 {
		c.cryptWord(s, l, dst[:len(src)], src, tweak, encrypt)
	} else {
		c.cryptLong(s, l, dst[:len(src)], src, tweak, encrypt)
	}
	s.b = [aes.BlockSize]byte{}
	c.scratch.Put(s)
	return nil
}

// A layout is what depends on nothing but the key, the radix and the lengths n
// of the string and t of the tweak.
type layout struct {
	n, t int
	// u and v are the lengths of the halves, u ≤ v.
	u, v int
	// b is the length in bytes of a half as the round function reads it, and d
	// the length of what it returns.
	b, d int
	// words is the number of 64-bit words that a half takes.
	words int
	// start is the state of the CBC-MAC behind the block P, with which every
	// round of every string of this layout begins.
	start state
	// mods are radix^u and radix^v where a word holds them, longMods where not.
	mods     [2]modulus
	longMods [2]longModulus
}

// lay makes l the layout of strings of n numerals and tweaks of t bytes.
func (c *Cipher) lay(s *scratch, l *layout, n, t int) {
	if l.n != n {
		l.n, l.u = n, n/2
		l.v = n - l.u
		if l.v <= c.chunk {
			l.words = 1
			l.mods[0], l.mods[1] = newModulus(c.pow(l.u)), newModulus(c.pow(l.v))
			l.b = (bits.Len64(l.mods[1].m-1) + 7) / 8
		} else {
			l.longMods[0].set(c, l.u)
			l.longMods[1].set(c, l.v)
			l.words = len(l.longMods[1].m)
			l.b = (l.longMods[1].bits + 7) / 8
		}
		l.d = 4*((l.b+3)/4) + 4
	}
	l.t = t
	p := s.b[:]
	// 1, 2 and 1 say version, method and addition; the radix has three bytes,
	// rounds and u one each, and both lengths four.
	binary.BigEndian.PutUint64(p, 1<<56|2<<48|1<<40|c.radix<<16|rounds<<8|uint64(l.u&0xff))
	binary.BigEndian.PutUint64(p[8:], uint64(n)<<32|uint64(t)) //nolint:gosec // below 2^32
	c.block.Encrypt(p, p)
	l.start = load(p)
}

// pow returns radix^n, n ≤ chunk.
func (c *Cipher) pow(n int) uint64 {
	p := uint64(1)
	for range n {
		p *= c.radix
	}
	return p
}

// cryptWord is the network on halves of one word each.
func (c *Cipher) cryptWord(s *scratch, l *layout, dst, src []uint16, tweak []byte, encrypt bool) {
	// The last block of what the MAC reads is, from its end, the half of b ≤ 8
	// bytes, the number of the round, and zeros or the end of the tweak. All
	// before it is the same in every round.
	base := c.absorb(s, l.start, tweak, l.b+1)
	u, v := &l.mods[0], &l.mods[1]
	x, y := c.num(src[:l.u]), c.num(src[l.u:])
	switch narrow := l.d == 8; {
	case narrow && encrypt:
		step := uint64(1) << (8 * uint(l.b)) // adds one to the number of the round
		for i := uint64(0); i < rounds; i += 2 {
			x = u.addNarrow(x, s.narrowRound(c.block, base.hi, base.lo^i*step^y))
			y = v.addNarrow(y, s.narrowRound(c.block, base.hi, base.lo^(i+1)*step^x))
		}
	case narrow:
		step := uint64(1) << (8 * uint(l.b))
		for i := uint64(rounds); i > 0; i -= 2 {
			y = v.subNarrow(y, s.narrowRound(c.block, base.hi, base.lo^(i-1)*step^x))
			x = u.subNarrow(x, s.narrowRound(c.block, base.hi, base.lo^(i-2)*step^y))
		}
	case encrypt:
		for i := uint64(0); i < rounds; i += 2 {
			x = u.add(x, s.wideRound(c.block, base.xor(numbered(i, y, l.b)), u))
			y = v.add(y, s.wideRound(c.block, base.xor(numbered(i+1, x, l.b)), v))
		}
	default:
		for i := uint64(rounds); i > 0; i -= 2 {
			y = v.sub(y, s.wideRound(c.block, base.xor(numbered(i-1, x, l.b)), v))
			x = u.sub(x, s.wideRound(c.block, base.xor(numbered(i-2, y, l.b)), u))
		}
	}
	c.str(dst[:l.u], x)
	c.str(dst[l.u:], y)
}

// narrowRound encrypts the last block of the MAC, and returns the eight bytes
// that halves of up to four need.
func (s *scratch) narrowRound(b cipher.Block, hi, lo uint64) uint64 {
	binary.BigEndian.PutUint64(s.b[:], hi)
	binary.BigEndian.PutUint64(s.b[8:], lo)
	b.Encrypt(s.b[:], s.b[:])
	return binary.BigEndian.Uint64(s.b[:])
}

// wideRound encrypts the last block of the MAC, and returns the twelve bytes
// that halves of five to eight need, modulo m.
func (s *scratch) wideRound(b cipher.Block, x state, m *modulus) uint64 {
	x = s.encrypt(b, x)
	return m.reduce(x.hi>>32, x.hi<<32|x.lo>>32)
}

// numbered is the end of a block with the number of a round and a half of five
// to eight bytes.
func numbered(round, half uint64, b int) state {
	if b == 8 {
		return state{round, half}
	}
	return state{0, round<<(8*uint(b)) | half}
}

// absorb carries the MAC from its state x over the tweak, up to the block in
// which the last rest bytes of its input begin, and adds what that block holds
// of the tweak.
func (c *Cipher) absorb(s *scratch, x state, tweak []byte, rest int) state {
	for len(tweak) >= aes.BlockSize {
		x = s.encrypt(c.block, x.xor(load(tweak)))
		tweak = tweak[aes.BlockSize:]
	}
	if len(tweak) > 0 {
		x = x.xor(padded(tweak))
	}
	// Zeros stand between the tweak and the rest, so that whole blocks come out.
	// Where the rest begins no later in its block than the tweak has ended, it
	// begins in the next one.
	if begin := (aes.BlockSize - rest%aes.BlockSize) % aes.BlockSize; begin < len(tweak) {
		x = s.encrypt(c.block, x)
	}
	return x
}

// num reads a half of one word, the first numeral counting most.
func (c *Cipher) num(x []uint16) uint64 {
	n, radix := uint64(0), c.radix
	for _, v := range x {
		n = n*radix + uint64(v)
	}
	return n
}

// str writes n as numerals, filling dst.
func (c *Cipher) str(dst []uint16, n uint64) {
	for len(dst) > c.half {
		var r uint64
		n, r = c.halfPower.divide(0, n)
		c.strHalf(dst[len(dst)-c.half:], r)
		dst = dst[:len(dst)-c.half]
	}
	c.strHalf(dst, n)
}

// strHalf is str for up to half numerals. The quotient n/radix^len(dst) is
// taken as a fraction of 64 bits, out of which every multiplication by the
// radix carries the next numeral. It is multiplications only, that wait for
// nothing but each other.
//
// With m for radix^len(dst), the fraction is too large by less than m/2^64,
// for rounding up the inverse. That is not more than 1/m, the distance to the
// fraction of n+1, so the numerals are those of n.
func (c *Cipher) strHalf(dst []uint16, n uint64) {
	radix, fraction := c.radix, n*c.inverse[len(dst)]
	for i := range dst {
		var x uint64
		x, fraction = bits.Mul64(fraction, radix)
		dst[i] = uint16(x) //nolint:gosec // below the radix
	}
}

// A state is a block of the MAC, the first 64 bits in hi.
type state struct{ hi, lo uint64 }

func (x state) xor(y state) state { return state{x.hi ^ y.hi, x.lo ^ y.lo} }

func load(b []byte) state {
	_ = b[aes.BlockSize-1]
	return state{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}
}

func (x state) put(b []byte) {
	_ = b[aes.BlockSize-1]
	binary.BigEndian.PutUint64(b, x.hi)
	binary.BigEndian.PutUint64(b[8:], x.lo)
}

// padded is p, which is shorter than a block, and zeros behind it.
func padded(p []byte) (x state) {
	for i, v := range p {
		if i < 8 {
			x.hi |= uint64(v) << (56 - 8*i)
		} else {
			x.lo |= uint64(v) << (120 - 8*i)
		}
	}
	return x
}

func (s *scratch) encrypt(b cipher.Block, x state) state {
	x.put(s.b[:])
	b.Encrypt(s.b[:], s.b[:])
	return load(s.b[:])
}
