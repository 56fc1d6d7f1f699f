package kafkabroker_test

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/fieldveil/fieldveil/internal/conformance/kafkabroker"
)

const topic = "durable"

func TestAcknowledgedRecordsOutliveARestartAndACrash(t *testing.T) {
	b := kafkabroker.Start(t)
	t.Logf("Apache Kafka %s at %s", b.Version(), b.Addr())
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	want := produce(ctx, t, b.Addr(), 1000)
	if got := consume(ctx, t, b.Addr(), len(want)); !slices.Equal(got, want) {
		t.Fatal("what the broker serves is not what it acknowledged")
	}
	addr := b.Addr()
	b.Restart(t)
	if b.Addr() != addr {
		t.Fatalf("the address after a restart is %s, before it was %s", b.Addr(), addr)
	}
	if got := consume(ctx, t, b.Addr(), len(want)); !slices.Equal(got, want) {
		t.Fatal("after an orderly restart the records are not those acknowledged")
	}
	b.Kill(t)
	if !holds(t, b.DataDir(), "value 999 of 1000") {
		t.Error("the folder of the data does not hold the last record")
	}
	if holds(t, b.DataDir(), "value 1000 of 1000") {
		t.Error("the folder of the data holds a record that was never written")
	}
	b.Restart(t)
	if got := consume(ctx, t, b.Addr(), len(want)); !slices.Equal(got, want) {
		t.Fatal("after kill -9 the records are not those acknowledged")
	}
}

// produce makes the topic and writes n records, each acknowledged by all
// replicas. It returns them as text, in the order of their partition.
func produce(ctx context.Context, t *testing.T, addr string, n int) []string {
	t.Helper()
	client := connect(t, addr, kgo.RequiredAcks(kgo.AllISRAcks()), kgo.DefaultProduceTopic(topic),
		kgo.ProducerBatchCompression(kgo.NoCompression())) // so that the segments show the values
	if _, err := kadm.NewClient(client).CreateTopic(ctx, 1, 1, nil, topic); err != nil {
		t.Fatal(err)
	}
	var records []*kgo.Record
	var text []string
	for i := range n {
		r := &kgo.Record{Key: fmt.Append(nil, "key ", i), Value: fmt.Append(nil, "value ", i, " of ", n)}
		records = append(records, r)
		text = append(text, describe(r))
	}
	if err := client.ProduceSync(ctx, records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	return text
}

// consume reads the topic from its start, with a new client, and returns every
// record up to the end that the broker tells.
func consume(ctx context.Context, t *testing.T, addr string, least int) []string {
	t.Helper()
	client := connect(t, addr, kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	ends, err := kadm.NewClient(client).ListEndOffsets(ctx, topic)
	if err != nil {
		t.Fatal(err)
	}
	end, ok := ends.Lookup(topic, 0)
	if !ok || end.Err != nil || end.Offset < int64(least) {
		t.Fatalf("the partition ends at offset %d (%v), want %d", end.Offset, end.Err, least)
	}
	var text []string
	for int64(len(text)) < end.Offset {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatalf("after %d records: %v", len(text), err)
		}
		fetches.EachRecord(func(r *kgo.Record) { text = append(text, describe(r)) })
	}
	return text
}

// holds reports whether any file below dir has text in its bytes.
func holds(t *testing.T, dir, text string) bool {
	t.Helper()
	found := false
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		found = found || bytes.Contains(content, []byte(text))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func connect(t *testing.T, addr string, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	client, err := kgo.NewClient(append(opts, kgo.SeedBrokers(addr))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func describe(r *kgo.Record) string { return fmt.Sprintf("%s=%s", r.Key, r.Value) }
