package kgocrypt_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
	"github.com/fieldveil/fieldveil/fieldcrypt/kgocrypt"
)

// protectKeys has the bench's policy protect the record keys.
func (b *bench) protectKeys() {
	b.t.Helper()
	block, err := datakey.CreateDomainBlock(b.t.Context(), b.kms, "local:domain", "")
	if err != nil {
		b.t.Fatal(err)
	}
	b.policy = fmt.Sprintf("dataset: keyed\ndomain_keys: {ids: {kek: \"local:domain\", versions: [%q]}}\n"+
		"topics: [{match: %q, key: {action: encrypt, key: ids, mode: deterministic}}]\n",
		base64.StdEncoding.EncodeToString(block), topic) + withoutTopics(policyText)
}

// withoutTopics returns a policy that begins another one, which has topics.
func withoutTopics(policy string) string {
	head, _, _ := strings.Cut(strings.TrimSpace(policy), "\ntopics:")
	return head + "\n"
}

func TestProtectionLeavesRecordsInTheirPartitions(t *testing.T) {
	for name, inner := range map[string]func() kgo.Partitioner{
		"sticky by key":      func() kgo.Partitioner { return kgo.StickyKeyPartitioner(nil) },
		"uniform bytes":      func() kgo.Partitioner { return kgo.UniformBytesPartitioner(1<<20, true, true, nil) },
		"least backup":       kgo.LeastBackupPartitioner,
		"round robin":        kgo.RoundRobinPartitioner,
		"by a function of r": func() kgo.Partitioner { return kgo.BasicConsistentPartitioner(byFirstByte) },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, 7)
			b.protectKeys()
			plain := b.client(kgo.RecordPartitioner(inner()))
			sealed := b.client(kgo.RecordPartitioner(kgocrypt.Partitioner(inner())))
			producer, err := kgocrypt.NewProducer(sealed, b.engine(new(datakey.MemStore)))
			if err != nil {
				t.Fatal(err)
			}
			byKey := strings.HasPrefix(name, "sticky") || strings.HasPrefix(name, "uniform") || strings.HasPrefix(name, "by a")
			for i := range 40 {
				key := []byte(fmt.Sprintf("%c-person-%d", 'a'+i%7, i))
				clear := &kgo.Record{Topic: topic, Key: key}
				if err := plain.ProduceSync(t.Context(), clear).FirstErr(); err != nil {
					t.Fatal(err)
				}
				hidden := &kgo.Record{Topic: topic, Key: key}
				if err := producer.ProduceSync(t.Context(), hidden).FirstErr(); err != nil {
					t.Fatal(err)
				}
				if byKey && hidden.Partition != clear.Partition {
					t.Errorf("key %d lies in partition %d, and unprotected in %d", i, hidden.Partition, clear.Partition)
				}
				if !bytes.Equal(hidden.Key, key) {
					t.Error("the caller's key has changed")
				}
			}
		})
	}
}

func byFirstByte(string) func(*kgo.Record, int) int {
	return func(r *kgo.Record, n int) int { return int(r.Key[0]) % n }
}

func TestAClientThatWouldPartitionByProtectedKeysIsRefused(t *testing.T) {
	b := newBench(t, 1)
	b.protectKeys()
	if _, err := kgocrypt.NewProducer(b.client(), b.engine(new(datakey.MemStore))); err == nil || !strings.Contains(err.Error(), "kgocrypt.Partitioner") {
		t.Errorf("%v", err)
	}
}

func TestProtectedKeysComeBack(t *testing.T) {
	b := newBench(t, 1)
	b.protectKeys()
	client := b.client(kgo.RecordPartitioner(kgocrypt.Partitioner(kgo.StickyKeyPartitioner(nil))),
		kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	engine := b.engine(new(datakey.MemStore))
	producer, err := kgocrypt.NewProducer(client, engine)
	if err != nil {
		t.Fatal(err)
	}
	// A tombstone: its key is all that it has.
	if err := producer.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Key: []byte("person-42")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	consumer, err := kgocrypt.NewConsumer(client, engine)
	if err != nil {
		t.Fatal(err)
	}
	batch := consumer.Poll(t.Context(), 1)
	for r, err := range batch.All() {
		if err != nil || string(r.Key) != "person-42" || r.Value != nil {
			t.Errorf("%v, %v", r, err)
		}
	}
	for _, r := range batch.Fetches.Records() {
		if !bytes.HasPrefix(r.Key, []byte("fv1:")) || r.Value != nil {
			t.Errorf("the broker holds key %q", r.Key)
		}
	}
	if n := batch.Fetches.NumRecords(); n != 1 {
		t.Errorf("%d records", n)
	}
}

// A domain key that is rotated makes other keys of the same ones, and leaves
// them where they were.
func TestRotationsLeaveRecordsInTheirPartitions(t *testing.T) {
	b := newBench(t, 7)
	var versions []string
	places, forms := map[string]int32{}, map[string]bool{}
	for rotation := range 3 {
		block, err := datakey.CreateDomainBlock(t.Context(), b.kms, "local:domain", "")
		if err != nil {
			t.Fatal(err)
		}
		versions = append(versions, fmt.Sprintf("%q", base64.StdEncoding.EncodeToString(block)))
		b.policy = fmt.Sprintf("dataset: keyed\ndomain_keys: {ids: {kek: \"local:domain\", versions: [%s]}}\n"+
			"topics: [{match: %q, key: {action: hash, key: ids, join: person}}]\n", strings.Join(versions, ", "), topic) + withoutTopics(policyText)
		client := b.client(kgo.RecordPartitioner(kgocrypt.Partitioner(kgo.StickyKeyPartitioner(nil))),
			kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
		producer, err := kgocrypt.NewProducer(client, b.engine(new(datakey.MemStore)))
		if err != nil {
			t.Fatal(err)
		}
		for i := range 20 {
			key := fmt.Sprintf("person-%d", i)
			rec := &kgo.Record{Topic: topic, Key: []byte(key)}
			if err := producer.ProduceSync(t.Context(), rec).FirstErr(); err != nil {
				t.Fatal(err)
			}
			if was, ok := places[key]; ok && was != rec.Partition {
				t.Errorf("rotation %d moves %s from partition %d to %d", rotation, key, was, rec.Partition)
			}
			places[key] = rec.Partition
		}
		for n := 0; n < 20*(rotation+1); {
			fetches := client.PollFetches(t.Context())
			if err := fetches.Err(); err != nil {
				t.Fatal(err)
			}
			for _, r := range fetches.Records() {
				forms[string(r.Key)] = true
				n++
			}
		}
	}
	if len(forms) != 60 {
		t.Errorf("%d different keys at the broker, of 20 under 3 versions", len(forms))
	}
}
