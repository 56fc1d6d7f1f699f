package produce

import (
	"context"
	"math"
	"strconv"
	"strings"
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
	// What else brokers refuse a record for, and with it all others of its batch.
	// Zero is no such rule, and a rule that is not known.
	Compacted bool          // records need keys
	Behind    time.Duration // how far the time of a record may lie in the past
	Ahead     time.Duration // and in the future
}

// refuses says whether brokers would refuse a protected record for what it is.
func (i *TopicInfo) refuses(rec *Record) bool {
	if i.Compacted && rec.Key == nil {
		return true
	}
	if rec.Timestamp.IsZero() || i.Behind == 0 && i.Ahead == 0 {
		return false
	}
	ahead := time.Until(rec.Timestamp)
	return i.Ahead > 0 && ahead > i.Ahead || i.Behind > 0 && -ahead > i.Behind
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
	n, err := partitionsOf(ctx, client, name)
	if err != nil {
		return &topicState{err: err, until: time.Now().Add(refusalAge)}
	}
	info := ofConfig(configOf(ctx, client, name))
	info.Partitions = n
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

// The configuration of a topic that a pipeline looks at.
const (
	keyBytes   = "max.message.bytes"
	keyCleanup = "cleanup.policy"
	keyClock   = "message.timestamp.type"
	keyBehind  = "message.timestamp.before.max.ms"
	keyAhead   = "message.timestamp.after.max.ms"
	keyEither  = "message.timestamp.difference.max.ms" // of older brokers
)

// configOf returns nothing where the cluster does not tell, which is usual: a
// producer needs no right to read configurations.
func configOf(ctx context.Context, client kmsg.Requestor, name string) map[string]string {
	req := kmsg.NewPtrDescribeConfigsRequest()
	res := kmsg.NewDescribeConfigsRequestResource()
	res.ResourceType, res.ResourceName = kmsg.ConfigResourceTypeTopic, name
	res.ConfigNames = []string{keyBytes, keyCleanup, keyClock, keyBehind, keyAhead, keyEither}
	req.Resources = append(req.Resources, res)
	resp, err := req.RequestWith(ctx, client)
	if err != nil || len(resp.Resources) != 1 {
		return nil
	}
	out := make(map[string]string)
	for _, c := range resp.Resources[0].Configs {
		if c.Value != nil {
			out[c.Name] = *c.Value
		}
	}
	return out
}

// ofConfig reads a configuration. What it does not understand is no rule.
func ofConfig(config map[string]string) TopicInfo {
	info := TopicInfo{MaxBytes: DefaultTopicBytes}
	if n, err := strconv.Atoi(config[keyBytes]); err == nil && n > 0 {
		info.MaxBytes = n
	}
	for policy := range strings.SplitSeq(config[keyCleanup], ",") {
		info.Compacted = info.Compacted || strings.TrimSpace(policy) == "compact"
	}
	if config[keyClock] != "LogAppendTime" {
		either := millisOf(config[keyEither])
		info.Behind, info.Ahead = tighter(millisOf(config[keyBehind]), either), tighter(millisOf(config[keyAhead]), either)
	}
	return info
}

// millisOf is 0 where there is no limit, which brokers write as a number so large
// that it is no duration.
func millisOf(s string) time.Duration {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n <= 0 || n > math.MaxInt64/int64(time.Millisecond) {
		return 0
	}
	return time.Duration(n) * time.Millisecond
}

func tighter(a, b time.Duration) time.Duration {
	if a == 0 || b == 0 {
		return max(a, b)
	}
	return min(a, b)
}
