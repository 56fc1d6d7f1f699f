package kgocrypt_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"runtime/pprof"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/fieldveil/fieldveil/fieldcrypt"
	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/kgocrypt"
)

// block makes a key block as a producer would, and its id.
func (b *bench) block() (datakey.ID, []byte) {
	b.t.Helper()
	out, err := b.engine(nil).Protect(b.t.Context(), fieldcrypt.Record{Topic: topic, Value: value(b.t, 0)})
	if err != nil {
		b.t.Fatal(err)
	}
	for _, h := range out.Headers {
		if h.Key == fieldcrypt.HeaderKey {
			id, err := datakey.CheckBlock(h.Value)
			if err != nil {
				b.t.Fatal(err)
			}
			return id, h.Value
		}
	}
	b.t.Fatal("no key header")
	return datakey.ID{}, nil
}

func TestANewKeyTopicIsCompactedAndHasOnePartition(t *testing.T) {
	b := newBench(t, 1)
	k, err := kgocrypt.OpenKeyTopic(t.Context(), "", b.opts(), kgocrypt.WithReplication(1))
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	adm := kadm.NewClient(b.client())
	topics, err := adm.ListTopics(t.Context(), kgocrypt.DefaultKeyTopic)
	if err != nil || len(topics[kgocrypt.DefaultKeyTopic].Partitions) != 1 {
		t.Fatalf("%v, %v", topics, err)
	}
	configs, err := adm.DescribeTopicConfigs(t.Context(), kgocrypt.DefaultKeyTopic)
	if err != nil {
		t.Fatal(err)
	}
	found := ""
	for _, c := range configs[0].Configs {
		if c.Key == "cleanup.policy" {
			found = c.MaybeValue()
		}
	}
	if found != "compact" {
		t.Errorf("cleanup.policy is %q", found)
	}
}

func TestAMissingTopicIsNotMadeByAReader(t *testing.T) {
	b := newBench(t, 1)
	if _, err := kgocrypt.OpenKeyTopic(t.Context(), keyTopic, b.opts(), kgocrypt.WithoutCreate()); !errors.Is(err, kerr.UnknownTopicOrPartition) {
		t.Errorf("%v", err)
	}
	if b.cluster.TopicInfo(keyTopic) != nil {
		t.Error("the topic was made")
	}
}

// FV-33.
func TestAWriterReadsItsKeyBackAndNeverReplacesIt(t *testing.T) {
	b := newBench(t, 1)
	k := b.keyTopic()
	id, block := b.block()
	for range 2 { // a second process may have the same key
		if err := k.Put(t.Context(), id, block); err != nil {
			t.Fatal(err)
		}
		if got, err := k.Get(t.Context(), id); err != nil || !bytes.Equal(got, block) || k.Len() != 1 {
			t.Fatalf("%d keys, %v", k.Len(), err)
		}
	}
	raw := b.raw(keyTopic, 1)[0]
	if !bytes.Equal(raw.Key, id[:]) || !bytes.Equal(raw.Value, block) || len(raw.Headers) != 0 {
		t.Errorf("the topic holds %v", raw)
	}
	other := bytes.Clone(block)
	other[len(other)-1] ^= 1
	if err := k.Put(t.Context(), id, other); err == nil {
		t.Error("another block of the same id was put")
	}
	if err := k.Put(t.Context(), datakey.ID{1}, []byte("no block")); err == nil {
		t.Error("something that is no block was put")
	}
	got, err := k.Get(t.Context(), id)
	if err != nil || !bytes.Equal(got, block) {
		t.Errorf("the first block is gone: %v", err)
	}
	got[0] ^= 1
	if again, err := k.Get(t.Context(), id); err != nil || !bytes.Equal(again, block) {
		t.Error("what Get returned is shared with the key topic")
	}
}

// FV-32: while the broker is silent about the key, no record goes out.
func TestNoRecordIsSentWhileTheKeyIsUnderWay(t *testing.T) {
	b := newBench(t, 1)
	k := b.keyTopic()
	arrived, release := b.hold(keyTopic)
	p := b.producer(k)
	result := make(chan error, 1)
	p.TryProduce(ended(), &kgo.Record{Topic: topic, Value: value(t, 0)}, func(_ *kgo.Record, err error) { result <- err })
	var e *fieldcrypt.Error
	if err := <-result; !errors.As(err, &e) || !e.Retryable() {
		t.Errorf("a caller that does not wait: %v", err)
	}
	go func() {
		result <- p.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: value(t, 1)}).FirstErr()
	}()
	<-arrived
	if sent := b.sent(topic, 0) + b.sent(keyTopic, 0); sent != 0 || k.Len() != 0 {
		t.Errorf("%d records were sent and %d keys are known before the key is durable", sent, k.Len())
	}
	release()
	if err := <-result; err != nil {
		t.Fatal(err)
	}
	if b.sent(topic, 0) != 1 || b.sent(keyTopic, 0) != 1 {
		t.Errorf("%d records, %d keys", b.sent(topic, 0), b.sent(keyTopic, 0))
	}
}

