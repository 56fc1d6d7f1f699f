package boltstore

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
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

func TestNothingIsLostWhenTheProcessIsKilled(t *testing.T) {
	keystoretest.CrashShred(t, func(t *testing.T, dir string) shred.Store {
		t.Helper()
		s := openAt(t, filepath.Join(dir, "keys"))
		if r := s.Report(); r.Damaged != 0 {
			t.Errorf("after a kill: %+v", r)
		}
		return s
	})
}

// The file is written anew and copied all the time, so that the kill comes at
// any step of it.
func TestNothingIsLostWhenTheProcessIsKilledWhileItCompacts(t *testing.T) {
	keystoretest.CrashShred(t, func(t *testing.T, dir string) shred.Store {
		t.Helper()
		s := openAt(t, filepath.Join(dir, "keys"))
		if r := s.Report(); r.Damaged != 0 {
			t.Errorf("after a kill: %+v", r)
		}
		for _, leftover := range []string{compactSuffix, backupSuffix} {
			if _, err := os.Stat(filepath.Join(dir, "keys"+leftover)); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s is left over: %v", leftover, err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			for ctx.Err() == nil {
				if err := errors.Join(s.Compact(ctx), s.Backup(ctx, io.Discard)); err != nil && !errors.Is(err, context.Canceled) {
					t.Error(err)
					return
				}
			}
		})
		t.Cleanup(func() { cancel(); wg.Wait() })
		return s
	})
}
