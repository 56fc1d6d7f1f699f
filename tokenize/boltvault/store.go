package boltvault

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fieldveil/fieldveil/tokenize"
	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// Test for these with [errors.Is].
var (
	// ErrLocked means that another process has the file open.
	ErrLocked = errors.New("boltvault: file is locked by another process")
	// ErrClosed means that the store was closed.
	ErrClosed = errors.New("boltvault: store is closed")
	// ErrFile means that the file is not a store of this package, is one of a
	// later release, or is damaged.
	ErrFile = errors.New("boltvault: not a sound store file")
	// ErrMode means that others than the owner may read or write the file.
	ErrMode = errors.New("boltvault: file is open to others than its owner")
)

const fileMode fs.FileMode = 0o600

// Store is a [tokenize.Store] in one file. It is made by [Open] and safe for
// concurrent use.
type Store struct {
	db   *bolt.DB
	file *os.File // the one that db works on

	// Both are methods of this store and of db, but in tests of failing disks.
	update  func(func(*bolt.Tx) error) error
	resync  func() error
	work    chan *call
	closing chan struct{}
	once    sync.Once // closes
	closed  error     // of closing, once done is closed
	done    chan struct{}

	// durable is the transaction up to which everything is synced. A reader may
	// see one more, whose sync is under way.
	durable atomic.Int64
}

var _ tokenize.Store = (*Store)(nil)

// An Option changes what [Open] does.
type Option func(*config)

type config struct {
	lockWait time.Duration
}

// WithLockWait waits for so long for another process to close the file. The
// default is one second, and the least a millisecond.
func WithLockWait(d time.Duration) Option { return func(c *config) { c.lockWait = d } }

// Open opens the store in the file at path and creates it when there is none,
// readable by its owner alone. The directory must exist. It fails with
// [ErrLocked], [ErrMode] or [ErrFile] for what they say, and with the error of
// the file system.
func Open(path string, opts ...Option) (*Store, error) {
	cfg := config{lockWait: time.Second}
	for _, o := range opts {
		o(&cfg)
	}
	if cfg.lockWait < time.Millisecond {
		return nil, fmt.Errorf("boltvault: lock wait %v is below a millisecond", cfg.lockWait)
	}
	s := &Store{work: make(chan *call), closing: make(chan struct{}), done: make(chan struct{})}
	if err := s.open(path, cfg); err != nil {
		return nil, err
	}
	go s.serve()
	return s, nil
}

func (s *Store) open(path string, cfg config) (err error) {
	if info, err := os.Stat(path); err == nil {
		if !info.Mode().IsRegular() {
			return fmt.Errorf("%w: no regular file", ErrFile)
		}
		if runtime.GOOS != "windows" && info.Mode().Perm()&^fileMode != 0 {
			return fmt.Errorf("%w: mode %04o, want %04o", ErrMode, info.Mode().Perm(), fileMode)
		}
	}
	defer func() {
		// What is no database at all can make bbolt panic.
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", ErrFile, p)
		}
	}()
	s.db, err = bolt.Open(path, fileMode, &bolt.Options{
		Timeout: cfg.lockWait, FreelistType: bolt.FreelistMapType, NoStatistics: true,
		OpenFile: func(name string, flag int, mode os.FileMode) (*os.File, error) {
			f, err := os.OpenFile(name, flag, mode)
			s.file = f
			return f, err
		},
	})
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return ErrLocked
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrVersionMismatch), errors.Is(err, berrors.ErrChecksum):
		return fmt.Errorf("%w: %w", ErrFile, err)
	case err != nil:
		return fmt.Errorf("boltvault: open: %w", err)
	}
	s.update, s.resync = s.db.Update, s.rewriteMeta
	if err = s.begin(path); err != nil {
		_ = s.db.Close() // the first error counts
		return err
	}
	return nil
}

// begin makes what the file holds durable: a process that was killed between
// writing and syncing may have left it in the cache of the system only.
func (s *Store) begin(path string) error {
	if err := s.rewriteMeta(); err != nil {
		return err
	}
	if err := s.update(prepare); err != nil {
		return fmt.Errorf("boltvault: open: %w", err)
	}
	if err := s.db.View(func(tx *bolt.Tx) error {
		s.durable.Store(int64(tx.ID()))
		return nil
	}); err != nil {
		return fmt.Errorf("boltvault: open: %w", err)
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes the name of a new file durable.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil // it cannot, and need not
	}
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("boltvault: open: %w", err)
	}
	err = d.Sync()
	if err := errors.Join(err, d.Close()); err != nil {
		return fmt.Errorf("boltvault: open: %w", err)
	}
	return nil
}

