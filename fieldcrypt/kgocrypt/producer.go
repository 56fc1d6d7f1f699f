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
	topic  string // the client's default topic
	always bool   // the client sends everything to its default topic
	failed failures

	flights sync.Pool // of *flight
}

// NewProducer returns a Producer. The client stays the caller's to close, after
// [Producer.Flush].
//
// The memory of a protected record is used again once the client has told that it
// was produced. Hooks of the client that are given records must not keep them.
func NewProducer(client *kgo.Client, engine *fieldcrypt.Engine) (*Producer, error) {
	if client == nil || engine == nil {
		return nil, errors.New("kgocrypt: NewProducer needs a client and an engine")
	}
	if engine.ProtectsKeys() {
		if _, ok := client.OptValue(kgo.RecordPartitioner).(partitioner); !ok {
			return nil, errPartitioner
		}
	}
	p := &Producer{client: client, engine: engine}
	p.topic, _ = client.OptValue(kgo.DefaultProduceTopic).(string)
	p.always, _ = client.OptValue(kgo.DefaultProduceTopicAlways).(bool)
	return p, nil
}

// Produce protects r and hands it to the client, as [kgo.Client.Produce] does.
// The promise, which may be nil, gets r itself: with partition, offset and
// timestamp when it was produced, or with the error that kept it from being
// sent, a [*fieldcrypt.Error] if it could not be protected. r and what it
// refers to must not be changed before that; its value is not changed.
//
// The promise of a record that could not be protected runs on a goroutine of
// the Producer, at the same time as those that the client calls.
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
	f := p.flight(r)
	f.promise = promise
	if err := p.protect(ctx, r, f); err != nil {
		f.land()
		p.failed.add(failure{r, err, promise})
		return
	}
	next(ctx, &f.sealed, f.done)
}

// settle tells the caller's record where it went; the protected copy stays
// behind.
func settle(r, s *kgo.Record) {
	r.Topic, r.Partition, r.Offset, r.Timestamp = s.Topic, s.Partition, s.Offset, s.Timestamp
	r.Attrs, r.ProducerEpoch, r.ProducerID, r.LeaderEpoch = s.Attrs, s.ProducerEpoch, s.ProducerID, s.LeaderEpoch
}

// ProduceSync protects and produces records and waits for all of them. Those
// that could not be protected come first in the results; the others stand in
// the order in which they were finished, as with [kgo.Client.ProduceSync],
// whose short cut past the client's linger they get too.
func (p *Producer) ProduceSync(ctx context.Context, rs ...*kgo.Record) kgo.ProduceResults {
	if ctx == nil {
		ctx = context.Background()
	}
	results := make(kgo.ProduceResults, 0, len(rs))
	sealed := make([]*kgo.Record, 0, len(rs))
	flights := make(map[*kgo.Record]*flight, len(rs))
	for _, r := range rs {
		f := p.flight(r)
		if err := p.protect(ctx, r, f); err != nil {
			f.land()
			results = append(results, kgo.ProduceResult{Record: r, Err: err})
			continue
		}
		sealed = append(sealed, &f.sealed)
		flights[&f.sealed] = f
	}
	for _, res := range p.client.ProduceSync(ctx, sealed...) {
		f := flights[res.Record]
		settle(f.origin, res.Record)
		results = append(results, kgo.ProduceResult{Record: f.origin, Err: res.Err})
		if res.Err == nil {
			f.land()
		}
	}
	return results
}

// Flush waits until all records that were handed to Produce are finished and
// their promises have returned. What those promises produced is waited for too,
// such as a refused record that its promise sends elsewhere.
func (p *Producer) Flush(ctx context.Context) error {
	for {
		before := p.failed.called()
		if err := p.client.Flush(ctx); err != nil {
			return err
		}
		if err := p.failed.wait(ctx); err != nil {
			return err
		}
		// Promises that ran beside the client's Flush may have produced.
		if p.failed.called() == before {
			return nil
		}
	}
}
