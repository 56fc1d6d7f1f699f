package ff1

import (
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"
)

// edge returns numbers near which carries and roundings happen, and others.
func edge(r *rand.Rand) uint64 {
	x := r.Uint64() >> r.IntN(64)
	switch r.IntN(6) {
	case 0:
		x = 1 << r.IntN(64)
	case 1:
		x = 1<<r.IntN(64) - 1
	case 2:
		x = ^uint64(0) - x>>32
	case 3:
		x = 0
	}
	return x
}

func bigWords(x []uint64) *big.Int {
	n := new(big.Int)
	for _, w := range slices.Backward(x) {
		n.Lsh(n, 64).Add(n, new(big.Int).SetUint64(w))
	}
	return n
}

func TestModulusAgreesWithBigIntegers(t *testing.T) {
	r := newRand(t)
	for range fewer(200_000) {
		m := max(edge(r), 1)
		d := newModulus(m)
		bm := new(big.Int).SetUint64(m)
		hi, lo := edge(r)%m, edge(r)
		q, rest := d.divide(hi, lo)
		wq, wrest := new(big.Int).DivMod(bigWords([]uint64{lo, hi}), bm, new(big.Int))
		if q != wq.Uint64() || rest != wrest.Uint64() {
			t.Fatalf("%x %x by %x: %x and %x, want %x and %x", hi, lo, m, q, rest, wq, wrest)
		}
		x, y := edge(r)%m, edge(r)%m
		bx, by := new(big.Int).SetUint64(x), new(big.Int).SetUint64(y)
		mod := func(n *big.Int) uint64 { return n.Mod(n, bm).Uint64() }
		if got, want := d.add(x, y), mod(new(big.Int).Add(bx, by)); got != want {
			t.Fatalf("%x + %x mod %x = %x, want %x", x, y, m, got, want)
		}
		if got, want := d.sub(x, y), mod(new(big.Int).Sub(bx, by)); got != want {
			t.Fatalf("%x - %x mod %x = %x, want %x", x, y, m, got, want)
		}
		hi = edge(r) >> 32
		if m > 1 {
			if got, want := d.reduce(hi, lo), mod(bigWords([]uint64{lo, hi})); got != want {
				t.Fatalf("%x %x mod %x = %x, want %x", hi, lo, m, got, want)
			}
		}
		m = m%(1<<32) + 1
		d = newModulus(m)
		bm.SetUint64(m)
		x, y = edge(r)%m, edge(r)
		bx.SetUint64(x)
		by.SetUint64(y)
		if got, want := d.addNarrow(x, y), mod(new(big.Int).Add(bx, by)); got != want {
			t.Fatalf("%x + %x mod %x = %x, want %x", x, y, m, got, want)
		}
		if got, want := d.subNarrow(x, y), mod(new(big.Int).Sub(bx, by)); got != want {
			t.Fatalf("%x - %x mod %x = %x, want %x", x, y, m, got, want)
		}
	}
}

// The rare cases of algorithm D, in which the guess of the quotient is one or
// two too large or no word at all, come of words like these and of no powers of
// a radix that are tried here.
func TestLongModulusAgreesWithBigIntegers(t *testing.T) {
	r := newRand(t)
	words := func(n int) []uint64 {
		x := make([]uint64, n)
		for i := range x {
			x[i] = edge(r)
		}
		return x
	}
	for range fewer(100_000) {
		m := words(1 + r.IntN(4))
		m[len(m)-1] |= 1 << r.IntN(64)
		d := longModulus{m: m}
		d.prepare()
		bm := bigWords(m)
		if want := new(big.Int).Sub(bm, big.NewInt(1)).BitLen(); d.bits != want {
			t.Fatalf("%x: %d bits, want %d", m, d.bits, want)
		}
		x := append(words(len(m)+r.IntN(3)), 0)
		want := bigWords(x)
		want.Mod(want, bm)
		was := slices.Clone(x)
		if got := d.reduce(x); len(got) != len(m) || bigWords(got).Cmp(want) != 0 {
			t.Fatalf("%x mod %x = %x, want %x", was, m, got, want)
		}
		y := append(words(len(m)), 0)
		x, y = slices.Clone(x[:len(m)]), d.reduce(y)
		sum := new(big.Int).Add(bigWords(x), bigWords(y))
		diff := new(big.Int).Sub(bigWords(x), bigWords(y))
		sub := slices.Clone(x)
		d.add(x, y)
		d.sub(sub, y)
		if bigWords(x).Cmp(sum.Mod(sum, bm)) != 0 || bigWords(sub).Cmp(diff.Mod(diff, bm)) != 0 {
			t.Fatalf("sum %x and difference %x modulo %x, want %x and %x", x, sub, m, sum, diff)
		}
	}
}

// Numerals go to a word and back, at both ends of every length that fits.
func TestNumeralsOfAWordComeBack(t *testing.T) {
	r := newRand(t)
	for _, radix := range []int{2, 3, 7, 10, 16, 62, 255, 256, 257, 65535, 65536} {
		c := newTest(t, make([]byte, 16), radix)
		for n := 1; n <= c.chunk; n++ {
			for range 50 {
				x := randomNumerals(r, radix, n)
				y := make([]uint16, n)
				c.str(y, c.num(x))
				if !slices.Equal(x, y) {
					t.Fatalf("radix %d: %v becomes %v", radix, x, y)
				}
			}
			// All numbers next to a multiple of a power of the radix.
			for k := range n {
				for _, near := range []uint64{0, 1, c.pow(n) - c.pow(k)} {
					for _, by := range []uint64{0, 1, c.pow(k) - 1, c.pow(k)} {
						v := (near + by) % c.pow(n)
						y := make([]uint16, n)
						c.str(y, v)
						if oracleNum(y, radix).Uint64() != v {
							t.Fatalf("radix %d: %d becomes %v", radix, v, y)
						}
					}
				}
			}
		}
	}
}
