package gcpkms_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/gcpkms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/gcpkms/gcpkmstest"
)

const (
	token = "ya29.canary-token"
	ring  = "projects/canary-project/locations/europe-west3/keyRings/pii/cryptoKeys/"
)

func start(t *testing.T) *gcpkmstest.Server {
	t.Helper()
	s := gcpkmstest.NewServer()
	s.RequireTokens(token)
	t.Cleanup(s.Close)
	return s
}

// open returns a KMS that calls s.
func open(t *testing.T, s *gcpkmstest.Server, opts ...gcpkms.Option) *gcpkms.KMS {
	t.Helper()
	k, err := gcpkms.New(t.Context(), append([]gcpkms.Option{gcpkms.WithCredentials(gcpkmstest.Credentials(token)), gcpkms.WithEndpoint(s.URL)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := k.Close(); err != nil {
			t.Error(err)
		}
	})
	return k
}

func contextOf(tenant string) kms.EncryptionContext {
	return kms.EncryptionContext{"fieldveil:purpose": "data-key", "fieldveil:tenant": tenant}
}

func generate(t *testing.T, w kms.Wrapper, kek string) (plain, wrapped []byte) {
	t.Helper()
	plain, wrapped, err := w.Generate(t.Context(), kek, contextOf("acme"))
	if err != nil {
		t.Fatal(err)
	}
	return plain, wrapped
}

// check tells whether err is of a class and of no other, and shows nothing that
// is secret.
func check(t *testing.T, what string, err, class error) {
	t.Helper()
	for _, c := range []error{
		kms.ErrDenied, kms.ErrNotFound, kms.ErrDisabled, kms.ErrCorrupt, kms.ErrThrottled, kms.ErrUnavailable, kms.ErrInvalid,
	} {
		if errors.Is(err, c) != errors.Is(class, c) {
			t.Errorf("%s: %v, want the class %v alone", what, err, class)
			return
		}
	}
	if e, ok := errors.AsType[*gcpkms.Error](err); ok && e.Location != "europe-west3" {
		t.Errorf("%s: %#v names another location", what, e)
	}
	secretless(t, what, err)
}

func secretless(t *testing.T, what string, err error) {
	t.Helper()
	shown := fmt.Sprintf("%v %+v %#v", err, err, err)
	for _, secret := range []string{token, "canary", "Canary", "CANARY"} {
		if strings.Contains(shown, secret) {
			t.Errorf("%s: the error shows %q: %s", what, secret, shown)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("%s: the error has a line end: %q", what, err)
	}
}

// each calls both operations and gives back their errors.
func each(ctx context.Context, k *gcpkms.KMS, kek string, wrapped []byte) map[string]error {
	plain, blob, generated := k.Generate(ctx, kek, contextOf("acme"))
	if generated != nil && (plain != nil || blob != nil) {
		generated = errors.New("an error and also a key")
	}
	plain, unwrapped := k.Unwrap(ctx, kek, wrapped, contextOf("acme"))
	if unwrapped != nil && plain != nil {
		unwrapped = errors.New("an error and also a key")
	}
	return map[string]error{"Encrypt": generated, "Decrypt": unwrapped}
}

// cancelAfter calls cancel once the server has seen n calls of an operation.
func cancelAfter(ctx context.Context, cancel func(), s *gcpkmstest.Server, op string, n int) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for s.Calls(op) < n {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
	cancel()
}

// eventually waits until a call succeeds: a connection that was cut is made anew
// in the background.
func eventually(t *testing.T, k *gcpkms.KMS, kek string, wrapped []byte) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		_, err := k.Unwrap(ctx, kek, wrapped, contextOf("acme"))
		if err == nil {
			return
		}
		if !kms.Retryable(err) || ctx.Err() != nil {
			t.Fatalf("the service is back, and: %v", err)
		}
		<-tick.C
	}
}
