package localkms

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/internal/aead"
	"github.com/fieldveil/fieldveil/internal/secret"
)

const (
	keySize     = 32
	idSize      = 8
	nonceSize   = 24
	idInfo      = "fieldveil/1 local kek id"
	wrapLabel   = "fieldveil/1 local wrap"
	wrapVersion = 1

	headerSize  = 1 + idSize
	wrappedSize = headerSize + nonceSize + kms.DataKeySize + aead.TagSize
)

// A versionID names one version of a KEK. It is derived from the key.
type versionID [idSize]byte

func (id versionID) String() string { return hex.EncodeToString(id[:]) }

func idOf(key secret.Bytes) (versionID, error) {
	id, err := hkdf.Key(sha256.New, key.Expose(), nil, idInfo, idSize)
	if err != nil {
		return versionID{}, fmt.Errorf("localkms: derive the id of a KEK version: %w", err)
	}
	return versionID(id), nil
}

// A version is one version of a KEK, ready for use. It is immutable, safe for
// concurrent use, and keeps a key schedule and not the key.
type version struct {
	id     versionID
	cipher *aead.XAES
}

func newVersion(key secret.Bytes) (*version, error) {
	id, err := idOf(key)
	if err != nil {
		return nil, err
	}
	// XAES and not GCM: processes share a KEK file, so nobody counts its seals.
	c, err := aead.NewXAES(key)
	if err != nil {
		return nil, fmt.Errorf("localkms: %w", err)
	}
	return &version{id: id, cipher: c}, nil
}

// newKey returns a random KEK.
func newKey() secret.Bytes {
	key := make([]byte, keySize)
	_, _ = rand.Read(key) // never fails
	return secret.Take(key)
}

// wrap seals a data key:
//
//	version 1 | id 8 | nonce 24 | ciphertext 32, tag 16
func (v *version) wrap(plain []byte, ec kms.EncryptionContext) ([]byte, error) {
	wrapped := make([]byte, 0, wrappedSize)
	wrapped = append(wrapped, wrapVersion)
	wrapped = append(wrapped, v.id[:]...)
	aad, err := appendAAD(wrapped, ec)
	if err != nil {
		return nil, err
	}
	var nonces aead.Nonces
	wrapped, err = v.cipher.Seal(wrapped, plain, aad, &nonces)
	if err != nil {
		return nil, fmt.Errorf("localkms: wrap: %w", err)
	}
	return wrapped, nil
}

// unwrap opens what wrap sealed. The caller has checked its length, its
// version and that it names v.
func (v *version) unwrap(wrapped []byte, ec kms.EncryptionContext) ([]byte, error) {
	aad, err := appendAAD(wrapped[:headerSize], ec)
	if err != nil {
		return nil, err
	}
	plain, err := v.cipher.Open(nil, wrapped[headerSize:], aad)
	if err != nil {
		return nil, fmt.Errorf("localkms: unwrap under KEK version %s: %w: it was changed, or made with another encryption context", v.id, kms.ErrCorrupt)
	}
	return plain, nil
}

// appendAAD is the one author of the additional authenticated data: label,
// version and id, encryption context.
func appendAAD(header []byte, ec kms.EncryptionContext) ([]byte, error) {
	return ec.AppendCanonical(append([]byte(wrapLabel), header...))
}

// versionOf returns the id of the KEK version that wrapped names.
func versionOf(wrapped []byte) (versionID, error) {
	if len(wrapped) != wrappedSize {
		return versionID{}, fmt.Errorf("localkms: unwrap: %w: it has not the %d bytes of a key that a KEK file wrapped", kms.ErrCorrupt, wrappedSize)
	}
	if wrapped[0] != wrapVersion {
		return versionID{}, fmt.Errorf("localkms: unwrap: %w: unknown version", kms.ErrCorrupt)
	}
	return versionID(wrapped[1:headerSize]), nil
}

// errUnknownVersion says that the KEK of a path has no version of that id.
func errUnknownVersion(path string, id versionID) error {
	return fmt.Errorf("localkms: unwrap: %w: it names KEK version %s, which %s does not hold", kms.ErrCorrupt, id, shown(path))
}
