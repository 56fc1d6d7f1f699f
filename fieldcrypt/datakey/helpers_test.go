package datakey

import (
	"bytes"
	"context"
	"crypto/fips140"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/kmstest"
	"github.com/fieldveil/fieldveil/internal/envelope"
)

const testKEK = "fake:pii"

var testPlace = [envelope.ContextIDSize]byte{1, 2, 3, 4, 5, 6, 7, 8}

func newCache(t testing.TB, w kms.Wrapper, opts ...Option) *Cache {
	t.Helper()
	c, err := New(w, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// testScope returns the scope of a spec, whose name and KEK have defaults.
func (c *Cache) testScope(t testing.TB, spec ScopeSpec) *Scope {
	t.Helper()
	if spec.Name == "" {
		spec.Name = "pii"
	}
	if spec.KEKs == nil {
		spec.KEKs = []string{testKEK}
	}
	s, err := c.Scope(spec)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// holds tells whether a scope has a key to seal with, and one that was fetched
// ahead.
func holds(s *Scope) (key, next bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.key != nil, s.next != nil
}

// current returns the key that a scope seals with.
func current(s *Scope) *activeKey {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.key
}

// kept returns how many openers a cache has.
func kept(c *Cache) int {
	c.openers.mu.Lock()
	defer c.openers.mu.Unlock()
	return len(c.openers.entries)
}

// drawing lets a test choose what is random about times. lateDraw picks the last
// moment, so that all of 99 % of Refresh passes before the next key is fetched.
func drawing(draw func(time.Duration) time.Duration) Option {
	return func(c *config) { c.draw, c.spread = draw, draw }
}

func lateDraw(d time.Duration) time.Duration { return max(0, d-1) }

// noFIPS replaces the generator of the FIPS 140-3 module for tests that draw
// randomness while time is fake: its entropy source measures time, and ends the
// process when that stands still. Version 1.0 of the module, which has its entropy
// from the operating system, and processes without FIPS mode keep theirs.
func noFIPS(t testing.TB) {
	t.Helper()
	if !fips140.Enabled() || strings.HasPrefix(fips140.Version(), "v1.0.") {
		return
	}
	whole, ok := t.(*testing.T)
	if !ok {
		t.Skip("the entropy source of the FIPS 140-3 module needs a real clock: not tested in FIPS mode")
	}
	cryptotest.SetGlobalRandom(whole, 1)
}

// at lets fake time pass until d after start, and the timers of that moment run.
func at(start time.Time, d time.Duration) {
	pass(time.Until(start.Add(d)))
	synctest.Wait()
}

// pass lets fake time pass. It is for the bubbles of synctest alone: nowhere
// else may a test wait for the clock.
func pass(d time.Duration) {
	time.Sleep(d) //nolint:forbidigo // see above
}

// sealOne seals one value in a record of its own.
func sealOne(t testing.TB, w *Sealer, plain string) []byte {
	t.Helper()
	if err := w.Reserve(t.Context(), 1, len(plain)); err != nil {
		t.Fatal(err)
	}
	env, err := w.Append(nil, []byte(plain), w.Head(testPlace))
	if err != nil {
		t.Fatal(err)
	}
	w.Done()
	return env
}

func openWith(o *Opener, env []byte) (string, error) {
	v, err := ParseValue(env)
	if err != nil {
		return "", err
	}
	out, err := o.Append(nil, &v)
	return string(out), err
}

func keyIDOf(t testing.TB, env []byte) ID {
	t.Helper()
	v, err := ParseValue(env)
	if err != nil {
		t.Fatal(err)
	}
	return v.KeyID()
}

// plainKMS is a KMS for tests that choose or must see the data keys: a wrapped
// key is the key itself.
type plainKMS struct {
	mu   sync.Mutex
	next [][]byte // keys to generate, the first one first; then random ones
	seen [][]byte // copies of all keys that were generated
	kmstest.Fake
}

func (p *plainKMS) Generate(ctx context.Context, kek string, ec kms.EncryptionContext) (plain, wrapped []byte, err error) {
	plain, _, err = p.Fake.Generate(ctx, kek, ec)
	if err != nil {
		return nil, nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.next) > 0 {
		copy(plain, p.next[0])
		p.next = p.next[1:]
	}
	p.seen = append(p.seen, bytes.Clone(plain))
	return plain, bytes.Clone(plain), nil
}

func (p *plainKMS) Unwrap(_ context.Context, _ string, wrapped []byte, _ kms.EncryptionContext) ([]byte, error) {
	return bytes.Clone(wrapped), nil
}

// keys returns the data keys in clear, in the order in which they were made.
func (p *plainKMS) keys() [][]byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen
}

// scriptStore is a Store whose calls a test may replace.
type scriptStore struct {
	MemStore

	put func(ctx context.Context, id ID, block []byte) error
	get func(ctx context.Context, id ID) ([]byte, error)
}

func (s *scriptStore) Put(ctx context.Context, id ID, block []byte) error {
	if s.put != nil {
		if err := s.put(ctx, id, block); err != nil {
			return err
		}
	}
	return s.MemStore.Put(ctx, id, block)
}

func (s *scriptStore) Get(ctx context.Context, id ID) ([]byte, error) {
	if s.get != nil {
		return s.get(ctx, id)
	}
	return s.MemStore.Get(ctx, id)
}

// seeingKMS is a Fake that remembers copies of the keys it handed out.
type seeingKMS struct {
	kmstest.Fake

	mu   sync.Mutex
	seen []canary
}

func (k *seeingKMS) see(key []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.seen = append(k.seen, bytes.Clone(key))
}

func (k *seeingKMS) Generate(ctx context.Context, kek string, ec kms.EncryptionContext) (plain, wrapped []byte, err error) {
	plain, wrapped, err = k.Fake.Generate(ctx, kek, ec)
	k.see(plain)
	return plain, wrapped, err
}

func (k *seeingKMS) Unwrap(ctx context.Context, kek string, wrapped []byte, ec kms.EncryptionContext) ([]byte, error) {
	plain, err := k.Fake.Unwrap(ctx, kek, wrapped, ec)
	k.see(plain)
	return plain, err
}

// keys returns copies of the keys in the order in which they were handed out.
func (k *seeingKMS) keys() []canary {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.seen)
}
