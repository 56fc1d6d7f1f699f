package datakey

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/fieldveil/fieldveil/internal/aead"
	"github.com/fieldveil/fieldveil/internal/envelope"
	"github.com/fieldveil/fieldveil/internal/secret"
	"github.com/fieldveil/fieldveil/tokenize"
)

// valueKeySize is the length of a value key in bytes.
const valueKeySize = 32

// errNotDomain means that value keys were asked of a data key that is no domain
// key, as no key is for both (FV-7), or whose use has ended (FV-92).
var errNotDomain = errors.New("datakey: not a domain key, or one whose use has ended")

// valueKey derives the key for the values of one place and purpose, which the
// caller wipes.
func (m *material) valueKey(place [32]byte) (secret.Bytes, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.derivation.Len() == 0 {
		return secret.Bytes{}, errNotDomain
	}
	k, err := hkdf.Key(sha256.New, m.derivation.Expose(), nil, infoValueKey+string(place[:]), valueKeySize)
	if err != nil {
		return secret.Bytes{}, err
	}
	return secret.Take(k), nil
}

// with calls f with the value key of a place, and wipes it.
func with[T any](o *Opener, place [32]byte, f func(key []byte) (T, error)) (out T, err error) {
	secret.Do(func() { out, err = withKey(o, place, f) })
	return out, err
}

func withKey[T any](o *Opener, place [32]byte, f func(key []byte) (T, error)) (T, error) {
	k, err := o.m.valueKey(place)
	if err != nil {
		var none T
		return none, err
	}
	defer k.Wipe()
	return f(k.Expose())
}

// Hash returns the keyed hash for the values of a place. The place is the digest
// of a context with the purpose hash, shift or vault index.
//
// What this method and those below return holds a value key, which it shows to
// nobody. It is safe for concurrent use, and good for as long as the Opener has
// not expired (FV-92).
func (o *Opener) Hash(place [32]byte, form tokenize.HashForm, opts ...tokenize.HashOption) (*tokenize.Hash, error) {
	return with(o, place, func(key []byte) (*tokenize.Hash, error) { return tokenize.NewHash(key, form, opts...) })
}

// FF1 returns the format-preserving encryption for the values of a place. The
// place is the digest of a context with the purpose format-preserving.
func (o *Opener) FF1(place [32]byte, opts tokenize.FF1Options) (*tokenize.FF1, error) {
	return with(o, place, func(key []byte) (*tokenize.FF1, error) { return tokenize.NewFF1(key, opts) })
}

// Shift returns by how many days the times of one person are moved at a place:
// from -days to days, always the same for the same person. The place is the
// digest of a context with the purpose shift.
func (o *Opener) Shift(place [32]byte, days int) (func(person []byte) int, error) {
	if days < 1 || days > maxShift {
		return nil, fmt.Errorf("datakey: shift by up to %d days", days)
	}
	h, err := o.Hash(place, tokenize.HashHex)
	if err != nil {
		return nil, err
	}
	return func(person []byte) int {
		sum := h.Sum(person)
		n := binary.BigEndian.Uint64(sum[:])
		return int(n%uint64(2*days+1)) - days //nolint:gosec // below 2*days+1, which is small
	}, nil
}

// maxShift bounds how far times are moved: a hundred years.
const maxShift = 36525

// Opener returns what the reservation holds: the key that seals now. It is nil
// without a reservation.
func (w *DomainSealer) Opener() *Opener {
	if w.key == nil {
		return nil
	}
	return w.key.opener
}

// A VaultKey is what a token vault seals its rows under: a domain key, of whose
// versions the first makes the index and the last one seals. It implements
// [tokenize.VaultKeys] and is safe for concurrent use, until the Openers that it
// was made of expire.
type VaultKey struct {
	domain *Domain
	first  ID
	last   *Opener // of the version that seals; nobody else has a later one
	index  *tokenize.Hash
	place  [32]byte // of the rows
	seal   aead.AEAD
}

