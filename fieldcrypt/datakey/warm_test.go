package datakey

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/kmstest"
)

func specsFor(n int) []ScopeSpec {
	specs := make([]ScopeSpec, n)
	for i := range specs {
		specs[i] = ScopeSpec{Name: "pii", Tenant: fmt.Sprint(i), KEKs: []string{testKEK}}
	}
	return specs
}

func TestWarmGetsAllKeysWithinTheFanOutAndSpreadsThem(t *testing.T) {
	noFIPS(t)
	synctest.Test(t, func(t *testing.T) {
		fake := kmstest.NewFake()
		var running, most atomic.Int64
		fake.Hook(func(context.Context, kmstest.Op, string) error {
			now := running.Add(1)
			for m := most.Load(); now > m && !most.CompareAndSwap(m, now); m = most.Load() {
			}
			pass(30 * time.Millisecond)
			running.Add(-1)
			return nil
		})
		c := newCache(t, fake)
		if err := c.Ready(); err != nil {
			t.Errorf("nothing is required: %v", err)
		}
		start := time.Now()
		if err := c.Warm(t.Context(), specsFor(1000)...); err != nil {
			t.Fatal(err)
		}
		if most.Load() > 20 || fake.Calls(kmstest.OpGenerate) != 1000 || c.Ready() != nil {
			t.Errorf("%d calls at once, %d keys, ready: %v", most.Load(), fake.Calls(kmstest.OpGenerate), c.Ready())
		}
		if d := time.Since(start); d > 4*time.Second {
			t.Errorf("it took %v", d) // 1,000 keys of 60 ms, 20 at a time
		}
		if err := c.Warm(t.Context()); err != nil {
			t.Errorf("nothing to warm: %v", err)
		}
	})
}

// A slow KMS and many scopes: each key needs two calls, and none may starve.
func TestAThousandScopesWarmAtASlowKMS(t *testing.T) {
	noFIPS(t)
	synctest.Test(t, func(t *testing.T) {
		fake := kmstest.NewFake()
		fake.Hook(func(context.Context, kmstest.Op, string) error { pass(2 * time.Second); return nil })
		c := newCache(t, fake)
		if err := c.Warm(t.Context(), specsFor(1000)...); err != nil {
			t.Fatal(err)
		}
		// Warming takes 200 s, in which the first keys are renewed.
		if g := fake.Calls(kmstest.OpGenerate); g < 1000 || g > 1300 {
			t.Errorf("%d keys were made for 1,000 scopes", g)
		}
		c.Close()
		pass(time.Minute) // for the fetches that are under way
	})
}

func TestAProcessThatStartsWithoutAKMSBecomesReadyByItself(t *testing.T) {
	for _, scopes := range []int{1, 200} {
		t.Run(fmt.Sprint(scopes, " scopes"), func(t *testing.T) {
			noFIPS(t)
			synctest.Test(t, func(t *testing.T) {
				fake := kmstest.NewFake()
				fake.Fail(kms.ErrUnavailable)
				c := newCache(t, fake)
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
				defer cancel()
				start := time.Now()
				err := c.Warm(ctx, specsFor(scopes)...)
				if !errors.Is(err, ErrUnavailable) || errors.Is(err, ErrUnusable) || time.Since(start) != 30*time.Second {
					t.Fatalf("after %v: %v", time.Since(start), err)
				}
				if lines := strings.Count(err.Error(), "\n"); lines > maxShown {
					t.Errorf("an error of %d lines", lines)
				}
				pass(3 * time.Minute)
				if c.Ready() == nil {
					t.Error("ready without a key")
				}
				before := fake.Calls(kmstest.OpGenerate)
				pass(time.Minute)
				if n := fake.Calls(kmstest.OpGenerate) - before; n < 12 || n > 18 {
					t.Errorf("%d probes in a minute", n)
				}
				fake.Fail(nil)
				back := time.Now()
				for c.Ready() != nil {
					if time.Since(back) > 6*time.Second {
						t.Fatal("not ready within 6 s of the KMS coming back")
					}
					pass(50 * time.Millisecond)
				}
				if d := time.Since(back); d > 5*time.Second {
					t.Errorf("ready after %v", d)
				}
			})
		})
	}
}

