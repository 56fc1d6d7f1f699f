package ff1

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/fieldveil/fieldveil/internal/invariants"
)

var cases = flag.Int("cases", 20_000, "random cases against the oracle")

// fewer is n, or a tenth of it in builds that are many times slower.
func fewer(n int) int {
	if invariants.Enabled {
		return n / 10
	}
	return n
}

func newTest(t testing.TB, key []byte, radix int) *Cipher {
	t.Helper()
	c, err := New(key, radix)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// newRand returns a source that the log names, so that a failure can be run
// again.
func newRand(t testing.TB) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

func randomBytes(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// randomNumerals are at the ends of their range more often than not: carries
// and roundings go wrong there.
func randomNumerals(r *rand.Rand, radix, n int) []uint16 {
	x, kind := make([]uint16, n), r.IntN(8)
	for i := range x {
		switch {
		case kind == 0:
			x[i] = 0
		case kind == 1:
			x[i] = uint16(radix - 1)
		case kind == 2 && i != 0, kind == 3 && i != n/2:
			x[i] = uint16(radix-1) * uint16(r.IntN(2))
		default:
			x[i] = uint16(r.IntN(radix))
		}
	}
	return x
}

// check holds both directions against the oracle.
func check(t *testing.T, c *Cipher, key []byte, radix int, tweak []byte, x []uint16) {
	t.Helper()
	in := slices.Clone(x)
	got, back := make([]uint16, len(x)), make([]uint16, len(x))
	want := oracle(key, radix, tweak, x, false)
	if err := c.Encrypt(got, x, tweak); err != nil || !slices.Equal(got, want) {
		t.Fatalf("radix %d, tweak %x: %v encrypted to %v, %v; want %v", radix, tweak, x, got, err, want)
	}
	if err := c.Decrypt(back, got, tweak); err != nil || !slices.Equal(back, x) {
		t.Fatalf("radix %d, tweak %x: %v decrypted to %v, %v; want %v", radix, tweak, got, back, err, x)
	}
	if !slices.Equal(x, in) {
		t.Fatal("the input was changed")
	}
}

func TestRandomInputsAgreeWithTheOracle(t *testing.T) {
	r := newRand(t)
	radices := []int{2, 3, 4, 8, 10, 16, 26, 36, 62, 64, 94, 95, 100, 255, 256, 257, 1000, 1024, 65535, 65536}
	words, long := 0, 0
	for done := 0; done < fewer(*cases); {
		key := randomBytes(r, 16+8*r.IntN(3))
		radix := 2 + r.IntN(4000)
		if r.IntN(4) != 0 {
			radix = radices[r.IntN(len(radices))]
		}
		c := newTest(t, key, radix)
		for range 20 {
			n := MinLength(radix, MinDomain) + r.IntN(60)
			check(t, c, key, radix, randomBytes(r, r.IntN(33)), randomNumerals(r, radix, n))
			if n-n/2 <= c.chunk {
				words++
			} else {
				long++
			}
			done++
		}
	}
	if words == 0 || long == 0 {
		t.Errorf("%d strings of words and %d longer ones", words, long)
	}
}

// Every length of every size class: halves of one byte to several words, both
// parities, and tweaks around the block.
func TestAllLengthsAgreeWithTheOracle(t *testing.T) {
	r := newRand(t)
	for _, radix := range []int{2, 10, 36, 256, 65536} {
		key := randomBytes(r, 32)
		c := newTest(t, key, radix)
		for n := MinLength(radix, MinDomain); n <= 150; n++ {
			tweak := randomBytes(r, n%50)
			check(t, c, key, radix, tweak, randomNumerals(r, radix, n))
		}
	}
	key := randomBytes(r, 32)
	c := newTest(t, key, 10)
	for tweak := range 100 {
		check(t, c, key, 10, randomBytes(r, tweak), randomNumerals(r, 10, 6+tweak%40))
	}
}

func TestTheLongestStringsAndTweaksAgreeWithTheOracle(t *testing.T) {
	r := newRand(t)
	for _, radix := range []int{2, 10, 65536} {
		key := randomBytes(r, 32)
		c := newTest(t, key, radix)
		if radix == 10 {
			check(t, c, key, radix, randomBytes(r, 7), randomNumerals(r, radix, MaxLength))
		}
		check(t, c, key, radix, randomBytes(r, 7), randomNumerals(r, radix, 513)) // u mod 256 is 0
		check(t, c, key, radix, randomBytes(r, MaxTweak), randomNumerals(r, radix, 20))
	}
}

// A layout that a scratch remembers is the one of its lengths and no other.
func TestLengthsMayComeInAnyOrder(t *testing.T) {
	r := newRand(t)
	key := randomBytes(r, 32)
	c := newTest(t, key, 10)
	for range fewer(2000) {
		// All of one slot: words and more, under two tweaks.
		n := 7 + layoutSlots*r.IntN(4)
		check(t, c, key, 10, randomBytes(r, r.IntN(2)), randomNumerals(r, 10, n))
	}
}

// All strings of a domain are all strings of it again.
func TestAWholeDomainIsPermuted(t *testing.T) {
	for _, tt := range []struct{ radix, n int }{{10, 3}, {2, 7}, {2, 12}, {5, 5}, {10, 4}, {100, 2}} {
		c := newTest(t, make([]byte, 32), tt.radix)
		size := 1
		for range tt.n {
			size *= tt.radix
		}
		seen, moved := make([]bool, size), 0
		x, y := make([]uint16, tt.n), make([]uint16, tt.n)
		for i := range size {
			for at, rest := tt.n-1, i; at >= 0; at-- {
				x[at], rest = uint16(rest%tt.radix), rest/tt.radix
			}
			if err := c.Encrypt(y, x, []byte("tweak")); err != nil {
				t.Fatal(err)
			}
			to := 0
			for _, v := range y {
				to = to*tt.radix + int(v)
			}
			if seen[to] {
				t.Fatalf("radix %d, length %d: %v comes out twice", tt.radix, tt.n, y)
			}
			seen[to] = true
			if to != i {
				moved++
			}
		}
		if moved < size*9/10 {
			t.Errorf("radix %d, length %d: %d of %d strings are not themselves", tt.radix, tt.n, moved, size)
		}
	}
}

func TestWhatIsOutOfRangeIsRefusedAndNothingWritten(t *testing.T) {
	c := newTest(t, make([]byte, 32), 10)
	tests := []struct {
		name     string
		dst, src []uint16
		tweak    []byte
		err      error
	}{
		{"nothing", make([]uint16, 9), nil, nil, ErrLength},
		{"a domain of ten", make([]uint16, 9), make([]uint16, 1), nil, ErrLength},
		{"a numeral too many", make([]uint16, MaxLength+1), make([]uint16, MaxLength+1), nil, ErrLength},
		{"a numeral as large as the radix", make([]uint16, 9), []uint16{1, 2, 3, 10}, nil, ErrNumeral},
		{"the largest numeral there is", make([]uint16, 9), []uint16{65535, 2, 3, 4}, nil, ErrNumeral},
		{"a byte of tweak too many", make([]uint16, 9), make([]uint16, 9), make([]byte, MaxTweak+1), ErrTweak},
		{"an output too short", make([]uint16, 8), make([]uint16, 9), nil, errBuffer},
		{"no output at all", nil, make([]uint16, 9), nil, errBuffer},
	}
	for _, tt := range tests {
		for name, do := range map[string]func(dst, src []uint16, tweak []byte) error{"Encrypt": c.Encrypt, "Decrypt": c.Decrypt} {
			if err := do(tt.dst, tt.src, tt.tweak); !errors.Is(err, tt.err) {
				t.Errorf("%s of %s: %v", name, tt.name, err)
			}
			if slices.Max(append([]uint16{0}, tt.dst...)) != 0 {
				t.Errorf("%s of %s wrote %v", name, tt.name, tt.dst)
			}
		}
	}
	two := make([]uint16, 2)
	if err := c.Encrypt(two, two, nil); err != nil {
		t.Errorf("a domain of a hundred: %v", err)
	}
}

func TestKeysAndRadicesOutOfRangeAreRefused(t *testing.T) {
	for n := range 70 {
		_, err := New(make([]byte, n), 10)
		if ok := n == 16 || n == 24 || n == 32; ok != (err == nil) {
			t.Errorf("key of %d bytes: %v", n, err)
		}
	}
	for _, radix := range []int{-10, 0, 1, 2, 3, 65535, 65536, 65537, 1 << 32} {
		_, err := New(make([]byte, 32), radix)
		if ok := radix >= 2 && radix <= 65536; ok != (err == nil) {
			t.Errorf("radix %d: %v", radix, err)
		}
	}
}

func TestMinLengthIsTheFirstWithThatManyStrings(t *testing.T) {
	for _, tt := range []struct {
		radix  int
		domain uint64
		want   int
	}{
		{10, 1_000_000, 6}, {26, 1_000_000, 5}, {36, 1_000_000, 4}, {62, 1_000_000, 4}, {95, 1_000_000, 4}, {100, 1_000_000, 3},
		{256, 1_000_000, 3}, {999, 1_000_000, 3}, {1000, 1_000_000, 2}, {65536, 1_000_000, 2}, {2, 1_000_000, 20},
		{10, 100, 2}, {2, 100, 7}, {9, 100, 3}, {65536, 100, 2}, {10, 1, 2}, {10, 1_000_001, 7}, {2, 1 << 63, 63}, {3, ^uint64(0), 41},
	} {
		if got := MinLength(tt.radix, tt.domain); got != tt.want {
			t.Errorf("radix %d, %d strings: %d, want %d", tt.radix, tt.domain, got, tt.want)
		}
	}
}

func TestOutputMayBeTheInput(t *testing.T) {
	r := newRand(t)
	for _, n := range []int{6, 16, 33, 70} {
		key := randomBytes(r, 32)
		c := newTest(t, key, 10)
		x := randomNumerals(r, 10, n)
		want := oracle(key, 10, nil, x, false)
		buf := append(slices.Clone(x), 9, 9)
		if err := c.Encrypt(buf, buf[:n], nil); err != nil || !slices.Equal(buf[:n], want) || buf[n] != 9 || buf[n+1] != 9 {
			t.Errorf("length %d: %v, %v", n, buf, err)
		}
		if err := c.Decrypt(buf, buf[:n], nil); err != nil || !slices.Equal(buf[:n], x) {
			t.Errorf("length %d back: %v, %v", n, buf, err)
		}
	}
}

func TestTheKeyMayBeWipedAfterNew(t *testing.T) {
	key := bytes.Repeat([]byte{7}, 32)
	c := newTest(t, key, 10)
	clear(key)
	check(t, c, bytes.Repeat([]byte{7}, 32), 10, nil, make([]uint16, 16))
}

func TestKeyTweakAndLengthAllCount(t *testing.T) {
	x := make([]uint16, 20)
	seen := map[string]string{}
	add := func(name string, key, tweak []byte, n int) {
		y := make([]uint16, n)
		if err := newTest(t, key, 10).Encrypt(y, x[:n], tweak); err != nil {
			t.Fatal(err)
		}
		at := fmt.Sprint(y[:15])
		if was, ok := seen[at]; ok {
			t.Errorf("%s and %s come out the same", name, was)
		}
		seen[at] = name
	}
	key := make([]byte, 32)
	add("no tweak", key, nil, 16)
	add("a zero tweak", key, make([]byte, 1), 16)
	add("two zeros of tweak", key, make([]byte, 2), 16)
	add("a block of zeros of tweak", key, make([]byte, 16), 16)
	add("another length", key, nil, 17)
	for i := range 256 {
		key := make([]byte, 32)
		key[i/8] ^= 1 << (i % 8)
		add(fmt.Sprintf("key with bit %d", i), key, nil, 16)
	}
	for i := range 40 * 8 {
		tweak := make([]byte, 40)
		tweak[i/8] ^= 1 << (i % 8)
		add(fmt.Sprintf("tweak with bit %d", i), key, tweak, 16)
	}
}

func TestManyGoroutinesShareACipher(t *testing.T) {
	key := make([]byte, 32)
	c := newTest(t, key, 10)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 1))
			for range 20 {
				x, tweak := randomNumerals(r, 10, 6+r.IntN(50)), randomBytes(r, r.IntN(20))
				want := oracle(key, 10, tweak, x, false)
				y := make([]uint16, len(x))
				for range 50 {
					if err := c.Encrypt(y, x, tweak); err != nil || !slices.Equal(y, want) {
						t.Errorf("goroutine %d: %v, %v", i, y, err)
						return
					}
					if err := c.Decrypt(y, y, tweak); err != nil || !slices.Equal(y, x) {
						t.Errorf("goroutine %d back: %v, %v", i, y, err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
}

func TestACipherShowsNothing(t *testing.T) {
	c := newTest(t, make([]byte, 32), 10)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		if got := fmt.Sprintf(verb, c); got != "ff1.Cipher" {
			t.Errorf("%s shows %s", verb, got)
		}
	}
}

func TestScratchIsGivenBackClean(t *testing.T) {
	if invariants.Enabled {
		t.Skip("the race detector empties pools: not tested in this build")
	}
	c := newTest(t, make([]byte, 32), 10)
	var s *scratch
	c.scratch.New = func() any { s = new(scratch); return s }
	x := []uint16{1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3, 4, 5, 6}
	for _, n := range []int{16, 38, 42} {
		if err := c.Encrypt(x, x[:n], []byte("tweak")); err != nil {
			t.Fatal(err)
		}
	}
	g := &s.long
	if s.b != [16]byte{} || !allZero(g.x) || !allZero(g.y) || !allZero(g.f[:cap(g.f)]) || !allZero(g.q[:cap(g.q)]) {
		t.Errorf("left behind: %v", s)
	}
	if len(g.x) == 0 || len(g.q) == 0 {
		t.Error("scratch is not used at all")
	}
}

func allZero[T comparable](x []T) bool {
	var zero T
	return !slices.ContainsFunc(x, func(v T) bool { return v != zero })
}

func TestAWarmCipherAllocatesNothing(t *testing.T) {
	if invariants.Enabled {
		t.Skip("the race detector empties pools: not tested in this build")
	}
	for _, radix := range []int{10, 62} {
		c := newTest(t, make([]byte, 32), radix)
		lengths := []int{6, 9, 16, 19, 40, 70, 200}
		x, tweak := make([]uint16, 200), make([]byte, 20)
		var failed error
		allocs := testing.AllocsPerRun(200, func() {
			for i, n := range lengths {
				if err := c.Encrypt(x[:n], x[:n], tweak[:i]); err != nil {
					failed = err
				}
				if err := c.Decrypt(x[:n], x[:n], tweak[:i]); err != nil {
					failed = err
				}
			}
		})
		if allocs != 0 || failed != nil {
			t.Errorf("radix %d: %v allocations, %v", radix, allocs, failed)
		}
	}
}

func FuzzEncrypt(f *testing.F) {
	f.Add(uint16(8), []byte("4111111111111111"), []byte{}, byte(0))
	f.Add(uint16(34), []byte("keys and letters of more than a word"), []byte("a tweak"), byte(1))
	f.Fuzz(func(t *testing.T, more uint16, text, tweak []byte, size byte) {
		radix := MinRadix + int(more)%(MaxRadix-1)
		key := bytes.Repeat([]byte{size}, 16+8*int(size%3))
		c := newTest(t, key, radix)
		// The oracle is slow.
		text, tweak = text[:min(len(text), 300)], tweak[:min(len(tweak), 100)]
		x := make([]uint16, len(text))
		for i, v := range text {
			x[i] = uint16(int(v) << (8 * (i & 1)) % radix)
		}
		if len(x) < MinLength(radix, MinDomain) {
			if err := c.Encrypt(x, x, tweak); !errors.Is(err, ErrLength) {
				t.Errorf("length %d of radix %d: %v", len(x), radix, err)
			}
			return
		}
		check(t, c, key, radix, tweak, x)
	})
}