// rewriteMeta writes the two pages that name the roots once more, as they are,
// and syncs them. After a failed sync the system may hold such a page as clean
// though the disk has it not: a sync alone would succeed and do nothing. What
// the pages point to was synced before they were written.
//
// No transaction that writes may be under way.
func (s *Store) rewriteMeta() error {
	meta := make([]byte, 2*s.db.Info().PageSize)
	if _, err := s.file.ReadAt(meta, 0); err != nil {
		return fmt.Errorf("boltvault: sync: %w", err)
	}
	if _, err := s.file.WriteAt(meta, 0); err != nil {
		return fmt.Errorf("boltvault: sync: %w", err)
	}
	if err := s.file.Sync(); err != nil {
		return fmt.Errorf("boltvault: sync: %w", err)
	}
	return nil
}

// Close waits for the transaction under way, and for readers, and closes the
// file. Calls after it fail with [ErrClosed]. Closing again does nothing and
// returns what the first one did.
func (s *Store) Close() error {
	s.once.Do(func() { close(s.closing) })
	<-s.done
	return s.closed
}

// Insert writes rows in one transaction, which it may share with other calls.
func (s *Store) Insert(ctx context.Context, rows []tokenize.Row) ([]tokenize.Outcome, error) {
	if err := s.check(ctx, tokenize.CheckRows(rows)); err != nil || len(rows) == 0 {
		return nil, err
	}
	// Rows that all stand need no transaction that writes.
	out := make([]tokenize.Outcome, 0, len(rows))
	at, err := s.view(func(tx *bolt.Tx) error {
		for _, row := range rows {
			found, err := findIndex(tx, tokenize.Key{Scope: row.Scope, Index: row.Index})
			if err != nil || found.Token == nil {
				return err
			}
			out = append(out, tokenize.Outcome{Status: tokenize.Exists, Row: found})
		}
		return nil
	})
	switch {
	case err != nil:
		return nil, err
	case len(out) == len(rows) && at <= s.durable.Load():
		return out, nil
	}
	c := &call{insert: cloneRows(rows)}
	if err := s.do(ctx, c); err != nil {
		return nil, err
	}
	return c.outcomes, nil
}

// ByIndex returns rows that are durable.
func (s *Store) ByIndex(ctx context.Context, keys []tokenize.Key) ([]tokenize.Row, error) {
	if err := s.check(ctx, tokenize.CheckKeys(keys)); err != nil {
		return nil, err
	}
	return read(ctx, s, keys, findIndex)
}

// ByToken returns rows that are durable.
func (s *Store) ByToken(ctx context.Context, refs []tokenize.Ref) ([]tokenize.Row, error) {
	if err := s.check(ctx, tokenize.CheckRefs(refs)); err != nil {
		return nil, err
	}
	return read(ctx, s, refs, findToken)
}

// read finds the row of each of what is asked for.
func read[T any](ctx context.Context, s *Store, asked []T, find func(*bolt.Tx, T) (tokenize.Row, error)) ([]tokenize.Row, error) {
	rows := make([]tokenize.Row, 0, len(asked))
	at, err := s.view(func(tx *bolt.Tx) error {
		for _, a := range asked {
			row, err := find(tx, a)
			if err != nil {
				return err
			}
			rows = append(rows, row)
		}
		return nil
	})
	if err == nil && at > s.durable.Load() {
		// The rows are of a transaction that the disk may not have yet, or never.
		err = s.do(ctx, &call{})
	}
	if err != nil {
		return nil, err
	}
	return rows, nil
}

// Count returns the exact number of rows.
func (s *Store) Count(ctx context.Context, scope string) (uint64, error) {
	if err := s.check(ctx, tokenize.CheckScope(scope)); err != nil {
		return 0, err
	}
	var n uint64
	_, err := s.view(func(tx *bolt.Tx) error {
		n = countRows(tx, scope)
		return nil
	})
	return n, err
}

// Delete removes rows in one transaction, which it may share with other calls.
func (s *Store) Delete(ctx context.Context, refs []tokenize.Ref) error {
	if err := s.check(ctx, tokenize.CheckRefs(refs)); err != nil || len(refs) == 0 {
		return err
	}
	return s.do(ctx, &call{remove: cloneRefs(refs)})
}

// check is what every call begins with.
func (s *Store) check(ctx context.Context, invalid error) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("boltvault: %w", err)
	}
	select {
	case <-s.closing:
		return ErrClosed
	default:
	}
	return invalid
}

// view runs f on a snapshot, and returns the transaction that made it.
func (s *Store) view(f func(*bolt.Tx) error) (id int64, err error) {
	defer func() {
		// bbolt panics on pages that are damaged. The snapshot was given back.
		if p := recover(); p != nil {
			id, err = 0, fmt.Errorf("%w: %v", ErrFile, p)
		}
	}()
	err = s.db.View(func(tx *bolt.Tx) error {
		id = int64(tx.ID())
		return f(tx)
	})
	switch {
	case errors.Is(err, berrors.ErrDatabaseNotOpen):
		return 0, ErrClosed
	case err != nil:
		return 0, fmt.Errorf("boltvault: read: %w", err)
	}
	return id, nil
}
