package vaultkms_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/kmstest"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/vaultkms"
)

// secretID writes the secret id of an AppRole to a file, as whoever delivers it
// does.
func secretID() string {
	f, err := os.CreateTemp("", "secret-id-")
	if err != nil {
		return ""
	}
	defer f.Close()
	if _, err := f.WriteString("the-secret-id\n"); err != nil {
		return ""
	}
	return f.Name()
}

func ExampleNew() {
	s := kmstest.NewVaultServer() // stands for Vault or OpenBao
	defer s.Close()
	s.AddKey("transit/keys/pii", kmstest.VaultKey{Derived: true})
	s.AddAppRole("approle", "producer", "the-secret-id", kmstest.VaultToken{TTL: time.Hour, Renewable: true})
	file := secretID()
	defer os.Remove(file) //nolint:errcheck // an example

	k, err := vaultkms.New(s.URL, vaultkms.AppRole("producer", file), vaultkms.WithTimeout(2*time.Second))
	if err != nil {
		fmt.Println(err)
		return
	}
	w := kms.Mux{vaultkms.Scheme: k}
	ec := kms.EncryptionContext{"fieldveil:purpose": "data-key"}
	plain, wrapped, err := w.Generate(context.Background(), "vault:transit/keys/pii", ec)
	if err != nil {
		fmt.Println(err)
		return
	}
	again, err := w.Unwrap(context.Background(), "vault:transit/keys/pii", wrapped, ec)
	fmt.Println(bytes.Equal(again, plain), err)
	// Output: true <nil>
}

func ExampleFromEnvironment() {
	s := kmstest.NewVaultServer()
	defer s.Close()
	s.AddKey("transit/keys/pii", kmstest.VaultKey{})
	env := map[string]string{"VAULT_ADDR": s.URL, "VAULT_TOKEN": s.RootToken}
	getenv := func(name string) string { return env[name] } // os.Getenv in a program

	k, err := vaultkms.FromEnvironment(getenv, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	plain, _, err := k.Generate(context.Background(), "vault:transit/keys/pii", nil)
	fmt.Println(len(plain), err)
	// Output: 32 <nil>
}

func ExampleKubernetes() {
	// A projected token with an audience of its own, at a mount of its own.
	auth := vaultkms.Kubernetes("producer", "/var/run/secrets/vault/token").At("kubernetes-eu")
	k, err := vaultkms.New("https://vault.example:8200", auth, vaultkms.WithNamespace("team-a"))
	fmt.Println(auth, k != nil, err)
	// Output: vaultkms.Login(kubernetes) true <nil>
}

func ExampleTokenFile() {
	// The sink of an agent that logs in and renews.
	_, err := vaultkms.New("http://127.0.0.1:8100", vaultkms.TokenFile("/run/agent/token"))
	fmt.Println(err)
	// Output: <nil>
}

func ExampleWithServer() {
	one, two := kmstest.NewVaultServer(), kmstest.NewVaultServer()
	defer one.Close()
	defer two.Close()
	two.AddKey("transit/keys/pii", kmstest.VaultKey{})

	k, err := vaultkms.New(one.URL, vaultkms.Token(one.RootToken), vaultkms.WithServer(two.URL, vaultkms.Token(two.RootToken)))
	if err != nil {
		fmt.Println(err)
		return
	}
	host := strings.TrimPrefix(two.URL, "http://")
	_, _, err = k.Generate(context.Background(), "vault://"+host+"/transit/keys/pii", nil)
	fmt.Println(err)
	_, _, err = k.Generate(context.Background(), "vault://third.example/transit/keys/pii", nil)
	fmt.Println(errors.Is(err, kms.ErrInvalid), len(one.Requests()))
	// Output:
	// <nil>
	// true 0
}

func ExampleKMS_ReEncrypt() {
	s := kmstest.NewVaultServer()
	defer s.Close()
	s.AddKey("transit/keys/pii", kmstest.VaultKey{Derived: true})
	k, err := vaultkms.New(s.URL, vaultkms.Token(s.RootToken))
	if err != nil {
		fmt.Println(err)
		return
	}
	const kek = "vault:transit/keys/pii"
	_, wrapped, err := k.Generate(context.Background(), kek, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	s.RotateKey("transit/keys/pii")
	moved, err := k.ReEncrypt(context.Background(), kek, kek, wrapped, nil)
	fmt.Printf("%.17s %.17s %v\n", wrapped, moved, err)
	// Output: context:vault:v1: context:vault:v2: <nil>
}

func ExampleWithReEncryptHere() {
	s := kmstest.NewVaultServer()
	defer s.Close()
	s.AddKey("transit/keys/old", kmstest.VaultKey{})
	s.AddKey("transit/keys/new", kmstest.VaultKey{Derived: true})
	for _, opts := range [][]vaultkms.Option{nil, {vaultkms.WithReEncryptHere()}} {
		k, err := vaultkms.New(s.URL, vaultkms.Token(s.RootToken), opts...)
		if err != nil {
			fmt.Println(err)
			return
		}
		_, wrapped, err := k.Generate(context.Background(), "vault:transit/keys/old", nil)
		if err != nil {
			fmt.Println(err)
			return
		}
		_, err = k.ReEncrypt(context.Background(), "vault:transit/keys/old", "vault:transit/keys/new", wrapped, nil)
		fmt.Println(errors.Is(err, kms.ErrInvalid), err == nil)
	}
	// Output:
	// true false
	// false true
}

func ExampleError() {
	s := kmstest.NewVaultServer()
	defer s.Close()
	s.AddKey("transit/keys/pii", kmstest.VaultKey{})
	s.SoftDeleteKey("transit/keys/pii", true)
	k, err := vaultkms.New(s.URL, vaultkms.Token(s.RootToken))
	if err != nil {
		fmt.Println(err)
		return
	}
	_, _, err = k.Generate(context.Background(), "vault:transit/keys/pii", nil)
	e, ok := errors.AsType[*vaultkms.Error](err)
	fmt.Println(errors.Is(err, kms.ErrDisabled), ok && e.Reason == "the key is soft-deleted", kms.Retryable(err))
	// Output: true true false
}
