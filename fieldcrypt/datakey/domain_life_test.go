package datakey

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/kmstest"
	"github.com/fieldveil/fieldveil/internal/envelope"
)

// unwraps returns a function that counts the calls since.
func unwraps(fake *kmstest.Fake) func() int {
	before := fake.Calls(kmstest.OpUnwrap)
	return func() int { return fake.Calls(kmstest.OpUnwrap) - before }
}

// FV-8.
func TestADomainKeyIsUnwrappedAgainWhileItIsUsed(t *testing.T) {
	noFIPS(t)
	synctest.Test(t, func(t *testing.T) {
		fake := kmstest.NewFake()
		d := newCache(t, fake, drawing(lateDraw)).testDomain(t, DomainSpec{Blocks: [][]byte{newBlock(t, fake, "")}})
		w, calls, start := d.NewSealer(), unwraps(fake), time.Now()
		reserve := func() {
			t.Helper()
			if err := w.Reserve(t.Context(), 1, 1); err != nil {
				t.Fatal(err)
			}
			w.Done()
		}
		want, _ := sealIn(t, d, "jane")
		first := d.Cached(w.KeyID())
		due := percent(DefaultRefresh, spanPercent)
		at(start, due-2)
		reserve()
		if n := calls(); n != 1 || d.Cached(w.KeyID()) != first {
			t.Fatalf("%d calls before anything is due", n)
		}
		at(start, due)
		if n := calls(); n != 1 {
			t.Errorf("%d calls while nobody asks", n)
		}
		reserve() // does not wait
		if time.Since(start) != due {
			t.Error("a caller waited for what is done ahead")
		}
		synctest.Wait()
		if n := calls(); n != 2 || first.Expired() == (d.Cached(w.KeyID()) == first) {
			t.Errorf("%d calls when it is due", n)
		}
		if again, _ := sealIn(t, d, "jane"); !bytes.Equal(again, want) {
			t.Error("unwrapped again, it seals otherwise")
		}
		if !first.Expired() || d.Cached(w.KeyID()).Expired() {
			t.Error("who holds the old opener is not told")
		}
		if got, err := openWith(first, want); err != nil || got != "jane" {
			t.Errorf("who holds an opener finishes his record: %q, %v", got, err)
		}
		// Idle for long: the key goes, and comes back when it is asked for.
		second := d.Cached(w.KeyID())
		at(start, due+DefaultExpire-1)
		if second.Expired() {
			t.Error("expired too early")
		}
		at(start, due+DefaultExpire)
		if !second.Expired() || d.Cached(w.KeyID()) != nil || w.version.current.Load() != nil {
			t.Error("a key outlives its limit")
		}
		reserve()
		if n := calls(); n != 3 {
			t.Errorf("%d calls", n)
		}
	})
}

// FV-8: without the KMS a key ends after Expire, and comes back with it.
func TestAnOutageStopsADomain(t *testing.T) {
	for name, denial := range map[string]error{"throttled": kms.ErrThrottled, "unavailable": kms.ErrUnavailable} {
		t.Run(name, func(t *testing.T) {
			noFIPS(t)
			synctest.Test(t, func(t *testing.T) {
				fake := kmstest.NewFake()
				d := oneDomain(t, fake, newBlock(t, fake, ""))
				w, start := d.NewSealer(), time.Now()
				env, _ := sealIn(t, d, "jane")
				fake.Fail(denial)
				calls := unwraps(fake)
				for time.Since(start) < DefaultExpire-time.Second {
					pass(time.Second)
					if err := w.Reserve(t.Context(), 1, 1); err != nil {
						t.Fatalf("after %v: %v", time.Since(start), err)
					}
				}
				if n := calls(); n < 20 || n > 3*60*60 {
					t.Errorf("%d calls while the key is due", n)
				}
				at(start, DefaultExpire)
				if err := w.Reserve(t.Context(), 1, 1); !errors.Is(err, ErrUnavailable) || !errors.Is(err, denial) {
					t.Errorf("at its end: %v", err)
				}
				if o, err := d.Opener(t.Context(), w.KeyID()); !errors.Is(err, denial) || o != nil {
					t.Errorf("at its end: %v", err)
				}
				if out, err := w.Append(nil, []byte("x"), w.Head(testPlace)); err != nil {
					t.Errorf("a reservation that was out: %x, %v", out, err)
				}
				fake.Fail(nil)
				pass(refusalTime)
				again, _ := sealIn(t, d, "jane")
				if !bytes.Equal(again, env) {
					t.Error("afterwards it seals otherwise")
				}
			})
		})
	}
}

