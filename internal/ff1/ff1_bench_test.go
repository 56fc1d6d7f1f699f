package ff1

import (
	"crypto/aes"
	"crypto/cipher"
	"fmt"
	"testing"
)

func newBench(b *testing.B, radix int) *Cipher {
	b.Helper()
	c, err := New(make([]byte, 32), radix)
	if err != nil {
		b.Fatal(err)
	}
	return c
}

// BenchmarkFloor is one seal of 32 bytes, by which the others are measured.
func BenchmarkFloor(b *testing.B) {
	block, err := aes.NewCipher(make([]byte, 32))
	if err != nil {
		b.Fatal(err)
	}
	g, err := cipher.NewGCM(block)
	if err != nil {
		b.Fatal(err)
	}
	nonce, plain, aad, dst := make([]byte, 12), make([]byte, 32), make([]byte, 22), make([]byte, 0, 64)
	b.ReportAllocs()
	for b.Loop() {
		nonce[0]++
		g.Seal(dst, nonce, plain, aad)
	}
}

func BenchmarkEncrypt(b *testing.B) {
	for _, bb := range []struct{ radix, n, tweak int }{
		{10, 16, 0}, {10, 16, 13}, {10, 16, 40}, {10, 9, 0}, {10, 38, 0}, {10, 40, 0}, {62, 12, 0}, {62, 32, 0}, {62, 100, 0},
	} {
		c := newBench(b, bb.radix)
		x, tweak := make([]uint16, bb.n), make([]byte, bb.tweak)
		b.Run(fmt.Sprintf("radix=%d/length=%d/tweak=%d", bb.radix, bb.n, bb.tweak), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := c.Encrypt(x, x, tweak); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkDecrypt(b *testing.B) {
	c, x := newBench(b, 10), make([]uint16, 16)
	b.Run("radix=10/length=16/tweak=0", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := c.Decrypt(x, x, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
}
