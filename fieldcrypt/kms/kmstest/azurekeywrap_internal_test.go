package kmstest

import (
	"bytes"
	"crypto/aes"
	"encoding/hex"
	"testing"
)

// The vectors of RFC 3394, section 4.
func TestAESKeyWrap(t *testing.T) {
	for _, v := range [][3]string{
		{"000102030405060708090a0b0c0d0e0f", "00112233445566778899aabbccddeeff", "1fa68b0a8112b447aef34bd8fb5a7b829d3e862371d2cfe5"},
		{
			"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", "00112233445566778899aabbccddeeff000102030405060708090a0b0c0d0e0f",
			"28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43bfb988b9b7a02dd21",
		},
	} {
		var b [3][]byte
		for i, s := range v {
			var err error
			if b[i], err = hex.DecodeString(s); err != nil {
				t.Fatal(err)
			}
		}
		block, err := aes.NewCipher(b[0])
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := wrapAES(block, b[1]); !ok || !bytes.Equal(got, b[2]) {
			t.Errorf("wrapped %x", got)
		}
		if got, ok := unwrapAES(block, b[2]); !ok || !bytes.Equal(got, b[1]) {
			t.Errorf("unwrapped %x", got)
		}
		for i := range b[2] {
			changed := bytes.Clone(b[2])
			changed[i] ^= 1
			if _, ok := unwrapAES(block, changed); ok {
				t.Errorf("changed at byte %d it unwraps", i)
			}
		}
		for _, n := range []int{0, 8, 15, 17} {
			if _, ok := wrapAES(block, make([]byte, n)); ok {
				t.Errorf("%d bytes are wrapped", n)
			}
			if _, ok := unwrapAES(block, make([]byte, n)); ok {
				t.Errorf("%d bytes are unwrapped", n)
			}
		}
	}
}
