package pgvault_test

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/fieldveil/fieldveil/tokenize"
	"github.com/fieldveil/fieldveil/tokenize/pgvault"
)

func ExampleOpen() { //nolint:testableexamples // it needs a server
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	store, err := pgvault.Open(ctx, "postgres://vault@db.internal/privacy?pool_max_conns=8")
	if err != nil {
		panic(err)
	}
	defer store.Close()
	if err := store.Migrate(ctx); err != nil { // by a role that may create tables
		panic(err)
	}
	n, err := store.Count(ctx, "tenant/customers")
	fmt.Println(n, err)
}

func ExampleNew() { //nolint:testableexamples // it needs a server
	pool, err := pgxpool.New(context.Background(), "postgres://vault@db.internal/privacy")
	if err != nil {
		panic(err)
	}
	defer pool.Close()
	store, err := pgvault.New(pool, pgvault.WithTable("privacy", "tokens"))
	if err != nil {
		panic(err)
	}
	out, err := store.Insert(context.Background(), []tokenize.Row{{
		Scope: "tenant/customers", Index: tokenize.Index{1, 2, 3}, Token: []byte("tok_a8f1"), Sealed: []byte("sealed elsewhere"),
	}})
	fmt.Println(len(out), err)
}

func ExampleSchema() {
	text, err := pgvault.Schema(pgvault.WithTable("privacy", "tokens"))
	fmt.Println(text, err)
	// Output:
	// create table if not exists "privacy"."tokens" (
	//   scope bytea not null check (octet_length(scope) between 1 and 255),
	//   "index" bytea not null check (octet_length("index") = 32),
	//   token bytea not null check (octet_length(token) between 1 and 255),
	//   sealed bytea not null check (octet_length(sealed) between 1 and 65536),
	//   created timestamptz not null default now(),
	//   primary key (scope, "index"),
	//   unique (scope, token)
	// );
	//  <nil>
}

func ExampleWithTable() {
	_, err := pgvault.Schema(pgvault.WithTable("database", "schema", "table"))
	fmt.Println(err)
	// Output: pgvault: the name of a table has one part, or two with its schema
}
