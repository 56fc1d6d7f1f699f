package kgocrypt_test

import (
	"bytes"
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/kgocrypt"
)

func (b *bench) consumer(more ...kgo.Opt) *kgocrypt.Consumer {
	b.t.Helper()
	opts := append([]kgo.Opt{kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart())}, more...)
	c, err := kgocrypt.NewConsumer(b.client(opts...), b.engine(nil))
	if err != nil {
		b.t.Fatal(err)
	}
	return c
}

// poll returns the first batch that holds n records.
func (b *bench) poll(c *kgocrypt.Consumer, n int) *kgocrypt.Batch {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 20*time.Second)
	b.t.Cleanup(cancel)
	batch := c.Poll(ctx, 0)
	if got := batch.Fetches.NumRecords(); got != n {
		b.t.Fatalf("the poll brought %d records, want %d: %v", got, n, batch.Fetches.Err())
	}
	return batch
}

func TestABadRecordStopsNeitherTheOnesBeforeNorAfterIt(t *testing.T) {
	const n, bad = 7, 3
	b := newBench(t, 1)
	e := b.engine(nil)
	cl := b.client()
	var batch []*kgo.Record
	for i := range n {
		out, err := e.Protect(t.Context(), fieldcrypt.Record{Topic: topic, Value: value(t, i), Headers: []fieldcrypt.Header{{Key: "own"}}})
		if err != nil {
			t.Fatal(err)
		}
		r := &kgo.Record{Topic: topic, Value: out.Value}
		if i == bad {
			// Another character of the alphabet, well inside the ciphertext.
			c := &r.Value[len(r.Value)-8]
			if *c == 'A' {
				*c = 'B'
			} else {
				*c = 'A'
			}
		}
		for _, h := range out.Headers {
			r.Headers = append(r.Headers, kgo.RecordHeader(h))
		}
		batch = append(batch, r)
	}
	batch = append(batch, &kgo.Record{Topic: topic, Key: []byte("gone"), Value: nil})
	if err := cl.ProduceSync(t.Context(), batch...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	got := b.poll(b.consumer(), n+1)
	raw := got.Fetches.Records()
	i := 0
	for r, err := range got.All() {
		switch {
		case r == nil || r.Offset != int64(i):
			t.Fatalf("record %d is %v", i, r)
		case i == bad:
			var e *fieldcrypt.Error
			if !errors.As(err, &e) || e.Code != fieldcrypt.CodeTampered || e.Path != "/email" {
				t.Errorf("the changed record: %v", err)
			}
			if r != raw[i] || !bytes.Equal(r.Value, batch[i].Value) || len(r.Headers) != 3 {
				t.Error("the changed record does not come as it is in Kafka")
			}
		case err != nil:
			t.Errorf("record %d: %v", i, err)
		case i == n:
			if r.Value != nil || string(r.Key) != "gone" {
				t.Errorf("the tombstone came as %v", r)
			}
		default:
			if numberOf(t, r.Value) != i || len(r.Headers) != 1 || r.Headers[0].Key != "own" {
				t.Errorf("record %d came as %v", i, r)
			}
			if r == raw[i] || !bytes.Contains(raw[i].Value, []byte("fv1:")) || len(raw[i].Headers) != 3 {
				t.Errorf("record %d was changed in place", i)
			}
		}
		i++
	}
	if i != n+1 {
		t.Errorf("%d records came", i)
	}
	i = 0
	for _, err := range got.All() {
		i++
		if err != nil {
			t.Errorf("again, record %d: %v", i-1, err)
		}
		if i == 2 {
			break
		}
	}
	if i != 2 {
		t.Errorf("the loop went on for %d rounds after its end", i)
	}
	if _, err := b.consumer().Reveal(t.Context(), raw[bad]); err == nil {
		t.Error("Reveal opened the changed record")
	}
	if r, err := b.consumer().Reveal(t.Context(), raw[0]); err != nil || numberOf(t, r.Value) != 0 || r.Offset != 0 {
		t.Errorf("Reveal: %v, %v", r, err)
	}
}

// denyFetches makes the broker refuse to serve every topic until allow.
func (b *bench) denyFetches() (allow func()) {
	var allowed atomic.Bool
	b.cluster.ControlKey(int16(kmsg.Fetch), func(req kmsg.Request) (kmsg.Response, error, bool) {
		b.cluster.KeepControl()
		if allowed.Load() {
			return nil, nil, false
		}
		r, _ := req.(*kmsg.FetchRequest)
		res, _ := r.ResponseKind().(*kmsg.FetchResponse)
		for _, t := range r.Topics {
			rt := kmsg.NewFetchResponseTopic()
			rt.Topic, rt.TopicID = t.Topic, t.TopicID
			for _, p := range t.Partitions {
				rp := kmsg.NewFetchResponseTopicPartition()
				rp.Partition, rp.ErrorCode = p.Partition, kerr.TopicAuthorizationFailed.Code
				rt.Partitions = append(rt.Partitions, rp)
			}
			res.Topics = append(res.Topics, rt)
		}
		return res, nil, true
	})
	return func() { allowed.Store(true) }
}

func TestAnErrorOfFetchingComesWithoutARecord(t *testing.T) {
	b := newBench(t, 1)
	b.denyFetches()
	c := b.consumer()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	batch := c.Poll(ctx, 0)
	seen := 0
	for r, err := range batch.All() {
		seen++
		if r != nil || !errors.Is(err, kerr.TopicAuthorizationFailed) {
			t.Errorf("%v, %v", r, err)
		}
		break
	}
	if seen != 1 || batch.Done() {
		t.Errorf("%d rounds, done is %t", seen, batch.Done())
	}
}

func TestAContextThatEndsComesAsAnErrorOfFetching(t *testing.T) {
	b := newBench(t, 1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	batch := b.consumer().Poll(ctx, 0)
	seen := 0
	for r, err := range batch.All() {
		seen++
		if r != nil || !errors.Is(err, context.Canceled) {
			t.Errorf("%v, %v", r, err)
		}
	}
	if seen != 1 || batch.Done() {
		t.Errorf("%d rounds, done is %t", seen, batch.Done())
	}
}
