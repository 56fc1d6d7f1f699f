package datakey

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/internal/envelope"
)

// A Suite is the cipher that a scope seals with. Opening follows what a value
// says.
type Suite byte

// The suites. The zero Suite means AES256GCM.
const (
	// AES256GCM is for data keys that belong to one process, which is what a
	// Cache makes.
	AES256GCM = Suite(envelope.AES256GCM)
	// XAES256GCM has 192-bit nonces. It costs some four times as much.
	XAES256GCM = Suite(envelope.XAES256GCM)
	// AES256SIV is deterministic, and the suite of every [Domain] and of nothing
	// else.
	AES256SIV = Suite(envelope.AES256SIV)
)

// A Cache keeps the data keys of a process. It is safe for concurrent use.
type Cache struct {
	wrapper kms.Wrapper
	cfg     config
	slots   chan struct{} // one per KMS call that may run now
	openers *openerTable

	mu      sync.Mutex
	scopes  map[scopeID]*Scope
	domains map[scopeID]*Domain
	persons []*Persons
	closed  bool
}

type scopeID struct{ name, tenant string }

type config struct {
	store   Store
	openMax int
	fanOut  int
	timeout time.Duration
}

// An Option changes a Cache.
type Option func(*config)

// WithStore makes new keys durable in s before their first use, and finds
// there the keys of records that lost their header. Default none: keys travel
// only in record headers.
func WithStore(s Store) Option { return func(c *config) { c.store = s } }

// WithMaxOpeners bounds the keys that are kept for opening; the oldest goes
// first. Default 10,000.
func WithMaxOpeners(n int) Option { return func(c *config) { c.openMax = n } }

// WithFanOut bounds the KMS calls that run at the same time. Default 20.
func WithFanOut(n int) Option { return func(c *config) { c.fanOut = n } }

// WithCallTimeout bounds the making of one key, retries, verification and key
// store included. It does not depend on any caller's context, because callers
// share the result. Default 10 seconds.
func WithCallTimeout(d time.Duration) Option { return func(c *config) { c.timeout = d } }

// New returns an empty Cache over w. It does no I/O.
func New(w kms.Wrapper, opts ...Option) (*Cache, error) {
	cfg := config{openMax: 10_000, fanOut: 20, timeout: 10 * time.Second}
	for _, o := range opts {
		o(&cfg)
	}
	switch {
	case w == nil:
		return nil, errors.New("datakey: nil KMS")
	case cfg.openMax < 1:
		return nil, fmt.Errorf("datakey: max openers %d is not positive", cfg.openMax)
	case cfg.fanOut < 1:
		return nil, fmt.Errorf("datakey: fan-out %d is not positive", cfg.fanOut)
	case cfg.timeout <= 0:
		return nil, fmt.Errorf("datakey: call timeout %v is not positive", cfg.timeout)
	}
	return &Cache{
		wrapper: w,
		cfg:     cfg,
		slots:   make(chan struct{}, cfg.fanOut),
		openers: newOpenerTable(cfg.openMax),
		scopes:  make(map[scopeID]*Scope),
		domains: make(map[scopeID]*Domain),
	}, nil
}

// A ScopeSpec describes a Scope.
type ScopeSpec struct {
	// Name is the name of the key in the policy.
	Name string
	// Tenant is the tenant whose data the key protects, empty for none.
	Tenant string
	// KEKs are the URIs of KEKs. The first wraps new keys; blocks wrapped under
	// any of them are unwrapped.
	KEKs []string
	// Suite is the cipher to seal with.
	Suite Suite
	// Limits bound each data key.
	Limits Limits
}

// Scope returns the scope of that name and tenant, always the same one. It
// fails when an earlier call described it differently.
func (c *Cache) Scope(spec ScopeSpec) (*Scope, error) {
	spec.KEKs = slices.Clone(spec.KEKs)
	spec.Limits = spec.Limits.withDefaults()
	if spec.Suite == 0 {
		spec.Suite = AES256GCM
	}
	if err := spec.Limits.validate(); err != nil {
		return nil, err
	}
	if spec.Suite != AES256GCM && spec.Suite != XAES256GCM {
		return nil, fmt.Errorf("datakey: a scope cannot seal with %v", envelope.Suite(spec.Suite))
	}
	if spec.Name == "" || len(spec.KEKs) == 0 || slices.Contains(spec.KEKs, "") {
		return nil, errors.New("datakey: scope without a name or a KEK")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, errClosed
	}
	id := scopeID{spec.Name, spec.Tenant}
	if s, ok := c.scopes[id]; ok {
		if !slices.Equal(s.spec.KEKs, spec.KEKs) || s.spec.Suite != spec.Suite || s.spec.Limits != spec.Limits {
			return nil, fmt.Errorf("datakey: scope %q is described twice and differently", spec.Name)
		}
		return s, nil
	}
	s := newScope(c, spec)
	c.scopes[id] = s
	return s, nil
}

var errClosed = fmt.Errorf("cache is closed: %w", ErrUnusable)

// Close drops all keys. Reservations that are out stay usable until they are
// released; everything else fails from now on.
func (c *Cache) Close() {
	c.mu.Lock()
	c.closed = true
	scopes, domains, persons := c.scopes, c.domains, c.persons
	c.scopes, c.domains, c.persons = nil, nil, nil
	c.mu.Unlock()
	for _, p := range persons {
		p.Close()
	}
	for _, s := range scopes {
		s.close()
	}
	for _, d := range domains {
		d.close()
	}
	c.openers.close()
}
