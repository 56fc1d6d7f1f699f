package produce

import (
	"context"
	"errors"
	"math/bits"
	"time"
)

// place finds out what must be known of the topic of rec before it is sent.
func (p *Pipeline) place(ctx context.Context, rec *Record) (TopicInfo, *Error) {
	if rec.Topic == "" || rec.Partition < AnyPartition {
		return TopicInfo{}, fail(CodeInvalid, Rejected)
	}
	if p.topics == nil {
		return TopicInfo{}, nil
	}
	info, err := p.topics.Topic(ctx, rec.Topic)
	if err != nil {
		return TopicInfo{}, err
	}
	if info.Partitions > 0 && rec.Partition >= info.Partitions {
		return TopicInfo{}, fail(CodePartitionUnknown, Rejected)
	}
	return info, nil
}

// maxBytes is how large a record may be as a batch of its own.
func (p *Pipeline) maxBytes(info *TopicInfo) int {
	n := info.MaxBytes
	if n <= 0 {
		n = DefaultTopicBytes
	}
	if l := p.limits.recordBytes; l > 0 {
		n = min(n, l)
	}
	return n
}

// A clock measures calls of the Protector one after the other, for an Observer:
// the end of one is the beginning of the next, so that a record costs one reading.
// It is nothing without an Observer.
type clock struct {
	on    bool
	begin time.Time
	last  time.Duration // since begin
}

func (p *Pipeline) clock() clock {
	if p.observer == nil {
		return clock{}
	}
	return clock{on: true, begin: time.Now()}
}

// reset has the next call begin now.
func (c *clock) reset() {
	if c.on {
		c.last = time.Since(c.begin)
	}
}

// took returns the time since the end of the last call, or since reset.
func (c *clock) took() time.Duration {
	last := c.last
	c.last = time.Since(c.begin)
	return c.last - last
}

// protect has the Protector protect rec. What it returns is the record that may
// be sent: nothing of rec but its topic, partition and time gets there otherwise.
func (p *Pipeline) protect(ctx context.Context, dst []byte, rec *Record, c *clock) (out Record, err *Error) {
	out, err = p.call(ctx, dst, rec)
	out.Topic, out.Partition, out.Timestamp = rec.Topic, rec.Partition, rec.Timestamp
	if c.on {
		after := 0
		if err == nil {
			after = out.Size()
		}
		p.observer.Protected(rec.Topic, c.took(), rec.Size(), after, err)
	}
	return out, err
}

// call turns whatever the Protector does into a record or an Error without data.
func (p *Pipeline) call(ctx context.Context, dst []byte, rec *Record) (out Record, failure *Error) {
	defer func() {
		// What was panicked with may hold a value, so nobody gets to see it.
		if recover() != nil {
			out, failure = Record{}, fail(CodeInternal, Rejected)
		}
	}()
	out, err := p.protector.Protect(ctx, dst, rec)
	if err == nil {
		return out, nil
	}
	var e *Error
	switch {
	case errors.As(err, &e) && e != nil && (e.Outcome == Rejected || e.Outcome == Retryable):
		return Record{}, e
	case ctx.Err() != nil:
		return Record{}, fail(CodeCanceled, Retryable)
	default:
		return Record{}, fail(CodeInternal, Rejected)
	}
}

// Kafka's record batch, format 2: what a batch needs beside its records, and a
// record beside its fields. The attributes and both deltas of the only record of
// a batch take a byte each.
const (
	batchOverhead  = 61
	recordOverhead = 3
)

// fits says whether a protected record can be sent to its topic.
func (p *Pipeline) fits(rec *Record, info *TopicInfo) *Error {
	switch {
	case tooLarge(rec, p.maxBytes(info)):
		return fail(CodeTooLarge, Rejected)
	case info.refuses(rec):
		return fail(CodeRefused, Rejected)
	}
	return nil
}

// clientOverhead is what the client counts against the limit of a batch and the
// broker does not: the length in front of it.
const clientOverhead = 4

// tooLarge says whether rec cannot be sent where batches have limit bytes.
func tooLarge(rec *Record, limit int) bool { return wireSize(rec)+clientOverhead > limit }

// wireSize is how many bytes rec takes as the only record of a batch that is not
// compressed, which is what the client measures.
func wireSize(rec *Record) int {
	n := recordOverhead + fieldSize(rec.Key) + fieldSize(rec.Value) + varintLen(len(rec.Headers))
	for i := range rec.Headers {
		n += varintLen(len(rec.Headers[i].Key)) + len(rec.Headers[i].Key) + fieldSize(rec.Headers[i].Value)
	}
	return batchOverhead + varintLen(n) + n
}

func fieldSize(b []byte) int {
	if b == nil {
		return 1 // the length -1
	}
	return varintLen(len(b)) + len(b)
}

// varintLen is the length of n, which is not negative, as a zig-zag varint.
func varintLen(n int) int { return (bits.Len64(uint64(n)<<1|1) + 6) / 7 } //nolint:gosec // not negative
