package azurekms_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/azurekms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/kmstest"
)

func TestEveryKindOfKeyPassesTheSuite(t *testing.T) {
	s := start(t)
	v1 := s.AddKey(vault, "customers", kmstest.AzureRSA)
	v2 := s.AddKey(vault, "customers", kmstest.AzureRSA3k)
	s.AddKey(vault, "orders", kmstest.AzureRSA)
	s.AddKey(hsm, "customers", kmstest.AzureOctHSM)
	s.AddKey(hsm, "orders", kmstest.AzureOctHSM)
	atHSM := "azure-kms:" + hsm + "/keys/"
	for name, k := range map[string][3]string{
		"RSA":                            {kek, other, kek + "-unknown"},
		"RSA with versions":              {kek + "/" + v1, kek + "/" + v2, kek + "-unknown/" + v1},
		"AES":                            {atHSM + "customers", atHSM + "orders", atHSM + "none"},
		"RSA under the letters of Azure": {strings.Replace(kek, "customers", "CustomerS", 1), other, kek + "-unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			kmstest.Run(t, func(t *testing.T) (w kms.Wrapper, kek, otherKEK string) {
				t.Helper()
				return open(t, s, azurekms.WithAESKeyWrap(atHSM+"customers", atHSM+"orders")), k[0], k[1]
			}, kmstest.WithUnknownKEK(k[2]))
		})
	}
}

// FV-55: the name of the version that Key Vault says it has used is all that a
// rotation needs.
func TestARotationNeedsNothing(t *testing.T) {
	s := start(t)
	v1 := s.AddKey(vault, "customers", kmstest.AzureRSA)
	k := open(t, s)
	plain, old := generate(t, k, kek)
	v2 := s.AddKey(vault, "customers", kmstest.AzureRSA)
	_, young := generate(t, k, kek)
	if !bytes.Contains(old, []byte(v1)) || !bytes.Contains(young, []byte(v2)) {
		t.Error("a wrapped key does not name the version that wrapped it")
	}
	got, err := k.Unwrap(t.Context(), kek, old, contextOf("acme"))
	if err != nil || !bytes.Equal(got, plain) {
		t.Fatalf("a key of the old version: %v", err)
	}
	if _, err := k.Unwrap(t.Context(), kek, young, contextOf("acme")); err != nil {
		t.Errorf("a key of the new version: %v", err)
	}
	last := slices.Clone(s.Requests())[len(s.Requests())-2:]
	if last[0].Version != v1 || last[1].Version != v2 {
		t.Errorf("UnwrapKey was asked for %q and %q", last[0].Version, last[1].Version)
	}
	// FV-56: under a URI with a version there is no other.
	before := len(s.Requests())
	_, err = k.Unwrap(t.Context(), kek+"/"+v2, old, contextOf("acme"))
	check(t, "a key of another version", err, kms.ErrCorrupt)
	if len(s.Requests()) != before {
		t.Error("a version that the KEK rules out was asked for")
	}
	s.SetAttributes(vault, "customers", v1, kmstest.AzureAttributes{Disabled: true})
	_, err = k.Unwrap(t.Context(), kek, old, contextOf("acme"))
	check(t, "a key of a disabled version", err, kms.ErrDisabled)
}

func TestTheStateOfAKey(t *testing.T) {
	s := start(t)
	s.AddKey(vault, "customers", kmstest.AzureRSA)
	k := open(t, s)
	_, wrapped := generate(t, k, kek)
	day := 24 * time.Hour
	for name, tt := range map[string]struct {
		set          kmstest.AzureAttributes
		wrap, unwrap error
		reason       string
	}{
		"enabled":       {kmstest.AzureAttributes{}, nil, nil, ""},
		"disabled":      {kmstest.AzureAttributes{Disabled: true}, kms.ErrDisabled, kms.ErrDisabled, "KeyDisabled"},
		"expired":       {kmstest.AzureAttributes{Expires: time.Now().Add(-day)}, kms.ErrDisabled, nil, "KeyExpired"},
		"not yet valid": {kmstest.AzureAttributes{NotBefore: time.Now().Add(day)}, kms.ErrDisabled, nil, "KeyNotYetValid"},
	} {
		t.Run(name, func(t *testing.T) {
			s.SetAttributes(vault, "customers", "", tt.set)
			for op, err := range each(t.Context(), k, kek, wrapped) {
				want := tt.wrap
				if op == "unwrapkey" {
					want = tt.unwrap
				}
				if want == nil && err == nil {
					continue
				}
				check(t, op, err, want)
				if e, ok := errors.AsType[*azurekms.Error](err); !ok || e.Reason != tt.reason || e.Status != 403 || len(e.RequestID) != 36 {
					t.Errorf("%s: %#v", op, err)
				}
			}
		})
	}
	s.SetAttributes(vault, "customers", "", kmstest.AzureAttributes{})
	s.DeleteKey(vault, "customers")
	for op, err := range each(t.Context(), k, kek, wrapped) {
		check(t, op+" of a deleted key", err, kms.ErrNotFound)
	}
}

