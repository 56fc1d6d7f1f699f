package vaulttest

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/fieldveil/fieldveil/tokenize"
)

func checkFound(ctx context.Context, s tokenize.Store) error {
	scope := scopeName()
	a, b := newRow(scope), newRow(scope)
	if err := insertNew(ctx, s, a); err != nil {
		return err
	}
	if err := insertNew(ctx, s, b); err != nil {
		return err
	}
	if err := stands(ctx, s, a, b); err != nil {
		return err
	}
	return stands(ctx, s, b, a, b)
}

func checkUnknown(ctx context.Context, s tokenize.Store) error {
	scope := scopeName()
	known, unknown := newRow(scope), newRow(scope)
	if err := absent(ctx, s, unknown); err != nil {
		return fmt.Errorf("in an empty scope: %w", err)
	}
	if err := insertNew(ctx, s, known); err != nil {
		return err
	}
	return lookUp(ctx, s, []tokenize.Row{unknown, known, newRow(scope)}, []tokenize.Row{{}, known, {}})
}

func checkExists(ctx context.Context, s tokenize.Store) error {
	first := newRow(scopeName())
	if err := insertNew(ctx, s, first); err != nil {
		return err
	}
	second := newRow(first.Scope)
	second.Index = first.Index
	out, err := insert(ctx, s, second)
	if err != nil {
		return err
	}
	if err := expect(out[0], tokenize.Exists, first); err != nil {
		return err
	}
	// The very same row again, as after a call whose answer was lost.
	out, err = insert(ctx, s, first)
	if err != nil {
		return err
	}
	if err := expect(out[0], tokenize.Exists, first); err != nil {
		return fmt.Errorf("the same row again: %w", err)
	}
	return lookUp(ctx, s, []tokenize.Row{first, {Scope: first.Scope, Index: newRow("").Index, Token: second.Token}}, []tokenize.Row{first, {}})
}

func checkTaken(ctx context.Context, s tokenize.Store) error {
	first := newRow(scopeName())
	if err := insertNew(ctx, s, first); err != nil {
		return err
	}
	second := newRow(first.Scope)
	second.Token = first.Token
	out, err := insert(ctx, s, second)
	if err != nil {
		return err
	}
	if err := expect(out[0], tokenize.Taken, tokenize.Row{}); err != nil {
		return err
	}
	if err := stands(ctx, s, first); err != nil {
		return err
	}
	rows, err := s.ByIndex(ctx, []tokenize.Key{keyOf(second)})
	switch {
	case err != nil:
		return fmt.Errorf("ByIndex: %w", err)
	case len(rows) != 1 || !isZero(rows[0]):
		return errors.New("a row whose token was taken was written")
	}
	second.Token = newRow("").Token
	return insertNew(ctx, s, second)
}

// checkBatch has all three outcomes in one batch, and rows that depend on those
// before them.
func checkBatch(ctx context.Context, s tokenize.Store) error {
	scope := scopeName()
	old, other := newRow(scope), newRow(scope)
	if err := insertNew(ctx, s, old, other); err != nil {
		return err
	}
	fresh := newRow(scope)
	oldAgain := newRow(scope)
	oldAgain.Index = old.Index
	// The token of its own row with another row's: the index decides first.
	otherAgain := newRow(scope)
	otherAgain.Index, otherAgain.Token = other.Index, old.Token
	taken := newRow(scope)
	taken.Token = other.Token
	takenInBatch := newRow(scope)
	takenInBatch.Token = fresh.Token
	freshAgain := newRow(scope)
	freshAgain.Index = fresh.Index
	// The token that an Exists before it did not use is free.
	unused := newRow(scope)
	unused.Token = oldAgain.Token
	last := newRow(scope)

	rows := []tokenize.Row{oldAgain, fresh, otherAgain, taken, takenInBatch, freshAgain, unused, old, last}
	want := []tokenize.Outcome{
		{Status: tokenize.Exists, Row: old},
		{Status: tokenize.Inserted, Row: fresh},
		{Status: tokenize.Exists, Row: other},
		{Status: tokenize.Taken},
		{Status: tokenize.Taken},
		{Status: tokenize.Exists, Row: fresh},
		{Status: tokenize.Inserted, Row: unused},
		{Status: tokenize.Exists, Row: old},
		{Status: tokenize.Inserted, Row: last},
	}
	out, err := insert(ctx, s, rows...)
	if err != nil {
		return err
	}
	for i := range want {
		if err := expect(out[i], want[i].Status, want[i].Row); err != nil {
			return fmt.Errorf("row %d of the batch: %w", i, err)
		}
	}
	return stands(ctx, s, old, other, fresh, unused, last)
}

