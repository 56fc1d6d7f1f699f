package kmstest

import (
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
)

// azureKWCheck is the integrity check of RFC 3394.
const azureKWCheck = 0xA6A6A6A6A6A6A6A6

// wrapAES is AES key wrap, RFC 3394, section 2.2.1.
func wrapAES(block cipher.Block, key []byte) ([]byte, bool) {
	const half = 8
	n := len(key) / half
	if n < 2 || len(key)%half != 0 {
		return nil, false
	}
	out := make([]byte, half+len(key))
	copy(out[half:], key)
	check := uint64(azureKWCheck)
	var b [2 * half]byte
	for j := range 6 {
		for i := range n {
			r := out[half*(i+1) : half*(i+2)]
			binary.BigEndian.PutUint64(b[:half], check)
			copy(b[half:], r)
			block.Encrypt(b[:], b[:])
			check = binary.BigEndian.Uint64(b[:half]) ^ uint64(n*j+i+1)
			copy(r, b[half:])
		}
	}
	binary.BigEndian.PutUint64(out, check)
	return out, true
}

// unwrapAES is section 2.2.2.
func unwrapAES(block cipher.Block, wrapped []byte) ([]byte, bool) {
	const half = 8
	n := len(wrapped)/half - 1
	if n < 2 || len(wrapped)%half != 0 {
		return nil, false
	}
	key := make([]byte, half*n)
	copy(key, wrapped[half:])
	check := binary.BigEndian.Uint64(wrapped)
	var b [2 * half]byte
	for j := 5; j >= 0; j-- {
		for i := n - 1; i >= 0; i-- {
			r := key[half*i : half*(i+1)]
			binary.BigEndian.PutUint64(b[:half], check^uint64(n*j+i+1)) //nolint:gosec // below 6n
			copy(b[half:], r)
			block.Decrypt(b[:], b[:])
			check = binary.BigEndian.Uint64(b[:half])
			copy(r, b[half:])
		}
	}
	var got, want [half]byte
	binary.BigEndian.PutUint64(got[:], check)
	binary.BigEndian.PutUint64(want[:], azureKWCheck)
	if subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
		return nil, false
	}
	return key, true
}
