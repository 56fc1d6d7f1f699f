package tokenize_test

import (
	"fmt"
	"strconv"
	"testing"

	"github.com/fieldveil/fieldveil/tokenize"
	"github.com/fieldveil/fieldveil/tokenize/vaulttest"
)

// BenchmarkAppendKnown is read beside BenchmarkFloor. Of it, keyed hashing of
// the value is the greater part: BenchmarkIndex.
func BenchmarkAppendKnown(b *testing.B) {
	for _, n := range []int{1, 50_000} {
		b.Run("values="+strconv.Itoa(n), func(b *testing.B) {
			v, k := openVault(b, vaulttest.NewMemory()), vaulttest.NewKeys("a")
			var in [][]byte
			for i := range n {
				in = append(in, fmt.Appendf(nil, "%032d", i))
			}
			if _, err := v.Tokenize(b.Context(), k, scope, tok, in); err != nil {
				b.Fatal(err)
			}
			known := in[:0]
			for _, value := range in {
				if _, ok := v.AppendKnown(nil, k, scope, value); ok {
					known = append(known, value)
				}
			}
			dst := make([]byte, 0, 64)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				var ok bool
				if dst, ok = v.AppendKnown(dst[:0], k, scope, known[i%len(known)]); !ok {
					b.Fatal("not known")
				}
			}
		})
	}
}

func BenchmarkIndex(b *testing.B) {
	k, value := vaulttest.NewKeys("a"), make([]byte, 32)
	b.ReportAllocs()
	for b.Loop() {
		k.Index(value)
	}
}

func BenchmarkFormat(b *testing.B) {
	for _, name := range []string{"prefixed", "uuid", "pan last=4", "ssn", "same digits"} {
		e := formats()[name]
		b.Run("format="+name, func(b *testing.B) {
			dst := make([]byte, 0, 300)
			value := []byte(e.values[0])
			b.ReportAllocs()
			for b.Loop() {
				var err error
				if dst, err = e.f.Append(dst[:0], value); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkTokenize is a batch of new values, without what the store takes.
func BenchmarkTokenize(b *testing.B) {
	const batch = 100
	store, k := vaulttest.NewMemory(), vaulttest.NewKeys("a")
	v := openVault(b, store)
	in := make([][]byte, batch)
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		for i := range in {
			in[i] = strconv.AppendInt(in[i][:0], int64(n), 10)
			n++
		}
		if _, err := v.Tokenize(b.Context(), k, scope, tok, in); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/value")
}

var _ tokenize.Store = (*faulty)(nil)
