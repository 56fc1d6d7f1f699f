package kgocrypt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/fieldveil/fieldveil/fieldcrypt/datakey"
)

// A KeyTopic keeps wrapped data keys in a compacted topic of one partition, so
// that values stay readable when records lose their headers. It is a
// [datakey.Catalog] and safe for concurrent use.
//
// It holds all keys of the topic in memory: some 300 bytes each. Whoever may
// write to the topic can make data unreadable, and whoever deletes it does, so
// it is guarded and backed up like the data itself. Producers have to write to
// it, and a broker cannot tell a new key from the end of an old one: their
// credentials are enough to remove keys. It shows no key: what it holds opens
// only at the KMS.
type KeyTopic struct {
	client *kgo.Client
	topic  string
	stop   context.CancelFunc
	done   chan struct{}

	mu      sync.Mutex
	blocks  map[datakey.ID]keyBlocks
	next    int64         // offset of the next record to read
	moved   chan struct{} // closed and replaced when next moves or reading fails
	failure error         // why reading fails at the moment
	skipped int           // records that are no key blocks

	writing sync.Mutex // one change of what stands at a time
}

var (
	_ datakey.Catalog       = (*KeyTopic)(nil)
	_ datakey.FallbackStore = (*KeyTopic)(nil)
)

// DefaultKeyTopic is the usual name of a key topic.
const DefaultKeyTopic = "_fieldveil_keys"

// A KeyTopicOption changes how a key topic is opened.
type KeyTopicOption func(*keyTopicConfig)

type keyTopicConfig struct {
	create      bool
	replication int16
}

// WithReplication sets the replication factor with which the topic is created
// when it is missing. Default is the broker's; 3 is usual.
func WithReplication(n int16) KeyTopicOption {
	return func(c *keyTopicConfig) { c.replication = n }
}

// WithoutCreate fails when the topic is missing.
func WithoutCreate() KeyTopicOption { return func(c *keyTopicConfig) { c.create = false } }

// OpenKeyTopic connects to the cluster with opts, creates the topic if it is
// missing, refuses one that is not compacted or has several partitions, and
// reads it to its end.
func OpenKeyTopic(ctx context.Context, topic string, opts []kgo.Opt, options ...KeyTopicOption) (*KeyTopic, error) {
	cfg := keyTopicConfig{create: true, replication: -1}
	for _, o := range options {
		o(&cfg)
	}
	if topic == "" {
		topic = DefaultKeyTopic
	}
	// By a client of its own: one that follows the topic before it is there
	// remembers for a second that it is missing.
	if err := prepareKeyTopic(ctx, topic, opts, cfg); err != nil {
		return nil, fmt.Errorf("kgocrypt: key topic %q: %w", topic, err)
	}
	// Ours come last and win: a key must be on all in-sync replicas, and every
	// offset must come by, the marks of a foreign transaction too, for the end
	// of the topic to be seen.
	client, err := kgo.NewClient(append(append([]kgo.Opt(nil), opts...),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerLinger(0),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().AtStart()}}),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadUncommitted()),
		kgo.KeepControlRecords(),
	)...)
	if err != nil {
		return nil, fmt.Errorf("kgocrypt: key topic: %w", err)
	}
	k := &KeyTopic{
		client: client, topic: topic, done: make(chan struct{}),
		blocks: make(map[datakey.ID]keyBlocks), moved: make(chan struct{}),
	}
	run, stop := context.WithCancel(context.Background())
	k.stop = stop
	go k.read(run)
	if err := k.catchUp(ctx); err != nil {
		k.Close()
		return nil, fmt.Errorf("kgocrypt: key topic %q: %w", topic, err)
	}
	return k, nil
}

// Close stops reading and closes the client.
func (k *KeyTopic) Close() {
	k.stop()
	<-k.done
	k.client.Close()
}

// Len returns the number of keys.
func (k *KeyTopic) Len() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.blocks)
}

