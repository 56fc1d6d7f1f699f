package datakey

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/kmstest"
	"github.com/fieldveil/fieldveil/internal/envelope"
	"github.com/fieldveil/fieldveil/tokenize"
)

// Bar: the last seal is at most Refresh and five seconds after the KEK was
// disabled, whenever that was, and however many records there are.
func TestTheLastSealIsFiveSecondsAfterRefreshAtTheLatest(t *testing.T) {
	for _, class := range []error{kms.ErrDisabled, kms.ErrDenied, kms.ErrNotFound} {
		for _, gap := range []time.Duration{100 * time.Millisecond, 7 * time.Minute, 16 * time.Minute} {
			for _, disabled := range []time.Duration{time.Second, 10 * time.Minute, 33 * time.Minute} {
				t.Run(fmt.Sprintf("%v, a record each %v, after %v", class, gap, disabled), func(t *testing.T) {
					noFIPS(t)
					synctest.Test(t, func(t *testing.T) {
						fake := kmstest.NewFake()
						c := newCache(t, fake)
						s := c.testScope(t, ScopeSpec{})
						w, start := s.NewSealer(), time.Now()
						var last time.Time
						sealOne(t, w, "x")
						for d := time.Duration(0); d < 2*time.Hour; d += gap {
							if d >= disabled {
								fake.Fail(class)
							}
							at(start, d)
							err := w.Reserve(t.Context(), 1, 1)
							if err == nil {
								last = time.Now()
							} else if !errors.Is(err, ErrUnusable) || !errors.Is(err, class) {
								t.Fatalf("after %v: %v", d, err)
							}
						}
						if late := last.Sub(start) - disabled; late > DefaultRefresh+confirmTime {
							t.Errorf("the last seal was %v after", late)
						}
						if _, err := s.Opener(t.Context(), w.KeyID(), [][]byte{w.KeyBlock()}); !errors.Is(err, ErrUnusable) {
							t.Errorf("opening goes on: %v", err)
						}
						if k, n := holds(s); k || n || kept(c) != 0 {
							t.Error("keys are left")
						}
					})
				})
			}
		}
	}
}

func TestARefusalOfAFreshKeyIsConfirmedFirst(t *testing.T) {
	noFIPS(t)
	synctest.Test(t, func(t *testing.T) {
		fake, calls := kmstest.NewFake(), new(callTimes)
		c := newCache(t, fake, drawing(lateDraw))
		s := c.testScope(t, ScopeSpec{})
		w, start := s.NewSealer(), time.Now()
		sealOne(t, w, "x")
		first := w.KeyID()
		due := current(s).dueAt.Sub(start)
		fake.Hook(calls.hook)
		fake.Fail(kms.ErrNotFound) // as a service says while a change spreads
		at(start, due)
		sealOne(t, w, "x")
		synctest.Wait()
		at(start, due+confirmTime-1)
		sealOne(t, w, "x")
		if w.KeyID() != first || len(calls.times()) != 1 {
			t.Fatalf("before it is confirmed: %d calls", len(calls.times()))
		}
		fake.Fail(nil)
		at(start, due+confirmTime)
		sealOne(t, w, "x")
		if len(calls.times()) != 3 || w.KeyID() != first || s.suspect {
			t.Errorf("it was not asked again: %d calls", len(calls.times()))
		}
		at(start, due+3*time.Minute)
		sealOne(t, w, "x")
		if w.KeyID() == first {
			t.Error("the key of the second answer does not take over")
		}
	})
}

func TestAnOutageBetweenTheTwoAnswersLeavesTheQuestionOpen(t *testing.T) {
	noFIPS(t)
	synctest.Test(t, func(t *testing.T) {
		fake := kmstest.NewFake()
		c := newCache(t, fake, drawing(lateDraw))
		s := c.testScope(t, ScopeSpec{})
		w, start := s.NewSealer(), time.Now()
		sealOne(t, w, "x")
		due := current(s).dueAt.Sub(start)
		fake.Fail(kms.ErrDenied)
		at(start, due)
		sealOne(t, w, "x")
		synctest.Wait()
		fake.Fail(kms.ErrUnavailable)
		for d := due + time.Second; d < due+time.Minute; d += time.Second {
			at(start, d)
			sealOne(t, w, "x")
		}
		fake.Fail(kms.ErrDenied)
		at(start, due+time.Minute+confirmTime+probeMax)
		if err := w.Reserve(t.Context(), 1, 1); !errors.Is(err, kms.ErrDenied) {
			t.Errorf("err = %v", err)
		}
	})
}

