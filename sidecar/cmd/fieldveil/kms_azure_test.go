package main

import (
	"context"
	"encoding/base64"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/azurekms"
)

// tinkKeyset is a public keyset of Tink in clear: AES-GCM of 256 bits, the key of
// which is the bytes 00 to 1f.
const tinkKeyset = `{"primaryKeyId":1,"key":[{"keyData":{"typeUrl":"type.googleapis.com/google.crypto.tink.AesGcmKey",` +
	`"value":"GiAAAQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHw==","keyMaterialType":"SYMMETRIC"},"status":"ENABLED","keyId":1,"outputPrefixType":"TINK"}]}`

func TestADomainKeyUnderATinkKeyset(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("pii.json", []byte(tinkKeyset), 0o600); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := fieldveil(t, "kek", "domain", "tink:pii.json")
	if code != 1 || stdout != "" || !strings.Contains(stderr, "allow no keysets in clear") {
		t.Errorf("without the flag: %d, %q, %q", code, stdout, stderr)
	}
	code, stdout, stderr = fieldveil(t, "kek", "domain", "tink:pii.json", "--cleartext-keyset")
	block, err := base64.StdEncoding.DecodeString(strings.TrimSpace(stdout))
	if code != 0 || err != nil || !strings.Contains(string(block), "tink:pii.json") {
		t.Errorf("with the flag: %d, %q, %q", code, stdout, stderr)
	}
}

// Only vaults of the KEKs themselves are ever called.
func TestAzureIsAddedForItsOwnKEKs(t *testing.T) {
	none := kms.Mux{}
	if err := addAzure(none, "local:x", "tink:azure-kms://x"); err != nil || len(none) != 0 {
		t.Errorf("without a KEK of Azure: %v, %v", none, err)
	}
	const one, two = "azure-kms:a.vault.azure.net/keys/x", "azure-kms:b.vault.azure.net/keys/x"
	services := kms.Mux{}
	if err := addAzure(services, two, one, "local:x", one+"y"); err != nil || services[azurekms.Scheme] == nil {
		t.Fatalf("%v, %v", services, err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := services.Generate(ended, one, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("a vault of the KEKs: %v", err)
	}
	if _, _, err := services.Generate(t.Context(), "azure-kms:c.vault.azure.net/keys/x", nil); !errors.Is(err, kms.ErrInvalid) {
		t.Errorf("another vault: %v", err)
	}
	for _, wrong := range []string{"azure-kms:", "azure-kms:a.vault.example.net/keys/x"} {
		if err := addAzure(kms.Mux{}, wrong); !errors.Is(err, kms.ErrInvalid) {
			t.Errorf("%s: %v", wrong, err)
		}
	}
}
