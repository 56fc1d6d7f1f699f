package produce

import (
	"context"
	"sync"
	"time"
)

// A waiter is what a watcher holds: a record of Send or a batch of SendBatch, of
// which somebody waits to be told.
type waiter struct {
	watcher    *watcher
	prev, next *waiter // in the watcher's list, and under its lock
	listed     bool
	started    time.Time // for an Observer and for the time of delivery
	abandon    func()    // tells the sender that nobody waits any more; made once
}

// watchers end what was sent when its context ends. What has one context, such as
// that of a stream, shares a watcher, so that a record needs neither a goroutine
// nor a place in the context's own list.
type watchers struct {
	p      *Pipeline
	mu     sync.Mutex
	byDone map[<-chan struct{}]*watcher // nil for contexts that never end
}

// A watcher holds what was sent with one context, in order. Whoever takes a waiter
// off its list tells the sender.
type watcher struct {
	p          *Pipeline
	mu         sync.Mutex
	head, tail *waiter
	timer      *time.Timer // for the time of delivery of the first
	armed      bool
	ended      bool
}

// of returns the watcher of ctx. It stays until ctx ends, as contexts do.
func (ws *watchers) of(ctx context.Context) *watcher {
	done := ctx.Done()
	ws.mu.Lock()
	defer ws.mu.Unlock()
	w := ws.byDone[done]
	if w != nil {
		return w
	}
	w = &watcher{p: ws.p}
	w.timer = time.AfterFunc(time.Hour, w.expire)
	w.timer.Stop()
	if ws.p.closed.Load() {
		w.ended = true // and nobody keeps it
		return w
	}
	ws.byDone[done] = w
	if done != nil {
		context.AfterFunc(ctx, func() {
			ws.mu.Lock()
			delete(ws.byDone, done)
			ws.mu.Unlock()
			w.end()
		})
	}
	return w
}

func (ws *watchers) endAll() {
	ws.mu.Lock()
	all := make([]*watcher, 0, len(ws.byDone))
	for _, w := range ws.byDone {
		all = append(all, w)
	}
	ws.mu.Unlock()
	for _, w := range all {
		w.end()
	}
}

// add lists w, unless the context has ended.
func (ws *watcher) add(w *waiter) bool {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.ended {
		return false
	}
	w.watcher, w.listed = ws, true
	w.prev, w.next = ws.tail, nil
	if ws.tail == nil {
		ws.head = w
	} else {
		ws.tail.next = w
	}
	ws.tail = w
	if !ws.armed {
		ws.armed = true
		ws.timer.Reset(ws.p.limits.delivery)
	}
	return true
}

// answered takes w off its list, or says that somebody else has.
func (w *waiter) answered() bool {
	ws := w.watcher
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if !w.listed {
		return false
	}
	ws.unlink(w)
	return true
}

func (ws *watcher) unlink(w *waiter) {
	if w.prev == nil {
		ws.head = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next == nil {
		ws.tail = w.prev
	} else {
		w.next.prev = w.prev
	}
	w.prev, w.next, w.listed = nil, nil, false
}

func (ws *watcher) end() {
	ws.mu.Lock()
	ws.ended = true
	ws.timer.Stop()
	var all []*waiter
	for ws.head != nil {
		all = append(all, ws.head)
		ws.unlink(ws.head)
	}
	ws.mu.Unlock()
	for _, w := range all {
		w.abandon()
	}
}

// expire ends what waits for longer than the time for delivery.
func (ws *watcher) expire() {
	now := time.Now()
	var all []*waiter
	ws.mu.Lock()
	for ws.head != nil && now.Sub(ws.head.started) >= ws.p.limits.delivery {
		all = append(all, ws.head)
		ws.unlink(ws.head)
	}
	if ws.head != nil && !ws.ended {
		ws.timer.Reset(ws.p.limits.delivery - now.Sub(ws.head.started))
	} else {
		ws.armed = false
	}
	ws.mu.Unlock()
	for _, w := range all {
		w.abandon()
	}
}
