package aead

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/subtle"

	"github.com/fieldveil/fieldveil/internal/secret"
)

const xaesNonceSize = 24

// XAES is XAES-256-GCM with random 192-bit nonces: for keys that several
// processes share or that live long, where nobody can count seals. A key may
// seal 2^80 messages.
//
// Each message has an AES-256-GCM key of its own, derived from the first half
// of the nonce with the KDF in counter mode on CMAC (SP 800-108r1), so every
// seal sets up a key schedule and allocates.
//
// https://c2sp.org/XAES-256-GCM
type XAES struct {
	block  cipher.Block
	k1     [aes.BlockSize]byte // CMAC subkey for a complete last block
	module bool
}

// NewXAES returns the cipher of a 32-byte key, which the caller may wipe.
func NewXAES(key secret.Bytes) (*XAES, error) { return newXAES(key, fips()) }

func newXAES(key secret.Bytes, module bool) (*XAES, error) {
	if key.Len() != KeySize {
		return nil, errKeySize
	}
	block, err := aes.NewCipher(key.Expose())
	if err != nil {
		return nil, err
	}
	x := &XAES{block: block, module: module}
	// K1 is L = AES(0) doubled in GF(2^128), as in SP 800-38B.
	block.Encrypt(x.k1[:], x.k1[:])
	var carry byte
	for i := len(x.k1) - 1; i >= 0; i-- {
		carry, x.k1[i] = x.k1[i]>>7, x.k1[i]<<1|carry
	}
	x.k1[len(x.k1)-1] ^= byte(subtle.ConstantTimeSelect(int(carry), 0x87, 0)) //nolint:gosec // 0 or 0x87
	return x, nil
}

// NonceSize returns 24.
func (x *XAES) NonceSize() int { return xaesNonceSize }

// Seal appends nonce, ciphertext and tag.
func (x *XAES) Seal(dst, plain, aad []byte, n *Nonces) ([]byte, error) {
	if len(plain) > MaxPlaintext {
		return dst, ErrTooLarge
	}
	if x.module {
		n12 := n.random(gcmNonceSize)
		g, err := x.derive(n12)
		if err != nil {
			return dst, err
		}
		return g.aead.Seal(append(dst, n12...), nil, plain, aad), nil
	}
	return x.sealWithNonce(dst, plain, aad, n.random(xaesNonceSize))
}

func (x *XAES) sealWithNonce(dst, plain, aad, nonce []byte) ([]byte, error) {
	g, err := x.derive(nonce[:gcmNonceSize])
	if err != nil {
		return dst, err
	}
	return g.aead.Seal(append(dst, nonce...), nonce[gcmNonceSize:], plain, aad), nil
}

// Run returns a cipher that seals with nonces which begin all with the same
// twelve bytes, drawn here, so that their key schedule is set up once. What it
// seals [XAES.Open] opens. As one AES-256-GCM key seals all of it, the holder
// counts: not more than 2^32 values, as for [GCM].
func (x *XAES) Run() (*Run, error) {
	r := new(Run)
	_, _ = rand.Read(r.prefix[:]) // never fails
	var err error
	r.gcm, err = x.derive(r.prefix[:])
	return r, err
}

// A Run seals values of XAES-256-GCM whose nonces have their first half in
// common. It is immutable and safe for concurrent use.
type Run struct {
	prefix [gcmNonceSize]byte
	gcm    *GCM
}

// Seal appends nonce, ciphertext and tag.
func (r *Run) Seal(dst, plain, aad []byte, n *Nonces) ([]byte, error) {
	if len(plain) > MaxPlaintext {
		return dst, ErrTooLarge
	}
	out, err := r.gcm.Seal(append(dst, r.prefix[:]...), plain, aad, n)
	if err != nil {
		return dst, err
	}
	return out, nil
}

// Open appends the plaintext of nonce, ciphertext and tag.
func (x *XAES) Open(dst, sealed, aad []byte) ([]byte, error) {
	if len(sealed) < xaesNonceSize+TagSize {
		return dst, ErrOpen
	}
	g, err := x.derive(sealed[:gcmNonceSize])
	if err != nil {
		return dst, err
	}
	return g.Open(dst, sealed[gcmNonceSize:], aad)
}

// derive returns the cipher of the messages whose nonce begins with n12.
func (x *XAES) derive(n12 []byte) (*GCM, error) {
	key := make([]byte, KeySize)
	defer secret.Wipe(key)
	for i := range 2 {
		m := key[i*aes.BlockSize : (i+1)*aes.BlockSize]
		// M = counter (16 bits), label 'X', a zero byte, nonce.
		m[1], m[2] = byte(i+1), 'X'
		copy(m[4:], n12)
		subtle.XORBytes(m, m, x.k1[:])
		x.block.Encrypt(m, m)
	}
	return newGCM(secret.Take(key), x.module)
}
