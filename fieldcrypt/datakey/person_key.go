package datakey

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/shred"
	"github.com/fieldveil/fieldveil/internal/aead"
	"github.com/fieldveil/fieldveil/internal/envelope"
	"github.com/fieldveil/fieldveil/internal/secret"
)

// The layout of a sealed person key: section 12 of docs/format.md.
const (
	personRowVersion = 1
	personRowHead    = 1 + envelope.KeyIDSize + envelope.CommitmentSize
	personRowSize    = personRowHead + 24 + kms.DataKeySize + aead.TagSize
	personRowLabel   = "fieldveil/1 person key"
)

// maxRun is the number of values that are sealed with one beginning of the nonce
// (FV-103).
const maxRun = 1 << 28

// personRun is the cipher that a process seals a person's values with.
type personRun = *aead.Run

var errPersonRow = errors.New("the row of a person's key is damaged, or of another person or root key")

// personID returns the id of a person by his identifier.
func (r *personRoot) personID(person []byte) shred.PersonID {
	return shred.PersonID(r.index.Sum(person))
}

// seal appends the sealed form of a person's key.
func (r *personRoot) seal(tenant string, id shred.PersonID, plain []byte, c envelope.Commitment) ([]byte, error) {
	out := append(make([]byte, 0, personRowSize), personRowVersion)
	out = append(append(out, r.id[:]...), c[:]...)
	return r.wrap.Seal(out, plain, personAAD(out, tenant, id), new(aead.Nonces))
}

func personAAD(head []byte, tenant string, id shred.PersonID) []byte {
	aad := append([]byte(personRowLabel), head...)
	return append(append(aad, id[:]...), tenant...)
}

// open returns the key of a row, ready for use.
func (r *personRoot) open(row *shred.Row) (*personKey, error) {
	b := row.Sealed
	if len(b) != personRowSize || b[0] != personRowVersion || !bytes.Equal(b[1:1+envelope.KeyIDSize], r.id[:]) {
		return nil, errPersonRow
	}
	commitment := envelope.Commitment(b[1+envelope.KeyIDSize : personRowHead])
	if ID(commitment.KeyID()) != ID(row.Key) {
		return nil, errPersonRow
	}
	plain, err := r.wrap.Open(make([]byte, 0, kms.DataKeySize), b[personRowHead:], personAAD(b[:personRowHead], row.Tenant, row.Person))
	if err != nil {
		return nil, errPersonRow
	}
	m, err := derivePerson(plain)
	if err != nil {
		return nil, err
	}
	if !equalCommitment(m.commitment, commitment) {
		return nil, ErrCommitment
	}
	return newPersonKey(row.Tenant, row.Person, m)
}

func newPersonKey(tenant string, id shred.PersonID, m *material) (*personKey, error) {
	x, ok := m.cipher(envelope.XAES256GCM).(*aead.XAES)
	if !ok {
		return nil, envelope.ErrSuite
	}
	run, err := x.Run()
	if err != nil {
		return nil, err
	}
	return &personKey{
		tenant: tenant, person: id, run: run,
		opener: &Opener{suite: XAES256GCM, id: ID(m.commitment.KeyID()), m: m},
	}, nil
}

// derivePerson makes the material of a person's key, and wipes plain. It seals
// with suite 2 and nothing else (FV-100).
func derivePerson(plain []byte) (*material, error) {
	return deriveWith(plain, map[envelope.Suite]construct{
		envelope.XAES256GCM: {aead.KeySize, func(k secret.Bytes) (aead.AEAD, error) { return aead.NewXAES(k) }},
	})
}

// get returns the key of a person, which is made where he has none.
func (s *PersonScope) get(ctx context.Context, person []byte) (*personKey, error) {
	root, err := s.begin(ctx)
	if err != nil {
		return nil, err
	}
	id := root.personID(person)
	if k := s.persons.keys.person(s.spec.Tenant, id); k != nil {
		return k, nil
	}
	return s.fly(ctx, personFlight{tenant: s.spec.Tenant, person: id}, func(ctx context.Context) (*personKey, error) {
		return s.load(ctx, root, id)
	})
}

// begin makes sure that keys may be used, and returns the root.
func (s *PersonScope) begin(ctx context.Context) (*personRoot, error) {
	if !s.persons.usable() {
		// The ledger may answer again by now.
		if err := s.persons.Sync(ctx); err != nil {
			return nil, err
		}
	}
	return s.root(ctx)
}

// fly runs load once for all who ask at the same time, on a goroutine that
// depends on none of them.
func (s *PersonScope) fly(ctx context.Context, what personFlight, load func(context.Context) (*personKey, error)) (*personKey, error) {
	p := s.persons
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil, errClosed
	}
	f, ok := p.flights[what]
	if !ok {
		f = &openerFlight{done: make(chan struct{})}
		p.flights[what] = f
		go func() {
			shared, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.cache.cfg.timeout)
			defer cancel()
			err := guard(func() (err error) {
				f.person, err = load(shared)
				return err
			})
			if err != nil {
				f.err = fmt.Errorf("datakey: key of a person: %w: %w", personClass(err), err)
			}
			p.mu.Lock()
			delete(p.flights, what)
			p.mu.Unlock()
			close(f.done)
		}()
	}
	p.mu.Unlock()
	select {
	case <-f.done:
		return f.person, f.err
	case <-ctx.Done():
		return nil, fmt.Errorf("datakey: waiting for the key of a person: %w: %w", ErrUnavailable, context.Cause(ctx))
	}
}

