package datakey

import (
	"errors"
	"fmt"
)

// Test for these with [errors.Is]. Errors of the KMS keep their class of
// package kms behind ErrUnavailable or ErrUnusable.
var (
	// ErrUnavailable means that no data key could be had now. Retry later.
	ErrUnavailable = errors.New("data key unavailable")
	// ErrUnusable means that no data key can be had until somebody changes the
	// KEK, its permissions or the configuration.
	ErrUnusable = errors.New("data key unusable")
	// ErrUnknownKey means that neither the record nor the key store has the key
	// that a value names.
	ErrUnknownKey = errors.New("data key unknown")
	// ErrCommitment means that a data key is not the one that its block commits
	// to, or that a KMS returned a key that does not match its wrapped form.
	ErrCommitment = errors.New("data key does not match its commitment")
	// ErrExhausted means that a reservation is used up.
	ErrExhausted = errors.New("reserved seals are used up")
	// ErrTampered means that a value failed authentication. Never retry.
	ErrTampered = errors.New("value failed authentication")
)

// A ForeignKeyError means that a data key belongs to another scope than the one
// that was asked: it stands under a KEK or a tenant that the scope does not
// have.
type ForeignKeyError struct {
	KEK    string
	Tenant string
}

func (e *ForeignKeyError) Error() string {
	return fmt.Sprintf("data key belongs to tenant %q under KEK %q", e.Tenant, e.KEK)
}
