package datakey

import (
	"sync/atomic"
	"time"
)

// activeKey is a data key that a scope seals with, and its budget.
type activeKey struct {
	*material
	id      ID
	block   []byte // the encoded key block; shared, never changed
	wrapped []byte
	born    time.Time // when the KMS was asked for it: it expires by this
	proven  time.Time // when the KMS was last asked about the KEK
	limits  Limits

	// Under the lock of the scope, once it seals.
	regular bool      // it was fetched on schedule
	asked   bool      // the KMS was asked for the next one, and failed
	dueAt   time.Time // when the next key is fetched
	staleAt time.Time // when the next key takes over

	seals atomic.Uint64 // taken so far
	bytes atomic.Uint64
}

// Shares of Refresh. Together they are the rhythm of a busy scope: one key each
// 99 % of Refresh, so that the KMS is asked before Refresh is over.
const (
	aheadPercent = 80 // of a budget, at which the next key is fetched
	usePercent   = 79 // from taking over until the next key is fetched
	leadPercent  = 20 // from then until it takes over
	spanPercent  = usePercent + leadPercent
)

// schedule sets the times of k, which takes over now from last.
//
// A fleet that starts together would ask the KMS together ever after. So the
// first rhythm of a scope, and the first after a failure, which lines processes
// up as a start does, begins at a moment that spread picks from all of Refresh.
// From then on the rhythm is kept to the moment: what is spread evenly stays so,
// while a random step each time would only add noise.
func (k *activeKey) schedule(now time.Time, last *activeKey, spread func(time.Duration) time.Duration) {
	r := k.limits.Refresh
	latest := k.proven.Add(percent(r, spanPercent))
	if k.regular && last != nil {
		since := now
		// A takeover that a caller caused a little late keeps the rhythm.
		if late := now.Sub(last.staleAt); late >= 0 && late < r/10 {
			since = last.staleAt
		}
		k.dueAt = since.Add(percent(r, usePercent))
	} else {
		k.dueAt = k.proven.Add(percent(r, 1) + spread(percent(r, spanPercent-1)))
	}
	// The KMS is asked within Refresh, and early enough for keys that expire soon.
	for _, t := range []time.Time{latest, k.born.Add(percent(k.limits.Expire, aheadPercent))} {
		if k.dueAt.After(t) {
			k.dueAt = t
		}
	}
	k.staleAt = k.dueAt.Add(percent(r, leadPercent))
}

func percent(d time.Duration, n int64) time.Duration {
	return d/100*time.Duration(n) + d%100*time.Duration(n)/100
}

// take reserves seals and bytes. It never lets the sums pass the limits; what
// it took stays taken even when the second of the two does not fit, since a
// wasted number costs nothing.
func (k *activeKey) take(seals, bytes uint64) bool {
	return takeFrom(&k.seals, seals, k.limits.Seals) && takeFrom(&k.bytes, bytes, k.limits.Bytes)
}

func takeFrom(used *atomic.Uint64, n, limit uint64) bool {
	for {
		u := used.Load()
		if n > limit || u > limit-n {
			return false
		}
		if used.CompareAndSwap(u, u+n) {
			return true
		}
	}
}

func (k *activeKey) expired(now time.Time) bool { return now.Sub(k.born) >= k.limits.Expire }
func (k *activeKey) stale(now time.Time) bool   { return !now.Before(k.staleAt) }

// unproven tells that the KMS was not asked about the KEK for all of Refresh.
func (k *activeKey) unproven(now time.Time) bool {
	return !k.asked && now.Sub(k.proven) >= k.limits.Refresh
}

// ending tells that the next key should be fetched.
func (k *activeKey) ending(now time.Time) bool {
	return !now.Before(k.dueAt) ||
		k.seals.Load() >= k.limits.aheadSeals() || k.bytes.Load() >= k.limits.aheadBytes()
}
