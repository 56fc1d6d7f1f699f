package scenario

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
)

// headerSize is the length of the additional data of every sealed value.
const headerSize = 22

// A floor seals plaintexts with AES-256-GCM and does nothing else: a prebuilt
// cipher, a counter for a nonce, additional data of the same length, one output
// buffer, no base64, no record.
func newFloor(records [][][]byte) (func(n int), error) {
	gcm, err := bareCipher()
	if err != nil {
		return nil, err
	}
	size := 0
	for _, r := range records {
		n := 0
		for _, v := range r {
			n += len(v) + gcm.Overhead()
		}
		size = max(size, n)
	}
	var (
		aad     [headerSize]byte
		nonce   [12]byte
		counter uint64
		next    int
		dst     = make([]byte, 0, size)
	)
	return func(n int) {
		for range n {
			dst = dst[:0]
			for _, v := range records[next] {
				counter++
				binary.BigEndian.PutUint64(nonce[4:], counter)
				dst = gcm.Seal(dst, nonce[:], v, aad[:])
			}
			next = (next + 1) % len(records)
		}
	}, nil
}

// newOpenFloor opens what a floor would have sealed.
func newOpenFloor(records [][][]byte) (func(n int), error) {
	gcm, err := bareCipher()
	if err != nil {
		return nil, err
	}
	var (
		aad    [headerSize]byte
		nonce  [12]byte
		sealed = make([][][]byte, len(records))
		dst    []byte
		next   int
	)
	for i, r := range records {
		for _, v := range r {
			sealed[i] = append(sealed[i], gcm.Seal(nil, nonce[:], v, aad[:]))
		}
	}
	return func(n int) {
		for range n {
			dst = dst[:0]
			for _, s := range sealed[next] {
				var err error
				if dst, err = gcm.Open(dst, nonce[:], s, aad[:]); err != nil {
					panic("scenario: the floor does not open") //nolint:forbidigo // it sealed them itself
				}
			}
			next = (next + 1) % len(sealed)
		}
	}, nil
}

func bareCipher() (cipher.AEAD, error) {
	block, err := aes.NewCipher(make([]byte, 32))
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}
