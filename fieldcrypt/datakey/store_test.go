package datakey

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms/kmstest"
	"github.com/fieldveil/fieldveil/internal/envelope"
)

// FV-32: the block is durable before the first seal.
func TestFV32ABlockIsDurableBeforeTheFirstSeal(t *testing.T) {
	noFIPS(t)
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		store := &scriptStore{put: func(context.Context, ID, []byte) error { <-gate; return nil }}
		s := newCache(t, kmstest.NewFake(), WithStore(store)).testScope(t, ScopeSpec{})
		done := make(chan error)
		w := s.NewSealer()
		go func() { done <- w.Reserve(t.Context(), 1, 1) }()
		synctest.Wait()
		select {
		case err := <-done:
			t.Fatalf("a reservation before the block is durable: %v", err)
		default:
		}
		if key, next := holds(s); key || next || s.current.Load() != nil || kept(s.cache) != 0 {
			t.Error("the key is in use before its block is durable")
		}
		close(gate)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		b, err := store.Get(t.Context(), w.KeyID())
		if err != nil || !bytes.Equal(b, w.KeyBlock()) {
			t.Errorf("in the store: %x, %v", b, err)
		}
	})
}

func TestFV32AStoreThatFailsMeansNoKey(t *testing.T) {
	noFIPS(t)
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("disk full")
		store := &scriptStore{put: func(context.Context, ID, []byte) error { return broken }}
		s := newCache(t, kmstest.NewFake(), WithStore(store)).testScope(t, ScopeSpec{})
		if err := s.NewSealer().Reserve(t.Context(), 1, 1); !errors.Is(err, ErrUnavailable) || !errors.Is(err, broken) {
			t.Errorf("err = %v", err)
		}
		if key, _ := holds(s); key || kept(s.cache) != 0 {
			t.Error("the key is kept")
		}
		store.put = func(ctx context.Context, _ ID, _ []byte) error { <-ctx.Done(); return ctx.Err() }
		pass(failureTime)
		if err := s.NewSealer().Reserve(t.Context(), 1, 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a store that hangs: %v", err)
		}
		store.put = nil
		pass(failureTime)
		if err := s.NewSealer().Reserve(t.Context(), 1, 1); err != nil {
			t.Errorf("a store that is sound again: %v", err)
		}
	})
}

// FV-40: header loss is not data loss.
func TestFV40TheStoreStandsInForALostHeader(t *testing.T) {
	fake, store := kmstest.NewFake(), new(MemStore)
	val := write(t, fake, ScopeSpec{}, "jane", WithStore(store))
	foreign := rebuild(t, val.block, func(k *envelope.KeyBlock) { k.KEK = "fake:evil" })
	damaged := rebuild(t, val.block, func(k *envelope.KeyBlock) { k.Wrapped[3] ^= 1 })
	for name, blocks := range map[string][][]byte{
		"no header":                      nil,
		"garbage in the header":          {[]byte("garbage")},
		"a foreign block in the header":  {foreign},
		"a damaged block in the header":  {damaged},
		"the block of another key there": write(t, fake, ScopeSpec{}, "other").blocks(),
	} {
		t.Run(name, func(t *testing.T) {
			s := newCache(t, fake, WithStore(store)).testScope(t, ScopeSpec{})
			o, err := s.Opener(t.Context(), val.id, blocks)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := openWith(o, val.env); err != nil || got != "jane" {
				t.Errorf("opened %q, %v", got, err)
			}
		})
	}
}

func TestWhatAStoreAnswersIsNotTrusted(t *testing.T) {
	fake := kmstest.NewFake()
	a, b := write(t, fake, ScopeSpec{}, "a"), write(t, fake, ScopeSpec{}, "b")
	broken := errors.New("connection lost")
	var foreign *ForeignKeyError
	tests := []struct {
		name  string
		block []byte
		err   error
		want  error
		as    any
	}{
		{name: "it surely has no such key", err: fmt.Errorf("table: %w", ErrUnknownKey), want: ErrUnknownKey},
		{name: "it cannot be reached", err: broken, want: ErrUnavailable},
		{name: "no block", block: []byte("garbage"), want: envelope.ErrKeyBlock},
		{name: "FV-3: the block of another key", block: b.block, want: ErrCommitment},
		{name: "FV-31: a foreign KEK", block: rebuild(t, a.block, func(k *envelope.KeyBlock) { k.KEK = "fake:evil" }), as: &foreign},
		{name: "FV-2: another commitment", block: rebuild(t, a.block, func(k *envelope.KeyBlock) { k.Commitment[20]++ }), want: ErrCommitment},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			store := &scriptStore{get: func(context.Context, ID) ([]byte, error) { return tt.block, tt.err }}
			s := newCache(t, fake, WithStore(store)).testScope(t, ScopeSpec{})
			o, err := s.Opener(t.Context(), a.id, nil)
			if o != nil || err == nil || tt.want != nil && !errors.Is(err, tt.want) || tt.as != nil && !errors.As(err, tt.as) {
				t.Errorf("err = %v", err)
			}
		})
	}
}

func TestMemStoreKeepsTheFirstBlock(t *testing.T) {
	var m MemStore
	ctx, id := t.Context(), ID{1}
	if _, err := m.Get(ctx, id); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("empty: %v", err)
	}
	block := []byte("first")
	if err := m.Put(ctx, id, block); err != nil {
		t.Fatal(err)
	}
	clear(block) // the store has its own copy
	if err := m.Put(ctx, id, []byte("second")); err != nil {
		t.Fatal(err)
	}
	got, err := m.Get(ctx, id)
	if err != nil || string(got) != "first" || m.Len() != 1 {
		t.Errorf("%q, %v, %d blocks", got, err, m.Len())
	}
	clear(got)
	if again, err := m.Get(ctx, id); err != nil || string(again) != "first" {
		t.Errorf("a caller changed the block: %q, %v", again, err)
	}
}

func TestCheckBlockAcceptsKeyBlocksOnly(t *testing.T) {
	val := write(t, kmstest.NewFake(), ScopeSpec{}, "a")
	if id, err := CheckBlock(val.block); err != nil || id != val.id {
		t.Errorf("%s, %v", id, err)
	}
	for n := range val.block {
		if id, err := CheckBlock(val.block[:n]); !errors.Is(err, envelope.ErrKeyBlock) || id != (ID{}) {
			t.Fatalf("cut to %d bytes: %s, %v", n, id, err)
		}
	}
}