func TestARefusalOfADomainKeyStandsForAMoment(t *testing.T) {
	for _, tt := range []struct {
		name   string
		err    error
		class  error
		stands time.Duration
		calls  int
	}{
		{"denied", kms.ErrDenied, ErrUnusable, refusalTime, 1},
		{"corrupt", kms.ErrCorrupt, ErrUnusable, refusalTime, 1},
		{"throttled", kms.ErrThrottled, ErrUnavailable, failureTime, attempts},
	} {
		t.Run(tt.name, func(t *testing.T) {
			noFIPS(t)
			synctest.Test(t, func(t *testing.T) {
				fake := kmstest.NewFake()
				d := oneDomain(t, fake, newBlock(t, fake, ""))
				fake.Fail(tt.err)
				calls := unwraps(fake)
				w := d.NewSealer()
				first := w.Reserve(t.Context(), 1, 1)
				failed := time.Now()
				for range 100 {
					if err := w.Reserve(t.Context(), 1, 1); !errors.Is(err, tt.class) || !errors.Is(err, tt.err) || err.Error() != first.Error() {
						t.Fatalf("%v", err)
					}
				}
				if n := calls(); n != tt.calls {
					t.Errorf("%d calls, want %d", n, tt.calls)
				}
				fake.Fail(nil)
				at(failed, tt.stands-1)
				if err := w.Reserve(t.Context(), 1, 1); err == nil {
					t.Error("asked again too early")
				}
				at(failed, tt.stands)
				if err := w.Reserve(t.Context(), 1, 1); err != nil {
					t.Errorf("asked again: %v", err)
				}
			})
		})
	}
}

