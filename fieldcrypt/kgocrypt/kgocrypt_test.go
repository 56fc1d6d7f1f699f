package kgocrypt_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/twmb/avro"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/kgocrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms"
	"github.com/fieldveil/fieldveil/fieldcrypt/kms/localkms"
	"github.com/fieldveil/fieldveil/schema"
)

const (
	text = `{"type": "record", "name": "User", "fields": [
	  {"name": "n", "type": "long"},
	  {"name": "email", "type": "string", "confluent:tags": ["PII"]}]}`
	policyText = `
version: 1
keys: {pii: {kek: "local:test"}}
rules: [{tag: PII, action: encrypt, key: pii}]
topics: [{match: "users*"}]
`
	topic = "users"
)

// bench is one embedded broker, one KMS and what a program needs of them.
type bench struct {
	t       *testing.T
	cluster *kfake.Cluster
	dir     string
	kms     kms.Wrapper
	policy  string
	stop    func()
	addrs   []string // taken early: a closed broker does not tell them
}

func newBench(t *testing.T, partitions int32) *bench {
	t.Helper()
	dir := t.TempDir()
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.DataDir(dir), kfake.SeedTopics(partitions, topic))
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, cluster: c, dir: dir, addrs: c.ListenAddrs(), policy: policyText, kms: kms.Mux{localkms.Scheme: localkms.NewInMemory()}}
	// The embedded broker cannot be closed twice.
	b.stop = sync.OnceFunc(c.Close)
	t.Cleanup(b.stop)
	return b
}

func (b *bench) opts(more ...kgo.Opt) []kgo.Opt {
	return append([]kgo.Opt{kgo.SeedBrokers(b.addrs...)}, more...)
}

func (b *bench) client(more ...kgo.Opt) *kgo.Client {
	b.t.Helper()
	cl, err := kgo.NewClient(b.opts(more...)...)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(cl.Close)
	return cl
}

func (b *bench) engine(store datakey.Store) *fieldcrypt.Engine {
	b.t.Helper()
	p, err := fieldcrypt.ParsePolicy([]byte(b.policy))
	if err != nil {
		b.t.Fatal(err)
	}
	var opts []datakey.Option
	if store != nil {
		opts = append(opts, datakey.WithStore(store), datakey.WithCallTimeout(2*time.Second))
	}
	keys, err := datakey.New(b.kms, opts...)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(keys.Close)
	e, err := fieldcrypt.New(p, keys, fieldcrypt.WithSchemas(schema.Static{1: {Format: schema.Avro, Schema: text}}))
	if err != nil {
		b.t.Fatal(err)
	}
	return e
}

func (b *bench) producer(store datakey.Store, more ...kgo.Opt) *kgocrypt.Producer {
	b.t.Helper()
	p, err := kgocrypt.NewProducer(b.client(more...), b.engine(store))
	if err != nil {
		b.t.Fatal(err)
	}
	return p
}

// read consumes n records, revealed by an engine of its own.
func (b *bench) read(n int, store datakey.Store) []*kgo.Record {
	b.t.Helper()
	c, err := kgocrypt.NewConsumer(b.client(kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart())), b.engine(store))
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(b.t.Context(), 20*time.Second)
	defer cancel()
	var out []*kgo.Record
	for len(out) < n {
		for r, err := range c.Poll(ctx, 0).All() {
			if err != nil {
				b.t.Fatalf("after %d records: %v", len(out), err)
			}
			out = append(out, r)
		}
	}
	return out
}

