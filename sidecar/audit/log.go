package audit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

var (
	// ErrBroken marks a trail that could not be written. All is refused until
	// [Log.Reopen] succeeds.
	ErrBroken = errors.New("audit: the trail cannot be written")
	// ErrClosed marks a Log that was closed, or that there is none.
	ErrClosed = errors.New("audit: there is no trail")
	// ErrBusy marks an entry for which there is no room now, because many wait for
	// a slow disk or broker.
	ErrBusy = errors.New("audit: too many entries wait")
	// ErrDamaged marks a file that is no audit trail, or that was changed.
	ErrDamaged = errors.New("audit: the trail is damaged")
)

const (
	// maxBatch is how many bytes one sync covers (FV-115).
	maxBatch = 256 << 10
	// maxWaiting is how many bytes wait for one.
	maxWaiting = 4 << 20
)

// A Producer sends records to Kafka.
type Producer interface {
	// Produce sends values under key to topic, in their order and to one
	// partition, and returns nil once all in-sync replicas have all of them.
	Produce(ctx context.Context, topic string, key []byte, values [][]byte) error
}

// A sink is where lines go. It is used by one goroutine at a time.
type sink interface {
	// open makes the sink usable, again or for the first time, and returns the
	// end of its trail. durable is the last line that was reported as written, nil
	// at first. note, if not nil, is to be written first, behind what is in front.
	open(ctx context.Context, durable *Head) (h Head, note *Entry, front []byte, err error)
	// commit makes a batch durable.
	commit(ctx context.Context, b *batch) error
	close() error
}

// A batch is lines that become durable together.
type batch struct {
	text  []byte
	ends  []int  // of the lines in text
	first uint64 // seq of the first line
	last  Head
	done  chan struct{} // closed when err is there
	err   error
}

// A Log is an audit trail that is written. It is made by [Open] and safe for
// concurrent use. A nil Log has no trail, and refuses every entry.
type Log struct {
	sink    sink
	seal    sealer
	now     func() time.Time
	wake    chan struct{}
	ended   chan struct{} // the committer
	opening sync.Mutex    // held by Reopen

	mu      sync.Mutex // guards all below
	fault   error      // nil while entries are taken
	head    Head       // of the last line that waits, or is durable
	durable Head
	queue   []*batch
	waiting int // bytes in queue
	stats   Stats
}

// Stats are counts since a Log was opened.
type Stats struct {
	Lines   uint64 // that are durable
	Commits uint64 // syncs, or requests to brokers
}

// An Option changes a Log.
type Option func(*options)

type options struct {
	producer Producer
	stdout   io.Writer
	now      func() time.Time
}

// WithProducer gives the Log the way to Kafka, for to: kafka.
func WithProducer(p Producer) Option { return func(o *options) { o.producer = p } }

// WithStdout puts w in the place of standard output.
func WithStdout(w io.Writer) Option { return func(o *options) { o.stdout = w } }

// WithClock puts now in the place of the system's clock.
func WithClock(now func() time.Time) Option { return func(o *options) { o.now = now } }

// Open opens the trail of c. A file goes on where it ended, once its chain was
// verified; another trail begins with each Open. It fails with [ErrDamaged] where
// the chain does not hold, and when another process writes the file.
func Open(ctx context.Context, c Config, opts ...Option) (*Log, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	o := options{stdout: os.Stdout, now: time.Now}
	for _, opt := range opts {
		opt(&o)
	}
	if c.MaxBytes == 0 {
		c.MaxBytes = defaultMaxBytes
	}
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
	}
	seal, err := newSealer(c.Seal)
	if err != nil {
		return nil, err
	}
	switch c.To {
	case ToFile:
		return open(ctx, newFile(c.Path, c.MaxBytes), seal, o.now)
	case ToStdout:
		return open(ctx, &stream{send: writerSink(o.stdout)}, seal, o.now)
	case ToKafka:
		if o.producer == nil {
			return nil, errors.New("audit: to: kafka needs a producer")
		}
		return open(ctx, &stream{send: kafkaSink(o.producer, c.Topic, c.Timeout)}, seal, o.now)
	default:
		return nil, ErrClosed
	}
}

func open(ctx context.Context, s sink, seal sealer, now func() time.Time) (*Log, error) {
	l := &Log{sink: s, seal: seal, now: now, wake: make(chan struct{}, 1), ended: make(chan struct{})}
	l.fault = ErrBroken
	if err := l.begin(ctx, nil); err != nil {
		return nil, errors.Join(err, s.close())
	}
	go l.run() //nolint:gosec // it lives until Close
	return l, nil
}

