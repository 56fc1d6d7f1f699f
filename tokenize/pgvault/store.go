package pgvault

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/fieldveil/fieldveil/tokenize"
)

const (
	// defaultTable is the name of the table unless an option names another.
	defaultTable = "fieldveil_tokens"
	// maxIdentifier is the length of a name in bytes; PostgreSQL cuts longer ones
	// without a word, and two of them could meet in one table.
	maxIdentifier = 63
	// attempts bounds how often a call runs its transaction.
	attempts = 5
	// firstPause lies before the second attempt; each further one is twice as
	// long, and a random part of it is left off.
	firstPause = 10 * time.Millisecond
	// rollbackTimeout bounds the clean-up of a failed transaction, after which
	// the connection is given up.
	rollbackTimeout = 2 * time.Second
)

// A Store keeps rows in one table of a PostgreSQL database. It is a
// [tokenize.Store], safe for concurrent use; how many calls run at once is up to
// the size of its pool.
type Store struct {
	pool    *pgxpool.Pool
	owned   bool // Close ends the pool
	table   string
	noFsync bool // the server may run with fsync off
	sql     statements
	checked atomic.Bool // the table and the server are fit for Insert
}

var _ tokenize.Store = (*Store)(nil)

// An Option changes how a [Store] works.
type Option func(*Store) error

// WithTable names the table, "fieldveil_tokens" by default. One name is looked
// up along the search path of the connection; two are a schema and a table. Names
// are quoted, so case counts, and have 1 to 63 bytes.
func WithTable(name ...string) Option {
	return func(s *Store) error {
		if len(name) != 1 && len(name) != 2 {
			return errors.New("pgvault: the name of a table has one part, or two with its schema")
		}
		for _, part := range name {
			if part == "" || len(part) > maxIdentifier || strings.ContainsRune(part, 0) {
				return errors.New("pgvault: the name of a table has 1 to 63 bytes, none of them zero")
			}
		}
		s.table = quote(name...)
		return nil
	}
}

// WithoutFsync accepts a server whose fsync is off. It is for services that make
// commits durable below the server, and say so; elsewhere a crash of the machine
// loses rows whose tokens are in use.
func WithoutFsync() Option {
	return func(s *Store) error {
		s.noFsync = true
		return nil
	}
}

// New returns a Store on a pool, which stays the caller's to close. It does not
// ask the server anything: [Store.Migrate] makes the table where it is missing,
// and the first insert checks it. Each statement is prepared once per connection
// unless the pool is configured otherwise; all modes of pgx work, those for poolers between
// transactions too.
func New(pool *pgxpool.Pool, options ...Option) (*Store, error) {
	if pool == nil {
		return nil, errors.New("pgvault: there is no pool")
	}
	s := &Store{pool: pool, table: quote(defaultTable)}
	for _, option := range options {
		if err := option(s); err != nil {
			return nil, err
		}
	}
	s.sql = newStatements(s.table)
	return s, nil
}

// Open connects to a database and returns a Store on a pool of its own, which
// Close ends. The connection string is a URL or a list of keywords as libpq reads
// it, and may set the size of the pool by pool_max_conns; ctx bounds the first
// connection. The errors do not repeat the string, which can hold a password.
func Open(ctx context.Context, connString string, options ...Option) (*Store, error) {
	cfg, err := pgxpool.ParseConfig(connString)
	if err != nil {
		return nil, errors.New("pgvault: open: the connection string cannot be read")
	}
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, acquireError(ctx, "open", err)
	}
	s, err := New(pool, options...)
	if err != nil {
		pool.Close()
		return nil, err
	}
	s.owned = true
	if err := s.do(ctx, "open", func(conn *pgxpool.Conn) error { return conn.Ping(ctx) }); err != nil {
		pool.Close()
		return nil, err
	}
	return s, nil
}

// Close ends the pool of a Store that Open has made, when its calls have come
// back, and leaves a pool that New was given alone.
func (s *Store) Close() {
	if s.owned {
		s.pool.Close()
	}
}

// do runs a transaction or a query on a connection, a few times if it has to.
// What it returns is an [*Error], or nil.
func (s *Store) do(ctx context.Context, op string, run func(*pgxpool.Conn) error) error {
	for attempt := 1; ; attempt++ {
		e := s.once(ctx, op, run)
		if e == nil {
			return nil
		}
		if !e.again || attempt == attempts || !pause(ctx, attempt) {
			return e
		}
	}
}

func (s *Store) once(ctx context.Context, op string, run func(*pgxpool.Conn) error) *Error {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return acquireError(ctx, op, err)
	}
	defer conn.Release()
	err = run(conn)
	if err == nil {
		return nil
	}
	e := queryError(ctx, op, err, conn.Conn().IsClosed())
	// A connection that is left inside a transaction would be thrown away.
	if !conn.Conn().IsClosed() && conn.Conn().PgConn().TxStatus() != 'I' {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackTimeout)
		defer cancel()
		_, _ = conn.Exec(ctx, "rollback") // when this fails, Release closes the connection
	}
	return e
}

// pause waits before another attempt, and tells whether there is to be one. The
// random part keeps two that were in each other's way from meeting again.
func pause(ctx context.Context, attempt int) bool {
	full := firstPause << (attempt - 1)
	timer := time.NewTimer(full/2 + rand.N(full/2)) //nolint:gosec // jitter, no secret
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

func quote(name ...string) string { return pgx.Identifier(name).Sanitize() }