func TestReadinessGoesOnlyWhenAllScopesAreDown(t *testing.T) {
	noFIPS(t)
	synctest.Test(t, func(t *testing.T) {
		fake := kmstest.NewFake()
		fake.Hook(failFor("fake:b", kms.ErrUnavailable))
		c := newCache(t, fake)
		specs := []ScopeSpec{{Name: "a", KEKs: []string{"fake:a"}}, {Name: "b", KEKs: []string{"fake:b"}}}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		if err := c.Warm(ctx, specs...); err == nil || c.Ready() == nil || !strings.Contains(c.Ready().Error(), `"b"`) {
			t.Fatalf("one of two: Warm %v, Ready %v", err, c.Ready())
		}
		fake.Hook(nil)
		pass(probeMax + time.Second)
		if err := c.Ready(); err != nil {
			t.Fatalf("both: %v", err)
		}
		fake.Hook(failFor("fake:b", kms.ErrUnavailable))
		pass(2 * time.Hour)
		if err := c.Ready(); err != nil {
			t.Errorf("one of two is down for long: %v", err)
		}
		fake.Fail(kms.ErrUnavailable)
		pass(2 * time.Hour)
		if c.Ready() == nil || c.Stats().Ready {
			t.Error("ready with no key at all")
		}
		fake.Fail(nil)
		fake.Hook(nil)
		pass(probeMax + time.Second)
		if err := c.Ready(); err != nil {
			t.Errorf("both again: %v", err)
		}
		c.Close()
		if c.Ready() == nil || c.Warm(t.Context(), specs...) == nil {
			t.Error("a closed cache is ready")
		}
	})
}

func TestWarmDoesNotWaitForWhatWasRefusedForGood(t *testing.T) {
	noFIPS(t)
	synctest.Test(t, func(t *testing.T) {
		fake := kmstest.NewFake()
		fake.Hook(failFor("fake:b", kms.ErrDenied))
		c := newCache(t, fake)
		start := time.Now()
		err := c.Warm(t.Context(), ScopeSpec{Name: "a", KEKs: []string{"fake:a"}}, ScopeSpec{Name: "b", KEKs: []string{"fake:b"}})
		if !errors.Is(err, ErrUnusable) || !errors.Is(err, kms.ErrDenied) || time.Since(start) > time.Second {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		// And goes on asking, at the rate of refusals.
		before := fake.Calls(kmstest.OpGenerate)
		pass(5 * time.Minute)
		if n := fake.Calls(kmstest.OpGenerate) - before; n < 9 || n > 11 {
			t.Errorf("%d calls in five minutes", n)
		}
		fake.Hook(nil)
		pass(refusalTime + time.Second)
		if err := c.Ready(); err != nil {
			t.Error(err)
		}
	})
}

func TestAWarmScopeStaysWarmWithoutCallers(t *testing.T) {
	noFIPS(t)
	synctest.Test(t, func(t *testing.T) {
		fake := kmstest.NewFake()
		c := newCache(t, fake)
		block := newBlock(t, fake, "")
		domain := DomainSpec{Name: "join", KEKs: []string{testKEK}, Blocks: [][]byte{block}}
		if err := errors.Join(c.Warm(t.Context(), specsFor(1)...), c.WarmDomains(t.Context(), domain)); err != nil {
			t.Fatal(err)
		}
		start, before := time.Now(), fake.Calls(kmstest.OpGenerate)
		for time.Since(start) < 24*time.Hour {
			pass(time.Minute)
			if err := c.Ready(); err != nil {
				t.Fatalf("after %v: %v", time.Since(start), err)
			}
			if k := c.Stats().Keys[0]; k.Warm != 1 || k.Left < DefaultExpire-DefaultExpire/3 {
				t.Fatalf("after %v: %+v", time.Since(start), k)
			}
		}
		if n := fake.Calls(kmstest.OpGenerate) - before; n < 96 || n > 98 {
			t.Errorf("%d keys in a day", n)
		}
	})
}

func TestMoreScopesThanTheBoundCannotBeKeptWarm(t *testing.T) {
	c := newCache(t, kmstest.NewFake(), WithMaxScopes(10))
	if err := c.Warm(t.Context(), specsFor(11)...); !errors.Is(err, ErrUnusable) {
		t.Errorf("err = %v", err)
	}
	if err := c.Warm(t.Context(), specsFor(10)...); err != nil {
		t.Error(err)
	}
	// Those that are kept warm are not evicted by others.
	for i := range 100 {
		sealOne(t, c.testScope(t, ScopeSpec{Name: "other", Tenant: fmt.Sprint(i)}).NewSealer(), "x")
	}
	if err := c.Ready(); err != nil {
		t.Error(err)
	}
}
