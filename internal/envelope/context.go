package envelope

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// PurposeEncrypt is the purpose of values under randomised encryption.
const PurposeEncrypt = "encrypt"

// maxContext bounds the encoded context.
const maxContext = 4096

const contextLabel = "fieldveil/1 context"

// A Context says where a value belongs. Topic, partition, schema id and the
// like are not part of it: they change while the value stays.
type Context struct {
	Tenant    string
	Dataset   string
	Schema    string // full name of the root type
	Path      string // canonical path
	ValueType string // type of the plaintext
	Purpose   string
}

// ErrContextSize means that the names of a place are too long to be bound.
var ErrContextSize = fmt.Errorf("context is longer than %d bytes", maxContext)

// Append appends the canonical encoding of c, which is injective.
func (c Context) Append(dst []byte) ([]byte, error) {
	const kindField = 1
	start := len(dst)
	dst = append(append(dst, contextLabel...), kindField)
	for _, part := range [...]string{c.Tenant, c.Dataset, c.Schema, c.Path, c.ValueType, c.Purpose} {
		if len(part) > maxContext {
			return dst[:start], ErrContextSize
		}
		dst = binary.BigEndian.AppendUint16(dst, uint16(len(part))) //nolint:gosec // bounded above
		dst = append(dst, part...)
	}
	if len(dst)-start > maxContext {
		return dst[:start], ErrContextSize
	}
	return dst, nil
}

// ID returns the context id of c.
func (c Context) ID() (ContextID, error) {
	b, err := c.Append(nil)
	if err != nil {
		return ContextID{}, err
	}
	sum := sha256.Sum256(b)
	return ContextID(sum[:ContextIDSize]), nil
}
