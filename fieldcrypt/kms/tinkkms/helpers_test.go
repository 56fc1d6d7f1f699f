package tinkkms_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/core/registry"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	tinkpb "github.com/tink-crypto/tink-go/v2/proto/tink_go_proto"
	"github.com/tink-crypto/tink-go/v2/testing/fakekms"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/tinkkms"
)

func contextOf(tenant string) kms.EncryptionContext {
	return kms.EncryptionContext{"fieldveil:purpose": "data-key", "fieldveil:tenant": tenant}
}

func must[T any](t *testing.T) func(v T, err error) T {
	t.Helper()
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func handle(t *testing.T, template *tinkpb.KeyTemplate) *keyset.Handle {
	t.Helper()
	return must[*keyset.Handle](t)(keyset.NewHandle(template))
}

// write writes a keyset in clear, as Tink does.
func write(t *testing.T, h *keyset.Handle, path string) {
	t.Helper()
	var b bytes.Buffer
	var w keyset.Writer = keyset.NewBinaryWriter(&b)
	if strings.HasSuffix(path, ".json") {
		w = keyset.NewJSONWriter(&b)
	}
	if err := insecurecleartextkeyset.Write(h, w); err != nil {
		t.Fatal(err)
	}
	file(t, path, b.Bytes())
}

// encrypt writes an encrypted keyset, as Tink does.
func encrypt(t *testing.T, h *keyset.Handle, path string, master tink.AEAD) {
	t.Helper()
	var b bytes.Buffer
	var w keyset.Writer = keyset.NewBinaryWriter(&b)
	if strings.HasSuffix(path, ".json") {
		w = keyset.NewJSONWriter(&b)
	}
	if err := h.Write(w, master); err != nil {
		t.Fatal(err)
	}
	file(t, path, b.Bytes())
}

func file(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func path(t *testing.T, name string) string {
	t.Helper()
	return filepath.Join(t.TempDir(), name)
}

// fake returns a KMS client of Tink's own, and a key URI of it.
func fake(t *testing.T) (registry.KMSClient, string) {
	t.Helper()
	return must[registry.KMSClient](t)(fakekms.NewClient("fake-kms://")), must[string](t)(fakekms.NewKeyURI())
}

func open(t *testing.T, opts ...tinkkms.Option) *tinkkms.KMS {
	t.Helper()
	return must[*tinkkms.KMS](t)(tinkkms.New(opts...))
}

func generate(t *testing.T, w kms.Wrapper, kek string) (plain, wrapped []byte) {
	t.Helper()
	plain, wrapped, err := w.Generate(t.Context(), kek, contextOf("acme"))
	if err != nil {
		t.Fatal(err)
	}
	return plain, wrapped
}

// check tells whether err is of a class and of no other, and shows nothing that
// is secret.
func check(t *testing.T, what string, err, class error) {
	t.Helper()
	for _, c := range []error{
		kms.ErrDenied, kms.ErrNotFound, kms.ErrDisabled, kms.ErrCorrupt, kms.ErrThrottled, kms.ErrUnavailable, kms.ErrInvalid,
	} {
		if errors.Is(err, c) != errors.Is(class, c) {
			t.Errorf("%s: %v, want the class %v alone", what, err, class)
			return
		}
	}
	if shown := fmt.Sprintf("%v %+v %#v", err, err, err); strings.Contains(strings.ToLower(shown), "canary") || strings.Contains(err.Error(), "\n") {
		t.Errorf("%s: the error shows what it must not: %s", what, shown)
	}
}

func newAEAD(t *testing.T) tink.AEAD {
	t.Helper()
	return must[tink.AEAD](t)(aead.New(handle(t, aead.AES256GCMKeyTemplate())))
}
