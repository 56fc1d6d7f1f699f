package datakey

import (
	"context"
	"errors"
	"fmt"

	"github.com/fieldveil/fieldveil/internal/aead"
	"github.com/fieldveil/fieldveil/internal/envelope"
	"github.com/fieldveil/fieldveil/internal/invariants"
)

// A Sealer seals values under the current data key of a scope. It belongs to one
// goroutine at a time. It is made once and serves record after record: Reserve,
// any number of Appends, Done. Only Reserve may wait.
//
// Between records it keeps a lease, which is a part of the budget of the data
// key. That keeps most calls of Reserve off everything shared.
type Sealer struct {
	scope  *Scope
	key    *activeKey
	cipher aead.AEAD
	seals  uint64 // left of the lease
	bytes  uint64
	sealed int // since Reserve

	nonces  aead.Nonces
	scratch []byte
}

// NewSealer returns a Sealer without a reservation.
func (s *Scope) NewSealer() *Sealer { return &Sealer{scope: s} }

// Reserve takes room for that many seals and bytes of plaintext under the
// scope's current data key. It waits, until ctx ends, only when a key must be
// made first.
func (w *Sealer) Reserve(ctx context.Context, seals, bytes int) error {
	if seals < 0 || bytes < 0 {
		return fmt.Errorf("datakey: negative reservation: %w", ErrUnusable)
	}
	n, b := uint64(seals), uint64(bytes)
	// The one load on the hot path: a key that is no longer current makes the
	// lease void.
	if k := w.scope.current.Load(); k == nil || k != w.key || n > w.seals || b > w.bytes {
		if err := w.lease(ctx, n, b); err != nil {
			return err
		}
	}
	w.sealed = 0
	w.nonces.Reset()
	return nil
}

// Done ends a record, and returns how many values were sealed since Reserve.
func (w *Sealer) Done() int {
	if invariants.Enabled {
		invariants.Mangle(w.scratch[:cap(w.scratch)])
	}
	// A huge value must not keep its buffer for ever.
	if cap(w.scratch) > maxScratch {
		w.scratch = nil
	}
	return w.sealed
}

const maxScratch = 64 << 10

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

// KeyBlock returns the encoded key block of the data key, for the record's
// header. It is shared and must not be changed.
func (w *Sealer) KeyBlock() []byte { return w.key.block }

// KeyID returns the id of the data key.
func (w *Sealer) KeyID() ID { return w.key.id }

// spend takes one seal of n bytes from the lease, or from the key when the
// lease is used up. A record with more values than was foreseen comes here.
func (w *Sealer) spend(n int) error {
	if w.seals == 0 || uint64(n) > w.bytes { //nolint:gosec // a length
		if w.key == nil {
			return ErrExhausted
		}
		seals, bytes, ok := takeLease(w.key, 1, uint64(n)) //nolint:gosec // a length
		if !ok {
			return ErrExhausted
		}
		w.seals += seals
		w.bytes += bytes
	}
	w.seals--
	w.sealed++
	w.bytes -= uint64(n) //nolint:gosec // a length
	return nil
}

// A Head is the beginning of all envelopes of one place under one data key, made
// once by [Sealer.Head] or [Opener.Head] and used for every value until the data
// key changes.
type Head struct {
	key    *activeKey // of a Head to seal with
	opener *Opener    // of a Head to open with
	header [envelope.HeaderSize]byte
	// text is the prefix of the text form and the header's first 21 bytes in it:
	// 21 is a multiple of three, so they encode by themselves.
	text [len(envelope.TextPrefix) + headText]byte
}

const (
	headAligned = envelope.HeaderSize / 3 * 3
	headText    = headAligned / 3 * 4
)

// Head returns the beginning of envelopes that are bound to the place of the
// context id. It is good while Current tells so.
func (w *Sealer) Head(place [envelope.ContextIDSize]byte) *Head {
	h := newHead(w.scope, w.key.id, place)
	h.key = w.key
	return h
}

func newHead(s *Scope, id ID, place [envelope.ContextIDSize]byte) *Head {
	h := new(Head)
	b := envelope.AppendHeader(nil, envelope.Header{
		Suite: envelope.Suite(s.spec.Suite), Key: envelope.KeyID(id), Context: place,
	})
	copy(h.header[:], b)
	copy(h.text[:], envelope.AppendBase64([]byte(envelope.TextPrefix), b[:headAligned]))
	return h
}

// Current tells whether h was made under the data key that w seals with now.
func (w *Sealer) Current(h *Head) bool { return h != nil && h.key == w.key }

// Append appends the envelope of plain. It fails with ErrExhausted when neither
// the reservation nor the key has room left; the record then starts again with
// a new reservation.
func (w *Sealer) Append(dst, plain []byte, h *Head) ([]byte, error) {
	if err := w.check(h, len(plain)); err != nil {
		return dst, err
	}
	out, err := w.cipher.Seal(append(dst, h.header[:]...), plain, h.header[:], &w.nonces)
	if err != nil {
		return dst, err
	}
	return out, nil
}

// AppendText appends the text form of what Append appends.
func (w *Sealer) AppendText(dst, plain []byte, h *Head) ([]byte, error) {
	if err := w.check(h, len(plain)); err != nil {
		return dst, err
	}
	env, err := w.cipher.Seal(append(w.scratch[:0], h.header[headAligned:]...), plain, h.header[:], &w.nonces)
	w.scratch = env
	if err != nil {
		return dst, err
	}
	return envelope.AppendBase64(append(dst, h.text[:]...), env), nil
}

// check refuses a head of another data key, which would seal a value that
// nobody can open, and takes the budget of one seal.
func (w *Sealer) check(h *Head, n int) error {
	if h.key != w.key {
		return errForeignHead
	}
	return w.spend(n)
}

var errForeignHead = errors.New("datakey: head belongs to another data key")
