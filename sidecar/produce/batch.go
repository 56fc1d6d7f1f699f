package produce

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// A batch is the records of one call of Produce or SendBatch. One that ends with
// all promises called is used again; one that its caller left early is not, since
// the client still refers to it.
type batch struct {
	waiter // of SendBatch

	p     *Pipeline
	lease context.Context //nolint:containedctx // what the client may spend on its records
	slots []batchSlot     // of one length for ever, since the client holds their addresses
	arena []byte          // what the records are protected into, a piece for each
	n     int             // how many of the slots are in use
	left  atomic.Int64
	timer *time.Timer
	done  chan struct{} // for Produce: has room for the one who brings left to zero

	// Of SendBatch, nil otherwise.
	recs    []Record
	results []Result
	told    func()
}

type batchSlot struct {
	slot
	batch *batch
	state atomic.Uint32 // open, answered or abandoned
	res   Result        // once it is answered
	sent  bool          // was handed over
}

const (
	open uint32 = iota
	answered
	abandoned
)

// What a batch may hold to be used again.
const (
	keptSlots = 4096
	keptArena = 4 << 20
)

// room is how much the protected form of a record is expected to need: envelopes
// grow short values the most. A Protector that needs more gets it from the heap.
func room(rec *Record) int { return len(rec.Key) + len(rec.Value) + len(rec.Value)/2 + 256 }

func (p *Pipeline) newBatch(recs []Record) *batch {
	b, _ := p.batches.Get().(*batch)
	if b == nil {
		b = &batch{p: p, done: make(chan struct{}, 1)}
		b.abandon = b.leave
	}
	if len(b.slots) < len(recs) {
		b.slots = make([]batchSlot, max(len(recs), min(2*len(b.slots), keptSlots)))
		for i := range b.slots {
			s := &b.slots[i]
			s.p, s.batch, s.promise = p, b, s.finish
		}
	}
	need := 0
	for i := range recs {
		need += room(&recs[i])
	}
	if cap(b.arena) < need {
		b.arena = make([]byte, 0, need)
	}
	b.n = len(recs)
	b.left.Store(1) // the caller
	b.started = time.Now()
	b.lease = p.leases.now(b.started)
	return b
}

// recycle lets b be used again. The client must have let go of all its records.
func (b *batch) recycle() {
	used := b.slots[:b.n]
	for i := range used {
		s := &used[i]
		s.clear()
		s.res, s.sent = Result{}, false
		s.state.Store(open)
	}
	b.lease, b.recs, b.results, b.told, b.watcher = nil, nil, nil, nil, nil
	if len(b.slots) <= keptSlots && cap(b.arena) <= keptArena {
		b.p.batches.Put(b)
	}
}

// Produce implements [Sender].
func (p *Pipeline) Produce(ctx context.Context, recs []Record, mode Mode) []Result {
	results := make([]Result, len(recs))
	if len(recs) == 0 {
		return results
	}
	if !p.enter() {
		for i := range results {
			results[i] = failed(fail(CodeDraining, Retryable))
		}
		return results
	}
	defer p.leave()
	b := p.newBatch(recs)
	start := b.started
	if mode == Whole {
		b.sendWhole(ctx, recs, results)
	} else {
		b.sendEach(ctx, recs, results)
	}
	if b.wait(ctx) {
		b.collect(results)
		b.recycle()
	} else {
		// The caller's next batch must not overtake this one.
		p.gatherer.hand()
		b.abandonTo(results)
	}
	p.finished(recs, results, start)
	return results
}

// SendBatch implements [BatchSender].
func (p *Pipeline) SendBatch(ctx context.Context, recs []Record, results []Result, done func()) {
	if len(recs) == 0 {
		done()
		return
	}
	if !p.enter() {
		for i := range results {
			results[i] = failed(fail(CodeDraining, Retryable))
		}
		done()
		return
	}
	defer p.leave()
	b := p.newBatch(recs)
	b.recs, b.results, b.told = recs, results, done
	b.sendEach(ctx, recs, results)
	// Until here nobody but this goroutine can end b, and from here on nothing of
	// the sender's is touched by it.
	if w := p.watchers.of(ctx); !w.add(&b.waiter) {
		b.leave()
		return
	}
	if b.left.Add(-1) == 0 {
		b.answeredAll()
	}
}

// answeredAll tells the sender of SendBatch, unless it has been told that the
// outcome is not known.
func (b *batch) answeredAll() {
	if !b.answered() {
		return
	}
	recs, results, start, told := b.recs, b.results, b.started, b.told
	b.collect(results)
	b.recycle()
	b.p.finished(recs, results, start)
	told()
}

// leave tells the sender of SendBatch what is known of its records. The client
// keeps b, and nobody uses it again.
func (b *batch) leave() {
	b.abandonTo(b.results)
	b.p.finished(b.recs, b.results, b.started)
	b.told()
}

// collect writes down the results of what was handed over, all of which are there.
func (b *batch) collect(results []Result) {
	for i := range results {
		if s := &b.slots[i]; s.sent {
			results[i] = s.res
		}
	}
}

// abandonTo writes down the results of what was handed over, as far as they are
// there.
func (b *batch) abandonTo(results []Result) {
	for i := range results {
		if s := &b.slots[i]; s.sent {
			results[i] = s.leave()
		}
	}
}

// finished tells the Observer what senders are told.
func (p *Pipeline) finished(recs []Record, results []Result, start time.Time) {
	if p.observer == nil {
		return
	}
	took := time.Since(start)
	for i := range results {
		p.observer.Finished(recs[i].Topic, took, results[i])
	}
}

