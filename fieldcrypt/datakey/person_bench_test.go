package datakey

import (
	"context"
	"encoding/binary"
	"runtime"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt/shred"
)

// forgetfulStore knows nobody, so that every person is new and nothing but the
// keys in use takes memory.
type forgetfulStore struct{ shred.MemStore }

func (*forgetfulStore) Person(context.Context, string, shred.PersonID) (shred.Row, error) {
	return shred.Row{}, shred.ErrNone
}

func (*forgetfulStore) Create(_ context.Context, r shred.Row) (shred.Row, error) { return r, nil }

func openForgetful(t testing.TB, opts ...PersonsOption) *Persons {
	t.Helper()
	p, err := OpenPersons(t.Context(), newCache(t, newPersonWorld().fake), new(forgetfulStore), new(shred.MemLedger), opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func meet(t testing.TB, s *PersonScope, n int) {
	t.Helper()
	w, who := s.NewSealer(), make([]byte, 8)
	for i := range n {
		binary.BigEndian.PutUint64(who, uint64(i))
		if err := w.Load(t.Context(), who); err != nil {
			t.Fatal(err)
		}
		w.Done()
	}
}

// A key in memory takes less than four kilobytes, however many persons there are.
func TestAKeyInMemoryIsSmall(t *testing.T) {
	const limit, persons = 2000, 20_000
	p := openForgetful(t, WithMaxPersons(limit))
	s := p.of(t, "acme")
	meet(t, s, 1)
	before := heap()
	meet(t, s, persons)
	after := heap()
	if p.Len() > limit || p.Len() < limit*3/4 {
		t.Errorf("%d keys are kept", p.Len())
	}
	if each := (after - min(before, after)) / limit; each > 4096 {
		t.Errorf("%d bytes per key", each)
	}
}

// BenchmarkMemoryOfPersons meets one new person after the other and reports what
// those that are kept, 10,000, take each.
func BenchmarkMemoryOfPersons(b *testing.B) {
	p := openForgetful(b)
	s := p.of(b, "acme")
	meet(b, s, 1)
	before := heap()
	b.ResetTimer()
	meet(b, s, b.N)
	b.StopTimer()
	b.ReportMetric(float64(heap()-before)/float64(p.Len()), "B/key")
	b.ReportMetric(float64(p.Len()), "keys")
}

// BenchmarkWarmPerson begins a record of a person whose key is at hand, and seals
// five values; BenchmarkWarmScope does so under a shared key.
func BenchmarkWarmPerson(b *testing.B) {
	s := openForgetful(b).of(b, "acme")
	w, who, plain := s.NewSealer(), []byte("person-1"), make([]byte, 32)
	if err := w.Load(b.Context(), who); err != nil {
		b.Fatal(err)
	}
	w.Done()
	dst := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		if !w.LoadCached(who) {
			b.Fatal("not at hand")
		}
		dst = dst[:0]
		for range 5 {
			var err error
			if dst, err = w.AppendText(dst, plain, testPlace); err != nil {
				b.Fatal(err)
			}
		}
		w.Done()
	}
}

func BenchmarkWarmScope(b *testing.B) {
	w := newCache(b, newPersonWorld().fake).testScope(b, ScopeSpec{}).NewSealer()
	plain := make([]byte, 32)
	if err := w.Reserve(b.Context(), 5, 160); err != nil {
		b.Fatal(err)
	}
	h := w.Head(testPlace)
	dst := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		if err := w.Reserve(b.Context(), 5, 160); err != nil {
			b.Fatal(err)
		}
		if !w.Current(h) {
			h = w.Head(testPlace)
		}
		dst = dst[:0]
		for range 5 {
			var err error
			if dst, err = w.AppendText(dst, plain, h); err != nil {
				b.Fatal(err)
			}
		}
		w.Done()
	}
}