// stored is every byte that the broker wrote.
func (b *bench) stored() []byte {
	b.t.Helper()
	var all []byte
	err := filepath.WalkDir(b.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		c, err := os.ReadFile(path)
		all = append(all, c...)
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return all
}

func email(n int) string { return "person-" + strconv.Itoa(n) + "@example.com" }

func value(t *testing.T, n int) []byte {
	t.Helper()
	b, err := avro.MustParse(text).AppendEncode(binary.BigEndian.AppendUint32([]byte{0}, 1), map[string]any{"n": int64(n), "email": email(n)})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRecordsArriveProtectedAndInOrder(t *testing.T) {
	const n = 3000
	b := newBench(t, 3)
	p := b.producer(nil, kgo.DefaultProduceTopic(topic), kgo.ProducerBatchCompression(kgo.NoCompression()))
	var (
		mu   sync.Mutex
		done int
	)
	for i := range n {
		v := value(t, i)
		r := &kgo.Record{Key: []byte(strconv.Itoa(i % 7)), Value: v, Headers: []kgo.RecordHeader{{Key: "trace", Value: []byte("t")}}}
		p.Produce(t.Context(), r, func(got *kgo.Record, err error) {
			mu.Lock()
			defer mu.Unlock()
			done++
			if err != nil || got != r || !bytes.Equal(got.Value, v) || len(got.Headers) != 1 || got.Timestamp.IsZero() || got.Topic != topic {
				t.Errorf("record %d: promise got %+v, %v", i, got, err)
			}
		})
	}
	if err := p.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if done != n {
		t.Fatalf("%d promises, want %d", done, n)
	}

	disk := b.stored()
	for i := range n {
		if bytes.Contains(disk, []byte(email(i))) {
			t.Fatalf("the broker holds the address of person %d", i)
		}
	}
	if !bytes.Contains(disk, []byte("trace")) {
		t.Fatal("the broker's files do not even hold what is clear: the search proves nothing")
	}

	last := make(map[string]int)
	for _, r := range b.read(n, nil) {
		var v struct {
			N     int64  `avro:"n"`
			Email string `avro:"email"`
		}
		if _, err := avro.MustParse(text).Decode(r.Value[5:], &v); err != nil {
			t.Fatal(err)
		}
		if v.Email != email(int(v.N)) || len(r.Headers) != 1 {
			t.Fatalf("record %d holds %q and headers %v", v.N, v.Email, r.Headers)
		}
		if k := string(r.Key); int(v.N) < last[k] {
			t.Fatalf("record %d of key %s came after %d", v.N, k, last[k])
		} else {
			last[k] = int(v.N)
		}
	}
}

func TestARecordThatCannotBeProtectedIsNotSent(t *testing.T) {
	b := newBench(t, 1)
	p := b.producer(nil)
	bad := []*kgo.Record{
		{Topic: "orders", Value: value(t, 1)},                   // not governed
		{Topic: topic, Value: []byte("CANARY no framing")},      // malformed
		{Topic: topic, Value: append(value(t, 2), "CANARY"...)}, // trailing bytes
		{Topic: topic, Value: []byte{0, 0, 0, 0, 9, 0}},         // unknown schema
	}
	for i, r := range bad {
		// The caller may hold a lock that his promise takes too.
		var mu sync.Mutex
		result := make(chan error, 2)
		mu.Lock()
		p.Produce(t.Context(), r, func(got *kgo.Record, err error) {
			mu.Lock()
			defer mu.Unlock()
			if got != r {
				t.Errorf("record %d: the promise got another record", i)
			}
			result <- err
		})
		mu.Unlock()
		if err := p.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		var e *fieldcrypt.Error
		if err := <-result; !errors.As(err, &e) {
			t.Errorf("record %d: %v", i, err)
		}
		if len(result) != 0 {
			t.Errorf("record %d: the promise was called twice", i)
		}
	}
	if err := p.ProduceSync(t.Context(), bad[1], &kgo.Record{Topic: topic, Value: value(t, 3)}).FirstErr(); err == nil {
		t.Error("ProduceSync hides the error of one record")
	}
	p.TryProduce(t.Context(), bad[0], nil) // a nil promise is allowed
	if got := b.read(1, nil); len(got) != 1 || got[0].Offset != 0 {
		t.Errorf("the topic holds %d records", len(got))
	}
	if bytes.Contains(b.stored(), []byte("CANARY")) {
		t.Error("the broker holds a record that was refused")
	}
}

func TestAConsumerGetsTheSealedRecordBesideItsError(t *testing.T) {
	b := newBench(t, 1)
	if err := b.producer(nil).ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: value(t, 1)}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	b.kms = kms.Mux{localkms.Scheme: localkms.NewInMemory()} // another KEK
	c, err := kgocrypt.NewConsumer(b.client(kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart())), b.engine(nil))
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for r, err := range c.Poll(t.Context(), 10).All() {
		seen++
		var e *fieldcrypt.Error
		if !errors.As(err, &e) || e.Code != fieldcrypt.CodeKeyUnusable {
			t.Errorf("%v", err)
		}
		if r == nil || !bytes.Contains(r.Value, []byte("fv1:")) || len(r.Headers) != 2 {
			t.Errorf("the record that came along is %v", r)
		}
	}
	if seen != 1 {
		t.Errorf("%d records", seen)
	}
}

func TestAClosedClientEndsTheLoop(t *testing.T) {
	b := newBench(t, 1)
	cl := b.client(kgo.ConsumeTopics(topic))
	c, err := kgocrypt.NewConsumer(cl, b.engine(nil))
	if err != nil {
		t.Fatal(err)
	}
	cl.Close()
	batch := c.Poll(t.Context(), 0)
	if !batch.Done() {
		t.Error("the batch of a closed client is not the last")
	}
	for r, err := range batch.All() {
		if r != nil || err == nil {
			t.Errorf("%v, %v", r, err)
		}
	}
}

func TestConstructorsRefuseNothing(t *testing.T) {
	b := newBench(t, 1)
	if _, err := kgocrypt.NewProducer(nil, b.engine(nil)); err == nil {
		t.Error("a producer without a client")
	}
	if _, err := kgocrypt.NewConsumer(b.client(), nil); err == nil {
		t.Error("a consumer without an engine")
	}
}
