package serve

import (
	"context"
	"sync"
	"time"

	"github.com/fieldveil/fieldveil/sidecar"
)

// health tells whether the cluster answers. A start waits for it. Later on, a
// cluster that is away is shown and makes nobody unready: its clients are told
// record by record, and no other sidecar would do better.
type health struct {
	ping func(context.Context) error

	mu   sync.Mutex
	at   time.Time // of the last answer, or of none
	err  error
	seen bool // that it ever answered
}

const (
	pingEvery = 2 * time.Second
	pingMost  = time.Second
)

func (h *health) check(ctx context.Context) sidecar.Check {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.at.IsZero() || time.Since(h.at) >= pingEvery {
		ctx, cancel := context.WithTimeout(ctx, pingMost)
		defer cancel()
		h.err = nil
		if h.ping(ctx) != nil {
			h.err = errCluster // what the client says names brokers, and more
		}
		h.at = time.Now()
		h.seen = h.seen || h.err == nil
	}
	return sidecar.Check{Name: "kafka", Err: h.err, Optional: h.seen}
}
