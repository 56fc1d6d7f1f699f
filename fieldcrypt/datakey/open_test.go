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

// written is a value that another process sealed.
type written struct {
	env, block []byte
	id         ID
}

// write seals a value in a process of its own.
func write(t testing.TB, w kms.Wrapper, spec ScopeSpec, plain string, opts ...Option) written {
	t.Helper()
	c := newCache(t, w, opts...)
	defer c.Close()
	sealer := c.testScope(t, spec).NewSealer()
	env := sealOne(t, sealer, plain)
	return written{env: env, block: sealer.KeyBlock(), id: sealer.KeyID()}
}

func (w written) blocks() [][]byte { return [][]byte{w.block} }

func TestAnOpenerIsFetchedOnceAndExpires(t *testing.T) {
	noFIPS(t)
	synctest.Test(t, func(t *testing.T) {
		fake := kmstest.NewFake()
		val := write(t, fake, ScopeSpec{}, "jane")
		s := newCache(t, fake).testScope(t, ScopeSpec{})
		start, before := time.Now(), fake.Calls(kmstest.OpUnwrap)
		o, err := s.Opener(t.Context(), val.id, val.blocks())
		if err != nil {
			t.Fatal(err)
		}
		for range 100 {
			again, err := s.Opener(t.Context(), val.id, nil) // a header that was lost
			if err != nil || again != o || s.Cached(val.id) != o {
				t.Fatalf("another opener: %v", err)
			}
		}
		if got, err := openWith(o, val.env); err != nil || got != "jane" || o.KeyID() != val.id {
			t.Errorf("opened %q, %v", got, err)
		}
		if n := fake.Calls(kmstest.OpUnwrap) - before; n != 1 {
			t.Errorf("%d calls, want 1", n)
		}
		at(start, DefaultExpire-1)
		if o.Expired() || s.Cached(val.id) == nil {
			t.Error("expired too early")
		}
		at(start, DefaultExpire)
		if !o.Expired() || s.Cached(val.id) != nil {
			t.Error("an opener outlives its limit")
		}
		// Whether this process may still open is for the KMS to say.
		fake.Fail(kms.ErrDenied)
		if _, err := s.Opener(t.Context(), val.id, val.blocks()); !errors.Is(err, ErrUnusable) || !errors.Is(err, kms.ErrDenied) {
			t.Errorf("permission revoked: %v", err)
		}
		fake.Fail(nil)
		if _, err := s.Opener(t.Context(), val.id, val.blocks()); !errors.Is(err, kms.ErrDenied) {
			t.Errorf("a definitive answer stands: %v", err)
		}
		pass(refusalTime)
		if o, err := s.Opener(t.Context(), val.id, val.blocks()); err != nil || o.Expired() {
			t.Errorf("asked anew: %v", err)
		}
	})
}

func TestAnOpenerThatWasMadeByASlowKMSLivesNoLonger(t *testing.T) {
	noFIPS(t)
	synctest.Test(t, func(t *testing.T) {
		fake := kmstest.NewFake()
		val := write(t, fake, ScopeSpec{}, "jane")
		fake.Hook(func(context.Context, kmstest.Op, string) error { pass(5 * time.Second); return nil })
		s := newCache(t, fake).testScope(t, ScopeSpec{})
		start := time.Now()
		if _, err := s.Opener(t.Context(), val.id, val.blocks()); err != nil {
			t.Fatal(err)
		}
		at(start, DefaultExpire)
		if s.Cached(val.id) != nil {
			t.Error("the time of the call is added to the life of the key")
		}
	})
}

func TestTheOldestOpenerMakesRoom(t *testing.T) {
	fake := kmstest.NewFake()
	vals := []written{write(t, fake, ScopeSpec{}, "a"), write(t, fake, ScopeSpec{}, "b"), write(t, fake, ScopeSpec{}, "c")}
	s := newCache(t, fake, WithMaxOpeners(2)).testScope(t, ScopeSpec{})
	var openers []*Opener
	for _, v := range vals {
		o, err := s.Opener(t.Context(), v.id, v.blocks())
		if err != nil {
			t.Fatal(err)
		}
		openers = append(openers, o)
	}
	for i, gone := range []bool{true, false, false} {
		if openers[i].Expired() != gone || (s.Cached(vals[i].id) == nil) != gone {
			t.Errorf("opener %d: expired %v, cached %v", i, openers[i].Expired(), s.Cached(vals[i].id) != nil)
		}
	}
	if got, err := openWith(openers[0], vals[0].env); err != nil || got != "a" {
		t.Errorf("who holds an opener finishes his record: %q, %v", got, err)
	}
	if n := kept(s.cache); n != 2 || s.cache.openers.order.Len() != 2 {
		t.Errorf("%d openers are kept", n)
	}
}

func TestAThousandReadersOfOneKeyMakeOneCall(t *testing.T) {
	noFIPS(t)
	synctest.Test(t, func(t *testing.T) {
		fake := kmstest.NewFake()
		val := write(t, fake, ScopeSpec{}, "jane")
		fake.Hook(func(context.Context, kmstest.Op, string) error { pass(time.Second); return nil })
		before := fake.Calls(kmstest.OpUnwrap)
		s := newCache(t, fake).testScope(t, ScopeSpec{})
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() {
				o, err := s.Opener(t.Context(), val.id, [][]byte{bytes.Clone(val.block)})
				if err != nil {
					t.Error(err)
					return
				}
				if got, err := openWith(o, val.env); err != nil || got != "jane" {
					t.Errorf("opened %q, %v", got, err)
				}
			})
		}
		wg.Wait()
		if n := fake.Calls(kmstest.OpUnwrap) - before; n != 1 {
			t.Errorf("%d calls, want 1", n)
		}
		if n := len(s.cache.openers.flights); n != 0 {
			t.Errorf("%d flights are left", n)
		}
	})
}

