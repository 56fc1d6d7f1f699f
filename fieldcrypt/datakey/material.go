package datakey

import (
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"runtime"
	"sync"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/internal/aead"
	"github.com/fieldveil/fieldveil/internal/envelope"
	"github.com/fieldveil/fieldveil/internal/secret"
	"github.com/fieldveil/fieldveil/internal/siv"
)

const (
	infoCommitment = "fieldveil/1 commitment"
	infoSeal       = "fieldveil/1 seal "
	infoDerive     = "fieldveil/1 derive"
	infoValueKey   = "fieldveil/1 value key "
)

var errKeyLength = errors.New("KMS returned a data key of the wrong length")

// material is what is derived from one data key. It is immutable until it is
// wiped.
type material struct {
	commitment envelope.Commitment
	ciphers    [4]aead.AEAD // by suite, nil for those that the key is not for

	mu         sync.RWMutex // guards derivation, which wipe overwrites
	derivation secret.Bytes // of domain keys only: value keys are derived from it
}

// wipe overwrites what can be overwritten: the key schedules inside the ciphers
// of the standard library cannot. It waits for a derivation that is under way.
func (m *material) wipe() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.derivation.Wipe()
	m.derivation = secret.Bytes{}
}

// derive makes the material of a key that a process made for itself, and
// deriveDomain that of a domain key. No key is for both (FV-7).
//
// Both take plain over and wipe it, whatever happens.
func derive(plain []byte) (m *material, err error) {
	secret.Do(func() { m, err = deriveRandom(plain) })
	return m, err
}

func deriveRandom(plain []byte) (*material, error) {
	return deriveWith(plain, map[envelope.Suite]construct{
		envelope.AES256GCM:  {aead.KeySize, func(k secret.Bytes) (aead.AEAD, error) { return aead.NewGCM(k) }},
		envelope.XAES256GCM: {aead.KeySize, func(k secret.Bytes) (aead.AEAD, error) { return aead.NewXAES(k) }},
	})
}

func deriveDomain(plain []byte) (m *material, err error) {
	secret.Do(func() { m, err = deriveShared(plain) })
	return m, err
}

func deriveShared(plain []byte) (*material, error) {
	defer secret.Wipe(plain)
	derivation, err := hkdf.Key(sha256.New, plain, nil, infoDerive, valueKeySize)
	if err != nil {
		return nil, err
	}
	m, err := deriveWith(plain, map[envelope.Suite]construct{
		envelope.AES256SIV: {siv.KeySize, newDeterministic},
	})
	if err != nil {
		secret.Wipe(derivation)
		return nil, err
	}
	m.derivation = secret.Take(derivation)
	// Records that are under way may use the key after it was dropped, so it is
	// wiped when the last of them has let go.
	runtime.AddCleanup(m, secret.Wipe, derivation)
	return m, nil
}

// construct makes the cipher of a seal key of size bytes, which is wiped
// afterwards.
type construct struct {
	size int
	make func(secret.Bytes) (aead.AEAD, error)
}

func deriveWith(plain []byte, suites map[envelope.Suite]construct) (*material, error) {
	defer secret.Wipe(plain)
	if len(plain) != kms.DataKeySize {
		return nil, errKeyLength
	}
	m := new(material)
	c, err := hkdf.Key(sha256.New, plain, nil, infoCommitment, envelope.CommitmentSize)
	if err != nil {
		return nil, err
	}
	copy(m.commitment[:], c)
	for suite, how := range suites {
		if m.ciphers[suite], err = how.of(plain, suite); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (c construct) of(plain []byte, s envelope.Suite) (aead.AEAD, error) {
	k, err := hkdf.Key(sha256.New, plain, nil, infoSeal+string([]byte{byte(s)}), c.size)
	if err != nil {
		return nil, err
	}
	sk := secret.Take(k)
	defer sk.Wipe()
	return c.make(sk)
}

// cipher returns the cipher of a suite, or nil for one that cannot be used.
func (m *material) cipher(s envelope.Suite) aead.AEAD {
	if int(s) >= len(m.ciphers) {
		return nil
	}
	return m.ciphers[s]
}

// deterministic is AES-SIV as the other ciphers are used: without a nonce.
type deterministic struct{ siv *siv.Cipher }

func newDeterministic(k secret.Bytes) (aead.AEAD, error) {
	c, err := siv.New(k.Expose())
	if err != nil {
		return nil, err
	}
	return deterministic{c}, nil
}

func (deterministic) NonceSize() int { return 0 }

func (d deterministic) Seal(dst, plain, aad []byte, _ *aead.Nonces) ([]byte, error) {
	if len(plain) > aead.MaxPlaintext {
		return dst, aead.ErrTooLarge
	}
	return d.siv.Seal(dst, plain, aad), nil
}

func (d deterministic) Open(dst, sealed, aad []byte) ([]byte, error) {
	return d.siv.Open(dst, sealed, aad)
}
