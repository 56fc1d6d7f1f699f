package datakey

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fieldveil/fieldveil/internal/envelope"
)

// A domainVersion is one key of a domain, unwrapped or not.
type domainVersion struct {
	domain *Domain
	id     ID
	wanted envelope.KeyBlock
	block  []byte        // the encoded wanted; shared, never changed
	seals  atomic.Uint64 // taken by this process, however often it was unwrapped

	current atomic.Pointer[domainKey] // nil when the KMS must be asked first

	mu       sync.Mutex
	flight   *flight // unwrapping that is under way
	refused  refusal
	failing  bool // the last unwrapping failed
	suspect  bool // the KMS refused while there was a key, and is asked again soon
	required bool // kept warm without callers
	timers   []*time.Timer
	confirm  *time.Timer
	retry    *time.Timer
	closed   bool
}

// A domainKey is a version that was unwrapped. Unwrapped again, it is another.
type domainKey struct {
	opener *Opener
	born   time.Time
	due    atomic.Bool // to be unwrapped again by the next who asks
	asked  bool        // the KMS was asked again, and failed; under the lock
}

func newDomainVersion(d *Domain, block []byte) (*domainVersion, error) {
	kb, err := envelope.ParseKeyBlock(block)
	if err != nil {
		return nil, err
	}
	if kb.Tenant != d.spec.Tenant || !slices.Contains(d.spec.KEKs, kb.KEK) {
		return nil, &ForeignKeyError{KEK: kb.KEK, Tenant: kb.Tenant}
	}
	return &domainVersion{domain: d, id: ID(kb.Commitment.KeyID()), wanted: kb, block: slices.Clip(block)}, nil
}

// ready returns the key if it is at hand and nothing is due. It is all that the
// hot path does.
func (v *domainVersion) ready() *domainKey {
	if k := v.current.Load(); k != nil && !k.due.Load() {
		return k
	}
	return nil
}

// lease takes n seals, or more where there is room, off the budget.
func (v *domainVersion) lease(n uint64) (got uint64, ok bool) {
	if got = max(n, leaseSeals); takeFrom(&v.seals, got, MaxDomainSeals) {
		return got, true
	}
	return n, takeFrom(&v.seals, n, MaxDomainSeals)
}

// get returns the key, and waits when the KMS must be asked first.
func (v *domainVersion) get(ctx context.Context) (*domainKey, error) {
	for {
		v.mu.Lock()
		if v.closed {
			v.unlock()
			return nil, errClosed
		}
		now := time.Now()
		if k := v.current.Load(); k != nil && !now.Before(k.opener.expires) {
			v.endLocked() // the timer is late
		}
		k := v.current.Load()
		if k != nil {
			v.renewLocked(k, now)
		}
		switch {
		case k != nil && (v.flight == nil || !v.flight.needed || k.asked):
			v.unlock()
			return k, nil
		case v.flight == nil && v.refused.stands(now):
			err := v.refused.err
			v.unlock()
			return nil, err
		case v.flight == nil:
			v.startLocked(&flight{})
		}
		f := v.flight
		v.unlock()
		err := f.await(ctx, v.domain.cache.wrapper.endpoint(v.wanted.KEK))
		switch {
		case err != nil && f.needed && ctx.Err() == nil:
			v.letGo(f) // see Scope.await
		case err != nil:
			return nil, v.failure("wait for", ErrUnavailable, err)
		case f.err != nil && !f.needed:
			return nil, f.err
		}
	}
}

// letGo lets callers seal while a question to the KMS is still open.
func (v *domainVersion) letGo(f *flight) {
	v.mu.Lock()
	defer v.unlock()
	if k := v.current.Load(); k != nil && v.flight == f {
		k.asked = true
		k.due.Store(false)
	}
}