func ended() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// A client keeps a request that it has sent; who waits for it does not.
func TestPutEndsWithItsContextWhileTheBrokerIsSilent(t *testing.T) {
	b := newBench(t, 1)
	k := b.keyTopic()
	arrived, release := b.hold(keyTopic)
	id, block := b.block()
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() { result <- k.Put(ctx, id, block) }()
	<-arrived
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	release()
	if err := k.Put(t.Context(), id, block); err != nil {
		t.Errorf("once the broker answers: %v", err)
	}
}

func TestABrokerThatIsAwayIsARetryableError(t *testing.T) {
	b := newBench(t, 1)
	k := b.keyTopic()
	p := b.producer(k)
	id, _ := b.block()
	b.stop()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	var e *fieldcrypt.Error
	if err := p.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: value(t, 1)}).FirstErr(); !errors.As(err, &e) || !e.Retryable() {
		t.Errorf("ProduceSync: %v", err)
	}

	// The topic would have to be asked for a key that was never seen.
	if _, err := k.Get(ctx, id); err == nil || errors.Is(err, datakey.ErrUnknownKey) {
		t.Errorf("Get: %v", err)
	}
}

// The embedded broker goes and comes back with its files, at its old address.
func TestAKeyTopicGoesOnWhenItsBrokerIsBack(t *testing.T) {
	b := newBench(t, 1)
	k := b.keyTopic()
	first, block := b.block()
	if err := k.Put(t.Context(), first, block); err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(b.addrs[0])
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	b.stop()
	again, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.DataDir(b.dir), kfake.Ports(n))
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	second, other := b.block()
	if err := k.Put(ctx, second, other); err != nil {
		t.Fatal(err)
	}
	fresh, err := kgocrypt.OpenKeyTopic(ctx, keyTopic, b.opts(), kgocrypt.WithoutCreate())
	if err != nil {
		t.Fatal(err)
	}
	defer fresh.Close()
	for id, want := range map[datakey.ID][]byte{first: block, second: other} {
		for _, k := range []*kgocrypt.KeyTopic{k, fresh} {
			if got, err := k.Get(ctx, id); err != nil || !bytes.Equal(got, want) {
				t.Errorf("key %s: %v", id, err)
			}
		}
	}
}

