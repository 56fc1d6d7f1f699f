package tinkkms

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
)

// withContext gives an AEAD the deadline of the context.
func (k *KMS) withContext(a tink.AEAD) tink.AEADWithContext {
	if aware, ok := a.(tink.AEADWithContext); ok {
		return limited{aware, k.timeout}
	}
	return &detached{aead: a, timeout: k.timeout, slots: k.slots}
}

// detached waits for an AEAD that knows no context only as long as it may. A call
// that nobody waits for any more goes on by itself; so that an outage does not
// pile them up, their number is bounded.
type detached struct {
	aead    tink.AEAD
	timeout time.Duration
	slots   chan struct{}
}

// EncryptWithContext encrypts.
func (d *detached) EncryptWithContext(ctx context.Context, plaintext, ad []byte) ([]byte, error) {
	own := bytes.Clone(plaintext)
	return d.call(ctx, func() ([]byte, error) {
		defer clear(own)
		return d.aead.Encrypt(own, ad)
	})
}

// DecryptWithContext decrypts.
func (d *detached) DecryptWithContext(ctx context.Context, ciphertext, ad []byte) ([]byte, error) {
	own := bytes.Clone(ciphertext)
	return d.call(ctx, func() ([]byte, error) { return d.aead.Decrypt(own, ad) })
}

func (d *detached) call(ctx context.Context, f func() ([]byte, error)) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	select {
	case d.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	type result struct {
		out []byte
		err error
	}
	done := make(chan result)
	go func() {
		defer func() { <-d.slots }()
		out, err := f()
		select {
		case done <- result{out, err}:
		case <-ctx.Done():
			clear(out) // it may be a key, and nobody takes it
		}
	}()
	select {
	case r := <-done:
		return r.out, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// failure gives an error of an AEAD its class and leaves its text: it may hold
// anything. local is the class for an AEAD that calls nobody.
func (k *KMS) failure(ctx context.Context, op string, p primitive, local, err error) error {
	if ended := ctx.Err(); ended != nil {
		return fmt.Errorf("tinkkms: %s: %w: %w", op, kms.ErrUnavailable, ended)
	}
	var class error
	switch {
	case p.local:
		class = local
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("tinkkms: %s: no answer in time: %w", op, kms.ErrUnavailable)
	default:
		class = k.classOf(err)
	}
	return fmt.Errorf("tinkkms: %s: the AEAD of the KEK refuses: %w", op, class)
}

// classOf asks the classifier, which only knows more where a call has not simply
// failed on the way.
func (k *KMS) classOf(err error) error {
	_, network := errors.AsType[net.Error](err)
	if k.classify == nil || network || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, context.Canceled) {
		return kms.ErrUnavailable
	}
	said := k.classify(err)
	for _, class := range []error{
		kms.ErrDenied, kms.ErrNotFound, kms.ErrDisabled, kms.ErrCorrupt, kms.ErrThrottled, kms.ErrInvalid,
	} {
		if errors.Is(said, class) {
			return class
		}
	}
	return kms.ErrUnavailable
}
