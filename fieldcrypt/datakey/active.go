package datakey

import (
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// activeKey is a data key that a scope seals with, and its budget.
type activeKey struct {
	*material
	id     ID
	block  []byte // the encoded key block; shared, never changed
	born   time.Time
	limits Limits
	ahead  time.Duration // age at which the next key is fetched

	seals atomic.Uint64 // taken so far
	bytes atomic.Uint64
}

// aheadWithJitter spreads the moment of fetching ahead over a tenth of the age:
// the processes of a fleet, started together, would otherwise ask the KMS
// together ever after.
func aheadWithJitter(l Limits) time.Duration {
	ahead := l.aheadAge()
	return ahead - time.Duration(rand.Int64N(int64(ahead/10)+1)) //nolint:gosec // jitter, no secret
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
func (k *activeKey) stale(now time.Time) bool   { return now.Sub(k.born) >= k.limits.Refresh }

// ending tells that the next key should be fetched.
func (k *activeKey) ending(now time.Time) bool {
	return now.Sub(k.born) >= k.ahead ||
		k.seals.Load() >= k.limits.aheadSeals() || k.bytes.Load() >= k.limits.aheadBytes()
}
