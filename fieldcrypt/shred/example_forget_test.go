package shred_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt/shred"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func ExampleForget() {
	ctx := context.Background()
	store, ledger := new(shred.MemStore), new(shred.MemLedger)
	ann := shred.PersonID{1}
	must(store.Create(ctx, shred.Row{Tenant: "acme", Person: ann, Key: shred.KeyID{7}, Sealed: []byte("wrapped key")}))

	e := must(shred.Forget(ctx, store, ledger, shred.Entry{
		Time: time.Now(), Tenant: "acme", Person: ann, By: "privacy desk", Reason: "request 2026-117",
	}))
	_, err := store.Person(ctx, "acme", ann)
	fmt.Println(e.Seq, errors.Is(err, shred.ErrForgotten))
	// His next value does not bring him back.
	_, err = store.Create(ctx, shred.Row{Tenant: "acme", Person: ann, Key: shred.KeyID{8}, Sealed: []byte("wrapped key")})
	fmt.Println(errors.Is(err, shred.ErrForgotten))
	// Output:
	// 1 true
	// true
}

func ExampleReplay() {
	ctx := context.Background()
	ledger := new(shred.MemLedger)
	ann := shred.PersonID{1}
	must(ledger.Append(ctx, shred.Entry{Time: time.Now(), Tenant: "acme", Person: ann, By: "privacy desk", Reason: "request 2026-117"}))

	// A store from a backup still has her key.
	backup := new(shred.MemStore)
	must(backup.Create(ctx, shred.Row{Tenant: "acme", Person: ann, Key: shred.KeyID{7}, Sealed: []byte("wrapped key")}))
	mark := must(shred.Replay(ctx, backup, ledger))
	_, err := backup.Person(ctx, "acme", ann)
	fmt.Println(mark.Seq, errors.Is(err, shred.ErrForgotten))

	// Its ledger is the only one that it can be opened with.
	_, err = shred.Replay(ctx, backup, new(shred.MemLedger))
	fmt.Println(errors.Is(err, shred.ErrLedger))
	// Output:
	// 1 true
	// true
}

func ExampleReplayAll() {
	ctx := context.Background()
	store, ledger := new(shred.MemStore), new(shred.MemLedger)
	must(shred.Forget(ctx, store, ledger, shred.Entry{Time: time.Now(), Person: shred.PersonID{1}, By: "privacy desk", Reason: "request"}))
	fmt.Println(must(shred.ReplayAll(ctx, store, ledger)).Seq)
	// Output: 1
}

func ExampleVerify() {
	ctx := context.Background()
	ledger := new(shred.MemLedger)
	for n := range byte(3) {
		must(ledger.Append(ctx, shred.Entry{Time: time.Now(), Person: shred.PersonID{n}, By: "privacy desk", Reason: "request"}))
	}
	fmt.Println(must(shred.Verify(ctx, ledger)).Seq)
	// Output: 3
}

func ExampleFollow() {
	ctx := context.Background()
	ledger := new(shred.MemLedger)
	must(ledger.Append(ctx, shred.Entry{Time: time.Now(), Person: shred.PersonID{1}, By: "privacy desk", Reason: "request 1"}))
	id := must(ledger.ID(ctx))
	from := shred.Mark{Ledger: id, Hash: shred.FirstPrev(id)}
	must(shred.Follow(ctx, ledger, from, func(page []shred.Entry, next shred.Mark) error {
		for _, e := range page {
			fmt.Println(e.Seq, e.Reason)
		}
		from = next // where to go on
		return nil
	}))
	// Output: 1 request 1
}

func ExampleMatch() {
	ctx := context.Background()
	store, ledger := new(shred.MemStore), new(shred.MemLedger)
	_, err := shred.Match(ctx, store, ledger)
	fmt.Println(errors.Is(err, shred.ErrNone))
	must(shred.Replay(ctx, store, ledger))
	fmt.Println(must(shred.Match(ctx, store, ledger)).Seq)
	// Output:
	// true
	// 0
}
