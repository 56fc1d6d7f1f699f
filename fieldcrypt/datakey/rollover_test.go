package datakey

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms/kmstest"
	"github.com/fieldveil/fieldveil/internal/invariants"
)

func TestTenThousandCallersOnAColdScopeMakeOneKey(t *testing.T) {
	n := 10_000
	if invariants.Enabled {
		n = 4_000 // the race detector knows 8,128 goroutines
	}
	noFIPS(t)
	synctest.Test(t, func(t *testing.T) {
		fake := kmstest.NewFake()
		fake.Hook(func(context.Context, kmstest.Op, string) error {
			pass(time.Second) // so that all of them wait
			return nil
		})
		c := newCache(t, fake)
		s := c.testScope(t, ScopeSpec{})
		var (
			wg  sync.WaitGroup
			ids sync.Map
		)
		for range n {
			wg.Go(func() {
				w := s.NewSealer()
				if err := w.Reserve(t.Context(), 1, 10); err != nil {
					t.Error(err)
					return
				}
				ids.Store(w.KeyID(), true)
			})
		}
		wg.Wait()
		if g, u := fake.Calls(kmstest.OpGenerate), fake.Calls(kmstest.OpUnwrap); g != 1 || u != 1 {
			t.Errorf("%d keys were generated and %d verified, want one of each (FV-4)", g, u)
		}
		keys := 0
		ids.Range(func(any, any) bool { keys++; return true })
		if keys != 1 {
			t.Errorf("%d keys are in use", keys)
		}
	})
}

