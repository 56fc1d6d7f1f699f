package produce

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// A Client is what a [Pipeline] needs of a [*kgo.Client], which is made with
// [ClientOptions].
type Client interface {
	// TryProduce hands a record over, or fails at once where there is no room.
	// The promise is called exactly once, and with it the client lets go of the
	// record and of what it refers to.
	TryProduce(ctx context.Context, r *kgo.Record, promise func(*kgo.Record, error))
	// Flush waits until all promises have returned.
	Flush(ctx context.Context) error
}

// Limits of a [Pipeline] that is made without others.
const (
	DefaultMaxBytes   = 64 << 20
	DefaultMaxRecords = 50_000
	DefaultMaxStreams = 1_000
	// DefaultDelivery is how long a sender waits for the brokers' answer.
	DefaultDelivery = 2 * time.Minute
)

// A Pipeline protects records and sends them. It implements [Sender], and is safe
// for concurrent use.
//
// Who owns which memory: what a record is protected into belongs to the pipeline,
// and goes back to a pool once the client has called every promise of the batch.
// A request that ends before that leaves its records with the client, which
// finishes them; their memory is then left to the garbage collector, and so must
// be the sender's, see [Result.Held].
type Pipeline struct {
	protector Protector
	client    Client
	link      *link // of a kgo.Client, otherwise nil
	topics    Topics
	observer  Observer
	limits    limits
	batches   sync.Pool // of *batch
	flights   sync.Pool // of *flight
	watchers  watchers
	gatherer  gatherer
	leases    leases

	requests atomic.Int64
	records  atomic.Int64
	bytes    atomic.Int64
	streams  atomic.Int64
	calls    atomic.Int64 // of Produce and Send that have not returned
	pending  atomic.Int64
	draining atomic.Bool
	closed   atomic.Bool
	stop     chan struct{} // closed with it
	stopOnce sync.Once
	wake     chan struct{} // something that Drain waits for may have become zero
}

type limits struct {
	bytes, records, streams int64
	delivery                time.Duration
	recordBytes             int
}

// An Option changes a [Pipeline].
type Option func(*Pipeline)

// WithMaxBytes limits the bytes of records in flight, before they are protected.
func WithMaxBytes(n int) Option { return func(p *Pipeline) { p.limits.bytes = int64(n) } }

// WithMaxRecords limits the records in flight.
func WithMaxRecords(n int) Option { return func(p *Pipeline) { p.limits.records = int64(n) } }

// WithMaxStreams limits the streams that are open.
func WithMaxStreams(n int) Option { return func(p *Pipeline) { p.limits.streams = int64(n) } }

// WithDelivery limits how long a sender waits for the brokers' answer, after
// which the outcome is not known. The client gives up after three quarters of it
// where nothing of a record was written, or everything was refused: that outcome
// is known.
func WithDelivery(d time.Duration) Option { return func(p *Pipeline) { p.limits.delivery = d } }

// WithMaxRecordBytes limits a protected record below what its topic takes.
func WithMaxRecordBytes(n int) Option { return func(p *Pipeline) { p.limits.recordBytes = n } }

// WithObserver has o told what happens. Nil is none.
func WithObserver(o Observer) Option { return func(p *Pipeline) { p.observer = o } }

// WithTopics has t asked for topics, in place of the client's cluster.
func WithTopics(t Topics) Option { return func(p *Pipeline) { p.topics = t } }

// New returns a Pipeline. The client stays the caller's to close, after
// [Pipeline.Drain]. A [*kgo.Client] that was not made with [ClientOptions] is
// refused, since it would place and acknowledge records in other ways.
func New(p Protector, client Client, opts ...Option) (*Pipeline, error) {
	if p == nil || client == nil {
		return nil, errors.New("produce: a Pipeline needs a Protector and a Client")
	}
	l := &Pipeline{
		protector: p, client: client, stop: make(chan struct{}), wake: make(chan struct{}, 1),
		limits: limits{bytes: DefaultMaxBytes, records: DefaultMaxRecords, streams: DefaultMaxStreams, delivery: DefaultDelivery},
	}
	for _, o := range opts {
		o(l)
	}
	if l.limits.bytes <= 0 || l.limits.records <= 0 || l.limits.streams <= 0 || l.limits.delivery <= 0 || l.limits.recordBytes < 0 {
		return nil, errors.New("produce: the limits of a Pipeline are positive")
	}
	if k, ok := client.(*kgo.Client); ok {
		var err error
		if l.link, err = linkOf(k); err != nil {
			return nil, err
		}
		l.link.cluster.bind(k)
		if l.topics == nil {
			l.topics = l.link.cluster
		}
	}
	l.leases.delivery = l.limits.delivery
	l.watchers.p = l
	l.watchers.byDone = make(map[<-chan struct{}]*watcher)
	return l, nil
}

