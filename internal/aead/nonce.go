package aead

import (
	"crypto/rand"
	"encoding/binary"
)

// Nonces makes the nonces of one record, or of records that one call was given.
// It belongs to one goroutine. The zero value is ready.
//
// The first 96-bit nonce is drawn from the operating system, and each further one
// is its successor: the RBG-based construction of NIST SP 800-38D, 8.2.2, in both
// of its forms. Against a draw for every value that saves most of the cost of
// randomness, and it makes a repeat less likely: runs of L nonces collide L times
// more often than single draws, and there are L times fewer of them, of which
// pairs count.
//
// Nothing is kept from one call to the next: what waits in memory could be used
// twice, by two copies of a virtual machine that was snapshotted in between, and a
// repeated GCM nonce breaks the key. Within a call the copies hold the same records,
// and go on to the same ciphertexts, as long as nothing makes them part: so
// whoever waits, or leaves a record out, resets (FV-11).
type Nonces struct {
	buf    [xaesNonceSize]byte
	inside bool // buf holds the last 96-bit nonce
}

// Reset begins anew: the next nonce is drawn.
func (s *Nonces) Reset() { s.inside = false }

// next96 returns the next 96-bit nonce, valid until the next call.
func (s *Nonces) next96() *[gcmNonceSize]byte {
	b := (*[gcmNonceSize]byte)(s.buf[:])
	if !s.inside {
		s.random(gcmNonceSize)
		s.inside = true
		return b
	}
	// The 96-bit incrementing function, big-endian and modulo 2^96. Its upper 64
	// bits are hardly ever written, so that they can be read back at once.
	low := binary.BigEndian.Uint32(b[8:]) + 1
	binary.BigEndian.PutUint32(b[8:], low)
	if low == 0 {
		binary.BigEndian.PutUint64(b[:], binary.BigEndian.Uint64(b[:])+1)
	}
	return b
}

// random returns n fresh random bytes, valid until the next call.
func (s *Nonces) random(n int) []byte {
	s.inside = false
	// rand.Read never fails: the process ends when the system has no randomness,
	// which is the closed way to fail.
	_, _ = rand.Read(s.buf[:n])
	return s.buf[:n:n]
}