// What a KMS says about one answer of its own is no word about the KEK.
func TestACorruptAnswerDoesNotEndAFreshKey(t *testing.T) {
	noFIPS(t)
	synctest.Test(t, func(t *testing.T) {
		fake := kmstest.NewFake()
		c := newCache(t, fake, drawing(lateDraw))
		s := c.testScope(t, ScopeSpec{})
		w, start := s.NewSealer(), time.Now()
		sealOne(t, w, "x")
		first := w.KeyID()
		fake.Corrupt(kmstest.OpGenerate, kmstest.WrongWrapped)
		for d := time.Duration(0); d < 59*time.Minute; d += time.Second {
			at(start, d)
			sealOne(t, w, "x")
		}
		if w.KeyID() != first {
			t.Error("another key came from nowhere")
		}
	})
}

func TestADisabledKEKEndsADomainKey(t *testing.T) {
	for _, gap := range []time.Duration{time.Second, 16 * time.Minute} {
		t.Run(gap.String(), func(t *testing.T) {
			noFIPS(t)
			synctest.Test(t, func(t *testing.T) {
				fake := kmstest.NewFake()
				d := oneDomain(t, fake, newBlock(t, fake, ""))
				w, start := d.NewSealer(), time.Now()
				sealIn(t, d, "jane")
				o := d.Cached(w.KeyID())
				at(start, time.Minute)
				fake.Fail(kms.ErrDisabled)
				var last time.Duration
				for time.Since(start) < 2*time.Hour {
					pass(gap)
					if err := w.Reserve(t.Context(), 1, 1); err == nil {
						last = time.Since(start)
						w.Done()
					} else if !errors.Is(err, ErrUnusable) || !errors.Is(err, kms.ErrDisabled) {
						t.Fatalf("%v", err)
					}
				}
				if last > time.Minute+DefaultRefresh+confirmTime {
					t.Errorf("the last seal was after %v", last)
				}
				if !o.Expired() || d.Cached(w.KeyID()) != nil {
					t.Error("opening goes on")
				}
				fake.Fail(nil)
				pass(refusalTime)
				sealIn(t, d, "jane")
			})
		})
	}
}

func TestReadersDoNotRepeatAQuestionThatWasRefused(t *testing.T) {
	tests := []struct {
		name  string
		class error
		calls int // for 20 keys of one KEK
	}{
		{"a version of the KEK may be disabled, and others not", kms.ErrDisabled, 20},
		{"a version of the KEK may be gone, and others not", kms.ErrNotFound, 20},
		{"what may be the fault of the block is asked for each", kms.ErrDenied, 20},
		{"a damaged block is no word about others", kms.ErrCorrupt, 20},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			noFIPS(t)
			synctest.Test(t, func(t *testing.T) {
				fake := kmstest.NewFake()
				var values []written
				for range 20 {
					values = append(values, write(t, fake, ScopeSpec{}, "jane"))
				}
				c := newCache(t, fake)
				s := c.testScope(t, ScopeSpec{})
				fake.Fail(tt.class)
				calls, start := unwraps(fake), time.Now()
				for time.Since(start) < refusalTime {
					for _, v := range values {
						if _, err := s.Opener(t.Context(), v.id, v.blocks()); !errors.Is(err, ErrUnusable) || !errors.Is(err, tt.class) {
							t.Fatal(err)
						}
					}
					pass(100 * time.Millisecond)
				}
				if n := calls(); n != tt.calls {
					t.Errorf("%d calls in half a minute, want %d", n, tt.calls)
				}
				if n := c.Stats().Keys[0].Negatives; n < 20*299-20 {
					t.Errorf("%d answers are counted", n)
				}
				// Then one probe, and when it is answered all are served.
				fake.Fail(nil)
				for _, v := range values {
					if _, err := s.Opener(t.Context(), v.id, v.blocks()); err != nil {
						t.Fatal(err)
					}
				}
			})
		})
	}
}

// archive is a KMS that has put a version of its KEK away: that of the first key.
type archive struct {
	*kmstest.Fake

	old []byte
}

func (a *archive) Unwrap(ctx context.Context, kek string, wrapped []byte, ec kms.EncryptionContext) ([]byte, error) {
	if bytes.Equal(wrapped, a.old) {
		return nil, kms.ErrDisabled
	}
	return a.Fake.Unwrap(ctx, kek, wrapped, ec)
}