// Admit implements [Sender].
func (p *Pipeline) Admit(n, size int) (func(), *Error) {
	if n < 0 || size < 0 {
		return nil, fail(CodeInvalid, Rejected)
	}
	if int64(n) > p.limits.records || int64(size) > p.limits.bytes {
		return nil, fail(CodeTooLarge, Rejected)
	}
	// Counting comes before looking, so that two requests that find the last room
	// are both turned away rather than both let in, and so that Drain, which does
	// it the other way round, misses none.
	p.requests.Add(1)
	records, bytes := p.records.Add(int64(n)), p.bytes.Add(int64(size))
	switch {
	case p.draining.Load():
		p.release(n, size)
		return nil, fail(CodeDraining, Retryable)
	case records > p.limits.records || bytes > p.limits.bytes:
		p.release(n, size)
		return nil, fail(CodeOverloaded, Retryable)
	}
	var once atomic.Bool
	return func() {
		if !once.Swap(true) {
			p.release(n, size)
		}
	}, nil
}

func (p *Pipeline) release(n, size int) {
	p.records.Add(-int64(n))
	p.bytes.Add(-int64(size))
	p.requests.Add(-1)
	p.signal()
}

// AdmitStream implements [Sender].
func (p *Pipeline) AdmitStream() (func(), *Error) {
	n := p.streams.Add(1)
	switch {
	case p.draining.Load():
		p.streams.Add(-1)
		return nil, fail(CodeDraining, Retryable)
	case n > p.limits.streams:
		p.streams.Add(-1)
		return nil, fail(CodeOverloaded, Retryable)
	}
	var once atomic.Bool
	return func() {
		if !once.Swap(true) {
			p.streams.Add(-1)
		}
	}, nil
}

// Stats returns what is in the pipeline now.
func (p *Pipeline) Stats() Stats {
	return Stats{
		Requests: p.requests.Load(), Records: p.records.Load(), Bytes: p.bytes.Load(),
		Streams: p.streams.Load(), Pending: p.pending.Load(), Draining: p.draining.Load(),
	}
}

// Check implements [Sender].
func (p *Pipeline) Check(ctx context.Context, rec Record) Result {
	info, err := p.place(ctx, &rec)
	if err != nil {
		return failed(err)
	}
	c := p.clock()
	out, err := p.protect(ctx, nil, &rec, &c)
	if err != nil {
		return failed(err)
	}
	if err := p.fits(&out, &info); err != nil {
		return failed(err)
	}
	return Result{Outcome: Delivered, Partition: -1, Offset: -1, KeySize: sizeOf(out.Key), ValueSize: sizeOf(out.Value)}
}

// Drain admits nothing any more, and waits until what was admitted is released
// and what was sent is answered, or until ctx ends. Then it tells whoever still
// waits that the outcome is not known, and returns the number of records of which
// that is true; later calls of Produce and Send fail. Drain may be called again.
func (p *Pipeline) Drain(ctx context.Context) (unknown int) {
	p.draining.Store(true)
	for !p.idle() {
		// What lingers in the client is written now. The error is that of ctx.
		if p.pending.Load() > 0 {
			p.gatherer.hand()
			if err := p.client.Flush(ctx); err == nil && p.idle() {
				break
			}
		}
		select {
		case <-p.wake:
			continue
		case <-ctx.Done():
		}
		break
	}
	unknown = int(p.pending.Load())
	p.Close()
	return unknown
}

// Close ends the pipeline at once: whoever waits is told that the outcome is not
// known. The client still has its records, and stays open.
func (p *Pipeline) Close() {
	p.draining.Store(true)
	p.closed.Store(true)
	p.stopOnce.Do(func() { close(p.stop) })
	p.watchers.endAll()
}

func (p *Pipeline) idle() bool {
	return p.requests.Load() == 0 && p.calls.Load() == 0 && p.pending.Load() == 0
}

// signal wakes Drain where it may have to look again.
func (p *Pipeline) signal() {
	if p.draining.Load() {
		select {
		case p.wake <- struct{}{}:
		default:
		}
	}
}

// enter begins a call of Produce or Send, unless the pipeline is closed.
func (p *Pipeline) enter() bool {
	p.calls.Add(1)
	if p.closed.Load() {
		p.leave()
		return false
	}
	return true
}

func (p *Pipeline) leave() {
	p.calls.Add(-1)
	p.signal()
}

// landed counts n records that the client has let go of.
func (p *Pipeline) landed(n int) {
	p.pending.Add(-int64(n))
	p.signal()
}

func fail(code Code, outcome Outcome) *Error { return &Error{Code: code, Outcome: outcome} }

// failed is the result of a record that was not handed over.
func failed(err *Error) Result {
	return Result{Outcome: err.Outcome, Partition: -1, Offset: -1, KeySize: -1, ValueSize: -1, Err: err}
}

func sizeOf(b []byte) int {
	if b == nil {
		return -1
	}
	return len(b)
}
