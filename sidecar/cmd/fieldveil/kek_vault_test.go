package main

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms/kmstest"
)

func TestADomainKeyIsWrappedByTheVaultOfTheEnvironment(t *testing.T) {
	s := kmstest.NewVaultServer()
	defer s.Close()
	s.AddKey("transit/keys/pii", kmstest.VaultKey{Derived: true})
	for _, name := range []string{"VAULT_ADDR", "VAULT_TOKEN", "VAULT_NAMESPACE", "VAULT_CACERT", "VAULT_CLIENT_CERT", "VAULT_CLIENT_KEY", "VAULT_SKIP_VERIFY"} {
		t.Setenv(name, "")
		t.Setenv(strings.Replace(name, "VAULT_", "BAO_", 1), "")
	}
	code, stdout, stderr := fieldveil(t, "kek", "domain", "vault:transit/keys/pii")
	if code != 1 || stdout != "" || !strings.Contains(stderr, "set VAULT_ADDR and VAULT_TOKEN") {
		t.Errorf("without an environment: %d, %q, %q", code, stdout, stderr)
	}
	t.Setenv("VAULT_ADDR", s.URL)
	t.Setenv("VAULT_TOKEN", s.RootToken)
	code, stdout, stderr = fieldveil(t, "kek", "domain", "vault:transit/keys/pii")
	if block, err := base64.StdEncoding.DecodeString(strings.TrimSpace(stdout)); code != 0 || err != nil || len(block) == 0 {
		t.Fatalf("%d, %q, %q, %v", code, stdout, stderr, err)
	}
	code, stdout, stderr = fieldveil(t, "kek", "domain", "vault:transit/keys/none")
	if code != 1 || stdout != "" || !strings.Contains(stderr, "KEK not found") || strings.Contains(stderr, s.RootToken) {
		t.Errorf("for a key that is not there: %d, %q, %q", code, stdout, stderr)
	}
}
