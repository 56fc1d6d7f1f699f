package oracle

import (
	"bytes"
	"crypto/rand"
	"testing"

	"github.com/tink-crypto/tink-go/v2/daead/subtle"

	"github.com/fieldveil/fieldveil/internal/siv"
)

// Tink's raw AES-SIV has one associated string and our order: the synthetic IV,
// then the ciphertext.
func TestTinkAndWeMakeTheSameDeterministicBytes(t *testing.T) {
	for i := range 1000 {
		key := make([]byte, siv.KeySize)
		plain := make([]byte, i%300)
		aad := make([]byte, i%47)
		for _, b := range [][]byte{key, plain, aad} {
			if _, err := rand.Read(b); err != nil {
				t.Fatal(err)
			}
		}
		theirs, err := subtle.NewAESSIV(key)
		if err != nil {
			t.Fatal(err)
		}
		ours, err := siv.New(key)
		if err != nil {
			t.Fatal(err)
		}
		want, err := theirs.EncryptDeterministically(plain, aad)
		if err != nil {
			t.Fatal(err)
		}
		sealed := ours.Seal(nil, plain, aad)
		if !bytes.Equal(sealed, want) {
			t.Fatalf("%d bytes of plaintext, %d of associated data: %x, Tink says %x", len(plain), len(aad), sealed, want)
		}
		if got, err := ours.Open(nil, want, aad); err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("we do not open Tink's: %v", err)
		}
		if got, err := theirs.DecryptDeterministically(sealed, aad); err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("Tink does not open ours: %v", err)
		}
		sealed[i%len(sealed)] ^= 1 << (i % 8)
		_, ourErr := ours.Open(nil, sealed, aad)
		_, theirErr := theirs.DecryptDeterministically(sealed, aad)
		if ourErr == nil || theirErr == nil {
			t.Fatalf("a changed value: %v, Tink says %v", ourErr, theirErr)
		}
	}
}
