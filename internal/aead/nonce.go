package aead

import "crypto/rand"

// nonceBatch is how many random bytes are drawn in one call at most: the
// nonces of 32 GCM seals. One call for 60 bytes costs half of five calls for 12.
const nonceBatch = 384

// Nonces is a small stock of random bytes from the operating system. It belongs
// to one goroutine. The zero value is empty and ready.
//
// The stock serves one record and is dropped at its end: bytes that waited in
// memory could be used twice by two copies of a virtual machine that was
// snapshotted in between, and a repeated GCM nonce breaks the key.
type Nonces struct {
	buf        [nonceBatch]byte
	next, have int
	want       int
}

// Expect begins a record that will probably need n bytes, and drops what an
// earlier record left.
func (s *Nonces) Expect(n int) {
	s.next, s.have = 0, 0
	s.want = min(n, nonceBatch)
}

// take returns n fresh random bytes, which stay valid until the next call.
func (s *Nonces) take(n int) []byte {
	if s.have-s.next < n {
		fill := max(s.want, n)
		// rand.Read never fails: the process ends when the system has no
		// randomness, which is the closed way to fail.
		_, _ = rand.Read(s.buf[:fill])
		s.next, s.have = 0, fill
	}
	b := s.buf[s.next : s.next+n : s.next+n]
	s.next += n
	return b
}
