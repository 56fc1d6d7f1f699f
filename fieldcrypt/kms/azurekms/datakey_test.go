package azurekms_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/azurekms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/kmstest"
)

// scope is that of a process of its own.
func scope(t *testing.T, s *kmstest.AzureServer) *datakey.Scope {
	t.Helper()
	c, err := datakey.New(kms.Mux{azurekms.Scheme: open(t, s)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	sc, err := c.Scope(datakey.ScopeSpec{Name: "pii", Tenant: "acme", KEKs: []string{kek}})
	if err != nil {
		t.Fatal(err)
	}
	return sc
}

// Data keys as the library uses them: made, proven, sealed with, through an outage,
// and opened by a process that has nothing but the block.
func TestDataKeysUnderKeyVault(t *testing.T) {
	s := start(t)
	s.AddKey(vault, "customers", kmstest.AzureRSA)
	place, value := [8]byte{1, 2, 3, 4, 5, 6, 7, 8}, []byte("zq@example.com")
	w := scope(t, s).NewSealer()
	seal := func() ([]byte, error) {
		if err := w.Reserve(t.Context(), 1, len(value)); err != nil {
			return nil, err
		}
		defer w.Done()
		return w.Append(nil, value, w.Head(place))
	}
	envelope, err := seal()
	if err != nil {
		t.Fatal(err)
	}
	if wraps, unwraps := s.Calls("wrapkey"), s.Calls("unwrapkey"); wraps != 1 || unwraps != 1 {
		t.Errorf("%d and %d calls for the first key", wraps, unwraps)
	}
	s.Fault(kmstest.AzureFault{Status: 503})
	if _, err := seal(); err != nil {
		t.Errorf("a warm process in an outage: %v", err)
	}
	v, err := datakey.ParseValue(envelope)
	if err != nil {
		t.Fatal(err)
	}
	reader := scope(t, s)
	if _, err := reader.Opener(t.Context(), v.KeyID(), [][]byte{w.KeyBlock()}); !errors.Is(err, kms.ErrUnavailable) {
		t.Errorf("a cold process in an outage: %v", err)
	}
	s.ClearFaults()
	// A rotation while the reader was away.
	s.AddKey(vault, "customers", kmstest.AzureRSA)
	opener, err := scope(t, s).Opener(t.Context(), v.KeyID(), [][]byte{w.KeyBlock()})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := opener.Append(nil, &v); err != nil || !bytes.Equal(got, value) {
		t.Errorf("opened %q, %v", got, err)
	}
}
