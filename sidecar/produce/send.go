package produce

import (
	"context"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// A flight is a record of Send.
type flight struct {
	slot
	in         Record // here, so that handing it to the Protector costs nothing
	done       func(Result)
	buf        []byte
	watcher    *watcher
	prev, next *flight // in the watcher's list, and under its lock
	listed     bool
}

// keptBuffer is what a flight may hold to be used again.
const keptBuffer = 64 << 10

// Send implements [Sender]. Where the record is not handed over, done is called
// before Send returns.
func (p *Pipeline) Send(ctx context.Context, rec Record, done func(Result)) {
	if !p.enter() {
		done(failed(fail(CodeDraining, Retryable)))
		return
	}
	defer p.leave()
	start := time.Now()
	f, err := p.launch(ctx, rec)
	if err != nil {
		res := failed(err)
		if p.observer != nil {
			p.observer.Finished(rec.Topic, time.Since(start), res)
		}
		done(res)
		return
	}
	f.started, f.done = start, done
	w := p.watchers.of(ctx)
	if !w.add(f) {
		err := fail(CodeCanceled, Retryable)
		if p.closed.Load() {
			err = fail(CodeDraining, Retryable)
		}
		f.recycle()
		f.p.tell(rec.Topic, start, failed(err), done)
		return
	}
	p.pending.Add(1)
	f.handOver(p.leases.now(start))
}

// launch protects r into a flight.
func (p *Pipeline) launch(ctx context.Context, r Record) (*flight, *Error) {
	if ctx.Err() != nil {
		return nil, fail(CodeCanceled, Retryable)
	}
	f, _ := p.flights.Get().(*flight)
	if f == nil {
		f = new(flight)
		f.p, f.promise = p, f.finish
	}
	f.in = r
	rec := &f.in
	info, err := p.place(ctx, rec)
	if err != nil {
		f.recycle()
		return nil, err
	}
	if need := room(rec); cap(f.buf) < need {
		f.buf = make([]byte, 0, need)
	}
	sealed, err := p.protect(ctx, f.buf[:0], rec)
	if err == nil {
		err = p.fits(&sealed, &info)
	}
	if err == nil && ctx.Err() != nil {
		err = fail(CodeCanceled, Retryable)
	}
	if err != nil {
		f.recycle()
		return nil, err
	}
	f.load(ctx, rec, &sealed)
	return f, nil
}

// finish is the promise of f.
func (f *flight) finish(r *kgo.Record, err error) {
	p := f.p
	res := f.result(r, err)
	if f.watcher.remove(f) {
		topic, start, done := r.Topic, f.started, f.done
		f.recycle()
		p.tell(topic, start, res, done)
	} else if p.observer != nil {
		p.observer.Late(r.Topic, res)
	}
	p.landed(1)
}

func (p *Pipeline) tell(topic string, start time.Time, res Result, done func(Result)) {
	if p.observer != nil {
		p.observer.Finished(topic, time.Since(start), res)
	}
	done(res)
}

func (f *flight) recycle() {
	f.clear()
	f.done, f.watcher, f.in = nil, nil, Record{}
	if cap(f.buf) <= keptBuffer {
		f.p.flights.Put(f)
	}
}

// watchers end the records of Send when their context ends. Those of one context,
// such as that of a stream, share a watcher, so that a record needs neither a
// goroutine nor a place in the context's own list.
type watchers struct {
	p      *Pipeline
	mu     sync.Mutex
	byDone map[<-chan struct{}]*watcher // nil for contexts that never end
}

// A watcher holds the records of one context in the order in which they were
// sent. Whoever takes a record off its list tells the sender.
type watcher struct {
	p          *Pipeline
	mu         sync.Mutex
	head, tail *flight
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

// add lists f, unless the context has ended.
func (w *watcher) add(f *flight) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return false
	}
	f.watcher, f.listed = w, true
	f.prev, f.next = w.tail, nil
	if w.tail == nil {
		w.head = f
	} else {
		w.tail.next = f
	}
	w.tail = f
	if !w.armed {
		w.armed = true
		w.timer.Reset(w.p.limits.delivery)
	}
	return true
}

// remove takes f off the list, or says that somebody else has.
func (w *watcher) remove(f *flight) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !f.listed {
		return false
	}
	w.unlink(f)
	return true
}

func (w *watcher) unlink(f *flight) {
	if f.prev == nil {
		w.head = f.next
	} else {
		f.prev.next = f.next
	}
	if f.next == nil {
		w.tail = f.prev
	} else {
		f.next.prev = f.prev
	}
	f.prev, f.next, f.listed = nil, nil, false
}

// left is what the sender of a record is told whose answer nobody waits for any
// more. It is copied while the record cannot be finished.
type left struct {
	topic string
	start time.Time
	done  func(Result)
}

func (w *watcher) end() {
	w.mu.Lock()
	w.ended = true
	w.timer.Stop()
	var all []left
	for w.head != nil {
		all = append(all, w.abandon(w.head))
	}
	w.mu.Unlock()
	for _, l := range all {
		w.p.tell(l.topic, l.start, unknown(), l.done)
	}
}

// abandon takes f off the list. The client keeps it, and nobody uses it again.
func (w *watcher) abandon(f *flight) left {
	w.unlink(f)
	return left{f.rec.Topic, f.started, f.done}
}

// expire ends the records whose time for delivery is over.
func (w *watcher) expire() {
	now := time.Now()
	var all []left
	w.mu.Lock()
	for w.head != nil && now.Sub(w.head.started) >= w.p.limits.delivery {
		all = append(all, w.abandon(w.head))
	}
	if w.head != nil && !w.ended {
		w.timer.Reset(w.p.limits.delivery - now.Sub(w.head.started))
	} else {
		w.armed = false
	}
	w.mu.Unlock()
	for _, l := range all {
		w.p.tell(l.topic, l.start, unknown(), l.done)
	}
}