func TestABadBlockOfOneRecordDoesNotDecideAboutAnother(t *testing.T) {
	noFIPS(t)
	synctest.Test(t, func(t *testing.T) {
		fake := kmstest.NewFake()
		val := write(t, fake, ScopeSpec{}, "jane")
		fake.Hook(func(context.Context, kmstest.Op, string) error { pass(time.Second); return nil })
		s := newCache(t, fake).testScope(t, ScopeSpec{})
		bad := bytes.Clone(val.block)
		bad[len(bad)-1] ^= 1
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := s.Opener(t.Context(), val.id, [][]byte{bad}); !errors.Is(err, ErrUnusable) {
				t.Errorf("bad block: %v", err)
			}
		})
		synctest.Wait() // the bad one is under way
		wg.Go(func() {
			if _, err := s.Opener(t.Context(), val.id, val.blocks()); err != nil {
				t.Errorf("good block: %v", err)
			}
		})
		wg.Wait()
	})
}

func TestAReaderWhoGivesUpDoesNotTakeTheOthersWithHim(t *testing.T) {
	noFIPS(t)
	synctest.Test(t, func(t *testing.T) {
		fake := kmstest.NewFake()
		val := write(t, fake, ScopeSpec{}, "jane")
		fake.Hook(func(ctx context.Context, _ kmstest.Op, _ string) error {
			pass(time.Second)
			return ctx.Err()
		})
		s := newCache(t, fake).testScope(t, ScopeSpec{})
		other := bytes.Clone(val.block)
		other[len(other)-1] ^= 1
		var wg sync.WaitGroup
		for _, blocks := range [][][]byte{val.blocks(), {other}} {
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
				defer cancel()
				start := time.Now()
				_, err := s.Opener(ctx, val.id, blocks)
				if !errors.Is(err, ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("err = %v", err)
				}
				if d := time.Since(start); d != 100*time.Millisecond {
					t.Errorf("returned after %v", d)
				}
			})
			synctest.Wait()
		}
		if _, err := s.Opener(t.Context(), val.id, val.blocks()); err != nil {
			t.Errorf("who stayed: %v", err)
		}
		wg.Wait()
	})
}

func TestTheBuffersOfACallerMayChangeOnceHeGaveUp(t *testing.T) {
	noFIPS(t)
	synctest.Test(t, func(t *testing.T) {
		fake := kmstest.NewFake()
		val := write(t, fake, ScopeSpec{}, "jane")
		gate := make(chan struct{})
		fake.Hook(func(context.Context, kmstest.Op, string) error { <-gate; return nil })
		s := newCache(t, fake).testScope(t, ScopeSpec{})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		block := bytes.Clone(val.block)
		if _, err := s.Opener(ctx, val.id, [][]byte{block}); !errors.Is(err, ErrUnavailable) {
			t.Fatalf("err = %v", err)
		}
		clear(block)
		close(gate)
		synctest.Wait()
		if o := s.Cached(val.id); o == nil {
			t.Error("the work did not outlive the caller")
		} else if got, err := openWith(o, val.env); err != nil || got != "jane" {
			t.Errorf("opened %q, %v", got, err)
		}
	})
}

func TestFV12And13WhatDoesNotOpenIsRefused(t *testing.T) {
	fake := kmstest.NewFake()
	for _, suite := range suites {
		val := write(t, fake, ScopeSpec{Suite: suite}, "jane@example.com")
		s := newCache(t, fake).testScope(t, ScopeSpec{})
		o, err := s.Opener(t.Context(), val.id, val.blocks())
		if err != nil {
			t.Fatal(err)
		}
		for i := range val.env {
			for bit := range 8 {
				env := bytes.Clone(val.env)
				env[i] ^= 1 << bit
				want := ErrTampered
				switch {
				case i == 0:
					want = envelope.ErrVersion
				case i == 1:
					want = nil // another suite: unknown, too short for it, or not authentic
				case i < 14:
					want = ErrUnknownKey
				}
				got, err := openWith(o, env)
				if err == nil || got != "" || want != nil && !errors.Is(err, want) {
					t.Fatalf("suite %d, byte %d, bit %d: %q, %v", suite, i, bit, got, err)
				}
			}
		}
		for n := range val.env {
			if got, err := openWith(o, val.env[:n]); err == nil {
				t.Fatalf("suite %d, cut to %d bytes: %q", suite, n, got)
			}
		}
		v, err := ParseValue(val.env)
		if err != nil {
			t.Fatal(err)
		}
		v.sealed = bytes.Clone(v.sealed)
		v.sealed[len(v.sealed)-1] ^= 1
		dst := append(make([]byte, 0, 100), "before"...)
		if out, err := o.Append(dst, &v); !errors.Is(err, ErrTampered) || string(out) != "before" {
			t.Errorf("dst came back as %q, %v", out, err)
		}
		if bytes.Contains(dst[:cap(dst)], []byte("jane")) {
			t.Error("FV-13: plaintext of a value that was refused is in the buffer")
		}
		v.header.Suite = envelope.AES256SIV
		if _, err := o.Append(nil, &v); !errors.Is(err, envelope.ErrSuite) {
			t.Errorf("a reserved suite: %v", err)
		}
	}
}
