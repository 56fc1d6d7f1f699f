package datakey

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/kmstest"
)

// failFor fails all calls for one KEK.
func failFor(kek string, err error) func(context.Context, kmstest.Op, string) error {
	return func(_ context.Context, _ kmstest.Op, k string) error {
		if k == kek {
			return err
		}
		return nil
	}
}

// F3 of the fault table: the KMS is down from minute 1 on.
func TestAnOutageStopsOneScopeAtItsHardLimitAndNoOther(t *testing.T) {
	noFIPS(t)
	synctest.Test(t, func(t *testing.T) {
		fake := kmstest.NewFake()
		c := newCache(t, fake)
		w := c.testScope(t, ScopeSpec{}).NewSealer()
		other := c.testScope(t, ScopeSpec{Name: "other", KEKs: []string{"fake:other"}}).NewSealer()
		start := time.Now()
		sealOne(t, w, "x")
		sealOne(t, other, "x")
		first, otherFirst := w.KeyID(), other.KeyID()
		at(start, time.Minute)
		fake.Hook(failFor(testKEK, kms.ErrUnavailable))
		for d := time.Minute; d < time.Hour; d += time.Second {
			at(start, d)
			sealOne(t, w, "x")
			sealOne(t, other, "x")
			if w.KeyID() != first || time.Since(start) != d {
				t.Fatalf("after %v: same key %v, %v passed", d, w.KeyID() == first, time.Since(start))
			}
		}
		at(start, time.Hour-1)
		sealOne(t, w, "x")
		at(start, time.Hour)
		err := w.Reserve(t.Context(), 1, 1)
		if !errors.Is(err, ErrUnavailable) || !errors.Is(err, kms.ErrUnavailable) || errors.Is(err, ErrUnusable) {
			t.Fatalf("at the hard limit: %v", err)
		}
		if current(w.scope) != nil {
			t.Error("the expired key is still there")
		}
		sealOne(t, other, "x")
		if other.KeyID() == otherFirst {
			t.Error("the other scope does not roll over")
		}

		at(start, 2*time.Hour)
		if err := w.Reserve(t.Context(), 1, 1); !errors.Is(err, ErrUnavailable) {
			t.Errorf("after two hours: %v", err)
		}
		fake.Hook(nil)
		back := time.Now()
		for w.Reserve(t.Context(), 1, 1) != nil {
			pass(10 * time.Millisecond)
			if time.Since(back) > 5*time.Second {
				t.Fatal("no recovery within 5 s")
			}
		}
		sealOne(t, w, "x")
		if w.KeyID() == first {
			t.Error("an expired key came back")
		}
	})
}

func TestAWarmScopeRecoversInTheBackground(t *testing.T) {
	noFIPS(t)
	synctest.Test(t, func(t *testing.T) {
		fake := kmstest.NewFake()
		c := newCache(t, fake)
		w := c.testScope(t, ScopeSpec{}).NewSealer()
		start := time.Now()
		sealOne(t, w, "x")
		first := w.KeyID()
		fake.Fail(kms.ErrThrottled)
		for d := time.Minute; d < 30*time.Minute; d += time.Second {
			at(start, d)
			sealOne(t, w, "x")
		}
		fake.Fail(nil)
		for d := 30 * time.Minute; w.KeyID() == first; d += time.Second {
			if d > 30*time.Minute+retryMax+2*time.Second {
				t.Fatalf("no new key %v after the KMS came back", d-30*time.Minute)
			}
			at(start, d)
			sealOne(t, w, "x")
		}
	})
}

func TestAFailingKMSIsNotStormed(t *testing.T) {
	for name, err := range map[string]error{
		"down": kms.ErrUnavailable, "throttling": kms.ErrThrottled, "failing with an error of no class": errors.New("odd"),
	} {
		t.Run(name, func(t *testing.T) {
			noFIPS(t)
			synctest.Test(t, func(t *testing.T) {
				fake := kmstest.NewFake()
				fake.Fail(err)
				c := newCache(t, fake)
				s := c.testScope(t, ScopeSpec{})
				start := time.Now()
				for n := range 60_000 { // 1,000 callers a second
					at(start, time.Duration(n)*time.Millisecond)
					go func() {
						if err := s.NewSealer().Reserve(t.Context(), 1, 1); !errors.Is(err, ErrUnavailable) {
							t.Errorf("err = %v", err)
						}
					}()
				}
				// Five failures open the circuit; then one probe in 3.5 to 5 seconds.
				if g := fake.Calls(kmstest.OpGenerate); g < circuitFailures+60/5-1 || g > circuitFailures+60/4 {
					t.Errorf("%d calls in a minute", g)
				}
				pass(time.Minute)
				c.Close()
			})
		})
	}
}

