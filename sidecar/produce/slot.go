package produce

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// A slot is a record on its way through the client. It is the record's context
// too, so that the partitioner finds in it where the record should go; it never
// ends, for a record that was handed over is finished whatever its sender does.
type slot struct {
	p       *Pipeline
	rec     kgo.Record
	promise func(*kgo.Record, error) // made once, and kept in pools
	headers []kgo.RecordHeader
	values  context.Context //nolint:containedctx // of the sender, for values only

	plainKey  []byte // before it was protected: it decides about the partition
	wanted    int32  // AnyPartition, or the one that the sender asks for
	placed    bool   // the partitioner has seen the record: it may be written from now on
	misplaced bool   // the partition asked for is not there
	doubts    uint64 // of the link when the record was handed over
}

// Deadline implements [context.Context].
func (*slot) Deadline() (time.Time, bool) { return time.Time{}, false }

// Done implements [context.Context].
func (*slot) Done() <-chan struct{} { return nil }

// Err implements [context.Context].
func (*slot) Err() error { return nil }

// Value implements [context.Context] with the values of the sender's context,
// which hooks of the client ask for, such as those of traces.
func (s *slot) Value(key any) any {
	if key == (slotKey{}) {
		return s
	}
	if s.values == nil {
		return nil
	}
	return s.values.Value(key)
}

type slotKey struct{}

// slotOf returns the slot of a record, or nil for one that is not a pipeline's. A
// hook may have wrapped the context.
func slotOf(r *kgo.Record) *slot {
	if s, ok := r.Context.(*slot); ok {
		return s
	}
	if r.Context == nil {
		return nil
	}
	s, _ := r.Context.Value(slotKey{}).(*slot)
	return s
}

// load puts a protected record into s. plain is the record that it was.
func (s *slot) load(ctx context.Context, plain, sealed *Record) {
	s.headers = s.headers[:0]
	for i := range sealed.Headers {
		s.headers = append(s.headers, kgo.RecordHeader(sealed.Headers[i]))
	}
	s.values, s.plainKey, s.wanted, s.placed, s.misplaced = ctx, plain.Key, plain.Partition, false, false
	s.rec = kgo.Record{Key: sealed.Key, Value: sealed.Value, Timestamp: sealed.Timestamp, Topic: sealed.Topic, Partition: sealed.Partition, Context: s}
	if len(s.headers) > 0 {
		s.rec.Headers = s.headers
	}
	if s.p.link != nil {
		s.doubts = s.p.link.doubts.Load()
	}
}

// handOver gives the record to the client. From here on the promise decides.
func (s *slot) handOver(lease context.Context) {
	s.p.client.TryProduce(lease, &s.rec, s.promise)
}

// result says what the client's answer means.
func (s *slot) result(r *kgo.Record, err error) Result {
	res := Result{Partition: -1, Offset: -1, KeySize: sizeOf(r.Key), ValueSize: sizeOf(r.Value)}
	if err == nil {
		res.Outcome, res.Partition, res.Offset, res.Timestamp = Delivered, r.Partition, r.Offset, r.Timestamp
		return res
	}
	fate := fate{safe: !s.placed && s.p.link != nil, doubtful: s.p.link != nil && s.p.link.doubts.Load() != s.doubts}
	if s.misplaced {
		res.Err = fail(CodePartitionUnknown, Rejected)
	} else {
		res.Err = classify(err, fate)
	}
	res.Outcome = res.Err.Outcome
	return res
}

// unknown is the result of a record that is still with the client.
func unknown() Result {
	return Result{Outcome: Unknown, Partition: -1, Offset: -1, KeySize: -1, ValueSize: -1, Held: true, Err: fail(CodeUnknown, Unknown)}
}

// clear lets go of what belongs to a sender, before s goes back to a pool.
func (s *slot) clear() {
	clear(s.headers[:cap(s.headers)])
	s.rec, s.values, s.plainKey = kgo.Record{}, nil, nil
}
