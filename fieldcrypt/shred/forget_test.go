package shred_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt/shred"
)

func entry(tenant string, n byte) shred.Entry {
	return shred.Entry{Time: time.Unix(1_800_000_000, 5), Tenant: tenant, Person: shred.PersonID{n}, By: "dpo", Reason: "request 17"}
}

func row(tenant string, n byte) shred.Row {
	return shred.Row{Tenant: tenant, Person: shred.PersonID{n}, Key: shred.KeyID{n}, Sealed: []byte{1, 2, 3}}
}

func create(t *testing.T, s shred.Store, r shred.Row) {
	t.Helper()
	if _, err := s.Create(t.Context(), r); err != nil {
		t.Fatal(err)
	}
}

// brokenStore fails at the n-th call that would change something, counted from 1,
// before or after it was made.
type brokenStore struct {
	*shred.MemStore

	at    int
	after bool
	calls int
}

var errBroken = errors.New("store is broken")

func (b *brokenStore) do(f func() error) error {
	b.calls++
	if b.calls == b.at && !b.after {
		return errBroken
	}
	err := f()
	if b.calls == b.at {
		return errBroken
	}
	return err
}

func (b *brokenStore) Forget(ctx context.Context, tenant string, p shred.PersonID) error {
	return b.do(func() error { return b.MemStore.Forget(ctx, tenant, p) })
}

func (b *brokenStore) SetMark(ctx context.Context, m shred.Mark) error {
	return b.do(func() error { return b.MemStore.SetMark(ctx, m) })
}

// FV-104: the ledger is first, and decides.
func TestFV104ForgettingIsTakenUpAgainWhereverItEnded(t *testing.T) {
	for at := 1; at <= 2; at++ {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("change %d of the store fails, made is %v", at, after), func(t *testing.T) {
				mem, ledger := new(shred.MemStore), new(shred.MemLedger)
				create(t, mem, row("acme", 1))
				create(t, mem, row("acme", 2))
				b := &brokenStore{MemStore: mem, at: at, after: after}
				done, err := shred.Forget(t.Context(), b, ledger, entry("acme", 1))
				pending, ok := errors.AsType[*shred.PendingError](err)
				if !ok || !errors.Is(err, errBroken) || pending.Entry.Seq != 1 || done.Seq != 1 {
					t.Fatalf("Forget = %+v, %v", done, err)
				}
				m, err := shred.Replay(t.Context(), mem, ledger)
				if err != nil || m.Seq != 1 {
					t.Fatalf("Replay = %+v, %v", m, err)
				}
				if _, err := mem.Person(t.Context(), "acme", shred.PersonID{1}); !errors.Is(err, shred.ErrForgotten) {
					t.Errorf("the person who was forgotten: %v", err)
				}
				if _, err := mem.Person(t.Context(), "acme", shred.PersonID{2}); err != nil {
					t.Errorf("another person: %v", err)
				}
			})
		}
	}
}

