package datakey

import (
	"context"
	"fmt"

	"github.com/fieldveil/fieldveil/internal/aead"
	"github.com/fieldveil/fieldveil/internal/envelope"
	"github.com/fieldveil/fieldveil/internal/invariants"
)

// A Sealer seals values under one data key. It belongs to one goroutine from
// [Scope.Sealer] to [Sealer.Release], does no I/O and waits for nothing.
//
// It holds a part of the key's budget. Extend takes more.
type Sealer struct {
	scope  *Scope
	key    *activeKey
	cipher aead.AEAD
	seals  uint64 // left of the lease
	bytes  uint64

	nonces  aead.Nonces
	scratch []byte
}

// Sealer reserves room for that many seals and bytes of plaintext under the
// scope's current data key, and returns what seals them. It waits, until ctx
// ends, only when a key must be made first.
func (s *Scope) Sealer(ctx context.Context, seals, bytes int) (*Sealer, error) {
	if seals < 0 || bytes < 0 {
		return nil, fmt.Errorf("datakey: negative reservation: %w", ErrUnusable)
	}
	n, b := uint64(seals), uint64(bytes) //nolint:gosec // checked above
	w, _ := s.pool.Get().(*Sealer)
	if w == nil {
		w = &Sealer{scope: s}
	}
	// The one load on the hot path: a key that is no longer current makes the
	// lease void.
	if k := s.current.Load(); k == nil || k != w.key || n > w.seals || b > w.bytes {
		if err := w.lease(ctx, n, b); err != nil {
			return nil, err
		}
	}
	w.nonces.Expect(seals * w.cipher.NonceSize())
	return w, nil
}

func (w *Sealer) lease(ctx context.Context, seals, bytes uint64) error {
	k, gotSeals, gotBytes, err := w.scope.lease(ctx, seals, bytes)
	if err != nil {
		return err
	}
	if k != w.key {
		w.key, w.seals, w.bytes = k, 0, 0
		w.cipher = k.material.cipher(envelope.Suite(w.scope.spec.Suite))
	}
	w.seals += gotSeals
	w.bytes += gotBytes
	return nil
}

// Release gives the Sealer back. It must not be used afterwards.
func (w *Sealer) Release() {
	if invariants.Enabled {
		invariants.Mangle(w.scratch[:cap(w.scratch)])
	}
	// A huge value must not keep its buffer in the pool for ever.
	if cap(w.scratch) > maxScratch {
		w.scratch = nil
	}
	w.scope.pool.Put(w)
}

const maxScratch = 64 << 10

// KeyBlock returns the encoded key block of the data key, for the record's
// header. It is shared and must not be changed.
func (w *Sealer) KeyBlock() []byte { return w.key.block }

// KeyID returns the id of the data key.
func (w *Sealer) KeyID() ID { return w.key.id }

// spend takes one seal of n bytes from the lease, or from the key when the
// lease is used up. A record with more values than was foreseen comes here.
func (w *Sealer) spend(n int) error {
	if w.seals == 0 || uint64(n) > w.bytes { //nolint:gosec // a length
		seals, bytes, ok := takeLease(w.key, 1, uint64(n)) //nolint:gosec // a length
		if !ok {
			return ErrExhausted
		}
		w.seals += seals
		w.bytes += bytes
	}
	w.seals--
	w.bytes -= uint64(n) //nolint:gosec // a length
	return nil
}

// Append appends the envelope of plain, bound to the place of the context id.
// It fails with ErrExhausted when neither the reservation nor the key has room
// left; the record then starts again with a new Sealer.
func (w *Sealer) Append(dst, plain []byte, place [envelope.ContextIDSize]byte) ([]byte, error) {
	if err := w.spend(len(plain)); err != nil {
		return dst, err
	}
	start := len(dst)
	out := envelope.AppendHeader(dst, envelope.Header{
		Suite: envelope.Suite(w.scope.spec.Suite), Key: envelope.KeyID(w.key.id), Context: place,
	})
	sealed, err := w.cipher.Seal(out, plain, out[start:], &w.nonces)
	if err != nil {
		return dst, err
	}
	return sealed, nil
}

// AppendText appends the text form of what Append appends.
func (w *Sealer) AppendText(dst, plain []byte, place [envelope.ContextIDSize]byte) ([]byte, error) {
	env, err := w.Append(w.scratch[:0], plain, place)
	w.scratch = env
	if err != nil {
		return dst, err
	}
	return envelope.AppendText(dst, env), nil
}
