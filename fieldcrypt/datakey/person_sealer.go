package datakey

import (
	"context"

	"github.com/fieldveil/fieldveil/internal/aead"
	"github.com/fieldveil/fieldveil/internal/envelope"
)

// A PersonSealer seals values of one person after the other. It belongs to one
// goroutine at a time: for each record, Load, any number of Appends, Done. Only
// Load may wait.
type PersonSealer struct {
	scope  *PersonScope
	key    *personKey
	sealed int

	nonces  aead.Nonces
	header  [envelope.HeaderSize]byte // of the value at hand; here it costs no allocation
	scratch []byte
}

// NewSealer returns a PersonSealer without a person.
func (s *PersonScope) NewSealer() *PersonSealer { return &PersonSealer{scope: s} }

// LoadCached begins a record of a person, by his identifier, if his key is at
// hand. It takes no lock and does not wait.
func (w *PersonSealer) LoadCached(person []byte) bool {
	s := w.scope
	r := s.ready()
	if r == nil || !s.persons.usable() {
		return false
	}
	k := s.persons.keys.person(s.spec.Tenant, r.personID(person))
	if k == nil {
		return false
	}
	w.begin(k)
	return true
}

// Load begins a record of a person, by his identifier. It waits, until ctx ends,
// when the store or the KMS must be asked, and makes the person's key where he
// has none. It fails with [shred.ErrForgotten] when he was forgotten.
func (w *PersonSealer) Load(ctx context.Context, person []byte) error {
	if w.LoadCached(person) {
		return nil
	}
	k, err := w.scope.get(ctx, person)
	if err != nil {
		return err
	}
	w.begin(k)
	return nil
}

func (w *PersonSealer) begin(k *personKey) {
	w.key, w.sealed = k, 0
	w.nonces.Reset()
}

// Loaded tells whether a record was begun.
func (w *PersonSealer) Loaded() bool { return w.key != nil }

// Done ends a record, and returns how many values were sealed since Load.
func (w *PersonSealer) Done() int {
	w.key = nil
	w.scratch = endScratch(w.scratch)
	return w.sealed
}

// KeyID returns the id of the person's key.
func (w *PersonSealer) KeyID() ID { return w.key.opener.id }

// Append appends the envelope of plain, bound to the place of the context id. It
// fails with ErrExhausted when the person must be loaded anew first.
func (w *PersonSealer) Append(dst, plain []byte, place [envelope.ContextIDSize]byte) ([]byte, error) {
	k := w.key
	if k == nil || k.opener.Expired() {
		return dst, ErrExhausted
	}
	if k.seals.Add(1) > maxRun {
		// Loaded again, it draws other nonces.
		w.scope.persons.keys.drop(k)
		return dst, ErrExhausted
	}
	header := envelope.AppendHeader(w.header[:0], envelope.Header{
		Suite: envelope.XAES256GCM, Key: envelope.KeyID(k.opener.id), Context: place,
	})
	out, err := k.run.Seal(append(dst, header...), plain, header, &w.nonces)
	if err != nil {
		return dst, err
	}
	w.sealed++
	return out, nil
}

// AppendText appends the text form of what Append appends.
func (w *PersonSealer) AppendText(dst, plain []byte, place [envelope.ContextIDSize]byte) ([]byte, error) {
	env, err := w.Append(w.scratch[:0], plain, place)
	w.scratch = env
	if err != nil {
		return dst, err
	}
	return envelope.AppendBase64(append(dst, envelope.TextPrefix...), env), nil
}
