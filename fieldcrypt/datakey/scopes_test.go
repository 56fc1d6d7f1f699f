package datakey

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms/kmstest"
	"github.com/fieldveil/fieldveil/internal/envelope"
)

// withKeys returns how many scopes are held because they have keys.
func withKeys(c *Cache) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.scopes.ring.Len()
}

func TestTheScopesWithKeysAreBounded(t *testing.T) {
	c := newCache(t, kmstest.NewFake(), WithMaxScopes(50))
	busy := c.testScope(t, ScopeSpec{Tenant: "busy"}).NewSealer()
	first := c.testScope(t, ScopeSpec{Tenant: "0"})
	var old *Opener
	busyKeys := map[ID]bool{}
	for i := range 500 {
		w := c.testScope(t, ScopeSpec{Tenant: fmt.Sprint(i)}).NewSealer()
		sealOne(t, w, "x")
		if i == 0 {
			old = w.scope.Cached(w.KeyID())
		}
		sealOne(t, busy, "x")
		busyKeys[busy.KeyID()] = true
	}
	if n := withKeys(c); n != 50 {
		t.Errorf("%d scopes have keys", n)
	}
	if n := kept(c); n != 50 {
		t.Errorf("%d openers are kept", n)
	}
	if k, n := holds(first); k || n || !old.Expired() || first.Cached(old.KeyID()) != nil {
		t.Error("the first tenant still has a key")
	}
	// The hand takes a busy one once at most: when it meets all as used.
	if len(busyKeys) > 2 {
		t.Errorf("the busy tenant had %d keys", len(busyKeys))
	}
	// Who holds an evicted scope goes on, with a new key.
	w := first.NewSealer()
	sealOne(t, w, "x")
	if w.KeyID() == old.KeyID() {
		t.Error("a key came back")
	}
	if again := c.testScope(t, ScopeSpec{Tenant: "0"}); again != first {
		t.Error("two scopes of one name")
	}
	if got := c.Stats().Keys[0]; got.Drops[0].Reason != DropEvicted || got.Drops[0].Count < 450 {
		t.Errorf("drops: %+v", got.Drops)
	}
}

func TestAReservationThatIsOutOutlivesTheEviction(t *testing.T) {
	c := newCache(t, kmstest.NewFake(), WithMaxScopes(1))
	w := c.testScope(t, ScopeSpec{Tenant: "a"}).NewSealer()
	if err := w.Reserve(t.Context(), 1, 1); err != nil {
		t.Fatal(err)
	}
	id, block := w.KeyID(), w.KeyBlock()
	sealOne(t, c.testScope(t, ScopeSpec{Tenant: "b"}).NewSealer(), "x")
	if k, _ := holds(w.scope); k {
		t.Fatal("it was not evicted")
	}
	env, err := w.Append(nil, []byte("x"), w.Head(testPlace))
	if err != nil || keyIDOf(t, env) != id {
		t.Fatalf("Append: %v", err)
	}
	o, err := w.scope.Opener(t.Context(), id, [][]byte{block})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := openWith(o, env); err != nil || got != "x" {
		t.Errorf("%q, %v", got, err)
	}
}

// Tenants without end leave nothing behind.
func TestScopesThatNobodyHoldsAreForgotten(t *testing.T) {
	c := newCache(t, kmstest.NewFake(), WithMaxScopes(10))
	const n = 50 * minSweep
	for i := range n {
		c.testScope(t, ScopeSpec{Tenant: fmt.Sprint(i)})
		if i%minSweep == 0 {
			runtime.GC()
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if got := len(c.scopes.weak); got > n/4 {
		t.Errorf("%d of %d scopes are remembered", got, n)
	}
}

func TestManyTenantsAtOnceStayWithinTheBoundAndTheirLimits(t *testing.T) {
	const limit = 20
	c := newCache(t, kmstest.NewFake(), WithMaxScopes(8))
	var (
		mu    sync.Mutex
		seals = map[ID]int{}
		wg    sync.WaitGroup
	)
	for g := range 64 {
		wg.Go(func() {
			for r := range 30 {
				s, err := c.Scope(ScopeSpec{
					Name: "pii", Tenant: fmt.Sprint((g * r) % 24), KEKs: []string{testKEK}, Limits: Limits{Seals: limit},
				})
				if err != nil {
					t.Error(err)
					return
				}
				w := s.NewSealer()
				if err := w.Reserve(t.Context(), 1, 1); err != nil {
					t.Error(err)
					return
				}
				env, err := w.Append(nil, []byte("x"), w.Head(testPlace))
				if err != nil && !errors.Is(err, ErrExhausted) {
					t.Error(err)
					return
				}
				w.Done()
				if err == nil {
					mu.Lock()
					seals[ID(env[2:2+envelope.KeyIDSize])]++
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	for id, n := range seals {
		if n > limit {
			t.Errorf("key %s sealed %d values", id, n)
		}
	}
	if n := withKeys(c); n > 8 {
		t.Errorf("%d scopes have keys", n)
	}
}

// The table of openers has no entry left of a scope that has none.
func TestTheIndexOfOpenersIsCleanedUp(t *testing.T) {
	fake := kmstest.NewFake()
	c := newCache(t, fake, WithMaxOpeners(3))
	for i := range 20 {
		val := write(t, fake, ScopeSpec{Tenant: fmt.Sprint(i % 5)}, "x")
		s := c.testScope(t, ScopeSpec{Tenant: fmt.Sprint(i % 5)})
		if _, err := s.Opener(t.Context(), val.id, val.blocks()); err != nil {
			t.Fatal(err)
		}
	}
	indexed := 0
	for s, own := range c.openers.scopes {
		if len(own) == 0 {
			t.Errorf("an empty entry of %v", s)
		}
		indexed += len(own)
	}
	if indexed != 3 || len(c.openers.entries) != 3 {
		t.Errorf("%d indexed, %d kept", indexed, len(c.openers.entries))
	}
}
