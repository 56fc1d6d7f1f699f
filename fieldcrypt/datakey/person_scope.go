package datakey

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/fieldveil/fieldveil/fieldcrypt/shred"
	"github.com/fieldveil/fieldveil/internal/aead"
	"github.com/fieldveil/fieldveil/internal/envelope"
	"github.com/fieldveil/fieldveil/internal/secret"
	"github.com/fieldveil/fieldveil/tokenize"
)

// A PersonScope holds the keys of a tenant's persons. It is safe for concurrent
// use.
type PersonScope struct {
	persons    *Persons
	spec       PersonSpec
	index, row [32]byte // digests of the contexts of what the root key derives

	current atomic.Pointer[personRoot] // nil before the first use
	turn    chan struct{}              // who holds it looks for the root

	mu     sync.Mutex
	domain *Domain // the root key; nil before the first use
	block  []byte  // that domain was made of
	looked error   // the refusal after which the store was asked for another block
	closed bool
}

// A personRoot is what one unwrapping of the root key derives.
type personRoot struct {
	version *domainVersion
	opener  *Opener // of the unwrapping
	id      ID
	index   *tokenize.Hash
	wrap    *aead.XAES
}

func newPersonScope(p *Persons, spec PersonSpec) (*PersonScope, error) {
	if len(spec.KEKs) == 0 || slices.Contains(spec.KEKs, "") {
		return nil, errors.New("datakey: persons without a KEK")
	}
	if len(spec.Tenant) > shred.MaxTenant {
		return nil, fmt.Errorf("datakey: name of a tenant is longer than %d bytes", shred.MaxTenant)
	}
	if spec.Limits.Seals != 0 || spec.Limits.Bytes != 0 {
		return nil, errors.New("datakey: persons with a limit on seals or bytes")
	}
	spec.KEKs = slices.Clone(spec.KEKs)
	spec.Limits = spec.Limits.withDefaults()
	if err := spec.Limits.validate(); err != nil {
		return nil, err
	}
	index, err := envelope.TenantContext{Tenant: spec.Tenant, Purpose: envelope.PurposePersonIndex}.Digest()
	if err != nil {
		return nil, err
	}
	row, err := envelope.TenantContext{Tenant: spec.Tenant, Purpose: envelope.PurposePersonKey}.Digest()
	if err != nil {
		return nil, err
	}
	return &PersonScope{
		persons: p, spec: spec, index: index, row: row, turn: make(chan struct{}, 1),
	}, nil
}

// Tenant returns the tenant, empty for none.
func (s *PersonScope) Tenant() string { return s.spec.Tenant }

// ready returns the root when nothing has to be asked first.
func (s *PersonScope) ready() *personRoot {
	if r := s.current.Load(); r != nil {
		if k := r.version.ready(); k != nil && k.opener == r.opener {
			return r
		}
	}
	return nil
}

// root returns the root, and waits when the KMS or the store must be asked.
func (s *PersonScope) root(ctx context.Context) (*personRoot, error) {
	for {
		if r := s.ready(); r != nil {
			return r, nil
		}
		s.mu.Lock()
		d, block, closed := s.domain, s.block, s.closed
		s.mu.Unlock()
		if closed {
			return nil, errClosed
		}
		if d == nil {
			if err := s.find(ctx, nil); err != nil {
				return nil, err
			}
			continue
		}
		v := d.versions[0]
		k, err := v.get(ctx)
		switch {
		case err == nil:
			return s.derive(v, k)
		case errors.Is(err, ErrUnusable) && ctx.Err() == nil:
			// The block that this process has may have been moved to another
			// KEK, and the old one retired.
			if !s.look(err) || s.find(ctx, block) != nil || s.unchanged(block) {
				s.lost()
				return nil, err
			}
		default:
			if s.current.Load() != nil && v.current.Load() == nil {
				s.lost()
			}
			return nil, err
		}
	}
}

// look tells whether the store was not asked yet after this refusal, which is
// the same error for as long as it stands.
func (s *PersonScope) look(refusal error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := s.looked != refusal //nolint:errorlint // the very same one
	s.looked = refusal
	return first
}

