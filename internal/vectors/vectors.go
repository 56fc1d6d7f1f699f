// Package vectors finds and reads third-party test vectors, which are not part
// of the tree: they lie in a folder "shared/vectors" beside the checkout. It is
// for tests only.
package vectors

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// Hex is a byte string that JSON holds in hex.
type Hex []byte

// UnmarshalText decodes hex.
func (h *Hex) UnmarshalText(text []byte) error {
	b, err := hex.DecodeString(string(text))
	*h = b
	return err
}

// Load reads the vector file name, such as "c2sp/xaes-256-gcm.json", into v. It
// skips the test, and says so, where the vectors are missing.
func Load(t testing.TB, name string, v any) {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		b, err := os.ReadFile(filepath.Join(dir, "..", "shared", "vectors", filepath.FromSlash(name)))
		if err == nil {
			if err := json.Unmarshal(b, v); err != nil {
				t.Fatalf("vectors %s: %v", name, err)
			}
			return
		}
		if !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			t.Skipf("third-party vectors %s are not beside this checkout: not tested", name)
		}
		dir = parent
	}
}
