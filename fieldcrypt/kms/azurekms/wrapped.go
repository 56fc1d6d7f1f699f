package azurekms

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
)

const (
	wrapVersion = 1
	wrapLabel   = "fieldveil/1 azure wrap"
	secretSize  = 32
	nonceSize   = 12
	tagSize     = 16
	sealedSize  = nonceSize + kms.DataKeySize + tagSize
)

// An algorithm is how Key Vault wraps the secret.
type algorithm byte

const (
	rsaOAEP256 algorithm = 1
	aesKW      algorithm = 2
)

// sdk returns the name that the SDK has for a.
func (a algorithm) sdk() azkeys.EncryptionAlgorithm {
	if a == aesKW {
		return azkeys.EncryptionAlgorithmA256KW
	}
	return azkeys.EncryptionAlgorithmRSAOAEP256
}

// fits tells whether a makes inner wraps of n bytes.
func (a algorithm) fits(n int) bool {
	switch a {
	case rsaOAEP256:
		return n == 2048/8 || n == 3072/8 || n == 4096/8
	case aesKW:
		return n == secretSize+8
	default:
		return false
	}
}

// A wrappedKey is a wrapped data key in its parts. They point into what was
// parsed.
//
//	version 1 | algorithm 1 | 1+n KEK version | 2+m inner wrap | nonce 12 | ciphertext 32, tag 16
type wrappedKey struct {
	algorithm algorithm
	version   []byte // of the KEK
	inner     []byte // the secret, as Key Vault wrapped it
	sealed    []byte // nonce, ciphertext and tag
}

// header returns what stands in front of the nonce.
func (w wrappedKey) header() []byte {
	h := []byte{wrapVersion, byte(w.algorithm), byte(len(w.version))} //nolint:gosec // at most maxVersion
	h = append(h, w.version...)
	h = binary.BigEndian.AppendUint16(h, uint16(len(w.inner))) //nolint:gosec // at most 512
	return append(h, w.inner...)
}

// parseWrapped takes what wrap makes and nothing else.
func parseWrapped(b []byte) (wrappedKey, error) {
	wrong := func(what string) (wrappedKey, error) {
		return wrappedKey{}, fmt.Errorf("azurekms: unwrap: %w: %s", kms.ErrCorrupt, what)
	}
	if len(b) < 3 {
		return wrong("it is cut")
	}
	if b[0] != wrapVersion {
		return wrong("unknown version")
	}
	w, n := wrappedKey{algorithm: algorithm(b[1])}, int(b[2])
	b = b[3:]
	if len(b) < n+2 {
		return wrong("it is cut")
	}
	w.version, b = b[:n:n], b[n:]
	if !keyVersion(w.version) {
		return wrong("what names the version of the KEK is none")
	}
	m := int(binary.BigEndian.Uint16(b))
	b = b[2:]
	if !w.algorithm.fits(m) {
		return wrong("its inner wrap is of no known algorithm and size")
	}
	if len(b) != m+sealedSize {
		return wrong("it is cut, or longer than it says")
	}
	w.inner, w.sealed = b[:m:m], b[m:]
	return w, nil
}

// outer returns the cipher for the data key. It is bound to the encryption
// context twice: by the key here, and by the additional data of the caller.
func outer(secret, ec []byte) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, secret, nil, wrapLabel+string(ec), secretSize)
	if err != nil {
		return nil, fmt.Errorf("azurekms: derive a key: %w", err)
	}
	defer clear(key)
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("azurekms: %w", err)
	}
	// The nonce is random, and the key is used once.
	gcm, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("azurekms: %w", err)
	}
	return gcm, nil
}

// seal returns the wrapped form of a data key. ec is canonical.
func (w wrappedKey) seal(secret, plain, ec []byte) ([]byte, error) {
	gcm, err := outer(secret, ec)
	if err != nil {
		return nil, err
	}
	header := w.header()
	return gcm.Seal(header, nil, plain, slices.Concat(header, ec)), nil //nolint:gosec // the cipher draws the nonce
}

// open returns the data key.
func (w wrappedKey) open(secret, ec []byte) ([]byte, error) {
	gcm, err := outer(secret, ec)
	if err != nil {
		return nil, err
	}
	plain, err := gcm.Open(nil, nil, w.sealed, slices.Concat(w.header(), ec))
	if err != nil {
		return nil, fmt.Errorf("azurekms: unwrap: %w: it was changed, or made with another encryption context", kms.ErrCorrupt)
	}
	return plain, nil
}

// random returns n random bytes.
func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}
