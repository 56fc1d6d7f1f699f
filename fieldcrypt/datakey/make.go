package datakey

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/internal/envelope"
	"github.com/fieldveil/fieldveil/internal/secret"
)

// makeKey has the KMS make a data key for s, proves that the wrapped form opens
// to the same key, and makes the block durable.
func (c *Cache) makeKey(s *Scope) (*activeKey, error) {
	ctx, cancel := context.WithTimeout(context.Background(), c.cfg.timeout)
	defer cancel()
	kek, ec := s.spec.KEKs[0], encryptionContext(s.spec.Tenant)

	var plain, wrapped []byte
	err := c.call(ctx, func() (err error) {
		plain, wrapped, err = c.wrapper.Generate(ctx, kek, ec)
		return err
	})
	if err != nil {
		return nil, s.failure("generate", err)
	}
	defer secret.Wipe(plain)
	// The time of birth is before the verification, so that a slow KMS cannot
	// stretch the life of a key.
	born := time.Now()

	var again []byte
	err = c.call(ctx, func() (err error) {
		again, err = c.wrapper.Unwrap(ctx, kek, wrapped, ec)
		return err
	})
	if err != nil {
		return nil, s.failure("verify", err)
	}
	// derive wipes what it is given, so the comparison comes by commitment: in
	// constant time, and with the very check that a reader will make.
	m, err := derive(bytes.Clone(plain))
	if err != nil {
		secret.Wipe(again)
		return nil, s.failure("generate", err)
	}
	m2, err := derive(again)
	if err != nil {
		return nil, s.failure("verify", err)
	}
	if !equalCommitment(m.commitment, m2.commitment) {
		return nil, s.failure("verify", ErrCommitment)
	}

	block, err := envelope.KeyBlock{
		Commitment: m.commitment, KEK: kek, Tenant: s.spec.Tenant, Wrapped: wrapped,
	}.Append(nil)
	if err != nil {
		return nil, s.failure("generate", err)
	}
	k := &activeKey{
		material: m, id: ID(m.commitment.KeyID()), block: slices.Clip(block),
		born: born, limits: s.spec.Limits, ahead: aheadWithJitter(s.spec.Limits),
	}
	if c.cfg.store != nil {
		put := func() error { return c.cfg.store.Put(ctx, k.id, bytes.Clone(block)) }
		if err := guard(put); err != nil {
			return nil, s.failure("store", err)
		}
	}
	// What this process sealed it can open without another call.
	if _, err := c.openers.add(s, newOpener(s, k.id, m, born)); err != nil {
		return nil, s.failure("generate", err)
	}
	// Callers would ask for the next key at once, and so for ever.
	if k.expired(time.Now()) {
		return nil, s.failure("generate", errSlow)
	}
	return k, nil
}

var errSlow = errors.New("KMS was slower than a key may live")

// Retries of one call. The total stays within the call timeout.
const (
	attempts   = 3
	backoffMin = 50 * time.Millisecond
	backoffMax = 2 * time.Second
)

// call runs one KMS call within the fan-out bound, again after a failure that
// may pass.
func (c *Cache) call(ctx context.Context, f func() error) error {
	for n := 1; ; n++ {
		select {
		case c.slots <- struct{}{}:
		case <-ctx.Done():
			return fmt.Errorf("too many KMS calls under way: %w", ctx.Err())
		}
		err := guard(f)
		<-c.slots
		if err == nil || n == attempts || !kms.Retryable(err) || ctx.Err() != nil {
			return err
		}
		// Full jitter: callers that failed together do not come back together.
		wait := backoffMin + time.Duration(rand.Int64N(int64(min(backoffMax, backoffMin<<n)))) //nolint:gosec // no secret
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return err
		}
	}
}

// guard makes an error of a panic in a provider or store. They are plugged in,
// and run on goroutines where nobody else could recover. What they panicked with
// may hold anything, so it is not repeated.
func guard(f func() error) (err error) {
	defer func() {
		if recover() != nil {
			err = errPanic
		}
	}()
	return f()
}

var errPanic = errors.New("the provider panicked")

// failure says what could not be done for a scope, in one of the two classes
// that decide whether to try again.
func (s *Scope) failure(op string, err error) error {
	return fmt.Errorf("datakey: %s key %q under %s: %w: %w", op, s.spec.Name, s.spec.KEKs[0], classOf(err), err)
}

func classOf(err error) error {
	if retryable(err) {
		return ErrUnavailable
	}
	return ErrUnusable
}

// retryable is false for answers that stay the same until somebody acts.
func retryable(err error) bool {
	for _, definitive := range []error{ErrCommitment, ErrUnusable, errKeyLength, envelope.ErrKeyBlock} {
		if errors.Is(err, definitive) {
			return false
		}
	}
	return kms.Retryable(err)
}
