package datakey

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
)

// A Scope is one key name of one tenant. It is safe for concurrent use.
//
// The usual reservation takes no lock: a Sealer holds a lease, a part of the
// budget of the current key, and only compares one pointer. Everything that
// changes the key makes that pointer differ, which sends callers through lease,
// under the lock.
type Scope struct {
	cache  *Cache
	spec   ScopeSpec
	counts *keyCounts

	current atomic.Pointer[activeKey] // nil when the next caller must come through lease

	mu       sync.Mutex // released by unlock, which tells the Observer
	key      *activeKey // seals until next takes over
	next     *activeKey // fetched ahead
	flight   *flight    // making of a key that is under way
	retryAt  time.Time  // no background fetch before this, after one failed
	refused  refusal
	failing  bool // the last making of a key failed
	suspect  bool // the KMS refused while there was a key, and is asked again soon
	required bool // kept warm without callers
	loaded   bool // the key file was looked at
	timers   []*time.Timer
	confirm  *time.Timer
	retry    *time.Timer
	closed   bool
	events   []Event

	pinned atomic.Bool   // kept warm: never evicted
	place  *list.Element // in the cache's ring, under the lock of the cache
}

// A flight is one making of a key that any number of callers wait for.
type flight struct {
	done chan struct{}
	err  error

	regular bool // nothing broke the rhythm, so that the next key keeps it
	calm    bool // started on schedule: there is time
	needed  bool // nobody seals before the KMS has answered
	first   bool // the first one of the scope, which may have a key file
	confirm bool // asks the KMS itself again, after it refused
}

// A refusal remembers that no key could be made, so that callers do not repeat
// the question at their own rate.
type refusal struct {
	err     error
	until   time.Time
	circuit *endpoint // where an open circuit is the reason, and not an answer
}

// stands tells whether the answer still holds. One that an open circuit gave
// holds until the circuit lets a call out.
func (r *refusal) stands(now time.Time) bool {
	return now.Before(r.until) && (r.circuit == nil || r.circuit.refuses(now) != nil)
}

// Times of waiting.
const (
	refusalTime = 30 * time.Second // how long a definitive answer stands
	failureTime = time.Second      // how long any other failure stands
	confirmTime = 5 * time.Second  // after which a KMS that refuses is asked again
	retryMin    = time.Second      // between background fetches that fail
	retryMax    = 15 * time.Second
)

func newScope(c *Cache, spec ScopeSpec, counts *keyCounts) *Scope {
	return &Scope{cache: c, spec: spec, counts: counts}
}

// Name returns the name of the key in the policy.
func (s *Scope) Name() string { return s.spec.Name }

// Tenant returns the tenant, empty for none.
func (s *Scope) Tenant() string { return s.spec.Tenant }

// has tells whether blocks under kek may be unwrapped in this scope.
func (s *Scope) has(kek string) bool { return slices.Contains(s.spec.KEKs, kek) }

func encryptionContext(tenant string) kms.EncryptionContext {
	ec := kms.EncryptionContext{"fieldveil:purpose": "data-key"}
	if tenant != "" {
		ec["fieldveil:tenant"] = tenant
	}
	return ec
}

// lease finds a key with room for seals and bytes and takes them, or a larger
// lease where the limits are generous. It waits when a key must be made first.
func (s *Scope) lease(ctx context.Context, seals, bytes uint64) (k *activeKey, gotSeals, gotBytes uint64, err error) {
	most := s.spec.Limits
	if s.spec.Persist {
		most = firstShareOf(most)
	}
	if seals > most.Seals || bytes > most.Bytes {
		return nil, 0, 0, fmt.Errorf("datakey: one record needs more than key %q may seal: %w", s.spec.Name, ErrUnusable)
	}
	err = s.await(ctx, func(held *activeKey) (ok bool) {
		if gotSeals, gotBytes, ok = takeLease(held, seals, bytes); ok {
			k = held
			s.current.Store(k)
		}
		return ok
	})
	return k, gotSeals, gotBytes, err
}

