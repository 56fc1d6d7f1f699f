package keyops

import (
	"context"
	"fmt"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
)

// A KeyWrapper is a Wrapper that wraps a data key that it is given, and not only
// those that it makes.
type KeyWrapper interface {
	kms.Wrapper
	// Wrap returns plain wrapped under kek, as Generate returns its keys. It
	// neither keeps nor changes plain.
	Wrap(ctx context.Context, kek string, plain []byte, ec kms.EncryptionContext) ([]byte, error)
}

// KeysInClearHere returns a ReEncrypter that unwraps each key with one provider
// and wraps it with another. Every key that it moves is in clear in this process
// for a moment, where a service that re-encrypts would have kept it to itself: run
// it on a machine and with credentials of which that may be so. It is for moves
// that no service makes, such as from one cloud to another.
func KeysInClearHere(unwrap kms.Wrapper, wrap KeyWrapper) kms.ReEncrypter {
	return inClear{Wrapper: unwrap, wrap: wrap}
}

type inClear struct {
	kms.Wrapper

	wrap KeyWrapper
}

// ReEncrypt implements [kms.ReEncrypter].
func (c inClear) ReEncrypt(ctx context.Context, from, to string, wrapped []byte, ec kms.EncryptionContext) ([]byte, error) {
	plain, err := c.Unwrap(ctx, from, wrapped, ec)
	defer func() { clear(plain) }()
	if err != nil {
		return nil, err
	}
	if len(plain) != kms.DataKeySize {
		return nil, fmt.Errorf("keyops: the KMS of %s returned a key of another length: %w", from, kms.ErrCorrupt)
	}
	return c.wrap.Wrap(ctx, to, plain, ec)
}
