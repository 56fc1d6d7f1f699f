package rpc

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"

	v1 "github.com/fieldveil/fieldveil/sidecar/api/fieldveilv1"
	"github.com/fieldveil/fieldveil/sidecar/produce"
)

// A wire is a stream of one protocol. recv and send are each called by one
// goroutine at a time. recv returns [io.EOF] after the last message; it may still
// be under way when the call of the stream returns, and then ends.
type wire interface {
	recv(r *request) error
	send(r *response) error
}

// A flow is one produce stream. One goroutine reads batches and hands their
// records over; the goroutine of the call waits for the batches in their order
// and acknowledges them.
type flow struct {
	s    *Server
	wire wire
	ctx  context.Context //nolint:containedctx // a flow lives as long as its call

	topic  string
	mode   produce.Mode
	opened bool
	last   uint64 // sequence

	mu      sync.Mutex
	stopped bool // no batch is taken any more
	records int  // in flight
	bytes   int
	room    chan struct{} // a sign that something was given back
	queue   chan *batch   // closed by the reader
	end     error         // why the reader ended, set before queue is closed
}

// A batch is a message of a stream on its way. It is reused.
type batch struct {
	home    *sync.Pool
	req     *request
	free    func() // of the room that the Sender gave
	results []produce.Result
	pending atomic.Int32
	told    atomic.Bool
	fn      func() // its answered
	done    chan struct{}
	broken  bool // not to be used again, nor its message
}

// answered is called by the Sender, once all results are there.
func (b *batch) answered() {
	if !b.told.Swap(true) {
		b.finish()
	}
}

// finish is called twice, by the Sender and by the goroutine that hands the
// records over: a batch does not end under its hands.
func (b *batch) finish() {
	if b.pending.Add(-1) == 0 {
		b.done <- struct{}{}
	}
}

// newBatch returns a batch of a message. Batches are pooled by the server: their
// channels belong to it.
func (s *Server) newBatch(r *request) *batch {
	b, _ := s.batches.Get().(*batch)
	if b == nil {
		b = &batch{home: &s.batches, done: make(chan struct{}, 1)}
		b.fn = b.answered
	}
	b.req = r
	if n := len(r.recs); cap(b.results) < n {
		b.results = make([]produce.Result, n)
	} else {
		b.results = b.results[:n]
	}
	b.told.Store(false)
	b.pending.Store(2)
	return b
}

// release gives a batch back. All of its results are there.
func (b *batch) release() {
	if b.free != nil {
		b.free()
	}
	if b.broken {
		return
	}
	b.req.release()
	b.req, b.free = nil, nil
	clear(b.results)
	if cap(b.results) <= maxKeptRecords {
		b.home.Put(b)
	}
}

// stream serves a produce stream until its client closes it, breaks the rules or
// goes away, or the server drains.
func (s *Server) stream(ctx context.Context, w wire) error {
	release, perr := s.deps.Sender.AdmitStream()
	if perr != nil {
		return s.recordFailure(perr, "")
	}
	defer release()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	f := &flow{
		s: s, wire: w, ctx: ctx,
		room: make(chan struct{}, 1),
		// Each batch has a record, so there are never more: the answer to open,
		// the window, and the batch that goes beyond it.
		queue: make(chan *batch, s.cfg.WindowRecords+2),
	}
	go f.read()
	err := f.answer()
	// Nothing is acknowledged any more. What is in flight still refers to
	// messages, and is waited for.
	cancel()
	f.stop()
	f.drop(interrupt(w))
	return err
}

// interrupt ends a recv that is under way, where the protocol can do that, and
// says whether it did.
func interrupt(w wire) bool {
	i, ok := w.(interface{ interrupt() bool })
	return ok && i.interrupt()
}

// answer acknowledges batches in their order.
func (f *flow) answer() error {
	idle := time.NewTimer(f.s.cfg.StreamIdleTimeout)
	defer idle.Stop()
	for {
		select {
		case b, more := <-f.queue:
			if !more {
				return f.end
			}
			if err := f.acknowledge(b); err != nil {
				return err
			}
			idle.Reset(f.s.cfg.StreamIdleTimeout)
		case <-f.s.draining:
			f.stop()
			for {
				select {
				case b, more := <-f.queue:
					if !more {
						return f.end
					}
					if err := f.acknowledge(b); err != nil {
						return err
					}
				default:
					return f.s.recordFailure(&produce.Error{Code: produce.CodeDraining, Outcome: produce.Retryable}, "")
				}
			}
		case <-idle.C:
			if f.stopIfEmpty() {
				return &failure{code: codes.DeadlineExceeded, reason: reasonIdle, words: "nothing came for too long"}
			}
			idle.Reset(f.s.cfg.StreamIdleTimeout)
		}
	}
}