// The marks of a transaction take offsets and are no records.
func TestAForeignTransactionAtTheEndIsNotWaitedFor(t *testing.T) {
	b := newBench(t, 1)
	before := b.keyTopic()
	cl := b.client(kgo.TransactionalID("somebody"))
	for _, end := range []kgo.TransactionEndTry{kgo.TryCommit, kgo.TryAbort} {
		if err := cl.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: keyTopic, Value: []byte("x")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
		if err := cl.EndTransaction(t.Context(), end); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	after, err := kgocrypt.OpenKeyTopic(ctx, keyTopic, b.opts())
	if err != nil {
		t.Fatal(err)
	}
	defer after.Close()
	for name, k := range map[string]*kgocrypt.KeyTopic{"open before": before, "opened afterwards": after} {
		if _, err := k.Get(ctx, datakey.ID{9}); !errors.Is(err, datakey.ErrUnknownKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestATopicWhoseRecordsWereDeletedByHandOpens(t *testing.T) {
	b := newBench(t, 1)
	k := b.keyTopic()
	id, block := b.block()
	if err := k.Put(t.Context(), id, block); err != nil {
		t.Fatal(err)
	}
	if err := b.cluster.DeleteRecords(keyTopic, 0, 1); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	fresh, err := kgocrypt.OpenKeyTopic(ctx, keyTopic, b.opts())
	if err != nil {
		t.Fatal(err)
	}
	defer fresh.Close()
	if _, err := fresh.Get(ctx, id); !errors.Is(err, datakey.ErrUnknownKey) {
		t.Errorf("%v", err)
	}
	// From a backup, or from a process that still has the key.
	if err := k.Put(ctx, id, block); err != nil {
		t.Fatal(err)
	}
	if got, err := fresh.Get(ctx, id); err != nil || !bytes.Equal(got, block) {
		t.Errorf("%v", err)
	}
}

// Who may not read the topic is told, however long the context would last.
func TestAMissingPermissionIsNotWaitedFor(t *testing.T) {
	b := newBench(t, 1)
	k := b.keyTopic()
	id, block := b.block()
	if err := k.Put(t.Context(), id, block); err != nil {
		t.Fatal(err)
	}
	allow := b.denyFetches()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if _, err := kgocrypt.OpenKeyTopic(ctx, keyTopic, b.opts()); !errors.Is(err, kerr.TopicAuthorizationFailed) || ctx.Err() != nil {
		t.Errorf("%v", err)
	}
	other, otherBlock := b.block()
	if err := k.Put(ctx, other, otherBlock); !errors.Is(err, kerr.TopicAuthorizationFailed) || ctx.Err() != nil {
		t.Errorf("Put, which reads back: %v", err)
	}
	// What was refused before is forgotten.
	allow()
	third, thirdBlock := b.block()
	if err := k.Put(ctx, third, thirdBlock); err != nil {
		t.Errorf("once it may read: %v", err)
	}
	if got, err := k.Get(ctx, other); err != nil || !bytes.Equal(got, otherBlock) {
		t.Errorf("what was written meanwhile: %v", err)
	}
}

// A caller's options for other topics change nothing about this one.
func TestOptionsThatWouldHideKeysAreOverruled(t *testing.T) {
	b := newBench(t, 1)
	opts := b.opts(kgo.ConsumeResetOffset(kgo.NewOffset().AtEnd()), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	k, err := kgocrypt.OpenKeyTopic(t.Context(), keyTopic, opts)
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()

	// Its place in the topic is deleted while it may not read.
	allow := b.denyFetches()
	id, block := b.block()
	cl := b.client()
	if err := cl.ProduceSync(ctx, &kgo.Record{Topic: keyTopic, Key: []byte("gone"), Value: []byte("x")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if err := b.cluster.DeleteRecords(keyTopic, 0, 1); err != nil {
		t.Fatal(err)
	}
	if err := cl.ProduceSync(ctx, &kgo.Record{Topic: keyTopic, Key: id[:], Value: block}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	allow()
	for err := error(kerr.TopicAuthorizationFailed); errors.Is(err, kerr.TopicAuthorizationFailed); {
		var got []byte
		if got, err = k.Get(ctx, id); err == nil && !bytes.Equal(got, block) {
			t.Error("another block")
		} else if err != nil && !errors.Is(err, kerr.TopicAuthorizationFailed) {
			t.Errorf("behind what was deleted: %v", err)
		}
	}

	// A foreign transaction that never ends holds up who reads committed ones.
	tx := b.client(kgo.TransactionalID("somebody"))
	if err := tx.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := tx.ProduceSync(ctx, &kgo.Record{Topic: keyTopic, Value: []byte("x")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Get(ctx, datakey.ID{9}); !errors.Is(err, datakey.ErrUnknownKey) {
		t.Errorf("beside an open transaction: %v", err)
	}
}

func TestCloseEndsEverythingAndCanBeRepeated(t *testing.T) {
	b := newBench(t, 1)
	k := b.keyTopic()
	id, block := b.block()
	if err := k.Put(t.Context(), id, block); err != nil {
		t.Fatal(err)
	}
	arrived, _ := b.hold(keyTopic)
	waiting := make(chan error, 1)
	go func() { waiting <- k.Put(t.Context(), id, block) }()
	<-arrived
	k.Close()
	k.Close()
	if err := <-waiting; err == nil {
		t.Error("a Put that waited says that it succeeded")
	}
	other, otherBlock := b.block()
	if err := k.Put(t.Context(), other, otherBlock); err == nil {
		t.Error("Put succeeded after Close")
	}
	if _, err := k.Get(t.Context(), other); err == nil || errors.Is(err, datakey.ErrUnknownKey) {
		t.Errorf("Get after Close says %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for reading() {
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			t.Fatal("a goroutine still reads")
		}
	}
}

// reading tells whether any key topic still has its goroutine.
func reading() bool {
	var dump strings.Builder
	if err := pprof.Lookup("goroutine").WriteTo(&dump, 1); err != nil {
		return true
	}
	return strings.Contains(dump.String(), "KeyTopic).read")
}
