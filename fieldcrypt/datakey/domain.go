package datakey

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/fieldveil/fieldveil/internal/envelope"
)

// MaxDomainSeals is the number of values that a process seals under one version
// of a domain key at most: 2^48, the number of messages that NIST SP 800-38B
// allows one key of the MAC inside AES-SIV. No process gets there, so it has no
// limit below it that could end the writing of a domain.
const MaxDomainSeals = 1 << 48

// A DomainSpec describes a Domain.
type DomainSpec struct {
	// Name is the name of the key in the policy.
	Name string
	// Tenant is the tenant whose data the key protects, empty for none.
	Tenant string
	// KEKs are the URIs of the KEKs under which blocks may stand.
	KEKs []string
	// Blocks are the key blocks of the versions, as [CreateDomainBlock] made
	// them, the oldest first. The last one seals, all of them open.
	Blocks [][]byte
	// Limits bound how long a key is used before the KMS must unwrap it again.
	// Seals and Bytes must be zero: a domain has no next key to go on with.
	Limits Limits
}

// A Domain is a domain key of one tenant: a data key that every process has
// alike, so that all of them seal a value to the same bytes. It is safe for
// concurrent use.
//
// A domain key is never made on the fly. It was made once, by
// [CreateDomainBlock], and its wrapped form stands in the configuration. The
// KMS unwraps it when it is first needed, and again before it is older than
// Limits.Refresh while it is in use; when the KMS refuses, the key goes on until
// Limits.Expire and not beyond.
type Domain struct {
	cache    *Cache
	spec     DomainSpec
	versions []*domainVersion // the last one seals
}

// Domain returns the domain of that name and tenant, always the same one. It
// does no I/O. It fails when an earlier call described it differently, when a
// block is none, is under a KEK or tenant that the spec does not have (a
// [*ForeignKeyError]), or names a data key that another block names too.
func (c *Cache) Domain(spec DomainSpec) (*Domain, error) {
	spec, err := spec.checked()
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, errClosed
	}
	id := scopeID{spec.Name, spec.Tenant}
	if d, ok := c.domains[id]; ok {
		if !d.spec.equal(spec) {
			return nil, fmt.Errorf("datakey: domain %q is described twice and differently", spec.Name)
		}
		return d, nil
	}
	d := &Domain{cache: c, spec: spec}
	for i, b := range spec.Blocks {
		v, err := newDomainVersion(d, b)
		if err != nil {
			return nil, fmt.Errorf("datakey: domain %q: version %d: %w", spec.Name, i+1, err)
		}
		if d.version(v.id) != nil {
			return nil, fmt.Errorf("datakey: domain %q: version %d: key %s stands there twice", spec.Name, i+1, v.id)
		}
		d.versions = append(d.versions, v)
	}
	c.domains[id] = d
	return d, nil
}

// checked returns a copy of s with defaults, or what is wrong with s.
func (s DomainSpec) checked() (DomainSpec, error) {
	if s.Name == "" || len(s.KEKs) == 0 || slices.Contains(s.KEKs, "") {
		return s, errors.New("datakey: domain without a name or a KEK")
	}
	if len(s.Blocks) == 0 {
		return s, fmt.Errorf("datakey: domain %q without a key block", s.Name)
	}
	if s.Limits.Seals != 0 || s.Limits.Bytes != 0 {
		return s, fmt.Errorf("datakey: domain %q with a limit on seals or bytes", s.Name)
	}
	s.Limits = s.Limits.withDefaults()
	if err := s.Limits.validate(); err != nil {
		return s, err
	}
	s.KEKs = slices.Clone(s.KEKs)
	s.Blocks = slices.Clone(s.Blocks)
	for i, b := range s.Blocks {
		s.Blocks[i] = bytes.Clone(b)
	}
	return s, nil
}

func (s DomainSpec) equal(o DomainSpec) bool {
	return slices.Equal(s.KEKs, o.KEKs) && slices.EqualFunc(s.Blocks, o.Blocks, bytes.Equal) && s.Limits == o.Limits
}

// Name returns the name of the key in the policy.
func (d *Domain) Name() string { return d.spec.Name }

// Tenant returns the tenant, empty for none.
func (d *Domain) Tenant() string { return d.spec.Tenant }

// KeyIDs returns the ids of the versions, the oldest first. The last one seals.
func (d *Domain) KeyIDs() []ID {
	ids := make([]ID, len(d.versions))
	for i, v := range d.versions {
		ids[i] = v.id
	}
	return ids
}

// version returns the version of an id, or nil.
func (d *Domain) version(id ID) *domainVersion {
	for _, v := range d.versions {
		if v.id == id {
			return v
		}
	}
	return nil
}

