// Package siv is AES-SIV (RFC 5297): deterministic authenticated encryption,
// built from the block cipher of the standard library.
//
// It promises that equal plaintexts under equal keys and associated data give
// equal bytes, and that nothing else can be told of a plaintext but its length;
// that whatever was changed is refused with no plaintext left behind; and that
// a warm Cipher allocates nothing but room that dst lacks. It does not count
// seals and does not commit to its key: the holder of the key does.
package siv

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
)

// Sizes and limits.
const (
	// KeySize is the length of an AES-256-SIV key: a key for S2V, then one for
	// CTR.
	KeySize = 64
	// Overhead is the length of the synthetic IV, which stands before the
	// ciphertext and authenticates it.
	Overhead = aes.BlockSize
	// MaxComponents is the number of associated strings that S2V takes beside
	// the plaintext (RFC 5297 section 2.6).
	MaxComponents = 126
)

// Errors.
var (
	// ErrOpen means that authentication failed: another key, other associated
	// data, or a changed value. It is all that is ever said.
	ErrOpen = errors.New("siv: authentication failed")

	errKeySize    = errors.New("siv: key is not 64 bytes long")
	errComponents = errors.New("siv: more than 126 components")
)

// A Cipher seals and opens under one key. It is safe for concurrent use.
type Cipher struct {
	mac, ctr cipher.Block
	// k1 and k2 are the CMAC subkeys for a whole last block and for one that was
	// padded; zero is the CMAC of a block of zeros, with which S2V begins.
	k1, k2, zero block
	scratch      sync.Pool // of *scratch
}

// A block is 128 bits, the first 64 in hi.
type block struct{ hi, lo uint64 }

// scratch is what the block cipher works on. Arguments of an interface's method
// escape, so a local array would be an allocation.
type scratch struct{ b [aes.BlockSize]byte }

// New returns the cipher of a 64-byte key. It keeps key schedules and not the
// key, which the caller may wipe.
func New(key []byte) (*Cipher, error) {
	if len(key) != KeySize {
		return nil, errKeySize
	}
	return newCipher(key)
}

// newCipher takes keys of every length that RFC 5297 has.
func newCipher(key []byte) (*Cipher, error) {
	mac, err := aes.NewCipher(key[:len(key)/2])
	if err != nil {
		return nil, err
	}
	ctr, err := aes.NewCipher(key[len(key)/2:])
	if err != nil {
		return nil, err
	}
	c := &Cipher{mac: mac, ctr: ctr, scratch: sync.Pool{New: func() any { return new(scratch) }}}
	s := c.take()
	c.k1 = s.encrypt(mac, block{}).double() // SP 800-38B section 6.1
	c.k2 = c.k1.double()
	c.zero = s.encrypt(mac, c.k1)
	c.put(s)
	return c, nil
}

// Format writes the name of the type and nothing of the key, whatever the verb.
func (c *Cipher) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "siv.Cipher") }

// Seal appends the synthetic IV and the ciphertext of plaintext to dst. The
// result depends on nothing but the key, plaintext and aad. All of them may
// overlap the free capacity of dst.
func (c *Cipher) Seal(dst, plaintext, aad []byte) []byte {
	components := [1][]byte{aad}
	return c.seal(dst, plaintext, components[:])
}

// Open appends the plaintext of ciphertext, which is what Seal appended, to
// dst. On an error dst comes back at its length, and what was decrypted is
// overwritten with zeros. All of them may overlap the free capacity of dst.
func (c *Cipher) Open(dst, ciphertext, aad []byte) ([]byte, error) {
	components := [1][]byte{aad}
	return c.open(dst, ciphertext, components[:])
}

// SealVector is Seal with any number of associated strings up to
// MaxComponents, each of which counts for itself.
func (c *Cipher) SealVector(dst, plaintext []byte, components ...[]byte) ([]byte, error) {
	if len(components) > MaxComponents {
		return dst, errComponents
	}
	return c.seal(dst, plaintext, components), nil
}

// OpenVector is Open for what SealVector appended.
func (c *Cipher) OpenVector(dst, ciphertext []byte, components ...[]byte) ([]byte, error) {
	if len(components) > MaxComponents {
		return dst, errComponents
	}
	return c.open(dst, ciphertext, components)
}

func (c *Cipher) seal(dst, plaintext []byte, components [][]byte) []byte {
	s := c.take()
	defer c.put(s)
	// All inputs have been read before the first byte is written.
	v := c.s2v(s, c.chain(s, components), plaintext)
	at := len(dst)
	dst = slices.Grow(dst, Overhead+len(plaintext))[:at+Overhead+len(plaintext)]
	text := dst[at+Overhead:]
	copy(text, plaintext)
	v.put(dst[at:])
	c.xor(s, text, v)
	return dst
}