func TestAStoreFromABackupForgetsAgain(t *testing.T) {
	ledger, yesterday := new(shred.MemLedger), new(shred.MemStore)
	for n := range byte(10) {
		create(t, yesterday, row("acme", n))
	}
	if _, err := shred.Forget(t.Context(), yesterday, ledger, entry("acme", 3)); err != nil {
		t.Fatal(err)
	}
	// The ledger goes on with another copy of the store.
	today := new(shred.MemStore)
	for n := range byte(10) {
		create(t, today, row("acme", n))
	}
	for _, n := range []byte{5, 7} {
		if _, err := shred.Forget(t.Context(), today, ledger, entry("acme", n)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := shred.Replay(t.Context(), yesterday, ledger); err != nil {
		t.Fatal(err)
	}
	for n := range byte(10) {
		_, err := yesterday.Person(t.Context(), "acme", shred.PersonID{n})
		if forgotten := n == 3 || n == 5 || n == 7; errors.Is(err, shred.ErrForgotten) != forgotten || !forgotten && err != nil {
			t.Errorf("person %d: %v", n, err)
		}
	}
	// A row that somebody put back under a mark is found by the whole replay only.
	partial := new(shred.MemStore)
	create(t, partial, row("acme", 5))
	m, err := shred.Verify(t.Context(), ledger)
	if err != nil || m.Seq != 3 {
		t.Fatalf("Verify = %+v, %v", m, err)
	}
	if err := partial.SetMark(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if _, err := shred.Replay(t.Context(), partial, ledger); err != nil {
		t.Fatal(err)
	}
	if _, err := partial.Person(t.Context(), "acme", shred.PersonID{5}); err != nil {
		t.Errorf("the plain replay went beyond the mark: %v", err)
	}
	if _, err := shred.ReplayAll(t.Context(), partial, ledger); err != nil {
		t.Fatal(err)
	}
	if _, err := partial.Person(t.Context(), "acme", shred.PersonID{5}); !errors.Is(err, shred.ErrForgotten) {
		t.Errorf("after the whole replay: %v", err)
	}
}

// lyingLedger hands out entries that a test changed.
type lyingLedger struct {
	shred.Ledger

	change func(after uint64, page []shred.Entry) []shred.Entry
	id     *shred.LedgerID
}

func (l lyingLedger) ID(ctx context.Context) (shred.LedgerID, error) {
	if l.id != nil {
		return *l.id, nil
	}
	return l.Ledger.ID(ctx)
}

func (l lyingLedger) Read(ctx context.Context, after uint64, limit int) ([]shred.Entry, error) {
	page, err := l.Ledger.Read(ctx, after, limit)
	if l.change != nil {
		page = l.change(after, page)
	}
	return page, err
}

func TestFV104ALedgerThatDoesNotFitIsRefused(t *testing.T) {
	other := shred.LedgerID{9}
	edit := func(f func(*shred.Entry)) func(uint64, []shred.Entry) []shred.Entry {
		return func(_ uint64, page []shred.Entry) []shred.Entry {
			for i := range page {
				if page[i].Seq == 3 {
					f(&page[i])
				}
			}
			return page
		}
	}
	rehash := func(f func(*shred.Entry)) func(*shred.Entry) {
		return func(e *shred.Entry) { f(e); e.Hash = e.Sum() }
	}
	for name, l := range map[string]lyingLedger{
		"another ledger":                       {id: &other},
		"a ledger that was rolled back":        {change: func(uint64, []shred.Entry) []shred.Entry { return nil }},
		"a last entry that is another one":     {change: edit(rehash(func(e *shred.Entry) { e.Person = shred.PersonID{77} }))},
		"a person exchanged without a hash":    {change: edit(func(e *shred.Entry) { e.Person = shred.PersonID{77} })},
		"an entry that does not hang together": {change: edit(rehash(func(e *shred.Entry) { e.Prev[0] ^= 1 }))},
		"a gap": {change: func(after uint64, page []shred.Entry) []shred.Entry {
			if after == 3 {
				return page[1:]
			}
			return page
		}},
		"the same entry twice": {change: func(after uint64, page []shred.Entry) []shred.Entry {
			if after == 3 {
				return append(page[:1:1], page...)
			}
			return page
		}},
	} {
		t.Run(name, func(t *testing.T) {
			store, ledger := new(shred.MemStore), new(shred.MemLedger)
			for n := range byte(3) {
				if _, err := shred.Forget(t.Context(), store, ledger, entry("acme", n)); err != nil {
					t.Fatal(err)
				}
			}
			for n := range byte(3) {
				if _, err := ledger.Append(t.Context(), entry("acme", 10+n)); err != nil {
					t.Fatal(err)
				}
			}
			create(t, store, row("acme", 77))
			l.Ledger = ledger
			if _, err := shred.Replay(t.Context(), store, l); !errors.Is(err, shred.ErrLedger) {
				t.Errorf("Replay: %v", err)
			}
			if _, err := store.Person(t.Context(), "acme", shred.PersonID{77}); err != nil {
				t.Errorf("a person was forgotten on the word of that ledger: %v", err)
			}
		})
	}
}

func TestAnEntrySaysWhoAndWhyInPlainText(t *testing.T) {
	for name, change := range map[string]func(*shred.Entry){
		"no reason":             func(e *shred.Entry) { e.Reason = "" },
		"nobody asked":          func(e *shred.Entry) { e.By = "" },
		"a long reason":         func(e *shred.Entry) { e.Reason = strings.Repeat("x", shred.MaxNote+1) },
		"a reason of two lines": func(e *shred.Entry) { e.Reason = "a\nb" },
		"a reason not in UTF-8": func(e *shred.Entry) { e.Reason = "\xff" },
		"a long tenant":         func(e *shred.Entry) { e.Tenant = strings.Repeat("t", shred.MaxTenant+1) },
	} {
		t.Run(name, func(t *testing.T) {
			store, ledger := new(shred.MemStore), new(shred.MemLedger)
			e := entry("acme", 1)
			change(&e)
			if _, err := shred.Forget(t.Context(), store, ledger, e); !errors.Is(err, shred.ErrInvalid) {
				t.Errorf("Forget: %v", err)
			}
			if m, err := shred.Verify(t.Context(), ledger); err != nil || m.Seq != 0 {
				t.Errorf("the ledger has %d entries, %v", m.Seq, err)
			}
		})
	}
}

func TestHashesTellEntriesApart(t *testing.T) {
	base := entry("ab", 1)
	base.Seq = 1
	seen := map[[32]byte]string{base.Sum(): "base"}
	for name, change := range map[string]func(*shred.Entry){
		"seq": func(e *shred.Entry) { e.Seq++ }, "time": func(e *shred.Entry) { e.Time = e.Time.Add(time.Second) },
		"person": func(e *shred.Entry) { e.Person[31]++ }, "prev": func(e *shred.Entry) { e.Prev[0]++ },
		"letters moved from tenant to by": func(e *shred.Entry) { e.Tenant, e.By = "a", "b"+e.By },
		"letters moved from by to reason": func(e *shred.Entry) { e.By, e.Reason = "dp", "o"+e.Reason },
		"another tenant":                  func(e *shred.Entry) { e.Tenant = "ac" },
	} {
		e := base
		change(&e)
		if other, ok := seen[e.Sum()]; ok {
			t.Errorf("%s has the hash of %s", name, other)
		}
		seen[e.Sum()] = name
	}
}

// Racing processes forget and create persons: who was forgotten stays so, and
// store and ledger agree in the end.
func TestRacingProcessesAgree(t *testing.T) {
	store, ledger := new(shred.MemStore), new(shred.MemLedger)
	var wg sync.WaitGroup
	forgotten := make([]map[byte]bool, 8)
	for w := range forgotten {
		forgotten[w] = map[byte]bool{}
		rng := rand.New(rand.NewPCG(1, uint64(w)))
		wg.Go(func() {
			for range 200 {
				n := byte(rng.IntN(100))
				if rng.IntN(4) == 0 {
					if _, err := shred.Forget(t.Context(), store, ledger, entry("acme", n)); err != nil {
						t.Error(err)
					}
					forgotten[w][n] = true
				} else if _, err := store.Create(t.Context(), row("acme", n)); err != nil && !errors.Is(err, shred.ErrForgotten) {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for w := range forgotten {
		for n := range forgotten[w] {
			if _, err := store.Person(t.Context(), "acme", shred.PersonID{n}); !errors.Is(err, shred.ErrForgotten) {
				t.Errorf("person %d is back: %v", n, err)
			}
		}
	}
	end, err := shred.Verify(t.Context(), ledger)
	if err != nil {
		t.Fatal(err)
	}
	if m, err := store.Mark(t.Context()); err != nil || m != end {
		t.Errorf("mark %d, the ledger ends at %d, %v", m.Seq, end.Seq, err)
	}
}
