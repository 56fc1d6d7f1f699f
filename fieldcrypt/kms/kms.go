// Package kms is the border to key management services: the two calls that
// envelope encryption needs, and the classes of error that decide what happens
// next.
//
// A key management service holds key encryption keys (KEKs) and never shows
// them. It makes data keys, hands each out once in clear and once wrapped under
// a KEK, and later unwraps the wrapped form for whoever may have it. Providers
// stand in packages of their own; [Mux] picks one by the scheme of a KEK's URI.
//
// Caching, retries and limits are not the business of a provider: package
// datakey does them, the same for all.
package kms

import (
	"context"
	"errors"
)

// DataKeySize is the size in bytes of every data key.
const DataKeySize = 32

// A Wrapper makes and unwraps data keys. Implementations are safe for
// concurrent use, keep the deadline of the context, bound what they read, and
// return errors that wrap one of the classes below. No error holds a key.
type Wrapper interface {
	// Generate returns a new random data key of DataKeySize bytes, in clear and
	// wrapped under the KEK named by the URI kek. The caller takes the clear
	// key over and wipes it.
	Generate(ctx context.Context, kek string, ec EncryptionContext) (plain, wrapped []byte, err error)
	// Unwrap returns the data key in clear. It fails with ErrDenied or
	// ErrCorrupt when wrapped was not made under kek with an equal context.
	Unwrap(ctx context.Context, kek string, wrapped []byte, ec EncryptionContext) (plain []byte, err error)
}

// A ReEncrypter is a Wrapper whose service moves a wrapped data key from one KEK
// to another without showing it to the caller. Only such a service lets KEKs be
// changed with the data keys never in clear outside of it.
type ReEncrypter interface {
	Wrapper
	// ReEncrypt returns the data key that wrapped holds under the KEK from,
	// wrapped under the KEK to. The encryption context stays the same. It fails
	// as Unwrap does for from, and as Generate does for to; and with ErrInvalid
	// when the service cannot do it for these two KEKs.
	ReEncrypt(ctx context.Context, from, to string, wrapped []byte, ec EncryptionContext) ([]byte, error)
}

// Classes of error. Test for them with [errors.Is].
var (
	// ErrDenied means that the caller may not use the KEK. Definitive.
	ErrDenied = errors.New("access to the KEK denied")
	// ErrNotFound means that there is no such KEK. Definitive.
	ErrNotFound = errors.New("KEK not found")
	// ErrDisabled means that the KEK is disabled or about to be deleted.
	// Definitive until an operator acts.
	ErrDisabled = errors.New("KEK disabled")
	// ErrCorrupt means that the wrapped key does not open: it was changed, or
	// it belongs to another KEK or another encryption context. Definitive.
	ErrCorrupt = errors.New("wrapped data key does not open")
	// ErrThrottled means that the service asks for fewer calls. Retry later.
	ErrThrottled = errors.New("KMS throttles")
	// ErrUnavailable means that the service could not answer. Retry later.
	ErrUnavailable = errors.New("KMS unavailable")
	// ErrInvalid means that the request itself is wrong, such as a URI that no
	// provider understands. Definitive.
	ErrInvalid = errors.New("invalid KMS request")
)

// Retryable reports whether the same call may succeed later without anyone
// changing the KEK, its permissions or the request. An error of no known class
// counts as retryable: a provider that cannot tell must not stop a producer
// for good.
func Retryable(err error) bool {
	if err == nil {
		return false
	}
	for _, definitive := range []error{ErrDenied, ErrNotFound, ErrDisabled, ErrCorrupt, ErrInvalid} {
		if errors.Is(err, definitive) {
			return false
		}
	}
	return true
}
