package boltstore

import (
	"path/filepath"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/keystore/keystoretest"
	"github.com/fieldveil/fieldveil/fieldcrypt/shred"
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

func openNew(t testing.TB) *Store {
	t.Helper()
	return openAt(t, filepath.Join(t.TempDir(), "keys"))
}

func TestTheFileIsACatalog(t *testing.T) {
	keystoretest.RunCatalog(t, func(t *testing.T) []datakey.Catalog { t.Helper(); return []datakey.Catalog{openNew(t)} })
}

func TestTheFileIsAStoreOfPersonKeys(t *testing.T) {
	keystoretest.RunShred(t, func(t *testing.T) []shred.Store { t.Helper(); return []shred.Store{openNew(t)} })
}
