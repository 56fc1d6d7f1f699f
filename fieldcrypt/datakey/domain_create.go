package datakey

import (
	"context"
	"fmt"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/internal/envelope"
	"github.com/fieldveil/fieldveil/internal/secret"
)

// CreateDomainBlock has the KMS make a domain key under kek for a tenant (empty
// for none), proves that its wrapped form opens to the same key, and returns its
// key block: a version of [DomainSpec]. It shows the key to nobody and keeps
// nothing.
//
// It is for a command that a person runs. The block must then reach every
// process that seals or opens, and a backup: without it, values sealed under the
// key are lost. It makes each call to w once; an error wraps ErrUnavailable or
// ErrUnusable and the class of package kms.
func CreateDomainBlock(ctx context.Context, w kms.Wrapper, kek, tenant string) ([]byte, error) {
	fail := func(op string, err error) error {
		return fmt.Errorf("datakey: %s domain key under %s: %w: %w", op, kek, classOf(err), err)
	}
	if w == nil || kek == "" {
		return nil, fmt.Errorf("datakey: domain key without a KMS or a KEK: %w", ErrUnusable)
	}
	ec := encryptionContext(tenant)
	var plain, wrapped, again []byte
	err := guard(func() (err error) {
		plain, wrapped, err = w.Generate(ctx, kek, ec)
		return err
	})
	if err != nil {
		secret.Wipe(plain)
		return nil, fail("generate", err)
	}
	m, err := deriveDomain(plain)
	if err != nil {
		return nil, fail("generate", err)
	}
	// FV-4: a pair that does not match would seal what nobody can open.
	err = guard(func() (err error) {
		again, err = w.Unwrap(ctx, kek, wrapped, ec)
		return err
	})
	if err != nil {
		secret.Wipe(again)
		return nil, fail("verify", err)
	}
	m2, err := deriveDomain(again)
	if err != nil {
		return nil, fail("verify", err)
	}
	if !equalCommitment(m.commitment, m2.commitment) {
		return nil, fail("verify", ErrCommitment)
	}
	block, err := envelope.KeyBlock{Commitment: m.commitment, KEK: kek, Tenant: tenant, Wrapped: wrapped}.Append(nil)
	if err != nil {
		return nil, fail("generate", err)
	}
	return block, nil
}
