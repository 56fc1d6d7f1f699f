package kgocrypt_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/avro"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/kgocrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
)

// A gate is a KMS that makes keys only while it is open, and counts them.
type gate struct {
	kms.Wrapper
	open    chan struct{}
	entered chan struct{}
	once    sync.Once
	made    atomic.Int64
}

func newGate(b *bench) *gate {
	g := &gate{Wrapper: b.kms, open: make(chan struct{}), entered: make(chan struct{})}
	b.kms = g
	return g
}

func (g *gate) Generate(ctx context.Context, kek string, ec kms.EncryptionContext) (plain, wrapped []byte, err error) {
	g.once.Do(func() { close(g.entered) })
	select {
	case <-g.open:
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
	g.made.Add(1)
	return g.Wrapper.Generate(ctx, kek, ec)
}

// sent returns how many records the broker has in a partition.
func (b *bench) sent(topic string, partition int32) int64 {
	b.t.Helper()
	info := b.cluster.PartitionInfo(topic, partition)
	if info == nil {
		return 0
	}
	return info.HighWatermark
}

// raw returns the first n records of a topic as they are in Kafka.
func (b *bench) raw(topic string, n int) []*kgo.Record {
	b.t.Helper()
	cl := b.client(kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	ctx, cancel := context.WithTimeout(b.t.Context(), 20*time.Second)
	defer cancel()
	var out []*kgo.Record
	for len(out) < n {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			b.t.Fatalf("after %d records: %v", len(out), err)
		}
		out = append(out, fetches.Records()...)
	}
	return out
}

func numberOf(t *testing.T, value []byte) int {
	t.Helper()
	var v struct {
		N     int64  `avro:"n"`
		Email string `avro:"email"`
	}
	if _, err := avro.MustParse(text).Decode(value[5:], &v); err != nil {
		t.Fatal(err)
	}
	if v.Email != email(int(v.N)) {
		t.Fatalf("record %d holds %q", v.N, v.Email)
	}
	return int(v.N)
}

// The first records of both partitions meet a scope without a key, and later
// ones meet the end of a key, several times.
func TestOrderOfAPartitionHoldsWhileKeysAreMadeAndReplaced(t *testing.T) {
	const partitions, n = 2, 10_000
	b := newBench(t, partitions)
	b.policy = `
version: 1
keys: {pii: {kek: "local:test", max_seals: 4096}}
rules: [{tag: PII, action: encrypt, key: pii}]
`
	keys := newGate(b)
	p := b.producer(nil, kgo.DefaultProduceTopic(topic), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	var wg sync.WaitGroup
	for partition := range int32(partitions) {
		values := make([][]byte, n)
		for i := range values {
			values[i] = value(t, i)
		}
		wg.Go(func() {
			acked := int64(0)
			for _, v := range values {
				p.Produce(t.Context(), &kgo.Record{Partition: partition, Value: v}, func(r *kgo.Record, err error) {
					// The client calls these one after the other.
					if err != nil || r.Partition != partition || r.Offset != acked {
						t.Errorf("promise %d of partition %d: partition %d, offset %d, %v", acked, partition, r.Partition, r.Offset, err)
					}
					acked++
				})
			}
		})
	}
	<-keys.entered
	if sent := b.sent(topic, 0) + b.sent(topic, 1); sent != 0 {
		t.Errorf("%d records were sent without a key", sent)
	}
	close(keys.open)
	wg.Wait()
	if err := p.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	next := make([]int, partitions)
	for _, r := range b.read(partitions*n, nil) {
		if got := numberOf(t, r.Value); got != next[r.Partition] {
			t.Fatalf("partition %d offset %d holds record %d, want %d", r.Partition, r.Offset, got, next[r.Partition])
		}
		next[r.Partition]++
	}
	if made := keys.made.Load(); made < 4 {
		t.Errorf("%d keys were made, so none was replaced under way", made)
	}
}

func TestTheRecordOfTheCallerIsNotChanged(t *testing.T) {
	b := newBench(t, 1)
	p := b.producer(nil)
	// There is room behind everything that might be appended to.
	valueRoom := append(value(t, 7), "behind the value"...)
	headerRoom := []kgo.RecordHeader{{Key: "a", Value: []byte("1")}, {Key: "a", Value: nil}, {Key: "behind", Value: []byte("headers")}}
	keyRoom := []byte("key, and behind it")
	n := len(value(t, 7))
	r := &kgo.Record{Topic: topic, Key: keyRoom[:3], Value: valueRoom[:n], Headers: headerRoom[:2]}
	wantValue, wantKey := bytes.Clone(valueRoom), bytes.Clone(keyRoom)

	res := p.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: value(t, 1)}, r)
	if err := res.FirstErr(); err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(res, func(x kgo.ProduceResult) bool { return x.Record == r }) {
		t.Error("the results hold another record than the caller's")
	}
	if !bytes.Equal(valueRoom, wantValue) || !bytes.Equal(keyRoom, wantKey) || len(r.Value) != n || len(r.Headers) != 2 {
		t.Error("value, key or headers were changed")
	}
	if h := headerRoom[2]; h.Key != "behind" || string(h.Value) != "headers" {
		t.Error("a header was written into the caller's slice")
	}
	stored := b.raw(topic, 2)[1]
	if r.Offset != stored.Offset || r.Offset != 1 || r.Partition != stored.Partition || !r.Timestamp.Equal(stored.Timestamp) {
		t.Errorf("the record says offset %d, partition %d, time %v; Kafka says %d, %d, %v",
			r.Offset, r.Partition, r.Timestamp, stored.Offset, stored.Partition, stored.Timestamp)
	}
	if string(stored.Key) != "key" || len(stored.Headers) != 4 || stored.Headers[0].Key != "a" || stored.Headers[1].Key != "a" {
		t.Errorf("Kafka holds key %q and headers %v", stored.Key, stored.Headers)
	}
}

