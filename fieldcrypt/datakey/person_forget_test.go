package datakey

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt/shred"
)

// FV-104: who is forgotten in one process is closed in all within a minute.
func TestFV104TheForgottenAreClosedEverywhereWithinAMinute(t *testing.T) {
	noFIPS(t)
	synctest.Test(t, func(t *testing.T) {
		w := newPersonWorld()
		start := time.Now()
		procs := []*PersonScope{w.process(t).of(t, "acme"), w.process(t).of(t, "acme"), w.process(t).of(t, "acme")}
		envs := map[string][]byte{}
		for n := range 100 {
			who := fmt.Sprint("person ", n)
			envs[who] = sealFor(t, procs[n%3], who, who)
			for _, s := range procs {
				if got, err := openFor(t.Context(), t, s, envs[who]); err != nil || got != who {
					t.Fatalf("opened %q, %v", got, err)
				}
			}
		}
		for n := range 10 {
			if _, err := procs[0].Forget(t.Context(), []byte(fmt.Sprint("person ", n)), "dpo", "request"); err != nil {
				t.Fatal(err)
			}
		}
		at(start, 11*time.Second) // one poll
		check := func(s *PersonScope) {
			for n := range 100 {
				who := fmt.Sprint("person ", n)
				got, err := openFor(t.Context(), t, s, envs[who])
				if n < 10 {
					if !errors.Is(err, shred.ErrForgotten) || !errors.Is(err, ErrUnusable) {
						t.Errorf("%s: opened %q, %v", who, got, err)
					}
					if err := s.NewSealer().Load(t.Context(), []byte(who)); !errors.Is(err, shred.ErrForgotten) {
						t.Errorf("%s: sealed again, %v", who, err)
					}
				} else if err != nil || got != who {
					t.Errorf("%s: opened %q, %v", who, got, err)
				}
			}
		}
		for _, s := range procs {
			check(s)
			if n := s.persons.Len(); n != 90 {
				t.Errorf("%d keys in memory", n)
			}
		}
		check(w.process(t).of(t, "acme"))
		for _, s := range procs {
			s.persons.Close()
		}
	})
}

// FV-104: without the ledger no key is used for longer than a minute.
func TestFV104KeysEndWhenTheLedgerCannotBeRead(t *testing.T) {
	noFIPS(t)
	synctest.Test(t, func(t *testing.T) {
		w := newPersonWorld()
		p := w.process(t)
		defer p.Close()
		s := p.of(t, "acme")
		env := sealFor(t, s, "ann", "x")
		start := time.Now()
		broken := errors.New("ledger is away")
		w.ledger.break_(broken)
		at(start, 45*time.Second)
		if _, err := openFor(t.Context(), t, s, env); err != nil {
			t.Errorf("after 45 s: %v", err)
		}
		if _, err := p.Mark(); !errors.Is(err, broken) {
			t.Errorf("Mark says %v", err)
		}
		at(start, 60*time.Second)
		wr := s.NewSealer()
		if wr.LoadCached([]byte("ann")) || s.Cached(keyIDOf(t, env)) != nil {
			t.Error("the key is in use after 60 s")
		}
		if err := wr.Load(t.Context(), []byte("ann")); !errors.Is(err, ErrUnavailable) || !errors.Is(err, broken) {
			t.Errorf("after 60 s: %v", err)
		}
		w.ledger.break_(nil)
		// The next who asks need not wait for the clock.
		if _, err := openFor(t.Context(), t, s, env); err != nil {
			t.Errorf("when the ledger is back: %v", err)
		}
	})
}

