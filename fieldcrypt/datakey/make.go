package datakey

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/internal/envelope"
)

// makeKey has the KMS make a data key for s, proves that the wrapped form opens
// to the same key, and makes the block durable.
func (c *Cache) makeKey(s *Scope, f *flight) (*activeKey, error) {
	if f.first && s.spec.Persist {
		k, err := c.persisted(s)
		if err == nil {
			return k, nil
		}
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errKeyFileOld) {
			c.persistFailed(s)
		}
	}
	kek, ec := s.spec.KEKs[0], encryptionContext(s.spec.Tenant)
	// To confirm a refusal means to ask the KMS itself.
	if !f.confirm {
		if err := c.negatives.kek(kek, c.cfg.timeout); err != nil {
			return nil, s.failure("generate", err)
		}
	}
	turn, err := c.wrapper.turn(context.Background(), kek)
	if err != nil {
		return nil, s.failure("generate", err)
	}
	defer turn.end()
	// A fetch ahead has time. With the two calls apart, those of many scopes
	// come one by one and not in pairs.
	var pause time.Duration
	if f.calm {
		pause = c.cfg.draw(min(maxPause, s.spec.Limits.Refresh/20))
	}
	ctx, cancel := context.WithTimeout(context.Background(), c.cfg.timeout+pause)
	defer cancel()
	plain, wrapped, err := turn.Generate(ctx, kek, ec)
	c.negatives.learn(kek, err)
	if err != nil {
		return nil, s.failure("generate", err)
	}
	// The time of birth is before the verification, so that a slow KMS cannot
	// stretch the life of a key.
	born := time.Now()
	// derive wipes what it is given, so the comparison comes by commitment: in
	// constant time, and with the very check that a reader will make.
	m, err := derive(plain)
	if err != nil {
		return nil, s.failure("generate", err)
	}
	if pause > 0 {
		turn.end()
		closed := c.wrapper.pause(pause)
		// Taken back in any case, for the one who ends the turn. It waits for
		// calls that have a bound.
		turn.endpoint.slots <- struct{}{}
		if closed {
			return nil, errClosed
		}
	}
	again, err := turn.Unwrap(ctx, kek, bytes.Clone(wrapped), ec)
	if err != nil {
		c.negatives.learn(kek, err)
		return nil, s.failure("verify", err)
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
		material: m, id: ID(m.commitment.KeyID()), block: slices.Clip(block), wrapped: wrapped,
		born: born, proven: born, limits: s.spec.Limits,
	}
	if c.cfg.store != nil {
		put := func() error { return c.cfg.store.Put(ctx, k.id, bytes.Clone(block)) }
		if err := guard(put); err != nil {
			return nil, s.failure("store", err)
		}
	}
	// What this process sealed it can open without another call.
	if _, err := c.openers.add(s, newOpener(s, k.id, m, born).under(kek, wrapped)); err != nil {
		return nil, s.failure("generate", err)
	}
	// Callers would ask for the next key at once, and so for ever.
	if k.expired(time.Now()) {
		return nil, s.failure("generate", errSlow)
	}
	if s.spec.Persist {
		c.persist(s, k)
	}
	return k, nil
}

// maxPause is the most time between the making of a key ahead and its
// verification.
const maxPause = 5 * time.Second

var errSlow = errors.New("KMS was slower than a key may live")

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
