package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/vaultkms"
)

// addVault adds the Vault or OpenBao of the environment, as its own command line
// finds it, when a KEK is there.
func addVault(services kms.Mux, kek string) error {
	if !strings.HasPrefix(kek, vaultkms.Scheme+":") {
		return nil
	}
	v, err := vaultkms.FromEnvironment(os.Getenv, nil)
	if err != nil {
		return fmt.Errorf("set VAULT_ADDR and VAULT_TOKEN, or BAO_ADDR and BAO_TOKEN: %w", err)
	}
	services[vaultkms.Scheme] = v
	return nil
}