// prepareKeyTopic creates the topic or checks the one there is.
func prepareKeyTopic(ctx context.Context, topic string, opts []kgo.Opt, cfg keyTopicConfig) error {
	client, err := kgo.NewClient(opts...)
	if err != nil {
		return err
	}
	defer client.Close()
	adm := kadm.NewClient(client)
	if cfg.create {
		compact := "compact"
		res, err := adm.CreateTopic(ctx, 1, cfg.replication, map[string]*string{"cleanup.policy": &compact}, topic)
		if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) && !errors.Is(res.Err, kerr.TopicAlreadyExists) {
			return fmt.Errorf("create: %w", err)
		}
	}
	n, err := partitions(ctx, adm, topic, cfg.create)
	if err != nil {
		return fmt.Errorf("look up: %w", err)
	}
	if n != 1 {
		return fmt.Errorf("has %d partitions, must have 1: %w", n, errPolicy)
	}
	configs, err := adm.DescribeTopicConfigs(ctx, topic)
	if err != nil {
		return fmt.Errorf("look up configuration: %w", err)
	}
	rc, err := configs.On(topic, nil)
	if err != nil {
		return fmt.Errorf("look up configuration: %w", errors.Join(err, rc.Err))
	}
	for _, c := range rc.Configs {
		if c.Key == "cleanup.policy" {
			// With "delete" beside it, keys would vanish when retention ends.
			if p := strings.TrimSpace(c.MaybeValue()); p != "compact" {
				return fmt.Errorf("has cleanup.policy %q, must be \"compact\": %w", p, errPolicy)
			}
			return nil
		}
	}
	return fmt.Errorf("the broker does not tell its cleanup.policy: %w", errPolicy)
}

// partitions returns how many partitions the topic has. A topic that was just
// created takes a moment until every broker, and the client's own memory, knows
// it.
func partitions(ctx context.Context, adm *kadm.Client, topic string, created bool) (int, error) {
	for wait := 20 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		details, err := adm.ListTopics(ctx, topic)
		if err != nil {
			return 0, err
		}
		d, ok := details[topic]
		if ok && d.Err == nil {
			return len(d.Partitions), nil
		}
		if !created || ok && !errors.Is(d.Err, kerr.UnknownTopicOrPartition) {
			return 0, errors.Join(d.Err, errNoTopic)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return 0, errors.Join(context.Cause(ctx), errNoTopic)
		}
	}
}

var (
	errNoTopic = errors.New("topic is missing")
	errPolicy  = errors.New("keys could be deleted")
	errNotRead = errors.New("a key was written and read back differently")
)

// read follows the topic until the context ends.
func (k *KeyTopic) read(ctx context.Context) {
	defer close(k.done)
	for {
		fetches := k.client.PollFetches(ctx)
		if ctx.Err() != nil || fetches.IsClientClosed() {
			return
		}
		k.mu.Lock()
		k.failure = nil
		for _, e := range fetches.Errors() {
			k.failure = e.Err
		}
		for it := fetches.RecordIter(); !it.Done(); {
			k.keepLocked(it.Next())
		}
		close(k.moved)
		k.moved = make(chan struct{})
		k.mu.Unlock()
	}
}

// waitFor waits until the record before offset has been read, or the broker
// refuses in a way that waiting does not mend.
func (k *KeyTopic) waitFor(ctx context.Context, offset int64) error {
	for fresh := false; ; fresh = true {
		k.mu.Lock()
		next, moved, failure := k.next, k.moved, k.failure
		k.mu.Unlock()
		if next >= offset {
			return nil
		}
		// A refusal from before the wait says nothing about now: a topic in
		// which nothing is new tells of no success either.
		if fresh && refused(failure) {
			return fmt.Errorf("reading: %w", failure)
		}
		select {
		case <-moved:
		case <-k.done:
			return errors.New("key topic is closed")
		case <-ctx.Done():
			return fmt.Errorf("reading: %w", errors.Join(context.Cause(ctx), failure))
		}
	}
}