func checkRepeats(ctx context.Context, s tokenize.Store) error {
	first := newRow(scopeName())
	rows := []tokenize.Row{first}
	for range 4 {
		again := newRow(first.Scope)
		again.Index = first.Index
		rows = append(rows, again)
	}
	out, err := insert(ctx, s, append(rows, first)...)
	if err != nil {
		return err
	}
	for i := range out {
		status := tokenize.Exists
		if i == 0 {
			status = tokenize.Inserted
		}
		if err := expect(out[i], status, first); err != nil {
			return fmt.Errorf("repeat %d: %w", i, err)
		}
	}
	return stands(ctx, s, first)
}

func checkLarge(ctx context.Context, s tokenize.Store) error {
	const n = 1000
	scope := scopeName()
	rows := make([]tokenize.Row, n)
	for i := range rows {
		rows[i] = newRow(scope)
	}
	// Every third row stands before, in another order.
	var before []tokenize.Row
	for i := n - 1; i >= 0; i-- {
		if i%3 == 0 {
			before = append(before, rows[i])
		}
	}
	if err := insertNew(ctx, s, before...); err != nil {
		return err
	}
	out, err := insert(ctx, s, rows...)
	if err != nil {
		return err
	}
	for i := range out {
		status := tokenize.Inserted
		if i%3 == 0 {
			status = tokenize.Exists
		}
		if err := expect(out[i], status, rows[i]); err != nil {
			return fmt.Errorf("row %d of %d: %w", i, n, err)
		}
	}
	return stands(ctx, s, rows...)
}

func checkEmpty(ctx context.Context, s tokenize.Store) error {
	if out, err := s.Insert(ctx, nil); err != nil || len(out) != 0 {
		return fmt.Errorf("Insert of nothing: %d outcomes, %s", len(out), unwanted(err, nil))
	}
	if rows, err := s.ByIndex(ctx, nil); err != nil || len(rows) != 0 {
		return fmt.Errorf("ByIndex of nothing: %d rows, %s", len(rows), unwanted(err, nil))
	}
	if rows, err := s.ByToken(ctx, nil); err != nil || len(rows) != 0 {
		return fmt.Errorf("ByToken of nothing: %d rows, %s", len(rows), unwanted(err, nil))
	}
	if err := s.Delete(ctx, nil); err != nil {
		return fmt.Errorf("Delete of nothing: %w", err)
	}
	return nil
}

func checkScopes(ctx context.Context, s tokenize.Store) error {
	a := newRow(scopeName())
	b := a
	b.Scope, b.Sealed = scopeName(), []byte("another value")
	if err := insertNew(ctx, s, a); err != nil {
		return err
	}
	if err := absent(ctx, s, b); err != nil {
		return fmt.Errorf("in another scope: %w", err)
	}
	if err := insertNew(ctx, s, b); err != nil {
		return fmt.Errorf("the same index and token in another scope: %w", err)
	}
	if err := s.Delete(ctx, []tokenize.Ref{refOf(a)}); err != nil {
		return fmt.Errorf("Delete: %w", err)
	}
	return lookUp(ctx, s, []tokenize.Row{a, b}, []tokenize.Row{{}, b})
}

