// Package fieldcrypttest gives tests a ready engine: a real one, with real
// ciphers, over a KEK that lives in memory and is gone with the test. It is of
// no use outside of tests, because nothing that it sealed can be opened later.
package fieldcrypttest

import (
	"context"
	"encoding/base64"
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
	return Open(t).Engine(policy, opts...)
}

// A Bench is what several engines of a test share: one KMS, so that what one of
// them sealed the others open, and the domain keys that it made.
type Bench struct {
	t     testing.TB
	kms   kms.Wrapper
	store *datakey.MemStore
}

// Open returns a Bench, which ends with the test.
func Open(t testing.TB) *Bench {
	t.Helper()
	return &Bench{t: t, kms: kms.Mux{localkms.Scheme: localkms.NewInMemory()}, store: new(datakey.MemStore)}
}

// DomainKey makes a version of a domain key under [KEK] for a tenant, empty for
// none, and returns it as the versions of a key in domain_keys have it.
func (b *Bench) DomainKey(tenant string) string {
	b.t.Helper()
	block, err := datakey.CreateDomainBlock(context.Background(), b.kms, KEK, tenant)
	if err != nil {
		b.t.Fatalf("fieldcrypttest: %v", err)
	}
	return base64.StdEncoding.EncodeToString(block)
}

// Engine returns an engine with caches of its own, as another process has it.
func (b *Bench) Engine(policy string, opts ...fieldcrypt.Option) *fieldcrypt.Engine {
	b.t.Helper()
	p, err := fieldcrypt.ParsePolicy([]byte(policy))
	if err != nil {
		b.t.Fatalf("fieldcrypttest: %v", err)
	}
	keys, err := datakey.New(b.kms, datakey.WithStore(b.store))
	if err != nil {
		b.t.Fatalf("fieldcrypttest: %v", err)
	}
	b.t.Cleanup(keys.Close)
	e, err := fieldcrypt.New(p, keys, opts...)
	if err != nil {
		b.t.Fatalf("fieldcrypttest: %v", err)
	}
	return e
}
