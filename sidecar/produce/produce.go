package produce

import (
	"context"
	"sync/atomic"
)

// A Mode says what becomes of the rest when one record of a batch is refused.
type Mode uint8

const (
	// Each sends every record that can be sent.
	Each Mode = iota
	// Whole protects all records before the first is handed over, and hands none
	// over when one cannot be protected: the others then have CodeNotSent. What
	// the brokers do with one of them does not touch the others.
	Whole
)

// A Sender is what protocols need of a [Pipeline].
type Sender interface {
	// Admit takes room for a request of n records and size bytes, or fails at
	// once with CodeOverloaded or CodeDraining, and with CodeTooLarge when there
	// would never be room for it. Room is held until release is called, which may
	// be called more than once. With an error, release is nil.
	Admit(n, size int) (release func(), err *Error)
	// AdmitStream takes the place of a stream in the same way.
	AdmitStream() (release func(), err *Error)
	// Produce protects and sends the records of a batch in their order and
	// returns a result for each, in the same order, at the latest when ctx ends.
	Produce(ctx context.Context, recs []Record, mode Mode) []Result
	// Send protects rec, in the caller's goroutine, and hands it over. done is
	// called exactly once, on any goroutine, at the latest when ctx ends; it must
	// not block. Records of one caller are handed over in the order of its calls.
	Send(ctx context.Context, rec Record, done func(Result))
	// Check protects a copy of rec, and sends nothing. A record that could be
	// sent is Delivered in its result, with neither partition nor offset.
	Check(ctx context.Context, rec Record) Result
}

// A BatchSender is a [Sender] that takes batches without waiting. A [Pipeline] is
// one.
type BatchSender interface {
	Sender
	// SendBatch protects the records of a batch in the caller's goroutine and hands
	// them over, in their order. It fills results, of which there is one for each
	// record, and calls done then: exactly once, on any goroutine, at the latest when
	// ctx ends. done must not block. Neither recs nor results may be touched before,
	// and the Sender does not touch them after.
	SendBatch(ctx context.Context, recs []Record, results []Result, done func())
}

// SendBatch is [BatchSender.SendBatch] for any Sender: one that takes no batches
// gets the records one by one.
func SendBatch(ctx context.Context, s Sender, recs []Record, results []Result, done func()) {
	if b, ok := s.(BatchSender); ok {
		b.SendBatch(ctx, recs, results, done)
		return
	}
	var left atomic.Int64
	left.Store(int64(len(recs)) + 1)
	finish := func() {
		if left.Add(-1) == 0 {
			done()
		}
	}
	for i := range recs {
		s.Send(ctx, recs[i], func(res Result) {
			results[i] = res
			finish()
		})
	}
	finish()
}