func (c *Cipher) open(dst, ciphertext []byte, components [][]byte) ([]byte, error) {
	if len(ciphertext) < Overhead {
		return dst, ErrOpen
	}
	s := c.take()
	defer c.put(s)
	d := c.chain(s, components)
	v := load(ciphertext)
	n := len(ciphertext) - Overhead
	out := slices.Grow(dst, n)[:len(dst)+n]
	text := out[len(dst):]
	copy(text, ciphertext[Overhead:])
	c.xor(s, text, v)
	// All bits are compared before anything depends on one of them.
	if diff := c.s2v(s, d, text).add(v); diff.hi|diff.lo != 0 {
		clear(text)
		return dst, ErrOpen
	}
	return out, nil
}

// chain is S2V over all strings but the last, the plaintext.
func (c *Cipher) chain(s *scratch, components [][]byte) block {
	d := c.zero
	for _, p := range components {
		d = d.double().add(c.cmac(s, p, block{}))
	}
	return d
}

// s2v ends the chain d with the last string.
func (c *Cipher) s2v(s *scratch, d block, last []byte) block {
	if len(last) >= aes.BlockSize {
		return c.cmac(s, last, d)
	}
	// A padded block is whole, so it takes k1.
	return s.encrypt(c.mac, padded(last).add(d.double()).add(c.k1))
}

// cmac is AES-CMAC (SP 800-38B) of p, into whose last 16 bytes end is added
// first. p is at least that long, or end is zero.
func (c *Cipher) cmac(s *scratch, p []byte, end block) block {
	var x block
	for len(p) > 2*aes.BlockSize {
		x = s.encrypt(c.mac, x.add(load(p)))
		p = p[aes.BlockSize:]
	}
	tail := len(p) - aes.BlockSize // of a last block behind this one
	if tail > 0 {
		// The last 16 bytes begin in this block and end in the next.
		head, rest := end.split(tail)
		x = s.encrypt(c.mac, x.add(load(p)).add(head))
		p, end = p[aes.BlockSize:], rest
	}
	if len(p) == aes.BlockSize {
		return s.encrypt(c.mac, x.add(load(p)).add(end).add(c.k1))
	}
	return s.encrypt(c.mac, x.add(padded(p)).add(end).add(c.k2))
}

// xor encrypts or decrypts text in place by CTR mode.
func (c *Cipher) xor(s *scratch, text []byte, v block) {
	// The upper bits of both 32-bit words of the lower half are cleared, so
	// that the counter never runs out of them (RFC 5297 section 2.5).
	v.lo &= 0x7fff_ffff_7fff_ffff
	for ; len(text) >= aes.BlockSize; text = text[aes.BlockSize:] {
		load(text).add(s.encrypt(c.ctr, v)).put(text)
		v.lo++
	}
	if len(text) > 0 {
		s.encrypt(c.ctr, v)
		subtle.XORBytes(text, text, s.b[:])
	}
}

// take returns scratch that nobody else has.
func (c *Cipher) take() *scratch {
	s, _ := c.scratch.Get().(*scratch)
	return s
}

// put gives scratch back without what it was used for.
func (c *Cipher) put(s *scratch) {
	s.b = [aes.BlockSize]byte{}
	c.scratch.Put(s)
}

func (s *scratch) encrypt(b cipher.Block, x block) block {
	x.put(s.b[:])
	b.Encrypt(s.b[:], s.b[:])
	return load(s.b[:])
}

// load reads the first 16 bytes of b.
func load(b []byte) block {
	_ = b[aes.BlockSize-1]
	return block{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}
}

// put writes x to the first 16 bytes of b.
func (x block) put(b []byte) {
	_ = b[aes.BlockSize-1]
	binary.BigEndian.PutUint64(b, x.hi)
	binary.BigEndian.PutUint64(b[8:], x.lo)
}

// padded is p, which is shorter than a block, and a bit behind it.
func padded(p []byte) block {
	var b [aes.BlockSize]byte
	copy(b[:], p)
	b[len(p)] = 0x80
	return load(b[:])
}

func (x block) add(y block) block { return block{x.hi ^ y.hi, x.lo ^ y.lo} }

// double multiplies by two in GF(2^128), in constant time.
func (x block) double() block {
	return block{x.hi<<1 | x.lo>>63, x.lo<<1 ^ -(x.hi>>63)&0x87}
}

// split returns x moved n bytes to the right, 0 < n ≤ 16, and what fell out, at
// the left of a block of its own.
func (x block) split(n int) (kept, out block) {
	bits := uint(n) * 8
	if bits >= 64 {
		bits -= 64
		// A shift by 64 gives zero.
		return block{0, x.hi >> bits}, block{x.hi<<(64-bits) | x.lo>>bits, x.lo << (64 - bits)}
	}
	return block{x.hi >> bits, x.hi<<(64-bits) | x.lo>>bits}, block{x.lo << (64 - bits), 0}
}
