package main

import (
	"encoding/base64"
	"os"
	"strings"
	"testing"
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