// handAtOnce is how many records of a batch are protected before they are handed
// over. Handed over one by one, the first of them would go to the brokers in a
// request of its own.
const handAtOnce = 128

// sendEach protects the records and hands them over, in order.
func (b *batch) sendEach(ctx context.Context, recs []Record, results []Result) {
	at := placing{clock: b.p.clock()}
	for from := 0; from < len(recs); from += handAtOnce {
		to := min(from+handAtOnce, len(recs))
		n := 0
		for i := from; i < to; i++ {
			if err := b.prepare(ctx, i, &recs[i], &at); err != nil {
				results[i] = failed(err)
				continue
			}
			b.slots[i].sent = true
			n++
		}
		if ctx.Err() == nil {
			b.send(from, to, n)
			at.clock.reset()
			continue
		}
		for i := from; i < to; i++ {
			if s := &b.slots[i]; s.sent {
				s.sent = false
				results[i] = failed(fail(CodeCanceled, Retryable))
			}
		}
	}
}

// send sends n records, those of some slots that are to be sent. A batch that is
// small goes together with those of other callers. One of SendBatch does not: other
// batches of its caller come right behind it.
func (b *batch) send(from, to, n int) {
	b.p.pending.Add(int64(n))
	if n == 0 || b.n > gathered || b.told != nil {
		b.left.Add(int64(n))
		b.handOver(from, to)
		return
	}
	b.left.Add(int64(n) + 1)
	b.p.gatherer.add(b)
}

// handOver hands the records of some slots over.
func (b *batch) handOver(from, to int) {
	for i := from; i < to; i++ {
		if s := &b.slots[i]; s.sent {
			s.handOver(b.lease)
		}
	}
}

// sendWhole protects all records before it hands over the first.
func (b *batch) sendWhole(ctx context.Context, recs []Record, results []Result) {
	at := placing{clock: b.p.clock()}
	var refused bool
	verdict := Retryable
	for i := range recs {
		err := b.prepare(ctx, i, &recs[i], &at)
		if err == nil && i == len(recs)-1 && ctx.Err() != nil {
			err = fail(CodeCanceled, Retryable)
		}
		if err == nil {
			b.slots[i].sent = true
			continue
		}
		results[i] = failed(err)
		refused = true
		if err.Outcome == Rejected {
			verdict = Rejected
		}
		if err.Code == CodeCanceled {
			break
		}
	}
	if !refused {
		b.send(0, len(recs), len(recs))
		return
	}
	// Sending the batch again has the fate of the record that kept it back.
	for i := range results {
		b.slots[i].sent = false
		if results[i].Err == nil {
			results[i] = failed(fail(CodeNotSent, verdict))
		}
	}
}

// placing is where the records of a batch go, and what of the arena is in use.
type placing struct {
	topic string
	info  TopicInfo
	used  int
	clock clock
}

// prepare protects a record into its slot, without handing it over.
func (b *batch) prepare(ctx context.Context, i int, rec *Record, at *placing) *Error {
	if ctx.Err() != nil {
		return fail(CodeCanceled, Retryable)
	}
	if rec.Topic != at.topic || rec.Partition != AnyPartition || rec.Topic == "" {
		info, err := b.p.place(ctx, rec)
		if err != nil {
			return err
		}
		at.topic, at.info = rec.Topic, info
		at.clock.reset() // it may have been fetched
	}
	// Each record has a piece of the arena for itself, with an end that nothing
	// can be appended across.
	end := at.used + room(rec)
	dst := b.arena[at.used:at.used:end]
	at.used = end
	sealed, err := b.p.protect(ctx, dst, rec, &at.clock)
	if err != nil {
		return err
	}
	if err := b.p.fits(&sealed, &at.info); err != nil {
		return err
	}
	if sealed.Timestamp.IsZero() {
		sealed.Timestamp = b.started
	}
	b.slots[i].load(ctx, rec, &sealed)
	return nil
}

// finish is the promise of s.
func (s *batchSlot) finish(r *kgo.Record, err error) {
	p, b := s.p, s.batch
	s.res = s.result(r, err)
	if s.state.CompareAndSwap(open, answered) {
		// The caller may use b again as soon as left is zero: nothing of it, and
		// nothing of s, is touched after that.
		if b.left.Add(-1) == 0 {
			b.end()
		}
	} else if p.observer != nil {
		p.observer.Late(r.Topic, s.res)
	}
	p.landed(1)
}

// end is called by the promise that comes last.
func (b *batch) end() {
	if b.told == nil {
		b.done <- struct{}{}
		return
	}
	b.answeredAll()
}

// leave returns the result of a record whose caller goes away.
func (s *batchSlot) leave() Result {
	if s.state.CompareAndSwap(open, abandoned) {
		return unknown()
	}
	return s.res
}

// wait returns true when all records are answered, and false when ctx or the time
// for delivery ends first.
func (b *batch) wait(ctx context.Context) bool {
	if b.left.Add(-1) == 0 {
		return true
	}
	if b.timer == nil {
		b.timer = time.NewTimer(b.p.limits.delivery)
	} else {
		b.timer.Reset(b.p.limits.delivery)
	}
	defer b.timer.Stop()
	select {
	case <-b.done:
		return true
	case <-ctx.Done():
	case <-b.timer.C:
	case <-b.p.stop:
	}
	return false
}
