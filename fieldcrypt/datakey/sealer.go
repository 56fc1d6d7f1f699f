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
	w.nonces.Reset()
	return w.ReserveMore(ctx, seals, bytes)
}

// ReserveMore is Reserve for a further record of one call that was given all of
// them: its nonces follow those of the record before, where nothing came between
// that took time (FV-11 in docs/format.md). Before a record that comes after one that
// was refused, or after anything was waited for, call Reserve.
func (w *Sealer) ReserveMore(ctx context.Context, seals, bytes int) error {
	if seals < 0 || bytes < 0 {
		return fmt.Errorf("datakey: negative reservation: %w", ErrUnusable)
	}
	n, b := uint64(seals), uint64(bytes)
	// The one load on the hot path: a key that is no longer current makes the
	// lease void.
	if k := w.scope.current.Load(); k == nil || k != w.key || n > w.seals || b > w.bytes {
		w.nonces.Reset()
		if err := w.lease(ctx, n, b); err != nil {
			return err
		}
	}
	w.sealed = 0
	return nil
}

// Done ends a record, and returns how many values were sealed since Reserve.
func (w *Sealer) Done() int {
	w.scratch = endScratch(w.scratch)
	return w.sealed
}

// endScratch returns the scratch for the next record.
func endScratch(b []byte) []byte {
	if invariants.Enabled {
		invariants.Mangle(b[:cap(b)])
	}
	// A huge value must not keep its buffer for ever.
	if cap(b) > maxScratch {
		return nil
	}
	return b
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

// covers tells whether the lease has room for one seal of n bytes, and whether h
// is a head of its data key.
func (w *Sealer) covers(h *Head, n int) bool {
	return h.key == w.key && w.seals > 0 && uint64(n) <= w.bytes //nolint:gosec // a length
}

// spend takes one seal of n bytes from the lease, which covers it.
func (w *Sealer) spend(n int) {
	w.seals--
	w.sealed++
	w.bytes -= uint64(n) //nolint:gosec // a length
}

// extend takes another lease, of one seal of n bytes or more, when this one is
// used up. A record with more values than was foreseen comes here. It refuses a
// head of another data key, which would seal a value that nobody can open.
func (w *Sealer) extend(h *Head, n int) error {
	if h.key != w.key {
		return errForeignHead
	}
	if w.key == nil {
		return ErrExhausted
	}
	seals, bytes, ok := takeLease(w.key, 1, uint64(n)) //nolint:gosec // a length
	if !ok {
		return ErrExhausted
	}
	w.seals += seals
	w.bytes += bytes
	return nil
}

// A Head is the beginning of all envelopes of one place under one data key, made
// once by [Sealer.Head], [DomainSealer.Head] or [Opener.Head] and used for every
// value until the data key changes.
type Head struct {
	key     *activeKey     // of a Head to seal with
	version *domainVersion // of a Head to seal with in a domain
	opener  *Opener        // of a Head to open with
	header  [envelope.HeaderSize]byte
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
	h := newHead(w.scope.spec.Suite, w.key.id, place)
	h.key = w.key
	return h
}

func newHead(s Suite, id ID, place [envelope.ContextIDSize]byte) *Head {
	h := new(Head)
	b := envelope.AppendHeader(nil, envelope.Header{
		Suite: envelope.Suite(s), Key: envelope.KeyID(id), Context: place,
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
	if !w.covers(h, len(plain)) {
		if err := w.extend(h, len(plain)); err != nil {
			return dst, err
		}
	}
	w.spend(len(plain))
	return h.seal(w.cipher, dst, plain, &w.nonces)
}

// AppendText appends the text form of what Append appends.
func (w *Sealer) AppendText(dst, plain []byte, h *Head) ([]byte, error) {
	if !w.covers(h, len(plain)) {
		if err := w.extend(h, len(plain)); err != nil {
			return dst, err
		}
	}
	w.spend(len(plain))
	env, err := w.cipher.Seal(append(w.scratch[:0], h.header[headAligned:]...), plain, h.header[:], &w.nonces)
	if err != nil {
		return dst, err
	}
	w.scratch = env
	return envelope.AppendBase64(append(dst, h.text[:]...), env), nil
}

func (h *Head) seal(c aead.AEAD, dst, plain []byte, n *aead.Nonces) ([]byte, error) {
	out, err := c.Seal(append(dst, h.header[:]...), plain, h.header[:], n)
	if err != nil {
		return dst, err
	}
	return out, nil
}

var errForeignHead = errors.New("datakey: head belongs to another data key")
