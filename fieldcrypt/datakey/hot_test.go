package datakey

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms/kmstest"
	"github.com/fieldveil/fieldveil/internal/envelope"
	"github.com/fieldveil/fieldveil/internal/invariants"
)

func TestAWarmScopeSealsAndOpensWithoutAllocations(t *testing.T) {
	if invariants.Enabled {
		t.Skip("race detector and invariant checks allocate: not tested in this build")
	}
	w := newCache(t, kmstest.NewFake()).testScope(t, ScopeSpec{}).NewSealer()
	plain := []byte("jane@example.com")
	env := sealOne(t, w, string(plain))
	h, dst := w.Head(testPlace), make([]byte, 0, 1024)
	ctx := t.Context()
	check := func(name string, f func() error) {
		var failed error
		// More runs than a lease has seals, so that taking the next one counts.
		n := testing.AllocsPerRun(2*leaseSeals, func() {
			if err := f(); err != nil {
				failed = err
			}
		})
		if n != 0 || failed != nil {
			t.Errorf("%s: %v allocations, %v", name, n, failed)
		}
	}
	check("Reserve, AppendText, Append, Done", func() error {
		if err := w.Reserve(ctx, 2, 2*len(plain)); err != nil {
			return err
		}
		out, err := w.AppendText(dst[:0], plain, h)
		if err != nil {
			return err
		}
		_, err = w.Append(out, plain, h)
		w.Done()
		return err
	})
	o := w.scope.Cached(w.KeyID())
	check("Cached, ParseValue, Append", func() error {
		v, err := ParseValue(env)
		if err != nil {
			return err
		}
		if w.scope.Cached(v.KeyID()) != o {
			return ErrUnknownKey
		}
		_, err = o.Append(dst[:0], &v)
		return err
	})
}

// A buffer that one huge value made large does not stay with the Sealer.
func TestDoneLetsGoOfALargeBuffer(t *testing.T) {
	w := newCache(t, kmstest.NewFake()).testScope(t, ScopeSpec{}).NewSealer()
	for _, tt := range []struct {
		size int
		kept bool
	}{{100, true}, {maxScratch, false}} {
		if err := w.Reserve(t.Context(), 1, tt.size); err != nil {
			t.Fatal(err)
		}
		if _, err := w.AppendText(nil, make([]byte, tt.size), w.Head(testPlace)); err != nil {
			t.Fatal(err)
		}
		w.Done()
		if kept := w.scratch != nil; kept != tt.kept {
			t.Errorf("%d bytes: buffer kept = %v", tt.size, kept)
		}
	}
}

func BenchmarkSeal(b *testing.B) {
	for _, suite := range suites {
		for _, size := range []int{16, 256, 4096} {
			b.Run(fmt.Sprintf("suite=%v/bytes=%d", envelope.Suite(suite), size), func(b *testing.B) {
				w := newCache(b, kmstest.NewFake()).testScope(b, ScopeSpec{Suite: suite}).NewSealer()
				plain, dst := make([]byte, size), make([]byte, 0, 2*size+256)
				sealOne(b, w, "x")
				h, ctx := w.Head(testPlace), b.Context()
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					if err := w.Reserve(ctx, 1, size); err != nil {
						b.Fatal(err)
					}
					if !w.Current(h) {
						h = w.Head(testPlace)
					}
					if _, err := w.AppendText(dst, plain, h); err != nil {
						b.Fatal(err)
					}
					w.Done()
				}
			})
		}
	}
}

func BenchmarkSealParallel(b *testing.B) {
	s := newCache(b, kmstest.NewFake()).testScope(b, ScopeSpec{})
	plain, ctx := make([]byte, 16), b.Context()
	var sealed atomic.Int64
	b.SetBytes(int64(len(plain)))
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		w, dst := s.NewSealer(), make([]byte, 0, 256)
		var h *Head
		for pb.Next() {
			if err := w.Reserve(ctx, 1, len(plain)); err != nil {
				b.Error(err)
				return
			}
			if !w.Current(h) {
				h = w.Head(testPlace)
			}
			if _, err := w.AppendText(dst, plain, h); err != nil {
				b.Error(err)
				return
			}
			sealed.Add(int64(w.Done()))
		}
	})
	if sealed.Load() != int64(b.N) {
		b.Errorf("%d of %d values", sealed.Load(), b.N)
	}
}

func BenchmarkOpen(b *testing.B) {
	for _, suite := range suites {
		b.Run(fmt.Sprintf("suite=%v/bytes=%d", envelope.Suite(suite), 16), func(b *testing.B) {
			w := newCache(b, kmstest.NewFake()).testScope(b, ScopeSpec{Suite: suite}).NewSealer()
			env, dst := sealOne(b, w, "sixteen bytes ok"), make([]byte, 0, 256)
			b.SetBytes(16)
			b.ReportAllocs()
			for b.Loop() {
				v, err := ParseValue(env)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := w.scope.Cached(v.KeyID()).Append(dst, &v); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
