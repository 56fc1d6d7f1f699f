package serve

import (
	"context"
	"log/slog"
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
	return sidecar.Check{Name: "kafka", Err: h.err, Word: "unreachable", Optional: h.seen}
}

// changes tells the log when a check begins to fail, or fails for another reason,
// and when it is well again, as far as somebody probes.
type changes struct {
	mu      sync.Mutex
	failing map[string]string // reasons
}

func (n *changes) look(ctx context.Context, log *slog.Logger, checks []sidecar.Check) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range checks {
		was, is := n.failing[c.Name], c.Reason()
		switch {
		case is == was:
		case is != "":
			log.LogAttrs(ctx, slog.LevelWarn, "a check fails", slog.String("component", c.Name), slog.String("reason", is), slog.Any("error", c.Err))
		default:
			log.LogAttrs(ctx, slog.LevelInfo, "a check is well again", slog.String("component", c.Name))
		}
		if n.failing == nil {
			n.failing = make(map[string]string)
		}
		n.failing[c.Name] = is
	}
}