// A row that was read before its person was forgotten must not be kept after.
func TestFV104ALoadThatOvertakesTheLedgerIsMadeAgain(t *testing.T) {
	for _, op := range []string{"person", "key"} {
		t.Run(op, func(t *testing.T) {
			w := newPersonWorld()
			a, b := w.process(t), w.process(t)
			env := sealFor(t, a.of(t, "acme"), "ann", "x")
			s := b.of(t, "acme")
			if _, err := s.ID(t.Context(), []byte("x")); err != nil {
				t.Fatal(err)
			}
			var once sync.Once
			w.store.script(nil, func(made string) {
				if made == op {
					once.Do(func() {
						if _, err := a.of(t, "acme").Forget(t.Context(), []byte("ann"), "dpo", "request"); err != nil {
							t.Error(err)
						}
						if err := b.Sync(t.Context()); err != nil {
							t.Error(err)
						}
					})
				}
			})
			var err error
			if op == "key" {
				_, err = openFor(t.Context(), t, s, env)
			} else {
				err = s.NewSealer().Load(t.Context(), []byte("ann"))
			}
			if !errors.Is(err, shred.ErrForgotten) || b.Len() != 0 {
				t.Errorf("got %v, and %d keys are kept", err, b.Len())
			}
		})
	}
}

func TestFV104AStoreThatCannotBeWrittenForgetsAllTheSame(t *testing.T) {
	w := newPersonWorld()
	a, b := w.process(t), w.process(t)
	sa, sb := a.of(t, "acme"), b.of(t, "acme")
	env := sealFor(t, sa, "ann", "x")
	if _, err := openFor(t.Context(), t, sb, env); err != nil {
		t.Fatal(err)
	}
	w.store.script(func(op string) error {
		if op == "forget" {
			return errors.New("read only")
		}
		return nil
	}, nil)
	_, err := sa.Forget(t.Context(), []byte("ann"), "dpo", "request")
	if _, ok := errors.AsType[*shred.PendingError](err); !ok {
		t.Fatalf("Forget: %v", err)
	}
	if err := b.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]*PersonScope{"the process that asked": sa, "another": sb} {
		if _, err := openFor(t.Context(), t, s, env); !errors.Is(err, shred.ErrForgotten) {
			t.Errorf("%s opens: %v", name, err)
		}
		if err := s.NewSealer().Load(t.Context(), []byte("ann")); !errors.Is(err, shred.ErrForgotten) {
			t.Errorf("%s seals: %v", name, err)
		}
	}
	w.store.script(nil, nil)
	if err := b.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := w.store.MemStore.ByKey(t.Context(), "acme", shred.KeyID(keyIDOf(t, env))); !errors.Is(err, shred.ErrForgotten) {
		t.Errorf("the store that can be written again: %v", err)
	}
	if len(b.pending) != 0 {
		t.Errorf("%d persons are still pending", len(b.pending))
	}
}

// A consumer's role may not write. It must not open the forgotten all the same.
func TestFV104AProcessThatMayNotWriteOpensTheStore(t *testing.T) {
	w := newPersonWorld()
	writer := w.process(t).of(t, "acme")
	ann, bob := sealFor(t, writer, "ann", "x"), sealFor(t, writer, "bob", "y")
	w.store.script(func(op string) error {
		if op == "forget" {
			return errors.New("permission denied")
		}
		return nil
	}, nil)
	if _, err := writer.Forget(t.Context(), []byte("ann"), "dpo", "request"); err == nil {
		t.Fatal("the store was written")
	}
	p := w.process(t)
	if _, err := p.Mark(); err == nil {
		t.Error("nothing is said about the store")
	}
	s := p.of(t, "acme")
	if _, err := openFor(t.Context(), t, s, ann); !errors.Is(err, shred.ErrForgotten) {
		t.Errorf("the forgotten: %v", err)
	}
	if got, err := openFor(t.Context(), t, s, bob); err != nil || got != "y" {
		t.Errorf("another person: %q, %v", got, err)
	}
	// A store that never saw a ledger is nobody's to begin with.
	fresh := &scriptPersons{}
	fresh.script(func(op string) error { return errors.New("permission denied") }, nil)
	if _, err := OpenPersons(t.Context(), newCache(t, w.fake), &noMark{fresh}, w.ledger); !errors.Is(err, shred.ErrNone) {
		t.Errorf("a fresh store: %v", err)
	}
}

// noMark is a store whose mark cannot be written.
type noMark struct{ *scriptPersons }

func (*noMark) SetMark(context.Context, shred.Mark) error { return errors.New("permission denied") }
