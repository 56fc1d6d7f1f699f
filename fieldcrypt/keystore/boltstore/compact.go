package boltstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	bolt "go.etcd.io/bbolt"
)

// What is left of these files by a process that died, [Open] removes.
const (
	compactSuffix = ".compact"
	backupSuffix  = ".backup"
)

// copyTxSize is how much is copied in one transaction, in bytes.
const copyTxSize = 8 << 20

// compactLock is how long the lock of a new file may take, which nobody has.
const compactLock = lockWaitDefault

// A compaction waits for the goroutine that writes.
type compaction struct {
	ctx      context.Context //nolint:containedctx // one that was given up is left out
	err      error
	answered chan struct{} // closed when err is set
}

// takeTurn waits until no other Backup, Compact or Scan is under way.
func (s *Store) takeTurn(ctx context.Context) (done func(), err error) {
	if err := s.check(ctx, nil); err != nil {
		return nil, err
	}
	select {
	case s.turn <- struct{}{}:
		return func() { <-s.turn }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("boltstore: %w", ctx.Err())
	}
}

// Backup writes a copy of the store to w while it is in use. The copy is a file
// for [Open]. It is of one moment between the beginning of Backup and its end,
// and holds what stood then and nothing of what was removed or destroyed
// before.
//
// The copy is made in a file beside the store, which takes as much space again,
// and is checked row by row, before its first byte goes to w. A call that makes
// the store's file grow may wait until it is made; none waits for w.
func (s *Store) Backup(ctx context.Context, w io.Writer) (err error) {
	done, err := s.takeTurn(ctx)
	if err != nil {
		return err
	}
	defer done()
	path := s.path + backupSuffix
	s.mu.RLock()
	db, file, err := copyDB(s.db, path, false)
	s.mu.RUnlock()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(path)) }()
	size := int64(0)
	if info, errStat := file.Stat(); errStat == nil {
		size = info.Size()
	}
	if err := db.Close(); err != nil {
		return fmt.Errorf("boltstore: backup: %w", err)
	}
	in, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("boltstore: backup: %w", err)
	}
	n, err := io.Copy(w, &contextReader{ctx, in})
	if err == nil && n != size {
		err = io.ErrShortWrite
	}
	if err := errors.Join(err, in.Close()); err != nil {
		return fmt.Errorf("boltstore: backup: %w", err)
	}
	return nil
}

// A contextReader reads until a context ends.
type contextReader struct {
	ctx context.Context //nolint:containedctx // it lives as long as one call
	r   io.Reader
}

func (c *contextReader) Read(b []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(b)
}

// Compact writes the file anew, so that it holds what stands and nothing of the
// keys that were removed or destroyed. Call it after persons were forgotten and
// before the time ends in which they must be, and when the file is much larger
// than what it holds.
//
// It takes as much space again while it runs, and calls that write wait for it.
// A crash leaves the old file or the new one. Where it fails with the error of
// ctx after it began, it goes on nevertheless. What the disk, or a snapshot of
// the file system, keeps of the old file is beyond it.
func (s *Store) Compact(ctx context.Context) error {
	done, err := s.takeTurn(ctx)
	if err != nil {
		return err
	}
	c := &compaction{ctx: ctx, answered: make(chan struct{})}
	select {
	case s.compact <- c:
	case <-ctx.Done():
		done()
		return fmt.Errorf("boltstore: %w", ctx.Err())
	case <-s.closing:
		done()
		return ErrClosed
	}
	go func() { // the turn ends with the work, not with who waits for it
		<-c.answered
		done()
	}()
	select {
	case <-c.answered:
		return c.err
	case <-ctx.Done():
		return fmt.Errorf("boltstore: %w", ctx.Err())
	}
}

// replaceFile writes the file anew and puts it in the place of the old one. It
// returns whether what can be seen may not be on the disk.
func (s *Store) replaceFile(c *compaction, doubt bool) (stillInDoubt bool) {
	defer close(c.answered)
	if c.err = c.ctx.Err(); c.err != nil {
		c.err = fmt.Errorf("boltstore: %w", c.err)
		return doubt
	}
	if doubt {
		if c.err = s.settle(); c.err != nil {
			return true
		}
	}
	path := s.path + compactSuffix
	db, file, err := copyDB(s.db, path, true)
	if err != nil {
		c.err = err
		return false
	}
	if err := os.Rename(path, s.path); err != nil {
		c.err = fmt.Errorf("boltstore: compact: %w", errors.Join(err, db.Close(), os.Remove(path)))
		return false
	}
	s.mu.Lock()
	old := s.db
	s.db, s.file = db, file
	err = db.View(func(tx *bolt.Tx) error {
		s.durable.Store(int64(tx.ID()))
		return nil
	})
	s.mu.Unlock()
	// Until the directory is synced, a crash of the machine may bring the old
	// file back: no later transaction may be answered before.
	synced := syncDir(filepath.Dir(s.path))
	if err := errors.Join(err, old.Close(), synced); err != nil {
		c.err = fmt.Errorf("boltstore: compact: %w", err)
	}
	return err != nil || synced != nil
}

// copyDB copies what stands in a database to a new file, and compares. The file
// is on the disk where it is to be synced.
func copyDB(from *bolt.DB, path string, sync bool) (db *bolt.DB, file *os.File, err error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, nil, fmt.Errorf("boltstore: copy: %w", err)
	}
	if db, file, err = openDB(path, compactLock, os.O_EXCL); err != nil {
		return nil, nil, err
	}
	defer func() {
		if p := recover(); p != nil { // of bbolt, on pages that are damaged
			err = fmt.Errorf("%w: %v", ErrFile, p)
		}
		if err != nil {
			err = errors.Join(err, db.Close(), os.Remove(path))
			db, file = nil, nil
		}
	}()
	db.NoSync = true // all at once, below
	if err := from.View(func(tx *bolt.Tx) error { return copyTx(tx, db) }); err != nil {
		return db, file, fmt.Errorf("boltstore: copy: %w", err)
	}
	db.NoSync = false
	if sync {
		if err := file.Sync(); err != nil {
			return db, file, fmt.Errorf("boltstore: copy: %w", err)
		}
	}
	return db, file, nil
}

// copyTx copies all rows, those that are damaged too, and compares what a scan
// finds here and there.
func copyTx(from *bolt.Tx, to *bolt.DB) error {
	tx, err := to.Begin(true)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after a commit
	size := 0
	for _, t := range append(tables(), metaTable) {
		name := []byte(t)
		if _, err := tx.CreateBucket(name); err != nil {
			return err
		}
		c := from.Bucket(name).Cursor()
		for key, row := c.First(); key != nil; key, row = c.Next() {
			if size += len(key) + len(row); size > copyTxSize {
				if err := tx.Commit(); err != nil {
					return err
				}
				if tx, err = to.Begin(true); err != nil {
					return err
				}
				size = 0
			}
			b := tx.Bucket(name)
			b.FillPercent = 0.9 // rows come in order; leave some room for others
			if err := b.Put(key, row); err != nil {
				return err
			}
		}
	}
	if here, there := scan(from), scan(tx); here != there {
		return fmt.Errorf("%w: a copy does not hold what the file does", ErrFile)
	}
	return tx.Commit()
}
