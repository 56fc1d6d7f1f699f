package aead

import (
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"slices"

	"github.com/fieldveil/fieldveil/internal/secret"
)

const gcmNonceSize = 12

// GCM is AES-256-GCM with 96-bit nonces made by [Nonces]. One key must not seal more than
// 2^32 times.
type GCM struct {
	aead cipher.AEAD
	// module is true when aead draws and prepends the nonce itself.
	module bool
}

// NewGCM returns the cipher of a 32-byte key. It keeps a key schedule and not
// the key, which the caller may wipe.
func NewGCM(key secret.Bytes) (*GCM, error) { return newGCM(key, fips()) }

func newGCM(key secret.Bytes, module bool) (*GCM, error) {
	if key.Len() != KeySize {
		return nil, errKeySize
	}
	block, err := aes.NewCipher(key.Expose())
	if err != nil {
		return nil, err
	}
	g := &GCM{module: module}
	if module {
		g.aead, err = cipher.NewGCMWithRandomNonce(block)
	} else {
		g.aead, err = cipher.NewGCM(block)
	}
	if err != nil {
		return nil, err
	}
	return g, nil
}

var errKeySize = errors.New("aead: key is not 32 bytes long")

// NonceSize returns 12.
func (g *GCM) NonceSize() int { return gcmNonceSize }

// Seal appends nonce, ciphertext and tag.
func (g *GCM) Seal(dst, plain, aad []byte, n *Nonces) ([]byte, error) {
	if len(plain) > MaxPlaintext {
		return dst, ErrTooLarge
	}
	if g.module {
		return g.aead.Seal(dst, nil, plain, aad), nil
	}
	nonce := n.next96()
	return g.aead.Seal(append(dst, nonce[:]...), nonce[:], plain, aad), nil
}

// Open appends the plaintext of nonce, ciphertext and tag.
func (g *GCM) Open(dst, sealed, aad []byte) ([]byte, error) {
	if len(sealed) < gcmNonceSize+TagSize {
		return dst, ErrOpen
	}
	// The plaintext is not longer than this: growing first keeps the cipher
	// from allocating where dst has room.
	dst = slices.Grow(dst, len(sealed)-gcmNonceSize-TagSize)
	var (
		out []byte
		err error
	)
	if g.module {
		out, err = g.aead.Open(dst, nil, sealed, aad)
	} else {
		out, err = g.aead.Open(dst, sealed[:gcmNonceSize], sealed[gcmNonceSize:], aad)
	}
	if err != nil {
		return dst, ErrOpen
	}
	return out, nil
}
