package azurekms_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/azurekms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/kmstest"
)

func ExampleNew() {
	s := kmstest.NewAzureServer() // stands for Azure
	defer s.Close()
	s.AddKey("pii.vault.azure.net", "customers", kmstest.AzureRSA)

	k, err := azurekms.New([]string{"pii.vault.azure.net"},
		azurekms.WithCredential(&tokens{server: s}), // against Azure leave these two out
		azurekms.WithHTTPClient(s.Client()),
		azurekms.WithTimeout(2*time.Second),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	w := kms.Mux{azurekms.Scheme: k}
	ec := kms.EncryptionContext{"fieldveil:purpose": "data-key"}
	plain, wrapped, err := w.Generate(context.Background(), "azure-kms:pii.vault.azure.net/keys/customers", ec)
	if err != nil {
		fmt.Println(err)
		return
	}
	again, err := w.Unwrap(context.Background(), "azure-kms:pii.vault.azure.net/keys/customers", wrapped, ec)
	fmt.Println(bytes.Equal(again, plain), err)
	// Output: true <nil>
}

func ExampleError() {
	s := kmstest.NewAzureServer()
	defer s.Close()
	s.AddKey("pii.vault.azure.net", "customers", kmstest.AzureRSA)
	s.SetAttributes("pii.vault.azure.net", "customers", "", kmstest.AzureAttributes{Disabled: true})

	k, err := azurekms.New([]string{"pii.vault.azure.net"}, azurekms.WithCredential(&tokens{server: s}), azurekms.WithHTTPClient(s.Client()))
	if err != nil {
		fmt.Println(err)
		return
	}
	_, _, err = k.Generate(context.Background(), "azure-kms:pii.vault.azure.net/keys/customers", nil)
	e, ok := errors.AsType[*azurekms.Error](err)
	fmt.Println(errors.Is(err, kms.ErrDisabled), ok && e.Reason == "KeyDisabled", kms.Retryable(err))
	// Output: true true false
}

func ExampleVault() {
	vault, err := azurekms.Vault("azure-kms:pii.vault.azure.net/keys/customers")
	fmt.Println(vault, err)
	// Output: pii.vault.azure.net <nil>
}

func ExampleWithAESKeyWrap() {
	s := kmstest.NewAzureServer()
	defer s.Close()
	const kek = "azure-kms:pii.managedhsm.azure.net/keys/customers"
	s.AddKey("pii.managedhsm.azure.net", "customers", kmstest.AzureOctHSM)

	k, err := azurekms.New([]string{"pii.managedhsm.azure.net"}, azurekms.WithAESKeyWrap(kek),
		azurekms.WithCredential(&tokens{server: s}), azurekms.WithHTTPClient(s.Client()))
	if err != nil {
		fmt.Println(err)
		return
	}
	plain, _, err := k.Generate(context.Background(), kek, nil)
	fmt.Println(len(plain), err)
	// Output: 32 <nil>
}
