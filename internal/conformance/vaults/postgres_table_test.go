//go:build unix

package vaults

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/fieldveil/fieldveil/tokenize"
	"github.com/fieldveil/fieldveil/tokenize/pgvault"
	"github.com/fieldveil/fieldveil/tokenize/vaulttest"
)

func newPool(t *testing.T, url string) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

func newStore(t *testing.T, pool *pgxpool.Pool, options ...pgvault.Option) *pgvault.Store {
	t.Helper()
	s, err := pgvault.New(pool, options...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func sqlState(err error) string {
	e, ok := errors.AsType[*pgvault.Error](err)
	if !ok {
		return fmt.Sprintf("%T", err)
	}
	return e.SQLState
}

func TestPostgresTablesThatAreNotSafeAreRefused(t *testing.T) {
	p := StartPostgres(t)
	pool := newPool(t, p.URL())
	const columns = `scope bytea not null, "index" bytea not null, token bytea not null, sealed bytea not null, created timestamptz default now()`
	for i, test := range []struct {
		name, sql, fault string
	}{
		{"no table", ``, "is not there"},
		{"no unique index of tokens", `create table T (` + columns + `, primary key (scope, "index"))`, "unique indexes"},
		{"no unique index of values", `create table T (` + columns + `, unique (scope, token))`, "unique indexes"},
		{"a unique index over too many columns", `create table T (` + columns + `, primary key (scope, "index"), unique (scope, token, created))`, "unique indexes"},
		{"a unique index of some rows", `create table T (` + columns + `, primary key (scope, "index")); create unique index on T (scope, token) where created is null`, "unique indexes"},
		{"a deferred constraint", `create table T (` + columns + `, primary key (scope, "index"), unique (scope, token) deferrable initially deferred)`, "unique indexes"},
		{"an index that is not unique", `create table T (` + columns + `, primary key (scope, "index")); create index on T (scope, token)`, "unique indexes"},
		{"a table that a crash empties", `create unlogged table T (` + columns + `, primary key (scope, "index"), unique (scope, token))`, "ordinary logged table"},
		{"a view", `create view T as select ''::bytea as scope`, "ordinary logged table"},
		{"a column of another type", `create table T (` + strings.Replace(columns, "sealed bytea", "sealed text", 1) + `, primary key (scope, "index"), unique (scope, token))`, "sealed"},
		{"a column that may be null", `create table T (` + strings.Replace(columns, "sealed bytea not null", "sealed bytea", 1) + `, primary key (scope, "index"), unique (scope, token))`, "sealed"},
		{"the indexes the other way round", `create table T (` + columns + `, unique ("index", scope), unique (token, scope))`, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			table := fmt.Sprintf("unsafe_%d", i)
			if test.sql != "" {
				p.exec(t, strings.ReplaceAll(test.sql, " T ", " "+table+" "))
			}
			s := newStore(t, pool, pgvault.WithTable(table))
			for name, err := range map[string]error{"Check": s.Check(t.Context()), "Insert": insertOne(t, s)} {
				if (err == nil) != (test.fault == "") || err != nil && !strings.Contains(err.Error(), test.fault) {
					t.Errorf("%s: %v, want %q", name, err, test.fault)
				}
			}
		})
	}
}

func insertOne(t *testing.T, s *pgvault.Store) error {
	t.Helper()
	_, err := s.Insert(t.Context(), benchRows(1))
	return err
}

func TestPostgresWithoutFsyncIsRefused(t *testing.T) {
	p := StartPostgres(t, "fsync=off")
	pool := newPool(t, p.URL())
	s := newStore(t, pool)
	if err := s.Migrate(t.Context()); err == nil || !strings.Contains(err.Error(), "fsync off") {
		t.Errorf("Migrate: %v", err)
	}
	if err := insertOne(t, s); err == nil || !strings.Contains(err.Error(), "fsync off") {
		t.Errorf("Insert: %v", err)
	}
	if err := insertOne(t, newStore(t, pool, pgvault.WithoutFsync())); err != nil {
		t.Errorf("where the caller vouches for it: %v", err)
	}
}

// The names of tables are the operator's, and any name will do.
func TestPostgresTablesHaveAnyName(t *testing.T) {
	p := StartPostgres(t)
	pool := newPool(t, p.URL())
	p.exec(t, `create schema "The Vault"`)
	for _, name := range [][]string{{"The Vault", `"; drop table x; --`}, {"select"}, {strings.Repeat("x", 63)}, {"The Vault", "TABLE"}} {
		s := newStore(t, pool, pgvault.WithTable(name...))
		if err := s.Migrate(t.Context()); err != nil {
			t.Fatalf("%q: %v", name, err)
		}
		vaulttest.Run(t, func(*testing.T) tokenize.Store { return s })
	}
}

func TestPostgresMigratesFromManyProcessesAtOnce(t *testing.T) {
	url := StartPostgres(t).URL("pool_max_conns", "1")
	var wg sync.WaitGroup
	for range 8 {
		pool := newPool(t, url)
		s := newStore(t, pool)
		wg.Go(func() {
			if err := s.Migrate(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// The rights that the manual names are enough, each for its purpose, and no more
// than enough.
func TestPostgresRolesWithTheRightsOfTheManual(t *testing.T) {
	p := StartPostgres(t)
	owner := openPostgres(t, p.URL())
	p.exec(t, `create role writer login; grant select, insert on fieldveil_tokens to writer;
		create role reader login; grant select on fieldveil_tokens to reader;
		create role eraser login; grant select, delete on fieldveil_tokens to eraser;
		create role stranger login`)
	row := benchRows(1)[0]
	rows, refs := []tokenize.Row{row}, []tokenize.Ref{{Scope: row.Scope, Token: row.Token}}
	if _, err := owner.Insert(t.Context(), rows); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		role                 string
		insert, read, delete bool
	}{{"writer", true, true, false}, {"reader", false, true, false}, {"stranger", false, false, false}, {"eraser", false, true, true}} {
		s := newStore(t, newPool(t, p.URL("user", test.role)))
		check := func(call string, allowed bool, err error) {
			t.Helper()
			if allowed != (err == nil) || err != nil && sqlState(err) != "42501" {
				t.Errorf("%s as %s: %v", call, test.role, err)
			}
		}
		_, err := s.Insert(t.Context(), rows)
		check("Insert", test.insert, err)
		_, err = s.ByToken(t.Context(), refs)
		check("ByToken", test.read, err)
		_, err = s.ByIndex(t.Context(), []tokenize.Key{{Scope: row.Scope, Index: row.Index}})
		check("ByIndex", test.read, err)
		_, err = s.Count(t.Context(), row.Scope)
		check("Count", test.read, err)
		check("Delete", test.delete, s.Delete(t.Context(), refs))
	}
}

// A role whose transactions are stricter, read-only by default, or planned
// otherwise gets the same outcomes.
func TestPostgresRolesWithSettingsOfTheirOwn(t *testing.T) {
	p := StartPostgres(t)
	openPostgres(t, p.URL())
	for i, settings := range []string{
		"default_transaction_isolation = 'serializable'",
		"default_transaction_isolation = 'repeatable read'",
		"default_transaction_read_only = on",
		"plan_cache_mode = force_generic_plan",
		"bytea_output = 'escape'",
		"standard_conforming_strings = off",
		"search_path = 'pg_catalog', 'public'",
	} {
		role := fmt.Sprintf("role%d", i)
		p.exec(t, fmt.Sprintf(`create role %[1]s login; grant select, insert, delete on fieldveil_tokens to %[1]s; alter role %[1]s set %[2]s`, role, settings))
		t.Run(settings, func(t *testing.T) {
			s := newStore(t, newPool(t, p.URL("user", role, "pool_max_conns", "8")))
			vaulttest.Run(t, func(*testing.T) tokenize.Store { return s })
		})
	}
}

// Two batches that hold what the other needs would wait for each other for
// ever. One of them is a stranger's transaction, which knows no order.
func TestPostgresDeadlocksAreTriedAgain(t *testing.T) {
	p := StartPostgres(t, "deadlock_timeout=50ms")
	s := openPostgres(t, p.URL())
	rows := benchRows(2)
	if string(rows[0].Index[:]) > string(rows[1].Index[:]) {
		rows[0], rows[1] = rows[1], rows[0]
	}
	conn, err := pgx.Connect(t.Context(), p.URL("deadlock_timeout", "1h")) // the store is to be the victim
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const insert = `insert into fieldveil_tokens (scope, "index", token, sealed) values ($1, $2, $3, $4)`
	add := func(r tokenize.Row, token string) error {
		_, err := tx.Exec(t.Context(), insert, []byte(r.Scope), r.Index[:], []byte(token), r.Sealed)
		return err
	}
	if err := add(rows[1], "stranger 1"); err != nil {
		t.Fatal(err)
	}
	type result struct {
		out []tokenize.Outcome
		err error
	}
	results := make(chan result)
	go func() {
		out, err := s.Insert(t.Context(), rows)
		results <- result{out, err}
	}()
	waitForLock(t, p)
	if err := add(rows[0], "stranger 0"); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	r := <-results
	if r.err != nil {
		t.Fatal(r.err)
	}
	for i, o := range r.out {
		if o.Status != tokenize.Exists || string(o.Row.Token) != fmt.Sprintf("stranger %d", i) {
			t.Errorf("row %d: status %d", i, o.Status)
		}
	}
	if !strings.Contains(p.Log(), "deadlock detected") {
		t.Error("there was no deadlock: nothing was tried again")
	}
}

// waitForLock waits until a transaction waits for another one.
func waitForLock(t *testing.T, p *Postgres) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), p.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	for waiting := false; !waiting; {
		if err := conn.QueryRow(t.Context(), `select exists (select from pg_locks where not granted)`).Scan(&waiting); err != nil {
			t.Fatal(err)
		}
	}
}

// What conflicted when it was inserted may be gone when it is read, so that the
// row has no outcome in that transaction. Here rows come and go all the time.
func TestPostgresRowsThatAreDeletedMeanwhile(t *testing.T) {
	s := openPostgres(t, StartPostgres(t).URL("pool_max_conns", "8"))
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var inserters, deleters sync.WaitGroup
	rows := benchRows(20)
	var refs []tokenize.Ref
	for _, r := range rows {
		refs = append(refs, tokenize.Ref{Scope: r.Scope, Token: r.Token})
	}
	for range 2 {
		deleters.Go(func() {
			for ctx.Err() == nil {
				if err := s.Delete(ctx, refs); err != nil && ctx.Err() == nil {
					t.Error(err)
				}
			}
		})
	}
	for range 4 {
		inserters.Go(func() {
			for range 150 {
				out, err := s.Insert(t.Context(), rows)
				if err != nil {
					t.Error(err)
					break
				}
				for i, o := range out {
					if o.Status != tokenize.Inserted && o.Status != tokenize.Exists {
						t.Errorf("status %d of row %d", o.Status, i)
					} else if o.Row.Index != rows[i].Index || !bytes.Equal(o.Row.Token, rows[i].Token) {
						t.Errorf("row %d is another one", i)
					}
				}
			}
		})
	}
	inserters.Wait()
	stop()
	deleters.Wait()
}

// A server that breaks off quotes the row that it broke off at. The store must
// not pass that on.
func TestPostgresErrorsTellNoTokens(t *testing.T) {
	p := StartPostgres(t)
	s := openPostgres(t, p.URL())
	if err := insertOne(t, s); err != nil {
		t.Fatal(err)
	}
	p.exec(t, `alter table fieldveil_tokens add constraint never check (token is null) not valid`)
	row := tokenize.Row{Scope: "scope-5ca1ab1e", Token: []byte("token-5ca1ab1e"), Sealed: []byte("sealed-5ca1ab1e")}
	_, err := s.Insert(t.Context(), []tokenize.Row{row})
	if sqlState(err) != "23514" {
		t.Fatalf("Insert: %v", err)
	}
	if !strings.Contains(p.Log(), fmt.Sprintf("%x", row.Token)) {
		t.Error("the server quoted nothing, so nothing could be passed on")
	}
	for unwrapped := err; unwrapped != nil; unwrapped = errors.Unwrap(unwrapped) {
		text := fmt.Sprintf("%v %+v %#v", unwrapped, unwrapped, unwrapped)
		for _, secret := range []string{"5ca1ab1e", fmt.Sprintf("%x", "5ca1ab1e")} {
			if strings.Contains(text, secret) {
				t.Errorf("the error tells %s: %s", secret, text)
			}
		}
	}
}

// No call may read the whole table, at any size of it and whatever the planner
// believes of that: the table here was never analyzed, and plans were made when
// it was empty.
func TestPostgresFindsRowsByItsIndexes(t *testing.T) {
	p := StartPostgres(t, "autovacuum=off")
	for _, mode := range []string{"force_custom_plan", "force_generic_plan", "auto"} {
		t.Run(mode, func(t *testing.T) {
			pool := newPool(t, p.URL("pool_max_conns", "1", "plan_cache_mode", mode))
			s := newStore(t, pool, pgvault.WithTable(mode))
			if err := s.Migrate(t.Context()); err != nil {
				t.Fatal(err)
			}
			before := tableReads(t, pool, mode) // the indexes were built
			for range 20 {
				rows := benchRows(500)
				var keys []tokenize.Key
				var refs []tokenize.Ref
				for _, r := range rows {
					keys, refs = append(keys, tokenize.Key{Scope: r.Scope, Index: r.Index}), append(refs, tokenize.Ref{Scope: r.Scope, Token: r.Token})
				}
				rows[0].Token = rows[1].Token // held back, and taken then
				_, err1 := s.Insert(t.Context(), rows)
				_, err2 := s.Insert(t.Context(), rows)
				_, err3 := s.ByIndex(t.Context(), keys)
				_, err4 := s.ByToken(t.Context(), refs)
				err5 := s.Delete(t.Context(), refs[:10])
				if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
					t.Fatal(err)
				}
			}
			whole := tableReads(t, pool, mode) - before
			if whole != 0 {
				t.Errorf("the whole table was read %d times", whole)
			}
		})
	}
}

// tableReads returns how many times all of a table was read.
func tableReads(t *testing.T, pool *pgxpool.Pool, table string) (n int64) {
	t.Helper()
	if _, err := pool.Exec(t.Context(), `select pg_stat_force_next_flush()`); err != nil {
		t.Skipf("skipped: a server before version 15 does not count at once: %v", err)
	}
	if err := pool.QueryRow(t.Context(), `select seq_scan from pg_stat_user_tables where relname = $1`, table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