func (s *PersonScope) unchanged(block []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return bytes.Equal(s.block, block)
}

func (s *PersonScope) derive(v *domainVersion, k *domainKey) (*personRoot, error) {
	if r := s.current.Load(); r != nil && r.opener == k.opener {
		return r, nil // due, and renewed by now or soon
	}
	r := &personRoot{version: v, opener: k.opener, id: v.id}
	var err error
	if r.index, err = k.opener.Hash(s.index, tokenize.HashHex); err != nil {
		return nil, err
	}
	r.wrap, err = with(k.opener, s.row, func(key []byte) (*aead.XAES, error) {
		// NewXAES keeps a key schedule, and with wipes the key.
		return aead.NewXAES(secret.Take(key))
	})
	if err != nil {
		return nil, err
	}
	s.current.Store(r)
	return r, nil
}

// find takes the block of the root key from the store, or makes one where the
// tenant has none. old is the block that is known already.
func (s *PersonScope) find(ctx context.Context, old []byte) error {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return s.failure("wait for", ErrUnavailable, context.Cause(ctx))
	}
	if !s.unchanged(old) {
		return nil // somebody else was first
	}
	p := s.persons
	var block []byte
	err := p.call(ctx, func() (err error) {
		block, err = p.store.Root(ctx, s.spec.Tenant)
		return err
	})
	if errors.Is(err, shred.ErrNone) && old == nil {
		block, err = s.create(ctx)
	}
	if err != nil {
		return s.failure("find", personClass(err), err)
	}
	if bytes.Equal(block, old) {
		return nil
	}
	kb, err := envelope.ParseKeyBlock(block)
	if err != nil {
		return s.failure("find", ErrUnusable, err)
	}
	if len(old) > 0 {
		before, err := envelope.ParseKeyBlock(old)
		if err != nil || !equalCommitment(before.Commitment, kb.Commitment) {
			// Another root key would give every person a second key.
			return s.failure("find", ErrUnusable, ErrCommitment)
		}
	}
	d := &Domain{cache: p.cache, spec: DomainSpec{
		Name: "persons", Tenant: s.spec.Tenant, KEKs: s.spec.KEKs, Blocks: [][]byte{block}, Limits: s.spec.Limits,
	}}
	v, err := newDomainVersion(d, block)
	if err != nil {
		return s.failure("find", ErrUnusable, err)
	}
	d.versions = []*domainVersion{v}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errClosed
	}
	if s.domain != nil {
		s.domain.close()
	}
	s.domain, s.block = d, block
	return nil
}

// create makes the tenant's root key, and returns the block that stands: of
// several processes that do so one wins.
func (s *PersonScope) create(ctx context.Context) (block []byte, err error) {
	p, c := s.persons, s.persons.cache
	made, cancel := context.WithTimeout(ctx, c.cfg.timeout)
	defer cancel()
	block, err = CreateDomainBlock(made, c.wrapper, s.spec.KEKs[0], s.spec.Tenant)
	if err != nil {
		return nil, err
	}
	err = p.call(made, func() (err error) {
		block, err = p.store.CreateRoot(made, s.spec.Tenant, block)
		return err
	})
	return block, err
}

// lost drops the keys of all persons: what they are sealed under cannot be had.
func (s *PersonScope) lost() {
	s.current.Store(nil)
	s.persons.keys.dropAll(func(k *personKey) bool { return k.tenant == s.spec.Tenant })
}

// sweep drops the keys when the root key expired and nobody came since.
func (s *PersonScope) sweep() {
	if r := s.current.Load(); r != nil && r.opener.Expired() && r.version.current.Load() == nil {
		s.lost()
	}
}

// drop forgets the root key and the keys of all persons.
func (s *PersonScope) drop() {
	s.mu.Lock()
	if s.domain != nil {
		s.domain.close()
	}
	s.domain, s.block = nil, nil
	s.mu.Unlock()
	s.lost()
}

func (s *PersonScope) close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.drop()
}

func (s *PersonScope) failure(op string, class, err error) error {
	return fmt.Errorf("datakey: %s the root key of persons: %w: %w", op, class, err)
}
