package boltstore

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/shred"
	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// Test for these with [errors.Is].
var (
	// ErrLocked means that another process has the file open.
	ErrLocked = errors.New("boltstore: file is locked by another process")
	// ErrClosed means that the store was closed.
	ErrClosed = errors.New("boltstore: store is closed")
	// ErrFile means that the file is not a store of this package, is one of a
	// later release, or is damaged.
	ErrFile = errors.New("boltstore: not a sound key store file")
	// ErrMode means that others than the owner may read or write the file.
	ErrMode = errors.New("boltstore: file is open to others than its owner")
	// ErrRow means that a row is damaged. What it held is in a backup, or lost.
	ErrRow = errors.New("boltstore: damaged row")
)

const (
	fileMode        fs.FileMode = 0o600
	lockWaitDefault             = time.Second
)

// Store is a [datakey.Catalog] and a [shred.Store] in one file. It is made by
// [Open] and safe for concurrent use.
type Store struct {
	path string

	mu   sync.RWMutex // held to read db, and to put another in its place
	db   *bolt.DB
	file *os.File // the one that db works on

	// Both are methods of this store, but in tests of failing disks.
	update  func(func(*bolt.Tx) error) error
	resync  func() error
	work    chan *call
	compact chan *compaction
	turn    chan struct{} // of those who read all of the file
	closing chan struct{}
	once    sync.Once // closes
	closed  error     // of closing, once done is closed
	done    chan struct{}

	// durable is the transaction up to which everything is synced. A reader may
	// see one more, whose sync is under way.
	durable atomic.Int64
	report  Report // of the scan by Open
	refused atomic.Uint64
	unsure  atomic.Bool // a row of persons is damaged
}

var (
	_ datakey.Catalog = (*Store)(nil)
	_ shred.Store     = (*Store)(nil)
)

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
//
// It reads all rows, some million in a second or two. Those that are damaged do
// not make it fail: see [Store.Report].
func Open(path string, opts ...Option) (*Store, error) {
	cfg := config{lockWait: lockWaitDefault}
	for _, o := range opts {
		o(&cfg)
	}
	if cfg.lockWait < time.Millisecond {
		return nil, fmt.Errorf("boltstore: lock wait %v is below a millisecond", cfg.lockWait)
	}
	s := &Store{
		path: path, work: make(chan *call), compact: make(chan *compaction), turn: make(chan struct{}, 1),
		closing: make(chan struct{}), done: make(chan struct{}),
	}
	s.update, s.resync = s.writeTx, s.rewriteMeta
	if err := s.open(cfg); err != nil {
		return nil, err
	}
	go s.serve()
	return s, nil
}

func (s *Store) open(cfg config) (err error) {
	if err := checkFile(s.path); err != nil {
		return err
	}
	if s.db, s.file, err = openDB(s.path, cfg.lockWait, 0); err != nil {
		return err
	}
	defer func() {
		if p := recover(); p != nil { // of bbolt, on pages that are damaged
			err = fmt.Errorf("%w: %v", ErrFile, p)
		}
		if err != nil {
			_ = s.db.Close() // the first error counts
		}
	}()
	// Whoever had the lock before may have put another file in this one's place.
	opened, err := s.file.Stat()
	if err != nil {
		return fmt.Errorf("boltstore: open: %w", err)
	}
	if named, err := os.Stat(s.path); err != nil || !os.SameFile(opened, named) {
		return ErrLocked
	}
	for _, leftover := range []string{s.path + compactSuffix, s.path + backupSuffix} {
		if err := os.Remove(leftover); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("boltstore: open: %w", err)
		}
	}
	// A process that was killed between writing and syncing may have left what
	// the file shows in the cache of the system only.
	if err := s.rewriteMeta(); err != nil {
		return err
	}
	if err := s.writeTx(prepare); err != nil {
		return fmt.Errorf("boltstore: open: %w", err)
	}
	if err := s.db.View(func(tx *bolt.Tx) error {
		s.durable.Store(int64(tx.ID()))
		s.report = scan(tx)
		s.unsure.Store(s.report.DamagedPersons > 0)
		return nil
	}); err != nil {
		return fmt.Errorf("boltstore: open: %w", err)
	}
	return syncDir(filepath.Dir(s.path))
}

// checkFile tells what is wrong with a file before it is opened. One that is
// not there is created.
func checkFile(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("boltstore: open: %w", err)
	case !info.Mode().IsRegular():
		return fmt.Errorf("%w: no regular file", ErrFile)
	case runtime.GOOS != "windows" && info.Mode().Perm()&^fileMode != 0:
		return fmt.Errorf("%w: mode %04o, want %04o", ErrMode, info.Mode().Perm(), fileMode)
	}
	return nil
}

// openDB opens a database, with flags for the file beside those it has anyway.
func openDB(path string, lockWait time.Duration, flags int) (db *bolt.DB, file *os.File, err error) {
	defer func() {
		// What is no database at all can make bbolt panic.
		if p := recover(); p != nil {
			db, file, err = nil, nil, fmt.Errorf("%w: %v", ErrFile, p)
		}
	}()
	db, err = bolt.Open(path, fileMode, &bolt.Options{
		Timeout: lockWait, FreelistType: bolt.FreelistMapType, NoStatistics: true,
		OpenFile: func(name string, flag int, mode os.FileMode) (*os.File, error) {
			f, err := os.OpenFile(name, flag|flags, mode)
			file = f
			return f, err
		},
	})
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return nil, nil, ErrLocked
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrVersionMismatch), errors.Is(err, berrors.ErrChecksum):
		return nil, nil, fmt.Errorf("%w: %w", ErrFile, err)
	case err != nil:
		return nil, nil, fmt.Errorf("boltstore: open: %w", err)
	}
	return db, file, nil
}

