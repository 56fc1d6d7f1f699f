package kgocrypt

import (
	"context"
	"errors"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/fieldveil/fieldveil/fieldcrypt"
)

// A Producer protects records and produces them. It is safe for concurrent use.
type Producer struct {
	client *kgo.Client
	engine *fieldcrypt.Engine
	failed failures
}

// NewProducer returns a Producer. The client stays the caller's to close, after
// [Producer.Flush].
func NewProducer(client *kgo.Client, engine *fieldcrypt.Engine) (*Producer, error) {
	if client == nil || engine == nil {
		return nil, errors.New("kgocrypt: NewProducer needs a client and an engine")
	}
	return &Producer{client: client, engine: engine}, nil
}

// Produce protects r and hands it to the client, as [kgo.Client.Produce] does.
// The promise, which may be nil, gets r itself: with partition, offset and
// timestamp when it was produced, or with the error that kept it from being
// sent, a [*fieldcrypt.Error] if it could not be protected. r and what it
// refers to must not be changed before that; its value is not changed.
//
// Produce waits, until ctx ends, when a data key or schema must be fetched
// first, and where the client itself waits for room.
func (p *Producer) Produce(ctx context.Context, r *kgo.Record, promise func(*kgo.Record, error)) {
	p.produce(ctx, r, promise, p.client.Produce)
}

// TryProduce is Produce, but fails at once where the client has no room.
func (p *Producer) TryProduce(ctx context.Context, r *kgo.Record, promise func(*kgo.Record, error)) {
	p.produce(ctx, r, promise, p.client.TryProduce)
}

type produceFunc func(context.Context, *kgo.Record, func(*kgo.Record, error))

func (p *Producer) produce(ctx context.Context, r *kgo.Record, promise func(*kgo.Record, error), next produceFunc) {
	if ctx == nil {
		ctx = context.Background()
	}
	sealed, err := p.protect(ctx, r)
	if err != nil {
		p.failed.add(failure{r, err, promise})
		return
	}
	next(ctx, sealed, func(s *kgo.Record, err error) {
		// The caller's record learns where it went; the protected copy stays
		// behind.
		r.Topic, r.Partition, r.Offset, r.Timestamp = s.Topic, s.Partition, s.Offset, s.Timestamp
		r.Attrs, r.ProducerEpoch, r.ProducerID, r.LeaderEpoch = s.Attrs, s.ProducerEpoch, s.ProducerID, s.LeaderEpoch
		if promise != nil {
			promise(r, err)
		}
	})
}

// ProduceSync protects and produces records and waits for all of them. The
// results stand in the order in which records were finished, as with
// [kgo.Client.ProduceSync].
func (p *Producer) ProduceSync(ctx context.Context, rs ...*kgo.Record) kgo.ProduceResults {
	var (
		wg      sync.WaitGroup
		mu      sync.Mutex
		results = make(kgo.ProduceResults, 0, len(rs))
	)
	wg.Add(len(rs))
	for _, r := range rs {
		p.Produce(ctx, r, func(r *kgo.Record, err error) {
			mu.Lock()
			results = append(results, kgo.ProduceResult{Record: r, Err: err})
			mu.Unlock()
			wg.Done()
		})
	}
	wg.Wait()
	return results
}

// Flush waits until all records that were handed to Produce are finished and
// their promises have returned.
func (p *Producer) Flush(ctx context.Context) error {
	if err := p.client.Flush(ctx); err != nil {
		return err
	}
	return p.failed.wait(ctx)
}

// protect returns the record that may be sent in place of r.
func (p *Producer) protect(ctx context.Context, r *kgo.Record) (*kgo.Record, error) {
	topic := r.Topic
	if topic == "" {
		topic, _ = p.client.OptValue(kgo.DefaultProduceTopic).(string)
	}
	out, err := p.engine.Protect(ctx, toRecord(topic, r))
	if err != nil {
		return nil, err
	}
	s := *r
	s.Topic, s.Value, s.Headers = topic, out.Value, toHeaders(out.Headers)
	return &s, nil
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

func toHeaders(hs []fieldcrypt.Header) []kgo.RecordHeader {
	if len(hs) == 0 {
		return nil
	}
	out := make([]kgo.RecordHeader, len(hs))
	for i, h := range hs {
		out[i] = kgo.RecordHeader(h)
	}
	return out
}
