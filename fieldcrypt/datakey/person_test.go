package datakey

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/kmstest"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/localkms"
	"github.com/fieldveil/fieldveil/fieldcrypt/shred"
	"github.com/fieldveil/fieldveil/internal/envelope"
	"github.com/fieldveil/fieldveil/internal/invariants"
)

// scriptPersons is a store of persons that counts, and whose calls a test may
// make fail.
type scriptPersons struct {
	shred.MemStore

	mu    sync.Mutex
	calls map[string]int
	fail  func(op string) error
	after func(op string) // runs when the call was made
}

func (s *scriptPersons) do(op string, f func() error) error {
	s.mu.Lock()
	if s.calls == nil {
		s.calls = map[string]int{}
	}
	s.calls[op]++
	fail, after := s.fail, s.after
	s.mu.Unlock()
	if fail != nil {
		if err := fail(op); err != nil {
			return err
		}
	}
	err := f()
	if after != nil {
		after(op)
	}
	return err
}

func (s *scriptPersons) count(op string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[op]
}

func (s *scriptPersons) script(fail func(op string) error, after func(op string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail, s.after = fail, after
}

func (s *scriptPersons) Root(ctx context.Context, tenant string) (b []byte, err error) {
	err = s.do("root", func() (err error) { b, err = s.MemStore.Root(ctx, tenant); return err })
	return b, err
}

func (s *scriptPersons) Person(ctx context.Context, tenant string, id shred.PersonID) (r shred.Row, err error) {
	err = s.do("person", func() (err error) { r, err = s.MemStore.Person(ctx, tenant, id); return err })
	return r, err
}

func (s *scriptPersons) ByKey(ctx context.Context, tenant string, id shred.KeyID) (r shred.Row, err error) {
	err = s.do("key", func() (err error) { r, err = s.MemStore.ByKey(ctx, tenant, id); return err })
	return r, err
}

func (s *scriptPersons) Create(ctx context.Context, row shred.Row) (r shred.Row, err error) {
	err = s.do("create", func() (err error) { r, err = s.MemStore.Create(ctx, row); return err })
	return r, err
}

func (s *scriptPersons) Forget(ctx context.Context, tenant string, id shred.PersonID) error {
	return s.do("forget", func() error { return s.MemStore.Forget(ctx, tenant, id) })
}

// scriptLedger is a ledger that a test may make fail.
type scriptLedger struct {
	shred.MemLedger

	mu   sync.Mutex
	fail error
}

func (l *scriptLedger) break_(err error) { //nolint:revive // break is a word of the language
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fail = err
}

func (l *scriptLedger) Read(ctx context.Context, after uint64, limit int) ([]shred.Entry, error) {
	l.mu.Lock()
	err := l.fail
	l.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return l.MemLedger.Read(ctx, after, limit)
}

// a world of persons: what several processes share.
type personWorld struct {
	fake   *kmstest.Fake
	store  *scriptPersons
	ledger *scriptLedger
}

func newPersonWorld() *personWorld {
	return &personWorld{fake: kmstest.NewFake(), store: new(scriptPersons), ledger: new(scriptLedger)}
}

// process opens the persons as another process would.
func (w *personWorld) process(t testing.TB, opts ...PersonsOption) *Persons {
	t.Helper()
	p, err := OpenPersons(context.Background(), newCache(t, w.fake), w.store, w.ledger, opts...) //nolint:usetesting // outlives the context of a sub-test
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func (p *Persons) of(t testing.TB, tenant string) *PersonScope {
	t.Helper()
	s, err := p.Scope(PersonSpec{Tenant: tenant, KEKs: []string{testKEK}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func sealFor(t testing.TB, s *PersonScope, person, plain string) []byte {
	t.Helper()
	w := s.NewSealer()
	if err := w.Load(t.Context(), []byte(person)); err != nil {
		t.Fatal(err)
	}
	defer w.Done()
	env, err := w.Append(nil, []byte(plain), testPlace)
	if err != nil {
		t.Fatal(err)
	}
	return env
}

func openFor(ctx context.Context, t testing.TB, s *PersonScope, env []byte) (string, error) {
	t.Helper()
	o, err := s.Opener(ctx, keyIDOf(t, env))
	if err != nil {
		return "", err
	}
	return openWith(o, env)
}

func TestAPersonsValuesOpenInEveryProcess(t *testing.T) {
	w := newPersonWorld()
	a, b := w.process(t).of(t, "acme"), w.process(t).of(t, "acme")
	ann, bob := sealFor(t, a, "ann", "Ann Lee"), sealFor(t, a, "bob", "Bob Ray")
	again := sealFor(t, b, "ann", "Ann Lee")
	if keyIDOf(t, ann) != keyIDOf(t, again) {
		t.Error("a person has two keys")
	}
	if keyIDOf(t, ann) == keyIDOf(t, bob) {
		t.Error("two persons have one key")
	}
	for _, s := range []*PersonScope{a, b} {
		for want, env := range map[string][]byte{"Ann Lee": ann, "Bob Ray": bob} {
			if got, err := openFor(t.Context(), t, s, env); err != nil || got != want {
				t.Errorf("opened %q, %v", got, err)
			}
		}
	}
	if n := w.store.count("create"); n != 2 {
		t.Errorf("%d keys were made for 2 persons", n)
	}
	if _, err := openFor(t.Context(), t, w.process(t).of(t, "other"), ann); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("another tenant: %v", err)
	}
}

// FV-100: a person's key is for suite 2, and the envelope says so.
func TestFV100PersonKeysSealWithXAES(t *testing.T) {
	w := newPersonWorld()
	s := w.process(t).of(t, "")
	env := sealFor(t, s, "ann", "x")
	h, _, _, err := envelope.Parse(env)
	if err != nil || h.Suite != envelope.XAES256GCM || h.Context != testPlace {
		t.Fatalf("header %+v, %v", h, err)
	}
	o, err := s.Opener(t.Context(), ID(h.Key))
	if err != nil {
		t.Fatal(err)
	}
	for _, other := range []envelope.Suite{envelope.AES256GCM, envelope.AES256SIV} {
		forged := bytes.Clone(env)
		forged[1] = byte(other)
		v, err := ParseValue(forged)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := o.Append(nil, &v); !errors.Is(err, envelope.ErrSuite) {
			t.Errorf("suite %d: %v", other, err)
		}
	}
}

// FV-101 and FV-102: what stands in the store.
func TestFV101FV102TheStoreHoldsTheKeyBeforeTheFirstValueAndNoIdentifier(t *testing.T) {
	w := newPersonWorld()
	const who = "ann.lee@example.com"
	p := w.process(t)
	s := p.of(t, "acme")
	w.store.script(func(op string) error {
		if op == "create" {
			return errors.New("disk full")
		}
		return nil
	}, nil)
	if err := s.NewSealer().Load(t.Context(), []byte(who)); !errors.Is(err, ErrUnavailable) {
		t.Fatalf("a store that cannot keep the key: %v", err)
	}
	if p.Len() != 0 {
		t.Error("a key that no store has is in use")
	}
	w.store.script(nil, nil)
	env := sealFor(t, s, who, "x")
	r, err := w.store.ByKey(t.Context(), "acme", shred.KeyID(keyIDOf(t, env)))
	if err != nil {
		t.Fatal(err)
	}
	id, err := s.ID(t.Context(), []byte(who))
	if err != nil || r.Person != id || len(r.Sealed) != personRowSize {
		t.Errorf("row %+v, id %s, %v", r, id, err)
	}
	for name, b := range map[string][]byte{"person id": r.Person[:], "row": r.Sealed, "key id": r.Key[:]} {
		if bytes.Contains(b, []byte(who[:4])) {
			t.Errorf("the %s holds the identifier", name)
		}
	}
	other := w.process(t).of(t, "umbrella")
	if oid, err := other.ID(t.Context(), []byte(who)); err != nil || oid == id {
		t.Errorf("the id in another tenant is %s, %v", oid, err)
	}
}

func TestFV101OfRacingProcessesOneMakesTheKey(t *testing.T) {
	w := newPersonWorld()
	const processes, persons = 10, 5
	var (
		mu  sync.Mutex
		ids = map[string]map[ID]bool{}
		wg  sync.WaitGroup
	)
	for range processes {
		s := w.process(t).of(t, "acme")
		for range 10 {
			wg.Go(func() {
				for n := range persons {
					who := fmt.Sprint("person ", n)
					wr := s.NewSealer()
					if err := wr.Load(t.Context(), []byte(who)); err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					if ids[who] == nil {
						ids[who] = map[ID]bool{}
					}
					ids[who][wr.KeyID()] = true
					mu.Unlock()
					wr.Done()
				}
			})
		}
	}
	wg.Wait()
	for who, keys := range ids {
		if len(keys) != 1 {
			t.Errorf("%s has %d keys", who, len(keys))
		}
	}
	if g := w.fake.Calls(kmstest.OpGenerate); g > processes {
		t.Errorf("%d root keys were made", g)
	}
}

func TestFV102ARowOpensInItsPlaceOnly(t *testing.T) {
	w := newPersonWorld()
	s := w.process(t).of(t, "acme")
	env := sealFor(t, s, "ann", "x")
	key := shred.KeyID(keyIDOf(t, env))
	good, err := w.store.ByKey(t.Context(), "acme", key)
	if err != nil {
		t.Fatal(err)
	}
	root, err := s.root(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := root.open(&good); err != nil {
		t.Fatal(err)
	}
	refused := func(name string, change func(*shred.Row)) {
		r := good
		r.Sealed = bytes.Clone(good.Sealed)
		change(&r)
		if _, err := root.open(&r); !errors.Is(err, errPersonRow) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for i := range good.Sealed {
		refused(fmt.Sprint("bit of byte ", i), func(r *shred.Row) { r.Sealed[i] ^= 1 << (i % 8) })
		refused(fmt.Sprint("cut at ", i), func(r *shred.Row) { r.Sealed = r.Sealed[:i] })
	}
	refused("another person", func(r *shred.Row) { r.Person[0] ^= 1 })
	refused("another tenant", func(r *shred.Row) { r.Tenant = "acmf" })
	refused("another key id", func(r *shred.Row) { r.Key[0] ^= 1 })
	refused("a byte more", func(r *shred.Row) { r.Sealed = append(r.Sealed, 0) })
}

// FV-103: the first half of the nonces is one per load, and no two are equal.
func TestFV103NoncesBeginAlikeWithinALoadAndNeverRepeat(t *testing.T) {
	w := newPersonWorld()
	begin := func(env []byte) string { return hex.EncodeToString(env[envelope.HeaderSize : envelope.HeaderSize+12]) }
	seen := map[string]bool{}
	halves := map[string]bool{}
	for range 3 {
		s := w.process(t).of(t, "acme")
		wr := s.NewSealer()
		mine := ""
		for range 50 {
			if err := wr.Load(t.Context(), []byte("ann")); err != nil {
				t.Fatal(err)
			}
			for range 20 {
				env, err := wr.Append(nil, []byte("x"), testPlace)
				if err != nil {
					t.Fatal(err)
				}
				nonce := string(env[envelope.HeaderSize : envelope.HeaderSize+24])
				if seen[nonce] {
					t.Fatal("a nonce came twice")
				}
				seen[nonce] = true
				if mine == "" {
					mine = begin(env)
				}
				if begin(env) != mine {
					t.Fatal("the first half changed within a load")
				}
			}
			wr.Done()
		}
		if halves[mine] {
			t.Error("two loads have the same first half")
		}
		halves[mine] = true
	}
}

func TestFV103AfterItsLimitARunBeginsAnew(t *testing.T) {
	w := newPersonWorld()
	s := w.process(t).of(t, "acme")
	first := sealFor(t, s, "ann", "x")
	wr := s.NewSealer()
	if err := wr.Load(t.Context(), []byte("ann")); err != nil {
		t.Fatal(err)
	}
	wr.key.seals.Store(maxRun - 1)
	if _, err := wr.Append(nil, []byte("x"), testPlace); err != nil {
		t.Fatalf("the last value of a run: %v", err)
	}
	if _, err := wr.Append(nil, []byte("x"), testPlace); !errors.Is(err, ErrExhausted) {
		t.Fatalf("beyond the limit: %v", err)
	}
	wr.Done()
	next := sealFor(t, s, "ann", "y")
	if keyIDOf(t, first) != keyIDOf(t, next) {
		t.Error("the person has another key")
	}
	if bytes.Equal(first[envelope.HeaderSize:envelope.HeaderSize+12], next[envelope.HeaderSize:envelope.HeaderSize+12]) {
		t.Error("the first half of the nonce was not drawn anew")
	}
	for want, env := range map[string][]byte{"x": first, "y": next} {
		if got, err := openFor(t.Context(), t, s, env); err != nil || got != want {
			t.Errorf("opened %q, %v", got, err)
		}
	}
}

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

func TestTheRootKeyEndsWithTheKMS(t *testing.T) {
	noFIPS(t)
	synctest.Test(t, func(t *testing.T) {
		w := newPersonWorld()
		p := w.process(t)
		defer p.Close()
		s := p.of(t, "acme")
		env := sealFor(t, s, "ann", "x")
		start := time.Now()
		w.fake.Fail(kms.ErrUnavailable)
		for d := time.Minute; d < 59*time.Minute; d += time.Minute {
			at(start, d)
			if _, err := openFor(t.Context(), t, s, env); err != nil {
				t.Fatalf("after %v: %v", d, err)
			}
		}
		at(start, 61*time.Minute)
		if p.Len() != 0 {
			t.Errorf("%d keys in memory after the root key expired", p.Len())
		}
		if _, err := openFor(t.Context(), t, s, env); !errors.Is(err, ErrUnavailable) || !errors.Is(err, kms.ErrUnavailable) {
			t.Errorf("after an hour: %v", err)
		}
		w.fake.Fail(nil)
		at(start, 61*time.Minute+5*time.Second)
		if got, err := openFor(t.Context(), t, s, env); err != nil || got != "x" {
			t.Errorf("when the KMS is back: %q, %v", got, err)
		}
	})
}

// turnedKMS is a KMS of which one KEK can be disabled.
type turnedKMS struct {
	kms.ReEncrypter

	mu  sync.Mutex
	off string
}

func (k *turnedKMS) Unwrap(ctx context.Context, kek string, wrapped []byte, ec kms.EncryptionContext) ([]byte, error) {
	k.mu.Lock()
	off := k.off
	k.mu.Unlock()
	if kek == off {
		return nil, kms.ErrDisabled
	}
	return k.ReEncrypter.Unwrap(ctx, kek, wrapped, ec)
}

func TestARootThatWasMovedToAnotherKEKIsFound(t *testing.T) {
	noFIPS(t)
	synctest.Test(t, func(t *testing.T) {
		service := &turnedKMS{ReEncrypter: localkms.NewInMemory()}
		store, ledger := new(shred.MemStore), new(shred.MemLedger)
		p, err := OpenPersons(t.Context(), newCache(t, service), store, ledger)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		s, err := p.Scope(PersonSpec{Tenant: "acme", KEKs: []string{"local:old", "local:new"}})
		if err != nil {
			t.Fatal(err)
		}
		env := sealFor(t, s, "ann", "x")
		old, err := store.Root(t.Context(), "acme")
		if err != nil {
			t.Fatal(err)
		}
		kb, err := envelope.ParseKeyBlock(old)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := service.Generate(t.Context(), "local:new", nil); err != nil {
			t.Fatal(err)
		}
		kb.Wrapped, err = service.ReEncrypt(t.Context(), "local:old", "local:new", kb.Wrapped, encryptionContext("acme"))
		if err != nil {
			t.Fatal(err)
		}
		kb.KEK = "local:new"
		next, err := kb.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := store.ReplaceRoot(t.Context(), "acme", old, next); err != nil {
			t.Fatal(err)
		}
		service.mu.Lock()
		service.off = "local:old"
		service.mu.Unlock()
		start := time.Now()
		for d := time.Minute; d < 3*time.Hour; d += time.Minute {
			at(start, d)
			if got, err := openFor(t.Context(), t, s, env); err != nil || got != "x" {
				t.Fatalf("after %v: %q, %v", d, got, err)
			}
		}
	})
}

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
