package produce

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// sealing marks what it has seen, so that tests find what it has not.
type sealing struct{}

const mark = "sealed:"

func (sealing) Protect(_ context.Context, dst []byte, rec *Record) (Record, error) {
	out := *rec
	if rec.Value != nil {
		out.Value = append(append(dst, mark...), rec.Value...)
	}
	return out, nil
}

type protectFunc func(ctx context.Context, dst []byte, rec *Record) (Record, error)

func (f protectFunc) Protect(ctx context.Context, dst []byte, rec *Record) (Record, error) {
	return f(ctx, dst, rec)
}

// held is a client that keeps records until the test answers.
type held struct {
	mu   sync.Mutex
	all  []heldRecord
	sent chan struct{} // one for each record
}

type heldRecord struct {
	r       *kgo.Record
	promise func(*kgo.Record, error)
}

func newHeld() *held { return &held{sent: make(chan struct{}, 1<<20)} }

func (h *held) TryProduce(_ context.Context, r *kgo.Record, promise func(*kgo.Record, error)) {
	h.mu.Lock()
	h.all = append(h.all, heldRecord{r, promise})
	h.mu.Unlock()
	h.sent <- struct{}{}
}

func (h *held) Flush(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

// answer finishes all records that the client has, and returns them.
func (h *held) answer(err error) []heldRecord {
	h.mu.Lock()
	all := h.all
	h.all = nil
	h.mu.Unlock()
	for i, r := range all {
		r.r.Partition, r.r.Offset = 3, int64(i)
		r.promise(r.r, err)
	}
	return all
}

// at once is a client that delivers everything.
type atOnce struct{}

func (atOnce) TryProduce(_ context.Context, r *kgo.Record, promise func(*kgo.Record, error)) {
	promise(r, nil)
}
func (atOnce) Flush(context.Context) error { return nil }

func pipeline(t testing.TB, p Protector, c Client, opts ...Option) *Pipeline {
	t.Helper()
	l, err := New(p, c, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

const topic = "people"

func cluster1(t testing.TB, opts ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1), kfake.SeedTopics(4, topic)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func clientOf(t testing.TB, c *kfake.Cluster, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	client, err := kgo.NewClient(append(append([]kgo.Opt{kgo.SeedBrokers(c.ListenAddrs()...), kgo.ProducerLinger(0), kgo.MetadataMinAge(10 * time.Millisecond)}, opts...), ClientOptions(nil, 0)...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// stored reads n records of the topic.
func stored(t testing.TB, c *kfake.Cluster, n int) []*kgo.Record {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	var out []*kgo.Record
	for len(out) < n {
		f := client.PollFetches(t.Context())
		if err := f.Err(); err != nil {
			t.Fatal(err)
		}
		out = append(out, f.Records()...)
	}
	return out
}

func values(vs ...string) []Record {
	out := make([]Record, len(vs))
	for i, v := range vs {
		out[i] = Record{Topic: topic, Partition: AnyPartition, Value: []byte(v)}
	}
	return out
}

func TestABatchIsDeliveredProtected(t *testing.T) {
	c := cluster1(t)
	p := pipeline(t, sealing{}, clientOf(t, c))
	recs := values("a", "b", "c")
	recs[1].Partition = 2
	recs[2].Headers = []Header{{"h", []byte("1")}, {"h", nil}}
	recs[2].Key = []byte("k")
	for i, r := range p.Produce(t.Context(), recs, Each) {
		if r.Outcome != Delivered || r.Err != nil || r.Partition < 0 || r.Offset < 0 || r.ValueSize != len(mark)+1 || r.Timestamp.IsZero() {
			t.Errorf("record %d: %+v", i, r)
		}
		if i == 1 && r.Partition != 2 {
			t.Errorf("asked for partition 2, got %d", r.Partition)
		}
	}
	done := make(chan Result, 1)
	p.Send(t.Context(), values("d")[0], func(r Result) { done <- r })
	if r := <-done; r.Outcome != Delivered || r.KeySize != -1 {
		t.Errorf("%+v", r)
	}
	for _, r := range stored(t, c, 4) {
		if string(r.Value[:len(mark)]) != mark {
			t.Errorf("the broker has %q", r.Value)
		}
		if string(r.Key) == "k" && (len(r.Headers) != 2 || r.Headers[1].Value != nil) {
			t.Errorf("headers %v", r.Headers)
		}
	}
}
