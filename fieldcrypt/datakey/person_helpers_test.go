package datakey

import (
	"context"
	"sync"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms/kmstest"
	"github.com/fieldveil/fieldveil/fieldcrypt/shred"
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
