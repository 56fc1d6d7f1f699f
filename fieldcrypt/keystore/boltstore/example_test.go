package boltstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/keystore/boltstore"
	"github.com/fieldveil/fieldveil/fieldcrypt/shred"
)

// open opens a store in a directory of its own.
func open() (store *boltstore.Store, dir string, done func(), err error) {
	if dir, err = os.MkdirTemp("", "keys"); err != nil {
		return nil, "", nil, err
	}
	store, err = boltstore.Open(filepath.Join(dir, "keys.db"), boltstore.WithLockWait(time.Second))
	return store, dir, func() { _ = errors.Join(store.Close(), os.RemoveAll(dir)) }, err
}

// One file keeps the keys of records and those of persons.
func ExampleOpen() {
	store, _, done, err := open()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer done()
	ctx := context.Background()
	person := shred.Row{Tenant: "acme", Person: shred.PersonID{1}, Key: shred.KeyID{1}, Sealed: []byte("sealed by the tenant's root")}
	_, err = store.Create(ctx, person)
	fmt.Println(store.Put(ctx, datakey.ID{1}, []byte("a key block")), err)
	fmt.Println(store.Forget(ctx, "acme", person.Person))
	_, err = store.Create(ctx, person)
	fmt.Println(errors.Is(err, shred.ErrForgotten))
	// Output:
	// <nil> <nil>
	// <nil>
	// true
}

// A backup is a file for Open, whatever is written meanwhile.
func ExampleStore_Backup() {
	store, dir, done, err := open()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer done()
	ctx := context.Background()
	var copied bytes.Buffer // or a file, which is synced before it counts
	fmt.Println(store.Put(ctx, datakey.ID{1}, []byte("a key block")), store.Backup(ctx, &copied))

	path := filepath.Join(dir, "restored.db")
	if err := os.WriteFile(path, copied.Bytes(), 0o600); err != nil {
		fmt.Println(err)
		return
	}
	restored, err := boltstore.Open(path)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = restored.Close() }() // an example's own
	block, err := restored.Get(ctx, datakey.ID{1})
	fmt.Println(string(block), err, restored.Report().Damaged)
	// Output:
	// <nil> <nil>
	// a key block <nil> 0
}

// After persons were forgotten, nothing of their keys is to stay in the file.
func ExampleStore_Compact() {
	store, dir, done, err := open()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer done()
	ctx := context.Background()
	sealed := []byte("sealed by the tenant's root")
	person := shred.Row{Tenant: "acme", Person: shred.PersonID{1}, Key: shred.KeyID{1}, Sealed: sealed}
	if _, err := store.Create(ctx, person); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(store.Forget(ctx, "acme", person.Person), store.Compact(ctx))
	file, err := os.ReadFile(filepath.Join(dir, "keys.db"))
	fmt.Println(bytes.Contains(file, sealed), err)
	// Output:
	// <nil> <nil>
	// false <nil>
}
