package kgocrypt

import (
	"bytes"
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
	pieces sync.Pool // of *[]byte: see seal
}

// NewProducer returns a Producer. The client stays the caller's to close, after
// [Producer.Flush].
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
	f := &flight{origin: r, promise: promise}
	if err := p.protect(ctx, r, f); err != nil {
		p.failed.add(failure{r, err, promise})
		return
	}
	next(ctx, &f.sealed, f.done)
}

// A flight is a record on its way. What belongs to it is one allocation.
type flight struct {
	sealed  kgo.Record
	headers [3]kgo.RecordHeader // as many as most records have
	origin  *kgo.Record
	promise func(*kgo.Record, error)
}

// done is the promise of the protected record.
func (f *flight) done(s *kgo.Record, err error) {
	settle(f.origin, s)
	if f.promise != nil {
		f.promise(f.origin, err)
	}
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
	origin := make(map[*kgo.Record]*kgo.Record, len(rs))
	for _, r := range rs {
		f := &flight{origin: r}
		if err := p.protect(ctx, r, f); err != nil {
			results = append(results, kgo.ProduceResult{Record: r, Err: err})
			continue
		}
		sealed = append(sealed, &f.sealed)
		origin[&f.sealed] = r
	}
	for _, res := range p.client.ProduceSync(ctx, sealed...) {
		r := origin[res.Record]
		settle(r, res.Record)
		results = append(results, kgo.ProduceResult{Record: r, Err: res.Err})
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

// protect puts the record that may be sent in place of r into f.
func (p *Producer) protect(ctx context.Context, r *kgo.Record, f *flight) error {
	// The policy must be that of the topic to which the client will send.
	topic := r.Topic
	if topic == "" || p.always {
		topic = p.topic
	}
	out, err := p.seal(ctx, toRecord(topic, r))
	if err != nil {
		return err
	}
	s := &f.sealed
	*s = *r
	s.Topic, s.Key, s.Value, s.Headers = topic, out.Key, out.Value, appendHeaders(f.headers[:0], out.Headers)
	if !bytes.Equal(out.Key, r.Key) {
		if s.Context == nil {
			s.Context = ctx // as the client does
		}
		s.Context = carryKey(s.Context, r.Key)
	}
	return nil
}

// Values of records share pieces of memory: one allocation for each would be half as
// large again as what is written to it, and cleared first. A piece is garbage when
// the last of its records is.
const (
	pieceSize = 64 << 10
	// A value that is larger has memory of its own, or pieces would be wasted.
	largest = pieceSize / 16
)

// seal protects a record, with its value in a piece that goroutines do not share.
func (p *Producer) seal(ctx context.Context, rec fieldcrypt.Record) (fieldcrypt.Record, error) {
	// Ciphertext is longer than plaintext; this is room for most records.
	need := 2*len(rec.Value) + 256
	if rec.Value == nil || need > largest {
		return p.engine.Protect(ctx, rec)
	}
	piece, _ := p.pieces.Get().(*[]byte)
	if piece == nil {
		piece = new([]byte)
	}
	if cap(*piece) < need {
		*piece = make([]byte, 0, pieceSize)
	}
	out, err := p.engine.AppendProtected(ctx, (*piece)[:0], rec)
	if err == nil {
		// What is behind the value is free. A value that did not fit was moved, and
		// left the piece as it was.
		if n := len(out.Value); n > 0 && n <= cap(*piece) && &out.Value[0] == &(*piece)[:1][0] {
			*piece = (*piece)[n:n:cap(*piece)]
		}
	}
	p.pieces.Put(piece)
	return out, err
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
