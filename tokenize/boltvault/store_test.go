package boltvault

import (
	"path/filepath"
	"testing"

	"github.com/fieldveil/fieldveil/tokenize"
	"github.com/fieldveil/fieldveil/tokenize/vaulttest"
)

func openAt(t testing.TB, path string) *Store {
	t.Helper()
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestTheFileIsAStore(t *testing.T) {
	vaulttest.Run(t, func(t *testing.T) tokenize.Store {
		t.Helper()
		return openAt(t, filepath.Join(t.TempDir(), "vault"))
	})
}

func TestNothingIsLostWhenTheProcessIsKilled(t *testing.T) {
	vaulttest.Crash(t, func(t *testing.T, dir string) tokenize.Store {
		t.Helper()
		return openAt(t, filepath.Join(dir, "vault"))
	})
}