// load finds the key of a person in the store, or makes it.
func (s *PersonScope) load(ctx context.Context, root *personRoot, id shred.PersonID) (*personKey, error) {
	p, tenant := s.persons, s.spec.Tenant
	seq := p.seq()
	var row shred.Row
	err := p.call(ctx, func() (err error) {
		row, err = p.store.Person(ctx, tenant, id)
		return err
	})
	// A key id of 96 random bits that is taken means a store that lies, or the
	// luck of a lifetime: one more key tells which.
	for try := 0; try < 2 && (errors.Is(err, shred.ErrNone) || errors.Is(err, shred.ErrTaken)); try++ {
		row, err = s.make(ctx, root, id)
	}
	if err != nil {
		return nil, err
	}
	k, err := s.keep(root, &row, id, seq)
	if errors.Is(err, errForgetting) {
		return s.load(ctx, root, id)
	}
	return k, err
}

// make makes the key of a person and returns the row that stands.
func (s *PersonScope) make(ctx context.Context, root *personRoot, id shred.PersonID) (shred.Row, error) {
	plain := make([]byte, kms.DataKeySize)
	defer secret.Wipe(plain)
	_, _ = rand.Read(plain) // never fails
	m, err := derivePerson(bytes.Clone(plain))
	if err != nil {
		return shred.Row{}, err
	}
	sealed, err := root.seal(s.spec.Tenant, id, plain, m.commitment)
	if err != nil {
		return shred.Row{}, err
	}
	row := shred.Row{Tenant: s.spec.Tenant, Person: id, Key: shred.KeyID(m.commitment.KeyID()), Sealed: sealed}
	err = s.persons.call(ctx, func() (err error) {
		row, err = s.persons.store.Create(ctx, row)
		return err
	})
	return row, err
}

// errForgetting means that the row was read before persons were forgotten, and
// must be read again: it may have been of one of them.
var errForgetting = errors.New("persons were forgotten meanwhile")

// keep opens a row that was read when the ledger was read up to seq, and keeps
// its key.
func (s *PersonScope) keep(root *personRoot, row *shred.Row, id shred.PersonID, seq uint64) (*personKey, error) {
	defer wipeRow(row)
	if row.Tenant != s.spec.Tenant || row.Person != id {
		return nil, errPersonRow
	}
	k, err := root.open(row)
	if err != nil {
		return nil, err
	}
	k.used.Store(true)
	p := s.persons
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, errClosed
	}
	if _, ok := p.pending[personOf{k.tenant, k.person}]; ok {
		return nil, shred.ErrForgotten
	}
	if p.mark.Seq != seq {
		return nil, errForgetting
	}
	return p.keys.add(k), nil
}

// Cached returns the opener of a key that is at hand, or nil.
func (s *PersonScope) Cached(id ID) *Opener {
	if s.ready() == nil || !s.persons.usable() {
		return nil
	}
	if k := s.persons.keys.key(s.spec.Tenant, id); k != nil {
		return k.opener
	}
	return nil
}

// Opener returns what opens the values sealed under the key id. It waits, until
// ctx ends, when the store must be asked. It fails with [shred.ErrForgotten] when
// the person was forgotten, and with [ErrUnknownKey] when the store surely has no
// such key.
func (s *PersonScope) Opener(ctx context.Context, id ID) (*Opener, error) {
	root, err := s.begin(ctx)
	if err != nil {
		return nil, err
	}
	p, tenant := s.persons, s.spec.Tenant
	if k := p.keys.key(tenant, id); k != nil {
		return k.opener, nil
	}
	nowhere := personOfKey{tenant, id}
	p.mu.Lock()
	g, ok := p.gone[nowhere]
	p.mu.Unlock()
	if ok && (g.until.IsZero() || time.Now().Before(g.until)) {
		return nil, g.err
	}
	k, err := s.fly(ctx, personFlight{tenant: tenant, key: id}, func(ctx context.Context) (*personKey, error) {
		return s.loadByKey(ctx, root, id)
	})
	switch {
	case err == nil:
		return k.opener, nil
	case errors.Is(err, shred.ErrForgotten):
		p.remember(nowhere, refusal{err: err})
	case errors.Is(err, shred.ErrNone):
		err = fmt.Errorf("datakey: key %s of a person: %w", id, ErrUnknownKey)
		p.remember(nowhere, refusal{err: err, until: time.Now().Add(unknownTime)})
	}
	return nil, err
}

func (s *PersonScope) loadByKey(ctx context.Context, root *personRoot, id ID) (*personKey, error) {
	p := s.persons
	seq := p.seq()
	var row shred.Row
	err := p.call(ctx, func() (err error) {
		row, err = p.store.ByKey(ctx, s.spec.Tenant, shred.KeyID(id))
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case row.Key != shred.KeyID(id):
		return nil, errPersonRow
	}
	k, err := s.keep(root, &row, row.Person, seq)
	if errors.Is(err, errForgetting) {
		return s.loadByKey(ctx, root, id)
	}
	return k, err
}

// seq returns how far the ledger was read.
func (p *Persons) seq() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mark.Seq
}

// remember keeps the answer for a key id that leads nowhere.
func (p *Persons) remember(id personOfKey, r refusal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.gone) >= maxGone {
		clear(p.gone)
	}
	p.gone[id] = r
}