func checkMixedScopes(ctx context.Context, s tokenize.Store) error {
	a, b, c := newRow(scopeName()), newRow(scopeName()), newRow(scopeName())
	b.Index, c.Token = a.Index, a.Token
	if err := insertNew(ctx, s, a, b, c); err != nil {
		return err
	}
	if err := stands(ctx, s, c, a, b); err != nil {
		return err
	}
	if err := s.Delete(ctx, []tokenize.Ref{refOf(a), refOf(c)}); err != nil {
		return fmt.Errorf("Delete: %w", err)
	}
	return lookUp(ctx, s, []tokenize.Row{a, b, c}, []tokenize.Row{{}, b, {}})
}

// checkBytes inserts tokens and scopes that a store would confuse if it took
// them for text of some collation, cut them at NUL, or trimmed them.
func checkBytes(ctx context.Context, s tokenize.Store) error {
	scope := scopeName()
	var rows []tokenize.Row
	for _, token := range []string{
		"tok", "TOK", "Tok", "tok ", " tok", "tok\x00", "tok\x00\x00", "\x00tok", "\x00", "\x00\x00",
		"\xff", "\xff\xfe", "\xc3", "\xc3\xa9", "e\xcc\x81", "é ", "ß", "ss", "ı", "i", "I", "0", "00", "0x00",
		"'", "\"", "\\", "\\x00", "%", "_", "\n", "\r\n", "\t", "*", "{}", "a:b", "a/b", "null", "NULL",
	} {
		row := newRow(scope)
		row.Token = []byte(token)
		rows = append(rows, row)
	}
	for b := range 256 {
		row := newRow(scope)
		row.Token = []byte{'b', byte(b)}
		row.Sealed = []byte{byte(b)}
		rows = append(rows, row)
	}
	for _, suffix := range []string{"a", "A", "a ", "é", "e\u0301", "ß", "SS", "'", "%", "/", "/x", "\n", ":", "#", "\u00a0", "\U0001f511"} {
		row := rows[0]
		row.Scope = scope + suffix
		row.Sealed = []byte("of scope " + suffix)
		rows = append(rows, row)
	}
	if err := insertNew(ctx, s, rows...); err != nil {
		return err
	}
	return stands(ctx, s, rows...)
}

func checkZeroIndex(ctx context.Context, s tokenize.Store) error {
	row := newRow(scopeName())
	row.Index = tokenize.Index{}
	if err := absent(ctx, s, row); err != nil {
		return err
	}
	if err := insertNew(ctx, s, row); err != nil {
		return err
	}
	full := newRow(row.Scope)
	for i := range full.Index {
		full.Index[i] = 0xff
	}
	if err := insertNew(ctx, s, full); err != nil {
		return err
	}
	return stands(ctx, s, row, full)
}

