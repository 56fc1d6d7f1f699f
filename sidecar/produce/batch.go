package produce

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// A batch is the records of one call of Produce. One that ends with all promises
// called is used again; one that its caller left early is not, since the client
// still refers to it.
type batch struct {
	p     *Pipeline
	lease context.Context //nolint:containedctx // what the client may spend on its records
	slots []batchSlot     // of one length for ever, since the client holds their addresses
	arena []byte          // what the records are protected into, a piece for each
	left  atomic.Int64
	done  chan struct{} // has room for the one who brings left to zero
	timer *time.Timer
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
	b.left.Store(1) // the caller
	b.lease = p.leases.now(time.Now())
	return b
}

// recycle lets b be used again. The client must have let go of all its records,
// which are the first n.
func (b *batch) recycle(n int) {
	used := b.slots[:n]
	for i := range used {
		s := &used[i]
		s.clear()
		s.res, s.sent = Result{}, false
		s.state.Store(open)
	}
	b.lease = nil
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
	var start time.Time
	if p.observer != nil {
		start = time.Now()
	}
	b := p.newBatch(recs)
	if mode == Whole {
		b.sendWhole(ctx, recs, results)
	} else {
		b.sendEach(ctx, recs, results)
	}
	if b.wait(ctx) {
		for i := range results {
			if s := &b.slots[i]; s.sent {
				results[i] = s.res
			}
		}
		b.recycle(len(recs))
	} else {
		for i := range results {
			if s := &b.slots[i]; s.sent {
				results[i] = s.leave()
			}
		}
	}
	if p.observer != nil {
		took := time.Since(start)
		for i := range results {
			p.observer.Finished(recs[i].Topic, took, results[i]) //nolint:gosec // both are of one length
		}
	}
	return results
}

// sendEach protects each record and hands it over, in order.
func (b *batch) sendEach(ctx context.Context, recs []Record, results []Result) {
	var at placing
	for i := range recs {
		if err := b.prepare(ctx, i, &recs[i], &at); err != nil {
			results[i] = failed(err)
			continue
		}
		b.send(i)
	}
}

// sendWhole protects all records before it hands over the first.
func (b *batch) sendWhole(ctx context.Context, recs []Record, results []Result) {
	var at placing
	var refused bool
	verdict := Retryable
	for i := range recs {
		err := b.prepare(ctx, i, &recs[i], &at)
		if err == nil {
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
		for i := range recs {
			b.send(i)
		}
		return
	}
	// Sending the batch again has the fate of the record that kept it back.
	for i := range results {
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
	}
	// Each record has a piece of the arena for itself, with an end that nothing
	// can be appended across.
	end := at.used + room(rec)
	dst := b.arena[at.used:at.used:end]
	at.used = end
	sealed, err := b.p.protect(ctx, dst, rec)
	if err != nil {
		return err
	}
	if err := b.p.fits(&sealed, &at.info); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return fail(CodeCanceled, Retryable)
	}
	b.slots[i].load(ctx, rec, &sealed)
	return nil
}

func (b *batch) send(i int) {
	s := &b.slots[i]
	s.sent = true
	b.left.Add(1)
	b.p.pending.Add(1)
	s.handOver(b.lease)
}

// finish is the promise of s.
func (s *batchSlot) finish(r *kgo.Record, err error) {
	p, b := s.p, s.batch
	s.res = s.result(r, err)
	if s.state.CompareAndSwap(open, answered) {
		// The caller may use b again as soon as left is zero: nothing of it, and
		// nothing of s, is touched after that.
		if b.left.Add(-1) == 0 {
			b.done <- struct{}{}
		}
	} else if p.observer != nil {
		p.observer.Late(r.Topic, s.res)
	}
	p.landed(1)
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