// begin opens the sink, and writes what has to be said about its state.
func (l *Log) begin(ctx context.Context, durable *Head) error {
	head, note, front, err := l.sink.open(ctx, durable)
	if err != nil {
		return err
	}
	if note != nil {
		line, err := l.line(head, *note)
		if err != nil {
			return err
		}
		b := &batch{text: line.append(front), first: line.Seq, last: line.head()}
		b.ends = []int{len(b.text)}
		if err := l.sink.commit(ctx, b); err != nil {
			return err
		}
		head = line.head()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if errors.Is(l.fault, ErrClosed) {
		return l.fault
	}
	l.head, l.durable, l.fault = head, head, nil
	return nil
}

// line returns the line of e that follows head.
func (l *Log) line(head Head, e Entry) (Line, error) {
	line := Line{Entry: e, Trail: head.Trail, Seq: head.Seq + 1, Time: l.now().UTC(), Key: l.seal.id, Prev: head.Hash}
	if y := line.Time.Year(); y < 0 || y > 9999 {
		return Line{}, fmt.Errorf("%w: the clock", ErrInvalid)
	}
	line.Hash = line.sum()
	l.seal.seal(&line)
	return line, nil
}

// Write returns nil once e and all before it are durable; the act may begin then,
// and not before. With an error it must not begin: [ErrInvalid], [ErrBroken],
// [ErrBusy], [ErrClosed], or that of ctx, after which the line may be there all the
// same. Many that wait at a time share one sync.
func (l *Log) Write(ctx context.Context, e Entry) error {
	if l == nil {
		return ErrClosed
	}
	e.clean()
	if err := e.check(); err != nil {
		return err
	}
	if e.Action == actionTorn || e.Action == actionResumed {
		return fmt.Errorf("%w: the action is the log's own", ErrInvalid)
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	b, err := l.enqueue(e)
	if err != nil {
		return err
	}
	select {
	case <-b.done:
		return b.err
	case <-ctx.Done():
		return fmt.Errorf("audit: %w", ctx.Err())
	}
}

// enqueue gives e its place in the chain and in a batch.
func (l *Log) enqueue(e Entry) (*batch, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fault != nil {
		return nil, l.fault
	}
	line, err := l.line(l.head, e)
	if err != nil {
		return nil, err
	}
	text := line.append(make([]byte, 0, 1024))
	switch {
	case len(text) > MaxLine:
		return nil, fmt.Errorf("%w: longer than %d bytes", ErrInvalid, MaxLine)
	case l.waiting+len(text) > maxWaiting:
		return nil, ErrBusy
	}
	var b *batch
	if n := len(l.queue); n > 0 && len(l.queue[n-1].text)+len(text) <= maxBatch {
		b = l.queue[n-1]
	} else {
		b = &batch{first: line.Seq, done: make(chan struct{})}
		l.queue = append(l.queue, b)
	}
	b.text = append(b.text, text...)
	b.ends = append(b.ends, len(b.text))
	b.last = line.head()
	l.head, l.waiting = b.last, l.waiting+len(text)
	select {
	case l.wake <- struct{}{}:
	default: // it is awake
	}
	return b, nil
}

// run commits batches until the Log is closed.
func (l *Log) run() {
	defer close(l.ended)
	for range l.wake {
		for {
			b := l.next()
			if b == nil {
				break
			}
			l.settle(b, l.sink.commit(context.Background(), b))
		}
		l.mu.Lock()
		over := errors.Is(l.fault, ErrClosed)
		l.mu.Unlock()
		if over {
			return
		}
	}
}

// next takes the first batch, which takes no more lines then.
func (l *Log) next() *batch {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.queue) == 0 {
		return nil
	}
	b := l.queue[0]
	l.queue = l.queue[1:]
	return b
}

// settle tells those who wait for b what became of it. When it failed, what waits
// behind it fails as well, since it is chained to it.
func (l *Log) settle(b *batch, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting -= len(b.text)
	if err == nil {
		l.durable = b.last
		l.stats.Lines += uint64(len(b.ends))
		l.stats.Commits++
		close(b.done)
		return
	}
	broken := fmt.Errorf("%w: %w", ErrBroken, err)
	if !errors.Is(l.fault, ErrClosed) {
		l.fault = broken
	}
	for _, q := range append([]*batch{b}, l.queue...) {
		q.err = broken
		close(q.done)
	}
	l.queue, l.waiting, l.head = nil, 0, l.durable
}

// Err returns nil while entries are taken, and otherwise why they are not.
func (l *Log) Err() error {
	if l == nil {
		return ErrClosed
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fault
}

// Head returns the last line that is durable, to be kept elsewhere: it shows later
// whether the end was cut off.
func (l *Log) Head() Head {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.durable
}

// Stats returns the counts so far.
func (l *Log) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stats
}

// Reopen opens a broken trail anew, and does nothing for one that is not. A file
// goes on after the last line that was reported as written; a stream begins
// another trail, which names the one before.
func (l *Log) Reopen(ctx context.Context) error {
	if l == nil {
		return ErrClosed
	}
	l.opening.Lock()
	defer l.opening.Unlock()
	l.mu.Lock()
	fault, durable := l.fault, l.durable
	l.mu.Unlock()
	if fault == nil || errors.Is(fault, ErrClosed) {
		return fault
	}
	// Nothing is in the queue and nothing comes in, so the sink is idle.
	if err := l.begin(ctx, &durable); err != nil {
		return fmt.Errorf("%w: %w", ErrBroken, err)
	}
	return nil
}

// Close waits, until ctx ends, for what was given to Write, and closes the trail.
func (l *Log) Close(ctx context.Context) error {
	if l == nil {
		return nil
	}
	l.opening.Lock()
	defer l.opening.Unlock()
	l.mu.Lock()
	again := errors.Is(l.fault, ErrClosed)
	l.fault = ErrClosed
	l.mu.Unlock()
	if again {
		return nil
	}
	select {
	case l.wake <- struct{}{}:
	default: // it is awake, and looks before it sleeps
	}
	select {
	case <-l.ended:
		return l.sink.close()
	case <-ctx.Done():
		return fmt.Errorf("audit: close: %w", ctx.Err())
	}
}