func TestRefusedRecordsReachNoPartition(t *testing.T) {
	const n = 200
	b := newBench(t, 1)
	p := b.producer(nil)
	bad := func() *kgo.Record { return &kgo.Record{Topic: topic, Value: append(value(t, 1), "CANARY"...)} }
	var wg sync.WaitGroup
	var calls [n]atomic.Int32
	for i := range n {
		send := p.Produce
		if i%2 > 0 {
			send = p.TryProduce
		}
		wg.Go(func() {
			r, refused := bad(), i%4 < 2
			if !refused {
				r.Value = value(t, i)
			}
			send(t.Context(), r, func(got *kgo.Record, err error) {
				calls[i].Add(1)
				var e *fieldcrypt.Error
				if got != r || errors.As(err, &e) != refused || refused && (e.Code != fieldcrypt.CodeMalformed || e.Retryable()) || !refused && err != nil {
					t.Errorf("record %d: %v", i, err)
				}
			})
		})
	}
	wg.Wait()
	if err := p.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range calls {
		if c := calls[i].Load(); c != 1 {
			t.Errorf("the promise of record %d was called %d times", i, c)
		}
	}
	if got := b.sent(topic, 0); got != n/2 {
		t.Errorf("the topic holds %d records, want %d", got, n/2)
	}
	if bytes.Contains(b.stored(), []byte("CANARY")) {
		t.Error("the broker holds a part of a refused record")
	}
}

func TestPromisesOfRefusedRecordsComeInTheirOrder(t *testing.T) {
	b := newBench(t, 1)
	p := b.producer(nil)
	var got []int
	for i := range 500 {
		p.Produce(t.Context(), &kgo.Record{Topic: topic, Value: []byte{1}}, func(*kgo.Record, error) { got = append(got, i) })
	}
	if err := p.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(got) != 500 || !slices.IsSorted(got) {
		t.Errorf("%d promises, in the order %v", len(got), got)
	}
}

func TestAContextThatEndsBeforeTheKeyIsThereKeepsTheRecordHere(t *testing.T) {
	b := newBench(t, 1)
	keys := newGate(b)
	p := b.producer(nil)
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	returned := make(chan struct{})
	go func() {
		defer close(returned)
		p.Produce(ctx, &kgo.Record{Topic: topic, Value: value(t, 1)}, func(_ *kgo.Record, err error) { result <- err })
	}()
	<-keys.entered
	cancel()
	<-returned
	var e *fieldcrypt.Error
	if err := <-result; !errors.As(err, &e) || e.Code != fieldcrypt.CodeCanceled || !errors.Is(err, context.Canceled) || !e.Retryable() {
		t.Errorf("%v", err)
	}
	if err := p.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: value(t, 1)}).FirstErr(); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that had ended before: %v", err)
	}
	close(keys.open)
	if err := p.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: value(t, 2)}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if got := b.sent(topic, 0); got != 1 {
		t.Errorf("%d records were sent, want the last alone", got)
	}
}

