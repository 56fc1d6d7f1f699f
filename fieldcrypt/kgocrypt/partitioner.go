package kgocrypt

import (
	"context"
	"errors"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Partitioner makes inner choose the partition of a record by its key as it was
// before it was protected, so that protection leaves records where they were
// and beside those that other producers write. A client whose records have
// protected keys needs it:
//
//	kgo.RecordPartitioner(kgocrypt.Partitioner(kgo.StickyKeyPartitioner(nil)))
//
// Records that do not come from a [Producer] are handed to inner as they are.
func Partitioner(inner kgo.Partitioner) kgo.Partitioner { return partitioner{inner} }

var errPartitioner = errors.New("kgocrypt: the policy protects record keys, and the client would choose partitions " +
	"by the protected ones: make it with kgo.RecordPartitioner(kgocrypt.Partitioner(…))")

type partitioner struct{ inner kgo.Partitioner }

// ForTopic implements [kgo.Partitioner].
func (p partitioner) ForTopic(topic string) kgo.TopicPartitioner {
	t := topicPartitioner{inner: p.inner.ForTopic(topic)}
	// The client asks for what a partitioner can do by its type, so the wrapper
	// must be able to do the same, and no more.
	_, batches := t.inner.(kgo.TopicPartitionerOnNewBatch)
	_, backup := t.inner.(kgo.TopicBackupPartitioner)
	switch {
	case batches && backup:
		return struct {
			topicPartitioner
			onNewBatch
			byBackup
		}{t, onNewBatch{t}, byBackup{t}}
	case batches:
		return struct {
			topicPartitioner
			onNewBatch
		}{t, onNewBatch{t}}
	case backup:
		return struct {
			topicPartitioner
			byBackup
		}{t, byBackup{t}}
	default:
		return t
	}
}

type topicPartitioner struct{ inner kgo.TopicPartitioner }

func (t topicPartitioner) RequiresConsistency(r *kgo.Record) bool {
	return t.inner.RequiresConsistency(withPlainKey(r))
}

func (t topicPartitioner) Partition(r *kgo.Record, n int) int {
	return t.inner.Partition(withPlainKey(r), n)
}

type onNewBatch struct{ topic topicPartitioner }

func (o onNewBatch) OnNewBatch() {
	if b, ok := o.topic.inner.(kgo.TopicPartitionerOnNewBatch); ok {
		b.OnNewBatch()
	}
}

type byBackup struct{ topic topicPartitioner }

func (p byBackup) PartitionByBackup(r *kgo.Record, n int, backup kgo.TopicBackupIter) int {
	if b, ok := p.topic.inner.(kgo.TopicBackupPartitioner); ok {
		return b.PartitionByBackup(withPlainKey(r), n, backup)
	}
	return p.topic.Partition(r, n)
}

// plainKey is where a protected record carries the key that it had. The context
// stays in this process.
type plainKey struct{}

func carryKey(ctx context.Context, key []byte) context.Context {
	return context.WithValue(ctx, plainKey{}, key)
}

func withPlainKey(r *kgo.Record) *kgo.Record {
	if r.Context == nil {
		return r
	}
	key, ok := r.Context.Value(plainKey{}).([]byte)
	if !ok {
		return r
	}
	plain := *r
	plain.Key = key
	return &plain
}