func TestAThousandCallersOfAColdDomainMakeOneCall(t *testing.T) {
	noFIPS(t)
	synctest.Test(t, func(t *testing.T) {
		fake := kmstest.NewFake()
		d := oneDomain(t, fake, newBlock(t, fake, ""))
		fake.Hook(func(context.Context, kmstest.Op, string) error { pass(time.Second); return nil })
		calls := unwraps(fake)
		var wg sync.WaitGroup
		for i := range 1000 {
			wg.Go(func() {
				if i%2 == 0 {
					sealIn(t, d, "jane")
				} else if _, err := d.Opener(t.Context(), d.KeyIDs()[0]); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := calls(); n != 1 {
			t.Errorf("%d calls, want 1", n)
		}
	})
}

func TestWhoGivesUpADomainKeyDoesNotTakeTheOthersWithHim(t *testing.T) {
	noFIPS(t)
	synctest.Test(t, func(t *testing.T) {
		fake := kmstest.NewFake()
		d := oneDomain(t, fake, newBlock(t, fake, ""))
		fake.Hook(func(ctx context.Context, _ kmstest.Op, _ string) error {
			pass(time.Second)
			return ctx.Err()
		})
		var wg sync.WaitGroup
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			start := time.Now()
			err := d.NewSealer().Reserve(ctx, 1, 1)
			if !errors.Is(err, ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 100*time.Millisecond {
				t.Errorf("after %v: %v", time.Since(start), err)
			}
		})
		synctest.Wait()
		if err := d.NewSealer().Reserve(t.Context(), 1, 1); err != nil {
			t.Errorf("who stayed: %v", err)
		}
		wg.Wait()
	})
}

func TestASlowKMSDoesNotStretchTheLifeOfADomainKey(t *testing.T) {
	noFIPS(t)
	synctest.Test(t, func(t *testing.T) {
		fake := kmstest.NewFake()
		block := newBlock(t, fake, "")
		fake.Hook(func(context.Context, kmstest.Op, string) error { pass(5 * time.Second); return nil })
		d, start := oneDomain(t, fake, block), time.Now()
		o := domainOpener(t, d, d.KeyIDs()[0])
		at(start, DefaultExpire)
		if !o.Expired() || d.Cached(o.KeyID()) != nil {
			t.Error("the time of the call is added to the life of the key")
		}
		short := newCache(t, fake).testDomain(t, DomainSpec{Blocks: [][]byte{block}, Limits: Limits{Expire: 5 * time.Second}})
		if err := short.NewSealer().Reserve(t.Context(), 1, 1); !errors.Is(err, ErrUnavailable) {
			t.Errorf("a KMS that is slower than the key may live: %v", err)
		}
		fake.Hook(func(context.Context, kmstest.Op, string) error { pass(time.Hour); return nil })
		start = time.Now()
		if err := newCache(t, fake, WithCallTimeout(3*time.Second)).testDomain(t, DomainSpec{Blocks: [][]byte{block}}).NewSealer().Reserve(t.Context(), 1, 1); err == nil {
			t.Errorf("after %v there was a key", time.Since(start))
		}
	})
}

// FV-2, FV-4.
func TestADomainKeyThatIsNotTheOneOfItsBlockIsRefused(t *testing.T) {
	fake := kmstest.NewFake()
	block := newBlock(t, fake, "")
	for i := range envelope.CommitmentSize {
		wrong := rebuild(t, block, func(k *envelope.KeyBlock) { k.Commitment[i] ^= 1 })
		d := oneDomain(t, fake, wrong)
		if err := d.NewSealer().Reserve(t.Context(), 1, 1); !errors.Is(err, ErrCommitment) || !errors.Is(err, ErrUnusable) {
			t.Errorf("byte %d of the commitment: %v", i, err)
		}
		if o, err := d.Opener(t.Context(), d.KeyIDs()[0]); !errors.Is(err, ErrCommitment) || o != nil {
			t.Errorf("byte %d of the commitment: %v", i, err)
		}
	}
	for name, change := range map[string]func(*envelope.KeyBlock){
		"another wrapped key": func(k *envelope.KeyBlock) {
			other, err := envelope.ParseKeyBlock(newBlock(t, fake, ""))
			if err != nil {
				t.Fatal(err)
			}
			k.Wrapped = other.Wrapped
		},
		"a changed wrapped key": func(k *envelope.KeyBlock) { k.Wrapped[3] ^= 1 },
		"a cut wrapped key":     func(k *envelope.KeyBlock) { k.Wrapped = k.Wrapped[:len(k.Wrapped)-1] },
	} {
		err := oneDomain(t, fake, rebuild(t, block, change)).NewSealer().Reserve(t.Context(), 1, 1)
		if !errors.Is(err, ErrUnusable) {
			t.Errorf("%s: %v", name, err)
		}
	}
	checkWiped(t, fake)
	// A tenant's key does not open for another, at a KMS that binds it.
	theirs := rebuild(t, newBlock(t, fake, "acme"), func(k *envelope.KeyBlock) { k.Tenant = "globex" })
	d := newCache(t, fake).testDomain(t, DomainSpec{Tenant: "globex", Blocks: [][]byte{theirs}})
	if err := d.NewSealer().Reserve(t.Context(), 1, 1); !errors.Is(err, kms.ErrCorrupt) && !errors.Is(err, kms.ErrDenied) {
		t.Errorf("another tenant's key: %v", err)
	}
}

func TestFaultsOfTheKMSLeaveNoDomainKeyBehind(t *testing.T) {
	for fault := kmstest.WrongPlain; fault <= kmstest.EmptyPlain; fault++ {
		noFIPS(t)
		synctest.Test(t, func(t *testing.T) {
			fake := kmstest.NewFake()
			d := oneDomain(t, fake, newBlock(t, fake, ""))
			fake.Corrupt(kmstest.OpUnwrap, fault)
			if err := d.NewSealer().Reserve(t.Context(), 1, 1); !errors.Is(err, ErrUnusable) {
				t.Errorf("fault %d: %v", fault, err)
			}
			checkWiped(t, fake)
		})
	}
	fake := kmstest.NewFake()
	sealIn(t, oneDomain(t, fake, newBlock(t, fake, "")), "jane")
	checkWiped(t, fake)

	block := newBlock(t, fake, "")
	err := oneDomain(t, panicking{fake}, block).NewSealer().Reserve(t.Context(), 1, 1)
	if !errors.Is(err, errPanic) || !errors.Is(err, ErrUnavailable) {
		t.Errorf("a KMS that panics: %v", err)
	}
}

// panicking is a KMS that panics with what nobody may see.
type panicking struct{ kms.Wrapper }

func (panicking) Unwrap(context.Context, string, []byte, kms.EncryptionContext) ([]byte, error) {
	panic("CANARY")
}

func TestAClosedCacheEndsItsDomains(t *testing.T) {
	fake := kmstest.NewFake()
	block := newBlock(t, fake, "")
	c := newCache(t, fake)
	d := c.testDomain(t, DomainSpec{Blocks: [][]byte{block}})
	w := d.NewSealer()
	if err := w.Reserve(t.Context(), 1, 1); err != nil {
		t.Fatal(err)
	}
	o := domainOpener(t, d, w.KeyID())
	c.Close()
	if _, err := w.Append(nil, []byte("x"), w.Head(testPlace)); err != nil {
		t.Errorf("a reservation that was out: %v", err)
	}
	calls := unwraps(fake)
	if err := w.Reserve(t.Context(), 1, 1); !errors.Is(err, ErrUnusable) {
		t.Errorf("Reserve: %v", err)
	}
	if _, err := d.Opener(t.Context(), w.KeyID()); !errors.Is(err, ErrUnusable) {
		t.Errorf("Opener: %v", err)
	}
	if _, err := c.Domain(DomainSpec{Name: "new", KEKs: []string{testKEK}, Blocks: [][]byte{block}}); !errors.Is(err, ErrUnusable) {
		t.Errorf("Domain: %v", err)
	}
	if !o.Expired() || d.Cached(o.KeyID()) != nil || calls() != 0 {
		t.Errorf("an opener outlives the cache, which made %d calls", calls())
	}
}

func TestAnUnwrappingThatIsUnderWayWhenTheCacheClosesLeavesNoKey(t *testing.T) {
	noFIPS(t)
	synctest.Test(t, func(t *testing.T) {
		fake := kmstest.NewFake()
		c := newCache(t, fake)
		d := c.testDomain(t, DomainSpec{Blocks: [][]byte{newBlock(t, fake, "")}})
		fake.Hook(func(context.Context, kmstest.Op, string) error { pass(time.Second); return nil })
		result := make(chan error, 1)
		go func() { result <- d.NewSealer().Reserve(t.Context(), 1, 1) }()
		synctest.Wait()
		c.Close()
		if err := <-result; !errors.Is(err, errClosed) {
			t.Errorf("%v", err)
		}
		if d.versions[0].current.Load() != nil {
			t.Error("a key is left behind")
		}
	})
}
