package tokenize

import (
	"crypto/aes"
	"crypto/cipher"
	"testing"
)

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

func BenchmarkFF1(b *testing.B) {
	for _, bb := range []struct {
		name, value string
		o           FF1Options
	}{
		{"value=card/luhn=none", "4111111111111111", FF1Options{Alphabet: Digits}},
		{"value=card/luhn=break", "4111111111111111", FF1Options{Alphabet: Digits, Luhn: LuhnBreak}},
		{"value=card/luhn=keep/keep=4+4/separated", "4111-1111-1111-1111", FF1Options{Alphabet: Digits, Luhn: LuhnKeep, KeepFirst: 4, KeepLast: 4, Separators: "-"}},
		{"value=ssn", "078-05-1120", FF1Options{Alphabet: Digits, Separators: "-"}},
		{"value=alnum", "AB12CD34EF56GH78IJ90", FF1Options{Alphabet: AlnumUpper}},
	} {
		f, err := NewFF1(make([]byte, 32), bb.o)
		if err != nil {
			b.Fatal(err)
		}
		value, dst := []byte(bb.value), make([]byte, 0, 64)
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := f.Append(dst, value); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkHash(b *testing.B) {
	for _, form := range []HashForm{HashHex, HashHex128, HashBase64, HashUUID, HashDigits} {
		h, err := NewHash(make([]byte, 32), form)
		if err != nil {
			b.Fatal(err)
		}
		value, dst := []byte("4111111111111111"), make([]byte, 0, 64)
		b.Run("form="+form.String(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := h.Append(dst, value); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
