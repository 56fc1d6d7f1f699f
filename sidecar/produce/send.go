package produce

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// A flight is a record of Send.
type flight struct {
	slot
	waiter

	in   Record // here, so that handing it to the Protector costs nothing
	done func(Result)
	buf  []byte
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
	if !w.add(&f.waiter) {
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
		f.p, f.promise, f.abandon = p, f.finish, f.leave
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
	c := p.clock()
	sealed, err := p.protect(ctx, f.buf[:0], rec, &c)
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
	if f.answered() {
		topic, start, done := r.Topic, f.started, f.done
		f.recycle()
		p.tell(topic, start, res, done)
	} else if p.observer != nil {
		p.observer.Late(r.Topic, res)
	}
	p.landed(1)
}

// leave tells the sender of a record whose answer nobody waits for any more. The
// client keeps f, and nobody uses it again.
func (f *flight) leave() { f.p.tell(f.rec.Topic, f.started, unknown(), f.done) }

func (p *Pipeline) tell(topic string, start time.Time, res Result, done func(Result)) {
	if p.observer != nil {
		p.observer.Finished(topic, time.Since(start), res)
	}
	done(res)
}

func (f *flight) recycle() {
	f.clear()
	f.done, f.watcher, f.started, f.in = nil, nil, time.Time{}, Record{}
	if cap(f.buf) <= keptBuffer {
		f.p.flights.Put(f)
	}
}
