package registry

import (
	"container/list"
	"context"
	"sync"
	"time"
)

// A group keeps what was fetched by key. Callers that miss the same key share
// one fetch, and failures stand for a while. It is safe for concurrent use.
type group[K comparable, V any] struct {
	maxCount int
	maxBytes int
	// fresh is how long a value is good, zero for ever. stale is for how long
	// beyond that it serves when it cannot be fetched again.
	fresh, stale time.Duration
	negative     time.Duration

	mu       sync.Mutex
	order    *list.List // of *entry[K, V], those used last in front
	entries  map[K]*list.Element
	bytes    int
	failures map[K]refusal
	flights  map[K]*flight[V]
}

type entry[K comparable, V any] struct {
	key   K
	value V
	size  int
	fresh time.Time // until when; zero for ever
	stale time.Time // until when at most
}

// A refusal is a failure that stands for a while.
type refusal struct {
	err   error
	until time.Time
}

// A flight is a fetch under way.
type flight[V any] struct {
	done  chan struct{} // closed when the results are there
	value V
	err   error
	// forgotten is set when something was changed meanwhile, so that the result
	// may be old already.
	forgotten bool
}

func newGroup[K comparable, V any](cfg *config, fresh, stale time.Duration) *group[K, V] {
	return &group[K, V]{
		maxCount: cfg.schemas, maxBytes: cfg.bytes, fresh: fresh, stale: stale, negative: cfg.negative,
		order: list.New(), entries: map[K]*list.Element{}, failures: map[K]refusal{}, flights: map[K]*flight[V]{},
	}
}

// get returns the value of key, for which it waits as long as ctx allows. fetch
// returns it with about the memory that it takes; it runs once for all that wait,
// and none of them ends it.
func (g *group[K, V]) get(ctx context.Context, l *life, key K, fetch func(context.Context) (V, int, error)) (V, error) {
	g.mu.Lock()
	now := time.Now()
	if at, ok := g.entries[key]; ok {
		e := at.Value.(*entry[K, V]) //nolint:errcheck,forcetypeassert // the list holds nothing else
		if e.fresh.IsZero() || now.Before(e.fresh) {
			g.order.MoveToFront(at)
			g.mu.Unlock()
			return e.value, nil
		}
	}
	if r, ok := g.failures[key]; ok && now.Before(r.until) {
		g.mu.Unlock()
		var none V
		return none, r.err
	}
	f, ok := g.flights[key]
	if !ok {
		f = &flight[V]{done: make(chan struct{})}
		if !l.start(func(ctx context.Context) {
			value, size, err := fetch(ctx)
			g.land(key, f, value, size, err)
		}) {
			g.mu.Unlock()
			var none V
			return none, ErrClosed
		}
		g.flights[key] = f
	}
	g.mu.Unlock()
	select {
	case <-f.done:
		return f.value, f.err
	case <-ctx.Done():
		var none V
		return none, context.Cause(ctx)
	}
}

// land keeps the results of a flight and hands them out.
func (g *group[K, V]) land(key K, f *flight[V], value V, size int, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	at, old := g.entries[key]
	switch {
	case err == nil:
		if old {
			g.remove(at)
		}
		delete(g.failures, key)
		if !f.forgotten {
			g.add(&entry[K, V]{key: key, value: value, size: size}, now)
		}
	case old && Retryable(err) && now.Before(at.Value.(*entry[K, V]).stale): //nolint:errcheck,forcetypeassert // see get
		e := at.Value.(*entry[K, V]) //nolint:errcheck,forcetypeassert // see get
		e.fresh = now.Add(min(g.negative, g.fresh))
		value, err = e.value, nil
	default:
		if old {
			g.remove(at)
		}
		g.refuse(key, err, now)
	}
	delete(g.flights, key)
	f.value, f.err = value, err
	close(f.done)
}

func (g *group[K, V]) refuse(key K, err error, now time.Time) {
	until := now.Add(g.negative)
	if Retryable(err) {
		until = now.Add(min(g.negative, defaultUnavailable))
	}
	for k := range g.failures { // which ones go does not matter: they come back
		if len(g.failures) < g.maxCount {
			break
		}
		delete(g.failures, k)
	}
	g.failures[key] = refusal{err: err, until: until}
}

func (g *group[K, V]) add(e *entry[K, V], now time.Time) {
	if g.fresh > 0 {
		e.fresh = now.Add(g.fresh)
		e.stale = e.fresh.Add(g.stale)
	}
	g.entries[e.key] = g.order.PushFront(e)
	g.bytes += e.size
	for g.order.Len() > g.maxCount || g.bytes > g.maxBytes && g.order.Len() > 1 {
		g.remove(g.order.Back())
	}
}

func (g *group[K, V]) remove(at *list.Element) {
	e := at.Value.(*entry[K, V]) //nolint:errcheck,forcetypeassert // see get
	g.order.Remove(at)
	delete(g.entries, e.key)
	g.bytes -= e.size
}

// forget drops what is known about a key, and about one that is being fetched.
func (g *group[K, V]) forget(key K) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if at, ok := g.entries[key]; ok {
		g.remove(at)
	}
	delete(g.failures, key)
	if f, ok := g.flights[key]; ok {
		f.forgotten = true
	}
}

// forgive drops what was refused about a key.
func (g *group[K, V]) forgive(key K) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.failures, key)
}

// items returns all that is kept, by key.
func (g *group[K, V]) items() map[K]V {
	g.mu.Lock()
	defer g.mu.Unlock()
	out := make(map[K]V, len(g.entries))
	for key, at := range g.entries {
		out[key] = at.Value.(*entry[K, V]).value //nolint:errcheck,forcetypeassert // see get
	}
	return out
}

// A life bounds what a Client does in the background.
type life struct {
	budget time.Duration

	mu     sync.Mutex
	closed bool
	work   sync.WaitGroup
	ctx    context.Context //nolint:containedctx // it lives as long as the Client
	cancel context.CancelCauseFunc
}

func newLife(budget time.Duration) *life {
	l := &life{budget: budget}
	l.ctx, l.cancel = context.WithCancelCause(context.Background())
	return l
}

// start runs f in the background, within the budget of a call. It returns false
// after close.
func (l *life) start(f func(context.Context)) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.work.Go(func() {
		ctx, cancel := context.WithTimeoutCause(l.ctx, l.budget, errBudget)
		defer cancel()
		f(ctx)
	})
	return true
}

// within returns a context for a call that its caller waits for.
func (l *life) within(ctx context.Context) (context.Context, context.CancelFunc, error) {
	l.mu.Lock()
	closed := l.closed
	l.mu.Unlock()
	if closed {
		return nil, nil, ErrClosed
	}
	ctx, cancel := context.WithTimeoutCause(ctx, l.budget, errBudget)
	stop := context.AfterFunc(l.ctx, cancel)
	return ctx, func() { stop(); cancel() }, nil
}

// close ends all work and waits for it.
func (l *life) close() {
	l.mu.Lock()
	l.closed = true
	l.cancel(ErrClosed)
	l.mu.Unlock()
	l.work.Wait()
}
