package datakey

import (
	"errors"
	"math/rand/v2"
	"time"
)

// rollLocked drops an expired key and lets the next take over from a stale one.
func (s *Scope) rollLocked(now time.Time) {
	last := s.key
	if s.key != nil && (s.key.expired(now) || s.next != nil && s.key.stale(now)) {
		s.dropKeyLocked(DropExpired)
	}
	if s.key == nil && s.next != nil {
		s.key, s.next = s.next, nil
		if s.key.expired(now) {
			s.dropKeyLocked(DropExpired)
			return
		}
		s.key.schedule(now, last, s.cache.cfg.spread)
		s.watchLocked(s.key)
		s.counts.keys.Add(1)
		s.events = append(s.events, s.event(EventKey))
	}
}

// renewLocked begins to fetch the next key when it is time.
//
// Usually callers go on meanwhile. But a key that the KMS was not asked about
// for the whole of Refresh, because nobody came, may have been revoked long ago:
// then the first who comes waits for the answer, whatever it is.
func (s *Scope) renewLocked(now time.Time) {
	k := s.key
	if s.next != nil || s.flight != nil || s.suspect || !k.ending(now) || now.Before(s.retryAt) {
		return
	}
	needed := k.unproven(now)
	s.startLocked(&flight{regular: !s.failing, calm: !s.failing && !needed && !now.Before(k.dueAt), needed: needed})
}

// dropKeyLocked lets go of the key.
func (s *Scope) dropKeyLocked(why DropReason) {
	if s.next != nil && (why == DropExpired || why == DropExhausted) {
		why = DropReplaced
	}
	s.counts.drop(why)
	e := s.event(EventDrop)
	e.Reason = why
	s.events = append(s.events, e)
	s.current.Store(nil)
	s.key = nil
	s.stopTimersLocked()
}

// watchLocked makes callers come through lease when k reaches an age at which
// something is due, and drops k when it expires, even if nobody calls.
func (s *Scope) watchLocked(k *activeKey) {
	s.stopTimersLocked()
	now := time.Now()
	s.timers = append(s.timers,
		time.AfterFunc(k.dueAt.Sub(now), func() { s.recall(k) }),
		time.AfterFunc(k.staleAt.Sub(now), func() { s.recall(k) }),
		time.AfterFunc(k.limits.Expire-now.Sub(k.born), func() {
			s.mu.Lock()
			defer s.unlock()
			if s.key == k {
				s.rollLocked(time.Now())
			}
		}))
}

// recall makes callers come through lease, and does itself what a caller would
// do where the scope is kept warm without.
func (s *Scope) recall(k *activeKey) {
	s.current.CompareAndSwap(k, nil)
	s.mu.Lock()
	defer s.unlock()
	if !s.required || s.key != k {
		return
	}
	now := time.Now()
	s.rollLocked(now)
	if s.key != nil {
		s.renewLocked(now)
	}
}

func (s *Scope) stopTimersLocked() {
	for _, t := range s.timers {
		t.Stop()
	}
	clear(s.timers) // their functions hold the key
	s.timers = s.timers[:0]
}

// startLocked begins to make a key, on a goroutine that depends on no caller.
func (s *Scope) startLocked(f *flight) {
	f.done = make(chan struct{})
	f.first, s.loaded = !s.loaded, true
	s.flight = f
	go func() {
		k, err := s.cache.makeKey(s, f)
		if s.land(f, k, err) {
			s.cache.keep(s)
		}
		close(f.done)
	}()
}

// land ends a flight, and tells whether it brought a key.
func (s *Scope) land(f *flight, k *activeKey, err error) (ok bool) {
	s.mu.Lock()
	defer s.unlock()
	s.flight = nil
	now := time.Now()
	switch {
	case s.closed:
		f.err = errClosed
		return false
	case err != nil:
		f.err = err
		s.failedLocked(now, f, err)
		return false
	}
	k.regular = f.regular
	s.refused, s.retryAt, s.failing, s.suspect = refusal{}, time.Time{}, false, false
	s.next = k
	// A current key that is not stale yet goes on until its timer.
	s.rollLocked(now)
	return true
}

func (s *Scope) failedLocked(now time.Time, f *flight, err error) {
	s.failing = true
	until := now.Add(failureTime)
	wait := retryMin + time.Duration(rand.Int64N(int64(retryMax-retryMin))) //nolint:gosec // jitter, no secret
	if !retryable(err) {
		until, wait = now.Add(refusalTime), refusalTime
		// An answer that another scope got is no older here than there.
		if n, ok := errors.AsType[*negativeError](err); ok {
			until = n.until
		}
	}
	switch held := s.key != nil || s.next != nil; {
	case s.suspect && retryable(err):
		s.confirmLocked()
	case s.suspect && refuses(err):
		s.revokeLocked()
	case s.suspect:
		s.suspect = false
	case held && refuses(err):
		// Once may be a permission that has not spread yet, twice is an answer.
		s.suspect = true
		s.confirmLocked()
		if f.needed {
			// This key was not proven for so long that it may not wait for the
			// second answer.
			s.clearLocked(DropRevoked)
			until = now.Add(confirmTime + failureTime)
		}
	}
	circuit := asCircuit(err)
	if circuit != nil {
		until = now.Add(probeMax) // or until it lets a call out
	}
	s.refused = refusal{err: err, until: until, circuit: circuit}
	s.retryAt = now.Add(wait)
	if k := s.key; k != nil {
		k.asked = true
		// Leases would keep callers away for long: call them in again.
		s.timers = append(s.timers, time.AfterFunc(wait, func() { s.recall(k) }))
	}
}

// confirmLocked asks the KMS again in a while.
func (s *Scope) confirmLocked() {
	s.confirm = time.AfterFunc(confirmTime, func() {
		s.mu.Lock()
		defer s.unlock()
		if s.suspect && s.flight == nil && !s.closed {
			s.startLocked(&flight{confirm: true})
		}
	})
}

// revokeLocked drops everything that the KMS gave: it withholds the KEK. Openers
// go too, so that the KMS decides about each key anew.
func (s *Scope) revokeLocked() {
	s.suspect = false
	s.clearLocked(DropRevoked)
	s.cache.openers.dropScope(s)
}

// tick tries to get a key for a scope that is kept warm.
func (s *Scope) tick() {
	s.mu.Lock()
	defer s.unlock()
	s.retry = nil
	now := time.Now()
	s.rollLocked(now)
	if s.key == nil && s.flight == nil && !s.closed && !s.suspect && !s.refused.stands(now) {
		s.startLocked(&flight{})
	}
}

// retryTick is the time between looks at whether a key may be asked for again.
// A look is no call: refusals and circuits hold for it too.
func retryTick() time.Duration {
	return 250*time.Millisecond + time.Duration(rand.Int64N(int64(500*time.Millisecond))) //nolint:gosec // jitter, no secret
}
