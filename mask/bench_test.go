package mask_test

import (
	"crypto/aes"
	"crypto/cipher"
	"strconv"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/mask"
)

// BenchmarkFloor is what the others are measured by: one AES-256-GCM seal of 32
// bytes with a prebuilt cipher.
func BenchmarkFloor(b *testing.B) {
	block, err := aes.NewCipher(make([]byte, 32))
	if err != nil {
		b.Fatal(err)
	}
	g, err := cipher.NewGCM(block)
	if err != nil {
		b.Fatal(err)
	}
	nonce, plain, dst := make([]byte, 12), make([]byte, 32), make([]byte, 0, 64)
	b.ReportAllocs()
	for b.Loop() {
		nonce[0]++
		g.Seal(dst, nonce, plain, nil)
	}
}

// BenchmarkRule has every rule on a typical value of 2 to 36 characters.
func BenchmarkRule(b *testing.B) {
	for _, s := range samples(b) {
		b.Run("rule="+strings.NewReplacer(" ", "_", "/", "-").Replace(s.name), func(b *testing.B) {
			value, dst := []byte(s.value), make([]byte, 0, 256)
			var err error
			b.ReportAllocs()
			for b.Loop() {
				if dst, err = s.rule.Append(dst[:0], value); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkReplace(b *testing.B) {
	rule := replacement(b)
	value, dst := []byte("call me, my number is 123-45-6789"), make([]byte, 0, 256)
	var err error
	b.ReportAllocs()
	for b.Loop() {
		if dst, err = rule.Append(dst[:0], value); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkShift(b *testing.B) {
	for _, tt := range []struct {
		layout mask.Layout
		value  string
	}{
		{mask.Millis, "1700000000123"},
		{mask.DecimalSeconds, "1700000000.123456789"},
		{mask.ISODate, "1987-05-14"},
		{mask.RFC3339, "2024-05-17T13:45:12.123+02:00"},
	} {
		b.Run("layout="+tt.layout.String(), func(b *testing.B) {
			s, err := mask.NewShift(tt.layout)
			if err != nil {
				b.Fatal(err)
			}
			value, dst := []byte(tt.value), make([]byte, 0, 64)
			b.ReportAllocs()
			for b.Loop() {
				if dst, err = s.Append(dst[:0], value, 123); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkKeep(b *testing.B) {
	for _, text := range []struct{ kind, unit string }{{"ascii", "7"}, {"czech", "ť"}} {
		for _, n := range []int{16, 32, 256, 4096} {
			b.Run("text="+text.kind+"/chars="+strconv.Itoa(n), func(b *testing.B) {
				rule, err := mask.Keep(0, 4)
				if err != nil {
					b.Fatal(err)
				}
				value := []byte(strings.Repeat(text.unit, n))
				dst := make([]byte, 0, len(value))
				b.SetBytes(int64(len(value)))
				b.ReportAllocs()
				for b.Loop() {
					if dst, err = rule.Append(dst[:0], value); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
