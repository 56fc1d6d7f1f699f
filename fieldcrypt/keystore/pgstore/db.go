package pgstore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	// defaultTimeout bounds a call unless an option says otherwise.
	defaultTimeout = 10 * time.Second
	// maxIdentifier is the length of a name in bytes; PostgreSQL cuts longer ones
	// without a word, and two of them could meet.
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

// db is what a Store and a Ledger have in common.
type db struct {
	pool     *pgxpool.Pool
	schema   string // empty for the search path
	timeout  time.Duration
	noFsync  bool // the server may run with fsync off
	settings string
	checked  atomic.Bool // the tables and the server are fit for changes
}

// An Option changes how a [Store] or a [Ledger] works.
type Option func(*db) error

// WithSchema names the schema of the database that has the tables. Without it
// they are looked up along the search path of the connection. The name is quoted,
// so case counts, and has 1 to 63 bytes.
func WithSchema(name string) Option {
	return func(d *db) error {
		if name == "" || len(name) > maxIdentifier || strings.ContainsRune(name, 0) {
			return errors.New("pgstore: the name of a schema has 1 to 63 bytes, none of them zero")
		}
		d.schema = name
		return nil
	}
}

// WithTimeout bounds each call, 10 seconds by default, from 1 millisecond to an
// hour; a context that ends sooner still counts. For calls that visit all rows it
// bounds each 200 of them. The server gets the same limit for each statement of a
// change, so that a client that is gone leaves no lock behind.
func WithTimeout(limit time.Duration) Option {
	return func(d *db) error {
		if limit < time.Millisecond || limit > time.Hour {
			return errors.New("pgstore: the time limit lies between 1 millisecond and an hour")
		}
		d.timeout = limit
		return nil
	}
}

// WithoutFsync accepts a server whose fsync is off. It is for services that make
// commits durable below the server, and say so; elsewhere a crash of the machine
// loses keys whose values are in use.
func WithoutFsync() Option {
	return func(d *db) error {
		d.noFsync = true
		return nil
	}
}

func (d *db) init(pool *pgxpool.Pool, options []Option) error {
	if pool == nil {
		return errors.New("pgstore: there is no pool")
	}
	d.pool, d.timeout = pool, defaultTimeout
	for _, option := range options {
		if err := option(d); err != nil {
			return err
		}
	}
	d.settings = fmt.Sprintf(settingsSQL, d.timeout.Milliseconds())
	return nil
}

// table returns the quoted name of a table.
func (d *db) table(name string) string {
	if d.schema == "" {
		return pgx.Identifier{name}.Sanitize()
	}
	return pgx.Identifier{d.schema, name}.Sanitize()
}

const (
	// beginSQL states the isolation because a role may have another default. Each
	// statement of such a transaction sees what was committed before it began.
	beginSQL = `begin isolation level read committed, read write`

	// settingsSQL makes this one commit wait for its flush, and for synchronous
	// standbys if there are any. remote_apply is the one setting that is stricter.
	settingsSQL = `select set_config('synchronous_commit', case current_setting('synchronous_commit') when 'remote_apply' then 'remote_apply' else 'on' end, true), set_config('statement_timeout', '%d', true)`

	// byIndexSQL keeps the planner from reading all of a table that it takes for
	// small, for the statements that are sent together with it. It would keep to that
	// plan when the table has grown.
	byIndexSQL = `select set_config('enable_seqscan', 'off', true)`

	commitSQL = `commit`
)

// An attempt is one run of a transaction or a query.
type attempt struct {
	*pgxpool.Conn
	// unsure says that an attempt before this one may have been committed, without
	// its answer having come through.
	unsure bool
}

// do runs a transaction or a query on a connection, a few times if it has to.
// What it returns is an [*Error], or nil.
func (d *db) do(ctx context.Context, op string, run func(context.Context, attempt) error) error {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	unsure := false
	for n := 1; ; n++ {
		e := d.once(ctx, op, unsure, run)
		if e == nil {
			return nil
		}
		if !e.again || n == attempts || !pause(ctx, n) {
			return e
		}
		// After these the server has rolled back; after all others it may not.
		unsure = unsure || e.SQLState != "40001" && e.SQLState != "40P01"
	}
}

func (d *db) once(ctx context.Context, op string, unsure bool, run func(context.Context, attempt) error) *Error {
	conn, err := d.pool.Acquire(ctx)
	if err != nil {
		return acquireError(ctx, op, err)
	}
	defer conn.Release()
	err = run(ctx, attempt{conn, unsure})
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
func pause(ctx context.Context, n int) bool {
	full := firstPause << (n - 1)
	timer := time.NewTimer(full/2 + rand.N(full/2)) //nolint:gosec // jitter, no secret
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// A query is a statement with its parameters.
type query struct {
	sql  string
	args []any
}

// change sends a whole transaction at once: change and then look, whose answers
// read gets. The server runs it to the commit even when the connection is lost
// meanwhile.
func (d *db) change(ctx context.Context, conn attempt, change, look query, read func(changed int64, rows pgx.Rows) error) error {
	var q pgx.Batch
	q.Queue(beginSQL)
	q.Queue(d.settings)
	q.Queue(change.sql, change.args...)
	if look.sql != "" {
		q.Queue(look.sql, look.args...)
	}
	q.Queue(commitSQL)
	answers := conn.SendBatch(ctx, &q)
	err := readChange(answers, look.sql != "", read)
	if closed := answers.Close(); err == nil {
		err = closed
	}
	return err
}

func readChange(answers pgx.BatchResults, look bool, read func(changed int64, rows pgx.Rows) error) error {
	for range 2 { // begin, settings
		if _, err := answers.Exec(); err != nil {
			return err
		}
	}
	tag, err := answers.Exec()
	if err != nil {
		return err
	}
	var refused error
	if look {
		rows, err := answers.Query()
		if err != nil {
			return err
		}
		refused = read(tag.RowsAffected(), rows)
		rows.Close()
		if err := rows.Err(); err != nil {
			return err
		}
	}
	// In a transaction that had failed, commit is no error but says rollback.
	switch tag, err := answers.Exec(); {
	case err != nil:
		return err
	case tag.String() != "COMMIT":
		return errRollback
	}
	return refused
}

// lookUp runs a query that answers with one row, whose first column says whether
// the server is a standby.
func (d *db) lookUp(ctx context.Context, op string, q query, dst ...any) error {
	return d.do(ctx, op, func(ctx context.Context, conn attempt) error {
		var standby bool
		if err := conn.QueryRow(ctx, q.sql, q.args...).Scan(append([]any{&standby}, dst...)...); err != nil {
			return err
		}
		if standby {
			return errStandby
		}
		return nil
	})
}
