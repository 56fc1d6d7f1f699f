// Package envelope is the byte layout of a protected value, of its text form,
// of the context it is bound to, and of the key block that travels beside it.
// docs/format.md is the specification; this package is its one author in code.
//
// It holds no key and calls no cipher. Parsers accept exactly what the
// specification allows, so that whatever is accepted encodes back to the same
// bytes; only the optional items that a later release may put into a fv-meta
// header are skipped and lost.
package envelope

import (
	"errors"
	"fmt"
)

// A Suite names the cipher of a value.
type Suite byte

// The suites of format version 1. The zero Suite is invalid.
const (
	AES256GCM  Suite = 1
	XAES256GCM Suite = 2
	AES256SIV  Suite = 3 // deterministic, for domain keys
)

// Sizes in bytes.
const (
	Version = 1

	KeyIDSize     = 12
	ContextIDSize = 8
	HeaderSize    = 2 + KeyIDSize + ContextIDSize

	tagSize = 16
)

// KeyID names a data key: the first bytes of its commitment.
type KeyID [KeyIDSize]byte

// ContextID names the place that a value belongs to.
type ContextID [ContextIDSize]byte

func (s Suite) String() string {
	switch s {
	case AES256GCM:
		return "AES-256-GCM"
	case XAES256GCM:
		return "XAES-256-GCM"
	case AES256SIV:
		return "AES-256-SIV"
	default:
		return fmt.Sprintf("suite %d", byte(s))
	}
}

// NonceSize returns the length of the suite's nonce, and false for a suite that
// cannot be used.
func (s Suite) NonceSize() (int, bool) {
	switch s {
	case AES256GCM:
		return 12, true
	case XAES256GCM:
		return 24, true
	case AES256SIV:
		return 0, true // the synthetic IV takes the place of the tag
	default:
		return 0, false
	}
}

// Errors of parsing. Each wraps ErrFormat.
var (
	// ErrFormat means that bytes are not what docs/format.md describes.
	ErrFormat = errors.New("not in the fieldveil format")

	ErrNotEnvelope = fmt.Errorf("value is not an envelope: %w", ErrFormat)
	ErrText        = fmt.Errorf("text form is damaged: %w", ErrFormat)
	ErrVersion     = fmt.Errorf("unknown format version: %w", ErrFormat)
	ErrSuite       = fmt.Errorf("unknown suite: %w", ErrFormat)
	ErrShort       = fmt.Errorf("envelope is cut short: %w", ErrFormat)
)

// A Header is the authenticated beginning of an envelope.
//
//	offset  0        1       2         14            22
//	        version  suite   key id    context id    nonce, ciphertext, tag
type Header struct {
	Suite   Suite
	Key     KeyID
	Context ContextID
}

// AppendHeader appends the 22 bytes of h, which are also the AAD of the value.
func AppendHeader(dst []byte, h Header) []byte {
	dst = append(dst, Version, byte(h.Suite))
	dst = append(dst, h.Key[:]...)
	return append(dst, h.Context[:]...)
}

// Parse splits an envelope into its header, the header's bytes (the AAD), and
// the sealed rest: nonce, ciphertext and tag. The slices share b.
func Parse(b []byte) (h Header, aad, sealed []byte, err error) {
	if len(b) == 0 {
		return Header{}, nil, nil, ErrShort
	}
	if b[0] != Version {
		return Header{}, nil, nil, ErrVersion
	}
	if len(b) < HeaderSize {
		return Header{}, nil, nil, ErrShort
	}
	h.Suite = Suite(b[1])
	nonce, ok := h.Suite.NonceSize()
	if !ok {
		return Header{}, nil, nil, ErrSuite
	}
	if len(b) < HeaderSize+nonce+tagSize {
		return Header{}, nil, nil, ErrShort
	}
	copy(h.Key[:], b[2:])
	copy(h.Context[:], b[2+KeyIDSize:])
	return h, b[:HeaderSize:HeaderSize], b[HeaderSize:], nil
}
