package kms

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
)

// An EncryptionContext is bound to a wrapped data key: unwrapping needs an
// equal one. Cloud services write it into their audit logs in clear, so it
// holds names of tenants and purposes and never anything about a person.
type EncryptionContext map[string]string

// maxContext bounds the encoded size. AWS KMS has the tightest limit of the
// known services, 8 KiB as JSON.
const maxContext = 4096

// AppendCanonical appends the encoding that providers without a context of
// their own use as additional authenticated data: a version byte, then each
// pair in the order of its keys, both parts with a two-byte big-endian length.
// It is injective, and nil encodes like an empty context. It fails with
// ErrInvalid when the encoding is longer than 4 KiB; dst then comes back at its
// length.
func (ec EncryptionContext) AppendCanonical(dst []byte) ([]byte, error) {
	start := len(dst)
	dst = append(dst, 1)
	for _, k := range slices.Sorted(maps.Keys(ec)) {
		for _, part := range [2]string{k, ec[k]} {
			if len(part) > maxContext {
				return dst[:start], errContextSize
			}
			dst = binary.BigEndian.AppendUint16(dst, uint16(len(part))) //nolint:gosec // bounded by maxContext
			dst = append(dst, part...)
		}
		// Checked for each pair, so that no number of pairs makes dst grow.
		if len(dst)-start > maxContext {
			return dst[:start], errContextSize
		}
	}
	return dst, nil
}

// A context that is too long stays too long: the class is definitive.
var errContextSize = fmt.Errorf("kms: encryption context is longer than %d bytes: %w", maxContext, ErrInvalid)
