package datakey

import (
	"context"
	"fmt"
	"math/rand/v2"
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
	cache *Cache
	spec  ScopeSpec

	current atomic.Pointer[activeKey] // nil when the next caller must come through lease

	mu      sync.Mutex
	key     *activeKey // seals until next takes over
	next    *activeKey // fetched ahead
	flight  *flight    // making of a key that is under way
	retryAt time.Time  // no background fetch before this, after one failed
	refused refusal
	timers  []*time.Timer
	closed  bool
}

// A flight is one making of a key that any number of callers wait for.
type flight struct {
	done chan struct{}
	err  error
}

// A refusal remembers that no key could be made, so that callers do not repeat
// the question at their own rate.
type refusal struct {
	err   error
	until time.Time
}

// Times of waiting.
const (
	refusalTime = 30 * time.Second // how long a definitive answer stands
	failureTime = time.Second      // how long any other failure stands
	retryMin    = time.Second      // between background fetches that fail
	retryMax    = 15 * time.Second
)

func newScope(c *Cache, spec ScopeSpec) *Scope {
	return &Scope{cache: c, spec: spec}
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
	if seals > s.spec.Limits.Seals || bytes > s.spec.Limits.Bytes {
		return nil, 0, 0, fmt.Errorf("datakey: one record needs more than key %q may seal: %w", s.spec.Name, ErrUnusable)
	}
	for {
		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			return nil, 0, 0, errClosed
		}
		now := time.Now()
		s.rollLocked(now)
		if s.key != nil {
			if gotSeals, gotBytes, ok := takeLease(s.key, seals, bytes); ok {
				k = s.key
				s.current.Store(k)
				if s.next == nil && s.flight == nil && k.ending(now) && !now.Before(s.retryAt) {
					s.startLocked()
				}
				s.mu.Unlock()
				return k, gotSeals, gotBytes, nil
			}
			s.retireLocked()
			s.mu.Unlock()
			continue
		}
		if s.flight == nil {
			if now.Before(s.refused.until) {
				err = s.refused.err
				s.mu.Unlock()
				return nil, 0, 0, err
			}
			s.startLocked()
		}
		f := s.flight
		s.mu.Unlock()
		select {
		case <-f.done:
			if f.err != nil {
				return nil, 0, 0, f.err
			}
		case <-ctx.Done():
			return nil, 0, 0, fmt.Errorf("datakey: waiting for key %q: %w: %w", s.spec.Name, ErrUnavailable, context.Cause(ctx))
		}
	}
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

// rollLocked drops an expired key and lets the next take over from a stale one.
func (s *Scope) rollLocked(now time.Time) {
	if s.key != nil && (s.key.expired(now) || s.next != nil && s.key.stale(now)) {
		s.retireLocked()
	}
	if s.key == nil && s.next != nil {
		s.key, s.next = s.next, nil
		if s.key.expired(now) {
			s.retireLocked()
			return
		}
		s.watchLocked(s.key)
	}
}

func (s *Scope) retireLocked() {
	s.current.Store(nil)
	s.key = nil
	s.stopTimersLocked()
}

// watchLocked makes callers come through lease when k reaches an age at which
// something is due, and drops k when it expires, even if nobody calls.
func (s *Scope) watchLocked(k *activeKey) {
	s.stopTimersLocked()
	age := time.Since(k.born)
	recall := func() { s.current.CompareAndSwap(k, nil) }
	s.timers = append(s.timers,
		time.AfterFunc(k.ahead-age, recall),
		time.AfterFunc(k.limits.Refresh-age, recall),
		time.AfterFunc(k.limits.Expire-age, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.key == k {
				s.rollLocked(time.Now())
			}
		}))
}

func (s *Scope) stopTimersLocked() {
	for _, t := range s.timers {
		t.Stop()
	}
	clear(s.timers) // their functions hold the key
	s.timers = s.timers[:0]
}

// startLocked begins to make a key, on a goroutine that depends on no caller.
func (s *Scope) startLocked() {
	f := &flight{done: make(chan struct{})}
	s.flight = f
	go func() {
		k, err := s.cache.makeKey(s)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.flight = nil
		now := time.Now()
		switch {
		case s.closed:
			f.err = errClosed
		case err != nil:
			f.err = err
			s.failedLocked(now, err)
		default:
			s.refused, s.retryAt = refusal{}, time.Time{}
			s.next = k
			// A current key that is not stale yet goes on until its timer.
			s.rollLocked(now)
		}
		close(f.done)
	}()
}

func (s *Scope) failedLocked(now time.Time, err error) {
	stands := failureTime
	wait := retryMin + time.Duration(rand.Int64N(int64(retryMax-retryMin))) //nolint:gosec // jitter, no secret
	if !retryable(err) {
		stands, wait = refusalTime, refusalTime
	}
	s.refused = refusal{err: err, until: now.Add(stands)}
	s.retryAt = now.Add(wait)
	if k := s.key; k != nil {
		// Leases would keep callers away for long: call them in again.
		s.timers = append(s.timers, time.AfterFunc(wait, func() { s.current.CompareAndSwap(k, nil) }))
	}
}

func (s *Scope) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.next = nil
	s.retireLocked()
}
