package kgocrypt

import (
	"bytes"
	"context"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/fieldveil/fieldveil/fieldcrypt"
)

// A flight is a record on its way, with all the memory that belongs to it. It is
// used again once the record was produced: then the client has written it for the
// last time. One that failed may be in a request that is being written, and is left
// to the garbage collector.
type flight struct {
	home    *Producer
	done    func(*kgo.Record, error) // finish, bound once
	origin  *kgo.Record
	promise func(*kgo.Record, error)

	sealed  kgo.Record
	headers []kgo.RecordHeader // of sealed
	in, out fieldcrypt.Record  // what goes to the engine and comes from it
	edges   []fieldcrypt.Header
	value   []byte
}

// What a flight keeps, at most. Clients hold 10,000 records by default.
const (
	keptValue   = 16 << 10
	keptHeaders = 16
)

// flight returns one for a record of the caller.
func (p *Producer) flight(r *kgo.Record) *flight {
	f, _ := p.flights.Get().(*flight)
	if f == nil {
		f = &flight{home: p, headers: make([]kgo.RecordHeader, 0, 4)}
		f.out.Headers = make([]fieldcrypt.Header, 0, 4)
		f.done = f.finish
	}
	f.origin = r
	return f
}

// finish is the promise of the protected record.
func (f *flight) finish(s *kgo.Record, err error) {
	origin, promise := f.origin, f.promise
	settle(origin, s)
	if err == nil {
		f.land()
	}
	if promise != nil {
		promise(origin, err)
	}
}

// land gives f back. Nobody may refer to its record any more.
func (f *flight) land() {
	if cap(f.value) > keptValue || max(cap(f.headers), cap(f.edges), cap(f.out.Headers)) > keptHeaders {
		return
	}
	clear(f.headers)
	clear(f.edges)
	clear(f.out.Headers)
	f.origin, f.promise, f.sealed, f.in = nil, nil, kgo.Record{}, fieldcrypt.Record{}
	f.out = fieldcrypt.Record{Headers: f.out.Headers[:0]}
	f.home.flights.Put(f)
}

// protect puts the record that may be sent in place of r into f.
func (p *Producer) protect(ctx context.Context, r *kgo.Record, f *flight) error {
	// The policy must be that of the topic to which the client will send.
	topic := r.Topic
	if topic == "" || p.always {
		topic = p.topic
	}
	f.edges = f.edges[:0]
	for _, h := range r.Headers {
		f.edges = append(f.edges, fieldcrypt.Header(h))
	}
	f.in = fieldcrypt.Record{Topic: topic, Key: r.Key, Value: r.Value, Headers: f.edges}
	f.out.Value = f.value
	err := p.engine.ProtectInto(ctx, &f.out, &f.in)
	if f.out.Value != nil {
		f.value = f.out.Value[:0]
	}
	if err != nil {
		return err
	}
	out := &f.out
	f.headers = f.headers[:0]
	for _, h := range out.Headers {
		f.headers = append(f.headers, kgo.RecordHeader(h))
	}
	s := &f.sealed
	*s = *r
	s.Topic, s.Key, s.Value, s.Headers = topic, out.Key, out.Value, f.headers
	if len(f.headers) == 0 {
		s.Headers = nil
	}
	if !bytes.Equal(out.Key, r.Key) {
		if s.Context == nil {
			s.Context = ctx // as the client does
		}
		s.Context = carryKey(s.Context, r.Key)
	}
	return nil
}
