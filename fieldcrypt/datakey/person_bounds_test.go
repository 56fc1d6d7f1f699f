package datakey

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms/kmstest"
	"github.com/fieldveil/fieldveil/fieldcrypt/shred"
	"github.com/fieldveil/fieldveil/internal/invariants"
)

func TestAWarmPersonTakesNoAllocation(t *testing.T) {
	if invariants.Enabled {
		t.Skip("race detector and invariant checks allocate: not tested in this build")
	}
	w := newPersonWorld()
	s := w.process(t).of(t, "acme")
	sealFor(t, s, "ann", "x")
	wr, who, plain := s.NewSealer(), []byte("ann"), []byte("Ann Lee, 12 Main Street")
	dst := make([]byte, 0, 4096)
	got := testing.AllocsPerRun(200, func() {
		if !wr.LoadCached(who) {
			t.Fatal("not at hand")
		}
		var err error
		for range 5 {
			if dst, err = wr.AppendText(dst, plain, testPlace); err != nil {
				t.Fatal(err)
			}
		}
		wr.Done()
		dst = dst[:0]
	})
	if got != 0 {
		t.Errorf("%v allocations", got)
	}
}

// Memory is bounded whatever number of persons there are, and who was evicted
// comes back with the same key.
func TestPersonsInMemoryAreBounded(t *testing.T) {
	w := newPersonWorld()
	const limit, persons = 64, 1000
	p := w.process(t, WithMaxPersons(limit))
	s := p.of(t, "acme")
	envs := make([][]byte, persons)
	for n := range envs {
		envs[n] = sealFor(t, s, fmt.Sprint(n), fmt.Sprint(n))
		if got := p.Len(); got > limit {
			t.Fatalf("%d keys in memory, the limit is %d", got, limit)
		}
	}
	for n, env := range envs {
		if got, err := openFor(t.Context(), t, s, env); err != nil || got != fmt.Sprint(n) {
			t.Fatalf("person %d: %q, %v", n, got, err)
		}
		if again := sealFor(t, s, fmt.Sprint(n), "x"); keyIDOf(t, again) != keyIDOf(t, env) {
			t.Fatalf("person %d has another key now", n)
		}
	}
	entries := 0
	for _, table := range []*personTable{&p.keys.byPerson, &p.keys.byKey} {
		for i := range table.slots {
			if table.slots[i].Load() != nil {
				entries++
			}
		}
	}
	if entries != 2*p.Len() {
		t.Errorf("%d entries for %d keys", entries, p.Len())
	}
}

// Whoever was used lately stays when strangers pass by.
func TestTheWarmSurviveStrangers(t *testing.T) {
	w := newPersonWorld()
	s := w.process(t, WithMaxPersons(512)).of(t, "acme")
	wr := s.NewSealer()
	for n := range 5000 {
		if n%10 == 0 {
			for f := range 20 {
				if err := wr.Load(t.Context(), fmt.Append(nil, "friend ", f)); err != nil {
					t.Fatal(err)
				}
				wr.Done()
			}
		}
		sealFor(t, s, fmt.Sprint("stranger ", n), "x")
	}
	if n := w.store.count("person"); n > 5000+20*4 {
		t.Errorf("%d loads for 5000 strangers and 20 friends", n)
	}
}

func TestManyCallersMakeOneLoad(t *testing.T) {
	w := newPersonWorld()
	s := w.process(t).of(t, "acme")
	var wg sync.WaitGroup
	for range 2000 {
		wg.Go(func() {
			wr := s.NewSealer()
			if err := wr.Load(t.Context(), []byte("ann")); err != nil {
				t.Error(err)
			}
			wr.Done()
		})
	}
	wg.Wait()
	if p, c, g := w.store.count("person"), w.store.count("create"), w.fake.Calls(kmstest.OpGenerate); p != 1 || c != 1 || g != 1 {
		t.Errorf("%d loads, %d keys made, %d root keys", p, c, g)
	}
}

