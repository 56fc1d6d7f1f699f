package kafka

import (
	"errors"
	"hash/crc32"
	"hash/fnv"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
)

// javaDefault places keys by murmur2 and keeps records without one together for a
// while, as Java clients do by default.
func javaDefault() kgo.Partitioner { return kgo.UniformBytesPartitioner(64<<10, true, true, nil) }

func (s *settings) setPartitioner(v string) error {
	// Java names classes.
	name := v[strings.LastIndexByte(v, '.')+1:]
	switch strings.ToLower(name) {
	case "murmur2_random", "defaultpartitioner", "default", "builtinpartitioner":
		s.partitioner = javaDefault
	case "murmur2":
		s.partitioner = func() kgo.Partitioner { return &byHash{hash: murmur2(), keyed: always} }
	case "consistent_random":
		s.partitioner = func() kgo.Partitioner { return &byHash{hash: crc, keyed: notEmptyKey} }
	case "consistent":
		s.partitioner = func() kgo.Partitioner { return &byHash{hash: crc, keyed: always} }
	case "fnv1a_random":
		s.partitioner = func() kgo.Partitioner { return &byHash{hash: fnv1a, keyed: notNullKey} }
	case "fnv1a":
		s.partitioner = func() kgo.Partitioner { return &byHash{hash: fnv1a, keyed: always} }
	case "random", "uniformstickypartitioner":
		s.partitioner = kgo.StickyPartitioner
	case "roundrobinpartitioner", "roundrobin", "round_robin":
		s.partitioner = kgo.RoundRobinPartitioner
	default:
		return errors.New("it is murmur2_random, murmur2, consistent_random, consistent, fnv1a_random, fnv1a, random or roundrobin")
	}
	return nil
}

func always([]byte) bool          { return true }
func notEmptyKey(key []byte) bool { return len(key) > 0 }
func notNullKey(key []byte) bool  { return key != nil }

// crc is librdkafka's consistent: CRC-32 of the key, as an unsigned number.
func crc(key []byte, n int) int { return int(crc32.ChecksumIEEE(key) % uint32(n)) } //nolint:gosec // n is a count of partitions

// fnv1a is librdkafka's fnv1a, and Sarama's default: the absolute value of the
// hash as a signed number.
func fnv1a(key []byte, n int) int {
	h := fnv.New32a()
	_, _ = h.Write(key)   // it never fails
	v := int32(h.Sum32()) //nolint:gosec // the bits are the same
	if v < 0 {
		v = -v
	}
	return int(uint32(v) % uint32(n)) //nolint:gosec // the least number has no absolute value, and stays itself
}

// murmur2 is the hash of Java clients, of which the client has its own.
func murmur2() func(key []byte, n int) int {
	t := kgo.StickyKeyPartitioner(nil).ForTopic("")
	return func(key []byte, n int) int {
		if key == nil {
			key = []byte{}
		}
		return t.Partition(&kgo.Record{Key: key}, n)
	}
}

// byHash places records whose keys keyed likes by hash, and keeps the others
// together until a batch is full.
type byHash struct {
	hash  func(key []byte, n int) int
	keyed func(key []byte) bool
}

// ForTopic implements [kgo.Partitioner].
func (p *byHash) ForTopic(topic string) kgo.TopicPartitioner {
	return &topicByHash{byHash: *p, others: kgo.StickyPartitioner().ForTopic(topic)}
}

type topicByHash struct {
	byHash
	others kgo.TopicPartitioner
}

// RequiresConsistency implements [kgo.TopicPartitioner].
func (p *topicByHash) RequiresConsistency(r *kgo.Record) bool { return p.keyed(r.Key) }

// Partition implements [kgo.TopicPartitioner].
func (p *topicByHash) Partition(r *kgo.Record, n int) int {
	if p.keyed(r.Key) {
		return p.hash(r.Key, n)
	}
	return p.others.Partition(r, n)
}

// OnNewBatch implements [kgo.TopicPartitionerOnNewBatch].
func (p *topicByHash) OnNewBatch() {
	if b, ok := p.others.(kgo.TopicPartitionerOnNewBatch); ok {
		b.OnNewBatch()
	}
}
