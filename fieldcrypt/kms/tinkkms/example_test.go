package tinkkms_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/testing/fakekms"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/tinkkms"
)

func ExampleNew() {
	uri, err := fakekms.NewKeyURI() // stands for gcp-kms://… or aws-kms://…
	if err != nil {
		fmt.Println(err)
		return
	}
	client, err := fakekms.NewClient("fake-kms://")
	if err != nil {
		fmt.Println(err)
		return
	}
	k, err := tinkkms.New(tinkkms.WithClients(client))
	if err != nil {
		fmt.Println(err)
		return
	}
	w := kms.Mux{tinkkms.Scheme: k}
	ec := kms.EncryptionContext{"fieldveil:purpose": "data-key"}
	plain, wrapped, err := w.Generate(context.Background(), "tink:"+uri, ec)
	if err != nil {
		fmt.Println(err)
		return
	}
	again, err := w.Unwrap(context.Background(), "tink:"+uri, wrapped, ec)
	fmt.Println(bytes.Equal(again, plain), err)
	// Output: true <nil>
}

func ExampleFromAEAD() {
	h, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		fmt.Println(err)
		return
	}
	a, err := aead.New(h)
	if err != nil {
		fmt.Println(err)
		return
	}
	k, err := tinkkms.FromAEAD("tink:in-memory", a, tinkkms.WithClassifier(func(error) error {
		return kms.ErrCorrupt // this AEAD calls nobody, so nothing else can be wrong
	}))
	if err != nil {
		fmt.Println(err)
		return
	}
	_, wrapped, err := k.Generate(context.Background(), "tink:in-memory", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = k.Unwrap(context.Background(), "tink:in-memory", wrapped, kms.EncryptionContext{"another": "context"})
	fmt.Println(errors.Is(err, kms.ErrCorrupt))
	// Output: true
}