func TestAFailingKMSIsNotStormedByAWarmScope(t *testing.T) {
	noFIPS(t)
	synctest.Test(t, func(t *testing.T) {
		fake := kmstest.NewFake()
		c := newCache(t, fake)
		w := c.testScope(t, ScopeSpec{}).NewSealer()
		start := time.Now()
		sealOne(t, w, "x")
		fake.Fail(kms.ErrUnavailable)
		at(start, 12*time.Minute)
		current(w.scope).seals.Store(w.scope.spec.Limits.aheadSeals()) // the next key is due
		before := fake.Calls(kmstest.OpGenerate)
		for n := range 60_000 {
			at(start, 12*time.Minute+time.Duration(n)*time.Millisecond)
			sealOne(t, w, "x")
			if n%10 == 0 { // one that has no lease yet and sees the key's age
				sealOne(t, w.scope.NewSealer(), "x")
			}
		}
		if g := fake.Calls(kmstest.OpGenerate) - before; g < 4 || g > circuitFailures+60/4 {
			t.Errorf("%d calls in a minute", g)
		}
		pass(time.Minute) // a fetch in the background may be between two tries
	})
}

func TestAFailureThatPassesIsNotSeen(t *testing.T) {
	noFIPS(t)
	synctest.Test(t, func(t *testing.T) {
		fake := kmstest.NewFake()
		c := newCache(t, fake)
		fake.FailNext(2, kms.ErrThrottled)
		if err := c.testScope(t, ScopeSpec{}).NewSealer().Reserve(t.Context(), 1, 1); err != nil {
			t.Error(err)
		}
		if g := fake.Calls(kmstest.OpGenerate); g != 3 {
			t.Errorf("%d calls, want 3", g)
		}
	})
}

func TestACallIsTriedThreeTimes(t *testing.T) {
	noFIPS(t)
	synctest.Test(t, func(t *testing.T) {
		fake := kmstest.NewFake()
		fake.FailNext(attempts, kms.ErrUnavailable)
		if err := newCache(t, fake).testScope(t, ScopeSpec{}).NewSealer().Reserve(t.Context(), 1, 1); !errors.Is(err, ErrUnavailable) {
			t.Errorf("err = %v", err)
		}
		if g := fake.Calls(kmstest.OpGenerate); g != 3 {
			t.Errorf("%d calls, want 3", g)
		}
	})
}

func TestAKMSThatHangsIsGivenUpAfterTheCallTimeout(t *testing.T) {
	noFIPS(t)
	synctest.Test(t, func(t *testing.T) {
		fake := kmstest.NewFake()
		fake.Hook(func(ctx context.Context, _ kmstest.Op, _ string) error {
			<-ctx.Done()
			return ctx.Err()
		})
		c := newCache(t, fake, WithCallTimeout(3*time.Second), WithFanOut(1))
		one, two := c.testScope(t, ScopeSpec{Name: "one"}), c.testScope(t, ScopeSpec{Name: "two"})
		start := time.Now()
		done := make(chan error)
		go func() { done <- two.NewSealer().Reserve(t.Context(), 1, 1) }()
		if err := one.NewSealer().Reserve(t.Context(), 1, 1); !errors.Is(err, ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("err = %v", err)
		}
		first := time.Since(start)
		if err := <-done; !errors.Is(err, ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("behind the fan-out: %v", err)
		}
		// The time of waiting for a turn is not the time of the call.
		if d := time.Since(start); min(first, d) != 3*time.Second && d != 6*time.Second {
			t.Errorf("given up after %v and %v", first, d)
		}
	})
}

