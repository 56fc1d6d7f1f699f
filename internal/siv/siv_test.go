package siv

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"sync"
	"testing"

	"github.com/fieldveil/fieldveil/internal/invariants"
)

func newTest(t testing.TB) *Cipher {
	t.Helper()
	key := make([]byte, KeySize)
	for i := range key {
		key[i] = byte(0x30 + i)
	}
	c, err := New(key)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}

// oracle is RFC 5297 written a second time: by its text, on whole buffers, with
// big integers for the field and the counter mode of the standard library.
type oracle struct{ mac, ctr cipher.Block }

func newOracle(t testing.TB, key []byte) oracle {
	t.Helper()
	mac, err := aes.NewCipher(key[:len(key)/2])
	if err != nil {
		t.Fatal(err)
	}
	ctr, err := aes.NewCipher(key[len(key)/2:])
	if err != nil {
		t.Fatal(err)
	}
	return oracle{mac, ctr}
}

func dbl(b []byte) []byte {
	n := new(big.Int).SetBytes(b)
	n.Lsh(n, 1)
	if n.Bit(128) == 1 {
		n.SetBit(n, 128, 0).Xor(n, big.NewInt(0x87))
	}
	return n.FillBytes(make([]byte, 16))
}

func xored(a, b []byte) []byte {
	out := make([]byte, len(a))
	for i := range a {
		out[i] = a[i] ^ b[i]
	}
	return out
}

func pad(b []byte) []byte {
	b = append(bytes.Clone(b), 0x80)
	return append(b, make([]byte, (16-len(b)%16)%16)...)
}

func (o oracle) cmac(m []byte) []byte {
	l := make([]byte, 16)
	o.mac.Encrypt(l, l)
	sub := dbl(l)
	if len(m) == 0 || len(m)%16 != 0 {
		m, sub = pad(m), dbl(sub)
	}
	x := make([]byte, 16)
	for i := 0; i < len(m); i += 16 {
		x = xored(x, m[i:i+16])
		if i+16 == len(m) {
			x = xored(x, sub)
		}
		o.mac.Encrypt(x, x)
	}
	return x
}

func (o oracle) seal(plain []byte, components ...[]byte) []byte {
	d := o.cmac(make([]byte, 16))
	for _, s := range components {
		d = xored(dbl(d), o.cmac(s))
	}
	var v []byte
	if n := len(plain); n >= 16 {
		v = o.cmac(append(bytes.Clone(plain[:n-16]), xored(plain[n-16:], d)...))
	} else {
		v = o.cmac(xored(dbl(d), pad(plain)))
	}
	q := bytes.Clone(v)
	q[8] &= 0x7f
	q[12] &= 0x7f
	out := make([]byte, len(plain))
	cipher.NewCTR(o.ctr, q).XORKeyStream(out, plain)
	return append(v, out...)
}

func TestEveryLengthIsSealedAsTheRFCSays(t *testing.T) {
	for _, size := range []int{32, 48, 64} {
		key := random(size)
		c, err := newCipher(key)
		if err != nil {
			t.Fatal(err)
		}
		o := newOracle(t, key)
		for n := range 200 {
			plain := random(n)
			for _, components := range [][][]byte{
				{random(22)}, {random(n)}, {nil}, {}, {random(16), nil, random(n % 33)}, {{}, random(15), random(17), random(32)},
			} {
				want := o.seal(plain, components...)
				got, err := c.SealVector(nil, plain, components...)
				if err != nil || !bytes.Equal(got, want) {
					t.Fatalf("key of %d, plaintext of %d bytes, %d components: %x, want %x", size, n, len(components), got, want)
				}
				back, err := c.OpenVector(nil, got, components...)
				if err != nil || !bytes.Equal(back, plain) {
					t.Fatalf("key of %d, plaintext of %d bytes, %d components: %v", size, n, len(components), err)
				}
				if len(components) == 1 && !bytes.Equal(c.Seal(nil, plain, components[0]), want) {
					t.Fatal("Seal is not SealVector with one component")
				}
			}
		}
	}
}

func TestOnlyKeysOf64BytesAreTaken(t *testing.T) {
	for n := range 130 {
		c, err := New(make([]byte, n))
		if (err == nil) != (n == KeySize) || (c != nil) != (n == KeySize) {
			t.Errorf("key of %d bytes: %v, %v", n, c, err)
		}
	}
}

func TestTheKeyMayBeWipedAfterNew(t *testing.T) {
	key := random(KeySize)
	o := newOracle(t, bytes.Clone(key))
	c, err := New(key)
	if err != nil {
		t.Fatal(err)
	}
	clear(key)
	if got := c.Seal(nil, []byte("x"), nil); !bytes.Equal(got, o.seal([]byte("x"), nil)) {
		t.Error("the cipher follows the buffer of its key")
	}
}