// VaultKey returns the keys for the rows of a vault's scope. It waits, until ctx
// ends, when the KMS must unwrap a version first. The places are the digests of
// contexts with the purposes vault index and vault row.
func (d *Domain) VaultKey(ctx context.Context, index, row [32]byte) (*VaultKey, error) {
	first, err := d.Opener(ctx, d.versions[0].id)
	if err != nil {
		return nil, err
	}
	last, err := d.Opener(ctx, d.versions[len(d.versions)-1].id)
	if err != nil {
		return nil, err
	}
	k := &VaultKey{domain: d, first: first.id, last: last, place: row}
	// The form does not matter: an index is the bare MAC.
	if k.index, err = first.Hash(index, tokenize.HashHex); err != nil {
		return nil, err
	}
	if k.seal, err = last.rowCipher(row); err != nil {
		return nil, err
	}
	return k, nil
}

// Expired tells that the keys must be asked for anew.
func (k *VaultKey) Expired() bool { return k.last.Expired() }

func (o *Opener) rowCipher(row [32]byte) (aead.AEAD, error) {
	return with(o, row, func(key []byte) (aead.AEAD, error) { return aead.NewXAES(secret.Take(key)) })
}

// IndexKeyID returns the id of the version that makes the index.
func (k *VaultKey) IndexKeyID() [envelope.KeyIDSize]byte { return k.first }

// Index returns the keyed hash of a value.
func (k *VaultKey) Index(value []byte) tokenize.Index { return k.index.Sum(value) }

// The layout of a row's sealed value (FV-93 and above).
const (
	rowVersion = 1
	rowHead    = 1 + envelope.KeyIDSize
	rowLabel   = "fieldveil/1 vault row"
)

// ErrRow means that the sealed value of a vault's row is damaged, of another
// row, or of a format that this release does not know.
//
// It wraps [tokenize.ErrCorrupt].
var ErrRow = fmt.Errorf("datakey: row of a token vault cannot be opened: %w", tokenize.ErrCorrupt)

// Seal appends the sealed form of value, bound to bound.
func (k *VaultKey) Seal(dst, value, bound []byte) ([]byte, error) {
	start := len(dst)
	dst = append(append(dst, rowVersion), k.last.id[:]...)
	var nonces aead.Nonces
	out, err := k.seal.Seal(dst, value, rowAAD(dst[start:], bound), &nonces)
	if err != nil {
		return dst[:start], err
	}
	return out, nil
}

// Open appends the value of a sealed form. It waits, until ctx ends, when the KMS
// must unwrap an older version first.
func (k *VaultKey) Open(ctx context.Context, dst, sealed, bound []byte) ([]byte, error) {
	if len(sealed) < rowHead || sealed[0] != rowVersion {
		return dst, ErrRow
	}
	c, id := k.seal, ID(sealed[1:rowHead])
	if id != k.last.id {
		o, err := k.domain.Opener(ctx, id)
		if err != nil {
			return dst, err
		}
		if c, err = o.rowCipher(k.place); err != nil {
			return dst, err
		}
	}
	out, err := c.Open(dst, sealed[rowHead:], rowAAD(sealed[:rowHead], bound))
	if err != nil {
		return dst, ErrRow
	}
	return out, nil
}

func rowAAD(head, bound []byte) []byte {
	return append(append([]byte(rowLabel), head...), bound...)
}

// AppendDeterministic appends the envelope of plain at a place, as the
// DomainSealers of this version wrote it: to find values from before a rotation.
// The lookups of one process are few beside what a version may seal, and are not
// counted.
func (o *Opener) AppendDeterministic(dst, plain []byte, place [8]byte) ([]byte, error) {
	c := o.m.cipher(envelope.AES256SIV)
	if c == nil {
		return dst, errNotDomain
	}
	return newHead(AES256SIV, o.id, place).seal(c, dst, plain, nil)
}
