package load

import (
	"context"
	"sync"
	"time"
)

// A Window is a closed loop over what an open loop sends with: so many bursts are
// under way at a time, and each that is answered lets the next one go.
type Window struct {
	Bursts int // at a time
	Burst  int // records of a burst
	For    time.Duration
}

// Run sends until the time is over or ctx ends, and waits for what is under way.
// Latencies are those from the sending of a burst on. It returns an error only where
// the load itself could not go on.
func (w Window) Run(ctx context.Context, send Send) (*Result, error) {
	var (
		mu   sync.Mutex
		out  = Result{Latency: NewHistogram()}
		err  error
		room = make(chan struct{}, max(w.Bursts, 1))
	)
	burst := max(w.Burst, 1)
	begin := time.Now()
	for time.Since(begin) < w.For && ctx.Err() == nil && err == nil {
		room <- struct{}{}
		at, left := time.Now(), burst
		err = send(ctx, burst, func(n int, err error) {
			took := time.Since(at)
			mu.Lock()
			if err != nil {
				out.Failed += int64(n)
				out.Err = err
			} else {
				out.Acknowledged += int64(n)
			}
			left -= n
			over := left <= 0
			mu.Unlock()
			if err == nil {
				out.Latency.Record(took, int64(n))
			}
			if over {
				<-room
			}
		})
		if err != nil {
			<-room // it was not sent
			break
		}
		out.Sent += int64(burst)
	}
	for range cap(room) {
		room <- struct{}{}
	}
	out.Due, out.Took = out.Sent, time.Since(begin)
	mu.Lock()
	defer mu.Unlock()
	return &out, err
}