func checkLimits(ctx context.Context, s tokenize.Store) error {
	scope := scopeName()
	pad := func(s string, n int) string { return s + strings.Repeat("x", n-len(s)) }
	sound := newRow(scope)
	longest := newRow(pad(scope, tokenize.MaxScope))
	longest.Token = make([]byte, tokenize.MaxToken)
	longest.Sealed = bytes.Repeat([]byte{0x5a}, tokenize.MaxSealed)
	shortest := newRow(scope)
	shortest.Token, shortest.Sealed = []byte{0xff}, []byte{0}
	if err := insertNew(ctx, s, longest, shortest); err != nil {
		return err
	}
	if err := stands(ctx, s, longest, shortest); err != nil {
		return err
	}
	for _, bad := range []struct {
		name   string
		change func(*tokenize.Row)
	}{
		{"no scope", func(r *tokenize.Row) { r.Scope = "" }},
		{"a scope too long", func(r *tokenize.Row) { r.Scope = pad(scope, tokenize.MaxScope+1) }},
		{"a scope that is not UTF-8", func(r *tokenize.Row) { r.Scope = scope + "\xff" }},
		{"a scope with NUL", func(r *tokenize.Row) { r.Scope = scope + "\x00" }},
		{"no token", func(r *tokenize.Row) { r.Token = nil }},
		{"a token too long", func(r *tokenize.Row) { r.Token = bytes.Repeat([]byte{'t'}, tokenize.MaxToken+1) }},
		{"no sealed value", func(r *tokenize.Row) { r.Sealed = nil }},
		{"a sealed value too long", func(r *tokenize.Row) { r.Sealed = make([]byte, tokenize.MaxSealed+1) }},
	} {
		row := newRow(scope)
		bad.change(&row)
		if out, err := s.Insert(ctx, []tokenize.Row{sound, row}); !errors.Is(err, tokenize.ErrRow) || out != nil {
			return fmt.Errorf("Insert of %s: %d outcomes, %s", bad.name, len(out), unwanted(err, tokenize.ErrRow))
		}
		if len(row.Sealed) == 0 || len(row.Sealed) > tokenize.MaxSealed {
			continue // it plays no part in what follows
		}
		if err := s.Delete(ctx, []tokenize.Ref{refOf(row)}); !errors.Is(err, tokenize.ErrRow) {
			return fmt.Errorf("Delete of %s: %s", bad.name, unwanted(err, tokenize.ErrRow))
		}
		if _, err := s.ByToken(ctx, []tokenize.Ref{refOf(row)}); !errors.Is(err, tokenize.ErrRow) {
			return fmt.Errorf("ByToken of %s: %s", bad.name, unwanted(err, tokenize.ErrRow))
		}
		if tokenize.CheckScope(row.Scope) == nil {
			continue
		}
		if _, err := s.ByIndex(ctx, []tokenize.Key{keyOf(row)}); !errors.Is(err, tokenize.ErrRow) {
			return fmt.Errorf("ByIndex of %s: %s", bad.name, unwanted(err, tokenize.ErrRow))
		}
		if _, err := s.Count(ctx, row.Scope); !errors.Is(err, tokenize.ErrRow) {
			return fmt.Errorf("Count of %s: %s", bad.name, unwanted(err, tokenize.ErrRow))
		}
	}
	return absent(ctx, s, sound)
}

func checkRefused(ctx context.Context, s tokenize.Store) error {
	scope := scopeName()
	rows := []tokenize.Row{newRow(scope), newRow(scope), newRow(scope)}
	bad := newRow(scope)
	bad.Token = nil
	if _, err := s.Insert(ctx, append(rows[:3:3], bad)); !errors.Is(err, tokenize.ErrRow) {
		return errors.New(unwanted(err, tokenize.ErrRow))
	}
	if err := absent(ctx, s, rows...); err != nil {
		return err
	}
	return insertNew(ctx, s, rows...)
}

func checkCount(ctx context.Context, s tokenize.Store) error {
	const n = 40
	scope, other := scopeName(), scopeName()
	if got, err := s.Count(ctx, scope); err != nil || got != 0 {
		return fmt.Errorf("an empty scope has %d rows, %s", got, unwanted(err, nil))
	}
	rows := make([]tokenize.Row, n)
	for i := range rows {
		rows[i] = newRow(scope)
	}
	if err := insertNew(ctx, s, append(rows, newRow(other))...); err != nil {
		return err
	}
	// Repeats and taken tokens count for nothing.
	again, taken := newRow(scope), newRow(scope)
	again.Index, taken.Token = rows[0].Index, rows[0].Token
	if _, err := insert(ctx, s, again, taken); err != nil {
		return err
	}
	switch got, err := s.Count(ctx, scope); {
	case err != nil:
		return fmt.Errorf("Count: %w", err)
	case got*10 < n*9 || got > 2*n:
		return fmt.Errorf("Count is %d for %d rows", got, n)
	}
	var refs []tokenize.Ref
	for _, r := range rows {
		refs = append(refs, refOf(r))
	}
	if err := s.Delete(ctx, refs); err != nil {
		return fmt.Errorf("Delete: %w", err)
	}
	if err := insertNew(ctx, s, rows[0]); err != nil {
		return fmt.Errorf("after all were deleted: %w", err)
	}
	if got, err := s.Count(ctx, scope); err != nil || got == 0 {
		return fmt.Errorf("Count is %d for a row, %s", got, unwanted(err, nil))
	}
	return nil
}

