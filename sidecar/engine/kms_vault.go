package engine

import (
	"context"
	"fmt"
	"os"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/vaultkms"
)

// openVault returns the Vault or OpenBao of the environment, as its own command
// line finds it.
func openVault(context.Context) (kms.Wrapper, error) {
	v, err := vaultkms.FromEnvironment(os.Getenv, nil)
	if err != nil {
		return nil, fmt.Errorf("set VAULT_ADDR and VAULT_TOKEN, or BAO_ADDR and BAO_TOKEN: %w", err)
	}
	return v, nil
}
