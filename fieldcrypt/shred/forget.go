package shred

import (
	"context"
	"errors"
	"fmt"
)

// replayPage is the number of entries that are read at a time.
const replayPage = 500

// Replay applies to a store all that the ledger says and the store does not have
// yet, and returns how much the store has then. It is the first thing to do with
// a store, before any key of it is used, and cheap when there is nothing to do.
//
// It fails with [ErrLedger] when the two do not belong together: an operator has
// to look then. After any other error it can be called again, and goes on where
// it was. Any number of processes may do so at the same time.
func Replay(ctx context.Context, store Store, ledger Ledger) (Mark, error) {
	mark, fresh, err := match(ctx, store, ledger)
	if err != nil {
		return Mark{}, err
	}
	mark, err = Follow(ctx, ledger, mark, func(page []Entry, next Mark) error {
		for i := range page {
			if err := store.Forget(ctx, page[i].Tenant, page[i].Person); err != nil {
				return fmt.Errorf("shred: store: %w", err)
			}
		}
		if err := store.SetMark(ctx, next); err != nil {
			return fmt.Errorf("shred: store: %w", err)
		}
		return nil
	})
	if err == nil && fresh && mark.Seq == 0 {
		// The store belongs to this ledger from now on.
		if err := store.SetMark(ctx, mark); err != nil {
			return Mark{}, fmt.Errorf("shred: store: %w", err)
		}
	}
	return mark, err
}

// Match checks that a store belongs to a ledger, without a change to either, and
// returns how much of the ledger the store has applied. It fails with [ErrLedger]
// when they are no pair, and with [ErrNone] for a store that no ledger was ever
// applied to.
func Match(ctx context.Context, store Store, ledger Ledger) (Mark, error) {
	mark, fresh, err := match(ctx, store, ledger)
	if err == nil && fresh {
		return Mark{}, fmt.Errorf("shred: the store has no ledger yet: %w", ErrNone)
	}
	return mark, err
}

func match(ctx context.Context, store Store, ledger Ledger) (mark Mark, fresh bool, err error) {
	id, err := ledger.ID(ctx)
	if err != nil {
		return Mark{}, false, fmt.Errorf("shred: ledger: %w", err)
	}
	mark, err = store.Mark(ctx)
	switch {
	case errors.Is(err, ErrNone):
		return Mark{Ledger: id, Hash: FirstPrev(id)}, true, nil
	case err != nil:
		return Mark{}, false, fmt.Errorf("shred: store: %w", err)
	case mark.Ledger != id:
		return Mark{}, false, fmt.Errorf("shred: the store belongs to ledger %s, and this is %s: %w", mark.Ledger, id, ErrLedger)
	}
	return mark, false, contains(ctx, ledger, mark)
}

// ReplayAll applies the whole ledger to a store, also what the store says it
// has. It is for a store that was restored in part, or written by hand, and takes
// one call for each entry.
func ReplayAll(ctx context.Context, store Store, ledger Ledger) (Mark, error) {
	if _, err := Replay(ctx, store, ledger); err != nil {
		return Mark{}, err
	}
	id, err := ledger.ID(ctx)
	if err != nil {
		return Mark{}, fmt.Errorf("shred: ledger: %w", err)
	}
	return Follow(ctx, ledger, Mark{Ledger: id, Hash: FirstPrev(id)}, func(page []Entry, _ Mark) error {
		for i := range page {
			if err := store.Forget(ctx, page[i].Tenant, page[i].Person); err != nil {
				return fmt.Errorf("shred: store: %w", err)
			}
		}
		return nil
	})
}

// Verify reads a ledger from its first entry to the last, checks the chain, and
// returns where it ends. It fails with [ErrLedger].
func Verify(ctx context.Context, ledger Ledger) (Mark, error) {
	id, err := ledger.ID(ctx)
	if err != nil {
		return Mark{}, fmt.Errorf("shred: ledger: %w", err)
	}
	return Follow(ctx, ledger, Mark{Ledger: id, Hash: FirstPrev(id)}, func([]Entry, Mark) error { return nil })
}

// contains checks that the ledger holds what the store has applied.
func contains(ctx context.Context, ledger Ledger, mark Mark) error {
	if mark.Seq == 0 {
		return nil
	}
	last, err := ledger.Read(ctx, mark.Seq-1, 1)
	switch {
	case err != nil:
		return fmt.Errorf("shred: ledger: %w", err)
	case len(last) == 0 || last[0].Seq != mark.Seq || last[0].Hash != mark.Hash || last[0].Sum() != mark.Hash:
		return fmt.Errorf("shred: the store has applied entry %d, and the ledger does not hold it: %w", mark.Seq, ErrLedger)
	}
	return nil
}

// Follow reads a ledger from a mark to its end, and calls each with the entries
// of a page and the mark after them. It checks the chain, and returns the mark
// that it got to, also with an error.
func Follow(ctx context.Context, ledger Ledger, mark Mark, each func(page []Entry, next Mark) error) (Mark, error) {
	for {
		page, err := ledger.Read(ctx, mark.Seq, replayPage)
		if err != nil {
			return mark, fmt.Errorf("shred: ledger: %w", err)
		}
		if len(page) == 0 {
			return mark, nil
		}
		next := mark
		for i := range page {
			e := &page[i]
			if e.Seq != next.Seq+1 || e.Prev != next.Hash || e.Sum() != e.Hash {
				return mark, fmt.Errorf("shred: the chain is broken after entry %d: %w", next.Seq, ErrLedger)
			}
			next.Seq, next.Hash = e.Seq, e.Hash
		}
		if err := each(page, next); err != nil {
			return mark, err
		}
		mark = next
	}
}

// A PendingError means that a person is forgotten, and that destroying his key
// was not possible now. Every process that opens the store does it: nobody has
// to ask again, but somebody should look at the store.
type PendingError struct {
	Entry Entry
	Err   error
}

// Error says that the key is still there, and why.
func (e *PendingError) Error() string {
	return fmt.Sprintf("shred: entry %d is in the ledger, and the key is not destroyed yet: %v", e.Entry.Seq, e.Err)
}

// Unwrap returns what the store said.
func (e *PendingError) Unwrap() error { return e.Err }

// Forget forgets a person: it appends the entry to the ledger, which decides,
// and applies the ledger to the store. Other processes follow when they read the
// ledger next.
//
// It fails with a [*PendingError] when the entry stands and the store could not
// be reached. After any other error it is not known whether the entry stands: to
// ask again is right, since forgetting twice changes nothing.
func Forget(ctx context.Context, store Store, ledger Ledger, e Entry) (Entry, error) {
	if err := e.Check(); err != nil {
		return Entry{}, err
	}
	done, err := ledger.Append(ctx, e)
	if err != nil {
		return Entry{}, fmt.Errorf("shred: ledger: %w", err)
	}
	if _, err := Replay(ctx, store, ledger); err != nil {
		return done, &PendingError{Entry: done, Err: err}
	}
	return done, nil
}
