package oracle

import (
	"bytes"
	"crypto/rand"
	"testing"

	"github.com/tink-crypto/tink-go/v2/aead/subtle"

	"github.com/fieldveil/fieldveil/internal/aead"
	"github.com/fieldveil/fieldveil/internal/secret"
)

// Tink's raw AES-GCM format is nonce, ciphertext, tag: the order of
// docs/format.md section 2.
func TestTinkOpensWhatWeSealAndTheOtherWayRound(t *testing.T) {
	for i := range 500 {
		key := make([]byte, aead.KeySize)
		plain := make([]byte, i)
		aad := make([]byte, i%40)
		for _, b := range [][]byte{key, plain, aad} {
			if _, err := rand.Read(b); err != nil {
				t.Fatal(err)
			}
		}
		theirs, err := subtle.NewAESGCM(key)
		if err != nil {
			t.Fatal(err)
		}
		ours, err := aead.NewGCM(secret.Take(bytes.Clone(key)))
		if err != nil {
			t.Fatal(err)
		}
		sealed, err := ours.Seal(nil, plain, aad, new(aead.Nonces))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := theirs.Decrypt(sealed, aad); err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("Tink does not open ours: %v", err)
		}
		sealed, err = theirs.Encrypt(plain, aad)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := ours.Open(nil, sealed, aad); err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("we do not open Tink's: %v", err)
		}
	}
}
