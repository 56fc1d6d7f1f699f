package envelope

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// Purposes.
const (
	// PurposeEncrypt is the purpose of values under randomised encryption.
	PurposeEncrypt = "encrypt"
	// PurposeDeterministic is the purpose of values that are equal where their
	// plaintexts are.
	PurposeDeterministic = "deterministic"
	// PurposeHash and those below are the purposes of value keys.
	PurposeHash             = "hash"
	PurposeFormatPreserving = "format-preserving"
	PurposeShift            = "shift"
	PurposeVaultIndex       = "vault index"
	PurposeVaultRow         = "vault row"
	PurposePersonIndex      = "person index"
	PurposePersonKey        = "person key"
)

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

// A DomainContext says to which join domain a deterministic value belongs:
// equal plaintexts of one domain are equal wherever they stand.
type DomainContext struct {
	Tenant    string
	Domain    string
	ValueType string // type of the plaintext
	Purpose   string
}

// A TenantContext is the context of what belongs to a tenant and to no place.
type TenantContext struct {
	Tenant  string
	Purpose string
}

// Append appends the canonical encoding of c, which is injective, and is not
// that of any other kind of context.
func (c TenantContext) Append(dst []byte) ([]byte, error) {
	return appendContext(dst, kindTenant, c.Tenant, c.Purpose)
}

// Digest returns the digest of c.
func (c TenantContext) Digest() (Digest, error) { return digestOf(c.Append(nil)) }

// Kinds of context.
const (
	kindField  = 1
	kindDomain = 2
	kindTenant = 3
)

// Append appends the canonical encoding of c, which is injective, and is not
// that of any DomainContext.
func (c Context) Append(dst []byte) ([]byte, error) {
	return appendContext(dst, kindField, c.Tenant, c.Dataset, c.Schema, c.Path, c.ValueType, c.Purpose)
}

// Append appends the canonical encoding of c, which is injective, and is not
// that of any Context.
func (c DomainContext) Append(dst []byte) ([]byte, error) {
	return appendContext(dst, kindDomain, c.Tenant, c.Domain, c.ValueType, c.Purpose)
}

func appendContext(dst []byte, kind byte, parts ...string) ([]byte, error) {
	start := len(dst)
	dst = append(append(dst, contextLabel...), kind)
	for _, part := range parts {
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
func (c Context) ID() (ContextID, error) { return idOf(c.Append(nil)) }

// ID returns the context id of c.
func (c DomainContext) ID() (ContextID, error) { return idOf(c.Append(nil)) }

// A Digest is the SHA-256 of the canonical encoding of a context, to derive a
// value key from.
type Digest [sha256.Size]byte

// Digest returns the digest of c.
func (c Context) Digest() (Digest, error) { return digestOf(c.Append(nil)) }

// Digest returns the digest of c.
func (c DomainContext) Digest() (Digest, error) { return digestOf(c.Append(nil)) }

func digestOf(encoding []byte, err error) (Digest, error) {
	if err != nil {
		return Digest{}, err
	}
	return sha256.Sum256(encoding), nil
}

func idOf(encoding []byte, err error) (ContextID, error) {
	if err != nil {
		return ContextID{}, err
	}
	sum := sha256.Sum256(encoding)
	return ContextID(sum[:ContextIDSize]), nil
}