// Anybody can write a record with an old block.
func TestAnArchivedVersionOfTheKEKStopsNothingElse(t *testing.T) {
	service := &archive{Fake: kmstest.NewFake()}
	old, good := write(t, service, ScopeSpec{}, "jane"), write(t, service, ScopeSpec{}, "jane")
	kb, err := envelope.ParseKeyBlock(old.block)
	if err != nil {
		t.Fatal(err)
	}
	service.old = kb.Wrapped
	s := newCache(t, service).testScope(t, ScopeSpec{})
	for range 3 {
		if _, err := s.Opener(t.Context(), old.id, old.blocks()); !errors.Is(err, kms.ErrDisabled) {
			t.Errorf("a key under the archived version: %v", err)
		}
		if _, err := s.Opener(t.Context(), good.id, good.blocks()); err != nil {
			t.Errorf("a key under another version: %v", err)
		}
		if err := s.NewSealer().Reserve(t.Context(), 1, 1); err != nil {
			t.Errorf("a new key: %v", err)
		}
	}
}

func TestABadBlockUnderTheSameIdDoesNotSpoilTheGoodOne(t *testing.T) {
	fake := kmstest.NewFake()
	val := write(t, fake, ScopeSpec{}, "jane")
	bad := rebuild(t, val.block, func(k *envelope.KeyBlock) { k.Wrapped[5] ^= 1 })
	s := newCache(t, fake).testScope(t, ScopeSpec{})
	for range 3 {
		if _, err := s.Opener(t.Context(), val.id, [][]byte{bad}); !errors.Is(err, kms.ErrCorrupt) {
			t.Fatal(err)
		}
	}
	if _, err := s.Opener(t.Context(), val.id, [][]byte{bad, val.block}); err != nil {
		t.Error(err)
	}
}

func TestRememberedRefusalsAreBounded(t *testing.T) {
	n := newNegatives(10)
	now := time.Now()
	for i := range 1000 {
		n.put(aboutKEK(fmt.Sprint(i)), kms.ErrDenied, now)
	}
	if n.len() != 10 || len(n.entries) != 10 {
		t.Errorf("%d entries", n.len())
	}
	if err, _ := n.get(aboutKEK("999"), now, time.Second); !errors.Is(err, kms.ErrDenied) {
		t.Errorf("the newest is gone: %v", err)
	}
	n.forget("999")
	if err, _ := n.get(aboutKEK("999"), now, time.Second); err != nil || n.len() != 9 {
		t.Errorf("forgotten: %v, %d left", err, n.len())
	}
}

func TestWhileAProbeIsOutTheOthersKeepTheOldAnswer(t *testing.T) {
	n, now := newNegatives(10), time.Now()
	n.put(aboutKEK("k"), kms.ErrDisabled, now)
	later := now.Add(refusalTime)
	if err, _ := n.get(aboutKEK("k"), later, 10*time.Second); err != nil {
		t.Errorf("nobody may probe: %v", err)
	}
	if err, _ := n.get(aboutKEK("k"), later.Add(9*time.Second), 10*time.Second); err == nil {
		t.Error("a second probe")
	}
	if err, _ := n.get(aboutKEK("k"), later.Add(10*time.Second), 10*time.Second); err != nil {
		t.Errorf("a probe that never came back blocks for ever: %v", err)
	}
}

