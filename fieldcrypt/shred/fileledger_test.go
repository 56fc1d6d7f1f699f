package shred_test

import (
	"errors"
	"io/fs"
	"path/filepath"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt/keystore/keystoretest"
	"github.com/fieldveil/fieldveil/fieldcrypt/shred"
)

func TestAFileIsALedger(t *testing.T) {
	keystoretest.RunLedger(t, func(t *testing.T) []shred.Ledger {
		t.Helper()
		path := filepath.Join(t.TempDir(), "ledger")
		first, err := shred.CreateFileLedger(path)
		if err != nil {
			t.Fatal(err)
		}
		second, err := shred.OpenFileLedger(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { first.Close(); second.Close() })
		return []shred.Ledger{first, second}
	})
}

func TestNoEntryIsLostWhenTheProcessIsKilled(t *testing.T) {
	keystoretest.CrashLedger(t, func(t *testing.T, dir string) shred.Ledger {
		t.Helper()
		path := filepath.Join(dir, "ledger")
		l, err := shred.OpenFileLedger(t.Context(), path)
		if errors.Is(err, fs.ErrNotExist) {
			l, err = shred.CreateFileLedger(path)
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		return l
	})
}
