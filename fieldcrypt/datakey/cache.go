package datakey

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
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
	wrapper   *client // the KMS, behind circuits and bounds
	cfg       config
	openers   *openerTable
	negatives *negatives
	files     *keyFiles // nil without a directory

	mu      sync.Mutex
	scopes  scopeTable
	domains map[scopeID]*Domain
	persons []*Persons
	counts  map[string]*keyCounts // by name of the key
	closed  bool

	required map[warmable]bool // what Ready depends on
	wasReady atomic.Bool
}

type scopeID struct{ name, tenant string }

type config struct {
	store    Store
	openMax  int
	scopeMax int
	fanOut   int
	timeout  time.Duration
	observer Observer
	tenants  bool // tell tenants apart in metrics
	keyDir   string
	draw     func(time.Duration) time.Duration // at random
	spread   func(time.Duration) time.Duration // evenly, one after the other
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

// WithMaxScopes bounds the scopes that hold keys, and so the memory and the KMS
// calls that many tenants cost. Beyond it the scope that was not used for the
// longest time loses its keys, and gets a new one when somebody asks for it.
// Scopes that are kept warm are not touched. Default 10,000.
func WithMaxScopes(n int) Option { return func(c *config) { c.scopeMax = n } }

// WithObserver tells o what the Cache does. Default nobody.
func WithObserver(o Observer) Option { return func(c *config) { c.observer = o } }

// WithTenantMetrics has events and statistics tell tenants apart. Default no:
// tenants come from records, and metrics with a label for each cost more than
// what they measure.
func WithTenantMetrics() Option { return func(c *config) { c.tenants = true } }

// WithKeyFiles keeps the last wrapped data key of each scope with Persist in a
// directory, mode 0700, of this process alone. It is made when there is none. A
// directory that cannot be used does not stop anything: it is counted in
// [KeyStats]. Default none.
func WithKeyFiles(dir string) Option { return func(c *config) { c.keyDir = dir } }

// WithFanOut bounds the KMS calls to one endpoint that run at the same time: an
// endpoint that hangs does not hold up the calls to another. Default 20.
func WithFanOut(n int) Option { return func(c *config) { c.fanOut = n } }

// WithCallTimeout bounds the making of one key, retries, verification and key
// store included, from the moment when its turn has come within the fan-out. It
// does not depend on any caller's context, because callers share the result.
// Default 10 seconds.
func WithCallTimeout(d time.Duration) Option { return func(c *config) { c.timeout = d } }

// New returns an empty Cache over w. It does no I/O.
func New(w kms.Wrapper, opts ...Option) (*Cache, error) {
	cfg := config{openMax: 10_000, scopeMax: 10_000, fanOut: 20, timeout: 10 * time.Second, draw: draw, spread: newSpread()}
	for _, o := range opts {
		o(&cfg)
	}
	switch {
	case w == nil:
		return nil, errors.New("datakey: nil KMS")
	case cfg.openMax < 1:
		return nil, fmt.Errorf("datakey: max openers %d is not positive", cfg.openMax)
	case cfg.scopeMax < 1:
		return nil, fmt.Errorf("datakey: max scopes %d is not positive", cfg.scopeMax)
	case cfg.fanOut < 1:
		return nil, fmt.Errorf("datakey: fan-out %d is not positive", cfg.fanOut)
	case cfg.timeout <= 0:
		return nil, fmt.Errorf("datakey: call timeout %v is not positive", cfg.timeout)
	}
	c := &Cache{
		cfg:       cfg,
		openers:   newOpenerTable(cfg.openMax),
		negatives: newNegatives(cfg.openMax),
		scopes:    newScopeTable(cfg.scopeMax),
		domains:   make(map[scopeID]*Domain),
		counts:    make(map[string]*keyCounts),
		required:  make(map[warmable]bool),
	}
	if cfg.keyDir != "" {
		c.files = &keyFiles{dir: cfg.keyDir}
	}
	c.wrapper = newClient(w, cfg.fanOut, c.observe)
	return c, nil
}

// newSpread returns what picks durations below d that lie evenly however many
// are picked: multiples of the golden ratio from a random beginning. The scopes
// of one process so refresh evenly, and those of a fleet still independently.
func newSpread() func(time.Duration) time.Duration {
	const golden = 0.6180339887498949
	begin := rand.Float64() //nolint:gosec // jitter, no secret
	var picked atomic.Uint64
	return func(d time.Duration) time.Duration {
		_, part := math.Modf(begin + golden*float64(picked.Add(1)%(1<<32)))
		return time.Duration(part * float64(max(0, d)))
	}
}

// draw picks a duration below d at random.
func draw(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return time.Duration(rand.Int64N(int64(d))) //nolint:gosec // jitter, no secret
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
	// Persist keeps the last data key, wrapped, in the directory of
	// [WithKeyFiles], so that a process can start while the KMS unwraps and does
	// not generate, as long as that key is younger than Expire. Each key then
	// seals half of its limits before the next one, the rest is for restarts.
	Persist bool
}

// Scope returns the scope of that name and tenant, the same one for as long as
// anybody holds it or it holds a key. It fails when that one was described
// differently.
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
	if spec.Persist && c.files == nil {
		return nil, fmt.Errorf("datakey: key %q is to persist, and the cache has no directory for key files", spec.Name)
	}
	if spec.Persist && spec.Suite == AES256GCM && spec.Limits.Seals > maxPersistSeals {
		return nil, fmt.Errorf("datakey: key %q is to persist, with %d seals where 2^28 are the most with this suite", spec.Name, spec.Limits.Seals)
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
	if s := c.scopes.get(id); s != nil {
		if !slices.Equal(s.spec.KEKs, spec.KEKs) || s.spec.Suite != spec.Suite || s.spec.Limits != spec.Limits || s.spec.Persist != spec.Persist {
			return nil, fmt.Errorf("datakey: scope %q is described twice and differently", spec.Name)
		}
		return s, nil
	}
	s := newScope(c, spec, c.countsOf(spec.Name))
	c.scopes.add(id, s)
	return s, nil
}

var errClosed = fmt.Errorf("cache is closed: %w", ErrUnusable)

// Close drops all keys. Reservations that are out stay usable until they are
// released; everything else fails from now on.
func (c *Cache) Close() {
	c.mu.Lock()
	if !c.closed {
		close(c.wrapper.closing)
	}
	c.closed = true
	scopes, domains, persons := c.scopes.all(), c.domains, c.persons
	c.scopes, c.domains, c.persons, c.required = newScopeTable(1), nil, nil, nil
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
	if c.files != nil {
		c.files.close()
	}
}
