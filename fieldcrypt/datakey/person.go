package datakey

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"weak"

	"github.com/fieldveil/fieldveil/fieldcrypt/shred"
	"github.com/fieldveil/fieldveil/internal/secret"
)

// Persons holds the keys of persons, so that a person can be forgotten by
// destroying his key: section 12 of docs/format.md. It is safe for concurrent
// use.
//
// It keeps the keys of those who were met last, and reads the ledger again and
// again to learn who was forgotten, by whatever process. When it cannot read
// the ledger it stops using keys: within a minute after a person was forgotten
// no process has his key.
type Persons struct {
	cache  *Cache
	store  shred.Store
	ledger shred.Ledger
	cfg    personsConfig
	slots  chan struct{} // one per call of the store that may run now

	stop context.CancelFunc
	done chan struct{}
	// stale tells that the ledger was not read lately enough.
	stale atomic.Bool

	keys personKeys

	mu sync.Mutex
	// scopes are those of the tenants that were met last, and all finds every one
	// that somebody still holds, so that there are never two of a tenant.
	scopes  map[string]*PersonScope
	all     map[string]weak.Pointer[PersonScope]
	swept   int // number of entries of all at which dead ones are looked for
	flights map[personFlight]*openerFlight
	gone    map[personOfKey]refusal // key ids that lead nowhere
	pending map[personOf]uint64     // forgotten, and the store may not know yet: by Seq
	mark    shred.Mark              // how far the ledger was read
	timer   *time.Timer             // sets stale
	fault   error                   // why the ledger or the store could not be followed
	closed  bool
}

type personsConfig struct {
	max     int
	tenants int
	poll    time.Duration
}

// A PersonsOption changes Persons.
type PersonsOption func(*personsConfig)

// WithMaxPersons bounds the keys that are kept; some two kilobytes each. Which
// of them go first is by how lately they were used, roughly. Default 10,000.
func WithMaxPersons(n int) PersonsOption { return func(c *personsConfig) { c.max = n } }

// WithLedgerPoll sets how often the ledger is read. Default 10 seconds, at most
// 30: a key is not used when the ledger was not read for 50 seconds.
func WithLedgerPoll(d time.Duration) PersonsOption { return func(c *personsConfig) { c.poll = d } }

// Bounds of Persons.
const (
	maxPoll     = 30 * time.Second
	staleAfter  = 50 * time.Second // FV-104 says 60; a read may take its time
	maxTenants  = 10_000
	maxGone     = 10_000
	unknownTime = 10 * time.Second // how long an unknown key id stands
)

// OpenPersons applies the ledger to the store, and returns the keys in it. It
// fails while it cannot read the ledger, and when the ledger does not belong to
// the store: no key is used without one. The cache brings the KMS, its limits
// and its outages; closing it closes Persons.
func OpenPersons(ctx context.Context, cache *Cache, store shred.Store, ledger shred.Ledger, opts ...PersonsOption) (*Persons, error) {
	cfg := personsConfig{max: 10_000, tenants: maxTenants, poll: 10 * time.Second}
	for _, o := range opts {
		o(&cfg)
	}
	switch {
	case cache == nil || store == nil || ledger == nil:
		return nil, errors.New("datakey: persons need a cache, a store and a ledger")
	case cfg.max < 1:
		return nil, fmt.Errorf("datakey: max persons %d is not positive", cfg.max)
	case cfg.poll <= 0 || cfg.poll > maxPoll:
		return nil, fmt.Errorf("datakey: ledger poll %v is not within 0 and %v", cfg.poll, maxPoll)
	}
	p := &Persons{
		cache: cache, store: store, ledger: ledger, cfg: cfg,
		slots:   make(chan struct{}, cache.cfg.fanOut),
		done:    make(chan struct{}),
		scopes:  make(map[string]*PersonScope),
		all:     make(map[string]weak.Pointer[PersonScope]),
		swept:   minSweep,
		flights: make(map[personFlight]*openerFlight),
		gone:    make(map[personOfKey]refusal),
		pending: make(map[personOf]uint64),
	}
	p.keys.init(cfg.max)
	began := time.Now()
	err := guard(func() (err error) {
		p.mark, err = shred.Replay(ctx, store, ledger)
		return err
	})
	if err != nil {
		// Who may not write, such as a consumer, waits for one who may. Until then
		// this process knows by itself whose keys it must not use.
		if p.mark, err = p.readOnly(ctx, err); err != nil {
			return nil, fmt.Errorf("datakey: persons: %w: %w", personClass(err), err)
		}
	}
	cache.mu.Lock()
	if cache.closed {
		cache.mu.Unlock()
		return nil, errClosed
	}
	cache.persons = append(cache.persons, p)
	cache.mu.Unlock()
	p.timer = time.AfterFunc(staleAfter-time.Since(began), func() { p.stale.Store(true) })
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	p.stop = cancel
	go p.follow(run)
	return p, nil
}

