package sidecar

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/fieldveil/fieldveil/sidecar/config"
)

// A Generation is all that serves records under one configuration. It is made by
// a [Builder] and not changed after that. Functions that are nil do nothing.
type Generation struct {
	// REST and RPC answer requests on the listeners of those names. Nil answers
	// 404, or leaves the listener to a [Service].
	REST, RPC http.Handler
	// Ready tells whether it can protect and send, check by check. It is called
	// for each probe and must not wait for long.
	Ready func(context.Context) []Check
	// Stop tells streams to come to an end, because the process does. It must not
	// wait.
	Stop func()
	// Close ends what the generation began. No request uses it any more, unless the
	// context of those that did was ended because reload.grace was over.
	Close func(context.Context)
}

// A Builder builds a generation. An error leaves the one before in place, and ends
// a process that has none. It holds no value of a secret. Builders run one at a
// time.
type Builder func(ctx context.Context, cfg *config.Config) (*Generation, error)

// A Check is one thing that has to be so for records to be served.
type Check struct {
	// Name is one word, such as "policy", "keys" or "kafka".
	Name string
	// Err is nil for what is well. Who may probe does not see its text.
	Err error
	// Word says why it fails, in one word of the program. Empty: what is known of
	// Err says it, such as "denied" by a KMS, or "failed".
	Word string
	// Optional checks are shown and do not make the sidecar unready.
	Optional bool
}

// A Current is the generation that requests are to use now. The zero Current has
// none. It is safe for concurrent use.
type Current struct{ slot atomic.Pointer[slot] }

// A slot counts who uses a generation. The frame itself is one of them, as long as
// the generation is the current one, so that it cannot come back from none.
type slot struct {
	gen    *Generation
	users  atomic.Int64
	unused chan struct{}   // closed with the last user
	ctx    context.Context //nolint:containedctx // the life of the slot, which ends those of its requests
	expire context.CancelFunc
}

// Acquire returns the current generation, or nil when there is none yet. It stays
// open until release is called, which may be called more than once.
func (c *Current) Acquire() (gen *Generation, release func()) {
	s := c.acquire()
	if s == nil {
		return nil, func() {}
	}
	return s.gen, sync.OnceFunc(s.release)
}

func (c *Current) acquire() *slot {
	for {
		s := c.slot.Load()
		if s == nil {
			return nil
		}
		// A slot that nobody uses was replaced since it was loaded.
		if n := s.users.Load(); n > 0 && s.users.CompareAndSwap(n, n+1) {
			return s
		}
	}
}

func (s *slot) release() {
	if s.users.Add(-1) == 0 {
		close(s.unused)
	}
}

// swap puts gen in place, and returns the slot of the one before, which is nil the
// first time. What was returned has to be retired.
func (c *Current) swap(gen *Generation) *slot {
	s := &slot{gen: gen, unused: make(chan struct{})}
	s.ctx, s.expire = context.WithCancel(context.Background())
	s.users.Store(1)
	return c.slot.Swap(s)
}

// retire closes the generation of s after its last user. When over ends before
// that, the contexts of those who still use it end, and it is closed then.
func (s *slot) retire(over context.Context) {
	s.release()
	select {
	case <-s.unused:
	case <-over.Done():
	}
	s.expire()
	if s.gen.Close != nil {
		s.gen.Close(context.WithoutCancel(over))
	}
}

// handler serves each request by one generation.
func (c *Current) handler(pick func(*Generation) http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := c.acquire()
		if s == nil {
			http.Error(w, "starting", http.StatusServiceUnavailable)
			return
		}
		defer s.release()
		h := pick(s.gen)
		if h == nil {
			http.NotFound(w, r)
			return
		}
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		defer context.AfterFunc(s.ctx, cancel)()
		h.ServeHTTP(w, r.WithContext(ctx))
	})
}
