package datakey

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/internal/envelope"
	"github.com/fieldveil/fieldveil/internal/secret"
)

// BlockInfo is what a key block says of itself: who could open it, and for whom
// it is. Nothing of it is secret, and nothing of it is proven; see [ProveBlock].
type BlockInfo struct {
	ID     ID
	KEK    string // URI, as the policy spelled it when the key was made
	Tenant string // empty for none
}

// DescribeBlock reads a key block. It fails for bytes that are none.
func DescribeBlock(block []byte) (BlockInfo, error) {
	kb, err := envelope.ParseKeyBlock(block)
	if err != nil {
		return BlockInfo{}, err
	}
	return BlockInfo{ID: ID(kb.Commitment.KeyID()), KEK: kb.KEK, Tenant: kb.Tenant}, nil
}

// SameKey tells whether two blocks commit to the same data key of the same
// tenant. Whether they open to it only [ProveBlock] can tell.
func SameKey(a, b []byte) bool {
	x, err := envelope.ParseKeyBlock(a)
	if err != nil {
		return false
	}
	y, err := envelope.ParseKeyBlock(b)
	return err == nil && equalCommitment(x.Commitment, y.Commitment) && x.Tenant == y.Tenant
}

// ReEncryptBlock has the service of both KEKs wrap the data key of a block under
// the KEK to, and returns the new block, for the same key and tenant. The key is
// never in clear here; so nothing proves that the answer holds it, which
// [ProveBlock] does. It calls r once; an error keeps its class of package kms.
func ReEncryptBlock(ctx context.Context, r kms.ReEncrypter, block []byte, to string) ([]byte, error) {
	kb, err := envelope.ParseKeyBlock(block)
	if err != nil {
		return nil, err
	}
	id := ID(kb.Commitment.KeyID())
	var wrapped []byte
	err = guard(func() (err error) {
		wrapped, err = r.ReEncrypt(ctx, kb.KEK, to, kb.Wrapped, encryptionContext(kb.Tenant))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("datakey: re-encrypt key %s from %s to %s: %w", id, kb.KEK, to, err)
	}
	next, err := envelope.KeyBlock{Commitment: kb.Commitment, KEK: to, Tenant: kb.Tenant, Wrapped: wrapped}.Append(nil)
	if err != nil {
		return nil, fmt.Errorf("datakey: re-encrypt key %s from %s to %s: %w", id, kb.KEK, to, err)
	}
	return next, nil
}

// ProveBlock has the KMS unwrap a block and compares the key with what the block
// commits to, in constant time (FV-2). The key is in clear meanwhile, and wiped.
// It fails with [ErrCommitment] when the key is another one, and otherwise with
// the class of package kms.
func ProveBlock(ctx context.Context, w kms.Wrapper, block []byte) error {
	kb, err := envelope.ParseKeyBlock(block)
	if err != nil {
		return err
	}
	id := ID(kb.Commitment.KeyID())
	var plain []byte
	defer func() { secret.Wipe(plain) }()
	err = guard(func() (err error) {
		plain, err = w.Unwrap(ctx, kb.KEK, kb.Wrapped, encryptionContext(kb.Tenant))
		return err
	})
	if err != nil {
		return fmt.Errorf("datakey: unwrap key %s under %s: %w", id, kb.KEK, err)
	}
	c, err := commitmentOf(plain)
	if err != nil || !equalCommitment(c, kb.Commitment) {
		return fmt.Errorf("datakey: unwrap key %s under %s: %w", id, kb.KEK, ErrCommitment)
	}
	return nil
}

// commitmentOf returns what a data key commits to, and makes nothing else of it:
// a block does not tell whether its key is a domain key.
func commitmentOf(plain []byte) (c envelope.Commitment, err error) {
	if len(plain) != kms.DataKeySize {
		return c, errKeyLength
	}
	b, err := hkdf.Key(sha256.New, plain, nil, infoCommitment, envelope.CommitmentSize)
	copy(c[:], b)
	return c, err
}
