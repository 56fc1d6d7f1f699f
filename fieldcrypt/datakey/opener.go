package datakey

import (
	"bytes"
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/fieldveil/fieldveil/internal/envelope"
)

// An Opener opens values that were sealed under one data key. It is immutable
// and safe for concurrent use, and expires with the limits of its scope or
// domain.
type Opener struct {
	suite   Suite // of the Sealers beside it
	id      ID
	m       *material
	expires time.Time
	expired atomic.Bool

	// The KEK and the wrapped form, to ask the KMS whether it still opens it.
	kek     string
	wrapped []byte
}

func newOpener(s *Scope, id ID, m *material, born time.Time) *Opener {
	return &Opener{suite: s.spec.Suite, id: id, m: m, expires: born.Add(s.spec.Limits.Expire)}
}

// under sets what the key was unwrapped from.
func (o *Opener) under(kek string, wrapped []byte) *Opener {
	o.kek, o.wrapped = kek, wrapped
	return o
}

// KeyID returns the id of the data key.
func (o *Opener) KeyID() ID { return o.id }

// Expired tells that the key must be asked for anew.
func (o *Opener) Expired() bool { return o.expired.Load() }

// A Value is an envelope that was read but not opened. It shares the bytes it
// was read from.
type Value struct {
	header      envelope.Header
	aad, sealed []byte
}

// ParseValue reads an envelope.
func ParseValue(env []byte) (Value, error) {
	h, aad, sealed, err := envelope.Parse(env)
	return Value{h, aad, sealed}, err
}

// KeyID returns the id of the data key that the value names.
func (v *Value) KeyID() ID { return ID(v.header.Key) }

// Place returns the context id that the value names. It is genuine once the
// value was opened.
func (v *Value) Place() [envelope.ContextIDSize]byte { return v.header.Context }

// Append appends the plaintext of v to dst. It checks nothing but what the
// cipher authenticates: whether the value stands where it belongs is the
// caller's question, answered by [Value.Place].
func (o *Opener) Append(dst []byte, v *Value) ([]byte, error) {
	if v.KeyID() != o.id {
		return dst, ErrUnknownKey
	}
	c := o.m.cipher(v.header.Suite)
	if c == nil {
		return dst, envelope.ErrSuite
	}
	out, err := c.Open(dst, v.sealed, v.aad)
	if err != nil {
		return dst, ErrTampered
	}
	return out, nil
}

// Head returns the beginning of the envelopes that the Sealers of the scope or
// domain write for a place under the data key of o.
func (o *Opener) Head(place [envelope.ContextIDSize]byte) *Head {
	h := newHead(o.suite, o.id, place)
	h.opener = o
	return h
}

// Opens tells whether text begins as h does: then it names h's data key and
// place, except for the last byte of the place, which AppendText checks.
func (h *Head) Opens(text []byte) bool {
	return len(text) > len(h.text) && bytes.Equal(text[:len(h.text)], h.text[:]) &&
		h.opener != nil && !h.opener.Expired()
}

// AppendText appends the plaintext of a text envelope that h opens, one that
// begins as h does, to dst. scratch is overwritten and returned for the next
// call.
func (h *Head) AppendText(dst, text, scratch []byte) (out, again []byte, err error) {
	env, err := envelope.ParseBase64(scratch[:0], text[len(h.text):])
	if err != nil {
		return dst, env, err
	}
	if len(env) == 0 || env[0] != h.header[headAligned] {
		return dst, env, ErrOtherPlace
	}
	c := h.opener.m.cipher(envelope.Suite(h.header[1]))
	out, err = c.Open(dst, env[1:], h.header[:])
	if err != nil {
		return dst, env, ErrTampered
	}
	return out, env, nil
}

// ErrOtherPlace means that a value begins as a Head does and is of another
// place all the same.
var ErrOtherPlace = errors.New("value names another place")

// Cached returns the opener of a key that is at hand, or nil.
func (s *Scope) Cached(id ID) *Opener { return s.cache.openers.get(s, id) }

// Opener returns what opens the values sealed under the key id. It looks at
// what the process has, then at the given key blocks (those of the record's
// headers), then into the key store, and has the KMS unwrap what it finds. It
// waits until ctx ends.
//
// A block under a KEK or tenant that the scope does not have is refused with a
// [*ForeignKeyError].
func (s *Scope) Opener(ctx context.Context, id ID, blocks [][]byte) (*Opener, error) {
	if o := s.Cached(id); o != nil {
		return o, nil
	}
	// The work outlives a caller who gives up, and so must not use his buffers.
	own := make([][]byte, len(blocks))
	for i, b := range blocks {
		own[i] = bytes.Clone(b)
	}
	return s.cache.openers.fetch(ctx, s, id, own, func() (*Opener, error) {
		return s.fetchOpener(context.WithoutCancel(ctx), id, own)
	})
}