func TestVectorsOfMoreThan126StringsAreRefused(t *testing.T) {
	c := newTest(t)
	for _, n := range []int{MaxComponents, MaxComponents + 1, 1000} {
		components := make([][]byte, n)
		sealed, err := c.SealVector([]byte("x"), []byte("plain"), components...)
		if ok := n <= MaxComponents; ok != (err == nil) || !ok && string(sealed) != "x" {
			t.Errorf("SealVector with %d: %x, %v", n, sealed, err)
		}
		if err != nil {
			sealed = append(sealed, random(32)...)
		}
		out, err := c.OpenVector([]byte("x"), sealed[1:], components...)
		if ok := n <= MaxComponents; ok != (err == nil) || !ok && string(out) != "x" {
			t.Errorf("OpenVector with %d: %x, %v", n, out, err)
		}
	}
}

func TestWhatWasChangedIsRefusedAndLeavesNothing(t *testing.T) {
	c := newTest(t)
	for _, n := range []int{0, 1, 15, 16, 17, 32, 33, 100} {
		plain, aad := bytes.Repeat([]byte("secret"), n)[:n], []byte("twenty-two bytes, aad.")
		sealed := c.Seal(nil, plain, aad)
		check := func(what string, sealed, aad []byte) {
			t.Helper()
			dst := append(make([]byte, 0, 256), "kept"...)
			got, err := c.Open(dst, sealed, aad)
			if !errors.Is(err, ErrOpen) || string(got) != "kept" {
				t.Fatalf("%d bytes, %s: %q, %v", n, what, got, err)
			}
			if rest := dst[4:cap(dst)]; !bytes.Equal(rest, make([]byte, len(rest))) {
				t.Fatalf("%d bytes, %s: %q is left behind", n, what, rest)
			}
		}
		for i := range sealed {
			for bit := range 8 {
				bad := bytes.Clone(sealed)
				bad[i] ^= 1 << bit
				check(fmt.Sprintf("byte %d bit %d", i, bit), bad, aad)
			}
		}
		for i := range sealed {
			check(fmt.Sprintf("cut to %d", i), sealed[:i], aad)
		}
		for i := range aad {
			bad := bytes.Clone(aad)
			bad[i] ^= 1
			check("other associated data", sealed, bad)
		}
		check("no associated data", sealed, nil)
		check("a byte more", append(bytes.Clone(sealed), 0), aad)
	}
	if got, err := c.Open([]byte("kept"), nil, nil); err == nil || string(got) != "kept" {
		t.Errorf("nothing: %q, %v", got, err)
	}
}

func TestAnotherKeyOpensNothing(t *testing.T) {
	key := random(KeySize)
	one, err := New(key)
	if err != nil {
		t.Fatal(err)
	}
	sealed := one.Seal(nil, []byte("some plaintext"), []byte("a"))
	for i := range key { // either half
		other := bytes.Clone(key)
		other[i] ^= 0x10
		two, err := New(other)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := two.Open(nil, sealed, []byte("a")); err == nil {
			t.Errorf("key byte %d: %q", i, got)
		}
	}
}

// Buffers may overlap in every way: inputs are read before output is written.
func TestBuffersMayOverlap(t *testing.T) {
	c := newTest(t)
	for _, n := range []int{0, 5, 16, 31, 32, 64, 100} {
		plain := random(n)
		want := c.Seal(nil, plain, plain)
		for shift := range 3*aes.BlockSize + 1 {
			for _, at := range []int{0, aes.BlockSize, 40} { // where dst ends
				buf := random(300)
				p := buf[shift : shift+n]
				copy(p, plain)
				got := c.Seal(buf[:at], p, p)
				if !bytes.Equal(got[at:], want) || &got[0:1][0] != &buf[0] {
					t.Fatalf("%d bytes at %d, dst at %d: sealed %x", n, shift, at, got[at:])
				}

				copy(buf[shift:], want)
				sealed := buf[shift : shift+len(want)]
				back, err := c.Open(buf[:at], sealed, plain)
				if err != nil || !bytes.Equal(back[at:], plain) {
					t.Fatalf("%d bytes at %d, dst at %d: opened %x, %v", n, shift, at, back, err)
				}

				// The associated data in the way of the output.
				copy(buf[shift:], plain)
				back, err = c.Open(buf[:at], want, buf[shift:shift+n])
				if err != nil || !bytes.Equal(back[at:], plain) {
					t.Fatalf("%d bytes, associated data at %d, dst at %d: %v", n, shift, at, err)
				}
			}
		}
	}
}

