package shred_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt/shred"
)

// A ledger is made once. Whoever opens one that is not there has to find it, and
// not to begin another.
func ExampleOpenFileLedger() {
	dir, err := os.MkdirTemp("", "ledger")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }() // an example's own
	ctx, path := context.Background(), filepath.Join(dir, "ledger.jsonl")
	_, err = shred.OpenFileLedger(ctx, path)
	fmt.Println(errors.Is(err, fs.ErrNotExist))

	ledger, err := shred.CreateFileLedger(path)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = ledger.Close() }() // an example's own
	for range 2 {
		_, err := ledger.Append(ctx, shred.Entry{
			Time: time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC), Tenant: "acme", Person: shred.PersonID{1}, By: "privacy desk", Reason: "request 4711",
		})
		if err != nil {
			fmt.Println(err)
			return
		}
	}
	entries, err := ledger.Read(ctx, 1, 100)
	fmt.Println(len(entries), entries[0].Seq, entries[0].Hash == entries[0].Sum(), err)
	// Output:
	// true
	// 1 2 true <nil>
}