func (s *Scope) fetchOpener(ctx context.Context, id ID, blocks [][]byte) (*Opener, error) {
	// The block of the header is a shortcut that anybody can write: when it is
	// no good, the store decides.
	var fromHeader error
	for _, b := range blocks {
		kb, err := envelope.ParseKeyBlock(b)
		if err != nil || ID(kb.Commitment.KeyID()) != id {
			continue
		}
		o, err := s.unwrap(ctx, id, kb)
		if err == nil {
			return o, nil
		}
		fromHeader = err
	}
	if s.cache.cfg.store == nil {
		if fromHeader != nil {
			return nil, fromHeader
		}
		return nil, fmt.Errorf("datakey: key %s: %w", id, ErrUnknownKey)
	}
	var b []byte
	err := guard(func() (err error) {
		ctx, cancel := context.WithTimeout(ctx, s.cache.cfg.timeout)
		defer cancel()
		b, err = s.cache.cfg.store.Get(ctx, id)
		return err
	})
	switch {
	case err != nil && fromHeader != nil:
		return nil, fromHeader
	case errors.Is(err, ErrUnknownKey):
		return nil, fmt.Errorf("datakey: key %s: %w", id, ErrUnknownKey)
	case err != nil:
		return nil, fmt.Errorf("datakey: key %s: key store: %w: %w", id, ErrUnavailable, err)
	}
	return s.unwrapStored(ctx, id, b)
}

func (s *Scope) unwrap(ctx context.Context, id ID, kb envelope.KeyBlock) (*Opener, error) {
	if kb.Tenant != s.spec.Tenant || !s.has(kb.KEK) {
		return nil, &ForeignKeyError{KEK: kb.KEK, Tenant: kb.Tenant}
	}
	if ID(kb.Commitment.KeyID()) != id {
		return nil, fmt.Errorf("datakey: key %s: %w", id, ErrCommitment)
	}
	m, asked, err := s.material(ctx, kb)
	if err != nil {
		return nil, fmt.Errorf("datakey: unwrap key %s under %s: %w", id, kb.KEK, err)
	}
	o, err := s.cache.openers.add(s, newOpener(s, id, m, asked).under(kb.KEK, bytes.Clone(kb.Wrapped)))
	if err != nil {
		return nil, fmt.Errorf("datakey: unwrap key %s under %s: %w", id, kb.KEK, err)
	}
	return o, nil
}

// material has the KMS unwrap a block, unless it refused that just now, and
// proves that it is the key that the block commits to. The life of the key begins
// before the call.
func (s *Scope) material(ctx context.Context, kb envelope.KeyBlock) (m *material, asked time.Time, err error) {
	known, now, about := s.cache.negatives, time.Now(), aboutBlock(s, kb)
	err = known.kek(kb.KEK, s.cache.cfg.timeout)
	if err == nil {
		if old, until := known.get(about, now, s.cache.cfg.timeout); old != nil {
			err = &negativeError{old, until}
		}
	}
	if err != nil {
		s.negative()
		return nil, now, fmt.Errorf("%w: %w", classOf(err), err)
	}
	turn, err := s.cache.wrapper.turn(ctx, kb.KEK)
	if err != nil {
		return nil, now, fmt.Errorf("%w: %w", classOf(err), err)
	}
	defer turn.end()
	ctx, cancel := context.WithTimeout(ctx, s.cache.cfg.timeout)
	defer cancel()
	asked = time.Now()
	plain, err := turn.Unwrap(ctx, kb.KEK, kb.Wrapped, encryptionContext(s.spec.Tenant))
	if err != nil {
		// Services tell a version of a KEK that is disabled, archived or gone from
		// the KEK itself by nothing that reaches here. Anybody can bring a block
		// under such a version, so this is no answer for the other blocks.
		if !retryable(err) {
			known.put(about, err, now)
		}
		return nil, now, fmt.Errorf("%w: %w", classOf(err), err)
	}
	m, err = derive(plain)
	if err == nil && !equalCommitment(m.commitment, kb.Commitment) {
		err = ErrCommitment
	}
	known.put(about, err, now)
	known.learn(kb.KEK, nil)
	switch {
	case errors.Is(err, ErrCommitment):
		return nil, now, err
	case err != nil:
		return nil, now, fmt.Errorf("%w: %w", ErrUnusable, err)
	}
	return m, asked, nil
}

func equalCommitment(a, b envelope.Commitment) bool {
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// Of tells whether h was made by o.
func (h *Head) Of(o *Opener) bool { return h != nil && h.opener == o }
