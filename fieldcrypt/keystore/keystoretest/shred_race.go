package keystoretest

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"github.com/fieldveil/fieldveil/fieldcrypt/shred"
)

// one returns the index of the only one that won, or an error.
func one(won []bool, what string) (int, error) {
	i := slices.Index(won, true)
	switch {
	case i < 0:
		return 0, faultf("of those who %s nobody won", what)
	case slices.Contains(won[i+1:], true):
		return 0, faultf("of those who %s two won", what)
	}
	return i, nil
}

func checkRootRace(ctx context.Context, h stores) error {
	blocks, stands := make([][]byte, racers), make([][]byte, racers)
	err := race(racers, func(i int) (err error) {
		blocks[i] = newRoot()
		stands[i], err = h.at(i).CreateRoot(ctx, "acme", blocks[i])
		return want("CreateRoot", err, nil)
	})
	if err != nil {
		return err
	}
	won := make([]bool, racers)
	for i := range stands {
		if !bytes.Equal(stands[i], stands[0]) {
			return errors.New("two who created a root were told two blocks")
		}
		won[i] = bytes.Equal(stands[i], blocks[i])
	}
	winner, err := one(won, "created a root")
	if err != nil {
		return err
	}
	return hasRoot(ctx, h.other(), "acme", blocks[winner])
}

func checkReplaceRootRace(ctx context.Context, h stores) error {
	old := newRoot()
	if err := createRoot(ctx, h.first(), "acme", old, old); err != nil {
		return err
	}
	blocks, won := make([][]byte, racers), make([]bool, racers)
	err := race(racers, func(i int) error {
		blocks[i] = newRoot()
		err := h.at(i).ReplaceRoot(ctx, "acme", old, blocks[i])
		if won[i] = err == nil; won[i] {
			return nil
		}
		return want("ReplaceRoot", err, shred.ErrChanged)
	})
	if err != nil {
		return err
	}
	winner, err := one(won, "replaced a root")
	if err != nil {
		return err
	}
	return hasRoot(ctx, h.other(), "acme", blocks[winner])
}

func checkCreateRace(ctx context.Context, h stores) error {
	rows, stands := make([]shred.Row, racers), make([]shred.Row, racers)
	p := newPerson()
	err := race(racers, func(i int) (err error) {
		rows[i] = newRow("acme")
		rows[i].Person = p
		if stands[i], err = h.at(i).Create(ctx, rows[i]); err != nil {
			return faultf("Create: %w", err)
		}
		return standsBoth(ctx, h.at(i+1), stands[i])
	})
	if err != nil {
		return err
	}
	won := make([]bool, racers)
	for i := range stands {
		if !sameRow(stands[i], stands[0]) {
			return errors.New("two who created a person's row were told two rows")
		}
		won[i] = sameRow(stands[i], rows[i])
	}
	winner, err := one(won, "created a person's row")
	if err != nil {
		return err
	}
	for i, row := range rows {
		if i != winner {
			if err := byKey(ctx, h.other(), "acme", row.Key, shred.ErrNone); err != nil {
				return faultf("the key of one that lost: %w", err)
			}
		}
	}
	return standsBoth(ctx, h.other(), rows[winner])
}

func checkKeyRace(ctx context.Context, h stores) error {
	k := newKeyID()
	rows, won := make([]shred.Row, racers), make([]bool, racers)
	err := race(racers, func(i int) error {
		rows[i] = newRow("acme")
		rows[i].Key = k
		got, err := h.at(i).Create(ctx, rows[i])
		won[i] = err == nil
		switch {
		case err != nil:
			return want("Create", err, shred.ErrTaken)
		case !sameRow(got, rows[i]):
			return faultf("Create returned the row of another person")
		}
		return nil
	})
	if err != nil {
		return err
	}
	winner, err := one(won, "wanted a key id")
	if err != nil {
		return err
	}
	for i, row := range rows {
		if i != winner {
			if err := person(ctx, h.other(), "acme", row.Person, shred.ErrNone); err != nil {
				return faultf("a person whose key id was taken: %w", err)
			}
		}
	}
	return standsBoth(ctx, h.other(), rows[winner])
}

// checkForgetRace has persons forgotten while others create their rows: whoever
// comes after the Forget must not see a key.
func checkForgetRace(ctx context.Context, h stores) error {
	for range 10 {
		p := newPerson()
		rows := make([]shred.Row, racers/4)
		err := race(len(rows), func(i int) error {
			rows[i] = newRow("acme")
			rows[i].Person = p
			if i%5 == 0 {
				return errors.Join(
					want("Forget", h.at(i/5).Forget(ctx, "acme", p), nil),
					person(ctx, h.at(i), "acme", p, shred.ErrForgotten),
					refused(ctx, h.at(i), rows[i], shred.ErrForgotten),
				)
			}
			if _, err := h.at(i).Create(ctx, rows[i]); err != nil {
				return want("Create", err, shred.ErrForgotten)
			}
			return nil
		})
		if err != nil {
			return err
		}
		remembered := 0
		for _, row := range rows {
			r, err := h.other().ByKey(ctx, "acme", row.Key)
			switch {
			case r.Sealed != nil:
				return errors.New("a key outlived its person")
			case errors.Is(err, shred.ErrForgotten):
				remembered++
			case !errors.Is(err, shred.ErrNone):
				return faultf("ByKey: %w", err)
			}
		}
		if remembered > 1 {
			return faultf("the tombstone remembers %d key ids of a person who can have had one", remembered)
		}
		if err := person(ctx, h.first(), "acme", p, shred.ErrForgotten); err != nil {
			return err
		}
	}
	return nil
}

func checkMarkRace(ctx context.Context, h stores) error {
	l := newLedgerID()
	marks := make([]shred.Mark, racers)
	for i := range marks {
		marks[i] = newMark(l, uint64(i)+1)
	}
	err := race(racers, func(i int) error {
		if err := h.at(i).SetMark(ctx, marks[i]); err != nil {
			return faultf("SetMark: %w", err)
		}
		got, err := h.at(i + 1).Mark(ctx)
		if err == nil && got.Seq < marks[i].Seq {
			return errors.New("a mark went back, or was not set")
		}
		return want("Mark", err, nil)
	})
	if err != nil {
		return err
	}
	return hasMark(ctx, h.other(), marks[racers-1])
}

func checkLedgerRace(ctx context.Context, h stores) error {
	marks, won := make([]shred.Mark, racers), make([]bool, racers)
	err := race(racers, func(i int) error {
		marks[i] = newMark(newLedgerID(), 1)
		err := h.at(i).SetMark(ctx, marks[i])
		if won[i] = err == nil; won[i] {
			return nil
		}
		return want("SetMark", err, shred.ErrLedger)
	})
	if err != nil {
		return err
	}
	winner, err := one(won, "set the first mark")
	if err != nil {
		return err
	}
	return hasMark(ctx, h.other(), marks[winner])
}