// A key that cannot wrap, or wraps otherwise, is no matter of waiting.
func TestAKeyOfAnotherType(t *testing.T) {
	s := start(t)
	s.AddKey(vault, "customers", kmstest.AzureEC)
	s.AddKey(hsm, "customers", kmstest.AzureOctHSM)
	k := open(t, s)
	_, _, err := k.Generate(t.Context(), kek, nil)
	check(t, "EC", err, kms.ErrDenied)
	_, _, err = k.Generate(t.Context(), "azure-kms:"+hsm+"/keys/customers", nil)
	check(t, "AES without the option", err, kms.ErrInvalid)
}

// FV-57: nothing is sent to a vault that the configuration does not list.
func TestAVaultThatIsNotListedIsNotCalled(t *testing.T) {
	s := start(t)
	s.AddKey(vault, "customers", kmstest.AzureRSA)
	k := open(t, s)
	_, wrapped := generate(t, k, kek)
	before := len(s.Requests())
	for _, uri := range []string{
		"azure-kms:evil.vault.azure.net/keys/customers", "azure-kms:vault.azure.net/keys/customers",
		"azure-kms:pii.vault.azure.net.evil.example/keys/customers", "azure-kms:pii.vault.azure.net:8443/keys/customers",
		"azure-kms:pii.vault.azure.net@evil.example/keys/customers", "azure-kms:PII.vault.azure.net/keys/customers",
		"azure-kms:pii.vault.azure.net/keys/customers/../orders", "azure-kms:pii.vault.azure.net/keys/customers?x=y",
		"azure-kms:pii.vault.azure.net/secrets/customers", "azure-kms://pii.vault.azure.net/keys/customers",
		"azure-kms:https://pii.vault.azure.net/keys/customers", "azure-kms:127.0.0.1/keys/customers", "azure-kms:", "",
	} {
		for op, err := range each(t.Context(), k, uri, wrapped) {
			check(t, op+" of "+uri, err, kms.ErrInvalid)
		}
	}
	if len(s.Requests()) != before {
		t.Errorf("%d requests", len(s.Requests())-before)
	}
}

func TestACallEndsWithItsContext(t *testing.T) {
	s := start(t)
	s.AddKey(vault, "customers", kmstest.AzureRSA)
	k := open(t, s, azurekms.WithTimeout(time.Minute))
	_, wrapped := generate(t, k, kek)
	s.Fault(kmstest.AzureFault{Delay: time.Hour})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	for op, err := range each(ctx, k, kek, wrapped) {
		// The second of the two finds the context ended, and says so itself.
		if errors.Is(err, kms.ErrUnavailable) {
			check(t, op, err, kms.ErrUnavailable)
		}
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v, want the error of the context", op, err)
		}
	}
}

func TestACallEndsWithItsTimeout(t *testing.T) {
	s := start(t)
	s.AddKey(vault, "customers", kmstest.AzureRSA)
	_, wrapped := generate(t, open(t, s), kek)
	k := open(t, s, azurekms.WithTimeout(20*time.Millisecond))
	s.Fault(kmstest.AzureFault{Delay: time.Hour})
	for op, err := range each(t.Context(), k, kek, wrapped) {
		check(t, op, err, kms.ErrUnavailable)
		if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v looks as if the context of the caller had ended", op, err)
		}
		if !strings.Contains(err.Error(), "no answer in time") {
			t.Errorf("%s: %v", op, err)
		}
	}
}

func TestAServerThatIsAway(t *testing.T) {
	s := kmstest.NewAzureServer()
	s.AddKey(vault, "customers", kmstest.AzureRSA)
	k := open(t, s)
	_, wrapped := generate(t, k, kek)
	s.Close()
	for op, err := range each(t.Context(), k, kek, wrapped) {
		check(t, op, err, kms.ErrUnavailable)
	}
}

func TestACertificateThatNobodyTrusts(t *testing.T) {
	s, stranger := start(t), start(t)
	s.AddKey(vault, "customers", kmstest.AzureRSA)
	_, wrapped := generate(t, open(t, s), kek)
	client := s.Client()
	// The client trusts s, and reaches another.
	client.Transport = redirected(t, client.Transport, stranger.Addr())
	c := &tokens{server: s}
	k := open(t, s, azurekms.WithHTTPClient(client), azurekms.WithCredential(c))
	for op, err := range each(t.Context(), k, kek, wrapped) {
		check(t, op, err, kms.ErrUnavailable)
		if !strings.Contains(err.Error(), "certificate of the server is not trusted") {
			t.Errorf("%s: %v", op, err)
		}
	}
	if n := c.asked.Load(); n != 0 {
		t.Errorf("%d tokens for a server that nobody trusts", n)
	}
}