// refused tells whether a broker gave err as its answer for good.
func refused(err error) bool {
	e, ok := errors.AsType[*kerr.Error](err)
	return ok && !e.Retriable
}

// catchUp reads to what is the end of the topic now.
func (k *KeyTopic) catchUp(ctx context.Context) error {
	adm := kadm.NewClient(k.client)
	// The end first: should it be the start afterwards, then all before it is
	// gone.
	end, err := k.offset(ctx, adm.ListEndOffsets)
	if err != nil {
		return fmt.Errorf("look up end: %w", err)
	}
	start, err := k.offset(ctx, adm.ListStartOffsets)
	if err != nil {
		return fmt.Errorf("look up start: %w", err)
	}
	if start >= end {
		return nil // nothing will ever be read up to there
	}
	return k.waitFor(ctx, end)
}

func (k *KeyTopic) offset(ctx context.Context, list func(context.Context, ...string) (kadm.ListedOffsets, error)) (int64, error) {
	all, err := list(ctx, k.topic)
	if err != nil {
		return 0, err
	}
	o, ok := all.Lookup(k.topic, 0)
	if !ok || o.Err != nil {
		return 0, errors.Join(o.Err, errNoTopic)
	}
	return o.Offset, nil
}

// Put produces the block with acks from all in-sync replicas and reads it back.
// Another block of an id that is there is refused: [KeyTopic.Replace] is for
// those. The same one is written again, for what was deleted by hand.
func (k *KeyTopic) Put(ctx context.Context, id datakey.ID, block []byte) error {
	k.writing.Lock()
	defer k.writing.Unlock()
	if stands, ok := k.lookup(id); ok && !bytes.Equal(stands, block) {
		return fmt.Errorf("kgocrypt: key topic %q: key %s: %w", k.topic, id, datakey.ErrBlockChanged)
	}
	if _, err := k.write(ctx, id, bytes.Clone(block)); err != nil {
		return err
	}
	if stands, _ := k.lookup(id); !bytes.Equal(stands, block) {
		return fmt.Errorf("kgocrypt: key topic %q: %w", k.topic, errNotRead)
	}
	return nil
}

// write produces a record and waits until it was read back. It returns its
// offset.
func (k *KeyTopic) write(ctx context.Context, id datakey.ID, block []byte) (int64, error) {
	rec := &kgo.Record{Topic: k.topic, Partition: 0, Key: bytes.Clone(id[:]), Value: block}
	// The client does not give up a request that it has sent when ctx ends, so
	// whoever waits has to. A block that arrives later does no harm.
	written := make(chan error, 1)
	k.client.Produce(ctx, rec, func(_ *kgo.Record, err error) { written <- err })
	var err error
	select {
	case err = <-written:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	if err != nil {
		return 0, fmt.Errorf("kgocrypt: key topic %q: write: %w", k.topic, err)
	}
	if err := k.waitFor(ctx, rec.Offset+1); err != nil {
		return 0, fmt.Errorf("kgocrypt: key topic %q: %w", k.topic, err)
	}
	return rec.Offset, nil
}

// Get returns the newest block of id. When it is not known yet, Get reads to the
// end of the topic first.
func (k *KeyTopic) Get(ctx context.Context, id datakey.ID) ([]byte, error) {
	if b, ok := k.lookup(id); ok {
		return b, nil
	}
	if err := k.catchUp(ctx); err != nil {
		return nil, fmt.Errorf("kgocrypt: key topic %q: %w", k.topic, err)
	}
	if b, ok := k.lookup(id); ok {
		return b, nil
	}
	return nil, fmt.Errorf("kgocrypt: key topic %q: key %s: %w", k.topic, id, datakey.ErrUnknownKey)
}

func (k *KeyTopic) lookup(id datakey.ID) ([]byte, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	b, ok := k.blocks[id]
	if !ok {
		return nil, false
	}
	return bytes.Clone(b.newest()), true
}