func TestAThousandColdScopesKeepTheFanOut(t *testing.T) {
	noFIPS(t)
	synctest.Test(t, func(t *testing.T) {
		fake := kmstest.NewFake()
		var running, most atomic.Int64
		fake.Hook(func(context.Context, kmstest.Op, string) error {
			now := running.Add(1)
			for m := most.Load(); now > m && !most.CompareAndSwap(m, now); m = most.Load() {
			}
			pass(20 * time.Millisecond)
			running.Add(-1)
			return nil
		})
		c := newCache(t, fake)
		var wg sync.WaitGroup
		for i := range 1000 {
			s := c.testScope(t, ScopeSpec{Tenant: fmt.Sprint(i)})
			wg.Go(func() {
				if err := s.NewSealer().Reserve(t.Context(), 1, 1); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if got := most.Load(); got != 20 {
			t.Errorf("at most %d calls ran at once, want 20", got)
		}
		if g := fake.Calls(kmstest.OpGenerate); g != 1000 {
			t.Errorf("%d keys for 1,000 scopes", g)
		}
	})
}

// generations records when keys were asked for.
type generations struct {
	mu    sync.Mutex
	start time.Time
	at    []time.Duration
}

func (g *generations) hook(_ context.Context, op kmstest.Op, _ string) error {
	if op == kmstest.OpGenerate {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.at = append(g.at, time.Since(g.start))
	}
	return nil
}

func (g *generations) times() []time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.at
}

func TestTheNextKeyIsFetchedAheadAndTakesOverAtRefresh(t *testing.T) {
	early := map[time.Duration]bool{}
	for range 20 { // the jitter is random
		noFIPS(t)
		synctest.Test(t, func(t *testing.T) {
			fake, gens := kmstest.NewFake(), &generations{start: time.Now()}
			fake.Hook(gens.hook)
			c := newCache(t, fake)
			w := c.testScope(t, ScopeSpec{}).NewSealer()
			sealOne(t, w, "x")
			first := w.KeyID()
			due, stale := current(w.scope).dueAt.Sub(gens.start), current(w.scope).staleAt.Sub(gens.start)
			if due < 9*time.Second || due > 14*time.Minute+51*time.Second || stale != due+3*time.Minute {
				t.Fatalf("the next key is due after %v and takes over after %v", due, stale)
			}
			for d := time.Second; d < stale; d += time.Second {
				at(gens.start, d)
				before := time.Now()
				sealOne(t, w, "x")
				if w.KeyID() != first || time.Since(before) != 0 {
					t.Fatalf("after %v: key %s, waited %v", d, w.KeyID(), time.Since(before))
				}
			}
			got := gens.times()
			if len(got) != 2 {
				t.Fatalf("keys were asked for at %v, want two", got)
			}
			// The first call after that moment starts the fetch.
			if got[1] < due || got[1] > due+time.Second {
				t.Errorf("the next key was fetched after %v, and due after %v", got[1], due)
			}
			early[got[1]] = true
			at(gens.start, stale)
			before := time.Now()
			sealOne(t, w, "x")
			if w.KeyID() == first || time.Since(before) != 0 {
				t.Errorf("at the refresh age: the same key %v, waited %v", w.KeyID() == first, time.Since(before))
			}
			if n := len(gens.times()); n != 2 {
				t.Errorf("%d keys were asked for", n)
			}
		})
	}
	if len(early) < 15 {
		t.Errorf("20 processes fetch at only %d moments", len(early))
	}
}

func TestFV5ALeaseEndsWithItsKey(t *testing.T) {
	noFIPS(t)
	synctest.Test(t, func(t *testing.T) {
		w := newCache(t, kmstest.NewFake(), drawing(lateDraw)).testScope(t, ScopeSpec{}).NewSealer()
		start := time.Now()
		for _, age := range []time.Duration{0, 14*time.Minute + 51*time.Second, 18 * time.Minute} {
			at(start, age)
			sealOne(t, w, "x")
		}
		k := current(w.scope)
		if k.id != w.KeyID() || w.seals+1 != k.seals.Load() || w.bytes+1 != k.bytes.Load() {
			t.Errorf("a lease of %d seals and %d bytes, where the key gave %d and %d", w.seals, w.bytes, k.seals.Load(), k.bytes.Load())
		}
	})
}

func TestAnIdleScopeMakesNoCalls(t *testing.T) {
	noFIPS(t)
	synctest.Test(t, func(t *testing.T) {
		fake := kmstest.NewFake()
		c := newCache(t, fake, drawing(lateDraw))
		s := c.testScope(t, ScopeSpec{})
		start := time.Now()
		w := s.NewSealer()
		sealOne(t, w, "x")
		id := w.KeyID()
		at(start, 5*time.Minute)
		sealOne(t, w, "x")
		at(start, 60*time.Minute-1)
		if key, _ := holds(s); !key || s.Cached(id) == nil {
			t.Error("the key is gone before its time")
		}
		at(start, 60*time.Minute)
		if key, next := holds(s); key || next || s.Cached(id) != nil {
			t.Error("an expired key is kept while nobody calls")
		}
		at(start, 24*time.Hour)
		if g, u := fake.Calls(kmstest.OpGenerate), fake.Calls(kmstest.OpUnwrap); g != 1 || u != 1 {
			t.Errorf("%d and %d calls, want those for the first key only", g, u)
		}
	})
}

func TestAKeyFetchedAheadAndNeverUsedExpiresToo(t *testing.T) {
	noFIPS(t)
	synctest.Test(t, func(t *testing.T) {
		fake := kmstest.NewFake()
		c := newCache(t, fake, drawing(lateDraw))
		s := c.testScope(t, ScopeSpec{})
		start := time.Now()
		w := s.NewSealer()
		sealOne(t, w, "x")
		at(start, 14*time.Minute+55*time.Second)
		sealOne(t, w, "x") // starts the fetch; then silence
		at(start, 74*time.Minute)
		if key, _ := holds(s); !key {
			t.Error("the second key did not take over when the first expired")
		}
		at(start, 74*time.Minute+55*time.Second)
		if key, next := holds(s); key || next {
			t.Error("the second key outlives its own hour")
		}
		if g := fake.Calls(kmstest.OpGenerate); g != 2 {
			t.Errorf("%d keys", g)
		}
	})
}

func TestEightyPercentOfTheBudgetFetchTheNextKey(t *testing.T) {
	tests := []struct {
		name    string
		limits  Limits
		value   string
		trigger int // the record that starts the fetch
		last    int // the last record under the first key
	}{
		{"of seals", Limits{Seals: 1000}, "x", 800, 1000},
		{"of bytes", Limits{Bytes: 1000}, "ten bytes.", 80, 100},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			noFIPS(t)
			synctest.Test(t, func(t *testing.T) {
				fake := kmstest.NewFake()
				c := newCache(t, fake)
				w := c.testScope(t, ScopeSpec{Limits: tt.limits}).NewSealer()
				start := time.Now()
				sealOne(t, w, tt.value)
				first := w.KeyID()
				for n := 2; n <= tt.last; n++ {
					sealOne(t, w, tt.value)
					synctest.Wait()
					want := 1
					if n >= tt.trigger {
						want = 2
					}
					if g := fake.Calls(kmstest.OpGenerate); g != want {
						t.Fatalf("after record %d: %d keys, want %d", n, g, want)
					}
					if w.KeyID() != first {
						t.Fatalf("record %d is under another key", n)
					}
				}
				sealOne(t, w, tt.value)
				if w.KeyID() == first {
					t.Error("a key is used beyond its limit")
				}
				if d := time.Since(start); d != 0 {
					t.Errorf("waited %v", d)
				}
			})
		})
	}
}

