package datakey

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/kmstest"
)

// callTimes records when a KMS was called.
type callTimes struct {
	mu sync.Mutex
	at []time.Time
}

func (c *callTimes) hook(context.Context, kmstest.Op, string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = append(c.at, time.Now())
	return nil
}

func (c *callTimes) times() []time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.at)
}

// stateOf returns the circuit of the only endpoint.
func stateOf(t *testing.T, c *Cache) CircuitState {
	t.Helper()
	all := c.Stats().Endpoints
	if len(all) != 1 {
		t.Fatalf("%d endpoints", len(all))
	}
	return all[0].Circuit
}

func TestFiveFailuresInARowOpenTheCircuitAndAnAnswerClosesIt(t *testing.T) {
	noFIPS(t)
	synctest.Test(t, func(t *testing.T) {
		fake, calls := kmstest.NewFake(), new(callTimes)
		fake.Hook(calls.hook)
		fake.Fail(kms.ErrThrottled)
		c := newCache(t, fake)
		s := c.testScope(t, ScopeSpec{})
		reserve := func() error { return s.NewSealer().Reserve(t.Context(), 1, 1) }
		if err := reserve(); !errors.Is(err, kms.ErrThrottled) || stateOf(t, c) != CircuitClosed {
			t.Fatalf("after three failures: %v, %v", err, stateOf(t, c))
		}
		pass(failureTime)
		// The third try is not made: the second was the fifth failure.
		if err := reserve(); !errors.Is(err, kms.ErrThrottled) || len(calls.times()) != 5 || stateOf(t, c) != CircuitOpen {
			t.Fatalf("%v; %d calls, %v", err, len(calls.times()), stateOf(t, c))
		}
		opened := time.Now()
		for time.Since(opened) < probeMin-time.Millisecond {
			before := time.Now()
			err := reserve()
			if !errors.Is(err, ErrUnavailable) || !errors.Is(err, kms.ErrThrottled) || time.Since(before) != 0 {
				t.Fatalf("while it is open: %v after %v", err, time.Since(before))
			}
			// Not beyond the moment when a probe may go out.
			pass(min(10*time.Millisecond, probeMin-time.Millisecond-time.Since(opened)))
		}
		if n := len(calls.times()); n != 5 {
			t.Fatalf("%d calls went out while it was open", n-5)
		}
		pass(probeMax - probeMin + 2*time.Millisecond)
		if got := stateOf(t, c); got != CircuitHalfOpen {
			t.Errorf("state %v when a probe is due", got)
		}
		if err := reserve(); err == nil || len(calls.times()) != 6 {
			t.Errorf("the probe: %v, %d calls", err, len(calls.times()))
		}
		if err := reserve(); !errors.Is(err, kms.ErrThrottled) || len(calls.times()) != 6 {
			t.Errorf("after the probe failed: %v, %d calls", err, len(calls.times()))
		}
		// An answer is an answer, also one that refuses.
		fake.Fail(kms.ErrDenied)
		pass(probeMax)
		if err := reserve(); !errors.Is(err, kms.ErrDenied) || stateOf(t, c) != CircuitClosed {
			t.Errorf("a probe that is answered: %v, %v", err, stateOf(t, c))
		}
	})
}

func TestOneProbeGoesOutHoweverManyScopesAsk(t *testing.T) {
	noFIPS(t)
	synctest.Test(t, func(t *testing.T) {
		fake := kmstest.NewFake()
		fake.Fail(kms.ErrUnavailable)
		c := newCache(t, fake)
		var scopes []*Scope
		for i := range 100 {
			scopes = append(scopes, c.testScope(t, ScopeSpec{Tenant: fmt.Sprint(i)}))
		}
		ask := func() {
			var wg sync.WaitGroup
			for _, s := range scopes {
				wg.Go(func() { _ = s.NewSealer().Reserve(t.Context(), 1, 1) })
			}
			wg.Wait()
		}
		ask()
		pass(probeMax)
		before := fake.Calls(kmstest.OpGenerate)
		fake.Hook(func(context.Context, kmstest.Op, string) error { pass(time.Second); return nil })
		ask()
		if n := fake.Calls(kmstest.OpGenerate) - before; n != 1 {
			t.Errorf("%d probes at a time", n)
		}
		// All come back as soon as the probe is answered, with no wait of their own.
		fake.Fail(nil)
		pass(probeMax)
		start := time.Now()
		for c.Stats().Keys[0].Warm < len(scopes) && time.Since(start) < time.Minute {
			ask()
			pass(100 * time.Millisecond)
		}
		// 100 keys of two calls of a second each, 20 at a time, behind the probe.
		if d := time.Since(start); d > 15*time.Second {
			t.Errorf("all are back after %v", d)
		}
	})
}

