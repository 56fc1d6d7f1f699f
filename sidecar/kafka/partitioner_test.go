package kafka

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

func partitionerNamed(t *testing.T, name string) kgo.Partitioner {
	t.Helper()
	c := &Config{Properties: map[string]string{"bootstrap.servers": "b:9092", "partitioner": name}}
	p, err := c.Partitioner()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// pick is where a record goes, and whether it goes there always.
func pick(p kgo.TopicPartitioner, key []byte, n int) (int, bool) {
	r := &kgo.Record{Key: key}
	fixed := p.RequiresConsistency(r)
	if b, ok := p.(kgo.TopicBackupPartitioner); ok {
		return b.PartitionByBackup(r, n, even(n)), fixed
	}
	return p.Partition(r, n), fixed
}

type iter struct{ n int }

func even(n int) kgo.TopicBackupIter      { return &iter{n} }
func (i *iter) Next() (part int, b int64) { i.n--; return i.n, 0 }
func (i *iter) Rem() int                  { return i.n }

// The places were computed with Python: zlib.crc32, FNV-1a with the absolute
// value as librdkafka takes it, and murmur2 as Java clients have it.
func TestKeysLieWhereOtherClientsPutThem(t *testing.T) {
	for _, tc := range []struct {
		key                      string
		crc7, crc64, fnv7, fnv64 int
		murmur7, murmur64        int
	}{
		{"", 0, 0, 2, 59, 2, 25},
		{"a", 4, 3, 6, 20, 5, 60},
		{"user-1", 5, 20, 1, 12, 3, 12},
		{"user-2", 3, 46, 0, 19, 0, 32},
		{"customer:4711", 6, 61, 0, 54, 3, 9},
		{"äöü", 2, 15, 3, 56, 5, 4},
		{"0123456789abcdef", 2, 51, 5, 3, 6, 44},
		{"key with spaces", 6, 48, 2, 37, 1, 56},
	} {
		for name, want := range map[string][2]int{
			"consistent": {tc.crc7, tc.crc64}, "consistent_random": {tc.crc7, tc.crc64},
			"fnv1a": {tc.fnv7, tc.fnv64}, "fnv1a_random": {tc.fnv7, tc.fnv64},
			"murmur2": {tc.murmur7, tc.murmur64}, "murmur2_random": {tc.murmur7, tc.murmur64},
			"org.apache.kafka.clients.producer.internals.DefaultPartitioner": {tc.murmur7, tc.murmur64},
		} {
			if tc.key == "" && name == "consistent_random" {
				continue // an empty key is none
			}
			p := partitionerNamed(t, name).ForTopic("t")
			for i, n := range []int{7, 64} {
				if got, fixed := pick(p, []byte(tc.key), n); got != want[i] || !fixed {
					t.Errorf("%s puts %q of %d into %d, not %d; fixed: %v", name, tc.key, n, got, want[i], fixed)
				}
			}
		}
	}
}

func TestRecordsWithoutAKeyGoWhereTheNameSays(t *testing.T) {
	for name, fixed := range map[string]bool{
		"consistent": true, "murmur2": true, "fnv1a": true,
		"consistent_random": false, "murmur2_random": false, "fnv1a_random": false, "random": false, "roundrobin": false,
		"org.apache.kafka.clients.producer.RoundRobinPartitioner": false, "UniformStickyPartitioner": false,
	} {
		p := partitionerNamed(t, name).ForTopic("t")
		first, got := pick(p, nil, 5)
		if got != fixed {
			t.Errorf("%s: a null key is placed by hash: %v", name, got)
		}
		moved := false
		for range 100 {
			if b, ok := p.(kgo.TopicPartitionerOnNewBatch); ok {
				b.OnNewBatch()
			}
			n, _ := pick(p, nil, 5)
			if n < 0 || n >= 5 {
				t.Fatalf("%s: partition %d of 5", name, n)
			}
			moved = moved || n != first
		}
		// This one moves by bytes, and these records have none.
		if name != "murmur2_random" && moved == fixed {
			t.Errorf("%s: 100 batches of null keys: moved is %v", name, moved)
		}
	}
	if _, fixed := pick(partitionerNamed(t, "consistent_random").ForTopic("t"), []byte{}, 5); fixed {
		t.Error("consistent_random places an empty key by hash")
	}
}
