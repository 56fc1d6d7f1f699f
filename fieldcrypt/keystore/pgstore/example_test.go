package pgstore_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/keystore/pgstore"
	"github.com/fieldveil/fieldveil/fieldcrypt/shred"
)

func ExampleNew() { //nolint:testableexamples // it needs a server
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	pool, err := pgxpool.New(ctx, "postgres://producer@db.internal/keys?pool_max_conns=8")
	if err != nil {
		panic(err)
	}
	defer pool.Close()
	store, err := pgstore.New(pool, pgstore.WithSchema("privacy"))
	if err != nil {
		panic(err)
	}
	row, err := store.Person(ctx, "acme", shred.PersonID{1, 2, 3})
	fmt.Println(row.Key, errors.Is(err, shred.ErrForgotten))
}

// The owner of the tables makes them, and nobody else has to be allowed to.
func ExampleStore_Init() { //nolint:testableexamples // it needs a server
	pool, err := pgxpool.New(context.Background(), "postgres://owner@db.internal/keys")
	if err != nil {
		panic(err)
	}
	defer pool.Close()
	store, err := pgstore.New(pool)
	if err != nil {
		panic(err)
	}
	if err := store.Init(context.Background()); err != nil {
		panic(err)
	}
	fmt.Println(store.Check(context.Background()))
}

func ExampleStore_Each() { //nolint:testableexamples // it needs a server
	pool, err := pgxpool.New(context.Background(), "postgres://auditor@db.internal/keys")
	if err != nil {
		panic(err)
	}
	defer pool.Close()
	store, err := pgstore.New(pool)
	if err != nil {
		panic(err)
	}
	count := 0
	err = store.Each(context.Background(), func(datakey.ID, []byte) error {
		count++
		return nil
	})
	fmt.Println(count, "whole blocks; some are damaged:", errors.Is(err, pgstore.ErrDamaged))
}

// In a quiet hour, by the owner of the tables, after persons were forgotten.
func ExampleStore_Scrub() { //nolint:testableexamples // it needs a server
	pool, err := pgxpool.New(context.Background(), "postgres://owner@db.internal/keys")
	if err != nil {
		panic(err)
	}
	defer pool.Close()
	store, err := pgstore.New(pool)
	if err != nil {
		panic(err)
	}
	fmt.Println(store.Scrub(context.Background()))
}

// The ledger stands on another server than the store.
func ExampleNewLedger() { //nolint:testableexamples // it needs a server
	ctx := context.Background()
	pool, err := pgxpool.New(ctx, "postgres://eraser@audit-db.internal/ledger")
	if err != nil {
		panic(err)
	}
	defer pool.Close()
	ledger, err := pgstore.NewLedger(pool)
	if err != nil {
		panic(err)
	}
	e, err := ledger.Append(ctx, shred.Entry{
		Time: time.Now(), Tenant: "acme", Person: shred.PersonID{1, 2, 3}, By: "privacy desk", Reason: "request 4711",
	})
	fmt.Println(e.Seq, err)
}

func ExampleWithSchema() {
	_, err := pgstore.New(new(pgxpool.Pool), pgstore.WithSchema(strings.Repeat("x", 64)))
	fmt.Println(err)
	// Output: pgstore: the name of a schema has 1 to 63 bytes, none of them zero
}

func ExampleWithTimeout() {
	_, err := pgstore.New(new(pgxpool.Pool), pgstore.WithTimeout(0))
	fmt.Println(err)
	// Output: pgstore: the time limit lies between 1 millisecond and an hour
}

func ExampleWithoutFsync() { //nolint:testableexamples // it needs a server
	pool, err := pgxpool.New(context.Background(), "postgres://producer@managed.internal/keys")
	if err != nil {
		panic(err)
	}
	defer pool.Close()
	store, err := pgstore.New(pool, pgstore.WithoutFsync()) // the service says that its storage does it
	fmt.Println(store != nil, err)
}

func ExampleError() {
	err := fmt.Errorf("reveal: %w", &pgstore.Error{Op: "person", SQLState: "57P03"})
	if e, ok := errors.AsType[*pgstore.Error](err); ok {
		fmt.Println(e.Op, e.SQLState, e.Retryable())
	}
	// Output: person 57P03 true
}
