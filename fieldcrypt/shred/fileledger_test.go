package shred_test

import (
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