func TestWhatLeadsNowhereIsNotAskedAgainAndAgain(t *testing.T) {
	w := newPersonWorld()
	s := w.process(t).of(t, "acme")
	env := sealFor(t, s, "ann", "x")
	if _, err := s.Forget(t.Context(), []byte("ann"), "dpo", "request"); err != nil {
		t.Fatal(err)
	}
	before := w.store.count("key")
	for range 100 {
		if _, err := openFor(t.Context(), t, s, env); !errors.Is(err, shred.ErrForgotten) {
			t.Fatalf("got %v", err)
		}
		if _, err := s.Opener(t.Context(), ID{1}); !errors.Is(err, ErrUnknownKey) {
			t.Fatalf("got %v", err)
		}
	}
	if n := w.store.count("key") - before; n != 2 {
		t.Errorf("the store was asked %d times", n)
	}
}

func TestPersonsThatCannotBeOpened(t *testing.T) {
	w := newPersonWorld()
	c := newCache(t, w.fake)
	for name, open := range map[string]func() (*Persons, error){
		"no store":  func() (*Persons, error) { return OpenPersons(t.Context(), c, nil, w.ledger) },
		"no ledger": func() (*Persons, error) { return OpenPersons(t.Context(), c, w.store, nil) },
		"no cache":  func() (*Persons, error) { return OpenPersons(t.Context(), nil, w.store, w.ledger) },
		"no room":   func() (*Persons, error) { return OpenPersons(t.Context(), c, w.store, w.ledger, WithMaxPersons(0)) },
		"no polls":  func() (*Persons, error) { return OpenPersons(t.Context(), c, w.store, w.ledger, WithLedgerPoll(0)) },
		"rare polls": func() (*Persons, error) {
			return OpenPersons(t.Context(), c, w.store, w.ledger, WithLedgerPoll(time.Hour))
		},
		"a dead ledger": func() (*Persons, error) {
			l := new(scriptLedger)
			l.break_(errors.New("away"))
			return OpenPersons(t.Context(), c, w.store, l)
		},
	} {
		if p, err := open(); err == nil {
			t.Errorf("%s: opened", name)
			p.Close()
		}
	}
	// The ledger of another store.
	p := w.process(t)
	s := p.of(t, "acme")
	sealFor(t, s, "ann", "x")
	p.Close()
	if err := s.NewSealer().Load(t.Context(), []byte("ann")); !errors.Is(err, ErrUnusable) || p.Len() != 0 {
		t.Errorf("a scope after Close: %v, %d keys", err, p.Len())
	}
	if _, err := OpenPersons(t.Context(), c, w.store, new(scriptLedger)); !errors.Is(err, shred.ErrLedger) || !errors.Is(err, ErrUnusable) {
		t.Errorf("another ledger: %v", err)
	}
	if _, err := p.Scope(PersonSpec{KEKs: []string{testKEK}}); !errors.Is(err, ErrUnusable) {
		t.Errorf("after Close: %v", err)
	}
}

// Tenants come from records. Those that hold keys are bounded; one that gave way
// goes on for whoever holds it, is the same one when it comes back, and ends with
// the rest.
func TestTenantsWithPersonsAreBounded(t *testing.T) {
	w := newPersonWorld()
	p := w.process(t, func(c *personsConfig) { c.tenants = 3 })
	var scopes []*PersonScope
	for n := range 10 {
		s := p.of(t, fmt.Sprint("tenant ", n))
		sealFor(t, s, "ann", "x")
		scopes = append(scopes, s)
		if len(p.scopes) > 3 {
			t.Fatalf("%d tenants hold keys", len(p.scopes))
		}
	}
	for n, s := range scopes {
		if p.of(t, fmt.Sprint("tenant ", n)) != s {
			t.Errorf("tenant %d is another one now", n)
		}
		if got, err := openFor(t.Context(), t, s, sealFor(t, s, "ann", "y")); err != nil || got != "y" {
			t.Errorf("tenant %d: %q, %v", n, got, err)
		}
	}
	p.Close()
	for n, s := range scopes {
		if s.domain != nil || s.current.Load() != nil {
			t.Errorf("tenant %d still has its root key", n)
		}
		if err := s.NewSealer().Load(t.Context(), []byte("ann")); !errors.Is(err, ErrUnusable) {
			t.Errorf("tenant %d after Close: %v", n, err)
		}
	}
}
