package vaultkms_test

import (
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/kmstest"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/vaultkms"
)

func TestVaultPassesTheSuite(t *testing.T) {
	for name, k := range map[string]kmstest.VaultKey{
		"associated data": {}, "derived": {Derived: true}, "chacha20-poly1305": {Type: "chacha20-poly1305"},
	} {
		t.Run(name, func(t *testing.T) {
			s := kmstest.NewVaultServer()
			t.Cleanup(s.Close)
			s.AddKey("transit/keys/one", k)
			s.AddKey("transit/keys/two", k)
			kmstest.Run(t, func(t *testing.T) (w kms.Wrapper, kek, otherKEK string) {
				t.Helper()
				v, err := vaultkms.New(s.URL, vaultkms.Token(s.RootToken))
				if err != nil {
					t.Fatal(err)
				}
				return v, "vault:transit/keys/one", "vault:transit/keys/two"
			})
		})
	}
}
