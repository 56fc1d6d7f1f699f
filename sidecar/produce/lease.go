package produce

import (
	"context"
	"sync/atomic"
	"time"
)

// leases are the contexts with which records are handed over. The client gives up
// a record whose context has ended where it is sure that no broker has it. Its
// own limit of time would count from the time that the record bears, which is the
// sender's to choose.
//
// Records that come within a short time share a lease, so that a record costs no
// timer.
type leases struct {
	delivery time.Duration
	current  atomic.Pointer[lease]
}

type lease struct {
	ctx   context.Context //nolint:containedctx // it is what is shared
	until time.Time       // for new records
}

// now returns the lease of a record that comes now. It ends after 11 to 12
// sixteenths of the time for delivery.
func (l *leases) now(now time.Time) context.Context {
	if c := l.current.Load(); c != nil && now.Before(c.until) {
		return c.ctx
	}
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(l.delivery*3/4, cancel)
	l.current.Store(&lease{ctx, now.Add(l.delivery / 16)})
	return ctx
}
