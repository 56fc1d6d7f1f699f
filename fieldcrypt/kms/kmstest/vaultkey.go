package kmstest

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"

	"github.com/fieldveil/fieldveil/internal/aead"
	"github.com/fieldveil/fieldveil/internal/secret"
)

const vaultDefaultType = "aes256-gcm96"

// A vaultKey is a key of transit with its versions.
type vaultKey struct {
	kind                         string
	derived                      bool
	versions                     [][]byte // the first is version 1
	minDecryption, minEncryption int
	softDeleted                  bool
}

func newVaultKey(k VaultKey) *vaultKey {
	key := &vaultKey{kind: k.Type, derived: k.Derived, minDecryption: 1}
	key.rotate()
	return key
}

func (k *vaultKey) rotate() { k.versions = append(k.versions, random(aead.KeySize)) }

// isAEAD tells whether keys of a type take associated data.
func isAEAD(kind string) bool {
	switch kind {
	case "aes128-gcm96", vaultDefaultType, "chacha20-poly1305", "xchacha20-poly1305":
		return true
	}
	return false
}

// knownType tells whether transit makes keys of a type when it encrypts.
func knownType(kind string) bool { return isAEAD(kind) || strings.HasPrefix(kind, "rsa-") }

// A vaultError is a refusal.
type vaultError struct {
	status  int
	message string
}

func badRequest(message string) *vaultError { return &vaultError{http.StatusBadRequest, message} }

const vaultMissingContext = "missing 'context' for key derivation; the key was created using a derived key, which means additional, per-request information must be included in order to perform operations with the key"

// cipher returns the cipher of a version, derived by the context where k derives.
func (k *vaultKey) cipher(version int, context []byte) (*aead.GCM, *vaultError) {
	if k.derived && len(context) == 0 {
		return nil, badRequest(vaultMissingContext)
	}
	key := append([]byte(nil), k.versions[version-1]...)
	defer secret.Wipe(key)
	if k.derived {
		derived, err := hkdf.Key(sha256.New, key, nil, string(context), aead.KeySize)
		if err != nil {
			return nil, &vaultError{http.StatusInternalServerError, "key derivation failed"}
		}
		defer secret.Wipe(derived)
		copy(key, derived)
	}
	c, err := aead.NewGCM(secret.Take(key))
	if err != nil {
		return nil, &vaultError{http.StatusInternalServerError, "no cipher"}
	}
	return c, nil
}

// usable tells whether k does what op asks for at all. A call with associated
// data for a key that takes none is refused.
func (k *vaultKey) usable(in *vaultInput) *vaultError {
	switch {
	case k.softDeleted:
		return badRequest("refusing to use soft-deleted key")
	case in.AssociatedData != "" && !isAEAD(k.kind):
		return badRequest("'[0].associated_data' provided for non-AEAD cipher suite " + k.kind)
	case !isAEAD(k.kind):
		return badRequest("message encryption not supported for key type " + k.kind)
	}
	return nil
}

// encrypt returns a ciphertext under a version; zero means the latest.
func (k *vaultKey) encrypt(plain []byte, version int, context []byte, aad string) (text string, used int, failed *vaultError) {
	switch {
	case version == 0:
		version = len(k.versions)
	case version < 0 || version > len(k.versions):
		return "", 0, badRequest("requested version for encryption is higher than the latest key version")
	case version < k.minEncryption:
		return "", 0, badRequest("requested version for encryption is less than the minimum encryption key version")
	case version < k.minDecryption:
		return "", 0, badRequest("no such key version")
	}
	c, failed := k.cipher(version, context)
	if failed != nil {
		return "", 0, failed
	}
	data, failed := associatedData(aad)
	if failed != nil {
		return "", 0, failed
	}
	var nonces aead.Nonces
	out, err := c.Seal(nil, plain, data, &nonces)
	if err != nil {
		return "", 0, &vaultError{http.StatusInternalServerError, "cannot seal"}
	}
	return "vault:v" + strconv.Itoa(version) + ":" + base64.StdEncoding.EncodeToString(out), version, nil
}

// decrypt reads ciphertexts as leniently as transit does.
func (k *vaultKey) decrypt(text string, context []byte, aad string) ([]byte, *vaultError) {
	rest, ok := strings.CutPrefix(text, "vault:v")
	if !ok {
		return nil, badRequest("invalid ciphertext: no prefix")
	}
	number, body, ok := strings.Cut(rest, ":")
	if !ok {
		return nil, badRequest("invalid ciphertext: wrong number of fields")
	}
	version, err := strconv.Atoi(number)
	switch {
	case err != nil:
		return nil, badRequest("invalid ciphertext: version number could not be decoded")
	case version > len(k.versions):
		return nil, badRequest("invalid ciphertext: version is too new")
	}
	if version == 0 {
		version = 1 // as the first release counted
	}
	if version < k.minDecryption {
		return nil, badRequest("ciphertext or signature version is disallowed by policy (too old)")
	}
	sealed, err := base64.StdEncoding.DecodeString(body)
	if err != nil {
		return nil, badRequest("invalid ciphertext: could not decode base64")
	}
	c, failed := k.cipher(version, context)
	if failed != nil {
		return nil, failed
	}
	if len(sealed) < c.NonceSize() {
		return nil, badRequest("invalid ciphertext length")
	}
	data, failed := associatedData(aad)
	if failed != nil {
		return nil, failed
	}
	plain, err := c.Open(nil, sealed, data)
	if err != nil {
		if strings.HasSuffix(k.kind, "chacha20-poly1305") {
			return nil, badRequest("chacha20poly1305: message authentication failed")
		}
		return nil, badRequest("cipher: message authentication failed")
	}
	return plain, nil
}

// associatedData decodes what is sent. That it is wrong is an internal error of
// transit.
func associatedData(s string) ([]byte, *vaultError) {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return nil, &vaultError{
			http.StatusInternalServerError,
			"1 error occurred:\n\t* unable to get associated_data/additional_data from factory[0]: " + err.Error() + "\n\n",
		}
	}
	return b, nil
}
