package produce

import "github.com/twmb/franz-go/pkg/kgo"

// partitioner sends a record where its sender asks, and has inner choose by the
// key as it was before it was protected for all others.
type partitioner struct {
	inner kgo.Partitioner
	link  *link // of the client, for the pipeline to find
}

// ForTopic implements [kgo.Partitioner].
func (p partitioner) ForTopic(topic string) kgo.TopicPartitioner {
	t := &topicPartitioner{inner: p.inner.ForTopic(topic)}
	// The client asks for what a partitioner can do by its type, so the wrapper
	// must be able to do the same, and no more.
	_, batches := t.inner.(kgo.TopicPartitionerOnNewBatch)
	_, backup := t.inner.(kgo.TopicBackupPartitioner)
	switch {
	case batches && backup:
		return struct {
			*topicPartitioner
			onNewBatch
			byBackup
		}{t, onNewBatch{t}, byBackup{t}}
	case batches:
		return struct {
			*topicPartitioner
			onNewBatch
		}{t, onNewBatch{t}}
	case backup:
		return struct {
			*topicPartitioner
			byBackup
		}{t, byBackup{t}}
	default:
		return t
	}
}

type topicPartitioner struct {
	inner kgo.TopicPartitioner
	plain kgo.Record // the client partitions one record of a topic at a time
}

// RequiresConsistency implements [kgo.TopicPartitioner].
func (t *topicPartitioner) RequiresConsistency(r *kgo.Record) bool {
	s := slotOf(r)
	if s == nil {
		return t.inner.RequiresConsistency(r)
	}
	if s.wanted != AnyPartition {
		return true
	}
	defer t.forget()
	return t.inner.RequiresConsistency(t.withPlainKey(r, s))
}

// Partition implements [kgo.TopicPartitioner].
func (t *topicPartitioner) Partition(r *kgo.Record, n int) int {
	s := slotOf(r)
	if s == nil {
		return t.inner.Partition(r, n)
	}
	if s.wanted != AnyPartition {
		return s.choose(n)
	}
	s.placed = true
	defer t.forget()
	return t.inner.Partition(t.withPlainKey(r, s), n)
}

// choose takes the partition that the sender asked for. With -1 the client fails
// the record.
func (s *slot) choose(n int) int {
	if int(s.wanted) >= n {
		s.misplaced = true
		return -1
	}
	s.placed = true
	return int(s.wanted)
}

// withPlainKey is what inner sees of a record. It is good for one call.
func (t *topicPartitioner) withPlainKey(r *kgo.Record, s *slot) *kgo.Record {
	t.plain = kgo.Record{Key: s.plainKey, Value: r.Value, Headers: r.Headers, Timestamp: r.Timestamp, Topic: r.Topic, Partition: r.Partition, Context: r.Context}
	return &t.plain
}

// forget lets go of the record that inner has seen.
func (t *topicPartitioner) forget() { t.plain = kgo.Record{} }

type onNewBatch struct{ topic *topicPartitioner }

// OnNewBatch implements [kgo.TopicPartitionerOnNewBatch].
func (o onNewBatch) OnNewBatch() {
	if b, ok := o.topic.inner.(kgo.TopicPartitionerOnNewBatch); ok {
		b.OnNewBatch()
	}
}

type byBackup struct{ topic *topicPartitioner }

// PartitionByBackup implements [kgo.TopicBackupPartitioner].
func (p byBackup) PartitionByBackup(r *kgo.Record, n int, backup kgo.TopicBackupIter) int {
	inner, ok := p.topic.inner.(kgo.TopicBackupPartitioner)
	s := slotOf(r)
	if !ok {
		return p.topic.Partition(r, n)
	}
	if s == nil {
		return inner.PartitionByBackup(r, n, backup)
	}
	if s.wanted != AnyPartition {
		return s.choose(n)
	}
	s.placed = true
	defer p.topic.forget()
	return inner.PartitionByBackup(p.topic.withPlainKey(r, s), n, backup)
}
