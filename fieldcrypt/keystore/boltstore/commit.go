package boltstore

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	bolt "go.etcd.io/bbolt"
)

// maxShared is how many calls are gathered for one transaction.
const maxShared = 1024

// A call waits for a transaction.
type call struct {
	ctx      context.Context //nolint:containedctx // a call that was given up is left out of the transaction
	run      func(*bolt.Tx) (wrote bool, err error)
	err      error
	answered chan struct{} // closed when err is set
}

// A fault is an error of the file in the midst of a transaction, which is
// rolled back.
type fault struct{ err error }

func (f *fault) Error() string { return f.err.Error() }

func (f *fault) Unwrap() error { return f.err }

// faulty makes errors of the file, if there are any, a fault.
func faulty(errs ...error) error {
	if err := errors.Join(errs...); err != nil {
		return &fault{err}
	}
	return nil
}

// errUnchanged rolls a transaction back that has nothing to write.
var errUnchanged = errors.New("boltstore: nothing to write")

// do has c done by the goroutine that writes. When it fails with the error of
// ctx, it may be done nevertheless.
func (s *Store) do(ctx context.Context, c *call) error {
	c.ctx, c.answered = ctx, make(chan struct{})
	select {
	case s.work <- c:
	case <-ctx.Done():
		return fmt.Errorf("boltstore: %w", ctx.Err())
	case <-s.closing:
		return ErrClosed
	}
	select {
	case <-c.answered:
		return c.err
	case <-ctx.Done():
		return fmt.Errorf("boltstore: %w", ctx.Err())
	}
}

// serve writes until the store is closed. It is the only goroutine that does,
// and that puts another file in the place of this one.
func (s *Store) serve() {
	defer close(s.done)
	doubt := false
	for {
		select {
		case c := <-s.work:
			doubt = s.run(s.gather(c), doubt)
		case c := <-s.compact:
			doubt = s.replaceFile(c, doubt)
		case <-s.closing:
			if err := s.db.Close(); err != nil {
				s.closed = fmt.Errorf("boltstore: close: %w", err)
			}
			return
		}
	}
}

// gather returns first with all the calls that came while the disk was busy.
func (s *Store) gather(first *call) []*call {
	calls := []*call{first}
	// Those that the last transaction answered get to run and to come again.
	for range 2 {
		runtime.Gosched()
		for more := true; more && len(calls) < maxShared; {
			select {
			case c := <-s.work:
				calls = append(calls, c)
			default:
				more = false
			}
		}
	}
	return calls
}

// run does calls in one transaction and answers them. doubt means that the last
// one failed after it could be seen, so that what can be seen may not be on the
// disk; run returns whether it is so now.
func (s *Store) run(calls []*call, doubt bool) (stillInDoubt bool) {
	err := errors.New("boltstore: write: panic")
	defer func() {
		// bbolt panics on pages that are damaged. The transaction was rolled back.
		if p := recover(); p != nil {
			err, stillInDoubt = fmt.Errorf("%w: %v", ErrFile, p), true
		}
		for _, c := range calls {
			if err != nil {
				c.err = err
			}
			close(c.answered)
		}
	}()
	if doubt {
		if err = s.settle(); err != nil {
			return true
		}
	}
	err = s.update(func(tx *bolt.Tx) error { return apply(tx, calls) })
	switch {
	case errors.Is(err, errUnchanged):
		err = nil
		return false
	case err == nil:
		err = s.markDurable()
		return err != nil
	}
	err = fmt.Errorf("boltstore: write: %w", err)
	// A transaction that failed before it wrote its root is as if it never was.
	// One that can be seen failed to sync its root: it may be on the disk.
	seen, durable, errSeen := s.view(func(*bolt.Tx) error { return nil })
	return errSeen != nil || seen != durable
}

// settle brings all that can be seen to the disk.
func (s *Store) settle() error {
	if err := s.resync(); err != nil {
		return err
	}
	return s.markDurable()
}

// markDurable notes that all that can be seen is on the disk.
func (s *Store) markDurable() error {
	at, _, err := s.view(func(*bolt.Tx) error { return nil })
	if err == nil {
		s.durable.Store(at)
	}
	return err
}

// apply does calls, unless their callers gave them up.
func apply(tx *bolt.Tx, calls []*call) error {
	changed := false
	for _, c := range calls {
		if err := c.ctx.Err(); err != nil {
			c.err = fmt.Errorf("boltstore: %w", err)
			continue
		}
		wrote, err := c.run(tx)
		if _, ok := errors.AsType[*fault](err); ok {
			return err
		}
		changed = changed || wrote
		c.err = err
	}
	if !changed {
		return errUnchanged
	}
	return nil
}
