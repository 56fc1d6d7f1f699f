// Package aead holds the ciphers of the envelope: AES-256-GCM (NIST SP 800-38D)
// and XAES-256-GCM (C2SP), built from the standard library alone.
//
// It promises that a nonce is drawn inside the package, fresh for every seal,
// and that nothing exported takes one. It does not count seals: the holder of
// the key does (package datakey). Neither cipher commits to its key: the holder
// checks the key's commitment before first use.
package aead

import (
	"crypto/fips140"
	"errors"
)

// Sizes in bytes.
const (
	KeySize = 32
	TagSize = 16
	// MaxPlaintext is the longest value that one call seals, 1 GiB: far below
	// what the cipher allows (64 GiB) and above any Kafka record.
	MaxPlaintext = 1 << 30
)

// Errors.
var (
	// ErrOpen means that authentication failed: another key, another AAD, or a
	// changed value. It is all that is ever said.
	ErrOpen = errors.New("authentication failed")
	// ErrTooLarge means that the plaintext is longer than MaxPlaintext.
	ErrTooLarge = errors.New("plaintext too large")
)

// An AEAD seals and opens under one key. It is immutable and safe for
// concurrent use.
type AEAD interface {
	// NonceSize is the number of bytes of the nonce that Seal prepends.
	NonceSize() int
	// Seal appends nonce, ciphertext and tag to dst. The random bytes come from
	// n. plain and aad must not overlap the free capacity of dst.
	Seal(dst, plain, aad []byte, n *Nonces) ([]byte, error)
	// Open appends the plaintext of sealed, which is what Seal appended, to
	// dst. On an error dst comes back at its length.
	Open(dst, sealed, aad []byte) ([]byte, error)
}

// fips tells whether the FIPS 140-3 mode of the standard library is on, where
// GCM must draw its nonce inside the module. It cannot change while a process
// runs.
func fips() bool { return fips140.Enabled() }
