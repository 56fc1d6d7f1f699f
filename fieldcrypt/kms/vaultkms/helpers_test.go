package vaultkms_test

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/kmstest"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/vaultkms"
)

const (
	plainKey   = "vault:transit/keys/plain"
	derivedKey = "vault:transit/keys/derived"
)

// server starts a Vault with a key of each kind.
func server(t testing.TB) *kmstest.VaultServer {
	t.Helper()
	s := kmstest.NewVaultServer()
	t.Cleanup(s.Close)
	s.AddKey("transit/keys/plain", kmstest.VaultKey{})
	s.AddKey("transit/keys/derived", kmstest.VaultKey{Derived: true})
	return s
}

func client(t testing.TB, address string, auth vaultkms.Auth, opts ...vaultkms.Option) *vaultkms.KMS {
	t.Helper()
	k, err := vaultkms.New(address, auth, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func root(t testing.TB, s *kmstest.VaultServer, opts ...vaultkms.Option) *vaultkms.KMS {
	t.Helper()
	return client(t, s.URL, vaultkms.Token(s.RootToken), opts...)
}

func contextOf(tenant string) kms.EncryptionContext {
	return kms.EncryptionContext{"fieldveil:purpose": "data-key", "fieldveil:tenant": tenant}
}

func generate(t testing.TB, k kms.Wrapper, kek string) (plain, wrapped []byte) {
	t.Helper()
	plain, wrapped, err := k.Generate(t.Context(), kek, contextOf("acme"))
	if err != nil {
		t.Fatal(err)
	}
	return plain, wrapped
}

func opens(t testing.TB, k kms.Wrapper, kek string, wrapped, plain []byte) {
	t.Helper()
	got, err := k.Unwrap(t.Context(), kek, wrapped, contextOf("acme"))
	if err != nil {
		t.Errorf("Unwrap: %v", err)
	} else if !bytes.Equal(got, plain) {
		t.Error("Unwrap returned another key")
	}
}

// tryGenerate calls Generate for its error, and checks that nothing comes with it.
func tryGenerate(t testing.TB, k kms.Wrapper, kek string) error {
	t.Helper()
	plain, wrapped, err := k.Generate(t.Context(), kek, contextOf("acme"))
	if err != nil && (plain != nil || wrapped != nil) {
		t.Error("Generate returned an error and also a key")
	}
	return err
}

// wants checks the class of an error and a part of its text.
func wants(t testing.TB, err, class error, text string) {
	t.Helper()
	if !errors.Is(err, class) {
		t.Errorf("err = %v, want %v", err, class)
	} else if !strings.Contains(err.Error(), text) {
		t.Errorf("err = %v, want a text with %q", err, text)
	}
}

// file writes a credential.
func file(t testing.TB, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "credential")
	write(t, path, content)
	return path
}

func write(t testing.TB, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// direct calls a handler without a network, so that a test can have its own time.
type direct struct{ http.Handler }

func (d direct) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	w := httptest.NewRecorder()
	d.ServeHTTP(w, req)
	return w.Result(), nil
}
