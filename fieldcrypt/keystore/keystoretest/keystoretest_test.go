package keystoretest

import (
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/shred"
)

func TestTheCatalogInMemoryIsOne(t *testing.T) {
	RunCatalog(t, func(*testing.T) []datakey.Catalog { return []datakey.Catalog{new(datakey.MemStore)} })
}

func TestTheStoreInMemoryIsOne(t *testing.T) {
	RunShred(t, func(*testing.T) []shred.Store { return []shred.Store{new(shred.MemStore)} })
}

func TestTheLedgerInMemoryIsOne(t *testing.T) {
	RunLedger(t, func(*testing.T) []shred.Ledger { return []shred.Ledger{new(shred.MemLedger)} })
}