// F4: asked once, and then not at the rate of the callers.
func TestADefinitiveAnswerStandsForHalfAMinute(t *testing.T) {
	for _, class := range []error{kms.ErrDenied, kms.ErrDisabled, kms.ErrNotFound, kms.ErrInvalid} {
		t.Run(class.Error(), func(t *testing.T) {
			noFIPS(t)
			synctest.Test(t, func(t *testing.T) {
				fake := kmstest.NewFake()
				fake.Fail(class)
				c := newCache(t, fake)
				w := c.testScope(t, ScopeSpec{}).NewSealer()
				start := time.Now()
				for d := time.Duration(0); d < 90*time.Second; d += 100 * time.Millisecond {
					at(start, d)
					err := w.Reserve(t.Context(), 1, 1)
					if !errors.Is(err, ErrUnusable) || !errors.Is(err, class) || errors.Is(err, ErrUnavailable) {
						t.Fatalf("after %v: %v", d, err)
					}
					if !strings.Contains(err.Error(), `"pii"`) || !strings.Contains(err.Error(), testKEK) {
						t.Fatalf("the error names no key: %v", err)
					}
					if g, want := fake.Calls(kmstest.OpGenerate), 1+int(d/(30*time.Second)); g != want {
						t.Fatalf("after %v: %d calls, want %d", d, g, want)
					}
				}
				fake.Fail(nil) // an operator acts
				at(start, 90*time.Second)
				if err := w.Reserve(t.Context(), 1, 1); err != nil {
					t.Errorf("the probe: %v", err)
				}
			})
		})
	}
}

// FV-4 and fault F5: what the KMS answers would lock values away for ever.
func TestFV4AnAnswerThatDoesNotMatchNeverSeals(t *testing.T) {
	tests := []struct {
		name  string
		op    kmstest.Op
		fault kmstest.Fault
		want  error
	}{
		{"the key is not the wrapped one", kmstest.OpGenerate, kmstest.WrongPlain, ErrCommitment},
		{"unwrapping gives another key", kmstest.OpUnwrap, kmstest.WrongPlain, ErrCommitment},
		{"the key has 31 bytes", kmstest.OpGenerate, kmstest.ShortPlain, errKeyLength},
		{"the key has 33 bytes", kmstest.OpGenerate, kmstest.LongPlain, errKeyLength},
		{"there is no key", kmstest.OpGenerate, kmstest.EmptyPlain, errKeyLength},
		{"unwrapping gives 31 bytes", kmstest.OpUnwrap, kmstest.ShortPlain, errKeyLength},
		{"unwrapping gives 33 bytes", kmstest.OpUnwrap, kmstest.LongPlain, errKeyLength},
		{"unwrapping gives nothing", kmstest.OpUnwrap, kmstest.EmptyPlain, errKeyLength},
		{"there is no wrapped key", kmstest.OpGenerate, kmstest.EmptyWrapped, kms.ErrCorrupt},
		{"the wrapped key is damaged", kmstest.OpGenerate, kmstest.WrongWrapped, kms.ErrCorrupt},
		{"the wrapped key is huge", kmstest.OpGenerate, kmstest.HugeWrapped, kms.ErrCorrupt},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			noFIPS(t)
			synctest.Test(t, func(t *testing.T) {
				fake, store := kmstest.NewFake(), new(MemStore)
				fake.Corrupt(tt.op, tt.fault)
				c := newCache(t, fake, WithStore(store))
				s := c.testScope(t, ScopeSpec{})
				for range 3 {
					err := s.NewSealer().Reserve(t.Context(), 1, 1)
					if !errors.Is(err, ErrUnusable) || !errors.Is(err, tt.want) {
						t.Fatalf("err = %v", err)
					}
				}
				if key, next := holds(s); key || next || store.Len() != 0 || kept(c) != 0 {
					t.Error("the key is kept")
				}
				fake.Corrupt(tt.op, kmstest.Sound)
				pass(refusalTime)
				synctest.Wait()
				if err := s.NewSealer().Reserve(t.Context(), 1, 1); err != nil {
					t.Errorf("a sound KMS: %v", err)
				}
			})
		})
	}
}

// A wrapped key that is longer than a block holds, from a KMS that opens it.
func TestFV30AWrappedKeyThatFitsNoBlockIsRefused(t *testing.T) {
	noFIPS(t)
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, hugeKMS{})
		if err := c.testScope(t, ScopeSpec{}).NewSealer().Reserve(t.Context(), 1, 1); !errors.Is(err, ErrUnusable) {
			t.Errorf("err = %v", err)
		}
	})
}

type hugeKMS struct{}

func (hugeKMS) Generate(context.Context, string, kms.EncryptionContext) (plain, wrapped []byte, err error) {
	return make([]byte, 32), make([]byte, 17_000), nil
}

func (hugeKMS) Unwrap(_ context.Context, _ string, wrapped []byte, _ kms.EncryptionContext) ([]byte, error) {
	return wrapped[:32:32], nil
}