// Cached returns the opener of a version that is at hand, or nil.
func (d *Domain) Cached(id ID) *Opener {
	v := d.version(id)
	if v == nil {
		return nil
	}
	if k := v.ready(); k != nil {
		return k.opener
	}
	return nil
}

// Opener returns what opens the values sealed under the version id. It waits,
// until ctx ends, when the KMS must unwrap the version first. An id that is not
// of the versions is refused with ErrUnknownKey, wherever its key block may
// stand.
func (d *Domain) Opener(ctx context.Context, id ID) (*Opener, error) {
	v := d.version(id)
	if v == nil {
		return nil, fmt.Errorf("datakey: domain %q: key %s: %w", d.spec.Name, id, ErrUnknownKey)
	}
	k, err := v.get(ctx)
	if err != nil {
		return nil, err
	}
	return k.opener, nil
}

func (d *Domain) close() {
	for _, v := range d.versions {
		v.close()
	}
}

// A DomainSealer seals values under the newest version of a domain key. It
// belongs to one goroutine at a time, and is used as a [Sealer] is. Equal values
// at equal places become equal bytes, in every process and for all time that
// the version seals.
type DomainSealer struct {
	version *domainVersion
	key     *domainKey
	seals   uint64 // left of the lease
	sealed  int    // since Reserve
	scratch []byte
}

// NewSealer returns a DomainSealer without a reservation.
func (d *Domain) NewSealer() *DomainSealer {
	return &DomainSealer{version: d.versions[len(d.versions)-1]}
}

// Reserve takes room for that many seals, and makes sure that the key may be
// used now. It waits, until ctx ends, only when the KMS must unwrap the key
// first. The amount of plaintext is not limited.
func (w *DomainSealer) Reserve(ctx context.Context, seals, bytes int) error {
	if seals < 0 || bytes < 0 {
		return fmt.Errorf("datakey: negative reservation: %w", ErrUnusable)
	}
	k := w.version.ready()
	if k == nil {
		var err error
		if k, err = w.version.get(ctx); err != nil {
			return err
		}
	}
	if n := uint64(seals); n > w.seals {
		got, ok := w.version.lease(n - w.seals)
		if !ok {
			return w.version.failure("seal with", ErrUnusable, ErrExhausted)
		}
		w.seals += got
	}
	w.key, w.sealed = k, 0
	return nil
}

// Done ends a record, and returns how many values were sealed since Reserve. The
// next value needs a reservation of its own.
func (w *DomainSealer) Done() int {
	w.key = nil
	w.scratch = endScratch(w.scratch)
	return w.sealed
}

// KeyBlock returns the encoded key block of the version that seals. It is shared
// and must not be changed. Readers have it in their configuration, so records
// need not carry it.
func (w *DomainSealer) KeyBlock() []byte { return w.version.block }

// KeyID returns the id of the version that seals.
func (w *DomainSealer) KeyID() ID { return w.version.id }

// Head returns the beginning of envelopes that are bound to the place of the
// context id. It is good for all Sealers of the domain, with or without a
// reservation.
func (w *DomainSealer) Head(place [envelope.ContextIDSize]byte) *Head {
	h := newHead(AES256SIV, w.version.id, place)
	h.version = w.version
	return h
}

// Current tells whether h was made by a Sealer of this domain.
func (w *DomainSealer) Current(h *Head) bool { return h != nil && h.version == w.version }

// Append appends the envelope of plain. It fails with ErrExhausted where there
// is no reservation.
func (w *DomainSealer) Append(dst, plain []byte, h *Head) ([]byte, error) {
	if err := w.check(h); err != nil {
		return dst, err
	}
	return h.seal(w.key.opener.m.cipher(envelope.AES256SIV), dst, plain, nil)
}

// AppendText appends the text form of what Append appends.
func (w *DomainSealer) AppendText(dst, plain []byte, h *Head) ([]byte, error) {
	if err := w.check(h); err != nil {
		return dst, err
	}
	env, err := w.key.opener.m.cipher(envelope.AES256SIV).Seal(
		append(w.scratch[:0], h.header[headAligned:]...), plain, h.header[:], nil)
	if err != nil {
		return dst, err
	}
	w.scratch = env
	return envelope.AppendBase64(append(dst, h.text[:]...), env), nil
}

// check refuses a head of another key, and takes the budget of one seal. A
// record with more values than was foreseen takes the next lease here.
func (w *DomainSealer) check(h *Head) error {
	if h.version != w.version {
		return errForeignHead
	}
	if w.key == nil {
		return ErrExhausted
	}
	if w.seals == 0 {
		got, ok := w.version.lease(1)
		if !ok {
			return ErrExhausted
		}
		w.seals = got
	}
	w.seals--
	w.sealed++
	return nil
}
