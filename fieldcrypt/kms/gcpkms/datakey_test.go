package gcpkms_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/gcpkms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/gcpkms/gcpkmstest"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/kmstest"
)

// process is a process with a cache of its own.
func process(t *testing.T, s *gcpkmstest.Server, kek string) *datakey.Scope {
	t.Helper()
	cache, err := datakey.New(kms.Mux{gcpkms.Scheme: open(t, s)}, datakey.WithCallTimeout(5*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cache.Close)
	scope, err := cache.Scope(datakey.ScopeSpec{Name: "pii", Tenant: "acme", KEKs: []string{kek}})
	if err != nil {
		t.Fatal(err)
	}
	return scope
}

func seal(ctx context.Context, s *datakey.Scope, plain string) (env, block []byte, err error) {
	w := s.NewSealer()
	if err := w.Reserve(ctx, 1, len(plain)); err != nil {
		return nil, nil, err
	}
	defer w.Done()
	env, err = w.Append(nil, []byte(plain), w.Head([8]byte{1}))
	return env, w.KeyBlock(), err
}

func reveal(ctx context.Context, s *datakey.Scope, env, block []byte) (string, error) {
	v, err := datakey.ParseValue(env)
	if err != nil {
		return "", err
	}
	o, err := s.Opener(ctx, v.KeyID(), [][]byte{block})
	if err != nil {
		return "", err
	}
	plain, err := o.Append(nil, &v)
	return string(plain), err
}

// policyOnly checks an error of the cache, which names the KEK as the policy does.
func policyOnly(t *testing.T, what string, err error) {
	t.Helper()
	secretless(t, what, errors.New(strings.ReplaceAll(err.Error(), ring, "")))
}

func TestTheCacheOfDataKeysRunsOnIt(t *testing.T) {
	s := start(t)
	name := s.AddKey(ring + "one")
	writer, reader := process(t, s, "gcp-kms:"+name), process(t, s, "gcp-kms:"+name)
	ctx := t.Context()
	env, block, err := seal(ctx, writer, "jane@example.com")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := reveal(ctx, reader, env, block); err != nil || got != "jane@example.com" {
		t.Fatalf("%q, %v", got, err)
	}
	if n, m := s.Calls("Encrypt"), s.Calls("Decrypt"); n != 1 || m != 2 {
		t.Errorf("%d and %d calls: one key is made, proven and opened once", n, m)
	}
	// While Cloud KMS is away who has a key goes on.
	s.Fault(gcpkmstest.Fault{Code: codes.Unavailable})
	for range 100 {
		env, block, err = seal(ctx, writer, "joe@example.com")
		if err != nil {
			t.Fatal(err)
		}
		if got, err := reveal(ctx, reader, env, block); err != nil || got != "joe@example.com" {
			t.Fatalf("%q, %v", got, err)
		}
	}
	cold := process(t, s, "gcp-kms:"+name)
	if _, _, err := seal(ctx, cold, "x"); !errors.Is(err, datakey.ErrUnavailable) || !errors.Is(err, kms.ErrUnavailable) {
		t.Errorf("seal without a key: %v", err)
	}
	if _, err := reveal(ctx, cold, env, block); !errors.Is(err, datakey.ErrUnavailable) {
		t.Errorf("reveal without a key: %v", err)
	} else {
		policyOnly(t, "reveal", err)
	}
	// And the others when it is back, without a restart.
	s.ClearFaults()
	s.CutConnections()
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		got, err := reveal(ctx, cold, env, block)
		if err == nil && got == "joe@example.com" {
			break
		}
		if ctx.Err() != nil {
			t.Fatalf("%q, %v", got, err)
		}
		<-tick.C
	}
}

// What sealed would never open again.
func TestNoDataKeyIsUsedThatDoesNotOpen(t *testing.T) {
	for what, f := range map[string]gcpkmstest.Fault{
		"Encrypt of another key":      {Op: "Encrypt", Answer: kmstest.WrongWrapped},
		"Decrypt to another key":      {Op: "Decrypt", Answer: kmstest.WrongPlain},
		"a role that may not Decrypt": {Op: "Decrypt", Code: codes.PermissionDenied, Message: message},
	} {
		t.Run(what, func(t *testing.T) {
			s := start(t)
			writer := process(t, s, "gcp-kms:"+s.AddKey(ring+"one"))
			s.Fault(f)
			env, _, err := seal(t.Context(), writer, "jane@example.com")
			if err == nil || env != nil {
				t.Fatal("it sealed")
			}
			policyOnly(t, what, err)
		})
	}
}

func TestADisabledVersionEndsTheScope(t *testing.T) {
	s := start(t)
	name := s.AddKey(ring + "one")
	env, block, err := seal(t.Context(), process(t, s, "gcp-kms:"+name), "jane@example.com")
	if err != nil {
		t.Fatal(err)
	}
	s.SetState(name, 1, gcpkmstest.Disabled)
	cold := process(t, s, "gcp-kms:"+name)
	if _, _, err := seal(t.Context(), cold, "x"); !errors.Is(err, datakey.ErrUnusable) || !errors.Is(err, kms.ErrDisabled) {
		t.Errorf("seal: %v", err)
	}
	if _, err := reveal(t.Context(), cold, env, block); !errors.Is(err, datakey.ErrUnusable) || !errors.Is(err, kms.ErrDisabled) {
		t.Errorf("reveal: %v", err)
	}
}