// acknowledge waits for a batch and sends its results.
func (f *flow) acknowledge(b *batch) error {
	<-b.done
	out := response{kind: kindStream, sequence: b.req.sequence, results: b.results}
	if b.req.open {
		out.opened, out.records, out.bytes = true, f.s.cfg.WindowRecords, f.s.cfg.WindowBytes
	}
	t := tallyOf(f.ctx)
	t.asked(b.req)
	t.answered(b.results)
	err := f.wire.send(&out)
	f.give(b)
	return err
}

// give returns the room of a batch to the window.
func (f *flow) give(b *batch) {
	n, size := len(b.req.recs), b.req.size
	b.release()
	f.mu.Lock()
	f.records -= n
	f.bytes -= size
	f.mu.Unlock()
	select {
	case f.room <- struct{}{}:
	default:
	}
}

func (f *flow) stop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stopped = true
}

func (f *flow) stopIfEmpty() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.queue) > 0 {
		return false
	}
	f.stopped = true
	return true
}

// drop waits for what is in flight, and for the reader when it was interrupted.
// It is called after stop, so nothing is added.
func (f *flow) drop(interrupted bool) {
	for interrupted || len(f.queue) > 0 {
		b, more := <-f.queue
		if !more {
			return
		}
		<-b.done
		f.give(b)
	}
}

// read takes batches until the stream ends.
func (f *flow) read() {
	f.end = f.readAll()
	close(f.queue)
}

func (f *flow) readAll() error {
	for f.wait() {
		r := newRequest(kindStream, &f.s.limits)
		if err := f.wire.recv(r); err != nil {
			r.release()
			if errors.Is(err, io.EOF) {
				return nil
			}
			return f.s.receiveFailure(f.ctx, err)
		}
		fault := f.check(r)
		if fault != nil {
			r.release()
			return fault
		}
		b := f.s.newBatch(r)
		if !f.take(b) {
			b.release() // nothing was handed over, and no acknowledgement will say so
			return nil
		}
		if fault := f.hand(b); fault != nil {
			return fault
		}
	}
	return f.s.receiveFailure(f.ctx, f.ctx.Err())
}

// wait waits until the window has room.
func (f *flow) wait() bool {
	for {
		f.mu.Lock()
		full := f.records >= f.s.cfg.WindowRecords || f.bytes >= f.s.cfg.WindowBytes
		f.mu.Unlock()
		if !full {
			return f.ctx.Err() == nil
		}
		select {
		case <-f.room:
		case <-f.ctx.Done():
			return false
		}
	}
}

// check looks at a message before anything is done with it.
func (f *flow) check(r *request) *failure {
	switch {
	case r.fault != nil:
		return r.fault
	case r.open && f.opened:
		return invalid("open", "only the first message opens a stream")
	case !r.open && !f.opened:
		return invalid("open", "the first message has to open the stream")
	case r.open:
		f.opened, f.topic, f.mode = true, r.topic, r.mode
		return nil
	case r.sequence <= f.last:
		return invalid("batch.sequence", "a sequence is greater than that of the batch before, and than 0")
	}
	f.last = r.sequence
	if fault := r.topics(f.topic); fault != nil {
		return fault
	}
	return f.s.authorize(f.ctx, r)
}

// take puts a batch into the order of answers, unless the stream has stopped.
func (f *flow) take(b *batch) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.stopped {
		return false
	}
	f.records += len(b.req.recs)
	f.bytes += b.req.size
	f.queue <- b
	return true
}

// hand gives the records of a batch to the Sender, in their order.
func (f *flow) hand(b *batch) (fault *failure) {
	n := len(b.req.recs)
	defer b.finish()
	if n == 0 {
		b.answered()
		return nil
	}
	defer func() {
		if recover() == nil {
			return
		}
		f.s.panicked(v1.ProduceService_ProduceStream_FullMethodName)
		// Who knows what still refers to the records and to the results.
		b.broken = true
		b.results = fill(nil, n, unknown())
		b.answered()
		fault = internal()
	}()
	free, err := f.s.deps.Sender.Admit(n, b.req.size)
	if err != nil {
		b.results = fill(b.results[:0], n, produce.Result{Outcome: err.Outcome, Err: err})
		b.answered()
		return nil
	}
	b.free = free
	if f.mode == produce.Whole {
		b.req.mode = produce.Whole
		copy(b.results, f.s.send(f.ctx, b.req))
		b.answered()
		return nil
	}
	produce.SendBatch(f.ctx, f.s.deps.Sender, b.req.recs, b.results, b.fn)
	return nil
}
