package load

import (
	"context"
	"sync"
	"time"
)

// A Closed is a closed loop: workers that each send their next request when the
// last one was answered. It tells how much a server can take, and nothing about
// latencies.
type Closed struct {
	Workers int
	For     time.Duration
}

// A Call makes one request and returns how many records were acknowledged.
type Call func(ctx context.Context, worker int) (records int, err error)

// Run calls until the time is over. The first error ends it.
func (c Closed) Run(ctx context.Context, call Call) (*Result, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var (
		wg  sync.WaitGroup
		mu  sync.Mutex
		out = Result{Latency: NewHistogram()}
	)
	begin := time.Now()
	end := begin.Add(c.For)
	for w := range max(c.Workers, 1) {
		wg.Go(func() {
			n := int64(0)
			defer func() {
				mu.Lock()
				defer mu.Unlock()
				out.Acknowledged += n
			}()
			for time.Now().Before(end) && ctx.Err() == nil {
				k, err := call(ctx, w)
				n += int64(k)
				if err != nil {
					cancel(err)
					return
				}
			}
		})
	}
	wg.Wait()
	out.Took = time.Since(begin)
	out.Due, out.Sent = out.Acknowledged, out.Acknowledged
	return &out, context.Cause(ctx)
}