// prepare gives a new file its buckets, and refuses one of another format.
func prepare(tx *bolt.Tx) error {
	if meta := tx.Bucket([]byte(metaTable)); meta != nil {
		version := meta.Get([]byte(formatKey))
		if len(version) != 4 || binary.BigEndian.Uint32(version) != formatVersion {
			return fmt.Errorf("%w: another format than version %d", ErrFile, formatVersion)
		}
		for _, t := range tables() {
			if tx.Bucket([]byte(t)) == nil {
				return fmt.Errorf("%w: no %s", ErrFile, t)
			}
		}
		return nil
	}
	if name, _ := tx.Cursor().First(); name != nil {
		return fmt.Errorf("%w: a database of something else", ErrFile)
	}
	meta, err := tx.CreateBucket([]byte(metaTable))
	if err != nil {
		return err
	}
	for _, t := range tables() {
		if _, err := tx.CreateBucket([]byte(t)); err != nil {
			return err
		}
	}
	return meta.Put([]byte(formatKey), binary.BigEndian.AppendUint32(nil, formatVersion))
}

// syncDir makes the names in a directory durable.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil // it cannot, and need not
	}
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("boltstore: sync: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("boltstore: sync: %w", err)
	}
	return nil
}

// rewriteMeta writes the two pages that name the roots once more, as they are,
// and syncs them, and the name of the file. After a failed sync the system may
// hold such a page as clean though the disk has it not: a sync alone would
// succeed and do nothing. What the pages point to was synced before they were
// written.
//
// No transaction that writes may be under way.
func (s *Store) rewriteMeta() error {
	meta := make([]byte, 2*s.db.Info().PageSize)
	if _, err := s.file.ReadAt(meta, 0); err != nil {
		return fmt.Errorf("boltstore: sync: %w", err)
	}
	if _, err := s.file.WriteAt(meta, 0); err != nil {
		return fmt.Errorf("boltstore: sync: %w", err)
	}
	if err := s.file.Sync(); err != nil {
		return fmt.Errorf("boltstore: sync: %w", err)
	}
	return syncDir(filepath.Dir(s.path))
}

// Close waits for the transaction under way, and for readers, and closes the
// file. Calls after it fail with [ErrClosed]. Closing again does nothing and
// returns what the first one did.
func (s *Store) Close() error {
	s.once.Do(func() { close(s.closing) })
	<-s.done
	return s.closed
}

// check is what every call begins with.
func (s *Store) check(ctx context.Context, invalid error) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("boltstore: %w", err)
	}
	select {
	case <-s.closing:
		return ErrClosed
	default:
	}
	return invalid
}

// read returns what f finds in what is durable. f may run twice, and must
// return copies.
func read[T any](ctx context.Context, s *Store, f func(*bolt.Tx) (T, error)) (T, error) {
	var out, none T
	at, durable, err := s.view(func(tx *bolt.Tx) (err error) {
		out, err = f(tx)
		return err
	})
	if at > durable && !errors.Is(err, ErrClosed) {
		// That is of a transaction which the disk does not have yet, or never.
		return write(ctx, s, func(tx *bolt.Tx) (T, bool, error) {
			out, err := f(tx)
			return out, false, err
		})
	}
	if err != nil {
		return none, s.count(err)
	}
	return out, nil
}

// write returns what f returns in a transaction that writes, once it is
// durable. f tells whether it wrote. When it fails with the error of ctx, f may
// have run nevertheless, or run later: it must not use what belongs to the
// caller. An error of f is its answer, before which it must not have written,
// but for a [fault]: then nothing of the transaction holds.
func write[T any](ctx context.Context, s *Store, f func(*bolt.Tx) (out T, wrote bool, err error)) (T, error) {
	var out, none T
	c := &call{run: func(tx *bolt.Tx) (wrote bool, err error) {
		out, wrote, err = f(tx)
		return wrote, err
	}}
	if err := s.do(ctx, c); err != nil {
		return none, s.count(err)
	}
	return out, nil
}

// view runs f on a snapshot. It returns the transaction that made it, and up to
// which one all is durable.
func (s *Store) view(f func(*bolt.Tx) error) (at, durable int64, err error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	defer func() {
		// bbolt panics on pages that are damaged. The snapshot was given back.
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", ErrFile, p)
		}
	}()
	err = s.db.View(func(tx *bolt.Tx) error {
		at = int64(tx.ID())
		return f(tx)
	})
	if errors.Is(err, berrors.ErrDatabaseNotOpen) {
		err = ErrClosed
	}
	return at, s.durable.Load(), err
}

// count counts rows that were refused.
func (s *Store) count(err error) error {
	if row, ok := errors.AsType[*rowError](err); ok {
		s.refused.Add(1)
		if row.table == personsTable {
			s.unsure.Store(true)
		}
	}
	return err
}

func (s *Store) writeTx(f func(*bolt.Tx) error) error { return s.db.Update(f) }
