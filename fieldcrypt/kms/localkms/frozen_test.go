//go:build unix

package localkms_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/localkms"
)

// The fixtures open for ever. Their keys are public, see testdata/README.md.
func TestFrozenFixturesOpen(t *testing.T) {
	// A changed fixture proves nothing about older releases.
	for name, want := range map[string]string{
		"frozen.kek":          "94668bed66941f781802032cf149b03a351fbbaed8f067c1769ed4755b78a9a5",
		"frozen-wrapped.json": "1cfab2c358a9e5bfc8708ca7a329beb69b5c0dbc74a0427ca891e210af88fadc",
	} {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		if sum := sha256.Sum256(b); hex.EncodeToString(sum[:]) != want {
			t.Errorf("%s was changed: its SHA-256 is %x", name, sum)
		}
	}

	b, err := os.ReadFile("testdata/frozen.kek")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "frozen.kek")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	b, err = os.ReadFile("testdata/frozen-wrapped.json")
	if err != nil {
		t.Fatal(err)
	}
	var fixtures []struct {
		Name, Version, Plain, Wrapped string
		Context                       kms.EncryptionContext
	}
	if err := json.Unmarshal(b, &fixtures); err != nil {
		t.Fatal(err)
	}
	if len(fixtures) != 6 {
		t.Fatalf("%d fixtures, want 6", len(fixtures))
	}
	k := localkms.New()
	open := func(t *testing.T) {
		t.Helper()
		for _, f := range fixtures {
			wrapped, err := hex.DecodeString(f.Wrapped)
			if err != nil {
				t.Fatal(err)
			}
			plain, err := k.Unwrap(t.Context(), "local:"+path, wrapped, f.Context)
			if err != nil || hex.EncodeToString(plain) != f.Plain {
				t.Errorf("%s, version %s: %x, %v", f.Name, f.Version, plain, err)
			}
			if got := hex.EncodeToString(wrapped[1:9]); got != f.Version {
				t.Errorf("%s names version %s, want %s", f.Name, got, f.Version)
			}
			other := kms.EncryptionContext{"fieldveil:purpose": "data-key", "fieldveil:tenant": "other"}
			if _, err := k.Unwrap(t.Context(), "local:"+path, wrapped, other); !errors.Is(err, kms.ErrCorrupt) {
				t.Errorf("%s with another context: %v", f.Name, err)
			}
		}
	}
	open(t)
	// They also open when this release has rewritten the file.
	if err := localkms.AddVersion(path); err != nil {
		t.Fatal(err)
	}
	open(t)
}
