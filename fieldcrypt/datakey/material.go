package datakey

import (
	"crypto/hkdf"
	"crypto/sha256"
	"errors"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/internal/aead"
	"github.com/fieldveil/fieldveil/internal/envelope"
	"github.com/fieldveil/fieldveil/internal/secret"
)

const (
	infoCommitment = "fieldveil/1 commitment"
	infoSeal       = "fieldveil/1 seal "
)

var errKeyLength = errors.New("KMS returned a data key of the wrong length")

// material is what is derived from one data key. It is immutable.
type material struct {
	commitment envelope.Commitment
	gcm        *aead.GCM
	xaes       *aead.XAES
}

// derive takes plain over and wipes it, whatever happens.
func derive(plain []byte) (*material, error) {
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
	if err := sealKey(plain, envelope.AES256GCM, func(k secret.Bytes) (err error) {
		m.gcm, err = aead.NewGCM(k)
		return err
	}); err != nil {
		return nil, err
	}
	if err := sealKey(plain, envelope.XAES256GCM, func(k secret.Bytes) (err error) {
		m.xaes, err = aead.NewXAES(k)
		return err
	}); err != nil {
		return nil, err
	}
	return m, nil
}

// sealKey lends the seal key of a suite to use and wipes it afterwards.
func sealKey(plain []byte, s envelope.Suite, use func(secret.Bytes) error) error {
	k, err := hkdf.Key(sha256.New, plain, nil, infoSeal+string([]byte{byte(s)}), aead.KeySize)
	if err != nil {
		return err
	}
	sk := secret.Take(k)
	defer sk.Wipe()
	return use(sk)
}

// cipher returns the cipher of a suite, or nil for one that cannot be used.
func (m *material) cipher(s envelope.Suite) aead.AEAD {
	switch s {
	case envelope.AES256GCM:
		return m.gcm
	case envelope.XAES256GCM:
		return m.xaes
	default:
		return nil
	}
}
