package engine

import (
	"slices"
	"strings"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/azurekms"
)

// addAzure adds Azure Key Vault if one of the KEKs is there. Only the vaults of
// these KEKs, which a person or a policy names, are ever called.
func addAzure(services kms.Mux, keks ...string) error {
	var vaults []string
	for _, kek := range keks {
		if !strings.HasPrefix(kek, azurekms.Scheme+":") {
			continue
		}
		v, err := azurekms.Vault(kek)
		if err != nil {
			return err
		}
		vaults = append(vaults, v)
	}
	if len(vaults) == 0 {
		return nil
	}
	slices.Sort(vaults)
	k, err := azurekms.New(slices.Compact(vaults))
	if err != nil {
		return err
	}
	services[azurekms.Scheme] = k
	return nil
}