// RFC 5297 section 2.5: the counter has two bits cleared, and carries run into
// them only.
func TestTheCounterCarries(t *testing.T) {
	key := random(KeySize)
	c, err := New(key)
	if err != nil {
		t.Fatal(err)
	}
	o := newOracle(t, key)
	for _, v := range []block{
		{^uint64(0), ^uint64(0)}, {0, 0x7fff_ffff_7fff_fffe}, {0, 0x8000_0000_8000_0000}, {1 << 63, 0x0000_0000_ffff_ffff}, {},
	} {
		var q [16]byte
		v.put(q[:])
		q[8] &= 0x7f
		q[12] &= 0x7f
		want, got := make([]byte, 100), make([]byte, 100)
		cipher.NewCTR(o.ctr, q[:]).XORKeyStream(want, want)
		s := c.take()
		c.xor(s, got, v)
		c.put(s)
		if !bytes.Equal(got, want) {
			t.Errorf("from %x: another key stream", v)
		}
	}
}

func TestManyGoroutinesShareACipher(t *testing.T) {
	c := newTest(t)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			plain, aad := bytes.Repeat([]byte{byte(i)}, 50+i), []byte{byte(i)}
			want := c.Seal(nil, plain, aad)
			buf, out := make([]byte, 0, 200), make([]byte, 0, 200)
			for range 2000 {
				got := c.Seal(buf, plain, aad)
				back, err := c.Open(out, got, aad)
				if err != nil || !bytes.Equal(got, want) || !bytes.Equal(back, plain) {
					t.Errorf("goroutine %d: %v", i, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestACipherShowsNothing(t *testing.T) {
	c := newTest(t)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		if got := fmt.Sprintf(verb, c); got != "siv.Cipher" {
			t.Errorf("%s shows %s", verb, got)
		}
	}
}

func TestScratchIsGivenBackClean(t *testing.T) {
	c := newTest(t)
	s := c.take()
	s.encrypt(c.mac, block{1, 2})
	if s.b == [16]byte{} {
		t.Fatal("scratch is not used at all")
	}
	c.put(s)
	if s.b != [16]byte{} {
		t.Error("scratch still holds what was computed")
	}
}

func TestAWarmCipherAllocatesNothing(t *testing.T) {
	if invariants.Enabled {
		t.Skip("the race detector empties pools: not tested in this build")
	}
	c := newTest(t)
	for _, n := range []int{0, 5, 16, 32, 100, 1000} {
		plain, aad := random(n), random(22)
		sealed, dst := c.Seal(nil, plain, aad), make([]byte, 0, 2000)
		var failed error
		allocs := testing.AllocsPerRun(500, func() {
			c.Seal(dst, plain, aad)
			if _, err := c.Open(dst, sealed, aad); err != nil {
				failed = err
			}
		})
		if allocs != 0 || failed != nil {
			t.Errorf("%d bytes: %v allocations, %v", n, allocs, failed)
		}
	}
}

func FuzzSealOpen(f *testing.F) {
	f.Add([]byte{}, []byte{}, []byte{})
	f.Add([]byte("plaintext"), []byte("aad"), []byte("0123456789abcdef"))
	f.Add(make([]byte, 33), make([]byte, 22), make([]byte, 49))
	key := make([]byte, KeySize)
	for i := range key {
		key[i] = byte(i)
	}
	f.Fuzz(func(t *testing.T, plain, aad, foreign []byte) {
		c, err := New(key)
		if err != nil {
			t.Fatal(err)
		}
		o := newOracle(t, key)
		sealed := c.Seal(nil, plain, aad)
		if !bytes.Equal(sealed, o.seal(plain, aad)) {
			t.Errorf("sealed %x", sealed)
		}
		if got, err := c.Open(nil, sealed, aad); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("opened %x, %v", got, err)
		}
		// What opens is what sealing it again gives, and nothing else.
		if got, err := c.Open(nil, foreign, aad); err == nil && !bytes.Equal(o.seal(got, aad), foreign) {
			t.Errorf("%x opens to %x", foreign, got)
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	for _, n := range []int{16, 32, 256, 4096} {
		plain, aad, dst := make([]byte, n), make([]byte, 22), make([]byte, 0, 2*n+64)
		b.Run(fmt.Sprintf("cipher=SIV/bytes=%d", n), func(b *testing.B) {
			c := newTest(b)
			b.SetBytes(int64(n))
			b.ReportAllocs()
			for b.Loop() {
				c.Seal(dst, plain, aad)
			}
		})
		b.Run(fmt.Sprintf("cipher=GCM/bytes=%d", n), func(b *testing.B) {
			block, err := aes.NewCipher(make([]byte, 32))
			if err != nil {
				b.Fatal(err)
			}
			g, err := cipher.NewGCM(block)
			if err != nil {
				b.Fatal(err)
			}
			nonce := make([]byte, 12)
			b.SetBytes(int64(n))
			b.ReportAllocs()
			for b.Loop() {
				nonce[0]++
				g.Seal(dst, nonce, plain, aad)
			}
		})
	}
}

func BenchmarkOpen(b *testing.B) {
	c := newTest(b)
	aad, dst := make([]byte, 22), make([]byte, 0, 64)
	sealed := c.Seal(nil, make([]byte, 32), aad)
	b.SetBytes(32)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Open(dst, sealed, aad); err != nil {
			b.Fatal(err)
		}
	}
}