func checkDelete(ctx context.Context, s tokenize.Store) error {
	scope := scopeName()
	a, b, never := newRow(scope), newRow(scope), newRow(scope)
	if err := insertNew(ctx, s, a, b); err != nil {
		return err
	}
	if err := s.Delete(ctx, []tokenize.Ref{refOf(never), refOf(a), refOf(a)}); err != nil {
		return fmt.Errorf("Delete: %w", err)
	}
	if err := lookUp(ctx, s, []tokenize.Row{a, b}, []tokenize.Row{{}, b}); err != nil {
		return err
	}
	// Both halves of the row are gone: its index takes another token, and its
	// token another index.
	index, token := newRow(scope), newRow(scope)
	index.Index, token.Token = a.Index, a.Token
	if err := insertNew(ctx, s, index, token); err != nil {
		return err
	}
	return stands(ctx, s, index, token, b)
}

func checkEnded(ctx context.Context, s tokenize.Store) error {
	row := newRow(scopeName())
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if out, err := s.Insert(ended, []tokenize.Row{row}); !errors.Is(err, context.Canceled) || out != nil {
		return fmt.Errorf("Insert: %d outcomes, %s", len(out), unwanted(err, context.Canceled))
	}
	if rows, err := s.ByIndex(ended, []tokenize.Key{keyOf(row)}); !errors.Is(err, context.Canceled) || rows != nil {
		return fmt.Errorf("ByIndex: %d rows, %s", len(rows), unwanted(err, context.Canceled))
	}
	if rows, err := s.ByToken(ended, []tokenize.Ref{refOf(row)}); !errors.Is(err, context.Canceled) || rows != nil {
		return fmt.Errorf("ByToken: %d rows, %s", len(rows), unwanted(err, context.Canceled))
	}
	if _, err := s.Count(ended, row.Scope); !errors.Is(err, context.Canceled) {
		return fmt.Errorf("Count: %s", unwanted(err, context.Canceled))
	}
	if err := absent(ctx, s, row); err != nil {
		return err
	}
	if err := insertNew(ctx, s, row); err != nil {
		return err
	}
	if err := s.Delete(ended, []tokenize.Ref{refOf(row)}); !errors.Is(err, context.Canceled) {
		return fmt.Errorf("Delete: %s", unwanted(err, context.Canceled))
	}
	return stands(ctx, s, row)
}

func checkOwnership(ctx context.Context, s tokenize.Store) error {
	row := newRow(scopeName())
	given := cloneRow(row)
	spoil := func(rows ...tokenize.Row) {
		for _, r := range rows {
			clear(r.Token)
			clear(r.Sealed)
		}
	}
	rows := []tokenize.Row{given}
	out, err := insert(ctx, s, rows...)
	if err != nil {
		return err
	}
	if !sameRow(rows[0], row) {
		return errors.New("Insert changed what it was given")
	}
	spoil(given)
	if err := expect(out[0], tokenize.Inserted, row); err != nil {
		return fmt.Errorf("the outcome shares memory with what was given: %w", err)
	}
	spoil(out[0].Row)
	if err := stands(ctx, s, row); err != nil {
		return fmt.Errorf("after the caller wrote to its slices: %w", err)
	}
	exists, err := insert(ctx, s, row, row)
	if err != nil {
		return err
	}
	spoil(exists[0].Row)
	if err := expect(exists[1], tokenize.Exists, row); err != nil {
		return fmt.Errorf("two outcomes share memory: %w", err)
	}
	spoil(exists[1].Row)
	byIndex, err := s.ByIndex(ctx, []tokenize.Key{keyOf(row), keyOf(row)})
	if err != nil {
		return fmt.Errorf("ByIndex: %w", err)
	}
	byToken, err := s.ByToken(ctx, []tokenize.Ref{refOf(row), refOf(row)})
	if err != nil {
		return fmt.Errorf("ByToken: %w", err)
	}
	if len(byIndex) != 2 || len(byToken) != 2 {
		return fmt.Errorf("two keys gave %d rows, and two tokens %d", len(byIndex), len(byToken))
	}
	spoil(byIndex[0], byToken[0])
	if !sameRow(byIndex[1], row) || !sameRow(byToken[1], row) {
		return errors.New("two rows of an answer share memory")
	}
	spoil(byIndex[1], byToken[1])
	return stands(ctx, s, row)
}

