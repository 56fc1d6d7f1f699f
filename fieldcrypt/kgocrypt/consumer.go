package kgocrypt

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/fieldveil/fieldveil/fieldcrypt"
)

// A Consumer polls records and reveals them. It is as safe for concurrent use
// as its client.
type Consumer struct {
	client *kgo.Client
	engine *fieldcrypt.Engine
}

// NewConsumer returns a Consumer. The client stays the caller's to close.
func NewConsumer(client *kgo.Client, engine *fieldcrypt.Engine) (*Consumer, error) {
	if client == nil || engine == nil {
		return nil, errors.New("kgocrypt: NewConsumer needs a client and an engine")
	}
	return &Consumer{client: client, engine: engine}, nil
}

// A Batch is what one poll brought.
type Batch struct {
	ctx      context.Context //nolint:containedctx // the poll's own, used while ranging over it
	consumer *Consumer
	// Fetches are the records as they are in Kafka, still protected.
	Fetches kgo.Fetches
}

// Poll waits for records, at most n of them, or any number for n ≤ 0. It is
// [kgo.Client.PollRecords].
func (c *Consumer) Poll(ctx context.Context, n int) *Batch {
	return &Batch{ctx: ctx, consumer: c, Fetches: c.client.PollRecords(ctx, n)}
}

// Done tells that the client is closed and nothing will ever come again.
func (b *Batch) Done() bool { return b.Fetches.IsClientClosed() }

// All yields the records in order, revealed. A record that could not be
// revealed comes with its error, as it is in Kafka, so that the caller decides
// whether to stop or to put it aside; an error of fetching a partition comes
// with a nil record. The yielded records are copies.
func (b *Batch) All() iter.Seq2[*kgo.Record, error] {
	return func(yield func(*kgo.Record, error) bool) {
		for _, e := range b.Fetches.Errors() {
			if !yield(nil, fmt.Errorf("kgocrypt: fetch topic %q partition %d: %w", e.Topic, e.Partition, e.Err)) {
				return
			}
		}
		for it := b.Fetches.RecordIter(); !it.Done(); {
			r := it.Next()
			revealed, err := b.consumer.Reveal(b.ctx, r)
			if err != nil {
				revealed = r
			}
			if !yield(revealed, err) {
				return
			}
		}
	}
}

// Reveal returns a revealed copy of a record that was consumed by other means.
func (c *Consumer) Reveal(ctx context.Context, r *kgo.Record) (*kgo.Record, error) {
	rec, err := c.engine.Reveal(ctx, toRecord(r.Topic, r))
	if err != nil {
		return nil, err
	}
	out := *r
	out.Key, out.Value, out.Headers = rec.Key, rec.Value, appendHeaders(nil, rec.Headers)
	return &out, nil
}

func toRecord(topic string, r *kgo.Record) fieldcrypt.Record {
	rec := fieldcrypt.Record{Topic: topic, Key: r.Key, Value: r.Value}
	if len(r.Headers) > 0 {
		rec.Headers = make([]fieldcrypt.Header, len(r.Headers))
		for i, h := range r.Headers {
			rec.Headers[i] = fieldcrypt.Header(h)
		}
	}
	return rec
}

func appendHeaders(dst []kgo.RecordHeader, hs []fieldcrypt.Header) []kgo.RecordHeader {
	if len(hs) == 0 {
		return nil
	}
	for _, h := range hs {
		dst = append(dst, kgo.RecordHeader(h))
	}
	return dst
}
