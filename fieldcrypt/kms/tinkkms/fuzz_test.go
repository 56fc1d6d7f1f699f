package tinkkms_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/tinkkms"
)

// A refuser is an AEAD that decrypts nothing.
type refuser struct{ calls int }

var errRefused = errors.New("canary")

func (*refuser) Encrypt(_, _ []byte) ([]byte, error) { return nil, errRefused }

func (r *refuser) Decrypt(_, _ []byte) ([]byte, error) {
	r.calls++
	return nil, errRefused
}

// Whatever a keyset file holds, reading it ends with a class, and what can be read
// in clear is never sent to a KMS.
func FuzzKeysetFile(f *testing.F) {
	h, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		f.Fatal(err)
	}
	var text, binary bytes.Buffer
	if err := insecurecleartextkeyset.Write(h, keyset.NewJSONWriter(&text)); err != nil {
		f.Fatal(err)
	}
	if err := insecurecleartextkeyset.Write(h, keyset.NewBinaryWriter(&binary)); err != nil {
		f.Fatal(err)
	}
	f.Add(text.Bytes())
	f.Add(binary.Bytes())
	f.Add([]byte(`{"encryptedKeyset":"AAAA"}`))
	f.Add([]byte("\x12\x04AAAA"))
	f.Fuzz(func(t *testing.T, content []byte) {
		at := filepath.Join(t.TempDir(), "pii")
		if err := os.WriteFile(at, content, 0o600); err != nil {
			t.Fatal(err)
		}
		generate := func(opts ...tinkkms.Option) error {
			k, err := tinkkms.New(opts...)
			if err != nil {
				t.Fatal(err)
			}
			_, _, err = k.Generate(t.Context(), "tink:"+at, nil)
			return err
		}
		inClear := generate(tinkkms.WithCleartextKeysets())
		if inClear != nil {
			check(t, "in clear", inClear, kms.ErrInvalid)
		}
		r := &refuser{}
		err := generate(tinkkms.WithClients(stub{r}), tinkkms.WithMasterKey(at, "fake-kms://x"))
		switch {
		case err == nil:
			t.Error("a keyset that nothing decrypted was used")
		case r.calls > 0:
			check(t, "encrypted", err, kms.ErrUnavailable)
		default:
			check(t, "encrypted", err, kms.ErrInvalid)
		}
		if inClear == nil && r.calls > 0 {
			t.Error("a keyset in clear went to the KMS")
		}
	})
}