// unlock releases the lock. A version that is kept warm looks after itself.
func (v *domainVersion) unlock() {
	if v.required && v.current.Load() == nil && v.flight == nil && v.retry == nil && !v.closed {
		v.retry = time.AfterFunc(retryTick(), v.tick)
	}
	v.mu.Unlock()
}

func (v *domainVersion) tick() {
	v.mu.Lock()
	defer v.unlock()
	v.retry = nil
	if v.current.Load() == nil && v.flight == nil && !v.closed && !v.suspect && !v.refused.stands(time.Now()) {
		v.startLocked(&flight{})
	}
}

// renewLocked begins to unwrap anew when that is due. A key that the KMS was not
// asked about for all of Refresh waits for the answer: see Scope.renewLocked.
func (v *domainVersion) renewLocked(k *domainKey, now time.Time) {
	if !k.due.Load() || v.flight != nil || v.suspect {
		return
	}
	f := &flight{needed: !k.asked && now.Sub(k.born) >= v.domain.spec.Limits.Refresh, regular: !v.failing}
	// After a failure a timer says when it is due again. While callers have to
	// wait, none may pass by.
	k.due.Store(f.needed)
	v.startLocked(f)
}

// startLocked begins to unwrap, on a goroutine that depends on no caller.
func (v *domainVersion) startLocked(f *flight) {
	f.done = make(chan struct{})
	v.flight = f
	go func() {
		k, err := v.unwrap(f.confirm)
		v.mu.Lock()
		defer v.unlock()
		defer close(f.done)
		v.flight = nil
		switch {
		case v.closed:
			f.err = errClosed
		case err != nil:
			f.err = err
			v.failedLocked(time.Now(), f, err)
		default:
			v.refused, v.failing, v.suspect = refusal{}, false, false
			v.takeOverLocked(k, f.regular)
		}
	}()
}

// takeOverLocked makes k the key, until it is due and for no longer than it may
// live, even if nobody calls.
func (v *domainVersion) takeOverLocked(k *domainKey, regular bool) {
	v.dropLocked()
	v.current.Store(k)
	v.timers = append(v.timers,
		time.AfterFunc(time.Until(v.dueAt(k, regular)), func() { v.recall(k) }),
		time.AfterFunc(time.Until(k.opener.expires), func() {
			v.mu.Lock()
			defer v.mu.Unlock()
			if v.current.Load() == k {
				v.endLocked()
			}
		}))
}

// endLocked ends the use of the key, and wipes what can be wiped. When a key is
// only replaced by itself, unwrapped anew, records that are under way finish with
// the old one.
func (v *domainVersion) endLocked() {
	if k := v.current.Load(); k != nil {
		k.opener.m.wipe()
	}
	v.dropLocked()
}

// dropLocked lets go of the key. Who still holds its opener is told.
func (v *domainVersion) dropLocked() {
	if k := v.current.Swap(nil); k != nil {
		k.opener.expired.Store(true)
	}
	for _, t := range v.timers {
		t.Stop()
	}
	clear(v.timers) // their functions hold the key
	v.timers = v.timers[:0]
}

// dueAt returns when a key is unwrapped again, in the rhythm of a Scope: see
// activeKey.schedule.
func (v *domainVersion) dueAt(k *domainKey, regular bool) time.Time {
	limits := v.domain.spec.Limits
	age := percent(limits.Refresh, spanPercent)
	if !regular {
		age = percent(limits.Refresh, 1) + v.domain.cache.cfg.spread(percent(limits.Refresh, spanPercent-1))
	}
	return k.born.Add(min(age, percent(limits.Expire, aheadPercent)))
}

// recall makes the next caller start what is due, or starts it itself where the
// version is kept warm without.
func (v *domainVersion) recall(k *domainKey) {
	k.due.Store(true)
	v.mu.Lock()
	defer v.unlock()
	if v.required && v.current.Load() == k {
		v.renewLocked(k, time.Now())
	}
}