// Close drops all keys and stops reading the ledger. It waits for a read that is
// under way to end.
func (p *Persons) Close() {
	p.mu.Lock()
	p.closed = true
	p.stale.Store(true)
	p.timer.Stop()
	scopes := p.allLocked()
	p.scopes, p.all = nil, nil
	p.mu.Unlock()
	p.stop()
	<-p.done
	p.keys.dropAll(func(*personKey) bool { return true })
	for _, s := range scopes {
		s.close()
	}
}

// readOnly learns from the ledger what could not be applied to the store, and
// returns how far it read. cause is returned where that is not possible either.
func (p *Persons) readOnly(ctx context.Context, cause error) (shred.Mark, error) {
	if errors.Is(cause, shred.ErrLedger) {
		return shred.Mark{}, cause
	}
	end := p.mark
	err := guard(func() error {
		from, err := shred.Match(ctx, p.store, p.ledger)
		if err != nil {
			return err
		}
		p.mark = from
		end, err = shred.Follow(ctx, p.ledger, from, func(page []shred.Entry, next shred.Mark) error {
			p.learn(page, next)
			return nil
		})
		return err
	})
	if err != nil {
		return shred.Mark{}, errors.Join(cause, err)
	}
	p.fault = cause
	return end, nil
}

// Mark returns how far the ledger was read, and why it or the store could not be
// followed at the last try, nil if they could.
func (p *Persons) Mark() (shred.Mark, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mark, p.fault
}

// Len returns the number of keys that are at hand.
func (p *Persons) Len() int { return p.keys.len() }

// A PersonSpec describes the keys of the persons of one tenant.
type PersonSpec struct {
	// Tenant is the tenant whose persons they are, empty for none.
	Tenant string
	// KEKs are the URIs of KEKs. The first wraps the root key of a tenant that
	// has none; one that is wrapped under any of them is unwrapped.
	KEKs []string
	// Limits bound how long a root key is used before the KMS must unwrap it
	// again. Seals and Bytes must be zero.
	Limits Limits
}

// Scope returns the keys of a tenant's persons, always the same for as long as
// somebody holds them. It does no I/O. It fails when an
// earlier call described them differently.
func (p *Persons) Scope(spec PersonSpec) (*PersonScope, error) {
	s, err := newPersonScope(p, spec)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, errClosed
	}
	if old := p.all[spec.Tenant].Value(); old != nil {
		if !slices.Equal(old.spec.KEKs, s.spec.KEKs) || old.spec.Limits != s.spec.Limits {
			return nil, errors.New("datakey: the persons of a tenant are described twice and differently")
		}
		s = old
	}
	delete(p.scopes, spec.Tenant) // it is no victim of its own
	for name, old := range p.scopes {
		if len(p.scopes) < p.cfg.tenants {
			break
		}
		// Who still holds it can go on: it then asks the KMS again.
		delete(p.scopes, name)
		old.drop()
	}
	p.scopes[spec.Tenant] = s
	p.all[spec.Tenant] = weak.Make(s)
	if len(p.all) >= p.swept {
		maps.DeleteFunc(p.all, func(_ string, s weak.Pointer[PersonScope]) bool { return s.Value() == nil })
		p.swept = max(minSweep, 2*len(p.all))
	}
	return s, nil
}

// allLocked returns the scopes that are alive.
func (p *Persons) allLocked() []*PersonScope {
	var out []*PersonScope
	for _, s := range p.all {
		if s := s.Value(); s != nil {
			out = append(out, s)
		}
	}
	return out
}

// call runs one call of the store within the fan-out bound.
func (p *Persons) call(ctx context.Context, f func() error) error {
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("too many calls of the key store under way: %w", ctx.Err())
	}
	defer func() { <-p.slots }()
	return guard(f)
}

// personClass tells whether to try again.
func personClass(err error) error {
	for _, definitive := range []error{shred.ErrForgotten, shred.ErrLedger, shred.ErrInvalid} {
		if errors.Is(err, definitive) {
			return ErrUnusable
		}
	}
	return classOf(err)
}

// usable tells whether keys may be used now.
func (p *Persons) usable() bool { return !p.stale.Load() }

type personOf struct {
	tenant string
	id     shred.PersonID
}

type personOfKey struct {
	tenant string
	id     ID
}

// personFlight is one load that any number of callers wait for: of a person, or
// of a key id.
type personFlight struct {
	tenant string
	person shred.PersonID
	key    ID
}

// A personKey is the key of one person, ready for use.
type personKey struct {
	tenant string
	person shred.PersonID
	opener *Opener
	run    personRun
	seals  atomic.Uint64
	used   atomic.Bool // lately
}

// drop makes whoever still holds the key let go.
func (k *personKey) drop() { k.opener.expired.Store(true) }

// wipeRow overwrites what could be opened with the root key.
func wipeRow(r *shred.Row) { secret.Wipe(r.Sealed) }
