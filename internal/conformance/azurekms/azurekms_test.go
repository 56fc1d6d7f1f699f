package azurekms

import (
	"bytes"
	"errors"
	"maps"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/azurekms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/kmstest"
)

const (
	vault  = "pii.vault.azure.net"
	hsm    = "pii.managedhsm.azure.net"
	client = "22222222-2222-4333-8444-555555555555"
	secret = "a-secret-of-the-application"
)

func server(t *testing.T) *kmstest.AzureServer {
	t.Helper()
	s := kmstest.NewAzureServer()
	t.Cleanup(s.Close)
	s.RequireClient(client, secret)
	s.AddKey(vault, "customers", kmstest.AzureRSA)
	s.AddKey(vault, "orders", kmstest.AzureRSA3k)
	s.AddKey(hsm, "customers", kmstest.AzureOctHSM)
	return s
}

// open returns the Go provider, with a credential of the SDK for Go.
func open(t *testing.T, s *kmstest.AzureServer) *azurekms.KMS {
	t.Helper()
	c, err := azidentity.NewClientSecretCredential(kmstest.AzureTenant, client, secret, &azidentity.ClientSecretCredentialOptions{
		ClientOptions: azcore.ClientOptions{Transport: s.Client()},
	})
	if err != nil {
		t.Fatal(err)
	}
	k, err := azurekms.New([]string{vault, hsm}, azurekms.WithCredential(c), azurekms.WithHTTPClient(s.Client()),
		azurekms.WithAESKeyWrap("azure-kms:"+hsm+"/keys/customers"))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

var ec = kms.EncryptionContext{"fieldveil:purpose": "data-key", "fieldveil:tenant": "acme", "\u00e4": "\u00f6"}

func question(host, key string, more map[string]any) map[string]any {
	q := map[string]any{"tenant": kmstest.AzureTenant, "client": client, "client_secret": secret, "vault": host, "key": key, "context": ec}
	maps.Copy(q, more)
	return q
}

// FV-55, FV-56: what Go wraps, a reader in Python opens that knows docs/format.md
// alone, and the other way round.
func TestPythonAndGoReadEachOther(t *testing.T) {
	s := server(t)
	p, k := NewPython(t, s), open(t, s)
	tests := []struct {
		name, host, key string
		algorithm       int
		remote          bool
	}{
		{"RSA, wrapped by the server", vault, "customers", 1, true},
		{"RSA, wrapped by Python's own cryptography", vault, "orders", 1, false},
		{"AES", hsm, "customers", 2, true},
	}
	var questions []map[string]any
	var plains [][]byte
	theirs := bytes.Repeat([]byte{7}, 32)
	for _, tt := range tests {
		plain, wrapped, err := k.Generate(t.Context(), "azure-kms:"+tt.host+"/keys/"+tt.key, ec)
		if err != nil {
			t.Fatal(err)
		}
		plains = append(plains, plain)
		questions = append(questions,
			question(tt.host, tt.key, map[string]any{"do": "unwrap", "remote": tt.remote, "wrapped": wrapped}),
			question(tt.host, tt.key, map[string]any{
				"do": "wrap", "remote": tt.remote, "algorithm": tt.algorithm,
				"plain": theirs, "secret": bytes.Repeat([]byte{8}, 32), "nonce": bytes.Repeat([]byte{9}, 12),
			}))
	}
	answers := p.Do(t, questions...)
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := answers[2*i]; !bytes.Equal(got.Plain, plains[i]) {
				t.Errorf("Python reads %+v", got)
			}
			made := answers[2*i+1]
			if made.Wrapped == nil {
				t.Fatalf("Python wraps %+v", made)
			}
			kek := "azure-kms:" + tt.host + "/keys/" + tt.key
			back, err := k.Unwrap(t.Context(), kek, made.Wrapped, ec)
			if err != nil || !bytes.Equal(back, theirs) {
				t.Errorf("Go reads %x, %v", back, err)
			}
			if _, err := k.Unwrap(t.Context(), kek, made.Wrapped, kms.EncryptionContext{"fieldveil:tenant": "acme"}); !errors.Is(err, kms.ErrCorrupt) {
				t.Errorf("with another context: %v", err)
			}
		})
	}
}

// The errors of the server are errors to a client that was made for Azure, under
// the names that Azure has for them.
func TestPythonReadsTheErrorsOfTheServer(t *testing.T) {
	s := server(t)
	p, k := NewPython(t, s), open(t, s)
	_, wrapped, err := k.Generate(t.Context(), "azure-kms:"+vault+"/keys/customers", ec)
	if err != nil {
		t.Fatal(err)
	}
	s.SetAttributes(vault, "customers", "", kmstest.AzureAttributes{Disabled: true})
	unwrap := func(key, secret string) map[string]any {
		return question(vault, key, map[string]any{"do": "unwrap", "remote": true, "wrapped": wrapped, "client_secret": secret})
	}
	a := p.Do(t, unwrap("customers", secret), unwrap("none", secret), unwrap("orders", secret), unwrap("orders", "another"))
	for i, want := range []Answer{
		{Error: "HttpResponseError", Code: "Forbidden", Status: 403},
		{Error: "ResourceNotFoundError", Code: "KeyNotFound", Status: 404},
		{Error: "ResourceNotFoundError", Code: "KeyNotFound", Status: 404}, // of this version
		{Error: "ClientAuthenticationError"},
	} {
		if a[i].Error != want.Error || a[i].Code != want.Code || a[i].Status != want.Status || a[i].Plain != nil {
			t.Errorf("question %d: %+v, want %+v", i, a[i], want)
		}
	}
}