func TestAClosedClientRefusesRecords(t *testing.T) {
	b := newBench(t, 1)
	cl := b.client()
	p, err := kgocrypt.NewProducer(cl, b.engine(nil))
	if err != nil {
		t.Fatal(err)
	}
	cl.Close()
	for name, send := range map[string]func(context.Context, *kgo.Record, func(*kgo.Record, error)){"Produce": p.Produce, "TryProduce": p.TryProduce} {
		r := &kgo.Record{Topic: topic, Value: value(t, 1)}
		result := make(chan error, 2)
		send(t.Context(), r, func(got *kgo.Record, err error) {
			if got != r || !bytes.Equal(got.Value, value(t, 1)) {
				t.Errorf("%s: the promise got another record", name)
			}
			result <- err
		})
		if err := <-result; !errors.Is(err, kgo.ErrClientClosed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	var e *fieldcrypt.Error
	if err := p.ProduceSync(t.Context(), &kgo.Record{Topic: "", Value: value(t, 1)}).FirstErr(); !errors.As(err, &e) || e.Code != fieldcrypt.CodeUngoverned {
		t.Errorf("a record without any topic: %v", err)
	}
}

// hold makes the broker answer no produce request for the topic until release.
func (b *bench) hold(topic string) (arrived <-chan struct{}, release func()) {
	seen, open := make(chan struct{}), make(chan struct{})
	var once sync.Once
	b.cluster.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
		b.cluster.KeepControl()
		if b.producedTo(req) == topic {
			once.Do(func() { close(seen) })
			b.cluster.SleepControl(func() { <-open })
		}
		return nil, nil, false
	})
	release = sync.OnceFunc(func() { close(open) })
	b.t.Cleanup(release)
	return seen, release
}

func (b *bench) producedTo(req kmsg.Request) string {
	r, _ := req.(*kmsg.ProduceRequest)
	if name := r.Topics[0].Topic; name != "" {
		return name
	}
	return b.cluster.TopicIDInfo(r.Topics[0].TopicID).Topic
}

func TestTryProduceFailsAtOnceWhereTheClientIsFull(t *testing.T) {
	b := newBench(t, 1)
	arrived, release := b.hold(topic)
	p := b.producer(nil, kgo.MaxBufferedRecords(1), kgo.ProducerLinger(0))
	first, second := make(chan error, 1), make(chan error, 1)
	p.Produce(t.Context(), &kgo.Record{Topic: topic, Value: value(t, 1)}, func(_ *kgo.Record, err error) { first <- err })
	<-arrived
	r := &kgo.Record{Topic: topic, Value: value(t, 2)}
	p.TryProduce(t.Context(), r, func(got *kgo.Record, err error) {
		if got != r {
			t.Error("the promise got another record")
		}
		second <- err
	})
	if err := <-second; !errors.Is(err, kgo.ErrMaxBuffered) {
		t.Errorf("%v", err)
	}
	release()
	if err := <-first; err != nil {
		t.Errorf("the record that was there before: %v", err)
	}
}

// A promise that sends a refused record elsewhere is what dead letters are made
// of. The linger is longer than the test, so only Flush can send it.
func TestFlushWaitsForWhatPromisesOfRefusedRecordsProduce(t *testing.T) {
	b := newBench(t, 1)
	b.createTopic("dead", 1, nil)
	cl := b.client(kgo.ProducerLinger(time.Minute))
	p, err := kgocrypt.NewProducer(cl, b.engine(nil))
	if err != nil {
		t.Fatal(err)
	}
	p.Produce(t.Context(), &kgo.Record{Topic: topic, Value: []byte("x")}, func(_ *kgo.Record, err error) {
		letter := &kgo.Record{Topic: "dead", Value: []byte(err.Error())}
		cl.Produce(t.Context(), letter, nil)
	})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := p.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	if got := b.sent("dead", 0); got != 1 {
		t.Errorf("%d dead letters arrived", got)
	}
}

