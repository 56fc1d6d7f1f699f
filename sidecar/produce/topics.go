package produce

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// DefaultTopicBytes is how large a batch may be where the cluster does not tell:
// the default of Kafka's brokers.
const DefaultTopicBytes = 1048588

// TopicInfo is what a pipeline must know of a topic before it sends.
type TopicInfo struct {
	Partitions int32 // 0 where it is not known
	MaxBytes   int   // the topic's max.message.bytes, 0 where it is not known
}

// Topics tells what topics are like. It is safe for concurrent use.
type Topics interface {
	// Topic returns what is known of a topic. It waits, until ctx ends, where
	// that must be fetched first. A topic that is not there is CodeTopicUnknown.
	Topic(ctx context.Context, name string) (TopicInfo, *Error)
}

// How long the cluster's answers are good for, and how many refusals are kept:
// senders may ask for names without end.
const (
	topicAge     = time.Minute
	refusalAge   = 5 * time.Second
	maxRefusals  = 10_000
	fetchTimeout = 10 * time.Second
)

// smallestBatch is the least that the client takes for a limit.
const smallestBatch = 512

// cluster asks the brokers for topics and keeps their answers. A topic is looked
// up before the first record of it is handed over, so the client never learns of
// topics that are not there, and knows the limit of a topic when it first needs
// it. What it knows is renewed in the background, and stands while the brokers
// cannot be reached.
type cluster struct {
	cap   int      // of a batch, 0 for none
	known sync.Map // of *topicState by name

	mu       sync.Mutex
	client   kmsg.Requestor
	loads    map[string]*topicLoad
	refusals int
}

type topicState struct {
	info  TopicInfo
	err   *Error
	until time.Time
}

type topicLoad struct {
	done  chan struct{}
	state *topicState
}

func newCluster(maxBytes int) *cluster {
	return &cluster{cap: maxBytes, loads: make(map[string]*topicLoad)}
}

// bind says whom to ask. The cluster is made before its client.
func (c *cluster) bind(client *kgo.Client) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.client = client
}

// batchBytes is the limit of the batches of a topic.
func (c *cluster) batchBytes(topic string) int32 {
	n := DefaultTopicBytes
	if s := c.state(topic); s != nil && s.err == nil {
		n = s.info.MaxBytes
	}
	if c.cap > 0 {
		n = min(n, c.cap)
	}
	return int32(min(max(n, smallestBatch), 64<<20))
}

func (c *cluster) state(topic string) *topicState {
	v, _ := c.known.Load(topic)
	s, _ := v.(*topicState)
	return s
}

// Topic implements [Topics].
func (c *cluster) Topic(ctx context.Context, name string) (TopicInfo, *Error) {
	s := c.state(name)
	if s != nil && time.Now().Before(s.until) {
		return s.info, s.err
	}
	l := c.load(ctx, name)
	if s != nil && s.err == nil {
		return s.info, nil
	}
	select {
	case <-l.done:
		return l.state.info, l.state.err
	case <-ctx.Done():
		return TopicInfo{}, fail(CodeCanceled, Retryable)
	}
}

// load asks for a topic, once for all who want to know at a time.
func (c *cluster) load(ctx context.Context, name string) *topicLoad {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l := c.loads[name]; l != nil {
		return l
	}
	l := &topicLoad{done: make(chan struct{})}
	c.loads[name] = l
	client := c.client
	go func() {
		defer close(l.done)
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchTimeout)
		defer cancel()
		l.state = c.fetch(ctx, client, name)
		c.keep(name, l.state)
	}()
	return l
}

func (c *cluster) keep(name string, s *topicState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.loads, name)
	old := c.state(name)
	if s.err != nil && s.err.Outcome != Rejected {
		// Nothing was learned. What was known is not lost over it.
		if old != nil && old.err == nil {
			c.known.Store(name, &topicState{info: old.info, until: time.Now().Add(refusalAge)})
		}
		return
	}
	if s.err != nil && (old == nil || old.err == nil) {
		c.refusals++
		if c.refusals > maxRefusals {
			c.forgetRefusals()
			c.refusals = 1
		}
	}
	if s.err == nil && old != nil && old.err != nil {
		c.refusals--
	}
	c.known.Store(name, s)
}

func (c *cluster) forgetRefusals() {
	c.known.Range(func(name, v any) bool {
		if s, ok := v.(*topicState); ok && s.err != nil {
			c.known.Delete(name)
		}
		return true
	})
}

func (c *cluster) fetch(ctx context.Context, client kmsg.Requestor, name string) *topicState {
	info := TopicInfo{MaxBytes: DefaultTopicBytes}
	n, err := partitionsOf(ctx, client, name)
	if err != nil {
		return &topicState{err: err, until: time.Now().Add(refusalAge)}
	}
	info.Partitions = n
	if n := maxBytesOf(ctx, client, name); n > 0 {
		info.MaxBytes = n
	}
	if c.cap > 0 {
		info.MaxBytes = min(info.MaxBytes, c.cap)
	}
	return &topicState{info: info, until: time.Now().Add(topicAge)}
}

func partitionsOf(ctx context.Context, client kmsg.Requestor, name string) (int32, *Error) {
	req := kmsg.NewPtrMetadataRequest()
	topic := kmsg.NewMetadataRequestTopic()
	topic.Topic = &name
	req.Topics = append(req.Topics, topic)
	resp, err := req.RequestWith(ctx, client)
	if err != nil {
		return 0, ofRequest(err)
	}
	if len(resp.Topics) != 1 {
		return 0, fail(CodeKafkaUnavailable, Retryable)
	}
	// A topic without a leader is there all the same.
	if err := kerr.ErrorForCode(resp.Topics[0].ErrorCode); err != nil && !kerr.IsRetriable(err) || err == kerr.UnknownTopicOrPartition { //nolint:errorlint // the client's own values
		return 0, ofRequest(err)
	}
	return int32(len(resp.Topics[0].Partitions)), nil //nolint:gosec // of a response of bounded size
}

// maxBytesOf returns 0 where the cluster does not tell, which is usual: a
// producer needs no right to read configurations.
func maxBytesOf(ctx context.Context, client kmsg.Requestor, name string) int {
	const key = "max.message.bytes"
	req := kmsg.NewPtrDescribeConfigsRequest()
	res := kmsg.NewDescribeConfigsRequestResource()
	res.ResourceType, res.ResourceName, res.ConfigNames = kmsg.ConfigResourceTypeTopic, name, []string{key}
	req.Resources = append(req.Resources, res)
	resp, err := req.RequestWith(ctx, client)
	if err != nil || len(resp.Resources) != 1 {
		return 0
	}
	for _, c := range resp.Resources[0].Configs {
		if c.Name == key && c.Value != nil {
			if n, err := strconv.Atoi(*c.Value); err == nil && n > 0 {
				return n
			}
		}
	}
	return 0
}
