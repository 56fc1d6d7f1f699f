// Package localkms is a key management service in a file, for development and
// tests. It is not for production: whoever can read the file can open every
// data key, nobody counts or logs its use, and nothing but a deletion revokes
// it.
//
// The URI of a KEK is local:PATH. The path is taken as it stands, absolute or
// relative to the working directory of the process: local:./dev.kek. The file
// is made by [Create], or by the command "fieldveil kek create PATH", and gets
// a new version by [AddVersion]. Its format, and that of the wrapped keys, is
// section 6 of docs/format.md.
//
// It promises that a file is used only while its owner alone may read and write
// it, that a wrapped key opens only under a version that the file holds and
// with an equal encryption context, that no file of keys is ever overwritten by
// another one, and that no error holds a key. It does not hide the keys from
// other programs of the same user.
package localkms

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/internal/secret"
)

// Scheme is the scheme of the URIs that this package understands, for the key
// of a [kms.Mux].
const Scheme = "local"

// A KMS is a [kms.Wrapper] over KEK files, or over KEKs in memory. It is safe
// for concurrent use.
//
// It reads the file anew for each call, so that a rotation, a deletion and a
// changed mode hold from the next call on, and no KEK stays in memory between
// calls. That is cheap beside a call over a network, and data keys are cached.
type KMS struct{ source source }

// A source finds the versions of a KEK.
type source interface {
	// primary returns the version that wraps.
	primary(path string) (*version, error)
	// byID returns the version of that id, or an error of class kms.ErrCorrupt
	// when the KEK has none.
	byID(path string, id versionID) (*version, error)
}

var _ kms.ReEncrypter = (*KMS)(nil)

// New returns a KMS that serves any KEK file by its URI. It does no I/O.
func New() *KMS { return &KMS{source: files{}} }

// NewInMemory returns a KMS whose KEKs are made when they are first asked to
// generate, one for each URI, and are gone with the process. No file is read or
// written. It is for demonstrations and tests.
func NewInMemory() *KMS { return &KMS{source: &memory{keks: map[string]*version{}}} }

// Generate returns a new data key, wrapped under the last version of the file.
//
// It fails with kms.ErrInvalid for a URI that is not local:PATH and for a file
// that is no KEK file, kms.ErrNotFound where there is no file, kms.ErrDenied
// where its mode is too open or the process may not read it, and
// kms.ErrUnavailable where reading fails otherwise.
func (k *KMS) Generate(ctx context.Context, kek string, ec kms.EncryptionContext) (plain, wrapped []byte, err error) {
	path, err := pathOf(ctx, kek)
	if err != nil {
		return nil, nil, err
	}
	v, err := k.source.primary(path)
	if err != nil {
		return nil, nil, err
	}
	plain = make([]byte, kms.DataKeySize)
	// rand.Read never fails: the process ends when the system has no randomness.
	_, _ = rand.Read(plain)
	wrapped, err = v.wrap(plain, ec)
	if err != nil {
		secret.Wipe(plain)
		return nil, nil, err
	}
	return plain, wrapped, nil
}

// Unwrap returns the data key. It fails as Generate does, and with
// kms.ErrCorrupt when wrapped was made under another KEK, under a version that
// the file does not hold, or with another context, or was changed.
func (k *KMS) Unwrap(ctx context.Context, kek string, wrapped []byte, ec kms.EncryptionContext) ([]byte, error) {
	path, err := pathOf(ctx, kek)
	if err != nil {
		return nil, err
	}
	id, err := versionOf(wrapped)
	if err != nil {
		return nil, err
	}
	v, err := k.source.byID(path, id)
	if err != nil {
		return nil, err
	}
	return v.unwrap(wrapped, ec)
}

// ReEncrypt opens a wrapped key under from, or a version of it, and wraps it
// under the last version of to. A local KMS has no other process to do that in:
// the key is in clear in this one meanwhile.
//
// It fails as Unwrap does for from, and as Generate does for to.
func (k *KMS) ReEncrypt(ctx context.Context, from, to string, wrapped []byte, ec kms.EncryptionContext) ([]byte, error) {
	plain, err := k.Unwrap(ctx, from, wrapped, ec)
	if err != nil {
		return nil, err
	}
	defer secret.Wipe(plain)
	path, err := pathOf(ctx, to)
	if err != nil {
		return nil, err
	}
	v, err := k.source.primary(path)
	if err != nil {
		return nil, err
	}
	return v.wrap(plain, ec)
}

// pathOf returns the path that a KEK's URI names, unless ctx has ended.
func pathOf(ctx context.Context, kek string) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", fmt.Errorf("localkms: %w", err)
	}
	path, ok := strings.CutPrefix(kek, Scheme+":")
	switch {
	case !ok || path == "":
		return "", fmt.Errorf("localkms: the URI of a KEK file is %s:PATH: %w", Scheme, kms.ErrInvalid)
	case strings.HasPrefix(path, "//"):
		// local://dev.kek would silently name a file in the root directory.
		return "", fmt.Errorf("localkms: write %s:/absolute/path or %s:./relative/path, without //: %w", Scheme, Scheme, kms.ErrInvalid)
	case strings.ContainsRune(path, 0):
		return "", fmt.Errorf("localkms: the path of a KEK file holds a zero byte: %w", kms.ErrInvalid)
	}
	return path, nil
}