func TestFlushEndsWithItsContext(t *testing.T) {
	b := newBench(t, 1)
	p := b.producer(nil)
	entered, leave := make(chan struct{}), make(chan struct{})
	p.Produce(t.Context(), &kgo.Record{Topic: topic, Value: []byte("x")}, func(*kgo.Record, error) { close(entered); <-leave })
	<-entered
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Flush(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("while a promise runs: %v", err)
	}
	close(leave)
	if err := p.Flush(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestProduceSyncDoesNotWaitForTheLinger(t *testing.T) {
	b := newBench(t, 1)
	p := b.producer(nil, kgo.ProducerLinger(time.Minute))
	// The client has to know the topic first.
	p.Produce(t.Context(), &kgo.Record{Topic: topic, Value: value(t, 0)}, nil)
	if err := p.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	rs := []*kgo.Record{{Topic: topic, Value: value(t, 1)}, {Topic: topic, Value: []byte("x")}, {Topic: topic, Value: value(t, 2)}}
	res := p.ProduceSync(ctx, rs...)
	if len(res) != 3 || res[0].Record != rs[1] || res[0].Err == nil {
		t.Fatalf("%v", res)
	}
	for i, r := range []*kgo.Record{rs[0], rs[2]} {
		if got := res[i+1]; got.Record != r || got.Err != nil || r.Offset != int64(i+1) {
			t.Errorf("result %d: offset %d, %v", i+1, got.Record.Offset, got.Err)
		}
	}
	if ctx.Err() != nil {
		t.Error("ProduceSync waited for the linger")
	}
}

// A client that sends everything to one topic must not get records that were
// protected by the rules of another one.
func TestThePolicyIsThatOfTheTopicToWhichTheClientSends(t *testing.T) {
	b := newBench(t, 1)
	b.policy = `
version: 1
keys: {pii: {kek: "local:test"}}
rules: [{tag: PII, action: encrypt, key: pii}]
topics:
  - {match: "weak", rules: [{tag: PII, action: mask, keep_last: 8}]}
  - {match: "users"}
`
	p := b.producer(nil, kgo.DefaultProduceTopic(topic), kgo.DefaultProduceTopicAlways())
	r := &kgo.Record{Topic: "weak", Value: value(t, 1)}
	if err := p.ProduceSync(t.Context(), r).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if r.Topic != topic {
		t.Errorf("the record says topic %q", r.Topic)
	}
	if v := b.raw(topic, 1)[0].Value; !bytes.Contains(v, []byte("fv1:")) {
		t.Errorf("the record is protected as if for another topic")
	}
}

// One promise stands for a transaction too: what it aborts was never there.
func TestTransactionsStayThoseOfTheClient(t *testing.T) {
	b := newBench(t, 1)
	cl := b.client(kgo.TransactionalID("t"), kgo.DefaultProduceTopic(topic))
	p, err := kgocrypt.NewProducer(cl, b.engine(nil))
	if err != nil {
		t.Fatal(err)
	}
	for i, commit := range []kgo.TransactionEndTry{kgo.TryAbort, kgo.TryCommit} {
		if err := cl.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		if err := p.ProduceSync(t.Context(), &kgo.Record{Value: value(t, i)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
		if err := cl.EndTransaction(t.Context(), commit); err != nil {
			t.Fatal(err)
		}
	}
	committed := b.client(kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	c, err := kgocrypt.NewConsumer(committed, b.engine(nil))
	if err != nil {
		t.Fatal(err)
	}
	for r, err := range c.Poll(t.Context(), 0).All() {
		if err != nil {
			t.Fatal(err)
		}
		if got := numberOf(t, r.Value); got != 1 {
			t.Errorf("record %d of an aborted transaction was read", got)
		}
	}
	if err := p.ProduceSync(t.Context(), &kgo.Record{Value: value(t, 3)}).FirstErr(); err == nil {
		t.Error("a record went out beside any transaction")
	}
}

// Memory is used again while other records are on their way, some of which are given
// up while the client may be writing them.
func TestMemoryThatIsUsedAgainIsNotThatOfARecordOnItsWay(t *testing.T) {
	for name, givingUp := range map[string]bool{"all are waited for": false, "some are given up": true} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, 1)
			// With a linger, so that records wait while others are written.
			p := b.producer(nil, kgo.MaxBufferedRecords(100), kgo.ProducerLinger(time.Millisecond))
			const workers, each = 4, 500
			schema := avro.MustParse(text)
			emailOf := func(n int64) string {
				return strconv.FormatInt(n, 10) + strings.Repeat("x", int(n%7*800)) // some need more than is kept
			}
			var wg, finished sync.WaitGroup
			var acked, failed atomic.Int64
			for w := range workers {
				wg.Go(func() {
					for i := range each {
						n := int64(w*each + i)
						v, err := schema.Encode(map[string]any{"n": n, "email": emailOf(n)})
						if err != nil {
							t.Error(err)
							return
						}
						ctx, cancel := context.WithCancel(t.Context())
						finished.Add(1)
						p.Produce(ctx, &kgo.Record{Topic: topic, Value: append([]byte{0, 0, 0, 0, 1}, v...)}, func(_ *kgo.Record, err error) {
							defer finished.Done()
							if err == nil {
								acked.Add(1)
								return
							}
							failed.Add(1)
							if !givingUp || !errors.Is(err, context.Canceled) {
								t.Error(err)
							}
						})
						if givingUp && n%3 == 0 {
							cancel()
						}
						t.Cleanup(cancel)
					}
				})
			}
			wg.Wait()
			finished.Wait()
			if givingUp == (failed.Load() == 0) {
				t.Errorf("%d records were given up", failed.Load())
			}
			seen := make(map[int64]bool)
			for _, r := range b.read(int(acked.Load()), nil) {
				var u struct {
					N     int64  `avro:"n"`
					Email string `avro:"email"`
				}
				if _, err := schema.Decode(r.Value[5:], &u); err != nil {
					t.Fatal(err)
				}
				if u.Email != emailOf(u.N) || seen[u.N] {
					t.Errorf("record %d holds %q, or comes twice", u.N, u.Email)
				}
				seen[u.N] = true
			}
		})
	}
}
