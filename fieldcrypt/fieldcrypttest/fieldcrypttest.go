// Package fieldcrypttest gives tests a ready engine: a real one, with real
// ciphers, over a KEK that lives in memory and is gone with the test. It is of
// no use outside of tests, because nothing that it sealed can be opened later.
package fieldcrypttest

import (
	"testing" //nolint:depguard // made for users' tests

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/localkms"
)

// KEK is the URI to name in the keys of a test's policy. Any other of scheme
// "local" is served too, by a KEK of its own.
const KEK = "local:test"

// New returns an engine for the policy text. The engine finds schemas as opts
// say; keys are made durable in a store in memory, so that records open without
// their headers. The test fails at once when the policy is wrong.
func New(t testing.TB, policy string, opts ...fieldcrypt.Option) *fieldcrypt.Engine {
	t.Helper()
	p, err := fieldcrypt.ParsePolicy([]byte(policy))
	if err != nil {
		t.Fatalf("fieldcrypttest: %v", err)
	}
	keys, err := datakey.New(kms.Mux{localkms.Scheme: localkms.NewInMemory()}, datakey.WithStore(new(datakey.MemStore)))
	if err != nil {
		t.Fatalf("fieldcrypttest: %v", err)
	}
	t.Cleanup(keys.Close)
	e, err := fieldcrypt.New(p, keys, opts...)
	if err != nil {
		t.Fatalf("fieldcrypttest: %v", err)
	}
	return e
}