// Bar: an operator's event ends the use within a second.
func TestRecheckDropsWhatTheKMSRefuses(t *testing.T) {
	noFIPS(t)
	synctest.Test(t, func(t *testing.T) {
		fake := kmstest.NewFake()
		c := newCache(t, fake)
		w := c.testScope(t, ScopeSpec{}).NewSealer()
		other := c.testScope(t, ScopeSpec{Name: "other", KEKs: []string{"fake:other"}}).NewSealer()
		d := c.testDomain(t, DomainSpec{Blocks: [][]byte{newBlock(t, fake, "")}})
		val := write(t, fake, ScopeSpec{Tenant: "acme"}, "jane")
		reader := c.testScope(t, ScopeSpec{Tenant: "acme"})
		o, err := reader.Opener(t.Context(), val.id, val.blocks())
		if err != nil {
			t.Fatal(err)
		}
		sealOne(t, w, "x")
		sealOne(t, other, "x")
		sealIn(t, d, "jane")
		if err := c.Recheck(t.Context(), testKEK); err != nil {
			t.Fatalf("a KEK that is fine: %v", err)
		}
		if k, _ := holds(w.scope); !k || o.Expired() {
			t.Fatal("keys are gone though nothing is refused")
		}
		fake.Fail(kms.ErrUnavailable)
		if err := c.Recheck(t.Context(), testKEK); !errors.Is(err, ErrUnavailable) {
			t.Errorf("a KMS that cannot be asked: %v", err)
		}
		if k, _ := holds(w.scope); !k || o.Expired() {
			t.Fatal("keys are gone though nobody refused")
		}
		fake.Fail(nil)
		pass(probeMax)
		fake.Hook(failFor(testKEK, kms.ErrDisabled))
		start := time.Now()
		if err := c.Recheck(t.Context(), testKEK); !errors.Is(err, ErrUnusable) || !errors.Is(err, kms.ErrDisabled) {
			t.Errorf("err = %v", err)
		}
		if time.Since(start) > time.Second {
			t.Errorf("it took %v", time.Since(start))
		}
		for name, err := range map[string]error{
			"sealing": w.Reserve(t.Context(), 1, 1),
			"opening": func() error { _, err := reader.Opener(t.Context(), val.id, val.blocks()); return err }(),
			"domain":  d.NewSealer().Reserve(t.Context(), 1, 1),
		} {
			if !errors.Is(err, ErrUnusable) || !errors.Is(err, kms.ErrDisabled) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if !o.Expired() {
			t.Error("who holds an opener is not told")
		}
		if err := other.Reserve(t.Context(), 1, 1); err != nil {
			t.Errorf("another KEK: %v", err)
		}
		// Enabled again, and said so.
		fake.Hook(nil)
		if err := c.Recheck(t.Context(), testKEK); err != nil {
			t.Errorf("enabled again: %v", err)
		}
		if err := w.Reserve(t.Context(), 1, 1); err != nil {
			t.Errorf("enabled again: %v", err)
		}
		c.Close()
		if err := c.Recheck(t.Context(), testKEK); !errors.Is(err, ErrUnusable) {
			t.Errorf("closed: %v", err)
		}
	})
}

// After an outage the first question is the probe, and what the KMS answers it is
// about one key: the others are asked about too.
func TestRecheckAsksAboutEveryKeyWhileOneIsTheProbe(t *testing.T) {
	noFIPS(t)
	synctest.Test(t, func(t *testing.T) {
		fake := kmstest.NewFake()
		c := newCache(t, fake)
		var sealers []*Sealer
		for _, tenant := range []string{"a", "b", "c", "d"} {
			w := c.testScope(t, ScopeSpec{Tenant: tenant}).NewSealer()
			sealOne(t, w, "x")
			sealers = append(sealers, w)
		}
		fake.Fail(kms.ErrUnavailable)
		if err := c.Recheck(t.Context(), testKEK); !errors.Is(err, ErrUnavailable) {
			t.Fatalf("a KMS that cannot be asked: %v", err)
		}
		if c.wrapper.endpoint(testKEK).unwell() == nil {
			t.Fatal("the circuit is closed, so nothing is a probe")
		}
		fake.Fail(nil)
		pass(probeMax)
		asked := fake.Calls(kmstest.OpUnwrap)
		fake.Hook(func(context.Context, kmstest.Op, string) error {
			pass(time.Second) // so the others come while it is under way
			return kms.ErrDisabled
		})
		if err := c.Recheck(t.Context(), testKEK); !errors.Is(err, ErrUnusable) || !errors.Is(err, kms.ErrDisabled) {
			t.Errorf("err = %v", err)
		}
		if n := fake.Calls(kmstest.OpUnwrap) - asked; n != len(sealers) {
			t.Errorf("asked about %d keys of %d", n, len(sealers))
		}
		for _, w := range sealers {
			if k, _ := holds(w.scope); k {
				t.Errorf("the key of tenant %s is there still", w.scope.spec.Tenant)
			}
		}
	})
}

// What value keys are derived from is overwritten when the use of a key ends, and
// not while it is only unwrapped anew.
func TestADomainKeyThatEndsIsWiped(t *testing.T) {
	fake := kmstest.NewFake()
	c := newCache(t, fake)
	d := c.testDomain(t, DomainSpec{Blocks: [][]byte{newBlock(t, fake, "")}})
	o := domainOpener(t, d, d.KeyIDs()[0])
	derivation := o.m.derivation.Expose()
	if _, err := o.Hash([32]byte{1}, tokenize.HashHex); err != nil {
		t.Fatal(err)
	}
	fake.Fail(kms.ErrDisabled)
	if err := c.Recheck(t.Context(), testKEK); !errors.Is(err, kms.ErrDisabled) {
		t.Fatal(err)
	}
	if !bytes.Equal(derivation, make([]byte, valueKeySize)) {
		t.Error("it is still there")
	}
	if _, err := o.Hash([32]byte{1}, tokenize.HashHex); err == nil {
		t.Error("a value key after the end (FV-92)")
	}
}