func (v *domainVersion) failedLocked(now time.Time, f *flight, err error) {
	v.failing = true
	until := now.Add(failureTime)
	wait := retryMin + draw(retryMax-retryMin)
	if !retryable(err) {
		until, wait = now.Add(refusalTime), refusalTime
		if n, ok := errors.AsType[*negativeError](err); ok {
			until = n.until
		}
	}
	k := v.current.Load()
	switch {
	case v.suspect && retryable(err):
		v.confirmLocked()
	case v.suspect:
		v.suspect = false
		if refuses(err) {
			v.endLocked()
		}
	case k != nil && refuses(err):
		// As in Scope.failedLocked: once may be noise, twice is an answer.
		v.suspect = true
		v.confirmLocked()
		if f.needed {
			v.endLocked()
			until = now.Add(confirmTime + failureTime)
		}
	}
	circuit := asCircuit(err)
	if circuit != nil {
		until = now.Add(probeMax) // or until it lets a call out
	}
	v.refused = refusal{err: err, until: until, circuit: circuit}
	if k = v.current.Load(); k != nil {
		k.asked = true
		k.due.Store(false)
		v.timers = append(v.timers, time.AfterFunc(wait, func() { v.recall(k) }))
	}
}

// confirmLocked asks the KMS again in a while.
func (v *domainVersion) confirmLocked() {
	v.confirm = time.AfterFunc(confirmTime, func() {
		v.mu.Lock()
		defer v.unlock()
		if v.suspect && v.flight == nil && !v.closed {
			v.startLocked(&flight{confirm: true})
		}
	})
}

// unwrap has the KMS open the block and proves that it is the key that the block
// commits to.
func (v *domainVersion) unwrap(confirm bool) (*domainKey, error) {
	c, kb := v.domain.cache, v.wanted
	if !confirm {
		if err := c.negatives.kek(kb.KEK, c.cfg.timeout); err != nil {
			return nil, v.failure("unwrap", classOf(err), err)
		}
	}
	turn, err := c.wrapper.turn(context.Background(), kb.KEK)
	if err != nil {
		return nil, v.failure("unwrap", classOf(err), err)
	}
	defer turn.end()
	ctx, cancel := context.WithTimeout(context.Background(), c.cfg.timeout)
	defer cancel()
	// The time before the call counts, so that a slow KMS cannot stretch the
	// life of a key.
	asked := time.Now()
	plain, err := turn.Unwrap(ctx, kb.KEK, slices.Clone(kb.Wrapped), encryptionContext(kb.Tenant))
	if err != nil {
		// It may be a version of the KEK, and then others under it are sound: v
		// remembers for itself.
		return nil, v.failure("unwrap", classOf(err), err)
	}
	c.negatives.learn(kb.KEK, nil)
	m, err := deriveDomain(plain)
	if err != nil {
		return nil, v.failure("unwrap", ErrUnusable, err)
	}
	if !equalCommitment(m.commitment, kb.Commitment) {
		return nil, v.failure("unwrap", ErrUnusable, ErrCommitment)
	}
	expires := asked.Add(v.domain.spec.Limits.Expire)
	if !time.Now().Before(expires) {
		return nil, v.failure("unwrap", ErrUnavailable, errSlow)
	}
	return &domainKey{
		opener: &Opener{suite: AES256SIV, id: v.id, m: m, expires: expires},
		born:   asked,
	}, nil
}

// failure says what could not be done with the key, and in which class.
func (v *domainVersion) failure(op string, class, err error) error {
	return fmt.Errorf("datakey: %s key %s of domain %q under %s: %w: %w", op, v.id, v.domain.spec.Name, v.wanted.KEK, class, err)
}

func (v *domainVersion) close() {
	v.mu.Lock()
	defer v.unlock()
	v.closed = true
	v.endLocked()
	for _, t := range []*time.Timer{v.confirm, v.retry} {
		if t != nil {
			t.Stop()
		}
	}
}
