package vaultkms

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
)

// A wrapped key is the ciphertext of transit, byte for byte:
//
//	vault:v3:BASE64
//	context:vault:v3:BASE64
//
// The second form is of a key that derives: its encryption context went into the
// derivation, and not into the associated data.

// maxWrapped is the longest wrapped key. One of 32 bytes under AES-256-GCM has 89.
const maxWrapped = 1024

const (
	derivedPrefix    = "context:"
	ciphertextPrefix = "vault:v"
)

// A sealed is a wrapped key, read.
type sealed struct {
	ciphertext string // as transit takes it
	derived    bool
}

// parseWrapped reads a wrapped key. Transit takes more than one spelling of a
// ciphertext, such as vault:v01: for vault:v1:, or line breaks in the base64. Only
// the one that it writes is accepted here, so that a wrapped key that was changed
// does not open.
func parseWrapped(wrapped []byte) (sealed, error) {
	wrong := func(what string) (sealed, error) {
		return sealed{}, fmt.Errorf("vaultkms: the wrapped key %s: %w", what, kms.ErrCorrupt)
	}
	if len(wrapped) > maxWrapped {
		return wrong("is too long")
	}
	text, derived := strings.CutPrefix(string(wrapped), derivedPrefix)
	rest, ok := strings.CutPrefix(text, ciphertextPrefix)
	version, body, separated := strings.Cut(rest, ":")
	if !ok || !separated {
		return wrong("is no ciphertext of transit")
	}
	const bits = 31
	n, err := strconv.ParseUint(version, 10, bits)
	if err != nil || n == 0 || strconv.FormatUint(n, 10) != version {
		return wrong("names no version of its KEK")
	}
	if _, err := base64.StdEncoding.Strict().DecodeString(body); err != nil || body == "" || strings.ContainsAny(body, "\r\n") {
		return wrong("is no base64")
	}
	return sealed{ciphertext: text, derived: derived}, nil
}

// bytes returns the wrapped key.
func (s sealed) bytes() []byte {
	if s.derived {
		return []byte(derivedPrefix + s.ciphertext)
	}
	return []byte(s.ciphertext)
}