func TestAnEndpointThatFailsDoesNotStopAnother(t *testing.T) {
	noFIPS(t)
	synctest.Test(t, func(t *testing.T) {
		fake := kmstest.NewFake()
		fake.Hook(func(ctx context.Context, _ kmstest.Op, kek string) error {
			if strings.Contains(kek, "one") {
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		})
		c := newCache(t, fake, WithFanOut(2))
		for i := range 10 {
			s := c.testScope(t, ScopeSpec{Name: "one", Tenant: fmt.Sprint(i), KEKs: []string{"fake:https://one/k"}})
			go func() { _ = s.NewSealer().Reserve(t.Context(), 1, 1) }()
		}
		synctest.Wait()
		start := time.Now()
		if err := c.testScope(t, ScopeSpec{Name: "two", KEKs: []string{"fake:https://two/k"}}).NewSealer().Reserve(t.Context(), 1, 1); err != nil || time.Since(start) != 0 {
			t.Errorf("the other endpoint: %v after %v", err, time.Since(start))
		}
		pass(time.Minute)
		for _, e := range c.Stats().Endpoints {
			if want := map[string]CircuitState{"fake:one": CircuitHalfOpen, "fake:two": CircuitClosed}[e.Endpoint]; e.Circuit != want {
				t.Errorf("%s: circuit %v, want %v", e.Endpoint, e.Circuit, want)
			}
		}
	})
}

func TestRetriesAreATenthOfTheCallsAfterABurst(t *testing.T) {
	e := newEndpoint("x", 1)
	burst := 0
	for e.spend() {
		burst++
	}
	if burst != retryBurst {
		t.Errorf("a burst of %d", burst)
	}
	retries := 0
	for range 1000 {
		e.earn()
		for e.spend() {
			retries++
		}
	}
	if retries != 100 {
		t.Errorf("%d retries for 1,000 calls", retries)
	}
}

func TestADefinitiveAnswerIsNeverRetried(t *testing.T) {
	for _, class := range []error{kms.ErrDenied, kms.ErrNotFound, kms.ErrDisabled, kms.ErrCorrupt, kms.ErrInvalid} {
		fake := kmstest.NewFake()
		fake.Fail(class)
		err := newCache(t, fake).testScope(t, ScopeSpec{}).NewSealer().Reserve(t.Context(), 1, 1)
		if g := fake.Calls(kmstest.OpGenerate); g != 1 || !errors.Is(err, class) {
			t.Errorf("%v: %d calls, %v", class, g, err)
		}
	}
}

func TestEndpointsAreBounded(t *testing.T) {
	c := newCache(t, kmstest.NewFake())
	for i := range maxEndpoints + 500 {
		c.wrapper.endpoint(fmt.Sprintf("fake:https://tenant-%d/k", i))
	}
	if n := len(c.wrapper.endpoints); n != maxEndpoints+1 {
		t.Errorf("%d endpoints", n)
	}
	if a, b := c.wrapper.endpoint("fake:https://new/k"), c.wrapper.endpoint("fake:https://newer/k"); a != b || a.name != otherEndpoints {
		t.Errorf("beyond the bound: %q and %q", a.name, b.name)
	}
}

// Bar: a KMS that refuses, 1,000 requests a second for 60 seconds.
func TestAThousandScopesDoNotStormAKMSThatFails(t *testing.T) {
	noFIPS(t)
	synctest.Test(t, func(t *testing.T) {
		fake, calls := kmstest.NewFake(), new(callTimes)
		fake.Hook(calls.hook)
		fake.Fail(kms.ErrUnavailable)
		c := newCache(t, fake)
		var scopes []*Scope
		for i := range 1000 {
			scopes = append(scopes, c.testScope(t, ScopeSpec{Tenant: fmt.Sprint(i)}))
		}
		var wg sync.WaitGroup
		start := time.Now()
		for n := range 60_000 {
			at(start, time.Duration(n)*time.Millisecond)
			wg.Go(func() {
				before := time.Now()
				err := scopes[n%1000].NewSealer().Reserve(t.Context(), 1, 1)
				if !errors.Is(err, ErrUnavailable) {
					t.Errorf("err = %v", err)
				}
				if n > 10_000 && time.Since(before) > 50*time.Millisecond {
					t.Errorf("failed after %v", time.Since(before))
				}
			})
		}
		wg.Wait()
		after := map[int64]int{}
		total := 0
		for _, at := range calls.times() {
			if d := at.Sub(start); d > time.Second {
				after[int64(d/time.Second)]++
				total++
			}
		}
		for second, n := range after {
			if n > 2 {
				t.Errorf("%d calls in second %d", n, second)
			}
		}
		if total < 10 || total > 16 || stateOf(t, c) == CircuitClosed {
			t.Errorf("%d probes in a minute, %v", total, stateOf(t, c))
		}
	})
}
