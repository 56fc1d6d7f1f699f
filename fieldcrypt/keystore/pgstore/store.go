package pgstore

import (
	"context"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/shred"
)

// A Store keeps the key blocks of records, the root keys of tenants, the keys of
// persons, their tombstones and the mark in the tables of [StoreTables]. It is
// safe for concurrent use by any number of processes; how many calls run at once
// is up to the size of its pool.
//
// The calls return the errors that the two interfaces name as they are, and an
// [*Error] otherwise.
type Store struct {
	db  db
	sql statements
}

var (
	_ datakey.Catalog = (*Store)(nil)
	_ shred.Store     = (*Store)(nil)
)

// New returns a Store on a pool, which stays the caller's to close. It does not
// ask the server anything: [Store.Init] makes the tables where they are missing,
// and the first call that changes something checks them. The pool has to reach the
// primary. All modes of pgx work, those for poolers between transactions too.
func New(pool *pgxpool.Pool, options ...Option) (*Store, error) {
	s := &Store{}
	if err := s.db.init(pool, options); err != nil {
		return nil, err
	}
	s.sql = newStatements(&s.db)
	return s, nil
}

// Init makes the tables if something is missing, and the schema of [WithSchema]
// too; where all is there it changes nothing. It needs the right to create, which
// the roles of producers and consumers should not have. Several processes may
// call it at once.
func (s *Store) Init(ctx context.Context) error {
	return s.db.initTables(ctx, StoreTables, s.fit())
}

// Check looks whether keys are safe in these tables and on this server: that the
// tables are there, are ordinary logged ones, and have the unique indexes that
// decide races and the triggers that guard tombstones, and that the server is a
// primary that flushes what it commits. Nothing is changed. The first call that
// changes something does the same.
func (s *Store) Check(ctx context.Context) error { return s.db.check(ctx, s.fit()) }

func (s *Store) ready(ctx context.Context) error { return s.db.ready(ctx, s.fit()) }

func (s *Store) fit() []tableFit {
	return []tableFit{
		{name: blocksTable, columns: "id block sum", unique: []string{"id"}},
		{name: rootsTable, columns: "tenant block sum", unique: []string{"tenant"}},
		{name: personsTable, columns: "tenant person key sealed sum", unique: []string{"person tenant", "key tenant"}, triggers: []string{"fieldveil_persons_rows", "fieldveil_persons_truncate"}},
		{name: markTable, columns: "ledger seq hash sum", unique: []string{"single"}, triggers: []string{"fieldveil_mark_rows", "fieldveil_mark_truncate"}},
	}
}

// Scrub writes the table of persons anew, without the rows that Forget has left
// behind as dead versions, and gives the old file back to the file system. It
// needs the owner of the table, keeps everybody else out of the table while it
// runs, which takes seconds per million rows, and is bounded by ctx alone.
//
// Versions that an open transaction or a replication slot could still ask for
// are kept, so it belongs in a quiet hour. It does not reach the write-ahead log,
// standbys, backups and the free blocks of the disk.
func (s *Store) Scrub(ctx context.Context) error {
	conn, err := s.db.pool.Acquire(ctx)
	if err != nil {
		return acquireError(ctx, "scrub", err)
	}
	defer conn.Release()
	const op, file = "scrub", "select pg_relation_filenode(to_regclass($1))"
	table := s.db.table(personsTable)
	var before, after *uint32
	if err = conn.QueryRow(ctx, file, table).Scan(&before); err == nil {
		if _, err = conn.Exec(ctx, "vacuum (full, analyze) "+table); err == nil {
			err = conn.QueryRow(ctx, file, table).Scan(&after)
		}
	}
	switch {
	case err != nil:
		return queryError(ctx, op, err, conn.Conn().IsClosed())
	case before == nil || after == nil || *before == *after:
		// Whom it does not allow that, the server warns and does nothing.
		return &Error{Op: op, SQLState: "42501", text: "the table was not written anew; its owner may do that"}
	}
	return nil
}
