package boltvault

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"github.com/fieldveil/fieldveil/tokenize"
	bolt "go.etcd.io/bbolt"
)

// maxShared is how many rows calls are gathered for one transaction.
const maxShared = 4096

// A call waits for a transaction. It has rows to insert, or references to
// remove, or neither: then it waits until all that can be seen is durable.
type call struct {
	ctx      context.Context //nolint:containedctx // a call that was given up is left out of the transaction
	insert   []tokenize.Row
	remove   []tokenize.Ref
	outcomes []tokenize.Outcome
	err      error
	answered chan struct{} // closed when outcomes and err are set
}

// errUnchanged rolls a transaction back that has nothing to write.
var errUnchanged = errors.New("boltvault: nothing to write")

// do has c done by the goroutine that writes. When it fails with the error of
// ctx, the rows may be written nevertheless.
func (s *Store) do(ctx context.Context, c *call) error {
	c.ctx, c.answered = ctx, make(chan struct{})
	select {
	case s.work <- c:
	case <-ctx.Done():
		return fmt.Errorf("boltvault: %w", ctx.Err())
	case <-s.closing:
		return ErrClosed
	}
	select {
	case <-c.answered:
		return c.err
	case <-ctx.Done():
		return fmt.Errorf("boltvault: %w", ctx.Err())
	}
}

// serve writes until the store is closed. It is the only goroutine that does.
func (s *Store) serve() {
	defer close(s.done)
	doubt := false
	for {
		select {
		case c := <-s.work:
			doubt = s.run(s.gather(c), doubt)
		case <-s.closing:
			if err := s.db.Close(); err != nil {
				s.closed = fmt.Errorf("boltvault: close: %w", err)
			}
			return
		}
	}
}

// gather returns first with all the calls that came while the disk was busy.
func (s *Store) gather(first *call) []*call {
	calls, rows := []*call{first}, len(first.insert)+len(first.remove)
	// Those that the last transaction answered get to run and to come again.
	for range 2 {
		runtime.Gosched()
		for more := true; more && rows < maxShared; {
			select {
			case c := <-s.work:
				calls, rows = append(calls, c), rows+len(c.insert)+len(c.remove)
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
	err := errors.New("boltvault: write: panic")
	defer func() {
		// bbolt panics on pages that are damaged. The transaction was rolled back.
		if p := recover(); p != nil {
			err, stillInDoubt = fmt.Errorf("%w: %v", ErrFile, p), true
		}
		for _, c := range calls {
			if err != nil {
				c.outcomes, c.err = nil, err
			}
			close(c.answered)
		}
	}()
	if doubt {
		if err = s.resync(); err != nil {
			return true
		}
		if err = s.markDurable(); err != nil {
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
	err = fmt.Errorf("boltvault: write: %w", err)
	// A transaction that failed before it wrote its root is as if it never was.
	// One that can be seen failed to sync its root: it may be on the disk.
	seen, errSeen := s.view(func(*bolt.Tx) error { return nil })
	return errSeen != nil || seen != s.durable.Load()
}

// markDurable notes that all that can be seen is on the disk.
func (s *Store) markDurable() error {
	at, err := s.view(func(*bolt.Tx) error { return nil })
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
			c.err = fmt.Errorf("boltvault: %w", err)
			continue
		}
		c.outcomes = make([]tokenize.Outcome, 0, len(c.insert))
		for _, row := range c.insert {
			outcome, err := insertRow(tx, row)
			if err != nil {
				return err
			}
			changed = changed || outcome.Status == tokenize.Inserted
			c.outcomes = append(c.outcomes, outcome)
		}
		for _, ref := range c.remove {
			removed, err := removeRow(tx, ref)
			if err != nil {
				return err
			}
			changed = changed || removed
		}
	}
	if !changed {
		return errUnchanged
	}
	return nil
}
