package pgvault

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/fieldveil/fieldveil/tokenize"
)

// minVersion is the oldest server that has all functions the statements use.
const minVersion = 130000

// migrationLock keeps two that migrate at once apart: "create table if not
// exists" fails in one of them otherwise.
const migrationLock = 0x6669656c647665

// Schema returns the statement that makes the table of these options, for those
// who run migrations by other means. It does nothing where the table exists.
//
// Scopes are bytes and not text, so that neither the encoding nor the collation
// of the database takes part in what is equal.
func Schema(options ...Option) (string, error) {
	s := &Store{table: quote(defaultTable)}
	for _, option := range options {
		if err := option(s); err != nil {
			return "", err
		}
	}
	return schemaSQL(s.table), nil
}

func schemaSQL(table string) string {
	return fmt.Sprintf(`create table if not exists %s (
  scope bytea not null check (octet_length(scope) between 1 and %d),
  "index" bytea not null check (octet_length("index") = 32),
  token bytea not null check (octet_length(token) between 1 and %d),
  sealed bytea not null check (octet_length(sealed) between 1 and %d),
  created timestamptz not null default now(),
  primary key (scope, "index"),
  unique (scope, token)
);
`, table, tokenize.MaxScope, tokenize.MaxToken, tokenize.MaxSealed)
}

// Migrate makes the table if it is missing, and checks it as [Store.Check] does.
// It needs the right to create tables, which the role of a producer should not
// have. Several processes may migrate at once.
func (s *Store) Migrate(ctx context.Context) error {
	err := s.do(ctx, "migrate", func(conn *pgxpool.Conn) error {
		tx, err := conn.Begin(ctx)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "select pg_advisory_xact_lock($1)", int64(migrationLock)); err != nil {
			return err // do rolls back
		}
		if _, err := tx.Exec(ctx, durableSQL); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, schemaSQL(s.table)); err != nil {
			return err
		}
		return tx.Commit(ctx)
	})
	if err != nil {
		return err
	}
	return s.Check(ctx)
}

// checkSQL asks what Check needs to know. Of the unique indexes those count that
// can decide an insert: whole, immediate, and on plain columns.
const checkSQL = `select
  current_setting('server_version_num')::int,
  current_setting('fsync') = 'on',
  c.oid is not null,
  coalesce(c.relkind = 'r' and c.relpersistence = 'p', false),
  array(
    select a.attname::text from pg_attribute a
    where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attnotnull and a.atttypid = 'bytea'::regtype
  ),
  array(
    select (
      select string_agg(a.attname::text, ' ' order by a.attname::text collate "C")
      from pg_attribute a where a.attrelid = c.oid and a.attnum = any (i.indkey)
    ) from pg_index i
    where i.indrelid = c.oid and i.indisunique and i.indimmediate and i.indisvalid
      and i.indpred is null and i.indexprs is null and i.indnatts = i.indnkeyatts
  )
from (select to_regclass($1) as oid) t left join pg_class c on c.oid = t.oid`

// Check looks whether rows are safe in this table and on this server: that the
// table is there, is an ordinary logged one and has the unique indexes that
// decide races, and that the server flushes what it commits. Nothing is changed.
// The first insert does the same.
func (s *Store) Check(ctx context.Context) error {
	var version int
	var fsync, exists, logged bool
	var columns, unique []string
	err := s.do(ctx, "check", func(conn *pgxpool.Conn) error {
		return conn.QueryRow(ctx, checkSQL, s.table).Scan(&version, &fsync, &exists, &logged, &columns, &unique)
	})
	if err != nil {
		return err
	}
	fault := ""
	switch {
	case version < minVersion:
		fault = "the server is older than PostgreSQL 13"
	case !exists:
		fault = "the table is not there; Migrate makes it"
	case !logged:
		fault = "the table is not an ordinary logged table"
	case !fsync && !s.noFsync:
		fault = "the server runs with fsync off and may lose what it commits"
	case !slices.Contains(unique, "index scope") || !slices.Contains(unique, "scope token"):
		fault = "the table lacks the unique indexes on scope and index and on scope and token"
	}
	for _, name := range []string{"scope", "index", "token", "sealed"} {
		if fault == "" && !slices.Contains(columns, name) {
			fault = "the table lacks a column, or it is not a bytea without nulls: " + name
		}
	}
	if fault != "" {
		return &Error{Op: "check", text: fault}
	}
	s.checked.Store(true)
	return nil
}

// ready checks once. Two that do so at the same moment do no harm.
func (s *Store) ready(ctx context.Context) error {
	if s.checked.Load() {
		return nil
	}
	return s.Check(ctx)
}
