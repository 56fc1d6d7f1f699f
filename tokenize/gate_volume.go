package tokenize

import (
	"fmt"
	"sync"
	"time"
)

// A LimitError is the [ErrLimit] of one request.
type LimitError struct {
	// RetryAfter is when the same request can pass; 0 when it never can, because
	// it asks for more than a caller may have at once.
	RetryAfter time.Duration
	// Most is how many values a caller may have at once.
	Most int
}

// Error tells when to ask again.
func (e *LimitError) Error() string {
	if e.RetryAfter == 0 {
		return fmt.Sprintf("%v: at most %d at once", ErrLimit, e.Most)
	}
	return fmt.Sprintf("%v: again in %v", ErrLimit, e.RetryAfter)
}

// Unwrap returns ErrLimit.
func (*LimitError) Unwrap() error { return ErrLimit }

// maxCallers bounds the memory that names of callers take.
const maxCallers = 1 << 16

// A volume is a bucket for each caller, that fills evenly and up to most.
type volume struct {
	most int
	per  time.Duration // in which an empty bucket is full again

	mu      sync.Mutex
	callers map[string]bucket
}

// A bucket is full at a time, and the more values were taken the later.
type bucket struct{ full time.Time }

func newVolume(most int, per time.Duration) *volume {
	return &volume{most: most, per: per, callers: map[string]bucket{}}
}

// cost is how long n values take to come in again, of most at most. In floating
// point nothing overflows, and a nanosecond does no harm.
func (v *volume) cost(n int) time.Duration {
	return time.Duration(float64(v.per) * (float64(n) / float64(v.most)))
}

// take lets caller have n values, or says when to ask again.
func (v *volume) take(caller string, n int, now time.Time) error {
	if n > v.most {
		return &LimitError{Most: v.most}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	b, known := v.callers[caller]
	if !known && len(v.callers) >= maxCallers && !v.forget(now) {
		return &LimitError{Most: v.most, RetryAfter: v.per}
	}
	full := b.full
	if full.Before(now) {
		full = now
	}
	full = full.Add(v.cost(n))
	// The bucket of one who took all is full after per.
	if wait := full.Sub(now) - v.per; wait > 0 {
		return &LimitError{Most: v.most, RetryAfter: wait}
	}
	v.callers[caller] = bucket{full: full}
	return nil
}

// forget drops callers whose bucket is full, as it is for one never seen, and
// tells whether there were any. The caller holds mu.
func (v *volume) forget(now time.Time) bool {
	before := len(v.callers)
	for caller, b := range v.callers {
		if !b.full.After(now) {
			delete(v.callers, caller)
		}
	}
	return len(v.callers) < before
}