// await gives take the key that seals now, under the lock, and waits when a key
// must be made first. A key that take has no use for is used up.
func (s *Scope) await(ctx context.Context, take func(*activeKey) bool) error {
	var waited time.Duration
	for {
		s.mu.Lock()
		if s.closed {
			s.unlock()
			return errClosed
		}
		now := time.Now()
		s.rollLocked(now)
		if s.key != nil && s.key.unproven(now) {
			s.renewLocked(now)
		}
		switch {
		case s.key != nil && (s.flight == nil || !s.flight.needed || s.key.asked):
			ok := take(s.key)
			if ok {
				s.renewLocked(now)
			} else {
				s.dropKeyLocked(DropExhausted)
			}
			s.unlock()
			if ok {
				s.waited(waited, nil)
				return nil
			}
			continue
		case s.flight == nil && s.refused.stands(now):
			err := s.refused.err
			s.unlock()
			s.negative()
			return err
		case s.flight == nil:
			s.startLocked(&flight{})
		}
		f := s.flight
		s.unlock()
		err := f.await(ctx, s.cache.wrapper.endpoint(s.spec.KEKs[0]))
		waited += time.Since(now)
		switch {
		case err != nil && f.needed && ctx.Err() == nil:
			// The KMS does not answer: what was held back for it goes on.
			s.letGo(f)
		case err != nil:
			err = fmt.Errorf("datakey: waiting for key %q: %w: %w", s.spec.Name, ErrUnavailable, err)
			s.waited(waited, err)
			return err
		case f.err != nil && !f.needed:
			s.waited(waited, f.err)
			return f.err
		}
	}
}

// letGo lets callers seal while a question to the KMS is still open.
func (s *Scope) letGo(f *flight) {
	s.mu.Lock()
	defer s.unlock()
	if s.key != nil && s.flight == f {
		s.key.asked = true
	}
}

// unlock releases the lock, and does then what must not be done under it.
func (s *Scope) unlock() {
	if s.required && s.key == nil && s.next == nil && s.flight == nil && s.retry == nil && !s.closed {
		s.retry = time.AfterFunc(retryTick(), s.tick)
	}
	events := s.events
	s.events = nil
	s.mu.Unlock()
	for _, e := range events {
		s.cache.observe(e)
	}
}

// event returns one of the scope.
func (s *Scope) event(kind EventKind) Event {
	e := Event{Kind: kind, Key: s.spec.Name}
	if s.cache.cfg.tenants {
		e.Tenant = s.spec.Tenant
	}
	return e
}

// waited counts a caller who did not get a key at once.
func (s *Scope) waited(d time.Duration, err error) {
	if d == 0 && err == nil {
		return
	}
	s.counts.waits.Add(1)
	e := s.event(EventWait)
	e.Took, e.Outcome = d, outcomeOf(err)
	s.cache.observe(e)
}

// negative counts a question that an earlier answer settles.
func (s *Scope) negative() {
	s.counts.negatives.Add(1)
	s.cache.observe(s.event(EventNegative))
}

// Leases above what one record needs keep callers off the shared counters. A
// lease that a pool forgets is lost, so it is a thousandth of the budget at
// most.
const (
	leaseSeals = 1024
	leaseBytes = 1 << 20
	leaseShare = 1024
)

func takeLease(k *activeKey, seals, bytes uint64) (gotSeals, gotBytes uint64, ok bool) {
	gotSeals = max(seals, min(leaseSeals, k.limits.Seals/leaseShare))
	gotBytes = max(bytes, min(leaseBytes, k.limits.Bytes/leaseShare))
	if k.take(gotSeals, gotBytes) {
		return gotSeals, gotBytes, true
	}
	return seals, bytes, k.take(seals, bytes)
}

// close ends the scope.
func (s *Scope) close() {
	s.mu.Lock()
	defer s.unlock()
	s.closed = true
	s.clearLocked(DropClosed)
	for _, t := range []*time.Timer{s.confirm, s.retry} {
		if t != nil {
			t.Stop()
		}
	}
}

// evict drops the keys of a scope that was not used for long. Whoever still
// holds it gets a new key when he asks for one.
func (s *Scope) evict() {
	s.mu.Lock()
	s.suspect = false
	s.clearLocked(DropEvicted)
	s.unlock()
	s.cache.openers.dropScope(s)
	if s.spec.Persist {
		s.cache.files.remove(s)
	}
}

// clearLocked drops the key and the next one.
func (s *Scope) clearLocked(why DropReason) {
	s.next = nil
	if s.key != nil {
		s.dropKeyLocked(why)
	}
	s.stopTimersLocked()
}

// asCircuit returns the endpoint whose open circuit is the reason of an error.
func asCircuit(err error) *endpoint {
	if c, ok := errors.AsType[*circuitError](err); ok {
		return c.endpoint
	}
	return nil
}
