package vaulttest_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/fieldveil/fieldveil/tokenize"
	"github.com/fieldveil/fieldveil/tokenize/vaulttest"
)

// The tests of a store hand Run a way to open it.
func ExampleRun() {
	openStore := func(t *testing.T) tokenize.Store {
		t.Helper()
		return vaulttest.NewMemory() // a store of your own
	}
	test := func(t *testing.T) {
		t.Helper()
		vaulttest.Run(t, openStore)
	}
	fmt.Println(test != nil)
	// Output: true
}

// A program's tests see what it does when the store is down.
func ExampleMemory_Hook() {
	store, keys := vaulttest.NewMemory(), vaulttest.NewKeys("")
	vault := tokenize.NewVault(store)
	down := errors.New("connection refused")
	store.Hook(func(context.Context, vaulttest.Op) error { return down })

	tokens, err := vault.Tokenize(context.Background(), keys, "acme/email", tokenize.UUIDFormat(), [][]byte{[]byte("jane@example.org")})
	fmt.Println(tokens == nil, errors.Is(err, down))
	// Output: true true
}

// A History is fed with what a store said, from any number of processes, and
// finds what a crash or a failover took away.
func ExampleHistory() {
	ctx, store := context.Background(), vaulttest.NewMemory()
	row := tokenize.Row{Scope: "acme/email", Index: tokenize.Index{1}, Token: []byte("tok_1"), Sealed: []byte("sealed")}
	outcomes, err := store.Insert(ctx, []tokenize.Row{row})
	if err != nil {
		fmt.Println(err)
		return
	}
	var history vaulttest.History
	history.Add(outcomes[0].Row)
	fmt.Println(history.Len(), history.Check(ctx, store))
	if err := store.Delete(ctx, []tokenize.Ref{{Scope: row.Scope, Token: row.Token}}); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(history.Check(ctx, store) != nil)
	// Output:
	// 1 <nil>
	// true
}