func TestRollOverNeverWaitsForTheKMS(t *testing.T) {
	noFIPS(t)
	synctest.Test(t, func(t *testing.T) {
		fake := kmstest.NewFake()
		c := newCache(t, fake)
		w := c.testScope(t, ScopeSpec{}).NewSealer()
		start := time.Now()
		sealOne(t, w, "x")
		first := w.KeyID()
		release := make(chan struct{})
		fake.Hook(func(ctx context.Context, _ kmstest.Op, _ string) error {
			select {
			case <-release:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		for d := time.Second; d < 59*time.Minute; d += time.Second {
			at(start, d)
			before := time.Now()
			sealOne(t, w, "x")
			if w.KeyID() != first || time.Since(before) != 0 {
				t.Fatalf("after %v: same key %v, waited %v", d, w.KeyID() == first, time.Since(before))
			}
		}
		if g := fake.Calls(kmstest.OpGenerate); g < 10 {
			t.Errorf("%d attempts behind the callers' back", g)
		}
		close(release)
		pass(retryMax + time.Second)
		sealOne(t, w, "x") // starts a fetch, if none is under way
		synctest.Wait()
		before := time.Now()
		sealOne(t, w, "x")
		if w.KeyID() == first || time.Since(before) != 0 {
			t.Errorf("the new key did not take over: waited %v", time.Since(before))
		}
	})
}

func TestAKeyThatIsOldWhenItArrivesIsRefused(t *testing.T) {
	noFIPS(t)
	synctest.Test(t, func(t *testing.T) {
		fake := kmstest.NewFake()
		fake.Hook(func(_ context.Context, op kmstest.Op, _ string) error {
			if op == kmstest.OpUnwrap {
				pass(2 * time.Second)
			}
			return nil
		})
		c := newCache(t, fake)
		w := c.testScope(t, ScopeSpec{Limits: Limits{Expire: time.Second}}).NewSealer()
		if err := w.Reserve(t.Context(), 1, 1); !errors.Is(err, ErrUnavailable) {
			t.Errorf("err = %v", err)
		}
		if g := fake.Calls(kmstest.OpGenerate); g != 1 {
			t.Errorf("%d keys were made for one caller", g)
		}
	})
}

func TestACallerWhoGivesUpDoesNotTakeTheOthersWithHim(t *testing.T) {
	noFIPS(t)
	synctest.Test(t, func(t *testing.T) {
		fake := kmstest.NewFake()
		fake.Hook(func(ctx context.Context, _ kmstest.Op, _ string) error {
			pass(time.Second)
			return ctx.Err()
		})
		c := newCache(t, fake)
		s := c.testScope(t, ScopeSpec{})
		var wg sync.WaitGroup
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			start := time.Now()
			err := s.NewSealer().Reserve(ctx, 1, 1)
			if !errors.Is(err, ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("err = %v", err)
			}
			if d := time.Since(start); d != 100*time.Millisecond {
				t.Errorf("returned after %v", d)
			}
		})
		cause := errors.New("the client went away")
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(cause)
		start := time.Now()
		if err := s.NewSealer().Reserve(ctx, 1, 1); !errors.Is(err, ErrUnavailable) || !errors.Is(err, cause) {
			t.Errorf("err = %v", err)
		}
		if d := time.Since(start); d != 0 {
			t.Errorf("a context that had ended waited %v", d)
		}
		if err := s.NewSealer().Reserve(t.Context(), 1, 1); err != nil {
			t.Errorf("who stayed: %v", err)
		}
		wg.Wait()
		if g := fake.Calls(kmstest.OpGenerate); g != 1 {
			t.Errorf("%d keys", g)
		}
		// A warm scope does not even look at the context.
		if err := s.NewSealer().Reserve(ctx, 1, 1); err != nil {
			t.Errorf("warm scope: %v", err)
		}
	})
}

func TestCloseWhileAKeyIsMadeLeavesNothingBehind(t *testing.T) {
	noFIPS(t)
	synctest.Test(t, func(t *testing.T) {
		fake := kmstest.NewFake()
		fake.Hook(func(context.Context, kmstest.Op, string) error {
			pass(time.Second)
			return nil
		})
		c := newCache(t, fake)
		s := c.testScope(t, ScopeSpec{})
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := s.NewSealer().Reserve(t.Context(), 1, 1); !errors.Is(err, ErrUnusable) {
				t.Errorf("err = %v", err)
			}
		})
		synctest.Wait()
		c.Close()
		wg.Wait()
		if key, next := holds(s); key || next || len(s.timers) != 0 {
			t.Error("a closed scope has a key")
		}
		if n := kept(c); n != 0 {
			t.Errorf("%d openers are left", n)
		}
	})
}
