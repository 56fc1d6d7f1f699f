// Package vaulttest is for tests of what uses a token vault and of what
// implements a store for one: [Run] is the suite that every [tokenize.Store]
// must pass, [Crash] kills a process that writes to a store and looks at what
// is left, [Memory] is a store in memory, and [Keys] are keys for a vault.
//
// It promises that the suite finds a store that breaks one of the promises that
// tokens live by: one token for a value, one value for a token, and no token
// handed out whose row is lost. It links package testing and is of no use
// outside of tests.
package vaulttest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"testing" //nolint:depguard // this package is made for users' tests

	"github.com/fieldveil/fieldveil/tokenize"
)

// Run checks that a store keeps the contract of [tokenize.Store]. It calls open
// for every check, which may return the same store each time: each check works
// in scopes with random names. It leaves their rows behind.
func Run(t *testing.T, open func(t *testing.T) tokenize.Store) {
	t.Helper()
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) {
			if err := c.run(t.Context(), open(t)); err != nil {
				t.Error(err)
			}
		})
	}
}

// A check returns what is wrong, rather than failing a test, so that the tests
// of this package can show that it finds something.
type check struct {
	name string
	run  func(ctx context.Context, s tokenize.Store) error
}

//nolint:gochecknoglobals // a table that nothing changes
var checks = []check{
	{"a row is found by index and by token", checkFound},
	{"what was never inserted is the zero row", checkUnknown},
	{"a second row of an index is not written", checkExists},
	{"a token under another index is taken", checkTaken},
	{"a batch is as its rows one after the other", checkBatch},
	{"a batch of one new value twice writes it once", checkRepeats},
	{"a large batch keeps its order", checkLarge},
	{"an empty batch is no work", checkEmpty},
	{"scopes know nothing of each other", checkScopes},
	{"one call serves several scopes", checkMixedScopes},
	{"tokens and scopes are told apart by their bytes", checkBytes},
	{"an index of zeros is an index", checkZeroIndex},
	{"the longest row is stored and a longer one is refused", checkLimits},
	{"a refused batch writes nothing", checkRefused},
	{"rows are counted", checkCount},
	{"a deleted row is gone and its token free", checkDelete},
	{"an ended context ends the call and claims nothing", checkEnded},
	{"what goes in and out belongs to the caller", checkOwnership},
	{"concurrent inserts give a value one token", checkRace},
	{"concurrent inserts give a token one value", checkTokenRace},
}

// scopeName returns a scope that no one used before.
func scopeName() string { return "vaulttest/" + rand.Text() }

// newRow returns a row with a random index and token.
func newRow(scope string) tokenize.Row {
	row := tokenize.Row{Scope: scope, Token: []byte("tok_" + rand.Text()), Sealed: []byte("sealed " + rand.Text())}
	_, _ = rand.Read(row.Index[:]) // never fails
	return row
}

func keyOf(r tokenize.Row) tokenize.Key { return tokenize.Key{Scope: r.Scope, Index: r.Index} }
func refOf(r tokenize.Row) tokenize.Ref { return tokenize.Ref{Scope: r.Scope, Token: r.Token} }

func sameRow(a, b tokenize.Row) bool {
	return a.Scope == b.Scope && a.Index == b.Index && bytes.Equal(a.Token, b.Token) && bytes.Equal(a.Sealed, b.Sealed)
}

func isZero(r tokenize.Row) bool {
	return r.Scope == "" && r.Index == (tokenize.Index{}) && len(r.Token) == 0 && len(r.Sealed) == 0
}

// insert inserts rows and returns the outcomes, of which there must be as many.
func insert(ctx context.Context, s tokenize.Store, rows ...tokenize.Row) ([]tokenize.Outcome, error) {
	out, err := s.Insert(ctx, rows)
	switch {
	case err != nil:
		return nil, fmt.Errorf("Insert: %w", err)
	case len(out) != len(rows):
		return nil, fmt.Errorf("Insert of %d rows returned %d outcomes", len(rows), len(out))
	}
	return out, nil
}

// expect tells what is wrong with an outcome: its status, or its row.
func expect(got tokenize.Outcome, status tokenize.Status, row tokenize.Row) error {
	switch {
	case got.Status != status:
		return fmt.Errorf("status %d, want %d", got.Status, status)
	case status != tokenize.Taken && !sameRow(got.Row, row):
		return errors.New("an outcome holds another row than the one that stands")
	}
	return nil
}

// insertNew inserts rows that must all be new.
func insertNew(ctx context.Context, s tokenize.Store, rows ...tokenize.Row) error {
	out, err := insert(ctx, s, rows...)
	if err != nil {
		return err
	}
	for i, row := range rows {
		if err := expect(out[i], tokenize.Inserted, row); err != nil {
			return fmt.Errorf("new row %d: %w", i, err)
		}
	}
	return nil
}

// stands tells whether the store returns the rows by index and by token.
func stands(ctx context.Context, s tokenize.Store, rows ...tokenize.Row) error {
	return lookUp(ctx, s, rows, rows)
}

// absent tells whether the store has no rows of these indexes and tokens.
func absent(ctx context.Context, s tokenize.Store, rows ...tokenize.Row) error {
	return lookUp(ctx, s, rows, make([]tokenize.Row, len(rows)))
}

// lookUp looks asked up by index and by token and compares with want.
func lookUp(ctx context.Context, s tokenize.Store, asked, want []tokenize.Row) error {
	keys, refs := make([]tokenize.Key, len(asked)), make([]tokenize.Ref, len(asked))
	for i, r := range asked {
		keys[i], refs[i] = keyOf(r), refOf(r)
	}
	byIndex, err := s.ByIndex(ctx, keys)
	if err != nil {
		return fmt.Errorf("ByIndex: %w", err)
	}
	byToken, err := s.ByToken(ctx, refs)
	if err != nil {
		return fmt.Errorf("ByToken: %w", err)
	}
	if len(byIndex) != len(asked) || len(byToken) != len(asked) {
		return fmt.Errorf("%d keys gave %d rows, and as many tokens %d", len(asked), len(byIndex), len(byToken))
	}
	for i := range asked {
		for by, got := range map[string]tokenize.Row{"ByIndex": byIndex[i], "ByToken": byToken[i]} {
			switch {
			case sameRow(got, want[i]):
			case isZero(want[i]):
				return fmt.Errorf("%s: row %d should not be there", by, i)
			case isZero(got):
				return fmt.Errorf("%s: row %d is missing", by, i)
			default:
				return fmt.Errorf("%s: row %d is another one", by, i)
			}
		}
	}
	return nil
}
