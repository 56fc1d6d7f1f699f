package tinkkms_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/tinkkms"
)

// scope is that of a process of its own.
func scope(t *testing.T, s *script) *datakey.Scope {
	t.Helper()
	k := must[*tinkkms.KMS](t)(tinkkms.FromAEAD("tink:pii", s))
	c := must[*datakey.Cache](t)(datakey.New(kms.Mux{tinkkms.Scheme: k}))
	t.Cleanup(c.Close)
	return must[*datakey.Scope](t)(c.Scope(datakey.ScopeSpec{Name: "pii", Tenant: "acme", KEKs: []string{"tink:pii"}}))
}

// Data keys as the library uses them: made, proven, sealed with, through an outage,
// and opened by a process that has nothing but the block.
func TestDataKeysUnderTink(t *testing.T) {
	place, value := [8]byte{1, 2, 3, 4, 5, 6, 7, 8}, []byte("zq@example.com")
	up := newAEAD(t)
	s := &script{AEAD: up}
	w := scope(t, s).NewSealer()
	seal := func() ([]byte, error) {
		if err := w.Reserve(t.Context(), 1, len(value)); err != nil {
			return nil, err
		}
		defer w.Done()
		return w.Append(nil, value, w.Head(place))
	}
	envelope := must[[]byte](t)(seal())
	if n := s.calls.Load(); n != 2 {
		t.Errorf("%d calls for the first key", n)
	}
	s.err = errors.New("away")
	if _, err := seal(); err != nil {
		t.Errorf("a warm process in an outage: %v", err)
	}
	v := must[datakey.Value](t)(datakey.ParseValue(envelope))
	if _, err := scope(t, s).Opener(t.Context(), v.KeyID(), [][]byte{w.KeyBlock()}); !errors.Is(err, kms.ErrUnavailable) {
		t.Errorf("a cold process in an outage: %v", err)
	}
	opener := must[*datakey.Opener](t)(scope(t, &script{AEAD: up}).Opener(t.Context(), v.KeyID(), [][]byte{w.KeyBlock()}))
	if got, err := opener.Append(nil, &v); err != nil || !bytes.Equal(got, value) {
		t.Errorf("opened %q, %v", got, err)
	}
}