const (
	racers = 8
	raced  = 50
)

// race runs f in as many goroutines, and returns their first error.
func race(f func(racer int) error) error {
	start := make(chan struct{})
	errs := make(chan error, racers)
	for i := range racers {
		go func() {
			<-start
			errs <- f(i)
		}()
	}
	close(start)
	var err error
	for range racers {
		err = errors.Join(err, <-errs)
	}
	return err
}

// checkRace has all goroutines insert the same values, in batches of different
// sizes and orders, each with tokens of its own.
func checkRace(ctx context.Context, s tokenize.Store) error {
	scope := scopeName()
	var h History
	inserted := make([][raced]bool, racers)
	err := race(func(racer int) error {
		for at := 0; at < raced; {
			var rows []tokenize.Row
			var values []int
			for range min(1+racer%3*4, raced-at) {
				v := at
				if racer%2 == 1 {
					v = raced - 1 - at // half of them come from the other end
				}
				row := newRow(scope)
				binary.BigEndian.PutUint64(row.Index[:], uint64(v))
				clear(row.Index[8:])
				rows, values = append(rows, row), append(values, v)
				at++
			}
			out, err := insert(ctx, s, rows...)
			if err != nil {
				return err
			}
			for i, o := range out {
				switch {
				case o.Status != tokenize.Inserted && o.Status != tokenize.Exists:
					return fmt.Errorf("status %d of a row with a token of its own", o.Status)
				case o.Row.Scope != scope || o.Row.Index != rows[i].Index:
					return errors.New("an outcome holds the row of another value")
				case (o.Status == tokenize.Inserted) != bytes.Equal(o.Row.Token, rows[i].Token):
					return errors.New("an outcome tells of a token that is not its caller's")
				}
				inserted[racer][values[i]] = o.Status == tokenize.Inserted
				h.Add(o.Row)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for v := range raced {
		winners := 0
		for r := range racers {
			if inserted[r][v] {
				winners++
			}
		}
		if winners != 1 {
			return fmt.Errorf("%d goroutines were told that they inserted one value", winners)
		}
	}
	return h.Check(ctx, s)
}

// checkTokenRace has all goroutines claim the same tokens for values of their
// own.
func checkTokenRace(ctx context.Context, s tokenize.Store) error {
	scope := scopeName()
	var h History
	won := make([]int, racers)
	err := race(func(racer int) error {
		for at := range raced {
			row := newRow(scope)
			row.Token = fmt.Appendf(nil, "token %d", at)
			out, err := insert(ctx, s, row)
			if err != nil {
				return err
			}
			switch out[0].Status {
			case tokenize.Inserted:
				won[racer]++
				h.Add(out[0].Row)
			case tokenize.Taken:
			default:
				return fmt.Errorf("status %d of a new index", out[0].Status)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	sum := 0
	for _, n := range won {
		sum += n
	}
	if sum != raced {
		return fmt.Errorf("%d tokens were given to %d values", raced, sum)
	}
	return h.Check(ctx, s)
}

// unwanted describes an error that is not the one that should be, or none.
func unwanted(err, want error) string { return fmt.Sprintf("error %v, want %v", err, want) }
