package tinkkms

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"slices"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	tinkpb "github.com/tink-crypto/tink-go/v2/proto/tink_go_proto"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
)

const (
	// maxFile bounds what is read.
	maxFile = 64 << 10
	// foreignWrite and foreignAny are the permissions that nobody else may have, of
	// a keyset that is encrypted and of one in clear.
	foreignWrite fs.FileMode = 0o022
	foreignAny   fs.FileMode = 0o066
)

// keyset reads a keyset file.
func (k *KMS) keyset(ctx context.Context, path string) (tink.AEADWithContext, error) {
	master, encrypted := k.masters[path]
	if !encrypted && !k.cleartext {
		return nil, fmt.Errorf("tinkkms: the options name no master key for %s, and allow no keysets in clear: %w", shown(path), kms.ErrInvalid)
	}
	foreign := foreignAny
	if encrypted {
		foreign = foreignWrite
	}
	// One fixed buffer: one that grows would leave copies of the keys behind.
	buf := make([]byte, maxFile+1)
	defer clear(buf)
	n, err := readFile(path, buf, foreign)
	if err != nil {
		return nil, err
	}
	content := buf[:n]
	var h *keyset.Handle
	switch {
	case !encrypted:
		h, err = insecurecleartextkeyset.Read(readerOf(content))
	case inClear(content):
		err = errClear
	default:
		h, err = k.decrypt(ctx, readerOf(content), master)
	}
	if errors.Is(err, errMaster) {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("tinkkms: %s is no keyset of the kind that the options say: %w", shown(path), kms.ErrInvalid)
	}
	if !local(h) {
		return nil, fmt.Errorf("tinkkms: %s holds a key that is not for AEAD, or one that calls a KMS: %w", shown(path), kms.ErrInvalid)
	}
	a, err := aead.New(h)
	if err != nil {
		return nil, fmt.Errorf("tinkkms: %s cannot be used for AEAD: %w", shown(path), kms.ErrInvalid)
	}
	return inProcess{a}, nil
}

var errClear = errors.New("keyset in clear")

// readerOf returns the reader for JSON or for the binary form.
func readerOf(content []byte) keyset.Reader {
	if text := bytes.TrimLeft(content, " \t\r\n"); len(text) > 0 && text[0] == '{' {
		return keyset.NewJSONReader(bytes.NewReader(content))
	}
	return keyset.NewBinaryReader(bytes.NewReader(content))
}

// inClear tells whether content is a keyset in clear. In the binary form it also
// parses as an encrypted one, and its keys would go to the KMS of the master key
// as what to decrypt.
func inClear(content []byte) bool {
	ks, err := readerOf(content).Read()
	if err != nil {
		return false
	}
	return slices.ContainsFunc(ks.GetKey(), func(key *tinkpb.Keyset_Key) bool { return key.GetKeyData().GetTypeUrl() != "" })
}

// errMaster marks failures of a master key, which say nothing of the file.
var errMaster = errors.New("the master key of the keyset")

// decrypt reads an encrypted keyset.
func (k *KMS) decrypt(ctx context.Context, reader keyset.Reader, master string) (*keyset.Handle, error) {
	a, err := k.remote(master)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errMaster, err)
	}
	m := &witness{AEADWithContext: a}
	h, err := keyset.ReadWithContext(ctx, reader, m, []byte{})
	if m.err != nil {
		return nil, fmt.Errorf("%w: %w", errMaster, k.failure(ctx, "open a keyset", primitive{}, nil, m.err))
	}
	return h, err
}

// A witness remembers the error of an AEAD, which the reader of a keyset would
// mix with its own.
type witness struct {
	tink.AEADWithContext

	err error
}

func (w *witness) DecryptWithContext(ctx context.Context, ciphertext, ad []byte) ([]byte, error) {
	out, err := w.AEADWithContext.DecryptWithContext(ctx, ciphertext, ad)
	w.err = err
	return out, err
}

// local tells whether all keys of a keyset are for AEAD and call nobody. Tink
// finds the KMS of those that call one in its global registry, by a URI in the
// keyset: a file would choose where data keys go.
func local(h *keyset.Handle) bool {
	for _, info := range h.KeysetInfo().GetKeyInfo() {
		switch info.GetTypeUrl() {
		case "type.googleapis.com/google.crypto.tink.AesGcmKey",
			"type.googleapis.com/google.crypto.tink.AesGcmSivKey",
			"type.googleapis.com/google.crypto.tink.AesCtrHmacAeadKey",
			"type.googleapis.com/google.crypto.tink.ChaCha20Poly1305Key",
			"type.googleapis.com/google.crypto.tink.XChaCha20Poly1305Key",
			"type.googleapis.com/google.crypto.tink.XAesGcmKey":
		default:
			return false
		}
	}
	return true
}

// inProcess is an AEAD that waits for nothing.
type inProcess struct{ tink.AEAD }

func (p inProcess) EncryptWithContext(_ context.Context, plaintext, ad []byte) ([]byte, error) {
	return p.Encrypt(plaintext, ad)
}

func (p inProcess) DecryptWithContext(_ context.Context, ciphertext, ad []byte) ([]byte, error) {
	return p.Decrypt(ciphertext, ad)
}

// readFile fills buf with a file that others have none of these permissions for.
func readFile(path string, buf []byte, foreign fs.FileMode) (int, error) {
	if !hasModes {
		return 0, fmt.Errorf("tinkkms: keyset files need file modes, which %s has not: %w", runtime.GOOS, kms.ErrInvalid)
	}
	f, err := os.OpenFile(path, openToRead, 0)
	if err != nil {
		return 0, openError(path, err)
	}
	defer f.Close() //nolint:errcheck // nothing was written
	// The mode is that of the open file: the path may name another one by now.
	info, err := f.Stat()
	if err != nil {
		return 0, fmt.Errorf("tinkkms: %s cannot be looked at: %w", shown(path), kms.ErrUnavailable)
	}
	if !info.Mode().IsRegular() {
		return 0, fmt.Errorf("tinkkms: %s is not a file: %w", shown(path), kms.ErrInvalid)
	}
	if info.Mode().Perm()&foreign != 0 {
		return 0, fmt.Errorf("tinkkms: %s has mode %04o, which lets others than its owner in; run: chmod 600 %s: %w",
			shown(path), info.Mode().Perm(), shown(path), kms.ErrDenied)
	}
	n, err := io.ReadFull(f, buf)
	switch {
	case err == nil:
		return 0, fmt.Errorf("tinkkms: %s is longer than %d bytes: %w", shown(path), maxFile, kms.ErrInvalid)
	case !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
		return 0, fmt.Errorf("tinkkms: %s cannot be read: %w", shown(path), kms.ErrUnavailable)
	}
	return n, nil
}

// openError gives a failure to open a keyset file its class.
func openError(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("tinkkms: there is no %s: %w", shown(path), kms.ErrNotFound)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("tinkkms: this process may not read %s: %w", shown(path), kms.ErrDenied)
	case isBadPath(err):
		return fmt.Errorf("tinkkms: %s can never be a file: %w", shown(path), kms.ErrInvalid)
	}
	return fmt.Errorf("tinkkms: %s cannot be opened: %w", shown(path), kms.ErrUnavailable)
}
