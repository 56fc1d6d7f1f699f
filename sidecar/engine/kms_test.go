package engine

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/azurekms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/kmstest"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/localkms"
)

func TestProvidersOfClouds(t *testing.T) {
	// No credentials of either cloud: what is not asked for is not set up.
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", "/no/such/file")
	t.Setenv("AWS_CONFIG_FILE", "/no/such/file")
	t.Setenv("AWS_PROFILE", "nobody")
	m, err := Services(false, "azure-kms:a.vault.azure.net/keys/x")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := slices.Sorted(maps.Keys(m)), []string{"aws-kms", "azure-kms", "gcp-kms", "local", "tink", "vault"}; !slices.Equal(got, want) {
		t.Errorf("providers of %q, want %q", got, want)
	}
	for _, kek := range []string{"gcp-kms:projects/my-project/locations/global/keyRings/r/cryptoKeys/k", "aws-kms:alias/x"} {
		if _, _, err := m.Generate(t.Context(), kek, nil); !errors.Is(err, kms.ErrInvalid) {
			t.Errorf("Generate under %s: %v", kek, err)
		}
		if _, err := m.Unwrap(t.Context(), kek, []byte("w"), nil); !errors.Is(err, kms.ErrInvalid) {
			t.Errorf("Unwrap under %s: %v", kek, err)
		}
		if _, err := m.ReEncrypt(t.Context(), kek, kek, []byte("w"), nil); !errors.Is(err, kms.ErrInvalid) {
			t.Errorf("ReEncrypt under %s: %v", kek, err)
		}
	}
}

func TestAProviderIsSetUpOnceAndTriedAgainWhileItFails(t *testing.T) {
	opened, broken := 0, errors.New("no credentials yet")
	fake := kmstest.NewFake("fake:one")
	w := onDemand(func(context.Context) (kms.Wrapper, error) {
		opened++
		if opened == 1 {
			return nil, broken
		}
		return fake, nil
	})
	if opened != 0 {
		t.Error("set up before it was used")
	}
	if _, _, err := w.Generate(t.Context(), "fake:one", nil); !errors.Is(err, broken) {
		t.Error(err)
	}
	plain, wrapped, err := w.Generate(t.Context(), "fake:one", nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := w.Unwrap(t.Context(), "fake:one", wrapped, nil); err != nil || !bytes.Equal(got, plain) {
		t.Error(err)
	}
	if opened != 2 {
		t.Errorf("set up %d times", opened)
	}
}

func TestOnlyAServiceThatCanReEncrypts(t *testing.T) {
	local := localkms.NewInMemory()
	_, wrapped, err := local.Generate(t.Context(), "local:a", nil)
	if err != nil {
		t.Fatal(err)
	}
	late := func(w kms.Wrapper) kms.Mux {
		return kms.Mux{"local": onDemand(func(context.Context) (kms.Wrapper, error) { return w, nil })}
	}
	if _, err := late(local).ReEncrypt(t.Context(), "local:a", "local:a", wrapped, nil); err != nil {
		t.Error(err)
	}
	// Without the method that makes it one.
	if _, err := late(struct{ kms.Wrapper }{local}).ReEncrypt(t.Context(), "local:a", "local:a", wrapped, nil); !errors.Is(err, kms.ErrInvalid) {
		t.Error(err)
	}
}

// Only vaults of the KEKs themselves are ever called.
func TestAzureIsAddedForItsOwnKEKs(t *testing.T) {
	none := kms.Mux{}
	if err := addAzure(none, "local:x", "tink:azure-kms://x"); err != nil || len(none) != 0 {
		t.Errorf("without a KEK of Azure: %v, %v", none, err)
	}
	const one, two = "azure-kms:a.vault.azure.net/keys/x", "azure-kms:b.vault.azure.net/keys/x"
	services := kms.Mux{}
	if err := addAzure(services, two, one, "local:x", one+"y"); err != nil || services[azurekms.Scheme] == nil {
		t.Fatalf("%v, %v", services, err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := services.Generate(ended, one, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("a vault of the KEKs: %v", err)
	}
	if _, _, err := services.Generate(t.Context(), "azure-kms:c.vault.azure.net/keys/x", nil); !errors.Is(err, kms.ErrInvalid) {
		t.Errorf("another vault: %v", err)
	}
	for _, wrong := range []string{"azure-kms:", "azure-kms:a.vault.example.net/keys/x"} {
		if err := addAzure(kms.Mux{}, wrong); !errors.Is(err, kms.ErrInvalid) {
			t.Errorf("%s: %v", wrong, err)
		}
	}
}
