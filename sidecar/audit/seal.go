package audit

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/fieldveil/fieldveil/sidecar/secret"
)

const (
	domainSeal = "fieldveil/1 audit seal"
	domainKey  = "fieldveil/1 audit key"

	minSecret = 32 // bytes of an HMAC key
	keyIDSize = 8
)

// A sealer seals lines. It is immutable.
type sealer struct {
	id   string // empty for one that does not seal
	sign func(message []byte) []byte
}

// newSealer reads the key of a configuration. The error holds nothing of it.
func newSealer(c SealConfig) (sealer, error) {
	switch {
	case c.HMAC.IsSet():
		key, err := c.HMAC.Read()
		if err != nil {
			return sealer{}, err
		}
		if len(key) < minSecret {
			return sealer{}, fmt.Errorf("audit: the key of seal.hmac is shorter than %d bytes", minSecret)
		}
		return sealer{hmacID(key), func(m []byte) []byte { return mac(key, m) }}, nil
	case c.Ed25519.IsSet():
		text, err := c.Ed25519.Read()
		if err != nil {
			return sealer{}, err
		}
		key, ok := privateKey(text)
		if !ok {
			return sealer{}, errors.New("audit: the key of seal.ed25519 is no private Ed25519 key in PEM (PKCS #8)")
		}
		public, _ := key.Public().(ed25519.PublicKey)
		return sealer{ed25519ID(public), func(m []byte) []byte { return ed25519.Sign(key, m) }}, nil
	default:
		return sealer{}, nil
	}
}

// seal seals l, whose hash is there.
func (s sealer) seal(l *Line) {
	if s.sign != nil {
		l.Seal = s.sign(sealed(l))
	}
}

// sealed returns what a seal is over.
func sealed(l *Line) []byte { return append([]byte(domainSeal), l.Hash[:]...) }

// A Key verifies seals. It is immutable.
type Key struct {
	id     string
	verify func(message, seal []byte) bool
}

// ReadKey reads a key to verify with: a public or private Ed25519 key in PEM, or
// the secret that an HMAC is made with. It is not kept in any error.
func ReadKey(s secret.Secret) (Key, error) {
	text, err := s.Read()
	if err != nil {
		return Key{}, err
	}
	if key, ok := privateKey(text); ok {
		public, _ := key.Public().(ed25519.PublicKey)
		return publicKey(public), nil
	}
	if block, _ := pem.Decode(text); block != nil {
		parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
		public, ok := parsed.(ed25519.PublicKey)
		if err != nil || !ok {
			return Key{}, fmt.Errorf("audit: %v is no Ed25519 key", s)
		}
		return publicKey(public), nil
	}
	if len(text) < minSecret {
		return Key{}, fmt.Errorf("audit: %v is shorter than the %d bytes of an HMAC key, and no Ed25519 key in PEM", s, minSecret)
	}
	return Key{hmacID(text), func(message, seal []byte) bool { return hmac.Equal(mac(text, message), seal) }}, nil
}

// ID returns the name of the key, as lines hold it.
func (k Key) ID() string { return k.id }

// opens tells whether k sealed l.
func (k Key) opens(l *Line) bool { return k.id == l.Key && k.verify(sealed(l), l.Seal) }

func publicKey(public ed25519.PublicKey) Key {
	return Key{ed25519ID(public), func(message, seal []byte) bool { return ed25519.Verify(public, message, seal) }}
}

func privateKey(text []byte) (ed25519.PrivateKey, bool) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, false
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, false
	}
	key, ok := parsed.(ed25519.PrivateKey)
	return key, ok
}

func mac(key, message []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(message)
	return h.Sum(nil)
}

func hmacID(key []byte) string {
	return "hmac:" + hex.EncodeToString(mac(key, []byte(domainKey))[:keyIDSize])
}

func ed25519ID(public ed25519.PublicKey) string {
	sum := sha256.Sum256(append([]byte(domainKey), public...))
	return "ed25519:" + hex.EncodeToString(sum[:keyIDSize])
}
