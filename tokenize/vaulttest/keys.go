package vaulttest

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"fmt"

	"github.com/fieldveil/fieldveil/tokenize"
)

// Keys are [tokenize.VaultKeys] made from a text, for tests: equal texts make
// equal keys, in every process. They are immutable, safe for concurrent use, and
// of no worth as a secret.
type Keys struct {
	id    [tokenize.IndexKeyIDSize]byte
	index *tokenize.Hash
	seal  cipher.AEAD
}

var _ tokenize.VaultKeys = (*Keys)(nil)

// NewKeys returns the Keys of a text, or random ones for the empty text. Values
// are indexed by HMAC-SHA256 and sealed with AES-256-GCM.
func NewKeys(text string) *Keys {
	if text == "" {
		text = rand.Text()
	}
	derive := func(use string) []byte {
		key := sha256.Sum256([]byte(use + ":" + text))
		return key[:]
	}
	index, err := tokenize.NewHash(derive("index"), tokenize.HashHex)
	if err != nil {
		panic("vaulttest: " + err.Error()) //nolint:forbidigo // the key has the right size
	}
	block, err := aes.NewCipher(derive("seal"))
	if err != nil {
		panic("vaulttest: " + err.Error()) //nolint:forbidigo // the key has the right size
	}
	seal, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic("vaulttest: " + err.Error()) //nolint:forbidigo // AES has the right block size
	}
	return &Keys{id: [tokenize.IndexKeyIDSize]byte(derive("id")), index: index, seal: seal}
}

// IndexKeyID returns a hash of the text.
func (k *Keys) IndexKeyID() [tokenize.IndexKeyIDSize]byte { return k.id }

// Index returns the HMAC of value.
func (k *Keys) Index(value []byte) tokenize.Index { return k.index.Sum(value) }

// Seal appends a random nonce, the ciphertext and its tag to dst.
func (k *Keys) Seal(dst, value, bound []byte) ([]byte, error) {
	return k.seal.Seal(dst, nil, value, bound), nil //nolint:gosec // it draws its own nonces and takes none
}

// Open appends the value to dst, or fails with [tokenize.ErrCorrupt].
func (k *Keys) Open(ctx context.Context, dst, sealed, bound []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("vaulttest: open: %w", err)
	}
	out, err := k.seal.Open(dst, nil, sealed, bound)
	if err != nil {
		return nil, fmt.Errorf("vaulttest: open: %w", tokenize.ErrCorrupt)
	}
	return out, nil
}
