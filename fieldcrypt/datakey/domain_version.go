package datakey

import (
	"context"
	"fmt"
	"math/rand/v2"
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

	mu      sync.Mutex
	flight  *flight // unwrapping that is under way
	refused refusal
	timers  []*time.Timer
	closed  bool
}

// A domainKey is a version that was unwrapped. Unwrapped again, it is another.
type domainKey struct {
	opener *Opener
	born   time.Time
	due    atomic.Bool // to be unwrapped again by the next who asks
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
			v.mu.Unlock()
			return nil, errClosed
		}
		now := time.Now()
		if k := v.current.Load(); k != nil {
			if now.Before(k.opener.expires) {
				// After a failure a timer says when it is due again.
				if k.due.Swap(false) && v.flight == nil {
					v.startLocked()
				}
				v.mu.Unlock()
				return k, nil
			}
			v.dropLocked() // the timer is late
		}
		if v.flight == nil {
			if now.Before(v.refused.until) {
				err := v.refused.err
				v.mu.Unlock()
				return nil, err
			}
			v.startLocked()
		}
		f := v.flight
		v.mu.Unlock()
		select {
		case <-f.done:
			if f.err != nil {
				return nil, f.err
			}
		case <-ctx.Done():
			return nil, v.failure("wait for", ErrUnavailable, context.Cause(ctx))
		}
	}
}

// startLocked begins to unwrap, on a goroutine that depends on no caller.
func (v *domainVersion) startLocked() {
	f := &flight{done: make(chan struct{})}
	v.flight = f
	go func() {
		k, err := v.unwrap()
		v.mu.Lock()
		defer v.mu.Unlock()
		v.flight = nil
		switch {
		case v.closed:
			f.err = errClosed
		case err != nil:
			f.err = err
			v.failedLocked(time.Now(), err)
		default:
			v.refused = refusal{}
			v.takeOverLocked(k)
		}
		close(f.done)
	}()
}

// takeOverLocked makes k the key, until it is due and for no longer than it may
// live, even if nobody calls.
func (v *domainVersion) takeOverLocked(k *domainKey) {
	v.dropLocked()
	v.current.Store(k)
	limits := v.domain.spec.Limits
	v.timers = append(v.timers,
		time.AfterFunc(time.Until(k.born.Add(aheadWithJitter(limits))), func() { k.due.Store(true) }),
		time.AfterFunc(time.Until(k.opener.expires), func() {
			v.mu.Lock()
			defer v.mu.Unlock()
			if v.current.Load() == k {
				v.dropLocked()
			}
		}))
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

func (v *domainVersion) failedLocked(now time.Time, err error) {
	stands := failureTime
	wait := retryMin + time.Duration(rand.Int64N(int64(retryMax-retryMin))) //nolint:gosec // jitter, no secret
	if !retryable(err) {
		stands, wait = refusalTime, refusalTime
	}
	v.refused = refusal{err: err, until: now.Add(stands)}
	if k := v.current.Load(); k != nil {
		v.timers = append(v.timers, time.AfterFunc(wait, func() { k.due.Store(true) }))
	}
}

// unwrap has the KMS open the block and proves that it is the key that the block
// commits to.
func (v *domainVersion) unwrap() (*domainKey, error) {
	c, kb := v.domain.cache, v.wanted
	ctx, cancel := context.WithTimeout(context.Background(), c.cfg.timeout)
	defer cancel()
	// The time before the call counts, so that a slow KMS cannot stretch the
	// life of a key.
	asked := time.Now()
	var plain []byte
	err := c.call(ctx, func() (err error) {
		plain, err = c.wrapper.Unwrap(ctx, kb.KEK, slices.Clone(kb.Wrapped), encryptionContext(kb.Tenant))
		return err
	})
	if err != nil {
		return nil, v.failure("unwrap", classOf(err), err)
	}
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
	defer v.mu.Unlock()
	v.closed = true
	v.dropLocked()
}
