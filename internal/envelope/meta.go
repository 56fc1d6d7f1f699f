package envelope

import (
	"fmt"
	"slices"
)

// Names of the record headers.
const (
	HeaderKey  = "fv-key"
	HeaderMeta = "fv-meta"
)

// maxMetaKeys bounds the key ids of one header: a policy has few domain keys, and
// a record needs one version of each.
const maxMetaKeys = 64

// PolicyDigestSize is the length of a policy digest.
const PolicyDigestSize = 8

// Types of items. Types below metaOptional must be understood by a reader.
const (
	metaPolicy   = 1
	metaKeyID    = 2
	metaOptional = 128
)

// ErrMeta means that bytes are not the content of a fv-meta header.
var ErrMeta = fmt.Errorf("value is not a %s header: %w", HeaderMeta, ErrFormat)

// Meta is the content of the fv-meta header.
type Meta struct {
	Policy    [PolicyDigestSize]byte
	HasPolicy bool
	// Keys are the versions of domain keys under which values were made that do
	// not name them.
	Keys []KeyID
}

// Append appends the encoding of m.
func (m Meta) Append(dst []byte) []byte {
	dst = append(dst, Version)
	if m.HasPolicy {
		dst = append(dst, metaPolicy, PolicyDigestSize)
		dst = append(dst, m.Policy[:]...)
	}
	for _, id := range m.Keys {
		dst = append(dst, metaKeyID, KeyIDSize)
		dst = append(dst, id[:]...)
	}
	return dst
}

// ParseMeta reads the content of a fv-meta header.
func ParseMeta(b []byte) (Meta, error) {
	var m Meta
	if len(b) == 0 || b[0] != Version {
		return m, ErrMeta
	}
	for b = b[1:]; len(b) > 0; {
		if len(b) < 2 || len(b) < 2+int(b[1]) {
			return Meta{}, ErrMeta
		}
		typ, content := b[0], b[2:2+int(b[1])]
		b = b[2+len(content):]
		switch {
		case typ == metaPolicy && len(content) == PolicyDigestSize && !m.HasPolicy:
			m.HasPolicy = true
			copy(m.Policy[:], content)
		case typ == metaKeyID && len(content) == KeyIDSize && len(m.Keys) < maxMetaKeys && !slices.Contains(m.Keys, KeyID(content)):
			m.Keys = append(m.Keys, KeyID(content))
		case typ < metaOptional:
			return Meta{}, ErrMeta
		}
	}
	return m, nil
}
