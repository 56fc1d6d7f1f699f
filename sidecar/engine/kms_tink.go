package engine

import (
	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/tinkkms"
)

// addTink adds keyset files. Tink's KMS clients are not built in.
func addTink(services kms.Mux, cleartext bool) error {
	var opts []tinkkms.Option
	if cleartext {
		opts = append(opts, tinkkms.WithCleartextKeysets())
	}
	k, err := tinkkms.New(opts...)
	if err != nil {
		return err
	}
	services[tinkkms.Scheme] = k
	return nil
}
